/* Private to the conformance suite: the context of a case and its checks. */
#ifndef SKEIN_SQL_STORAGE_CONFORMANCE_INT_H
#define SKEIN_SQL_STORAGE_CONFORMANCE_INT_H

#include <stdio.h>

#include "base/fiber.h"
#include "base/rand.h"
#include "sql/storage/conformance.h"

struct conf {
    struct storage *s;
    const struct conformance_opts *opts;
    const char *name; /* of the case: part of its keys */
    struct arena arena;
    struct diag diag;
    struct rand rand;
    _Atomic int failed;
    char reason[512];
};

typedef void (*conf_case)(struct conf *c);

struct conf_row {
    const char *name;
    conf_case fn;
};

/* Notes the first failure of the case. Thread-safe. */
void conf_fail(struct conf *c, const char *file, int line, const char *what, db_err err);

#define CHECK(cond)                                                                                \
    do {                                                                                           \
        if (!(cond)) {                                                                             \
            conf_fail(c, __FILE__, __LINE__, #cond, ERR_OK);                                       \
            return;                                                                                \
        }                                                                                          \
    } while (0)
#define CHECK_ERR(call, want)                                                                      \
    do {                                                                                           \
        db_err check_err_ = (call);                                                                \
        if (check_err_ != (want)) {                                                                \
            conf_fail(c, __FILE__, __LINE__, #call " gives " #want, check_err_);                   \
            return;                                                                                \
        }                                                                                          \
    } while (0)
#define CHECK_OK(call) CHECK_ERR(call, ERR_OK)

/* prefix | case name | '/' | text; in the case's arena. */
struct slice conf_key(struct conf *c, const char *text);
struct slice conf_key_n(struct conf *c, uint64_t n); /* ... | 8 bytes big endian */
/* First key after all of the case's. */
struct slice conf_end(struct conf *c);
struct storage_txn *conf_begin(struct conf *c, enum storage_isolation isolation);
/* In a transaction of its own. */
db_err conf_put(struct conf *c, struct slice key, struct slice value);
/* The newest committed value, as a point select reads it. */
bool conf_has(struct conf *c, struct slice key, struct slice value);
bool conf_absent(struct conf *c, struct slice key);
/* What the transaction sees. */
bool conf_sees(struct conf *c, struct storage_txn *t, enum storage_read_mode mode, struct slice key,
               struct slice value);
bool conf_sees_none(struct conf *c, struct storage_txn *t, struct slice key);
/* Runs fn(arg) in n fibers over the loops and waits for all. */
struct conf_fiber {
    struct conf *c;
    unsigned index;
    void *arg;
};
void conf_parallel(struct conf *c, unsigned n, void (*fn)(struct conf_fiber *f), void *arg);

extern const struct conf_row conf_basic_cases[];
extern const struct conf_row conf_scan_cases[];
extern const struct conf_row conf_lock_cases[];
extern const struct conf_row conf_gap_cases[];

#endif
