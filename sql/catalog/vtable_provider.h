/* Tables whose rows are made when they are read: INFORMATION_SCHEMA and the like. */
#ifndef SKEIN_SQL_CATALOG_VTABLE_PROVIDER_H
#define SKEIN_SQL_CATALOG_VTABLE_PROVIDER_H

#include "base/arena.h"
#include "base/diag.h"
#include "sql/catalog/schema.h"

/* Takes one row: a value per column of the table, NULL allowed; copied before it returns. */
struct vtable_rows {
    db_err (*add)(struct vtable_rows *rows, const struct value *values);
};

/* What MySQL has instead. */
enum vtable_kind {
    VTABLE_OF_DICTIONARY, /* a view of tables that have transactions, or such a table */
    VTABLE_WITHOUT_TRANSACTIONS,
    VTABLE_OF_NO_ENGINE
};

struct vtable_provider {
    enum vtable_kind kind;
    /* Makes all rows. `session` is the exec_ctx's session (sql/session). May park. arena: scratch
     * for this call. */
    db_err (*fill)(const struct table_def *table, void *session, struct arena *arena,
                   struct vtable_rows *rows, struct diag *diag);
};

#endif
