#include "base/span_tree.h"

#include "base/assert.h"

static bool is_point(const struct span_node *n)
{
    return n->end.ptr == n->start.ptr && n->end.len == n->start.len && n->start.len != 0;
}

/* By end; no bound is the largest. A point ends right behind its key, hence behind an interval that
 * ends at the key. */
static int cmp_end(const struct span_node *a, const struct span_node *b)
{
    bool a_open = a->end.len == 0;
    bool b_open = b->end.len == 0;
    if (a_open || b_open) {
        return (int)a_open - (int)b_open;
    }
    int c = slice_cmp(a->end, b->end);
    return c != 0 ? c : (int)is_point(a) - (int)is_point(b);
}

static int cmp_node(const struct span_node *a, const struct span_node *b)
{
    int c = slice_cmp(a->start, b->start);
    return c != 0 ? c : (a->seq > b->seq) - (a->seq < b->seq);
}

/* Does anything of what ends with n lie at or above key? */
static bool reaches(const struct span_node *n, struct slice key)
{
    if (n->end.len == 0) {
        return true;
    }
    int c = slice_cmp(n->end, key);
    return c > 0 || (c == 0 && is_point(n));
}

static void update(struct span_node *n)
{
    n->last = n;
    if (n->left != NULL && cmp_end(n->left->last, n->last) > 0) {
        n->last = n->left->last;
    }
    if (n->right != NULL && cmp_end(n->right->last, n->last) > 0) {
        n->last = n->right->last;
    }
}

static struct span_node *rotate_right(struct span_node *n)
{
    struct span_node *l = n->left;
    n->left = l->right;
    l->right = n;
    update(n);
    return l;
}

static struct span_node *rotate_left(struct span_node *n)
{
    struct span_node *r = n->right;
    n->right = r->left;
    r->left = n;
    update(n);
    return r;
}

static struct span_node *insert(struct span_node *at, struct span_node *n)
{
    if (at == NULL) {
        return n;
    }
    if (cmp_node(n, at) < 0) {
        at->left = insert(at->left, n);
        if (at->left->priority > at->priority) {
            at = rotate_right(at);
        }
    } else {
        at->right = insert(at->right, n);
        if (at->right->priority > at->priority) {
            at = rotate_left(at);
        }
    }
    update(at);
    return at;
}

void span_tree_insert(struct span_tree *t, struct span_node *n)
{
    ASSERT(n->end.len == 0 || is_point(n) || slice_cmp(n->start, n->end) < 0);
    n->seq = ++t->seq;
    uint64_t h = n->seq * UINT64_C(0x9e3779b97f4a7c15);
    n->priority = (uint32_t)((h ^ h >> 29) * UINT64_C(0xbf58476d1ce4e5b9) >> 32);
    n->left = n->right = NULL;
    update(n);
    t->root = insert(t->root, n);
    t->count++;
}

static struct span_node *join(struct span_node *a, struct span_node *b)
{
    if (a == NULL || b == NULL) {
        return a == NULL ? b : a;
    }
    if (a->priority > b->priority) {
        a->right = join(a->right, b);
        update(a);
        return a;
    }
    b->left = join(a, b->left);
    update(b);
    return b;
}

static struct span_node *without(struct span_node *at, struct span_node *n)
{
    ASSERT(at != NULL);
    if (at == n) {
        return join(n->left, n->right);
    }
    if (cmp_node(n, at) < 0) {
        at->left = without(at->left, n);
    } else {
        at->right = without(at->right, n);
    }
    update(at);
    return at;
}

void span_tree_remove(struct span_tree *t, struct span_node *n)
{
    t->root = without(t->root, n);
    t->count--;
}

struct visit {
    struct slice start;
    struct slice end;
    bool key; /* only start itself */
    bool (*fn)(void *ctx, struct span_node *n);
    void *ctx;
};

static bool visit(struct span_node *at, const struct visit *v)
{
    while (at != NULL && reaches(at->last, v->start)) {
        if (visit(at->left, v)) {
            return true;
        }
        int c = v->key            ? slice_cmp(at->start, v->start)
                : v->end.len == 0 ? -1
                                  : slice_cmp(at->start, v->end);
        if (v->key ? c > 0 : c >= 0) {
            return false; /* and so begins all to the right */
        }
        if (reaches(at, v->start) && v->fn(v->ctx, at)) {
            return true;
        }
        at = at->right;
    }
    return false;
}

bool span_tree_visit(const struct span_tree *t, struct slice start, struct slice end,
                     bool (*fn)(void *ctx, struct span_node *n), void *ctx)
{
    struct visit v = {.start = start, .end = end, .fn = fn, .ctx = ctx};
    return visit(t->root, &v);
}

bool span_tree_visit_key(const struct span_tree *t, struct slice key,
                         bool (*fn)(void *ctx, struct span_node *n), void *ctx)
{
    struct visit v = {.start = key, .end = key, .key = true, .fn = fn, .ctx = ctx};
    return visit(t->root, &v);
}
