/* What clients have asked and been told, and whether one order of time explains it. Times are ticks
 * of the world: a later event has a greater tick. */
#ifndef SKEIN_TESTS_SIM_NODES_HISTORY_H
#define SKEIN_TESTS_SIM_NODES_HISTORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define TICK_NEVER UINT64_MAX

enum outcome { OUTCOME_UNKNOWN, OUTCOME_YES, OUTCOME_NO };

/* ---- registers: single rows that are written and read whole ---- */

struct reg_op {
    uint64_t begin, end; /* end: TICK_NEVER while nothing was heard */
    uint32_t value;      /* writes: unique, not 0; reads: 0 = absent */
    bool write;
    enum outcome outcome;
};

struct reg_history {
    struct reg_op *ops;
    size_t count, cap;
};

size_t reg_begin(struct reg_history *h, bool write, uint32_t value, uint64_t now);
void reg_end(struct reg_history *h, size_t op, uint32_t value, enum outcome outcome, uint64_t now);
/* Is there one moment within each operation such that each read gives what was last written? On
 * false a text says what contradicts what. */
bool reg_linearizable(const struct reg_history *h, char *text, size_t text_size);

/* ---- lists that values are appended to ---- */

enum { LISTS = 4, EVENT_READS_MAX = 4, EVENT_APPENDS_MAX = 3 };

/* All of it belongs to one moment: a commit with what it read under locks, or a snapshot. */
struct list_event {
    const char *name; /* static */
    uint64_t begin, end;
    enum outcome outcome; /* of a commit; snapshots: YES */
    uint32_t before;      /* an event that is earlier in the same transaction, + 1; 0: none */
    unsigned read_count, append_count;
    struct list_read {
        uint8_t list;
        uint32_t count; /* values seen */
        uint32_t last;  /* the last of them */
    } reads[EVENT_READS_MAX];
    struct list_append {
        uint8_t list;
        uint32_t value;
    } appends[EVENT_APPENDS_MAX];
};

struct list_history {
    struct list_event *events;
    size_t count, cap;
};

/* The event's number. */
size_t list_begin(struct list_history *h, const char *name, uint64_t now);
void list_read(struct list_history *h, size_t event, unsigned list, uint32_t count, uint32_t last);
void list_append(struct list_history *h, size_t event, unsigned list, uint32_t value);
void list_end(struct list_history *h, size_t event, enum outcome outcome, uint64_t now);

struct list_final {
    const uint32_t *values;
    size_t count;
};
/* No acknowledged append is lost, no refused one is there, none is there twice, every read is the
 * beginning of the final list, and "must be before" has no cycle. */
bool list_consistent(const struct list_history *h, const struct list_final final[LISTS], char *text,
                     size_t text_size);

#endif
