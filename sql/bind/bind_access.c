/* Privileges of the tables that a statement names.
 *
 * A reference to a table makes a struct priv_need; columns that are bound are noted in it. All is
 * checked at once as well, in the name of the session or of the definer of the view that the
 * reference stands in, so that what is missing is told where MySQL tells it. */
#include "sql/bind/bind_int.h"

static struct priv_need *need_of(struct binder *b, uint32_t need)
{
    return &b->needs[need - 1];
}

static db_err grow(struct binder *b)
{
    uint32_t cap = b->need_cap == 0 ? 4 : b->need_cap * 2;
    struct priv_need *grown = BIND_ARRAY(b, struct priv_need, cap);
    if (grown == NULL) {
        return ERR_NOMEM;
    }
    if (b->need_count != 0) {
        memcpy(grown, b->needs, b->need_count * sizeof(*grown));
    }
    b->needs = grown;
    b->need_cap = cap;
    return ERR_OK;
}

static db_err check(struct binder *b, const struct priv_need *n)
{
    return b->opts->priv == NULL ? ERR_OK : priv_check_need(b->opts->priv, n, b->diag);
}

/* MYSQL: the others tell of what all accounts do, and need a privilege like any table. */
static bool performance_table_is_open(struct slice name)
{
    static const char *const names[] = {
        "global_status",    "global_variable_attributes",
        "global_variables", "persisted_variables",
        "processlist",      "session_account_connect_attrs",
        "session_status",   "session_variables",
        "variables_info",   "variables_metadata",
    };
    for (size_t i = 0; i < ARRAY_COUNT(names); i++) {
        if (slice_eq(name, slice_str(names[i]))) {
            return true;
        }
    }
    return false;
}

/* Open to all: tables whose rows are chosen by what the reader may see. */
static bool is_open(const struct table_def *def)
{
    if (def->kind != TABLE_VIRTUAL || slice_eq(def->schema_name, SLICE_LIT("mysql"))) {
        return false;
    }
    return !slice_eq(def->schema_name, SLICE_LIT("performance_schema")) ||
           performance_table_is_open(def->name);
}

db_err bind__need(struct binder *b, const struct table_def *def, priv_t any, uint32_t *ret_need)
{
    *ret_need = 0;
    priv_t whole = 0;
    if (is_open(def)) {
        if (!slice_starts_with(def->name, SLICE_LIT("INNODB_"))) {
            return ERR_OK;
        }
        whole = PRIV_PROCESS; /* MYSQL: for what tells of InnoDB */
        any = 0;
    }
    if (b->need_count == b->need_cap) {
        TRY(grow(b));
    }
    struct priv_need *n = &b->needs[b->need_count++];
    *n = (struct priv_need){.def = def, .whole = whole, .any = any, .definer = b->definer};
    for (const struct view_use *v = b->views; v != NULL; v = v->outer) {
        n->view = v->def;
    }
    *ret_need = b->need_count;
    return check(b, n);
}

db_err bind__need_table(struct binder *b, uint32_t need, priv_t whole, priv_t any)
{
    if (need == 0) {
        return ERR_OK;
    }
    struct priv_need *n = need_of(b, need);
    struct priv_need now = {.def = n->def,
                            .whole = whole & ~n->whole,
                            .any = any & ~n->any,
                            .definer = n->definer,
                            .view = n->view};
    n->whole |= whole;
    n->any |= any;
    return check(b, &now);
}

db_err bind__need_column(struct binder *b, uint32_t need, uint32_t ordinal, int kind)
{
    if (need == 0) {
        return ERR_OK;
    }
    struct priv_need *n = need_of(b, need);
    if (n->columns[kind] == NULL) {
        n->columns[kind] = BIND_ARRAY(b, uint64_t, n->def->column_count / 64 + 1);
        if (n->columns[kind] == NULL) {
            return ERR_NOMEM;
        }
    }
    uint64_t bit = (uint64_t)1 << (ordinal % 64);
    if ((n->columns[kind][ordinal / 64] & bit) != 0) {
        return ERR_OK;
    }
    n->columns[kind][ordinal / 64] |= bit;
    if (b->opts->priv == NULL) {
        return ERR_OK;
    }
    struct priv_need now = {.def = n->def, .definer = n->definer, .view = n->view};
    uint64_t *one = BIND_ARRAY(b, uint64_t, n->def->column_count / 64 + 1);
    if (one == NULL) {
        return ERR_NOMEM;
    }
    one[ordinal / 64] = bit;
    now.columns[kind] = one;
    return check(b, &now);
}

db_err bind__need_lock(struct binder *b, uint32_t need)
{
    if (need == 0) {
        return ERR_OK;
    }
    struct priv_need *n = need_of(b, need);
    n->locks = true;
    return check(b, n);
}

/* Whether the session may do it on the table as a whole. */
static bool has_whole(struct binder *b, const struct priv_need *n, priv_t want)
{
    const struct acl_user *slot;
    struct priv_subject s;
    if (b->opts->priv == NULL || b->opts->priv->accounts == NULL || n->definer.user.ptr != NULL ||
        priv_everywhere(&b->opts->priv->subject, want)) {
        return true;
    }
    if (priv_need_subject(b->opts->priv, &n->definer, &slot, b->diag, &s) != ERR_OK) {
        return true;
    }
    return (priv_on_table(&s, n->def->schema_name, n->def->name, NULL) & want) == want;
}

db_err bind__need_star(struct binder *b, const struct lcolumn *c)
{
    if (c->need == 0) {
        return ERR_OK;
    }
    const struct priv_need *n = need_of(b, c->need);
    if (!has_whole(b, n, PRIV_SELECT) &&
        (priv_on_column(&b->opts->priv->subject, n->def->schema_name, n->def->name,
                        n->def->columns[c->need_column].name) &
         PRIV_SELECT) == 0) {
        return priv_deny_table(b->opts->priv, PRIV_SELECT, n->def->name, b->diag);
    }
    return bind__need_column(b, c->need, c->need_column, PRIV_NEED_READ);
}

/* MYSQL: who may read only some columns of the only table hears of an unknown one what it hears of
 * the others. */
db_err bind__need_unknown(struct binder *b, const struct scope *scope, struct slice name)
{
    const struct priv_need *n = NULL;
    for (uint32_t i = 0; i < scope->count; i++) {
        uint32_t need = scope->columns[i].need;
        if (need == 0 || (n != NULL && need_of(b, need) != n)) {
            return ERR_OK;
        }
        n = need_of(b, need);
    }
    return n == NULL || n->view != NULL || has_whole(b, n, PRIV_SELECT)
               ? ERR_OK
               : priv_deny_column(b->opts->priv, PRIV_SELECT, name, n->def->name, b->diag);
}

void bind__finish_needs(struct binder *b)
{
    struct priv_needs *out = &b->stmt->needs;
    *out = (struct priv_needs){.list = b->needs, .count = b->need_count};
    for (uint32_t i = 0; i < b->need_count; i++) {
        const struct priv_need *n = &b->needs[i];
        if (n->definer.user.ptr != NULL) {
            out->has_definers = true;
            continue;
        }
        out->sum |= n->whole | n->any | (n->locks ? PRIV_NEED_LOCK_ANY : 0u);
        out->sum |= n->columns[PRIV_NEED_READ] != NULL ? PRIV_SELECT : 0u;
        out->sum |= n->columns[PRIV_NEED_INSERT] != NULL ? PRIV_INSERT : 0u;
        out->sum |= n->columns[PRIV_NEED_UPDATE] != NULL ? PRIV_UPDATE : 0u;
    }
}
