/* A statement's hints as EXPLAIN shows them, in front of its first query block.
 *
 * MYSQL: first those of the statement, then block by block, the inner ones first: what is said of
 * the block, of its tables in the order in which they are named, of each of their indexes, each in
 * the order of MySQL's kinds. What names a table or an index that there is none of is left out. */
#include <inttypes.h>

#include "sql/bind/hint_text.h"
#include "sql/parser/ast_print.h"

static const enum ast_hint_kind g_of_block[] = {HINT_BKA,       HINT_BNL,
                                                HINT_SEMIJOIN,  HINT_SUBQUERY,
                                                HINT_MERGE,     HINT_JOIN_FIXED_ORDER,
                                                HINT_HASH_JOIN, HINT_DERIVED_CONDITION_PUSHDOWN};
static const enum ast_hint_kind g_of_table[] = {HINT_BKA,
                                                HINT_BNL,
                                                HINT_ICP,
                                                HINT_MRR,
                                                HINT_RANGE_OPTIMIZATION,
                                                HINT_MERGE,
                                                HINT_INDEX_MERGE,
                                                HINT_SKIP_SCAN,
                                                HINT_HASH_JOIN,
                                                HINT_INDEX,
                                                HINT_JOIN_INDEX,
                                                HINT_GROUP_INDEX,
                                                HINT_ORDER_INDEX,
                                                HINT_DERIVED_CONDITION_PUSHDOWN};
static const enum ast_hint_kind g_of_index[] = {HINT_ICP, HINT_MRR, HINT_RANGE_OPTIMIZATION};

struct shower {
    struct buf *out;
    db_err err;
    const struct ast_name_style *style;
    const struct hint_block *block;
};

static void put(struct shower *s, const char *text)
{
    s->err = s->err != ERR_OK ? s->err : buf_append_slice(s->out, slice_str(text));
}

static void put_slice(struct shower *s, struct slice text)
{
    s->err = s->err != ERR_OK ? s->err : buf_append_slice(s->out, text);
}

static void put_number(struct shower *s, uint64_t n)
{
    s->err = s->err != ERR_OK ? s->err : buf_printf(s->out, "%" PRIu64, n);
}

static void put_name(struct shower *s, struct slice name)
{
    s->err = s->err != ERR_OK ? s->err : ast_print_name(s->out, name, s->style);
}

/* @`block` */
static void put_block(struct shower *s)
{
    char number[32];
    int n = snprintf(number, sizeof(number), "select#%" PRIu32, s->block->number);
    put(s, "@");
    put_name(s, s->block->name.ptr != NULL ? s->block->name : slice_of(number, (size_t)n));
}

static void begin(struct shower *s, enum ast_hint_kind kind, bool off, const struct hint_table *t)
{
    put(s, ast_hint_name(kind, off));
    put(s, "(");
    if (t != NULL) {
        put_name(s, t->name);
    }
    put_block(s);
}

/* ---- of the statement ---- */

static void show_var(struct shower *s, const struct ast_hint *h)
{
    put(s, "SET_VAR(");
    put_slice(s, h->name);
    put(s, "=");
    if (h->value_kind == HINT_VALUE_NUMBER) {
        put_number(s, h->number);
    } else if (h->value_kind == HINT_VALUE_DECIMAL) {
        put_slice(s, h->value);
    } else {
        put(s, "'");
        put_slice(s, h->value);
        put(s, "'");
    }
    put(s, ") ");
}

static void show_statement(struct shower *s, const struct hint_set *set, bool named)
{
    for (const struct hint_block *b = set->blocks; b != NULL && named; b = b->next) {
        if (b->number == 1 && b->name.ptr != NULL) {
            put(s, "QB_NAME(");
            put_name(s, b->name);
            put(s, ") ");
        }
    }
    if (set->has_time_limit) {
        put(s, "MAX_EXECUTION_TIME(");
        put_number(s, set->time_limit_ms);
        put(s, ") ");
    }
    for (const struct hint_var *v = set->vars; v != NULL; v = v->next) {
        if (v->in_force) {
            show_var(s, v->hint);
        }
    }
}

/* ---- of a block ---- */

static void show_strategies(struct shower *s, uint32_t strategies)
{
    for (uint32_t bit = 0, any = 0; strategies >> bit != 0; bit++) {
        if ((strategies >> bit & 1) != 0) {
            put(s, any++ == 0 ? " " : ", ");
            put(s, hint_strategy_name(bit));
        }
    }
}

static void show_block_switch(struct shower *s, enum ast_hint_kind kind)
{
    const struct hint_block *b = s->block;
    bool subquery = kind == HINT_SUBQUERY;
    if (subquery ? b->subquery == 0 : b->switches[kind] == AST_UNSET) {
        return;
    }
    begin(s, kind, !subquery && b->switches[kind] == AST_NO, NULL);
    show_strategies(s, subquery ? b->subquery : kind == HINT_SEMIJOIN ? b->semijoin : 0);
    put(s, ") ");
}

static void show_order(struct shower *s, const struct hint_order *o)
{
    const struct ast_hint_table_list *tables = &o->hint->tables;
    begin(s, o->kind, false, NULL);
    for (uint32_t i = 0; i < tables->count; i++) {
        put(s, i == 0 ? " " : ",");
        put_name(s, tables->items[i]->name);
        if (tables->items[i]->block.ptr != NULL) {
            put(s, "@");
            put_name(s, tables->items[i]->block);
        }
    }
    put(s, ") ");
}

/* ---- of a table ---- */

static void show_index_hint(struct shower *s, const struct hint_table *t,
                            const struct hint_index *i)
{
    begin(s, i->kind, i->off, t);
    for (uint32_t k = 0; !i->all && k < i->count; k++) {
        put(s, k == 0 ? " " : ", ");
        put_name(s, i->names[k]);
    }
    put(s, ") ");
}

static void show_of_table(struct shower *s, const struct hint_table *t, enum ast_hint_kind kind)
{
    if (ast_hint_class_of(kind) == HINT_CLASS_TABLE) {
        if (t->switches[kind] != AST_UNSET) {
            begin(s, kind, t->switches[kind] == AST_NO, t);
            put(s, ") ");
        }
        return;
    }
    for (const struct hint_index *i = t->indexes; i != NULL; i = i->next) {
        if (i->kind == kind && !i->unresolved && (i->all || !hint_is_per_index(kind))) {
            show_index_hint(s, t, i);
        }
    }
}

static bool is_of_index(const struct hint_index *i)
{
    return !i->all && !i->unresolved && hint_is_per_index(i->kind);
}

static bool shown_before(const struct hint_table *t, const struct hint_index *at)
{
    for (const struct hint_index *i = t->indexes; i != at; i = i->next) {
        if (is_of_index(i) && hint_names_index(i, at->names[0])) {
            return true;
        }
    }
    return false;
}

static void show_indexes(struct shower *s, const struct hint_table *t)
{
    for (const struct hint_index *at = t->indexes; at != NULL; at = at->next) {
        if (!is_of_index(at) || shown_before(t, at)) {
            continue;
        }
        for (size_t k = 0; k < ARRAY_COUNT(g_of_index); k++) {
            for (const struct hint_index *i = at; i != NULL; i = i->next) {
                if (i->kind == g_of_index[k] && is_of_index(i) &&
                    hint_names_index(i, at->names[0])) {
                    show_index_hint(s, t, i);
                }
            }
        }
    }
}

db_err hints_show(struct buf *out, const struct hint_set *set, const struct ast_name_style *style,
                  bool named)
{
    struct shower s = {.out = out, .style = style};
    show_statement(&s, set, named);
    for (s.block = set->blocks; s.block != NULL; s.block = s.block->next) {
        for (size_t k = 0; k < ARRAY_COUNT(g_of_block); k++) {
            show_block_switch(&s, g_of_block[k]);
        }
        for (const struct hint_order *o = s.block->orders; o != NULL; o = o->next) {
            if (!o->unresolved) {
                show_order(&s, o);
            }
        }
        for (const struct hint_table *t = s.block->tables; t != NULL; t = t->next) {
            for (size_t k = 0; t->found && k < ARRAY_COUNT(g_of_table); k++) {
                show_of_table(&s, t, g_of_table[k]);
            }
            if (t->found) {
                show_indexes(&s, t);
            }
        }
    }
    return s.err;
}
