/* A buffer that goes to disk again and again, against one that never does: the same entries are
 * found, scanned both ways, and restored by savepoints of any age. */
#include <stdio.h>

#include "base/loop.h"
#include "base/rand.h"
#include "sql/storage/write_spill.h"

#include "base/test_main.h"

enum { KEYS = 400, STEPS = 12000, SAVEPOINTS = 12, VALUE_MAX = 9000 };

struct both {
    struct write_buffer model;
    struct write_buffer wb;
    struct write_spill *spill;
    struct mem_tracker mem;
    struct diag diag;
    struct rand rand;
    uint64_t model_at[SAVEPOINTS], at[SAVEPOINTS];
    uint32_t run_at[SAVEPOINTS];
    unsigned savepoints;
    unsigned spills, far_back;
};

static struct slice key_of(unsigned n, char *space, size_t size)
{
    return slice_of(space, (size_t)snprintf(space, size, "key/%05u", n));
}

static struct wb_entry *own_touch(struct both *b, struct slice key)
{
    struct wb_entry *e = wb_find(&b->wb, key);
    struct wb_entry found;
    struct arena a;
    bool any = false;
    arena_init(&a, NULL, NULL, 0);
    if (e == NULL) {
        CHECK_OK(write_spill_find(b->spill, key, &a, &b->diag, &any, &found));
    }
    if (any) {
        CHECK_OK(wb_adopt(&b->wb, &found, &e));
    }
    if (e == NULL) {
        CHECK_OK(wb_touch(&b->wb, key, &e));
    }
    arena_fini(&a);
    return e;
}

static void change(struct both *b)
{
    static char value[VALUE_MAX];
    char space[32];
    struct slice key = key_of((unsigned)rand_below(&b->rand, KEYS), space, sizeof(space));
    struct wb_entry *m;
    struct wb_entry *e = own_touch(b, key);
    CHECK_OK(wb_touch(&b->model, key, &m));
    size_t len =
        rand_below(&b->rand, 50) == 0 ? rand_below(&b->rand, VALUE_MAX) : rand_below(&b->rand, 60);
    bool new = rand_below(&b->rand, 5) == 0;
    memset(value, 'a' + (int)rand_below(&b->rand, 26), len);
    switch (rand_below(&b->rand, 5)) {
    case 0:
        CHECK_OK(wb_delete(&b->model, m));
        CHECK_OK(wb_delete(&b->wb, e));
        break;
    case 1: /* knowledge of a lock */
        if (m->lock == WB_UNLOCKED) {
            m->slot = (uint32_t)rand_below(&b->rand, 100) + 1;
            m->version_ts = rand_below(&b->rand, 1u << 30);
        }
        m->lock = e->lock = WB_LOCK_EXCLUSIVE;
        m->has_version = e->has_version = true;
        e->slot = m->slot;
        e->version_ts = m->version_ts;
        break;
    default:
        CHECK_OK(wb_put(&b->model, m, slice_of(value, len), new));
        CHECK_OK(wb_put(&b->wb, e, slice_of(value, len), new));
    }
}

static void empty(struct both *b)
{
    struct arena old;
    wb_hand_over(&b->wb, &old);
    arena_fini(&old);
}

static void to_disk(struct both *b)
{
    if (b->wb.entry_count != 0) {
        CHECK_OK(write_spill_add(b->spill, &b->wb, &b->diag));
        empty(b);
        b->spills++;
    }
}

static void savepoint(struct both *b)
{
    if (b->savepoints == SAVEPOINTS) {
        b->savepoints = (unsigned)rand_below(&b->rand, SAVEPOINTS);
    }
    unsigned i = b->savepoints++;
    b->model_at[i] = wb_savepoint(&b->model);
    b->at[i] = wb_savepoint(&b->wb);
    b->run_at[i] = write_spill_count(b->spill);
}

static void go_back(struct both *b)
{
    if (b->savepoints == 0) {
        return;
    }
    unsigned i = (unsigned)rand_below(&b->rand, b->savepoints);
    b->savepoints = i + 1;
    CHECK_OK(wb_rollback_to(&b->model, b->model_at[i]));
    if (b->run_at[i] == write_spill_count(b->spill)) {
        CHECK_OK(wb_rollback_to(&b->wb, b->at[i]));
        return;
    }
    b->far_back++;
    write_spill_back_to(b->spill, b->run_at[i], b->at[i]);
    empty(b);
}

static void check_same(const struct wb_entry *m, const struct wb_entry *e, bool key_only)
{
    CHECK(slice_eq(m->key, e->key));
    CHECK(m->now.op == e->now.op && m->now.must_be_new == e->now.must_be_new);
    CHECK(m->now.op != WB_PUT ||
          (key_only ? e->now.value.len == 0 : slice_eq(m->now.value, e->now.value)));
}

/* Locks need not be known any more after going back; nothing else than the model's is. */
static void check_find(struct both *b)
{
    char space[32];
    struct slice key = key_of((unsigned)rand_below(&b->rand, KEYS), space, sizeof(space));
    struct wb_entry *m = wb_find(&b->model, key);
    struct wb_entry *e = own_touch(b, key);
    CHECK(m != NULL ? (check_same(m, e, false), true) : e->now.op == WB_NONE);
    if (e->lock != WB_UNLOCKED) {
        CHECK(m->lock == e->lock && m->slot == e->slot && m->version_ts == e->version_ts);
    }
    CHECK(b->far_back != 0 || m == NULL || m->lock == e->lock);
}

static void check_scan(struct both *b)
{
    char low[32], high[32];
    unsigned from = (unsigned)rand_below(&b->rand, KEYS);
    struct arena a;
    to_disk(b);
    arena_init(&a, NULL, NULL, 0);
    struct write_spill_span span = {.start = key_of(from, low, sizeof(low)),
                                    .reverse = rand_below(&b->rand, 2) == 0,
                                    .writes_only = true,
                                    .keys_only = rand_below(&b->rand, 4) == 0};
    if (rand_below(&b->rand, 4) != 0) {
        span.end = key_of(from + (unsigned)rand_below(&b->rand, KEYS), high, sizeof(high));
    }
    const struct wb_entry *m =
        span.reverse ? wb_seek_before(&b->model, span.end) : wb_seek(&b->model, span.start);
    bool more = true;
    while (more) {
        struct wb_entry **entries;
        size_t count;
        CHECK_OK(write_spill_collect(b->spill, &span, 1 + rand_below(&b->rand, 90), &a, &b->diag,
                                     &entries, &count, &more));
        for (size_t i = 0; i < count; i++) {
            while (m != NULL && !wb_is_write(m)) {
                m = span.reverse ? wb_seek_before(&b->model, m->key) : wb_next(m);
            }
            CHECK(m != NULL);
            check_same(m, entries[i], span.keys_only);
            m = span.reverse ? wb_seek_before(&b->model, m->key) : wb_next(m);
        }
        if (more && span.reverse) {
            span.end = entries[count - 1]->key;
        } else if (more) {
            CHECK_OK(arena_copy_next(&a, entries[count - 1]->key, &span.start));
        }
    }
    while (m != NULL && !wb_is_write(m)) {
        m = span.reverse ? wb_seek_before(&b->model, m->key) : wb_next(m);
    }
    CHECK(m == NULL ||
          (span.reverse ? slice_cmp(m->key, slice_str(low)) < 0
                        : span.end.len != 0 && slice_cmp(m->key, slice_str(high)) >= 0));
    arena_fini(&a);
}

static void run_seed(uint64_t seed)
{
    struct both b = {0};
    rand_seed(&b.rand, seed);
    diag_reset(&b.diag);
    mem_tracker_init(&b.mem, NULL, 0);
    wb_init(&b.model);
    wb_init(&b.wb);
    wb_begin(&b.wb, &b.mem);
    CHECK_OK(write_spill_new("/tmp", &b.mem, &b.spill));
    for (unsigned i = 0; i < STEPS; i++) {
        switch (rand_below(&b.rand, 60)) {
        case 0: to_disk(&b); break;
        case 1: savepoint(&b); break;
        case 2:
            if (rand_below(&b.rand, 2) == 0) {
                go_back(&b);
            }
            break;
        case 3:
        case 4:
        case 5: check_find(&b); break;
        case 6: check_scan(&b); break;
        default: change(&b);
        }
        CHECK((write_spill_has_writes(b.spill) || b.wb.write_count != 0) ==
              (b.model.write_count != 0));
    }
    CHECK(b.spills > 100 && b.far_back > 20);
    write_spill_free(b.spill);
    wb_fini(&b.wb);
    wb_fini(&b.model);
    CHECK(b.mem.used == 0);
}

static void run_all(void *arg)
{
    (void)arg;
    for (uint64_t seed = 1; seed <= 4; seed++) {
        run_seed(seed);
    }
}

static void test_against_memory(void **state)
{
    (void)state;
    CHECK_OK(loop_run_main(run_all, NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_against_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
