#include "sql/bind/table_rules.h"

#include "sql/parser/parser.h"
#include "sql/types/sql_mode.h"

static bool is_subquery(const struct bexpr *e)
{
    return e->kind >= BEXPR_SUBQUERY_SCALAR && e->kind <= BEXPR_SUBQUERY_QUANTIFIED;
}

static bool note(const struct bexpr *e, void *arg)
{
    bool *reads = arg;
    if (e->kind == BEXPR_COLUMN) {
        reads[e->u.column.slot] = true;
    }
    for (uint32_t i = 0; is_subquery(e) && i < e->u.subquery.sub->outer_count; i++) {
        if (e->u.subquery.outer_slots[i] != UINT32_MAX) {
            reads[e->u.subquery.outer_slots[i]] = true;
        }
    }
    return true;
}

void bexpr_note_columns(const struct bexpr *e, bool *reads)
{
    bexpr_walk(e, note, reads);
}

void bexpr_move_columns(struct bexpr *e, const uint32_t *to)
{
    if (e->kind == BEXPR_COLUMN) {
        e->u.column.slot = to[e->u.column.slot];
    }
    for (uint32_t i = 0; i < e->arg_count; i++) {
        bexpr_move_columns(e->args[i], to);
    }
}

struct rule_binder {
    struct arena *arena;
    const struct bind_opts *opts;
    const struct table_def *table;
    struct diag *diag;
    struct table_rules *rules;
};

static db_err bind_text(struct rule_binder *b, struct slice text, struct bexpr **ret)
{
    struct parse_options options = {0};
    struct ast_expr *ast;
    struct sql_type element;
    TRY(parser_parse_expr(b->arena, text, &options, b->diag, &ast));
    const struct ast_cast *array = bind_array_cast(ast);
    return array != NULL
               ? bind_array_source(b->arena, b->opts, array, b->table, b->diag, ret, &element)
               : bind_scalar(b->arena, b->opts, ast, b->table, b->diag, ret);
}

/* Does an index hold what VIRTUAL columns are? */
static bool keeps_virtual(const struct table_def *t)
{
    for (uint32_t i = 0; i < t->index_count; i++) {
        for (uint32_t p = 0; p < t->indexes[i].part_count; p++) {
            if (t->columns[t->indexes[i].parts[p].column].generated == GENERATED_VIRTUAL) {
                return true;
            }
        }
    }
    return false;
}

/* What a key holds of a row must be found again under any sql_mode: VIRTUAL columns of a table that
 * has one in an index are made of text as it is stored, and so is whatever they read. */
static db_err bind_generated(struct rule_binder *b, const struct column_def *c, struct bexpr **ret)
{
    struct bind_opts stored = *b->opts;
    struct rule_binder own = *b;
    if (c->generated == GENERATED_VIRTUAL && keeps_virtual(b->table)) {
        stored.sql_mode &= ~SQL_MODE_PAD_CHAR_TO_FULL_LENGTH;
        own.opts = &stored;
    }
    return bind_text(&own, c->generated_expr, ret);
}

static db_err bind_columns(struct rule_binder *b, enum rules_defaults defaults)
{
    struct table_rules *r = b->rules;
    for (uint32_t i = 0; i < b->table->column_count; i++) {
        const struct column_def *c = &b->table->columns[i];
        struct bexpr *e;
        if (c->generated != GENERATED_NO) {
            TRY(bind_generated(b, c, &e));
            r->generated[r->generated_count++] = (struct rule_column){i, e};
        } else if (defaults != RULES_NO_DEFAULTS && c->default_kind == DEFAULT_EXPR) {
            TRY(bind_text(b, c->default_expr, &e));
            if (defaults == RULES_ROW_DEFAULTS && !bexpr_reads_columns(e)) {
                continue;
            }
            r->defaults[r->default_count++] = (struct rule_column){i, e};
        } else {
            continue;
        }
        bexpr_note_columns(e, r->reads);
    }
    return ERR_OK;
}

/* MYSQL: a check that is JSON_SCHEMA_VALID, and nothing more, says what is not valid. */
static db_err bind_report(struct rule_binder *b, struct slice text, struct bexpr **ret)
{
    struct parse_options options = {0};
    struct ast_expr *ast;
    TRY(parser_parse_expr(b->arena, text, &options, b->diag, &ast));
    const struct ast_func *f = (const struct ast_func *)ast;
    if (ast->kind != AST_EXPR_FUNC || f->schema.ptr != NULL ||
        !slice_eq_nocase(f->name, SLICE_LIT("json_schema_valid"))) {
        return ERR_OK;
    }
    struct ast_func report = *f;
    report.name = SLICE_LIT("json_schema_validation_report");
    return bind_scalar(b->arena, b->opts, &report.expr, b->table, b->diag, ret);
}

static db_err bind_checks(struct rule_binder *b)
{
    struct table_rules *r = b->rules;
    for (uint32_t i = 0; i < b->table->check_count; i++) {
        const struct check_def *c = &b->table->checks[i];
        if (c->enforced) {
            struct rule_check *out = &r->checks[r->check_count++];
            out->name = c->name;
            TRY(bind_text(b, c->expr, &out->expr));
            TRY(bind_report(b, c->expr, &out->report));
            bexpr_note_columns(out->expr, r->reads);
        }
    }
    return ERR_OK;
}

static bool has_rules(const struct table_def *t, enum rules_defaults defaults)
{
    for (uint32_t i = 0; i < t->check_count; i++) {
        if (t->checks[i].enforced) {
            return true;
        }
    }
    for (uint32_t i = 0; i < t->column_count; i++) {
        if (t->columns[i].generated != GENERATED_NO ||
            (defaults != RULES_NO_DEFAULTS && t->columns[i].default_kind == DEFAULT_EXPR)) {
            return true;
        }
    }
    return false;
}

db_err bind_table_rules(struct arena *arena, const struct bind_opts *opts,
                        const struct table_def *table, enum rules_defaults defaults,
                        struct diag *diag, struct table_rules **ret_rules)
{
    uint32_t n = table->column_count;
    if (!has_rules(table, defaults)) {
        *ret_rules = NULL;
        return ERR_OK;
    }
    struct bind_opts quiet = *opts;
    quiet.warn = NULL;
    quiet.utf8mb4_collation = 0; /* what is stored means the same to all */
    struct table_rules *r = ARENA_NEW(arena, struct table_rules);
    if (r == NULL) {
        return ERR_NOMEM;
    }
    struct rule_binder b = {arena, &quiet, table, diag, r};
    r->defaults = ARENA_ARRAY(arena, struct rule_column, n + 1);
    r->generated = ARENA_ARRAY(arena, struct rule_column, n + 1);
    r->checks = ARENA_ARRAY(arena, struct rule_check, table->check_count + 1);
    r->reads = ARENA_ARRAY(arena, bool, n + 1);
    if (r->defaults == NULL || r->generated == NULL || r->checks == NULL || r->reads == NULL) {
        return ERR_NOMEM;
    }
    TRY(bind_columns(&b, defaults));
    quiet.tells_table = defaults != RULES_ALL_DEFAULTS; /* MYSQL: not where the table is copied */
    TRY(bind_checks(&b));
    bool any = r->default_count != 0 || r->generated_count != 0 || r->check_count != 0;
    *ret_rules = any ? r : NULL;
    return ERR_OK;
}

static bool any_virtual(const struct table_def *t, const bool *wanted)
{
    for (uint32_t i = 0; i < t->column_count; i++) {
        if (t->columns[i].generated == GENERATED_VIRTUAL && (wanted == NULL || wanted[i])) {
            return true;
        }
    }
    return false;
}

/* A column reads only generated ones before it: from the last to the first. */
db_err bind_virtual_columns(struct arena *arena, const struct bind_opts *opts,
                            const struct table_def *table, const bool *wanted, struct diag *diag,
                            struct table_rules **ret_rules)
{
    uint32_t n = table->column_count;
    struct table_rules *r = NULL;
    if (any_virtual(table, wanted)) {
        r = ARENA_NEW(arena, struct table_rules);
        if (r == NULL) {
            return ERR_NOMEM;
        }
        struct bind_opts quiet = *opts;
        quiet.warn = NULL;
        quiet.utf8mb4_collation = 0;
        struct rule_binder b = {arena, &quiet, table, diag, r};
        struct rule_column *all = ARENA_ARRAY(arena, struct rule_column, n);
        r->reads = ARENA_ARRAY(arena, bool, n + 1);
        if (all == NULL || r->reads == NULL) {
            return ERR_NOMEM;
        }
        uint32_t at = n;
        for (uint32_t i = n; i-- > 0;) {
            const struct column_def *c = &table->columns[i];
            if (c->generated == GENERATED_VIRTUAL && (wanted == NULL || wanted[i] || r->reads[i])) {
                all[--at].column = i;
                TRY(bind_generated(&b, c, &all[at].expr));
                bexpr_note_columns(all[at].expr, r->reads);
            }
        }
        r->generated = &all[at];
        r->generated_count = n - at;
    }
    *ret_rules = r;
    return ERR_OK;
}

db_err table_rules_add_checks(struct arena *arena, const struct table_def *table,
                              const struct rule_check *checks, uint32_t count,
                              struct table_rules **io_rules)
{
    struct table_rules *r = *io_rules;
    if (count == 0) {
        return ERR_OK;
    }
    if (r == NULL) {
        r = ARENA_NEW(arena, struct table_rules);
        if (r == NULL) {
            return ERR_NOMEM;
        }
        r->reads = ARENA_ARRAY(arena, bool, table->column_count + 1);
    }
    struct rule_check *all = ARENA_ARRAY(arena, struct rule_check, r->check_count + count);
    if (r->reads == NULL || all == NULL) {
        return ERR_NOMEM;
    }
    if (r->check_count != 0) {
        memcpy(all, r->checks, r->check_count * sizeof(*all));
    }
    for (uint32_t i = 0; i < count; i++) {
        all[r->check_count + i] = checks[i];
        bexpr_note_columns(checks[i].expr, r->reads);
    }
    r->checks = all;
    r->check_count += count;
    *io_rules = r;
    return ERR_OK;
}

struct reads_any {
    const bool *columns;
    bool found;
};

static bool look(const struct bexpr *e, void *arg)
{
    struct reads_any *a = arg;
    a->found =
        a->found || (e->kind == BEXPR_COLUMN && a->columns[e->u.column.slot]) || is_subquery(e);
    return !a->found;
}

static bool reads_any(const struct bexpr *e, const bool *columns)
{
    struct reads_any a = {columns, false};
    bexpr_walk(e, look, &a);
    return a.found;
}

struct table_rules *table_rules_affected(struct table_rules *rules, const struct table_def *table,
                                         bool *assigned)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < rules->generated_count; i++) {
        struct rule_column g = rules->generated[i];
        if (reads_any(g.expr, assigned)) {
            assigned[g.column] = true;
            rules->generated[kept++] = g;
        }
    }
    rules->generated_count = kept;
    kept = 0;
    for (uint32_t i = 0; i < rules->check_count; i++) {
        if (reads_any(rules->checks[i].expr, assigned)) {
            rules->checks[kept++] = rules->checks[i];
        }
    }
    rules->check_count = kept;
    memset(rules->reads, 0, table->column_count * sizeof(*rules->reads));
    for (uint32_t i = 0; i < rules->generated_count; i++) {
        bexpr_note_columns(rules->generated[i].expr, rules->reads);
    }
    for (uint32_t i = 0; i < rules->check_count; i++) {
        bexpr_note_columns(rules->checks[i].expr, rules->reads);
    }
    return rules->generated_count != 0 || rules->check_count != 0 ? rules : NULL;
}
