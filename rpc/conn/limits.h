/* Limits of rpc/, each with its reason. */
#ifndef SKEIN_RPC_CONN_LIMITS_H
#define SKEIN_RPC_CONN_LIMITS_H

enum {
    /* A request or reply of the size of the largest sensible row batch; a frame that claims more
     * ends the connection before anything is allocated. */
    RPC_FRAME_MAX_DEFAULT = 64 * 1024 * 1024,
    /* Until the other side has said who it is. */
    RPC_FRAME_MAX_HELLO = 4096,
    /* One read; what neighbours of one read share. */
    RPC_READ_SIZE = 64 * 1024,
    /* Frames handed on at a time. */
    RPC_FRAMES_PER_BATCH = 64,
    /* Received messages up to here are copied out of the read buffer, so that a small one that is
     * kept does not keep 64 KiB. */
    RPC_COPY_MAX = 4096,
    /* Pieces with an owner from here on are written from where they lie. */
    RPC_NO_COPY_MIN = 8 * 1024,
    /* Small frames are gathered in pieces of this size. */
    RPC_OUT_CHUNK = 32 * 1024,
    /* Gathered within a turn of a loop: so many frames or bytes leave without waiting for its end.
     */
    RPC_GATHER_FRAMES = 64,
    RPC_GATHER_BYTES = 32 * 1024,
    RPC_QUEUE_MAX_DEFAULT = 64 * 1024 * 1024,
    RPC_TOKEN_MAX = 512,
    RPC_ERROR_TEXT_MAX = 511,
    /* Reads of a connection that its loop has not handled yet: then nothing more is read. */
    RPC_BATCHES_MAX = 4,
};

/* Frames are gathered for this long after the last write began, or until the loop's turn ends; a
 * connection that was silent for longer writes at once. */
#define RPC_GATHER_NS (50 * 1000ull)

#endif
