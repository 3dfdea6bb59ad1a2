/* data_locks, data_lock_waits and metadata_locks of performance_schema.
 *
 * What is in the storage's lock tables is shown in MySQL's words where it means the same. A lock of
 * a row is X,REC_NOT_GAP or S,REC_NOT_GAP. A span of keys that is locked against inserts is X,GAP,
 * and LOCK_DATA says where it ends, as MySQL says before which row a gap is. Who changes rows
 * shares the lock of the table's rows (sql/ddl/mdl.h), which is MySQL's IX; IS is shown where a
 * transaction has locked rows with S only. The values of LOCK_DATA are taken from the key: text of
 * a collation cannot be had back from it, then LOCK_DATA is NULL.
 *
 * Of a transaction that has locked very many rows the storage keeps no record of each but knows
 * stretches of keys: one row is shown for a stretch, and LOCK_DATA says from which row to which and
 * how many of them are locked.
 *
 * A lock's id is made of the transaction, the table, the index and the key, so that both tables
 * have the same. A thread has its connection's id. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/hash.h"
#include "sql/catalog/schema.h"
#include "sql/catalog/table_format.h"
#include "sql/codec/index_codec.h"
#include "sql/codec/key_codec.h"
#include "sql/codec/table_keys.h"
#include "sql/ddl/mdl.h"
#include "sql/infoschema/fill.h"
#include "sql/types/cast.h"

enum { ID_MAX = 128, DATA_MAX = 8192 };

/* ---- tables by id, sessions by transaction ---- */

struct locks {
    struct is_rows *r;
    struct infoschema_locks all;
    const struct table_def **tables; /* base tables, by id */
    uint32_t table_count, table_room;
};

static int cmp_uint(uint64_t a, uint64_t b)
{
    return a < b ? -1 : a > b;
}

static int by_table_id(const void *a, const void *b)
{
    return cmp_uint((*(const struct table_def *const *)a)->id,
                    (*(const struct table_def *const *)b)->id);
}

static int by_txn(const void *a, const void *b)
{
    return cmp_uint(((const struct infoschema_lock_session *)a)->txn,
                    ((const struct infoschema_lock_session *)b)->txn);
}

static db_err all_tables(struct locks *l)
{
    const struct catalog_snapshot *snap = l->r->env.snapshot;
    for (uint32_t i = 0; i < snapshot_schema_count(snap); i++) {
        l->table_room += snapshot_table_count(snap, snapshot_schema_at(snap, i));
    }
    l->tables = ARENA_ARRAY(l->r->arena, const struct table_def *, l->table_room + 1);
    if (l->tables == NULL) {
        return ERR_LIMIT;
    }
    for (uint32_t i = 0; i < snapshot_schema_count(snap); i++) {
        const struct schema_def *s = snapshot_schema_at(snap, i);
        uint32_t n = snapshot_table_count(snap, s);
        for (uint32_t k = 0; k < n; k++) {
            const struct table_def *t = snapshot_table_at(snap, s, k);
            if (t->kind == TABLE_BASE && l->table_count < l->table_room) {
                l->tables[l->table_count++] = t;
            }
        }
    }
    if (l->table_count != 0) {
        qsort(l->tables, l->table_count, sizeof(const struct table_def *), by_table_id);
    }
    return ERR_OK;
}

static db_err locks_init(struct locks *l, struct is_rows *r)
{
    *l = (struct locks){.r = r};
    if (r->ops->locks != NULL) {
        TRY(r->ops->locks(r->session, r->arena, &l->all));
    }
    if (l->all.session_count != 0) {
        qsort(l->all.sessions, l->all.session_count, sizeof(*l->all.sessions), by_txn);
    }
    return all_tables(l);
}

static const struct table_def *table_of(const struct locks *l, uint64_t id)
{
    struct table_def key_def = {.id = id};
    const struct table_def *key = &key_def;
    const struct table_def **found = l->table_count == 0
                                         ? NULL
                                         : bsearch(&key, l->tables, l->table_count,
                                                   sizeof(const struct table_def *), by_table_id);
    return found == NULL ? NULL : *found;
}

/* 0: its session is not known any more. */
static uint64_t thread_of(const struct locks *l, uint64_t txn)
{
    const struct infoschema_lock_session key = {.txn = txn};
    const struct infoschema_lock_session *s =
        l->all.session_count == 0 ? NULL
                                  : bsearch(&key, l->all.sessions, l->all.session_count,
                                            sizeof(*l->all.sessions), by_txn);
    return s == NULL ? 0 : s->connection;
}

static uint64_t txn_of(const struct locks *l, uint64_t connection)
{
    for (uint32_t i = 0; i < l->all.session_count; i++) {
        if (l->all.sessions[i].connection == connection) {
            return l->all.sessions[i].txn;
        }
    }
    return 0;
}

static void put_or_null(struct is_rows *r, uint64_t v)
{
    if (v == 0) {
        is__null(r);
    } else {
        is__uint(r, v);
    }
}

/* ---- what a key is of ---- */

struct key_place {
    const struct table_def *table;
    const struct index_def *index;
    const struct index_format *format;
    struct slice columns;
};

/* False: it is no key of a table, or of one that has gone. */
static bool place_of(const struct locks *l, struct slice key, struct key_place *ret)
{
    uint64_t table_id;
    uint64_t index_id;
    if (index_key_parse(key, &table_id, &index_id, &ret->columns) != ERR_OK) {
        return false;
    }
    ret->table = table_of(l, table_id);
    for (uint32_t i = 0; ret->table != NULL && i < ret->table->index_count; i++) {
        if (ret->table->indexes[i].id == index_id) {
            ret->index = &ret->table->indexes[i];
            ret->format = &ret->table->format->indexes[i];
            return true;
        }
    }
    return false;
}

static db_err put_value(struct is_rows *r, const struct key_column *kc, struct slice *io,
                        struct buf *out)
{
    struct value v;
    struct slice text;
    struct cast_ctx cast;
    struct diag ignored;
    TRY(key_decode(kc, io, r->arena, &v));
    if (v.is_null) {
        return buf_append(out, "NULL", 4);
    }
    diag_reset(&ignored);
    cast_ctx_init(&cast, r->arena, &ignored);
    TRY(value_to_text(&cast, kc->type, &v, &text));
    bool quoted = type_is_string(kc->type) || kc->type->id == TYPE_ENUM || kc->type->id == TYPE_SET;
    TRY(quoted ? buf_append_u8(out, '\'') : ERR_OK);
    TRY(buf_append_slice(out, text));
    return quoted ? buf_append_u8(out, '\'') : ERR_OK;
}

static db_err put_columns(struct is_rows *r, const struct key_column *columns, uint32_t count,
                          struct slice *io, struct buf *out)
{
    for (uint32_t i = 0; i < count && io->len != 0; i++) {
        TRY(out->len == 0 ? ERR_OK : buf_append(out, ", ", 2));
        TRY(put_value(r, &columns[i], io, out));
    }
    return ERR_OK;
}

/* The values of the key in the arena; ptr NULL: they cannot be told. */
static struct slice values_of(struct is_rows *r, const struct key_place *p)
{
    struct slice rest = p->columns;
    struct slice text = SLICE_EMPTY;
    struct buf out;
    buf_init(&out, DATA_MAX);
    db_err err = put_columns(r, p->format->columns, p->format->column_count, &rest, &out);
    if (err == ERR_OK && p->index != &p->table->indexes[0]) {
        err = put_columns(r, p->format->pk_columns, p->format->pk_count, &rest, &out);
    }
    if (err == ERR_OK && out.len != 0) {
        err = arena_copy(r->arena, buf_slice(&out), &text);
    }
    buf_fini(&out);
    return err == ERR_OK ? text : SLICE_EMPTY;
}

/* Where a span ends: at a key, or behind all of its index. */
static struct slice end_of(const struct locks *l, const struct key_place *start,
                           const struct infoschema_data_lock *d)
{
    struct key_place end;
    if (d->end.len > d->key.len && d->end.len - d->key.len == 1 &&
        memcmp(d->end.ptr, d->key.ptr, d->key.len) == 0) {
        return values_of(l->r, start); /* the one key */
    }
    if (!place_of(l, d->end, &end) || end.index != start->index || end.columns.len == 0) {
        return SLICE_LIT("supremum pseudo-record");
    }
    return values_of(l->r, &end);
}

/* The stretch of locked rows that begins at the key; ptr NULL: that cannot be told. */
static struct slice stretch_of(const struct locks *l, const struct key_place *first,
                               const struct infoschema_data_lock *d)
{
    struct slice from = values_of(l->r, first);
    struct key_place last;
    if (slice_eq(d->key, d->end) || from.ptr == NULL) {
        return from;
    }
    bool same = place_of(l, d->end, &last) && last.index == first->index;
    struct slice to = same ? values_of(l->r, &last) : SLICE_LIT("supremum pseudo-record");
    const char *text = to.ptr == NULL ? NULL
                                      : arena_printf(l->r->arena, "%.*s .. %.*s (%" PRIu64 " rows)",
                                                     SLICE_FMT(from), SLICE_FMT(to), d->packed);
    return text == NULL ? SLICE_EMPTY : slice_str(text);
}

/* ---- data_locks ---- */

static void lock_id(char out[ID_MAX], const struct infoschema_data_lock *d,
                    const struct key_place *p)
{
    snprintf(out, ID_MAX, "%" PRIu64 ":%" PRIu64 ":%" PRIu64 ":%016" PRIx64 ":%s", d->txn,
             p->table->id, (uint64_t)p->index->id, hash_bytes(d->key, 0),
             d->span          ? "g"
             : d->wait != 0   ? "w"
             : d->packed != 0 ? "p"
                              : "r");
}

/* The columns that tell of the transaction, behind the lock's id. */
static void put_owner(struct locks *l, uint64_t txn)
{
    is__uint(l->r, txn);
    put_or_null(l->r, thread_of(l, txn));
    is__null(l->r); /* EVENT_ID */
}

static void put_object(struct is_rows *r, const struct table_def *t, const char *index)
{
    is__text(r, t->schema_name);
    is__text(r, t->name);
    is__nulls(r, 2);
    is__str(r, index);
    is__uint(r, 0); /* MYSQL: OBJECT_INSTANCE_BEGIN is 0 */
}

static const char *mode_of(const struct infoschema_data_lock *d)
{
    if (d->span) {
        return "X,GAP";
    }
    if (d->for_span) {
        return "X,GAP,INSERT_INTENTION";
    }
    return d->shared ? "S,REC_NOT_GAP" : "X,REC_NOT_GAP";
}

static db_err put_data_lock(struct locks *l, const struct infoschema_data_lock *d)
{
    struct is_rows *r = l->r;
    struct key_place p;
    char id[ID_MAX];
    if (!place_of(l, d->key, &p)) {
        return ERR_OK;
    }
    bool hidden = p.index == &p.table->indexes[0] && !p.table->has_primary;
    lock_id(id, d, &p);
    is__str(r, "INNODB");
    is__str(r, id);
    put_owner(l, d->txn);
    put_object(r, p.table, hidden ? "GEN_CLUST_INDEX" : arena_strdup(r->arena, p.index->name));
    is__str(r, "RECORD");
    is__str(r, mode_of(d));
    is__str(r, d->wait != 0 ? "WAITING" : "GRANTED");
    is__text(r, d->span          ? end_of(l, &p, d)
                : d->packed != 0 ? stretch_of(l, &p, d)
                                 : values_of(r, &p));
    return is__end(r);
}

/* A transaction's lock of a table. */
struct table_use {
    uint64_t txn, table_id;
    bool shared;
};

static int by_use(const void *a, const void *b)
{
    const struct table_use *x = a;
    const struct table_use *y = b;
    int c = cmp_uint(x->txn, y->txn);
    c = c != 0 ? c : cmp_uint(x->table_id, y->table_id);
    return c != 0 ? c : x->shared - y->shared; /* IX before IS */
}

static db_err put_table_lock(struct locks *l, const struct table_use *u)
{
    const struct table_def *t = table_of(l, u->table_id);
    char id[ID_MAX];
    if (t == NULL) {
        return ERR_OK;
    }
    snprintf(id, sizeof(id), "%" PRIu64 ":%" PRIu64, u->txn, u->table_id);
    is__str(l->r, "INNODB");
    is__str(l->r, id);
    put_owner(l, u->txn);
    put_object(l->r, t, NULL);
    is__str(l->r, "TABLE");
    is__str(l->r, u->shared ? "IS" : "IX");
    is__str(l->r, "GRANTED");
    is__null(l->r);
    return is__end(l->r);
}

static db_err put_table_locks(struct locks *l)
{
    uint32_t n = 0;
    struct table_use *uses =
        ARENA_ARRAY(l->r->arena, struct table_use, l->all.metadata_count + l->all.data_count + 1);
    if (uses == NULL) {
        return ERR_LIMIT;
    }
    for (uint32_t i = 0; i < l->all.metadata_count; i++) {
        const struct infoschema_metadata_lock *m = &l->all.metadata[i];
        uint64_t txn = txn_of(l, m->connection);
        if (!m->exclusive && !m->waits && txn != 0 && (m->id & MDL_ROWS_BIT) != 0) {
            uses[n++] = (struct table_use){txn, m->id & ~MDL_ROWS_BIT, false};
        }
    }
    for (uint32_t i = 0; i < l->all.data_count; i++) {
        const struct infoschema_data_lock *d = &l->all.data[i];
        struct key_place p;
        if (place_of(l, d->key, &p)) {
            uses[n++] = (struct table_use){d->txn, p.table->id, d->shared};
        }
    }
    if (n != 0) {
        qsort(uses, n, sizeof(*uses), by_use);
    }
    for (uint32_t i = 0; i < n; i++) {
        bool again =
            i != 0 && uses[i].txn == uses[i - 1].txn && uses[i].table_id == uses[i - 1].table_id;
        TRY(again ? ERR_OK : put_table_lock(l, &uses[i]));
    }
    return ERR_OK;
}

db_err is__fill_data_locks(struct is_rows *r)
{
    struct locks l;
    TRY(locks_init(&l, r));
    TRY(put_table_locks(&l));
    for (uint32_t i = 0; i < l.all.data_count; i++) {
        TRY(put_data_lock(&l, &l.all.data[i]));
    }
    return ERR_OK;
}

/* ---- data_lock_waits ---- */

/* The locks by what is looked for: those that wait by node and wait, all of one key or a span by
 * node, transaction and key, those of keys before those of spans. */
struct lock_index {
    const struct infoschema_data_lock **waits, **held;
    uint32_t wait_count, count;
};

static int cmp_wait(const struct infoschema_data_lock *x, const struct infoschema_data_lock *y)
{
    int c = cmp_uint(x->node, y->node);
    c = c != 0 ? c : cmp_uint(x->wait, y->wait);
    return c != 0 ? c : cmp_uint(x->txn, y->txn);
}

static int cmp_held(const struct infoschema_data_lock *x, const struct infoschema_data_lock *y)
{
    int c = cmp_uint(x->node, y->node);
    c = c != 0 ? c : cmp_uint(x->txn, y->txn);
    c = c != 0 ? c : x->span - y->span;
    return c != 0 ? c : slice_cmp(x->key, y->key);
}

static int by_wait(const void *a, const void *b)
{
    return cmp_wait(*(const struct infoschema_data_lock *const *)a,
                    *(const struct infoschema_data_lock *const *)b);
}

static int by_holder(const void *a, const void *b)
{
    return cmp_held(*(const struct infoschema_data_lock *const *)a,
                    *(const struct infoschema_data_lock *const *)b);
}

static db_err index_locks(const struct locks *l, struct lock_index *ret)
{
    uint32_t n = l->all.data_count;
    *ret = (struct lock_index){0};
    ret->waits = ARENA_ARRAY(l->r->arena, const struct infoschema_data_lock *, n + 1);
    ret->held = ARENA_ARRAY(l->r->arena, const struct infoschema_data_lock *, n + 1);
    if (ret->waits == NULL || ret->held == NULL) {
        return ERR_LIMIT;
    }
    for (uint32_t i = 0; i < n; i++) {
        const struct infoschema_data_lock *d = &l->all.data[i];
        if (d->packed == 0) { /* one that is waited for is there by itself, too */
            ret->held[ret->count++] = d;
        }
        if (d->wait != 0) {
            ret->waits[ret->wait_count++] = d;
        }
    }
    qsort(ret->held, ret->count, sizeof(*ret->held), by_holder);
    qsort(ret->waits, ret->wait_count, sizeof(*ret->waits), by_wait);
    return ERR_OK;
}

static const struct infoschema_data_lock *waiting(const struct lock_index *ix,
                                                  const struct infoschema_lock_wait *w)
{
    const struct infoschema_data_lock of = {.node = w->node, .wait = w->wait, .txn = w->waiter};
    const struct infoschema_data_lock *key = &of;
    const struct infoschema_data_lock **found =
        bsearch(&key, ix->waits, ix->wait_count, sizeof(*ix->waits), by_wait);
    return found == NULL ? NULL : *found;
}

/* The blocker's lock that is in the way of the one that waits: of an insert, also a span. */
static const struct infoschema_data_lock *blocking(const struct lock_index *ix,
                                                   const struct infoschema_lock_wait *w,
                                                   const struct infoschema_data_lock *of)
{
    struct infoschema_data_lock sought = {.node = w->node, .txn = w->blocker, .key = of->key};
    const struct infoschema_data_lock *key = &sought;
    const struct infoschema_data_lock **found =
        bsearch(&key, ix->held, ix->count, sizeof(*ix->held), by_holder);
    if (found != NULL || !of->insert) {
        return found == NULL ? NULL : *found;
    }
    sought.span = true;
    uint32_t low = 0; /* behind the last span that begins at or before the key */
    for (uint32_t high = ix->count; low < high;) {
        uint32_t middle = low + (high - low) / 2;
        if (cmp_held(ix->held[middle], &sought) <= 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    while (low > 0) {
        const struct infoschema_data_lock *d = ix->held[--low];
        if (d->node != w->node || d->txn != w->blocker || !d->span) {
            break;
        }
        if (d->end.len == 0 || slice_cmp(of->key, d->end) < 0) {
            return d;
        }
    }
    return NULL;
}

db_err is__fill_data_lock_waits(struct is_rows *r)
{
    struct locks l;
    struct lock_index ix;
    TRY(locks_init(&l, r));
    TRY(index_locks(&l, &ix));
    for (uint32_t i = 0; i < l.all.wait_count; i++) {
        const struct infoschema_lock_wait *w = &l.all.waits[i];
        const struct infoschema_data_lock *d = waiting(&ix, w);
        const struct infoschema_data_lock *b = d == NULL ? NULL : blocking(&ix, w, d);
        struct key_place at;
        struct key_place of;
        char id[ID_MAX];
        char blocker[ID_MAX];
        if (b == NULL || !place_of(&l, d->key, &at) || !place_of(&l, b->key, &of)) {
            continue; /* it has just ended */
        }
        lock_id(id, d, &at);
        lock_id(blocker, b, &of);
        is__str(r, "INNODB");
        is__str(r, id);
        put_owner(&l, w->waiter);
        is__uint(r, 0);
        is__str(r, blocker);
        put_owner(&l, w->blocker);
        is__uint(r, 0);
        TRY(is__end(r));
    }
    return ERR_OK;
}

/* ---- metadata_locks ---- */

static int by_metadata(const void *a, const void *b)
{
    const struct infoschema_metadata_lock *x = a;
    const struct infoschema_metadata_lock *y = b;
    const uint64_t bits = MDL_ROWS_BIT | MDL_GROUP_BIT;
    int c = cmp_uint(x->connection, y->connection);
    c = c != 0 ? c : cmp_uint(x->id & ~bits, y->id & ~bits);
    return c != 0 ? c : cmp_uint(x->id, y->id);
}

/* What a session has of one table, together. */
struct table_lock_state {
    bool shared, rows_shared, exclusive, rows_exclusive, no_writes, waits;
};

static void note(struct table_lock_state *s, const struct infoschema_metadata_lock *m)
{
    bool rows = (m->id & MDL_ROWS_BIT) != 0;
    if ((m->id & MDL_GROUP_BIT) != 0) {
        s->no_writes = true;
    } else if (m->exclusive) {
        s->rows_exclusive = s->rows_exclusive || rows;
        s->exclusive = s->exclusive || !rows;
    } else {
        s->rows_shared = s->rows_shared || rows;
        s->shared = s->shared || !rows;
    }
    s->waits = s->waits || m->waits;
}

static const char *lock_type_of(const struct table_lock_state *s)
{
    if (s->exclusive) {
        return s->rows_exclusive ? "SHARED_NO_READ_WRITE" : "EXCLUSIVE";
    }
    if (s->no_writes) {
        return "SHARED_READ_ONLY";
    }
    return s->rows_exclusive ? "SHARED_NO_WRITE" : s->rows_shared ? "SHARED_WRITE" : "SHARED_READ";
}

static db_err put_metadata(struct is_rows *r, const char *type, struct slice schema,
                           struct slice name, uint64_t instance, const char *lock_type,
                           const char *duration, bool waits, uint64_t thread)
{
    is__str(r, type);
    is__text(r, schema);
    is__text(r, name);
    is__null(r);
    is__uint(r, instance);
    is__str(r, lock_type);
    is__str(r, duration);
    is__str(r, waits ? "PENDING" : "GRANTED");
    is__null(r);
    is__uint(r, thread);
    is__null(r);
    return is__end(r);
}

static db_err put_table_metadata(struct locks *l, uint64_t id, uint64_t connection,
                                 const struct table_lock_state *s)
{
    const struct table_def *t = id == 0 ? NULL : table_of(l, id);
    uint64_t instance = hash_u64(connection ^ hash_u64(id + 1)) >> 1;
    if (id == 0) { /* of all definitions: FLUSH TABLES WITH READ LOCK, LOCK INSTANCE, and changes */
        const char *type = s->no_writes ? "SHARED" : "INTENTION_EXCLUSIVE";
        const char *duration = s->no_writes ? "EXPLICIT" : "STATEMENT";
        return put_metadata(l->r, "GLOBAL", SLICE_EMPTY, SLICE_EMPTY, instance, type, duration,
                            s->waits, connection);
    }
    return t == NULL ? ERR_OK
                     : put_metadata(l->r, "TABLE", t->schema_name, t->name, instance,
                                    lock_type_of(s), "TRANSACTION", s->waits, connection);
}

db_err is__fill_metadata_locks(struct is_rows *r)
{
    const uint64_t bits = MDL_ROWS_BIT | MDL_GROUP_BIT;
    struct locks l;
    TRY(locks_init(&l, r));
    struct infoschema_metadata_lock *m = l.all.metadata;
    uint32_t count = l.all.metadata_count;
    if (count != 0) {
        qsort(m, count, sizeof(*m), by_metadata);
    }
    for (uint32_t i = 0; i < count;) {
        struct table_lock_state s = {0};
        uint32_t first = i;
        for (; i < count && m[i].connection == m[first].connection &&
               (m[i].id & ~bits) == (m[first].id & ~bits);
             i++) {
            note(&s, &m[i]);
        }
        TRY(put_table_metadata(&l, m[first].id & ~bits, m[first].connection, &s));
    }
    for (uint32_t i = 0; i < l.all.named_count; i++) {
        const struct infoschema_named_lock *n = &l.all.named[i];
        uint64_t instance = hash_u64(n->connection ^ hash_bytes(n->name, 1)) >> 1;
        TRY(put_metadata(r, "USER LEVEL LOCK", SLICE_EMPTY, n->name, instance, "EXCLUSIVE",
                         "EXPLICIT", n->waits, n->connection));
    }
    return ERR_OK;
}
