/* The compressed protocol: frames of a 7-byte header (length, sequence number, length before
 * compression, 0 = not compressed) around the packet stream, by zlib or zstd. */
#ifndef SKEIN_WIRE_NET_COMPRESS_H
#define SKEIN_WIRE_NET_COMPRESS_H

#include <stdbool.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/slice.h"
#include "wire/net/packet.h"

struct compress_stream;

/* level: of zstd, 0 = its default. ERR_NOMEM. */
MUST_USE db_err compress_stream_new(bool zstd, int level, struct compress_stream **ret_stream);
void compress_stream_free(struct compress_stream *s);
/* A new command begins: sequence numbers start again. */
void compress_restart(struct compress_stream *s);

/* Room for received bytes, and how many came. */
MUST_USE db_err compress_room(struct compress_stream *s, uint8_t **ret_ptr, size_t *ret_size);
void compress_received(struct compress_stream *s, size_t size);
/* A whole frame was received and not yet unpacked. */
bool compress_pending(const struct compress_stream *s);
/* Appends one pending frame to `in`: one at a time, so that a client cannot make a few bytes grow
 * to more than a frame (16 MB) beyond the packet at hand. ERR_INVALID: broken frame; ERR_NOMEM. */
MUST_USE db_err compress_unpack(struct compress_stream *s, struct packet_in *in,
                                struct io_pool *pool);
/* Frames of `data`, valid until the next call. ERR_NOMEM. */
MUST_USE db_err compress_pack(struct compress_stream *s, struct slice data,
                              struct slice *ret_frames);
/* Gives spare memory back between commands. */
void compress_idle(struct compress_stream *s);

#endif
