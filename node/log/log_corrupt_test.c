/* Damage on the disk: every kind of byte, holes, lost files. What was durable is either there or
 * the open is refused with a message that names the file and the offset; nothing is changed by a
 * refused open. */
#include "node/log/log.h"

#include <inttypes.h>

#include "node/log/format.h"
#include "node/log/log_model.h"

enum { SEGMENT = 64 << 10 };

struct fixture {
    struct disk *disk;
    struct model model;
};

static db_err open_log(struct fixture *f, struct diag *diag, struct raft_log **ret_log)
{
    const struct raft_log_opts opts = {
        .disk = f->disk, .segment_size = SEGMENT, .log_id = 5, .manual = true, .cache_size = 1};
    diag_reset(diag);
    return raft_log_open("/log", &opts, diag, ret_log);
}

static void write_some(struct fixture *f, struct raft_log *log, struct rand *r, int rounds)
{
    for (int i = 0; i < rounds; i++) {
        struct model_op ops[16];
        struct raft_log_batch *b = NULL;
        size_t n = model_pick(r, &f->model, ops, ARRAY_COUNT(ops), false);
        if (n == 0 || ops[0].kind == OP_RESET || ops[0].kind == OP_COMPACT) {
            continue; /* all of the history stays in use */
        }
        assert_int_equal(raft_log_batch_new(log, 0, &b), ERR_OK);
        model_encode(b, ops, n);
        for (size_t k = 0; k < n; k++) {
            model_apply(&f->model, &ops[k]);
        }
        raft_log_submit(log, b, NULL, NULL);
        while (raft_log_pump(log)) {
        }
    }
}

/* A log of several segments; clean: closed, else the process is killed. */
static void build(struct fixture *f, bool clean)
{
    struct raft_log *log = NULL;
    struct diag diag;
    struct rand r;
    memset(f, 0, sizeof(*f));
    rand_seed(&r, 42);
    assert_int_equal(disk_sim_new(0, &f->disk), ERR_OK);
    assert_int_equal(disk_mkdir(f->disk, "/log"), ERR_OK);
    assert_int_equal(open_log(f, &diag, &log), ERR_OK);
    write_some(f, log, &r, 120);
    struct raft_log_stats st;
    raft_log_stats(log, &st);
    assert_true(st.segments_used >= 3);
    if (!clean) {
        disk_sim_kill_process(f->disk);
    }
    raft_log_close(log);
}

static void expect_whole(struct fixture *f)
{
    static struct model got;
    struct raft_log *log = NULL;
    struct diag diag;
    db_err err = open_log(f, &diag, &log);
    if (err != ERR_OK) {
        fail_msg("open: %s", diag.text);
    }
    model_extract(log, &got);
    assert_true(model_equal(&got, &f->model));
    raft_log_close(log);
}

static void seg_path(unsigned no, char *path)
{
    (void)snprintf(path, DISK_PATH_MAX, "/log/%016x.seg", no);
}

static void flip(struct fixture *f, unsigned no, uint64_t off, unsigned bit)
{
    char path[DISK_PATH_MAX];
    seg_path(no, path);
    assert_int_equal(disk_sim_flip_bit(f->disk, path, off, bit), ERR_OK);
}

static void expect_refused(struct fixture *f, unsigned no)
{
    struct raft_log *log = NULL;
    struct diag diag;
    char name[32];
    db_err err = open_log(f, &diag, &log);
    if (err == ERR_OK) {
        raft_log_close(log);
    }
    assert_int_equal(err, ERR_CORRUPT);
    (void)snprintf(name, sizeof(name), "%016x.seg", no);
    if (no != 0) {
        assert_non_null(strstr(diag.text, name));
    }
    assert_non_null(strstr(diag.text, "offset "));
    assert_non_null(strstr(diag.text, "Do not delete segments"));
}

/* Offsets of the records in a segment. */
static size_t record_offsets(struct fixture *f, unsigned no, uint64_t *offs, size_t max)
{
    char path[DISK_PATH_MAX];
    struct disk_file *file = NULL;
    seg_path(no, path);
    assert_int_equal(disk_open(f->disk, path, DISK_READ, &file), ERR_OK);
    size_t n = 0;
    for (uint64_t off = LOG_DATA_START; n < max;) {
        struct log_rec_header h;
        size_t got = 0;
        assert_int_equal(disk_pread(file, &h, sizeof(h), off, &got), ERR_OK);
        if (got != sizeof(h) || h.size == 0) {
            break;
        }
        offs[n++] = off;
        off += h.size;
    }
    disk_close(file);
    return n;
}

/* A flip that must be refused, and undone changes nothing. */
static void flip_refused(struct fixture *f, unsigned no, uint64_t off, unsigned bit)
{
    flip(f, no, off, bit);
    expect_refused(f, no);
    flip(f, no, off, bit);
}

static void headers_of_segments(void **state)
{
    (void)state;
    struct fixture f;
    build(&f, true);
    for (unsigned no = 1; no <= 3; no++) {
        for (uint64_t off = 0; off < sizeof(struct log_seg_header); off++) {
            flip_refused(&f, no, off, (unsigned)(off % 8));
        }
    }
    expect_whole(&f);
    disk_sim_free(f.disk);
}

static void every_kind_of_byte(void **state)
{
    (void)state;
    struct fixture f;
    uint64_t offs[4000];
    build(&f, true);
    for (unsigned no = 1; no <= 3; no++) {
        size_t n = record_offsets(&f, no, offs, ARRAY_COUNT(offs));
        bool newest = false;
        if (no == 3) {
            n--; /* not the clean mark itself: nothing comes after it to prove anything */
            newest = true;
        }
        assert_true(n > 2);
        const size_t picks[] = {0, 1, n / 2, n - 1};
        for (size_t p = 0; p < ARRAY_COUNT(picks); p++) {
            uint64_t at = offs[picks[p]];
            for (uint64_t b = 0; b < 64 && picks[p] + 1 < n; b++) {
                if (at + b < offs[picks[p] + 1]) {
                    flip_refused(&f, no, at + b, (unsigned)(b % 8));
                }
            }
        }
        for (size_t i = 0; i < n; i += newest ? 1 : 5) {
            flip_refused(&f, no, offs[i] + offsetof(struct log_rec_header, seq), 1);
        }
    }
    expect_whole(&f);
    disk_sim_free(f.disk);
}

static void a_flipped_clean_mark_loses_nothing(void **state)
{
    (void)state;
    struct fixture f;
    uint64_t offs[4000];
    build(&f, true);
    size_t n = record_offsets(&f, 3, offs, ARRAY_COUNT(offs));
    flip(&f, 3, offs[n - 1] + 8, 0);
    expect_whole(&f);
    expect_whole(&f);
    disk_sim_free(f.disk);
}

static void zero_range(struct fixture *f, unsigned no, uint64_t off, size_t len)
{
    static const uint8_t zeros[SEGMENT];
    char path[DISK_PATH_MAX];
    struct disk_file *file = NULL;
    seg_path(no, path);
    assert_int_equal(disk_open(f->disk, path, DISK_WRITE, &file), ERR_OK);
    assert_int_equal(disk_pwrite(file, zeros, len, off), ERR_OK);
    assert_int_equal(disk_sync(file), ERR_OK);
    disk_close(file);
}

static void holes_are_refused(void **state)
{
    (void)state;
    const struct {
        unsigned no;
        uint64_t off;
        size_t len;
    } holes[] = {{1, 4096, 512},  {1, 20480, 4096}, {2, 4096, SEGMENT - 4096},
                 {2, 0, SEGMENT}, {3, 4096, 512},   {1, 60000, 5536}};
    for (size_t i = 0; i < ARRAY_COUNT(holes); i++) {
        struct fixture f;
        build(&f, true);
        zero_range(&f, holes[i].no, holes[i].off, holes[i].len);
        expect_refused(&f, 0);
        disk_sim_free(f.disk);
    }
}

static void lost_files_are_refused(void **state)
{
    (void)state;
    for (unsigned no = 1; no <= 2; no++) {
        struct fixture f;
        char path[DISK_PATH_MAX];
        build(&f, true);
        seg_path(no, path);
        assert_int_equal(disk_unlink(f.disk, path), ERR_OK);
        expect_refused(&f, 0);
        disk_sim_free(f.disk);
    }
}

static void swapped_files_are_refused(void **state)
{
    (void)state;
    struct fixture f;
    char a[DISK_PATH_MAX];
    char b[DISK_PATH_MAX];
    build(&f, true);
    seg_path(1, a);
    seg_path(2, b);
    assert_int_equal(disk_rename(f.disk, a, "/log/x"), ERR_OK);
    assert_int_equal(disk_rename(f.disk, b, a), ERR_OK);
    assert_int_equal(disk_rename(f.disk, "/log/x", b), ERR_OK);
    expect_refused(&f, 0);
    disk_sim_free(f.disk);
}

static void truncated_file_is_refused(void **state)
{
    (void)state;
    struct fixture f;
    struct disk_file *file = NULL;
    char path[DISK_PATH_MAX];
    build(&f, true);
    seg_path(2, path);
    assert_int_equal(disk_open(f.disk, path, DISK_WRITE, &file), ERR_OK);
    assert_int_equal(disk_truncate(file, 30000), ERR_OK);
    disk_close(file);
    expect_refused(&f, 2);
    disk_sim_free(f.disk);
}

/* A killed process leaves no mark: damage in all rounds but the last is proven by the later ones.
 */
static void killed_without_a_mark(void **state)
{
    (void)state;
    struct fixture f;
    uint64_t offs[4000];
    build(&f, false);
    size_t n = record_offsets(&f, 3, offs, ARRAY_COUNT(offs));
    for (size_t i = 0; i + 20 < n; i++) {
        flip_refused(&f, 3, offs[i] + 16, 3);
    }
    for (unsigned no = 1; no <= 2; no++) {
        size_t m = record_offsets(&f, no, offs, ARRAY_COUNT(offs));
        for (size_t i = 0; i < m; i += 3) {
            flip_refused(&f, no, offs[i] + 9, 3);
        }
    }
    expect_whole(&f);
    disk_sim_free(f.disk);
}

static void another_version_is_refused(void **state)
{
    (void)state;
    struct fixture f;
    struct disk_file *file = NULL;
    struct log_seg_header h;
    char path[DISK_PATH_MAX];
    build(&f, true);
    seg_path(2, path);
    assert_int_equal(disk_open(f.disk, path, DISK_WRITE, &file), ERR_OK);
    assert_int_equal(disk_pread_full(file, &h, sizeof(h), 0), ERR_OK);
    h.version = 9;
    h.crc = crc32c(0, (const uint8_t *)&h + 4, sizeof(h) - 4);
    assert_int_equal(disk_pwrite(file, &h, sizeof(h), 0), ERR_OK);
    disk_close(file);
    struct raft_log *log = NULL;
    struct diag diag;
    assert_int_equal(open_log(&f, &diag, &log), ERR_UNSUPPORTED);
    assert_non_null(strstr(diag.text, "version 9"));
    disk_sim_free(f.disk);
}

static void another_logs_segment_is_refused(void **state)
{
    (void)state;
    struct fixture f;
    struct disk_file *file = NULL;
    struct log_seg_header h;
    char path[DISK_PATH_MAX];
    build(&f, true);
    seg_path(2, path);
    assert_int_equal(disk_open(f.disk, path, DISK_WRITE, &file), ERR_OK);
    assert_int_equal(disk_pread_full(file, &h, sizeof(h), 0), ERR_OK);
    h.log_id++;
    h.crc = crc32c(0, (const uint8_t *)&h + 4, sizeof(h) - 4);
    assert_int_equal(disk_pwrite(file, &h, sizeof(h), 0), ERR_OK);
    disk_close(file);
    expect_refused(&f, 2);
    disk_sim_free(f.disk);
}

static void all_headers_damaged(void **state)
{
    (void)state;
    struct fixture f;
    build(&f, true);
    for (unsigned no = 1; no <= 6; no++) {
        struct disk_file *file = NULL;
        char path[DISK_PATH_MAX];
        seg_path(no, path);
        if (disk_open(f.disk, path, DISK_READ, &file) == ERR_OK) {
            disk_close(file);
            zero_range(&f, no, 0, 64);
        }
    }
    expect_refused(&f, 0);
    disk_sim_free(f.disk);
}

/* Damage that appears while the log is open: the read says so and nothing else suffers. */
static void damage_met_by_a_read(void **state)
{
    (void)state;
    struct fixture f;
    struct raft_log *log = NULL;
    struct diag diag;
    uint64_t offs[4000];
    build(&f, true);
    size_t n = record_offsets(&f, 1, offs, ARRAY_COUNT(offs));
    assert_int_equal(open_log(&f, &diag, &log), ERR_OK);
    for (size_t i = 0; i < n; i++) {
        flip(&f, 1, offs[i] + offsetof(struct log_rec_header, crc), 5);
    }
    unsigned corrupt = 0;
    for (uint64_t g = 1; g <= MODEL_GROUPS; g++) {
        struct raft_log_group info;
        struct raft_log_page page;
        struct arena a;
        if (raft_log_group_get(log, g, &info) != ERR_OK || info.first_index > info.last_index) {
            continue;
        }
        arena_init(&a, NULL, NULL, 0);
        db_err err = raft_log_entries(log, g, info.first_index, info.last_index + 1, 100,
                                      RAFT_LOG_READ_ANY, &a, &diag, &page);
        if (err == ERR_CORRUPT) {
            corrupt++;
            assert_non_null(strstr(diag.text, "0000000000000001.seg, offset "));
        }
        arena_fini(&a);
    }
    assert_true(corrupt > 0);
    raft_log_close(log);
    disk_sim_free(f.disk);
}

/* What follows the last record of a killed process looks like the headers of long records, one
 * after another: a start that took the checksum of each would read half the segment for each. */
static void numbers_like_headers(void **state)
{
    enum { LARGE = 4 << 20, FAKES = 2000, RECORDS_MAX = 1000 };
    static uint64_t offs[RECORDS_MAX];
    struct fixture f = {0};
    struct raft_log *log = NULL;
    struct disk_file *file = NULL;
    struct disk_sim_stats before, after;
    struct diag diag;
    struct rand r;
    char path[DISK_PATH_MAX];
    (void)state;
    assert_int_equal(disk_sim_new(0, &f.disk), ERR_OK);
    assert_int_equal(disk_mkdir(f.disk, "/log"), ERR_OK);
    const struct raft_log_opts opts = {
        .disk = f.disk, .segment_size = LARGE, .log_id = 5, .manual = true, .cache_size = 1};
    assert_int_equal(raft_log_open("/log", &opts, &diag, &log), ERR_OK);
    rand_seed(&r, 7);
    write_some(&f, log, &r, 10);
    disk_sim_kill_process(f.disk);
    raft_log_close(log);
    size_t n = record_offsets(&f, 1, offs, RECORDS_MAX);
    assert_in_range(n, 1, RECORDS_MAX - 1);
    seg_path(1, path);
    assert_int_equal(disk_open(f.disk, path, DISK_READ | DISK_WRITE, &file), ERR_OK);
    struct log_rec_header h;
    size_t got = 0;
    assert_int_equal(disk_pread(file, &h, sizeof(h), offs[n - 1], &got), ERR_OK);
    uint64_t off = offs[n - 1] + h.size;
    for (unsigned i = 0; i < FAKES; i++, off += sizeof(h)) {
        const struct log_rec_header fake = {.crc = 1,
                                            .size = (uint32_t)((LARGE - off) / 2 + sizeof(h)) & ~7u,
                                            .seq = 1000,
                                            .group = 5,
                                            .unsynced = 1,
                                            .count = 1,
                                            .type = LOG_REC_APPEND};
        assert_int_equal(disk_pwrite(file, &fake, sizeof(fake), off), ERR_OK);
    }
    disk_close(file);
    disk_sim_get_stats(f.disk, &before);
    expect_whole(&f);
    disk_sim_get_stats(f.disk, &after);
    assert_in_range(after.bytes_read - before.bytes_read, 1, 16 * LARGE);
    disk_sim_free(f.disk);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(headers_of_segments),
        cmocka_unit_test(every_kind_of_byte),
        cmocka_unit_test(a_flipped_clean_mark_loses_nothing),
        cmocka_unit_test(holes_are_refused),
        cmocka_unit_test(lost_files_are_refused),
        cmocka_unit_test(swapped_files_are_refused),
        cmocka_unit_test(truncated_file_is_refused),
        cmocka_unit_test(killed_without_a_mark),
        cmocka_unit_test(another_version_is_refused),
        cmocka_unit_test(another_logs_segment_is_refused),
        cmocka_unit_test(all_headers_damaged),
        cmocka_unit_test(damage_met_by_a_read),
        cmocka_unit_test(numbers_like_headers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
