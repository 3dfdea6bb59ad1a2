/* The entries that a row has in an index with several values a row (multi_value.h). */
#ifndef SKEIN_SQL_EXEC_MULTI_ENTRIES_H
#define SKEIN_SQL_EXEC_MULTI_ENTRIES_H

#include "sql/catalog/table_format.h"

struct multi_entry {
    struct slice key, value;
    bool has_null; /* of a unique index: no uniqueness check is due */
};

struct multi_entries {
    struct arena arena; /* of the keys and values */
    uint32_t count;     /* at least 1, once it is made */
    struct multi_entry *items;
};

/* Of `row` (values by ordinal) in index number `index`, in the order of their keys. To be ended by
 * fini in any case. Errors: ERR_NOMEM, ERR_LIMIT. */
MUST_USE db_err multi_entries_init(struct multi_entries *e, struct mem_tracker *mem,
                                   const struct table_def *t, uint32_t index,
                                   const struct value *row);
void multi_entries_fini(struct multi_entries *e);
/* NULL: none of them has the key. */
const struct multi_entry *multi_entries_find(const struct multi_entries *e, struct slice key);

#endif
