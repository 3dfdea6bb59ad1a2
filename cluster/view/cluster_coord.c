#include "cluster/view/cluster_coord.h"

#include <string.h>

#include "base/alloc.h"
#include "base/assert.h"
#include "base/fiber.h"
#include "base/log.h"

/* Locks are streams: the other node's handler holds the lock as long as the stream is open, so that
 * a coordinator that dies gives everything back (behind the catalog's fence: its change may have
 * been committed, or be on its way). They are asked for in the order of node ids, this node's own
 * in its place, so that two changes of one table cannot hold half of the cluster each. */

enum { MEMBERS_MAX = 64, CALL_HEADER_MAX = 16, KILL_PAYLOAD_MAX = 1024 };
#define RETRY_NS     (200 * NS_PER_MS)
#define CALL_TIME_NS (5 * NS_PER_S)
#define WAKE_TIME_NS (300 * NS_PER_MS)
#define ASK_TIME_NS  (1 * NS_PER_S)

static struct cluster_coord *coord_of(struct sql_coord *c)
{
    return CONTAINER_OF(c, struct cluster_coord, base);
}

/* ---- the licence ---- */

static uint64_t licence(struct sql_coord *base)
{
    struct cluster_coord *c = coord_of(base);
    uint64_t until = atomic_load_explicit(&c->licence_until_ns, memory_order_acquire);
    return LIKELY(clock_mono_ns() < until &&
                  !atomic_load_explicit(&c->schema_lost, memory_order_acquire))
               ? atomic_load_explicit(&c->licence_number, memory_order_relaxed)
               : 0;
}

static db_err read_again(struct cluster_coord *c, struct diag *diag)
{
    TRY(c->peer->ops->refresh_schema(c->peer, UINT64_MAX, diag));
    TRY(c->peer->ops->refresh_accounts(c->peer, diag));
    return c->peer->ops->refresh_globals(c->peer, diag);
}

/* With the mutex. */
static bool is_up_to_date(struct cluster_coord *c)
{
    return atomic_load(&c->licence_number) != 0 && c->fences == c->heard_fences &&
           !atomic_load(&c->schema_lost);
}

/* With the mutex. */
static void extend(struct cluster_coord *c)
{
    uint64_t until = c->heard_ns + COORD_LICENCE_NS;
    if (until > atomic_load(&c->licence_until_ns)) {
        atomic_store_explicit(&c->licence_until_ns, until, memory_order_release);
    }
}

/* With the mutex, given back while it reads: all that was known when it began to. */
static db_err read_once(struct cluster_coord *c)
{
    struct diag diag;
    uint32_t fences = c->heard_fences;
    bool lost = atomic_exchange(&c->schema_lost, false);
    diag_reset(&diag);
    fiber_mutex_unlock(&c->renewing);
    db_err err = read_again(c, &diag);
    fiber_mutex_lock(&c->renewing);
    if (err == ERR_OK) {
        c->fences = fences;
        atomic_fetch_add(&c->licence_number, 1);
        return ERR_OK;
    }
    if (lost) {
        atomic_store(&c->schema_lost, true);
    }
    LOG_WARN("coord.renew", F_ERR(err), F_STR("reason", diag.text));
    return err;
}

/* It may take long, for a large schema, or while nobody leads a range: heartbeats go on meanwhile,
 * or this node would be fenced once more and never be done. After an error the next one that is
 * answered begins anew. */
static void read_fiber(void *arg)
{
    struct cluster_coord *c = arg;
    db_err err = ERR_OK;
    fiber_mutex_lock(&c->renewing);
    c->reader = fiber_self();
    while (c->attached && err == ERR_OK && !is_up_to_date(c)) {
        err = read_once(c);
    }
    if (c->attached && is_up_to_date(c)) {
        extend(c);
    }
    c->reader = NULL;
    c->reading = false;
    fiber_cond_broadcast(&c->read);
    fiber_mutex_unlock(&c->renewing);
}

/* A licence that had run out without a fence is as good as before: nobody has changed a thing
 * without this node's locks. */
void cluster_coord_renew(struct cluster_coord *c, uint64_t sent_ns, uint32_t fences)
{
    fiber_mutex_lock(&c->renewing);
    if (sent_ns >= c->heard_ns) { /* several ask at a time */
        c->heard_ns = sent_ns;
        c->heard_fences = fences;
    }
    if (c->attached && !c->reading && is_up_to_date(c)) {
        extend(c);
    } else if (c->attached && !c->reading) {
        atomic_store(&c->licence_until_ns, 0);
        c->reading = fiber_spawn(loop_current(), read_fiber, c) == ERR_OK;
    }
    fiber_mutex_unlock(&c->renewing);
}

void cluster_coord_attach(struct cluster_coord *c, struct sql_peer *peer)
{
    fiber_mutex_lock(&c->renewing);
    c->peer = peer;
    c->attached = true;
    fiber_mutex_unlock(&c->renewing);
}

void cluster_coord_detach(struct cluster_coord *c)
{
    fiber_mutex_lock(&c->renewing);
    c->attached = false;
    atomic_store(&c->licence_until_ns, 0);
    while (c->reading) {
        if (c->reader != NULL) {
            fiber_cancel(c->reader);
        }
        db_err err = fiber_cond_wait(&c->read, &c->renewing, clock_mono_ns() + RETRY_NS);
        (void)err;
    }
    fiber_mutex_unlock(&c->renewing);
}

/* ---- the other nodes ---- */

/* Its licence has run out, and it knows that others went on before it gets another. */
static bool fenced(struct cluster_coord *c, const struct node_info *n)
{
    return n->state == NODE_LEFT ||
           ((uint64_t)n->heard_ms * NS_PER_MS >= COORD_FENCE_NS &&
            c->env.fence(c->env.ctx, n->id, COORD_FENCE_NS / NS_PER_MS) == ERR_OK);
}

/* Sorted by id; those that may still use the schema. */
static unsigned living(struct cluster_coord *c, struct node_info *out)
{
    unsigned known = c->env.members(c->env.ctx, true, out, MEMBERS_MAX);
    unsigned n = 0;
    for (unsigned i = 0; i < known && i < MEMBERS_MAX; i++) {
        struct node_info one = out[i];
        if (one.id != c->self && fenced(c, &one)) {
            continue;
        }
        unsigned at = n++;
        for (; at > 0 && out[at - 1].id > one.id; at--) {
            out[at] = out[at - 1];
        }
        out[at] = one;
    }
    return n;
}

/* Is the node still one to wait for? */
static bool still_lives(struct cluster_coord *c, node_id_t id)
{
    struct node_info nodes[MEMBERS_MAX];
    unsigned n = living(c, nodes);
    for (unsigned i = 0; i < n; i++) {
        if (nodes[i].id == id) {
            return true;
        }
    }
    return false;
}

static size_t call_header(uint8_t out[CALL_HEADER_MAX], enum coord_method m, uint64_t number,
                          bool flag)
{
    out[0] = (uint8_t)m;
    for (int i = 0; i < 8; i++) {
        out[1 + i] = (uint8_t)(number >> (56 - 8 * i));
    }
    out[9] = flag;
    return 10;
}

static db_err call_with(struct cluster_coord *c, node_id_t node, enum coord_method m,
                        uint64_t number, bool flag, struct slice payload, uint64_t time_ns,
                        struct buf *out, struct diag *diag)
{
    struct rpc_peer *peer = rpc_client_peer(c->rpc, node);
    uint8_t header[CALL_HEADER_MAX];
    struct rpc_reply back = {0};
    if (peer == NULL) {
        return ERR_NOMEM;
    }
    const struct rpc_part part = RPC_PART(payload);
    struct rpc_call call = {.method = RPC_M_coord,
                            .header = slice_of(header, call_header(header, m, number, flag)),
                            .parts = &part,
                            .part_count = payload.len != 0 ? 1 : 0,
                            .deadline_ns = clock_mono_ns() + time_ns};
    db_err err = rpc_call(peer, &call, diag, &back);
    if (err == ERR_OK && out != NULL) {
        err = buf_append_slice(out, back.msg.payload);
    }
    rpc_msg_release(&back.msg);
    return err;
}

static db_err call_until(struct cluster_coord *c, node_id_t node, enum coord_method m,
                         uint64_t number, uint64_t time_ns, struct buf *out, struct diag *diag)
{
    return call_with(c, node, m, number, false, SLICE_EMPTY, time_ns, out, diag);
}

static db_err call_node(struct cluster_coord *c, node_id_t node, enum coord_method m,
                        uint64_t number, struct buf *out, struct diag *diag)
{
    return call_until(c, node, m, number, CALL_TIME_NS, out, diag);
}

/* Until the node has done it, or is no more. A statement that is killed meanwhile still tells. */
static void tell(struct cluster_coord *c, node_id_t node, enum coord_method m, uint64_t number,
                 struct undisturbed *u)
{
    struct diag diag;
    diag_reset(&diag);
    for (;;) {
        db_err err = call_node(c, node, m, number, NULL, &diag);
        if (err == ERR_OK || err == ERR_UNSUPPORTED) {
            return; /* a node of an earlier version does not know of what it is told */
        }
        undisturbed_go_on(u); /* else nobody could be asked, and it would be told for ever */
        if (!still_lives(c, node)) {
            return;
        }
        db_err slept = fiber_sleep(RETRY_NS);
        (void)slept;
        undisturbed_go_on(u);
    }
}

/* Until every living node has done it: what is told has happened already, so there is no way back.
 */
static db_err tell_all(struct cluster_coord *c, enum coord_method m, uint64_t number)
{
    struct node_info nodes[MEMBERS_MAX];
    struct undisturbed u;
    undisturbed_begin(&u, DEADLINE_NONE);
    unsigned n = living(c, nodes);
    for (unsigned i = 0; i < n; i++) {
        if (nodes[i].id != c->self) {
            tell(c, nodes[i].id, m, number, &u);
        }
    }
    undisturbed_end(&u);
    return ERR_OK;
}

static db_err publish_schema(struct sql_coord *base, uint64_t version, struct diag *diag)
{
    (void)diag;
    return tell_all(coord_of(base), COORD_REFRESH_SCHEMA, version);
}

static db_err publish_accounts(struct sql_coord *base, struct diag *diag)
{
    (void)diag;
    return tell_all(coord_of(base), COORD_REFRESH_ACCOUNTS, 0);
}

static db_err publish_globals(struct sql_coord *base, struct diag *diag)
{
    (void)diag;
    return tell_all(coord_of(base), COORD_REFRESH_GLOBALS, 0);
}

/* A node that is silent now is not waited for: it reads the variables again when it is back. */
static bool runs(struct sql_coord *base, uint64_t run)
{
    struct cluster_coord *c = coord_of(base);
    struct node_info nodes[MEMBERS_MAX];
    unsigned n = c->env.members(c->env.ctx, true, nodes, MEMBERS_MAX);
    bool found = false;
    for (unsigned i = 0; i < n && i < MEMBERS_MAX && !found; i++) {
        struct diag ignored;
        struct buf answer;
        uint64_t theirs = 0;
        if (nodes[i].id == c->self || nodes[i].state == NODE_LEFT ||
            (uint64_t)nodes[i].heard_ms * NS_PER_MS >= COORD_FENCE_NS) {
            continue;
        }
        diag_reset(&ignored);
        buf_init(&answer, 64);
        if (call_node(c, nodes[i].id, COORD_RUN, run, &answer, &ignored) == ERR_OK) {
            for (size_t k = 0; k < answer.len && k < 8; k++) {
                theirs = theirs << 8 | answer.ptr[k];
            }
        }
        buf_fini(&answer);
        found = theirs == run;
    }
    return found;
}

/* ---- named locks ---- */

static bool has_others(struct sql_coord *base)
{
    struct cluster_coord *c = coord_of(base);
    struct node_info nodes[MEMBERS_MAX];
    unsigned n = c->env.members(c->env.ctx, false, nodes, MEMBERS_MAX);
    for (unsigned i = 0; i < n && i < MEMBERS_MAX; i++) {
        if (nodes[i].id != c->self && nodes[i].state != NODE_LEFT) {
            return true;
        }
    }
    return false;
}

static bool lock_owner_gone(struct sql_coord *base, uint64_t node, uint64_t engine,
                            uint64_t connection_id)
{
    struct cluster_coord *c = coord_of(base);
    struct diag ignored;
    struct buf answer;
    uint64_t theirs = 0;
    diag_reset(&ignored);
    buf_init(&answer, 64);
    db_err err =
        call_until(c, node, COORD_LOCK_OWNER, connection_id, ASK_TIME_NS, &answer, &ignored);
    bool sound = err == ERR_OK && answer.len == 9;
    for (size_t k = 0; sound && k < 8; k++) {
        theirs = theirs << 8 | answer.ptr[k];
    }
    bool gone = sound && (theirs != engine || answer.ptr[8] == 0);
    buf_fini(&answer);
    return sound || err == ERR_UNSUPPORTED || err == ERR_CANCELED ? gone : !still_lives(c, node);
}

static uint64_t session_txn(struct sql_coord *base, uint64_t node, uint64_t connection_id)
{
    struct diag ignored;
    struct buf answer;
    uint64_t txn = 0;
    diag_reset(&ignored);
    buf_init(&answer, 64);
    db_err err = call_until(coord_of(base), node, COORD_SESSION_TXN, connection_id, WAKE_TIME_NS,
                            &answer, &ignored);
    for (size_t k = 0; err == ERR_OK && k < answer.len && k < 8; k++) {
        txn = txn << 8 | answer.ptr[k];
    }
    buf_fini(&answer);
    return txn;
}

static void wake_lock(struct sql_coord *base, uint64_t node, uint64_t connection_id)
{
    struct diag ignored;
    diag_reset(&ignored);
    db_err err = call_until(coord_of(base), node, COORD_WAKE_LOCK, connection_id, WAKE_TIME_NS,
                            NULL, &ignored);
    (void)err; /* it looks by itself, later */
}

/* ---- locks ---- */

struct held {
    node_id_t node;
    struct rpc_stream *stream; /* NULL: this node's own, which the session gives back */
};

struct sql_coord_lock {
    struct cluster_coord *coord;
    unsigned count;
    struct held held[MEMBERS_MAX];
};

static void unlock_tables(struct sql_coord_lock *l)
{
    struct undisturbed u;
    if (l == NULL) {
        return;
    }
    /* A holder whose stream is broken off keeps the lock for a while: it has lost its owner. */
    undisturbed_begin(&u, clock_mono_ns() + CALL_TIME_NS);
    for (unsigned i = 0; i < l->count; i++) {
        if (l->held[i].stream != NULL) {
            rpc_stream_end(l->held[i].stream);
            db_err err = rpc_stream_finish(l->held[i].stream, NULL);
            (void)err; /* a lost connection ends it too */
            rpc_stream_free(l->held[i].stream);
        }
    }
    undisturbed_end(&u);
    mem_free(l);
}

/* One answer of the holder. */
static db_err hear(struct rpc_stream *s, struct diag *diag)
{
    struct rpc_msg msg = {0};
    bool end;
    TRY(rpc_stream_read(s, diag, &msg, &end));
    rpc_msg_release(&msg);
    return end ? ERR_UNAVAILABLE : ERR_OK;
}

/* The others read it when a stream is broken off, before they give the tables to anybody. */
static void lose_schema(struct sql_coord *base, struct sql_coord_lock *l)
{
    atomic_store(&coord_of(base)->schema_lost, true);
    for (unsigned i = 0; l != NULL && i < l->count; i++) {
        if (l->held[i].stream != NULL) {
            rpc_stream_abort(l->held[i].stream, ERR_OUTCOME_UNKNOWN, "a change is in doubt");
        }
    }
}

/* Each holder is asked again: a stream that broke unnoticed shows now. */
static bool holds(const struct sql_coord_lock *l)
{
    for (unsigned i = 0; i < l->count; i++) {
        struct rpc_stream *s = l->held[i].stream;
        if (s != NULL && (rpc_stream_write(s, SLICE_LIT("?"), NULL, 0, NULL) != ERR_OK ||
                          hear(s, NULL) != ERR_OK)) {
            return false;
        }
    }
    return true;
}

static db_err lock_at(struct cluster_coord *c, node_id_t node, struct slice header,
                      uint64_t deadline_ns, struct diag *diag, struct rpc_stream **ret_stream)
{
    struct rpc_peer *peer = rpc_client_peer(c->rpc, node);
    struct rpc_stream *s;
    if (peer == NULL) {
        return ERR_NOMEM;
    }
    TRY(rpc_stream_open(peer, RPC_M_coord_lock, header, deadline_ns, diag, &s));
    db_err err = hear(s, diag);
    if (err != ERR_OK) {
        rpc_stream_abort(s, ERR_CANCELED, "not needed");
        rpc_stream_free(s);
        return err;
    }
    *ret_stream = s;
    return ERR_OK;
}

static bool may_come_back(db_err err)
{
    return err == ERR_UNAVAILABLE || err == ERR_OUTCOME_UNKNOWN || err == ERR_CLOSED ||
           err == ERR_BUSY;
}

/* ERR_OK without a stream: the node is no more. */
static db_err lock_patiently(struct cluster_coord *c, node_id_t node, struct slice header,
                             uint64_t deadline_ns, struct diag *diag,
                             struct rpc_stream **ret_stream)
{
    for (;;) {
        db_err err = lock_at(c, node, header, deadline_ns, diag, ret_stream);
        if (err == ERR_OK || !may_come_back(err)) {
            return err;
        }
        if (!still_lives(c, node)) {
            *ret_stream = NULL;
            return ERR_OK;
        }
        if (clock_mono_ns() >= deadline_ns) {
            return err;
        }
        TRY(fiber_sleep(RETRY_NS));
    }
}

/* The header of a lock stream: milliseconds to wait (8 bytes), then the ids, big endian, at the end
 * the connection that it is for with COORD_FOR_BIT, which is nothing but one more id to a node of
 * an earlier version. */
static db_err lock_header(const uint64_t *ids, uint32_t count, uint64_t connection_id,
                          uint64_t deadline_ns, struct buf *b)
{
    uint64_t now = clock_mono_ns();
    uint64_t wait_ms = deadline_ns == DEADLINE_NONE ? UINT64_MAX
                       : deadline_ns <= now         ? 0
                                                    : (deadline_ns - now) / NS_PER_MS;
    for (uint32_t i = 0; i <= count + 1; i++) {
        uint64_t v = i == 0 ? wait_ms : i <= count ? ids[i - 1] : connection_id | COORD_FOR_BIT;
        for (int k = 0; k < 8; k++) {
            TRY(buf_append_u8(b, (uint8_t)(v >> (56 - 8 * k))));
        }
    }
    return ERR_OK;
}

static db_err lock_all(struct cluster_coord *c, struct sql_coord_lock *l, const uint64_t *ids,
                       uint32_t count, void *owner, uint64_t deadline_ns, struct diag *diag)
{
    struct node_info nodes[MEMBERS_MAX];
    struct buf header;
    unsigned n = living(c, nodes);
    buf_init(&header, 1 << 20);
    uint64_t connection_id = c->peer->ops->owner_connection(owner);
    db_err err = lock_header(ids, count, connection_id, deadline_ns, &header);
    for (unsigned i = 0; i < n && err == ERR_OK; i++) {
        struct held *h = &l->held[l->count];
        *h = (struct held){.node = nodes[i].id};
        if (nodes[i].id == c->self) {
            struct sql_peer_lock *none;
            err = c->peer->ops->lock_tables(c->peer, owner, connection_id, ids, count, deadline_ns,
                                            diag, &none);
            continue;
        }
        err = lock_patiently(c, nodes[i].id, buf_slice(&header), deadline_ns, diag, &h->stream);
        l->count += err == ERR_OK && h->stream != NULL;
    }
    buf_fini(&header);
    return err;
}

static db_err lock_tables(struct sql_coord *base, const uint64_t *table_ids, uint32_t count,
                          void *local_owner, uint64_t deadline_ns, struct diag *diag,
                          struct sql_coord_lock **ret_lock)
{
    struct cluster_coord *c = coord_of(base);
    struct sql_coord_lock *l = mem_calloc(1, sizeof(*l));
    if (l == NULL) {
        return ERR_NOMEM;
    }
    l->coord = c;
    db_err err = lock_all(c, l, table_ids, count, local_owner, deadline_ns, diag);
    if (err != ERR_OK) {
        unlock_tables(l);
        return err;
    }
    *ret_lock = l;
    return ERR_OK;
}

/* ---- sessions ---- */

static db_err list_of_all(struct cluster_coord *c, enum coord_method m, struct buf *out)
{
    struct node_info nodes[MEMBERS_MAX];
    unsigned n = c->env.members(c->env.ctx, false, nodes, MEMBERS_MAX);
    for (unsigned i = 0; i < n && i < MEMBERS_MAX; i++) {
        struct diag ignored;
        if (nodes[i].id == c->self || nodes[i].state == NODE_LEFT) {
            continue;
        }
        diag_reset(&ignored);
        db_err err = call_node(c, nodes[i].id, m, 0, out, &ignored);
        if (err == ERR_CANCELED || err == ERR_NOMEM) {
            return err;
        }
    }
    return ERR_OK;
}

static db_err list_sessions(struct sql_coord *base, struct buf *out, struct diag *diag)
{
    (void)diag;
    return list_of_all(coord_of(base), COORD_LIST_SESSIONS, out);
}

static db_err list_locks(struct sql_coord *base, struct buf *out, struct diag *diag)
{
    (void)diag;
    return list_of_all(coord_of(base), COORD_LIST_LOCKS, out);
}

/* Each is asked until one knows the connection, and ends it or says why not. */
static db_err kill_session(struct sql_coord *base, uint64_t connection_id, bool connection,
                           const struct sql_killer *by, struct diag *diag)
{
    struct cluster_coord *c = coord_of(base);
    struct node_info nodes[MEMBERS_MAX];
    unsigned n = c->env.members(c->env.ctx, false, nodes, MEMBERS_MAX);
    int flags = (by->any ? COORD_KILL_ANY : 0) | (by->system ? COORD_KILL_SYSTEM : 0);
    struct buf payload;
    buf_init(&payload, KILL_PAYLOAD_MAX);
    db_err err = buf_append_u8(&payload, (uint8_t)flags);
    err = err == ERR_OK ? buf_append_slice(&payload, by->user) : err;
    bool told = err != ERR_OK;
    for (unsigned i = 0; i < n && i < MEMBERS_MAX && !told; i++) {
        if (nodes[i].id != c->self && nodes[i].state != NODE_LEFT) {
            diag_reset(diag);
            err = call_with(c, nodes[i].id, COORD_KILL, connection_id, connection,
                            buf_slice(&payload), CALL_TIME_NS, NULL, diag);
            told = err == ERR_OK || err == ERR_SQL || err == ERR_CANCELED;
        }
    }
    buf_fini(&payload);
    return told ? err : ERR_NOT_FOUND;
}

static const struct sql_coord_ops coord_ops = {
    .name = "cluster",
    .licence = licence,
    .lock_tables = lock_tables,
    .holds = holds,
    .unlock_tables = unlock_tables,
    .lose_schema = lose_schema,
    .publish_schema = publish_schema,
    .publish_accounts = publish_accounts,
    .publish_globals = publish_globals,
    .runs = runs,
    .has_others = has_others,
    .lock_owner_gone = lock_owner_gone,
    .session_txn = session_txn,
    .wake_lock = wake_lock,
    .list_sessions = list_sessions,
    .list_locks = list_locks,
    .kill = kill_session,
};

void cluster_coord_init(struct cluster_coord *c, node_id_t self, struct rpc_client *rpc,
                        const struct coord_env *env)
{
    *c = (struct cluster_coord){.base = {&coord_ops}, .self = self, .rpc = rpc, .env = *env};
    fiber_mutex_init(&c->renewing);
    fiber_cond_init(&c->read);
}
