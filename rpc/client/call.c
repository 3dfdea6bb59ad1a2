/* One-way messages, calls and streams over a link.
 *
 * A call lies on its fiber's stack. Its id names a slot of the link's table and carries the slot's
 * generation, so that a late reply finds nobody and is dropped. Whoever takes the call out of its
 * slot owns its end: the connection's reading thread (reply), the end of the connection, or the
 * calling fiber (deadline, cancellation). The first two fill in the result and signal; the fiber
 * that finds its slot empty after a deadline waits for that signal, which is on its way.
 *
 * Was it executed? Never, when its frame was not given to the network as a whole: the server needs
 * all of it. The connection keeps count (rpc_conn_submitted). Everything else is "maybe". */
#include <stdio.h>

#include "base/alloc.h"
#include "base/assert.h"
#include "base/faults.h"
#include "base/metrics.h"
#include "rpc/client/client.h"
#include "rpc/client/client_int.h"
#include "rpc/stream/endpoint.h"

enum { SLOTS_FIRST = 64, SLOTS_MAX = 1 << 20 };

static db_err grow_slots(struct link *l)
{
    uint32_t count = l->slot_count == 0 ? SLOTS_FIRST : l->slot_count * 2;
    if (count > SLOTS_MAX) {
        return ERR_BUSY;
    }
    struct pending *slots = mem_realloc(l->slots, count * sizeof(*slots));
    if (slots == NULL) {
        return ERR_NOMEM;
    }
    for (uint32_t i = count; i > l->slot_count; i--) {
        slots[i - 1] = (struct pending){.next_free = l->free_slot, .generation = 1};
        l->free_slot = i;
    }
    l->slots = slots;
    l->slot_count = count;
    return ERR_OK;
}

/* With the lock held. ERR_UNAVAILABLE: the connection is not the link's any more. */
static db_err slot_take(struct link *l, const struct rpc_conn *c, struct rpc_call_wait *call,
                        struct rpc_stream *stream, uint64_t *ret_id)
{
    if (l->conn != c) {
        return ERR_UNAVAILABLE;
    }
    if (l->free_slot == 0) {
        TRY(grow_slots(l));
    }
    uint32_t index = l->free_slot - 1;
    struct pending *p = &l->slots[index];
    l->free_slot = p->next_free;
    p->call = call;
    p->stream = stream;
    *ret_id = (uint64_t)p->generation << 32 | index;
    return ERR_OK;
}

/* With the lock held. NULL: not there any more. */
static struct pending *slot_find(struct link *l, uint64_t id)
{
    uint32_t index = (uint32_t)id;
    if (index >= l->slot_count || l->slots[index].generation != (uint32_t)(id >> 32)) {
        return NULL;
    }
    struct pending *p = &l->slots[index];
    return p->call != NULL || p->stream != NULL ? p : NULL;
}

static void slot_free(struct link *l, struct pending *p)
{
    p->call = NULL;
    p->stream = NULL;
    p->generation++;
    p->next_free = l->free_slot;
    l->free_slot = (uint32_t)(p - l->slots) + 1;
}

/* --- one-way --- */

/* The calling loop's own, if there are several: of calls it reads the reply, and nobody has to be
 * woken; its one-way messages mostly are for one loop at the other end (rpc_oneway_was_for). */
static struct link *link_for(struct rpc_peer *peer, enum rpc_class class)
{
    const struct rpc_client_opts *o = &peer->client->opts;
    struct loop *loop = loop_current();
    bool several = has_lanes(class) && o->lanes > 1 && loop != NULL;
    return client__link(peer, class, several ? loop_index(loop) % o->lanes : 0);
}

bool rpc_send(struct rpc_peer *peer, enum rpc_method method, struct slice header,
              const struct rpc_part *parts, unsigned part_count)
{
    const struct rpc_method_info *m = rpc_method_info(method);
    ASSERT(m != NULL && m->kind == RPC_ONEWAY);
    struct link *l = link_for(peer, m->class);
    pthread_mutex_lock(&l->lock);
    struct rpc_conn *c = sm_state(&l->sm) == LINK_UP ? rpc_conn_ref(l->conn) : NULL;
    if (c == NULL && !atomic_load(&l->client->closing)) {
        link__want(l);
    }
    pthread_mutex_unlock(&l->lock);
    db_err err = ERR_UNAVAILABLE;
    if (c != NULL) {
        const struct rpc_frame_head head = {.type = RPC_FRAME_ONEWAY, .method = (uint16_t)method};
        if (!FAULT_DROP(rpc_oneway)) {
            err = rpc_conn_queue(c, &head, header, parts, part_count, NULL);
        }
        rpc_conn_unref(c);
    }
    if (err != ERR_OK) {
        metrics_add(METRIC_rpc_oneway_dropped, 1);
    }
    return err == ERR_OK;
}

/* --- replies --- */

/* The call is out of its slot: fills in its result and wakes it. */
static void finish_call(struct rpc_call_wait *call, struct blob *blob,
                        const struct rpc_frame *frame)
{
    db_err err = ERR_OK;
    struct slice header = frame->header;
    if ((frame->head.flags & RPC_FLAG_ERROR) != 0 &&
        rpc_error_decode(frame->header, call->diag, &err, &header) != ERR_OK) {
        err = diag_set(call->diag, ERR_OUTCOME_UNKNOWN, "the reply is not sound");
        header = SLICE_EMPTY;
    }
    db_err take = rpc_msg_take(blob, header, frame->payload, &call->reply->msg);
    if (take != ERR_OK && err == ERR_OK) {
        err = diag_set(call->diag, ERR_OUTCOME_UNKNOWN, "out of memory for the reply");
    }
    call->reply->executed_maybe = true;
    wait_signal(&call->waiter, (int)err);
}

static void on_reply(struct link *l, struct blob *blob, const struct rpc_frame *frame)
{
    pthread_mutex_lock(&l->lock);
    struct pending *p = slot_find(l, frame->head.id);
    struct rpc_call_wait *call = p != NULL ? p->call : NULL;
    if (call != NULL) {
        slot_free(l, p);
    }
    pthread_mutex_unlock(&l->lock);
    if (call != NULL) {
        finish_call(call, blob, frame);
    }
}

static void on_stream_frame(struct link *l, struct blob *blob, const struct rpc_frame *frame)
{
    pthread_mutex_lock(&l->lock);
    struct pending *p = slot_find(l, frame->head.id);
    struct rpc_stream *s = p != NULL && p->stream != NULL ? rpc_stream_ref(p->stream) : NULL;
    pthread_mutex_unlock(&l->lock);
    if (s == NULL) {
        return;
    }
    if (rpc_stream_on_frame(s, blob, frame)) {
        pthread_mutex_lock(&l->lock);
        p = slot_find(l, frame->head.id);
        bool mine = p != NULL && p->stream == s;
        if (mine) {
            slot_free(l, p);
        }
        pthread_mutex_unlock(&l->lock);
        if (mine) {
            rpc_stream_unref(s);
        }
    }
    rpc_stream_unref(s);
}

bool link__on_frames(void *ctx, struct rpc_conn *c, struct blob *blob,
                     const struct rpc_frame *frames, unsigned count)
{
    struct link *l = ctx;
    for (unsigned i = 0; i < count; i++) {
        const struct rpc_frame *f = &frames[i];
        if (!rpc_conn_is_open(c)) {
            link__on_welcome(l, c, f);
            continue;
        }
        switch ((int)f->head.type) {
        case RPC_FRAME_REPLY: on_reply(l, blob, f); break;
        case RPC_FRAME_STREAM_DATA:
        case RPC_FRAME_STREAM_CREDIT:
        case RPC_FRAME_STREAM_END:
        case RPC_FRAME_STREAM_ABORT:
        case RPC_FRAME_STREAM_DONE: on_stream_frame(l, blob, f); break;
        default: rpc_conn_close(c, ERR_CORRUPT, "a frame that servers do not send"); return true;
        }
    }
    return true;
}

void link__fail_pending(struct link *l, struct rpc_conn *conn, db_err unsent, const char *text)
{
    for (uint32_t i = 0; i < l->slot_count; i++) {
        struct pending *p = &l->slots[i];
        struct rpc_call_wait *call = p->call;
        struct rpc_stream *stream = p->stream;
        if (call != NULL) {
            slot_free(l, p);
            bool sent = rpc_conn_submitted(conn, &call->end_offset);
            call->reply->executed_maybe = sent;
            db_err err = diag_set(call->diag, sent ? ERR_OUTCOME_UNKNOWN : unsent, "%s: %s",
                                  l->peer->label, text);
            metrics_add(METRIC_rpc_calls_unknown, sent ? 1 : 0);
            wait_signal(&call->waiter, (int)err);
        } else if (stream != NULL) {
            slot_free(l, p);
            rpc_stream_lost(stream, ERR_OUTCOME_UNKNOWN, text);
            rpc_stream_unref(stream);
        }
    }
}

/* --- calls --- */

static uint64_t call_deadline(uint64_t deadline_ns)
{
    uint64_t of_fiber = fiber_deadline();
    deadline_ns = deadline_ns == 0 ? DEADLINE_NONE : deadline_ns;
    return of_fiber < deadline_ns ? of_fiber : deadline_ns;
}

/* The wait ended without a signal, or the frame could not be queued: is the call still ours? */
static bool take_back(struct link *l, uint64_t id)
{
    pthread_mutex_lock(&l->lock);
    struct pending *p = slot_find(l, id);
    if (p != NULL) {
        slot_free(l, p);
    }
    pthread_mutex_unlock(&l->lock);
    return p != NULL;
}

static void send_cancel(struct rpc_conn *c, uint64_t id)
{
    const struct rpc_frame_head head = {.type = RPC_FRAME_CANCEL, .id = id};
    db_err err = rpc_conn_queue2(c, &head, SLICE_EMPTY, SLICE_EMPTY, NULL, 0, true, NULL);
    (void)err; /* then it ends with the connection */
}

/* The connection is ready and referenced. */
static db_err call_on(struct link *l, struct rpc_conn *c, const struct rpc_call *call,
                      uint64_t deadline_ns, struct diag *diag, struct rpc_reply *reply)
{
    struct rpc_call_wait w = {.diag = diag, .reply = reply, .end_offset = UINT64_MAX};
    wait_init(&w.waiter);
    uint64_t id;
    pthread_mutex_lock(&l->lock);
    db_err err = slot_take(l, c, &w, NULL, &id);
    pthread_mutex_unlock(&l->lock);
    if (err != ERR_OK) {
        return diag_set(diag, err, "%s: the connection was lost", l->peer->label);
    }
    const struct rpc_frame_head head = {.type = RPC_FRAME_REQUEST,
                                        .method = (uint16_t)call->method,
                                        .id = id,
                                        .arg = rpc_deadline_to_ms(deadline_ns)};
    err = rpc_conn_queue(c, &head, call->header, call->parts, call->part_count, &w.end_offset);
    bool queued = err == ERR_OK;
    if (queued) {
        err = wait_block(&w.waiter, deadline_ns);
        if (err == ERR_OK) {
            return (db_err)w.waiter.result;
        }
    } else if (err != ERR_LIMIT && err != ERR_NOMEM) {
        err = ERR_UNAVAILABLE;
    }
    if (!take_back(l, id)) {
        wait_block_uncancelable(&w.waiter);
        return (db_err)w.waiter.result;
    }
    reply->executed_maybe = queued;
    if (queued) {
        send_cancel(c, id);
    }
    return diag_set(diag, err, "%s: %s", l->peer->label, err_text(err));
}

db_err rpc_call(struct rpc_peer *peer, const struct rpc_call *call, struct diag *diag,
                struct rpc_reply *ret_reply)
{
    const struct rpc_method_info *m = rpc_method_info(call->method);
    ASSERT(m != NULL && m->kind == RPC_UNARY);
    struct link *l = link_for(peer, m->class);
    struct rpc_conn *c;
    uint64_t deadline_ns = call_deadline(call->deadline_ns);
    *ret_reply = (struct rpc_reply){0};
    metrics_add(METRIC_rpc_calls, 1);
    uint64_t start_ns = clock_mono_ns();
    TRY(client__enter(l->client, diag));
    db_err err = link__wait_up(l, deadline_ns, diag, &c);
    if (err == ERR_OK) {
        err = call_on(l, c, call, deadline_ns, diag, ret_reply);
        rpc_conn_unref(c);
    }
    client__leave(l->client);
    if (err == ERR_OK) {
        metrics_observe(METRIC_rpc_call_time, clock_mono_ns() - start_ns);
    }
    return err;
}

/* --- streams --- */

static void forget_stream(void *ctx, uint64_t id)
{
    struct link *l = ctx;
    pthread_mutex_lock(&l->lock);
    struct pending *p = slot_find(l, id);
    struct rpc_stream *s = p != NULL ? p->stream : NULL;
    if (s != NULL) {
        slot_free(l, p);
    }
    pthread_mutex_unlock(&l->lock);
    if (s != NULL) {
        rpc_stream_unref(s);
    }
}

static db_err open_on(struct link *l, struct rpc_conn *c, const struct rpc_frame_head *head,
                      struct slice header, struct diag *diag, struct rpc_stream **ret_stream)
{
    struct rpc_frame_head h = *head;
    struct rpc_stream *s;
    /* The id is known with the slot, the slot needs the stream: both under the lock. */
    pthread_mutex_lock(&l->lock);
    s = rpc_stream_new(c, 0, true, forget_stream, l);
    db_err err = s == NULL ? ERR_NOMEM : slot_take(l, c, NULL, s, &h.id);
    if (err == ERR_OK) {
        rpc_stream_set_id(s, h.id);
        rpc_stream_ref(s);
    }
    pthread_mutex_unlock(&l->lock);
    if (err == ERR_OK) {
        err = rpc_conn_queue(c, &h, header, NULL, 0, NULL);
        if (err != ERR_OK) {
            rpc_stream_lost(s, ERR_UNAVAILABLE, "not opened");
            forget_stream(l, h.id);
        }
    }
    if (err != ERR_OK) {
        if (s != NULL) {
            rpc_stream_unref(s);
        }
        err = err == ERR_LIMIT || err == ERR_NOMEM ? err : ERR_UNAVAILABLE;
        return diag_set(diag, err, "%s: %s", l->peer->label, err_text(err));
    }
    *ret_stream = s;
    return ERR_OK;
}

db_err rpc_stream_open(struct rpc_peer *peer, enum rpc_method method, struct slice header,
                       uint64_t deadline_ns, struct diag *diag, struct rpc_stream **ret_stream)
{
    const struct rpc_method_info *m = rpc_method_info(method);
    ASSERT(m != NULL && m->kind == RPC_STREAM);
    struct link *l = &peer->links[m->class];
    struct rpc_conn *c;
    deadline_ns = call_deadline(deadline_ns);
    TRY(client__enter(l->client, diag));
    db_err err = link__wait_up(l, deadline_ns, diag, &c);
    if (err == ERR_OK) {
        const struct rpc_frame_head head = {.type = RPC_FRAME_STREAM_OPEN,
                                            .method = (uint16_t)method,
                                            .arg = rpc_deadline_to_ms(deadline_ns)};
        err = open_on(l, c, &head, header, diag, ret_stream);
        rpc_conn_unref(c);
    }
    client__leave(l->client);
    return err;
}
