/* What ought to change in the placement of one range: a pure decision, given who lives.
 *
 * Private to node/meta and its tests. */
#ifndef SKEIN_NODE_META_PLACEMENT_H
#define SKEIN_NODE_META_PLACEMENT_H

#include "node/range/range.h"
#include "proto/kv_api.h"

struct placement_view {
    const struct node_info *nodes;
    unsigned count;
    unsigned replicas;     /* wanted of each range */
    node_id_t meta_leader; /* who leads the meta range; 0: does not matter */
    uint32_t load_worth;   /* a range with as much load counts as loaded; 0: none does */
    bool load_may_move;    /* leases may be moved for their load in this round */
};

enum placement_kind { PLACEMENT_NOTHING, PLACEMENT_REPLICAS, PLACEMENT_LEASE };
enum { PLACEMENT_CHANGES_MAX = 4 };

struct placement_step {
    enum placement_kind kind;
    struct replica_change changes[PLACEMENT_CHANGES_MAX];
    unsigned count;
    node_id_t lease_to;
    bool for_load;
    bool idle;       /* nothing forces it: evenness, nearness, load */
    const char *why; /* static: for the log */
};

/* desc->leader_hint must be known. An even number of voters is never aimed at: it takes as many
 * failures as the odd number below and more acknowledgements. */
void placement_choose(const struct placement_view *view, const struct range_desc *desc,
                      struct placement_step *ret_step);

/* Does the descriptor show what the step was to do? */
bool placement_done(const struct placement_step *step, const struct range_desc *desc);
/* Adds the range's replicas and its lease to the counts of their nodes, as they are when the step
 * is done (NULL: none is under way). */
void placement_count(struct node_info *nodes, unsigned count, const struct range_desc *desc,
                     const struct placement_step *step);

struct placement;
MUST_USE db_err placement_new(struct placement **ret_p);
void placement_free(struct placement *p);

#endif
