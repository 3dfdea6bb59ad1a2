#include "node/range/gone.h"

#include <string.h>

#include "base/alloc.h"
#include "base/assert.h"

/* An array by id: ids of ranges ascend, so a new note mostly goes to the end. What a fate is made
 * of, in one number: the highest bit says that it was merged, and the rest into which; else the
 * next bit is `ran`, and the rest the lowest replica id (made of an epoch, far below). */

#define MERGED_BIT (UINT64_C(1) << 63)
#define RAN_BIT    (UINT64_C(1) << 62)
#define REST       (RAN_BIT - 1)

enum { FIRST_CAP = 64, DROP_PART = 4 };

static uint64_t pack(const struct gone_fate *f)
{
    if (f->min_replica_id == REPLICA_ID_NEVER) {
        return MERGED_BIT | (f->into & REST);
    }
    return (f->ran ? RAN_BIT : 0) | (f->min_replica_id & REST);
}

static struct gone_fate unpack(uint64_t v)
{
    if ((v & MERGED_BIT) != 0) {
        return (struct gone_fate){.min_replica_id = REPLICA_ID_NEVER, .into = v & REST};
    }
    return (struct gone_fate){.min_replica_id = v & REST, .ran = (v & RAN_BIT) != 0};
}

void gone_init(struct gone_table *t, size_t max)
{
    ASSERT(max >= DROP_PART);
    *t = (struct gone_table){.max = max};
    pthread_mutex_init(&t->lock, NULL);
}

void gone_fini(struct gone_table *t)
{
    mem_free(t->notes);
    pthread_mutex_destroy(&t->lock);
}

/* Of the first note that is not below the id. */
static size_t place_of(const struct gone_table *t, range_id_t id)
{
    size_t lo = 0;
    size_t hi = t->count;
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        if (t->notes[mid].id < id) {
            lo = mid + 1;
        } else {
            hi = mid;
        }
    }
    return lo;
}

static void drop_oldest(struct gone_table *t)
{
    size_t n = t->count / DROP_PART;
    if (t->notes[n - 1].id > t->dropped) {
        t->dropped = t->notes[n - 1].id;
    }
    t->count -= n;
    memmove(t->notes, t->notes + n, t->count * sizeof(t->notes[0]));
}

static db_err make_room(struct gone_table *t)
{
    if (t->count == t->max) {
        drop_oldest(t);
    }
    if (t->count < t->cap) {
        return ERR_OK;
    }
    size_t cap = t->cap == 0 ? FIRST_CAP : t->cap * 2;
    cap = cap < t->max ? cap : t->max;
    struct gone_note *notes = mem_realloc(t->notes, cap * sizeof(*notes));
    if (notes == NULL) {
        return ERR_NOMEM;
    }
    t->notes = notes;
    t->cap = cap;
    return ERR_OK;
}

static db_err put_locked(struct gone_table *t, range_id_t id, uint64_t fate)
{
    size_t at = place_of(t, id);
    if (at == t->count || t->notes[at].id != id) {
        TRY(make_room(t));
        at = place_of(t, id); /* some may have gone */
        memmove(t->notes + at + 1, t->notes + at, (t->count - at) * sizeof(t->notes[0]));
        t->count++;
    }
    t->notes[at] = (struct gone_note){id, fate};
    return ERR_OK;
}

db_err gone_put(struct gone_table *t, range_id_t id, const struct gone_fate *fate)
{
    pthread_mutex_lock(&t->lock);
    db_err err = put_locked(t, id, pack(fate));
    pthread_mutex_unlock(&t->lock);
    return err;
}

enum gone_answer gone_get(struct gone_table *t, range_id_t id, struct gone_fate *ret_fate)
{
    pthread_mutex_lock(&t->lock);
    size_t at = place_of(t, id);
    enum gone_answer answer = id <= t->dropped ? GONE_PERHAPS : GONE_NOT;
    if (at < t->count && t->notes[at].id == id) {
        *ret_fate = unpack(t->notes[at].fate);
        answer = GONE_KNOWN;
    }
    pthread_mutex_unlock(&t->lock);
    return answer;
}

void gone_forget(struct gone_table *t, range_id_t id)
{
    pthread_mutex_lock(&t->lock);
    size_t at = place_of(t, id);
    if (at < t->count && t->notes[at].id == id) {
        t->count--;
        memmove(t->notes + at, t->notes + at + 1, (t->count - at) * sizeof(t->notes[0]));
    }
    pthread_mutex_unlock(&t->lock);
}

size_t gone_count(struct gone_table *t)
{
    pthread_mutex_lock(&t->lock);
    size_t n = t->count;
    pthread_mutex_unlock(&t->lock);
    return n;
}
