/* The conditions (notes, warnings, errors) of a session's last statement: what SHOW WARNINGS
 * prints.
 *
 * One owner (the session's fiber). Texts are kept in the area's own arena until the next reset. At
 * most `max` conditions (max_error_count) are kept; those beyond it are only counted, as MySQL
 * does. */
#ifndef SKEIN_SQL_DIAG_DIAG_AREA_H
#define SKEIN_SQL_DIAG_DIAG_AREA_H

#include "base/arena.h"
#include "sql/diag/my_error.h"

enum { DIAG_AREA_MAX_DEFAULT = 1024, DIAG_AREA_MAX_LIMIT = 65535 };

enum { DIAG_ITEM_COUNT = 10 }; /* CLASS_ORIGIN .. CURSOR_NAME of GET DIAGNOSTICS */

enum diag_level {
    DIAG_NOTE,
    DIAG_WARNING,
    DIAG_ERROR,
};

struct diag_condition {
    enum diag_level level;
    uint16_t number;
    char sqlstate[6];
    struct slice text;         /* owned by the area */
    const struct slice *items; /* DIAG_ITEM_COUNT names that SIGNAL gave (CLASS_ORIGIN ..), ptr NULL
                                  where it gave none; in the area's arena; or NULL */
};

struct diag_area {
    struct arena arena;
    struct diag_condition *conditions;
    uint32_t count; /* kept */
    uint32_t cap;
    uint32_t max;    /* max_error_count */
    bool notes_off;  /* sql_notes = 0: notes are neither kept nor counted */
    uint64_t total;  /* @@warning_count: all of them, kept or not */
    uint64_t errors; /* @@error_count */
    /* The counts of the statement before, as @@warning_count shows them. Whoever reads them sets
     * last_read: they then outlive that statement too. */
    uint64_t last_total, last_errors;
    bool last_read;
    const struct slice *next_items; /* of the condition that is added next */
    uint64_t row;                   /* the row that "at row %ld" speaks of; 1 for the first */
};

void diag_area_init(struct diag_area *area);
void diag_area_fini(struct diag_area *area);
/* A new statement begins: forgets conditions and counts, row becomes 1; max and notes_off stay. */
void diag_area_reset(struct diag_area *area);
/* The statement begins anew: forgets conditions and counts. */
void diag_area_forget(struct diag_area *area);

/* What is there so far. Zeroes: nothing. */
struct diag_area_mark {
    uint32_t count;
    uint64_t total, errors;
};
struct diag_area_mark diag_area_mark(const struct diag_area *area);
/* Forgets conditions and counts that came after the mark, with no reset between. */
void diag_area_forget_since(struct diag_area *area, const struct diag_area_mark *mark);

/* "Note", "Warning", "Error". */
const char *diag_level_name(enum diag_level level);

/* Adds a condition with the format of `number`. area may be NULL. Memory that is out only loses the
 * text's entry: the condition is still counted. */
void diag_area_note(struct diag_area *area, enum my_errno number, ...);
void diag_area_warn(struct diag_area *area, enum my_errno number, ...);
/* A warning of `number` with the text of another: see my_error_as. */
void diag_area_warn_as(struct diag_area *area, enum my_errno number, enum my_errno format_of, ...);
/* Adds what a diag says (its number 0 counts as ER_UNKNOWN_ERROR). */
void diag_area_add(struct diag_area *area, enum diag_level level, const struct diag *diag);
/* Adds the error with which the statement ends, unless it has been told of when it was met. */
void diag_area_fail(struct diag_area *area, const struct diag *diag);
/* Adds what another area keeps, behind what is there. */
void diag_area_append(struct diag_area *area, const struct diag_area *from);

#endif
