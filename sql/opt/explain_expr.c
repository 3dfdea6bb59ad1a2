/* Expressions of plans as EXPLAIN shows them. A plan's expressions name columns by slots; what a
 * slot is called is found in the node that gives it. */
#include "sql/charset/charset.h"
#include "sql/opt/explain_int.h"

enum { TEXT_MAX = 64 * 1024 };

struct namer {
    const struct explain_input *in;
    unsigned depth;
};

static void put(struct buf *out, const char *text)
{
    db_err err = buf_append_slice(out, slice_str(text));
    (void)err; /* a text that is too long is cut */
}

struct slice explain__alias(const struct scan_spec *s)
{
    return s->alias.len != 0 ? s->alias : s->table->name;
}

/* A functional key part has no name: its expression. */
static struct slice shown_name(const struct column_def *c)
{
    return c->hidden && c->generated != GENERATED_NO ? c->generated_expr : c->name;
}

static bool scan_column(const struct scan_spec *s, uint32_t slot, struct buf *out)
{
    if (slot >= s->column_count) {
        return false;
    }
    const struct column_def *c = &s->table->columns[s->columns[slot]];
    db_err err =
        c->hidden && c->generated != GENERATED_NO
            ? buf_append_slice(out, c->generated_expr)
            : buf_printf(out, "%.*s.%.*s", SLICE_FMT(explain__alias(s)), SLICE_FMT(c->name));
    (void)err;
    return true;
}

static bool output_column(const struct plan_node *n, uint32_t slot, unsigned depth,
                          struct buf *out);

static bool input_column(void *arg, uint32_t slot, struct buf *out)
{
    const struct namer *namer = arg;
    const struct explain_input *in = namer->in;
    if (in == NULL) {
        return false;
    }
    uint32_t left = in->left == NULL ? 0 : in->left->column_count;
    if (slot < left) {
        return output_column(in->left, slot, namer->depth, out);
    }
    if (in->scan != NULL) {
        return scan_column(in->scan, slot - left, out);
    }
    return in->right != NULL && output_column(in->right, slot - left, namer->depth, out);
}

static void print(const struct bexpr *e, const struct explain_input *in, unsigned depth,
                  struct buf *out)
{
    struct namer namer = {in, depth + 1};
    bexpr_print_named(e, &(struct bexpr_names){input_column, &namer}, out);
}

static void print_agg(const struct plan_agg *g, const struct plan_node *below, unsigned depth,
                      struct buf *out)
{
    struct explain_input in = {.left = below};
    put(out, g->call->def->name);
    put(out, g->call->distinct ? "(distinct " : "(");
    for (uint32_t i = 0; i < g->call->arg_count; i++) {
        put(out, i == 0 ? "" : ",");
        print(g->args[i], &in, depth, out);
    }
    put(out, g->call->arg_count == 0 ? "0)" : ")");
}

static bool join_column(const struct plan_node *n, uint32_t slot, unsigned depth, struct buf *out)
{
    uint32_t left = n->children[0]->column_count;
    if (slot < left) {
        return output_column(n->children[0], slot, depth, out);
    }
    return n->kind == PLAN_LOOKUP_JOIN ? scan_column(&n->u.join.lookup, slot - left, out)
                                       : output_column(n->children[1], slot - left, depth, out);
}

/* What the output column is called. False: nothing says it. */
static bool output_column(const struct plan_node *n, uint32_t slot, unsigned depth, struct buf *out)
{
    enum { DEPTH_MAX = 40 };
    if (depth > DEPTH_MAX) {
        return false;
    }
    struct explain_input in = {.left = n->child_count == 0 ? NULL : n->children[0]};
    switch ((int)n->kind) {
    case PLAN_TABLE_SCAN:
    case PLAN_INDEX_SCAN:
    case PLAN_POINT_GET:
    case PLAN_VIRTUAL_SCAN: return scan_column(&n->u.scan, slot, out);
    case PLAN_PROJECT: print(n->u.project.exprs[slot], &in, depth, out); return true;
    case PLAN_HASH_AGG:
    case PLAN_STREAM_AGG:
    case PLAN_ROLLUP_AGG:
        if (slot < n->u.agg.group_count) {
            print(n->u.agg.groups[slot], &in, depth, out);
            return true;
        }
        if (slot - n->u.agg.group_count < n->u.agg.agg_count) {
            print_agg(&n->u.agg.aggs[slot - n->u.agg.group_count], in.left, depth, out);
            return true;
        }
        return false;
    case PLAN_FILTER:
    case PLAN_SORT:
    case PLAN_TOPN:
    case PLAN_LIMIT:
    case PLAN_DISTINCT:
    case PLAN_GATHER: return output_column(n->children[0], slot, depth, out);
    case PLAN_HASH_JOIN:
    case PLAN_NL_JOIN:
    case PLAN_LOOKUP_JOIN: return join_column(n, slot, depth, out);
    default: return false;
    }
}

static const char *keep(struct arena *a, struct buf *text)
{
    return arena_strdup(a, buf_slice(text));
}

const char *explain__expr(struct arena *a, const struct bexpr *e, const struct explain_input *in)
{
    SCOPE_BUF(text, TEXT_MAX);
    print(e, in, 0, &text);
    return keep(a, &text);
}

const char *explain__conjuncts(struct arena *a, struct bexpr *const *list, uint32_t count,
                               const struct explain_input *in)
{
    SCOPE_BUF(text, TEXT_MAX);
    put(&text, count > 1 ? "(" : "");
    for (uint32_t i = 0; i < count; i++) {
        put(&text, i == 0 ? "" : " and ");
        print(list[i], in, 0, &text);
    }
    put(&text, count > 1 ? ")" : "");
    return keep(a, &text);
}

const char *explain__agg(struct arena *a, const struct plan_agg *agg, const struct plan_node *below)
{
    SCOPE_BUF(text, TEXT_MAX);
    print_agg(agg, below, 0, &text);
    return keep(a, &text);
}

/* ---- ranges ---- */

static struct slice part_name(const struct scan_spec *s, uint32_t part)
{
    return shown_name(&s->table->columns[s->index->parts[part].column]);
}

static void print_name(const struct scan_spec *s, uint32_t part, struct buf *out)
{
    db_err err = buf_append_slice(out, part_name(s, part));
    (void)err;
}

static void print_interval(const struct scan_spec *s, uint32_t part, const struct scan_choice *c,
                           const struct explain_input *in, struct buf *out)
{
    if (c->low != NULL) {
        print(c->low, in, 0, out);
        put(out, c->low_inclusive ? " <= " : " < ");
    } else {
        put(out, "NULL < ");
    }
    print_name(s, part, out);
    if (c->high != NULL) {
        put(out, c->high_inclusive ? " <= " : " < ");
        print(c->high, in, 0, out);
    }
}

static void print_value(const struct scan_spec *s, uint32_t part, const struct bexpr *value,
                        const struct explain_input *in, struct buf *out)
{
    print_name(s, part, out);
    put(out, " = ");
    if (value == NULL) {
        put(out, "NULL");
    } else {
        print(value, in, 0, out);
    }
}

static void print_range(const struct scan_spec *s, const struct scan_range *r,
                        const struct explain_input *in, struct buf *out)
{
    put(out, "(");
    for (uint32_t i = 0; i < r->eq_count; i++) {
        put(out, i == 0 ? "" : ", ");
        print_value(s, i, r->eq[i], in, out);
    }
    if (r->low != NULL || r->high != NULL || r->not_null) {
        struct scan_choice ends = {.low = r->low,
                                   .high = r->high,
                                   .low_inclusive = r->low_inclusive,
                                   .high_inclusive = r->high_inclusive};
        put(out, r->eq_count == 0 ? "" : " AND ");
        print_interval(s, r->eq_count, &ends, in, out);
    }
    put(out, ")");
}

/* Of long lists the first few. Is the one with the number i still shown? */
static bool shown(uint32_t i, uint32_t count, struct buf *out)
{
    enum { SHOWN_MAX = 3 };
    put(out, i == 0 ? "" : " OR ");
    if (i + 1 != SHOWN_MAX || count <= SHOWN_MAX) {
        return true;
    }
    db_err err = buf_printf(out, "(%u more)", (unsigned)(count - i));
    (void)err;
    return false;
}

static void print_limit(const struct scan_spec *s, const struct scan_limit *l,
                        const struct explain_input *in, struct buf *out)
{
    put(out, " within ");
    for (uint32_t i = 0; i < l->count && shown(i, l->count, out); i++) {
        put(out, "(");
        for (const struct scan_choice *c = &l->choices[i]; c != NULL; c = c->also) {
            put(out, c == &l->choices[i] ? "" : " AND ");
            if (c->is_value) {
                print_value(s, l->part, c->value, in, out);
            } else {
                print_interval(s, l->part, c, in, out);
            }
        }
        put(out, ")");
    }
}

const char *explain__ranges(struct arena *a, const struct scan_spec *s,
                            const struct explain_input *in)
{
    SCOPE_BUF(text, TEXT_MAX);
    for (uint32_t i = 0; i < s->range_count && shown(i, s->range_count, &text); i++) {
        print_range(s, &s->ranges[i], in, &text);
    }
    for (uint32_t i = 0; i < s->limit_count; i++) {
        print_limit(s, &s->limits[i], in, &text);
    }
    return keep(a, &text);
}

/* ---- keys ---- */

uint32_t explain__used_parts(const struct scan_spec *s)
{
    if (s->range_count == 0) {
        return s->index->part_count;
    }
    const struct scan_range *r = &s->ranges[0];
    bool more = r->low != NULL || r->high != NULL || r->not_null;
    return r->eq_count + (more ? 1 : 0);
}

static uint32_t part_bytes(const struct sql_type *t, uint32_t prefix)
{
    uint32_t fixed = type_row_bytes(t);
    if (fixed != 0) {
        return fixed;
    }
    uint32_t wide = type_is_string(t) ? collation_by_id(t->collation)->cs->maxlen : 1;
    uint32_t bytes = prefix != 0                                   ? prefix * wide
                     : t->id == TYPE_CHAR || t->id == TYPE_VARCHAR ? t->length * wide
                                                                   : t->length;
    return bytes + (t->id == TYPE_CHAR || t->id == TYPE_BINARY ? 0 : 2);
}

uint32_t explain__key_length(const struct scan_spec *s, uint32_t parts)
{
    uint32_t total = 0;
    for (uint32_t i = 0; i < parts && i < s->index->part_count; i++) {
        const struct index_part *p = &s->index->parts[i];
        const struct sql_type *t = column_key_type(&s->table->columns[p->column]);
        total += part_bytes(t, p->prefix_len) + ((t->flags & TYPE_F_NOT_NULL) != 0 ? 0 : 1);
    }
    return total;
}
