/* Row counts of tables for the optimiser, kept for a while: asking the storage costs more than
 * planning a short query.
 *
 * A direct-mapped table of slots; two tables that fall into one slot only cost each other a fresh
 * look. A slot is read and written under its own lock of a few instructions.
 *
 * What a statement fills or empties is known at once, and not when the time is up: it adds its rows
 * to the slot, or takes them off. The storage says less for a while: what a transaction has written
 * does not count before the commit, nor where its locks have not been resolved yet. So the next
 * answer is not believed to be less than what has come since the last one. Who plans on another
 * node, or meets a table that was filled row by row, learns of the rows when the time is up.
 *
 * Plans that are kept know the counts that they were made for. Every few seconds, or when a slot
 * has changed by half, they are compared with those of now; a plan for a table that has become
 * several times as large or small is made anew. Plans for one key do not depend on counts. */
#include "base/clock.h"
#include "sql/catalog/table_format.h"
#include "sql/codec/table_keys.h"
#include "sql/session/session_int.h"

/* CHANGED_MIN: fewer rows of one statement are not worth the slot's lock. SMALL_TABLE: what grows
 * below it makes no other plan. */
enum { FRESH_S = 5, ROWS_UNKNOWN = 1000, CHANGED_MIN = 64, OUTGROWN = 4, SMALL_TABLE = 100 };

static uint64_t ask(struct storage *storage, const struct table_def *t)
{
    uint64_t rows = ROWS_UNKNOWN;
    uint64_t bytes;
    struct buf end;
    buf_init(&end, 64);
    if (buf_append_slice(&end, t->format->row_prefix) == ERR_OK) {
        key_prefix_end(&end);
        if (storage_estimate(storage, t->format->row_prefix, buf_slice(&end), &rows, &bytes) !=
            ERR_OK) {
            rows = ROWS_UNKNOWN;
        }
    }
    buf_fini(&end);
    return rows;
}

void estimate_forget(struct sql_engine *e, table_id_t id)
{
    struct estimate_slot *slot = &e->estimates[id % ESTIMATE_SLOTS];
    spin_lock(&slot->lock);
    slot->table = slot->table == id ? 0 : slot->table;
    spin_unlock(&slot->lock);
}

double estimate_table_rows(struct sql_engine *e, struct storage *storage, const struct table_def *t)
{
    if (t->format == NULL) {
        return ROWS_UNKNOWN;
    }
    struct estimate_slot *slot = &e->estimates[t->id % ESTIMATE_SLOTS];
    uint64_t now = clock_mono_ns();
    spin_lock(&slot->lock);
    bool fresh = slot->table == t->id && now - slot->asked_ns < FRESH_S * NS_PER_S;
    uint64_t rows = slot->rows;
    spin_unlock(&slot->lock);
    if (fresh) {
        return (double)rows;
    }
    rows = ask(storage, t);
    spin_lock(&slot->lock);
    if (slot->table == t->id && rows < slot->come) {
        rows = slot->come;
    }
    slot->table = t->id;
    slot->rows = rows;
    slot->come = 0;
    slot->asked_ns = now;
    slot->changed = 0;
    spin_unlock(&slot->lock);
    return (double)rows;
}

/* What a statement has done to a table. */
struct change {
    uint64_t rows;       /* that it has touched */
    uint64_t come, gone; /* of these; neither: who knows */
};

static void add_change(struct sql_engine *e, const struct table_def *t, struct change c)
{
    struct estimate_slot *slot = &e->estimates[t->id % ESTIMATE_SLOTS];
    bool tell = false;
    spin_lock(&slot->lock);
    if (slot->table == t->id) {
        slot->changed += c.rows;
        tell = slot->changed >= slot->rows / 2;
        slot->changed = tell ? 0 : slot->changed;
        slot->rows = slot->rows + c.come - (c.gone < slot->rows ? c.gone : slot->rows);
        slot->come = slot->come + c.come - (c.gone < slot->come ? c.gone : slot->come);
        slot->table = tell && c.come + c.gone == 0 ? 0 : slot->table;
    } else if (c.come != 0) { /* how many there were is asked for when somebody wants to know */
        slot->table = t->id;
        slot->come = c.come;
        slot->asked_ns = slot->rows = slot->changed = 0;
    }
    spin_unlock(&slot->lock);
    if (tell) {
        atomic_fetch_add_explicit(&e->estimate_epoch, 1, memory_order_relaxed);
    }
}

void estimate_changed(struct sql_engine *e, const struct plan *plan, uint64_t rows)
{
    const struct plan_node *n = plan->root;
    if (LIKELY(rows < CHANGED_MIN)) {
        return;
    }
    if (plan->kind == BOUND_INSERT) {
        bool all_new = n->u.insert.update_count == 0 && !n->u.insert.replace;
        add_change(e, n->u.insert.target->table,
                   (struct change){.rows = rows, .come = all_new ? rows : 0});
    } else if (plan->kind == BOUND_DELETE) {
        uint64_t each = rows / n->u.dml.target_count;
        for (uint32_t i = 0; i < n->u.dml.target_count; i++) {
            add_change(e, n->u.dml.targets[i].table, (struct change){.rows = each, .gone = each});
        }
    }
}

/* ---- plans that are kept ---- */

double estimate_for_plan(void *env, const struct table_def *t)
{
    const struct estimate_env *to = env;
    struct sql_session *s = to->session;
    struct plan_size *size = to->plan->sizes;
    while (size != NULL && size->table != t) {
        size = size->next;
    }
    if (size != NULL) {
        return size->rows; /* one plan, one size */
    }
    double rows = estimate_table_rows(s->engine, session__storage(s), t);
    size = arena_alloc(&to->plan->arena, sizeof(*size));
    if (size != NULL) { /* else the plan fails at what it needs next */
        *size = (struct plan_size){to->plan->sizes, t, rows};
        to->plan->sizes = size;
    }
    return rows;
}

bool estimate_outgrown(struct sql_session *s, struct plan *plan)
{
    if (plan->shape != PLAN_SHAPE_TREE || plan->sizes == NULL) {
        return false;
    }
    uint64_t now = clock_mono_ns();
    uint64_t at = atomic_load_explicit(&plan->sizes_looked_ns, memory_order_relaxed);
    uint64_t epoch = atomic_load_explicit(&s->engine->estimate_epoch, memory_order_relaxed);
    if (LIKELY(now < at + FRESH_S * NS_PER_S &&
               epoch == atomic_load_explicit(&plan->sizes_epoch, memory_order_relaxed))) {
        return false;
    }
    /* others go on with it while this one asks */
    atomic_store_explicit(&plan->sizes_looked_ns, now, memory_order_relaxed);
    atomic_store_explicit(&plan->sizes_epoch, epoch, memory_order_relaxed);
    for (const struct plan_size *size = plan->sizes; size != NULL; size = size->next) {
        double is = estimate_table_rows(s->engine, session__storage(s), size->table);
        double was = size->rows + SMALL_TABLE;
        is += SMALL_TABLE;
        if (is > was * OUTGROWN || was > is * OUTGROWN) {
            return true;
        }
    }
    return false;
}
