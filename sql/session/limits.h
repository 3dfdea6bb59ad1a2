/* Limits of accounts: MAX_QUERIES_PER_HOUR, MAX_UPDATES_PER_HOUR, MAX_CONNECTIONS_PER_HOUR and
 * MAX_USER_CONNECTIONS, counted on this node.
 *
 * An account that has a limit has one struct account_use for all its sessions; others have none and
 * cost nothing. An hour begins with the first use after the last one has ended. */
#ifndef SKEIN_SQL_SESSION_LIMITS_H
#define SKEIN_SQL_SESSION_LIMITS_H

#include "sql/priv/acl.h"

struct account_use;
struct account_uses;

MUST_USE db_err account_uses_new(struct account_uses **ret);
void account_uses_free(struct account_uses *u); /* no session is left; NULL is fine */

/* A session of the account begins: 1226 when it is one too many. *ret_use NULL: no limits. */
MUST_USE db_err account_use_connect(struct account_uses *all, const struct account *account,
                                    struct diag *diag, struct account_use **ret_use);
void account_use_disconnect(struct account_use *use); /* NULL is fine */
/* A statement begins; one that changes data or definitions is counted by the second as well.
 * 1226. */
MUST_USE db_err account_use_question(struct account_use *use, const struct account *account,
                                     struct diag *diag);
MUST_USE db_err account_use_update(struct account_use *use, const struct account *account,
                                   struct diag *diag);
/* FLUSH USER_RESOURCES. */
void account_uses_reset(struct account_uses *all);

#endif
