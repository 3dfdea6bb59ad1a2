/* The records of named locks: in memory while the node is alone, in the system keyspace from the
 * moment it knows of another.
 *
 * KEYSPACE_SYSTEM, 'L', name → owner and waiters, each node, engine, connection (8 bytes, big
 * endian). A record is there while somebody holds the lock. It is locked while it is changed, so
 * the changes of one lock have an order. */
#include "sql/session/user_lock_int.h"

#include "base/alloc.h"
#include "base/assert.h"
#include "sql/codec/system_keys.h"

enum { OWNER_SIZE = 24, RECORD_MAX = 1 << 20, KEY_MAX = 1024 };

struct local_lock {
    struct hash_node by_name;
    struct lock_record record; /* waiters: mem_alloc */
};

bool lock__same(const struct lock_owner *a, const struct lock_owner *b)
{
    return a->connection == b->connection && a->engine == b->engine;
}

void lock__drop_waiter(struct lock_record *r, const struct lock_owner *w)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < r->count; i++) {
        if (!lock__same(&r->waiters[i], w)) {
            r->waiters[kept++] = r->waiters[i];
        }
    }
    r->count = kept;
}

void lock__hand_over(struct lock_record *r)
{
    r->owner = (struct lock_owner){0};
    if (r->count != 0) {
        struct lock_owner next = r->waiters[0];
        lock__drop_waiter(r, &next);
        r->owner = next;
    }
}

db_err lock__add_waiter(struct lock_edit *e, const struct lock_owner *w)
{
    struct lock_record *r = &e->record;
    for (uint32_t i = 0; i < r->count; i++) {
        if (lock__same(&r->waiters[i], w)) {
            return ERR_OK;
        }
    }
    struct lock_owner *grown = ARENA_ARRAY(&e->arena, struct lock_owner, r->count + 1);
    if (grown == NULL) {
        return ERR_NOMEM;
    }
    if (r->count != 0) {
        memcpy(grown, r->waiters, r->count * sizeof(*grown));
    }
    grown[r->count++] = *w;
    r->waiters = grown;
    return ERR_OK;
}

/* ---- in the storage ---- */

static uint64_t be64(const uint8_t *p)
{
    uint64_t v = 0;
    for (int i = 0; i < 8; i++) {
        v = v << 8 | p[i];
    }
    return v;
}

static db_err put_owner(struct buf *b, const struct lock_owner *o)
{
    const uint64_t numbers[] = {o->node, o->engine, o->connection};
    for (size_t i = 0; i < ARRAY_COUNT(numbers); i++) {
        for (int shift = 56; shift >= 0; shift -= 8) {
            TRY(buf_append_u8(b, (uint8_t)(numbers[i] >> shift)));
        }
    }
    return ERR_OK;
}

static struct lock_owner owner_at(const uint8_t *p)
{
    return (struct lock_owner){be64(p), be64(p + 8), be64(p + 16)};
}

static db_err decode(struct slice name, struct slice value, struct arena *a, struct diag *diag,
                     struct lock_record *ret)
{
    if (value.len < OWNER_SIZE || value.len % OWNER_SIZE != 0) {
        return diag_set(diag, ERR_CORRUPT, "the record of a named lock cannot be read");
    }
    *ret = (struct lock_record){.name = name,
                                .owner = owner_at(value.ptr),
                                .count = (uint32_t)(value.len / OWNER_SIZE - 1)};
    ret->waiters = ARENA_ARRAY(a, struct lock_owner, ret->count + 1);
    if (ret->waiters == NULL) {
        return ERR_NOMEM;
    }
    for (uint32_t i = 0; i < ret->count; i++) {
        ret->waiters[i] = owner_at(value.ptr + (i + 1u) * OWNER_SIZE);
    }
    return ERR_OK;
}

static struct slice key_of(struct slice name, uint8_t out[KEY_MAX])
{
    size_t n = name.len < KEY_MAX - 2 ? name.len : KEY_MAX - 2;
    system_key_head(out, SYSTEM_USER_LOCK);
    memcpy(out + 2, name.ptr, n);
    return slice_of(out, n + 2);
}

static db_err write_record(struct storage_txn *txn, const struct lock_record *r, unsigned flags,
                           struct diag *diag)
{
    uint8_t key[KEY_MAX];
    if (r->owner.connection == 0) {
        return storage_del(txn, key_of(r->name, key), flags, diag);
    }
    struct buf b;
    buf_init(&b, RECORD_MAX);
    db_err err = put_owner(&b, &r->owner);
    for (uint32_t i = 0; i < r->count && err == ERR_OK; i++) {
        err = put_owner(&b, &r->waiters[i]);
    }
    err = err == ERR_OK ? storage_put(txn, key_of(r->name, key), buf_slice(&b), flags, diag) : err;
    buf_fini(&b);
    return err;
}

static db_err read_one(struct storage_txn *txn, enum storage_read_mode mode, struct slice name,
                       struct arena *a, struct diag *diag, struct lock_record *ret)
{
    uint8_t key[KEY_MAX];
    struct slice value;
    bool found;
    TRY(storage_get(txn, key_of(name, key), mode, STORAGE_WAIT, a, diag, &found, &value));
    if (!found) {
        *ret = (struct lock_record){.name = name};
        return ERR_OK;
    }
    return decode(name, value, a, diag, ret);
}

/* ---- alone ---- */

static struct local_lock *find_local(const struct user_locks *u, struct slice name)
{
    struct hash_node *n = hash_first(&u->local, hash_bytes(name, u->engine));
    for (; n != NULL; n = hash_next(n)) {
        struct local_lock *l = CONTAINER_OF(n, struct local_lock, by_name);
        if (slice_eq(l->record.name, name)) {
            return l;
        }
    }
    return NULL;
}

static void drop_local(struct user_locks *u, struct local_lock *l)
{
    hash_remove(&u->local, &l->by_name);
    mem_free(l->record.waiters);
    mem_free(l);
}

static struct local_lock *add_local(struct user_locks *u, struct slice name)
{
    struct local_lock *l = mem_calloc(1, sizeof(*l) + name.len);
    if (l == NULL) {
        return NULL;
    }
    memcpy(l + 1, name.ptr, name.len);
    l->record.name = slice_of(l + 1, name.len);
    if (hash_insert(&u->local, &l->by_name, hash_bytes(name, u->engine)) != ERR_OK) {
        mem_free(l);
        return NULL;
    }
    return l;
}

static db_err commit_local(struct lock_edit *e)
{
    const struct lock_record *r = &e->record;
    if (r->owner.connection == 0) {
        if (e->local != NULL) {
            drop_local(e->locks, e->local);
            e->local = NULL;
        }
        return ERR_OK;
    }
    struct lock_owner *waiters = NULL;
    if (r->count != 0) {
        waiters = mem_alloc(r->count * sizeof(*waiters));
        if (waiters == NULL) {
            return ERR_NOMEM;
        }
        memcpy(waiters, r->waiters, r->count * sizeof(*waiters));
    }
    if (e->local == NULL) {
        e->local = add_local(e->locks, r->name);
    }
    if (e->local == NULL) {
        mem_free(waiters);
        return ERR_NOMEM;
    }
    mem_free(e->local->record.waiters);
    e->local->record.owner = r->owner;
    e->local->record.waiters = waiters;
    e->local->record.count = r->count;
    return ERR_OK;
}

static void forget_locals(struct user_locks *u)
{
    HASH_FOREACH_SAFE(n, &u->local)
    {
        drop_local(u, CONTAINER_OF(n, struct local_lock, by_name));
    }
}

void lock__tables_fini(struct user_locks *u)
{
    forget_locals(u);
    hash_fini(&u->local);
}

/* With the mutex: all records into the storage, at once. What lies there is of earlier times. */
static db_err share(struct user_locks *u, struct diag *diag)
{
    const struct storage_txn_opts o = {.isolation = STORAGE_READ_COMMITTED};
    struct storage_txn *txn;
    if (u->local.count != 0) {
        TRY(storage_txn_begin(u->storage, &o, diag, &txn));
        HASH_FOREACH_SAFE(n, &u->local)
        {
            db_err err =
                write_record(txn, &CONTAINER_OF(n, struct local_lock, by_name)->record, 0, diag);
            if (err != ERR_OK) {
                storage_txn_rollback(txn);
                return err;
            }
        }
        TRY(storage_txn_commit(txn, diag, NULL));
    }
    forget_locals(u);
    u->shared = true;
    return ERR_OK;
}

db_err user_locks_share(struct user_locks *u, struct diag *diag)
{
    fiber_mutex_lock(&u->mutex);
    db_err err = u->shared ? ERR_OK : share(u, diag);
    fiber_mutex_unlock(&u->mutex);
    return err;
}

/* Takes the mutex. *ret_alone false: the mutex was given back. */
static db_err enter(struct user_locks *u, struct diag *diag, bool *ret_alone)
{
    fiber_mutex_lock(&u->mutex);
    db_err err = ERR_OK;
    if (!u->shared && u->coord != NULL && u->coord->ops->has_others(u->coord)) {
        err = share(u, diag);
    }
    *ret_alone = !u->shared;
    if (u->shared || err != ERR_OK) {
        fiber_mutex_unlock(&u->mutex);
    }
    return err;
}

/* ---- both ---- */

db_err lock__edit_begin(struct user_locks *u, struct slice name, struct diag *diag,
                        struct lock_edit *ret)
{
    const struct storage_txn_opts o = {.isolation = STORAGE_READ_COMMITTED};
    *ret = (struct lock_edit){.locks = u};
    TRY(enter(u, diag, &ret->alone));
    arena_init(&ret->arena, NULL, NULL, 0);
    if (ret->alone) {
        ret->local = find_local(u, name);
        ret->record = (struct lock_record){.name = name};
        if (ret->local != NULL) {
            struct lock_record *r = &ret->local->record;
            ret->record.owner = r->owner;
            ret->record.count = r->count;
            ret->record.waiters = ARENA_ARRAY(&ret->arena, struct lock_owner, r->count + 1);
            if (ret->record.waiters == NULL) {
                lock__edit_end(ret);
                return ERR_NOMEM;
            }
            if (r->count != 0) {
                memcpy(ret->record.waiters, r->waiters, r->count * sizeof(*r->waiters));
            }
        }
        return ERR_OK;
    }
    db_err err = storage_txn_begin(u->storage, &o, diag, &ret->txn);
    if (err == ERR_OK) {
        err = read_one(ret->txn, STORAGE_READ_EXCLUSIVE, name, &ret->arena, diag, &ret->record);
    }
    if (err != ERR_OK) {
        lock__edit_end(ret);
    }
    return err;
}

db_err lock__edit_commit(struct lock_edit *e, struct diag *diag)
{
    if (e->alone) {
        return commit_local(e);
    }
    TRY(write_record(e->txn, &e->record, STORAGE_W_LOCKED, diag));
    struct storage_txn *txn = e->txn;
    e->txn = NULL;
    return storage_txn_commit(txn, diag, NULL);
}

void lock__edit_end(struct lock_edit *e)
{
    if (e->txn != NULL) {
        storage_txn_rollback(e->txn);
        e->txn = NULL;
    }
    if (e->alone) {
        fiber_mutex_unlock(&e->locks->mutex);
    }
    arena_fini(&e->arena);
}

/* ---- looking ---- */

static db_err copy_local(const struct lock_record *from, struct arena *a, struct lock_record *ret)
{
    *ret = *from;
    TRY(arena_copy(a, from->name, &ret->name));
    ret->waiters = ARENA_ARRAY(a, struct lock_owner, from->count + 1);
    if (ret->waiters == NULL) {
        return ERR_NOMEM;
    }
    if (from->count != 0) {
        memcpy(ret->waiters, from->waiters, from->count * sizeof(*from->waiters));
    }
    return ERR_OK;
}

static db_err all_locals(struct user_locks *u, struct arena *a, struct lock_record **ret_records,
                         uint32_t *ret_count)
{
    struct lock_record *list = ARENA_ARRAY(a, struct lock_record, u->local.count + 1);
    uint32_t n = 0;
    db_err err = list == NULL ? ERR_NOMEM : ERR_OK;
    HASH_FOREACH_SAFE(node, &u->local)
    {
        if (err == ERR_OK) {
            err = copy_local(&CONTAINER_OF(node, struct local_lock, by_name)->record, a, &list[n]);
            n++;
        }
    }
    *ret_records = list;
    *ret_count = n;
    return err;
}

struct listing {
    struct arena *arena;
    struct diag *diag;
    struct lock_record *records;
    uint32_t count, room;
};

static db_err list_record(void *arg, const struct storage_kv *kv)
{
    struct listing *l = arg;
    struct slice name;
    if (l->count == l->room) {
        l->room = l->room == 0 ? 16 : 2 * l->room;
        struct lock_record *grown = ARENA_ARRAY(l->arena, struct lock_record, l->room);
        if (grown == NULL) {
            return ERR_NOMEM;
        }
        if (l->count != 0) {
            memcpy(grown, l->records, l->count * sizeof(*grown));
        }
        l->records = grown;
    }
    TRY(arena_copy(l->arena, slice_from(kv->key, SYSTEM_KEY_HEAD), &name));
    return decode(name, kv->value, l->arena, l->diag, &l->records[l->count++]);
}

db_err lock__all(struct user_locks *u, struct arena *a, struct diag *diag,
                 struct lock_record **ret_records, uint32_t *ret_count)
{
    struct system_range of;
    system_range(&of, SYSTEM_USER_LOCK, SYSTEM_USER_LOCK);
    const struct storage_txn_opts o = {.isolation = STORAGE_READ_COMMITTED, .read_only = true};
    const struct storage_scan_opts range = {.start = of.start, .end = of.end};
    struct listing l = {.arena = a, .diag = diag};
    struct storage_txn *txn;
    bool alone;
    TRY(enter(u, diag, &alone));
    if (alone) {
        db_err err = all_locals(u, a, ret_records, ret_count);
        fiber_mutex_unlock(&u->mutex);
        return err;
    }
    TRY(storage_txn_begin(u->storage, &o, diag, &txn));
    db_err err = storage_scan_each(txn, &range, list_record, &l, diag);
    storage_txn_rollback(txn);
    *ret_records = l.records;
    *ret_count = l.count;
    return err;
}

db_err lock__one(struct user_locks *u, struct slice name, struct arena *a, struct diag *diag,
                 struct lock_record *ret)
{
    const struct storage_txn_opts o = {
        .isolation = STORAGE_READ_COMMITTED, .read_only = true, .autocommit = true};
    struct storage_txn *txn;
    bool alone;
    TRY(enter(u, diag, &alone));
    if (alone) {
        const struct local_lock *l = find_local(u, name);
        db_err err = ERR_OK;
        if (l != NULL) {
            err = copy_local(&l->record, a, ret);
        } else {
            *ret = (struct lock_record){.name = name};
        }
        fiber_mutex_unlock(&u->mutex);
        return err;
    }
    TRY(storage_txn_begin(u->storage, &o, diag, &txn));
    db_err err = read_one(txn, STORAGE_READ_PLAIN, name, a, diag, ret);
    storage_txn_rollback(txn);
    return err;
}
