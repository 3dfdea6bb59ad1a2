#include "sql/storage/conformance.h"

#include "base/assert.h"
#include "sql/storage/conformance_int.h"

/* The frame of the suite, and what cases share. */

void conf_fail(struct conf *c, const char *file, int line, const char *what, db_err err)
{
    int expected = 0;
    if (atomic_compare_exchange_strong(&c->failed, &expected, 1)) {
        snprintf(c->reason, sizeof(c->reason), "%s: %s:%d: %s%s%s", c->name, file, line, what,
                 err == ERR_OK ? "" : ", but was ", err == ERR_OK ? "" : err_name(err));
    }
}

static struct slice make_key(struct conf *c, struct slice tail)
{
    size_t name = strlen(c->name);
    size_t len = c->opts->prefix.len + name + 1 + tail.len;
    uint8_t *p = arena_alloc(&c->arena, len);
    ASSERT(p != NULL);
    size_t at = c->opts->prefix.len;
    if (at != 0) {
        memcpy(p, c->opts->prefix.ptr, at);
    }
    memcpy(p + at, c->name, name);
    p[at + name] = '/';
    if (tail.len != 0) {
        memcpy(p + at + name + 1, tail.ptr, tail.len);
    }
    return slice_of(p, len);
}

struct slice conf_key(struct conf *c, const char *text)
{
    return make_key(c, slice_str(text));
}

struct slice conf_key_n(struct conf *c, uint64_t n)
{
    uint8_t be[8];
    for (int i = 0; i < 8; i++) {
        be[i] = (uint8_t)(n >> (56 - 8 * i));
    }
    return make_key(c, slice_of(be, sizeof(be)));
}

struct slice conf_end(struct conf *c)
{
    struct slice k = make_key(c, SLICE_EMPTY);
    ((uint8_t *)(uintptr_t)k.ptr)[k.len - 1] = '/' + 1;
    return k;
}

struct storage_txn *conf_begin(struct conf *c, enum storage_isolation isolation)
{
    struct storage_txn *t = NULL;
    struct storage_txn_opts opts = {.isolation = isolation, .lock_wait_timeout_ms = 10000};
    db_err err = storage_txn_begin(c->s, &opts, &c->diag, &t);
    if (err != ERR_OK) {
        conf_fail(c, __FILE__, __LINE__, "storage_txn_begin", err);
        return NULL;
    }
    err = storage_txn_stmt_begin(t, &c->diag);
    if (err != ERR_OK) {
        conf_fail(c, __FILE__, __LINE__, "storage_txn_stmt_begin", err);
    }
    return t;
}

db_err conf_put(struct conf *c, struct slice key, struct slice value)
{
    struct storage_txn *t;
    struct storage_txn_opts opts = {.isolation = STORAGE_REPEATABLE_READ, .autocommit = true};
    TRY(storage_txn_begin(c->s, &opts, &c->diag, &t));
    db_err err = storage_put(t, key, value, 0, &c->diag);
    if (err != ERR_OK) {
        storage_txn_rollback(t);
        return err;
    }
    return storage_txn_commit(t, &c->diag, NULL);
}

static db_err point_get(struct conf *c, struct slice key, struct arena *arena, bool *ret_found,
                        struct slice *ret_value)
{
    struct storage_txn *t;
    struct storage_txn_opts opts = {
        .isolation = STORAGE_REPEATABLE_READ, .autocommit = true, .single_get = true};
    TRY(storage_txn_begin(c->s, &opts, &c->diag, &t));
    db_err err = storage_get(t, key, STORAGE_READ_PLAIN, STORAGE_WAIT, arena, &c->diag, ret_found,
                             ret_value);
    db_err end = storage_txn_commit(t, &c->diag, NULL);
    return err_first(err, end);
}

bool conf_has(struct conf *c, struct slice key, struct slice value)
{
    bool found = false;
    struct slice v;
    struct arena a;
    arena_init(&a, NULL, NULL, 0);
    bool same = point_get(c, key, &a, &found, &v) == ERR_OK && found && slice_eq(v, value);
    arena_fini(&a);
    return same;
}

bool conf_absent(struct conf *c, struct slice key)
{
    bool found = true;
    struct slice v;
    struct arena a;
    arena_init(&a, NULL, NULL, 0);
    bool absent = point_get(c, key, &a, &found, &v) == ERR_OK && !found;
    arena_fini(&a);
    return absent;
}

bool conf_sees(struct conf *c, struct storage_txn *t, enum storage_read_mode mode, struct slice key,
               struct slice value)
{
    bool found = false;
    struct slice v;
    db_err err = storage_get(t, key, mode, STORAGE_WAIT, &c->arena, &c->diag, &found, &v);
    return err == ERR_OK && found && slice_eq(v, value);
}

bool conf_sees_none(struct conf *c, struct storage_txn *t, struct slice key)
{
    bool found = true;
    struct slice v;
    db_err err =
        storage_get(t, key, STORAGE_READ_PLAIN, STORAGE_WAIT, &c->arena, &c->diag, &found, &v);
    return err == ERR_OK && !found;
}

struct parallel {
    struct fiber_mutex mutex;
    struct fiber_cond done;
    unsigned left;
};

struct parallel_fiber {
    struct conf_fiber f;
    struct parallel *p;
    void (*fn)(struct conf_fiber *f);
};

static void parallel_main(void *arg)
{
    struct parallel_fiber *pf = arg;
    struct parallel *p = pf->p;
    pf->fn(&pf->f);
    fiber_mutex_lock(&p->mutex);
    p->left--;
    fiber_cond_signal(&p->done);
    fiber_mutex_unlock(&p->mutex);
}

void conf_parallel(struct conf *c, unsigned n, void (*fn)(struct conf_fiber *f), void *arg)
{
    struct parallel p = {.left = n};
    struct parallel_fiber *fibers = ARENA_ARRAY(&c->arena, struct parallel_fiber, n);
    ASSERT(fibers != NULL);
    fiber_mutex_init(&p.mutex);
    fiber_cond_init(&p.done);
    for (unsigned i = 0; i < n; i++) {
        struct loop *loop =
            c->opts->loops == NULL
                ? loop_current()
                : loop_group_get(c->opts->loops, i % loop_group_count(c->opts->loops));
        fibers[i] = (struct parallel_fiber){{c, i, arg}, &p, fn};
        db_err err = fiber_spawn(loop, parallel_main, &fibers[i]);
        if (err != ERR_OK) {
            conf_fail(c, __FILE__, __LINE__, "fiber_spawn", err);
            fiber_mutex_lock(&p.mutex);
            p.left--;
            fiber_mutex_unlock(&p.mutex);
        }
    }
    fiber_mutex_lock(&p.mutex);
    while (p.left != 0) {
        db_err err = fiber_cond_wait(&p.done, &p.mutex, DEADLINE_NONE);
        ASSERT(err == ERR_OK);
    }
    fiber_mutex_unlock(&p.mutex);
}

static void run_case(struct storage *s, const struct conformance_opts *opts,
                     const struct conf_row *row, struct conformance_report *report)
{
    if (opts->only != NULL && strstr(row->name, opts->only) == NULL) {
        return;
    }
    struct conf c = {.s = s, .opts = opts, .name = row->name};
    arena_init(&c.arena, NULL, NULL, 0);
    rand_seed(&c.rand, opts->seed + 1);
    uint64_t start = clock_mono_ns();
    row->fn(&c);
    report->run++;
    if (c.failed) {
        if (report->failed++ == 0) {
            memcpy(report->first, c.reason, sizeof(report->first));
        }
    }
    if (opts->print) {
        printf("  %-4s %-28s %6.1f ms%s%s\n", c.failed ? "FAIL" : "ok", row->name,
               (double)(clock_mono_ns() - start) / 1e6, c.failed ? "  " : "",
               c.failed ? c.reason : "");
        fflush(stdout);
    }
    arena_fini(&c.arena);
}

void storage_conformance_run(struct storage *s, const struct conformance_opts *opts,
                             struct conformance_report *ret_report)
{
    struct conformance_report report = {0};
    const struct conf_row *const groups[] = {conf_basic_cases, conf_scan_cases, conf_lock_cases,
                                             conf_gap_cases};
    for (size_t g = 0; g < ARRAY_COUNT(groups); g++) {
        for (const struct conf_row *row = groups[g]; row->name != NULL; row++) {
            run_case(s, opts, row, &report);
        }
    }
    *ret_report = report;
}
