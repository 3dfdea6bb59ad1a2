/* A statement's conditions: what SHOW WARNINGS shows. One area per session, cleared by each
 * statement that is not a diagnostic one. Not thread-safe. */
#ifndef SKEIN_SQL_DIAG_DIAG_AREA_H
#define SKEIN_SQL_DIAG_DIAG_AREA_H

#include "base/arena.h"
#include "base/diag.h"

enum diag_level { DIAG_NOTE, DIAG_WARNING, DIAG_ERROR };

struct diag_condition {
    enum diag_level level;
    uint16_t number;
    char sqlstate[6];
    struct slice text; /* owned by the area */
};

struct diag_area {
    struct arena arena;
    struct diag_condition *conditions;
    uint32_t count; /* kept: at most `max` */
    uint32_t cap;
    uint32_t max;           /* max_error_count */
    uint64_t warning_count; /* all, kept or not: @@warning_count */
    uint64_t error_count;   /* errors among them: @@error_count */
    bool notes;             /* sql_notes */
};

void diag_area_init(struct diag_area *a, struct mem_tracker *mem);
void diag_area_fini(struct diag_area *a);
/* For the next statement. max and notes are kept. */
void diag_area_clear(struct diag_area *a);
/* Counts always; keeps the condition while there is room (memory running out only loses the text).
 */
void diag_area_add(struct diag_area *a, enum diag_level level, uint16_t number, struct slice text);
void diag_area_add_diag(struct diag_area *a, const struct diag *diag); /* as an error */
const char *diag_level_name(enum diag_level level); /* "Note", "Warning", "Error" */

#endif
