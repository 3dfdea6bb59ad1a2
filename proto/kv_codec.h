/* KV and meta calls as bytes: a header (protobuf, proto/kv.proto) and a raw payload with the keys
 * and values.
 *
 * Encoding appends to the two buffers of a struct kv_wire. Decoding trusts nothing: ERR_CORRUPT for
 * what is malformed, short or over a bound. Decoded slices point into the payload given (control
 * bytes of the header are copied to the arena), so that the payload must live as long as they.
 * Nothing here parks. Errors of encoding: ERR_NOMEM, ERR_LIMIT (over the buffers' maximum). */
#ifndef SKEIN_PROTO_KV_CODEC_H
#define SKEIN_PROTO_KV_CODEC_H

#include "base/buf.h"
#include "proto/kv_api.h"

/* Numbers stay: they are on the wire. */
enum kv_method {
    KV_METHOD_GET = 1,
    KV_METHOD_MULTI_GET = 2,
    KV_METHOD_SCAN = 3,
    KV_METHOD_LOCK = 4,
    KV_METHOD_PREWRITE = 5,
    KV_METHOD_COMMIT = 6,
    KV_METHOD_ROLLBACK = 7,
    KV_METHOD_RELEASE = 8,
    KV_METHOD_CHECK_TXN = 9,
    KV_METHOD_RESOLVE = 10,
    KV_METHOD_HEARTBEAT = 11,
    KV_METHOD_DELETE_RANGE = 12,
    KV_METHOD_ESTIMATE = 13,
    KV_METHOD_FRAGMENT = 14,
    KV_METHOD_SWEEP = 15,
    KV_METHOD_CLOSED = 16,
    KV_METHOD__END
};

/* Any request: which member is meant says the method. */
union kv_any_req {
    struct kv_request r; /* the first member of all */
    struct kv_get_req get;
    struct kv_multi_get_req multi_get;
    struct kv_scan_req scan;
    struct kv_lock_req lock;
    struct kv_prewrite_req prewrite;
    struct kv_txn_keys_req txn_keys; /* COMMIT, ROLLBACK */
    struct kv_release_req release;
    struct kv_check_txn_req check_txn;
    struct kv_resolve_req resolve;
    struct kv_heartbeat_req heartbeat;
    struct kv_delete_range_req delete_range;
    struct kv_sweep_req sweep;
    struct kv_closed_req closed;
    struct kv_estimate_req estimate;
    struct kv_fragment_req fragment;
};

/* What a method returns besides error and kv_reply. */
union kv_any_resp {
    struct kv_value value;
    struct kv_value
        *values; /* MULTI_GET: as many as keys were asked for, in memory of the caller */
    struct kv_scan_resp scan;
    struct kv_lock_resp lock; /* values: as for MULTI_GET */
    struct kv_prewrite_resp prewrite;
    struct kv_check_txn_resp check_txn;
    struct kv_closed_resp closed;
    struct kv_estimate_resp estimate;
    struct kv_fragment_resp fragment;
};

enum { KV_WIRE_HEADER_MAX = 4 << 20, KV_WIRE_PAYLOAD_MAX = 56 << 20 };
/* A key's request, and its reply with a row of common size, need no memory of the heap; so it stays
 * where it is. */
enum { KV_WIRE_HEADER_SPACE = 128, KV_WIRE_PAYLOAD_SPACE = 512 };
struct kv_wire {
    struct buf header;
    struct buf payload;
    uint8_t header_space[KV_WIRE_HEADER_SPACE];
    uint8_t payload_space[KV_WIRE_PAYLOAD_SPACE];
};
void kv_wire_init(struct kv_wire *w);
void kv_wire_fini(struct kv_wire *w);

/* The deadline does not travel here but with the call (rpc/). */
MUST_USE db_err kv_request_encode(enum kv_method method, const union kv_any_req *req,
                                  struct kv_wire *w);
/* Sets r.arena to the arena and no deadline. */
MUST_USE db_err kv_request_decode(enum kv_method method, struct slice header, struct slice payload,
                                  struct arena *arena, union kv_any_req *ret_req);

/* err, diag (may be NULL) and reply always travel; resp with ERR_OK, and with what a method returns
 * beside an error (none today). count: values of MULTI_GET and LOCK. */
MUST_USE db_err kv_reply_encode(enum kv_method method, db_err err, const struct diag *diag,
                                const struct kv_reply *reply, const union kv_any_resp *resp,
                                size_t count, struct kv_wire *w);
/* Returns the error that travelled, with its text in diag; ERR_CORRUPT also for a malformed reply.
 * ret_resp is filled with ERR_OK; its `values` arrays have to be set by the caller to memory for
 * `count` elements. */
MUST_USE db_err kv_reply_decode(enum kv_method method, struct slice header, struct slice payload,
                                size_t count, struct arena *arena, struct diag *diag,
                                struct kv_reply *reply, union kv_any_resp *ret_resp);

/* ---- meta ---- */

enum meta_method {
    META_METHOD_TIMESTAMPS = 1,
    META_METHOD_LOOKUP = 2,
    META_METHOD_SEQUENCE_NEXT = 3,
    META_METHOD_REPORT_READS = 4,
    META_METHOD_RANGES_CHANGED = 5,
    META_METHOD_JOIN = 6,
    META_METHOD_HEARTBEAT = 7,
    META_METHOD_SET_NODE_STATE = 8,
    META_METHOD_FENCE = 9,
    META_METHOD_REPORT_WAITS = 10,
    META_METHOD__END
};

struct meta_call {
    uint64_t count; /* also: at most that many ranges */
    uint64_t floor;
    uint64_t step;
    uint64_t offset;
    struct slice name;
    struct slice start;
    struct slice end;
    node_id_t node;
    struct kv_reads reads; /* REPORT_READS */
    const struct range_desc *descs;
    unsigned desc_count;
    const struct node_info *self;
    enum node_state state;
    const struct kv_wait_edge *waits; /* REPORT_WAITS */
    unsigned wait_count;
};

struct meta_answer {
    uint64_t first;
    struct range_desc *descs;
    unsigned desc_count;
    struct node_directory dir;
    node_id_t leader;  /* ERR_NOT_LEADER: who leads the meta range; 0 unknown */
    uint64_t *victims; /* REPORT_WAITS */
    unsigned victim_count;
};

/* A member's record as the meta range keeps it. */
MUST_USE db_err node_info_encode(const struct node_info *info, struct buf *b);
MUST_USE db_err node_info_decode(struct slice bytes, struct node_info *ret_info);

/* In the header alone. */
MUST_USE db_err meta_call_encode(const struct meta_call *call, struct buf *header);
MUST_USE db_err meta_call_decode(struct slice header, struct arena *arena,
                                 struct meta_call *ret_call);
MUST_USE db_err meta_answer_encode(db_err err, const struct diag *diag,
                                   const struct meta_answer *answer, struct buf *header);
/* Returns the error that travelled; ret_answer is filled also with ERR_NOT_LEADER. */
MUST_USE db_err meta_answer_decode(struct slice header, struct arena *arena, struct diag *diag,
                                   struct meta_answer *ret_answer);

/* ---- what is asked of the node that leads a range ---- */

enum range_admin_op {
    RANGE_ADMIN_CHANGE_REPLICAS = 1,
    RANGE_ADMIN_TRANSFER_LEASE = 2, /* to `node` */
    RANGE_ADMIN_SPLIT = 3,          /* at `key`; answer: be64 id of the new range in the header */
    RANGE_ADMIN_MERGE = 4,          /* with its right neighbour; answer: be64 id of that */
    RANGE_ADMIN_WEIGH = 5,          /* is it to be merged? answer: be64 bytes */
};
enum { RANGE_ADMIN_CHANGES_MAX = 16 };

struct range_admin_change {
    bool remove;
    node_id_t node;
};

struct range_admin_call {
    enum range_admin_op op;
    range_id_t range;
    struct range_admin_change changes[RANGE_ADMIN_CHANGES_MAX];
    unsigned change_count;
    node_id_t node;
    struct slice key;
    bool may_lose_locks; /* of a lease */
};
MUST_USE db_err range_admin_encode(const struct range_admin_call *call, struct buf *header);
MUST_USE db_err range_admin_decode(struct slice header, struct arena *arena,
                                   struct range_admin_call *ret_call);

#endif
