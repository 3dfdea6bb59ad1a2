/* The bytes of the log on the disk. docs/formats/raft_log.md is the specification; this file is its
 * C. Little-endian machines only: the structs are written as they stand. */
#ifndef SKEIN_NODE_LOG_FORMAT_H
#define SKEIN_NODE_LOG_FORMAT_H

#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/crc32c.h"

static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "the log is little-endian");

#define LOG_SEG_MAGIC "SKNRLOG1"
enum { LOG_FORMAT_VERSION = 1, LOG_DATA_START = 4096, LOG_ALIGN = 8 };

/* At offset 0 of a segment; the rest of the first 4096 bytes is zero. */
struct log_seg_header {
    uint32_t crc; /* of what follows in this struct */
    uint32_t version;
    uint8_t magic[8];
    uint64_t log_id;
    uint64_t no;   /* never used twice in one log */
    uint64_t size; /* of the file as it was prepared */
    uint64_t reserved[3];
};
static_assert(sizeof(struct log_seg_header) == 64, "segment header");

enum log_rec_type {
    LOG_REC_APPEND = 1,
    LOG_REC_HARD_STATE = 2,
    LOG_REC_COMPACT = 3,
    LOG_REC_RESET = 4,
    LOG_REC_REMOVE = 5,
    LOG_REC_STATE =
        6, /* hard state and compaction of a group, carried forward out of an old segment */
    LOG_REC_MARK =
        7, /* all records before this one are durable; count 1: the log was closed cleanly */
    LOG_REC_TRIM = 8, /* segments below `segment` are not needed any more */
    LOG_REC_TYPE_MAX = LOG_REC_TRIM,
};

struct log_rec_header {
    uint32_t crc;      /* of the body, the segment's salt, and the rest of this header */
    uint32_t size;     /* header, body and padding: a multiple of 8 */
    uint64_t seq;      /* 1, 2, 3, ... over the whole log */
    uint64_t group;    /* 0 for MARK and TRIM */
    uint32_t unsynced; /* records below seq - unsynced were durable before this one was written */
    uint16_t count;    /* APPEND: entries */
    uint8_t type;
    uint8_t flags; /* LOG_APPEND_TERMS */
};
static_assert(sizeof(struct log_rec_header) == 32, "record header");

/* An APPEND with entries of several terms. It repeats what the group holds, which has to be whole
 * in one record: what is replaced and what replaces it are never durable one without the other. */
enum { LOG_APPEND_TERMS = 1 };

/* APPEND: this, count of log_entry_desc, then the data of the entries, one after another. */
struct log_append_body {
    uint64_t first_index;
    uint64_t term; /* of the first entry */
};
struct log_entry_desc {
    uint32_t size;
    uint8_t type;
    uint8_t term_step[3]; /* above the term of the entry before; 0 without LOG_APPEND_TERMS */
};
enum { LOG_TERM_STEP_MAX = (1 << 24) - 1 };
static inline uint64_t log_term_step(const struct log_entry_desc *d)
{
    return d->term_step[0] | (uint32_t)d->term_step[1] << 8 | (uint32_t)d->term_step[2] << 16;
}
static_assert(sizeof(struct log_entry_desc) == 8, "entry descriptor");

struct log_hard_body {
    uint64_t term;
    uint64_t vote;
    uint64_t commit;
};
struct log_compact_body { /* COMPACT, RESET */
    uint64_t index;
    uint64_t term;
};
struct log_state_body {
    struct log_hard_body hard;
    struct log_compact_body compact;
    uint64_t flags; /* LOG_STATE_HAS_HARD */
};
enum { LOG_STATE_HAS_HARD = 1 };
struct log_trim_body {
    uint64_t segment;
    uint64_t first_seq; /* every record from this one on must be there */
};

static inline size_t log_round_up(size_t n, size_t to)
{
    return (n + to - 1) / to * to;
}

/* Ties a record to its log and its segment number, so that the bytes of a recycled segment are
 * never taken for records of its new life. */
static inline uint64_t log_salt(uint64_t log_id, uint64_t segment_no)
{
    uint64_t x = log_id ^ (segment_no * 0x9e3779b97f4a7c15ull);
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ull;
    return x ^ (x >> 27);
}

static inline const uint8_t *log_rec_body(const struct log_rec_header *h)
{
    return (const uint8_t *)(h + 1);
}

/* body_crc: of all bytes after the header. */
static inline uint32_t log_rec_crc(uint32_t body_crc, uint64_t salt, const struct log_rec_header *h)
{
    uint8_t tail[8 + sizeof(*h) - 4];
    memcpy(tail, &salt, 8);
    memcpy(tail + 8, (const uint8_t *)h + 4, sizeof(*h) - 4);
    return crc32c(body_crc, tail, sizeof(tail));
}

#endif
