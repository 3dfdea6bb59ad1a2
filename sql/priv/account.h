/* An account's credentials and options. What it may do: acl.h. */
#ifndef SKEIN_SQL_PRIV_ACCOUNT_H
#define SKEIN_SQL_PRIV_ACCOUNT_H

#include "base/arena.h"
#include "base/diag.h"
#include "base/slice.h"

enum {
    ACCOUNT_NAME_MAX = 32 * 4,
    ACCOUNT_HOST_MAX = 255,
    ACCOUNT_AUTH_MAX = 255,
    ACCOUNT_PLUGIN_MAX = 31
};

enum account_tls {
    ACCOUNT_TLS_NONE,
    ACCOUNT_TLS_ANY,
    ACCOUNT_TLS_X509,      /* any certificate of the client */
    ACCOUNT_TLS_SPECIFIED, /* tls_cipher, tls_issuer, tls_subject */
};

enum {
    ACCOUNT_UNSET = -1,       /* of the int32_t below: as the system variable says */
    ACCOUNT_LOCK_FOREVER = -1 /* of lock_days */
};
enum { ACCOUNT_HASH_ROUNDS = 10000 }; /* of caching_sha2_password, when nobody says otherwise */

struct account {
    char user[ACCOUNT_NAME_MAX + 1];
    char host[ACCOUNT_HOST_MAX + 1];
    char plugin[ACCOUNT_PLUGIN_MAX + 1];
    char auth[ACCOUNT_AUTH_MAX + 1]; /* as mysql.user.authentication_string */
    uint16_t auth_len;
    uint16_t old_auth_len;               /* 0: no second password */
    char old_auth[ACCOUNT_AUTH_MAX + 1]; /* the password retained beside the new one */
    bool locked, password_expired;
    bool developer; /* password-less root of developer mode: loopback only */
    enum account_tls tls;
    /* Owned by the arena of the struct acl_user that holds the account. */
    struct slice tls_cipher, tls_issuer, tls_subject;
    uint32_t max_questions, max_updates, max_connections, max_user_connections; /* 0: no limit */
    uint64_t password_changed_us;
    int32_t password_lifetime_days; /* 0: never expires */
    int32_t reuse_history, reuse_interval_days, require_current;
    /* Log-ins that may fail in a row, and the days that the account is then blocked; 0: any. */
    int32_t failed_logins, lock_days;
    uint64_t lock_epoch;     /* what failed under another one does not count any more */
    struct slice attributes; /* JSON object of ATTRIBUTE and COMMENT; ptr NULL: none */
};

/* An account without password that may not do anything. */
void account_init(struct account *account, struct slice user, struct slice host);

/* Fills plugin and auth from a clear-text password. Takes milliseconds (runs on the blocking pool
 * in a fiber). rounds: of caching_sha2_password, in thousands. ERR_SQL 1524 for a plugin that is
 * not known. */
MUST_USE db_err account_set_password(struct account *account, struct slice plugin,
                                     struct slice password, uint32_t rounds, struct diag *diag);
/* Is it the password of a stored form of either plugin? Takes milliseconds, as above. */
MUST_USE db_err account_password_fits(struct slice stored, struct slice password, bool *ret);
/* The second password goes. */
void account_discard_old(struct account *account);
/* As CREATE USER ... IDENTIFIED WITH plugin AS 'hash'. 1827: not a hash of that plugin. */
MUST_USE db_err account_set_hash(struct account *account, struct slice plugin, struct slice hash,
                                 struct diag *diag);

#endif
