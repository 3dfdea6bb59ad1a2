/* Who may do what: all accounts with their grants, as immutable generations.
 *
 * A generation (struct acl) is an array of reference-counted accounts; a change copies the array
 * and the accounts it edits, commits their records to the storage and publishes the copy. Readers
 * hold a reference and never wait. In a cluster the storage is the truth: a change locks the
 * version record, so there is one at a time, and sees all earlier ones; the session then makes the
 * other nodes read again before its statement returns (coord.h, publish_accounts).
 *
 * Record of an account: KEYSPACE_SYSTEM 'U' user 0 host 0, docs/formats/accounts.md. */
#ifndef SKEIN_SQL_PRIV_ACL_H
#define SKEIN_SQL_PRIV_ACL_H

#include "sql/priv/account.h"
#include "sql/priv/privilege.h"

struct storage;
struct accounts;

struct acl_name {
    struct slice user, host;
};

struct acl_named {
    struct slice name;
    priv_t privs;
};

struct acl_table {
    struct slice schema, name;
    struct slice grantor; /* user@host */
    uint64_t time_us;
    priv_t privs;
    struct acl_named *columns;
    uint32_t column_count;
};

enum acl_routine_kind { ACL_FUNCTION, ACL_PROCEDURE, ACL_LIBRARY };
struct acl_routine {
    struct slice schema, name, grantor;
    uint64_t time_us;
    enum acl_routine_kind kind;
    priv_t privs;
};

struct acl_role { /* granted to the account */
    struct acl_name name;
    bool admin;
};

struct acl_proxy {
    struct acl_name proxied;
    struct slice grantor;
    uint64_t time_us;
    bool with_grant;
};

struct acl_past { /* a password of before */
    uint64_t time_us;
    struct slice hash;
};

/* Never changed once in a generation. All text is in its arena. Arrays are kept sorted by name. */
struct acl_user {
    _Atomic uint32_t refs;
    struct arena arena;
    struct account account;
    struct slice user, host; /* of the account */
    priv_t global;
    priv_dyn_t dynamic, dynamic_grant; /* granted; granted WITH GRANT OPTION */
    struct acl_named *dbs;             /* patterns of names: % and _, \ before one that is meant */
    struct acl_table *tables;
    struct acl_routine *routines;
    struct acl_role *roles;
    struct acl_name *default_roles;
    struct acl_proxy *proxies;
    struct acl_named *restrictions; /* partial revokes, by schema: of what is granted at *.* */
    struct acl_past *past;          /* the newest first */
    uint32_t db_count, table_count, routine_count, role_count, default_role_count, proxy_count,
        restriction_count, past_count, past_room;
};

struct acl {
    _Atomic uint32_t refs;
    uint64_t version;        /* of the record in the storage */
    struct acl_user **users; /* sorted by user, then host */
    uint32_t count;
};

/* ---- accounts as a whole ---- */

/* Reads all. In an empty storage makes root@localhost of developer mode, which may do everything,
 * and MySQL's locked system accounts. Accounts of a storage written before there were privileges
 * keep what they could do: everything, with the right to grant it. May park. */
MUST_USE db_err accounts_open(struct storage *storage, struct diag *diag, struct accounts **ret);
void accounts_close(struct accounts *a); /* NULL is fine */
/* Another node has changed accounts: reads all again. May park. */
MUST_USE db_err accounts_reload(struct accounts *a, struct diag *diag);
/* A change of the version alone. Whatever change was under way, here or on another node, is either
 * in the storage now, and known here, or can never be committed any more. May park. */
MUST_USE db_err accounts_fence(struct accounts *a, struct diag *diag);
/* The generation in force, with a reference for the caller. Cheap; any thread. */
const struct acl *accounts_acquire(struct accounts *a);
void acl_release(const struct acl *acl); /* NULL is fine */
/* Another number for every generation published here. One atomic load. */
uint64_t accounts_generation(const struct accounts *a);

/* ---- log-ins that fail ---- */

struct login_block {
    bool blocked;
    uint32_t failures;
    int32_t days, days_left; /* ACCOUNT_LOCK_FOREVER: for ever */
};
/* A log-in with the right or a wrong password, for an account with failed_logins and lock_days.
 * Counted in the storage, for all nodes: login_lock.c. May park. */
MUST_USE db_err accounts_note_login(struct accounts *a, const struct account *account, bool right,
                                    struct diag *diag, struct login_block *ret);
/* Nothing has failed so far. May park. */
MUST_USE db_err accounts_forget_failures(struct accounts *a, struct diag *diag);

/* ---- reading a generation ---- */

/* NULL: there is none. Users compare by bytes, hosts without case. */
const struct acl_user *acl_find(const struct acl *acl, struct slice user, struct slice host);
/* The account that (user, host) connects as: the most specific host, then a named user before the
 * anonymous one (MYSQL: access control, stage 1). NULL: none. */
const struct acl_user *acl_match(const struct acl *acl, struct slice user, struct slice host);
/* Does the host pattern of an account (%, _, 192.0.2.0/255.255.255.0, 192.0.2.0/24) fit? */
bool acl_host_fits(const char *pattern, struct slice host);
/* Of accounts whose host fits: the more specific host has the greater number, below 4,096. */
unsigned acl_host_rank(const struct acl_user *u, struct slice host);
/* More specific patterns have a greater number. */
unsigned acl_specificity(struct slice pattern);
/* Does a database pattern (%, _, \) fit the name? */
bool acl_db_fits(struct slice pattern, struct slice schema);
/* Is every name that fits the other pattern one that fits this one? (May say no to patterns whose
 * wildcards stand in another order.) */
bool acl_db_covers(struct slice pattern, struct slice other);

const struct acl_table *acl_table_of(const struct acl_user *u, struct slice schema,
                                     struct slice name);
const struct acl_routine *acl_routine_of(const struct acl_user *u, enum acl_routine_kind kind,
                                         struct slice schema, struct slice name);
/* What is granted on some columns of a table. */
priv_t acl_table_columns(const struct acl_table *t);
const struct acl_role *acl_role_of(const struct acl_user *u, const struct acl_name *role);

/* ---- changing ---- */

struct acl_change;
/* One at a time in the cluster; waits. May park. */
MUST_USE db_err acl_change_begin(struct accounts *a, struct diag *diag, struct acl_change **ret);
/* Storage first, then published on this node. Frees the change whatever it returns. May park. */
MUST_USE db_err acl_change_commit(struct acl_change *c, struct diag *diag);
void acl_change_abort(struct acl_change *c); /* NULL is fine */
/* The state with the edits made so far; valid until the next edit. */
const struct acl *acl_change_view(const struct acl_change *c);
/* The account to be edited in place with the functions below; NULL in *ret when there is none. */
MUST_USE db_err acl_change_edit(struct acl_change *c, struct slice user, struct slice host,
                                struct acl_user **ret);
MUST_USE db_err acl_change_add(struct acl_change *c, const struct account *account,
                               struct acl_user **ret);
/* Also takes it out of what is granted to others: roles, default roles, proxies. */
MUST_USE db_err acl_change_drop(struct acl_change *c, struct slice user, struct slice host);
/* Everywhere it is named. The new name must be free. */
MUST_USE db_err acl_change_rename(struct acl_change *c, struct slice user, struct slice host,
                                  struct slice new_user, struct slice new_host);

/* ---- editing one account (acl_user.c): text is copied; ERR_NOMEM ---- */

struct acl_object {
    struct slice schema, name;
    struct slice grantor;
};
MUST_USE db_err acl_user_set_db(struct acl_user *u, struct slice pattern, priv_t privs);
MUST_USE db_err acl_user_set_restriction(struct acl_user *u, struct slice schema, priv_t privs);
/* privs 0 and no column: the entry goes. */
MUST_USE db_err acl_user_set_table(struct acl_user *u, const struct acl_object *o, priv_t privs);
MUST_USE db_err acl_user_set_column(struct acl_user *u, const struct acl_object *o,
                                    struct slice column, priv_t privs);
MUST_USE db_err acl_user_set_routine(struct acl_user *u, enum acl_routine_kind kind,
                                     const struct acl_object *o, priv_t privs);
MUST_USE db_err acl_user_add_role(struct acl_user *u, const struct acl_name *role, bool admin);
bool acl_user_remove_role(struct acl_user *u, const struct acl_name *role);
MUST_USE db_err acl_user_set_default_roles(struct acl_user *u, const struct acl_name *roles,
                                           uint32_t count);
MUST_USE db_err acl_user_set_proxy(struct acl_user *u, const struct acl_name *proxied,
                                   bool with_grant, struct slice grantor);
bool acl_user_remove_proxy(struct acl_user *u, const struct acl_name *proxied);
/* The history of passwords: one more; only what may not be used again is kept: the `count` newest
 * and those since `since_us`. */
MUST_USE db_err acl_user_add_past(struct acl_user *u, struct slice hash, uint64_t time_us);
void acl_user_trim_past(struct acl_user *u, uint32_t count, uint64_t since_us);
/* REVOKE ALL PRIVILEGES, GRANT OPTION: nothing is left but roles. */
void acl_user_clear(struct acl_user *u);

#endif
