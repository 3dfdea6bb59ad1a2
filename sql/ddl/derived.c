/* Expressions in definitions: generated columns, DEFAULT (expr), CHECK constraints.
 *
 * They are looked at once the whole table is known. Those of the table that is altered are bound on
 * the table as it was: what they read may neither go nor be renamed (a check that reads nothing but
 * a dropped column goes with it). New ones are bound on the table as it will be and kept as the
 * text that ddl_print_expr makes of them. */
#include "sql/bind/table_rules.h"
#include "sql/ddl/ddl_int.h"
#include "sql/parser/parser.h"

enum { EXPR_TEXT_MAX = 64 * 1024 };

/* ---- binding ---- */

/* Also what an array is cast from. */
static db_err bind_on(struct draft *d, const struct table_def *t, const struct ast_expr *ast,
                      enum bind_use use, struct slice owner, struct bexpr **ret, bool **ret_reads)
{
    const struct ast_cast *array =
        use == BIND_USE_INDEX || use == BIND_USE_ANY ? bind_array_cast(ast) : NULL;
    struct sql_type element;
    struct bind_opts opts = *d->ctx->bind;
    bool *reads = ARENA_ARRAY(d->ctx->arena, bool, t->column_count + 1);
    if (reads == NULL) {
        return ERR_NOMEM;
    }
    opts.utf8mb4_collation = 0; /* as it will be read (bind_table_rules) */
    opts.use = use;
    opts.owner = ddl__text(d->ctx, owner);
    /* MYSQL: they are kept with the columns' own names; a check is as it was written, until the
     * table is altered for the first time */
    opts.complete_tree = use != BIND_USE_CHECK;
    if (use == BIND_USE_INDEX) {
        TRY(bind_definition_allows(d->ctx->arena, &opts, ast, d->ctx->diag));
    }
    if (use == BIND_USE_ANY) {
        opts.warn = NULL;
    }
    TRY(array != NULL
            ? bind_array_source(d->ctx->arena, &opts, array, t, d->ctx->diag, ret, &element)
            : bind_scalar(d->ctx->arena, &opts, ast, t, d->ctx->diag, ret));
    bexpr_note_columns(*ret, reads);
    *ret_reads = reads;
    return ERR_OK;
}

static db_err read_text(struct draft *d, const struct table_def *t, struct slice text,
                        bool **ret_reads, struct ast_expr **ret_ast)
{
    struct parse_options options = {0};
    struct bexpr *e;
    TRY(parser_parse_expr(d->ctx->arena, text, &options, d->ctx->diag, ret_ast));
    return bind_on(d, t, *ret_ast, BIND_USE_ANY, SLICE_EMPTY, &e, ret_reads);
}

static db_err reads_of_text(struct draft *d, const struct table_def *t, struct slice text,
                            bool **ret_reads)
{
    struct ast_expr *ast;
    return read_text(d, t, text, ret_reads, &ast);
}

/* MYSQL: texts in key parts are made UTF-8, others keep the charset of the connection. */
static db_err print_text(struct draft *d, const struct ast_expr *ast, bool key_part,
                         const char *what, struct slice *ret)
{
    SCOPE_BUF(out, EXPR_TEXT_MAX);
    struct bind_opts opts = *d->ctx->bind;
    if (key_part) {
        opts.connection_collation = COLL_UTF8MB4_0900_AI_CI;
    }
    db_err err = ddl_print_expr(ast, &opts, &out);
    if (err == ERR_UNSUPPORTED) {
        return ddl__unsupported(d->ctx, what);
    }
    TRY(err);
    return arena_copy(d->ctx->arena, buf_slice(&out), ret);
}

/* The same of a text that is kept already: its columns get the names that they have. */
static db_err reprint_text(struct draft *d, const struct ast_expr *ast, struct slice *io)
{
    SCOPE_BUF(out, EXPR_TEXT_MAX);
    db_err err = ddl_print_expr(ast, NULL, &out);
    if (err == ERR_UNSUPPORTED) {
        return ERR_OK;
    }
    TRY(err);
    return arena_copy(d->ctx->arena, buf_slice(&out), io);
}

/* The table as the draft has it, as far as binding needs it. */
static db_err table_of(struct draft *d, struct table_def *ret)
{
    struct table_def t = d->def;
    t.column_count = d->column_count;
    t.columns = ARENA_ARRAY(d->ctx->arena, struct column_def, d->column_count + 1);
    if (t.columns == NULL) {
        return ERR_NOMEM;
    }
    for (uint32_t i = 0; i < d->column_count; i++) {
        t.columns[i] = d->columns[i]->def;
        t.columns[i].ordinal = i;
    }
    *ret = t;
    return ERR_OK;
}

/* ---- what the old table's expressions read ---- */

enum column_fate { COLUMN_STAYS, COLUMN_RENAMED, COLUMN_DROPPED };

static enum column_fate fate_of(const struct draft *d, uint32_t old_ordinal)
{
    for (uint32_t i = 0; i < d->column_count; i++) {
        if (d->columns[i]->source == (int32_t)old_ordinal) {
            return slice_eq_nocase(d->columns[i]->def.name, d->old->columns[old_ordinal].name)
                       ? COLUMN_STAYS
                       : COLUMN_RENAMED;
        }
    }
    return COLUMN_DROPPED;
}

/* The first column that is read and does not stay; false: there is none. */
static bool first_lost(const struct draft *d, const bool *reads, uint32_t *ret)
{
    for (uint32_t i = 0; i < d->old->column_count; i++) {
        if (reads[i] && fate_of(d, i) != COLUMN_STAYS) {
            *ret = i;
            return true;
        }
    }
    return false;
}

static uint32_t count_reads(const bool *reads, uint32_t n)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < n; i++) {
        count += reads[i] ? 1 : 0;
    }
    return count;
}

static void remove_check(struct draft *d, uint32_t at)
{
    memmove(d->checks + at, d->checks + at + 1, (d->check_count - at - 1) * sizeof(*d->checks));
    d->check_count--;
}

/* MYSQL: types for which a new definition of any column counts as a change, and has the rows
 * checked. */
static bool seems_changed(const struct sql_type *t)
{
    switch ((int)t->id) {
    case TYPE_ENUM:
    case TYPE_SET:
    case TYPE_DATE:
    case TYPE_TIME:
    case TYPE_DATETIME:
    case TYPE_TIMESTAMP:
    case TYPE_TINYTEXT:
    case TYPE_MEDIUMTEXT:
    case TYPE_LONGTEXT:
    case TYPE_TINYBLOB:
    case TYPE_MEDIUMBLOB:
    case TYPE_LONGBLOB: return true;
    default: return false;
    }
}

static bool is_checked_again(const struct draft *d, const struct draft_check *c, const bool *reads)
{
    bool redefines = false;
    bool seems = false;
    for (uint32_t i = 0; i < d->column_count; i++) {
        redefines = redefines || d->columns[i]->redefined;
    }
    for (uint32_t i = 0; i < d->old->column_count; i++) {
        seems = seems || (reads[i] && seems_changed(&d->old->columns[i].type));
    }
    return c->def.enforced && redefines && seems;
}

static db_err old_checks_keep(struct draft *d)
{
    for (uint32_t i = 0; i < d->check_count;) {
        struct draft_check *c = d->checks[i];
        struct ast_expr *ast;
        bool *reads;
        uint32_t lost;
        if (c->ast != NULL) {
            i++;
            continue;
        }
        TRY(read_text(d, d->old, c->def.expr, &reads, &ast));
        if (!first_lost(d, reads, &lost)) {
            TRY(reprint_text(d, ast, &c->def.expr));
            c->enforce = c->enforce || is_checked_again(d, c, reads);
            i++;
            continue;
        }
        if (fate_of(d, lost) != COLUMN_DROPPED || count_reads(reads, d->old->column_count) != 1) {
            return my_error(d->ctx->diag, ER_DEPENDENT_BY_CHECK_CONSTRAINT,
                            ddl__text(d->ctx, c->def.name),
                            ddl__text(d->ctx, d->old->columns[lost].name));
        }
        remove_check(d, i);
    }
    return ERR_OK;
}

static db_err old_columns_keep(struct draft *d)
{
    for (uint32_t i = 0; i < d->column_count; i++) {
        const struct draft_column *c = d->columns[i];
        bool generated = c->def.generated != GENERATED_NO;
        bool *reads;
        uint32_t lost;
        if (c->expr != NULL || c->source < 0 ||
            (!generated && c->def.default_kind != DEFAULT_EXPR)) {
            continue;
        }
        TRY(reads_of_text(d, d->old, generated ? c->def.generated_expr : c->def.default_expr,
                          &reads));
        if (!first_lost(d, reads, &lost)) {
            continue;
        }
        const char *name = ddl__text(d->ctx, d->old->columns[lost].name);
        if (c->def.hidden) {
            return my_error(d->ctx->diag, ER_DEPENDENT_BY_FUNCTIONAL_INDEX, name);
        }
        return generated ? my_error(d->ctx->diag, ER_DEPENDENT_BY_GENERATED_COLUMN, name)
                         : my_error(d->ctx->diag, ER_DEPENDENT_BY_DEFAULT_GENERATED_VALUE, name,
                                    ddl__text(d->ctx, d->old->name));
    }
    return ERR_OK;
}

/* ---- columns ---- */

/* MYSQL: stored columns may become ordinary ones and the other way round; virtual ones stay so. */
static db_err check_kind(struct draft *d, const struct draft_column *c)
{
    const struct draft_index *pk = ddl__primary(d);
    bool is_virtual = c->def.generated == GENERATED_VIRTUAL;
    if (c->source >= 0 && !c->def.hidden &&
        is_virtual != (d->old->columns[c->source].generated == GENERATED_VIRTUAL)) {
        return my_error(d->ctx->diag, ER_UNSUPPORTED_ACTION_ON_GENERATED_COLUMN,
                        "Changing the STORED status");
    }
    for (uint32_t i = 0; pk != NULL && is_virtual && i < pk->part_count; i++) {
        if (pk->parts[i].column == c) {
            return my_error(d->ctx->diag, ER_UNSUPPORTED_ACTION_ON_GENERATED_COLUMN,
                            "Defining a virtual generated column as primary key");
        }
    }
    return ERR_OK;
}

static const char *index_name(const struct draft *d, const struct draft_column *c)
{
    for (uint32_t i = 0; i < d->index_count; i++) {
        for (uint32_t p = 0; p < d->indexes[i]->part_count; p++) {
            if (d->indexes[i]->parts[p].column == c) {
                return ddl__text(d->ctx, d->indexes[i]->def.name);
            }
        }
    }
    return "";
}

static db_err check_reads(struct draft *d, uint32_t at, const bool *reads)
{
    const struct draft_column *c = d->columns[at];
    const char *name = ddl__text(d->ctx, c->def.name);
    bool generated = c->def.generated != GENERATED_NO;
    for (uint32_t i = 0; i < d->column_count; i++) {
        const struct column_def *other = &d->columns[i]->def;
        bool computed =
            other->generated != GENERATED_NO || (!generated && other->default_kind == DEFAULT_EXPR);
        if (!reads[i]) {
            continue;
        }
        if (other->auto_increment && c->def.hidden) {
            return my_error(d->ctx->diag, ER_FUNCTIONAL_INDEX_REF_AUTO_INCREMENT, index_name(d, c));
        }
        if (other->auto_increment) {
            return my_error(d->ctx->diag,
                            generated ? ER_GENERATED_COLUMN_REF_AUTO_INC
                                      : ER_DEFAULT_VAL_GENERATED_REF_AUTO_INC,
                            name);
        }
        if (computed && i >= at) {
            return generated ? my_error(d->ctx->diag, ER_GENERATED_COLUMN_NON_PRIOR)
                             : my_error(d->ctx->diag, ER_DEFAULT_VAL_GENERATED_NON_PRIOR, name);
        }
    }
    return ERR_OK;
}

static db_err one_column(struct draft *d, const struct table_def *t, uint32_t at)
{
    struct draft_column *c = d->columns[at];
    bool generated = c->def.generated != GENERATED_NO;
    struct bexpr *e;
    bool *reads;
    TRY(check_kind(d, c));
    if (!generated && c->def.default_kind != DEFAULT_EXPR) {
        return ERR_OK;
    }
    if (c->expr == NULL || c->def.hidden) {
        TRY(reads_of_text(d, t, generated ? c->def.generated_expr : c->def.default_expr, &reads));
    } else {
        TRY(bind_on(d, t, c->expr, generated ? BIND_USE_GENERATED : BIND_USE_DEFAULT, c->def.name,
                    &e, &reads));
        TRY(print_text(d, c->expr, false,
                       generated ? "this expression of a generated column"
                                 : "this expression as a default",
                       generated ? &c->def.generated_expr : &c->def.default_expr));
    }
    return check_reads(d, at, reads);
}

/* ---- functional key parts: hidden virtual columns ---- */

static db_err check_part_type(struct draft *d, const struct sql_type *t)
{
    if (t->id == TYPE_JSON || t->id == TYPE_GEOMETRY) {
        return my_error(d->ctx->diag, ER_FUNCTIONAL_INDEX_ON_JSON_OR_GEOMETRY_FUNCTION);
    }
    return type_is_blob(t) ? my_error(d->ctx->diag, ER_FUNCTIONAL_INDEX_ON_LOB) : ERR_OK;
}

/* MYSQL: one part of a key may be an array, and nothing is said of its order. */
static db_err check_array_part(struct draft *d, const struct draft_index *ix, uint32_t at)
{
    for (uint32_t i = 0; i < at; i++) {
        if (ix->parts[i].column != NULL && ix->parts[i].column->def.element != NULL) {
            return my_error(d->ctx->diag, ER_NOT_SUPPORTED_YET,
                            "more than one multi-valued key part per index");
        }
    }
    if (!slice_eq_nocase(d->def.engine, SLICE_LIT("InnoDB"))) {
        return my_error(d->ctx->diag, ER_CHECK_NOT_IMPLEMENTED, "multi-valued indexes");
    }
    return ix->parts[at].has_order ? my_error(d->ctx->diag, ER_WRONG_USAGE, "multi-valued index",
                                              "explicit index order")
                                   : ERR_OK;
}

static db_err array_part(struct draft *d, const struct table_def *t, const struct draft_index *ix,
                         uint32_t at, struct draft_column *c)
{
    struct bind_opts opts = *d->ctx->bind;
    struct sql_type *element = ARENA_NEW(d->ctx->arena, struct sql_type);
    struct bexpr *e;
    if (element == NULL) {
        return ERR_NOMEM;
    }
    TRY(check_array_part(d, ix, at));
    opts.use = BIND_USE_INDEX;
    opts.owner = ddl__text(d->ctx, ix->def.name);
    opts.warn = NULL;
    TRY(bind_array_source(d->ctx->arena, &opts, bind_array_cast(ix->parts[at].expr), t,
                          d->ctx->diag, &e, element));
    bind_stored_type(element);
    c->def.element = element;
    c->def.type = type_blob(TYPE_JSON, COLL_BINARY);
    return ERR_OK;
}

db_err ddl__functional_part(struct draft *d, const struct draft_index *ix, uint32_t at,
                            struct draft_column **ret_column)
{
    const struct ast_expr *ast = ix->parts[at].expr;
    struct draft_column *c = ARENA_NEW(d->ctx->arena, struct draft_column);
    const char *name = NULL;
    struct table_def t;
    struct bexpr *e;
    bool *reads;
    /* A key that was renamed keeps the name of its column. */
    for (unsigned n = 0; name == NULL || ddl__find_column(d, slice_str(name)) != NULL; n++) {
        name = arena_printf(d->ctx->arena, "!hidden!%.*s!%u!%u", SLICE_FMT(ix->def.name),
                            (unsigned)at, n);
        if (c == NULL || name == NULL) {
            return ERR_NOMEM;
        }
    }
    if (ix->def.kind == INDEX_PRIMARY) {
        return my_error(d->ctx->diag, ER_FUNCTIONAL_INDEX_PRIMARY_KEY);
    }
    TRY(table_of(d, &t));
    const struct draft_column *own =
        ast->kind != AST_EXPR_COLUMN ? NULL
                                     : ddl__find_column(d, ((const struct ast_column *)ast)->name);
    if (own != NULL) {
        return my_error(d->ctx->diag, ER_FUNCTIONAL_INDEX_ON_FIELD);
    }
    TRY(bind_on(d, &t, ast, BIND_USE_INDEX, ix->def.name, &e, &reads));
    if (bind_array_cast(ast) != NULL) {
        TRY(array_part(d, &t, ix, at, c));
    } else {
        TRY(check_part_type(d, &e->type));
        c->def.type = e->type;
        bind_stored_type(&c->def.type);
    }
    TRY(print_text(d, ast, true, "this expression as a key part", &c->def.generated_expr));
    c->def.name = slice_str(name);
    /* A value that IGNORE keeps although it does not fit is NULL here whatever the expression says;
     * what it says is shown. */
    bool never_null = c->def.element == NULL && (c->def.type.flags & TYPE_F_NOT_NULL) != 0;
    c->def.type.flags &= (uint8_t)~TYPE_F_NOT_NULL;
    c->def.generated = GENERATED_VIRTUAL;
    c->def.default_kind = never_null ? DEFAULT_NONE : DEFAULT_NULL;
    c->def.hidden = true;
    c->def.invisible = true;
    c->source = -1;
    c->expr = ast;
    TRY(ddl__add_column(d, c, d->column_count));
    *ret_column = c;
    return ERR_OK;
}

static bool in_a_key(const struct draft *d, const struct draft_column *c)
{
    for (uint32_t i = 0; i < d->index_count; i++) {
        for (uint32_t p = 0; p < d->indexes[i]->part_count; p++) {
            if (d->indexes[i]->parts[p].column == c) {
                return true;
            }
        }
    }
    return false;
}

void ddl__order_hidden(struct draft *d)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < d->column_count; i++) {
        struct draft_column *c = d->columns[i];
        if (c->def.hidden && !in_a_key(d, c)) {
            continue;
        }
        uint32_t to = kept++;
        while (!c->def.hidden && to > 0 && d->columns[to - 1]->def.hidden) {
            d->columns[to] = d->columns[to - 1];
            to--;
        }
        d->columns[to] = c;
    }
    d->column_count = kept;
}

/* ---- checks ---- */

db_err ddl__add_check(struct draft *d, const struct ast_check *ast, struct draft_column *column)
{
    struct draft_check *c = ARENA_NEW(d->ctx->arena, struct draft_check);
    struct draft_check **grown =
        ARENA_ARRAY(d->ctx->arena, struct draft_check *, d->check_count + 1);
    if (c == NULL || grown == NULL) {
        return ERR_NOMEM;
    }
    if (ast->name.ptr != NULL && ddl__too_long(ast->name, DDL_NAME_CHARS_MAX)) {
        return my_error(d->ctx->diag, ER_TOO_LONG_IDENT, ddl__text(d->ctx, ast->name));
    }
    c->def.name = ast->name.len == 0 ? SLICE_EMPTY : ast->name;
    c->def.enforced = ast->enforced != AST_NO;
    c->ast = ast->expr;
    c->column = column;
    if (d->check_count != 0) {
        memcpy(grown, d->checks, d->check_count * sizeof(struct draft_check *));
    }
    grown[d->check_count++] = c;
    d->checks = grown;
    return ERR_OK;
}

struct draft_check *ddl__find_check(const struct draft *d, struct slice name)
{
    for (uint32_t i = 0; i < d->check_count; i++) {
        if (d->checks[i]->def.name.ptr != NULL && slice_eq_nocase(d->checks[i]->def.name, name)) {
            return d->checks[i];
        }
    }
    return NULL;
}

void ddl__drop_check(struct draft *d, const struct draft_check *c)
{
    for (uint32_t i = 0; i < d->check_count; i++) {
        if (d->checks[i] == c) {
            remove_check(d, i);
            return;
        }
    }
}

/* MYSQL: TABLE_chk_N, N above that of all names of this form. */
const char *ddl__check_name(const struct draft *d, uint32_t at)
{
    uint64_t last = 0;
    if (d->checks[at]->def.name.ptr != NULL) {
        return ddl__text(d->ctx, d->checks[at]->def.name);
    }
    for (uint32_t i = 0; i < d->check_count; i++) {
        uint64_t n =
            d->checks[i]->ast == NULL ? check_name_number(d->checks[i]->def.name, d->def.name) : 0;
        last = n > last ? n : last;
    }
    for (uint32_t i = 0; i <= at; i++) {
        last += d->checks[i]->def.name.ptr == NULL;
    }
    return arena_printf(d->ctx->arena, "%.*s_chk_%llu", SLICE_FMT(d->def.name),
                        (unsigned long long)last);
}

static db_err name_checks(struct draft *d)
{
    for (uint32_t i = d->check_count; i-- > 0;) { /* those before it have no name yet */
        const char *name = ddl__check_name(d, i);
        if (name == NULL) {
            return ERR_NOMEM;
        }
        d->checks[i]->def.name = slice_str(name);
    }
    return ERR_OK;
}

static bool name_in_schema(const struct draft *d, struct slice name)
{
    const struct catalog_snapshot *snap = d->ctx->bind->snapshot;
    const struct schema_def *schema = snapshot_schema(snap, d->def.schema_name);
    uint32_t n = schema == NULL ? 0 : snapshot_table_count(snap, schema);
    for (uint32_t i = 0; i < n; i++) {
        const struct table_def *t = snapshot_table_at(snap, schema, i);
        for (uint32_t k = 0; k < t->check_count; k++) {
            if (t->id != d->def.id && slice_eq_nocase(t->checks[k].name, name)) {
                return true;
            }
        }
    }
    return false;
}

db_err ddl__new_check_names(struct draft *d)
{
    for (uint32_t i = 0; i < d->check_count; i++) {
        const char *name = ddl__check_name(d, i);
        if (name == NULL) {
            return ERR_NOMEM;
        }
        bool is_new = d->checks[i]->ast != NULL;
        bool taken = is_new && name_in_schema(d, slice_str(name));
        for (uint32_t k = 0; k < d->check_count && is_new && !taken; k++) {
            const struct draft_check *other = d->checks[k];
            taken = other->ast == NULL && slice_eq_nocase(other->def.name, slice_str(name));
        }
        if (taken) {
            return my_error(d->ctx->diag, ER_CHECK_CONSTRAINT_DUP_NAME, name);
        }
    }
    return ERR_OK;
}

static db_err unique_names(struct draft *d)
{
    for (uint32_t i = 0; i < d->check_count; i++) {
        const struct draft_check *c = d->checks[i];
        bool taken = c->ast != NULL && name_in_schema(d, c->def.name);
        for (uint32_t k = 0; k < i && !taken; k++) {
            taken = slice_eq_nocase(d->checks[k]->def.name, c->def.name);
        }
        if (taken) {
            return my_error(d->ctx->diag, ER_CHECK_CONSTRAINT_DUP_NAME,
                            ddl__text(d->ctx, c->def.name));
        }
    }
    return ERR_OK;
}

static db_err one_check(struct draft *d, const struct table_def *t, struct draft_check *c)
{
    const char *name = ddl__text(d->ctx, c->def.name);
    struct bexpr *e;
    bool *reads;
    if (c->ast == NULL) {
        return ERR_OK;
    }
    TRY(bind_on(d, t, c->ast, BIND_USE_CHECK, c->def.name, &e, &reads));
    for (uint32_t i = 0; i < t->column_count; i++) {
        if (reads[i] && t->columns[i].auto_increment) {
            return my_error(d->ctx->diag, ER_CHECK_CONSTRAINT_REFERS_AUTO_INCREMENT_COLUMN, name);
        }
    }
    return print_text(d, c->ast, false, "this expression of a CHECK constraint", &c->def.expr);
}

/* By name: so they are shown and run. */
static db_err finish_checks(struct draft *d)
{
    d->def.check_count = d->check_count;
    d->def.checks = ARENA_ARRAY(d->ctx->arena, struct check_def, d->check_count + 1);
    if (d->def.checks == NULL) {
        return ERR_NOMEM;
    }
    for (uint32_t i = 0; i < d->check_count; i++) {
        uint32_t at = i;
        while (at > 0 && slice_cmp(d->def.checks[at - 1].name, d->checks[i]->def.name) > 0) {
            d->def.checks[at] = d->def.checks[at - 1];
            at--;
        }
        d->def.checks[at] = d->checks[i]->def;
    }
    return ERR_OK;
}

db_err ddl__check_derived(struct draft *d)
{
    struct table_def t;
    if (d->old != NULL) {
        TRY(old_checks_keep(d));
        TRY(old_columns_keep(d));
    }
    ddl__order_hidden(d);
    TRY(table_of(d, &t));
    for (uint32_t i = 0; i < d->column_count; i++) {
        TRY(one_column(d, &t, i));
    }
    TRY(name_checks(d));
    for (uint32_t i = 0; i < d->check_count; i++) {
        TRY(one_check(d, &t, d->checks[i]));
    }
    TRY(unique_names(d));
    return finish_checks(d);
}

db_err ddl__rename_checks(struct ddl_ctx *ctx, struct table_def *def)
{
    struct check_def *checks = ARENA_ARRAY(ctx->arena, struct check_def, def->check_count + 1);
    if (checks == NULL) {
        return ERR_NOMEM;
    }
    for (uint32_t i = 0; i < def->check_count; i++) {
        const char *name =
            arena_printf(ctx->arena, "%.*s_chk_%u", SLICE_FMT(def->name), (unsigned)i + 1);
        if (name == NULL) {
            return ERR_NOMEM;
        }
        checks[i] = def->checks[i];
        checks[i].name = slice_str(name);
    }
    def->checks = checks;
    return ERR_OK;
}
