#include "sql/priv/need.h"

#include <stdio.h>

#include "sql/diag/my_error.h"

static const priv_t kinds[PRIV_NEED_KINDS] = {PRIV_SELECT, PRIV_INSERT, PRIV_UPDATE};

enum { NAME_TEXT = 300 };

static const char *cut(char *out, struct slice s)
{
    snprintf(out, NAME_TEXT, "%.*s", SLICE_FMT(s));
    return out;
}

db_err priv_view_invalid(const struct table_def *view, struct diag *diag)
{
    char schema[NAME_TEXT];
    char name[NAME_TEXT];
    diag_reset(diag);
    return my_error(diag, ER_VIEW_INVALID, cut(schema, view->schema_name), cut(name, view->name));
}

db_err priv_need_subject(const struct priv_session *p, const struct acl_name *definer,
                         const struct acl_user **slot, struct diag *diag, struct priv_subject *ret)
{
    char user[NAME_TEXT];
    char host[NAME_TEXT];
    if (definer->user.ptr == NULL) {
        *ret = p->subject;
        return ERR_OK;
    }
    *slot = acl_find(p->acl, definer->user, definer->host);
    if (*slot == NULL) {
        return my_error(diag, ER_NO_SUCH_USER, cut(user, definer->user), cut(host, definer->host));
    }
    *ret = priv_subject_of(slot);
    return ERR_OK;
}

/* The first column of the set that neither the table's nor its own privileges cover. */
static const struct column_def *missing_column(const struct priv_subject *s,
                                               const struct priv_need *n, int kind)
{
    const struct table_def *t = n->def;
    const uint64_t *set = n->columns[kind];
    for (uint32_t i = 0; set != NULL && i < t->column_count; i++) {
        if ((set[i / 64] >> (i % 64) & 1) != 0 &&
            (priv_on_column(s, t->schema_name, t->name, t->columns[i].name) & kinds[kind]) == 0) {
            return &t->columns[i];
        }
    }
    return NULL;
}

static db_err deny(const struct priv_session *p, const struct priv_need *n, priv_t missing,
                   const struct column_def *column, struct diag *diag)
{
    if (n->view != NULL) {
        return priv_view_invalid(n->view, diag);
    }
    if ((missing & PRIV_PROCESS) != 0) {
        return my_error(diag, ER_SPECIFIC_ACCESS_DENIED_ERROR, "PROCESS");
    }
    return column == NULL ? priv_deny_table(p, missing, n->def->name, diag)
                          : priv_deny_column(p, missing, column->name, n->def->name, diag);
}

static db_err deny_lock(const struct priv_session *p, const struct priv_need *n, struct diag *diag)
{
    char user[NAME_TEXT];
    char host[NAME_TEXT];
    char name[NAME_TEXT];
    return n->view != NULL
               ? priv_view_invalid(n->view, diag)
               : my_error(diag, ER_TABLEACCESS_DENIED_ERROR, "SELECT with locking clause",
                          cut(user, p->user), cut(host, p->client_host), cut(name, n->def->name));
}

db_err priv_check_need(const struct priv_session *p, const struct priv_need *n, struct diag *diag)
{
    const struct table_def *t = n->def;
    const struct acl_user *slot;
    struct priv_subject s;
    priv_t columns;
    TRY(priv_need_subject(p, &n->definer, &slot, diag, &s));
    priv_t want = n->whole | n->any | (n->locks ? PRIV_NEED_LOCK_ANY : 0u);
    for (int k = 0; k < PRIV_NEED_KINDS; k++) {
        want |= n->columns[k] != NULL ? kinds[k] : 0;
    }
    /* MYSQL: nobody may lock what is only shown. */
    if (n->locks && slice_eq(t->schema_name, SLICE_LIT("information_schema"))) {
        return deny_lock(p, n, diag);
    }
    if (priv_everywhere(&s, want)) {
        return ERR_OK;
    }
    priv_t have = priv_on_table(&s, t->schema_name, t->name, &columns);
    priv_t missing = (n->whole & ~have) | (n->any & ~(have | columns));
    if (missing != 0) {
        return deny(p, n, missing, NULL, diag);
    }
    if (n->locks && (have & PRIV_NEED_LOCK_ANY) == 0 && (columns & PRIV_UPDATE) == 0) {
        return deny_lock(p, n, diag);
    }
    for (int k = 0; k < PRIV_NEED_KINDS; k++) {
        const struct column_def *c = (have & kinds[k]) != 0 ? NULL : missing_column(&s, n, k);
        if (c != NULL) {
            return deny(p, n, kinds[k], c, diag);
        }
    }
    return ERR_OK;
}

db_err priv_check_needs_slow(const struct priv_session *p, const struct priv_needs *n,
                             struct diag *diag)
{
    for (uint32_t i = 0; p->accounts != NULL && i < n->count; i++) {
        TRY(priv_check_need(p, &n->list[i], diag));
    }
    return ERR_OK;
}
