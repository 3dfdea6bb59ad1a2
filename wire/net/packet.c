/* Framing over growing buffers.
 *
 * Input. The buffer holds, from `start`, the packet at hand and perhaps the next ones. The first
 * header stays where it is; the headers of further frames of the same payload are taken out when
 * they are complete, by moving what has arrived behind them. `joined` counts payload bytes of
 * complete frames, `frame` is the length of the one being received. The buffer begins as a 16 KiB
 * one of the pool, doubles with what arrives, and goes back when it is empty.
 *
 * Output. Packets are built behind each other. A header's place is kept when the packet begins and
 * filled in when it ends, as only then the length is known. A payload of 16 MB and more gets its
 * inner headers then, by moving the frames apart from the last to the first. */
#include "wire/net/packet.h"

#include <stdatomic.h>

#include "base/alloc.h"
#include "base/assert.h"

static void pool_count(struct io_pool *pool, size_t gained, size_t lost)
{
    uint64_t now = atomic_load_explicit(&pool->bytes, memory_order_relaxed);
    atomic_store_explicit(&pool->bytes, now + gained - lost, memory_order_relaxed);
}

static uint8_t *pool_get(struct io_pool *pool, uint8_t **spare, unsigned *count, size_t size)
{
    if (*count > 0) {
        return spare[--*count];
    }
    uint8_t *ptr = mem_alloc(size);
    if (ptr != NULL) {
        pool_count(pool, size, 0);
    }
    return ptr;
}

static void pool_put(struct io_pool *pool, uint8_t **spare, unsigned *count, size_t size,
                     uint8_t *ptr, size_t cap)
{
    if (ptr == NULL) {
        return;
    }
    if (cap == size && *count < POOL_KEEP) {
        spare[(*count)++] = ptr;
        return;
    }
    mem_free(ptr);
    pool_count(pool, 0, cap);
}

void io_pool_fini(struct io_pool *pool)
{
    while (pool->in_count > 0) {
        mem_free(pool->in[--pool->in_count]);
    }
    while (pool->out_count > 0) {
        mem_free(pool->out[--pool->out_count]);
    }
}

/* --- input --- */

enum packet_result packet_in_next(struct packet_in *in, uint8_t *seq, size_t max,
                                  struct slice *ret_payload)
{
    ASSERT(!in->taken);
    for (;;) {
        if (!in->in_frame) {
            bool first = in->joined == 0;
            size_t at = first ? in->start : in->start + PACKET_HEADER_SIZE + in->joined;
            if (in->end - at < PACKET_HEADER_SIZE) {
                return PACKET_MORE;
            }
            const uint8_t *h = in->ptr + at;
            size_t size = h[0] | (size_t)h[1] << 8 | (size_t)h[2] << 16;
            if (h[3] != *seq) {
                return PACKET_OUT_OF_ORDER;
            }
            if (in->joined + size >= max) {
                return PACKET_TOO_LARGE;
            }
            *seq = (uint8_t)(*seq + 1);
            if (!first) {
                size_t behind = at + PACKET_HEADER_SIZE;
                memmove(in->ptr + at, in->ptr + behind, in->end - behind);
                in->end -= PACKET_HEADER_SIZE;
            }
            in->frame = size;
            in->in_frame = true;
        }
        size_t have = in->end - in->start - PACKET_HEADER_SIZE;
        if (have < in->joined + in->frame) {
            return PACKET_MORE;
        }
        in->joined += in->frame;
        in->in_frame = false;
        if (in->frame < PACKET_PAYLOAD_MAX) {
            in->taken = true;
            *ret_payload = slice_of(in->ptr + in->start + PACKET_HEADER_SIZE, in->joined);
            return PACKET_READY;
        }
    }
}

void packet_in_consume(struct packet_in *in)
{
    if (!in->taken) {
        return;
    }
    in->taken = false;
    in->start += PACKET_HEADER_SIZE + in->joined;
    in->joined = 0;
    ASSERT(in->start <= in->end);
    if (in->start == in->end) {
        in->start = in->end = 0;
    }
}

/* Bytes that the packet at hand still needs, as far as is known. */
static size_t packet_in_missing(const struct packet_in *in)
{
    if (!in->in_frame) {
        return PACKET_HEADER_SIZE;
    }
    size_t whole = PACKET_HEADER_SIZE + in->joined + in->frame;
    whole += in->frame == PACKET_PAYLOAD_MAX ? PACKET_HEADER_SIZE : 0;
    size_t have = in->end - in->start;
    return whole > have ? whole - have : 0;
}

static void give_back(struct packet_in *in)
{
    if (in->counted != 0) {
        in->count->give_back(in->count, in->counted);
        in->counted = 0;
    }
}

static db_err in_grow(struct packet_in *in, struct io_pool *pool, size_t cap)
{
    size_t more = cap - in->cap;
    if (in->count != NULL && !in->count->keep(in->count, more)) {
        return ERR_LIMIT;
    }
    in->counted += in->count != NULL ? more : 0;
    uint8_t *ptr = mem_realloc(in->ptr, cap);
    if (ptr == NULL) {
        return ERR_NOMEM;
    }
    pool_count(pool, cap, in->cap);
    in->ptr = ptr;
    in->cap = cap;
    return ERR_OK;
}

db_err packet_in_reserve(struct packet_in *in, struct io_pool *pool, size_t size)
{
    uint8_t *ptr;
    size_t room;
    TRY(packet_in_room(in, pool, &ptr, &room));
    return room >= size ? ERR_OK : in_grow(in, pool, in->end + size);
}

db_err packet_in_room(struct packet_in *in, struct io_pool *pool, uint8_t **ret_ptr,
                      size_t *ret_size)
{
    ASSERT(!in->taken);
    if (in->ptr == NULL) {
        uint8_t *ptr = pool_get(pool, pool->in, &pool->in_count, IN_BUFFER_SIZE);
        if (ptr == NULL) {
            return ERR_NOMEM;
        }
        in->ptr = ptr;
        in->cap = IN_BUFFER_SIZE;
    }
    if (in->start > 0 && in->cap - in->end < packet_in_missing(in)) {
        memmove(in->ptr, in->ptr + in->start, in->end - in->start);
        in->end -= in->start;
        in->start = 0;
    }
    if (in->end == in->cap) {
        size_t need = in->end + packet_in_missing(in);
        size_t cap = in->cap * 2 < need ? in->cap * 2 : need;
        if (cap < in->cap + IN_BUFFER_SIZE) {
            cap = in->cap + IN_BUFFER_SIZE;
        }
        TRY(in_grow(in, pool, cap));
    }
    *ret_ptr = in->ptr + in->end;
    *ret_size = in->cap - in->end;
    return ERR_OK;
}

void packet_in_release(struct packet_in *in, struct io_pool *pool)
{
    pool_put(pool, pool->in, &pool->in_count, IN_BUFFER_SIZE, in->ptr, in->cap);
    give_back(in);
    *in = (struct packet_in){.count = in->count};
}

void packet_in_count(struct packet_in *in, struct packet_count *count)
{
    give_back(in);
    in->count = count;
}

/* --- output --- */

uint8_t *packet_out_grow(struct packet_out *o, size_t extra)
{
    if (o->ptr == NULL && extra <= OUT_BUFFER_SIZE) {
        o->ptr = pool_get(o->pool, o->pool->out, &o->pool->out_count, OUT_BUFFER_SIZE);
        o->cap = o->ptr == NULL ? 0 : OUT_BUFFER_SIZE;
        return o->ptr;
    }
    if (extra > OUT_PACKET_MAX || o->len > OUT_PACKET_MAX - extra) {
        return NULL;
    }
    size_t cap = o->cap < OUT_BUFFER_SIZE ? OUT_BUFFER_SIZE : o->cap;
    while (cap < o->len + extra) {
        cap *= 2;
    }
    uint8_t *ptr = mem_realloc(o->ptr, cap);
    if (ptr == NULL) {
        return NULL;
    }
    pool_count(o->pool, cap, o->cap);
    o->ptr = ptr;
    o->cap = cap;
    return ptr + o->len;
}

db_err packet_out_begin(struct packet_out *o)
{
    uint8_t *p = packet_out_room(o, PACKET_HEADER_SIZE);
    if (UNLIKELY(p == NULL)) {
        return ERR_NOMEM;
    }
    o->packet = o->len;
    o->len += PACKET_HEADER_SIZE;
    return ERR_OK;
}

static db_err out_split(struct packet_out *o, size_t size)
{
    size_t frames = size / PACKET_PAYLOAD_MAX + 1;
    if (packet_out_room(o, (frames - 1) * PACKET_HEADER_SIZE) == NULL) {
        return ERR_NOMEM;
    }
    uint8_t *base = o->ptr + o->packet;
    for (size_t i = frames; i-- > 0;) {
        size_t from = i * PACKET_PAYLOAD_MAX;
        size_t part = i + 1 == frames ? size - from : (size_t)PACKET_PAYLOAD_MAX;
        uint8_t *header = base + i * (PACKET_PAYLOAD_MAX + PACKET_HEADER_SIZE);
        memmove(header + PACKET_HEADER_SIZE, base + PACKET_HEADER_SIZE + from, part);
        header[0] = (uint8_t)part;
        header[1] = (uint8_t)(part >> 8);
        header[2] = (uint8_t)(part >> 16);
        header[3] = (uint8_t)(o->seq + i);
    }
    o->len += (frames - 1) * PACKET_HEADER_SIZE;
    o->seq = (uint8_t)(o->seq + frames);
    o->packet = o->len;
    return ERR_OK;
}

db_err packet_out_finish(struct packet_out *o)
{
    ASSERT(o->len >= o->packet + PACKET_HEADER_SIZE);
    size_t size = o->len - o->packet - PACKET_HEADER_SIZE;
    if (UNLIKELY(size >= PACKET_PAYLOAD_MAX)) {
        return out_split(o, size);
    }
    uint8_t *h = o->ptr + o->packet;
    h[0] = (uint8_t)size;
    h[1] = (uint8_t)(size >> 8);
    h[2] = (uint8_t)(size >> 16);
    h[3] = o->seq++;
    o->packet = o->len;
    return ERR_OK;
}

void packet_out_release(struct packet_out *o)
{
    pool_put(o->pool, o->pool->out, &o->pool->out_count, OUT_BUFFER_SIZE, o->ptr, o->cap);
    o->ptr = NULL;
    o->cap = o->len = o->packet = 0;
}

/* --- writers --- */

db_err put_u8(struct packet_out *o, uint8_t v)
{
    uint8_t *p = packet_out_room(o, 1);
    if (UNLIKELY(p == NULL)) {
        return ERR_NOMEM;
    }
    *p = v;
    o->len++;
    return ERR_OK;
}

db_err put_uint(struct packet_out *o, uint64_t v, unsigned size)
{
    uint8_t *p = packet_out_room(o, size);
    if (UNLIKELY(p == NULL)) {
        return ERR_NOMEM;
    }
    memcpy(p, &v, size);
    o->len += size;
    return ERR_OK;
}

db_err put_bytes(struct packet_out *o, struct slice s)
{
    uint8_t *p = packet_out_room(o, s.len);
    if (UNLIKELY(p == NULL)) {
        return ERR_NOMEM;
    }
    if (s.len != 0) {
        memcpy(p, s.ptr, s.len);
    }
    o->len += s.len;
    return ERR_OK;
}

db_err put_zeros(struct packet_out *o, size_t count)
{
    uint8_t *p = packet_out_room(o, count);
    if (UNLIKELY(p == NULL)) {
        return ERR_NOMEM;
    }
    memset(p, 0, count);
    o->len += count;
    return ERR_OK;
}

db_err put_lenenc(struct packet_out *o, uint64_t v)
{
    uint8_t *p = packet_out_room(o, 9);
    if (UNLIKELY(p == NULL)) {
        return ERR_NOMEM;
    }
    o->len += (size_t)(lenenc_write(p, v) - p);
    return ERR_OK;
}

db_err put_lenenc_bytes(struct packet_out *o, struct slice s)
{
    uint8_t *p = packet_out_room(o, s.len + 9);
    if (UNLIKELY(p == NULL)) {
        return ERR_NOMEM;
    }
    uint8_t *q = lenenc_write(p, s.len);
    if (s.len != 0) {
        memcpy(q, s.ptr, s.len);
    }
    o->len += (size_t)(q - p) + s.len;
    return ERR_OK;
}

db_err put_cstr(struct packet_out *o, struct slice s)
{
    TRY(put_bytes(o, s));
    return put_u8(o, 0);
}
