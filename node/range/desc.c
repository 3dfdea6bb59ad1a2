#include "node/range/range_int.h"

#include "base/alloc.h"
#include "base/assert.h"
#include "node/store/keyspace.h"
#include "node/store/varint.h"

/* Descriptors and the other small records that the store keeps in ENGINE_LOCAL. Formats:
 * docs/formats/range.md. */

enum {
    DESC_VERSION = 1,
    DESC_VERSION_FROZEN = 2, /* ends with the range that it is to be merged into */
    DESC_VERSION_RIGHT = 3,  /* ends with that (0: none) and the right neighbour's id */
    CONF_VERSION = 1,
    GONE_VERSION = 1,
};
enum { GONE_F_BOUNDS = 1, GONE_F_KEEP_LOG = 2, GONE_F_INTO = 4 };

static const uint8_t ident_key[] = {LOCAL_NODE, 'i', 'd', 'e', 'n', 't'};
static const uint8_t opens_key[] = {LOCAL_NODE, 'o', 'p', 'e', 'n', 's'};

static db_err append_varint(struct buf *b, uint64_t v)
{
    uint8_t bytes[VARINT_MAX];
    return buf_append(b, bytes, varint_put(bytes, v));
}

static db_err append_key(struct buf *b, struct slice key)
{
    TRY(append_varint(b, key.len));
    return buf_append_slice(b, key);
}

db_err range_desc_encode(struct buf *b, const struct range_desc *d)
{
    ASSERT(d->replica_count <= RANGE_REPLICAS_MAX);
    size_t before = b->len;
    bool frozen = d->merging_into != 0;
    uint8_t format = d->right_id != 0 ? DESC_VERSION_RIGHT
                     : frozen         ? DESC_VERSION_FROZEN
                                      : DESC_VERSION;
    db_err err = buf_append_u8(b, format);
    const uint64_t numbers[] = {d->id, d->epoch.version, d->epoch.conf};
    for (size_t i = 0; i < ARRAY_COUNT(numbers) && err == ERR_OK; i++) {
        err = append_varint(b, numbers[i]);
    }
    if (err == ERR_OK) {
        err = append_key(b, d->start);
    }
    if (err == ERR_OK) {
        err = append_key(b, d->end);
    }
    if (err == ERR_OK) {
        err = append_varint(b, d->replica_count);
    }
    for (unsigned i = 0; i < d->replica_count && err == ERR_OK; i++) {
        err = append_varint(b, d->replicas[i].node);
        if (err == ERR_OK) {
            err = append_varint(b, d->replicas[i].replica_id);
        }
        if (err == ERR_OK) {
            err = buf_append_u8(b, (uint8_t)d->replicas[i].kind);
        }
    }
    if (err == ERR_OK && format != DESC_VERSION) {
        err = append_varint(b, d->merging_into);
    }
    if (err == ERR_OK && format == DESC_VERSION_RIGHT) {
        err = append_varint(b, d->right_id);
    }
    if (err != ERR_OK) {
        b->len = before;
    }
    return err;
}

static bool get_key(const uint8_t **pos, const uint8_t *end, struct slice *ret_key)
{
    uint64_t len;
    if (!varint_get(pos, end, &len) || len > (uint64_t)(end - *pos)) {
        return false;
    }
    *ret_key = slice_of(*pos, len);
    *pos += len;
    return true;
}

static bool parse_desc(struct slice bytes, struct range_desc *d)
{
    const uint8_t *pos = bytes.ptr;
    const uint8_t *end = bytes.ptr + bytes.len;
    uint64_t count;
    uint8_t format = bytes.len == 0 ? 0 : *pos++;
    if (format < DESC_VERSION || format > DESC_VERSION_RIGHT || !varint_get(&pos, end, &d->id) ||
        !varint_get(&pos, end, &d->epoch.version) || !varint_get(&pos, end, &d->epoch.conf) ||
        !get_key(&pos, end, &d->start) || !get_key(&pos, end, &d->end) ||
        !varint_get(&pos, end, &count) || count > RANGE_REPLICAS_MAX) {
        return false;
    }
    d->replica_count = (unsigned)count;
    for (unsigned i = 0; i < d->replica_count; i++) {
        struct replica_desc *r = &d->replicas[i];
        if (!varint_get(&pos, end, &r->node) || !varint_get(&pos, end, &r->replica_id) ||
            pos == end || *pos > REPLICA_OUTGOING) {
            return false;
        }
        r->kind = (enum replica_kind) * pos++;
    }
    if (format == DESC_VERSION_FROZEN &&
        (!varint_get(&pos, end, &d->merging_into) || d->merging_into == 0)) {
        return false;
    }
    if (format == DESC_VERSION_RIGHT &&
        (!varint_get(&pos, end, &d->merging_into) || !varint_get(&pos, end, &d->right_id) ||
         d->right_id == 0)) {
        return false;
    }
    return pos == end && d->id != 0;
}

db_err range_desc_decode(struct slice bytes, struct arena *arena, struct range_desc *ret_desc)
{
    struct range_desc d = {0};
    if (!parse_desc(bytes, &d)) {
        return ERR_CORRUPT;
    }
    return range_desc_copy(arena, &d, ret_desc);
}

db_err range_desc_copy(struct arena *arena, const struct range_desc *desc,
                       struct range_desc *ret_desc)
{
    struct range_desc d = *desc;
    TRY(arena_copy(arena, desc->start, &d.start));
    TRY(arena_copy(arena, desc->end, &d.end));
    *ret_desc = d;
    return ERR_OK;
}

struct range_view *range_view_new(const struct range_desc *desc)
{
    struct range_view *v = mem_alloc(sizeof(*v) + desc->start.len + desc->end.len);
    if (v != NULL) {
        uint8_t *keys = (uint8_t *)(v + 1);
        v->desc = *desc;
        if (desc->start.len != 0) {
            memcpy(keys, desc->start.ptr, desc->start.len);
        }
        v->desc.start = slice_of(keys, desc->start.len);
        keys += desc->start.len;
        if (desc->end.len != 0) {
            memcpy(keys, desc->end.ptr, desc->end.len);
        }
        v->desc.end = slice_of(keys, desc->end.len);
    }
    return v;
}

static void view_free(struct ebr_node *n)
{
    mem_free(CONTAINER_OF(n, struct range_view, ebr));
}

void range_view_publish(struct replica *r, struct range_view *v)
{
    atomic_store(&r->merging_into, v->desc.merging_into);
    struct range_view *old = atomic_exchange(&r->view, v);
    if (old != NULL) {
        ebr_retire(&r->rs->ebr, &old->ebr, view_free);
    }
}

db_err store_put_desc(struct engine_wbatch *wb, const struct range_desc *desc)
{
    uint8_t key[LOCAL_RANGE_KEY_SIZE];
    struct buf b;
    buf_init(&b, 1 << 20);
    local_range_key(key, desc->id, LOCAL_RANGE_DESC);
    db_err err = range_desc_encode(&b, desc);
    if (err == ERR_OK) {
        err = engine_wbatch_put(wb, ENGINE_LOCAL, slice_of(key, sizeof(key)), buf_slice(&b));
    }
    buf_fini(&b);
    return err;
}

db_err store_put_conf(struct engine_wbatch *wb, range_id_t id, const struct raft_conf *conf,
                      uint64_t conf_index)
{
    uint8_t key[LOCAL_RANGE_KEY_SIZE];
    uint8_t value[1 + 8 + RAFT_CONF_ENCODED_MAX];
    local_range_key(key, id, LOCAL_RANGE_CONF);
    value[0] = CONF_VERSION;
    put_be64(value + 1, conf_index);
    size_t n = 9 + raft_conf_encode(conf, value + 9);
    return engine_wbatch_put(wb, ENGINE_LOCAL, slice_of(key, sizeof(key)), slice_of(value, n));
}

db_err store_conf_decode(struct slice value, struct raft_conf *ret_conf, uint64_t *ret_index)
{
    if (value.len < 9 || value.ptr[0] != CONF_VERSION) {
        return ERR_CORRUPT;
    }
    TRY(raft_conf_decode(slice_from(value, 9), ret_conf));
    *ret_index = get_be64(value.ptr + 1);
    return ERR_OK;
}

db_err store_get_conf(struct engine *e, range_id_t id, struct raft_conf *ret_conf,
                      uint64_t *ret_index)
{
    uint8_t key[LOCAL_RANGE_KEY_SIZE];
    struct arena a;
    struct slice value;
    bool found = false;
    arena_init(&a, NULL, NULL, 0);
    local_range_key(key, id, LOCAL_RANGE_CONF);
    db_err err = engine_get_tier(e, ENGINE_LOCAL, slice_of(key, sizeof(key)), ENGINE_ANY, &a,
                                 &found, &value);
    if (err == ERR_OK) {
        err = found ? store_conf_decode(value, ret_conf, ret_index) : ERR_CORRUPT;
    }
    arena_fini(&a);
    return err;
}

db_err store_put_ident(struct engine_wbatch *wb, const struct store_ident *ident)
{
    uint8_t value[4 + 16 + 8];
    value[0] = (uint8_t)(ident->format_version >> 24);
    value[1] = (uint8_t)(ident->format_version >> 16);
    value[2] = (uint8_t)(ident->format_version >> 8);
    value[3] = (uint8_t)ident->format_version;
    memcpy(value + 4, ident->cluster_id, 16);
    put_be64(value + 20, ident->node_id);
    return engine_wbatch_put(wb, ENGINE_LOCAL, slice_of(ident_key, sizeof(ident_key)),
                             slice_of(value, sizeof(value)));
}

db_err store_get_ident(struct engine *e, struct diag *diag, bool *ret_found,
                       struct store_ident *ret_ident)
{
    struct arena a;
    struct slice v;
    bool found = false;
    arena_init(&a, NULL, NULL, 0);
    db_err err = engine_get_tier(e, ENGINE_LOCAL, slice_of(ident_key, sizeof(ident_key)),
                                 ENGINE_ANY, &a, &found, &v);
    if (err == ERR_OK && found) {
        struct store_ident id = {0};
        if (v.len >= 4) {
            id.format_version = (uint32_t)v.ptr[0] << 24 | (uint32_t)v.ptr[1] << 16 |
                                (uint32_t)v.ptr[2] << 8 | v.ptr[3];
        }
        if (v.len < 4) {
            err = diag_set(diag, ERR_CORRUPT, "the identity of the data directory is damaged");
        } else if (id.format_version != STORE_FORMAT_VERSION) {
            err = diag_set(diag, ERR_UNSUPPORTED,
                           "the data directory has format version %u, this program reads and "
                           "writes version %d: use the program that wrote it, or another directory",
                           id.format_version, STORE_FORMAT_VERSION);
        } else if (v.len != 28) {
            err = diag_set(diag, ERR_CORRUPT, "the identity of the data directory is damaged");
        } else {
            memcpy(id.cluster_id, v.ptr + 4, 16);
            id.node_id = get_be64(v.ptr + 20);
            *ret_ident = id;
        }
    }
    arena_fini(&a);
    if (err == ERR_OK) {
        *ret_found = found;
    }
    return err;
}

db_err store_next_incarnation(struct engine *e, struct diag *diag, uint64_t *ret_number)
{
    struct arena a;
    struct slice v;
    bool found;
    uint8_t bytes[8];
    uint64_t number = 1;
    struct engine_wbatch *wb = NULL;
    arena_init(&a, NULL, NULL, 0);
    db_err err =
        engine_get(e, ENGINE_LOCAL, slice_of(opens_key, sizeof(opens_key)), &a, &found, &v);
    if (err == ERR_OK && found) {
        err = v.len == 8 && get_be64(v.ptr) < UINT32_MAX ? ERR_OK : ERR_CORRUPT;
        number = err == ERR_OK ? get_be64(v.ptr) + 1 : 0;
    }
    put_be64(bytes, number);
    if (err == ERR_OK) {
        err = engine_wbatch_new(e, &wb);
    }
    if (err == ERR_OK) {
        err = engine_wbatch_put(wb, ENGINE_LOCAL, slice_of(opens_key, sizeof(opens_key)),
                                slice_of(bytes, sizeof(bytes)));
    }
    if (err == ERR_OK) {
        err = engine_apply(e, wb, diag);
    }
    if (err == ERR_OK) {
        err = engine_flush_wait(e);
    }
    if (wb != NULL) {
        engine_wbatch_free(wb);
    }
    arena_fini(&a);
    TRY(err);
    *ret_number = number;
    return ERR_OK;
}

/* ---- ranges that are not here ---- */

db_err store_put_gone(struct engine_wbatch *wb, const struct store_gone *gone)
{
    uint8_t key[LOCAL_RANGE_KEY_SIZE];
    struct buf b;
    buf_init(&b, 1 << 20);
    local_range_key(key, gone->id, LOCAL_RANGE_GONE);
    db_err err = buf_append_u8(&b, GONE_VERSION);
    if (err == ERR_OK) {
        err = append_varint(&b, gone->min_replica_id);
    }
    if (err == ERR_OK) {
        err = buf_append_u8(&b, (uint8_t)((gone->has_bounds ? GONE_F_BOUNDS : 0) |
                                          (gone->keep_log ? GONE_F_KEEP_LOG : 0) |
                                          (gone->into != 0 ? GONE_F_INTO : 0)));
    }
    if (err == ERR_OK && gone->has_bounds) {
        err = append_key(&b, gone->start);
    }
    if (err == ERR_OK && gone->has_bounds) {
        err = append_key(&b, gone->end);
    }
    if (err == ERR_OK && gone->into != 0) {
        err = append_varint(&b, gone->into);
    }
    if (err == ERR_OK) {
        err = engine_wbatch_put(wb, ENGINE_LOCAL, slice_of(key, sizeof(key)), buf_slice(&b));
    }
    buf_fini(&b);
    return err;
}

static bool parse_gone(struct slice key, struct slice value, struct store_gone *g)
{
    const uint8_t *pos = value.ptr;
    const uint8_t *end = value.ptr + value.len;
    *g = (struct store_gone){.id = get_be64(key.ptr + 1)};
    if (value.len == 0 || *pos++ != GONE_VERSION || !varint_get(&pos, end, &g->min_replica_id) ||
        pos == end) {
        return false;
    }
    uint8_t flags = *pos++;
    g->has_bounds = (flags & GONE_F_BOUNDS) != 0;
    g->keep_log = (flags & GONE_F_KEEP_LOG) != 0;
    if (g->has_bounds && (!get_key(&pos, end, &g->start) || !get_key(&pos, end, &g->end))) {
        return false;
    }
    if ((flags & GONE_F_INTO) != 0 && (!varint_get(&pos, end, &g->into) || g->into == 0)) {
        return false;
    }
    return pos == end;
}

db_err store_min_replica(struct engine *e, range_id_t id, uint64_t *ret_min)
{
    uint8_t bytes[LOCAL_RANGE_KEY_SIZE];
    const struct slice key = slice_of(bytes, sizeof(bytes));
    struct store_gone g = {0};
    struct arena a;
    struct slice value;
    bool found = false;
    arena_init(&a, NULL, NULL, 0);
    local_range_key(bytes, id, LOCAL_RANGE_GONE);
    db_err err = engine_get_tier(e, ENGINE_LOCAL, key, ENGINE_ANY, &a, &found, &value);
    if (err == ERR_OK && found && !parse_gone(key, value, &g)) {
        err = ERR_CORRUPT;
    }
    arena_fini(&a);
    TRY(err);
    *ret_min = found ? g.min_replica_id : 0;
    return ERR_OK;
}

db_err store_delete_desc(struct engine_wbatch *wb, range_id_t id)
{
    uint8_t key[LOCAL_RANGE_KEY_SIZE];
    local_range_key(key, id, LOCAL_RANGE_DESC);
    TRY(engine_wbatch_delete(wb, ENGINE_LOCAL, slice_of(key, sizeof(key))));
    local_range_key(key, id, LOCAL_RANGE_CONF);
    return engine_wbatch_delete(wb, ENGINE_LOCAL, slice_of(key, sizeof(key)));
}

db_err store_delete_gone(struct engine_wbatch *wb, range_id_t id)
{
    uint8_t key[LOCAL_RANGE_KEY_SIZE];
    local_range_key(key, id, LOCAL_RANGE_GONE);
    return engine_wbatch_delete(wb, ENGINE_LOCAL, slice_of(key, sizeof(key)));
}

/* Transaction records sort by key and timestamp as one string: bounds of keys are no bounds of
 * theirs, so each is looked at (as the clean-up of old records in node/mvcc does). */
static db_err delete_records(struct engine *e, struct engine_wbatch *wb, struct slice start,
                             struct slice end)
{
    struct engine_iter_opts opts = {.tier = ENGINE_ANY, .bulk = true};
    struct engine_iter *it = NULL;
    struct buf from;
    buf_init(&from, 1 << 20);
    db_err err = buf_append_u8(&from, LOCAL_TXN);
    if (err == ERR_OK) {
        err = buf_append_slice(&from, start);
    }
    if (err == ERR_OK) {
        err = engine_iter_open(e, ENGINE_LOCAL, &opts, &it);
    }
    if (err == ERR_OK) {
        err = engine_iter_seek(it, buf_slice(&from));
    }
    while (err == ERR_OK && it->valid) {
        enum txn_record_place place = txn_record_place(it->key, start, end);
        if (place == TXN_RECORD_BEYOND) {
            break;
        }
        if (place == TXN_RECORD_INSIDE) {
            err = engine_wbatch_delete(wb, ENGINE_LOCAL, it->key);
        }
        if (err == ERR_OK) {
            err = engine_iter_next(it);
        }
    }
    engine_iter_close(it);
    buf_fini(&from);
    return err;
}

enum txn_record_place txn_record_place(struct slice key, struct slice start, struct slice end)
{
    if (key.len < 9 || key.ptr[0] != LOCAL_TXN) {
        return TXN_RECORD_BEYOND;
    }
    struct slice user = slice_of(key.ptr + 1, key.len - 9);
    if (end.len != 0 && slice_cmp(user, end) >= 0) {
        return slice_starts_with(user, end) ? TXN_RECORD_OUTSIDE : TXN_RECORD_BEYOND;
    }
    return slice_cmp(user, start) >= 0 ? TXN_RECORD_INSIDE : TXN_RECORD_OUTSIDE;
}

db_err store_delete_data(struct engine *e, struct engine_wbatch *wb, struct slice start,
                         struct slice end)
{
    struct arena a;
    struct slice lo;
    struct slice hi = SLICE_EMPTY;
    arena_init(&a, NULL, NULL, 0);
    db_err err = data_key_make(&a, start, UINT64_MAX, &lo);
    if (err == ERR_OK && end.len != 0) {
        err = data_key_make(&a, end, UINT64_MAX, &hi);
    }
    if (err == ERR_OK) {
        err = engine_wbatch_delete_range(wb, ENGINE_DATA, lo, hi);
    }
    if (err == ERR_OK) {
        err = engine_wbatch_delete_range(wb, ENGINE_LOCK, start, end);
    }
    arena_fini(&a);
    return err == ERR_OK ? delete_records(e, wb, start, end) : err;
}

/* ---- walking over all ranges' records ---- */

static db_err visit_desc(struct slice key, struct slice value, struct arena *arena,
                         struct diag *diag, db_err (*fn)(void *arg, const struct range_desc *desc),
                         void *arg)
{
    if (key.len != LOCAL_RANGE_KEY_SIZE || key.ptr[LOCAL_RANGE_KEY_SIZE - 1] != LOCAL_RANGE_DESC) {
        return ERR_OK;
    }
    struct range_desc desc;
    db_err err = range_desc_decode(value, arena, &desc);
    if (err == ERR_OK && desc.id != get_be64(key.ptr + 1)) {
        err = ERR_CORRUPT;
    }
    if (err != ERR_OK) {
        return diag_set(diag, err, "the descriptor of range %llu cannot be read",
                        (unsigned long long)get_be64(key.ptr + 1));
    }
    return fn(arg, &desc);
}

db_err store_each_desc(struct engine *e, struct diag *diag,
                       db_err (*fn)(void *arg, const struct range_desc *desc), void *arg)
{
    const uint8_t prefix[] = {LOCAL_RANGE};
    struct slice first = slice_of(prefix, sizeof(prefix));
    struct engine_iter_opts opts = {.tier = ENGINE_ANY};
    struct engine_iter *it = NULL;
    struct arena arena;
    arena_init(&arena, NULL, NULL, 0);
    db_err err = engine_iter_open(e, ENGINE_LOCAL, &opts, &it);
    if (err == ERR_OK) {
        err = engine_iter_seek(it, first);
    }
    while (err == ERR_OK && it->valid && slice_starts_with(it->key, first)) {
        err = visit_desc(it->key, it->value, &arena, diag, fn, arg);
        if (err == ERR_OK) {
            err = engine_iter_next(it);
        }
    }
    engine_iter_close(it);
    arena_fini(&arena);
    return err;
}

struct gone_walk {
    db_err (*fn)(void *arg, const struct store_gone *gone);
    void *arg;
};

static db_err visit_gone(const struct gone_walk *w, struct slice key, struct slice value)
{
    struct store_gone g;
    if (key.len != LOCAL_RANGE_KEY_SIZE || key.ptr[LOCAL_RANGE_KEY_SIZE - 1] != LOCAL_RANGE_GONE) {
        return ERR_OK;
    }
    return parse_gone(key, value, &g) ? w->fn(w->arg, &g) : ERR_CORRUPT;
}

db_err store_each_gone(struct engine *e, struct diag *diag,
                       db_err (*fn)(void *arg, const struct store_gone *gone), void *arg)
{
    const struct gone_walk w = {fn, arg};
    const uint8_t prefix[] = {LOCAL_RANGE};
    struct slice first = slice_of(prefix, sizeof(prefix));
    struct engine_iter_opts opts = {.tier = ENGINE_ANY};
    struct engine_iter *it = NULL;
    db_err err = engine_iter_open(e, ENGINE_LOCAL, &opts, &it);
    if (err == ERR_OK) {
        err = engine_iter_seek(it, first);
    }
    while (err == ERR_OK && it->valid && slice_starts_with(it->key, first)) {
        err = visit_gone(&w, it->key, it->value);
        if (err == ERR_OK) {
            err = engine_iter_next(it);
        }
    }
    engine_iter_close(it);
    return err == ERR_OK ? ERR_OK
                         : diag_set(diag, err, "the records of removed replicas cannot be read");
}

db_err range_store_read_ident(struct engine *e, struct diag *diag, bool *ret_found,
                              struct store_ident *ret_ident)
{
    return store_get_ident(e, diag, ret_found, ret_ident);
}
