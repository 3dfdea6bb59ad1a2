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
enum { UCA_PAGES = 0x1100, UCA_LEVELS_MAX = 4, UCA_CE_MAX = 18, UCA_PAIR_MAX = 4 };
struct uca_level {
    const uint16_t *index;
    const uint32_t (*pages)[256];
};
/* Characters that weigh otherwise when they stand together; unused places are 0. */
struct uca_pair {
    uint32_t cps[UCA_PAIR_MAX];
    uint32_t offset[UCA_LEVELS_MAX]; /* into `lists` */
    uint8_t count[UCA_LEVELS_MAX];
};
struct uca_table {
    unsigned levels;
    struct uca_level level[UCA_LEVELS_MAX];
    const uint16_t *lists;
    const uint16_t *ascii; /* primary weights of 128 characters */
    /* Sorted by cps; `heads` has a bit for each low byte a first character has. NULL: none. */
    const struct uca_pair *pairs;
    unsigned pair_count;
    const uint32_t *heads;
    uint16_t implicit[UCA_LEVELS_MAX]; /* of characters without entry, but for level 0 */
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

/* The same for its kin; as collation.data. */
struct simple_weights {
    const uint8_t *index;
    const uint16_t (*pages)[256];
};

/* Charsets of several bytes; see multi_byte.c for what a 16-bit code is. Pages of 256 by the upper
 * byte of the index; page 0 is empty. */
enum multi_byte_kind { MB_BIG5, MB_GBK, MB_GB2312, MB_EUCKR, MB_SJIS, MB_EUC, MB_GB18030 };
enum { MB_GB4_COUNT = 39420 };
struct multi_byte {
    enum multi_byte_kind kind;
    const uint8_t *unicode_index; /* code -> code point, 0: none */
    const uint16_t (*unicode_pages)[256];
    const uint8_t *back_index; /* code point -> code, 0: none */
    const uint16_t (*back_pages)[256];
    const uint8_t *weight_index; /* code -> weight, 0: the code itself */
    const uint32_t (*weight_pages)[256];
    const uint16_t *unicode4; /* gb18030's codes of four bytes by number; else NULL */
    const uint16_t *back4;    /* [0x10000] number + 1, 0: none */
    const uint32_t *weight4;
    const uint32_t (*upper)[2]; /* code, code: bytes as a number; sorted */
    unsigned upper_count;
    const uint32_t (*lower)[2];
    unsigned lower_count;
};

struct single_byte {
    const uint16_t *to_unicode;   /* [256], 0 but for byte 0: none */
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
    charset_single_ops, charset_ascii_ops, charset_multi_ops, charset_ucs2_ops, charset_utf16_ops,
    charset_utf16le_ops, charset_utf32_ops;
extern const struct collation_ops collation_bytes_ops; /* memcmp, no padding */
extern const struct collation_ops
    collation_bin_ops; /* memcmp, PAD SPACE; order of bytes is that of characters */
extern const struct collation_ops collation_single_ops; /* one weight per byte, PAD SPACE */
extern const struct collation_ops collation_general_ops;
extern const struct collation_ops collation_uca_ops;
/* Does s begin with the weights of `with`, on each level? Of collation_uca_ops and _pad_ops. */
bool collation__uca_begins(const struct collation *c, struct slice s, struct slice with);
extern const struct collation_ops collation_uca_pad_ops;    /* PAD SPACE, one level */
extern const struct collation_ops collation_multi_ops;      /* charset_multi_ops' *_ci */
extern const struct collation_ops collation_cp_general_ops; /* general_ci of any charset */
extern const struct collation_ops collation_cp_bin_ops;     /* code points, PAD SPACE */
struct pass_table;
extern const struct collation_ops collation_pass_ops; /* several weights per byte */
extern const struct pass_table collation_german2, collation_cp1250_czech, collation_latin2_czech;
/* As WEIGHT_STRING() shows them: trailing spaces count. */
db_err collation__pass_weights(const struct collation *c, struct slice s, struct buf *out);
extern const struct collation_ops collation_thai_ops; /* tis620_thai_ci */

uint16_t general_ci_weight(uint32_t cp);
/* Primary weights with those of trailing spaces. */
db_err collation__uca_weights(const struct collation *c, struct slice s, struct buf *out);
db_err multi_byte_case(const struct charset *cs, struct slice s, bool upper, struct buf *out);
uint32_t case_map(const struct case_table *t, uint32_t cp, bool upper);

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
