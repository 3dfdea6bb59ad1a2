/* Private to proto: protobuf messages of plain fields (numbers, flags, bytes), without the library.
 * The bytes are the library's, in its order. */
#ifndef SKEIN_PROTO_FLAT_H
#define SKEIN_PROTO_FLAT_H

#include <protobuf-c/protobuf-c.h>

#include "base/arena.h"
#include "base/buf.h"

/* ERR_UNSUPPORTED, nothing appended: it has something else in it, which only the library can write.
 * ERR_NOMEM, ERR_LIMIT. */
MUST_USE db_err flat_put(const ProtobufCMessage *m, struct buf *b);

/* The message and its bytes are in the arena. ERR_UNSUPPORTED: it has something else in it, or is
 * malformed: the library can tell. ERR_NOMEM. */
MUST_USE db_err flat_take(const ProtobufCMessageDescriptor *d, struct slice bytes,
                          struct arena *arena, ProtobufCMessage **ret_m);

#endif
