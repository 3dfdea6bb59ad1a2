/* Private to sql/charset: table shapes (filled by scripts/gen/charset_tables.py) and the
 * algorithms' ops. */
#ifndef SKEIN_SQL_CHARSET_INT_H
#define SKEIN_SQL_CHARSET_INT_H

#include "sql/charset/charset.h"

/* ---- generated tables ---- */

/* Collation weights by code point, one level: pages of 256 entries, index by cp >> 8. An entry is a
 * weight (0: ignorable at this level), or UCA_LIST | count << 20 | offset into `lists`, or
 * UCA_IMPLICIT. */
#define UCA_LIST     0x80000000u
#define UCA_IMPLICIT 0x40000000u
enum { UCA_PAGES = 0x1100, UCA_LEVELS_MAX = 3, UCA_CE_MAX = 18 };
struct uca_level {
    const uint16_t *index;
    const uint32_t (*pages)[256];
};
struct uca_table {
    unsigned levels;
    struct uca_level level[UCA_LEVELS_MAX];
    const uint16_t *lists;
    const uint16_t *ascii; /* primary weights of 128 characters */
};
extern const struct uca_table uca900_1, uca900_2, uca900_3;

/* Case by code point below 0x20000; index by cp >> 8, 0xff: the page maps to itself. */
struct case_pair {
    uint32_t upper;
    uint32_t lower;
};
struct case_table {
    const uint8_t *index; /* [0x200] */
    const struct case_pair (*pages)[256];
};
extern const struct case_table case_unicode900, case_unicode_default;

/* utf8mb4_general_ci: weights of the BMP; index 0xff: the code point itself. */
extern const uint8_t general_ci_index[0x100];
extern const uint16_t general_ci_pages[][256];

struct single_byte {
    const uint16_t *to_unicode;   /* [256], 0xfffd: none */
    const uint32_t *from_unicode; /* sorted cp << 8 | byte */
    uint16_t from_count;
    const uint8_t *upper;
    const uint8_t *lower;
};

extern const struct charset charset_table[];
extern const size_t charset_table_count;
extern const struct collation collation_table[];
extern const size_t collation_table_count;
extern const uint16_t collation_index[COLL_ID_MAX]; /* position + 1, 0 = unknown */

/* ---- implementations ---- */

extern const struct charset_ops charset_binary_ops, charset_utf8mb3_ops, charset_utf8mb4_ops,
    charset_single_ops, charset_ascii_ops;
extern const struct collation_ops collation_bytes_ops; /* memcmp, no padding */
extern const struct collation_ops
    collation_bin_ops; /* memcmp, PAD SPACE; order of bytes is that of characters */
extern const struct collation_ops collation_single_ops; /* one weight per byte, PAD SPACE */
extern const struct collation_ops collation_general_ops;
extern const struct collation_ops collation_uca_ops;

uint16_t general_ci_weight(uint32_t cp);
uint32_t case_map(const struct case_table *t, uint32_t cp, bool upper);

/* LIKE over decoded characters with ops->compare_char. */
bool collation__like_chars(const struct collation *c, struct slice s, struct slice pattern,
                           uint32_t escape);

/* Bytes of the common prefix of a and b, cut back to the beginning of a UTF-8 character. */
static inline size_t utf8_common_prefix(struct slice a, struct slice b)
{
    size_t max = a.len < b.len ? a.len : b.len;
    size_t i = 0;
    while (i + 8 <= max && memcmp(a.ptr + i, b.ptr + i, 8) == 0) {
        i += 8;
    }
    while (i < max && a.ptr[i] == b.ptr[i]) {
        i++;
    }
    while (i > 0 &&
           ((i < a.len && (a.ptr[i] & 0xc0) == 0x80) || (i < b.len && (b.ptr[i] & 0xc0) == 0x80))) {
        i--;
    }
    return i;
}

#endif
