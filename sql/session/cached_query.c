/* Text statements through the plan cache.
 *
 * One pass of the lexer gives the digest and the lifted literals. On a hit the literals become the
 * plan's parameters and the plan runs; on a miss the statement is parsed with the same literals as
 * parameters, planned, run, and kept.
 *
 * An INSERT of many rows of literals is split instead (sql/parser/values_rows.h): the plan is that
 * of the statement with one of its rows, whatever their number, and the rows are values. */
#include "base/hash.h"
#include "sql/bind/hints.h"
#include "sql/parser/values_rows.h"
#include "sql/session/perf_event.h"
#include "sql/session/plan_cache.h"
#include "sql/session/session_int.h"

enum { PLAN_TRIES = 10, ROWS_TEXT_MIN = 256 };

static void make_key(const struct sql_session *s, const struct digest *d, struct plan_cache_key *k)
{
    *k =
        (struct plan_cache_key){.digest_high = d->high,
                                .digest_low = d->low,
                                .kinds = d->literal_count,
                                .schema = hash_combine(s->has_schema ? hash_bytes(s->schema, 1) : 0,
                                                       s->vars.sql_select_limit),
                                .catalog_version = catalog_version(s->engine->catalog),
                                .sql_mode = s->vars.sql_mode,
                                .optimizer_switch = s->vars.optimizer_switch,
                                .tz = s->vars.tz,
                                .locale = s->vars.locale,
                                .div_precision_increment = s->vars.div_precision_increment,
                                .group_concat_max_len = s->vars.group_concat_max_len,
                                .collation = s->vars.collation_connection,
                                .utf8mb4_collation = s->vars.utf8mb4_collation,
                                .charset = s->vars.charset_client};
}

static db_err literal_values(struct sql_session *s, const struct digest *d,
                             const struct parse_options *o, const struct value **ret,
                             uint64_t *io_kinds)
{
    struct value *values = ARENA_ARRAY(&s->stmt_arena, struct value, d->literal_count + 1);
    struct bind_opts bind;
    if (values == NULL) {
        return ERR_LIMIT;
    }
    query__bind_opts(s, NULL, &bind);
    for (uint32_t i = 0; i < d->literal_count; i++) {
        struct ast_literal l;
        TRY(digest_literal_value(&s->stmt_arena, &d->literals[i], o->mode, &l));
        TRY(bind_literal(&s->stmt_arena, &bind, &l, &s->diag, &values[i]));
        *io_kinds =
            hash_combine(*io_kinds, (uint64_t)values[i].phys << 16 |
                                        (uint64_t)values[i].is_unsigned << 8 | values[i].type);
    }
    *ret = values;
    return ERR_OK;
}

/* What hints ask of the session alone is in force from here on. *ret_aside: they ask for more,
 * which has to be done before anything is made of the text. */
static db_err read_hints(struct sql_session *s, struct ast_stmt *ast, bool *ret_aside)
{
    TRY(hints__read(s, &s->stmt_arena, ast, true));
    const struct hint_set *set = ast->hinted->set;
    *ret_aside = set->vars != NULL || set->resource_group.ptr != NULL;
    return *ret_aside ? ERR_OK : hints__begin(s, ast);
}

/* *ret NULL: it is no statement for the cache. */
static db_err plan_anew(struct statement *st, struct slice text, const struct parse_options *o,
                        const struct plan_cache_key *key, struct plan **ret)
{
    struct sql_session *s = st->session;
    struct parse_options lift = *o;
    struct ast_stmt *ast;
    size_t consumed;
    lift.flags |= PARSE_LIFT_LITERALS;
    TRY(parser_parse(&s->stmt_arena, text, &lift, &s->diag, &ast, &consumed));
    struct plan *plan;
    if (UNLIKELY(ast->hinted != NULL)) {
        bool aside;
        TRY(read_hints(s, ast, &aside));
        if (aside) {
            *ret = NULL;
            return ERR_OK;
        }
    }
    if (st->row_values == NULL) { /* else text is a part of the statement */
        perf__parsed(st, ast, slice_of(text.ptr, consumed)); /* also when it cannot be planned */
    }
    TRY(query__plan(s, ast, NULL, false, &plan));
    plan->event_class = (uint16_t)perf__class(ast);
    bool warned = ast->warned || (ast->hinted != NULL && s->conditions.total != 0);
    if (plan->cacheable && !warned && plan->catalog_version == key->catalog_version) {
        plan_cache_put(s->engine->plans, key, plan);
    }
    *ret = plan;
    return ERR_OK;
}

/* The plan of a text whose digest and kinds of literals are known, with a reference; *ret NULL: it
 * has to be run without the cache. */
static db_err find_plan(struct statement *st, struct slice text, const struct parse_options *o,
                        const struct digest *d, uint64_t kinds, struct plan **ret)
{
    struct sql_session *s = st->session;
    struct plan_cache_key key;
    make_key(s, d, &key);
    key.kinds = hash_combine(key.kinds, kinds);
    struct plan *kept = plan_cache_get(s->engine->plans, &key);
    if (kept != NULL && !estimate_outgrown(s, kept)) {
        db_err err = priv_refresh(&s->priv);
        if (UNLIKELY(err != ERR_OK)) {
            plan_unref(kept);
            return err;
        }
        if (LIKELY(priv_check_needs(&s->priv, &kept->needs, &s->diag) == ERR_OK)) {
            *ret = kept;
            return ERR_OK;
        }
        diag_reset(&s->diag); /* binding it says what is missing as MySQL says it */
    }
    plan_unref(kept);
    return plan_anew(st, text, o, &key, ret);
}

/* ---- many rows ---- */

static bool negate(struct value *v)
{
    switch ((int)v->phys) {
    case PHYS_INT: v->i = (int64_t)(0 - v->u); return !v->is_unsigned;
    case PHYS_DOUBLE: v->d = -v->d; return true;
    case PHYS_DECIMAL: decimal_neg(&v->dec); return true;
    default: return false;
    }
}

/* *ret_is false: a number that is not what its digits say. */
static db_err row_value(struct sql_session *s, struct slice text, const struct bind_opts *bind,
                        const struct row_literal *l, uint32_t mode, bool *ret_is, struct value *ret)
{
    enum { SHORT_DIGITS = 18 };
    struct ast_literal a;
    if (l->kind == 0) {
        *ret = value_null();
        return ERR_OK;
    }
    if (row_literal_is_integer(l) && l->len <= SHORT_DIGITS) {
        int64_t n = 0;
        for (uint32_t i = 0; i < l->len; i++) {
            n = n * 10 + (text.ptr[l->offset + i] - '0');
        }
        *ret = value_int(l->negative ? -n : n);
        return ERR_OK;
    }
    TRY(row_literal_value(&s->stmt_arena, text, l, mode, &a));
    TRY(bind_literal(&s->stmt_arena, bind, &a, &s->diag, ret));
    *ret_is = !l->negative || negate(ret);
    return ERR_OK;
}

static db_err row_values(struct statement *st, const struct values_rows *r, uint32_t mode,
                         bool *ret_is)
{
    struct sql_session *s = st->session;
    size_t n = (size_t)r->row_count * r->column_count;
    struct value *values = arena_alloc(&s->stmt_arena, n * sizeof(*values));
    struct bind_opts bind;
    if (values == NULL) {
        return ERR_LIMIT;
    }
    query__bind_opts(s, NULL, &bind);
    *ret_is = true;
    for (size_t i = 0; i < n && *ret_is; i++) {
        TRY(row_value(s, st->text, &bind, &r->literals[i], mode, ret_is, &values[i]));
    }
    st->row_values = values;
    st->row_count = r->row_count;
    return ERR_OK;
}

/* The plan takes its row from nothing but the lifted literals, in order. */
static bool takes_rows(const struct plan *plan, uint32_t columns)
{
    if (plan->shape != PLAN_SHAPE_INSERT_VALUES) {
        return false;
    }
    const struct plan_node *v = plan->root->children[0];
    if (v->u.values.row_count != 1 || plan->root->u.insert.column_count != columns) {
        return false;
    }
    for (uint32_t i = 0; i < columns; i++) {
        const struct bexpr *e = v->u.values.rows[0][i];
        if (e->kind != BEXPR_PARAM || e->u.param != i) {
            return false;
        }
    }
    return true;
}

/* Runs the rows, if the plan of one fits all. */
static db_err run_rows(struct statement *st, const struct parse_options *o,
                       const struct values_rows *r, bool *ret_done)
{
    struct sql_session *s = st->session;
    struct digest d;
    uint64_t kinds = 0;
    struct plan *plan;
    bool is;
    TRY(digest_compute(&s->stmt_arena, r->one, o, &d));
    if (!d.lifts || d.has_params || d.literal_count != r->column_count) {
        return ERR_OK;
    }
    diag_area_reset(&s->conditions);
    TRY(literal_values(s, &d, o, &st->values, &kinds));
    TRY(row_values(st, r, o->mode, &is));
    if (!is) {
        return ERR_OK;
    }
    db_err err = ERR_SCHEMA_CHANGED;
    for (int i = 0; i < PLAN_TRIES && err == ERR_SCHEMA_CHANGED; i++) {
        session__again(st, i);
        TRY(find_plan(st, r->one, o, &d, kinds, &plan));
        *ret_done = plan != NULL && takes_rows(plan, r->column_count);
        if (*ret_done) {
            perf__planned(st, plan, slice_of(st->text.ptr, r->consumed));
            err = query__execute(st, plan);
        } else {
            err = ERR_OK;
        }
        plan_unref(plan);
    }
    return err;
}

/* *ret_done false: not such a statement, or one with an error that is to be told of its text. */
static db_err try_rows(struct statement *st, const struct parse_options *o, bool *ret_done,
                       size_t *ret_consumed)
{
    struct sql_session *s = st->session;
    struct values_rows r;
    bool is;
    TRY(values_rows_split(&s->stmt_arena, st->text, o, &is, &r));
    struct slice rest = is ? slice_from(st->text, r.consumed) : SLICE_EMPTY;
    if (!is || (rest.len != 0 && !s->multi_statements)) {
        return ERR_OK;
    }
    *ret_consumed = r.consumed;
    st->more = session__has_more(rest);
    session__show_statement(st, r.consumed, false);
    db_err err = run_rows(st, o, &r, ret_done);
    if (!*ret_done) {
        diag_reset(&s->diag);
        st->values = st->row_values = NULL;
        st->more = false;
        return err == ERR_NOMEM || err == ERR_LIMIT ? err : ERR_OK;
    }
    return err;
}

/* Nothing was done yet; the counts that @@warning_count tells of are still those of the statement
 * before. */
static void run_aside(struct statement *st, bool *ret_done)
{
    st->session->conditions.last_read = true;
    st->values = NULL;
    st->more = false;
    *ret_done = false;
}

db_err query__run_cached(struct statement *st, bool *ret_done, size_t *ret_consumed)
{
    struct sql_session *s = st->session;
    struct parse_options o = {.mode = session__parse_mode(s),
                              .charset = session__parse_charset(s),
                              .flags = s->multi_statements ? PARSE_MULTI : 0,
                              .warnings = &s->parse_warnings};
    struct digest d;
    *ret_done = false;
    if (UNLIKELY(s->temporaries.count != 0) || table_locks__active(s) || o.charset != NULL) {
        return ERR_OK; /* names mean here what they mean nowhere else, or are not in UTF-8 */
    }
    if (s->password_expired) {
        return ERR_OK; /* session__run says so */
    }
    if (st->text.len >= ROWS_TEXT_MIN && s->vars.short_paths) {
        db_err tried = try_rows(st, &o, ret_done, ret_consumed);
        if (tried != ERR_OK || *ret_done) {
            return tried;
        }
    }
    db_err err = digest_compute(&s->stmt_arena, st->text, &o, &d);
    if (err != ERR_OK || !d.lifts || d.has_params) {
        return err == ERR_INVALID ? ERR_OK : err;
    }
    struct slice rest = slice_from(st->text, d.consumed);
    if (rest.len != 0 && !s->multi_statements) {
        return ERR_OK; /* the parser says what is wrong with text behind the statement */
    }
    uint64_t kinds = 0;
    const struct value *values = NULL;
    diag_area_reset(&s->conditions);
    TRY(literal_values(s, &d, &o, &values, &kinds));
    st->values = values;
    *ret_done = true;
    *ret_consumed = d.consumed;
    st->more = session__has_more(rest);
    session__show_statement(st, d.consumed, false);
    err = ERR_SCHEMA_CHANGED;
    for (int i = 0; i < PLAN_TRIES && err == ERR_SCHEMA_CHANGED; i++) {
        struct plan *plan;
        session__again(st, i);
        TRY(find_plan(st, st->text, &o, &d, kinds, &plan));
        if (UNLIKELY(plan == NULL)) {
            run_aside(st, ret_done);
            return ERR_OK;
        }
        perf__planned(st, plan, slice_of(st->text.ptr, d.consumed));
        err = query__execute(st, plan);
        plan_unref(plan);
    }
    return err;
}
