/* How a table's rows and indexes lie in the storage: made once per descriptor, then shared. */
#ifndef SKEIN_SQL_CATALOG_TABLE_FORMAT_H
#define SKEIN_SQL_CATALOG_TABLE_FORMAT_H

#include "base/arena.h"
#include "sql/catalog/schema.h"
#include "sql/codec/index_codec.h"

/* Position i of the layout is column ordinal i; that of a VIRTUAL column is one that rows do not
 * hold: who reads it computes it. indexes[i] is that of table_def.indexes[i];
 * indexes[0] gives row keys. */
struct table_format {
    const struct row_layout *layout;
    uint32_t index_count;
    struct index_format *indexes;
    struct slice row_prefix;      /* of all row keys */
    struct slice *index_prefixes; /* by index ordinal; [0] = row_prefix */
};

/* In the arena, which lives as long as the descriptor. Errors: ERR_UNSUPPORTED (a type that cannot
 * be a key), ERR_NOMEM. */
MUST_USE db_err table_format_new(struct arena *arena, const struct table_def *def,
                                 const struct table_format **ret_format);

#endif
