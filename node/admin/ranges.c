/* /ranges, /range/split and /range/lease. */
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
    return buf_printf(b, ",\"term\":%llu,\"applied\":%llu,\"compacted\":%llu,\"size\":%llu}",
                      (unsigned long long)st.term, (unsigned long long)st.applied,
                      (unsigned long long)st.compacted, (unsigned long long)st.size);
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

struct search {
    struct slice key;
    range_id_t id; /* 0: not found */
};

static db_err look_at(void *arg, const struct range_desc *desc, bool serving)
{
    (void)serving;
    struct search *s = arg;
    if (range_desc_contains(desc, s->key)) {
        s->id = desc->id;
    }
    return ERR_OK;
}

void admin__range_split(struct request *r)
{
    uint8_t key[sizeof(r->query) / 2];
    size_t len;
    if (parse_hex(r->query, key, &len) != ERR_OK) {
        request_fail(r, MHD_HTTP_BAD_REQUEST, "wanted: /range/split?key=HEX");
        return;
    }
    struct search s = {.key = slice_of(key, len)};
    struct diag diag = {0};
    range_id_t id;
    db_err err = range_store_each(r->ranges, look_at, &s);
    if (err == ERR_OK && s.id == 0) {
        request_fail(r, MHD_HTTP_NOT_FOUND, "no range on this node holds the key");
        return;
    }
    if (err == ERR_OK) {
        err = range_store_split(r->ranges, s.id, s.key, &diag, &id);
    }
    if (err != ERR_OK) {
        request_fail(r, MHD_HTTP_CONFLICT, "%s", diag.text[0] != '\0' ? diag.text : err_text(err));
        return;
    }
    r->content_type = "application/json";
    if (buf_printf(&r->reply, "{\"split\":%llu,\"new\":%llu}\n", (unsigned long long)s.id,
                   (unsigned long long)id) != ERR_OK) {
        request_fail(r, MHD_HTTP_INTERNAL_SERVER_ERROR, "out of memory");
    }
}

void admin__range_lease(struct request *r)
{
    unsigned long long range, node;
    char rest;
    struct diag diag = {0};
    if (sscanf(r->query, "%llu-%llu%c", &range, &node, &rest) != 2) {
        request_fail(r, MHD_HTTP_BAD_REQUEST, "wanted: /range/lease?key=RANGE-NODE");
        return;
    }
    db_err err = range_store_transfer_lease(r->ranges, range, node, &diag);
    if (err != ERR_OK) {
        request_fail(r, MHD_HTTP_CONFLICT, "%s", diag.text[0] != '\0' ? diag.text : err_text(err));
        return;
    }
    r->content_type = "application/json";
    if (buf_printf(&r->reply, "{\"range\":%llu,\"leader\":%llu}\n", range, node) != ERR_OK) {
        request_fail(r, MHD_HTTP_INTERNAL_SERVER_ERROR, "out of memory");
    }
}
