/* Hints as messages show them. Private to the folder. */
#ifndef SKEIN_SQL_BIND_HINT_TEXT_H
#define SKEIN_SQL_BIND_HINT_TEXT_H

#include "sql/bind/hints.h"
#include "sql/diag/my_error.h"

/* Is it a setting of each index by itself, not one list for the table? */
static inline bool hint_is_per_index(enum ast_hint_kind kind)
{
    return kind == HINT_MRR || kind == HINT_ICP || kind == HINT_RANGE_OPTIMIZATION;
}

/* Of a query block; NULL: nothing is said of it. */
struct hint_block *hint_block_of(const struct ast_body *body);

/* Fills in a statement's n blocks in the order of their numbers, or (by_end) in that in which they
 * end. last: the chain of them; changed: the tables of an UPDATE or DELETE, or NULL. */
struct ast_table;
void hint_sort_blocks(struct ast_body **bodies, uint32_t n, struct ast_body *last,
                      const struct ast_table *changed, bool by_end);

/* Of enum ast_hint_strategy, by the number of its bit. */
const char *hint_strategy_name(uint32_t bit);

/* Does it name the index? Letter case does not matter. */
bool hint_names_index(const struct hint_index *i, struct slice name);

/* Where of a hint a warning speaks. */
struct hint_place {
    const struct ast_hint *hint;
    const struct ast_hint_table *table; /* or NULL */
    struct slice index;                 /* or ptr NULL */
};

/* 3126, 3614: a hint that is not followed. */
void hint_warn(const struct hint_env *env, enum my_errno number, const struct hint_place *at);
/* 3127: there is no such block. */
void hint_warn_block(const struct hint_env *env, const struct ast_hint *hint, struct slice block);
/* 3128: the block has no such table, or the table no such index (ptr NULL: the table). */
void hint_warn_unresolved(const struct hint_env *env, const struct ast_hint *hint,
                          const struct hint_block *block, struct slice table, struct slice index);

#endif
