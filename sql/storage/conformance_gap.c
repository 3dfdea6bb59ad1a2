#include "sql/storage/conformance_int.h"

/* Gaps: what a locking read has looked through stays without new keys. */

#define V(text) SLICE_LIT(text)

static struct storage_txn *begin_short(struct conf *c, enum storage_isolation level,
                                       bool autocommit)
{
    struct storage_txn *t = NULL;
    struct storage_txn_opts opts = {
        .isolation = level, .autocommit = autocommit, .lock_wait_timeout_ms = 30};
    db_err err = storage_txn_begin(c->s, &opts, &c->diag, &t);
    if (err != ERR_OK) {
        conf_fail(c, __FILE__, __LINE__, "storage_txn_begin", err);
    }
    return t;
}

/* Rows of [n1, n2) as the mode reads them. */
static db_err count_rows(struct conf *c, struct storage_txn *t, uint64_t n1, uint64_t n2,
                         enum storage_read_mode mode, enum storage_wait wait, bool reverse,
                         size_t *ret_count)
{
    struct storage_scan_opts opts = {.start = conf_key_n(c, n1),
                                     .end = conf_key_n(c, n2),
                                     .mode = mode,
                                     .wait = wait,
                                     .reverse = reverse,
                                     .batch_rows = 3};
    struct storage_scan *scan;
    const struct storage_kv *rows;
    size_t n = 1;
    size_t count = 0;
    TRY(storage_scan_open(t, &opts, &c->diag, &scan));
    db_err err = ERR_OK;
    while (err == ERR_OK && n != 0) {
        err = storage_scan_next(scan, &c->diag, &rows, &n);
        count += err == ERR_OK ? n : 0;
    }
    storage_scan_close(scan);
    *ret_count = count;
    return err;
}

static db_err insert_alone(struct conf *c, uint64_t n, unsigned flags)
{
    struct storage_txn *t = begin_short(c, STORAGE_REPEATABLE_READ, true);
    db_err err = storage_put(t, conf_key_n(c, n), V("new"), flags, &c->diag);
    if (err != ERR_OK) {
        storage_txn_rollback(t);
        return err;
    }
    return storage_txn_commit(t, &c->diag, NULL);
}

static db_err insert_in_steps(struct conf *c, uint64_t n, unsigned flags)
{
    struct storage_txn *t = begin_short(c, STORAGE_REPEATABLE_READ, false);
    db_err err = storage_put(t, conf_key_n(c, n), V("new"), flags, &c->diag);
    storage_txn_rollback(t);
    return err;
}

static void check_kept_out(struct conf *c, uint64_t n)
{
    CHECK_ERR(insert_alone(c, n, STORAGE_W_INSERT), ERR_LOCK_WAIT_TIMEOUT);
    CHECK_ERR(insert_alone(c, n, STORAGE_W_INSERT | STORAGE_W_DEFER), ERR_LOCK_WAIT_TIMEOUT);
    CHECK_ERR(insert_alone(c, n, STORAGE_W_BLIND | STORAGE_W_NEW), ERR_LOCK_WAIT_TIMEOUT);
    CHECK_ERR(insert_in_steps(c, n, STORAGE_W_INSERT), ERR_LOCK_WAIT_TIMEOUT);
    CHECK_ERR(insert_in_steps(c, n, STORAGE_W_BLIND | STORAGE_W_NEW), ERR_LOCK_WAIT_TIMEOUT);
}

static void gap_scan(struct conf *c, enum storage_isolation level, enum storage_read_mode mode,
                     bool reverse)
{
    size_t count;
    struct storage_txn *t = begin_short(c, level, false);
    struct storage_txn *u = begin_short(c, STORAGE_REPEATABLE_READ, false);
    CHECK_OK(count_rows(c, t, 10, 20, mode, STORAGE_WAIT, reverse, &count));
    CHECK(count == 5);
    check_kept_out(c, 11);
    check_kept_out(c, 19);
    CHECK_OK(insert_in_steps(c, 21, STORAGE_W_INSERT));
    CHECK_OK(insert_in_steps(c, 9, STORAGE_W_INSERT));
    /* locks of gaps go together; rows that are there are another matter */
    CHECK_OK(count_rows(c, u, 11, 12, STORAGE_READ_EXCLUSIVE_RANGE, STORAGE_NOWAIT, false, &count));
    CHECK(count == 0);
    CHECK_OK(storage_put(t, conf_key_n(c, 30), V("own"), STORAGE_W_INSERT, &c->diag));
    storage_txn_rollback(u);
    CHECK_OK(storage_put(t, conf_key_n(c, 11), V("own"), STORAGE_W_INSERT, &c->diag));
    storage_txn_rollback(t);
    CHECK_OK(insert_in_steps(c, 11, STORAGE_W_INSERT));
}

static void load(struct conf *c)
{
    for (uint64_t n = 10; n < 20; n += 2) {
        CHECK_OK(conf_put(c, conf_key_n(c, n), V("v")));
    }
}

static void case_gap_scan(struct conf *c)
{
    load(c);
    gap_scan(c, STORAGE_REPEATABLE_READ, STORAGE_READ_EXCLUSIVE_RANGE, false);
    gap_scan(c, STORAGE_REPEATABLE_READ, STORAGE_READ_SHARED_RANGE, true);
    gap_scan(c, STORAGE_SERIALIZABLE, STORAGE_READ_PLAIN, false);
    /* in READ COMMITTED, and without RANGE, only rows */
    size_t count;
    struct storage_txn *t = begin_short(c, STORAGE_READ_COMMITTED, false);
    CHECK_OK(count_rows(c, t, 10, 20, STORAGE_READ_SHARED_RANGE, STORAGE_WAIT, false, &count));
    CHECK_OK(insert_in_steps(c, 11, STORAGE_W_INSERT));
    storage_txn_rollback(t);
    t = begin_short(c, STORAGE_REPEATABLE_READ, false);
    CHECK_OK(count_rows(c, t, 10, 20, STORAGE_READ_SHARED, STORAGE_WAIT, false, &count));
    CHECK_OK(insert_in_steps(c, 11, STORAGE_W_INSERT));
    storage_txn_rollback(t);
}

static void case_gap_get(struct conf *c)
{
    static const enum storage_read_mode modes[] = {STORAGE_READ_SHARED_RANGE,
                                                   STORAGE_READ_EXCLUSIVE_RANGE};
    struct slice key = conf_key_n(c, 15);
    struct slice v;
    bool found;
    for (int i = 0; i < 2; i++) {
        struct storage_txn *t = begin_short(c, STORAGE_REPEATABLE_READ, false);
        struct storage_txn *u = begin_short(c, STORAGE_REPEATABLE_READ, false);
        CHECK_OK(storage_get(t, key, modes[i], STORAGE_WAIT, &c->arena, &c->diag, &found, &v));
        CHECK(!found);
        check_kept_out(c, 15);
        CHECK_OK(storage_get(u, key, STORAGE_READ_EXCLUSIVE_RANGE, STORAGE_NOWAIT, &c->arena,
                             &c->diag, &found, &v));
        CHECK_ERR(storage_put(t, key, V("t"), STORAGE_W_INSERT, &c->diag), ERR_LOCK_WAIT_TIMEOUT);
        storage_txn_rollback(u);
        CHECK_OK(storage_put(t, key, V("t"), STORAGE_W_INSERT, &c->diag));
        storage_txn_rollback(t);
    }
    struct storage_txn *t = begin_short(c, STORAGE_READ_COMMITTED, false);
    CHECK_OK(storage_get(t, key, STORAGE_READ_EXCLUSIVE_RANGE, STORAGE_WAIT, &c->arena, &c->diag,
                         &found, &v));
    CHECK_OK(insert_in_steps(c, 15, STORAGE_W_INSERT));
    storage_txn_rollback(t);
}

/* A key that is inserted and not committed is in the way of who reads over it, not of its own
 * commit. */
static void uncommitted(struct conf *c, uint64_t n, unsigned flags, bool commits, size_t want)
{
    size_t count;
    struct storage_txn *t = begin_short(c, STORAGE_REPEATABLE_READ, false);
    CHECK_OK(storage_put(t, conf_key_n(c, n), V("new"), flags, &c->diag));
    struct storage_txn *u = begin_short(c, STORAGE_REPEATABLE_READ, false);
    CHECK_ERR(count_rows(c, u, 10, 20, STORAGE_READ_SHARED_RANGE, STORAGE_NOWAIT, commits, &count),
              ERR_LOCK_NOWAIT);
    CHECK_ERR(count_rows(c, u, 10, 20, STORAGE_READ_EXCLUSIVE_RANGE, STORAGE_WAIT, false, &count),
              ERR_LOCK_WAIT_TIMEOUT);
    if (commits) {
        CHECK_OK(storage_txn_commit(t, &c->diag, NULL));
    } else {
        storage_txn_rollback(t);
    }
    CHECK_OK(count_rows(c, u, 10, 20, STORAGE_READ_SHARED_RANGE, STORAGE_WAIT, false, &count));
    CHECK(count == want);
    storage_txn_rollback(u);
}

static void case_gap_uncommitted(struct conf *c)
{
    load(c);
    uncommitted(c, 11, STORAGE_W_INSERT, false, 5);
    uncommitted(c, 11, STORAGE_W_INSERT, true, 6);
    uncommitted(c, 13, STORAGE_W_BLIND | STORAGE_W_NEW, false, 6);
    uncommitted(c, 13, STORAGE_W_BLIND | STORAGE_W_NEW, true, 7);
}

/* ---- a quota, counted by locking reads, under concurrency ---- */

enum { QUOTA = 5, QUOTA_FIBERS = 6, QUOTA_ROUNDS = 40 };

/* Made before: the arena of the case is no fiber's. */
struct quota {
    struct slice start, end;
    struct slice keys[QUOTA_FIBERS][QUOTA_ROUNDS];
};

static db_err try_insert(struct conf_fiber *f, struct rand *r, struct slice key, struct diag *diag)
{
    static const unsigned flags[] = {STORAGE_W_INSERT, STORAGE_W_INSERT | STORAGE_W_DEFER,
                                     STORAGE_W_BLIND | STORAGE_W_NEW};
    struct conf *c = f->c;
    const struct quota *q = f->arg;
    bool serializable = rand_below(r, 2) == 0;
    struct storage_txn_opts opts = {.isolation = serializable ? STORAGE_SERIALIZABLE
                                                              : STORAGE_REPEATABLE_READ,
                                    .lock_wait_timeout_ms = 10000};
    struct storage_scan_opts so = {.start = q->start,
                                   .end = q->end,
                                   .reverse = rand_below(r, 2) == 0,
                                   .mode = serializable ? STORAGE_READ_PLAIN
                                                        : STORAGE_READ_EXCLUSIVE_RANGE};
    struct storage_txn *t;
    struct storage_scan *scan;
    const struct storage_kv *rows;
    size_t count;
    TRY(storage_txn_begin(c->s, &opts, diag, &t));
    db_err err = storage_scan_open(t, &so, diag, &scan);
    if (err == ERR_OK) {
        err = storage_scan_next(scan, diag, &rows, &count);
        fiber_yield();
        if (err == ERR_OK && count < QUOTA) {
            err = storage_put(t, key, V("x"), flags[rand_below(r, 3)], diag);
        } else if (err == ERR_OK) {
            err = storage_del(t, rows[rand_below(r, count)].key, 0, diag);
        }
        storage_scan_close(scan);
    }
    if (err != ERR_OK) {
        storage_txn_rollback(t);
        return err;
    }
    return storage_txn_commit(t, diag, NULL);
}

static void quota_fiber(struct conf_fiber *f)
{
    struct conf *c = f->c;
    const struct quota *q = f->arg;
    struct rand r;
    rand_seed(&r, f->index + 1);
    for (uint64_t i = 0; i < QUOTA_ROUNDS; i++) {
        struct diag diag;
        diag_reset(&diag);
        db_err err = try_insert(f, &r, q->keys[f->index][i], &diag);
        if (err != ERR_OK && err != ERR_DEADLOCK && err != ERR_LOCK_WAIT_TIMEOUT &&
            err != ERR_LOCK_LOST) {
            conf_fail(c, __FILE__, __LINE__, "a transaction of the quota", err);
            return;
        }
        struct storage_txn_opts opts = {.isolation = STORAGE_REPEATABLE_READ, .read_only = true};
        struct storage_scan_opts so = {.start = q->start, .end = q->end};
        struct storage_txn *t;
        struct storage_scan *scan;
        const struct storage_kv *rows;
        size_t count = 0;
        CHECK_OK(storage_txn_begin(c->s, &opts, &diag, &t));
        CHECK_OK(storage_scan_open(t, &so, &diag, &scan));
        CHECK_OK(storage_scan_next(scan, &diag, &rows, &count));
        storage_scan_close(scan);
        storage_txn_rollback(t);
        CHECK(count <= QUOTA);
    }
}

static void case_gap_quota(struct conf *c)
{
    static struct quota q;
    q.start = conf_key_n(c, 0);
    q.end = conf_end(c);
    for (uint64_t i = 0; i < QUOTA_FIBERS * QUOTA_ROUNDS; i++) {
        q.keys[i / QUOTA_ROUNDS][i % QUOTA_ROUNDS] = conf_key_n(c, 1 + i * 7919 % 100003);
    }
    conf_parallel(c, QUOTA_FIBERS, quota_fiber, &q);
}

const struct conf_row conf_gap_cases[] = {
    {"gap_scan", case_gap_scan},
    {"gap_get", case_gap_get},
    {"gap_uncommitted", case_gap_uncommitted},
    {"gap_quota", case_gap_quota},
    {NULL, NULL},
};
