/* Row counts of tables for the optimiser, kept for a while: asking the storage costs more than
 * planning a short query.
 *
 * A direct-mapped table of slots; two tables that fall into one slot only cost each other a fresh
 * look. A slot is read and written under its own lock of a few instructions. */
#include "base/clock.h"
#include "sql/catalog/table_format.h"
#include "sql/codec/table_keys.h"
#include "sql/session/session_int.h"

enum { FRESH_S = 5, ROWS_UNKNOWN = 1000 };

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
    slot->table = t->id;
    slot->rows = rows;
    slot->asked_ns = now;
    spin_unlock(&slot->lock);
    return (double)rows;
}
