/* Text statements through the plan cache.
 *
 * One pass of the lexer gives the digest and the lifted literals. On a hit the literals become the
 * plan's parameters and the plan runs; on a miss the statement is parsed with the same literals as
 * parameters, planned, run, and kept. */
#include "base/hash.h"
#include "sql/parser/digest.h"
#include "sql/session/plan_cache.h"
#include "sql/session/session_int.h"

static void make_key(const struct sql_session *s, const struct digest *d, struct plan_cache_key *k)
{
    *k = (struct plan_cache_key){.digest_high = d->high,
                                 .digest_low = d->low,
                                 .kinds = d->literal_count,
                                 .schema = s->has_schema ? hash_bytes(s->schema, 1) : 0,
                                 .catalog_version = catalog_version(s->engine->catalog),
                                 .sql_mode = s->vars.sql_mode,
                                 .tz = s->vars.tz,
                                 .div_precision_increment = s->vars.div_precision_increment,
                                 .collation = s->vars.collation_connection,
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

static db_err plan_anew(struct statement *st, const struct parse_options *o,
                        const struct plan_cache_key *key, struct plan **ret)
{
    struct sql_session *s = st->session;
    struct parse_options lift = *o;
    struct ast_stmt *ast;
    size_t consumed;
    lift.flags |= PARSE_LIFT_LITERALS;
    TRY(parser_parse(&s->stmt_arena, st->text, &lift, &s->diag, &ast, &consumed));
    struct plan *plan;
    TRY(query__plan(s, ast, NULL, 0, false, &plan));
    if (plan->cacheable && plan->catalog_version == key->catalog_version) {
        plan_cache_put(s->engine->plans, key, plan);
    }
    *ret = plan;
    return ERR_OK;
}

db_err query__run_cached(struct statement *st, bool *ret_done, size_t *ret_consumed)
{
    enum { PLAN_TRIES = 10 };
    struct sql_session *s = st->session;
    struct parse_options o = {.mode = session__parse_mode(s),
                              .flags = s->multi_statements ? PARSE_MULTI : 0};
    struct digest d;
    *ret_done = false;
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
    err = ERR_SCHEMA_CHANGED;
    for (int i = 0; i < PLAN_TRIES && err == ERR_SCHEMA_CHANGED; i++) {
        struct plan_cache_key key;
        make_key(s, &d, &key);
        key.kinds = hash_combine(key.kinds, kinds);
        struct plan *plan = plan_cache_get(s->engine->plans, &key);
        if (plan == NULL) {
            TRY(plan_anew(st, &o, &key, &plan));
        }
        err = query__execute(st, plan);
        plan_unref(plan);
    }
    return err;
}
