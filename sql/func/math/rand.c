/* RAND(). RAND(n) is the sequence MySQL gives for that seed: a constant seed starts it once per
 * statement, another seed anew with each row. */
#include "sql/func/families.h"

enum { RAND_MAX_VALUE = 0x3fffffff };

struct seeded {
    uint32_t a;
    uint32_t b;
};

static void seed(struct seeded *s, uint32_t n)
{
    s->a = (uint32_t)(n * 0x10001u + 55555555u) % RAND_MAX_VALUE;
    s->b = (uint32_t)(n * 0x10000001u) % RAND_MAX_VALUE;
}

static double next(struct seeded *s)
{
    s->a = (uint32_t)(((uint64_t)s->a * 3 + s->b) % RAND_MAX_VALUE);
    s->b = (uint32_t)(((uint64_t)s->a + s->b + 33) % RAND_MAX_VALUE);
    return (double)s->a / (double)RAND_MAX_VALUE;
}

static db_err unseeded(EVAL_ARGS)
{
    (void)call;
    (void)args;
    struct rand own;
    struct rand *r = ctx->env != NULL ? ctx->env->rand : NULL;
    if (r == NULL) {
        uint64_t start;
        TRY(rand_secure(&start, sizeof(start)));
        rand_seed(&own, start);
        r = &own;
    }
    EACH_ROW(row)
    {
        vec_set_double(out, row, rand_unit(r));
    }
    return ERR_OK;
}

db_err math_rand(EVAL_ARGS)
{
    if (call->arg_count == 0) {
        return unseeded(ctx, call, args, sel, n, out);
    }
    struct seeded each;
    struct seeded *s = &each;
    bool fresh = true;
    if (call->variant != 0) {
        void *state;
        TRY(func__state(ctx, call, sizeof(*s), &state, &fresh));
        s = state;
    }
    EACH_ROW(row)
    {
        if (call->variant == 0 || fresh) {
            seed(s, vec_is_null(args[0], row) ? 0 : (uint32_t)vec_i64(args[0], row));
            fresh = false;
        }
        vec_set_double(out, row, next(s));
    }
    return ERR_OK;
}
