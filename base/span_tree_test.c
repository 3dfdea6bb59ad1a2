/* The tree against a plain list, on random intervals and points over a few letters. */
#include "base/span_tree.h"

#include <string.h>

#include "base/rand.h"
#include "base/test_main.h"

enum { NODES = 400, KEY_MAX = 3 };

struct item {
    struct span_node node;
    uint8_t start[KEY_MAX];
    uint8_t end[KEY_MAX];
    bool in;
    bool point;
    bool seen;
};

static struct item g_items[NODES];

static struct slice random_key(struct rand *r, uint8_t *out)
{
    size_t len = 1 + (size_t)rand_below(r, KEY_MAX);
    for (size_t i = 0; i < len; i++) {
        out[i] = (uint8_t)('a' + rand_below(r, 4));
    }
    return slice_of(out, len);
}

static void make(struct rand *r, struct item *it)
{
    struct slice a = random_key(r, it->start);
    struct slice b = random_key(r, it->end);
    it->point = rand_below(r, 3) == 0;
    if (it->point) {
        span_node_point(&it->node, a);
        return;
    }
    int c = slice_cmp(a, b);
    it->node.start = c <= 0 ? a : b;
    it->node.end = c == 0 ? SLICE_EMPTY : c < 0 ? b : a;
}

static bool overlaps(const struct item *it, struct slice start, struct slice end, bool key)
{
    const struct span_node *n = &it->node;
    bool after_start =
        n->end.len == 0 || slice_cmp(n->end, start) > 0 || (it->point && slice_eq(n->start, start));
    bool before_end =
        key ? slice_cmp(n->start, start) <= 0 : end.len == 0 || slice_cmp(n->start, end) < 0;
    return after_start && before_end;
}

struct walk {
    size_t count;
    const struct span_node *before;
};

static bool note(void *ctx, struct span_node *n)
{
    struct walk *w = ctx;
    struct item *it = (struct item *)n;
    assert_false(it->seen);
    assert_true(w->before == NULL || slice_cmp(w->before->start, n->start) <= 0);
    it->seen = true;
    w->before = n;
    w->count++;
    return false;
}

static bool stop(void *ctx, struct span_node *n)
{
    (void)n;
    ++*(int *)ctx;
    return true;
}

static void compare(const struct span_tree *t, struct slice start, struct slice end, bool key)
{
    struct walk w = {0};
    size_t want = 0;
    for (size_t i = 0; i < NODES; i++) {
        g_items[i].seen = false;
    }
    bool stopped =
        key ? span_tree_visit_key(t, start, note, &w) : span_tree_visit(t, start, end, note, &w);
    assert_false(stopped);
    for (size_t i = 0; i < NODES; i++) {
        bool fits = g_items[i].in && overlaps(&g_items[i], start, end, key);
        assert_int_equal(fits, g_items[i].seen);
        want += fits;
    }
    assert_int_equal(w.count, want);
    int calls = 0;
    assert_int_equal(key ? span_tree_visit_key(t, start, stop, &calls)
                         : span_tree_visit(t, start, end, stop, &calls),
                     want != 0);
    assert_int_equal(calls, want != 0);
}

static void test_random(void **state)
{
    (void)state;
    struct span_tree t = {0};
    struct rand r;
    rand_seed(&r, 7);
    size_t count = 0;
    for (int step = 0; step < 20000; step++) {
        struct item *it = &g_items[rand_below(&r, NODES)];
        if (it->in) {
            span_tree_remove(&t, &it->node);
            count--;
        } else {
            make(&r, it);
            span_tree_insert(&t, &it->node);
            count++;
        }
        it->in = !it->in;
        assert_int_equal(t.count, count);
        if (step % 16 == 0) {
            uint8_t a[KEY_MAX];
            uint8_t b[KEY_MAX];
            struct slice start = random_key(&r, a);
            struct slice end = random_key(&r, b);
            bool open = rand_below(&r, 8) == 0;
            compare(&t, start, SLICE_EMPTY, true);
            if (open || slice_cmp(start, end) < 0) {
                compare(&t, start, open ? SLICE_EMPTY : end, false);
            }
        }
    }
}

static void test_borders(void **state)
{
    (void)state;
    struct span_tree t = {0};
    struct span_node n = {.start = SLICE_LIT("b"), .end = SLICE_LIT("d")};
    struct span_node p;
    int calls = 0;
    span_node_point(&p, SLICE_LIT("d"));
    span_tree_insert(&t, &n);
    assert_false(span_tree_visit_key(&t, SLICE_LIT("d"), stop, &calls));
    assert_false(span_tree_visit(&t, SLICE_LIT("a"), SLICE_LIT("b"), stop, &calls));
    assert_true(span_tree_visit_key(&t, SLICE_LIT("b"), stop, &calls));
    assert_true(span_tree_visit(&t, SLICE_LIT("a"), SLICE_LIT("c"), stop, &calls));
    span_tree_insert(&t, &p);
    assert_true(span_tree_visit_key(&t, SLICE_LIT("d"), stop, &calls));
    assert_false(span_tree_visit(&t, SLICE_LIT("d\1"), SLICE_EMPTY, stop, &calls));
    span_tree_remove(&t, &p);
    span_tree_remove(&t, &n);
    assert_null(t.root);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random),
        cmocka_unit_test(test_borders),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
