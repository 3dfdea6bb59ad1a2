#include "base/test_apart.h"
#include "node/range/merge_testing.h"

#include "node/range/range_int.h"

/* Stores whose descriptors do not name right neighbours: a start names those that are certain. */

/* ---- a store of before ---- */

static db_err forget_right(void *arg, const struct range_desc *desc)
{
    struct range_desc d = *desc;
    d.right_id = 0;
    return store_put_desc(arg, &d);
}

static void rewrite_job(void *arg)
{
    const struct tnode *n = arg;
    struct diag diag;
    char path[160];
    struct engine *e;
    struct engine_wbatch *wb;
    diag_reset(&diag);
    snprintf(path, sizeof(path), "%s/store", n->dir);
    struct engine_opts eo = {.path = path, .memory_size = 16 << 20};
    CHECK_OK(engine_open_rocks(&eo, &diag, &e));
    CHECK_OK(engine_wbatch_new(e, &wb));
    CHECK_OK(store_each_desc(e, &diag, forget_right, wb));
    CHECK_OK(engine_apply(e, wb, &diag));
    CHECK_OK(engine_flush_wait(e));
    engine_wbatch_free(wb);
    engine_close(e, false);
}

struct wanted {
    range_id_t id;
    range_id_t right;
    uint64_t version;
    bool found;
};

static db_err take_right(void *arg, const struct range_desc *desc, bool serving)
{
    struct wanted *w = arg;
    (void)serving;
    if (desc->id == w->id) {
        w->right = desc->right_id;
        w->version = desc->epoch.version;
        w->found = true;
    }
    return ERR_OK;
}

static struct wanted look_at(struct tcluster *c, range_id_t id)
{
    struct wanted w = {.id = id};
    CHECK_OK(range_store_each(c->nodes[1].rs, take_right, &w));
    CHECK(w.found);
    return w;
}

static range_id_t right_of(struct tcluster *c, range_id_t id)
{
    return look_at(c, id).right;
}

static void as_before(struct tcluster *c)
{
    t_stop(c, 1, false);
    blocking_run(rewrite_job, &c->nodes[1]);
    t_start(c, 1);
    CHECK(t_wait_leader(c, 2, 60 * NS_PER_S) == 1);
}

/* ---- */

static void named(struct tcluster *c)
{
    t_start(c, 1);
    CHECK(t_wait_leader(c, 2, 60 * NS_PER_S) == 1);
    keys_from_to(c, 0, 60, 0);
    range_id_t a = split_at(c, 20); /* both at 2, */
    range_id_t b = split_at(c, 40); /* and these at 3 */
    CHECK(t_wait_leader(c, b, 60 * NS_PER_S) == 1);
    CHECK(right_of(c, 1) == 2 && right_of(c, 2) == a && right_of(c, a) == b);
    as_before(c);
    CHECK(right_of(c, 1) == 2 && right_of(c, 2) == a && right_of(c, a) == b);
    CHECK(right_of(c, b) == 0);
    /* it is there after the next start, and right for what comes then */
    t_stop(c, 1, true);
    t_start(c, 1);
    CHECK(right_of(c, 2) == a && right_of(c, a) == b);
    CHECK(t_wait_leader(c, a, 60 * NS_PER_S) == 1 && t_wait_leader(c, b, 60 * NS_PER_S) == 1);
    merge_ok(c, a, b);
    CHECK(right_of(c, a) == 0);
    merge_ok(c, 2, a);
    CHECK(right_of(c, 2) == 0);
    range_id_t d = split_at(c, 30);
    CHECK(right_of(c, 2) == d);
    t_stop_all(c);
}

/* Ranges that have changed more since they lay side by side could be others: of one that was merged
 * and one that was split off at the same key, it cannot be said from here which it is. */
static void not_certain(struct tcluster *c)
{
    t_start(c, 1);
    CHECK(t_wait_leader(c, 2, 60 * NS_PER_S) == 1);
    keys_from_to(c, 0, 60, 0);
    range_id_t a = split_at(c, 40);
    CHECK(t_wait_leader(c, a, 60 * NS_PER_S) == 1);
    range_id_t last = 0;
    for (unsigned k = 59; k > 57; k--) { /* a: version 4 */
        last = split_at(c, k);
    }
    CHECK(look_at(c, 2).version + 2 == look_at(c, a).version);
    as_before(c);
    CHECK(right_of(c, 2) == 0);
    CHECK(right_of(c, a) == last);
    CHECK(right_of(c, 1) == 2); /* one apart */
    split_at(c, 20);
    split_at(c, 10); /* the first one is at 4 now, the meta range at 1 */
    as_before(c);
    CHECK(right_of(c, 1) == 0);
    t_stop_all(c);
}

static void test_named(void **state)
{
    (void)state;
    t_run(1, named);
}

static void test_not_certain(void **state)
{
    (void)state;
    t_run(1, not_certain);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_named),
        cmocka_unit_test(test_not_certain),
    };
    return tests_run_apart(tests, ARRAY_COUNT(tests), argc, argv);
}
