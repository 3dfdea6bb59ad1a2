/* Keys with several values a row: CAST(document AS type ARRAY).
 *
 * A row has an entry for each different element of the document, or one with NULL when there is
 * none. What an element is in the key depends on nothing but itself and the type, so that an entry
 * is found again whatever the session's mode and time zone are; a row whose elements are no such
 * values is refused when it is written. */
#ifndef SKEIN_SQL_EXEC_MULTI_VALUE_H
#define SKEIN_SQL_EXEC_MULTI_VALUE_H

#include "sql/codec/key_codec.h"
#include "sql/exec/exec_int.h"

/* The different values of a document (a value of type JSON, maybe NULL), in the order of keys, in
 * the arena (text may borrow the document). Does not park. */
MUST_USE db_err multi_values(const struct sql_type *element, const struct value *document,
                             struct arena *arena, struct value **ret_values, uint32_t *ret_count);

/* Refuses a document that the key on column `ordinal` cannot hold. `number`: 1-based row. ERR_SQL
 * 1235, 3751, 3752, 3903 to 3908. */
MUST_USE db_err multi_check(struct exec_ctx *ctx, const struct table_def *t, uint32_t ordinal,
                            const struct value *document, uint64_t number);

/* The values of a document as a JSON array, as messages show them. */
MUST_USE db_err multi_print(const struct sql_type *element, const struct value *document,
                            struct arena *arena, struct slice *ret_text);

/* How many bytes of that text a message about a duplicate has. */
size_t multi_shown(const struct sql_type *element, struct slice text);

/* Takes a value off a key: a document that has it alone. */
MUST_USE db_err multi_of_key(const struct key_column *kc, const struct sql_type *element,
                             struct slice *io_key, struct arena *arena, struct value *ret);

/* What to look for in a key so that no row is missed for which a condition holds. */
struct multi_search {
    bool all; /* any row may be one: values have no say */
    uint32_t count;
    struct value *values; /* each once; all rows wanted have one of them */
};
/* `kind`: enum multi_match of the condition, v its other side, of type `type`. In ctx->arena. Does
 * not park. */
MUST_USE db_err multi_search(struct exec_ctx *ctx, int kind, const struct sql_type *element,
                             const struct sql_type *type, const struct value *v,
                             struct multi_search *ret);

#endif
