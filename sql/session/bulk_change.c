/* UPDATE and DELETE that change more rows than fit.
 *
 * A statement locks each row that it reads, remembers each lock, and collects what it is to change.
 * What it collects and remembers goes to disk when memory is short, if there is a directory for
 * that; its locks are bounded by the memory of a range's lock table (ERR_LOCK_TABLE_FULL), and each
 * costs a call. A statement with autocommit that meets a bound, or has found so many rows that it
 * is cheaper to begin anew, is rolled back and run once more, in bulk: one lock takes the place of
 * all row locks, that of the table's rows (mdl_rows), which all share who change rows, on all
 * nodes, until their transactions end. So it waits for those that have changed rows of the table,
 * and who comes later waits for it. What it reads is then the snapshot: nobody commits a change of
 * the table any more. Readers are not held up.
 *
 * Somebody's transaction may stay open for long, and must not keep all writers of the table
 * waiting: the first time the statement waits a second for that lock. If it does not get it, it
 * goes on with locks of rows; only if these meet their bound it waits as long as statements wait
 * for tables.
 *
 * Locks of rows that others have only read (FOR UPDATE, FOR SHARE) are waited for when the rows
 * are written. That every row is still as it was read is checked in the commit
 * (cluster/txn/commit_bulk.c): a change of unknown outcome, one of a node that was taken for dead,
 * or one that a foreign key made, could still have come. Then the statement runs again.
 *
 * Tests have all statements that may run so do it at once (skein_bulk_change). */
#include "sql/session/bulk_change.h"

#include "base/clock.h"
#include "sql/ddl/mdl.h"
#include "sql/diag/my_error.h"
#include "sql/exec/op.h"
#include "sql/storage/coord.h"

enum { WAIT_FIRST_S = 1 };

static bool possible(const struct sql_session *s, const struct plan *plan)
{
    return s->vars.isolation != STORAGE_SERIALIZABLE && s->temporaries.storage == NULL &&
           s->engine->opts.temp_dir != NULL && storage_caps(session__storage(s)).bulk &&
           exec_may_change_in_bulk(plan);
}

uint64_t bulk_change__rows_until(const struct statement *st, const struct plan *plan)
{
    enum { ROWS_WORTH_LOCKS = 65536 };
    const struct sql_session *s = st->session;
    bool may = !st->bulk_change && !st->bulk_refused && s->txn_mode == TXN_STATEMENT &&
               (plan->kind == BOUND_UPDATE || plan->kind == BOUND_DELETE) && possible(s, plan);
    return may ? ROWS_WORTH_LOCKS : 0;
}

bool bulk_change__wanted(struct statement *st, const struct plan *plan, db_err err)
{
    struct sql_session *s = st->session;
    if (st->bulk_change) { /* a row has changed all the same */
        if (err == ERR_WRITE_CONFLICT) {
            diag_reset(&s->diag);
            session__forget_conditions(st);
        }
        return err == ERR_WRITE_CONFLICT;
    }
    bool wanted = (err == ERR_LOCK_TABLE_FULL || err == ERR_LIMIT) && possible(s, plan);
    if (wanted) {
        diag_reset(&s->diag);
        session__forget_conditions(st);
        st->bulk_change = true;
    }
    return wanted;
}

db_err bulk_change__lock(struct statement *st, const struct plan *plan)
{
    struct sql_session *s = st->session;
    uint32_t count;
    if (UNLIKELY(s->vars.bulk_change) && s->txn_mode == TXN_NONE && s->vars.autocommit &&
        plan->shape == PLAN_SHAPE_TREE) {
        st->bulk_change = possible(s, plan);
    }
    if (LIKELY(!st->bulk_change)) {
        return ERR_OK;
    }
    const struct plan_target *t = query__targets(plan, &count);
    if (count != 1 || table_locks__active(s)) {
        return ERR_OK; /* LOCK TABLES ... WRITE is more */
    }
    const struct sql_coord *coord = s->engine->opts.coord;
    uint64_t id = mdl_rows(t[0].table->id);
    bool must = st->bulk_refused || s->vars.bulk_change;
    uint32_t wait_s = s->vars.lock_wait_timeout_s;
    wait_s = !must && wait_s > WAIT_FIRST_S ? WAIT_FIRST_S : wait_s;
    uint64_t deadline = clock_mono_ns() + wait_s * NS_PER_S;
    atomic_store_explicit(&s->state, "Waiting for table level lock", memory_order_release);
    db_err err =
        coord == NULL
            ? mdl_lock_exclusive(s->engine->mdl, &s->bulk_rows.owner, &id, 1, deadline, &s->diag)
            : coord->ops->lock_tables(s->engine->opts.coord, &id, 1, &s->bulk_rows.owner, deadline,
                                      &s->diag, &s->bulk_rows.everywhere);
    atomic_store_explicit(&s->state, NULL, memory_order_release);
    if (err == ERR_SQL && !must && s->diag.number == ER_LOCK_WAIT_TIMEOUT) {
        diag_reset(&s->diag);
        st->bulk_change = false;
        st->bulk_refused = true;
        return ERR_OK;
    }
    return err;
}

void bulk_change__unlock(struct statement *st)
{
    struct sql_session *s = st->session;
    if (LIKELY(!st->bulk_change)) {
        return;
    }
    if (s->bulk_rows.everywhere != NULL) {
        s->engine->opts.coord->ops->unlock_tables(s->bulk_rows.everywhere);
        s->bulk_rows.everywhere = NULL;
    }
    mdl_release_all(s->engine->mdl, &s->bulk_rows.owner);
}
