/* The contract of storage.h as a suite that runs on any implementation.
 *
 * A backend's own test opens its storage and calls storage_conformance_run from a fiber. Every case
 * works under a key prefix of its own, so cases do not disturb each other and the storage need not
 * be empty. */
#ifndef SKEIN_SQL_STORAGE_CONFORMANCE_H
#define SKEIN_SQL_STORAGE_CONFORMANCE_H

#include "base/loop.h"
#include "sql/storage/storage.h"

struct conformance_opts {
    struct loop_group *loops; /* concurrent cases spread their fibers over these; NULL: this loop */
    struct slice prefix;      /* of all keys; may be empty */
    const char *only;         /* run the cases whose name contains this; NULL: all */
    bool print;               /* a line per case on stdout */
    uint64_t seed;
};

struct conformance_report {
    unsigned run;
    unsigned failed;
    char first[512]; /* case, place and reason of the first failure */
};

/* May park. Afterwards the storage holds leftovers under the prefix. */
void storage_conformance_run(struct storage *s, const struct conformance_opts *opts,
                             struct conformance_report *ret_report);

#endif
