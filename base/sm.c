#include "base/sm.h"

#include <stdio.h>
#include <string.h>

enum { TRACE_TEXT_MAX = 4096 };

__attribute__((noreturn, cold)) static void fail(const struct sm *sm, unsigned to, const char *why,
                                                 const char *file, int line)
{
    struct buf text;
    buf_init(&text, TRACE_TEXT_MAX);
    db_err err = sm_trace(sm, &text);
    fprintf(stderr, "state machine %s: %s: %s > %s at %s:%d; %.*s\n", sm->name, why,
            sm_state_name(sm), to < sm->count ? sm->states[to].name : "?", file, line,
            err == ERR_OK ? (int)text.len : 0, (const char *)text.ptr);
    assert_failed(why, file, line, sm->name);
}

static void check_table(const struct sm *sm)
{
    ASSERT(sm->count > 0 && sm->count <= SM_STATES_MAX);
    uint64_t known = sm->count == SM_STATES_MAX ? UINT64_MAX : SM_TO(sm->count) - 1;
    for (unsigned i = 0; i < sm->count; i++) {
        const struct sm_state *s = &sm->states[i];
        ASSERT(s->name != NULL);
        ASSERT((s->allowed & ~known) == 0);
        ASSERT((s->flags & SM_FINAL) == 0 || s->allowed == 0);
    }
}

void sm_init(struct sm *sm, const char *name, const struct sm_state *states, unsigned count,
             unsigned initial, bool (*invariant)(const struct sm *sm, void *ctx, unsigned previous),
             void *ctx)
{
    memset(sm, 0, sizeof(*sm));
    sm->name = name;
    sm->states = states;
    sm->count = count;
    sm->state = initial;
    sm->invariant = invariant;
    sm->ctx = ctx;
    ASSERT(initial < count);
#ifdef SKEIN_DEBUG
    check_table(sm);
#else
    (void)check_table;
#endif
    ASSERT((states[initial].flags & SM_INITIAL) != 0);
    if (invariant != NULL && !invariant(sm, ctx, initial)) {
        fail(sm, initial, "invariant broken at the start", __FILE__, __LINE__);
    }
}

void sm_fini(const struct sm *sm)
{
    if (!sm_is_final(sm)) {
        fail(sm, sm->state, "ended in a state that is not final", __FILE__, __LINE__);
    }
}

void sm_move_at(struct sm *sm, unsigned to, const char *file, int line)
{
    unsigned from = sm->state;
    if (UNLIKELY(!sm_can_move(sm, to))) {
        fail(sm, to, "move not allowed", file, line);
    }
    sm->trace[sm->moves % SM_TRACE] =
        (struct sm_trace_entry){(uint8_t)from, (uint8_t)to, line, file};
    sm->moves++;
    sm->state = to;
    if (UNLIKELY(sm->invariant != NULL && !sm->invariant(sm, sm->ctx, from))) {
        fail(sm, to, "invariant broken", file, line);
    }
}

static const char *file_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash == NULL ? path : slash + 1;
}

db_err sm_trace(const struct sm *sm, struct buf *out)
{
    uint64_t first = sm->moves > SM_TRACE ? sm->moves - SM_TRACE : 0;
    unsigned begin = sm->moves == 0 ? sm->state : sm->trace[first % SM_TRACE].from;
    TRY(buf_printf(out, "%s: %s", sm->name, sm->states[begin].name));
    for (uint64_t i = first; i < sm->moves; i++) {
        const struct sm_trace_entry *m = &sm->trace[i % SM_TRACE];
        TRY(buf_printf(out, " > %s (%s:%d)", sm->states[m->to].name, file_name(m->file), m->line));
    }
    return ERR_OK;
}
