/* Collations that go over a string several times, a weight per byte and pass, PAD SPACE:
 * cp1250_czech_cs (2 passes), latin2_czech_cs (4), and latin1_german2_ci (1 pass, in which some
 * bytes weigh as two letters). "ch" is one letter in Czech.
 *
 * The weights of a pass come out one after the other; the first difference decides, so a later pass
 * counts only when the earlier ones found none. latin2_czech_cs compares word by word: the first
 * two passes take turns, each over one word at a time, and a byte of weight 0 is skipped. There 1
 * ends a pass and 2 a word. */
#include "sql/charset/charset_int.h"
#include "sql/charset/hash.h"

enum { PASSES = 4, END = -1 };
enum { WEIGHT_PASS_END = 1, WEIGHT_WORD_END = 2 };

struct pass_pair {
    uint8_t first, second;
    uint8_t weights[PASSES];
};

struct pass_table {
    unsigned passes;
    bool words;  /* the turns of the first two passes, and ends that weigh */
    bool expand; /* one pass; weights[1] is a second weight */
    const uint8_t (*weights)[PASSES];
    const struct pass_pair *pairs;
    unsigned pair_count;
};

#define PASS_PAIR(collation, a, b, ...)
#define PASS_BYTE(collation, byte, ...) COLLATION_##collation(byte, __VA_ARGS__)
#define KEEP(byte, ...)                 [byte] = {__VA_ARGS__},
#define DROP(byte, ...)
#define COLLATION_latin1_german2_ci KEEP
#define COLLATION_cp1250_czech_cs   DROP
#define COLLATION_latin2_czech_cs   DROP
static const uint8_t g_german[256][PASSES] = {
#include "sql/charset/pass_weights.def"
};
#undef COLLATION_latin1_german2_ci
#undef COLLATION_cp1250_czech_cs
#define COLLATION_latin1_german2_ci DROP
#define COLLATION_cp1250_czech_cs   KEEP
static const uint8_t g_cp1250[256][PASSES] = {
#include "sql/charset/pass_weights.def"
};
#undef COLLATION_cp1250_czech_cs
#undef COLLATION_latin2_czech_cs
#define COLLATION_cp1250_czech_cs DROP
#define COLLATION_latin2_czech_cs KEEP
static const uint8_t g_latin2[256][PASSES] = {
#include "sql/charset/pass_weights.def"
};
#undef PASS_PAIR
#undef PASS_BYTE
#undef KEEP
#define PASS_BYTE(collation, byte, ...)
#define PASS_PAIR(collation, a, b, ...) PAIR_##collation(a, b, __VA_ARGS__)
#define KEEP(a, b, ...)                 {a, b, {__VA_ARGS__}},
#define DROP_PAIR(a, b, ...)
#define PAIR_cp1250_czech_cs KEEP
#define PAIR_latin2_czech_cs DROP_PAIR
static const struct pass_pair g_cp1250_pairs[] = {
#include "sql/charset/pass_weights.def"
};
#undef PAIR_cp1250_czech_cs
#undef PAIR_latin2_czech_cs
#define PAIR_cp1250_czech_cs DROP_PAIR
#define PAIR_latin2_czech_cs KEEP
static const struct pass_pair g_latin2_pairs[] = {
#include "sql/charset/pass_weights.def"
};

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

const struct pass_table collation_german2 = {1, false, true, g_german, NULL, 0};
const struct pass_table collation_cp1250_czech = {2,        false,          false,
                                                  g_cp1250, g_cp1250_pairs, COUNT(g_cp1250_pairs)};
const struct pass_table collation_latin2_czech = {4,        true,           false,
                                                  g_latin2, g_latin2_pairs, COUNT(g_latin2_pairs)};

/* ---- weights one by one ---- */

struct pass_iter {
    const struct pass_table *t;
    const uint8_t *start, *end;
    const uint8_t *pos;
    const uint8_t *other; /* words: where the other of the first two passes goes on */
    unsigned pass;
    int pending; /* the second weight of a byte, 0: none */
    bool done;
};

static struct pass_iter iter_of(const struct collation *c, struct slice s)
{
    const uint8_t *p = s.ptr == NULL ? (const uint8_t *)"" : s.ptr;
    return (struct pass_iter){.t = c->data, .start = p, .end = p + s.len, .pos = p, .other = p};
}

static const uint8_t *weights_at(struct pass_iter *it)
{
    const uint8_t *p = it->pos++;
    for (unsigned i = 0; i < it->t->pair_count && it->pos < it->end; i++) {
        const struct pass_pair *pair = &it->t->pairs[i];
        if (pair->first == p[0] && pair->second == p[1]) {
            it->pos++;
            return pair->weights;
        }
    }
    return it->t->weights[*p];
}

static int end_of_pass(struct pass_iter *it)
{
    if (it->pass + 1 == it->t->passes) {
        it->done = true;
        return it->t->words ? 0 : END;
    }
    it->pos = it->t->words && it->pass == 0 ? it->other : it->start;
    it->pass++;
    return WEIGHT_PASS_END;
}

/* Behind a blank of pass `it->pass`. */
static int end_of_word(struct pass_iter *it)
{
    const uint8_t *p = it->pos;
    while (p < it->end && it->t->weights[*p][it->pass] == WEIGHT_WORD_END) {
        p++;
    }
    if (it->pass <= 2 || p == it->end) {
        it->pos = p;
    }
    if (it->pos == it->end) {
        return END; /* nothing follows: the pass ends */
    }
    if (it->pass <= 1) {
        const uint8_t *here = it->pos;
        it->pass = 1 - it->pass;
        it->pos = it->other;
        it->other = here;
    }
    return WEIGHT_WORD_END;
}

static int next_in_words(struct pass_iter *it)
{
    while (!it->done) {
        if (it->pos == it->end) {
            return end_of_pass(it);
        }
        unsigned w = weights_at(it)[it->pass];
        int blank = w == WEIGHT_WORD_END ? end_of_word(it) : END;
        if (blank != END) {
            return blank;
        }
        if (w != 0 && w != WEIGHT_WORD_END) {
            return (int)w;
        }
    }
    return END;
}

static int next_weight(struct pass_iter *it)
{
    if (it->t->words) {
        return next_in_words(it);
    }
    if (it->pending != 0) {
        int w = it->pending;
        it->pending = 0;
        return w;
    }
    if (it->pos == it->end) {
        if (it->done || it->start == it->end) {
            return END;
        }
        if (end_of_pass(it) == END) {
            return END;
        }
    }
    const uint8_t *w = weights_at(it);
    it->pending = it->t->expand ? w[1] : 0;
    return w[it->t->expand ? 0 : it->pass];
}

/* ---- the operations ---- */

static int compare_padded(struct pass_iter *a, struct pass_iter *b, int space)
{
    for (;;) {
        int x = next_weight(a);
        int y = next_weight(b);
        if (x == END && y == END) {
            return 0;
        }
        x = x == END ? space : x;
        y = y == END ? space : y;
        if (x != y) {
            return x < y ? -1 : 1;
        }
    }
}

static int pass_compare(const struct collation *c, struct slice a, struct slice b)
{
    const struct pass_table *t = c->data;
    struct pass_iter x = iter_of(c, charset_trim_space(a));
    struct pass_iter y = iter_of(c, charset_trim_space(b));
    return compare_padded(&x, &y, t->expand ? t->weights[' '][0] : END);
}

static db_err put_weights(const struct collation *c, struct slice s, struct buf *out)
{
    struct pass_iter it = iter_of(c, s);
    for (int w = next_weight(&it); w != END; w = next_weight(&it)) {
        TRY(buf_append_u8(out, (uint8_t)w));
    }
    return ERR_OK;
}

db_err collation__pass_weights(const struct collation *c, struct slice s, struct buf *out)
{
    return put_weights(c, s, out);
}

static db_err pass_sort_key(const struct collation *c, struct slice s, struct buf *out)
{
    return put_weights(c, charset_trim_space(s), out);
}

static uint64_t pass_hash(const struct collation *c, struct slice s, uint64_t seed)
{
    struct pass_iter it = iter_of(c, charset_trim_space(s));
    uint64_t h = hash_mix(seed, 0);
    for (int w = next_weight(&it); w != END; w = next_weight(&it)) {
        h = hash_mix(h, (uint64_t)w);
    }
    return h;
}

static int pass_compare_char(const struct collation *c, uint32_t a, uint32_t b)
{
    const struct pass_table *t = c->data;
    uint8_t x;
    uint8_t y;
    if (charset_encode(c->cs, a, &x) != 1 || charset_encode(c->cs, b, &y) != 1) {
        return (a > b) - (a < b);
    }
    return memcmp(t->weights[x], t->weights[y], PASSES);
}

const struct collation_ops collation_pass_ops = {
    "passes", pass_compare, pass_hash, pass_sort_key, pass_compare_char,
};
