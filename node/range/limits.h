/* Bounds of node/range, each with its reason. */
#ifndef SKEIN_NODE_RANGE_LIMITS_H
#define SKEIN_NODE_RANGE_LIMITS_H

#include "base/clock.h"

enum {
    /* Proposals of one range with the core and not yet applied. More only wait: the fibers are
     * parked anyway and their batches are theirs until then. */
    RANGE_INFLIGHT_MAX = 4096,
    /* ... and their bytes: below the core's own limit of uncommitted bytes. */
    RANGE_INFLIGHT_BYTES_MAX = 8 << 20,
    /* Bytes of one log batch before it is submitted and another begun: below the log's limit. */
    RANGE_SUBMIT_BYTES_MAX = 8 << 20,
    /* Longest entry: a piece below what the log takes. */
    RANGE_ENTRY_MAX = 23 << 20,
    /* First index and term of a new group: a member that comes later has an empty log at 0 and is
     * so known to need the state, not the log. */
    RANGE_INIT_INDEX = 10,
    RANGE_INIT_TERM = 5,
    /* Rounds of upkeep without a write, after which the engine is flushed. */
    FLUSH_QUIET_ROUNDS = 10,
    /* Ranges merged away whose logs wait for a flush of the engine. */
    FLUSH_LOGS_LEFT = 256,
    /* Ranges that are not here any more whose fate is kept in memory, 1 MiB; older ones' is asked
     * of the engine, by so many fibers at most: messages that ask may be lost. */
    RANGE_GONE_MAX = 65536,
    RANGE_GONE_LOOKS_MAX = 16,
    /* Merges that are followed to where the keys of a range are now. */
    RANGE_GONE_HOPS_MAX = 64,
    /* What a follower keeps of the log for others: a new leader goes on from where the old one was.
     */
    RANGE_LOG_KEEP_MS = 10000,
    /* Engine batches above this are applied before more entries are added. */
    RANGE_APPLY_BYTES_MAX = 16 << 20,
    /* Snapshots of this node's ranges on their way at one time: each holds back the clean-up of the
     * engine and of a log. */
    RANGE_SNAPSHOTS_OUT_MAX = 4,
    /* ... and coming in: each may fill files and flushes the engine twice. */
    RANGE_SNAPSHOTS_IN_MAX = 4,
};

#define RANGE_SIZE_MAX_DEFAULT (256ull << 20)
#define SNAPSHOT_RATE_DEFAULT  (128ull << 20)
#define LOG_SIZE_MAX_DEFAULT   (64ull << 20) /* applied again in about a second */
#define FLUSH_QUIET_MIN        (4ull << 20)  /* logged since the last flush */
#define RANGE_TICK_NS          (50 * NS_PER_MS)
#define RANGE_TICK_MIN_NS      (5 * NS_PER_MS)
/* Of all groups of the cluster; the core's defaults. Links count on the second. */
#define RANGE_HEARTBEAT_NS (100 * NS_PER_MS)
#define RANGE_ELECTION_NS  (1000 * NS_PER_MS)
/* Candidates of a group stand apart by more than an election takes, mostly. */
#define RANGE_ELECTION_SPREAD_NS (400 * NS_PER_MS)
/* A new half of a split stands for election this often until there is a leader, for so long. */
#define RANGE_CAMPAIGN_NS     (20 * NS_PER_MS)
#define RANGE_CAMPAIGN_FOR_NS (2 * NS_PER_S)
#define RANGE_RETRY_NS        (200 * NS_PER_MS) /* a full disk is asked again */
#define SPACE_WATCH_NS        (250 * NS_PER_MS)
#define RANGE_UPKEEP_NS       (1 * NS_PER_S)
/* A member that still has a range which the others have merged waits so long for its left
 * neighbour to do the same. */
#define MERGE_PATIENCE_NS (60 * NS_PER_S)
/* How often it is looked whether coordinators of transactions live, and after how many looks in a
 * row without a word of one its row locks are given to others: 1.5 s. */
#define OWNER_WATCH_NS (250 * NS_PER_MS)
enum { OWNER_SILENT_LOOKS = 6, OWNER_HEARD_MS = 750 };

#endif
