/* Internal errors to MySQL's: the only place that does so. */
#ifndef SKEIN_SQL_DIAG_ERR_MAP_H
#define SKEIN_SQL_DIAG_ERR_MAP_H

#include <stdbool.h>

#include "sql/diag/my_error.h"

/* Makes *diag say err as a client will see it: number, SQLSTATE and MySQL's text are set on return.
 * What diag->text held before (a detail for people) is used where MySQL's text has room for one. A
 * diag that already has a number is left alone. err must not be ERR_OK. */
void err_map(struct diag *diag, db_err err);

/* The MySQL number that err becomes; 0 for ERR_OK and for ERR_SQL (the diag has it). */
enum my_errno err_map_number(db_err err);

/* After this error, has the server rolled the whole transaction back (as for 1213), so that the
 * session must too? */
bool err_map_aborts_txn(db_err err);

#endif
