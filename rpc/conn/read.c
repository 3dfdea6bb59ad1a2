/* The reading half of a connection.
 *
 * One read takes up to 64 KiB and is cut into frames that point into the read buffer; the buffer
 * has a count of references and is used again when nobody kept one. What is left over of a frame is
 * moved to the front of the next buffer; a frame that is larger than a buffer gets one of its own
 * size, so that it is neither copied nor read in pieces.
 *
 * Nothing of what arrives is trusted: the head of each frame is checked before room is made for the
 * rest, and a frame that is not sound, or larger than the connection allows, ends the connection
 * with a log line. */
#include <inttypes.h>
#include <stdio.h>

#include "base/assert.h"
#include "base/log.h"
#include "base/metrics.h"
#include "rpc/conn/conn.h"
#include "rpc/conn/conn_int.h"
#include "rpc/conn/limits.h"

void conn__read_end(struct rpc_conn *c)
{
    pthread_mutex_lock(&c->lock);
    ASSERT(!c->read_ended);
    c->read_ended = true;
    pthread_mutex_unlock(&c->lock);
    c->ops->closed(c->ctx, c, c->close_err, c->close_text);
    rpc_conn_unref(c);
}

/* Ends the connection because of what came in. */
static void refuse(struct rpc_conn *c, const struct rpc_frame_head *head, db_err err)
{
    char text[160];
    if (err == ERR_LIMIT) {
        snprintf(text, sizeof(text), "a frame of %" PRIu32 " bytes, more than the %zu allowed",
                 head->size, atomic_load(&c->frame_max));
    } else {
        snprintf(text, sizeof(text), "bytes that are no frame");
    }
    LOG_WARN("rpc.frame.refused", F_STR("peer", c->pipe->remote), F_STR("reason", text),
             F_U64("size", err == ERR_LIMIT ? head->size : 0));
    metrics_add(METRIC_rpc_frames_refused, 1);
    rpc_conn_close(c, ERR_CORRUPT, text);
}

/* Frames of the connection itself; true: taken. */
static bool take_own(struct rpc_conn *c, const struct rpc_frame_head *head)
{
    if (head->type == RPC_FRAME_PING) {
        const struct rpc_frame_head pong = {.type = RPC_FRAME_PONG, .id = head->id};
        db_err err = rpc_conn_queue2(c, &pong, SLICE_EMPTY, SLICE_EMPTY, NULL, 0, true, NULL);
        (void)err;
        return true;
    }
    return head->type == RPC_FRAME_PONG;
}

static bool is_closing(const struct rpc_conn *c)
{
    return atomic_load_explicit(&c->closing, memory_order_acquire);
}

/* Hands on all frames that are complete. *ret_want: bytes the frame at the front needs (0:
 * unknown). False: the connection ends, or its owner wants no more for now. */
static bool parse(struct rpc_conn *c, size_t *ret_want, bool *ret_more)
{
    struct rpc_frame frames[RPC_FRAMES_PER_BATCH];
    *ret_want = 0;
    *ret_more = false;
    for (;;) {
        unsigned count = 0;
        unsigned own = 0;
        db_err err = ERR_OK;
        struct rpc_frame_head head = {0};
        while (count < RPC_FRAMES_PER_BATCH) {
            const uint8_t *p = c->in->data + c->in_start;
            size_t left = c->in_end - c->in_start;
            if (left < RPC_FRAME_HEAD) {
                break;
            }
            err = rpc_frame_decode(p, atomic_load_explicit(&c->frame_max, memory_order_relaxed),
                                   &head);
            if (err != ERR_OK) {
                break;
            }
            if (left < head.size) {
                *ret_want = head.size;
                break;
            }
            struct slice header = slice_of(p + RPC_FRAME_HEAD, head.header_size);
            struct slice rest = slice_of(p + RPC_FRAME_HEAD, head.size - (size_t)RPC_FRAME_HEAD);
            c->in_start += head.size;
            if (rpc_conn_is_open(c) && take_own(c, &head)) {
                own++;
            } else {
                frames[count++] =
                    (struct rpc_frame){head, header, slice_from(rest, head.header_size)};
            }
            if (!rpc_conn_is_open(c)) {
                break; /* how the next bytes are judged depends on this frame */
            }
        }
        metrics_add(METRIC_rpc_frames_received, count + own);
        if (count > 0 && !c->ops->frames(c->ctx, c, c->in, frames, count)) {
            *ret_more = true;
            return false;
        }
        if (err != ERR_OK) {
            refuse(c, &head, err);
            return false;
        }
        if (count + own == 0) {
            return true;
        }
        if (*ret_want != 0 || is_closing(c)) {
            return !is_closing(c);
        }
    }
}

/* Makes room for the next read: *ret_ptr, *ret_len. */
static db_err make_room(struct rpc_conn *c, size_t want, uint8_t **ret_ptr, size_t *ret_len)
{
    size_t left = c->in_end - c->in_start;
    size_t size = want > RPC_READ_SIZE ? want : RPC_READ_SIZE;
    bool alone = c->in != NULL && atomic_load_explicit(&c->in->refs, memory_order_acquire) == 1;
    bool fits =
        c->in != NULL && c->in->size - c->in_start >= (want != 0 ? want : RPC_READ_SIZE / 8);
    if (alone && left == 0 && c->in->size == size) {
        c->in_start = c->in_end = 0;
    } else if (!fits || c->in->size - c->in_end == 0 || (left == 0 && c->in->size > size)) {
        if (alone && c->in->size == size) {
            memmove(c->in->data, c->in->data + c->in_start, left);
        } else {
            struct blob *blob = blob_new(size);
            if (blob == NULL) {
                return ERR_NOMEM;
            }
            if (left > 0) {
                memcpy(blob->data, c->in->data + c->in_start, left);
            }
            blob_unref(c->in);
            c->in = blob;
        }
        c->in_start = 0;
        c->in_end = left;
    }
    *ret_ptr = c->in->data + c->in_end;
    *ret_len = c->in->size - c->in_end;
    /* A large frame ends with its buffer, so that the next one begins in a buffer of its own. */
    return ERR_OK;
}

/* The owner wants no more for now. True: it has changed its mind meanwhile. */
static bool park(struct rpc_conn *c)
{
    bool end = false;
    pthread_mutex_lock(&c->lock);
    bool resumed = c->resume_early;
    c->resume_early = false;
    if (!resumed && c->closing) {
        end = true;
    } else if (!resumed) {
        c->read_parked = true;
    }
    pthread_mutex_unlock(&c->lock);
    if (end) {
        conn__read_end(c);
    }
    return resumed;
}

/* What has been read is parsed. True: read on. */
static bool take_bytes(struct rpc_conn *c, size_t *ret_want)
{
    bool more;
    while (!parse(c, ret_want, &more)) {
        if (!more) {
            conn__read_end(c);
            return false;
        }
        if (!park(c)) {
            return false;
        }
    }
    return true;
}

static void heard(struct rpc_conn *c, size_t bytes)
{
    c->in_end += bytes;
    metrics_add(METRIC_rpc_bytes_received, bytes);
    metrics_add(METRIC_rpc_reads, 1);
    atomic_store_explicit(&c->heard_ns, clock_mono_ns(), memory_order_relaxed);
}

static void read_from(struct rpc_conn *c, size_t want)
{
    for (;;) {
        uint8_t *ptr;
        size_t len;
        if (make_room(c, want, &ptr, &len) != ERR_OK) {
            rpc_conn_close(c, ERR_NOMEM, "out of memory");
            conn__read_end(c);
            return;
        }
        struct rpc_io io;
        if (!rpc_pipe_recv(c->pipe, ptr, len, &io)) {
            return;
        }
        if (io.err != ERR_OK) {
            rpc_conn_close(c, ERR_CLOSED, "the other side has closed the connection");
            conn__read_end(c);
            return;
        }
        heard(c, io.bytes);
        if (!take_bytes(c, &want)) {
            return;
        }
    }
}

void conn__read(struct rpc_conn *c)
{
    read_from(c, 0);
}

void conn__on_received(void *ctx, db_err err, size_t bytes)
{
    struct rpc_conn *c = ctx;
    if (err != ERR_OK) {
        rpc_conn_close(c, ERR_CLOSED, "the other side has closed the connection");
        conn__read_end(c);
        return;
    }
    heard(c, bytes);
    size_t want;
    if (take_bytes(c, &want)) {
        read_from(c, want);
    }
}

void rpc_conn_resume(struct rpc_conn *c)
{
    pthread_mutex_lock(&c->lock);
    bool parked = c->read_parked;
    c->read_parked = false;
    c->resume_early = !parked;
    pthread_mutex_unlock(&c->lock);
    size_t want;
    if (parked && take_bytes(c, &want)) {
        read_from(c, want);
    }
}

db_err rpc_msg_take(struct blob *blob, struct slice header, struct slice payload,
                    struct rpc_msg *ret_msg)
{
    size_t size = header.len + payload.len;
    if (size > RPC_COPY_MAX) {
        *ret_msg = (struct rpc_msg){header, payload, blob_ref(blob)};
        return ERR_OK;
    }
    struct blob *own = blob_new(size);
    if (own == NULL) {
        return ERR_NOMEM;
    }
    if (size > 0) {
        /* They lie side by side in the frame. */
        memcpy(own->data, header.len > 0 ? header.ptr : payload.ptr, size);
    }
    *ret_msg = (struct rpc_msg){slice_of(own->data, header.len),
                                slice_of(own->data + header.len, payload.len), own};
    return ERR_OK;
}
