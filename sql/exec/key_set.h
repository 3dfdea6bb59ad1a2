/* Byte strings seen so far: rows that several entries of an index point to are given once. */
#ifndef SKEIN_SQL_EXEC_KEY_SET_H
#define SKEIN_SQL_EXEC_KEY_SET_H

#include "base/arena.h"
#include "base/hash.h"

struct key_set {
    struct hash_table table;
    struct arena arena; /* of the keys */
};

/* Memory is charged to `mem` (NULL: to nobody). */
void key_set_init(struct key_set *s, struct mem_tracker *mem);
void key_set_fini(struct key_set *s);
/* As after init. */
void key_set_clear(struct key_set *s);
/* Adds a copy of the key; *ret_new: it was not there. Errors: ERR_NOMEM, ERR_LIMIT. */
MUST_USE db_err key_set_add(struct key_set *s, struct slice key, bool *ret_new);

#endif
