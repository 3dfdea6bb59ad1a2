/* Private to sql/infoschema: how a table's rows are made.
 *
 * A fill function puts the values of a row one after the other, in the order of the columns of
 * tables.def, and ends it with is__end. Conversion to the column's type happens here. */
#ifndef SKEIN_SQL_INFOSCHEMA_FILL_H
#define SKEIN_SQL_INFOSCHEMA_FILL_H

#include "base/scope.h"
#include "sql/catalog/vtable_provider.h"
#include "sql/infoschema/infoschema.h"

struct is_rows {
    struct vtable_rows *rows;
    const struct table_def *table;
    struct value *values;
    uint32_t at; /* the next column */
    struct arena *arena;
    struct infoschema_env env;
    const struct infoschema_ops *ops;
    void *session;
    struct diag *diag;
};

typedef db_err (*is_fill_fn)(struct is_rows *r);

void is__text(struct is_rows *r, struct slice s); /* ptr NULL: NULL; the bytes live until is__end */
void is__str(struct is_rows *r, const char *text);
void is__uint(struct is_rows *r, uint64_t u);
void is__double(struct is_rows *r, double d);
void is__set(struct is_rows *r, uint64_t bits); /* of a SET column */
void is__null(struct is_rows *r);
void is__nulls(struct is_rows *r, uint32_t count);
/* A moment as TIMESTAMP or DATETIME in the session's zone; 0: NULL. */
void is__time(struct is_rows *r, uint64_t unix_us);
/* Gives the row to the reader; may park, ends with ERR_CANCELED when the statement should stop. */
MUST_USE db_err is__end(struct is_rows *r);

/* May the reader know of the database, the table, the column? */
bool is__sees_schema(const struct is_rows *r, const struct schema_def *s);
bool is__sees_table(const struct is_rows *r, const struct table_def *t);
/* The same of a name, whether there is such a table or not. */
bool is__sees_name(const struct is_rows *r, struct slice schema, struct slice name);
/* Is the table's primary key, its first column, not to be shown? */
bool is__hides_primary(const struct is_rows *r, const struct table_def *t);
/* What it may do with the column: SELECT, INSERT, UPDATE, REFERENCES. */
priv_t is__on_column(const struct is_rows *r, const struct table_def *t,
                     const struct column_def *c);

/* Calls fn for every table that the reader may know of, of every schema. */
MUST_USE db_err is__each_table(struct is_rows *r,
                               db_err (*fn)(struct is_rows *r, const struct schema_def *s,
                                            const struct table_def *t));

/* "PRI", "UNI", "MUL" or "": COLUMN_KEY. */
/* A stored expression as MySQL shows it in a column: quotes and backslashes escaped. */
db_err is__expression(struct is_rows *r, struct slice text, struct slice *ret);
const char *is__column_key(const struct table_def *t, uint32_t ordinal);

#define IS_TABLE(name, fill)    db_err is__fill_##fill(struct is_rows *r);
#define MEM_TABLE(name, fill)   db_err is__fill_##fill(struct is_rows *r);
#define PS_TABLE(name, fill)    db_err is__fill_##fill(struct is_rows *r);
#define MYSQL_TABLE(name, fill) db_err is__fill_##fill(struct is_rows *r);
#define IS_COLUMN(name, type, length, nullable, collation, members)
#define IS_END
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wredundant-decls"
#include "sql/infoschema/mysql_tables.def"
#include "sql/infoschema/perf_tables.def"
#include "sql/infoschema/tables.def"
#pragma GCC diagnostic pop
#undef IS_TABLE
#undef MEM_TABLE
#undef PS_TABLE
#undef MYSQL_TABLE
#undef IS_COLUMN
#undef IS_END

#endif
