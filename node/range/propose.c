#include "node/range/range_int.h"

#include "base/assert.h"
#include "node/store/varint.h"

/* The way of a write from the fiber that evaluated it to the log, and its answer.
 *
 * The proposal is on the fiber's stack; the fiber is parked until the entry is applied or its fate
 * is decided otherwise, so nothing is copied before the owner puts it, with all others that wait,
 * into one piece of memory for the core. Proposals beyond the window wait in `pending`.
 *
 *   not given to the core: ERR_NOT_LEADER, ERR_DISK_FULL, ...: certainly not applied, ever
 *   given, and another entry was committed at its index: ERR_NOT_LEADER, certainly not applied
 *   given, and leadership or the log was lost: ERR_COMMIT_UNKNOWN
 *   applied under another epoch than it was evaluated for: ERR_STALE_EPOCH, without effect */

enum { HEADER_MAX = 1 + VARINT_MAX };

size_t entry_header_put(uint8_t *out, enum entry_kind kind, uint64_t epoch_version)
{
    out[0] = (uint8_t)kind;
    return 1 + varint_put(out + 1, epoch_version);
}

db_err entry_header_get(struct slice entry, enum entry_kind *ret_kind, uint64_t *ret_version,
                        struct slice *ret_payload)
{
    if (entry.len < 2) {
        return ERR_CORRUPT;
    }
    const uint8_t *pos = entry.ptr + 1;
    const uint8_t *end = entry.ptr + entry.len;
    uint64_t version;
    if (entry.ptr[0] < ENTRY_BATCH || entry.ptr[0] > ENTRY_KIND_LAST ||
        !varint_get(&pos, end, &version)) {
        return ERR_CORRUPT;
    }
    *ret_kind = (enum entry_kind)entry.ptr[0];
    *ret_version = version;
    *ret_payload = slice_of(pos, (size_t)(end - pos));
    return ERR_OK;
}

void proposal_done(struct proposal *p, db_err result)
{
    wait_signal(&p->waiter, (int)result);
}

static db_err explain(struct replica *r, db_err err, struct diag *diag)
{
    switch ((int)err) {
    case ERR_OK: return ERR_OK;
    case ERR_DISK_FULL: return space_refuse(diag);
    case ERR_COMMIT_UNKNOWN:
        return diag_set(diag, err, "range %llu lost its leader while a write was on its way",
                        (unsigned long long)r->id);
    default: return diag_set(diag, err, "range %llu: %s", (unsigned long long)r->id, err_text(err));
    }
}

db_err replica_propose(struct replica *r, struct proposal *p, struct diag *diag)
{
    struct range_store *rs = r->rs;
    if (p->payload.len > RANGE_ENTRY_MAX) {
        return diag_set(diag, ERR_LIMIT, "a write of %zu bytes; at most %d go at once",
                        p->payload.len, RANGE_ENTRY_MAX);
    }
    if (UNLIKELY((atomic_load_explicit(&rs->disk_full, memory_order_relaxed) & ~FULL_MILD) != 0)) {
        return space_refuse(diag);
    }
    atomic_fetch_add(&rs->proposers, 1);
    if (UNLIKELY(atomic_load(&rs->stopping))) {
        atomic_fetch_sub(&rs->proposers, 1);
        return diag_set(diag, ERR_UNAVAILABLE, "the node is stopping");
    }
    p->msg.kind = INBOX_PROPOSE;
    p->result = ERR_OK;
    wait_init(&p->waiter);
    inbox_push(r, &p->msg);
    wait_block_uncancelable(&p->waiter);
    db_err err = explain(r, (db_err)p->waiter.result, diag);
    atomic_fetch_sub(&rs->proposers, 1); /* the last touch: the store may go now */
    return err;
}

/* ---- the owner's side ---- */

void replica_fail_pending(struct replica *r, db_err err)
{
    struct list *node;
    while ((node = list_pop_front(&r->pending)) != NULL) {
        proposal_done(CONTAINER_OF(node, struct proposal, link), err);
    }
}

static db_err admissible(const struct replica *r, const struct proposal *p)
{
    if (r->broken != ERR_OK) {
        return ERR_UNAVAILABLE;
    }
    uint64_t term = atomic_load_explicit(&r->lease_term, memory_order_relaxed);
    return term == 0 || (p->lease_term != 0 && p->lease_term != term) ? ERR_NOT_LEADER : ERR_OK;
}

enum { STEP_MAX = 64 }; /* proposals given to the core in one step */

/* Takes from `pending` what fits the window and one step; drops what may not be proposed. */
static size_t choose(struct replica *r, struct proposal **chosen, size_t *ret_bytes)
{
    size_t count = 0;
    size_t bytes = 0;
    while (!list_empty(&r->pending) && count < STEP_MAX) {
        struct proposal *p = CONTAINER_OF(r->pending.next, struct proposal, link);
        db_err err = admissible(r, p);
        if (err != ERR_OK) {
            list_remove(&p->link);
            proposal_done(p, err);
            continue;
        }
        size_t size = HEADER_MAX + p->payload.len;
        bool first = r->inflight_count + count == 0;
        if (!first && (r->inflight_count + count >= RANGE_INFLIGHT_MAX ||
                       r->inflight_bytes + bytes + size > RANGE_INFLIGHT_BYTES_MAX)) {
            break;
        }
        list_remove(&p->link);
        chosen[count++] = p;
        bytes += size;
    }
    *ret_bytes = bytes;
    return count;
}

/* One piece of memory for all entries of the step. */
static db_err step_chosen(struct range_loop *l, struct replica *r, struct proposal **chosen,
                          size_t count, size_t bytes)
{
    struct slice data[STEP_MAX];
    struct blob *blob = blob_new(bytes);
    if (blob == NULL) {
        return ERR_NOMEM;
    }
    uint8_t *pos = blob->data;
    for (size_t i = 0; i < count; i++) {
        const struct proposal *p = chosen[i];
        uint8_t *start = pos;
        pos += entry_header_put(pos, p->kind, p->epoch_version);
        if (p->payload.len != 0) {
            memcpy(pos, p->payload.ptr, p->payload.len);
        }
        pos += p->payload.len;
        data[i] = slice_of(start, (size_t)(pos - start));
    }
    struct raft_event ev = {.type = RAFT_EV_PROPOSE,
                            .u.propose = {.data = data, .count = count, .blob = blob}};
    db_err err;
    if (!replica_step(l, r, &ev, &err)) {
        err = ERR_COMMIT_UNKNOWN;
    }
    blob_unref(blob);
    return err;
}

/* Of a counter that the owner alone changes. */
static void count_up(_Atomic uint64_t *counter, uint64_t n)
{
    uint64_t before = atomic_load_explicit(counter, memory_order_relaxed);
    atomic_store_explicit(counter, before + n, memory_order_relaxed);
}

void replica_step_proposals(struct range_loop *l, struct replica *r)
{
    struct proposal *chosen[STEP_MAX];
    while (!list_empty(&r->pending)) {
        size_t bytes;
        size_t count = choose(r, chosen, &bytes);
        if (count == 0) {
            return;
        }
        db_err err = step_chosen(l, r, chosen, count, bytes);
        if (err == ERR_BUSY) { /* again when something has been committed */
            while (count > 0) {
                list_push_front(&r->pending, &chosen[--count]->link);
            }
            return;
        }
        uint64_t first = err == ERR_OK ? raft_last_index(r->raft) - count + 1 : 0;
        for (size_t i = 0; i < count; i++) {
            struct proposal *p = chosen[i];
            if (err != ERR_OK) {
                proposal_done(p, err);
                continue;
            }
            p->index = first + i;
            p->term = raft_term(r->raft);
            list_push_back(&r->inflight, &p->link);
            r->inflight_count++;
            r->inflight_bytes += HEADER_MAX + p->payload.len;
            count_up(&r->written_bytes, p->payload.len);
        }
        count_up(&r->proposal_count, err == ERR_OK ? count : 0);
        atomic_fetch_add_explicit(&l->rs->stat_proposals, count, memory_order_relaxed);
    }
}
