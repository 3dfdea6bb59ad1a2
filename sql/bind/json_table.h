/* JSON_TABLE, bound: what its columns are and where in the document their values stand. Immutable,
 * in the plan's arena. */
#ifndef SKEIN_SQL_BIND_JSON_TABLE_H
#define SKEIN_SQL_BIND_JSON_TABLE_H

#include "sql/types/json.h"

enum json_table_kind {
    JSON_TABLE_ORDINALITY,
    JSON_TABLE_PATH,
    JSON_TABLE_EXISTS,
};
enum json_table_on { JSON_TABLE_ON_NULL, JSON_TABLE_ON_ERROR, JSON_TABLE_ON_DEFAULT };

struct json_table_column {
    enum json_table_kind kind;
    uint32_t out; /* place among the table's columns */
    const char *name;
    struct sql_type type;
    struct json_path path;
    enum json_table_on on_empty, on_error;
    struct value empty_value, error_value; /* JSON_TABLE_ON_DEFAULT: of the column's type */
};

/* COLUMNS of the table or of a NESTED PATH: one row for each value that the path finds; rows of the
 * nested levels come one level after the other. */
struct json_table_level {
    struct json_path path;
    uint32_t column_count;
    struct json_table_column *columns;
    uint32_t nested_count;
    struct json_table_level *nested;
    uint32_t first, end; /* its columns' places, nested ones included */
};

struct json_table {
    struct json_table_level root;
    uint32_t column_count; /* of all levels */
    const char *name;      /* the alias */
};

#endif
