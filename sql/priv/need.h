/* What a bound statement needs of each table it names, kept with its plan.
 *
 * The binder checks while it binds, so that errors come in MySQL's order; a plan that is run again,
 * by whomever, is checked by its list (priv_check_needs). For most statements of most accounts that
 * is one comparison with the sum of all that is needed. */
#ifndef SKEIN_SQL_PRIV_NEED_H
#define SKEIN_SQL_PRIV_NEED_H

#include "sql/catalog/schema.h"
#include "sql/priv/check.h"

/* One of these makes FOR UPDATE possible. */
enum { PRIV_NEED_LOCK_ANY = PRIV_UPDATE | PRIV_DELETE | PRIV_LOCK_TABLES };
enum { PRIV_NEED_READ, PRIV_NEED_INSERT, PRIV_NEED_UPDATE, PRIV_NEED_KINDS };

/* One reference to a table or view. */
struct priv_need {
    const struct table_def *def;
    priv_t whole; /* on the table as a whole */
    priv_t any;   /* on the table, or on at least one column */
    /* By ordinal, a bit each: columns that are read, inserted, updated; NULL: none. */
    uint64_t *columns[PRIV_NEED_KINDS];
    bool locks;                   /* its rows are read FOR UPDATE */
    struct acl_name definer;      /* of the view that the reference stands in; user.ptr NULL: the
                                     session itself */
    const struct table_def *view; /* the outermost one it stands in (1356), or NULL */
};

struct priv_needs {
    const struct priv_need *list;
    uint32_t count;
    priv_t sum; /* of all that the session itself needs */
    bool has_definers;
};

/* In whose name: the session, or a definer. *ret_found false: the definer does not exist (1449). */
MUST_USE db_err priv_need_subject(const struct priv_session *p, const struct acl_name *definer,
                                  const struct acl_user **slot, struct diag *diag,
                                  struct priv_subject *ret);
/* One need; errors 1142, 1143, in a view 1356. */
MUST_USE db_err priv_check_need(const struct priv_session *p, const struct priv_need *n,
                                struct diag *diag);
MUST_USE db_err priv_check_needs_slow(const struct priv_session *p, const struct priv_needs *n,
                                      struct diag *diag);
MUST_USE static inline db_err priv_check_needs(const struct priv_session *p,
                                               const struct priv_needs *n, struct diag *diag)
{
    return LIKELY(!n->has_definers && priv_everywhere(&p->subject, n->sum))
               ? ERR_OK
               : priv_check_needs_slow(p, n, diag);
}
/* 1356 in place of what was wrong inside a view. */
db_err priv_view_invalid(const struct table_def *view, struct diag *diag);

#endif
