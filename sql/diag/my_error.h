/* Raising MySQL's errors by symbol. */
#ifndef SKEIN_SQL_DIAG_MY_ERROR_H
#define SKEIN_SQL_DIAG_MY_ERROR_H

#include <stdarg.h>
#include <stdint.h>

#include "base/diag.h"
#include "base/err.h"
#include "base/slice.h"

/* The symbols; values are MySQL's numbers. */
enum my_errno {
#define MYERR(symbol, number, sqlstate, text) symbol = number,
#include "sql/diag/mysql_errors.def"
#undef MYERR
};

/* Fills the diag (may be NULL) with number, SQLSTATE and the formatted message; returns ERR_SQL.
 * The arguments are those of the row's format; a NULL string is shown as "(null)". */
db_err my_error(struct diag *diag, enum my_errno number, ...);
db_err my_verror(struct diag *diag, enum my_errno number, va_list args);
/* The message alone, for warnings; returns its length (without the NUL, cut to size - 1). */
size_t my_error_text(char *out, size_t size, enum my_errno number, ...);
size_t my_error_vtext(char *out, size_t size, enum my_errno number, va_list args);

/* SQLSTATE of a number; "HY000" for one that is not known. Static. */
const char *my_sqlstate(uint16_t number);
/* "ER_DUP_ENTRY"; NULL for a number that is not known. Static. */
const char *my_error_symbol(uint16_t number);

#endif
