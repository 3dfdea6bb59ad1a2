/* Which relations of a join must come before which: STRAIGHT_JOIN, and the hints JOIN_FIXED_ORDER,
 * JOIN_PREFIX, JOIN_ORDER and JOIN_SUFFIX of the query block.
 *
 * MYSQL: each hint adds dependencies between tables: a table named depends on those named before
 * it, with JOIN_PREFIX all others on those named, with JOIN_SUFFIX those named on all others. A
 * hint that contradicts what is known so far is left out as a whole, and the next one is tried.
 * Tables that are not in this join (those of a subquery, say, which come after it) have no say in
 * it. */
#include "sql/opt/rule/join_hints.h"

#include "sql/bind/hints.h"

static uint64_t *set_of(const struct join_deps *d, uint32_t i)
{
    return &d->before[(size_t)i * d->words];
}

static bool has(const uint64_t *set, uint32_t i)
{
    return (set[i / 64] >> (i % 64) & 1) != 0;
}

static void add(uint64_t *set, uint32_t i)
{
    set[i / 64] |= UINT64_C(1) << (i % 64);
}

static void merge(uint64_t *to, const uint64_t *from, uint32_t words)
{
    for (uint32_t k = 0; k < words; k++) {
        to[k] |= from[k];
    }
}

bool join_deps_met(const struct join_deps *d, uint32_t i, const bool *used)
{
    for (uint32_t k = 0; d->before != NULL && k < d->count; k++) {
        if (!used[k] && has(set_of(d, i), k)) {
            return false;
        }
    }
    return true;
}

/* What depends on what depends on something depends on that. false: something on itself. */
static bool complete(const struct join_deps *d)
{
    for (uint32_t k = 0; k < d->count; k++) {
        for (uint32_t i = 0; i < d->count; i++) {
            if (has(set_of(d, i), k)) {
                merge(set_of(d, i), set_of(d, k), d->words);
            }
        }
    }
    for (uint32_t i = 0; i < d->count; i++) {
        if (has(set_of(d, i), i)) {
            return false;
        }
    }
    return true;
}

/* ---- the tables named ---- */

static const struct hint_block *block_of(const struct lnode *n)
{
    bool table = n->kind == LNODE_TABLE;
    bool derived = n->kind == LNODE_PROJECT && n->u.project.derived;
    return table                      ? n->u.table.block
           : derived                  ? n->u.project.block
           : n->kind == LNODE_CTE_REF ? n->u.cte_ref.block
                                      : NULL;
}

static bool has_alias(const struct lnode *n, struct slice name)
{
    bool derived = n->kind == LNODE_CTE_REF || n->kind == LNODE_TABLE_FUNC ||
                   (n->kind == LNODE_PROJECT && n->u.project.derived);
    return n->kind == LNODE_TABLE
               ? slice_eq(n->u.table.alias, name)
               : derived && n->column_count != 0 && slice_eq(n->columns[0].table, name);
}

static bool is_block(const struct hint_block *b, const struct hint_block *here, struct slice name)
{
    if (name.ptr == NULL) {
        return b == here || b == NULL; /* a JSON_TABLE is of no block */
    }
    char number[32];
    int n = snprintf(number, sizeof(number), "select#%u", b == NULL ? 0 : (unsigned)b->number);
    return b != NULL && ((b->name.ptr != NULL && slice_eq_nocase(b->name, name)) ||
                         slice_eq_nocase(slice_of(number, (size_t)n), name));
}

static bool holds(const struct lnode *n, const struct hint_block *here,
                  const struct ast_hint_table *t)
{
    if (has_alias(n, t->name) && is_block(block_of(n), here, t->block)) {
        return true;
    }
    for (uint32_t i = 0; i < n->child_count; i++) {
        if (holds(n->children[i], here, t)) {
            return true;
        }
    }
    return false;
}

/* The relation with the table; d->count: it is not here. */
static uint32_t relation_of(const struct join_deps *d, struct lnode *const *rel,
                            const struct hint_block *here, const struct ast_hint_table *t)
{
    uint32_t i = 0;
    while (i < d->count && !holds(rel[i], here, t)) {
        i++;
    }
    return i;
}

const struct hint_block *join_block(const struct lnode *n)
{
    const struct hint_block *b = block_of(n);
    bool within = n->kind == LNODE_JOIN || n->kind == LNODE_FILTER;
    for (uint32_t i = 0; b == NULL && within && i < n->child_count; i++) {
        b = join_block(n->children[i]);
    }
    return b;
}

/* ---- */

static void add_hint(const struct join_deps *d, struct lnode *const *rel,
                     const struct hint_block *here, const struct hint_order *h, uint64_t *named)
{
    memset(named, 0, d->words * sizeof(*named));
    for (uint32_t i = 0; i < h->hint->tables.count; i++) {
        uint32_t r = relation_of(d, rel, here, h->hint->tables.items[i]);
        if (r == d->count) {
            continue;
        }
        bool again = has(named, r); /* another table of one relation */
        for (uint32_t k = 0; k < d->count; k++) {
            if (k != r && has(named, k) && !(again && has(set_of(d, r), k))) {
                add(set_of(d, r), k);
            }
        }
        add(named, r);
    }
    for (uint32_t i = 0; i < d->count; i++) {
        for (uint32_t k = 0; k < d->count; k++) {
            bool prefix = h->kind == HINT_JOIN_PREFIX && !has(named, i) && has(named, k);
            bool suffix = h->kind == HINT_JOIN_SUFFIX && has(named, i) && !has(named, k);
            if (prefix || suffix) {
                add(set_of(d, i), k);
            }
        }
    }
}

/* The right side of a left join comes behind what its condition reads, or at least behind something
 * of the left side, of which the relation before it is one. */
static void add_outer(const struct join_deps *d, struct lnode *const *rel, const struct lnode *join,
                      uint32_t at)
{
    bool any = false;
    for (uint32_t k = 0; k < d->count; k++) {
        for (uint32_t i = 0; k != at && i < join->u.join.on_count; i++) {
            if (opt__reads_any(join->u.join.on[i], rel[k])) {
                add(set_of(d, at), k);
                any = true;
            }
        }
    }
    if (!any) {
        add(set_of(d, at), at - 1);
    }
}

static db_err init(struct optimizer *o, struct join_deps *d, uint32_t count)
{
    d->count = count;
    d->words = count / 64 + 1;
    d->before = OPT_ARRAY(o, uint64_t, (size_t)count * d->words);
    return d->before == NULL ? ERR_NOMEM : ERR_OK;
}

static bool any_hint(const struct hint_block *b)
{
    return b != NULL && (b->orders != NULL || b->switches[HINT_JOIN_FIXED_ORDER] == AST_YES);
}

db_err join_deps_make(struct optimizer *o, struct lnode *const *rel, uint32_t count,
                      const struct straight *straight, struct lnode *const *outer,
                      struct join_deps *ret)
{
    const struct hint_block *b = NULL;
    *ret = (struct join_deps){.count = count};
    for (uint32_t i = 0; o->stmt->hinted && i < count && b == NULL; i++) {
        b = join_block(rel[i]);
    }
    if (straight == NULL && !any_hint(b)) {
        return ERR_OK;
    }
    TRY(init(o, ret, count));
    for (uint32_t i = 0; outer != NULL && i < count; i++) {
        if (outer[i] != NULL) {
            add_outer(ret, rel, outer[i], i);
        }
    }
    for (; straight != NULL; straight = straight->next) {
        for (uint32_t i = straight->right; i < straight->end; i++) {
            for (uint32_t k = straight->left; k < straight->right; k++) {
                add(set_of(ret, i), k);
            }
        }
    }
    bool fixed = any_hint(b) && b->switches[HINT_JOIN_FIXED_ORDER] == AST_YES;
    for (uint32_t i = 0; fixed && i < count; i++) {
        for (uint32_t k = 0; k < i; k++) {
            add(set_of(ret, i), k);
        }
    }
    struct join_deps next;
    uint64_t *named = OPT_ARRAY(o, uint64_t, ret->words);
    TRY(init(o, &next, count));
    if (named == NULL) {
        return ERR_NOMEM;
    }
    size_t bytes = (size_t)count * ret->words * sizeof(*ret->before);
    for (const struct hint_order *h = any_hint(b) ? b->orders : NULL; h != NULL; h = h->next) {
        if (h->unresolved) {
            continue;
        }
        memcpy(next.before, ret->before, bytes);
        add_hint(&next, rel, b, h, named);
        if (complete(&next)) {
            memcpy(ret->before, next.before, bytes);
        }
    }
    return ERR_OK;
}
