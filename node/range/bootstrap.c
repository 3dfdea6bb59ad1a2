#include "node/range/range_int.h"

#include "base/rand.h"

/* A new engine becomes the first node of a new cluster: identity, the two first ranges, all in one
 * batch (or a node of one that is there: the identity alone) that is durable before anything else
 * happens. A crash before that leaves an empty engine, and the next start begins again; the Raft
 * groups are made when the replicas open. */

static db_err put_range(struct engine_wbatch *wb, range_id_t id, struct slice start,
                        struct slice end, range_id_t right, node_id_t node)
{
    struct range_desc desc = {.id = id,
                              .start = start,
                              .end = end,
                              .epoch = {.version = 1, .conf = 1},
                              .replica_count = 1,
                              .replicas = {{node, 1, REPLICA_VOTER}},
                              .right_id = right};
    struct raft_conf conf = {.count = 1, .members = {{1, RAFT_ROLE_VOTER}}};
    TRY(store_put_desc(wb, &desc));
    TRY(store_put_conf(wb, id, &conf, 0));
    return engine_wbatch_applied(wb, id, RANGE_INIT_INDEX, RANGE_INIT_TERM);
}

static void count_group(void *arg, const struct raft_log_group *info)
{
    (void)info;
    ++*(unsigned *)arg;
}

static db_err write_first_state(struct range_store *rs, struct diag *diag)
{
    static const uint8_t meta_end[] = {KEYSPACE_META + 1};
    struct engine_wbatch *wb;
    TRY(engine_wbatch_new(rs->opts.engine, &wb));
    db_err err = ERR_OK;
    TRY_GOTO(store_put_ident(wb, &rs->ident), out);
    if (rs->opts.join != NULL) {
        TRY_GOTO(engine_apply(rs->opts.engine, wb, diag), out);
        TRY_GOTO(engine_flush_wait(rs->opts.engine), out);
        goto out;
    }
    /* the meta range begins at the very first key, so that no key is in no range */
    TRY_GOTO(put_range(wb, RANGE_ID_META, SLICE_EMPTY, slice_of(meta_end, 1), RANGE_ID_FIRST,
                       rs->ident.node_id),
             out);
    TRY_GOTO(
        put_range(wb, RANGE_ID_FIRST, slice_of(meta_end, 1), SLICE_EMPTY, 0, rs->ident.node_id),
        out);
    TRY_GOTO(engine_apply(rs->opts.engine, wb, diag), out);
    TRY_GOTO(engine_flush_wait(rs->opts.engine), out);
out:
    engine_wbatch_free(wb);
    return err;
}

db_err store_bootstrap(struct range_store *rs, struct diag *diag)
{
    unsigned groups = 0;
    raft_log_group_each(rs->opts.log, count_group, &groups);
    if (groups != 0) {
        return diag_set(diag, ERR_CORRUPT,
                        "the Raft log holds %u groups but the store is empty: the store's files "
                        "are missing or belong to another data directory",
                        groups);
    }
    if (rs->opts.join != NULL) {
        rs->ident = *rs->opts.join;
        rs->ident.format_version = STORE_FORMAT_VERSION;
        return write_first_state(rs, diag);
    }
    rs->ident = (struct store_ident){.format_version = STORE_FORMAT_VERSION, .node_id = 1};
    TRY(rand_secure(rs->ident.cluster_id, sizeof(rs->ident.cluster_id)));
    return write_first_state(rs, diag);
}
