/* How a plan reads its tables, as SHOW STATUS counts it. */
#include "sql/opt/opt_int.h"

/* One query block: `open` until its first table that gives more than one row. */
struct block {
    struct plan_reads *reads;
    bool open;
};

static void walk(struct block *b, const struct plan_node *n);

static void walk_block(struct plan_reads *reads, const struct plan_node *n)
{
    struct block b = {reads, true};
    if (n != NULL) {
        walk(&b, n);
    }
}

/* A lookup of one key is neither a scan nor a range. */
static bool is_lookup(const struct scan_spec *s)
{
    const struct scan_range *r = s->ranges;
    return s->range_count == 1 && r->eq_count != 0 && r->low == NULL && r->high == NULL &&
           !r->not_null && r->multi == 0;
}

static void count_table(struct block *b, const struct plan_node *n)
{
    bool whole =
        (n->kind != PLAN_TABLE_SCAN && n->kind != PLAN_INDEX_SCAN) || n->u.scan.range_count == 0;
    if (whole) {
        b->reads->no_index += n->kind == PLAN_TABLE_SCAN;
        b->reads->scans += b->open;
        b->reads->full_joins += !b->open;
    } else if (!is_lookup(&n->u.scan)) {
        b->reads->ranges += b->open;
        b->reads->range_joins += !b->open;
    }
    b->open = false;
}

static void walk_join(struct block *b, const struct plan_node *n)
{
    for (uint32_t i = 0; i < n->child_count; i++) {
        walk(b, n->children[i]);
    }
}

/* What stands above a block's tables begins a block of its own within a join. */
static void walk_below(struct block *b, const struct plan_node *n)
{
    for (uint32_t i = 0; i < n->child_count; i++) {
        walk_block(b->reads, n->children[i]);
    }
    b->open = false;
}

static void walk(struct block *b, const struct plan_node *n)
{
    switch (n->kind) {
    case PLAN_TABLE_SCAN:
    case PLAN_INDEX_SCAN:
    case PLAN_VIRTUAL_SCAN:
    case PLAN_JSON_TABLE:
    case PLAN_CTE_REF: count_table(b, n); return;
    case PLAN_FILTER:
    case PLAN_PROJECT:
    case PLAN_GATHER:
    case PLAN_HASH_JOIN:
    case PLAN_NL_JOIN:
    case PLAN_LOOKUP_JOIN: walk_join(b, n); return;
    case PLAN_HASH_AGG: b->reads->temporaries += n->u.agg.group_count != 0; break;
    case PLAN_SETOP: b->reads->temporaries += n->u.setop.distinct; break;
    case PLAN_INSERT: b->reads->temporaries += n->u.insert.reads_target; break;
    case PLAN_DISTINCT:
    case PLAN_WINDOW:
    case PLAN_RECURSIVE: b->reads->temporaries++; break;
    case PLAN_DUAL:
    case PLAN_VALUES:
    case PLAN_POINT_GET:
    case PLAN_SORT:
    case PLAN_TOPN:
    case PLAN_LIMIT:
    case PLAN_STREAM_AGG:
    case PLAN_ROLLUP_AGG:
    case PLAN_LOAD:
    case PLAN_FRAGMENT:
    case PLAN_UPDATE:
    case PLAN_DELETE: break;
    }
    walk_below(b, n);
}

/* MYSQL: UPDATE and DELETE of one table do not count how they find its rows. */
static bool finds_uncounted(const struct plan_node *n)
{
    if (n->kind != PLAN_UPDATE && n->kind != PLAN_DELETE) {
        return false;
    }
    while (n->child_count == 1 && n->kind != PLAN_LOOKUP_JOIN) {
        n = n->children[0];
    }
    return n->child_count == 0;
}

void opt__count_reads(struct plan *plan)
{
    struct plan_reads reads = {0};
    if (!finds_uncounted(plan->root)) {
        walk_block(&reads, plan->root);
    }
    for (uint32_t i = 0; i < plan->subquery_count; i++) {
        const struct plan *sub = plan->subqueries[i]->plan;
        walk_block(&reads, sub != NULL ? sub->root : NULL);
    }
    for (uint32_t i = 0; i < plan->cte_count; i++) {
        reads.temporaries += plan->ctes[i] != NULL;
        walk_block(&reads, plan->ctes[i]);
    }
    plan->reads = reads;
    plan->has_reads =
        reads.scans + reads.ranges + reads.full_joins + reads.range_joins + reads.temporaries != 0;
}
