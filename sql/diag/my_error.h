/* MySQL's errors: numbers, SQLSTATEs and texts (mysql_errors.def). */
#ifndef SKEIN_SQL_DIAG_MY_ERROR_H
#define SKEIN_SQL_DIAG_MY_ERROR_H

#include <stdarg.h>

#include "base/diag.h"

enum my_errno {
#define MYERR(symbol, number, sqlstate, format)        symbol = number,
#define MYERR_UNSEEN(symbol, number, sqlstate, format) symbol = number,
#define MYERR_NO_TEXT(symbol, number, sqlstate)        symbol = number,
#include "sql/diag/mysql_errors.def"
#undef MYERR
#undef MYERR_UNSEEN
#undef MYERR_NO_TEXT
};

/* Fills diag (may be NULL) and returns ERR_SQL. The arguments are those of the error's format in
 * mysql_errors.def. Texts end at 511 bytes, never within a UTF-8 character. */
db_err my_error(struct diag *diag, enum my_errno number, ...);
db_err my_verror(struct diag *diag, enum my_errno number, va_list args);
db_err my_verror_as(struct diag *diag, enum my_errno number, enum my_errno format_of, va_list args);

/* The text, in *room, for what is told as a warning. */
const char *my_vtext(struct diag *room, enum my_errno number, va_list args);

/* `number` with the format of another error: MySQL says 1292 with four different texts. */
db_err my_error_as(struct diag *diag, enum my_errno number, enum my_errno format_of, ...);

/* As my_error; `position` is the byte offset of the cause in the statement. */
db_err my_error_at(struct diag *diag, uint32_t position, enum my_errno number, ...);

/* Stack for recursion over a statement's trees, whose depth its text decides: it grows when it must
 * (fiber_stack_reserve). 1436 when it may not grow that far. */
enum {
    MY_STACK_STEP = 64 * 1024, /* enough for all that is called between two checks */
};
db_err my_stack_reserve(struct diag *diag, size_t bytes);
/* For functions that walk down a tree of so many levels from here on without a check. */
db_err my_stack_for_levels(struct diag *diag, size_t levels);

/* Static strings. An unknown number gives ER_UNKNOWN_ERROR's. */
const char *my_error_format(enum my_errno number);
const char *my_error_sqlstate(enum my_errno number);
const char *my_error_symbol(enum my_errno number);

#endif
