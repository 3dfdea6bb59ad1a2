/* Writes past the kernel's memory, and the other way beside them. */
#include "node/log/log.h"

#include "base/rand.h"
#include "node/log/testing.h"
#include "node/log/writer_int.h"

enum { ENTRIES = 400, SIZE_MAX_HERE = 400 << 10 };

struct fixture {
    struct t_log t;
    uint32_t sizes[ENTRIES + 1]; /* by index */
    uint64_t last;
};

static struct {
    bool refuse_open;
    bool refuse_write;
    uint64_t direct, other; /* writes */
    struct disk_file *files[64];
    unsigned count;
} watch;

static bool is_direct(const struct disk_file *file)
{
    for (unsigned i = 0; i < watch.count; i++) {
        if (watch.files[i] == file) {
            return true;
        }
    }
    return false;
}

static db_err watched_open(struct disk *disk, const char *path, unsigned flags,
                           struct disk_file **ret_file)
{
    if ((flags & DISK_DIRECT) == 0) {
        return t_plain(disk)->open(disk, path, flags, ret_file);
    }
    if (watch.refuse_open) {
        return ERR_INVALID;
    }
    TRY(t_plain(disk)->open(disk, path, flags, ret_file));
    CHECK(watch.count < ARRAY_COUNT(watch.files));
    watch.files[watch.count++] = *ret_file;
    return ERR_OK;
}

static void watched_close(struct disk_file *file)
{
    for (unsigned i = 0; i < watch.count; i++) {
        if (watch.files[i] == file) {
            watch.files[i] = watch.files[--watch.count];
        }
    }
    t_plain(file->disk)->close(file);
}

static db_err watched_write(struct disk_file *file, const struct slice *parts, size_t count,
                            uint64_t offset)
{
    bool direct = is_direct(file);
    if (direct && watch.refuse_write) {
        return ERR_INVALID;
    }
    if (direct) {
        watch.direct++;
    } else if (offset >= LOG_DATA_START && parts[0].len != LOG_ZERO_CHUNK) {
        watch.other++;
    }
    return t_plain(file->disk)->pwritev(file, parts, count, offset);
}

static void setup(struct fixture *f)
{
    memset(f, 0, sizeof(*f));
    memset(&watch, 0, sizeof(watch));
    t_log_init(&f->t, 0, 2 << 20);
    f->t.special.open = watched_open;
    f->t.special.close = watched_close;
    f->t.special.pwritev = watched_write;
    f->t.opts.manual = true;
    f->t.opts.cache_size = 1;
}

static void on_done(void *arg, db_err err)
{
    assert_int_equal(err, ERR_OK);
    ++*(unsigned *)arg;
}

/* Rounds of one to three batches, of one entry each. */
static void append(struct fixture *f, struct rand *r, uint32_t size_max)
{
    unsigned batches = 1 + (unsigned)rand_below(r, 3);
    unsigned done = 0;
    for (unsigned i = 0; i < batches; i++) {
        struct raft_log_batch *b = t_batch_new(&f->t);
        uint64_t index = ++f->last;
        assert_true(index <= ENTRIES);
        f->sizes[index] = 1 + (uint32_t)rand_below(r, size_max);
        t_batch_add(b, 1, index, 1, f->sizes[index]);
        raft_log_submit(f->t.log, b, on_done, &done);
    }
    t_log_pump(&f->t);
    assert_int_equal(done, batches);
}

static void check_all(struct fixture *f)
{
    struct raft_log_group g;
    struct arena a;
    struct diag d;
    assert_int_equal(raft_log_group_get(f->t.log, 1, &g), ERR_OK);
    assert_int_equal(g.last_index, f->last);
    arena_init(&a, NULL, NULL, 0);
    for (uint64_t i = 1; i <= f->last;) {
        struct raft_log_page p;
        diag_reset(&d);
        assert_int_equal(
            raft_log_entries(f->t.log, 1, i, f->last + 1, 1 << 20, RAFT_LOG_READ_ANY, &a, &d, &p),
            ERR_OK);
        for (size_t k = 0; k < p.count; k++, i++) {
            assert_int_equal(p.entries[k].index, i);
            assert_int_equal(p.entries[k].data.len, f->sizes[i]);
            for (size_t n = 0; n < f->sizes[i]; n++) {
                assert_int_equal(p.entries[k].data.ptr[n], (uint8_t)i);
            }
        }
        arena_reset(&a);
    }
    arena_fini(&a);
}

/* Small and large rounds in turns, segments that are left, lives that end in all three ways: all is
 * there each time. */
static void there_and_back(struct fixture *f, uint64_t seed)
{
    struct rand r;
    rand_seed(&r, seed);
    t_log_open(&f->t);
    for (unsigned life = 0; life < 9; life++) {
        for (unsigned i = 0; i < 10; i++) {
            bool large = rand_below(&r, 4) == 0;
            append(f, &r, large ? SIZE_MAX_HERE : rand_below(&r, 2) == 0 ? 200 : 9000);
        }
        check_all(f);
        if (life % 3 == 0) {
            raft_log_close(f->t.log);
        } else if (life % 3 == 1) {
            disk_sim_crash(f->t.disk, seed * 10 + life);
            raft_log_kill(f->t.log);
        } else {
            disk_sim_kill_process(f->t.disk);
            raft_log_kill(f->t.log);
        }
        t_log_open(&f->t);
        check_all(f);
    }
    raft_log_close(f->t.log);
}

static void both_ways(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 10; seed++) {
        struct fixture f;
        setup(&f);
        there_and_back(&f, seed);
        assert_true(watch.direct > 30);
        assert_true(watch.other > 10);
        assert_int_equal(watch.count, 0);
        disk_sim_free(f.t.disk);
    }
}

/* Small rounds go one way only. */
static void small_ones_directly(void **state)
{
    (void)state;
    struct fixture f;
    struct rand r;
    setup(&f);
    rand_seed(&r, 1);
    t_log_open(&f.t);
    for (unsigned i = 0; i < 100; i++) {
        append(&f, &r, 300);
    }
    assert_int_equal(watch.direct, 100);
    assert_int_equal(watch.other, 0);
    check_all(&f);
    raft_log_close(f.t.log);
    disk_sim_free(f.t.disk);
}

/* Where the file system does not know such writes. */
static void not_everywhere(void **state)
{
    (void)state;
    for (int i = 0; i < 2; i++) {
        struct fixture f;
        setup(&f);
        watch.refuse_open = i == 0;
        watch.refuse_write = i == 1;
        there_and_back(&f, 3);
        assert_int_equal(watch.direct, 0);
        assert_true(watch.other > 90);
        disk_sim_free(f.t.disk);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(both_ways),
        cmocka_unit_test(small_ones_directly),
        cmocka_unit_test(not_everywhere),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
