/* What functions ask of statements: normal forms, attributes, the number of a connection. */
#include <stdio.h>

#include "sql/parser/lexer.h"
#include "sql/parser/statement_digest.h"
#include "sql/priv/role_graph.h"
#include "sql/session/session_int.h"

enum { TOKENS_MAX = 1 << 20, TEXT_MAX = 8 << 20 };

static struct sql_session *of_env(struct eval_env *env)
{
    return CONTAINER_OF(env, struct sql_session, env);
}

/* The statement must be one that parses. */
static db_err check_parses(struct sql_session *s, struct slice text, const struct parse_options *o,
                           struct arena *arena, struct diag *diag)
{
    struct ast_stmt *ast;
    size_t consumed;
    struct diag why;
    diag_reset(&why);
    db_err err = parser_parse(arena, text, o, &why, &ast, &consumed);
    if (err == ERR_OK && ast->kind == AST_STMT_EMPTY && lexer_trim(text).len == 0) {
        err = my_error(&why, ER_EMPTY_QUERY);
    }
    (void)s;
    return err == ERR_SQL ? my_error(diag, ER_PARSE_ERROR_IN_DIGEST_FN, why.text) : err;
}

db_err session__digest(struct eval_env *env, struct slice statement, bool hash, struct arena *arena,
                       struct diag *diag, struct slice *ret)
{
    struct sql_session *s = of_env(env);
    struct parse_options o = {.mode = session__parse_mode(s)};
    size_t max = (size_t)s->globals->values[VAR_max_digest_length].i;
    struct buf tokens;
    struct buf text;
    char hex[FUNC_SHA256_HEX + 1];
    TRY(check_parses(s, statement, &o, arena, diag));
    buf_init(&tokens, TOKENS_MAX);
    buf_init(&text, TEXT_MAX);
    db_err err = statement_digest_tokens(statement, &o, max, &tokens);
    if (err == ERR_OK && hash) {
        err = arena_copy(arena, slice_of(hex, func_sha256_hex(buf_slice(&tokens), hex)), ret);
    } else if (err == ERR_OK) {
        err = statement_digest_text(buf_slice(&tokens), &text);
        err = err == ERR_OK ? arena_copy(arena, buf_slice(&text), ret) : err;
        ret->ptr = err == ERR_OK && ret->ptr == NULL ? (const uint8_t *)"" : ret->ptr;
    }
    buf_fini(&tokens);
    buf_fini(&text);
    return err;
}

uint64_t session__thread_id(struct eval_env *env, uint64_t connection_id)
{
    struct sql_session *s = of_env(env);
    uint64_t id = 0;
    if (connection_id == s->connection_id) {
        return connection_id;
    }
    fiber_mutex_lock(&s->engine->sessions_mutex);
    LIST_FOREACH (node, &s->engine->sessions) {
        if (CONTAINER_OF(node, struct sql_session, node)->connection_id == connection_id) {
            id = connection_id;
        }
    }
    fiber_mutex_unlock(&s->engine->sessions_mutex);
    return id;
}

void sql_session_set_attributes(struct sql_session *session, const struct sql_attribute *list,
                                uint32_t count)
{
    session->attributes = list;
    session->attribute_count = count;
}

static db_err attribute_text(const struct sql_param *p, struct arena *arena, struct slice *ret)
{
    const struct sql_time *t = &p->cell.v.time;
    const char *text;
    switch (p->cell.kind) {
    case SQL_CELL_TEXT:
        *ret = p->cell.v.text.ptr == NULL ? SLICE_LIT("") : p->cell.v.text;
        return ERR_OK;
    case SQL_CELL_INT: text = arena_printf(arena, "%lld", (long long)p->cell.v.i64); break;
    case SQL_CELL_UINT:
        text = arena_printf(arena, "%llu", (unsigned long long)p->cell.v.u64);
        break;
    case SQL_CELL_FLOAT:
    case SQL_CELL_DOUBLE: text = arena_printf(arena, "%.15g", p->cell.v.f64); break;
    case SQL_CELL_TIME:
        text = arena_printf(arena, "%s%02u:%02u:%02u", t->negative ? "-" : "", t->hour, t->minute,
                            t->second);
        break;
    case SQL_CELL_DATE:
        text = arena_printf(arena, "%04u-%02u-%02u", t->year, t->month, t->day);
        break;
    case SQL_CELL_DATETIME:
        text = arena_printf(arena, "%04u-%02u-%02u %02u:%02u:%02u", t->year, t->month, t->day,
                            t->hour, t->minute, t->second);
        break;
    case SQL_CELL_NULL:
    default: *ret = SLICE_EMPTY; return ERR_OK;
    }
    if (text == NULL) {
        return ERR_NOMEM;
    }
    *ret = slice_str(text);
    return ERR_OK;
}

db_err session__query_attribute(struct eval_env *env, struct slice name, struct arena *arena,
                                struct slice *ret)
{
    struct sql_session *s = of_env(env);
    *ret = SLICE_EMPTY;
    for (uint32_t i = 0; i < s->attribute_count; i++) {
        const struct sql_attribute *a = &s->attributes[i];
        if (slice_eq(a->name, name)) {
            return a->value.is_null ? ERR_OK : attribute_text(&a->value, arena, ret);
        }
    }
    return ERR_OK;
}

db_err session__user_variable(struct eval_env *env, struct slice name, struct arena *arena,
                              struct sql_type *ret_type, struct value *ret)
{
    const struct user_var *v = vars__user_get(of_env(env), name);
    if (v == NULL) {
        *ret_type = type_null();
        *ret = value_null();
        return ERR_OK;
    }
    *ret_type = v->type;
    return value_copy(&v->value, arena, ret);
}

/* MYSQL: who may not grant any role is told nothing. */
db_err session__role_graph(struct eval_env *env, struct arena *arena, struct slice *ret)
{
    struct sql_session *s = of_env(env);
    bool may =
        s->priv.accounts != NULL && priv_has(&s->priv.subject, PRIV_SUPER, DYN_BIT(ROLE_ADMIN));
    const struct acl *acl = may ? accounts_acquire(s->priv.accounts) : NULL;
    struct buf text;
    buf_init(&text, SIZE_MAX);
    db_err err = role_graph_put(&text, acl);
    const char *copy = err == ERR_OK ? arena_strdup(arena, buf_slice(&text)) : NULL;
    size_t len = buf_slice(&text).len;
    buf_fini(&text);
    acl_release(acl);
    *ret = copy == NULL ? SLICE_EMPTY : slice_of(copy, len);
    return err == ERR_OK && copy == NULL ? ERR_NOMEM : err;
}
