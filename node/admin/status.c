/* /status: the node for people and scripts. Members are only ever added. */
#include <microhttpd.h>
#include <unistd.h>

#include "base/clock.h"
#include "node/admin/admin_int.h"

static db_err put_storage(const struct admin *a, struct buf *b, struct range_store *ranges,
                          struct raft_log *log)
{
    struct cluster_health h;
    struct store_ident ident = range_store_ident(ranges);
    struct range_store_stats rs;
    struct engine_stats es;
    range_store_get_stats(ranges, &rs);
    engine_get_stats(range_store_engine(ranges), &es);
    TRY(buf_printf(b, ",\"node_id\":%llu,\"format_version\":%u,\"cluster_id\":",
                   (unsigned long long)ident.node_id, ident.format_version));
    TRY(json_hex(b, slice_of(ident.cluster_id, sizeof(ident.cluster_id))));
    TRY(buf_printf(
        b, ",\"ranges\":{\"count\":%llu,\"leases\":%llu,\"splits\":%llu,\"proposals\":%llu}",
        (unsigned long long)rs.ranges, (unsigned long long)rs.leases, (unsigned long long)rs.splits,
        (unsigned long long)rs.proposals));
    TRY(buf_printf(b,
                   ",\"store\":{\"sst_bytes\":%llu,\"memtable_bytes\":%llu,"
                   "\"block_cache_bytes\":%llu,\"write_stopped\":%s,\"disk_full\":%s}",
                   (unsigned long long)es.sst_size, (unsigned long long)es.memtable_size,
                   (unsigned long long)es.block_cache_size, es.write_stopped ? "true" : "false",
                   rs.disk_full ? "true" : "false"));
    admin__health(a, ranges, &h);
    TRY(buf_printf(b,
                   ",\"cluster\":{\"nodes\":%llu,\"alive\":%llu,\"suspect\":%llu,\"dead\":%llu,"
                   "\"draining\":%llu,\"under_replicated\":%llu}",
                   (unsigned long long)h.nodes, (unsigned long long)h.alive,
                   (unsigned long long)h.suspect, (unsigned long long)h.dead,
                   (unsigned long long)h.draining, (unsigned long long)h.under_replicated));
    if (log != NULL) {
        struct raft_log_stats ls;
        raft_log_stats(log, &ls);
        TRY(buf_printf(b, ",\"log\":{\"disk_bytes\":%llu,\"segments\":%llu,\"entries\":%llu}",
                       (unsigned long long)ls.disk_bytes, (unsigned long long)ls.segments_used,
                       (unsigned long long)ls.entries));
    }
    return ERR_OK;
}

static db_err put_status(struct request *r)
{
    static const char *const states[] = {"starting", "ready", "draining"};
    struct admin *a = r->admin;
    struct buf *b = &r->reply;
    TRY(buf_printf(b, "{\"version\":"));
    TRY(json_string(b, a->opts.version));
    TRY(buf_printf(b, ",\"state\":\"%s\",\"pid\":%d,\"uptime_s\":%llu,\"data_dir\":",
                   states[atomic_load(&a->state)], (int)getpid(),
                   (unsigned long long)((clock_wall_us() - a->start_us) / 1000000)));
    TRY(json_string(b, a->opts.data_dir));
    struct admin_snapshot now = {0};
    admin__process_snapshot(&now);
    TRY(buf_printf(b, ",\"process\":{\"resident_bytes\":%llu,\"cpu_ms\":%llu,\"threads\":%llu}",
                   (unsigned long long)now.resident_bytes, (unsigned long long)now.cpu_ms,
                   (unsigned long long)now.threads));
    struct range_store *ranges;
    struct raft_log *log;
    if (admin__borrow(a, &ranges, &log)) {
        db_err err = put_storage(a, b, ranges, log);
        admin__return(a);
        TRY(err);
    }
    if (a->opts.status != NULL) {
        TRY(a->opts.status(a->opts.ctx, b));
    }
    return buf_printf(b, "}\n");
}

void admin__status(struct request *r)
{
    r->content_type = "application/json";
    db_err err = put_status(r);
    if (err != ERR_OK) {
        request_fail(r, MHD_HTTP_INTERNAL_SERVER_ERROR, "%s", err_text(err));
    }
}
