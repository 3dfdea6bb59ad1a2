/* SET ROLE, SET DEFAULT ROLE, SHOW GRANTS, SHOW CREATE USER, and @@mandatory_roles. */
#include "base/scope.h"
#include "sql/parser/ast_print.h"
#include "sql/priv/grants_text.h"
#include "sql/session/session_int.h"

enum { CREATE_TEXT_MAX = 128 * 1024 * 1024 }; /* more than an account's record has */

/* ---- 'role'@'host', `role`, role@host ... of @@mandatory_roles ---- */

static struct slice take_name(struct slice *io)
{
    while (io->len != 0 && (io->ptr[0] == ' ' || io->ptr[0] == '\t')) {
        *io = slice_from(*io, 1);
    }
    uint8_t quote = io->len == 0 ? 0 : io->ptr[0];
    bool quoted = quote == '\'' || quote == '`' || quote == '"';
    size_t start = quoted ? 1 : 0;
    size_t n = start;
    while (n < io->len && (quoted ? io->ptr[n] != quote
                                  : io->ptr[n] != '@' && io->ptr[n] != ',' && io->ptr[n] != ' ')) {
        n++;
    }
    struct slice name = slice_of(io->ptr + start, n - start);
    *io = slice_from(*io, quoted && n < io->len ? n + 1 : n);
    while (io->len != 0 && io->ptr[0] == ' ') {
        *io = slice_from(*io, 1);
    }
    return name;
}

db_err account__mandatory(struct sql_session *s, struct arena *arena, struct acl_name **ret,
                          uint32_t *ret_count)
{
    struct sysvar_globals *g = engine__globals(s->engine);
    struct slice text;
    uint32_t room = 1;
    db_err err = arena_copy(arena, g->values[VAR_mandatory_roles].s, &text);
    sysvar_globals_unref(g);
    TRY(err);
    for (size_t i = 0; i < text.len; i++) {
        room += text.ptr[i] == ',';
    }
    struct acl_name *names = ARENA_ARRAY(arena, struct acl_name, room);
    if (names == NULL) {
        return ERR_NOMEM;
    }
    *ret_count = 0;
    while (text.len != 0 && *ret_count < room) {
        struct acl_name n = {.user = take_name(&text), .host = SLICE_LIT("%")};
        if (text.len != 0 && text.ptr[0] == '@') {
            text = slice_from(text, 1);
            n.host = take_name(&text);
        }
        if (n.user.len != 0) {
            names[(*ret_count)++] = n;
        }
        if (text.len != 0 && text.ptr[0] != ',') {
            break;
        }
        text = text.len == 0 ? text : slice_from(text, 1);
    }
    *ret = names;
    return ERR_OK;
}

/* ---- SET ROLE ---- */

static db_err not_granted(struct sql_session *s, const struct acl_name *role,
                          const struct acl_name *user)
{
    return my_error(&s->diag, ER_ROLE_NOT_GRANTED,
                    grants_name(&s->stmt_arena, role->user, role->host),
                    grants_name(&s->stmt_arena, user->user, user->host));
}

db_err account__show_roles(struct sql_session *s)
{
    struct buf *text = &s->role_buf;
    buf_reset(text);
    for (uint32_t i = 0; i < s->priv.role_count; i++) {
        TRY(buf_append_slice(text, i == 0 ? SLICE_LIT("") : SLICE_LIT(",")));
        TRY(grants_put_name(text, s->priv.roles[i].user, s->priv.roles[i].host));
    }
    s->env.current_role = buf_slice(text);
    session__know_privileges(s);
    return ERR_OK;
}

static bool listed(const struct acl_name *names, uint32_t count, const struct acl_name *name)
{
    for (uint32_t i = 0; i < count; i++) {
        if (slice_eq(names[i].user, name->user) && slice_eq_nocase(names[i].host, name->host)) {
            return true;
        }
    }
    return false;
}

/* All that are granted, less `except`. */
static uint32_t all_roles(const struct priv_session *p, const struct acl_name *except,
                          uint32_t except_count, struct acl_name *out)
{
    const struct acl_user *self = priv_self(p);
    uint32_t n = 0;
    for (uint32_t i = 0; self != NULL && i < self->role_count; i++) {
        if (!listed(except, except_count, &self->roles[i].name)) {
            out[n++] = self->roles[i].name;
        }
    }
    for (uint32_t i = 0; i < p->mandatory_count; i++) {
        const struct acl_name *m = &p->mandatory[i];
        if (!listed(except, except_count, m) && acl_find(p->acl, m->user, m->host) != NULL) {
            out[n++] = *m;
        }
    }
    return n;
}

/* The roles that SET ROLE or GRANT ... AS user WITH ROLE names, of those that p may have. */
db_err account__choose_roles(struct sql_session *s, const struct priv_session *p,
                             const struct ast_set_role *r, struct acl_name **ret,
                             uint32_t *ret_count)
{
    const struct acl_user *self = priv_self(p);
    struct acl_name me = {p->user, p->host};
    uint32_t have = self == NULL ? 0 : self->role_count;
    struct acl_name *names = ARENA_ARRAY(&s->stmt_arena, struct acl_name, r->roles.count + 1u);
    struct acl_name *all =
        ARENA_ARRAY(&s->stmt_arena, struct acl_name, have + p->mandatory_count + 1u);
    if (names == NULL || all == NULL) {
        return ERR_LIMIT;
    }
    for (uint32_t i = 0; i < r->roles.count; i++) {
        TRY(account__name(s, r->roles.items[i], &names[i]));
        if (r->which == AST_ROLE_LIST && !priv_may_set_role(p, &names[i])) {
            return not_granted(s, &names[i], &me);
        }
    }
    uint32_t n = 0;
    switch (r->which) {
    case AST_ROLE_LIST:
        all = names;
        n = r->roles.count;
        break;
    case AST_ROLE_ALL: n = all_roles(p, NULL, 0, all); break;
    case AST_ROLE_ALL_EXCEPT: n = all_roles(p, names, r->roles.count, all); break;
    case AST_ROLE_DEFAULT:
        all = self == NULL ? all : self->default_roles;
        n = self == NULL ? 0 : self->default_role_count;
        break;
    case AST_ROLE_NONE: break;
    }
    *ret = all;
    *ret_count = n;
    return ERR_OK;
}

static db_err set_role(struct statement *st, const struct ast_set_role *r)
{
    struct sql_session *s = st->session;
    struct acl_name *names;
    uint32_t n;
    TRY(account__choose_roles(s, &s->priv, r, &names, &n));
    TRY(priv_set_roles(&s->priv, names, n));
    TRY(priv_refresh_slow(&s->priv)); /* what the roles before took is given back */
    TRY(account__show_roles(s));
    return session__ok(st, 0, SLICE_EMPTY);
}

/* ---- SET DEFAULT ROLE ---- */

db_err account__default_roles(struct sql_session *s, struct acl_change *c,
                              const struct acl_name *user, int kind,
                              const struct ast_user_list *roles, bool check_granted)
{
    struct acl_user *u;
    uint32_t n = 0;
    TRY(acl_change_edit(c, user->user, user->host, &u));
    if (u == NULL) { /* MYSQL: none of the roles is granted to whoever does not exist */
        struct acl_name first;
        if (kind != AST_ROLES_LIST || roles->count == 0) {
            return ERR_OK;
        }
        TRY(account__name(s, roles->items[0], &first));
        return not_granted(s, &first, user);
    }
    struct acl_name *names =
        ARENA_ARRAY(&s->stmt_arena, struct acl_name, roles->count + u->role_count + 1u);
    if (names == NULL) {
        return ERR_LIMIT;
    }
    for (uint32_t i = 0; kind == AST_ROLES_ALL && i < u->role_count; i++) {
        names[n++] = u->roles[i].name;
    }
    for (uint32_t i = 0; kind == AST_ROLES_LIST && i < roles->count; i++) {
        TRY(account__name(s, roles->items[i], &names[n]));
        const struct acl_name *r = &names[n++];
        bool exists = acl_find(acl_change_view(c), r->user, r->host) != NULL;
        if (check_granted && acl_role_of(u, r) == NULL &&
            !listed(s->priv.mandatory, s->priv.mandatory_count, r)) {
            return not_granted(s, r, user);
        }
        if (!exists) {
            return my_error(&s->diag, ER_USER_DOES_NOT_EXIST,
                            grants_name(&s->stmt_arena, r->user, r->host));
        }
        if (!check_granted) { /* MYSQL: CREATE USER ... DEFAULT ROLE grants the role as well */
            TRY(account__may_give_role(s, r));
            TRY(account__may_change(s, acl_change_view(c), r));
            TRY(acl_user_add_role(u, r, false));
        }
    }
    return acl_user_set_default_roles(u, names, n);
}

static db_err set_default_each(struct sql_session *s, const struct ast_set_role *r,
                               struct acl_change *c)
{
    static const int kinds[] = {[AST_ROLE_LIST] = AST_ROLES_LIST,
                                [AST_ROLE_ALL] = AST_ROLES_ALL,
                                [AST_ROLE_ALL_EXCEPT] = AST_ROLES_NONE,
                                [AST_ROLE_NONE] = AST_ROLES_NONE,
                                [AST_ROLE_DEFAULT] = AST_ROLES_NONE};
    for (uint32_t i = 0; i < r->users.count; i++) {
        struct acl_name n;
        TRY(account__name(s, r->users.items[i], &n));
        TRY(account__may_change(s, acl_change_view(c), &n));
        if (!slice_eq(n.user, s->priv.user) || !slice_eq_nocase(n.host, s->priv.host)) {
            TRY(priv_need_any(&s->priv, PRIV_CREATE_USER, 0, "CREATE USER", &s->diag));
        }
        TRY(account__default_roles(s, c, &n, kinds[r->which], &r->roles, true));
    }
    return ERR_OK;
}

static db_err set_default(struct sql_session *s, const struct ast_set_role *r)
{
    struct acl_change *c;
    TRY(acl_change_begin(s->engine->accounts, &s->diag, &c));
    db_err err = set_default_each(s, r, c);
    if (err != ERR_OK) {
        acl_change_abort(c);
        return err;
    }
    return account__commit(s, c);
}

db_err account__set_role(struct statement *st, const struct ast_set_role *r)
{
    struct sql_session *s = st->session;
    if (!r->set_default) {
        return set_role(st, r);
    }
    TRY(txn__implicit_commit(s));
    db_err err = global_lock__accounts(s);
    err = err == ERR_OK ? set_default(s, r) : err;
    global_lock__accounts_end(s);
    return err == ERR_OK ? session__ok(st, 0, SLICE_EMPTY) : err;
}

/* ---- SHOW GRANTS, SHOW CREATE USER ---- */

struct line_target {
    struct grants_sink sink;
    struct text_result result;
    struct arena *arena;
};

static db_err add_line(struct grants_sink *sink, struct slice text)
{
    struct line_target *t = CONTAINER_OF(sink, struct line_target, sink);
    struct slice cell;
    TRY(arena_copy(t->arena, text, &cell));
    return text_result_row(&t->result, &cell);
}

static bool is_self(const struct sql_session *s, const struct acl_name *n)
{
    return slice_eq(n->user, s->priv.user) && slice_eq_nocase(n->host, s->priv.host);
}

static db_err may_show(struct sql_session *s, const struct acl_name *n)
{
    return is_self(s, n) ? ERR_OK
                         : priv_need_table(&s->priv, PRIV_SELECT, SLICE_LIT("mysql"),
                                           SLICE_LIT("user"), &s->diag);
}

static db_err using_roles(struct sql_session *s, const struct ast_show *show,
                          const struct acl_user *u, struct acl_name **ret, uint32_t *ret_count)
{
    struct acl_name me = {u->user, u->host};
    struct acl_name *names = ARENA_ARRAY(&s->stmt_arena, struct acl_name, show->roles.count + 1u);
    if (names == NULL) {
        return ERR_LIMIT;
    }
    for (uint32_t i = 0; i < show->roles.count; i++) {
        TRY(account__name(s, show->roles.items[i], &names[i]));
        if (acl_role_of(u, &names[i]) == NULL &&
            !listed(s->priv.mandatory, s->priv.mandatory_count, &names[i])) {
            return not_granted(s, &names[i], &me);
        }
    }
    *ret = names;
    *ret_count = show->roles.count;
    return ERR_OK;
}

static db_err put_styled(struct buf *out, struct slice name, const void *arg)
{
    return ast_print_name(out, name, arg);
}

static struct ast_name_style name_style(const struct sql_session *s)
{
    return (struct ast_name_style){.double_quotes = (s->vars.sql_mode & SQL_MODE_ANSI_QUOTES) != 0,
                                   .bare = vars__get(s, VAR_sql_quote_show_create)->i == 0};
}

static struct grants_style grants_style_of(const struct sql_session *s,
                                           const struct ast_name_style *names)
{
    return (struct grants_style){put_styled, names, names->double_quotes ? '"' : '`',
                                 (s->vars.sql_mode & SQL_MODE_NO_BACKSLASH_ESCAPES) != 0,
                                 vars__get(s, VAR_print_identified_with_as_hex)->i != 0};
}

static db_err show_lines(struct statement *st, const struct acl_name *n, const struct acl_user *u)
{
    struct sql_session *s = st->session;
    const char *name = arena_printf(&s->stmt_arena, "Grants for %.*s@%.*s", SLICE_FMT(n->user),
                                    SLICE_FMT(n->host));
    static const uint32_t length = 1024;
    const struct ast_name_style names = name_style(s);
    struct line_target t = {.sink = {add_line, grants_style_of(s, &names)},
                            .arena = &s->stmt_arena};
    if (name == NULL) {
        return ERR_LIMIT;
    }
    TRY(text_result_begin(st, &t.result, &name, &length, 1));
    TRY(grants_lines(u, s->priv.mandatory, s->priv.mandatory_count, &t.sink));
    return text_result_end(&t.result);
}

db_err account__show_grants(struct statement *st, const struct ast_show *show)
{
    struct sql_session *s = st->session;
    struct acl_name n;
    struct acl_name *roles = s->priv.roles;
    uint32_t count;
    TRY(account__name(s, show->user, &n));
    TRY(may_show(s, &n));
    const struct acl_user *u = acl_find(s->priv.acl, n.user, n.host);
    if (u == NULL) {
        return my_error(&s->diag, ER_NONEXISTING_GRANT, arena_strdup(&s->stmt_arena, n.user),
                        arena_strdup(&s->stmt_arena, n.host));
    }
    count = is_self(s, &n) ? s->priv.role_count : 0;
    if (show->roles.count != 0) {
        TRY(using_roles(s, show, u, &roles, &count));
    }
    if (count != 0) {
        TRY(grants_merge(&s->stmt_arena, s->priv.acl, u, roles, count, &u));
    }
    return show_lines(st, &n, u);
}

db_err account__show_create(struct statement *st, const struct ast_show *show)
{
    SCOPE_BUF(text, CREATE_TEXT_MAX);
    struct sql_session *s = st->session;
    struct acl_name n;
    struct text_result r;
    static const uint32_t length = 1024;
    TRY(account__name(s, show->user, &n));
    if (!is_self(s, &n)) {
        TRY(priv_need_schema(&s->priv, PRIV_SELECT, SLICE_LIT("mysql"), &s->diag));
    }
    const struct acl_user *u = acl_find(s->priv.acl, n.user, n.host);
    if (u == NULL) {
        return my_error(&s->diag, ER_CANNOT_USER, "SHOW CREATE USER",
                        arena_printf(&s->stmt_arena, "'%.*s'@'%.*s' (User account does not exist)",
                                     SLICE_FMT(n.user), SLICE_FMT(n.host)));
    }
    const struct ast_name_style names = name_style(s);
    const struct grants_style style = grants_style_of(s, &names);
    TRY(grants_create_user(u, &style, &text));
    const char *name = arena_printf(&s->stmt_arena, "CREATE USER for %.*s@%.*s", SLICE_FMT(n.user),
                                    SLICE_FMT(n.host));
    struct slice cell;
    if (name == NULL) {
        return ERR_LIMIT;
    }
    TRY(arena_copy(&s->stmt_arena, buf_slice(&text), &cell));
    TRY(text_result_begin(st, &r, &name, &length, 1));
    TRY(text_result_row(&r, &cell));
    return text_result_end(&r);
}
