/* The world: one thread, one clock, several processes.
 *
 * Each member's process is a struct node of the product on a loop group of its own; the groups
 * share the simulated world (base/loop.h). Below a node there are three things that are not the
 * machine's:
 *  - the network, one sim transport for each life of a process;
 *  - the disk of the Raft log, in memory, with a time that each round of the log takes. The log has
 *    no thread: a submission posts a task to the world's loop, which pumps it after that time;
 *  - the secrets of the kernel's generator.
 * RocksDB is the real one, without a thread that acts by itself, on a directory in memory
 * (/dev/shm). Its own log is off, as in production: what was not flushed dies with the process. A
 * process that is killed leaves its RocksDB open, since its iterators lie on fibers that are gone;
 * so the next life gets a copy of the directory, files linked where they never change.
 *
 * A kill falls between two turns of the node's loops. Perhaps the log's last round was written and
 * not synced: then a random part of it is on the disk.
 *
 * Threads: RocksDB's own, which only do what the one thread waits for. */
#include "tests/sim/nodes/world.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/log.h"
#include "cluster/kv/kv.h"

enum { RPC_PORT = 7000, STORE_MEMORY = 32 << 20 };
#define TOKEN          "simulated"
#define LOG_SEGMENT    (256 << 10)
#define DISK_MIN_NS    (20 * NS_PER_US)
#define START_LIMIT_NS (120 * NS_PER_S)

/* ---- the trace ---- */

void world_say(struct world *w, const char *fmt, ...)
{
    va_list args;
    if (!w->opts.verbose) {
        return;
    }
    uint64_t us = (world_now(w) - NS_PER_S) / NS_PER_US;
    printf("%6llu.%06llu ", (unsigned long long)(us / 1000000), (unsigned long long)(us % 1000000));
    va_start(args, fmt);
    vprintf(fmt, args);
    va_end(args);
    putchar('\n');
}

static void fail(struct world *w, bool stuck, const char *fmt, va_list args)
{
    if (!w->failed) {
        vsnprintf(w->violation, sizeof(w->violation), fmt, args);
        w->failed = true;
        w->stuck = stuck;
        world_say(w, "VIOLATED: %s", w->violation);
    }
    loop_group_sim_break(w->group);
}

void world_violated(struct world *w, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    fail(w, false, fmt, args);
    va_end(args);
}

void world_stuck(struct world *w, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    fail(w, true, fmt, args);
    va_end(args);
}

static void on_log_line(void *ctx, enum log_level level, const char *line, size_t len)
{
    struct world *w = ctx;
    struct loop *loop = loop_current();
    const char *host = "?";
    for (unsigned i = 1; i <= w->opts.members; i++) {
        struct member *m = &w->members[i];
        for (unsigned k = 0; k < w->opts.loops && m->loops != NULL; k++) {
            host = loop_group_get(m->loops, k) == loop ? m->host : host;
        }
    }
    world_say(w, "%s %.*s", host, (int)len - (len > 0 && line[len - 1] == '\n'), line);
    if (level == LOG_LEVEL_ERROR && !w->dying) {
        world_violated(w, "%s logged an error: %.*s", host, (int)len, line);
    }
}

/* ---- files ---- */

static void link_or_copy(const char *from, const char *to, bool may_link)
{
    char bytes[16384];
    if (may_link && link(from, to) == 0) {
        return;
    }
    FILE *in = fopen(from, "re");
    FILE *out = in == NULL ? NULL : fopen(to, "we");
    size_t n;
    while (out != NULL && (n = fread(bytes, 1, sizeof(bytes), in)) > 0) {
        ASSERT(fwrite(bytes, 1, n, out) == n);
    }
    if (out != NULL) {
        ASSERT(fclose(out) == 0);
    }
    if (in != NULL) {
        fclose(in);
    }
}

/* A file that is gone meanwhile was being removed. */
static void copy_dir(const char *from, const char *to)
{
    char a[PATH_MAX], b[PATH_MAX];
    ASSERT(mkdir(to, 0700) == 0);
    DIR *d = opendir(from);
    ASSERT(d != NULL);
    struct dirent *e;
    while ((e = readdir(d)) != NULL) {
        size_t len = strlen(e->d_name);
        struct stat st;
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0 ||
            strcmp(e->d_name, "LOCK") == 0) {
            continue;
        }
        snprintf(a, sizeof(a), "%s/%s", from, e->d_name);
        snprintf(b, sizeof(b), "%s/%s", to, e->d_name);
        if (stat(a, &st) != 0) {
            continue;
        }
        if (S_ISDIR(st.st_mode)) {
            copy_dir(a, b);
        } else {
            link_or_copy(a, b, len > 4 && strcmp(e->d_name + len - 4, ".sst") == 0);
        }
    }
    closedir(d);
}

static void remove_dir(const char *path)
{
    char a[PATH_MAX];
    DIR *d = opendir(path);
    struct dirent *e;
    while (d != NULL && (e = readdir(d)) != NULL) {
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0) {
            continue;
        }
        snprintf(a, sizeof(a), "%s/%s", path, e->d_name);
        if (unlink(a) != 0) {
            remove_dir(a);
        }
    }
    if (d != NULL) {
        closedir(d);
    }
    (void)rmdir(path);
}

/* ---- the disk of the log ---- */

static void arm_pump(struct member *m)
{
    uint64_t ns = DISK_MIN_NS + rand_below(&m->w->rand, m->disk_max_ns);
    if (rand_below(&m->w->rand, 200) == 0) {
        ns += rand_below(&m->w->rand, 100) * NS_PER_MS; /* a hiccup */
    }
    db_err err = loop_timer_start(m->w->loop, &m->pump_timer, loop_now_ns(m->w->loop) + ns);
    ASSERT(err == ERR_OK);
}

static void on_pump_task(struct loop_task *task)
{
    struct member *m = CONTAINER_OF(task, struct member, pump_task);
    if (m->log == NULL) {
        m->pump_posted = false;
        return;
    }
    if (!m->pump_timer.armed) {
        arm_pump(m);
    }
}

static void on_pump_timer(struct loop_timer *timer)
{
    struct member *m = CONTAINER_OF(timer, struct member, pump_timer);
    m->pump_posted = false;
    if (m->log != NULL && raft_log_pump(m->log)) {
        m->pump_posted = true;
        arm_pump(m);
    }
}

static void below_log_submitted(void *ctx)
{
    struct member *m = ctx;
    if (!m->pump_posted) {
        m->pump_posted = true;
        loop_post(m->w->loop, &m->pump_task);
    }
}

static void below_log_open(void *ctx, struct raft_log *log)
{
    ((struct member *)ctx)->log = log;
}

static db_err below_transport(void *ctx, struct rpc_transport **ret_transport)
{
    struct member *m = ctx;
    return rpc_sim_transport_new(m->w->net, m->host, loop_group_get(m->loops, 0), ret_transport);
}

/* ---- processes ---- */

static void on_fatal(void *arg, db_err err, const char *text)
{
    struct member *m = arg;
    if (m->w->dying) {
        return;
    }
    world_violated(m->w, "%s cannot go on: %s: %s", m->host, err_name(err), text);
}

struct starting {
    struct member *m;
    unsigned life;
    char address[32], join[32];
};

/* On half of the members the write buffers of transactions go to disk when they have an entry, or a
 * few. */
static void spill_early(struct member *m)
{
    static const size_t entries[] = {1, SIZE_MAX, 3, SIZE_MAX};
    size_t n = entries[(m->w->opts.seed + m->slot) % ARRAY_COUNT(entries)];
    if (n != SIZE_MAX) {
        cluster_storage_spill(node_storage(m->node), n, m->w->dir);
    }
}

/* On some members row locks are packed as soon as a transaction has one, or a few. */
static size_t pack_early(const struct member *m)
{
    static const size_t from[] = {0, 1, 0, 0, 4};
    return from[(m->w->opts.seed / 2 + m->slot) % ARRAY_COUNT(from)];
}

static void start_fiber(void *arg)
{
    struct starting *s = arg;
    struct member *m = s->m;
    struct world *w = m->w;
    struct diag diag = {0};
    struct node_opts opts = {.data_dir = m->dir,
                             .loops = m->loops,
                             .world = &m->below,
                             .memory_size = STORE_MEMORY,
                             .log_size_max = w->log_size_max,
                             .log_segment_size = LOG_SEGMENT,
                             .gc_age_ms = (uint32_t)w->gc_age_ms,
                             .start_timeout_ms = (uint32_t)(START_LIMIT_NS / NS_PER_MS),
                             .rpc_address = s->address,
                             .join = m->slot == 1 ? NULL : s->join,
                             .join_token = TOKEN,
                             .rpc_tls = 2, /* none */
                             .replicas = 3,
                             .dead_after_ms = w->dead_after_ms,
                             .merge_after_ms = w->merge_after_ms,
                             .lock_pack_from = pack_early(m),
                             .on_fatal = on_fatal,
                             .on_fatal_arg = m};
    db_err err = node_start(&opts, &diag, &m->node);
    if (err != ERR_OK) {
        world_violated(w, "%s does not start: %s: %s", m->host, err_name(err), diag.text);
        return;
    }
    m->id = range_store_ident(node_ranges(m->node)).node_id;
    m->state = MEMBER_UP;
    spill_early(m);
    world_say(w, "%s is up as node %llu", m->host, (unsigned long long)m->id);
    mem_free(s);
    if (w->history != NULL && !w->stopping) {
        clients_start(m);
    }
}

void member_start(struct member *m)
{
    struct world *w = m->w;
    struct starting *s = mem_calloc(1, sizeof(*s));
    char fresh[DIR_SIZE];
    ASSERT(m->state == MEMBER_DOWN && s != NULL);
    m->life++;
    snprintf(fresh, sizeof(fresh), "%s/%s.%u", w->dir, m->host, m->life);
    if (m->life > 1) {
        copy_dir(m->dir, fresh);
    }
    snprintf(m->dir, sizeof(m->dir), "%s", fresh);
    *s = (struct starting){.m = m, .life = m->life};
    snprintf(s->address, sizeof(s->address), "%s:%d", m->host, RPC_PORT);
    snprintf(s->join, sizeof(s->join), "n1:%d", RPC_PORT);
    m->state = MEMBER_STARTING;
    m->clients = 0;
    world_say(w, "%s starts, life %u", m->host, m->life);
    ASSERT(fiber_spawn(loop_group_get(m->loops, 0), start_fiber, s) == ERR_OK);
}

void member_kill(struct member *m)
{
    struct world *w = m->w;
    ASSERT(m->state != MEMBER_DOWN);
    world_say(w, "%s dies", m->host);
    m->kills++;
    w->totals.kills++;
    if (m->log != NULL && rand_below(&w->rand, 2) == 0) {
        /* Its last writes are on their way to the platter. */
        disk_sim_fail(m->disk, DISK_SIM_SYNC, 0, 1, ERR_IO);
        w->dying = true; /* what it says of that is of no interest */
        (void)raft_log_pump(m->log);
        w->dying = false;
        disk_sim_fail(m->disk, DISK_SIM_SYNC, 0, 0, ERR_OK);
    }
    rpc_sim_net_kill(w->net, m->host);
    for (unsigned i = 0; i < w->opts.loops; i++) {
        loop_sim_kill(loop_group_get(m->loops, i));
    }
    raft_log_kill(m->log);
    disk_sim_crash(m->disk, rand_u64(&w->rand));
    m->log = NULL;
    m->node = NULL;
    m->state = MEMBER_DOWN;
}

bool member_wait_up(struct member *m, uint64_t within_ns)
{
    uint64_t until = clock_mono_ns() + within_ns;
    while (m->state != MEMBER_UP && clock_mono_ns() < until) {
        db_err err = fiber_sleep(5 * NS_PER_MS);
        (void)err;
    }
    return m->state == MEMBER_UP;
}

void member_spawn(struct member *m, fiber_fn fn, void *arg)
{
    ASSERT(m->state == MEMBER_UP);
    unsigned loop = (unsigned)rand_below(&m->w->rand, m->w->opts.loops);
    ASSERT(fiber_spawn(loop_group_get(m->loops, loop), fn, arg) == ERR_OK);
}

struct member *world_member_of(struct world *w, node_id_t id)
{
    for (unsigned i = 1; i <= w->opts.members; i++) {
        if (w->members[i].id == id && w->members[i].state == MEMBER_UP) {
            return &w->members[i];
        }
    }
    return NULL;
}

/* ---- life ---- */

static void member_init(struct world *w, unsigned slot)
{
    struct member *m = &w->members[slot];
    m->w = w;
    m->slot = slot;
    snprintf(m->host, sizeof(m->host), "n%u", slot);
    ASSERT(loop_group_join_sim(w->group, w->opts.loops, &m->loops) == ERR_OK);
    ASSERT(disk_sim_new(0, &m->disk) == ERR_OK);
    ASSERT(disk_mkdir(m->disk, "log") == ERR_OK);
    ASSERT(disk_sync_dir(m->disk, "/") == ERR_OK);
    m->disk_max_ns = (50 + rand_below(&w->rand, 1000)) * NS_PER_US;
    m->below = (struct node_world){.disk = m->disk,
                                   .log_open = below_log_open,
                                   .log_submitted = below_log_submitted,
                                   .transport = below_transport,
                                   .ctx = m};
    m->pump_task.fn = on_pump_task;
    loop_timer_init(&m->pump_timer, on_pump_timer);
}

void world_init(struct world *w, const struct world_opts *opts)
{
    static const char *const places[] = {"/dev/shm", "/tmp", "."};
    struct loop_sim_opts lo = {.count = 1, .seed = opts->seed * 3 + 1};
    *w = (struct world){.opts = *opts};
    rand_seed(&w->rand, opts->seed);
    rand_seed(&w->secrets, opts->seed * 3 + 2);
    rand_secure_simulate(&w->secrets);
    log_configure(opts->verbose ? LOG_LEVEL_DEBUG : LOG_LEVEL_ERROR, LOG_FORMAT_TEXT);
    log_set_sink(on_log_line, w);
    ASSERT(loop_group_start_sim(&lo, &w->group) == ERR_OK);
    w->loop = loop_group_get(w->group, 0);
    w->net_opts = (struct rpc_sim_opts){.seed = opts->seed * 3 + 3};
    ASSERT(rpc_sim_net_new(&w->net_opts, &w->net) == ERR_OK);
    for (size_t i = 0; w->dir[0] == '\0'; i++) {
        ASSERT(i < ARRAY_COUNT(places));
        snprintf(w->dir, sizeof(w->dir), "%s/skein_sim.XXXXXX", places[i]);
        if (mkdtemp(w->dir) == NULL) {
            w->dir[0] = '\0';
        }
    }
    for (unsigned i = 1; i <= opts->members; i++) {
        member_init(w, i);
    }
}

void world_fini(struct world *w)
{
    remove_dir(w->dir);
}

struct running {
    struct world *w;
    void (*fn)(struct world *w);
};

static void run_fiber(void *arg)
{
    struct running *r = arg;
    r->fn(r->w);
    r->w->done = true;
    loop_group_sim_break(r->w->group);
}

void world_run(struct world *w, void (*fn)(struct world *w), uint64_t time_max_ns)
{
    struct running r = {w, fn};
    uint64_t end = world_now(w) + time_max_ns;
    w->done = false;
    ASSERT(fiber_spawn(w->loop, run_fiber, &r) == ERR_OK);
    while (!w->done && !w->failed && world_now(w) < end) {
        loop_group_sim_run(w->group, end);
    }
    if (!w->done && !w->failed) {
        world_stuck(w, "the run does not come to its end");
    }
    w->totals.turns_ns = world_now(w) - NS_PER_S;
}
