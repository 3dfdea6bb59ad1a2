/* Private to sql/priv. */
#ifndef SKEIN_SQL_PRIV_ACL_INT_H
#define SKEIN_SQL_PRIV_ACL_INT_H

#include "base/buf.h"
#include "sql/codec/system_keys.h"
#include "sql/priv/acl.h"
#include "sql/storage/storage.h"

struct acl_user *user__new(const struct account *account); /* refs 1; NULL: no memory */
struct acl_user *user__copy(const struct acl_user *from);  /* likewise */
void user__unref(struct acl_user *u);                      /* NULL is fine */
struct acl_user *user__ref(struct acl_user *u);
/* A named account of another one: what it is granted is forgotten or renamed. *ret_changed. */
bool user__mentions(const struct acl_user *u, const struct acl_name *name);
void user__forget(struct acl_user *u, const struct acl_name *name);
MUST_USE db_err user__rename_mentions(struct acl_user *u, const struct acl_name *from,
                                      const struct acl_name *to);
bool name__eq(const struct acl_name *a, const struct acl_name *b);
int name__cmp(struct slice user, struct slice host, struct slice user2, struct slice host2);

struct storage *accounts__storage(struct accounts *a);
/* storage_scan_each of the records of the kind. */
MUST_USE db_err accounts__each_record(struct storage_txn *txn, enum system_record kind,
                                      storage_row_fn fn, void *arg, struct diag *diag);

/* acl_record.c */
MUST_USE db_err record__key(const struct acl_user *u, struct buf *key);
MUST_USE db_err record__encode(const struct acl_user *u, struct buf *value);
MUST_USE db_err record__decode(struct slice value, struct acl_user **ret);
/* login_lock.c: what has failed goes with an account that is dropped, or to its new name. At once,
 * as the same change may give the old name to another account. */
MUST_USE db_err login_lock__rename(struct storage_txn *txn, const struct acl_user *old,
                                   const struct acl_user *u);
MUST_USE db_err login_lock__drop(struct storage_txn *txn, const struct acl_user *u);

#endif
