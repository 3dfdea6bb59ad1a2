/* What went wrong, for a person: owned by the caller of the function that fills it.
 *
 * db_err tells programs how to react; a diag tells people what happened and what to do next. For
 * ERR_SQL the diag carries MySQL's error number and SQLSTATE. Functions take `struct diag *` last
 * but for outputs; it may be NULL. */
#ifndef SKEIN_BASE_DIAG_H
#define SKEIN_BASE_DIAG_H

#include <stdarg.h>
#include <stdint.h>

#include "base/err.h"

enum { DIAG_TEXT_SIZE = 512 }; /* MySQL's own messages end at 512 bytes */

struct diag {
    db_err err;
    uint16_t number;   /* MySQL error number, 0 when not yet mapped */
    char sqlstate[6];  /* "" when number is 0 */
    uint32_t position; /* byte offset in the statement + 1, 0 = none */
    uint64_t data;     /* for the caller that reacts: e.g. the start_ts of the lock in the way */
    char text[DIAG_TEXT_SIZE];
};

void diag_reset(struct diag *d);
/* Fills the diag (if not NULL) and returns err, so that `return diag_set(d, ERR_X, "...")` works.
 */
db_err diag_set(struct diag *d, db_err err, const char *fmt, ...) PRINTF_LIKE(3, 4);
db_err diag_vset(struct diag *d, db_err err, const char *fmt, va_list args);
/* As diag_set for a SQL error with number and SQLSTATE; returns ERR_SQL. */
db_err diag_set_sql(struct diag *d, uint16_t number, const char *sqlstate, const char *fmt, ...)
    PRINTF_LIKE(4, 5);
/* Puts "context: " before the text that is there, keeping the code; returns err. */
db_err diag_context(struct diag *d, db_err err, const char *fmt, ...) PRINTF_LIKE(3, 4);

#endif
