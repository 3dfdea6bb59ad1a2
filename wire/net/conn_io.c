/* Bytes between socket and buffers: receive, send, wait, back-pressure.
 *
 * One command costs one recv and one send: a receive that did not fill the buffer is taken as the
 * last there is (the handle is level-triggered, so a wrong guess costs a turn, not a byte), and
 * results gather until the command ends or OUT_FLUSH_SIZE is passed.
 *
 * A slow reader: send says EAGAIN, the fiber waits for POLLOUT up to net_write_timeout; nobody else
 * waits with it. KILL QUERY during that wait must not tear a packet in two, so the wait goes on and
 * the cancellation is put back for the engine to find. */
#include "wire/net/conn.h"

#include <errno.h>
#include <sys/socket.h>

#include "base/assert.h"
#include "base/clock.h"
#include "wire/net/compress.h"
#include "wire/net/net.h"
#include "wire/net/tls.h"

enum io_result { IO_OK, IO_WANT_READ, IO_WANT_WRITE, IO_DEAD };

static enum io_result from_tls(enum tls_result r)
{
    switch (r) {
    case TLS_OK: return IO_OK;
    case TLS_WANT_READ: return IO_WANT_READ;
    case TLS_WANT_WRITE: return IO_WANT_WRITE;
    case TLS_CLOSED:
    case TLS_FAILED: break;
    }
    return IO_DEAD;
}

static enum io_result io_recv(struct conn *c, void *ptr, size_t size, size_t *ret_size)
{
    if (c->tls != NULL) {
        return from_tls(tls_read(c->tls, ptr, size, ret_size));
    }
    ssize_t n;
    do {
        n = recv(c->fd, ptr, size, MSG_DONTWAIT);
    } while (n < 0 && errno == EINTR);
    if (n > 0) {
        *ret_size = (size_t)n;
        return IO_OK;
    }
    return n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK) ? IO_WANT_READ : IO_DEAD;
}

static enum io_result io_send(struct conn *c, const void *ptr, size_t size, size_t *ret_size)
{
    if (c->tls != NULL) {
        return from_tls(tls_write(c->tls, ptr, size, ret_size));
    }
    ssize_t n;
    do {
        n = send(c->fd, ptr, size, MSG_DONTWAIT | MSG_NOSIGNAL);
    } while (n < 0 && errno == EINTR);
    if (n >= 0) {
        *ret_size = (size_t)n;
        return IO_OK;
    }
    return errno == EAGAIN || errno == EWOULDBLOCK ? IO_WANT_WRITE : IO_DEAD;
}

static db_err fill_from(struct conn *c, enum io_result r, size_t got, size_t room,
                        bool *ret_drained)
{
    if (r == IO_DEAD) {
        c->eof = true;
        return ERR_CLOSED;
    }
    if (r != IO_OK) {
        *ret_drained = true;
        return ERR_OK;
    }
    counter_add(&c->loop->counters.bytes_in, got);
    c->bytes_in += got;
    *ret_drained = got < room && (c->tls == NULL || !tls_pending(c->tls));
    return ERR_OK;
}

static db_err receive(struct conn *c, bool *ret_drained)
{
    uint8_t *ptr;
    size_t room;
    size_t got = 0;
    if (LIKELY(c->packed == NULL)) {
        TRY(packet_in_room(&c->in, &c->loop->pool, &ptr, &room));
        enum io_result r = io_recv(c, ptr, room, &got);
        c->in.end += got;
        return fill_from(c, r, got, room, ret_drained);
    }
    if (!compress_pending(c->packed)) {
        TRY(compress_room(c->packed, &ptr, &room));
        enum io_result r = io_recv(c, ptr, room, &got);
        compress_received(c->packed, got);
        TRY(fill_from(c, r, got, room, ret_drained));
    }
    TRY(compress_unpack(c->packed, &c->in, &c->loop->pool));
    *ret_drained = *ret_drained && !compress_pending(c->packed);
    return ERR_OK;
}

/* An error packet as the last word, while the client may be in the midst of sending. */
static void end_with_error(struct conn *c)
{
    c->doom = DOOM_ERROR;
    c->lingers = true;
}

db_err conn__fill(struct conn *c, bool *ret_drained)
{
    if (c->eof) {
        return ERR_CLOSED;
    }
    db_err err = receive(c, ret_drained);
    if (UNLIKELY(err == ERR_LIMIT && c->in.count != NULL)) {
        end_with_error(c);
        TRY(c->in.count->tell(c->in.count));
        return ERR_INVALID;
    }
    return err;
}

db_err conn__next(struct conn *c, bool *ret_ready, struct slice *ret_packet)
{
    enum packet_result r = packet_in_next(&c->in, &c->out.seq, c->max_packet, ret_packet);
    *ret_ready = r == PACKET_READY;
    if (LIKELY(r == PACKET_READY || r == PACKET_MORE)) {
        return ERR_OK;
    }
    end_with_error(c);
    c->caps |= CAP_PROTOCOL_41; /* errors before login have the SQLSTATE, too */
    if (r == PACKET_OUT_OF_ORDER) {
        TRY(conn_put_error(c, 1156, "08S01", SLICE_LIT("Got packets out of order")));
    } else {
        c->out.seq++;
        TRY(conn_put_error(c, 1153, "08S01",
                           SLICE_LIT("Got a packet bigger than 'max_allowed_packet' bytes")));
    }
    return ERR_INVALID;
}

void conn__poll(struct conn *c, int events)
{
    if (c->poll_events == events) {
        return;
    }
    int rc = events == 0 ? uv_poll_stop(&c->poll) : uv_poll_start(&c->poll, events, conn__on_poll);
    ASSERT(rc == 0);
    c->poll_events = (uint8_t)events;
}

db_err conn__wait(struct conn *c, int events, uint64_t deadline_ns)
{
    if (c->doom != DOOM_NONE && c->doom != DOOM_SHUTDOWN && c->doom != DOOM_ERROR) {
        return ERR_CANCELED;
    }
    ASSERT(c->waiter == NULL);
    struct waiter w;
    wait_init(&w);
    conn__poll(c, events);
    c->want = (uint8_t)events;
    c->waiter = &w;
    db_err err = wait_block(&w, deadline_ns);
    c->waiter = NULL;
    return err;
}

static uint64_t read_deadline(const struct conn *c)
{
    if (conn_state(c) == CONN_LOGIN) {
        struct wire_net *net = c->loop->net;
        return c->opened_ns + net->limits.connect_timeout_s(net->limits.ctx) * NS_PER_S;
    }
    return clock_mono_ns() + c->read_timeout_s * NS_PER_S;
}

db_err conn_read_packet(struct conn *c, struct slice *ret_packet)
{
    packet_in_consume(&c->in);
    TRY(conn_flush(c));
    for (;;) {
        bool ready;
        bool drained = false;
        TRY(conn__next(c, &ready, ret_packet));
        if (ready) {
            return ERR_OK;
        }
        TRY(conn__fill(c, &drained));
        TRY(conn__next(c, &ready, ret_packet));
        if (ready) {
            return ERR_OK;
        }
        if (drained) {
            db_err err = conn__wait(c, UV_READABLE, read_deadline(c));
            if (err == ERR_TIMEOUT && c->doom == DOOM_NONE) {
                c->doom = DOOM_TIMEOUT;
            }
            TRY(err);
        }
    }
}

db_err conn_keep_packet(struct conn *c, struct packet_in *ret_kept)
{
    struct packet_in *in = &c->in;
    struct packet_in kept = *in;
    struct packet_in fresh = {.count = in->count};
    packet_in_consume(in);
    size_t rest = packet_in_left(in);
    if (rest != 0) { /* of the next packet */
        db_err err = packet_in_reserve(&fresh, &c->loop->pool, rest);
        if (err != ERR_OK) {
            *in = kept;
            return err;
        }
        memcpy(fresh.ptr, in->ptr + in->start, rest);
        fresh.end = rest;
    }
    *in = fresh;
    *ret_kept = kept;
    return ERR_OK;
}

void conn_drop_packet(struct conn *c, struct packet_in *kept)
{
    packet_in_release(kept, &c->loop->pool);
}

/* Waits until the socket takes bytes (or TLS wants to read). */
static db_err wait_sendable(struct conn *c, int events)
{
    uint64_t statement_deadline = fiber_deadline();
    uint64_t deadline = clock_mono_ns() + c->write_timeout_s * NS_PER_S;
    bool canceled = false;
    db_err err;
    fiber_set_deadline(DEADLINE_NONE);
    for (;;) {
        err = conn__wait(c, events, deadline);
        if (err != ERR_CANCELED || c->doom != DOOM_NONE) {
            break;
        }
        canceled = true;
        fiber_clear_cancel();
    }
    fiber_set_deadline(statement_deadline);
    if (canceled && err == ERR_OK) {
        fiber_cancel(c->fiber);
    }
    if (err == ERR_TIMEOUT && c->doom == DOOM_NONE) {
        c->doom = DOOM_LOST;
    }
    return err;
}

static void out_sent(struct conn *c)
{
    c->out.len = 0;
    c->out.packet = 0;
    if (c->out.cap > OUT_BUFFER_SIZE) {
        packet_out_release(&c->out);
    }
}

static db_err send_all(struct conn *c, struct slice data)
{
    if (c->packed != NULL) {
        TRY(compress_pack(c->packed, data, &data));
    }
    while (data.len > 0) {
        size_t sent = 0;
        enum io_result r = io_send(c, data.ptr, data.len, &sent);
        if (r == IO_DEAD) {
            c->eof = true;
            if (c->doom == DOOM_NONE) {
                c->doom = DOOM_LOST;
            }
            return ERR_CLOSED;
        }
        data = slice_from(data, sent);
        counter_add(&c->loop->counters.bytes_out, sent);
        c->bytes_out += sent;
        if (r != IO_OK) {
            TRY(wait_sendable(c, r == IO_WANT_READ ? UV_READABLE : UV_WRITABLE));
        }
    }
    return ERR_OK;
}

db_err conn_flush(struct conn *c)
{
    struct slice data = {c->out.ptr, c->out.len};
    if (data.len == 0) {
        return ERR_OK;
    }
    db_err err = send_all(c, data);
    if (UNLIKELY(err != ERR_OK)) {
        c->torn = true;
        return err;
    }
    out_sent(c);
    return ERR_OK;
}

void conn__send_now(struct conn *c)
{
    packet_out_abandon(&c->out);
    struct slice data = {c->out.ptr, c->out.len};
    if (data.len == 0 || c->eof || c->torn) {
        return;
    }
    if (c->packed != NULL && compress_pack(c->packed, data, &data) != ERR_OK) {
        return;
    }
    size_t sent = 0;
    if (io_send(c, data.ptr, data.len, &sent) == IO_OK) {
        counter_add(&c->loop->counters.bytes_out, sent);
        c->bytes_out += sent;
    }
    out_sent(c);
}

db_err conn_finish(struct conn *c)
{
    TRY(packet_out_finish(&c->out));
    if (UNLIKELY(c->out.len >= OUT_FLUSH_SIZE)) {
        return conn_flush(c);
    }
    return ERR_OK;
}

db_err conn_start_tls(struct conn *c)
{
    ASSERT(c->tls == NULL && c->packed == NULL);
    packet_in_consume(&c->in);
    TRY(conn_flush(c));
    TRY(tls_stream_new(c->loop->net->tls, c->fd, c->in.ptr + c->in.start, packet_in_left(&c->in),
                       &c->tls));
    packet_in_release(&c->in, &c->loop->pool);
    for (;;) {
        enum tls_result r = tls_handshake(c->tls);
        if (r == TLS_OK) {
            break;
        }
        if (r != TLS_WANT_READ && r != TLS_WANT_WRITE) {
            c->eof = true;
            return ERR_CLOSED;
        }
        TRY(conn__wait(c, r == TLS_WANT_READ ? UV_READABLE : UV_WRITABLE, read_deadline(c)));
    }
    c->secure = true;
    counter_add(&c->loop->counters.tls, 1);
    return ERR_OK;
}

db_err conn_start_compression(struct conn *c, bool zstd, int level)
{
    ASSERT(c->packed == NULL);
    TRY(conn_flush(c));
    return compress_stream_new(zstd, level, &c->packed);
}

db_err conn_put_error(struct conn *c, uint16_t number, const char *sqlstate, struct slice text)
{
    packet_out_abandon(&c->out);
    TRY(conn_begin(c));
    TRY(put_u8(&c->out, 0xff));
    TRY(put_uint(&c->out, number, 2));
    if ((c->caps & CAP_PROTOCOL_41) != 0) {
        TRY(put_u8(&c->out, '#'));
        TRY(put_bytes(&c->out, slice_of(sqlstate, 5)));
    }
    TRY(put_bytes(&c->out, text));
    return packet_out_finish(&c->out);
}
