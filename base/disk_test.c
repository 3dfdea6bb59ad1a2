/* One suite over both disks, then what only the simulated one does. */
#include "base/disk.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/disk_sim.h"
#include "base/rand.h"
#include "base/test_main.h"

struct place {
    struct disk *disk;
    char dir[256];
};

static const char *path_in(const struct place *p, const char *name)
{
    static char paths[4][512];
    static unsigned next;
    char *path = paths[next++ % 4];
    snprintf(path, sizeof(paths[0]), "%s/%s", p->dir, name);
    return path;
}

static int setup_real(void **state)
{
    static struct place p;
    p.disk = disk_real();
    /* Not in TMPDIR: a tmpfs takes writes past the page cache that no disk would. */
    snprintf(p.dir, sizeof(p.dir), "./disk_test_XXXXXX");
    if (mkdtemp(p.dir) == NULL) {
        return -1;
    }
    *state = &p;
    return 0;
}

static db_err remove_one(void *ctx, const char *name)
{
    struct place *p = ctx;
    db_err err = disk_unlink(p->disk, path_in(p, name));
    return err == ERR_INVALID ? disk_rmdir(p->disk, path_in(p, name)) : err;
}

static int teardown_real(void **state)
{
    struct place *p = *state;
    db_err err = disk_list(p->disk, p->dir, remove_one, p);
    return err == ERR_OK && rmdir(p->dir) == 0 ? 0 : -1;
}

static int setup_sim(void **state)
{
    static struct place p;
    if (disk_sim_new(0, &p.disk) != ERR_OK || disk_mkdir(p.disk, "/data") != ERR_OK) {
        return -1;
    }
    snprintf(p.dir, sizeof(p.dir), "/data");
    *state = &p;
    return 0;
}

static int teardown_sim(void **state)
{
    struct place *p = *state;
    disk_sim_free(p->disk);
    return 0;
}

static void test_read_write(void **state)
{
    struct place *p = *state;
    struct disk_file *f;
    struct disk_file *g = NULL;
    const char *path = path_in(p, "a");
    assert_int_equal(disk_open(p->disk, path, DISK_READ, &f), ERR_NOT_FOUND);
    assert_int_equal(disk_open(p->disk, path, DISK_WRITE | DISK_CREATE | DISK_EXCLUSIVE, &f),
                     ERR_OK);
    assert_int_equal(disk_open(p->disk, path, DISK_WRITE | DISK_CREATE | DISK_EXCLUSIVE, &g),
                     ERR_EXISTS);
    assert_null(g);
    assert_int_equal(disk_pwrite(f, "hello", 5, 3), ERR_OK);
    const struct slice parts[] = {SLICE_LIT(""), SLICE_LIT("ab"), SLICE_EMPTY, SLICE_LIT("cde")};
    assert_int_equal(disk_pwritev(f, parts, 4, 8), ERR_OK);
    uint64_t size = 0;
    assert_int_equal(disk_size(f, &size), ERR_OK);
    assert_int_equal(size, 13);
    char text[20];
    size_t got;
    assert_int_equal(disk_pread(f, text, sizeof(text), 0, &got), ERR_OK);
    assert_int_equal(got, 13);
    assert_memory_equal(text, "\0\0\0helloabcde", 13);
    assert_int_equal(disk_pread(f, text, 5, 100, &got), ERR_OK);
    assert_int_equal(got, 0);
    assert_int_equal(disk_pread_full(f, text, 5, 10), ERR_CORRUPT);
    assert_int_equal(disk_truncate(f, 4), ERR_OK);
    assert_int_equal(disk_allocate(f, 0, 8192), ERR_OK);
    assert_int_equal(disk_size(f, &size), ERR_OK);
    assert_int_equal(size, 8192);
    assert_int_equal(disk_pread_full(f, text, 6, 2), ERR_OK);
    assert_memory_equal(text, "\0h\0\0\0\0", 6);
    assert_int_equal(disk_sync(f), ERR_OK);
    disk_close(f);
    disk_close(NULL);
    assert_int_equal(disk_open(p->disk, path, DISK_READ, &f), ERR_OK);
    assert_int_not_equal(disk_pwrite(f, "x", 1, 0), ERR_OK);
    disk_close(f);
    assert_int_equal(disk_open(p->disk, path, DISK_WRITE | DISK_TRUNCATE, &f), ERR_OK);
    assert_int_equal(disk_size(f, &size), ERR_OK);
    assert_int_equal(size, 0);
    disk_close(f);
}

static db_err count_one(void *ctx, const char *name)
{
    unsigned *sum = ctx;
    *sum = *sum * 10 + (unsigned)(name[1] - '0');
    return *sum > 1000 ? ERR_LIMIT : ERR_OK;
}

static void make(struct place *p, const char *name, const char *text)
{
    struct disk_file *f;
    assert_int_equal(disk_open(p->disk, path_in(p, name), DISK_WRITE | DISK_CREATE, &f), ERR_OK);
    assert_int_equal(disk_pwrite(f, text, strlen(text), 0), ERR_OK);
    assert_int_equal(disk_sync(f), ERR_OK);
    disk_close(f);
}

static void assert_content(struct place *p, const char *name, const char *text)
{
    struct disk_file *f;
    char got[64];
    size_t len;
    assert_int_equal(disk_open(p->disk, path_in(p, name), DISK_READ, &f), ERR_OK);
    assert_int_equal(disk_pread(f, got, sizeof(got), 0, &len), ERR_OK);
    assert_int_equal(len, strlen(text));
    assert_memory_equal(got, text, len);
    disk_close(f);
}

/* Blocks past the kernel's memory: other handles see them; what is no whole block is refused. */
static void test_direct(void **state)
{
    struct place *p = *state;
    struct disk_file *f;
    struct disk_file *g = NULL;
    const char *path = path_in(p, "direct");
    static _Alignas(DISK_BLOCK) uint8_t memory[2 * DISK_BLOCK];
    uint8_t back[DISK_BLOCK];
    memset(memory, 'x', sizeof(memory));
    assert_int_equal(disk_open(p->disk, path, DISK_WRITE | DISK_CREATE, &f), ERR_OK);
    assert_int_equal(disk_allocate(f, 0, 4 * DISK_BLOCK), ERR_OK);
    assert_int_equal(disk_pwrite(f, "before", 6, DISK_BLOCK - 3), ERR_OK);
    db_err err = disk_open(p->disk, path, DISK_WRITE | DISK_DIRECT, &g);
    if (err == ERR_OK) {
        err = disk_pwrite(g, memory, 2 * DISK_BLOCK, DISK_BLOCK);
    }
    if (err != ERR_INVALID) { /* this file system can */
        assert_int_equal(err, ERR_OK);
        assert_int_equal(disk_sync(f), ERR_OK);
        assert_int_equal(disk_pwrite(f, "behind", 6, 3 * DISK_BLOCK - 3), ERR_OK);
        assert_int_equal(disk_pread_full(f, back, sizeof(back), DISK_BLOCK - 3), ERR_OK);
        assert_memory_equal(back, "befxxx", 6);
        assert_int_equal(disk_pread_full(f, back, 9, 3 * DISK_BLOCK - 6), ERR_OK);
        assert_memory_equal(back, "xxxbehind", 9);
        assert_int_equal(disk_pwrite(g, memory, 100, 0), ERR_INVALID);
        assert_int_equal(disk_pwrite(g, memory, DISK_BLOCK, 100), ERR_INVALID);
    }
    disk_close(g);
    disk_close(f);
}

static void test_names(void **state)
{
    struct place *p = *state;
    make(p, "f1", "one");
    make(p, "f2", "two");
    unsigned sum = 0;
    assert_int_equal(disk_list(p->disk, p->dir, count_one, &sum), ERR_OK);
    assert_true(sum == 12 || sum == 21);
    assert_int_equal(disk_rename(p->disk, path_in(p, "f1"), path_in(p, "f2")), ERR_OK);
    assert_content(p, "f2", "one");
    assert_int_equal(disk_rename(p->disk, path_in(p, "f1"), path_in(p, "f3")), ERR_NOT_FOUND);
    assert_int_equal(disk_mkdir(p->disk, path_in(p, "d")), ERR_OK);
    assert_int_equal(disk_mkdir(p->disk, path_in(p, "d")), ERR_EXISTS);
    make(p, "d/x", "three");
    assert_int_equal(disk_rmdir(p->disk, path_in(p, "d")), ERR_EXISTS);
    assert_int_equal(disk_unlink(p->disk, path_in(p, "d/x")), ERR_OK);
    assert_int_equal(disk_unlink(p->disk, path_in(p, "d/x")), ERR_NOT_FOUND);
    assert_int_equal(disk_sync_dir(p->disk, path_in(p, "d")), ERR_OK);
    assert_int_equal(disk_rmdir(p->disk, path_in(p, "d")), ERR_OK);
    assert_int_equal(disk_sync_dir(p->disk, path_in(p, "d")), ERR_NOT_FOUND);
    assert_int_equal(disk_sync_dir(p->disk, p->dir), ERR_OK);
    assert_int_equal(disk_unlink(p->disk, path_in(p, "f2")), ERR_OK);
    uint64_t free_bytes;
    uint64_t total;
    assert_int_equal(disk_space(p->disk, p->dir, &free_bytes, &total), ERR_OK);
    assert_true(free_bytes <= total);
}

/* A handle outlives its name. */
static void test_unlinked(void **state)
{
    struct place *p = *state;
    struct disk_file *f;
    make(p, "u", "text");
    assert_int_equal(disk_open(p->disk, path_in(p, "u"), DISK_READ, &f), ERR_OK);
    assert_int_equal(disk_unlink(p->disk, path_in(p, "u")), ERR_OK);
    char text[4];
    assert_int_equal(disk_pread_full(f, text, 4, 0), ERR_OK);
    disk_close(f);
}

/* --- the simulated disk alone --- */

/* What was synced survives every crash; what was not is, sector by sector, old or new; each outcome
 * occurs. */
static void test_crash_content(void **state)
{
    struct place *p = *state;
    enum { SECTORS = 8, BYTES = SECTORS * DISK_SIM_SECTOR };
    unsigned all_new = 0;
    unsigned all_old = 0;
    unsigned torn = 0;
    for (uint64_t seed = 0; seed < 200; seed++) {
        struct disk_file *f;
        uint8_t data[BYTES];
        const char *path = path_in(p, "c");
        assert_int_equal(disk_open(p->disk, path, DISK_WRITE | DISK_CREATE | DISK_TRUNCATE, &f),
                         ERR_OK);
        memset(data, 'o', BYTES);
        assert_int_equal(disk_pwrite(f, data, BYTES, 0), ERR_OK);
        assert_int_equal(disk_sync(f), ERR_OK);
        assert_int_equal(disk_sync_dir(p->disk, "/"), ERR_OK);
        assert_int_equal(disk_sync_dir(p->disk, p->dir), ERR_OK);
        memset(data, 'n', BYTES);
        assert_int_equal(disk_pwrite(f, data, BYTES, 0), ERR_OK);
        disk_sim_crash(p->disk, seed);
        assert_int_equal(disk_pread_full(f, data, 1, 0), ERR_CLOSED);
        disk_close(f);
        assert_int_equal(disk_open(p->disk, path, DISK_WRITE, &f), ERR_OK);
        assert_int_equal(disk_pread_full(f, data, BYTES, 0), ERR_OK);
        unsigned news = 0;
        for (unsigned i = 0; i < SECTORS; i++) {
            const uint8_t *sector = data + i * DISK_SIM_SECTOR;
            assert_true(sector[0] == 'o' || sector[0] == 'n');
            assert_memory_equal(sector, sector + 1, DISK_SIM_SECTOR - 1);
            news += sector[0] == 'n';
        }
        all_new += news == SECTORS;
        all_old += news == 0;
        torn += news != 0 && news != SECTORS;
        disk_close(f);
    }
    assert_true(all_new > 20);
    assert_true(all_old > 20);
    assert_true(torn > 20);
}

/* An appending write may leave its size, its data, both or neither; never bytes of neither. */
static void test_crash_append(void **state)
{
    struct place *p = *state;
    unsigned zeros = 0;
    for (uint64_t seed = 0; seed < 100; seed++) {
        struct disk_file *f;
        const char *path = path_in(p, "s");
        assert_int_equal(disk_open(p->disk, path, DISK_WRITE | DISK_CREATE | DISK_TRUNCATE, &f),
                         ERR_OK);
        assert_int_equal(disk_pwrite(f, "safe", 4, 0), ERR_OK);
        assert_int_equal(disk_sync(f), ERR_OK);
        assert_int_equal(disk_sync_dir(p->disk, "/"), ERR_OK);
        assert_int_equal(disk_sync_dir(p->disk, p->dir), ERR_OK);
        assert_int_equal(disk_pwrite(f, "more", 4, 4), ERR_OK);
        disk_close(f);
        disk_sim_crash(p->disk, seed);
        assert_int_equal(disk_open(p->disk, path, DISK_READ, &f), ERR_OK);
        char text[16];
        size_t len;
        assert_int_equal(disk_pread(f, text, sizeof(text), 0, &len), ERR_OK);
        assert_true(len == 4 || len == 8);
        assert_memory_equal(text, "safe", 4);
        if (len == 8) {
            assert_true(memcmp(text + 4, "more", 4) == 0 || memcmp(text + 4, "\0\0\0\0", 4) == 0);
            zeros += text[4] == 0;
        }
        disk_close(f);
    }
    assert_true(zeros > 0);
}

static bool exists(struct place *p, const char *name)
{
    struct disk_file *f;
    if (disk_open(p->disk, path_in(p, name), DISK_READ, &f) != ERR_OK) {
        return false;
    }
    disk_close(f);
    return true;
}

/* Names: what a directory was synced with stays; later changes survive as a prefix. */
static void test_crash_names(void **state)
{
    struct place *p = *state;
    unsigned seen[4] = {0};
    for (uint64_t seed = 0; seed < 100; seed++) {
        make(p, "current", "old");
        assert_int_equal(disk_sync_dir(p->disk, "/"), ERR_OK);
        assert_int_equal(disk_sync_dir(p->disk, p->dir), ERR_OK);
        make(p, "new", "new");
        assert_int_equal(disk_rename(p->disk, path_in(p, "new"), path_in(p, "current")), ERR_OK);
        make(p, "last", "last");
        disk_sim_crash(p->disk, seed);
        assert_true(exists(p, "current"));
        bool replaced = !exists(p, "new");
        struct disk_file *f;
        char text[3];
        assert_int_equal(disk_open(p->disk, path_in(p, "current"), DISK_READ, &f), ERR_OK);
        assert_int_equal(disk_pread_full(f, text, 3, 0), ERR_OK);
        disk_close(f);
        bool is_new = memcmp(text, "new", 3) == 0;
        if (exists(p, "last")) {
            assert_true(is_new);
            seen[3]++;
        } else if (is_new) {
            assert_true(replaced);
            seen[2]++;
        } else {
            seen[exists(p, "new")]++;
        }
        if (exists(p, "new")) {
            assert_int_equal(disk_unlink(p->disk, path_in(p, "new")), ERR_OK);
        }
        if (exists(p, "last")) {
            assert_int_equal(disk_unlink(p->disk, path_in(p, "last")), ERR_OK);
        }
        assert_int_equal(disk_unlink(p->disk, path_in(p, "current")), ERR_OK);
    }
    for (unsigned i = 0; i < 4; i++) {
        assert_true(seen[i] > 0);
    }
}

static void test_sim_faults(void **state)
{
    struct place *p = *state;
    struct disk_file *f;
    make(p, "w", "0123456789");
    uint64_t used = disk_sim_used(p->disk);
    assert_int_equal(used, 10);
    disk_sim_set_space(p->disk, used + 100);
    assert_int_equal(disk_open(p->disk, path_in(p, "w"), DISK_WRITE, &f), ERR_OK);
    char block[200];
    memset(block, 'x', sizeof(block));
    assert_int_equal(disk_pwrite(f, block, 200, 0), ERR_DISK_FULL);
    assert_int_equal(disk_allocate(f, 0, 200), ERR_DISK_FULL);
    assert_int_equal(disk_pwrite(f, block, 110, 0), ERR_OK);
    assert_int_equal(disk_truncate(f, 10), ERR_OK);
    assert_int_equal(disk_sim_used(p->disk), 10);
    disk_sim_fail(p->disk, DISK_SIM_WRITE, 1, 1, ERR_IO);
    assert_int_equal(disk_pwrite(f, "a", 1, 0), ERR_OK);
    assert_int_equal(disk_pwrite(f, "b", 1, 0), ERR_IO);
    assert_int_equal(disk_pwrite(f, "c", 1, 0), ERR_OK);
    disk_sim_fail(p->disk, DISK_SIM_SYNC, 0, 1, ERR_IO);
    assert_int_equal(disk_sync(f), ERR_IO);
    assert_int_equal(disk_sync(f), ERR_OK);
    assert_int_equal(disk_sim_flip_bit(p->disk, path_in(p, "w"), 0, 1), ERR_OK);
    char c;
    assert_int_equal(disk_pread_full(f, &c, 1, 0), ERR_OK);
    assert_int_equal(c, 'a');
    assert_int_equal(disk_sim_flip_bit(p->disk, path_in(p, "w"), 10, 1), ERR_INVALID);
    disk_sim_kill_process(p->disk);
    assert_int_equal(disk_sync(f), ERR_CLOSED);
    disk_close(f);
    struct disk_sim_stats stats;
    disk_sim_get_stats(p->disk, &stats);
    assert_true(stats.calls[DISK_SIM_WRITE] > 0);
}

/* The same calls and the same seed give the same disk. */
static uint64_t random_run(uint64_t seed)
{
    struct place p = {.dir = ""};
    CHECK_OK(disk_sim_new(0, &p.disk));
    struct rand r;
    rand_seed(&r, 7);
    for (int i = 0; i < 300; i++) {
        char name[16];
        struct disk_file *f;
        snprintf(name, sizeof(name), "f%d", (int)rand_below(&r, 10));
        CHECK_OK(disk_open(p.disk, name, DISK_WRITE | DISK_CREATE, &f));
        uint64_t data[64];
        for (int k = 0; k < 64; k++) {
            data[k] = rand_u64(&r);
        }
        CHECK_OK(disk_pwrite(f, data, sizeof(data), rand_below(&r, 5000)));
        if (rand_below(&r, 4) == 0) {
            CHECK_OK(disk_sync(f));
        }
        if (rand_below(&r, 20) == 0) {
            CHECK_OK(disk_sync_dir(p.disk, "/"));
        }
        disk_close(f);
        if (rand_below(&r, 8) == 0) {
            CHECK_OK(disk_unlink(p.disk, name));
        }
    }
    disk_sim_crash(p.disk, seed);
    uint64_t sum = 0;
    for (int i = 0; i < 10; i++) {
        char name[16];
        struct disk_file *f;
        snprintf(name, sizeof(name), "f%d", i);
        if (disk_open(p.disk, name, DISK_READ, &f) == ERR_OK) {
            uint8_t data[8192];
            size_t len;
            CHECK_OK(disk_pread(f, data, sizeof(data), 0, &len));
            for (size_t k = 0; k < len; k++) {
                sum = sum * 31 + data[k];
            }
            disk_close(f);
        }
    }
    disk_sim_free(p.disk);
    return sum;
}

/* Too many open files is no failure of the disk: it may be tried again. */
static void test_no_descriptors(void **state UNUSED)
{
    struct disk_file *f = NULL;
    struct rlimit before;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    struct rlimit none = {.rlim_cur = 0, .rlim_max = before.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
    db_err err = disk_open(disk_real(), "disk_test.none", DISK_WRITE | DISK_CREATE, &f);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    assert_int_equal(err, ERR_NOMEM);
}

static void test_reproducible(void **state UNUSED)
{
    assert_true(random_run(1) == random_run(1));
    assert_true(random_run(1) != random_run(2) || random_run(1) != random_run(3));
}

#define ON_BOTH(test)                                                                              \
    {"real " #test, test, setup_real, teardown_real, NULL},                                        \
    {                                                                                              \
        "sim " #test, test, setup_sim, teardown_sim, NULL                                          \
    }
#define ON_SIM(test)                                                                               \
    {                                                                                              \
#test, test, setup_sim, teardown_sim, NULL                                                 \
    }

int main(void)
{
    const struct CMUnitTest tests[] = {
        ON_BOTH(test_read_write),
        ON_BOTH(test_direct),
        ON_BOTH(test_names),
        ON_BOTH(test_unlinked),
        ON_SIM(test_crash_content),
        ON_SIM(test_crash_append),
        ON_SIM(test_crash_names),
        ON_SIM(test_sim_faults),
        cmocka_unit_test(test_reproducible),
        cmocka_unit_test(test_no_descriptors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
