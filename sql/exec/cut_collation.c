/* Most texts differ soon: a beginning that cannot weigh more than what counts is compared as it is.
 * Only where that is equal are weights made, of as many characters as may count. */
#include "sql/exec/cut_collation.h"

enum {
    PLAIN_MAX = 4, /* bytes that a character weighs at most where it has one weight */
    EXPANDED_MAX = 36,
    PAD_WEIGHTS_MAX = 16
};

struct cut {
    struct collation collation; /* must be the first */
    const struct collation *of;
    size_t bytes;
    size_t sure;                  /* characters that weigh no more than that */
    bool by_turns;                /* characters are compared one after the other */
    uint8_t pad[PAD_WEIGHTS_MAX]; /* what a space weighs */
    size_t pad_len;
};

static struct slice first_chars(const struct collation *c, struct slice s, size_t chars)
{
    return s.len <= chars ? s : slice_of(s.ptr, c->cs->ops->char_offset(c->cs, s, chars));
}

/* At least c->bytes of weights, unless s has fewer. Characters may weigh nothing. */
static db_err weigh(const struct cut *c, struct slice s, struct buf *out)
{
    size_t chars = c->bytes;
    struct slice part;
    do {
        part = first_chars(c->of, s, chars);
        out->len = 0;
        TRY(collation_weight_string(c->of, part, out));
        chars *= 4;
    } while (out->len < c->bytes && part.len < s.len);
    return ERR_OK;
}

static uint8_t weight_at(const struct cut *c, const struct buf *b, size_t i)
{
    return i < b->len ? b->ptr[i] : c->pad[(i - b->len) % c->pad_len];
}

static bool begin_alike(const struct cut *c, const struct buf *a, const struct buf *b)
{
    for (size_t i = 0; i < c->bytes && (i < a->len || i < b->len); i++) {
        if (weight_at(c, a, i) != weight_at(c, b, i)) {
            return false;
        }
    }
    return true;
}

static int cut_compare(const struct collation *collation, struct slice a, struct slice b)
{
    const struct cut *c = (const struct cut *)collation;
    size_t sure = c->sure;
    struct buf x, y;
    int order = collation_compare(c->of, a, b);
    if (order == 0 || (a.len <= sure && b.len <= sure)) {
        return order;
    }
    if (sure != 0 && c->by_turns &&
        collation_compare(c->of, first_chars(c->of, a, sure), first_chars(c->of, b, sure)) != 0) {
        return order;
    }
    buf_init(&x, SIZE_MAX / 2);
    buf_init(&y, SIZE_MAX / 2);
    /* without memory they are compared whole */
    bool weighed = weigh(c, a, &x) == ERR_OK && weigh(c, b, &y) == ERR_OK;
    bool alike = weighed && begin_alike(c, &x, &y);
    buf_fini(&x);
    buf_fini(&y);
    return alike ? 0 : order;
}

static const struct collation_ops cut_ops = {.name = "cut", .compare = cut_compare};

db_err cut_collation(const struct sql_type *type, uint32_t bytes, struct arena *arena,
                     const struct collation **io)
{
    uint8_t space[PAD_WEIGHTS_MAX];
    const struct collation *of = *io;
    if (of == NULL || of->pad != COLLATION_PAD_SPACE || !type_is_string(type)) {
        return ERR_OK;
    }
    size_t sure = bytes / (of->sortlen <= 1 ? PLAIN_MAX : EXPANDED_MAX);
    if (type->length <= sure) {
        return ERR_OK;
    }
    struct cut *c = ARENA_NEW(arena, struct cut);
    if (c == NULL) {
        return ERR_LIMIT;
    }
    *c = (struct cut){.collation = *of,
                      .of = of,
                      .bytes = (bytes + (size_t)1) & ~(size_t)1,
                      .sure = sure,
                      .by_turns = of->sortlen == 1 || of->sortlen == 8};
    c->collation.ops = &cut_ops;
    struct buf pad = {.ptr = c->pad, .cap = sizeof(c->pad), .max = sizeof(c->pad)};
    unsigned n = of->cs->ops->encode(of->cs, ' ', space);
    TRY(collation_weight_string(of, slice_of(space, n), &pad));
    c->pad_len = pad.len;
    if (pad.len != 0) {
        *io = &c->collation;
    }
    return ERR_OK;
}
