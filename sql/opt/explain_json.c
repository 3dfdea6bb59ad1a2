/* FORMAT=JSON: version 1 from the rows of tables, version 2 from the tree. Members stand in the
 * order in which MySQL's JSON type keeps them: by the length of their names, then by name. */
#include <stdlib.h>

#include "sql/opt/explain_int.h"
#include "sql/types/json.h"

const char *explain__quoted(struct arena *a, struct slice text)
{
    SCOPE_BUF(out, EXPLAIN_TEXT_MAX);
    return json_quote(text, &out) == ERR_OK ? arena_strdup(a, buf_slice(&out)) : NULL;
}

static db_err put(struct buf *out, const char *text)
{
    return buf_append_slice(out, slice_str(text));
}

/* ---- version 2 ---- */

static int by_name(const void *x, const void *y)
{
    const struct xfield *const *a = x;
    const struct xfield *const *b = y;
    size_t la = strlen((*a)->key);
    size_t lb = strlen((*b)->key);
    return la != lb ? (la < lb ? -1 : 1) : strcmp((*a)->key, (*b)->key);
}

static db_err add(struct arena *a, struct xnode *x, const char *key, const char *value)
{
    struct xfield *f = ARENA_NEW(a, struct xfield);
    if (f == NULL || value == NULL) {
        return ERR_NOMEM;
    }
    *f = (struct xfield){.next = x->fields, .key = key, .value = value};
    x->fields = f;
    return ERR_OK;
}

static db_err actual_fields(struct xnode *x, const struct explain_opts *opts, struct arena *a)
{
    const struct node_counters *c = &opts->counters[x->counted->id];
    double loops = c->loops == 0 ? 1 : (double)c->loops;
    TRY(add(a, x, "actual_rows", arena_printf(a, "%.1f", (double)c->rows / loops)));
    TRY(add(a, x, "actual_loops", arena_printf(a, "%llu", (unsigned long long)c->loops)));
    TRY(add(a, x, "actual_first_row_ms",
            arena_printf(a, "%.4f", (double)c->first_ns / loops / 1e6)));
    return add(a, x, "actual_last_row_ms",
               arena_printf(a, "%.4f", (double)c->total_ns / loops / 1e6));
}

static db_err node_json(struct xnode *x, const struct explain_opts *opts, struct arena *a,
                        unsigned indent, struct buf *out);

static db_err inputs_json(struct xnode *x, const struct explain_opts *opts, struct arena *a,
                          unsigned indent, struct buf *out)
{
    TRY(put(out, "[\n"));
    for (struct xnode *c = x->first; c != NULL; c = c->next) {
        TRY(buf_printf(out, "%*s", (int)indent + 2, ""));
        TRY(node_json(c, opts, a, indent + 2, out));
        TRY(put(out, c->next == NULL ? "\n" : ",\n"));
    }
    return buf_printf(out, "%*s]", (int)indent, "");
}

static db_err node_json(struct xnode *x, const struct explain_opts *opts, struct arena *a,
                        unsigned indent, struct buf *out)
{
    enum { FIELDS_MAX = 32 };
    static const char inputs[] = "";
    const struct xfield *list[FIELDS_MAX];
    size_t count = 0;
    TRY(add(a, x, "operation", explain__quoted(a, slice_str(x->text))));
    if (x->heading != NULL) {
        TRY(add(a, x, "heading", explain__quoted(a, slice_str(x->heading))));
    }
    if (x->estimated) {
        TRY(add(a, x, "estimated_rows", arena_printf(a, "%.4g", x->rows)));
        TRY(add(a, x, "estimated_total_cost", arena_printf(a, "%.4g", x->cost)));
    }
    if (opts->counters != NULL && x->counted != NULL) {
        TRY(actual_fields(x, opts, a));
    }
    if (x->first != NULL) {
        TRY(add(a, x, "inputs", inputs));
    }
    for (const struct xfield *f = x->fields; f != NULL && count < FIELDS_MAX; f = f->next) {
        list[count++] = f;
    }
    qsort(list, count, sizeof(list[0]), by_name);
    TRY(put(out, "{\n"));
    for (size_t i = 0; i < count; i++) {
        TRY(buf_printf(out, "%*s\"%s\": ", (int)indent + 2, "", list[i]->key));
        TRY(list[i]->value == inputs ? inputs_json(x, opts, a, indent + 2, out)
                                     : put(out, list[i]->value));
        TRY(put(out, i + 1 == count ? "\n" : ",\n"));
    }
    return buf_printf(out, "%*s}", (int)indent, "");
}

static db_err version_2(const struct plan *plan, const struct explain_opts *opts,
                        struct arena *arena, struct buf *out)
{
    static const char *const types[] = {"select", "insert", "update", "delete", "other"};
    struct xnode *root;
    TRY(explain__tree(plan, opts, arena, &root));
    const char *type = plan->root->kind == PLAN_INSERT && plan->root->u.insert.replace
                           ? "replace"
                           : types[plan->kind];
    const char *query = explain__quoted(arena, opts->query);
    TRY(query == NULL ? ERR_NOMEM : ERR_OK);
    TRY(put(out, "{\n"));
    if (opts->query.len != 0) {
        TRY(buf_printf(out, "  \"query\": %s,\n", query));
    }
    TRY(put(out, "  \"query_plan\": "));
    TRY(node_json(root, opts, arena, 2, out));
    return buf_printf(out, ",\n  \"query_type\": \"%s\",\n  \"json_schema_version\": \"2.0\"\n}",
                      type);
}

/* ---- version 1 ---- */

struct writer {
    struct arena *arena;
    struct buf *out;
    const struct explain_block *blocks;
};

static db_err block_json(struct writer *w, const struct explain_block *b, unsigned indent);

static db_err open_member(struct writer *w, unsigned indent, bool *io_first)
{
    TRY(put(w->out, *io_first ? "\n" : ",\n"));
    *io_first = false;
    return buf_printf(w->out, "%*s", (int)indent, "");
}

static db_err string_member(struct writer *w, unsigned indent, bool *io_first, const char *key,
                            struct slice value)
{
    const char *quoted = explain__quoted(w->arena, value);
    TRY(quoted == NULL ? ERR_NOMEM : open_member(w, indent, io_first));
    return buf_printf(w->out, "\"%s\": %s", key, quoted);
}

static db_err list_member(struct writer *w, unsigned indent, bool *io_first, const char *key,
                          const struct slice *items, uint32_t count)
{
    TRY(open_member(w, indent, io_first));
    TRY(buf_printf(w->out, "\"%s\": [\n", key));
    for (uint32_t i = 0; i < count; i++) {
        const char *quoted = explain__quoted(w->arena, items[i]);
        TRY(quoted == NULL ? ERR_NOMEM
                           : buf_printf(w->out, "%*s%s%s\n", (int)indent + 2, "", quoted,
                                        i + 1 == count ? "" : ","));
    }
    return buf_printf(w->out, "%*s]", (int)indent, "");
}

static db_err key_members(struct writer *w, const struct explain_row *row, unsigned indent,
                          bool *io_first)
{
    const struct scan_spec *s = row->scan;
    struct slice names[CATALOG_INDEXES_MAX > CATALOG_INDEX_PARTS_MAX ? CATALOG_INDEXES_MAX
                                                                     : CATALOG_INDEX_PARTS_MAX];
    uint32_t count = 0;
    for (uint32_t i = 0; i < s->possible_count && i < ARRAY_COUNT(names); i++) {
        names[count++] = s->possible[i]->name;
    }
    if (count != 0) {
        TRY(list_member(w, indent, io_first, "possible_keys", names, count));
    }
    if (row->key == NULL) {
        return ERR_OK;
    }
    TRY(string_member(w, indent, io_first, "key", slice_str(row->key)));
    count = explain__used_parts(s);
    for (uint32_t i = 0; i < count; i++) {
        names[i] = s->table->columns[s->index->parts[i].column].name;
    }
    TRY(list_member(w, indent, io_first, "used_key_parts", names, count));
    TRY(string_member(w, indent, io_first, "key_length", slice_str(row->key_len)));
    count = 0;
    const char *p = row->ref;
    while (p != NULL && count < ARRAY_COUNT(names)) {
        const char *comma = strchr(p, ',');
        names[count++] = comma == NULL ? slice_str(p) : slice_of(p, (size_t)(comma - p));
        p = comma == NULL ? NULL : comma + 1;
    }
    return count == 0 ? ERR_OK : list_member(w, indent, io_first, "ref", names, count);
}

static db_err row_members(struct writer *w, const struct explain_row *row, unsigned indent,
                          bool *io_first)
{
    double kept = row->rows * row->filtered / 100;
    TRY(open_member(w, indent, io_first));
    TRY(buf_printf(w->out, "\"rows_examined_per_scan\": %.0f", row->rows));
    TRY(open_member(w, indent, io_first));
    TRY(buf_printf(w->out, "\"rows_produced_per_join\": %.0f", kept < 1 ? 1 : kept));
    TRY(open_member(w, indent, io_first));
    TRY(buf_printf(w->out, "\"filtered\": \"%.2f\"", row->filtered));
    static const char *const remarks[][2] = {{"Using index condition", "index_condition"},
                                             {"Backward index scan", "backward_index_scan"},
                                             {"hash join", "using_join_buffer"}};
    if (strstr(row->extra, "Using index;") != NULL ||
        (row->scan != NULL && row->scan->index != NULL && row->scan->covering &&
         row->scan->index->id != INDEX_ID_CLUSTERED)) {
        TRY(open_member(w, indent, io_first));
        TRY(put(w->out, "\"using_index\": true"));
    }
    if (strstr(row->extra, remarks[1][0]) != NULL) {
        TRY(open_member(w, indent, io_first));
        TRY(put(w->out, "\"backward_index_scan\": true"));
    }
    if (strstr(row->extra, remarks[2][0]) != NULL) {
        TRY(string_member(w, indent, io_first, remarks[2][1], SLICE_LIT("hash join")));
    }
    TRY(open_member(w, indent, io_first));
    return buf_printf(w->out,
                      "\"cost_info\": {\n%*s\"read_cost\": \"%.2f\",\n%*s\"eval_cost\": \"%.2f\","
                      "\n%*s\"prefix_cost\": \"%.2f\"\n%*s}",
                      (int)indent + 2, "", row->rows * 0.05 + 0.25, (int)indent + 2, "",
                      row->rows * 0.05, (int)indent + 2, "", row->rows * 0.1 + 0.25, (int)indent,
                      "");
}

static db_err table_json(struct writer *w, const struct explain_row *row, unsigned indent)
{
    bool first = true;
    unsigned in = indent + 2;
    TRY(put(w->out, "{"));
    if (row->table.ptr == NULL) {
        TRY(string_member(w, in, &first, "message", slice_str(row->extra)));
        return buf_printf(w->out, "\n%*s}", (int)indent, "");
    }
    TRY(string_member(w, in, &first, "table_name", row->table));
    TRY(string_member(w, in, &first, "access_type", slice_str(row->type)));
    if (row->scan != NULL && row->scan->index != NULL) {
        TRY(key_members(w, row, in, &first));
    }
    if (row->has_rows) {
        TRY(row_members(w, row, in, &first));
    }
    if (row->scan != NULL && row->scan->column_count != 0) {
        const struct scan_spec *s = row->scan;
        struct slice *names = ARENA_ARRAY(w->arena, struct slice, s->column_count);
        TRY(names == NULL ? ERR_NOMEM : ERR_OK);
        for (uint32_t i = 0; i < s->column_count; i++) {
            names[i] = s->table->columns[s->columns[i]].name;
        }
        TRY(list_member(w, in, &first, "used_columns", names, s->column_count));
    }
    if (row->condition != NULL) {
        TRY(string_member(w, in, &first, "attached_condition", slice_str(row->condition)));
    }
    if (row->derived != NULL) {
        TRY(open_member(w, in, &first));
        TRY(buf_printf(w->out,
                       "\"materialized_from_subquery\": {\n%*s\"using_temporary_table\": true,\n"
                       "%*s\"dependent\": false,\n%*s\"cacheable\": true,\n%*s",
                       (int)in + 2, "", (int)in + 2, "", (int)in + 2, "", (int)in + 2, ""));
        TRY(block_json(w, row->derived, in + 2));
        TRY(buf_printf(w->out, "\n%*s}", (int)in, ""));
    }
    return buf_printf(w->out, "\n%*s}", (int)indent, "");
}

static db_err tables_json(struct writer *w, const struct explain_block *b, unsigned indent)
{
    const struct explain_row *row = b->first;
    if (row == NULL || row->next == NULL) {
        if (row != NULL && row->table.ptr == NULL) {
            const char *quoted = explain__quoted(w->arena, slice_str(row->extra));
            return quoted == NULL ? ERR_NOMEM : buf_printf(w->out, "\"message\": %s", quoted);
        }
        TRY(put(w->out, "\"table\": "));
        return row == NULL ? put(w->out, "{}") : table_json(w, row, indent);
    }
    TRY(put(w->out, "\"nested_loop\": [\n"));
    for (; row != NULL; row = row->next) {
        TRY(buf_printf(w->out, "%*s{\n%*s\"table\": ", (int)indent + 2, "", (int)indent + 4, ""));
        TRY(table_json(w, row, indent + 4));
        TRY(buf_printf(w->out, "\n%*s}%s\n", (int)indent + 2, "", row->next == NULL ? "" : ","));
    }
    return buf_printf(w->out, "%*s]", (int)indent, "");
}

static db_err subqueries_json(struct writer *w, const struct explain_block *b, unsigned indent)
{
    bool first = true;
    for (const struct explain_block *s = w->blocks; s != NULL && b == w->blocks; s = s->next) {
        if (!s->subquery) {
            continue;
        }
        TRY(first ? buf_printf(w->out, ",\n%*s\"attached_subqueries\": [\n", (int)indent, "")
                  : put(w->out, ",\n"));
        first = false;
        TRY(buf_printf(w->out, "%*s{\n%*s\"dependent\": %s,\n%*s\"cacheable\": %s,\n%*s",
                       (int)indent + 2, "", (int)indent + 4, "", s->dependent ? "true" : "false",
                       (int)indent + 4, "", s->dependent ? "false" : "true", (int)indent + 4, ""));
        TRY(block_json(w, s, indent + 4));
        TRY(buf_printf(w->out, "\n%*s}", (int)indent + 2, ""));
    }
    return first ? ERR_OK : buf_printf(w->out, "\n%*s]", (int)indent, "");
}

static db_err union_json(struct writer *w, const struct explain_block *b, unsigned indent)
{
    TRY(buf_printf(w->out,
                   "\"query_block\": {\n%*s\"union_result\": {\n%*s\"using_temporary_table\": "
                   "true,\n%*s\"select_id\": %u,\n",
                   (int)indent + 2, "", (int)indent + 4, "", (int)indent + 4, "", (unsigned)b->id));
    const char *name = explain__quoted(w->arena, b->first->table);
    TRY(name == NULL ? ERR_NOMEM : ERR_OK);
    TRY(buf_printf(w->out,
                   "%*s\"table_name\": %s,\n%*s\"access_type\": \"ALL\",\n"
                   "%*s\"query_specifications\": [\n",
                   (int)indent + 4, "", name, (int)indent + 4, "", (int)indent + 4, ""));
    for (const struct explain_block *arm = b->arms; arm != NULL; arm = arm->next_arm) {
        TRY(buf_printf(w->out, "%*s{\n%*s\"dependent\": false,\n%*s\"cacheable\": true,\n%*s",
                       (int)indent + 6, "", (int)indent + 8, "", (int)indent + 8, "",
                       (int)indent + 8, ""));
        TRY(block_json(w, arm, indent + 8));
        TRY(buf_printf(w->out, "\n%*s}%s\n", (int)indent + 6, "",
                       arm->next_arm == NULL ? "" : ","));
    }
    return buf_printf(w->out, "%*s]\n%*s}\n%*s}", (int)indent + 4, "", (int)indent + 2, "",
                      (int)indent, "");
}

static db_err block_json(struct writer *w, const struct explain_block *b, unsigned indent)
{
    unsigned in = indent + 2;
    unsigned wraps = 0;
    TRY(buf_printf(w->out, "\"query_block\": {\n%*s\"select_id\": %u,\n", (int)in, "",
                   (unsigned)b->id));
    if (b->first != NULL && b->first->table.ptr != NULL) {
        TRY(buf_printf(w->out, "%*s\"cost_info\": {\n%*s\"query_cost\": \"%.2f\"\n%*s},\n", (int)in,
                       "", (int)in + 2, "", b->cost, (int)in, ""));
    }
    if (b->filesort) {
        TRY(buf_printf(w->out, "%*s\"ordering_operation\": {\n%*s\"using_filesort\": true,\n",
                       (int)in, "", (int)in + 2, ""));
        in += 2;
        wraps++;
    }
    if (b->temporary) {
        TRY(buf_printf(w->out,
                       "%*s\"grouping_operation\": {\n%*s\"using_temporary_table\": true,"
                       "\n%*s\"using_filesort\": false,\n",
                       (int)in, "", (int)in + 2, "", (int)in + 2, ""));
        in += 2;
        wraps++;
    }
    TRY(buf_printf(w->out, "%*s", (int)in, ""));
    TRY(tables_json(w, b, in));
    for (; wraps > 0; wraps--) {
        in -= 2;
        TRY(buf_printf(w->out, "\n%*s}", (int)in, ""));
    }
    TRY(subqueries_json(w, b, indent + 2));
    return buf_printf(w->out, "\n%*s}", (int)indent, "");
}

/* A union at the top is told by the block of its result. */
static const struct explain_block *top_block(const struct explain_block *first)
{
    for (const struct explain_block *b = first; b != NULL; b = b->next) {
        if (b->arms == first) {
            return b;
        }
    }
    return first;
}

db_err plan_explain_json(const struct plan *plan, const struct explain_opts *opts, unsigned version,
                         struct arena *arena, struct buf *out)
{
    struct explain_block *first;
    if (version != 1) {
        return version_2(plan, opts, arena, out);
    }
    TRY(plan_explain_rows(plan, arena, &first));
    SCOPE_BUF(text, EXPLAIN_TEXT_MAX);
    struct writer w = {.arena = arena, .out = opts->end_markers ? &text : out, .blocks = first};
    const struct explain_block *top = top_block(first);
    TRY(put(w.out, "{\n  "));
    TRY(top->arms != NULL ? union_json(&w, top, 2) : block_json(&w, top, 2));
    TRY(put(w.out, "\n}"));
    return opts->end_markers ? explain__mark_ends(buf_slice(&text), arena, out) : ERR_OK;
}
