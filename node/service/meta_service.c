#include "node/service/service.h"

static struct meta *meta_of(struct meta_service *s)
{
    return CONTAINER_OF(s, struct local_meta_service, base)->meta;
}

static db_err timestamps(struct meta_service *s, uint32_t count, struct diag *diag, ts_t *ret_first)
{
    return meta_timestamps(meta_of(s), count, diag, ret_first);
}

static db_err lookup(struct meta_service *s, struct slice start, struct slice end, unsigned max,
                     struct arena *arena, struct diag *diag, struct range_desc **ret_descs,
                     unsigned *ret_count)
{
    return meta_lookup(meta_of(s), start, end, max, arena, diag, ret_descs, ret_count);
}

static db_err sequence_next(struct meta_service *s, struct slice name, uint64_t floor,
                            uint64_t count, uint64_t step, uint64_t offset, struct diag *diag,
                            uint64_t *ret_first)
{
    return meta_sequence_next(meta_of(s), name, floor, count, step, offset, diag, ret_first);
}

static db_err report_reads(struct meta_service *s, node_id_t node, const struct kv_reads *reads,
                           struct diag *diag)
{
    return meta_report_reads(meta_of(s), node, reads, diag);
}

static db_err ranges_changed(struct meta_service *s, node_id_t node, const struct range_desc *descs,
                             unsigned count, struct diag *diag)
{
    return meta_ranges_changed(meta_of(s), node, descs, count, diag);
}

static db_err join(struct meta_service *s, struct slice token, const struct node_info *self,
                   struct arena *arena, struct diag *diag, struct node_directory *ret_dir)
{
    return meta_join(meta_of(s), token, self, arena, diag, ret_dir);
}

static db_err heartbeat(struct meta_service *s, const struct node_info *self, struct arena *arena,
                        struct diag *diag, struct node_directory *ret_dir)
{
    return meta_heartbeat(meta_of(s), self, arena, diag, ret_dir);
}

static db_err fence(struct meta_service *s, node_id_t node, uint32_t silent_ms, struct diag *diag)
{
    return meta_fence(meta_of(s), node, silent_ms, diag);
}

static db_err report_waits(struct meta_service *s, node_id_t node, const struct kv_wait_edge *edges,
                           unsigned count, struct arena *arena, struct diag *diag,
                           uint64_t **ret_victims, unsigned *ret_count)
{
    return meta_report_waits(meta_of(s), node, edges, count, arena, diag, ret_victims, ret_count);
}

static db_err set_node_state(struct meta_service *s, node_id_t node, enum node_state state,
                             struct diag *diag)
{
    return meta_set_node_state(meta_of(s), node, state, diag);
}

static const struct meta_service_ops local_meta_ops = {
    .name = "local",
    .timestamps = timestamps,
    .lookup = lookup,
    .sequence_next = sequence_next,
    .report_reads = report_reads,
    .ranges_changed = ranges_changed,
    .join = join,
    .heartbeat = heartbeat,
    .set_node_state = set_node_state,
    .fence = fence,
    .report_waits = report_waits,
};

void local_meta_service_init(struct local_meta_service *s, struct meta *m)
{
    s->base.ops = &local_meta_ops;
    s->meta = m;
}
