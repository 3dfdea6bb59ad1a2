#include "base/clock.h"
#include "base/fiber.h"
#include "base/log.h"
#include "node/service/rpc_services.h"

/* What the engines of other nodes ask of this node's (cluster/view/cluster_coord.c has the client's
 * side and the formats). Before there is an engine nothing has to be refreshed: it reads the schema
 * when it opens, and once more when it is attached. */

enum coord_method {
    REFRESH_SCHEMA = 1,
    REFRESH_ACCOUNTS = 2,
    KILL = 4,
    REFRESH_GLOBALS = 5,
    RUN = 6,
    LIST_SESSIONS = 7,
    LOCK_OWNER = 8,
    WAKE_LOCK = 9,
    SESSION_TXN = 10,
    LIST_LOCKS = 11
};
#define FOR_BIT ((uint64_t)1 << 63)
enum { CALL_SIZE = 10, LIST_MAX = 32 << 20, KILL_ANY = 1, KILL_SYSTEM = 2 };

#define FENCE_PAUSE_NS  (200 * NS_PER_MS)
#define DETACH_PAUSE_NS (100 * NS_PER_MS)

/* ---- who uses the engine ---- */

struct sql_use {
    struct list link;
    struct fiber *fiber;
    struct sql_peer *peer; /* NULL: there is none */
};

static struct sql_peer *use_sql(struct rpc_services *s, struct sql_use *u)
{
    fiber_mutex_lock(&s->sql_lock);
    *u = (struct sql_use){.fiber = fiber_self(), .peer = s->sql};
    if (u->peer != NULL) {
        list_push_back(&s->sql_users, &u->link);
    }
    fiber_mutex_unlock(&s->sql_lock);
    return u->peer;
}

static void done_with_sql(struct rpc_services *s, struct sql_use *u)
{
    if (u->peer != NULL) {
        fiber_mutex_lock(&s->sql_lock);
        list_remove(&u->link);
        fiber_cond_broadcast(&s->sql_left);
        fiber_mutex_unlock(&s->sql_lock);
    }
}

void rpc_services_init(struct rpc_services *s)
{
    fiber_mutex_init(&s->sql_lock);
    fiber_cond_init(&s->sql_left);
    list_init(&s->sql_users);
}

void rpc_services_attach(struct rpc_services *s, struct sql_peer *sql)
{
    fiber_mutex_lock(&s->sql_lock);
    s->sql = sql;
    fiber_mutex_unlock(&s->sql_lock);
}

void rpc_services_detach(struct rpc_services *s)
{
    fiber_mutex_lock(&s->sql_lock);
    s->sql = NULL;
    atomic_store(&s->sql_leaves, true);
    while (!list_empty(&s->sql_users)) {
        LIST_FOREACH (it, &s->sql_users) { /* again and again: one may have put it aside */
            fiber_cancel(CONTAINER_OF(it, struct sql_use, link)->fiber);
        }
        db_err err = fiber_cond_wait(&s->sql_left, &s->sql_lock, clock_mono_ns() + DETACH_PAUSE_NS);
        (void)err;
    }
    fiber_mutex_unlock(&s->sql_lock);
}

/* ---- calls ---- */

static uint64_t be64(const uint8_t *p)
{
    uint64_t v = 0;
    for (int i = 0; i < 8; i++) {
        v = v << 8 | p[i];
    }
    return v;
}

static db_err answer_list(struct sql_peer *p, uint8_t method, struct rpc_request *req)
{
    struct buf list;
    buf_init(&list, LIST_MAX);
    db_err err = p == NULL                 ? ERR_OK
                 : method == LIST_SESSIONS ? p->ops->list_sessions(p, &list)
                                           : p->ops->list_locks(p, &list);
    if (err == ERR_OK) {
        struct rpc_part part = RPC_PART(buf_slice(&list));
        err = rpc_respond(req, SLICE_EMPTY, &part, list.len != 0 ? 1 : 0);
    }
    buf_fini(&list);
    return err;
}

static db_err answer_number(struct rpc_request *req, uint64_t number)
{
    uint8_t bytes[8];
    for (int i = 0; i < 8; i++) {
        bytes[i] = (uint8_t)(number >> (56 - 8 * i));
    }
    struct rpc_part part = RPC_PART(slice_of(bytes, sizeof(bytes)));
    return rpc_respond(req, SLICE_EMPTY, &part, 1);
}

static db_err answer_run(struct sql_peer *p, struct rpc_request *req, struct diag *diag)
{
    uint64_t number = 0;
    TRY(p == NULL ? ERR_OK : p->ops->run(p, diag, &number));
    return answer_number(req, number);
}

/* 8 bytes, big endian: the engine's number, 0 while there is none; a byte: is the connection known?
 */
static db_err answer_lock_owner(struct sql_peer *p, uint64_t connection_id, struct rpc_request *req)
{
    uint64_t engine = 0;
    bool known = false;
    uint8_t bytes[9];
    if (p != NULL) {
        p->ops->lock_owner(p, connection_id, &engine, &known);
    }
    for (int i = 0; i < 8; i++) {
        bytes[i] = (uint8_t)(engine >> (56 - 8 * i));
    }
    bytes[8] = known;
    struct rpc_part part = RPC_PART(slice_of(bytes, sizeof(bytes)));
    return rpc_respond(req, SLICE_EMPTY, &part, 1);
}

/* Who does not say who it is may end nobody's. */
static db_err kill_connection(struct sql_peer *p, uint64_t id, bool connection, struct slice by,
                              struct diag *diag)
{
    if (p == NULL) {
        return ERR_NOT_FOUND;
    }
    if (by.len == 0) {
        return diag_set(diag, ERR_CORRUPT, "a malformed call");
    }
    const struct sql_killer killer = {.user = slice_from(by, 1),
                                      .any = (by.ptr[0] & KILL_ANY) != 0,
                                      .system = (by.ptr[0] & KILL_SYSTEM) != 0};
    return p->ops->kill(p, id, connection, &killer, diag);
}

static db_err answer(struct sql_peer *p, struct rpc_request *req, struct diag *diag)
{
    struct slice h = rpc_request_msg(req)->header;
    if (h.len != CALL_SIZE) {
        return diag_set(diag, ERR_CORRUPT, "a malformed call");
    }
    uint64_t number = be64(h.ptr + 1);
    switch (h.ptr[0]) {
    case REFRESH_SCHEMA: TRY(p == NULL ? ERR_OK : p->ops->refresh_schema(p, number, diag)); break;
    case REFRESH_ACCOUNTS: TRY(p == NULL ? ERR_OK : p->ops->refresh_accounts(p, diag)); break;
    case REFRESH_GLOBALS: TRY(p == NULL ? ERR_OK : p->ops->refresh_globals(p, diag)); break;
    case RUN: return answer_run(p, req, diag);
    case LIST_SESSIONS:
    case LIST_LOCKS: return answer_list(p, h.ptr[0], req);
    case LOCK_OWNER: return answer_lock_owner(p, number, req);
    case SESSION_TXN: return answer_number(req, p == NULL ? 0 : p->ops->session_txn(p, number));
    case WAKE_LOCK:
        if (p != NULL) {
            p->ops->wake_lock(p, number);
        }
        break;
    case KILL:
        TRY(kill_connection(p, number, h.ptr[9] != 0, rpc_request_msg(req)->payload, diag));
        break;
    default: return diag_set(diag, ERR_UNSUPPORTED, "no coord method %u", h.ptr[0]);
    }
    return rpc_respond(req, SLICE_EMPTY, NULL, 0);
}

static db_err coord_handler(void *ctx, struct rpc_request *req, struct diag *diag)
{
    struct rpc_services *s = ctx;
    struct sql_use use;
    db_err err = answer(use_sql(s, &use), req, diag);
    done_with_sql(s, &use);
    return err;
}

/* ---- locks ---- */

static db_err take(struct sql_peer *p, struct slice header, struct diag *diag,
                   struct sql_peer_lock **ret_lock)
{
    struct arena arena;
    if (header.len < 16 || header.len % 8 != 0) {
        return diag_set(diag, ERR_CORRUPT, "a malformed call");
    }
    uint32_t count = (uint32_t)(header.len / 8 - 1);
    uint64_t wait_ms = be64(header.ptr);
    uint64_t deadline =
        wait_ms >= UINT64_MAX / NS_PER_S ? DEADLINE_NONE : clock_mono_ns() + wait_ms * NS_PER_MS;
    arena_init(&arena, NULL, NULL, 0);
    uint64_t *ids = ARENA_ARRAY(&arena, uint64_t, count);
    db_err err = ids == NULL ? ERR_NOMEM : ERR_OK;
    for (uint32_t i = 0; i < count && err == ERR_OK; i++) {
        ids[i] = be64(header.ptr + 8 * (i + 1));
    }
    uint64_t connection_id = 0;
    if (err == ERR_OK && count != 0 && (ids[count - 1] & FOR_BIT) != 0) {
        connection_id = ids[--count] & ~FOR_BIT;
    }
    if (err == ERR_OK) {
        err = p->ops->lock_tables(p, NULL, connection_id, ids, count, deadline, diag, ret_lock);
    }
    arena_fini(&arena);
    return err;
}

/* Answers each question until the stream ends. False: it broke. */
static bool serve(struct rpc_stream *stream)
{
    for (;;) {
        struct rpc_msg msg = {0};
        bool end;
        if (rpc_stream_write(stream, SLICE_LIT("!"), NULL, 0, NULL) != ERR_OK ||
            rpc_stream_read(stream, NULL, &msg, &end) != ERR_OK) {
            return false;
        }
        rpc_msg_release(&msg);
        if (end) {
            return true;
        }
    }
}

/* The coordinator may be dead, or only silent, before its commit or behind it. Nobody uses the
 * tables before that is decided, however long it takes. */
static void outlive(struct rpc_services *s, struct sql_peer *p)
{
    db_err err = ERR_UNAVAILABLE;
    fiber_set_deadline(DEADLINE_NONE);
    while (err != ERR_OK && !atomic_load(&s->sql_leaves)) {
        struct diag diag;
        diag_reset(&diag);
        fiber_clear_cancel();
        err = p->ops->fence_schema(p, &diag);
        if (err != ERR_OK && !atomic_load(&s->sql_leaves)) {
            LOG_INFO("coord.fence", F_ERR(err), F_STR("reason", diag.text));
            fiber_clear_cancel();
            db_err slept = fiber_sleep(FENCE_PAUSE_NS);
            (void)slept;
        }
    }
}

static db_err lock_handler(void *ctx, const struct rpc_peer_info *from, struct slice header,
                           struct rpc_stream *stream, struct diag *diag)
{
    struct rpc_services *s = ctx;
    struct sql_use use;
    struct sql_peer_lock *lock = NULL;
    (void)from;
    /* Who asks has perhaps fenced another node: from here on this one knows of it, and refuses what
     * transactions of that node may still want to write. */
    meta_heartbeat_round(s->meta);
    struct sql_peer *p = use_sql(s, &use);
    db_err err = p == NULL ? ERR_OK : take(p, header, diag, &lock);
    if (err == ERR_OK && !serve(stream) && p != NULL) {
        outlive(s, p);
    }
    if (err == ERR_OK && p != NULL) {
        p->ops->unlock_tables(p, lock);
    }
    done_with_sql(s, &use);
    return err;
}

void rpc_coord_register(struct rpc_services *s, struct rpc_server *server)
{
    rpc_server_handle_call(server, RPC_M_coord, coord_handler, s);
    rpc_server_handle_stream(server, RPC_M_coord_lock, lock_handler, s);
}
