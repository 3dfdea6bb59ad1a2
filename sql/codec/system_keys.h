/* Records of the system in the key space: keyspace tag | kind | what the kind's owner adds. This is
 * the one list of the kinds, so that no two owners take the same. Pure. */
#ifndef SKEIN_SQL_CODEC_SYSTEM_KEYS_H
#define SKEIN_SQL_CODEC_SYSTEM_KEYS_H

#include "base/slice.h"

enum { KEYSPACE_SYSTEM = 0x01 };

enum system_record {
    SYSTEM_ACCOUNTS_VERSION = 'A', /* sql/priv, acl_store.c */
    SYSTEM_PENDING_DROP = 'D',     /* sql/catalog, pending_drop.c */
    SYSTEM_FAILED_LOGINS = 'F',    /* sql/priv, login_lock.c */
    SYSTEM_GLOBALS = 'G',          /* sql/session, globals.c */
    SYSTEM_USER_LOCK = 'L',        /* sql/session, user_lock_table.c */
    SYSTEM_SCHEMA = 'S',           /* sql/catalog, catalog.c */
    SYSTEM_TABLE = 'T',            /* sql/catalog, catalog.c */
    SYSTEM_ACCOUNT = 'U',          /* sql/priv, acl_record.c */
    SYSTEM_CATALOG_VERSION = 'V',  /* sql/catalog, catalog.c */
};

enum { SYSTEM_KEY_HEAD = 2 };

/* Writes the tag and the kind at the front of a key of at least SYSTEM_KEY_HEAD bytes. */
static inline void system_key_head(uint8_t *key, enum system_record kind)
{
    key[0] = KEYSPACE_SYSTEM;
    key[1] = (uint8_t)kind;
}

/* The range of the keys of the kinds first..last: start is the lowest, end is above them. Both
 * borrow the bytes. */
struct system_range {
    struct slice start, end;
    uint8_t bytes[2][SYSTEM_KEY_HEAD];
};

static inline void system_range(struct system_range *r, enum system_record first,
                                enum system_record last)
{
    system_key_head(r->bytes[0], first);
    system_key_head(r->bytes[1], last);
    r->bytes[1][1]++;
    r->start = slice_of(r->bytes[0], SYSTEM_KEY_HEAD);
    r->end = slice_of(r->bytes[1], SYSTEM_KEY_HEAD);
}

#endif
