/* What a session may do, and the errors when it may not.
 *
 * struct priv_session is a session's own view of the accounts: a reference to one generation, its
 * account with the roles that are active, and the sum of their global privileges. It is brought up
 * to date at the start of each statement (priv_refresh: one atomic load when nothing has changed)
 * and used by one fiber. Whoever has a privilege at *.* is answered by one comparison.
 *
 * MYSQL: static privileges at *.* are those of the moment of the log-in (or SET ROLE); grants on
 * databases, tables and columns, roles and dynamic privileges count from the next statement on. */
#ifndef SKEIN_SQL_PRIV_CHECK_H
#define SKEIN_SQL_PRIV_CHECK_H

#include "sql/priv/acl.h"

/* MYSQL: while no role is active, what is granted on databases, tables and routines goes by the
 * user's name and the client's host or address: also that of other accounts of the name whose host
 * fits, and on databases of the anonymous ones. */
struct priv_beside {
    const struct acl_user *user;
    unsigned host_rank;
    bool anonymous; /* and the account is not */
};

/* In whose name something is done: an account with active roles. */
struct priv_subject {
    const struct acl_user **members; /* the account, then its active roles and theirs; NULL gone */
    uint32_t count;
    struct priv_beside *beside; /* the account among them, the most specific host first */
    uint32_t beside_count;      /* 0: there are no others */
    priv_t global;              /* of all members */
    priv_dyn_t dynamic;
    bool restricted; /* there are partial revokes */
    /* MYSQL: of the current database what was granted on it when it became that. ptr NULL: none */
    struct slice current;
    priv_t on_current;
};

enum { PRIV_SCHEMA_SIZE = 256 };

struct priv_session {
    struct accounts *accounts; /* NULL: everything is allowed (inside the server) */
    const struct acl *acl;
    uint64_t generation;
    struct priv_subject subject;
    priv_t login_global;
    struct arena arena;       /* names, roles, members */
    struct slice user, host;  /* the account */
    struct slice client_host; /* MYSQL: table errors name the client's host, others the account's */
    struct slice client_address; /* or empty */
    bool used_password;
    struct acl_name *roles; /* active ones, sorted */
    uint32_t role_count;
    struct acl_name *mandatory; /* @@mandatory_roles when the session logged in */
    uint32_t mandatory_count;
    char current[PRIV_SCHEMA_SIZE]; /* subject.current */
};

enum priv_login_roles { PRIV_ROLES_DEFAULT, PRIV_ROLES_ALL };

/* A session logs in as (user, host) of mysql.user. The default roles (or all) become active. */
MUST_USE db_err priv_login(struct priv_session *p, struct accounts *accounts, struct slice user,
                           struct slice host, struct slice client_host, struct slice client_address,
                           enum priv_login_roles roles, const struct acl_name *mandatory,
                           uint32_t mandatory_count);
void priv_fini(struct priv_session *p); /* zeroed memory is fine */
MUST_USE db_err
priv_refresh_slow(struct priv_session *p); /* anew, whether or not it is out of date */
/* Before each statement. ERR_NOMEM. */
MUST_USE static inline db_err priv_refresh(struct priv_session *p)
{
    return LIKELY(p->accounts == NULL || p->generation == accounts_generation(p->accounts))
               ? ERR_OK
               : priv_refresh_slow(p);
}
/* Is the role granted to the account, directly or as a mandatory one? */
bool priv_may_set_role(const struct priv_session *p, const struct acl_name *role);
/* Makes exactly these roles active (each is granted to the account). */
MUST_USE db_err priv_set_roles(struct priv_session *p, const struct acl_name *roles,
                               uint32_t count);
/* The database becomes the current one; an empty name: there is none. */
void priv_enter_schema(struct priv_session *p, struct slice schema);
/* As if there were no current database: what counts for USE. */
struct priv_subject priv_anew(const struct priv_session *p);
/* The account itself; NULL: it is gone. */
const struct acl_user *priv_self(const struct priv_session *p);
/* Another account without roles, as a definer acts. Members are borrowed from the generation. */
struct priv_subject priv_subject_of(const struct acl_user **slot);

/* ---- what is allowed ---- */

/* All of `want` at *.*, and not partially revoked anywhere. */
static inline bool priv_everywhere(const struct priv_subject *s, priv_t want)
{
    return LIKELY((s->global & want) == want && !s->restricted);
}
/* Privileges on a database: at *.* and db.*, less what is partially revoked. */
priv_t priv_on_schema(const struct priv_subject *s, struct slice schema);
/* On every database that a pattern (%, _, \) fits. */
priv_t priv_on_pattern(const struct priv_subject *s, struct slice pattern);
/* And on the table itself. ret_columns (or NULL): those granted on some of its columns. */
priv_t priv_on_table(const struct priv_subject *s, struct slice schema, struct slice table,
                     priv_t *ret_columns);
priv_t priv_on_column(const struct priv_subject *s, struct slice schema, struct slice table,
                      struct slice column); /* of the column itself only */
priv_t priv_on_routine(const struct priv_subject *s, enum acl_routine_kind kind,
                       struct slice schema, struct slice name);
/* Something in the database, or it as a whole: may it be the current one? */
bool priv_uses_schema(const struct priv_subject *s, struct slice schema);
/* And may its tables be listed? Here a table counts that there is only GRANT OPTION on. */
bool priv_lists_schema(const struct priv_subject *s, struct slice schema);
/* Is the database to be seen in SHOW DATABASES? */
bool priv_sees_schema(const struct priv_subject *s, struct slice schema);
/* Some privilege on the table or one of its columns. */
bool priv_sees_table(const struct priv_subject *s, struct slice schema, struct slice table);
/* MYSQL: SELECT on the database, or anything granted on the table or its columns: SHOW COLUMNS. */
bool priv_shows_table(const struct priv_subject *s, struct slice schema, struct slice table);
/* May the query of somebody else's view be seen? */
bool priv_defines_view(const struct priv_subject *s, struct slice schema, struct slice view);
/* MYSQL: GRANT ... PRIV_SUPER holds what a dynamic privilege was once part of. */
static inline bool priv_has(const struct priv_subject *s, priv_t any, priv_dyn_t any_dynamic)
{
    return (s->global & any) != 0 || (s->dynamic & any_dynamic) != 0;
}

/* ---- errors; the arena is for their text ---- */

/* 1044 */
db_err priv_deny_schema(const struct priv_session *p, struct slice schema, struct diag *diag);
/* 1045 */
db_err priv_deny_account(const struct priv_session *p, struct diag *diag);
/* 1142: `missing` of the privileges on the table. */
db_err priv_deny_table(const struct priv_session *p, priv_t missing, struct slice table,
                       struct diag *diag);
/* 1143 */
db_err priv_deny_column(const struct priv_session *p, priv_t missing, struct slice column,
                        struct slice table, struct diag *diag);

/* 1142 unless all of `want` is there at table level or above. */
MUST_USE db_err priv_need_table(const struct priv_session *p, priv_t want, struct slice schema,
                                struct slice table, struct diag *diag);
/* 1142 unless each of `want` is there, on the table or on some of its columns. */
MUST_USE db_err priv_need_somewhere(const struct priv_session *p, priv_t want, struct slice schema,
                                    struct slice table, struct diag *diag);
/* 1044 unless all of `want`. */
MUST_USE db_err priv_need_schema(const struct priv_session *p, priv_t want, struct slice schema,
                                 struct diag *diag);
/* 1227 with `text` ("SUPER or CONNECTION_ADMIN") unless one of the privileges is there. */
MUST_USE db_err priv_need_any(const struct priv_session *p, priv_t any, priv_dyn_t any_dynamic,
                              const char *text, struct diag *diag);

#endif
