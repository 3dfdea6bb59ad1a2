/* Builders of account statements, GRANT and REVOKE. */
#include "sql/parser/ast_build.h"

#include "sql/diag/my_error.h"

void *ast_user_spec(struct parse_ctx *ctx, void *user, void *auth, struct ast_list *factors)
{
    struct ast_user_spec *s = AST_NEW(ctx, ast_user_spec);
    s->user = user;
    struct ast_list *all = auth != NULL ? ast_list_prepend(ctx, factors, auth) : factors;
    s->auth = LIST(ast_auth_list, all);
    return s;
}

void *ast_user_discard(struct parse_ctx *ctx, void *user)
{
    struct ast_user_spec *s = ast_user_spec(ctx, user, NULL, NULL);
    s->discard_old_password = true;
    return s;
}

void *ast_auth_initial(struct parse_ctx *ctx, void *auth)
{
    (void)ctx;
    ((struct ast_auth *)auth)->kind = AST_AUTH_INITIAL;
    return auth;
}

void *ast_auth_factor(struct parse_ctx *ctx, void *auth, uint32_t factor)
{
    (void)ctx;
    ((struct ast_auth *)auth)->factor = factor;
    return auth;
}

void *ast_auth_replace(struct parse_ctx *ctx, void *auth, struct slice replace, bool retain)
{
    (void)ctx;
    struct ast_auth *a = auth;
    a->has_replace = replace.ptr != NULL;
    a->replace = replace;
    a->retain_current = retain;
    return a;
}

void *ast_auth_op(struct parse_ctx *ctx, void *auth, uint64_t factor, int op)
{
    struct ast_auth *a = ast_auth_factor(ctx, auth, (uint32_t)factor);
    a->factor_op = op;
    return a;
}

void *ast_user_options(struct parse_ctx *ctx, struct ast_list *a, struct ast_list *b,
                       struct ast_list *c, struct ast_list *d)
{
    a = ast_list_concat(ctx, a, b);
    a = ast_list_concat(ctx, a, c);
    return ast_list_concat(ctx, a, d);
}

void *ast_user_ddl(struct parse_ctx *ctx, enum ast_stmt_kind kind, bool exists_clause,
                   struct ast_list *users, struct ast_list *roles, void *options)
{
    struct ast_user_ddl *s = AST_NEW(ctx, ast_user_ddl);
    s->stmt.kind = kind;
    s->if_not_exists = exists_clause && kind == AST_STMT_CREATE_USER;
    s->if_exists = exists_clause && kind == AST_STMT_ALTER_USER;
    s->users = LIST(ast_user_spec_list, users);
    s->options = LIST(ast_user_option_list, options);
    s->default_roles = LIST(ast_user_list, roles);
    s->default_role_kind = roles != NULL ? AST_ROLES_LIST : AST_ROLES_UNSET;
    return s;
}

void *ast_user_default_role(struct parse_ctx *ctx, bool if_exists, void *user, void *roles)
{
    const struct role_words *r = roles;
    struct ast_list *users = LIST1(ast_user_spec(ctx, user, NULL, NULL));
    struct ast_user_ddl *s =
        ast_user_ddl(ctx, AST_STMT_ALTER_USER, if_exists, users, r->roles, NULL);
    s->default_role_kind = r->kind;
    return s;
}

void *ast_rename_user(struct parse_ctx *ctx, struct ast_list *pairs)
{
    struct ast_list *from = NULL;
    struct ast_list *to = NULL;
    for (uint32_t i = 0; pairs != NULL && i + 1 < pairs->count; i += 2) {
        from = LISTADD(from, pairs->items[i]);
        to = LISTADD(to, pairs->items[i + 1]);
    }
    struct ast_rename_user *s = AST_NEW(ctx, ast_rename_user);
    s->stmt.kind = AST_STMT_RENAME_USER;
    s->from = LIST(ast_user_list, from);
    s->to = LIST(ast_user_list, to);
    return s;
}

/* ---- GRANT, REVOKE ---- */

void *ast_privilege(struct parse_ctx *ctx, struct sql_loc loc, struct slice name, struct slice host,
                    struct ast_list *columns)
{
    struct ast_privilege *p = AST_NEW(ctx, ast_privilege);
    p->pos = ast_pos_of(loc);
    p->name = name;
    p->host = host;
    p->is_identifier = true;
    p->columns = LIST(ast_ident_list, columns);
    return p;
}

/* The words as written, in upper case and with one blank between them. */
static struct slice join_words(struct parse_ctx *ctx, struct slice text)
{
    uint8_t *out =
        ast_alloc(ctx, text.len <= sizeof(ctx->scratch) ? text.len : sizeof(ctx->scratch));
    if (ctx->err != ERR_OK) {
        return slice_of("", 0);
    }
    struct lexer lx;
    struct lex_token t;
    size_t n = 0;
    lexer_init(&lx, text, 0);
    for (lexer_next(&lx, &t); t.kind > 0 && t.text.len > 0; lexer_next(&lx, &t)) {
        if (n > 0) {
            out[n++] = ' ';
        }
        for (size_t i = 0; i < t.text.len; i++) {
            uint8_t c = t.text.ptr[i];
            out[n++] = c >= 'a' && c <= 'z' ? (uint8_t)(c - 32) : c;
        }
    }
    return slice_of(out, n);
}

void *ast_privilege_words(struct parse_ctx *ctx, struct sql_loc loc, struct sql_loc words,
                          struct ast_list *columns)
{
    struct ast_privilege *p = ast_privilege(ctx, loc, SLICE_EMPTY, SLICE_EMPTY, columns);
    p->name = join_words(ctx, parse__text_at(ctx, words));
    p->is_identifier = false;
    return p;
}

void *ast_grant(struct parse_ctx *ctx, enum ast_stmt_kind kind, struct ast_list *privileges,
                uint64_t object, void *on, struct ast_list *users, uint64_t flags, void *as)
{
    struct ast_grant *g = AST_NEW(ctx, ast_grant);
    g->stmt.kind = kind;
    g->kind = AST_GRANT_PRIVILEGES;
    g->all = privileges == NULL;
    g->privileges = LIST(ast_privilege_list, privileges);
    g->object_written = object != 0;
    g->object = object != 0 ? (enum ast_grant_object)(object - 1) : AST_OBJECT_TABLE;
    const struct grant_object *o = on;
    if (o != NULL) {
        g->has_on = true;
        g->any_schema = o->any_schema;
        g->any_table = o->any_table;
        g->schema = o->schema;
        g->name = o->name;
        g->object_pos = o->pos;
    }
    g->users = LIST(ast_user_list, users);
    g->with_grant_option = (flags & GRANT_OPTION) != 0;
    const struct grant_as *a = as;
    if (a != NULL) {
        g->as_user = a->user;
        g->as_roles = a->roles;
    }
    return g;
}

/* GRANT a, b TO u: the list was read as privileges, because only ON or TO tells. */
void *ast_grant_roles(struct parse_ctx *ctx, enum ast_stmt_kind kind, struct ast_list *privileges,
                      struct ast_list *users, uint64_t flags)
{
    struct ast_list *roles = NULL;
    for (uint32_t i = 0; privileges != NULL && i < privileges->count; i++) {
        const struct ast_privilege *p = privileges->items[i];
        if ((!p->is_identifier || p->columns.count != 0) && ctx->err == ERR_OK) {
            ctx->err = my_error_at(ctx->diag, p->pos.offset, ER_SYNTAX_ERROR);
        }
        roles = LISTADD(
            roles,
            ast_copy(ctx, &(struct ast_user){.pos = p->pos, .name = p->name, .host = p->host},
                     sizeof(struct ast_user)));
    }
    struct ast_grant *g = AST_NEW(ctx, ast_grant);
    g->stmt.kind = kind;
    g->kind = AST_GRANT_ROLES;
    g->roles = LIST(ast_user_list, roles);
    g->users = LIST(ast_user_list, users);
    g->with_admin_option = (flags & GRANT_ADMIN) != 0;
    return g;
}

void *ast_grant_proxy(struct parse_ctx *ctx, enum ast_stmt_kind kind, void *proxy,
                      struct ast_list *users, uint64_t flags)
{
    struct ast_grant *g = AST_NEW(ctx, ast_grant);
    g->stmt.kind = kind;
    g->kind = AST_GRANT_PROXY;
    g->proxy = proxy;
    g->users = LIST(ast_user_list, users);
    g->with_grant_option = (flags & GRANT_OPTION) != 0;
    return g;
}

void *ast_revoke_flags(void *stmt, uint64_t if_exists, uint64_t ignore_unknown)
{
    struct ast_grant *g = stmt;
    g->if_exists = if_exists != 0;
    g->ignore_unknown_user = ignore_unknown != 0;
    return g;
}
