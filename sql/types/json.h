/* JSON values: the binary form that rows keep, and reading it.
 *
 * A document is a tag byte and a payload. Objects and arrays begin with a table of offsets, members
 * of objects stand in order of (length, bytes) of their names: a path is followed by binary search
 * and jumps, without decoding what lies beside it. The layout is described in json_binary.c. Empty
 * bytes count as the JSON null (what a NOT NULL column gets from INSERT IGNORE).
 *
 * Views borrow from the document's bytes. Everything is pure; nothing parks the fiber. Recursion is
 * bounded by JSON_DEPTH_MAX, which is checked wherever documents are made. */
#ifndef SKEIN_SQL_TYPES_JSON_H
#define SKEIN_SQL_TYPES_JSON_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/diag.h"
#include "base/slice.h"
#include "sql/types/cast.h"
#include "sql/types/decimal.h"
#include "sql/types/value.h"

enum {
    JSON_DEPTH_MAX = 100,
    JSON_KEY_MAX = 65535,
    JSON_TEXT_MAX = 1 << 30, /* of one document, as bytes or as text */
};

/* In the order in which values of different types compare; numbers are one rank. */
enum json_type {
    JSON_NULL,
    JSON_INT,
    JSON_UINT,
    JSON_DOUBLE,
    JSON_DECIMAL,
    JSON_STRING,
    JSON_OBJECT,
    JSON_ARRAY,
    JSON_BOOLEAN,
    JSON_DATE,
    JSON_TIME,
    JSON_DATETIME,
    JSON_OPAQUE, /* bytes with the wire type of the SQL value they come from */
};

struct json_view {
    uint8_t tag;  /* of the binary form */
    uint8_t type; /* enum json_type */
    uint32_t len; /* of the payload; of a scalar inside a container it may count bytes behind it */
    const uint8_t *ptr;
};

/* ---- reading (json_binary.c) ---- */

struct json_view json_view_of(struct slice document);
static inline bool json_is_container(const struct json_view *v)
{
    return v->type == JSON_OBJECT || v->type == JSON_ARRAY;
}
static inline bool json_is_number(const struct json_view *v)
{
    return v->type >= JSON_INT && v->type <= JSON_DECIMAL;
}
/* Elements or members; 1 of a scalar. */
uint32_t json_count(const struct json_view *v);
/* Element or member value `i` (< count) of a container. */
struct json_view json_at(const struct json_view *v, uint32_t i);
/* Name of member i of an object. */
struct slice json_key_at(const struct json_view *v, uint32_t i);
/* Finds a member of an object by binary search. */
bool json_member(const struct json_view *v, struct slice key, struct json_view *ret);
int64_t json_int(const struct json_view *v);      /* INT, UINT (as its bits) */
double json_double(const struct json_view *v);    /* DOUBLE */
bool json_bool(const struct json_view *v);        /* BOOLEAN */
struct slice json_str(const struct json_view *v); /* STRING: utf8mb4; OPAQUE: its bytes */
void json_decimal(const struct json_view *v, struct decimal *ret);
int64_t json_time(const struct json_view *v);        /* DATE, TIME, DATETIME: packed */
uint8_t json_opaque_wire(const struct json_view *v); /* enum wire_type of an OPAQUE */
/* Any number as a double. */
double json_number(const struct json_view *v);
/* Levels: 1 of a scalar. */
uint32_t json_depth(const struct json_view *v);
/* Bytes of the value on its own, tag included. */
uint32_t json_size(const struct json_view *v);
/* "INTEGER", "UNSIGNED INTEGER" ...: what JSON_TYPE says. Static. */
const char *json_type_name(const struct json_view *v);

/* ---- text ---- */

/* Why a text is no JSON. */
struct json_syntax {
    const char *message; /* NULL: it is too deep (3157) */
    size_t position;
};
struct json_node;
/* utf8mb4 text to a tree in the arena. ERR_INVALID: *ret_why says why. Numbers keep their exact
 * value as int64, uint64 or else the nearest double. */
MUST_USE db_err json_parse(struct arena *arena, struct slice text, struct json_node **ret,
                           struct json_syntax *ret_why);
/* Is the text JSON? ERR_SQL 3157 when it is too deep to know. */
MUST_USE db_err json_valid(struct arena *arena, struct slice text, struct diag *diag,
                           bool *ret_valid);
/* Appends as MySQL prints it. */
MUST_USE db_err json_print(const struct json_view *v, struct buf *out);
/* The text of a document, in the arena. */
MUST_USE db_err json_text(struct slice document, struct arena *arena, struct slice *ret);
MUST_USE db_err json_pretty(const struct json_view *v, struct buf *out);
/* "text" with quotes and escapes. */
MUST_USE db_err json_quote(struct slice text, struct buf *out);
/* The inside of a quoted string, escapes resolved; ERR_INVALID as json_parse. */
MUST_USE db_err json_unquote(struct slice text, struct buf *out, struct json_syntax *ret_why);

/* ---- trees: documents under construction (json_tree.c) ---- */

struct json_member {
    struct slice key;
    struct json_node *value;
};
struct json_node {
    uint8_t type; /* enum json_type */
    uint8_t wire; /* OPAQUE: enum wire_type; DATETIME: WIRE_TYPE_TIMESTAMP when it was one */
    bool stored;  /* `view` holds it: a part of another document that was not touched */
    union {
        int64_t i;
        uint64_t u;
        double d;
        bool b;
        int64_t t;
        struct decimal *dec;
        struct slice str;
        struct json_view view;
        struct {
            struct json_member *members; /* sorted by name */
            uint32_t count, room;
        } object;
        struct {
            struct json_node **items;
            uint32_t count, room;
        } array;
    } u;
};
/* All nodes live in the arena given; strings are borrowed. NULL: out of memory. */
struct json_node *json_node_new(struct arena *arena, enum json_type type);
struct json_node *json_node_str(struct arena *arena, struct slice s);
struct json_node *json_node_of(struct arena *arena, const struct json_view *v);
/* Makes a stored container one that can be changed (its children stay stored). */
MUST_USE db_err json_expand(struct arena *arena, struct json_node *n);
/* Index of the member, or where it would stand. */
bool json_find_member(const struct json_node *n, struct slice key, uint32_t *ret_at);
/* Sets a member of an expanded object: the last one of a name wins. */
MUST_USE db_err json_set_member(struct arena *arena, struct json_node *n, struct slice key,
                                struct json_node *value);
void json_remove_member(struct json_node *n, uint32_t at);
MUST_USE db_err json_insert_item(struct arena *arena, struct json_node *n, uint32_t at,
                                 struct json_node *value);
MUST_USE db_err json_append_item(struct arena *arena, struct json_node *n, struct json_node *value);
void json_remove_item(struct json_node *n, uint32_t at);
/* [n], unless n is an array. NULL: out of memory. */
struct json_node *json_wrap(struct arena *arena, struct json_node *n);
/* Appends the binary form. ERR_SQL 3157 (too deep), 3151 (a name too long), 3150. */
MUST_USE db_err json_write(const struct json_node *n, struct buf *out, struct diag *diag);
/* The same into an arena. */
MUST_USE db_err json_write_arena(const struct json_node *n, struct arena *arena, struct diag *diag,
                                 struct slice *ret);
/* Deep copy of a view as a document of its own; borrows when it is one already. */
MUST_USE db_err json_document(const struct json_view *v, struct arena *arena, struct slice *ret);
/* JSON_MERGE_PRESERVE and JSON_MERGE_PATCH of two documents; a may be changed. */
MUST_USE db_err json_merge_preserve(struct arena *arena, struct json_node *a, struct json_node *b,
                                    struct json_node **ret);
MUST_USE db_err json_merge_patch(struct arena *arena, struct json_node *a, struct json_node *b,
                                 struct json_node **ret);

/* ---- comparison (json_compare.c) ---- */

/* Names: length first, then bytes. */
int json_key_cmp(struct slice a, struct slice b);
/* MySQL's order of JSON values: < 0, 0, > 0. */
int json_compare(const struct json_view *a, const struct json_view *b);
/* What a condition makes of a document: it is not the number 0. */
bool json_truth(struct slice document);
uint64_t json_hash(const struct json_view *v, uint64_t seed);
/* JSON_CONTAINS, JSON_OVERLAPS and a MEMBER OF(b). As the work may grow with the product of the
 * sizes, others have their turn meanwhile. Errors: those of fiber_checkpoint. */
MUST_USE db_err json_contains(const struct json_view *doc, const struct json_view *part, bool *ret);
MUST_USE db_err json_overlaps(const struct json_view *a, const struct json_view *b, bool *ret);
MUST_USE db_err json_member_of(const struct json_view *a, const struct json_view *b, bool *ret);
/* JSON as a collation over the binary form, for code that compares and hashes bytes under one:
 * equality of `json_collation` is that of the values. `json_order_collation` is ORDER BY's order:
 * arrays and objects by their length first. */
extern const struct collation json_collation;
extern const struct collation json_order_collation;

/* ---- paths (json_path.c) ---- */

enum json_leg_kind {
    JSON_LEG_KEY,
    JSON_LEG_ANY_KEY,
    JSON_LEG_INDEX,
    JSON_LEG_RANGE,
    JSON_LEG_ANY_INDEX,
    JSON_LEG_ELLIPSIS,
};
struct json_leg {
    uint8_t kind; /* enum json_leg_kind */
    bool from_end, to_end;
    uint32_t from, to;
    struct slice key;
};
struct json_path {
    struct json_leg *legs; /* in the arena given */
    uint32_t count;
    bool many;     /* wildcards or ranges: may match several values */
    bool ellipsis; /* has ** */
};
/* Parses utf8mb4 text. ERR_INVALID: *ret_position is where MySQL says the error is; ERR_SQL: 3157
 * (too many legs). */
MUST_USE db_err json_path_parse(struct arena *arena, struct slice text, struct json_path *ret,
                                size_t *ret_position, struct diag *diag);
struct json_hits {
    struct arena *arena;
    struct json_view *views;
    uint32_t count, room;
};
enum {
    JSON_SEEK_ONE = 1,  /* stop at the first */
    JSON_SEEK_WRAP = 2, /* what is no array counts as an array of itself */
};
/* Adds what the path finds, in document order. As `**` may go the same ways again and again, others
 * have their turn meanwhile. Errors: ERR_LIMIT, those of fiber_checkpoint. */
MUST_USE db_err json_seek(const struct json_view *doc, const struct json_path *path, unsigned flags,
                          struct json_hits *hits);
/* The position that an index leg means in an array of `count`; false when it is outside (*ret_at is
 * then where an insertion would put it). */
bool json_leg_index(const struct json_leg *leg, uint32_t count, uint32_t *ret_at);
/* The positions [*ret_from, *ret_to) that a range leg means. */
void json_leg_range(const struct json_leg *leg, uint32_t count, uint32_t *ret_from,
                    uint32_t *ret_to);
/* Appends ".name", with quotes where the name needs them. */
MUST_USE db_err json_print_leg(struct slice key, struct buf *out);

/* ---- changes in place (json_partial.c) ---- */

enum json_in_place {
    JSON_IN_PLACE,
    JSON_UNCHANGED,    /* nothing stands at the path, and nothing is to be added */
    JSON_NOT_IN_PLACE, /* nothing was done: the document is to be written anew */
};
/* The value at a path becomes that of another document; the document keeps its length.
 * only_replace: where nothing stands, nothing is to be added. The path has no wildcards. */
enum json_in_place json_set_in_place(uint8_t *document, size_t len, const struct json_path *path,
                                     struct slice value, bool only_replace);
enum json_in_place json_remove_in_place(uint8_t *document, size_t len,
                                        const struct json_path *path);
/* Bytes of a document that such changes left over: JSON_STORAGE_FREE. */
uint32_t json_unused(const struct json_view *v);
/* Expands all containers: what is then written has no bytes left over. ERR_LIMIT. */
MUST_USE db_err json_expand_all(struct arena *arena, struct json_node *n);

/* ---- SQL values (json_cast.c) ---- */

/* A SQL value as a JSON scalar (text stays text, it is not parsed); a JSON value is itself. v is
 * not NULL. Errors: ERR_SQL 3144, 1235. */
MUST_USE db_err json_from_value(struct cast_ctx *ctx, const struct sql_type *from,
                                const struct value *v, struct json_node **ret);
/* JSON to any type but JSON, as casts do: warnings 3155 and 3156; *ret may become NULL. */
MUST_USE db_err json_to_value(struct cast_ctx *ctx, const struct json_view *v,
                              const struct sql_type *to, struct value *ret);
/* JSON to a value of `to` without loss, as JSON_VALUE and JSON_TABLE want it: *ret_fits is false
 * when there is none (nothing is reported, ret is then untouched). JSON's null is NULL; text of a
 * string is its inside. */
MUST_USE db_err json_coerce(struct cast_ctx *ctx, const struct json_view *v,
                            const struct sql_type *to, struct value *ret, bool *ret_fits);
/* The same as a column of JSON_TABLE has it: times from numbers too, BINARY(n) filled up, of text
 * that begins with a moment the moment. checked: what is no member of an ENUM or SET does not fit;
 * else it is ''. */
MUST_USE db_err json_coerce_column(struct cast_ctx *ctx, const struct json_view *v,
                                   const struct sql_type *to, bool checked, struct value *ret,
                                   bool *ret_fits);
/* Is it the text of a date without a time? MYSQL: casts take it for a DATETIME, columns do not. */
bool json_is_date_only(const struct json_view *v);
/* Appends the text that JSON_UNQUOTE gives. */
MUST_USE db_err json_print_unquoted(const struct json_view *v, struct buf *out);
/* The JSON value as the SQL value it is closest to: BIGINT, DOUBLE, DECIMAL, utf8mb4 text,
 * temporal; false: there is none (null, containers). */
bool json_natural(const struct json_view *v, struct value *ret, struct sql_type *ret_type);

#endif
