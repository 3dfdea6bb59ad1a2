/* CREATE TABLE ... SELECT: the columns that the query gives, as MySQL makes columns of them. A
 * column that is also defined in the statement is as defined there. */
#include "sql/ddl/ddl_int.h"

static bool numeric_default(const struct sql_type *t)
{
    return type_is_integer(t) || t->id == TYPE_DECIMAL || t->id == TYPE_FLOAT ||
           t->id == TYPE_DOUBLE || t->id == TYPE_BIT;
}

/* MYSQL: an expression that cannot be NULL has a default of its kind; dates have none where the
 * mode is strict. */
static void implied_default(const struct draft *d, struct draft_column *c)
{
    struct column_def *def = &c->def;
    if ((def->type.flags & TYPE_F_NOT_NULL) == 0) {
        def->default_kind = DEFAULT_NULL;
        return;
    }
    def->default_kind = DEFAULT_NONE;
    bool text = type_is_string(&def->type) && !type_is_blob(&def->type);
    bool date = type_is_temporal(&def->type) && def->type.id != TYPE_TIME;
    if (date ? (d->ctx->bind->sql_mode & SQL_MODE_STRICT) != 0
             : !text && !numeric_default(&def->type) && def->type.id != TYPE_TIME) {
        return;
    }
    value_set_zero(&def->default_value, &def->type);
    def->default_kind = DEFAULT_CONST;
}

static void of_base_column(const struct draft *d, struct draft_column *c,
                           const struct column_def *from)
{
    struct column_def *def = &c->def;
    def->type = from->type;
    def->comment = from->comment;
    if (from->generated != GENERATED_NO || from->auto_increment) {
        implied_default(d, c);
        return;
    }
    def->default_kind = from->default_kind;
    def->on_update_now = from->on_update_now && def->default_kind != DEFAULT_NONE;
    def->default_value = from->default_value;
    def->default_expr = from->default_expr;
    if (def->default_kind == DEFAULT_EXPR) {
        implied_default(d, c); /* what it reads need not be in the new table */
    }
}

/* MYSQL: text of more characters than this becomes a TEXT column. */
enum { TEXT_CHARS = 512 };

static void widen_text(const struct draft *d, enum column_made made, struct sql_type *io)
{
    bool binary = io->collation == COLL_BINARY;
    if (type_is_blob(io)) {
        enum { TEXT_BYTES = 0xffff, MEDIUM_BYTES = 0xffffff };
        uint32_t bytes = io->length / collation_by_id(io->collation)->cs->maxlen;
        bool is_concat = made == MADE_CONCAT; /* as long as group_concat_max_len lets it be */
        if (made == MADE_WINDOW) {
            return;
        }
        enum type_id id = is_concat && bytes <= TEXT_BYTES     ? TYPE_TEXT
                          : is_concat && bytes <= MEDIUM_BYTES ? TYPE_MEDIUMTEXT
                                                               : TYPE_LONGTEXT;
        io->id = (uint8_t)(binary ? id + (TYPE_LONGBLOB - TYPE_LONGTEXT) : id);
        return;
    }
    if (made == MADE_VARIABLE && binary) { /* it is not known what the variable will be */
        io->collation = d->ctx->bind->connection_collation;
        binary = false;
    }
    if (io->length > TEXT_CHARS) {
        bool is_long = io->length > VARCHAR_BYTES_MAX; /* of no certain length */
        *io = type_blob(binary ? TYPE_BLOB : is_long ? TYPE_LONGTEXT : TYPE_TEXT, io->collation);
        return;
    }
    io->id = binary ? TYPE_VARBINARY : TYPE_VARCHAR;
}

/* MYSQL: what CREATE TABLE ... SELECT makes of an expression: the column's kind follows from the
 * kind of the result and its length, not from the result's type. */
static void created_type(const struct draft *d, const struct lcolumn *from, struct sql_type *io)
{
    enum { INT_LENGTH = 11, LITERAL_LENGTH = 9, DOUBLE_LENGTH = 22 };
    enum column_made made = (enum column_made)from->made;
    uint8_t not_null = io->flags & TYPE_F_NOT_NULL;
    if (made == MADE_STORED) {
        return;
    }
    bool kept = made == MADE_WINDOW || made == MADE_SUBQUERY; /* of BIT */
    if (made != MADE_IFNULL && (type_is_integer(io) || (io->id == TYPE_BIT && !kept))) {
        bool is_short = made == MADE_LITERAL || made == MADE_WINDOW || made == MADE_SUBQUERY;
        uint32_t max = is_short ? LITERAL_LENGTH : INT_LENGTH;
        bool is_unsigned = type_is_unsigned(io) || io->id == TYPE_BIT;
        *io = type_int(io->length <= max ? TYPE_INT : TYPE_BIGINT, is_unsigned);
    } else if (io->id == TYPE_DOUBLE && io->decimals != DECIMALS_NOT_FIXED && made == MADE_CALL) {
        io->length = DOUBLE_LENGTH;
    } else if (type_is_string(io)) {
        widen_text(d, made, io);
    }
    io->flags |= not_null;
}

static db_err new_column(struct draft *d, const struct lcolumn *from)
{
    struct draft_column *c = ARENA_NEW(d->ctx->arena, struct draft_column);
    if (c == NULL) {
        return ERR_NOMEM;
    }
    c->source = -1;
    c->has_default = true;
    TRY(ddl__check_column_name(d->ctx, from->name));
    TRY(arena_copy(d->ctx->arena, from->name, &c->def.name));
    c->def.type = from->type;
    if (from->def != NULL && from->table.ptr != NULL) {
        of_base_column(d, c, from->def);
        if ((from->type.flags & TYPE_F_NOT_NULL) == 0) {
            c->def.type.flags &= (uint8_t)~TYPE_F_NOT_NULL; /* of an outer join */
        }
    } else if (from->copied != NULL) {
        c->def.type = from->copied->type;
        c->def.type.flags &= (uint8_t)~TYPE_F_NOT_NULL;
        implied_default(d, c);
    } else {
        bind_stored_type(&c->def.type);
        created_type(d, from, &c->def.type);
        if (type_is_blob(&c->def.type)) { /* as long as the type lets it be */
            enum type_id id = (enum type_id)c->def.type.id;
            c->def.type.length = type_blob(id, c->def.type.collation).length;
        }
        implied_default(d, c);
        /* MYSQL: of a derived table's column that shows one without a default there is none either
         */
        const struct column_def *base = from->base;
        bool none = base != NULL && base->default_kind == DEFAULT_NONE && !base->auto_increment &&
                    base->generated == GENERATED_NO;
        if (none && (c->def.type.flags & TYPE_F_NOT_NULL) != 0) {
            c->def.default_kind = DEFAULT_NONE;
        }
    }
    ddl__warn_type(d->ctx, &c->def.type);
    return ddl__add_column(d, c, d->column_count);
}

db_err ddl__select_columns(struct draft *d)
{
    uint32_t written = d->column_count;
    for (uint32_t i = 0; i < d->ctx->select_count; i++) {
        const struct lcolumn *from = &d->ctx->select_columns[i];
        struct draft_column *c = ddl__find_column(d, from->name);
        if (c == NULL || ddl__column_at(d, c) >= written) {
            TRY(new_column(d, from)); /* 1060 for a second one of the name */
        } else if (c->def.comment.len == 0 && from->def != NULL && from->table.ptr != NULL) {
            c->def.comment = from->def->comment;
        }
    }
    return ERR_OK;
}
