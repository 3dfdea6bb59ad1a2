/* The life of a connection.
 *
 *   GREETED → LOGIN → IDLE ⇄ BUSY → ENDING → (LINGER) → CLOSED
 *
 * GREETED and IDLE hold no fiber and (unless half a packet has come) no buffer: an event of the
 * handle receives, and a whole packet starts a fiber that runs at once, mostly to its end, in the
 * same event. The fiber takes further packets that are there already (pipelining) before it ends.
 *
 * While a fiber runs, the handle's events are of no use unless the fiber waits for one: the first
 * that comes switches the handle off until the fiber ends, so that pipelined bytes stay in the
 * kernel (back-pressure) and a loop does not spin. A client that does not pipeline never causes it.
 *
 * The end. conn__doom says why and wakes whoever holds the connection; the one way out is the
 * fiber: last words are sent, ops->end frees the session, the handle is closed. If the client may
 * still be sending, closing at once would reset the connection and take our error packet with it:
 * then the writing side is shut first and input is thrown away for a moment (LINGER).
 *
 * Timers: one per connection, armed for the earliest thing that may be due and looked at when it
 * fires; a command does not touch it. */
#include "wire/net/conn.h"

#include <errno.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/assert.h"
#include "base/clock.h"
#include "base/log.h"
#include "wire/net/compress.h"
#include "wire/net/net.h"
#include "wire/net/tls.h"

#define LINGER_NS       (2 * NS_PER_S)
#define RETRY_END_NS    (10 * NS_PER_MS)
#define KILL_WHOLE      UINT32_MAX
#define COMMAND_SEQ_MAX 0x7fffffffu
/* The largest packet before login: names, and the 64 KiB that connection attributes may take. What
 * a client may have buffered here without a password is twice that. */
#define PREAUTH_BYTES (1u << 17)

static void conn_fiber(void *arg);
static void conn_end_fiber(struct conn *c);

static const struct sm_state g_states[] = {
    [CONN_GREETED] = {"greeted", SM_TO(CONN_LOGIN) | SM_TO(CONN_LINGER) | SM_TO(CONN_CLOSED),
                      SM_INITIAL},
    /* Back to greeted when no fiber is to be had. */
    [CONN_LOGIN] = {"login", SM_TO(CONN_GREETED) | SM_TO(CONN_BUSY) | SM_TO(CONN_ENDING), 0},
    [CONN_IDLE] = {"idle", SM_TO(CONN_BUSY) | SM_TO(CONN_ENDING), 0},
    [CONN_BUSY] = {"busy", SM_TO(CONN_IDLE) | SM_TO(CONN_ENDING), 0},
    [CONN_ENDING] = {"ending", SM_TO(CONN_LINGER) | SM_TO(CONN_CLOSED), 0},
    [CONN_LINGER] = {"linger", SM_TO(CONN_CLOSED), 0},
    [CONN_CLOSED] = {"closed", 0, SM_FINAL},
};

/* A fiber holds the connection in the states that have one, and only then. */
static bool check_conn(const struct sm *sm, void *ctx, unsigned previous UNUSED)
{
    const struct conn *c = ctx;
    switch ((int)sm_state(sm)) {
    case CONN_GREETED:
    case CONN_IDLE:
    case CONN_LINGER: return c->waiter == NULL && c->fiber == NULL;
    case CONN_CLOSED: return c->waiter == NULL;
    default: return true;
    }
}

/* --- memory --- */

static void conn_free(struct conn *c)
{
    struct wire_loop *l = c->loop;
    compress_stream_free(c->packed);
    atomic_fetch_sub(&l->load, 1);
    atomic_fetch_sub(&l->net->alive, 1);
    mem_free(c);
}

static void on_closed(uv_handle_t *handle)
{
    struct conn *c = handle->data;
    close(c->fd);
    if (atomic_load(&c->kill_request) != 0) {
        c->freeing = true;
        return;
    }
    conn_free(c);
}

static void leave_preauth(struct conn *c)
{
    if (!list_empty(&c->preauth_link)) {
        list_remove(&c->preauth_link);
        c->loop->preauth_count--;
        atomic_fetch_sub_explicit(&c->loop->preauth_now, 1, memory_order_relaxed);
    }
}

static void conn_close(struct conn *c)
{
    ASSERT(conn_state(c) != CONN_CLOSED && c->waiter == NULL);
    sm_move(&c->sm, CONN_CLOSED);
    leave_preauth(c);
    list_remove(&c->link);
    loop_timer_stop(c->loop->loop, &c->timer);
    packet_in_release(&c->in, &c->loop->pool);
    packet_out_release(&c->out);
    tls_stream_free(c->tls);
    c->tls = NULL;
    conn_unadmit(c);
    uv_close((uv_handle_t *)&c->poll, on_closed);
}

/* --- timers --- */

static void arm(struct conn *c, uint64_t at)
{
    if (c->timer_at <= at) {
        return;
    }
    if (loop_timer_start(c->loop->loop, &c->timer, at) == ERR_OK) {
        c->timer_at = at;
    }
}

static uint64_t idle_deadline(const struct conn *c)
{
    uint32_t s = packet_in_left(&c->in) > 0 && c->read_timeout_s < c->idle_timeout_s
                     ? c->read_timeout_s
                     : c->idle_timeout_s;
    return c->active_ns + s * NS_PER_S;
}

static uint64_t login_deadline(const struct conn *c)
{
    struct wire_net *net = c->loop->net;
    return c->opened_ns + net->limits.connect_timeout_s(net->limits.ctx) * NS_PER_S;
}

static void put_timeout_error(struct conn *c)
{
    db_err err;
    if (conn_state(c) == CONN_IDLE && packet_in_left(&c->in) == 0) {
        err = conn_put_error(c, 4031, "HY000",
                             SLICE_LIT("The client was disconnected by the server because of "
                                       "inactivity. See wait_timeout and interactive_timeout for "
                                       "configuring this behavior."));
    } else {
        uint32_t caps = c->caps;
        c->caps |= CAP_PROTOCOL_41;
        err = conn_put_error(c, 1159, "08S01",
                             SLICE_LIT("Got timeout reading communication packets"));
        c->caps = caps;
    }
    if (err != ERR_OK) {
        packet_out_release(&c->out);
    }
}

static void on_timer(struct loop_timer *timer)
{
    struct conn *c = CONTAINER_OF(timer, struct conn, timer);
    c->timer_at = DEADLINE_NONE;
    uint64_t now = loop_now_ns(c->loop->loop);
    uint64_t due;
    switch ((int)conn_state(c)) {
    case CONN_GREETED:
    case CONN_LOGIN: due = login_deadline(c); break;
    case CONN_IDLE: due = idle_deadline(c); break;
    case CONN_LINGER: conn_close(c); return;
    case CONN_ENDING:
        if (c->fiber == NULL) {
            conn_end_fiber(c);
        }
        return;
    default: return; /* busy: armed again when idle */
    }
    if (due > now) {
        arm(c, due);
        return;
    }
    conn__doom(c, DOOM_TIMEOUT);
}

/* --- the end --- */

static void count_end(struct conn *c)
{
    struct wire_loop_counters *n = &c->loop->counters;
    if (!c->counted) {
        if (c->doom != DOOM_SHUTDOWN) {
            counter_add(&n->aborted_connects, 1);
        }
    } else if (c->doom != DOOM_QUIT && c->doom != DOOM_SHUTDOWN && c->doom != DOOM_KILLED) {
        counter_add(&n->aborted_clients, 1);
    }
}

/* No fiber and no session are left. */
static void conn_last_words(struct conn *c)
{
    count_end(c);
    conn__send_now(c);
    if (c->lingers && !c->eof && shutdown(c->fd, SHUT_WR) == 0) {
        sm_move(&c->sm, CONN_LINGER);
        leave_preauth(c);
        packet_in_release(&c->in, &c->loop->pool);
        packet_out_release(&c->out);
        conn__poll(c, UV_READABLE);
        c->timer_at = DEADLINE_NONE;
        arm(c, loop_now_ns(c->loop->loop) + LINGER_NS);
        if (c->timer_at != DEADLINE_NONE) {
            return;
        }
    }
    conn_close(c);
}

static void run_end(struct conn *c)
{
    if (conn_state(c) != CONN_ENDING) {
        sm_move(&c->sm, CONN_ENDING);
    }
    fiber_clear_cancel();
    fiber_set_deadline(DEADLINE_NONE);
    c->ops->end(c);
    c->fiber = NULL;
    conn_last_words(c);
}

static void end_in_fiber(void *arg)
{
    struct conn *c = arg;
    c->fiber = fiber_self();
    run_end(c);
}

/* Ends a connection that has a session but no fiber. */
static void conn_end_fiber(struct conn *c)
{
    if (conn_state(c) != CONN_ENDING) { /* another try */
        sm_move(&c->sm, CONN_ENDING);
    }
    conn__poll(c, 0);
    if (fiber_spawn_now(end_in_fiber, c) != ERR_OK) {
        arm(c, loop_now_ns(c->loop->loop) + RETRY_END_NS);
    }
}

void conn__doom(struct conn *c, enum conn_doom doom)
{
    if (c->doom != DOOM_NONE && c->doom != DOOM_SHUTDOWN) {
        return;
    }
    c->doom = doom;
    switch (conn_state(c)) {
    case CONN_GREETED:
        if (doom == DOOM_TIMEOUT) {
            put_timeout_error(c);
        }
        conn_last_words(c);
        return;
    case CONN_IDLE:
        if (doom == DOOM_TIMEOUT) {
            put_timeout_error(c);
        }
        conn_end_fiber(c);
        return;
    case CONN_LINGER: conn_close(c); return;
    case CONN_LOGIN:
    case CONN_BUSY:
        if (c->fiber != NULL) {
            fiber_cancel(c->fiber);
        }
        return;
    case CONN_ENDING:
    case CONN_CLOSED: return;
    }
}

/* --- commands --- */

/* The fiber is about to end and the connection waits for its client. */
static void go_idle(struct conn *c)
{
    c->fiber = NULL;
    sm_move(&c->sm, CONN_IDLE);
    c->active_ns = loop_now_ns(c->loop->loop);
    if (packet_in_left(&c->in) == 0) {
        packet_in_release(&c->in, &c->loop->pool);
    }
    packet_out_release(&c->out);
    if (c->packed != NULL) {
        compress_idle(c->packed);
    }
    conn__poll(c, UV_READABLE);
    arm(c, idle_deadline(c));
}

/* Bytes that were received but of which the socket says nothing any more. */
static bool has_pending(const struct conn *c)
{
    return (c->tls != NULL && tls_pending(c->tls)) ||
           (c->packed != NULL && compress_pending(c->packed));
}

/* The next packet that is there without waiting. */
static db_err next_buffered(struct conn *c, bool *ret_ready)
{
    TRY(conn__next(c, ret_ready, &c->packet));
    while (!*ret_ready && has_pending(c)) {
        bool drained = false;
        TRY(conn__fill(c, &drained));
        TRY(conn__next(c, ret_ready, &c->packet));
        if (drained) {
            break;
        }
    }
    return ERR_OK;
}

static db_err run_packet(struct conn *c)
{
    db_err err;
    if (UNLIKELY(conn_state(c) == CONN_LOGIN)) {
        err = c->ops->login(c, c->packet);
        if (err == ERR_OK) {
            leave_preauth(c);
            sm_move(&c->sm, CONN_BUSY);
        }
    } else {
        uint32_t seq = atomic_load_explicit(&c->command_seq, memory_order_relaxed);
        atomic_store_explicit(&c->command_seq, seq % COMMAND_SEQ_MAX + 1, memory_order_relaxed);
        counter_add(&c->loop->counters.commands, 1);
        unsigned code = c->packet.len == 0 ? COMMAND_COUNTERS : c->packet.ptr[0];
        counter_add(
            &c->loop->counters.command[code < COMMAND_COUNTERS ? code : COMMAND_COUNTERS - 1], 1);
        err = c->ops->command(c, c->packet);
    }
    packet_in_consume(&c->in);
    return err == ERR_OK ? conn_flush(c) : err;
}

static void conn_fiber(void *arg)
{
    struct conn *c = arg;
    c->fiber = fiber_self();
    for (;;) {
        db_err err = run_packet(c);
        if (UNLIKELY(err != ERR_OK || c->doom != DOOM_NONE)) {
            if (c->doom == DOOM_NONE) {
                c->doom = c->eof ? DOOM_LOST : DOOM_ERROR;
                c->lingers = !c->eof;
            }
            if (c->doom == DOOM_TIMEOUT) {
                put_timeout_error(c);
            }
            run_end(c);
            return;
        }
        c->out.seq = 0;
        if (c->packed != NULL) {
            compress_restart(c->packed);
        }
        bool ready;
        err = next_buffered(c, &ready);
        if (UNLIKELY(err != ERR_OK)) {
            if (c->doom == DOOM_NONE) {
                c->doom = DOOM_LOST;
            }
            run_end(c);
            return;
        }
        if (LIKELY(!ready)) {
            go_idle(c);
            return;
        }
        if (fiber_canceled()) {
            fiber_clear_cancel(); /* was for the command before */
        }
        if (fiber_checkpoint() != ERR_OK) {
            fiber_clear_cancel();
        }
        if (UNLIKELY(c->doom != DOOM_NONE)) { /* while others ran */
            run_end(c);
            return;
        }
    }
}

/* --- events --- */

/* Bytes (or the end) for a connection without a fiber. */
static void on_readable(struct conn *c)
{
    bool ready = false;
    bool drained = false;
    db_err err;
    do {
        err = conn__fill(c, &drained);
        if (err == ERR_OK) {
            err = conn__next(c, &ready, &c->packet);
        }
    } while (err == ERR_OK && !ready && !drained);
    if (err != ERR_OK) {
        enum conn_doom doom = c->doom;
        c->doom = DOOM_NONE; /* conn__doom sets it, and ends the connection */
        conn__doom(c, doom == DOOM_NONE ? DOOM_LOST : doom);
        return;
    }
    if (!ready) {
        c->active_ns = loop_now_ns(c->loop->loop);
        if (packet_in_left(&c->in) == 0) {
            packet_in_release(&c->in, &c->loop->pool);
        } else if (conn_state(c) == CONN_IDLE) {
            arm(c, idle_deadline(c));
        }
        return;
    }
    enum conn_state before = conn_state(c);
    sm_move(&c->sm, before == CONN_GREETED ? CONN_LOGIN : CONN_BUSY);
    err = fiber_spawn_now(conn_fiber, c);
    if (UNLIKELY(err != ERR_OK)) { /* too many fibers or no memory: refuse this client */
        sm_move(&c->sm, before);
        packet_in_consume(&c->in);
        err = conn_put_error(c, 1041, "HY000",
                             SLICE_LIT("Out of memory; the server runs too many statements"));
        c->lingers = true;
        conn__doom(c, DOOM_ERROR);
    }
}

static void discard(struct conn *c)
{
    uint8_t junk[4096];
    for (int i = 0; i < 64; i++) {
        ssize_t n = recv(c->fd, junk, sizeof(junk), MSG_DONTWAIT);
        if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR)) {
            conn_close(c);
            return;
        }
        if (n < 0) {
            return;
        }
    }
}

void conn__on_poll(uv_poll_t *poll, int status, int events)
{
    struct conn *c = poll->data;
    if (c->waiter != NULL) {
        if (status < 0 || (events & c->want) != 0) {
            struct waiter *w = c->waiter;
            c->waiter = NULL;
            wait_signal(w, 0);
        }
        return;
    }
    bool gone = (c->poll_events & UV_DISCONNECT) != 0 && /* conn_watch */
                (status < 0 || (events & UV_DISCONNECT) != 0);
    if (status < 0) { /* libuv stops a handle that failed */
        c->poll_events = 0;
    }
    switch (conn_state(c)) {
    case CONN_GREETED:
    case CONN_IDLE: on_readable(c); break;
    case CONN_BUSY:
        conn__poll(c, 0);
        if (gone) {
            conn__doom(c, DOOM_LOST);
        }
        break;
    case CONN_LOGIN:
    case CONN_ENDING: conn__poll(c, 0); break;
    case CONN_LINGER: discard(c); break;
    case CONN_CLOSED: break;
    }
}

void conn_watch(struct conn *c, bool on)
{
    if (conn_state(c) == CONN_BUSY && c->doom == DOOM_NONE) {
        conn__poll(c, on ? UV_DISCONNECT : 0);
    }
}

/* --- kill --- */

static void on_kill(struct loop_task *task)
{
    struct conn *c = CONTAINER_OF(task, struct conn, kill_task);
    uint32_t request = atomic_exchange(&c->kill_request, 0);
    if (c->freeing) {
        conn_free(c);
        return;
    }
    if (request == KILL_WHOLE) {
        conn__doom(c, DOOM_KILLED);
    } else if (conn_state(c) == CONN_BUSY && c->fiber != NULL &&
               request == atomic_load_explicit(&c->command_seq, memory_order_relaxed)) {
        fiber_cancel(c->fiber);
    }
}

void conn_kill(struct conn *c, bool whole)
{
    uint32_t request =
        whole ? KILL_WHOLE : atomic_load_explicit(&c->command_seq, memory_order_relaxed);
    uint32_t before = atomic_load(&c->kill_request);
    do {
        if (before == KILL_WHOLE) {
            return;
        }
    } while (!atomic_compare_exchange_weak(&c->kill_request, &before, request));
    if (before == 0) {
        loop_post(c->loop->loop, &c->kill_task);
    }
}

/* --- the beginning --- */

db_err conn_admit(struct conn *c, bool *ret_last)
{
    struct wire_net *net = c->loop->net;
    uint64_t max = net->limits.connections_max(net->limits.ctx);
    uint64_t before = atomic_fetch_add(&net->admitted, 1);
    if (before > max) {
        atomic_fetch_sub(&net->admitted, 1);
        counter_add(&c->loop->counters.refused, 1);
        return ERR_BUSY;
    }
    c->counted = true;
    *ret_last = before == max;
    return ERR_OK;
}

void conn_unadmit(struct conn *c)
{
    if (c->counted) {
        c->counted = false;
        atomic_fetch_sub(&c->loop->net->admitted, 1);
    }
}

static void evict_oldest(struct wire_loop *l)
{
    struct conn *oldest = CONTAINER_OF(l->preauth.next, struct conn, preauth_link);
    leave_preauth(oldest);
    counter_add(&l->counters.evicted, 1);
    conn__doom(oldest, DOOM_LOST);
}

static void conn_hello(struct conn *c)
{
    struct wire_net *net = c->loop->net;
    db_err err;
    bool refusing = atomic_load(&net->refusing);
    if (refusing || atomic_load(&net->admitted) > net->limits.connections_max(net->limits.ctx)) {
        counter_add(&c->loop->counters.refused, 1);
        err = refusing ? conn_put_error(c, 1053, "08S01", SLICE_LIT("Server shutdown in progress"))
                       : conn_put_error(c, 1040, "08004", SLICE_LIT("Too many connections"));
        if (err == ERR_OK) {
            c->lingers = true;
        }
        c->doom = DOOM_ERROR;
        conn_last_words(c);
        return;
    }
    err = c->ops->greet(c);
    if (err != ERR_OK) {
        conn_close(c);
        return;
    }
    conn__send_now(c);
    packet_out_release(&c->out);
    conn__poll(c, UV_READABLE);
    arm(c, login_deadline(c));
}

void conn_start(struct wire_loop *loop, int fd, enum conn_transport transport, const char *peer)
{
    struct conn *c = loop->draining ? NULL : mem_calloc(1, sizeof(*c));
    if (c == NULL || uv_poll_init(loop_uv(loop->loop), &c->poll, fd) != 0) {
        mem_free(c);
        close(fd);
        atomic_fetch_sub(&loop->load, 1);
        return;
    }
    struct wire_net *net = loop->net;
    atomic_fetch_add(&net->alive, 1);
    c->poll.data = c;
    c->fd = fd;
    c->loop = loop;
    c->ops = net->ops;
    c->transport = (uint8_t)transport;
    c->secure = transport == CONN_UNIX;
    c->out.pool = &loop->pool;
    c->id = atomic_fetch_add(&net->next_id, 1);
    c->max_packet = PREAUTH_BYTES;
    c->read_timeout_s = 30;
    c->write_timeout_s = 60;
    c->idle_timeout_s = 28800;
    c->opened_ns = loop_now_ns(loop->loop);
    c->active_ns = c->opened_ns;
    c->timer_at = DEADLINE_NONE;
    sm_init(&c->sm, "conn", g_states, ARRAY_COUNT(g_states), CONN_GREETED, check_conn, c);
    c->kill_task.fn = on_kill;
    atomic_init(&c->command_seq, 1);
    snprintf(c->peer, sizeof(c->peer), "%s", peer);
    loop_timer_init(&c->timer, on_timer);
    list_push_back(&loop->conns, &c->link);
    if (loop->preauth_count >= net->limits.preauth_per_loop) {
        evict_oldest(loop);
    }
    list_push_back(&loop->preauth, &c->preauth_link);
    loop->preauth_count++;
    atomic_fetch_add_explicit(&loop->preauth_now, 1, memory_order_relaxed);
    counter_add(&loop->counters.accepted, 1);
    conn_hello(c);
}
