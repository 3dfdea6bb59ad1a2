#include "cluster/txn/txn.h"

/* A write buffer that has become large goes to a file, as a whole, and a new one begins; again and
 * again. The file is this node's and nobody else knows of it: until the commit the transaction is
 * as it was, locks and all, so that readers are not held up by it, nothing is left when this node
 * dies, and going back to a savepoint asks nobody. The commit reads it all in key order
 * (commit_bulk.c).
 *
 * What is looked at again comes back into the buffer, with what is known of its lock. So the buffer
 * is right about every key that it has, and of the others the newest run is.
 *
 * A savepoint is the number of runs that there were, and the buffer's own savepoint, in 38 bits.
 * Going back forgets later runs and, behind the buffer's own savepoints, the buffer. What was known
 * of locks that were taken since is forgotten with them: they are held on, and asked for again when
 * they are needed. Somebody may still rely on what was read under them; so the commit asks, as it
 * does for gaps, whether the lock tables that gave them are still those in use. That they have not
 * been lost for all the ranges where the transaction has locked anything is more than need be
 * known, and little to remember.
 *
 * Rows may have been borrowed from the first buffer while it was small (ctxn_copies), and who
 * writes many rows for each that he reads still has them when several buffers are full: its memory
 * stays. From later ones nothing is borrowed. */

enum { PART_OF_LIMIT = 24, MOST = 32 << 20, RUNS_A_STEP = 16, STEPS_MAX = 3 };
/* A buffer that goes to disk has not seen so many changes. */
enum { POS_BITS = 26, RUNS_MAX = (1 << 12) - 1 };

/* What need not go to disk is committed in the usual ways, which take several times its memory. */
size_t ctxn_run_bytes(const struct ctxn *t)
{
    size_t limit = t->opts.mem == NULL ? 0 : t->opts.mem->limit;
    size_t part = limit / PART_OF_LIMIT;
    return limit == 0 || part > MOST ? MOST : part < CTXN_SPILL_LEAST ? CTXN_SPILL_LEAST : part;
}

static db_err copy_span(struct arena *to, struct lock_span *from, struct lock_span **ret_copy)
{
    struct lock_span *s = ARENA_NEW(to, struct lock_span);
    if (s == NULL) {
        return ERR_LIMIT;
    }
    *s = *from;
    TRY(arena_copy(to, from->start, &s->start));
    TRY(arena_copy(to, from->end, &s->end));
    *ret_copy = s;
    return ERR_OK;
}

/* Copies of all that must outlive the buffer, made before anything is changed. */
struct kept {
    struct lock_span *spans;
    struct lock_span **span_of; /* in `kept` */
    struct gap_lock *gaps;
};

static db_err copy_locks(struct ctxn *t, struct arena *to, struct kept *ret)
{
    struct kept k = {.span_of = ARENA_ARRAY(to, struct lock_span *, t->span_count)};
    struct lock_span **span = &k.spans;
    struct gap_lock **gap = &k.gaps;
    if (k.span_of == NULL) {
        return ERR_LIMIT;
    }
    for (struct lock_span *s = t->spans; s != NULL; s = s->next) {
        TRY(copy_span(to, s, span));
        span = &(*span)->next;
    }
    *span = NULL;
    for (uint32_t i = 0; i < t->span_count; i++) {
        TRY(copy_span(to, t->span_of[i], &k.span_of[i]));
    }
    for (struct gap_lock *g = t->gaps; g != NULL; g = g->next) {
        *gap = ARENA_NEW(to, struct gap_lock);
        if (*gap == NULL) {
            return ERR_LIMIT;
        }
        (*gap)->lock_term = g->lock_term;
        TRY(arena_copy(to, g->start, &(*gap)->start));
        TRY(arena_copy(to, g->end, &(*gap)->end));
        gap = &(*gap)->next;
    }
    *ret = k;
    return ERR_OK;
}

static db_err first_spill(struct ctxn *t, struct diag *diag)
{
    const char *dir = t->opts.temp_dir != NULL ? t->opts.temp_dir : t->env->spill_dir;
    struct write_spill *spill;
    struct kept k;
    TRY(write_spill_new(dir, t->opts.mem, &spill));
    arena_init(&t->kept, NULL, t->opts.mem, 0);
    arena_init(&t->first, NULL, NULL, 0);
    db_err err = copy_locks(t, &t->kept, &k);
    err = err != ERR_OK ? err : write_spill_add(spill, &t->wb, diag);
    if (err != ERR_OK) {
        arena_fini(&t->kept);
        write_spill_free(spill);
        return err;
    }
    t->spans = k.spans;
    t->gaps = k.gaps;
    if (t->span_count != 0) {
        memcpy(t->span_of, k.span_of, t->span_count * sizeof(struct lock_span *));
    }
    t->spill = spill;
    return ERR_OK;
}

/* A new buffer. The first one's memory is charged if there is room for that. */
static void retire(struct ctxn *t)
{
    struct arena old;
    wb_hand_over(&t->wb, &old);
    if (t->first.blocks != NULL) {
        arena_fini(&old);
        return;
    }
    t->first = old;
    if (t->opts.mem != NULL && mem_tracker_charge(t->opts.mem, t->first.used) == ERR_OK) {
        t->first_charge = t->first.used;
    }
}

static db_err spill_all(struct ctxn *t, struct diag *diag)
{
    if (t->spill == NULL) {
        TRY(first_spill(t, diag));
        atomic_fetch_add_explicit(&t->env->spills, 1, memory_order_relaxed);
    } else {
        TRY(write_spill_add(t->spill, &t->wb, diag));
    }
    retire(t);
    return ERR_OK;
}

db_err ctxn_spill(struct ctxn *t, struct diag *diag)
{
    size_t steps = t->spill == NULL ? 0 : write_spill_count(t->spill) / RUNS_A_STEP;
    size_t room = ctxn_run_bytes(t) * (1 + (steps < STEPS_MAX ? steps : STEPS_MAX));
    bool large = t->wb.arena.used + t->wb.undo_count * sizeof(struct wb_state) >= room ||
                 t->wb.entry_count >= t->env->spill_entries;
    if (!large || t->wb.entry_count == 0 || t->runs != NULL ||
        (t->spill != NULL && write_spill_count(t->spill) >= RUNS_MAX) ||
        (t->opts.temp_dir == NULL && t->env->spill_dir == NULL)) {
        return ERR_OK;
    }
    return spill_all(t, diag);
}

db_err ctxn_spill_rest(struct ctxn *t, struct diag *diag)
{
    return t->wb.entry_count == 0 ? ERR_OK : spill_all(t, diag);
}

void ctxn_spill_end(struct ctxn *t)
{
    if (t->first_charge != 0) {
        mem_tracker_release(t->opts.mem, t->first_charge);
        t->first_charge = 0;
    }
    arena_fini(&t->first);
    arena_fini(&t->kept);
    write_spill_free(t->spill);
    t->spill = NULL;
}

db_err ctxn_load(struct ctxn *t, struct slice key, struct diag *diag, struct wb_entry **ret_entry)
{
    struct arena a;
    struct wb_entry found;
    struct wb_entry *e = NULL;
    bool any;
    arena_init(&a, NULL, NULL, 0);
    db_err err = write_spill_find(t->spill, key, &a, diag, &any, &found);
    if (err == ERR_OK && any) {
        err = wb_adopt(&t->wb, &found, &e);
    }
    arena_fini(&a);
    if (err == ERR_OK) {
        *ret_entry = e;
    }
    return err;
}

uint64_t ctxn_savepoint(struct ctxn *t)
{
    uint64_t runs = LIKELY(t->spill == NULL) ? 0 : write_spill_count(t->spill);
    return runs << POS_BITS | wb_savepoint(&t->wb);
}

static bool remembered(const struct ctxn *t, uint64_t lock_term, const struct lock_span *s)
{
    for (const struct gap_lock *g = t->gaps; g != NULL; g = g->next) {
        if (g->lock_term == lock_term && slice_eq(g->start, s->start) && slice_eq(g->end, s->end)) {
            return true;
        }
    }
    return false;
}

/* Before locks are forgotten. */
static db_err remember_tables(struct ctxn *t)
{
    for (uint32_t i = 0; i < t->span_count; i++) {
        uint64_t term = t->span_of[i]->lock_term;
        for (const struct lock_span *s = t->spans; s != NULL; s = s->next) {
            if (s->range == t->span_of[i]->range && !remembered(t, term, s)) {
                TRY(ctxn_note_gap(t, term, s->start, s->end));
            }
        }
    }
    return ERR_OK;
}

db_err ctxn_rollback_to(struct ctxn *t, uint64_t savepoint)
{
    if (LIKELY(t->spill == NULL)) {
        return wb_rollback_to(&t->wb, savepoint);
    }
    uint64_t runs = write_spill_count(t->spill);
    uint64_t run = savepoint >> POS_BITS;
    uint64_t pos = savepoint & (((uint64_t)1 << POS_BITS) - 1);
    if (run > runs) {
        return ERR_INVALID;
    }
    if (run == runs) {
        return wb_rollback_to(&t->wb, pos);
    }
    TRY(remember_tables(t));
    write_spill_back_to(t->spill, (uint32_t)run, pos);
    retire(t);
    return ERR_OK;
}
