#include "sql/storage/conformance_int.h"

/* Locks, waiting, deadlocks, and invariants under concurrency. */

#define V(text) SLICE_LIT(text)

static struct storage_txn *begin_wait_ms(struct conf *c, uint32_t timeout_ms)
{
    struct storage_txn *t = NULL;
    struct storage_txn_opts opts = {.isolation = STORAGE_REPEATABLE_READ,
                                    .lock_wait_timeout_ms = timeout_ms};
    db_err err = storage_txn_begin(c->s, &opts, &c->diag, &t);
    if (err != ERR_OK) {
        conf_fail(c, __FILE__, __LINE__, "storage_txn_begin", err);
    }
    return t;
}

static void case_lock_conflicts(struct conf *c)
{
    struct slice a = conf_key(c, "a");
    struct slice b = conf_key(c, "b");
    bool found;
    struct slice v;
    CHECK_OK(conf_put(c, a, V("1")));
    CHECK_OK(conf_put(c, b, V("1")));
    struct storage_txn *t1 = conf_begin(c, STORAGE_REPEATABLE_READ);
    struct storage_txn *t2 = begin_wait_ms(c, 50);
    CHECK(conf_sees(c, t1, STORAGE_READ_EXCLUSIVE, a, V("1")));
    CHECK_ERR(
        storage_get(t2, a, STORAGE_READ_SHARED, STORAGE_NOWAIT, &c->arena, &c->diag, &found, &v),
        ERR_LOCK_NOWAIT);
    CHECK_OK(storage_get(t2, a, STORAGE_READ_EXCLUSIVE, STORAGE_SKIP_LOCKED, &c->arena, &c->diag,
                         &found, &v));
    CHECK(!found);
    CHECK(conf_sees(c, t2, STORAGE_READ_PLAIN, a, V("1")));
    uint64_t start = clock_mono_ns();
    CHECK_ERR(storage_put(t2, a, V("2"), 0, &c->diag), ERR_LOCK_WAIT_TIMEOUT);
    CHECK(clock_mono_ns() - start >= 40 * NS_PER_MS);
    CHECK_ERR(storage_lock(t2, &a, 1, STORAGE_READ_EXCLUSIVE, STORAGE_NOWAIT, &c->diag),
              ERR_LOCK_NOWAIT);

    /* shared locks go together, and keep writers out */
    CHECK(conf_sees(c, t1, STORAGE_READ_SHARED, b, V("1")));
    CHECK(conf_sees(c, t2, STORAGE_READ_SHARED, b, V("1")));
    CHECK_ERR(storage_put(t2, b, V("2"), 0, &c->diag), ERR_LOCK_WAIT_TIMEOUT);
    storage_txn_rollback(t1);
    CHECK_OK(storage_put(t2, b, V("2"), 0, &c->diag));
    CHECK_OK(storage_put(t2, a, V("2"), 0, &c->diag));
    CHECK_OK(storage_txn_commit(t2, &c->diag, NULL));
    CHECK(conf_has(c, a, V("2")) && conf_has(c, b, V("2")));

    /* a key that does not exist can be locked */
    struct slice none = conf_key(c, "none");
    t1 = conf_begin(c, STORAGE_REPEATABLE_READ);
    t2 = begin_wait_ms(c, 50);
    CHECK_OK(storage_lock(t1, &none, 1, STORAGE_READ_EXCLUSIVE, STORAGE_WAIT, &c->diag));
    CHECK_ERR(storage_put(t2, none, V("1"), STORAGE_W_INSERT, &c->diag), ERR_LOCK_WAIT_TIMEOUT);
    storage_txn_rollback(t1);
    CHECK_OK(storage_put(t2, none, V("1"), STORAGE_W_INSERT, &c->diag));
    storage_txn_rollback(t2);
}

static void case_lock_scan_modes(struct conf *c)
{
    struct storage_txn *t1 = conf_begin(c, STORAGE_REPEATABLE_READ);
    for (uint64_t i = 0; i < 10; i++) {
        CHECK_OK(storage_put(t1, conf_key_n(c, i), V("v"), 0, &c->diag));
    }
    CHECK_OK(storage_txn_commit(t1, &c->diag, NULL));
    t1 = conf_begin(c, STORAGE_REPEATABLE_READ);
    struct storage_txn *t2 = conf_begin(c, STORAGE_REPEATABLE_READ);
    struct slice locked[2] = {conf_key_n(c, 3), conf_key_n(c, 7)};
    CHECK_OK(storage_lock(t1, locked, 2, STORAGE_READ_EXCLUSIVE, STORAGE_WAIT, &c->diag));
    struct storage_scan_opts opts = {.start = conf_key_n(c, 0),
                                     .end = conf_end(c),
                                     .mode = STORAGE_READ_EXCLUSIVE,
                                     .wait = STORAGE_SKIP_LOCKED};
    struct storage_scan *scan;
    const struct storage_kv *rows;
    size_t count;
    size_t total = 0;
    CHECK_OK(storage_scan_open(t2, &opts, &c->diag, &scan));
    do {
        CHECK_OK(storage_scan_next(scan, &c->diag, &rows, &count));
        for (size_t i = 0; i < count; i++) {
            CHECK(!slice_eq(rows[i].key, locked[0]) && !slice_eq(rows[i].key, locked[1]));
        }
        total += count;
    } while (count != 0);
    storage_scan_close(scan);
    CHECK(total == 8);
    CHECK_ERR(storage_lock(t1, (struct slice[]){conf_key_n(c, 4)}, 1, STORAGE_READ_SHARED,
                           STORAGE_NOWAIT, &c->diag),
              ERR_LOCK_NOWAIT);
    opts.wait = STORAGE_NOWAIT;
    CHECK_OK(storage_scan_open(t2, &opts, &c->diag, &scan));
    db_err err;
    do {
        err = storage_scan_next(scan, &c->diag, &rows, &count);
    } while (err == ERR_OK && count != 0);
    CHECK(err == ERR_LOCK_NOWAIT);
    storage_scan_close(scan);
    storage_txn_rollback(t2);
    storage_txn_rollback(t1);
}

struct waiting {
    struct slice key;
    _Atomic int state; /* 1: the waiter is about to ask */
    _Atomic bool released;
};

static void lock_waiter(struct conf_fiber *f)
{
    struct conf *c = f->c;
    struct waiting *w = f->arg;
    struct diag diag;
    struct storage_txn *t = NULL;
    struct storage_txn_opts opts = {.isolation = STORAGE_REPEATABLE_READ,
                                    .lock_wait_timeout_ms = 10000};
    CHECK_OK(storage_txn_begin(c->s, &opts, &diag, &t));
    if (f->index == 0) {
        CHECK_OK(storage_put(t, w->key, V("first"), 0, &diag));
        w->state = 1;
        while (w->state == 1) {
            CHECK_OK(fiber_sleep(NS_PER_MS));
        }
        CHECK_OK(fiber_sleep(30 * NS_PER_MS));
        w->released = true;
        CHECK_OK(storage_txn_commit(t, &diag, NULL));
        return;
    }
    while (w->state == 0) {
        CHECK_OK(fiber_sleep(NS_PER_MS));
    }
    w->state = 2;
    struct arena a;
    arena_init(&a, NULL, NULL, 0);
    bool found = false;
    struct slice v = SLICE_EMPTY;
    CHECK_OK(storage_get(t, w->key, STORAGE_READ_EXCLUSIVE, STORAGE_WAIT, &a, &diag, &found, &v));
    CHECK(w->released && found && slice_eq(v, V("first")));
    arena_fini(&a);
    CHECK_OK(storage_put(t, w->key, V("second"), STORAGE_W_LOCKED, &diag));
    CHECK_OK(storage_txn_commit(t, &diag, NULL));
}

static void case_lock_wait(struct conf *c)
{
    struct waiting w = {.key = conf_key(c, "k")};
    CHECK_OK(conf_put(c, w.key, V("zero")));
    conf_parallel(c, 2, lock_waiter, &w);
    CHECK(conf_has(c, w.key, V("second")));
}

struct moving {
    bool reverse;
    _Atomic int state; /* 1: moved, not committed */
};

/* Moves key 4 behind the last one, or before the first one, while the other fiber scans and waits
 * for its lock. */
static void mover(struct conf_fiber *f)
{
    struct conf *c = f->c;
    struct moving *m = f->arg;
    struct diag diag;
    struct storage_txn *t = NULL;
    struct storage_txn_opts opts = {.isolation = STORAGE_REPEATABLE_READ,
                                    .lock_wait_timeout_ms = 10000};
    CHECK_OK(storage_txn_begin(c->s, &opts, &diag, &t));
    if (f->index == 0) {
        CHECK_OK(storage_del(t, conf_key_n(c, 4), 0, &diag));
        CHECK_OK(storage_put(t, conf_key_n(c, m->reverse ? 1 : 7), V("moved"), 0, &diag));
        m->state = 1;
        CHECK_OK(fiber_sleep(30 * NS_PER_MS));
        CHECK_OK(storage_txn_commit(t, &diag, NULL));
        return;
    }
    while (m->state == 0) {
        CHECK_OK(fiber_sleep(NS_PER_MS));
    }
    struct storage_scan_opts so = {.start = conf_key_n(c, 0),
                                   .end = conf_end(c),
                                   .reverse = m->reverse,
                                   .mode = STORAGE_READ_EXCLUSIVE};
    struct storage_scan *scan;
    const struct storage_kv *rows;
    size_t count;
    size_t total = 0;
    size_t moved = 0;
    CHECK_OK(storage_scan_open(t, &so, &diag, &scan));
    do {
        CHECK_OK(storage_scan_next(scan, &diag, &rows, &count));
        total += count;
        for (size_t i = 0; i < count; i++) {
            moved += slice_eq(rows[i].value, V("moved"));
        }
    } while (count != 0);
    storage_scan_close(scan);
    storage_txn_rollback(t);
    CHECK(total == 4 && moved == 1);
}

static void case_lock_scan_moved(struct conf *c)
{
    for (int reverse = 0; reverse < 2; reverse++) {
        struct moving m = {.reverse = reverse != 0};
        for (uint64_t i = 3; i < 7; i++) {
            CHECK_OK(conf_put(c, conf_key_n(c, i), V("v")));
        }
        conf_parallel(c, 2, mover, &m);
        struct storage_txn *t = conf_begin(c, STORAGE_REPEATABLE_READ);
        CHECK_OK(storage_del(t, conf_key_n(c, 7), 0, &c->diag));
        CHECK_OK(storage_txn_commit(t, &c->diag, NULL));
    }
}

struct deadlock {
    struct slice keys[2];
    _Atomic int ready;
    _Atomic int victims;
};

static void deadlocker(struct conf_fiber *f)
{
    struct conf *c = f->c;
    struct deadlock *d = f->arg;
    struct diag diag;
    struct storage_txn *t = NULL;
    struct storage_txn_opts opts = {.isolation = STORAGE_REPEATABLE_READ,
                                    .lock_wait_timeout_ms = 10000};
    CHECK_OK(storage_txn_begin(c->s, &opts, &diag, &t));
    CHECK_OK(storage_put(t, d->keys[f->index], V("x"), 0, &diag));
    d->ready++;
    while (d->ready < 2) {
        CHECK_OK(fiber_sleep(NS_PER_MS));
    }
    db_err err = storage_put(t, d->keys[1 - f->index], V("y"), 0, &diag);
    if (err == ERR_DEADLOCK) {
        d->victims++;
        storage_txn_rollback(t);
        return;
    }
    CHECK(err == ERR_OK);
    CHECK_OK(storage_txn_commit(t, &diag, NULL));
}

static void case_deadlock(struct conf *c)
{
    struct deadlock d = {.keys = {conf_key(c, "a"), conf_key(c, "b")}};
    conf_parallel(c, 2, deadlocker, &d);
    CHECK(d.victims == 1);
    CHECK(conf_has(c, d.keys[0], V("x")) != conf_has(c, d.keys[1], V("x")));
}

enum { COUNTERS = 4, INCREMENTS = 40, ACCOUNTS = 20, START_MONEY = 100 };

static void incrementer(struct conf_fiber *f)
{
    struct conf *c = f->c;
    const struct slice *keys = f->arg;
    struct diag diag;
    struct arena a;
    arena_init(&a, NULL, NULL, 0);
    for (unsigned i = 0; i < INCREMENTS; i++) {
        struct storage_txn_opts opts = {.isolation = STORAGE_REPEATABLE_READ};
        struct storage_txn *t;
        bool found;
        struct slice v;
        struct slice key = keys[(f->index + i) % COUNTERS];
        arena_reset(&a);
        CHECK_OK(storage_txn_begin(c->s, &opts, &diag, &t));
        CHECK_OK(storage_get(t, key, STORAGE_READ_EXCLUSIVE, STORAGE_WAIT, &a, &diag, &found, &v));
        CHECK(found && v.len == 8);
        uint64_t n;
        memcpy(&n, v.ptr, 8);
        n++;
        CHECK_OK(storage_put(t, key, slice_of(&n, 8), STORAGE_W_LOCKED, &diag));
        CHECK_OK(storage_txn_commit(t, &diag, NULL));
    }
    arena_fini(&a);
}

static void case_increments(struct conf *c)
{
    enum { FIBERS = 8 };
    struct slice keys[COUNTERS];
    uint64_t zero = 0;
    for (uint64_t i = 0; i < COUNTERS; i++) {
        keys[i] = conf_key_n(c, i);
        CHECK_OK(conf_put(c, keys[i], slice_of(&zero, 8)));
    }
    conf_parallel(c, FIBERS, incrementer, keys);
    for (unsigned i = 0; i < COUNTERS; i++) {
        uint64_t want = FIBERS * INCREMENTS / COUNTERS;
        CHECK(conf_has(c, keys[i], slice_of(&want, 8)));
    }
}

struct bank {
    struct slice accounts[ACCOUNTS];
    struct slice end;
    _Atomic int writers;
};

static void bank_reader(struct conf_fiber *f)
{
    struct conf *c = f->c;
    struct bank *bank = f->arg;
    struct diag diag;
    do {
        struct storage_txn_opts opts = {.isolation = STORAGE_REPEATABLE_READ, .read_only = true};
        struct storage_txn *t;
        CHECK_OK(storage_txn_begin(c->s, &opts, &diag, &t));
        struct storage_scan_opts so = {
            .start = bank->accounts[0], .end = bank->end, .batch_rows = 3, .reverse = f->index & 1};
        struct storage_scan *scan;
        uint64_t total = 0;
        size_t rows_seen = 0;
        CHECK_OK(storage_scan_open(t, &so, &diag, &scan));
        for (;;) {
            const struct storage_kv *rows;
            size_t count;
            CHECK_OK(storage_scan_next(scan, &diag, &rows, &count));
            if (count == 0) {
                break;
            }
            for (size_t i = 0; i < count; i++, rows_seen++) {
                uint64_t n;
                memcpy(&n, rows[i].value.ptr, 8);
                total += n;
            }
        }
        storage_scan_close(scan);
        storage_txn_rollback(t);
        CHECK(rows_seen == ACCOUNTS && total == ACCOUNTS * START_MONEY);
        CHECK_OK(fiber_sleep(NS_PER_MS / 10));
    } while (bank->writers > 0);
}

static db_err transfer(struct conf *c, struct bank *bank, struct rand *rand, struct arena *a,
                       struct diag *diag)
{
    struct storage_txn_opts opts = {.isolation = STORAGE_REPEATABLE_READ};
    struct storage_txn *t;
    uint64_t from = rand_below(rand, ACCOUNTS);
    uint64_t to = (from + 1 + rand_below(rand, ACCOUNTS - 1)) % ACCOUNTS;
    struct slice keys[2] = {bank->accounts[from], bank->accounts[to]};
    uint64_t money[2];
    TRY(storage_txn_begin(c->s, &opts, diag, &t));
    db_err err = ERR_OK;
    for (int i = 0; i < 2; i++) {
        bool found = false;
        struct slice v;
        TRY_GOTO(storage_get(t, keys[i], STORAGE_READ_EXCLUSIVE, STORAGE_WAIT, a, diag, &found, &v),
                 out);
        memcpy(&money[i], v.ptr, 8);
    }
    if (money[0] > 0) {
        money[0]--;
        money[1]++;
    }
    for (int i = 0; i < 2; i++) {
        TRY_GOTO(storage_put(t, keys[i], slice_of(&money[i], 8), STORAGE_W_LOCKED, diag), out);
    }
    return storage_txn_commit(t, diag, NULL);
out:
    storage_txn_rollback(t);
    return err;
}

static void bank_writer(struct conf_fiber *f)
{
    struct conf *c = f->c;
    struct bank *bank = f->arg;
    struct diag diag;
    struct arena a;
    struct rand rand;
    rand_seed(&rand, c->opts->seed * 100 + f->index);
    arena_init(&a, NULL, NULL, 0);
    for (int i = 0; i < 60;) {
        arena_reset(&a);
        db_err err = transfer(c, bank, &rand, &a, &diag);
        if (err != ERR_OK && err != ERR_DEADLOCK) {
            conf_fail(c, __FILE__, __LINE__, "transfer", err);
            break;
        }
        i += err == ERR_OK;
    }
    arena_fini(&a);
    bank->writers--;
}

static void bank_fiber(struct conf_fiber *f)
{
    if (f->index < 3) {
        bank_reader(f);
    } else {
        bank_writer(f);
    }
}

static void case_bank(struct conf *c)
{
    enum { WRITERS = 6 };
    struct bank bank = {.end = conf_end(c), .writers = WRITERS};
    uint64_t money = START_MONEY;
    for (uint64_t i = 0; i < ACCOUNTS; i++) {
        bank.accounts[i] = conf_key_n(c, i);
        CHECK_OK(conf_put(c, bank.accounts[i], slice_of(&money, 8)));
    }
    conf_parallel(c, 3 + WRITERS, bank_fiber, &bank);
}

static void inserter(struct conf_fiber *f)
{
    struct conf *c = f->c;
    _Atomic int *won = f->arg;
    struct diag diag;
    struct arena a;
    arena_init(&a, NULL, NULL, 0);
    for (uint64_t i = 0; i < 30; i++) {
        struct storage_txn_opts opts = {.isolation = STORAGE_REPEATABLE_READ, .autocommit = true};
        struct storage_txn *t;
        uint8_t key[64];
        size_t n = (size_t)snprintf((char *)key, sizeof(key), "%.*s%s/%02u",
                                    SLICE_FMT(c->opts->prefix), c->name, (unsigned)i);
        unsigned flags = STORAGE_W_INSERT | (f->index % 2 == 0 ? STORAGE_W_DEFER : 0u);
        CHECK_OK(storage_txn_begin(c->s, &opts, &diag, &t));
        db_err err = storage_put(t, slice_of(key, n), slice_of(&f->index, 4), flags, &diag);
        if (err == ERR_OK) {
            err = storage_txn_commit(t, &diag, NULL);
        } else {
            storage_txn_rollback(t);
        }
        CHECK(err == ERR_OK || err == ERR_KEY_EXISTS);
        if (err == ERR_OK) {
            won[i]++;
        }
    }
    arena_fini(&a);
}

static void case_insert_race(struct conf *c)
{
    _Atomic int won[30] = {0};
    conf_parallel(c, 6, inserter, (void *)won);
    for (int i = 0; i < 30; i++) {
        CHECK(won[i] == 1);
    }
}

static void numberer(struct conf_fiber *f)
{
    struct conf *c = f->c;
    _Atomic uint8_t *seen = f->arg;
    struct diag diag;
    uint64_t last = 0;
    uint8_t name[64];
    size_t n = (size_t)snprintf((char *)name, sizeof(name), "%.*s%s/seq",
                                SLICE_FMT(c->opts->prefix), c->name);
    for (int i = 0; i < 50; i++) {
        uint64_t first;
        CHECK_OK(storage_sequence_next(c->s, slice_of(name, n), 0, 3, 1, 0, &diag, &first));
        CHECK(first > last && first < 60000);
        last = first + 2;
        for (uint64_t k = first; k <= last; k++) {
            CHECK(atomic_fetch_add(&seen[k], 1) == 0);
        }
    }
}

static void case_sequence_race(struct conf *c)
{
    _Atomic uint8_t *seen = arena_calloc(&c->arena, 1, 65536);
    CHECK(seen != NULL);
    conf_parallel(c, 6, numberer, (void *)seen);
}

const struct conf_row conf_lock_cases[] = {
    {"lock_conflicts", case_lock_conflicts},
    {"lock_scan_modes", case_lock_scan_modes},
    {"lock_scan_moved", case_lock_scan_moved},
    {"lock_wait", case_lock_wait},
    {"deadlock", case_deadlock},
    {"increments", case_increments},
    {"bank", case_bank},
    {"insert_race", case_insert_race},
    {"sequence_race", case_sequence_race},
    {NULL, NULL},
};
