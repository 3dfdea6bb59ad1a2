/* Bounds and defaults of the Raft core, each with its reason. */
#ifndef SKEIN_NODE_RAFT_LIMITS_H
#define SKEIN_NODE_RAFT_LIMITS_H

#include "base/clock.h"

enum {
    /* Writes handed out and not yet durable. The log writer takes all that waits in one round, so
     * two would keep it busy; more let many small readies queue without stalling. */
    RAFT_WRITES_MAX = 16,
    /* Reads that wait for a quorum or for the leader's answer; beyond it callers back off. */
    RAFT_READS_MAX = 4096,
    /* Terms looked up one by one after a refused append; the answer may be less exact then, never
       wrong. */
    RAFT_CONFLICT_STEPS_MAX = 1024,
    /* Messages made for one peer in one ready: the rest comes with the next, so that one ready
       stays bounded. */
    RAFT_SENDS_PER_READY_MAX = 8,
    /* The vector of entries is given back when it is empty and larger than this. */
    RAFT_ENTRIES_KEEP = 64,
    /* A follower that holds this many times its leader's limit of uncommitted bytes refuses appends
     * until its disk has caught up. */
    RAFT_FOLLOWER_MEMORY_FACTOR = 2,
    /* Entry data read in one step while the configuration is looked for at start. */
    RAFT_SCAN_BYTES = 1 << 20,
    RAFT_DEFAULT_MESSAGE_BYTES = 1 << 20,
    RAFT_DEFAULT_INFLIGHT_BYTES = 8 << 20,
    RAFT_DEFAULT_INFLIGHT = 64,
    RAFT_DEFAULT_MEMORY_BYTES = 1 << 20,
    RAFT_DEFAULT_UNCOMMITTED_BYTES = 16 << 20,
    RAFT_DEFAULT_APPLY_BYTES = 1 << 20,
};

#define RAFT_DEFAULT_HEARTBEAT_NS (100 * NS_PER_MS)
#define RAFT_DEFAULT_ELECTION_NS  (1000 * NS_PER_MS)
#define RAFT_DEFAULT_QUIESCE_NS   (500 * NS_PER_MS)

/* No index or term comes near it; larger ones in a message are malformed. */
#define RAFT_INDEX_MAX (UINT64_MAX / 4)

#endif
