/* Private to sql/types: the binary form's bytes. */
#ifndef SKEIN_SQL_TYPES_JSON_INT_H
#define SKEIN_SQL_TYPES_JSON_INT_H

#include "sql/types/json.h"

enum json_tag {
    JSON_TAG_SMALL_OBJECT = 0,
    JSON_TAG_LARGE_OBJECT = 1,
    JSON_TAG_SMALL_ARRAY = 2,
    JSON_TAG_LARGE_ARRAY = 3,
    JSON_TAG_LITERAL = 4,
    JSON_TAG_INT16 = 5,
    JSON_TAG_UINT16 = 6,
    JSON_TAG_INT32 = 7,
    JSON_TAG_UINT32 = 8,
    JSON_TAG_INT64 = 9,
    JSON_TAG_UINT64 = 10,
    JSON_TAG_DOUBLE = 11,
    JSON_TAG_STRING = 12,
    JSON_TAG_OPAQUE = 15,
};
enum { JSON_LITERAL_NULL = 0, JSON_LITERAL_TRUE = 1, JSON_LITERAL_FALSE = 2 };
enum { JSON__DECIMAL_BYTES = 48 };

static inline uint16_t json__get16(const uint8_t *p)
{
    return (uint16_t)(p[0] | p[1] << 8);
}
static inline uint32_t json__get32(const uint8_t *p)
{
    return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}
static inline uint64_t json__get64(const uint8_t *p)
{
    return (uint64_t)json__get32(p) | (uint64_t)json__get32(p + 4) << 32;
}
static inline void json__put(uint8_t *p, uint64_t v, unsigned width)
{
    for (unsigned i = 0; i < width; i++) {
        p[i] = (uint8_t)(v >> (8 * i));
    }
}

static inline bool json__large(uint8_t tag)
{
    return tag == JSON_TAG_LARGE_OBJECT || tag == JSON_TAG_LARGE_ARRAY;
}

/* Bytes read; *ret the length that they say. */
uint32_t json__varlen(const uint8_t *p, uint32_t *ret);
/* Does a value of this tag stand in its container's entry? */
bool json__inlined(uint8_t tag, bool large);
/* Bytes of the payload proper. */
uint32_t json__payload(const struct json_view *v);
/* The opaque bytes of a decimal; returns their number. */
unsigned json__put_decimal(const struct decimal *d, uint8_t out[JSON__DECIMAL_BYTES]);
/* Skips JSON's white space. */
static inline bool json__is_space(uint8_t c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

#endif
