/* Accounts as statements: SHOW GRANTS and SHOW CREATE USER. */
#ifndef SKEIN_SQL_PRIV_GRANTS_TEXT_H
#define SKEIN_SQL_PRIV_GRANTS_TEXT_H

#include "base/buf.h"
#include "sql/priv/check.h"

/* `name`@`host` */
MUST_USE db_err grants_put_name(struct buf *out, struct slice user, struct slice host);
/* The same in the arena; "?" without memory. */
const char *grants_name(struct arena *a, struct slice user, struct slice host);

/* The grants of an account with those of some roles (and theirs) added, in a copy that lives as
 * long as the arena. */
MUST_USE db_err grants_merge(struct arena *arena, const struct acl *acl, const struct acl_user *u,
                             const struct acl_name *roles, uint32_t count,
                             const struct acl_user **ret);

/* How names are written: those of objects by `name`, of the account within quotes. Roles stand in
 * backquotes. */
struct grants_style {
    db_err (*name)(struct buf *out, struct slice name, const void *arg);
    const void *arg;
    char quote;
    bool plain_backslash; /* NO_BACKSLASH_ESCAPES: a backslash in a text is one */
    bool hex_hashes;      /* print_identified_with_as_hex: of those that cannot be printed */
};
struct grants_sink {
    db_err (*line)(struct grants_sink *sink, struct slice text);
    struct grants_style style;
};
/* SHOW GRANTS: a line each. `mandatory` roles are shown as granted. */
MUST_USE db_err grants_lines(const struct acl_user *u, const struct acl_name *mandatory,
                             uint32_t mandatory_count, struct grants_sink *sink);
/* SHOW CREATE USER: the account's name is written by style->name. */
MUST_USE db_err grants_create_user(const struct acl_user *u, const struct grants_style *style,
                                   struct buf *out);

#endif
