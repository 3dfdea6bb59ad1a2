/* Accounts: who may connect, and how they prove it.
 *
 * Kept in the storage under KEYSPACE_SYSTEM ('U' | account), and decoded in memory. In developer
 * mode (no account was ever made or given a password) root may connect without a password from the
 * same machine. */
#ifndef SKEIN_SQL_PRIV_ACCOUNT_H
#define SKEIN_SQL_PRIV_ACCOUNT_H

#include "base/arena.h"
#include "base/diag.h"
#include "base/slice.h"

struct storage;
struct accounts;

enum {
    ACCOUNT_NAME_MAX = 32 * 4,
    ACCOUNT_HOST_MAX = 255,
    ACCOUNT_AUTH_MAX = 255,
    ACCOUNT_PLUGIN_MAX = 31
};

struct account {
    char user[ACCOUNT_NAME_MAX + 1];
    char host[ACCOUNT_HOST_MAX + 1];
    char plugin[ACCOUNT_PLUGIN_MAX + 1];
    char auth[ACCOUNT_AUTH_MAX + 1]; /* as mysql.user.authentication_string */
    uint16_t auth_len;
    bool locked, require_tls, password_expired;
    bool developer; /* password-less root of developer mode: loopback only */
};

/* Reads all; in an empty storage makes root@localhost of developer mode. May park. */
MUST_USE db_err accounts_open(struct storage *storage, struct diag *diag, struct accounts **ret);
void accounts_close(struct accounts *a);
/* Another node has changed accounts: reads all again. May park. */
MUST_USE db_err accounts_reload(struct accounts *a, struct diag *diag);
/* The account that (user, host) connects as: the most specific host pattern wins (MYSQL: access
 * control, stage 1). False: none. Any thread. */
bool accounts_match(struct accounts *a, struct slice user, struct slice host, struct account *ret);
bool accounts_get(struct accounts *a, struct slice user, struct slice host, struct account *ret);
/* Calls fn for each; stops at false. */
void accounts_each(struct accounts *a, bool (*fn)(void *arg, const struct account *account),
                   void *arg);

/* Stores an account (new or changed) durably. May park. */
MUST_USE db_err accounts_put(struct accounts *a, const struct account *account, struct diag *diag);
MUST_USE db_err accounts_drop(struct accounts *a, struct slice user, struct slice host,
                              struct diag *diag);
/* Fills plugin and auth from a clear-text password. Takes milliseconds (runs on the blocking pool
 * in a fiber). ERR_SQL 1524 for a plugin that is not known. */
MUST_USE db_err account_set_password(struct account *account, struct slice plugin,
                                     struct slice password, struct diag *diag);
/* As CREATE USER ... IDENTIFIED WITH plugin AS 'hash'. 1827: not a hash of that plugin. */
MUST_USE db_err account_set_hash(struct account *account, struct slice plugin, struct slice hash,
                                 struct diag *diag);

#endif
