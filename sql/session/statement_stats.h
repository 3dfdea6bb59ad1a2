/* What statements did: counted per normal form (MySQL's digest), per class and per account; the
 * source of performance_schema's summaries. Private to sql/session.
 *
 * A statement touches its session's counts only, under a lock that nobody else wants but readers; a
 * session gives them to the engine's a bunch at a time. Nothing here parks. */
#ifndef SKEIN_SQL_SESSION_STATEMENT_STATS_H
#define SKEIN_SQL_SESSION_STATEMENT_STATS_H

#include <stdatomic.h>

#include "base/buf.h"
#include "base/list.h"
#include "base/spin.h"

struct charset;

enum event_class {
#define EVENT_CLASS(symbol, name) EVENT_##symbol,
#include "sql/session/event_classes.def"
#undef EVENT_CLASS
    EVENT__COUNT
};
extern const char *const event_class_names[EVENT__COUNT];

struct statement_counts {
    uint64_t count, wait_us, min_us, max_us;
    uint64_t errors, warnings, affected, sent, examined, no_index, scans;
    uint64_t tmp_tables, full_joins, range_joins, ranges, sort_merges, sort_rows, sorts;
};
void statement_counts_add(struct statement_counts *into, const struct statement_counts *c);

/* ---- normal forms ---- */

enum { STATS_BUCKETS = 450, STATS_QUICK = 1024, STATS_ACCOUNTS_MAX = 4096 };

/* Which form: its place from 1 (STATS_FIRST is that of what did not fit), and above 32 bits how
 * often the place has been given up before. 0: none. A form that was forgotten is no form. */
typedef uint64_t digest_id;
enum { STATS_FIRST = 1 };

/* A place in the table: it stays until the engine ends, what is in it may be forgotten. */
struct digest_stats {
    struct spin lock; /* of all below */
    _Atomic uint32_t generation;
    _Atomic uint64_t hash;
    uint32_t next_free; /* guarded by statement_stats.lock */
    bool wanted;
    struct slice schema;           /* ptr NULL: none */
    struct slice tokens;           /* ptr NULL: of those that did not fit; or the place is free */
    const struct charset *charset; /* of the names in the tokens; NULL: UTF-8 */
    char hex[65];
    struct statement_counts counts;
    uint64_t first_us, last_us;
    uint32_t *buckets; /* STATS_BUCKETS; NULL: all empty, or no memory */
    char *sample;
    size_t sample_len;
    const struct charset *sample_charset;
    _Atomic uint64_t sample_wait_us, sample_seen_us;
};

struct account_stats { /* connections from one host of one user; never freed before the engine */
    struct list node;
    struct spin lock;
    struct slice user, host;
    uint64_t current, total; /* guarded by statement_stats.lock */
    struct statement_counts *by_class[EVENT__COUNT];
};

struct statement_stats {
    struct spin lock; /* of changes of the table, and of the list of accounts */
    uint32_t max, mask;
    _Atomic uint32_t count;  /* of places; the first is of what did not fit */
    _Atomic uint32_t *index; /* numbers of places, 0: free; TRUNCATE makes it anew */
    struct digest_stats **digests;
    _Atomic bool full;
    uint32_t free; /* the first of the places that were given up; 0: none */
    struct list accounts;
    uint16_t quick[STATS_QUICK]; /* buckets of short times */
};

/* digests_max 0: nothing is counted by form. */
MUST_USE db_err statement_stats_new(uint32_t digests_max, struct statement_stats **ret);
void statement_stats_free(struct statement_stats *s); /* NULL is fine */

/* The form, STATS_FIRST's when the table is full; 0: no memory, or nothing is counted by form. */
digest_id statement_stats_digest(struct statement_stats *s, struct slice schema, bool has_schema,
                                 struct slice tokens, const struct charset *charset);
/* Has it not been forgotten? An id that another thread has found must come from it by an acquire.
 */
bool statement_stats_knows(const struct statement_stats *s, digest_id id);
/* The form's place, locked: the caller unlocks it; NULL: 0, or it has been forgotten. */
struct digest_stats *statement_stats_lock(struct statement_stats *s, digest_id id);
/* All places: 1 to count; those whose counts are 0 show nothing. */
uint32_t statement_stats_count(struct statement_stats *s);
struct digest_stats *statement_stats_at(struct statement_stats *s, uint32_t place);
/* The next TRUNCATE leaves the form its place, for somebody who shows its name. */
void statement_stats_want(struct statement_stats *s, digest_id id);
/* Forgets the forms that nobody wants, and what is counted of the others; or what is counted by
 * class. */
void statement_stats_truncate(struct statement_stats *s, bool digests, bool classes);

/* Counts a connection of the account, which is made when it is not there; NULL: no memory, or too
 * many accounts. */
struct account_stats *statement_stats_connect(struct statement_stats *s, struct slice user,
                                              struct slice host);
void statement_stats_disconnect(struct statement_stats *s, struct account_stats *a);

/* ---- what a session has not given away yet ---- */

enum { STATS_SLOTS = 16, STATS_PENDING = 32, STATS_CLASSES = 24 };
struct stats_slot {
    digest_id digest;
    enum event_class class;
    struct statement_counts counts; /* count 0: free */
    uint64_t first_us, last_us;
    uint16_t pending[STATS_PENDING]; /* buckets */
};
struct session_stats {
    struct spin lock;
    struct account_stats *account;
    struct stats_slot slots[STATS_SLOTS];
    struct {
        enum event_class class;
        struct statement_counts counts;
    } classes[STATS_CLASSES]; /* of this session, since it began: the first ones; count 0: free */
};

uint32_t stats_bucket(uint64_t wait_us);
uint64_t stats_bucket_end_ps(uint32_t bucket);
/* One statement: c->count is 1. Under the session's lock. */
void session_stats_add(struct session_stats *s, struct statement_stats *all, digest_id digest,
                       enum event_class class, const struct statement_counts *c, uint64_t now_us);
/* Gives all away; any thread. */
void session_stats_fold(struct session_stats *s, struct statement_stats *all);

#endif
