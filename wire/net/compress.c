#include "wire/net/compress.h"

#include <zlib.h>
#include <zstd.h>

#include "base/alloc.h"
#include "base/assert.h"

enum {
    FRAME_HEADER = 7,
    FRAME_MAX = 0xffffff,
    PACK_CHUNK = 1 << 20, /* one frame of output: bounds what a frame needs to be packed */
    PACK_MIN = 50,        /* shorter ones are sent as they are */
    RAW_MAX = FRAME_MAX + FRAME_HEADER,
};

struct compress_stream {
    bool zstd;
    int level;
    uint8_t seq;
    struct buf raw; /* received, not yet unpacked */
    size_t raw_pos;
    struct buf frames;
    ZSTD_CCtx *zc;
    ZSTD_DCtx *zd;
};

db_err compress_stream_new(bool zstd, int level, struct compress_stream **ret_stream)
{
    struct compress_stream *s = mem_calloc(1, sizeof(*s));
    if (s == NULL) {
        return ERR_NOMEM;
    }
    s->zstd = zstd;
    s->level = level == 0 ? 3 : level;
    buf_init(&s->raw, RAW_MAX);
    buf_init(&s->frames, OUT_PACKET_MAX + OUT_PACKET_MAX / 4);
    if (zstd) {
        s->zc = ZSTD_createCCtx();
        s->zd = ZSTD_createDCtx();
        if (s->zc == NULL || s->zd == NULL) {
            compress_stream_free(s);
            return ERR_NOMEM;
        }
    }
    *ret_stream = s;
    return ERR_OK;
}

void compress_stream_free(struct compress_stream *s)
{
    if (s == NULL) {
        return;
    }
    ZSTD_freeCCtx(s->zc);
    ZSTD_freeDCtx(s->zd);
    buf_fini(&s->raw);
    buf_fini(&s->frames);
    mem_free(s);
}

void compress_restart(struct compress_stream *s)
{
    s->seq = 0;
}

void compress_idle(struct compress_stream *s)
{
    if (s->raw.len == s->raw_pos) {
        buf_fini(&s->raw);
        s->raw_pos = 0;
    }
    buf_fini(&s->frames);
}

db_err compress_room(struct compress_stream *s, uint8_t **ret_ptr, size_t *ret_size)
{
    if (s->raw_pos > 0) {
        memmove(s->raw.ptr, s->raw.ptr + s->raw_pos, s->raw.len - s->raw_pos);
        s->raw.len -= s->raw_pos;
        s->raw_pos = 0;
    }
    size_t want = IN_BUFFER_SIZE;
    if (want > s->raw.max - s->raw.len) {
        want = s->raw.max - s->raw.len;
    }
    TRY(buf_reserve(&s->raw, want));
    *ret_ptr = s->raw.ptr + s->raw.len;
    *ret_size = s->raw.cap - s->raw.len;
    return ERR_OK;
}

void compress_received(struct compress_stream *s, size_t size)
{
    s->raw.len += size;
    ASSERT(s->raw.len <= s->raw.cap);
}

static bool inflate_frame(struct compress_stream *s, const uint8_t *from, size_t size, uint8_t *to,
                          size_t to_size)
{
    if (s->zstd) {
        size_t n = ZSTD_decompressDCtx(s->zd, to, to_size, from, size);
        return !ZSTD_isError(n) && n == to_size;
    }
    uLongf n = to_size;
    return uncompress(to, &n, from, size) == Z_OK && n == to_size;
}

static db_err unpack_frame(struct compress_stream *s, const uint8_t *frame, size_t size,
                           size_t plain_size, struct packet_in *in, struct io_pool *pool)
{
    if (plain_size == 0) {
        while (size > 0) {
            uint8_t *ptr;
            size_t room;
            TRY(packet_in_room(in, pool, &ptr, &room));
            size_t n = room < size ? room : size;
            memcpy(ptr, frame, n);
            in->end += n;
            frame += n;
            size -= n;
        }
        return ERR_OK;
    }
    TRY(packet_in_reserve(in, pool, plain_size));
    if (!inflate_frame(s, frame, size, in->ptr + in->end, plain_size)) {
        return ERR_INVALID;
    }
    in->end += plain_size;
    return ERR_OK;
}

static size_t uint24(const uint8_t *p)
{
    return p[0] | (size_t)p[1] << 8 | (size_t)p[2] << 16;
}

bool compress_pending(const struct compress_stream *s)
{
    size_t have = s->raw.len - s->raw_pos;
    return have >= FRAME_HEADER && have - FRAME_HEADER >= uint24(s->raw.ptr + s->raw_pos);
}

db_err compress_unpack(struct compress_stream *s, struct packet_in *in, struct io_pool *pool)
{
    if (!compress_pending(s)) {
        return ERR_OK;
    }
    const uint8_t *h = s->raw.ptr + s->raw_pos;
    size_t size = uint24(h);
    if (h[3] != s->seq) {
        return ERR_INVALID;
    }
    TRY(unpack_frame(s, h + FRAME_HEADER, size, uint24(h + 4), in, pool));
    s->seq++;
    s->raw_pos += FRAME_HEADER + size;
    return ERR_OK;
}

static db_err pack_chunk(struct compress_stream *s, struct slice chunk)
{
    size_t bound = s->zstd ? ZSTD_compressBound(chunk.len) : compressBound(chunk.len);
    TRY(buf_reserve(&s->frames, FRAME_HEADER + (bound > chunk.len ? bound : chunk.len)));
    uint8_t *h = s->frames.ptr + s->frames.len;
    uint8_t *to = h + FRAME_HEADER;
    size_t size = chunk.len;
    if (chunk.len >= PACK_MIN) {
        if (s->zstd) {
            size_t n = ZSTD_compressCCtx(s->zc, to, bound, chunk.ptr, chunk.len, s->level);
            size = ZSTD_isError(n) ? chunk.len : n;
        } else {
            uLongf n = bound;
            size = compress2(to, &n, chunk.ptr, chunk.len, Z_DEFAULT_COMPRESSION) == Z_OK
                       ? (size_t)n
                       : chunk.len;
        }
    }
    size_t plain = chunk.len;
    if (size >= chunk.len) {
        size = chunk.len;
        plain = 0;
        memcpy(to, chunk.ptr, chunk.len);
    }
    for (int i = 0; i < 3; i++) {
        h[i] = (uint8_t)(size >> (8 * i));
        h[4 + i] = (uint8_t)(plain >> (8 * i));
    }
    h[3] = s->seq++;
    s->frames.len += FRAME_HEADER + size;
    return ERR_OK;
}

db_err compress_pack(struct compress_stream *s, struct slice data, struct slice *ret_frames)
{
    buf_reset(&s->frames);
    while (data.len > 0) {
        size_t n = data.len < PACK_CHUNK ? data.len : (size_t)PACK_CHUNK;
        TRY(pack_chunk(s, slice_of(data.ptr, n)));
        data = slice_from(data, n);
    }
    *ret_frames = buf_slice(&s->frames);
    return ERR_OK;
}
