/* The one place where internal error codes become MySQL's. */
#ifndef SKEIN_SQL_DIAG_ERR_MAP_H
#define SKEIN_SQL_DIAG_ERR_MAP_H

#include "base/diag.h"

/* Makes sure that *diag says a MySQL error for err: one that a SQL layer has filled stays; others
 * get number, SQLSTATE and text, the text found in the diag behind it. AMBIGUOUS errors never
 * become a plain failure. */
void err_to_mysql(db_err err, struct diag *diag);

#endif
