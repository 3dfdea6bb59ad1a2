#include "sql/opt/explain.h"

static const char *kind_name(const struct plan_node *n)
{
    switch (n->kind) {
    case PLAN_DUAL: return "Rows fetched before execution";
    case PLAN_VALUES: return "Values";
    case PLAN_TABLE_SCAN: return n->u.scan.range_count == 0 ? "Table scan" : "Index range scan";
    case PLAN_INDEX_SCAN: return n->u.scan.range_count == 0 ? "Index scan" : "Index range scan";
    case PLAN_POINT_GET: return "Single-row index lookup";
    case PLAN_INDEX_MERGE: return "Index merge";
    case PLAN_VIRTUAL_SCAN: return "Virtual table";
    case PLAN_JSON_TABLE: return "JSON table";
    case PLAN_FILTER: return "Filter";
    case PLAN_PROJECT: return "Project";
    case PLAN_SORT: return "Sort";
    case PLAN_TOPN: return "Sort, limit input to top rows";
    case PLAN_LIMIT: return "Limit";
    case PLAN_HASH_AGG: return "Group aggregate (hash)";
    case PLAN_STREAM_AGG: return "Aggregate";
    case PLAN_ROLLUP_AGG: return "Aggregate with rollup";
    case PLAN_DISTINCT: return "Remove duplicates";
    case PLAN_HASH_JOIN: return "hash join";
    case PLAN_NL_JOIN: return "nested loop join";
    case PLAN_LOOKUP_JOIN: return "lookup join";
    case PLAN_MERGE_JOIN: return "merge join";
    case PLAN_SETOP:
        return n->u.setop.op == 0 ? "Union" : n->u.setop.op == 1 ? "Intersect" : "Except";
    case PLAN_WINDOW: return "Window";
    case PLAN_CTE_REF: return "Common table expression";
    case PLAN_RECURSIVE: return "Recursion";
    case PLAN_LOAD: return "Load file";
    case PLAN_GATHER: return "Gather";
    case PLAN_FRAGMENT: return "Rows of fragments, run where the data lies";
    case PLAN_INSERT: return "Insert";
    case PLAN_UPDATE: return "Update";
    case PLAN_DELETE: return "Delete";
    }
    return "?";
}

static db_err scan_text(const struct scan_spec *s, struct buf *out)
{
    TRY(buf_printf(out, " on %.*s", SLICE_FMT(s->table->name)));
    if (s->index != NULL) {
        TRY(buf_printf(out, " using %.*s", SLICE_FMT(s->index->name)));
        if (s->range_count != 0) {
            TRY(buf_printf(out, " (%u range%s, %u equal part%s%s%s)", (unsigned)s->range_count,
                           s->range_count == 1 ? "" : "s", (unsigned)s->ranges[0].eq_count,
                           s->ranges[0].eq_count == 1 ? "" : "s",
                           s->ranges[0].low != NULL ? ", from" : "",
                           s->ranges[0].high != NULL ? ", to" : ""));
        }
        TRY(buf_printf(out, "%s%s",
                       s->covering && s->index->id != INDEX_ID_CLUSTERED ? " covering" : "",
                       s->reverse ? " (reverse)" : ""));
    }
    if (s->filter_count != 0) {
        TRY(buf_printf(out, ", %u condition%s", (unsigned)s->filter_count,
                       s->filter_count == 1 ? "" : "s"));
    }
    return s->lock == ROW_LOCK_NONE
               ? ERR_OK
               : buf_printf(out, ", %s locks", s->lock == ROW_LOCK_SHARED ? "shared" : "exclusive");
}

static db_err node_text(const struct plan_node *n, unsigned depth, bool fragments, struct buf *out)
{
    if (n->kind == PLAN_GATHER) {
        return node_text(fragments ? n->u.gather->above : n->children[0], depth, fragments, out);
    }
    static const char *const joins[] = {"Inner ", "Inner ", "Left ", "Right ",
                                        "Full ",  "Semi ",  "Anti "};
    bool join = n->kind >= PLAN_HASH_JOIN && n->kind <= PLAN_MERGE_JOIN;
    bool scan = n->kind >= PLAN_TABLE_SCAN && n->kind <= PLAN_VIRTUAL_SCAN;
    TRY(buf_printf(out, "%*s-> %s%s", (int)(depth * 4), "", join ? joins[n->u.join.kind] : "",
                   kind_name(n)));
    if (scan) {
        TRY(scan_text(&n->u.scan, out));
    } else if (n->kind == PLAN_LOOKUP_JOIN) {
        TRY(scan_text(&n->u.join.lookup, out));
    } else if (n->kind == PLAN_INSERT) {
        TRY(buf_printf(out, " into %.*s", SLICE_FMT(n->u.insert.target->table->name)));
    }
    TRY(buf_printf(out, "  (rows=%.0f)\n", n->rows));
    for (uint32_t i = 0; i < n->child_count; i++) {
        TRY(node_text(n->children[i], depth + 1, fragments, out));
    }
    return n->kind == PLAN_FRAGMENT ? node_text(n->u.gather->root, depth + 1, fragments, out)
                                    : ERR_OK;
}

db_err plan_explain(const struct plan *plan, bool fragments, struct buf *out)
{
    TRY(node_text(plan->root, 0, fragments, out));
    for (uint32_t i = 0; i < plan->subquery_count; i++) {
        const struct bsubquery *s = plan->subqueries[i];
        if (s->unnested) {
            continue;
        }
        TRY(buf_printf(out, "-> Subquery #%u%s\n", (unsigned)i + 1,
                       s->correlated ? " (for each row)" : " (run once)"));
        TRY(node_text(s->plan->root, 1, fragments, out));
    }
    return ERR_OK;
}
