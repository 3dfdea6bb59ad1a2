/* CURRENT_USER_IN and CURRENT_ROLE_IN: is the account, or one of the active roles, in a list such
 * as "a@localhost, `b c`@'%'"? Names may be quoted, a missing host is %, hosts have no case. */
#include "sql/func/families.h"

struct account_name {
    struct slice user, host; /* without quotes; a doubled quote stays doubled */
};

static struct slice trim(struct slice s)
{
    while (s.len != 0 && (s.ptr[0] == ' ' || s.ptr[0] == '\t')) {
        s = slice_from(s, 1);
    }
    while (s.len != 0 && (s.ptr[s.len - 1] == ' ' || s.ptr[s.len - 1] == '\t')) {
        s.len--;
    }
    return s;
}

static bool is_quote(uint8_t c)
{
    return c == '`' || c == '\'' || c == '"';
}

/* Takes a name, quoted or up to a space, a comma or `end`, off the begin of *io. */
static struct slice take_name(struct slice *io, uint8_t end)
{
    struct slice s = trim(*io);
    if (s.len != 0 && is_quote(s.ptr[0])) {
        uint8_t quote = s.ptr[0];
        size_t i = 1;
        while (i < s.len && (s.ptr[i] != quote || (i + 1 < s.len && s.ptr[i + 1] == quote))) {
            i += s.ptr[i] == quote ? 2 : 1;
        }
        *io = trim(slice_from(s, i < s.len ? i + 1 : s.len));
        return slice_of(s.ptr + 1, i - 1);
    }
    size_t n = 0;
    while (n < s.len && s.ptr[n] != ' ' && s.ptr[n] != '\t' && s.ptr[n] != ',' && s.ptr[n] != end) {
        n++;
    }
    *io = trim(slice_from(s, n));
    return slice_of(s.ptr, n);
}

/* The next name of a list; false at its end. */
static bool next_account(struct slice *io, struct account_name *ret)
{
    while (io->len != 0 && (io->ptr[0] == ',' || io->ptr[0] == ' ' || io->ptr[0] == '\t')) {
        *io = slice_from(*io, 1);
    }
    if (io->len == 0) {
        return false;
    }
    ret->user = take_name(io, '@');
    ret->host = SLICE_LIT("%");
    if (io->len != 0 && io->ptr[0] == '@') {
        *io = slice_from(*io, 1);
        ret->host = take_name(io, ',');
    }
    while (io->len != 0 && io->ptr[0] != ',') { /* what stands behind a quoted name */
        ret->host = slice_of(NULL, 0);
        *io = slice_from(*io, 1);
    }
    return true;
}

static bool listed(const struct account_name *a, struct slice list)
{
    struct account_name b;
    while (next_account(&list, &b)) {
        if (slice_eq(a->user, b.user) && slice_eq_nocase(a->host, b.host)) {
            return true;
        }
    }
    return false;
}

/* Names of accounts are utf8mb3: what it does not have is refused. */
db_err info_bind_account_in(BIND_ARGS)
{
    struct func_arg *a = &args[0];
    func__want_text(ctx, a);
    if (type_is_string(&a->type) && a->type.collation == COLL_BINARY) {
        func__want_valid(a, COLL_UTF8MB3_GENERAL_CI);
    } else if (type_is_string(&a->type)) {
        func__want(a, func__text(func__chars(&a->type), COLL_UTF8MB3_GENERAL_CI));
        a->want.wire |= TYPE_W_REFUSE_LOSS;
    }
    func__result(call, args, func__bool());
    return ERR_OK;
}

static struct account_name current_account(struct slice text)
{
    size_t at = text.len;
    while (at > 0 && text.ptr[at - 1] != '@') {
        at--;
    }
    return at == 0 ? (struct account_name){text, SLICE_EMPTY}
                   : (struct account_name){slice_of(text.ptr, at - 1), slice_from(text, at)};
}

db_err info_account_in(EVAL_ARGS)
{
    const struct eval_env *e = ctx->env;
    if (e == NULL) {
        return diag_set(ctx->diag, ERR_INVALID, "internal: no session to ask");
    }
    struct account_name user = current_account(e->current_user);
    EACH_ROW(row)
    {
        struct slice list = vec_str(args[0], row);
        struct slice roles = e->current_role;
        struct account_name role;
        bool found = call->variant == INFO_CURRENT_USER && listed(&user, list);
        while (call->variant == INFO_CURRENT_ROLE && !found && next_account(&roles, &role)) {
            found = listed(&role, list);
        }
        vec_set_i64(out, row, found);
    }
    return ERR_OK;
}
