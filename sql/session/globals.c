/* Global variables of a cluster, and SET PERSIST.
 *
 * One record of the system keyspace holds two lists of name and text: what SET GLOBAL has set in
 * this run of the cluster, and what SET PERSIST has kept. A change locks the record, writes it, and
 * has the other nodes read it again before the statement returns; so changes have one order, and
 * every node ends with the same values. A node alone, without a coordinator, keeps what SET GLOBAL
 * sets in memory and uses the record for what is persisted only.
 *
 * A run is the time in which at least one node has been up. It has a random number, in the record
 * and in every engine that belongs to it. An engine that opens locks the record and asks the nodes
 * that can be reached whether one belongs to the record's run. If so it takes the values of the run
 * (and not what was persisted since for later). If not, the whole cluster was down: a new run
 * begins with what is persisted, as MySQL's does after a restart. Two that open at the same time
 * come one after the other, by the lock; one that has opened but is not known to the others yet
 * reads the record again when it is (node/main's membership), this once with a lock, and adopts the
 * run that it finds.
 *
 * On a full disk nothing can be written, and the node is to start all the same: the record counts
 * as it is, the last run goes on.
 *
 * A node that others have gone on without reads the record again with its next licence.
 *
 * The record: version and run (8 bytes each, big endian), then entries: kind (one byte, 'N' now,
 * 'P' persisted), a flag byte (1: NULL), lengths of name and text (2 and 4 bytes, big endian),
 * name, text. Names that this version does not know are kept and mean nothing. */
#include "sql/session/globals.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/rand.h"
#include "sql/codec/system_keys.h"
#include "sql/session/session_int.h"

enum {
    RECORD_HEAD = 16,
    ENTRY_HEAD = 8,
    RECORD_MAX = 1 << 20,
    KIND_NOW = 'N',
    KIND_PERSISTED = 'P',
    OPEN_TRIES_MAX = 50
};
#define OPEN_PAUSE_NS (200 * NS_PER_MS)

static const uint8_t g_key[] = {KEYSPACE_SYSTEM, SYSTEM_GLOBALS};

struct entry {
    uint8_t kind;
    bool is_null;
    struct slice name, text;
};

struct record {
    uint64_t version, run;
    struct entry *entries;
    uint32_t count, room;
};

/* ---- the record ---- */

static uint64_t be(const uint8_t *p, unsigned bytes)
{
    uint64_t v = 0;
    for (unsigned i = 0; i < bytes; i++) {
        v = v << 8 | p[i];
    }
    return v;
}

static db_err put_be(struct buf *b, uint64_t v, unsigned bytes)
{
    for (unsigned i = bytes; i > 0; i--) {
        TRY(buf_append_u8(b, (uint8_t)(v >> (8 * (i - 1)))));
    }
    return ERR_OK;
}

static db_err add(struct record *r, struct arena *a, const struct entry *e)
{
    if (r->count == r->room) {
        uint32_t room = r->room == 0 ? 16 : r->room * 2;
        struct entry *grown = ARENA_ARRAY(a, struct entry, room);
        if (grown == NULL) {
            return ERR_NOMEM;
        }
        if (r->count != 0) {
            memcpy(grown, r->entries, r->count * sizeof(*grown));
        }
        r->entries = grown;
        r->room = room;
    }
    r->entries[r->count++] = *e;
    return ERR_OK;
}

/* Entries point into bytes. */
static db_err decode(struct slice bytes, struct arena *a, struct diag *diag, struct record *ret)
{
    struct record r = {0};
    if (bytes.len < RECORD_HEAD) {
        return diag_set(diag, ERR_CORRUPT, "the record of global variables cannot be read");
    }
    r.version = be(bytes.ptr, 8);
    r.run = be(bytes.ptr + 8, 8);
    bytes = slice_from(bytes, RECORD_HEAD);
    while (bytes.len >= ENTRY_HEAD) {
        size_t name = be(bytes.ptr + 2, 2);
        size_t text = be(bytes.ptr + 4, 4);
        if (bytes.len - ENTRY_HEAD < name + text) {
            break;
        }
        const uint8_t *p = bytes.ptr + ENTRY_HEAD;
        const struct entry e = {bytes.ptr[0], (bytes.ptr[1] & 1) != 0, slice_of(p, name),
                                slice_of(p + name, text)};
        TRY(add(&r, a, &e));
        bytes = slice_from(bytes, ENTRY_HEAD + name + text);
    }
    if (bytes.len != 0) {
        return diag_set(diag, ERR_CORRUPT, "the record of global variables cannot be read");
    }
    *ret = r;
    return ERR_OK;
}

static db_err encode(const struct record *r, struct buf *b)
{
    TRY(put_be(b, r->version, 8));
    TRY(put_be(b, r->run, 8));
    for (uint32_t i = 0; i < r->count; i++) {
        const struct entry *e = &r->entries[i];
        TRY(buf_append_u8(b, e->kind));
        TRY(buf_append_u8(b, e->is_null));
        TRY(put_be(b, e->name.len, 2));
        TRY(put_be(b, e->text.len, 4));
        TRY(buf_append_slice(b, e->name));
        TRY(buf_append_slice(b, e->text));
    }
    return ERR_OK;
}

static struct entry *find(const struct record *r, uint8_t kind, struct slice name)
{
    for (uint32_t i = 0; i < r->count; i++) {
        if (r->entries[i].kind == kind && slice_eq_nocase(r->entries[i].name, name)) {
            return &r->entries[i];
        }
    }
    return NULL;
}

static void drop_kind(struct record *r, uint8_t kind)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < r->count; i++) {
        if (r->entries[i].kind != kind) {
            r->entries[kept++] = r->entries[i];
        }
    }
    r->count = kept;
}

/* To the end: what was set last has the last word on variables that move together. */
static db_err set(struct record *r, struct arena *a, uint8_t kind, const struct global_change *c)
{
    struct entry e = {.kind = kind,
                      .is_null = c->value.is_null,
                      .name = slice_str(sysvar_defs[c->id].name),
                      .text = SLICE_LIT("")};
    if (!e.is_null) {
        TRY(sysvar_to_text(c->id, &c->value, a, &e.text));
    }
    struct entry *old = find(r, kind, e.name);
    if (old != NULL) {
        uint32_t at = (uint32_t)(old - r->entries);
        memmove(old, old + 1, (r->count - at - 1) * sizeof(*old));
        r->count--;
    }
    return add(r, a, &e);
}

static db_err read_record(struct storage_txn *txn, enum storage_read_mode mode, struct arena *a,
                          struct diag *diag, struct record *ret)
{
    struct slice value;
    bool found;
    TRY(storage_get(txn, slice_of(g_key, sizeof(g_key)), mode, STORAGE_WAIT, a, diag, &found,
                    &value));
    if (!found) {
        *ret = (struct record){0};
        return ERR_OK;
    }
    return decode(value, a, diag, ret);
}

/* ---- one change of the record ---- */

struct change {
    struct storage_txn *txn;
    struct arena arena;
    struct record record;
};

static void change_abort(struct change *c)
{
    if (c->txn != NULL) {
        storage_txn_rollback(c->txn);
    }
    arena_fini(&c->arena);
}

/* The record is locked. */
static db_err change_begin(struct sql_engine *e, struct diag *diag, struct change *ret)
{
    const struct storage_txn_opts o = {.isolation = STORAGE_READ_COMMITTED};
    *ret = (struct change){0};
    arena_init(&ret->arena, NULL, NULL, 0);
    db_err err = storage_txn_begin(e->opts.storage, &o, diag, &ret->txn);
    if (err == ERR_OK) {
        err = read_record(ret->txn, STORAGE_READ_EXCLUSIVE, &ret->arena, diag, &ret->record);
    }
    if (err != ERR_OK) {
        change_abort(ret);
    }
    return err;
}

/* What has been read stays good until change_abort, which is to follow. */
static db_err change_commit(struct change *c, struct diag *diag)
{
    struct buf b;
    buf_init(&b, RECORD_MAX);
    c->record.version++;
    db_err err = encode(&c->record, &b);
    if (err == ERR_OK) {
        err = storage_put(c->txn, slice_of(g_key, sizeof(g_key)), buf_slice(&b), STORAGE_W_LOCKED,
                          diag);
    }
    if (err == ERR_OK) {
        struct storage_txn *txn = c->txn;
        c->txn = NULL;
        err = storage_txn_commit(txn, diag, NULL);
    }
    buf_fini(&b);
    return err;
}

/* ---- generations ---- */

static db_err copy_text(struct sysvar_globals *g, enum sysvar_id id)
{
    return sysvar_defs[id].type == SYSVAR_T_STR
               ? arena_copy(&g->arena, g->values[id].s, &g->values[id].s)
               : ERR_OK;
}

/* Text as sysvar_to_text writes it. What does not fit any more (of another version) is left. */
static db_err take_text(struct sysvar_globals *g, const struct entry *e)
{
    enum sysvar_id id = sysvar_find(e->name);
    if (id == VAR__COUNT || (sysvar_defs[id].flags & SYSVAR_NODE) != 0) {
        return ERR_OK;
    }
    const struct sysvar_def *d = &sysvar_defs[id];
    struct value v = value_str(e->text, COLL_UTF8MB3_GENERAL_CI);
    char number[32];
    struct diag ignored;
    struct sysvar_value x;
    snprintf(number, sizeof(number), "%.*s", SLICE_FMT(e->text));
    if (e->is_null) {
        v = value_null();
    } else if (d->type == SYSVAR_T_INT) {
        v = number[0] == '-' ? value_int(strtoll(number, NULL, 10))
                             : value_uint(strtoull(number, NULL, 10));
    } else if (d->type == SYSVAR_T_DOUBLE) {
        v = value_double(strtod(number, NULL));
    }
    diag_reset(&ignored);
    x = g->values[id];
    db_err err = sysvar_convert(id, &v, &g->arena, &ignored, &x, NULL);
    if (err == ERR_OK) {
        g->values[id] = x;
    }
    return err == ERR_NOMEM ? err : ERR_OK;
}

/* The generation that the record describes; what is the node's own stays as it is. */
static db_err generation_of(struct sql_engine *e, const struct record *r,
                            struct sysvar_globals **ret)
{
    struct sysvar_globals *g;
    TRY(sysvar_globals_new(&g));
    db_err err = ERR_OK;
    for (int i = 0; i < VAR__COUNT && err == ERR_OK; i++) {
        if ((sysvar_defs[i].flags & SYSVAR_NODE) != 0) {
            g->values[i] = e->globals->values[i];
            err = copy_text(g, (enum sysvar_id)i);
        }
    }
    for (uint32_t i = 0; i < r->count && err == ERR_OK; i++) {
        if (r->entries[i].kind == KIND_NOW) {
            err = take_text(g, &r->entries[i]);
        }
    }
    if (err != ERR_OK) {
        sysvar_globals_unref(g);
        return err;
    }
    *ret = g;
    return ERR_OK;
}

/* Takes the reference. */
static void install(struct sql_engine *e, struct sysvar_globals *g)
{
    spin_lock(&e->globals_lock);
    struct sysvar_globals *old = e->globals;
    e->globals = g;
    atomic_store_explicit(&e->read_only, g->values[VAR_read_only].i != 0, memory_order_relaxed);
    atomic_store_explicit(&e->super_read_only, g->values[VAR_super_read_only].i != 0,
                          memory_order_relaxed);
    atomic_store_explicit(&e->offline, g->values[VAR_offline_mode].i != 0, memory_order_relaxed);
    atomic_store_explicit(&e->slow_log, g->values[VAR_slow_query_log].i != 0, memory_order_relaxed);
    atomic_store_explicit(&e->general_log, g->values[VAR_general_log].i != 0, memory_order_relaxed);
    spin_unlock(&e->globals_lock);
    sysvar_globals_unref(old);
}

/* With the mutex held. An older record than the one in use came late. */
static db_err use_record(struct sql_engine *e, const struct record *r)
{
    struct sysvar_globals *g;
    if (r->version < e->globals_version || r->version == 0) {
        return ERR_OK;
    }
    TRY(generation_of(e, r, &g));
    install(e, g);
    e->globals_version = r->version;
    atomic_store(&e->run, r->run);
    return ERR_OK;
}

/* With the mutex held: on this node alone. */
static db_err change_here(struct sql_engine *e, const struct global_change *changes, unsigned count)
{
    struct sysvar_globals *g;
    TRY(sysvar_globals_copy(e->globals, &g));
    for (unsigned i = 0; i < count; i++) {
        g->values[changes[i].id] = changes[i].value;
        db_err err = copy_text(g, changes[i].id);
        if (err != ERR_OK) {
            sysvar_globals_unref(g);
            return err;
        }
    }
    install(e, g);
    return ERR_OK;
}

/* ---- SET GLOBAL, SET PERSIST ---- */

static db_err change_record(struct sql_session *s, const struct global_change *changes,
                            unsigned count, unsigned how)
{
    struct sql_engine *e = s->engine;
    bool shared = e->opts.coord != NULL && (how & GLOBALS_NOW) != 0;
    struct change c;
    TRY(change_begin(e, &s->diag, &c));
    db_err err = ERR_OK;
    for (unsigned i = 0; shared && i < count && err == ERR_OK; i++) {
        err = set(&c.record, &c.arena, KIND_NOW, &changes[i]);
    }
    if ((how & GLOBALS_PERSIST) != 0 && err == ERR_OK) {
        err = set(&c.record, &c.arena, KIND_PERSISTED, &changes[0]);
    }
    err = err == ERR_OK ? change_commit(&c, &s->diag) : err;
    if (err == ERR_OK && shared) {
        err = use_record(e, &c.record);
    }
    change_abort(&c);
    return err;
}

db_err globals__change(struct sql_session *s, const struct global_change *changes, unsigned count,
                       unsigned how)
{
    struct sql_engine *e = s->engine;
    struct sql_coord *coord = e->opts.coord;
    bool now = (how & GLOBALS_NOW) != 0;
    bool here = coord == NULL || (sysvar_defs[changes[0].id].flags & SYSVAR_NODE) != 0;
    bool keep = (how & GLOBALS_PERSIST) != 0;
    db_err err = ERR_OK;
    fiber_mutex_lock(&e->globals_mutex);
    if (keep || (now && !here)) {
        err = change_record(s, changes, count, how);
    }
    if (now && here && err == ERR_OK) {
        err = change_here(e, changes, count);
    }
    fiber_mutex_unlock(&e->globals_mutex);
    if (err == ERR_OK && now && !here) {
        err = coord->ops->publish_globals(coord, &s->diag);
    }
    return err;
}

/* ---- RESET PERSIST ---- */

static db_err may_reset(struct sql_session *s, struct slice name)
{
    enum sysvar_id id = sysvar_find(name);
    bool dynamic = id == VAR__COUNT || (sysvar_defs[id].flags & SYSVAR_DYNAMIC) != 0;
    return access__reset_persist(s, dynamic);
}

static db_err reset_one(struct statement *st, struct change *c, struct slice name, bool if_exists)
{
    struct sql_session *s = st->session;
    struct entry *found = find(&c->record, KIND_PERSISTED, name);
    if (found != NULL) {
        TRY(may_reset(s, name));
        *found = c->record.entries[--c->record.count];
        return change_commit(c, &s->diag);
    }
    const char *text = arena_strdup(&s->stmt_arena, name);
    if (!if_exists) {
        return my_error(&s->diag, ER_VAR_DOES_NOT_EXIST, text);
    }
    diag_area_warn(&s->conditions, ER_VAR_DOES_NOT_EXIST, text);
    return ERR_OK;
}

static db_err reset_all(struct sql_session *s, struct change *c)
{
    bool any = false;
    for (uint32_t i = 0; i < c->record.count; i++) {
        if (c->record.entries[i].kind == KIND_PERSISTED) {
            TRY(may_reset(s, c->record.entries[i].name));
            any = true;
        }
    }
    drop_kind(&c->record, KIND_PERSISTED);
    return any ? change_commit(c, &s->diag) : ERR_OK;
}

db_err globals__reset(struct statement *st, const struct ast_reset_persist *r)
{
    struct sql_session *s = st->session;
    struct sql_engine *e = s->engine;
    struct slice name = r->name;
    struct change c;
    if (r->component.ptr != NULL) {
        name = slice_str(
            arena_printf(&s->stmt_arena, "%.*s.%.*s", SLICE_FMT(r->component), SLICE_FMT(r->name)));
    }
    fiber_mutex_lock(&e->globals_mutex);
    db_err err = change_begin(e, &s->diag, &c);
    if (err == ERR_OK) {
        err = name.ptr == NULL ? reset_all(s, &c) : reset_one(st, &c, name, r->if_exists);
        change_abort(&c);
    }
    fiber_mutex_unlock(&e->globals_mutex);
    return err == ERR_OK ? session__ok(st, 0, SLICE_EMPTY) : err;
}

/* ---- opening, reading again ---- */

static db_err read_only_record(struct sql_engine *e, struct arena *a, struct diag *diag,
                               struct record *ret)
{
    const struct storage_txn_opts o = {.isolation = STORAGE_REPEATABLE_READ, .read_only = true};
    struct storage_txn *txn;
    struct slice value;
    bool found;
    TRY(storage_txn_begin(e->opts.storage, &o, diag, &txn));
    db_err err = storage_get(txn, slice_of(g_key, sizeof(g_key)), STORAGE_READ_PLAIN, STORAGE_WAIT,
                             a, diag, &found, &value);
    if (err == ERR_OK && found) { /* it may lie in the transaction's memory */
        err = arena_copy(a, value, &value);
    }
    storage_txn_rollback(txn);
    *ret = (struct record){0};
    return err == ERR_OK && found ? decode(value, a, diag, ret) : err;
}

static db_err begin_run(struct record *r, struct arena *a)
{
    drop_kind(r, KIND_NOW);
    uint32_t count = r->count;
    for (uint32_t i = 0; i < count; i++) {
        struct entry now = r->entries[i];
        struct global_change follows;
        struct sysvar_value v = {.is_null = now.is_null};
        enum sysvar_id id = sysvar_find(now.name);
        now.kind = KIND_NOW;
        TRY(add(r, a, &now));
        v.s = now.text;
        if (id != VAR__COUNT && sysvar_defs[id].type == SYSVAR_T_STR &&
            vars__companion(id, &v, &follows)) {
            TRY(set(r, a, KIND_NOW, &follows));
        }
    }
    do {
        TRY(rand_secure(&r->run, sizeof(r->run)));
    } while (r->run == 0);
    return ERR_OK;
}

static db_err open_alone(struct sql_engine *e, struct diag *diag)
{
    struct record r;
    struct arena a;
    struct sysvar_globals *g = NULL;
    arena_init(&a, NULL, NULL, 0);
    db_err err = read_only_record(e, &a, diag, &r);
    err = err == ERR_OK ? begin_run(&r, &a) : err;
    err = err == ERR_OK ? generation_of(e, &r, &g) : err;
    if (err == ERR_OK) {
        install(e, g);
    }
    arena_fini(&a);
    return err;
}

static db_err open_among_others(struct sql_engine *e, struct diag *diag)
{
    struct sql_coord *coord = e->opts.coord;
    struct change c;
    TRY(change_begin(e, diag, &c));
    db_err err = ERR_OK;
    if (c.record.run == 0 || !coord->ops->runs(coord, c.record.run)) {
        err = begin_run(&c.record, &c.arena);
        err = err == ERR_OK ? change_commit(&c, diag) : err;
    }
    if (err == ERR_OK) {
        fiber_mutex_lock(&e->globals_mutex);
        err = use_record(e, &c.record);
        fiber_mutex_unlock(&e->globals_mutex);
    }
    change_abort(&c);
    return err;
}

static db_err open_as_it_is(struct sql_engine *e, struct diag *diag)
{
    struct record r;
    struct arena a;
    arena_init(&a, NULL, NULL, 0);
    db_err err = read_only_record(e, &a, diag, &r);
    if (err == ERR_OK) {
        fiber_mutex_lock(&e->globals_mutex);
        err = use_record(e, &r);
        fiber_mutex_unlock(&e->globals_mutex);
    }
    arena_fini(&a);
    return err;
}

db_err globals__open(struct sql_engine *e, struct diag *diag)
{
    if (e->opts.coord == NULL) {
        return open_alone(e, diag);
    }
    for (unsigned tries = 1;; tries++) {
        db_err err = open_among_others(e, diag);
        if (err == ERR_DISK_FULL) {
            diag_reset(diag);
            return open_as_it_is(e, diag);
        }
        if (err_class(err) != ERR_CLASS_RETRY_TXN || tries == OPEN_TRIES_MAX) {
            return err;
        }
        TRY(fiber_sleep(OPEN_PAUSE_NS)); /* others took this node for dead, and learn better */
        diag_reset(diag);
    }
}

/* With a lock: who is about to write the record has done it. */
static db_err settled_record(struct sql_engine *e, struct arena *a, struct diag *diag,
                             struct record *ret)
{
    struct change c;
    struct buf copy;
    TRY(change_begin(e, diag, &c));
    buf_init(&copy, RECORD_MAX);
    db_err err = encode(&c.record, &copy);
    struct slice bytes = buf_slice(&copy);
    err = err == ERR_OK ? arena_copy(a, bytes, &bytes) : err;
    change_abort(&c);
    buf_fini(&copy);
    return err == ERR_OK ? decode(bytes, a, diag, ret) : err;
}

db_err globals__refresh(struct sql_engine *e, struct diag *diag)
{
    struct record r;
    struct arena a;
    arena_init(&a, NULL, NULL, 0);
    db_err err = atomic_load(&e->settled) ? read_only_record(e, &a, diag, &r)
                                          : settled_record(e, &a, diag, &r);
    if (err == ERR_OK) {
        fiber_mutex_lock(&e->globals_mutex);
        err = use_record(e, &r);
        fiber_mutex_unlock(&e->globals_mutex);
    }
    if (err == ERR_OK) {
        atomic_store(&e->settled, true);
    }
    arena_fini(&a);
    return err;
}

/* ---- performance_schema.persisted_variables ---- */

db_err session__persisted_rows(void *session, struct infoschema_name_sink *sink)
{
    struct sql_session *s = session;
    struct record r;
    TRY(read_only_record(s->engine, &s->stmt_arena, &s->diag, &r));
    for (uint32_t i = 0; i < r.count; i++) {
        if (r.entries[i].kind == KIND_PERSISTED) {
            TRY(sink->add(sink, r.entries[i].name, r.entries[i].text));
        }
    }
    return ERR_OK;
}
