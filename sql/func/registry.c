/* The one table of functions and aggregates, joined from the families' .def files, and its index.
 *
 * The index is an open-addressing hash of the lower-case names, built once on first use and
 * read-only afterwards: a look-up is one hash of the name and, nearly always, one comparison. Rows
 * of operators are in the same table; func_find does not give them, so that SQL text cannot name
 * them. */
#include "sql/func/func.h"

#include <pthread.h>

#include "base/assert.h"
#include "sql/func/aggregate/aggregate_int.h"
#include "sql/func/families.h"

static const struct func_def g_funcs[] = {
#define FUNC(name, min, max, flags, bind, eval, variant)                                           \
    {#name, min, max, flags, bind, eval, variant},
#include "sql/func/functions_all.def"
#undef FUNC
};

static const struct agg_def g_aggs[] = {
#define AGG(name, min, max, flags, state, bind, update, merge, result, variant)                    \
    {#name, min, max, flags, sizeof(struct state), bind, update, merge, result, variant},
#include "sql/func/aggregate/aggregates.def"
#undef AGG
};

/* Names that MySQL knows and this build does not. */
static const char *const g_known[] = {
#define KNOWN(name)    name,
#define INTERNAL(name) name,
#include "sql/func/known.def"
#undef KNOWN
#undef INTERNAL
};
static const bool g_internal[] = {
#define KNOWN(name)    false,
#define INTERNAL(name) true,
#include "sql/func/known.def"
#undef KNOWN
#undef INTERNAL
};

enum { INDEX_SIZE = 2048, KNOWN_INDEX_SIZE = 1024, NAME_MAX_LEN = 64 };

static uint16_t g_index[INDEX_SIZE]; /* row + 1; 0: free */
static uint16_t g_known_index[KNOWN_INDEX_SIZE];
static pthread_once_t g_once = PTHREAD_ONCE_INIT;

_Static_assert(ARRAY_COUNT(g_funcs) * 2 < INDEX_SIZE, "the index of functions is too full");
_Static_assert(ARRAY_COUNT(g_known) * 2 < KNOWN_INDEX_SIZE, "the index of names is too full");

static uint32_t name_hash(struct slice name)
{
    uint32_t h = 2166136261u;
    for (size_t i = 0; i < name.len; i++) {
        uint8_t c = name.ptr[i];
        h = (h ^ (c >= 'A' && c <= 'Z' ? c + 32u : c)) * 16777619u;
    }
    return h ^ h >> 15;
}

static void build_index(void)
{
    for (size_t i = 0; i < ARRAY_COUNT(g_funcs); i++) {
        uint32_t at = name_hash(slice_str(g_funcs[i].name)) & (INDEX_SIZE - 1);
        while (g_index[at] != 0) {
            ASSERT(strcmp(g_funcs[g_index[at] - 1].name, g_funcs[i].name) != 0);
            at = (at + 1) & (INDEX_SIZE - 1);
        }
        g_index[at] = (uint16_t)(i + 1);
    }
    for (size_t i = 0; i < ARRAY_COUNT(g_known); i++) {
        uint32_t at = name_hash(slice_str(g_known[i])) & (KNOWN_INDEX_SIZE - 1);
        while (g_known_index[at] != 0) {
            at = (at + 1) & (KNOWN_INDEX_SIZE - 1);
        }
        g_known_index[at] = (uint16_t)(i + 1);
    }
}

static const struct func_def *find(struct slice name)
{
    pthread_once(&g_once, build_index);
    if (name.len == 0 || name.len > NAME_MAX_LEN) {
        return NULL;
    }
    uint32_t at = name_hash(name) & (INDEX_SIZE - 1);
    while (g_index[at] != 0) {
        const struct func_def *d = &g_funcs[g_index[at] - 1];
        if (slice_eq_nocase(name, slice_str(d->name))) {
            return d;
        }
        at = (at + 1) & (INDEX_SIZE - 1);
    }
    return NULL;
}

const struct func_def *func_find(struct slice name)
{
    const struct func_def *d = find(name);
    return d == NULL || (d->flags & FUNC_HIDDEN) != 0 ? NULL : d;
}

const struct func_def *func_find_op(const char *name)
{
    return find(slice_str(name));
}

/* Row + 1 of g_known; 0: none. */
static uint32_t find_known(struct slice name)
{
    pthread_once(&g_once, build_index);
    if (name.len == 0 || name.len > NAME_MAX_LEN) {
        return 0;
    }
    uint32_t at = name_hash(name) & (KNOWN_INDEX_SIZE - 1);
    while (g_known_index[at] != 0) {
        if (slice_eq_nocase(name, slice_str(g_known[g_known_index[at] - 1]))) {
            return g_known_index[at];
        }
        at = (at + 1) & (KNOWN_INDEX_SIZE - 1);
    }
    return 0;
}

bool func_is_known(struct slice name)
{
    return find(name) != NULL || find_known(name) != 0;
}

bool func_is_internal(struct slice name)
{
    uint32_t at = find_known(name);
    return at != 0 && g_internal[at - 1];
}

size_t func_count(void)
{
    return ARRAY_COUNT(g_funcs);
}

const struct func_def *func_at(size_t i)
{
    return i < ARRAY_COUNT(g_funcs) ? &g_funcs[i] : NULL;
}

const struct agg_def *agg_find(struct slice name)
{
    for (size_t i = 0; i < ARRAY_COUNT(g_aggs); i++) {
        if (slice_eq_nocase(name, slice_str(g_aggs[i].name))) {
            return &g_aggs[i];
        }
    }
    return NULL;
}

size_t agg_count(void)
{
    return ARRAY_COUNT(g_aggs);
}

const struct agg_def *agg_at(size_t i)
{
    return i < ARRAY_COUNT(g_aggs) ? &g_aggs[i] : NULL;
}

db_err func_rebind(struct func_bind_ctx *ctx, struct func_call *call, const uint8_t *coercibilities,
                   const bool *is_const)
{
    struct func_call again = *call;
    struct func_arg *args = ARENA_ARRAY(ctx->arena, struct func_arg, call->arg_count + 1);
    if (args == NULL) {
        return ERR_NOMEM;
    }
    for (uint32_t i = 0; i < call->arg_count; i++) {
        args[i] = (struct func_arg){.type = call->arg_types[i],
                                    .decimals = call->arg_types[i].decimals,
                                    .coercibility = coercibilities[i],
                                    .constant = call->arg_consts[i],
                                    .is_const = is_const[i],
                                    .is_given = is_const[i]};
    }
    again.variant = call->def->variant;
    again.data = NULL;
    ctx->again = true;
    db_err err = call->def->bind(ctx, &again, args);
    ctx->again = false;
    TRY(err);
    bool same = again.variant == call->variant && again.collation == call->collation &&
                again.type.id == call->type.id;
    for (uint32_t i = 0; i < call->arg_count; i++) {
        same = same &&
               (!args[i].want_cast || type_phys(&args[i].want) == type_phys(&call->arg_types[i]));
    }
    if (!same) {
        return ERR_UNSUPPORTED;
    }
    call->data = again.data;
    return ERR_OK;
}
