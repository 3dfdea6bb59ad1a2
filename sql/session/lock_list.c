/* The locks of the cluster as performance_schema shows them.
 *
 * Each node tells of its lock tables (the ranges that it leads), of its sessions that have a
 * transaction, and of its metadata locks, in a form of its own that the asking engine decodes. The
 * named locks are the cluster's anyway.
 *
 * A list is records one after the other: a letter, then numbers (8 bytes, big endian) and keys,
 * each with a length of 4 bytes.
 *   N node: what follows is its
 *   L transaction, wait, flags, key, end (flags: from bit 8 on, of how many keys from key to end)
 *   W wait, waiter, blocker: of a wait of L
 *   S connection, transaction
 *   M connection, id, flags: a metadata lock
 * What an engine of a later version tells besides ends the list for this one. */
#include "sql/session/lock_list.h"

#include "sql/session/session_int.h"
#include "sql/session/user_lock.h"

enum { LOCK_LIST_MAX = 64 << 20, MDL_FIRST_MAX = 1024 };
enum { FLAG_SPAN = 1, FLAG_SHARED = 2, FLAG_INSERT = 4, FLAG_FOR_SPAN = 8, PACKED_SHIFT = 8 };
enum { FLAG_EXCLUSIVE = 1, FLAG_WAITS = 2 };

/* ---- what this node tells ---- */

static db_err put_numbers(struct buf *b, char what, const uint64_t *v, size_t count)
{
    TRY(buf_append_u8(b, (uint8_t)what));
    for (size_t i = 0; i < count; i++) {
        uint8_t bytes[8];
        for (int k = 0; k < 8; k++) {
            bytes[k] = (uint8_t)(v[i] >> (56 - 8 * k));
        }
        TRY(buf_append(b, bytes, sizeof(bytes)));
    }
    return ERR_OK;
}

static db_err put_key(struct buf *b, struct slice key)
{
    for (int shift = 24; shift >= 0; shift -= 8) {
        TRY(buf_append_u8(b, (uint8_t)(key.len >> shift)));
    }
    return buf_append_slice(b, key);
}

static db_err put_lock(void *arg, const struct sql_data_lock *l)
{
    struct buf *b = arg;
    uint64_t flags = (l->span ? FLAG_SPAN : 0u) | (l->shared ? FLAG_SHARED : 0u) |
                     (l->insert ? FLAG_INSERT : 0u) | (l->for_span ? FLAG_FOR_SPAN : 0u) |
                     l->packed << PACKED_SHIFT;
    const uint64_t numbers[] = {l->txn, l->wait, flags};
    TRY(put_numbers(b, 'L', numbers, ARRAY_COUNT(numbers)));
    TRY(put_key(b, l->key));
    return put_key(b, l->end);
}

static db_err put_wait(void *arg, const struct sql_wait_edge *e)
{
    const uint64_t numbers[] = {e->wait, e->waiter, e->blocker};
    return put_numbers(arg, 'W', numbers, ARRAY_COUNT(numbers));
}

static db_err put_sessions(struct sql_engine *e, struct buf *out)
{
    db_err err = ERR_OK;
    fiber_mutex_lock(&e->sessions_mutex);
    LIST_FOREACH (node, &e->sessions) {
        const struct sql_session *s = CONTAINER_OF(node, struct sql_session, node);
        const uint64_t numbers[] = {s->connection_id,
                                    atomic_load_explicit(&s->txn_id, memory_order_relaxed)};
        if (err == ERR_OK && numbers[1] != 0) {
            err = put_numbers(out, 'S', numbers, ARRAY_COUNT(numbers));
        }
    }
    fiber_mutex_unlock(&e->sessions_mutex);
    return err;
}

static db_err put_metadata(struct sql_engine *e, struct arena *a, struct buf *out)
{
    uint32_t room = MDL_FIRST_MAX;
    struct mdl_lock_info *list;
    uint32_t n;
    for (;;) {
        list = ARENA_ARRAY(a, struct mdl_lock_info, room);
        if (list == NULL) {
            return ERR_NOMEM;
        }
        n = mdl_list(e->mdl, room, list);
        if (n <= room) {
            break;
        }
        room = n + n / 4;
    }
    for (uint32_t i = 0; i < n; i++) {
        uint64_t flags =
            (list[i].exclusive ? FLAG_EXCLUSIVE : 0u) | (list[i].waits ? FLAG_WAITS : 0u);
        const uint64_t numbers[] = {list[i].session, list[i].id, flags};
        TRY(put_numbers(out, 'M', numbers, ARRAY_COUNT(numbers)));
    }
    return ERR_OK;
}

db_err engine_list_locks(struct sql_engine *e, struct buf *out)
{
    const struct sql_lock_source *source = &e->lock_source;
    struct arena a;
    TRY(put_numbers(out, 'N', &e->opts.server_id, 1));
    TRY(source->each == NULL ? ERR_OK : source->each(source->ctx, put_lock, put_wait, out));
    TRY(put_sessions(e,
                     out)); /* after the locks: who had one is among them, or has given it back */
    arena_init(&a, NULL, NULL, 0);
    db_err err = put_metadata(e, &a, out);
    arena_fini(&a);
    return err;
}

/* ---- what all have told ---- */

struct reader {
    struct slice rest;
    struct infoschema_locks *ret;
    uint64_t node;
    bool store; /* the first time it is only counted */
};

static bool take_number(struct slice *io, uint64_t *ret)
{
    if (io->len < 8) {
        return false;
    }
    *ret = 0;
    for (int i = 0; i < 8; i++) {
        *ret = *ret << 8 | io->ptr[i];
    }
    *io = slice_from(*io, 8);
    return true;
}

static bool take_numbers(struct slice *io, uint64_t *ret, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (!take_number(io, &ret[i])) {
            return false;
        }
    }
    return true;
}

static bool take_key(struct slice *io, struct slice *ret)
{
    if (io->len < 4) {
        return false;
    }
    size_t n =
        (size_t)io->ptr[0] << 24 | (size_t)io->ptr[1] << 16 | (size_t)io->ptr[2] << 8 | io->ptr[3];
    *io = slice_from(*io, 4);
    if (n > io->len) {
        return false;
    }
    *ret = slice_of(io->ptr, n);
    *io = slice_from(*io, n);
    return true;
}

static bool take_lock(struct reader *r)
{
    struct infoschema_locks *l = r->ret;
    uint64_t v[3];
    struct slice key;
    struct slice end;
    if (!take_numbers(&r->rest, v, 3) || !take_key(&r->rest, &key) || !take_key(&r->rest, &end)) {
        return false;
    }
    if (r->store) {
        l->data[l->data_count] =
            (struct infoschema_data_lock){.node = r->node,
                                          .txn = v[0],
                                          .wait = v[1],
                                          .span = (v[2] & FLAG_SPAN) != 0,
                                          .shared = (v[2] & FLAG_SHARED) != 0,
                                          .insert = (v[2] & FLAG_INSERT) != 0,
                                          .for_span = (v[2] & FLAG_FOR_SPAN) != 0,
                                          .packed = v[2] >> PACKED_SHIFT,
                                          .key = key,
                                          .end = end};
    }
    l->data_count++;
    return true;
}

static bool take_record(struct reader *r)
{
    struct infoschema_locks *l = r->ret;
    uint64_t v[3];
    if (r->rest.len == 0) {
        return false;
    }
    char what = (char)r->rest.ptr[0];
    r->rest = slice_from(r->rest, 1);
    switch (what) {
    case 'N': return take_number(&r->rest, &r->node);
    case 'L': return take_lock(r);
    case 'W':
        if (!take_numbers(&r->rest, v, 3)) {
            return false;
        }
        if (r->store) {
            l->waits[l->wait_count] = (struct infoschema_lock_wait){r->node, v[0], v[1], v[2]};
        }
        l->wait_count++;
        return true;
    case 'S':
        if (!take_numbers(&r->rest, v, 2)) {
            return false;
        }
        if (r->store) {
            l->sessions[l->session_count] = (struct infoschema_lock_session){v[0], v[1]};
        }
        l->session_count++;
        return true;
    case 'M':
        if (!take_numbers(&r->rest, v, 3)) {
            return false;
        }
        if (r->store) {
            l->metadata[l->metadata_count] = (struct infoschema_metadata_lock){
                v[0], v[1], (v[2] & FLAG_EXCLUSIVE) != 0, (v[2] & FLAG_WAITS) != 0};
        }
        l->metadata_count++;
        return true;
    default: return false;
    }
}

static db_err decode(struct slice list, struct arena *a, struct infoschema_locks *ret)
{
    struct reader r = {.rest = list, .ret = ret};
    while (take_record(&r)) {
    }
    ret->data = ARENA_ARRAY(a, struct infoschema_data_lock, ret->data_count + 1);
    ret->waits = ARENA_ARRAY(a, struct infoschema_lock_wait, ret->wait_count + 1);
    ret->sessions = ARENA_ARRAY(a, struct infoschema_lock_session, ret->session_count + 1);
    ret->metadata = ARENA_ARRAY(a, struct infoschema_metadata_lock, ret->metadata_count + 1);
    if (ret->data == NULL || ret->waits == NULL || ret->sessions == NULL || ret->metadata == NULL) {
        return ERR_LIMIT;
    }
    *ret = (struct infoschema_locks){.data = ret->data,
                                     .waits = ret->waits,
                                     .sessions = ret->sessions,
                                     .metadata = ret->metadata};
    r = (struct reader){.rest = list, .ret = ret, .store = true};
    while (take_record(&r)) {
    }
    return ERR_OK;
}

static db_err named_locks(struct sql_session *s, struct arena *a, struct infoschema_locks *ret)
{
    struct user_lock_info *list;
    uint32_t count;
    TRY(user_locks_list(s->engine->user_locks, a, &s->diag, &list, &count));
    ret->named = ARENA_ARRAY(a, struct infoschema_named_lock, count + 1);
    if (ret->named == NULL) {
        return ERR_LIMIT;
    }
    for (uint32_t i = 0; i < count; i++) {
        ret->named[i] =
            (struct infoschema_named_lock){list[i].name, list[i].connection, list[i].waits};
    }
    ret->named_count = count;
    return ERR_OK;
}

db_err session_locks(void *session, struct arena *arena, struct infoschema_locks *ret)
{
    struct sql_session *s = session;
    struct sql_coord *c = s->engine->opts.coord;
    struct infoschema_locks locks = {0};
    struct slice list = SLICE_EMPTY;
    struct buf out;
    buf_init(&out, LOCK_LIST_MAX);
    db_err err = engine_list_locks(s->engine, &out);
    if (err == ERR_OK && c != NULL) {
        err = c->ops->list_locks(c, &out, &s->diag);
    }
    err = err == ERR_OK ? arena_copy(arena, buf_slice(&out), &list) : err;
    buf_fini(&out);
    TRY(err);
    TRY(decode(list, arena, &locks));
    TRY(named_locks(s, arena, &locks));
    *ret = locks;
    return ERR_OK;
}
