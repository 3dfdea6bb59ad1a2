/* Clients: fibers on the loops of every member that is up, each doing one transaction after
 * another through that member's storage, as SQL sessions would. Three loads on the same ranges:
 *  - bank: money moves between accounts; every snapshot of all accounts has the same total;
 *  - registers: single rows written and read; linearizable (reg_check.c);
 *  - lists: appends and reads in transactions of several rows; no cycle (list_check.c);
 *  - quota: who has counted the rows of two groups, by locking scans, and found room inserts one;
 *    no snapshot has more than the quota (phantoms, and write skew by inserts).
 * Some reads need not be of now: they begin, for the judges, as long ago as was allowed.
 * A client dies with its node; what it had asked and not heard is unknown. An answer that is not
 * among those a client may meet is a violation as well. */
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/arena.h"
#include "cluster/kv/kv.h"
#include "tests/sim/nodes/history.h"
#include "tests/sim/nodes/world.h"

enum {
    CLIENTS = 3, /* of each member */
    ACCOUNTS = 8,
    REGISTERS = 3,
    MONEY = 100,
    KEY_SIZE = 8,
    LIST_VALUES_MAX = 4000,
    MOMENTS = 8192,
    GROUPS = 2,
    QUOTA = 6, /* rows of all groups */
};

struct history {
    struct reg_history regs[REGISTERS];
    struct list_history lists;
    uint32_t next_value;
    struct moment {
        uint64_t time, tick;
    } moments[MOMENTS]; /* when which tick was, of late */
    size_t moment_count;
};

struct client {
    struct world *w;
    struct member *m;
    struct storage *s;
    struct rand rand;
    struct arena a;
    char doing[160]; /* for the trace */
};

/* ---- rows ---- */

static struct slice key_of(struct client *c, char kind, unsigned i)
{
    char *k = arena_printf(&c->a, "\x02%c%02u", kind, i);
    ASSERT(k != NULL);
    return slice_str(k);
}

static unsigned draw(struct client *c, unsigned bound)
{
    return (unsigned)rand_below(&c->rand, bound);
}

/* ---- reads that need not be of now ---- */

static void note_moment(struct world *w)
{
    struct history *h = w->history;
    h->moments[h->moment_count++ % MOMENTS] = (struct moment){world_now(w), world_tick(w)};
}

/* The last tick that was at or before that time; 0: of all that is known the first. */
static uint64_t tick_at(struct world *w, uint64_t time)
{
    const struct history *h = w->history;
    for (size_t i = h->moment_count; i > 0 && i + MOMENTS > h->moment_count; i--) {
        const struct moment *m = &h->moments[(i - 1) % MOMENTS];
        if (m->time <= time) {
            return m->tick;
        }
    }
    return 0;
}

/* Makes it one for a transaction; the tick at which it begins. The member's clock drifts. */
static uint64_t allow_age(struct client *c, struct storage_txn_opts *o)
{
    struct world *w = c->w;
    uint64_t age = (20 + draw(c, 1500)) * NS_PER_MS;
    uint64_t real = age + age / 50 + NS_PER_MS;
    uint64_t now = clock_mono_ns();
    o->fresh_from_ns = age < now ? now - age : 1;
    w->totals.old_reads++;
    return real < world_now(w) ? tick_at(w, world_now(w) - real) : 0;
}

/* ---- what may be answered ---- */

/* Is it one of the errors that a statement may end with? */
static bool may_meet(db_err err)
{
    switch ((int)err) {
    case ERR_OK:
    case ERR_TIMEOUT:
    case ERR_CANCELED:
    case ERR_BUSY:
    case ERR_UNAVAILABLE:
    case ERR_NOT_LEADER:
    case ERR_WRITE_CONFLICT:
    case ERR_LOCK_WAIT_TIMEOUT:
    case ERR_LOCK_NOWAIT:
    case ERR_DEADLOCK:
    case ERR_LOCK_LOST:
    case ERR_TXN_NOT_FOUND:
    case ERR_TXN_ABORTED:
    case ERR_SNAPSHOT_TOO_OLD: return true;
    default: return err_class(err) == ERR_CLASS_AMBIGUOUS;
    }
}

static db_err met(struct client *c, const char *what, db_err err, const struct diag *diag)
{
    if (err != ERR_OK) {
        world_say(c->w, "%s %s: %s %s", c->m->host, what, err_name(err), diag->text);
    }
    if (!may_meet(err)) {
        world_violated(c->w, "%s on %s: %s: %s", what, c->m->host, err_name(err), diag->text);
    }
    return err;
}

static enum outcome outcome_of(struct client *c, db_err err)
{
    struct world_totals *t = &c->w->totals;
    bool unknown = err_class(err) == ERR_CLASS_AMBIGUOUS;
    *(err == ERR_OK ? &t->commits : unknown ? &t->unknown : &t->refused) += 1;
    return err == ERR_OK ? OUTCOME_YES : unknown ? OUTCOME_UNKNOWN : OUTCOME_NO;
}

static db_err begin(struct client *c, enum storage_isolation isolation, bool read_only,
                    struct storage_txn **ret_txn)
{
    struct diag diag = {0};
    struct storage_txn_opts o = {.isolation = isolation,
                                 .read_only = read_only,
                                 .lock_wait_timeout_ms = 200 + draw(c, 2000)};
    if (read_only && !c->w->stopping && draw(c, 3) == 0) {
        uint64_t tick = allow_age(c, &o); /* any snapshot will do */
        (void)tick;
    }
    return met(c, "begin", storage_txn_begin(c->s, &o, &diag, ret_txn), &diag);
}

static db_err get(struct client *c, struct storage_txn *t, struct slice key,
                  enum storage_read_mode mode, bool *ret_found, struct slice *ret_value)
{
    struct diag diag = {0};
    *ret_found = false;
    *ret_value = SLICE_EMPTY;
    return met(c, "get",
               storage_get(t, key, mode, STORAGE_WAIT, &c->a, &diag, ret_found, ret_value), &diag);
}

static db_err put(struct client *c, struct storage_txn *t, struct slice key, struct slice value,
                  unsigned flags)
{
    struct diag diag = {0};
    return met(c, "put", storage_put(t, key, value, flags, &diag), &diag);
}

static db_err commit(struct client *c, struct storage_txn *t)
{
    struct diag diag = {0};
    uint64_t ts = 0;
    db_err err = met(c, "commit", storage_txn_commit(t, &diag, &ts), &diag);
    if (err == ERR_OK) {
        world_say(c->w, "%s committed at %llu, tick %llu: %s", c->m->host, (unsigned long long)ts,
                  (unsigned long long)c->w->tick, c->doing);
    }
    return err;
}

/* A statement of a client that thinks before it goes on. */
static void think(struct client *c, uint64_t up_to_us)
{
    db_err err = fiber_sleep(rand_below(&c->rand, up_to_us) * NS_PER_US);
    (void)err;
}

/* ---- bank ---- */

static int64_t money_of(struct slice v)
{
    char text[32];
    snprintf(text, sizeof(text), "%.*s", SLICE_FMT(v));
    return strtoll(text, NULL, 10);
}

static struct slice money_text(struct client *c, int64_t money)
{
    char *text = arena_printf(&c->a, "%lld", (long long)money);
    ASSERT(text != NULL);
    return slice_str(text);
}

static db_err transfer(struct client *c, struct storage_txn *t, enum storage_isolation level)
{
    bool optimistic = level == STORAGE_SNAPSHOT || level == STORAGE_SERIALIZABLE;
    unsigned from = draw(c, ACCOUNTS);
    unsigned to = (from + 1 + draw(c, ACCOUNTS - 1)) % ACCOUNTS;
    int64_t amount = 1 + draw(c, 20);
    struct slice a = key_of(c, 'b', from), b = key_of(c, 'b', to), va, vb;
    enum storage_read_mode mode = optimistic ? STORAGE_READ_PLAIN : STORAGE_READ_EXCLUSIVE;
    unsigned flags = optimistic ? 0 : STORAGE_W_LOCKED;
    bool found_a, found_b;
    TRY(get(c, t, a, mode, &found_a, &va));
    world_say(c->w, "client %p: b%02u is %lld", (void *)c, from, (long long)money_of(va));
    think(c, 3000);
    TRY(get(c, t, b, mode, &found_b, &vb));
    world_say(c->w, "client %p: b%02u is %lld", (void *)c, to, (long long)money_of(vb));
    if (!found_a || !found_b) {
        world_violated(c->w, "an account is gone");
        return ERR_CANCELED;
    }
    snprintf(c->doing, sizeof(c->doing), "client %p level %d b%02u %lld -> b%02u %lld: %lld",
             (void *)c, (int)level, from, (long long)money_of(va), to, (long long)money_of(vb),
             (long long)amount);
    TRY(put(c, t, a, money_text(c, money_of(va) - amount), flags));
    TRY(put(c, t, b, money_text(c, money_of(vb) + amount), flags));
    return ERR_OK;
}

static void bank_transfer(struct client *c)
{
    static const enum storage_isolation levels[] = {STORAGE_REPEATABLE_READ, STORAGE_READ_COMMITTED,
                                                    STORAGE_SNAPSHOT, STORAGE_SERIALIZABLE};
    enum storage_isolation level = levels[draw(c, ARRAY_COUNT(levels))];
    struct storage_txn *t;
    if (begin(c, level, false, &t) != ERR_OK) {
        return;
    }
    if (transfer(c, t, level) != ERR_OK) {
        storage_txn_rollback(t);
        return;
    }
    (void)outcome_of(c, commit(c, t));
}

static void say_balance(struct client *c, unsigned account, struct slice v)
{
    size_t n = strlen(c->doing);
    snprintf(c->doing + n, sizeof(c->doing) - n, " %u:%lld", account, (long long)money_of(v));
}

static db_err sum_by_gets(struct client *c, struct storage_txn *t, int64_t *ret_sum)
{
    int64_t sum = 0;
    for (unsigned i = 0; i < ACCOUNTS; i++) {
        struct slice v;
        bool found;
        TRY(get(c, t, key_of(c, 'b', i), STORAGE_READ_PLAIN, &found, &v));
        sum += found ? money_of(v) : 0;
        say_balance(c, i, v);
        think(c, 1000);
    }
    *ret_sum = sum;
    return ERR_OK;
}

static db_err sum_by_scan(struct client *c, struct storage_txn *t, int64_t *ret_sum)
{
    struct storage_scan_opts so = {.start = slice_str("\x02"
                                                      "b"),
                                   .end = slice_str("\x02"
                                                    "c"),
                                   .batch_rows = 1 + draw(c, 8)};
    struct storage_scan *scan;
    struct diag diag = {0};
    const struct storage_kv *rows;
    size_t count = 1;
    int64_t sum = 0;
    TRY(met(c, "scan", storage_scan_open(t, &so, &diag, &scan), &diag));
    while (count > 0) {
        db_err err = met(c, "scan", storage_scan_next(scan, &diag, &rows, &count), &diag);
        if (err != ERR_OK) {
            storage_scan_close(scan);
            return err;
        }
        for (size_t i = 0; i < count; i++) {
            sum += money_of(rows[i].value);
            say_balance(c, (unsigned)i, rows[i].value);
        }
        think(c, 500);
    }
    storage_scan_close(scan);
    *ret_sum = sum;
    return ERR_OK;
}

static void bank_audit(struct client *c)
{
    struct storage_txn *t;
    int64_t sum = 0;
    if (begin(c, STORAGE_REPEATABLE_READ, true, &t) != ERR_OK) {
        return;
    }
    c->doing[0] = '\0';
    db_err err = draw(c, 2) == 0 ? sum_by_gets(c, t, &sum) : sum_by_scan(c, t, &sum);
    world_say(c->w, "%s audit %s: %s", c->m->host, err_name(err), c->doing);
    storage_txn_rollback(t);
    if (err != ERR_OK) {
        return;
    }
    c->w->totals.audits++;
    if (sum != ACCOUNTS * MONEY) {
        world_violated(c->w, "bank: a snapshot read on %s has a total of %lld, not %d", c->m->host,
                       (long long)sum, ACCOUNTS * MONEY);
    }
}

/* ---- registers ---- */

static uint32_t number_of(bool found, struct slice v)
{
    uint32_t n = 0;
    if (found) {
        ASSERT(v.len == sizeof(n));
        memcpy(&n, v.ptr, sizeof(n));
    }
    return n;
}

static void reg_write(struct client *c, unsigned reg)
{
    struct world *w = c->w;
    struct reg_history *h = &w->history->regs[reg];
    uint32_t value = ++w->history->next_value;
    struct diag diag = {0};
    struct storage_txn_opts o = {.isolation = STORAGE_REPEATABLE_READ,
                                 .autocommit = true,
                                 .lock_wait_timeout_ms = 500 + draw(c, 2000)};
    struct storage_txn *t;
    if (met(c, "begin", storage_txn_begin(c->s, &o, &diag, &t), &diag) != ERR_OK) {
        return;
    }
    size_t op = reg_begin(h, true, value, world_tick(w));
    unsigned flags = draw(c, 2) == 0 ? STORAGE_W_BLIND : 0;
    db_err err = put(c, t, key_of(c, 'r', reg), slice_of(&value, sizeof(value)), flags);
    if (err != ERR_OK) {
        storage_txn_rollback(t);
        reg_end(h, op, 0, OUTCOME_NO, world_tick(w));
        return;
    }
    enum outcome outcome = outcome_of(c, commit(c, t));
    reg_end(h, op, 0, outcome, world_tick(w));
}

static void reg_read(struct client *c, unsigned reg)
{
    struct world *w = c->w;
    struct reg_history *h = &w->history->regs[reg];
    struct diag diag = {0};
    bool alone = draw(c, 3) != 0;
    struct storage_txn_opts o = {.isolation = STORAGE_REPEATABLE_READ,
                                 .read_only = true,
                                 .autocommit = true,
                                 .single_get = alone};
    struct storage_txn *t;
    struct slice v;
    bool found;
    uint64_t from = draw(c, 3) == 0 ? allow_age(c, &o) : world_tick(w);
    if (met(c, "begin", storage_txn_begin(c->s, &o, &diag, &t), &diag) != ERR_OK) {
        return;
    }
    size_t op = reg_begin(h, false, 0, from);
    db_err err = get(c, t, key_of(c, 'r', reg), STORAGE_READ_PLAIN, &found, &v);
    uint32_t value = err == ERR_OK ? number_of(found, v) : 0;
    reg_end(h, op, value, err == ERR_OK ? OUTCOME_YES : OUTCOME_NO, world_tick(w));
    w->totals.reads += err == ERR_OK;
    storage_txn_rollback(t);
}

/* ---- lists ---- */

struct list_value {
    uint32_t count;
    const uint32_t *values;
};

static struct list_value list_of(struct client *c, bool found, struct slice v)
{
    struct list_value l = {0};
    if (found) {
        uint32_t *copy = arena_alloc(&c->a, v.len);
        ASSERT(copy != NULL && v.len % sizeof(uint32_t) == 0);
        memcpy(copy, v.ptr, v.len);
        l = (struct list_value){(uint32_t)(v.len / sizeof(uint32_t)), copy};
    }
    return l;
}

static uint32_t last_of(const struct list_value *l)
{
    return l->count > 0 ? l->values[l->count - 1] : 0;
}

struct list_txn {
    struct storage_txn *t;
    enum storage_isolation level;
    size_t commit;   /* its event */
    size_t snapshot; /* + 1; 0: none yet */
    uint64_t first;  /* before its first statement */
    bool appended[LISTS];
};

static struct list_history *lists(struct client *c)
{
    return &c->w->history->lists;
}

static db_err do_append(struct client *c, struct list_txn *lt, unsigned list)
{
    bool plain = lt->level == STORAGE_SNAPSHOT || lt->level == STORAGE_SERIALIZABLE;
    struct slice key = key_of(c, 'l', list), v;
    uint32_t value = ++c->w->history->next_value;
    bool found;
    TRY(get(c, lt->t, key, plain ? STORAGE_READ_PLAIN : STORAGE_READ_EXCLUSIVE, &found, &v));
    struct list_value l = list_of(c, found, v);
    uint32_t *fresh = arena_alloc(&c->a, (l.count + 1) * sizeof(uint32_t));
    ASSERT(fresh != NULL && l.count < LIST_VALUES_MAX);
    if (l.count > 0) {
        memcpy(fresh, l.values, l.count * sizeof(uint32_t));
    }
    fresh[l.count] = value;
    TRY(put(c, lt->t, key, slice_of(fresh, (l.count + 1) * sizeof(uint32_t)),
            plain ? 0 : STORAGE_W_LOCKED));
    lt->appended[list] = true;
    list_append(lists(c), lt->commit, list, value);
    size_t said = strlen(c->doing);
    snprintf(c->doing + said, sizeof(c->doing) - said, " append %u to list %u after %u values",
             value, list, l.count);
    list_read(lists(c), lt->commit, list, l.count, last_of(&l));
    return ERR_OK;
}

static db_err do_read(struct client *c, struct list_txn *lt, unsigned list)
{
    struct slice v;
    bool found;
    bool locks = lt->level == STORAGE_SERIALIZABLE || draw(c, 4) == 0;
    enum storage_read_mode mode =
        lt->level != STORAGE_SERIALIZABLE && locks ? STORAGE_READ_SHARED : STORAGE_READ_PLAIN;
    uint64_t tick = world_tick(c->w);
    if (lt->appended[list]) {
        return ERR_OK; /* its own values would show */
    }
    TRY(get(c, lt->t, key_of(c, 'l', list), mode, &found, &v));
    struct list_value l = list_of(c, found, v);
    if (locks) {
        list_read(lists(c), lt->commit, list, l.count, last_of(&l));
        return ERR_OK;
    }
    if (lt->snapshot == 0) {
        /* With SNAPSHOT an append has read already. */
        tick = lt->level == STORAGE_SNAPSHOT ? lt->first : tick;
        lt->snapshot = 1 + list_begin(lists(c), "snapshot", tick);
        lists(c)->events[lt->commit].before = (uint32_t)lt->snapshot;
        list_end(lists(c), lt->snapshot - 1, OUTCOME_YES, world_tick(c->w));
    }
    list_read(lists(c), lt->snapshot - 1, list, l.count, last_of(&l));
    return ERR_OK;
}

static db_err list_steps(struct client *c, struct list_txn *lt)
{
    unsigned appends = 0, reads = 0;
    unsigned steps = 1 + draw(c, 4);
    for (unsigned i = 0; i < steps; i++) {
        unsigned list = draw(c, LISTS);
        if (draw(c, 2) == 0 && appends < EVENT_APPENDS_MAX - 1 && !lt->appended[list]) {
            TRY(do_append(c, lt, list));
            appends++;
        } else if (reads < 2) {
            TRY(do_read(c, lt, list));
            reads++;
        }
        think(c, 2000);
    }
    return ERR_OK;
}

static void list_txn(struct client *c)
{
    static const enum storage_isolation levels[] = {STORAGE_REPEATABLE_READ, STORAGE_SNAPSHOT,
                                                    STORAGE_SERIALIZABLE};
    struct list_txn lt = {.level = levels[draw(c, ARRAY_COUNT(levels))]};
    struct world *w = c->w;
    if (begin(c, lt.level, false, &lt.t) != ERR_OK) {
        return;
    }
    c->doing[0] = '\0';
    lt.first = world_tick(w);
    lt.commit = list_begin(lists(c), "commit", lt.first);
    if (list_steps(c, &lt) != ERR_OK) {
        storage_txn_rollback(lt.t);
        list_end(lists(c), lt.commit, OUTCOME_NO, world_tick(w));
        return;
    }
    struct list_event *e = &lists(c)->events[lt.commit];
    bool judged = e->append_count > 0 || lt.level == STORAGE_SERIALIZABLE;
    e->begin = judged ? world_tick(w) : e->begin;
    enum outcome outcome = outcome_of(c, commit(c, lt.t));
    /* Otherwise nobody asks at the end about the locks of a transaction that wrote nothing. */
    list_end(lists(c), lt.commit, judged ? outcome : OUTCOME_NO, world_tick(w));
}

/* All lists as of one moment, of now or of late. */
static void list_look(struct client *c)
{
    struct world *w = c->w;
    struct diag diag = {0};
    struct storage_txn_opts o = {
        .isolation = STORAGE_REPEATABLE_READ, .read_only = true, .autocommit = true};
    struct storage_txn *t;
    struct list_value seen[LISTS];
    uint64_t from = draw(c, 2) == 0 ? allow_age(c, &o) : world_tick(w);
    if (met(c, "begin", storage_txn_begin(c->s, &o, &diag, &t), &diag) != ERR_OK) {
        return;
    }
    struct slice keys[LISTS], values[LISTS];
    bool found[LISTS];
    for (unsigned i = 0; i < LISTS; i++) {
        keys[i] = key_of(c, 'l', i);
    }
    db_err err = met(c, "multi_get",
                     storage_multi_get(t, keys, LISTS, STORAGE_READ_PLAIN, STORAGE_WAIT, &c->a,
                                       &diag, found, values),
                     &diag);
    for (unsigned i = 0; i < LISTS && err == ERR_OK; i++) {
        seen[i] = list_of(c, found[i], values[i]);
    }
    storage_txn_rollback(t);
    if (err != ERR_OK) {
        return;
    }
    size_t event = list_begin(lists(c), "old snapshot", from);
    for (unsigned i = 0; i < LISTS; i++) {
        list_read(lists(c), event, i, seen[i].count, last_of(&seen[i]));
    }
    list_end(lists(c), event, OUTCOME_YES, world_tick(w));
}

/* ---- quota ---- */

struct counted {
    unsigned count;
    struct slice last; /* a row, in the client's arena */
};

static db_err count_group(struct client *c, struct storage_txn *t, unsigned group,
                          enum storage_read_mode mode, struct counted *counted)
{
    struct storage_scan_opts so = {.start = key_of(c, 'q', group),
                                   .end = key_of(c, 'q', group + 1),
                                   .mode = mode,
                                   .reverse = draw(c, 3) == 0,
                                   .keys_only = draw(c, 2) == 0,
                                   .batch_rows = 1 + draw(c, 4)};
    struct storage_scan *scan;
    struct diag diag = {0};
    const struct storage_kv *rows;
    size_t n = 1;
    TRY(met(c, "scan", storage_scan_open(t, &so, &diag, &scan), &diag));
    db_err err = ERR_OK;
    while (n > 0 && err == ERR_OK) {
        err = met(c, "scan", storage_scan_next(scan, &diag, &rows, &n), &diag);
        if (err == ERR_OK && n > 0) {
            counted->count += (unsigned)n;
            err = arena_copy(&c->a, rows[n - 1].key, &counted->last);
        }
    }
    storage_scan_close(scan);
    return err;
}

static db_err count_groups(struct client *c, struct storage_txn *t, enum storage_read_mode mode,
                           struct counted *counted)
{
    unsigned first = draw(c, GROUPS);
    for (unsigned i = 0; i < GROUPS; i++) {
        TRY(count_group(c, t, (first + i) % GROUPS, mode, counted));
        think(c, 2000);
    }
    return ERR_OK;
}

static db_err insert_member(struct client *c, struct storage_txn *t)
{
    static const unsigned flags[] = {STORAGE_W_INSERT, STORAGE_W_INSERT | STORAGE_W_DEFER,
                                     STORAGE_W_BLIND | STORAGE_W_NEW};
    uint32_t number = ++c->w->history->next_value;
    char *key = arena_printf(&c->a, "\x02q%02u%08x", draw(c, GROUPS), number * 0x9e3779b1u);
    ASSERT(key != NULL);
    return put(c, t, slice_str(key), SLICE_LIT("x"), flags[draw(c, ARRAY_COUNT(flags))]);
}

static db_err quota_steps(struct client *c, struct storage_txn *t, enum storage_isolation level)
{
    struct counted counted = {0};
    enum storage_read_mode mode = level == STORAGE_SERIALIZABLE ? STORAGE_READ_PLAIN
                                  : draw(c, 2) == 0             ? STORAGE_READ_SHARED_RANGE
                                                                : STORAGE_READ_EXCLUSIVE_RANGE;
    struct diag diag = {0};
    TRY(count_groups(c, t, mode, &counted));
    snprintf(c->doing, sizeof(c->doing), "client %p level %d quota: %u rows", (void *)c, (int)level,
             counted.count);
    if (counted.count < QUOTA) {
        return insert_member(c, t);
    }
    unsigned flags = mode == STORAGE_READ_EXCLUSIVE_RANGE ? STORAGE_W_LOCKED : 0;
    return met(c, "delete", storage_del(t, counted.last, flags, &diag), &diag);
}

static void quota_change(struct client *c)
{
    enum storage_isolation level = draw(c, 2) == 0 ? STORAGE_SERIALIZABLE : STORAGE_REPEATABLE_READ;
    struct storage_txn *t;
    if (begin(c, level, false, &t) != ERR_OK) {
        return;
    }
    if (quota_steps(c, t, level) != ERR_OK) {
        storage_txn_rollback(t);
        return;
    }
    (void)outcome_of(c, commit(c, t));
}

static void quota_audit(struct client *c)
{
    struct storage_txn *t;
    struct counted counted = {0};
    if (begin(c, STORAGE_REPEATABLE_READ, true, &t) != ERR_OK) {
        return;
    }
    db_err err = count_groups(c, t, STORAGE_READ_PLAIN, &counted);
    storage_txn_rollback(t);
    if (err != ERR_OK) {
        return;
    }
    c->w->totals.audits++;
    if (counted.count > QUOTA) {
        world_violated(c->w, "quota: a snapshot read on %s has %u rows, not %d at most", c->m->host,
                       counted.count, QUOTA);
    }
}

/* ---- clients ---- */

static void one_step(struct client *c)
{
    unsigned what = draw(c, 100);
    c->doing[0] = '\0';
    note_moment(c->w);
    if (what < 20) {
        bank_transfer(c);
    } else if (what < 32) {
        quota_change(c);
    } else if (what < 36) {
        quota_audit(c);
    } else if (what < 42) {
        bank_audit(c);
    } else if (what < 52) {
        reg_write(c, draw(c, REGISTERS));
    } else if (what < 70) {
        reg_read(c, draw(c, REGISTERS));
    } else if (what < 76) {
        list_look(c);
    } else {
        list_txn(c);
    }
}

static void client_fiber(void *arg)
{
    struct client *c = arg;
    while (!c->w->stopping) {
        one_step(c);
        arena_reset(&c->a);
        think(c, 40000);
    }
    c->m->clients--;
    arena_fini(&c->a);
    mem_free(c);
}

static struct client *client_new(struct member *m)
{
    struct client *c = mem_calloc(1, sizeof(*c));
    ASSERT(c != NULL);
    *c = (struct client){.w = m->w, .m = m, .s = node_storage(m->node)};
    rand_seed(&c->rand, rand_u64(&m->w->rand));
    arena_init(&c->a, NULL, NULL, 0);
    return c;
}

void clients_start(struct member *m)
{
    for (unsigned i = 0; i < CLIENTS; i++) {
        m->clients++;
        member_spawn(m, client_fiber, client_new(m));
    }
}

/* ---- the beginning ---- */

struct task {
    struct client *c;
    bool ok, done;
    uint32_t *lists[LISTS]; /* what was read at the end */
    struct list_final final[LISTS];
};

static db_err load_rows(struct client *c)
{
    struct storage_txn *t;
    TRY(begin(c, STORAGE_REPEATABLE_READ, false, &t));
    for (unsigned i = 0; i < ACCOUNTS; i++) {
        db_err err = put(c, t, key_of(c, 'b', i), money_text(c, MONEY), 0);
        if (err != ERR_OK) {
            storage_txn_rollback(t);
            return err;
        }
    }
    return commit(c, t);
}

static void load_fiber(void *arg)
{
    struct task *t = arg;
    t->ok = load_rows(t->c) == ERR_OK;
    t->done = true;
}

static void wait_done(struct world *w, const bool *done, const char *what)
{
    uint64_t until = clock_mono_ns() + 60 * NS_PER_S;
    while (!*done && !w->failed) {
        if (clock_mono_ns() > until) {
            world_stuck(w, "%s does not end", what);
        }
        db_err err = fiber_sleep(NS_PER_MS);
        (void)err;
    }
}

void workload_load(struct world *w)
{
    w->history = mem_calloc(1, sizeof(*w->history));
    ASSERT(w->history != NULL);
    struct task *t = mem_calloc(1, sizeof(*t));
    ASSERT(t != NULL);
    t->c = client_new(&w->members[1]);
    member_spawn(&w->members[1], load_fiber, t);
    wait_done(w, &t->done, "loading the rows");
    if (!t->ok && !w->failed) {
        world_violated(w, "the rows cannot be loaded");
    }
}

/* ---- the end ---- */

static db_err read_lists(struct client *c, struct storage_txn *t, struct task *task)
{
    for (unsigned i = 0; i < LISTS; i++) {
        struct slice v;
        bool found;
        TRY(get(c, t, key_of(c, 'l', i), STORAGE_READ_PLAIN, &found, &v));
        struct list_value l = list_of(c, found, v);
        task->final[i] = (struct list_final){l.values, l.count};
    }
    return ERR_OK;
}

/* What the node of this client shows at the end, twice over: the first attempts may meet what dead
 * coordinators have left. */
static void final_fiber(void *arg)
{
    struct task *task = arg;
    struct client *c = task->c;
    for (unsigned tries = 0; tries < 60 && !task->ok; tries++) {
        struct storage_txn *t;
        int64_t sum;
        if (begin(c, STORAGE_REPEATABLE_READ, true, &t) == ERR_OK) {
            task->ok = read_lists(c, t, task) == ERR_OK && sum_by_scan(c, t, &sum) == ERR_OK;
            storage_txn_rollback(t);
            if (task->ok && sum != ACCOUNTS * MONEY) {
                world_violated(c->w, "bank: at the end %s has a total of %lld", c->m->host,
                               (long long)sum);
            }
        }
        think(c, task->ok ? 1 : 500000);
    }
    for (unsigned r = 0; r < REGISTERS; r++) {
        reg_read(c, r);
    }
    task->done = true;
}

static bool same_lists(const struct task *a, const struct task *b)
{
    for (unsigned i = 0; i < LISTS; i++) {
        const struct list_final *x = &a->final[i], *y = &b->final[i];
        if (x->count != y->count ||
            (x->count > 0 && memcmp(x->values, y->values, x->count * sizeof(uint32_t)) != 0)) {
            return false;
        }
    }
    return true;
}

static void judge_histories(struct world *w, const struct task *t)
{
    char text[VIOLATION_SIZE - 64] = "";
    for (unsigned r = 0; r < REGISTERS && !w->failed; r++) {
        if (!reg_linearizable(&w->history->regs[r], text, sizeof(text))) {
            world_violated(w, "register %u: %s", r, text);
        }
    }
    if (!w->failed && !list_consistent(&w->history->lists, t->final, text, sizeof(text))) {
        world_violated(w, "lists: %s", text);
    }
}

void workload_judge(struct world *w)
{
    struct task *first = NULL;
    for (unsigned i = 1; i <= w->opts.members; i++) {
        struct cluster_storage_stats stats;
        cluster_storage_stats(node_storage(w->members[i].node), &stats);
        w->totals.by_copies += stats.follower_reads;
        w->totals.spills += stats.spills;
    }
    for (unsigned i = 1; i <= w->opts.members && !w->failed; i++) {
        struct task *t = mem_calloc(1, sizeof(*t));
        ASSERT(t != NULL);
        t->c = client_new(&w->members[i]);
        member_spawn(&w->members[i], final_fiber, t);
        wait_done(w, &t->done, "reading everything at the end");
        if (!w->failed && !t->ok) {
            world_stuck(w, "%s cannot read its rows after all has healed", w->members[i].host);
        }
        first = first == NULL ? t : first;
        if (!w->failed && !same_lists(first, t)) {
            world_violated(w, "%s and n1 differ at the end", w->members[i].host);
        }
    }
    if (!w->failed) {
        judge_histories(w, first);
    }
}
