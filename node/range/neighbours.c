#include "node/range/range_int.h"

#include <stdlib.h>

#include "base/alloc.h"
#include "base/assert.h"
#include "base/log.h"

/* Right neighbours of ranges whose descriptors do not name them: those of a store that was written
 * before descriptors did, until a split or a merge has named one. A range without it cannot speak
 * for the one to its right when that was left frozen (merge_resolve.c), and a wrong one would bring
 * a range back that was merged. So the start names those that are certain, from the replicas that
 * are here; they may stand at quite different places of their logs.
 *
 * Let A, as it stands here, end at K, and B here begin at K. The right neighbour of A at that place
 * of its log is R, which begins at K too. Is B R? Versions tell. Whatever changes who has a key
 * raises the version of who has it from then on, a merge above those of both.
 *   - B begins after R has ended: R was merged into the range that ended at K then, which is A, or
 *     came from it and has a higher version; B was split off what became of that, one higher again.
 *     So B's version is at least two above A's.
 *   - B has ended before R began: it was merged, and R split off what became of that; the left
 *     half, from which A comes, has R's first version. So A's version is at least two above B's.
 * When the versions differ by one at most, B is R. */

enum { VERSIONS_APART = 1 };

struct side {
    struct replica *r;
    const struct range_desc *desc; /* at the start nobody changes it but us */
};

static int cmp_starts(const void *a, const void *b)
{
    return slice_cmp(((const struct side *)a)->desc->start, ((const struct side *)b)->desc->start);
}

static int cmp_key(const void *key, const void *elem)
{
    return slice_cmp(*(const struct slice *)key, ((const struct side *)elem)->desc->start);
}

static bool is_certain(const struct range_desc *left, const struct range_desc *right)
{
    uint64_t a = left->epoch.version;
    uint64_t b = right->epoch.version;
    return (a > b ? a - b : b - a) <= VERSIONS_APART;
}

static db_err name_right(struct side *left, range_id_t right, struct engine_wbatch *wb)
{
    struct range_desc d = *left->desc;
    d.right_id = right;
    TRY(store_put_desc(wb, &d));
    struct range_view *v = range_view_new(&d);
    if (v == NULL) {
        return ERR_NOMEM;
    }
    range_view_publish(left->r, v);
    left->r->apply_view = v;
    left->desc = &v->desc;
    return ERR_OK;
}

static db_err name_all(struct side *sides, size_t count, struct engine_wbatch *wb,
                       unsigned *ret_named)
{
    unsigned named = 0;
    for (size_t i = 0; i < count; i++) {
        const struct range_desc *d = sides[i].desc;
        if (d->right_id != 0 || d->end.len == 0) {
            continue;
        }
        const struct side *right = bsearch(&d->end, sides, count, sizeof(*sides), cmp_key);
        if (right != NULL && is_certain(d, right->desc)) {
            TRY(name_right(&sides[i], right->r->id, wb));
            named++;
        }
    }
    *ret_named = named;
    return ERR_OK;
}

static size_t list_sides(struct range_store *rs, struct side *sides, size_t cap)
{
    size_t count = 0;
    for (unsigned i = 0; i < REPLICA_BUCKETS; i++) {
        struct replica *r = atomic_load(&rs->buckets[i]);
        for (; r != NULL; r = atomic_load(&r->map_next)) {
            if (replica_is(r, REPLICA_LIVE)) {
                ASSERT(count < cap);
                sides[count++] = (struct side){r, replica_desc(r)};
            }
        }
    }
    qsort(sides, count, sizeof(*sides), cmp_starts);
    return count;
}

db_err neighbours_fill(struct range_store *rs, struct diag *diag)
{
    size_t cap = atomic_load(&rs->replica_count);
    struct engine_wbatch *wb = NULL;
    unsigned named = 0;
    if (cap == 0) {
        return ERR_OK;
    }
    struct side *sides = mem_calloc(cap, sizeof(*sides));
    if (sides == NULL) {
        return ERR_NOMEM;
    }
    db_err err = ERR_OK;
    size_t count = list_sides(rs, sides, cap);
    TRY_GOTO(engine_wbatch_new(rs->opts.engine, &wb), out);
    TRY_GOTO(name_all(sides, count, wb, &named), out);
    if (named != 0) { /* lost in a crash, it is found again */
        TRY_GOTO(engine_apply(rs->opts.engine, wb, diag), out);
        LOG_INFO("range.neighbours.named", F_U64("ranges", named));
    }
out:
    if (wb != NULL) {
        engine_wbatch_free(wb);
    }
    mem_free(sides);
    return err;
}
