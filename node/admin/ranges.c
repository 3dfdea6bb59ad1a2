/* /ranges, /range/split, /range/merge, /range/lease and /range/move. */
#include <microhttpd.h>
#include <stdio.h>

#include "node/admin/admin_int.h"

struct listing {
    struct request *request;
    bool first;
};

static db_err put_members(struct buf *b, const struct range_status *st)
{
    static const char *const kinds[] = {[REPLICA_VOTER] = "voter",
                                        [REPLICA_LEARNER] = "learner",
                                        [REPLICA_INCOMING] = "incoming",
                                        [REPLICA_OUTGOING] = "outgoing"};
    TRY(buf_printf(b, ",\"leader\":%llu,\"raft_term\":%llu,\"members\":[",
                   (unsigned long long)st->leader_node, (unsigned long long)st->raft_term));
    for (unsigned i = 0; i < st->member_count; i++) {
        const struct range_member_status *m = &st->members[i];
        TRY(buf_printf(b,
                       "%s{\"node\":%llu,\"kind\":\"%s\",\"match\":%llu,\"caught_up\":%s,"
                       "\"live\":%s}",
                       i == 0 ? "" : ",", (unsigned long long)m->node, kinds[m->kind],
                       (unsigned long long)m->match, m->caught_up ? "true" : "false",
                       m->live ? "true" : "false"));
    }
    return buf_printf(b, "]");
}

static db_err put_range(void *arg, const struct range_desc *desc, bool serving)
{
    struct listing *l = arg;
    struct buf *b = &l->request->reply;
    struct range_status st = {0};
    TRY(range_store_status(l->request->ranges, desc->id, &st));
    TRY(buf_printf(b, "%s\n{\"id\":%llu,\"serving\":%s,\"start\":", l->first ? "" : ",",
                   (unsigned long long)desc->id, serving ? "true" : "false"));
    l->first = false;
    TRY(json_hex(b, desc->start));
    TRY(buf_printf(b, ",\"end\":"));
    TRY(json_hex(b, desc->end));
    TRY(put_members(b, &st));
    return buf_printf(b,
                      ",\"term\":%llu,\"applied\":%llu,\"compacted\":%llu,\"size\":%llu,"
                      "\"load\":%llu}",
                      (unsigned long long)st.term, (unsigned long long)st.applied,
                      (unsigned long long)st.compacted, (unsigned long long)st.size,
                      (unsigned long long)st.load);
}

void admin__ranges(struct request *r)
{
    struct listing l = {.request = r, .first = true};
    r->content_type = "application/json";
    db_err err = buf_printf(&r->reply, "[");
    if (err == ERR_OK) {
        err = range_store_each(r->ranges, put_range, &l);
    }
    if (err == ERR_OK) {
        err = buf_printf(&r->reply, "\n]\n");
    }
    if (err != ERR_OK) {
        request_fail(r, MHD_HTTP_INTERNAL_SERVER_ERROR, "%s", err_text(err));
    }
}

static int digit(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static db_err parse_hex(const char *text, uint8_t *out, size_t *ret_len)
{
    size_t n = strlen(text);
    if (n == 0 || n % 2 != 0) {
        return ERR_INVALID;
    }
    for (size_t i = 0; i < n; i += 2) {
        int high = digit(text[i]), low = digit(text[i + 1]);
        if (high < 0 || low < 0) {
            return ERR_INVALID;
        }
        out[i / 2] = (uint8_t)(high << 4 | low);
    }
    *ret_len = n / 2;
    return ERR_OK;
}

/* No pages of the cluster: storage in memory. */
static bool has_cluster(struct request *r)
{
    if (r->admin->opts.cluster == NULL) {
        request_fail(r, MHD_HTTP_NOT_FOUND, "this node is in no cluster");
    }
    return r->admin->opts.cluster != NULL;
}

static void answer(struct request *r, db_err err, const struct diag *diag, db_err written)
{
    r->content_type = "application/json";
    if (err != ERR_OK) {
        request_fail(r, MHD_HTTP_CONFLICT, "%s",
                     diag->text[0] != '\0' ? diag->text : err_text(err));
    } else if (written != ERR_OK) {
        request_fail(r, MHD_HTTP_INTERNAL_SERVER_ERROR, "out of memory");
    }
}

void admin__range_split(struct request *r)
{
    uint8_t key[sizeof(r->query) / 2];
    size_t len;
    range_id_t range = 0;
    range_id_t id = 0;
    struct diag diag = {0};
    if (!has_cluster(r)) {
        return;
    }
    if (parse_hex(r->query, key, &len) != ERR_OK) {
        request_fail(r, MHD_HTTP_BAD_REQUEST, "wanted: /range/split?key=HEX");
        return;
    }
    const struct admin_opts *o = &r->admin->opts;
    db_err err = o->cluster->split(o->ctx, slice_of(key, len), &diag, &range, &id);
    db_err written = ERR_OK;
    if (err == ERR_OK) {
        written = buf_printf(&r->reply, "{\"split\":%llu,\"new\":%llu}\n",
                             (unsigned long long)range, (unsigned long long)id);
    }
    answer(r, err, &diag, written);
}

void admin__range_merge(struct request *r)
{
    unsigned long long range;
    char rest;
    range_id_t right = 0;
    struct diag diag = {0};
    if (!has_cluster(r)) {
        return;
    }
    if (sscanf(r->query, "%llu%c", &range, &rest) != 1) {
        request_fail(r, MHD_HTTP_BAD_REQUEST, "wanted: /range/merge?key=RANGE");
        return;
    }
    const struct admin_opts *o = &r->admin->opts;
    db_err err = o->cluster->merge(o->ctx, range, &diag, &right);
    db_err written = ERR_OK;
    if (err == ERR_OK) {
        written = buf_printf(&r->reply, "{\"range\":%llu,\"merged\":%llu}\n", range,
                             (unsigned long long)right);
    }
    answer(r, err, &diag, written);
}

void admin__range_lease(struct request *r)
{
    unsigned long long range, node;
    char rest;
    struct diag diag = {0};
    if (!has_cluster(r)) {
        return;
    }
    if (sscanf(r->query, "%llu-%llu%c", &range, &node, &rest) != 2) {
        request_fail(r, MHD_HTTP_BAD_REQUEST, "wanted: /range/lease?key=RANGE-NODE");
        return;
    }
    const struct admin_opts *o = &r->admin->opts;
    db_err err = o->cluster->lease(o->ctx, range, node, &diag);
    db_err written = ERR_OK;
    if (err == ERR_OK) {
        written = buf_printf(&r->reply, "{\"range\":%llu,\"leader\":%llu}\n", range, node);
    }
    answer(r, err, &diag, written);
}

void admin__range_move(struct request *r)
{
    unsigned long long range, from, to;
    char rest;
    struct diag diag = {0};
    if (!has_cluster(r)) {
        return;
    }
    if (sscanf(r->query, "%llu-%llu-%llu%c", &range, &from, &to, &rest) != 3) {
        request_fail(r, MHD_HTTP_BAD_REQUEST, "wanted: /range/move?key=RANGE-FROM-TO");
        return;
    }
    const struct admin_opts *o = &r->admin->opts;
    db_err err = o->cluster->move(o->ctx, range, from, to, &diag);
    db_err written = ERR_OK;
    if (err == ERR_OK) {
        written =
            buf_printf(&r->reply, "{\"range\":%llu,\"from\":%llu,\"to\":%llu}\n", range, from, to);
    }
    answer(r, err, &diag, written);
}
