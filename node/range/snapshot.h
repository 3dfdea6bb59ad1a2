/* Private to node/range: what a snapshot looks like on its way (docs/formats/range.md).
 *
 * The header names the position and the range; the stream is a sequence of records in the order of
 * the families, cut into chunks anywhere, and ends with a count and a checksum. */
#ifndef SKEIN_NODE_RANGE_SNAPSHOT_H
#define SKEIN_NODE_RANGE_SNAPSHOT_H

#include "node/range/range_int.h"

struct snapshot_head {
    range_id_t range;
    uint64_t from; /* replica ids */
    uint64_t to;
    uint64_t raft_term; /* of the leader that offers it; 0: a member lends it, nobody leads */
    struct raft_snapshot_meta meta;
    uint64_t conf_index;
    struct range_desc desc;
};

/* In the place of a record's family. POINTS: by which versions were dropped (engine.h), the key is
 * the safe point, the value the snapshots; before the end, if there are any. */
enum { SNAPSHOT_POINTS = 0xfe, SNAPSHOT_END = 0xff };

MUST_USE db_err snapshot_head_encode(struct buf *b, const struct snapshot_head *head);
/* The descriptor's keys are in the arena. ERR_CORRUPT, ERR_NOMEM. */
MUST_USE db_err snapshot_head_decode(struct slice bytes, struct arena *arena,
                                     struct snapshot_head *ret_head);
/* At the end of b. */
MUST_USE db_err snapshot_record_put(struct buf *b, enum engine_cf cf, struct slice key,
                                    struct slice value);
MUST_USE db_err snapshot_points_put(struct buf *b, const struct engine_points *points);
MUST_USE db_err snapshot_end_put(struct buf *b, uint64_t records, uint32_t crc);

struct snapshot_record {
    bool end;
    bool points; /* key and value are these */
    enum engine_cf cf;
    struct slice key;
    struct slice value;
    uint64_t records; /* end */
    uint32_t crc;     /* end: of all bytes before it */
};
/* The record at the beginning of bytes. *ret_size 0: it is not complete yet. ERR_CORRUPT. */
MUST_USE db_err snapshot_record_get(struct slice bytes, struct snapshot_record *ret_record,
                                    size_t *ret_size);
/* Takes those apart. Memory from the arena. ERR_CORRUPT, ERR_NOMEM. */
MUST_USE db_err snapshot_points_get(const struct snapshot_record *record, struct arena *arena,
                                    struct engine_points *ret_points);

#endif
