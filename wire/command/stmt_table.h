/* The prepared statements of one connection, by id. Open addressing; ids are never 0. */
#ifndef SKEIN_WIRE_COMMAND_STMT_TABLE_H
#define SKEIN_WIRE_COMMAND_STMT_TABLE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "sql/sql.h"

/* A value that came in pieces by COM_STMT_SEND_LONG_DATA. */
struct long_data {
    struct buf bytes;
    bool given;
};

struct stmt {
    uint32_t id;
    struct sql_stmt *sql;
    uint32_t param_count;
    bool types_known;
    bool has_long_data;
    bool bad_long_data; /* for a parameter that is not there: told by the next execution */
    bool long_data_too_large;
    size_t long_data_counted;   /* bytes: sql_session_keep */
    struct diag *long_data_why; /* the session may not have so much: likewise; NULL: it may */
    struct sql_param *params;   /* param_count */
    uint16_t *types;            /* as bound last: type, 0x8000 = unsigned */
    struct long_data *pieces;   /* param_count, made by the first piece */
};

struct stmt_table {
    struct stmt **slots;
    uint32_t capacity; /* 0 or a power of two */
    uint32_t count;
};

struct stmt *stmt_table_find(const struct stmt_table *t, uint32_t id);
/* The id must be new. ERR_NOMEM. */
MUST_USE db_err stmt_table_add(struct stmt_table *t, struct stmt *s);
void stmt_table_remove(struct stmt_table *t, const struct stmt *s);
void stmt_table_fini(struct stmt_table *t);

#endif
