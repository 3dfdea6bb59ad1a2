/* For tests of groups of several members: several range stores in one process, each with an engine
 * and a log of its own, joined by a network in memory that loses, delays and cuts. Everything runs
 * in fibers of one loop group. Tests only. */
#ifndef SKEIN_NODE_RANGE_TESTING_H
#define SKEIN_NODE_RANGE_TESTING_H

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/test_main.h"
#include "base/alloc.h"
#include "base/crc32c.h"
#include "base/fiber.h"
#include "base/log.h"
#include "base/rand.h"
#include "node/range/range.h"
#include "node/range/write_testing.h"
#include "node/store/keyspace.h"

enum { T_NODES_MAX = 5, T_LOOPS = 3 };

#define T_FAIL(text)                                                                               \
    do {                                                                                           \
        fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, text);                          \
        abort();                                                                                   \
    } while (false)

struct tcluster;

struct tnode {
    struct replica_transport transport; /* first */
    struct tcluster *c;
    node_id_t id;
    char dir[96];
    struct engine *engine;
    struct raft_log *log;
    struct range_store *rs;
    _Atomic bool up;
    _Atomic unsigned users;
    struct range_hooks hooks;
    _Atomic int64_t leases; /* hooks: begun less ended */
};

struct tcluster {
    struct loop_group *loops;
    char dir[64];
    struct tnode nodes[T_NODES_MAX + 1]; /* by id, from 1 */
    unsigned count;
    uint8_t cluster_id[16];
    _Atomic bool cut[T_NODES_MAX + 1][T_NODES_MAX + 1]; /* from, to */
    _Atomic range_id_t mute;                            /* messages of this range are lost */
    _Atomic node_id_t uninformed;                       /* does not hear what is committed */
    _Atomic uint64_t sent[256];                         /* by type */
    _Atomic unsigned loss_permille;
    _Atomic unsigned delay_us; /* up to */
    _Atomic uint64_t seed;
    _Atomic uint64_t ts;
    _Atomic uint64_t next_range;
    _Atomic uint64_t packets;
    _Atomic int in_flight;
    uint64_t range_size_max;
    uint64_t log_size_max; /* 0: the default; as the next two, */
    uint32_t log_keep_ms;  /* of nodes that are started from now on */
    struct disk *log_disk; /* of the logs, with a directory /log; NULL: the system's */
    /* ... and this: range_hooks.where */
    db_err (*where)(void *ctx, struct slice key, struct arena *arena, struct range_desc *ret);
};

/* ---- the network ---- */

struct tpacket {
    struct loop_task task;
    struct loop_timer timer;
    struct tcluster *c;
    struct loop *loop;
    node_id_t from, to;
    bool link;
    uint8_t link_bytes[LINK_MSG_SIZE];
    size_t header;
    struct blob *blob; /* header and payload */
};

static inline bool t_chance(struct tcluster *c, unsigned permille)
{
    struct rand r;
    if (permille == 0) {
        return false;
    }
    rand_seed(&r, atomic_fetch_add(&c->seed, 1));
    return rand_below(&r, 1000) < permille;
}

static inline struct tnode *t_use(struct tcluster *c, node_id_t id)
{
    struct tnode *n = &c->nodes[id];
    atomic_fetch_add(&n->users, 1);
    if (!atomic_load(&n->up)) {
        atomic_fetch_sub(&n->users, 1);
        return NULL;
    }
    return n;
}

static inline void t_done(struct tnode *n)
{
    atomic_fetch_sub(&n->users, 1);
}

static inline void t_deliver(struct tpacket *p)
{
    struct tcluster *c = p->c;
    struct tnode *n = atomic_load(&c->cut[p->from][p->to]) ? NULL : t_use(c, p->to);
    if (n != NULL && p->link) {
        struct link_msg m;
        CHECK_OK(link_msg_decode(slice_of(p->link_bytes, LINK_MSG_SIZE), &m));
        range_store_receive_link(n->rs, p->from, &m);
    } else if (n != NULL) {
        struct arena a;
        struct raft_msg m;
        range_id_t range;
        arena_init(&a, NULL, NULL, 0);
        CHECK_OK(raft_msg_decode(slice_of(p->blob->data, p->header), p->blob,
                                 slice_of(p->blob->data + p->header, p->blob->size - p->header), &a,
                                 &range, &m));
        range_store_receive(n->rs, p->from, range, &m);
        arena_fini(&a);
    }
    if (n != NULL) {
        t_done(n);
    }
    blob_unref(p->blob);
    mem_free(p);
    atomic_fetch_sub(&c->in_flight, 1);
}

static inline void t_timer(struct loop_timer *timer)
{
    t_deliver(CONTAINER_OF(timer, struct tpacket, timer));
}

static inline void t_arrive(struct loop_task *task)
{
    struct tpacket *p = CONTAINER_OF(task, struct tpacket, task);
    unsigned max = atomic_load(&p->c->delay_us);
    if (max == 0) {
        t_deliver(p);
        return;
    }
    struct rand r;
    rand_seed(&r, atomic_fetch_add(&p->c->seed, 1));
    loop_timer_init(&p->timer, t_timer);
    CHECK_OK(loop_timer_start(p->loop, &p->timer, clock_mono_ns() + rand_below(&r, max) * 1000));
}

static inline void t_post(struct tnode *n, node_id_t to, struct tpacket *p)
{
    struct tcluster *c = n->c;
    p->c = c;
    p->from = n->id;
    p->to = to;
    p->task.fn = t_arrive;
    CHECK(to != n->id && to <= T_NODES_MAX);
    atomic_fetch_add(&c->packets, 1);
    if (atomic_load(&c->cut[n->id][to]) || t_chance(c, atomic_load(&c->loss_permille))) {
        blob_unref(p->blob);
        mem_free(p);
        return;
    }
    atomic_fetch_add(&c->in_flight, 1);
    p->loop = loop_group_get(c->loops, (unsigned)(to % T_LOOPS));
    loop_post(p->loop, &p->task);
}

static inline void t_send(struct replica_transport *t, node_id_t to, range_id_t range,
                          const struct raft_msg *msg)
{
    struct tcluster *c = ((struct tnode *)t)->c;
    atomic_fetch_add(&c->sent[msg->type], 1);
    if (range == atomic_load(&c->mute)) {
        return;
    }
    struct tpacket *p = mem_calloc(1, sizeof(*p));
    struct raft_msg m = *msg;
    struct buf b;
    buf_init(&b, 1 << 20);
    CHECK(p != NULL);
    if (to == atomic_load(&c->uninformed)) {
        m.commit = 0;
    }
    CHECK_OK(raft_msg_encode(&b, range, &m));
    p->header = b.len;
    p->blob = blob_new(b.len + raft_msg_payload_size(msg));
    CHECK(p->blob != NULL);
    memcpy(p->blob->data, b.ptr, b.len);
    uint8_t *pos = p->blob->data + b.len;
    for (size_t i = 0; i < msg->entry_count; i++) {
        if (msg->entries[i].data.len != 0) {
            memcpy(pos, msg->entries[i].data.ptr, msg->entries[i].data.len);
        }
        pos += msg->entries[i].data.len;
    }
    buf_fini(&b);
    t_post((struct tnode *)t, to, p);
}

static inline void t_send_link(struct replica_transport *t, node_id_t to,
                               const struct link_msg *msg)
{
    struct tpacket *p = mem_calloc(1, sizeof(*p));
    CHECK(p != NULL);
    p->link = true;
    link_msg_encode(msg, p->link_bytes);
    t_post((struct tnode *)t, to, p);
}

/* ---- snapshots over it ---- */

struct snapshot_stream {
    struct snapshot_reader reader; /* first */
    struct tcluster *c;
    node_id_t from, to;
    struct fiber_mutex mutex;
    struct fiber_cond cond;
    struct buf header;
    struct buf chunk;
    bool full, taken; /* of the chunk: is there; the reader has it */
    bool closed, commit;
    bool done;
    db_err verdict;
};

static inline bool t_stream_cut(struct snapshot_stream *s)
{
    return atomic_load(&s->c->cut[s->from][s->to]) || !atomic_load(&s->c->nodes[s->to].up) ||
           !atomic_load(&s->c->nodes[s->from].up);
}

static inline db_err t_wait(struct snapshot_stream *s)
{
    db_err err = fiber_cond_wait(&s->cond, &s->mutex, clock_mono_ns() + 50 * NS_PER_MS);
    (void)err;
    return t_stream_cut(s) ? ERR_UNAVAILABLE : ERR_OK;
}

static inline db_err t_next(struct snapshot_reader *r, struct slice *ret_chunk)
{
    struct snapshot_stream *s = (struct snapshot_stream *)r;
    db_err err = ERR_OK;
    fiber_mutex_lock(&s->mutex);
    if (s->taken) {
        s->taken = s->full = false;
        fiber_cond_broadcast(&s->cond);
    }
    while (!s->full && !s->closed && err == ERR_OK) {
        err = t_wait(s);
    }
    if (err == ERR_OK && s->full) {
        s->taken = true;
        *ret_chunk = buf_slice(&s->chunk);
    } else if (err == ERR_OK) {
        err = s->commit ? ERR_OK : ERR_CANCELED;
        *ret_chunk = SLICE_EMPTY;
    }
    fiber_mutex_unlock(&s->mutex);
    return err;
}

static const struct snapshot_reader_ops t_reader_ops = {.name = "test", .next = t_next};

static inline void t_receive(void *arg)
{
    struct snapshot_stream *s = arg;
    struct diag diag;
    diag_reset(&diag);
    struct tnode *n = t_use(s->c, s->to);
    db_err verdict = ERR_UNAVAILABLE;
    if (n != NULL) {
        verdict =
            range_store_receive_snapshot(n->rs, s->from, buf_slice(&s->header), &s->reader, &diag);
        t_done(n);
    }
    fiber_mutex_lock(&s->mutex);
    s->verdict = verdict;
    s->done = true;
    fiber_cond_broadcast(&s->cond);
    fiber_mutex_unlock(&s->mutex);
}

static inline db_err t_snapshot_open(struct replica_transport *t, node_id_t to, struct slice header,
                                     struct diag *diag, struct snapshot_stream **ret_stream)
{
    struct tnode *n = (struct tnode *)t;
    struct snapshot_stream *s = mem_calloc(1, sizeof(*s));
    (void)diag;
    CHECK(s != NULL);
    s->reader.ops = &t_reader_ops;
    s->c = n->c;
    s->from = n->id;
    s->to = to;
    fiber_mutex_init(&s->mutex);
    fiber_cond_init(&s->cond);
    buf_init(&s->header, SNAPSHOT_HEADER_MAX);
    buf_init(&s->chunk, SNAPSHOT_CHUNK_MAX);
    CHECK_OK(buf_append_slice(&s->header, header));
    CHECK_OK(fiber_spawn(loop_group_get(n->c->loops, (unsigned)(to % T_LOOPS)), t_receive, s));
    *ret_stream = s;
    return ERR_OK;
}

static inline db_err t_snapshot_write(struct snapshot_stream *s, struct slice chunk)
{
    db_err err = ERR_OK;
    fiber_mutex_lock(&s->mutex);
    while (s->full && !s->done && err == ERR_OK) {
        err = t_wait(s);
    }
    if (err == ERR_OK && s->done) {
        err = ERR_UNAVAILABLE;
    }
    if (err == ERR_OK) {
        buf_reset(&s->chunk);
        CHECK_OK(buf_append_slice(&s->chunk, chunk));
        s->full = true;
        fiber_cond_broadcast(&s->cond);
    }
    fiber_mutex_unlock(&s->mutex);
    return err;
}

static inline db_err t_snapshot_finish(struct snapshot_stream *s, bool commit, struct diag *diag)
{
    (void)diag;
    fiber_mutex_lock(&s->mutex);
    s->closed = true;
    s->commit = commit;
    fiber_cond_broadcast(&s->cond);
    while (!s->done) {
        db_err err = fiber_cond_wait(&s->cond, &s->mutex, clock_mono_ns() + 50 * NS_PER_MS);
        (void)err;
    }
    db_err verdict = s->verdict;
    fiber_mutex_unlock(&s->mutex);
    buf_fini(&s->header);
    buf_fini(&s->chunk);
    mem_free(s);
    return commit || verdict != ERR_OK ? verdict : ERR_CANCELED;
}

static const struct replica_transport_ops t_transport_ops = {
    .name = "memory",
    .send = t_send,
    .send_link = t_send_link,
    .snapshot_open = t_snapshot_open,
    .snapshot_write = t_snapshot_write,
    .snapshot_finish = t_snapshot_finish,
};

/* ---- nodes ---- */

static inline db_err t_now_ts(void *ctx, struct diag *diag, ts_t *ret_ts)
{
    (void)diag;
    *ret_ts = atomic_fetch_add(&((struct tnode *)ctx)->c->ts, 1);
    return ERR_OK;
}

static inline db_err t_new_range_id(void *ctx, struct diag *diag, range_id_t *ret_id)
{
    (void)diag;
    *ret_id = atomic_fetch_add(&((struct tnode *)ctx)->c->next_range, 1);
    return ERR_OK;
}

static inline void t_changed(void *ctx, const struct range_desc *desc)
{
    (void)ctx;
    (void)desc;
}

static inline void t_lease(void *ctx, const struct range_desc *desc, bool held)
{
    (void)desc;
    int64_t now = atomic_fetch_add(&((struct tnode *)ctx)->leases, held ? 1 : -1);
    CHECK(now + (held ? 1 : -1) >= 0);
}

static inline void t_fatal(void *arg, db_err err, const char *text)
{
    fprintf(stderr, "node %llu: fatal: %s: %s\n", (unsigned long long)((struct tnode *)arg)->id,
            err_name(err), text);
    abort();
}

static inline void t_files_job(void *arg)
{
    struct tnode *n = arg;
    char path[160];
    struct diag diag;
    diag_reset(&diag);
    snprintf(path, sizeof(path), "mkdir -p %s/store %s/log", n->dir, n->dir);
    CHECK(system(path) == 0);
    snprintf(path, sizeof(path), "%s/store", n->dir);
    struct engine_opts eo = {.path = path, .memory_size = 16 << 20};
    CHECK_OK(engine_open_rocks(&eo, &diag, &n->engine));
    snprintf(path, sizeof(path), "%s/log", n->c->log_disk != NULL ? "" : n->dir);
    struct raft_log_opts lo = {.disk = n->c->log_disk,
                               .segment_size = 1 << 20,
                               .cache_size = n->c->log_disk != NULL ? 256 << 10 : 0};
    CHECK_OK(raft_log_open(path, &lo, &diag, &n->log));
}

static inline void t_isolate(struct tcluster *c, node_id_t id, bool on)
{
    for (node_id_t k = 1; k <= T_NODES_MAX; k++) {
        atomic_store(&c->cut[id][k], on);
        atomic_store(&c->cut[k][id], on);
    }
}

/* From a fiber. */
static inline void t_start(struct tcluster *c, node_id_t id)
{
    struct tnode *n = &c->nodes[id];
    char snap[160];
    struct diag diag;
    diag_reset(&diag);
    CHECK(!atomic_load(&n->up));
    t_isolate(c, id, false);
    n->transport.ops = &t_transport_ops;
    n->c = c;
    n->id = id;
    n->hooks = (struct range_hooks){.ctx = n,
                                    .now_ts = t_now_ts,
                                    .new_range_id = t_new_range_id,
                                    .changed = t_changed,
                                    .lease = t_lease,
                                    .where = c->where};
    atomic_store(&n->leases, 0);
    snprintf(n->dir, sizeof(n->dir), "%s/n%llu", c->dir, (unsigned long long)id);
    blocking_run(t_files_job, n);
    snprintf(snap, sizeof(snap), "%s/snap", n->dir);
    struct store_ident join = {.node_id = id};
    memcpy(join.cluster_id, c->cluster_id, 16);
    struct range_store_opts o = {.loops = c->loops,
                                 .engine = n->engine,
                                 .log = n->log,
                                 .transport = &n->transport,
                                 .hooks = &n->hooks,
                                 .join = id == 1 ? NULL : &join,
                                 .snapshot_dir = snap,
                                 .range_size_max = c->range_size_max,
                                 .log_size_max = c->log_size_max,
                                 .member_away_ms = 1500,
                                 .log_keep_ms = c->log_keep_ms,
                                 .on_fatal = t_fatal,
                                 .on_fatal_arg = n};
    db_err err = range_store_open(&o, &diag, &n->rs);
    if (err != ERR_OK) {
        fprintf(stderr, "open %llu: %s %s\n", (unsigned long long)id, err_name(err), diag.text);
        abort();
    }
    if (id == 1) {
        memcpy(c->cluster_id, range_store_ident(n->rs).cluster_id, 16);
    }
    atomic_store(&n->up, true);
}

struct t_close {
    struct tnode *n;
    bool crash;
};

static inline void t_close_job(void *arg)
{
    struct t_close *j = arg;
    raft_log_close(j->n->log);
    range_store_free(j->n->rs);
    engine_close(j->n->engine, j->crash);
}

/* crash: the engine forgets what it has not flushed. */
static inline void t_stop(struct tcluster *c, node_id_t id, bool crash)
{
    struct tnode *n = &c->nodes[id];
    struct t_close j = {n, crash};
    if (crash) {
        t_isolate(c, id, true); /* it says nothing more from this moment on */
    }
    atomic_store(&n->up, false);
    while (atomic_load(&n->users) != 0) {
        CHECK_OK(fiber_sleep(NS_PER_MS));
    }
    range_store_stop(n->rs);
    blocking_run(t_close_job, &j);
    n->rs = NULL;
}

/* ---- work on the cluster ---- */

struct t_find {
    struct slice key;
    struct range_desc desc;
    struct arena *arena;
    bool found;
};

static inline db_err t_find_desc(void *arg, const struct range_desc *desc, bool serving)
{
    struct t_find *f = arg;
    if (serving && range_desc_contains(desc, f->key)) {
        CHECK_OK(range_desc_copy(f->arena, desc, &f->desc));
        f->found = true;
    }
    return ERR_OK;
}

/* On this node if it leads the key's range. */
static inline db_err t_put_on(struct tcluster *c, node_id_t id, struct slice key,
                              struct slice value)
{
    struct arena a;
    struct eval_range *er;
    struct tnode *n = t_use(c, id);
    if (n == NULL) {
        return ERR_UNAVAILABLE;
    }
    arena_init(&a, NULL, NULL, 0);
    struct t_find f = {.key = key, .arena = &a};
    CHECK_OK(range_store_each(n->rs, t_find_desc, &f));
    db_err err = f.found ? range_store_find(n->rs, f.desc.id, &er) : ERR_NOT_LEADER;
    if (err == ERR_OK) {
        err = t_write_to(er, &f.desc, atomic_fetch_add(&c->ts, 1), key, value, &a);
        range_store_done(er);
    }
    arena_fini(&a);
    t_done(n);
    return err;
}

/* The newest value, as its leader says; ret: at most 64 bytes. */
static inline db_err t_get_on(struct tcluster *c, node_id_t id, struct slice key, char ret[64])
{
    struct arena a;
    struct diag diag;
    struct kv_reply reply = {0};
    struct eval_range *er;
    struct kv_value v = {0};
    struct tnode *n = t_use(c, id);
    if (n == NULL) {
        return ERR_UNAVAILABLE;
    }
    arena_init(&a, NULL, NULL, 0);
    diag_reset(&diag);
    struct t_find f = {.key = key, .arena = &a};
    CHECK_OK(range_store_each(n->rs, t_find_desc, &f));
    db_err err = f.found ? range_store_find(n->rs, f.desc.id, &er) : ERR_NOT_LEADER;
    if (err == ERR_OK) {
        struct kv_get_req req = {.r = {.range = f.desc.id,
                                       .epoch = f.desc.epoch,
                                       .deadline_ns = clock_mono_ns() + 5 * NS_PER_S,
                                       .arena = &a},
                                 .key = key,
                                 .read_ts = TS_MAX};
        err = eval_get(er, &req, &diag, &reply, &v);
        range_store_done(er);
        if (err == ERR_OK && !v.found) {
            err = ERR_NOT_FOUND;
        }
        if (err == ERR_OK) {
            snprintf(ret, 64, "%.*s", SLICE_FMT(v.value));
        }
    }
    arena_fini(&a);
    t_done(n);
    return err;
}

/* Tries all nodes until one takes it or the time is up. ERR_COMMIT_UNKNOWN is returned. */
static inline db_err t_put(struct tcluster *c, struct slice key, struct slice value,
                           uint64_t within_ns)
{
    uint64_t until = clock_mono_ns() + within_ns;
    for (;;) {
        for (node_id_t id = 1; id <= c->count; id++) {
            db_err err = t_put_on(c, id, key, value);
            if (err == ERR_OK || err == ERR_COMMIT_UNKNOWN) {
                return err;
            }
        }
        if (clock_mono_ns() > until) {
            return ERR_TIMEOUT;
        }
        CHECK_OK(fiber_sleep(5 * NS_PER_MS));
    }
}

static inline db_err t_get(struct tcluster *c, struct slice key, char ret[64], uint64_t within_ns)
{
    uint64_t until = clock_mono_ns() + within_ns;
    for (;;) {
        for (node_id_t id = 1; id <= c->count; id++) {
            db_err err = t_get_on(c, id, key, ret);
            if (err == ERR_OK || err == ERR_NOT_FOUND) {
                return err;
            }
        }
        if (clock_mono_ns() > until) {
            return ERR_TIMEOUT;
        }
        CHECK_OK(fiber_sleep(5 * NS_PER_MS));
    }
}

static inline node_id_t t_leader(struct tcluster *c, range_id_t range)
{
    for (node_id_t id = 1; id <= c->count; id++) {
        struct tnode *n = t_use(c, id);
        bool valid = n != NULL && range_store_lease_valid(n->rs, range);
        if (n != NULL) {
            t_done(n);
        }
        if (valid) {
            return id;
        }
    }
    return 0;
}

static inline node_id_t t_wait_leader(struct tcluster *c, range_id_t range, uint64_t within_ns)
{
    uint64_t until = clock_mono_ns() + within_ns;
    node_id_t id;
    while ((id = t_leader(c, range)) == 0 && clock_mono_ns() < until) {
        CHECK_OK(fiber_sleep(5 * NS_PER_MS));
    }
    return id;
}

/* On whoever leads, again while that changes. */
static inline db_err t_change(struct tcluster *c, range_id_t range, const struct replica_change *ch,
                              size_t count)
{
    struct diag diag;
    db_err err = ERR_TIMEOUT;
    diag_reset(&diag);
    for (int tries = 0; tries < 20; tries++) {
        node_id_t id = t_wait_leader(c, range, 5 * NS_PER_S);
        struct tnode *n = id == 0 ? NULL : t_use(c, id);
        if (n == NULL) {
            continue;
        }
        err = range_store_change_replicas(n->rs, range, ch, count, &diag);
        t_done(n);
        if (err != ERR_NOT_LEADER && err != ERR_BUSY && err != ERR_COMMIT_UNKNOWN) {
            break;
        }
        CHECK_OK(fiber_sleep(20 * NS_PER_MS));
    }
    if (err != ERR_OK) {
        fprintf(stderr, "change of range %llu: %s %s\n", (unsigned long long)range, err_name(err),
                diag.text);
    }
    return err;
}

static inline db_err t_add(struct tcluster *c, range_id_t range, node_id_t node)
{
    struct replica_change ch = {REPLICA_ADD, node};
    return t_change(c, range, &ch, 1);
}

/* What the node's engine holds of the data family in [start, end): a checksum. */
struct t_sum {
    struct engine *e;
    struct slice start, end;
    uint64_t count;
    uint32_t crc;
};

static inline void t_sum_job(void *arg)
{
    struct t_sum *s = arg;
    struct engine_iter_opts o = {.tier = ENGINE_ANY};
    struct engine_iter *it;
    struct arena a;
    struct slice lo;
    arena_init(&a, NULL, NULL, 0);
    CHECK_OK(data_key_make(&a, s->start, UINT64_MAX, &lo));
    CHECK_OK(engine_iter_open(s->e, ENGINE_DATA, &o, &it));
    CHECK_OK(engine_iter_seek(it, lo));
    while (it->valid && (s->end.len == 0 || slice_cmp(data_key_user(it->key), s->end) < 0)) {
        s->crc = crc32c(s->crc, it->key.ptr, it->key.len);
        s->crc = crc32c(s->crc, it->value.ptr, it->value.len);
        s->count++;
        CHECK_OK(engine_iter_next(it));
    }
    engine_iter_close(it);
    arena_fini(&a);
}

static inline struct t_sum t_checksum(struct tcluster *c, node_id_t id, struct slice start,
                                      struct slice end)
{
    struct t_sum s = {.e = c->nodes[id].engine, .start = start, .end = end};
    blocking_run(t_sum_job, &s);
    return s;
}

static inline db_err t_print_range(void *arg, const struct range_desc *d, bool serving)
{
    struct tnode *n = arg;
    struct range_status st;
    CHECK_OK(range_store_status(n->rs, d->id, &st));
    fprintf(stderr,
            "node %llu: range %llu v%llu.%llu [%.*s, %.*s) %s role %d leader %llu term %llu "
            "applied %llu%s\n",
            (unsigned long long)n->id, (unsigned long long)d->id,
            (unsigned long long)d->epoch.version, (unsigned long long)d->epoch.conf,
            SLICE_FMT(d->start), SLICE_FMT(d->end), serving ? "serves" : "", (int)st.role,
            (unsigned long long)st.leader_node, (unsigned long long)st.raft_term,
            (unsigned long long)st.applied, st.quiescent ? " asleep" : "");
    for (unsigned i = 0; i < st.member_count; i++) {
        fprintf(stderr, "    on %llu: match %llu%s%s\n", (unsigned long long)st.members[i].node,
                (unsigned long long)st.members[i].match, st.members[i].live ? "" : " dead",
                st.members[i].caught_up ? "" : " behind");
    }
    return ERR_OK;
}

/* Waits until the nodes hold the same of [start, end). */
static inline void t_wait_same(struct tcluster *c, const node_id_t *ids, size_t count,
                               struct slice start, struct slice end)
{
    for (int tries = 0; tries < 1000; tries++) {
        struct t_sum first = t_checksum(c, ids[0], start, end);
        bool same = true;
        for (size_t i = 1; i < count && same; i++) {
            struct t_sum other = t_checksum(c, ids[i], start, end);
            same = other.count == first.count && other.crc == first.crc;
        }
        if (same) {
            return;
        }
        CHECK_OK(fiber_sleep(20 * NS_PER_MS));
    }
    for (size_t i = 0; i < count; i++) {
        struct t_sum s = t_checksum(c, ids[i], start, end);
        fprintf(stderr, "node %llu: %llu versions\n", (unsigned long long)ids[i],
                (unsigned long long)s.count);
        CHECK_OK(range_store_each(c->nodes[ids[i]].rs, t_print_range, &c->nodes[ids[i]]));
    }
    T_FAIL("the replicas hold the same");
}

/* ---- running a test ---- */

struct t_run {
    struct tcluster *c;
    void (*fn)(struct tcluster *c);
    struct waiter waiter;
};

static inline void t_run_fiber(void *arg)
{
    struct t_run *r = arg;
    r->fn(r->c);
    wait_signal(&r->waiter, 0);
}

static inline void t_run_main(void *arg)
{
    struct t_run *r = arg;
    wait_init(&r->waiter);
    CHECK_OK(fiber_spawn(loop_group_get(r->c->loops, 0), t_run_fiber, r));
    wait_block_uncancelable(&r->waiter);
}

/* With `count` nodes in dir: range 1 and 2 are on node 1 alone at first. */
static inline void t_run_in(const char *dir, unsigned count, void (*fn)(struct tcluster *c))
{
    struct tcluster *c = mem_calloc(1, sizeof(*c));
    struct loop_group_opts lo = {.count = T_LOOPS};
    CHECK(c != NULL);
    CHECK_OK(loop_group_start(&lo, &c->loops));
    snprintf(c->dir, sizeof(c->dir), "%s", dir);
    c->count = count;
    c->range_size_max = 1ull << 40;
    atomic_store(&c->ts, (uint64_t)clock_wall_us());
    atomic_store(&c->next_range, 100);
    struct t_run r = {.c = c, .fn = fn};
    CHECK_OK(loop_run_main(t_run_main, &r));
    loop_group_stop(c->loops);
    mem_free(c);
}

/* In a new directory. */
static inline void t_run(unsigned count, void (*fn)(struct tcluster *c))
{
    char dir[] = "./range_test.XXXXXX";
    char cmd[64];
    CHECK(mkdtemp(dir) != NULL);
    t_run_in(dir, count, fn);
    snprintf(cmd, sizeof(cmd), "rm -rf %s", dir);
    CHECK(system(cmd) == 0);
}

static inline void t_start_all(struct tcluster *c)
{
    for (node_id_t id = 1; id <= c->count; id++) {
        t_start(c, id);
    }
    CHECK(t_wait_leader(c, 1, 60 * NS_PER_S) == 1);
    CHECK(t_wait_leader(c, 2, 60 * NS_PER_S) == 1);
}

static inline void t_stop_all(struct tcluster *c)
{
    for (node_id_t id = 1; id <= c->count; id++) {
        if (atomic_load(&c->nodes[id].up)) {
            t_stop(c, id, false);
        }
    }
    while (atomic_load(&c->in_flight) != 0) {
        CHECK_OK(fiber_sleep(NS_PER_MS));
    }
}

/* ---- keys and values ---- */

static inline struct slice key_of(char buf[32], unsigned i)
{
    snprintf(buf, 32, "\x02key%08u", i);
    return slice_str(buf);
}

static inline struct slice val_of(char buf[32], unsigned v)
{
    snprintf(buf, 32, "v%u", v);
    return slice_str(buf);
}

/* Until it is there for certain: what may have been written is written again. */
static inline void put_surely(struct tcluster *c, struct slice key, struct slice value)
{
    uint64_t until = clock_mono_ns() + 60 * NS_PER_S;
    db_err err = ERR_COMMIT_UNKNOWN;
    while (err == ERR_COMMIT_UNKNOWN && clock_mono_ns() < until) {
        err = t_put(c, key, value, 60 * NS_PER_S);
    }
    if (err != ERR_OK) {
        fprintf(stderr, "put %.*s: %s\n", SLICE_FMT(key), err_name(err));
    }
    CHECK_OK(err);
}

static inline void put_ok(struct tcluster *c, unsigned k, unsigned v)
{
    char kb[32];
    char vb[32];
    put_surely(c, key_of(kb, k), val_of(vb, v));
}

static inline void expect(struct tcluster *c, unsigned k, unsigned v)
{
    char kb[32];
    char vb[32];
    char got[64] = "";
    db_err err = t_get(c, key_of(kb, k), got, 60 * NS_PER_S);
    val_of(vb, v);
    if (err != ERR_OK || strcmp(got, vb) != 0) {
        fprintf(stderr, "key %u: %s %s, not %s\n", k, err_name(err), got, vb);
    }
    CHECK_OK(err);
    CHECK(strcmp(got, vb) == 0);
}

/* So many values of 8 KiB. A leader keeps up to 1 MiB of entries in memory for members that are
 * behind, whether the log still has them or not. */
static inline void put_large(struct tcluster *c, unsigned count)
{
    enum { LARGE = 8192 };
    char kb[32];
    uint8_t *value = mem_alloc(LARGE);
    CHECK(value != NULL);
    memset(value, 'x', LARGE);
    for (unsigned i = 0; i < count; i++) {
        put_surely(c, key_of(kb, 90000 + i), slice_of(value, LARGE));
    }
    mem_free(value);
}

static const node_id_t three[] UNUSED = {1, 2, 3};

static inline void three_members(struct tcluster *c)
{
    t_start_all(c);
    for (node_id_t id = 2; id <= 3; id++) {
        CHECK_OK(t_add(c, 2, id));
    }
}

/* ---- writers that remember what was acknowledged ---- */

enum { WRITERS = 8 };

struct writer {
    struct tcluster *c;
    unsigned base;
    _Atomic unsigned acked; /* the last value known to be there */
    _Atomic unsigned tried;
    uint64_t gap_ns; /* longest time without an acknowledgement */
    _Atomic bool *stop;
    struct waiter done;
};

static inline void writer_fiber(void *arg)
{
    struct writer *w = arg;
    char kb[32];
    char vb[32];
    uint64_t last = clock_mono_ns();
    for (unsigned v = 1; !atomic_load(w->stop); v++) {
        atomic_store(&w->tried, v);
        db_err err = t_put(w->c, key_of(kb, w->base + v % 16), val_of(vb, v), 60 * NS_PER_S);
        CHECK(err == ERR_OK || err == ERR_COMMIT_UNKNOWN);
        if (err == ERR_OK) {
            atomic_store(&w->acked, v);
            uint64_t now = clock_mono_ns();
            w->gap_ns = now - last > w->gap_ns ? now - last : w->gap_ns;
            last = now;
        }
        CHECK_OK(fiber_sleep(200000));
    }
    wait_signal(&w->done, 0);
}

struct load {
    struct writer w[WRITERS];
    _Atomic bool stop;
};

static inline void load_start(struct tcluster *c, struct load *l)
{
    memset(l, 0, sizeof(*l));
    for (unsigned i = 0; i < WRITERS; i++) {
        l->w[i].c = c;
        l->w[i].base = 1000 * (i + 1);
        l->w[i].stop = &l->stop;
        wait_init(&l->w[i].done);
        CHECK_OK(fiber_spawn(loop_group_get(c->loops, i % T_LOOPS), writer_fiber, &l->w[i]));
    }
}

/* Ends it, once each has written. Every acknowledged value is there, or a later one was tried. */
static inline uint64_t load_check(struct tcluster *c, struct load *l)
{
    uint64_t gap = 0;
    for (unsigned i = 0; i < WRITERS; i++) {
        for (int k = 0; k < 6000 && atomic_load(&l->w[i].acked) == 0; k++) {
            CHECK_OK(fiber_sleep(10 * NS_PER_MS));
        }
    }
    atomic_store(&l->stop, true);
    for (unsigned i = 0; i < WRITERS; i++) {
        wait_block_uncancelable(&l->w[i].done);
    }
    for (unsigned i = 0; i < WRITERS; i++) {
        struct writer *w = &l->w[i];
        unsigned acked = atomic_load(&w->acked);
        char kb[32];
        char got[64];
        CHECK(acked > 0);
        CHECK_OK(t_get(c, key_of(kb, w->base + acked % 16), got, 60 * NS_PER_S));
        unsigned v = (unsigned)strtoul(got + 1, NULL, 10);
        if (v < acked || v > atomic_load(&w->tried)) {
            fprintf(stderr, "writer %u: acknowledged %u, found %u\n", i, acked, v);
        }
        CHECK(v >= acked && v <= atomic_load(&w->tried));
        gap = w->gap_ns > gap ? w->gap_ns : gap;
    }
    return gap;
}

#endif
