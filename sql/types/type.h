/* SQL types: what a column or an expression is.
 *
 * struct sql_type is a small value: copy it freely. Only `names` points elsewhere (ENUM and SET
 * members, owned by the catalog's or statement's arena, outlives the type). Functions here are pure
 * and thread-safe. */
#ifndef SKEIN_SQL_TYPES_TYPE_H
#define SKEIN_SQL_TYPES_TYPE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/slice.h"

enum type_id {
    TYPE_NULL, /* the type of the literal NULL */
    TYPE_TINYINT,
    TYPE_SMALLINT,
    TYPE_MEDIUMINT,
    TYPE_INT,
    TYPE_BIGINT,
    TYPE_DECIMAL,
    TYPE_FLOAT,
    TYPE_DOUBLE,
    TYPE_BIT,
    TYPE_DATE,
    TYPE_TIME,
    TYPE_DATETIME,
    TYPE_TIMESTAMP,
    TYPE_YEAR,
    TYPE_CHAR,
    TYPE_VARCHAR,
    TYPE_BINARY,
    TYPE_VARBINARY,
    TYPE_TINYTEXT,
    TYPE_TEXT,
    TYPE_MEDIUMTEXT,
    TYPE_LONGTEXT,
    TYPE_TINYBLOB,
    TYPE_BLOB,
    TYPE_MEDIUMBLOB,
    TYPE_LONGBLOB,
    TYPE_ENUM,
    TYPE_SET,
    TYPE_JSON,
    TYPE_GEOMETRY,
    TYPE_VECTOR,
    TYPE__COUNT,
};

/* How values lie in memory (struct value, struct vector). */
enum phys_kind {
    PHYS_INT, /* int64_t; with TYPE_F_UNSIGNED the same 64 bits are a uint64_t. BIT, ENUM (index),
                 SET (bits) and YEAR are unsigned PHYS_INT */
    PHYS_DOUBLE,  /* double; FLOAT values are rounded to float when stored */
    PHYS_DECIMAL, /* struct decimal */
    PHYS_TIME,    /* int64_t, order-preserving (sql/types/temporal.h) */
    PHYS_STR,     /* bytes; JSON, GEOMETRY and VECTOR in their binary forms */
    PHYS__COUNT,
};

enum {
    TYPE_F_UNSIGNED = 1,
    TYPE_F_ZEROFILL = 2,
    TYPE_F_NOT_NULL = 4,
    TYPE_F_BOOL = 8,  /* made by a predicate: 0 or 1 (STRCMP: also -1) */
    TYPE_F_EXPR = 16, /* of an expression, not of a column: result metadata differs */
    TYPE_F_BYTES_NUMBER =
        32, /* a literal such as x'41' or b'101': where a number is wanted, its bytes are one */
};

/* Result metadata of an expression that its type alone does not tell. */
enum {
    TYPE_W_NO_DECIMALS = 1,  /* text with 0 decimals, as a column's */
    TYPE_W_UNSIGNED = 2,     /* a hexadecimal literal's flag */
    TYPE_W_REFUSE_DATE = 32, /* of a cast's target: text that is no date is error 1525, which
                                names the type: DATE, or one of the next two */
    TYPE_W_REFUSE_DATETIME = 64,
    TYPE_W_REFUSE_TIMESTAMP = 128,
    TYPE_W_LOW_DATE = 512,     /* of a cast's target: what is no date or time is below all, and
                                  not NULL, as comparisons take it */
    TYPE_W_NONE_IS_ZERO = 2,   /* with that, of text: what is no date is the zero date */
    TYPE_W_NAME_DATE = 1024,   /* of a cast to DATETIME: its messages are those of a DATE */
    TYPE_W_REFUSE_LOSS = 2048, /* of a cast's target: characters that its charset does not have,
                                  and bytes that are no text of it, are error 3854 */
    TYPE_W_OF_PARAM = 16384,   /* with that, of a parameter that takes its type from its place: they
                                  are error 3988, when the statement begins */
    TYPE_W_WHOLE_DATE = 256,   /* with TYPE_W_LENIENT_DATE: numbers below 101 but 0 are no dates */
    TYPE_W_WHOLE_TEXT = 256,   /* of a cast to text: what is longer than the type says stays so */
    TYPE_W_WHOLE_DECIMAL = 256, /* of a cast to DECIMAL: all digits that a text has stay */
    TYPE_W_REFUSE_WIDE = 256,   /* of a cast to an integer or YEAR: a DOUBLE beyond BIGINT is error
                                   1690 */
    TYPE_W_TELL_WIDE = 512,     /* of a cast to an integer: it is told of */
    TYPE_W_STORED_REAL = 512, /* of a cast to text: a DOUBLE or FLOAT has the digits of a DOUBLE for
                                 which there is room, as where it is stored */
    TYPE_W_COLUMN_TEXT = 16, /* of a cast to DECIMAL: of a column's text; without a digit it is told
                                of as 1366 first */
    TYPE_W_MADE_TEXT = 32,   /* of a cast to DECIMAL: of text that is computed; that is told of only
                                when it has no digit */
    TYPE_W_OWN_SCALE = 8,    /* of a cast to DECIMAL, of what is chosen among others: quotients have
                                the digits that it had (struct decimal, `filled`) */
    TYPE_W_SHORT_YEAR = 16,  /* of a cast's target: 1..99 are short years, a date is its year */
    TYPE_W_LENIENT_DATE = 8, /* of a cast's target: a zero month or day is let through, as parts
                                of dates (MONTH) see them, whatever sql_mode says */
    TYPE_W_ZERO_NULL = 8192, /* of a cast's target: a date that sql_mode refuses is NULL also when
                                it   comes of a date */
    TYPE_W_VARYING = 4096,   /* a BINARY that is announced as VARBINARY: of CAST */
    TYPE_W_COMPARED = 32768, /* of a cast's target: of constant text beside a date; messages name
                               the   column that it is compared with */
    TYPE_W_STORED_TEXT = 4,  /* with TYPE_W_REFUSE_LOSS: but not bytes that a charset of one byte
                                leaves open, as where text is stored */
    TYPE_W_ZERO_STORED = 4,  /* of a cast's target: a date that sql_mode refuses is 0000-00-00 when
                                it comes of a date, as where it is stored */
    TYPE_W_COLUMN_REAL = 4096, /* a DOUBLE or FLOAT of an expression whose text is a column's */
    TYPE_W_LONG_PRECISION = 4, /* a DECIMAL whose digits were cut to 65: its length counts 66 */
};

/* `decimals` of FLOAT, DOUBLE and strings without a fixed number of them. */
enum { DECIMALS_NOT_FIXED = 31 };
enum {
    DECIMAL_PRECISION_MAX = 65,
    DECIMAL_SCALE_MAX = 30,
    TIME_DECIMALS_MAX = 6,
    CHAR_LENGTH_MAX = 255, /* CHAR(n), BINARY(n) */
    VARCHAR_BYTES_MAX = 65535,
    BIT_LENGTH_MAX = 64,
    ENUM_MEMBERS_MAX = 65535,
    SET_MEMBERS_MAX = 64,
    VECTOR_LENGTH_MAX = 16383,
    VECTOR_LENGTH_DEFAULT = 2048,
};

/* Members of an ENUM or SET, in the collation's charset, without trailing spaces. */
struct type_names {
    uint32_t count;
    const struct slice *names;
};

enum geometry_kind {
    GEOM_GEOMETRY,
    GEOM_POINT,
    GEOM_LINESTRING,
    GEOM_POLYGON,
    GEOM_MULTIPOINT,
    GEOM_MULTILINESTRING,
    GEOM_MULTIPOLYGON,
    GEOM_COLLECTION,
};

struct sql_type {
    uint8_t id;       /* enum type_id */
    uint8_t flags;    /* TYPE_F_* */
    uint8_t decimals; /* DECIMAL scale, fraction digits of temporals, FLOAT/DOUBLE(M,D) or
                         DECIMALS_NOT_FIXED */
    uint8_t geometry; /* enum geometry_kind */
    /* Integers, FLOAT, DOUBLE, YEAR: display width. DECIMAL: precision. BIT: bits. CHAR, VARCHAR:
     * characters. BINARY, VARBINARY, TEXT and BLOB families: bytes. VECTOR: entries. Temporals:
     * display width. ENUM, SET: longest text in characters. */
    uint32_t length;
    uint16_t collation; /* id; COLL_BINARY for what is not text */
    uint16_t wire; /* TYPE_W_*: how result metadata differ from the type's own; no meaning else */
    uint32_t srid_plus_1;           /* GEOMETRY's SRID attribute + 1, 0 = none */
    const struct type_names *names; /* ENUM, SET; else NULL */
};

/* ---- makers ---- */

struct sql_type type_null(void);
struct sql_type type_int(enum type_id id,
                         bool is_unsigned); /* TINYINT .. BIGINT with its natural display width */
struct sql_type type_decimal(unsigned precision, unsigned scale, bool is_unsigned);
struct sql_type type_double(void);
struct sql_type type_float(void);
struct sql_type type_bit(unsigned bits);
struct sql_type type_temporal(enum type_id id,
                              unsigned decimals); /* DATE TIME DATETIME TIMESTAMP YEAR */
struct sql_type type_char(enum type_id id, uint32_t length,
                          unsigned collation); /* CHAR VARCHAR BINARY VARBINARY */
struct sql_type type_blob(enum type_id id,
                          unsigned collation); /* TEXT and BLOB families, JSON, GEOMETRY */
struct sql_type type_names_of(enum type_id id, const struct type_names *names,
                              unsigned collation); /* ENUM, SET */
struct sql_type type_vector(uint32_t entries);

/* ---- questions ---- */

extern const uint8_t type_phys_table[TYPE__COUNT];
static inline enum phys_kind type_phys_of(unsigned id)
{
    return (enum phys_kind)type_phys_table[id];
}
static inline enum phys_kind type_phys(const struct sql_type *t)
{
    return (enum phys_kind)type_phys_table[t->id];
}
static inline bool type_is_unsigned(const struct sql_type *t)
{
    return (t->flags & TYPE_F_UNSIGNED) != 0;
}
static inline bool type_is_integer(const struct sql_type *t)
{
    return t->id >= TYPE_TINYINT && t->id <= TYPE_BIGINT;
}
/* Of an integer: the most characters that a value of it has as text. The display width of a column
 * bounds none of its values. */
uint32_t type_int_chars(const struct sql_type *t);
/* INT families, DECIMAL, FLOAT, DOUBLE, BIT, YEAR. */
bool type_is_numeric(const struct sql_type *t);
/* DATE TIME DATETIME TIMESTAMP (YEAR is a number). */
static inline bool type_is_temporal(const struct sql_type *t)
{
    return t->id >= TYPE_DATE && t->id <= TYPE_TIMESTAMP;
}
static inline bool type_has_date(const struct sql_type *t)
{
    return t->id == TYPE_DATE || t->id == TYPE_DATETIME || t->id == TYPE_TIMESTAMP;
}
/* CHAR .. LONGBLOB. */
static inline bool type_is_string(const struct sql_type *t)
{
    return t->id >= TYPE_CHAR && t->id <= TYPE_LONGBLOB;
}
/* TINYTEXT .. LONGBLOB. */
static inline bool type_is_blob(const struct sql_type *t)
{
    return t->id >= TYPE_TINYTEXT && t->id <= TYPE_LONGBLOB;
}
/* Is the text of a column of the type read with blanks behind it, as many characters as the type
 * has (SQL_MODE_PAD_CHAR_TO_FULL_LENGTH)? It is stored and found without them. */
bool type_reads_padded(const struct sql_type *t, uint64_t sql_mode);
/* Most bytes a value may have; 0 for what is not PHYS_STR. */
uint64_t type_max_bytes(const struct sql_type *t);
/* Bytes of a value in MySQL's rows and keys, which its limits and EXPLAIN speak of; 0: as many as
 * the value has (strings, documents, vectors). */
uint32_t type_row_bytes(const struct sql_type *t);
/* Decimal digits before the point and in all that any value of the type can need (numeric types).
 */
unsigned type_int_digits(const struct sql_type *t);
bool type_equal(const struct sql_type *a, const struct sql_type *b); /* members compare too */

/* Range of an integer type: signed bounds, or 0..max when unsigned. */
void type_int_range(const struct sql_type *t, int64_t *ret_min, uint64_t *ret_max);

/* ---- names ---- */

/* "int", "varchar": DATA_TYPE in INFORMATION_SCHEMA. Static. */
const char *type_data_type(const struct sql_type *t);
/* COLUMN_TYPE and SHOW CREATE TABLE's type text: "int unsigned", "decimal(10,2)", "enum('a','b')";
 * without charset and nullability. */
MUST_USE db_err type_print(const struct sql_type *t, struct buf *out);

/* ---- result set metadata ---- */

/* MYSQL_TYPE_* codes of the wire protocol. */
enum wire_type {
    WIRE_TYPE_DECIMAL = 0,
    WIRE_TYPE_TINY = 1,
    WIRE_TYPE_SHORT = 2,
    WIRE_TYPE_LONG = 3,
    WIRE_TYPE_FLOAT = 4,
    WIRE_TYPE_DOUBLE = 5,
    WIRE_TYPE_NULL = 6,
    WIRE_TYPE_TIMESTAMP = 7,
    WIRE_TYPE_LONGLONG = 8,
    WIRE_TYPE_INT24 = 9,
    WIRE_TYPE_DATE = 10,
    WIRE_TYPE_TIME = 11,
    WIRE_TYPE_DATETIME = 12,
    WIRE_TYPE_YEAR = 13,
    WIRE_TYPE_VARCHAR = 15,
    WIRE_TYPE_BIT = 16,
    WIRE_TYPE_VECTOR = 242,
    WIRE_TYPE_JSON = 245,
    WIRE_TYPE_NEWDECIMAL = 246,
    WIRE_TYPE_ENUM = 247,
    WIRE_TYPE_SET = 248,
    WIRE_TYPE_TINY_BLOB = 249,
    WIRE_TYPE_MEDIUM_BLOB = 250,
    WIRE_TYPE_LONG_BLOB = 251,
    WIRE_TYPE_BLOB = 252,
    WIRE_TYPE_VAR_STRING = 253,
    WIRE_TYPE_STRING = 254,
    WIRE_TYPE_GEOMETRY = 255,
};
/* Column flags of the wire protocol that follow from the type (the key and default flags are the
 * caller's). */
enum {
    WIRE_FLAG_NOT_NULL = 1,
    WIRE_FLAG_BLOB = 16,
    WIRE_FLAG_UNSIGNED = 32,
    WIRE_FLAG_ZEROFILL = 64,
    WIRE_FLAG_BINARY = 128,
    WIRE_FLAG_ENUM = 256,
    WIRE_FLAG_SET = 2048,
    WIRE_FLAG_NUM = 32768,
};
struct wire_column {
    uint8_t type; /* enum wire_type */
    uint8_t decimals;
    uint16_t flags;
    uint16_t charset; /* collation id: the results' for text, 63 for all else */
    uint32_t length;  /* bytes in the results' charset */
};
/* results_collation: of character_set_results; 0 when it is NULL (text goes out in its own
 * charset). */
void type_wire_column(const struct sql_type *t, unsigned results_collation,
                      struct wire_column *ret);

#endif
