/* Statements that have megabytes of text, or of parameters, take ten times as much memory while
 * they run. If so many come at a time that all together pass the node's limit, each alone being
 * modest, most of them would fail with an error that none deserves. So they are granted memory
 * before they begin, in the order in which they came, and wait while there is none. Who waits holds
 * nothing but the packet and, within a transaction, its locks. For these a statement that has been
 * granted memory may be waiting in turn: that is why nobody waits for long when none gives its
 * memory back. As long as they do, one after the other, the line moves on, however slowly.
 *
 * A grant is an estimate, no bound: the limits of memory are what they are for everybody. */
#include "sql/session/statement_room.h"

#include "base/clock.h"
#include "sql/session/session_int.h"

enum { SMALL = 1 << 20, BYTES_PER_BYTE = 4, BYTES_PER_VALUE = 220 };

struct waiting {
    struct list link;
};

void statement_room_init(struct statement_room *a)
{
    fiber_mutex_init(&a->mutex);
    fiber_cond_init(&a->changed);
    a->granted = 0;
    a->given_ns = 0;
    list_init(&a->waiting);
}

size_t statement_room_estimate(struct slice text)
{
    size_t commas = 0;
    for (size_t i = 0; i < text.len; i++) {
        commas += text.ptr[i] == ',';
    }
    return text.len * BYTES_PER_BYTE + commas * BYTES_PER_VALUE;
}

/* A quarter of the memory is left to small statements and to wrong estimates. What is larger than
 * the rest is let in when it would be the only one. */
static bool fits(const struct statement_room *a, size_t limit, size_t need)
{
    size_t most = limit - limit / 4;
    return a->granted == 0 || (need <= most && a->granted <= most - need);
}

static bool wait_for_room(struct sql_session *s, struct statement_room *a, size_t limit,
                          size_t need)
{
    struct waiting me;
    uint64_t since = clock_mono_ns();
    db_err err = ERR_OK;
    list_push_back(&a->waiting, &me.link);
    atomic_store_explicit(&s->state, "Waiting for memory", memory_order_release);
    while (err == ERR_OK && (a->waiting.next != &me.link || !fits(a, limit, need))) {
        since = a->given_ns > since ? a->given_ns : since;
        err = fiber_cond_wait(&a->changed, &a->mutex, since + STATEMENT_ROOM_WAIT_S * NS_PER_S);
        err = err == ERR_TIMEOUT && a->given_ns > since ? ERR_OK : err;
    }
    atomic_store_explicit(&s->state, NULL, memory_order_release);
    list_remove(&me.link);
    fiber_cond_broadcast(&a->changed); /* for the one behind */
    return err == ERR_OK;
}

size_t statement_room_take(struct sql_session *s, struct slice text)
{
    if (LIKELY(text.len < SMALL / (BYTES_PER_BYTE + BYTES_PER_VALUE))) {
        return 0;
    }
    return statement_room_take_bytes(s, statement_room_estimate(text));
}

size_t statement_room_take_params(struct sql_session *s, const struct sql_param *params,
                                  uint32_t count)
{
    size_t need = (size_t)count * BYTES_PER_VALUE;
    for (uint32_t i = 0; i < count; i++) {
        const struct sql_cell *c = &params[i].cell;
        need += c->kind == SQL_CELL_TEXT ? c->v.text.len * BYTES_PER_BYTE : 0;
    }
    return statement_room_take_bytes(s, need);
}

size_t statement_room_take_bytes(struct sql_session *s, size_t need)
{
    struct statement_room *a = &s->engine->room;
    size_t limit = s->engine->mem.limit;
    if (LIKELY(need < SMALL) || limit == 0 || fiber_self() == NULL) {
        return 0;
    }
    fiber_mutex_lock(&a->mutex);
    bool granted =
        (list_empty(&a->waiting) && fits(a, limit, need)) || wait_for_room(s, a, limit, need);
    if (granted) {
        a->granted += need;
    }
    fiber_mutex_unlock(&a->mutex);
    return granted ? need : 0;
}

void statement_room_give(struct sql_session *s, size_t granted)
{
    struct statement_room *a = &s->engine->room;
    if (LIKELY(granted == 0)) {
        return;
    }
    fiber_mutex_lock(&a->mutex);
    a->granted -= granted;
    a->given_ns = clock_mono_ns();
    fiber_cond_broadcast(&a->changed);
    fiber_mutex_unlock(&a->mutex);
}
