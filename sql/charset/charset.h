/* Character sets and collations.
 *
 * A charset knows how characters are laid out in bytes; a collation knows how strings of its
 * charset compare. Both are immutable, live for the whole process and may be used from any thread.
 * All collations of MySQL are registered by id and name; one whose weights are not built in has
 * `ops == NULL`: look them up with collation_require(), which answers MySQL's error 1273 for an
 * unknown name and 1235 for a known one that cannot be used.
 *
 * Nothing here parks the fiber. Functions that take text never require a terminating NUL. */
#ifndef SKEIN_SQL_CHARSET_CHARSET_H
#define SKEIN_SQL_CHARSET_CHARSET_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/diag.h"
#include "base/err.h"
#include "base/slice.h"

/* Collation ids as MySQL numbers them (the wire protocol and the catalog use them). */
enum {
    COLL_LATIN1_SWEDISH_CI = 8,
    COLL_ASCII_GENERAL_CI = 11,
    COLL_UTF8MB3_GENERAL_CI = 33,
    COLL_UTF8MB4_GENERAL_CI = 45,
    COLL_UTF8MB4_BIN = 46,
    COLL_LATIN1_BIN = 47,
    COLL_LATIN1_GENERAL_CI = 48,
    COLL_LATIN1_GENERAL_CS = 49,
    COLL_BINARY = 63,
    COLL_ASCII_BIN = 65,
    COLL_UTF8MB3_TOLOWER_CI = 76,
    COLL_UTF8MB3_BIN = 83,
    COLL_UTF8MB4_0900_AI_CI = 255,
    COLL_UTF8MB4_0900_AS_CS = 278,
    COLL_UTF8MB4_0900_AS_CI = 305,
    COLL_UTF8MB4_0900_BIN = 309,
    COLL_ID_MAX = 400, /* exclusive bound of ids */
};

struct charset;
struct collation;

/* How a charset lays characters out. `end` is exclusive. Call through the charset_* functions
 * below. */
struct charset_ops {
    const char *name;
    /* Bytes of the character at p, or 0 when the bytes at p are no valid character (or p == end).
     * *ret_cp gets the Unicode code point (for the binary charset: the byte); above U+10FFFF for a
     * well-formed code that stands for no character. */
    unsigned (*decode)(const struct charset *cs, const uint8_t *p, const uint8_t *end,
                       uint32_t *ret_cp);
    /* Writes the character (room for maxlen bytes) and returns its bytes, 0 when the charset does
     * not have it. */
    unsigned (*encode)(const struct charset *cs, uint32_t cp, uint8_t *out);
    /* Bytes of the longest valid prefix. */
    size_t (*valid_prefix)(const struct charset *cs, struct slice s);
    /* Characters in s; a byte that belongs to no valid character counts as one. */
    size_t (*char_count)(const struct charset *cs, struct slice s);
    /* Byte offset of character `index` (0-based), or s.len when there are fewer. */
    size_t (*char_offset)(const struct charset *cs, struct slice s, size_t index);
};

struct charset {
    const char *name;
    const char *description;
    uint16_t default_collation; /* id */
    uint8_t minlen;
    uint8_t maxlen;      /* bytes per character at most */
    bool ascii_superset; /* bytes below 0x80 are ASCII */
    const struct charset_ops *ops;
    const void *data; /* the implementation's */
};

enum collation_pad { COLLATION_PAD_SPACE, COLLATION_NO_PAD };

struct collation_ops {
    const char *name;
    int (*compare)(const struct collation *c, struct slice a, struct slice b);
    uint64_t (*hash)(const struct collation *c, struct slice s, uint64_t seed);
    db_err (*sort_key)(const struct collation *c, struct slice s, struct buf *out);
    /* Weights of one character for LIKE and LOCATE: 0 when a and b are the same character under the
     * collation. */
    int (*compare_char)(const struct collation *c, uint32_t a, uint32_t b);
};

struct collation {
    uint16_t id;
    bool is_default;
    bool is_compiled;
    uint8_t sortlen;
    uint8_t pad; /* enum collation_pad */
    const char *name;
    const struct charset *cs;
    const struct collation_ops *ops; /* NULL: known, not implemented */
    const void *data;                /* the implementation's */
};

/* ---- registry ---- */

/* NULL when unknown. Names compare without case; "utf8" is utf8mb3's alias as in MySQL. */
const struct collation *collation_by_id(unsigned id);
const struct collation *collation_by_name(struct slice name);
const struct charset *charset_by_name(struct slice name);
/* All of them in order of id / name, for INFORMATION_SCHEMA and SHOW. Index past the end: NULL. */
const struct collation *collation_at(size_t index);
const struct charset *charset_at(size_t index);
/* For SQL that names one. Errors: ERR_SQL 1273 (unknown collation), 1115 (unknown charset), 1235
 * (known, not implemented; the text names it). */
MUST_USE db_err collation_require(struct slice name, struct diag *diag,
                                  const struct collation **ret_collation);
MUST_USE db_err collation_require_id(unsigned id, struct diag *diag,
                                     const struct collation **ret_collation);
MUST_USE db_err charset_require(struct slice name, struct diag *diag,
                                const struct charset **ret_cs);
/* The _bin collation of a charset (BINARY attribute of a column); NULL when it has none. */
const struct collation *charset_bin_collation(const struct charset *cs);
static inline const struct collation *charset_default_collation(const struct charset *cs)
{
    return collation_by_id(cs->default_collation);
}

/* ---- collations: never with c->ops == NULL ---- */

/* < 0, 0, > 0 under the collation, PAD SPACE honoured. */
static inline int collation_compare(const struct collation *c, struct slice a, struct slice b)
{
    return c->ops->compare(c, a, b);
}
/* Equal strings (compare() == 0) have equal hashes. */
static inline uint64_t collation_hash(const struct collation *c, struct slice s, uint64_t seed)
{
    return c->ops->hash(c, s, seed);
}
/* Appends the weight string: memcmp order (shorter first) of two weight strings is compare() order
 * for NO PAD collations. For PAD SPACE ones trailing spaces are removed first and the key ends
 * there: equal strings have equal keys, but order needs the padding rule of sql/codec/key_codec.h.
 * Errors: ERR_NOMEM, ERR_LIMIT of the buf. */
MUST_USE static inline db_err collation_sort_key(const struct collation *c, struct slice s,
                                                 struct buf *out)
{
    return c->ops->sort_key(c, s, out);
}
/* Appends what WEIGHT_STRING() shows: trailing spaces count, _bin of UTF-8 shows code points.
 * Errors: as collation_sort_key. */
MUST_USE db_err collation_weight_string(const struct collation *c, struct slice s, struct buf *out);
/* LIKE: % any run, _ any character, `escape` a code point (0: no escape). Matches character by
 * character. As the work grows with the product of the lengths, others have their turn meanwhile.
 * Errors: those of fiber_checkpoint. */
MUST_USE db_err collation_like(const struct collation *c, struct slice s, struct slice pattern,
                               uint32_t escape, bool *ret_match);
/* Byte offset of the first character at or after byte `from` at which s begins with `needle` under
 * the collation, SIZE_MAX when there is none. As LOCATE and INSTR. An empty needle matches at
 * `from`. Others have their turn, as with collation_like. */
MUST_USE db_err collation_locate(const struct collation *c, struct slice s, struct slice needle,
                                 size_t from, size_t *ret_at);
/* True when two different byte strings can never be equal under it (binary and 0900_bin): keys are
 * reversible. */
bool collation_is_bytewise(const struct collation *c);
static inline bool collation_is_binary(const struct collation *c)
{
    return c->id == COLL_BINARY;
}

/* ---- text in a charset: cs->ops must not be NULL ---- */

static inline bool charset_valid(const struct charset *cs, struct slice s)
{
    return cs->ops->valid_prefix(cs, s) == s.len;
}
/* How many bytes at the beginning of s are valid, and none of them one that a charset of one byte a
 * character leaves open? Such bytes may be stored; MySQL takes none of them for text. */
size_t charset_text_prefix(const struct charset *cs, struct slice s);
static inline unsigned charset_decode(const struct charset *cs, const uint8_t *p,
                                      const uint8_t *end, uint32_t *ret_cp)
{
    return cs->ops->decode(cs, p, end, ret_cp);
}
static inline unsigned charset_encode(const struct charset *cs, uint32_t cp, uint8_t *out)
{
    return cs->ops->encode(cs, cp, out);
}
static inline size_t charset_char_count(const struct charset *cs, struct slice s)
{
    return cs->ops->char_count(cs, s);
}
/* `count` characters from character `start` (0-based); shorter at the end. Borrows from s. */
static inline struct slice charset_substring(const struct charset *cs, struct slice s, size_t start,
                                             size_t count)
{
    struct slice rest = slice_from(s, cs->ops->char_offset(cs, s, start));
    rest.len = count >= rest.len ? rest.len : cs->ops->char_offset(cs, rest, count);
    return rest;
}
/* The string without trailing spaces (0x20). */
struct slice charset_trim_space(struct slice s);
/* The same in any charset: U+0020 as cs writes it. */
struct slice charset_trim_pad(const struct charset *cs, struct slice s);
/* s with spaces behind it, `chars` characters in all: in the arena; s itself when it has as many.
 * Errors: ERR_NOMEM, ERR_LIMIT. */
MUST_USE db_err charset_pad(const struct charset *cs, struct slice s, size_t chars,
                            struct arena *arena, struct slice *ret);
/* The first `mark`, an ASCII character that is part of no other one (a comma), which has cs->minlen
 * bytes; NULL: there is none. */
const uint8_t *charset_find_mark(const struct charset *cs, struct slice s, char mark);
/* What a space weighs in a sort key: bytes of one weight (the unit of PAD SPACE). */
unsigned collation_pad_weight(const struct collation *c, uint8_t out[4]);
/* Levels of a NO PAD weight string, each ended by a zero weight but the last. */
unsigned collation_levels(const struct collation *c);
/* Appends s in upper/lower case: simple mappings of the collation's charset, as UPPER() and LOWER()
 * do; the binary charset is copied unchanged. */
MUST_USE db_err collation_upper(const struct collation *c, struct slice s, struct buf *out);
MUST_USE db_err collation_lower(const struct collation *c, struct slice s, struct buf *out);

/* Appends s, converted. A character that `to` does not have, and bytes that `from` does not know,
 * become '?'; *ret_lossy (may be NULL) counts them. From or to binary the bytes are copied, as
 * MySQL does. Errors: ERR_NOMEM, ERR_LIMIT. */
MUST_USE db_err charset_convert(const struct charset *from, struct slice s,
                                const struct charset *to, struct buf *out, size_t *ret_lossy);
/* Bytes taken for text of cs: charsets with units of several bytes get zero bytes in front so that
 * the first unit is whole; *ret borrows s when nothing is missing. Errors: ERR_NOMEM, ERR_LIMIT. */
MUST_USE db_err charset_whole_units(const struct charset *cs, struct slice s, struct arena *arena,
                                    struct slice *ret);
/* As charset_convert, into an arena; *ret borrows s when no byte changes (same repertoire, or all
 * ASCII). */
MUST_USE db_err charset_convert_arena(const struct charset *from, struct slice s,
                                      const struct charset *to, struct arena *arena,
                                      struct slice *ret, size_t *ret_lossy);

/* utf8mb4 helpers for code that knows its charset. */
size_t utf8mb4_valid_prefix(struct slice s);
bool utf8_is_ascii(struct slice s);
unsigned utf8mb4_decode(const uint8_t *p, const uint8_t *end, uint32_t *ret_cp);
unsigned utf8mb4_encode(uint32_t cp, uint8_t *out);

#endif
