/* Temporary tables: a session's own, gone with it.
 *
 * Their descriptors are in the session, in front of the catalog's (catalog_with_temporaries); their
 * rows are in a storage in memory, which the session's storage joins with everyone's
 * (sql/storage/split.h), so that transactions and savepoints are of both and no plan or operator
 * knows a difference. Nothing of them is logged, replicated or locked. The storage is made with the
 * first table and closed when a transaction ends and no table is left.
 *
 * Memory. What is stored counts as the node's statement memory. Before a commit that adds to it the
 * count is brought up to date; a node that has no more refuses the commit. */
#include "sql/session/session_int.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "sql/storage/mem/mem.h"
#include "sql/storage/split.h"

enum { FRACTION_OF_NODE = 4, TEMPORARIES_MAX = 65536 };

/* Keys of rows: 0x02, then the table's id as 8 bytes behind their length; of sequences: 's', a
 * letter, the id (sql/codec/table_keys.h, sql/exec/row_writer.h). */
static bool is_own_key(struct slice key)
{
    enum { EIGHT_BYTES = 255, ID_TOP = (int)(TABLE_ID_TEMPORARY >> 56) };
    bool row = key.len > 2 && key.ptr[0] == 0x02 && key.ptr[1] == EIGHT_BYTES;
    bool sequence = key.len == 10 && key.ptr[0] == 's';
    return (row || sequence) && (key.ptr[2] & 0xc0) == ID_TOP;
}

struct storage *session__storage(const struct sql_session *s)
{
    return s->temporaries.storage != NULL ? s->temporaries.storage : s->engine->opts.storage;
}

db_err session__snapshot(struct sql_session *s, const struct catalog_snapshot **ret_snapshot)
{
    const struct session_temporaries *t = &s->temporaries;
    const struct catalog_snapshot *snap = catalog_acquire(s->engine->catalog);
    if (UNLIKELY(t->count != 0)) {
        snap = catalog_with_temporaries(snap, t->tables, t->count);
    }
    if (snap == NULL) {
        return ERR_NOMEM;
    }
    *ret_snapshot = snap;
    return ERR_OK;
}

static db_err make_storage(struct sql_session *s)
{
    struct session_temporaries *t = &s->temporaries;
    struct mem_storage_opts mem = {.bytes_max = s->engine->mem.limit / FRACTION_OF_NODE};
    struct split_storage_opts split = {.shared = s->engine->opts.storage, .is_own = is_own_key};
    if (t->storage != NULL) {
        return ERR_OK;
    }
    TRY(mem_storage_new(&mem, &split.own));
    db_err err = split_storage_new(&split, &t->storage);
    if (err == ERR_OK && s->txn != NULL) {
        struct storage_txn_opts opts = txn__opts(s, false, false, false);
        err = split_storage_adopt(t->storage, s->txn, &opts, &s->diag, &s->txn);
    }
    if (err == ERR_OK) {
        t->own = split.own;
        return ERR_OK;
    }
    if (t->storage != NULL) {
        storage_close(t->storage);
        t->storage = NULL;
    } else {
        storage_close(split.own);
    }
    return err;
}

static db_err new_id(struct ddl_temporaries *base, struct ddl_ctx *ctx, table_id_t *ret_id)
{
    struct sql_session *s = CONTAINER_OF(base, struct sql_session, temporaries.ops);
    TRY(make_storage(s));
    ctx->storage = s->temporaries.storage;
    *ret_id = TABLE_ID_TEMPORARY |
              atomic_fetch_add_explicit(&s->engine->temporary_ids, 1, memory_order_relaxed);
    return ERR_OK;
}

/* Plans that were made before must not be used any more, and none that is everyone's as long as
 * there are tables. */
static void changed(struct session_temporaries *t)
{
    t->changes++;
    t->version = t->count == 0 ? 0 : t->changes;
}

static uint32_t place_of(const struct session_temporaries *t, table_id_t id)
{
    uint32_t i = 0;
    while (i < t->count && temporary_table_def(t->tables[i])->id != id) {
        i++;
    }
    return i;
}

static db_err put(struct ddl_temporaries *base, table_id_t old_id, const struct table_def *def)
{
    struct sql_session *s = CONTAINER_OF(base, struct sql_session, temporaries.ops);
    struct session_temporaries *t = &s->temporaries;
    struct table_def made = *def;
    struct temporary_table *table;
    if (t->count == TEMPORARIES_MAX) {
        return diag_set(&s->diag, ERR_LIMIT, "a session has at most %d temporary tables",
                        TEMPORARIES_MAX);
    }
    if (t->count == t->cap) {
        uint32_t cap = t->cap == 0 ? 8 : t->cap * 2;
        struct temporary_table **grown = mem_realloc(t->tables, cap * sizeof(*grown));
        if (grown == NULL) {
            return ERR_NOMEM;
        }
        t->tables = grown;
        t->cap = cap;
    }
    made.create_time_us = made.create_time_us == 0 ? clock_wall_us() : made.create_time_us;
    TRY(temporary_table_new(&made, &table));
    uint32_t at = old_id == 0 ? t->count : place_of(t, old_id);
    if (at < t->count) {
        temporary_table_release(t->tables[at]);
    } else {
        t->count++;
        t->made = true;
    }
    t->tables[at] = table;
    changed(t);
    return ERR_OK;
}

static void remove_table(struct ddl_temporaries *base, table_id_t id)
{
    struct sql_session *s = CONTAINER_OF(base, struct sql_session, temporaries.ops);
    struct session_temporaries *t = &s->temporaries;
    uint32_t at = place_of(t, id);
    if (at < t->count) {
        temporary_table_release(t->tables[at]);
        t->tables[at] = t->tables[--t->count];
        t->dropped = true;
        changed(t);
    }
}

/* ROLLBACK has nothing to say of these. */
db_err temporaries__lend(struct sql_session *s, const struct table_def *def)
{
    struct session_temporaries *t = &s->temporaries;
    bool made = t->made;
    db_err err = put(&t->ops, 0, def);
    t->made = made;
    return err;
}

void temporaries__take_back(struct sql_session *s, table_id_t id)
{
    struct session_temporaries *t = &s->temporaries;
    bool dropped = t->dropped;
    remove_table(&t->ops, id);
    t->dropped = dropped;
}

void temporaries__init(struct sql_session *s)
{
    s->temporaries.ops = (struct ddl_temporaries){new_id, put, remove_table};
}

static void account(struct sql_session *s, size_t bytes)
{
    struct session_temporaries *t = &s->temporaries;
    if (bytes < t->charged) {
        mem_tracker_release(&s->engine->mem, t->charged - bytes);
        t->charged = bytes;
    }
}

db_err temporaries__before_commit(struct sql_session *s)
{
    struct session_temporaries *t = &s->temporaries;
    struct mem_storage_stats stats;
    if (t->storage == NULL) {
        return ERR_OK;
    }
    mem_storage_stats(t->own, &stats);
    account(s, stats.bytes);
    if (stats.bytes > t->charged && storage_txn_has_writes(s->txn)) {
        TRY(mem_tracker_charge(&s->engine->mem, stats.bytes - t->charged));
        t->charged = stats.bytes;
    }
    return ERR_OK;
}

void temporaries__trim(struct sql_session *s)
{
    struct session_temporaries *t = &s->temporaries;
    if (s->txn_mode == TXN_NONE && s->vars.autocommit) {
        t->made = t->dropped = false;
    }
    if (t->storage != NULL && t->count == 0 && s->txn == NULL) {
        storage_close(t->storage);
        t->storage = t->own = NULL;
        account(s, 0);
    }
}

void temporaries__drop_all(struct sql_session *s)
{
    struct session_temporaries *t = &s->temporaries;
    for (uint32_t i = 0; i < t->count; i++) {
        temporary_table_release(t->tables[i]);
    }
    mem_free(t->tables);
    t->tables = NULL;
    t->count = t->cap = 0;
    changed(t);
    temporaries__trim(s);
}

void temporaries__warn_rollback(struct sql_session *s)
{
    if (s->temporaries.made) {
        diag_area_warn(&s->conditions, ER_WARNING_NOT_COMPLETE_ROLLBACK_WITH_CREATED_TEMP_TABLE);
    }
    if (s->temporaries.dropped) {
        diag_area_warn(&s->conditions, ER_WARNING_NOT_COMPLETE_ROLLBACK_WITH_DROPPED_TEMP_TABLE);
    }
}

/* Does the plan change temporary tables only? */
bool temporaries__only_target(const struct plan *plan)
{
    uint32_t count;
    const struct plan_target *targets = query__targets(plan, &count);
    for (uint32_t i = 0; i < count; i++) {
        if (!table_is_temporary(targets[i].table)) {
            return false;
        }
    }
    return count != 0;
}
