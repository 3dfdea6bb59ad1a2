#include "node/main/node.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/assert.h"
#include "base/fiber.h"
#include "base/log.h"
#include "cluster/kv/kv.h"
#include "node/main/membership.h"
#include "node/service/service.h"

/* Start: lock the directory, open the engine and the log (on this thread, or on the blocking pool
 * when a fiber calls), then, in a fiber of the group, the ranges, meta once its range serves, the
 * services, the cluster storage. Stop: the reverse, each part only after what stands on it has
 * ended. A start that fails half-way stops what had been started. */

struct node {
    struct node_opts opts;
    char dir[512];
    int lock_fd;
    struct space_plan space;
    struct engine *engine;
    struct raft_log *log;
    struct meta *meta;
    struct range_store *ranges;
    struct membership *membership;
    bool meta_started;
    struct local_kv_service kv;
    struct local_meta_service meta_service;
    struct storage *storage;
};

/* ---- running a step where it may run ---- */

struct step {
    db_err (*fn)(struct node *n, struct diag *diag);
    struct node *n;
    struct diag *diag;
    db_err err;
    bool from_fiber;
    struct waiter waiter;
    pthread_mutex_t mutex;
    pthread_cond_t cond;
    bool done;
};

static void step_fiber(void *arg)
{
    struct step *s = arg;
    s->err = s->fn(s->n, s->diag);
    if (s->from_fiber) {
        wait_signal(&s->waiter, 0);
        return;
    }
    pthread_mutex_lock(&s->mutex);
    s->done = true;
    pthread_cond_signal(&s->cond);
    pthread_mutex_unlock(&s->mutex);
}

/* In a fiber on the group's first loop. */
static db_err run_on_loop(struct node *n, db_err (*fn)(struct node *n, struct diag *diag),
                          struct diag *diag)
{
    struct step s = {.fn = fn, .n = n, .diag = diag, .from_fiber = fiber_self() != NULL};
    pthread_mutex_init(&s.mutex, NULL);
    pthread_cond_init(&s.cond, NULL);
    if (s.from_fiber) {
        wait_init(&s.waiter);
    }
    db_err err = fiber_spawn(loop_group_get(n->opts.loops, 0), step_fiber, &s);
    if (err == ERR_OK && s.from_fiber) {
        wait_block_uncancelable(&s.waiter);
    } else if (err == ERR_OK) {
        pthread_mutex_lock(&s.mutex);
        while (!s.done) {
            pthread_cond_wait(&s.cond, &s.mutex);
        }
        pthread_mutex_unlock(&s.mutex);
    }
    pthread_cond_destroy(&s.cond);
    pthread_mutex_destroy(&s.mutex);
    return err == ERR_OK ? s.err : err;
}

static void step_blocking(void *arg)
{
    struct step *s = arg;
    s->err = s->fn(s->n, s->diag);
}

static db_err run_blocking(struct node *n, db_err (*fn)(struct node *n, struct diag *diag),
                           struct diag *diag)
{
    struct step s = {.fn = fn, .n = n, .diag = diag};
    blocking_run(step_blocking, &s);
    return s.err;
}

/* ---- the data directory ---- */

static db_err make_dir(const char *path, struct diag *diag)
{
    if (mkdir(path, 0700) != 0 && errno != EEXIST) {
        return diag_set(diag, errno == ENOSPC ? ERR_DISK_FULL : ERR_IO, "cannot make %s: %s", path,
                        strerror(errno));
    }
    return ERR_OK;
}

static db_err lock_dir(struct node *n, struct diag *diag)
{
    char path[600];
    snprintf(path, sizeof(path), "%s/LOCK", n->dir);
    n->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (n->lock_fd < 0) {
        return diag_set(diag, errno == ENOSPC ? ERR_DISK_FULL : ERR_IO, "cannot open %s: %s", path,
                        strerror(errno));
    }
    if (flock(n->lock_fd, LOCK_EX | LOCK_NB) != 0) {
        return diag_set(diag, ERR_BUSY,
                        "%s is in use by another process: stop it, or use another directory",
                        n->dir);
    }
    return ERR_OK;
}

/* ---- failures ---- */

static void fatal(struct node *n, db_err err, const char *text)
{
    LOG_ERROR("node.fatal", F_ERR(err), F_STR("reason", text));
    if (n->opts.on_fatal != NULL) {
        n->opts.on_fatal(n->opts.on_fatal_arg, err, text);
        return;
    }
    abort();
}

static void on_log_fatal(void *arg, const struct diag *diag)
{
    fatal(arg, diag->err, diag->text);
}

static void on_store_fatal(void *arg, db_err err, const char *text)
{
    fatal(arg, err, text);
}

/* ---- steps ---- */

static db_err open_files(struct node *n, struct diag *diag)
{
    char path[600];
    TRY(make_dir(n->dir, diag));
    TRY(lock_dir(n, diag));
    TRY(space_prepare(n->dir, n->opts.log_segment_size, diag, &n->space));
    snprintf(path, sizeof(path), "%s/store", n->dir);
    const struct node_world *w = n->opts.world;
    struct engine_opts eo = {.path = path,
                             .memory_size = n->opts.memory_size,
                             .memtable_size_max = (size_t)n->space.memtable,
                             .manual = w != NULL};
    TRY(make_dir(path, diag));
    TRY(engine_open_rocks(&eo, diag, &n->engine));
    snprintf(path, sizeof(path), "%s/log", n->dir);
    struct raft_log_opts lo = {.segment_size = n->opts.log_segment_size,
                               .keep_free = n->space.keep_free,
                               .on_fatal = on_log_fatal,
                               .on_fatal_arg = n};
    if (w == NULL) {
        TRY(make_dir(path, diag));
        return raft_log_open(path, &lo, diag, &n->log);
    }
    lo.disk = w->disk;
    lo.keep_free = 0;
    lo.manual = true;
    lo.on_submit = w->log_submitted;
    lo.on_submit_arg = w->ctx;
    TRY(raft_log_open("log", &lo, diag, &n->log));
    w->log_open(w->ctx, n->log);
    return ERR_OK;
}

/* ---- waiting for the others ----
 * A node of a cluster can do nothing before a majority is up, and whoever starts it may start the
 * others a minute later: so it waits, tells the log what for, and ends when it is told to. */

#define START_POLL_NS       (100 * NS_PER_MS)
#define START_TELL_NS       (10 * NS_PER_S)
#define START_LEADERLESS_NS (10 * NS_PER_S) /* for a range that may have lost its majority */
#define START_META_TRY_NS   (1 * NS_PER_S)

struct start_wait {
    struct node *n;
    uint64_t begin_ns;
    uint64_t told_ns;
};

static struct start_wait start_wait_begin(struct node *n)
{
    uint64_t now = clock_mono_ns();
    return (struct start_wait){.n = n, .begin_ns = now, .told_ns = now};
}

/* Whether to go on waiting, and whether it is time to say so. */
static db_err start_wait_on(struct start_wait *w, const char *what, struct diag *diag,
                            bool *ret_tell)
{
    const struct node_opts *o = &w->n->opts;
    uint64_t now = clock_mono_ns();
    if (o->start_stop != NULL && atomic_load(o->start_stop)) {
        return diag_set(diag, ERR_CANCELED, "told to stop while it waited for %s", what);
    }
    if (o->start_timeout_ms != 0 && now - w->begin_ns >= o->start_timeout_ms * NS_PER_MS) {
        return diag_set(diag, ERR_TIMEOUT, "it has waited too long for %s", what);
    }
    *ret_tell = now - w->told_ns >= START_TELL_NS;
    w->told_ns = *ret_tell ? now : w->told_ns;
    return ERR_OK;
}

static db_err ask_meta(struct node *n, struct diag *diag)
{
    struct meta_service *s = membership_meta_client(n->membership);
    uint64_t before = fiber_deadline();
    ts_t first;
    fiber_set_deadline(clock_mono_ns() + START_META_TRY_NS);
    db_err err = s->ops->timestamps(s, 1, diag, &first);
    fiber_set_deadline(before);
    return err;
}

static db_err wait_ranges(struct node *n, struct diag *diag)
{
    struct start_wait w = start_wait_begin(n);
    struct range_unready u;
    db_err err;
    bool tell;
    while ((err = range_store_wait_ready(n->ranges, clock_mono_ns() + START_POLL_NS)) ==
           ERR_TIMEOUT) {
        TRY(start_wait_on(&w, "ranges without a leader", diag, &tell));
        range_store_unready(n->ranges, &u);
        if (tell) {
            LOG_WARN("node.start.waits", F_STR("for", "leaders of ranges: are the others up?"),
                     F_U64("ranges", u.count), F_U64("one", u.first));
        }
        if (!u.alone && clock_mono_ns() - w.begin_ns >= START_LEADERLESS_NS &&
            ask_meta(n, diag) == ERR_OK) {
            LOG_WARN("node.start.leaderless", F_U64("ranges", u.count), F_U64("one", u.first));
            return ERR_OK;
        }
    }
    return err == ERR_OK ? err
                         : diag_set(diag, err, "the ranges do not get ready: %s", err_text(err));
}

static db_err wait_meta(struct node *n, struct diag *diag)
{
    struct start_wait w = start_wait_begin(n);
    db_err err;
    bool tell;
    while ((err = ask_meta(n, diag)) != ERR_OK) {
        if (err != ERR_TIMEOUT &&
            (err_class(err) == ERR_CLASS_USER || err_class(err) == ERR_CLASS_FATAL)) {
            return err;
        }
        TRY(start_wait_on(&w, "a leader of the meta range", diag, &tell));
        if (tell) {
            LOG_WARN("node.start.waits",
                     F_STR("for", "a leader of the meta range: is a majority of its members up?"),
                     F_ERR(err));
        }
        TRY(fiber_sleep(START_POLL_NS));
    }
    diag_reset(diag);
    return ERR_OK;
}

/* Who this node is: by its data directory, by the cluster that it joins, or the first of a new one.
 */
static db_err open_membership(struct node *n, struct diag *diag, struct store_ident *ret_ident,
                              bool *ret_joining)
{
    struct membership_opts mo = {.loops = n->opts.loops,
                                 .data_dir = n->dir,
                                 .world = n->opts.world,
                                 .rpc_address = n->opts.rpc_address,
                                 .advertise = n->opts.advertise,
                                 .join = n->opts.join,
                                 .join_token = n->opts.join_token,
                                 .tls = (enum membership_tls)n->opts.rpc_tls,
                                 .nng = n->opts.rpc_transport != 0,
                                 .describe = n->opts.describe,
                                 .describe_ctx = n->opts.describe_ctx,
                                 .drain = n->opts.drain,
                                 .leaving = n->opts.leaving,
                                 .left = n->opts.left,
                                 .operator_ctx = n->opts.operator_ctx,
                                 .on_fatal = on_store_fatal,
                                 .on_fatal_ctx = n};
    bool found;
    TRY(range_store_read_ident(n->engine, diag, &found, ret_ident));
    return membership_open(&mo, found, ret_ident, diag, ret_joining, &n->membership);
}

/* A range with so much of the load at which it would be split is worth a lease's move. */
enum { LOAD_WORTH_PART = 8 };

static db_err open_ranges(struct node *n, struct diag *diag)
{
    struct store_ident ident = {0};
    bool joining = false;
    char snapshots[600];
    TRY(open_membership(n, diag, &ident, &joining));
    struct meta_opts mo = {
        .loops = n->opts.loops,
        .boot_id = membership_boot_id(n->membership),
        .gc_age_ms = n->opts.gc_age_ms,
        .client = n->opts.rpc_address == NULL ? NULL : membership_meta_client(n->membership),
        .actions = membership_actions(n->membership),
        .join_token = membership_token(n->membership),
        .replicas = n->opts.replicas,
        .dead_after_ms = n->opts.dead_after_ms,
        .load_worth = n->opts.split_load / LOAD_WORTH_PART};
    membership_ca(n->membership, &mo.ca_cert, &mo.ca_key);
    TRY(meta_new(&mo, &n->meta));
    snprintf(snapshots, sizeof(snapshots), "%s/snapshots", n->dir);
    struct range_store_opts ro = {.loops = n->opts.loops,
                                  .engine = n->engine,
                                  .log = n->log,
                                  .transport = membership_transport(n->membership),
                                  .join = joining ? &ident : NULL,
                                  .snapshot_dir = snapshots,
                                  .hooks = meta_hooks(n->meta),
                                  .range_size_max = n->opts.range_size_max,
                                  .merge_after_ms = n->opts.merge_after_ms,
                                  .split_load = n->opts.split_load,
                                  .log_size_max = n->opts.log_size_max != 0 ? n->opts.log_size_max
                                                                            : n->space.log_size,
                                  .data_dir = n->opts.world == NULL ? n->dir : NULL,
                                  .space = n->space,
                                  .lock_memory_max = n->opts.lock_memory_max,
                                  .lock_pack_from = n->opts.lock_pack_from,
                                  .on_fatal = on_store_fatal,
                                  .on_fatal_arg = n};
    return range_store_open(&ro, diag, &n->ranges);
}

static ts_t sweep_floor(void *ctx)
{
    return meta_sweep_floor(ctx);
}

static db_err open_services(struct node *n, struct diag *diag)
{
    TRY(open_ranges(n, diag));
    struct store_ident ident = range_store_ident(n->ranges);
    local_kv_service_init(&n->kv, n->ranges);
    local_meta_service_init(&n->meta_service, n->meta);
    TRY(membership_listen(n->membership, &ident, n->ranges, &n->kv.base, &n->meta_service.base,
                          n->meta, diag));
    /* before the ranges are all led: who leads the meta range may be what they wait for */
    TRY(meta_start(n->meta, n->ranges, diag));
    n->meta_started = true;
    TRY(wait_ranges(n, diag));
    TRY(wait_meta(n, diag));
    membership_announced(n->membership);
    struct cluster_storage_opts co = {
        .self = ident.node_id,
        .owner = lock_owner_make(ident.node_id, range_store_incarnation(n->ranges)),
        .kv = &n->kv.base,
        .meta = membership_meta_client(n->membership),
        .meta_is_local = membership_meta_is_local(n->membership),
        .sweep_floor = sweep_floor,
        .sweep_ctx = n->meta};
    TRY(cluster_storage_new(&co, &n->storage));
    membership_attach(n->membership, n->storage);
    return ERR_OK;
}

/* ---- handing over ---- */

struct led {
    range_id_t ids[256];
    unsigned count;
};

static db_err note_led(void *arg, const struct range_desc *desc, bool serving)
{
    struct led *l = arg;
    if (serving && desc->replica_count > 1 && l->count < ARRAY_COUNT(l->ids)) {
        l->ids[l->count++] = desc->id;
    }
    return ERR_OK;
}

static void hand_over(struct node *n, range_id_t id)
{
    struct range_status st;
    struct diag diag;
    node_id_t self = range_store_ident(n->ranges).node_id;
    if (range_store_status(n->ranges, id, &st) != ERR_OK) {
        return;
    }
    for (unsigned i = 0; i < st.member_count; i++) {
        const struct range_member_status *s = &st.members[i];
        diag_reset(&diag);
        if (s->node != self && s->kind == REPLICA_VOTER && s->live && s->caught_up &&
            range_store_transfer_lease(n->ranges, id, s->node, LEASE_MAY_LOSE_LOCKS, &diag) ==
                ERR_OK) {
            return;
        }
    }
}

#define HAND_OVER_TIME_NS (5 * NS_PER_S)

/* Before this node falls silent, so that the others need not wait for that. */
void node_hand_over(struct node *n)
{
    uint64_t end = clock_mono_ns() + HAND_OVER_TIME_NS;
    struct led led;
    fiber_set_deadline(end);
    do {
        led.count = 0;
        if (range_store_each(n->ranges, note_led, &led) != ERR_OK) {
            break;
        }
        for (unsigned i = 0; i < led.count && clock_mono_ns() < end; i++) {
            hand_over(n, led.ids[i]);
        }
    } while (led.count == ARRAY_COUNT(led.ids) && clock_mono_ns() < end);
    fiber_set_deadline(DEADLINE_NONE);
}

static db_err close_services(struct node *n, struct diag *diag)
{
    (void)diag;
    storage_close(n->storage);
    if (n->meta_started) {
        meta_stop(n->meta);
    }
    if (n->ranges != NULL) {
        node_hand_over(n);
        range_store_stop(n->ranges);
    }
    membership_stop(n->membership);
    return ERR_OK;
}

static db_err close_files(struct node *n, struct diag *diag)
{
    (void)diag;
    raft_log_close(n->log);
    range_store_free(n->ranges);
    meta_free(n->meta);
    membership_close(n->membership);
    if (n->engine != NULL) {
        engine_close(n->engine, false);
    }
    if (n->lock_fd >= 0) {
        close(n->lock_fd);
    }
    return ERR_OK;
}

db_err node_start(const struct node_opts *opts, struct diag *diag, struct node **ret_node)
{
    ASSERT(opts->data_dir != NULL && opts->loops != NULL);
    struct node *n = mem_calloc(1, sizeof(*n));
    if (n == NULL) {
        return ERR_NOMEM;
    }
    n->opts = *opts;
    n->lock_fd = -1;
    if (snprintf(n->dir, sizeof(n->dir), "%s", opts->data_dir) >= (int)sizeof(n->dir)) {
        mem_free(n);
        return diag_set(diag, ERR_LIMIT, "the data directory's path is too long");
    }
    db_err err = run_blocking(n, open_files, diag);
    if (err == ERR_OK) {
        err = run_on_loop(n, open_services, diag);
    }
    if (err != ERR_OK) {
        node_stop(n);
        return err;
    }
    *ret_node = n;
    return ERR_OK;
}

struct storage *node_storage(struct node *n)
{
    return n->storage;
}

struct range_store *node_ranges(struct node *n)
{
    return n->ranges;
}

struct meta *node_meta(struct node *n)
{
    return n->meta;
}

struct raft_log *node_log(struct node *n)
{
    return n->log;
}

struct membership *node_membership(struct node *n)
{
    return n->membership;
}

void node_stop(struct node *n)
{
    if (n == NULL) {
        return;
    }
    db_err err = run_on_loop(n, close_services, NULL);
    err = err_first(err, run_blocking(n, close_files, NULL));
    if (err != ERR_OK) {
        LOG_WARN("node.stop", F_ERR(err));
    }
    mem_free(n);
}
