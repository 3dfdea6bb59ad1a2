/* The log's fixed limits, each with its reason. */
#ifndef SKEIN_NODE_LOG_LIMITS_H
#define SKEIN_NODE_LOG_LIMITS_H

enum {
    LOG_SEGMENT_SIZE_DEFAULT = 64 << 20, /* rolls about twice a second at 128 MB/s */
    LOG_SEGMENT_SIZE_MIN = 64 << 10,     /* for tests */
    LOG_SEGMENT_SIZE_MAX = 1 << 30,      /* offsets fit 32 bits with room to spare */
    LOG_CACHE_SIZE_DEFAULT = 32 << 20,
    LOG_SPARES_DEFAULT = 2,
    LOG_SLICE_US = 100,      /* of the processor, for a writer: the shortest that there is */
    LOG_ROUND_MAX = 8 << 20, /* bounds the latency one round adds to those behind it */
    LOG_WRITERS_MAX = 4,
    LOG_WRITERS_DEFAULT = 2, /* README.md has the figures */
    LOG_HANDLES_MAX = LOG_WRITERS_MAX + 1,
    LOG_GUESTS_MAX = 64,          /* loops that may be guests */
    LOG_GUEST_QUIET = 32,         /* batches in a row that found their loop alone make it a guest */
    LOG_GUEST_QUIET_MAX = 64,     /* more are not remembered */
    LOG_GUEST_HARM = 16,          /* what one that did not costs */
    LOG_GUEST_SYNC_MAX_US = 1000, /* a loop does not wait longer than this, as far as is known, */
    LOG_GUEST_SLOW_US = 3000,     /* and when it has waited longer than this, */
    LOG_GUEST_REST = 32,          /* none does for so many times what was too long */
    LOG_GUEST_BYTES_MAX = 64 << 10, /* more is a writer's */
    LOG_SLOW_SYNC_MIN_US = 200,     /* nothing shorter is slow */
    LOG_FLIGHT_MAX = 8,             /* rounds written and not completed: at least one per writer */
    LOG_STAGE_SIZE = 1 << 20,
    LOG_DIRECT_MAX = 256 << 10, /* longer rounds go through the kernel's memory */
    LOG_STAGE_BELOW =
        32 << 10, /* chunks smaller than this are copied together rather than listed */
    LOG_RECORD_TARGET =
        1 << 20, /* an append is cut into records of about this size: reads verify whole records */
    LOG_RECORD_ENTRIES_MAX = 65535, /* 16 bits in the header */
    LOG_REF_SPAN = 16 << 10,        /* one index reference per group and this many bytes of log */
    LOG_PAGE_REFS_MAX = 64,         /* references that one disk page follows */
    LOG_STRIPES = 64,               /* locks over the groups */
    LOG_IDLE_MARK_MS = 200,         /* an idle log proves its last round durable after this time */
    LOG_FULL_RETRY_MS = 200,        /* a full disk is asked again */
    LOG_ZERO_CHUNK =
        256 << 10, /* preallocation writes and syncs zeros in steps that do not hold up commits */
    LOG_READ_CHUNK = 1 << 20, /* recovery reads in steps of this size */
};

#endif
