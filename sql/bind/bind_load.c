/* LOAD DATA: an INSERT whose rows come from a file.
 *
 * The list in parentheses says where the fields of a line go: to columns or to user variables. SET
 * is bound on the row as it has been loaded so far, so that its assignments see fields and each
 * other's results; a variable that the list fills has the type of text there, whatever it holds
 * now. */
#include "sql/bind/bind_int.h"

#include "sql/charset/charset.h"
#include "sql/func/func.h"

static db_err one_byte(struct binder *b, struct slice s, int none, int *ret)
{
    if (s.len > 1) {
        return my_error(b->diag, ER_WRONG_FIELD_TERMINATORS);
    }
    *ret = s.ptr == NULL ? none : s.len == 0 ? LOAD_NO_CHAR : s.ptr[0];
    return ERR_OK;
}

static bool is_ascii(struct slice s)
{
    for (size_t i = 0; i < s.len; i++) {
        if (s.ptr[i] >= 0x80) {
            return false;
        }
    }
    return true;
}

static db_err text_or(struct binder *b, struct slice given, const char *def, struct slice *ret)
{
    return arena_copy(b->arena, given.ptr == NULL ? slice_str(def) : given, ret);
}

db_err bind__file_format(struct binder *b, const struct ast_file_format *f, struct load_spec *ret)
{
    TRY(one_byte(b, f->field_escaped, '\\', &ret->escaped));
    TRY(one_byte(b, f->field_enclosed, LOAD_NO_CHAR, &ret->enclosed));
    TRY(text_or(b, f->field_term, "\t", &ret->field_term));
    TRY(text_or(b, f->line_term, "\n", &ret->line_term));
    TRY(text_or(b, f->line_start, "", &ret->line_start));
    ret->optionally_enclosed = f->optionally_enclosed;
    if (!is_ascii(ret->field_term) || !is_ascii(ret->line_term) || !is_ascii(ret->line_start) ||
        !is_ascii(f->field_enclosed) || !is_ascii(f->field_escaped)) {
        bind__warn_text(b, WARN_NON_ASCII_SEPARATOR_NOT_IMPLEMENTED,
                        "Non-ASCII separator arguments are not fully supported");
    }
    ret->fixed = ret->field_term.len == 0 && ret->enclosed == LOAD_NO_CHAR;
    return ERR_OK;
}

static db_err file_charset(struct binder *b, struct slice name, struct load_spec *l)
{
    enum { TEXT_CHARS = 0xffffff };
    const struct collation *c = collation_by_id(b->opts->database_collation);
    if (name.ptr != NULL) {
        const struct charset *cs;
        TRY(charset_require(name, b->diag, &cs));
        c = charset_default_collation(cs);
    }
    if (c == NULL) {
        c = collation_by_id(COLL_UTF8MB4_0900_AI_CI);
    }
    l->charset = c->cs;
    l->text = func_text_type(TEXT_CHARS, c->id);
    l->multibyte = c->cs->maxlen > 1 && !slice_eq(slice_str(c->cs->name), SLICE_LIT("utf8mb4")) &&
                   !slice_eq(slice_str(c->cs->name), SLICE_LIT("utf8mb3"));
    return ERR_OK;
}

static void to_column(struct load_spec *l, const struct lnode *table, uint32_t ordinal)
{
    const struct column_def *c = &table->u.table.def->columns[ordinal];
    struct load_item *it = &l->items[l->item_count++];
    struct wire_column wire;
    type_wire_column(&c->type, c->type.collation, &wire);
    *it =
        (struct load_item){.kind = c->generated != GENERATED_NO ? LOAD_TO_NOTHING : LOAD_TO_COLUMN,
                           .column = ordinal,
                           .width = wire.length};
    l->fixed_size += wire.length;
}

static db_err listed_items(struct binder *b, const struct ast_load_data *s,
                           const struct lnode *table, struct load_spec *l)
{
    for (uint32_t i = 0; i < s->columns.count; i++) {
        const struct ast_expr *e = s->columns.items[i];
        if (e->kind == AST_EXPR_USER_VAR) {
            struct load_item *it = &l->items[l->item_count++];
            it->kind = LOAD_TO_VARIABLE;
            TRY(arena_copy(b->arena, ((const struct ast_user_var *)e)->name, &it->var));
            if (l->fixed) {
                return my_error(b->diag, ER_LOAD_FROM_FIXED_SIZE_ROWS_TO_VAR);
            }
            continue;
        }
        const struct column_def *c = bind__column_named(table, (const struct ast_column *)e);
        if (c == NULL) {
            return my_error(b->diag, ER_BAD_FIELD_ERROR,
                            arena_strdup(b->arena, ((const struct ast_column *)e)->name),
                            "field list");
        }
        to_column(l, table, c->ordinal);
    }
    return ERR_OK;
}

static db_err load_items(struct binder *b, const struct ast_load_data *s, const struct lnode *table,
                         const col_id_t *view_ids, uint32_t view_count, struct load_spec *l)
{
    const struct table_def *def = table->u.table.def;
    l->items =
        BIND_ARRAY(b, struct load_item, s->columns.count + def->column_count + view_count + 1);
    if (l->items == NULL) {
        return ERR_NOMEM;
    }
    if (s->columns.count != 0) {
        return listed_items(b, s, table, l);
    }
    for (uint32_t i = 0; i < view_count; i++) {
        to_column(l, table, (uint32_t)(view_ids[i] - table->columns[0].id));
    }
    for (uint32_t i = 0; view_ids == NULL && i < def->column_count; i++) {
        if (!def->columns[i].hidden && !def->columns[i].invisible) {
            to_column(l, table, i);
        }
    }
    return ERR_OK;
}

bool bind__load_variable(const struct binder *b, struct slice name, struct sql_type *ret)
{
    const struct load_spec *l = b->stmt == NULL ? NULL : b->stmt->load;
    for (uint32_t i = 0; l != NULL && i < l->item_count; i++) {
        if (l->items[i].kind == LOAD_TO_VARIABLE && slice_eq_nocase(l->items[i].var, name)) {
            *ret = l->text;
            return true;
        }
    }
    return false;
}

static db_err load_set(struct binder *b, const struct ast_load_data *s, struct lnode *table)
{
    struct bound_stmt *st = b->stmt;
    const struct table_def *def = table->u.table.def;
    struct scope scope = {
        .place = PLACE_FIELDS, .columns = table->columns, .count = table->column_count};
    st->assigns = BIND_ARRAY(b, struct bound_assign, s->set.count + 1);
    if (st->assigns == NULL) {
        return ERR_NOMEM;
    }
    for (uint32_t i = 0; i < s->set.count; i++) {
        const struct ast_assignment *a = s->set.items[i];
        const struct column_def *c = bind__column_named(table, a->column);
        if (c == NULL) {
            return my_error(b->diag, ER_BAD_FIELD_ERROR, arena_strdup(b->arena, a->column->name),
                            "field list");
        }
        struct bound_assign *out = &st->assigns[st->assign_count++];
        out->column = c->ordinal;
        TRY(bind__expr(b, &scope, a->value, &out->expr));
        TRY(bind__check_generated(b, def, c->ordinal, out->expr));
        if (out->expr->kind == BEXPR_ROW) {
            return my_error(b->diag, ER_OPERAND_COLUMNS, 1);
        }
    }
    return ERR_OK;
}

/* MYSQL: ROWS IDENTIFIED BY '<row>': what stands between the first character and the last. */
static db_err xml_rows(struct binder *b, const struct ast_load_data *s, struct load_spec *l)
{
    struct slice tag = s->rows_identified_by;
    tag = tag.ptr == NULL ? SLICE_LIT("<row>") : tag;
    l->xml = true;
    l->fixed = false;
    return tag.len < 2 ? ERR_OK
                       : arena_copy(b->arena, slice_of(tag.ptr + 1, tag.len - 2), &l->row_tag);
}

/* The columns that get no default of their own: those that a field or an assignment fills. */
static db_err given_columns(struct binder *b, const struct lnode *table)
{
    const struct table_def *def = table->u.table.def;
    struct bound_stmt *st = b->stmt;
    bool *given = BIND_ARRAY(b, bool, def->column_count + 1);
    st->insert_columns = BIND_ARRAY(b, uint32_t, def->column_count + 1);
    if (given == NULL || st->insert_columns == NULL) {
        return ERR_NOMEM;
    }
    for (uint32_t i = 0; i < st->load->item_count; i++) {
        if (st->load->items[i].kind == LOAD_TO_COLUMN) {
            given[st->load->items[i].column] = true;
        }
    }
    for (uint32_t i = 0; i < st->assign_count; i++) {
        given[st->assigns[i].column] = true;
    }
    for (uint32_t i = 0; i < def->column_count; i++) {
        if (given[i]) {
            TRY(bind__need_written(b, table, i, PRIV_NEED_INSERT));
            st->insert_columns[st->insert_column_count++] = i;
        }
    }
    return ERR_OK;
}

db_err bind__load(struct binder *b, const struct ast_load_data *s)
{
    struct bound_stmt *st = b->stmt;
    struct load_spec *l = BIND_ARRAY(b, struct load_spec, 1);
    struct lnode *table;
    col_id_t *ids = NULL;
    uint32_t view_count = 0;
    if (l == NULL) {
        return ERR_NOMEM;
    }
    if (s->partitions.count != 0) {
        return my_error(b->diag, ER_PARTITION_CLAUSE_ON_NONPARTITIONED);
    }
    TRY(bind__file_format(b, &s->format, l));
    TRY(s->xml ? xml_rows(b, s, l) : ERR_OK);
    if (slice_eq(l->field_term, l->line_term)) {
        l->line_term = SLICE_EMPTY; /* MYSQL: a line is as many fields as there are columns */
    }
    b->target_access = s->duplicates == AST_LOAD_REPLACE ? PRIV_DELETE : 0;
    TRY(bind__insert_target(b, &s->table, &table, &ids, &view_count));
    if (s->columns.count == 0) {
        TRY(bind__need_target(b, table, PRIV_INSERT, 0));
    }
    TRY(file_charset(b, s->format.charset, l));
    TRY(arena_copy(b->arena, s->file, &l->file));
    l->local = s->local;
    l->ignore_lines = s->ignore_lines;
    st->load = l;
    st->replace = s->duplicates == AST_LOAD_REPLACE;
    /* MYSQL: a client's file cannot be stopped half-way: what would be an error is a warning. */
    st->ignore = s->duplicates == AST_LOAD_IGNORE || (s->local && !st->replace);
    TRY(load_items(b, s, table, ids, view_count, l));
    TRY(load_set(b, s, table));
    TRY(given_columns(b, table));
    st->root = bind__node(b, LNODE_VALUES, NULL);
    return st->root == NULL ? ERR_NOMEM : ERR_OK;
}
