/* Documents under construction: trees of nodes, and writing them down.
 *
 * A change to a document expands only the containers on the way to it; everything else stays a view
 * of the old bytes (`stored`) and is copied as it is: containers' offsets are relative. A container
 * is written in its small form first and again in the large one when 64 KiB do not hold it. */
#include "sql/types/json_int.h"

#include <string.h>

#include "sql/diag/my_error.h"

enum { FIRST_ROOM = 4, SMALL_MAX = 65535, INLINE_MAX = 8 };

struct json_node *json_node_new(struct arena *arena, enum json_type type)
{
    struct json_node *n = ARENA_NEW(arena, struct json_node);
    if (n != NULL) {
        n->type = (uint8_t)type;
    }
    return n;
}

struct json_node *json_node_str(struct arena *arena, struct slice s)
{
    struct json_node *n = json_node_new(arena, JSON_STRING);
    if (n != NULL) {
        n->u.str = s;
    }
    return n;
}

struct json_node *json_node_of(struct arena *arena, const struct json_view *v)
{
    struct json_node *n = json_node_new(arena, (enum json_type)v->type);
    if (n != NULL) {
        n->stored = true;
        n->u.view = *v;
    }
    return n;
}

db_err json_expand(struct arena *arena, struct json_node *n)
{
    if (!n->stored || (n->type != JSON_OBJECT && n->type != JSON_ARRAY)) {
        return ERR_OK;
    }
    struct json_view v = n->u.view;
    uint32_t count = json_count(&v);
    struct json_node *nodes = ARENA_ARRAY(arena, struct json_node, count + 1);
    void *room = n->type == JSON_OBJECT ? (void *)ARENA_ARRAY(arena, struct json_member, count + 1)
                                        : (void *)ARENA_ARRAY(arena, struct json_node *, count + 1);
    if (nodes == NULL || room == NULL) {
        return ERR_LIMIT;
    }
    for (uint32_t i = 0; i < count; i++) {
        struct json_view child = json_at(&v, i);
        nodes[i] = (struct json_node){.type = child.type, .stored = true, .u.view = child};
        if (n->type == JSON_OBJECT) {
            ((struct json_member *)room)[i] = (struct json_member){json_key_at(&v, i), &nodes[i]};
        } else {
            ((struct json_node **)room)[i] = &nodes[i];
        }
    }
    n->stored = false;
    if (n->type == JSON_OBJECT) {
        n->u.object.members = room;
        n->u.object.count = count;
        n->u.object.room = count + 1;
    } else {
        n->u.array.items = room;
        n->u.array.count = count;
        n->u.array.room = count + 1;
    }
    return ERR_OK;
}

/* Room for one more in an array of `size`-byte elements. */
static db_err make_room(struct arena *arena, void **io_items, uint32_t count, uint32_t *io_room,
                        size_t size)
{
    if (count < *io_room) {
        return ERR_OK;
    }
    uint32_t room = *io_room < FIRST_ROOM ? FIRST_ROOM : *io_room * 2;
    void *items = arena_alloc(arena, room * size);
    if (items == NULL) {
        return ERR_LIMIT;
    }
    if (count != 0) {
        memcpy(items, *io_items, count * size);
    }
    *io_items = items;
    *io_room = room;
    return ERR_OK;
}

bool json_find_member(const struct json_node *n, struct slice key, uint32_t *ret_at)
{
    uint32_t low = 0;
    uint32_t high = n->u.object.count;
    /* Names mostly come in order. */
    if (high != 0 && json_key_cmp(n->u.object.members[high - 1].key, key) < 0) {
        *ret_at = high;
        return false;
    }
    while (low < high) {
        uint32_t mid = low + (high - low) / 2;
        int c = json_key_cmp(n->u.object.members[mid].key, key);
        if (c == 0) {
            *ret_at = mid;
            return true;
        }
        if (c < 0) {
            low = mid + 1;
        } else {
            high = mid;
        }
    }
    *ret_at = low;
    return false;
}

db_err json_set_member(struct arena *arena, struct json_node *n, struct slice key,
                       struct json_node *value)
{
    uint32_t at;
    if (json_find_member(n, key, &at)) {
        n->u.object.members[at].value = value;
        return ERR_OK;
    }
    void *members = n->u.object.members;
    TRY(make_room(arena, &members, n->u.object.count, &n->u.object.room,
                  sizeof(struct json_member)));
    n->u.object.members = members;
    struct json_member *m = &n->u.object.members[at];
    memmove(m + 1, m, (n->u.object.count - at) * sizeof(*m));
    *m = (struct json_member){key, value};
    n->u.object.count++;
    return ERR_OK;
}

void json_remove_member(struct json_node *n, uint32_t at)
{
    struct json_member *m = &n->u.object.members[at];
    n->u.object.count--;
    memmove(m, m + 1, (n->u.object.count - at) * sizeof(*m));
}

db_err json_insert_item(struct arena *arena, struct json_node *n, uint32_t at,
                        struct json_node *value)
{
    void *items = n->u.array.items;
    TRY(make_room(arena, &items, n->u.array.count, &n->u.array.room, sizeof(struct json_node *)));
    n->u.array.items = items;
    struct json_node **slot = &n->u.array.items[at];
    memmove(slot + 1, slot, (n->u.array.count - at) * sizeof(struct json_node *));
    *slot = value;
    n->u.array.count++;
    return ERR_OK;
}

db_err json_append_item(struct arena *arena, struct json_node *n, struct json_node *value)
{
    return json_insert_item(arena, n, n->u.array.count, value);
}

void json_remove_item(struct json_node *n, uint32_t at)
{
    struct json_node **slot = &n->u.array.items[at];
    n->u.array.count--;
    memmove(slot, slot + 1, (n->u.array.count - at) * sizeof(struct json_node *));
}

struct json_node *json_wrap(struct arena *arena, struct json_node *n)
{
    if (n->type == JSON_ARRAY) {
        return n;
    }
    struct json_node *a = json_node_new(arena, JSON_ARRAY);
    return a == NULL || json_append_item(arena, a, n) != ERR_OK ? NULL : a;
}

/* ---- writing ---- */

static db_err put_varlen(struct buf *out, size_t len)
{
    do {
        uint8_t c = (uint8_t)(len & 0x7f);
        len >>= 7;
        TRY(buf_append_u8(out, (uint8_t)(c | (len != 0 ? 0x80 : 0))));
    } while (len != 0);
    return ERR_OK;
}

static db_err put_opaque(struct buf *out, uint8_t wire, const void *bytes, size_t len)
{
    TRY(buf_append_u8(out, wire));
    TRY(put_varlen(out, len));
    return buf_append(out, bytes, len);
}

static uint8_t int_tag(const struct json_node *n)
{
    if (n->type == JSON_UINT) {
        uint64_t u = n->u.u;
        return u <= UINT16_MAX   ? JSON_TAG_UINT16
               : u <= UINT32_MAX ? JSON_TAG_UINT32
                                 : JSON_TAG_UINT64;
    }
    int64_t i = n->u.i;
    return i == (int16_t)i ? JSON_TAG_INT16 : i == (int32_t)i ? JSON_TAG_INT32 : JSON_TAG_INT64;
}

static uint8_t scalar_tag(const struct json_node *n)
{
    switch ((enum json_type)n->type) {
    case JSON_NULL:
    case JSON_BOOLEAN: return JSON_TAG_LITERAL;
    case JSON_INT:
    case JSON_UINT: return int_tag(n);
    case JSON_DOUBLE: return JSON_TAG_DOUBLE;
    case JSON_STRING: return JSON_TAG_STRING;
    case JSON_DECIMAL:
    case JSON_OBJECT:
    case JSON_ARRAY:
    case JSON_DATE:
    case JSON_TIME:
    case JSON_DATETIME:
    case JSON_OPAQUE: break;
    }
    return JSON_TAG_OPAQUE;
}

/* The payload of a scalar that stands in an entry; returns its bytes. */
static unsigned inline_payload(const struct json_node *n, uint8_t tag, uint8_t out[INLINE_MAX])
{
    memset(out, 0, INLINE_MAX);
    if (tag == JSON_TAG_LITERAL) {
        out[0] = n->type == JSON_NULL ? JSON_LITERAL_NULL
                 : n->u.b             ? JSON_LITERAL_TRUE
                                      : JSON_LITERAL_FALSE;
        return 1;
    }
    unsigned width = tag == JSON_TAG_INT16 || tag == JSON_TAG_UINT16   ? 2
                     : tag == JSON_TAG_INT32 || tag == JSON_TAG_UINT32 ? 4
                                                                       : 8;
    json__put(out, n->u.u, width);
    return width;
}

static db_err put_time(const struct json_node *n, struct buf *out)
{
    uint8_t bytes[8];
    json__put(bytes, n->u.u, 8);
    uint8_t wire = n->type == JSON_DATE   ? WIRE_TYPE_DATE
                   : n->type == JSON_TIME ? WIRE_TYPE_TIME
                   : n->wire != 0         ? n->wire
                                          : WIRE_TYPE_DATETIME;
    return put_opaque(out, wire, bytes, 8);
}

static db_err put_scalar(const struct json_node *n, uint8_t tag, struct buf *out)
{
    uint8_t bytes[JSON__DECIMAL_BYTES];
    switch (tag) {
    case JSON_TAG_STRING:
        TRY(put_varlen(out, n->u.str.len));
        return buf_append_slice(out, n->u.str);
    case JSON_TAG_OPAQUE: break;
    default: return buf_append(out, bytes, inline_payload(n, tag, bytes));
    }
    switch ((int)n->type) {
    case JSON_DECIMAL: {
        unsigned len = json__put_decimal(n->u.dec, bytes);
        return put_opaque(out, WIRE_TYPE_NEWDECIMAL, bytes, len);
    }
    case JSON_OPAQUE: return put_opaque(out, n->wire, n->u.str.ptr, n->u.str.len);
    default: return put_time(n, out);
    }
}

struct writer {
    struct buf *out;
    struct diag *diag;
    bool too_big; /* the small form does not do: try again */
};

static db_err write_value(struct writer *w, const struct json_node *n, uint32_t depth,
                          bool in_small, uint8_t *ret_tag);

static db_err write_entry(struct writer *w, const struct json_node *child, uint32_t depth,
                          size_t start, size_t entry, bool large)
{
    uint8_t tag;
    unsigned width = large ? 4 : 2;
    if (child->stored ? json__inlined(child->u.view.tag, large)
                      : json__inlined(scalar_tag(child), large)) {
        uint8_t payload[INLINE_MAX] = {0};
        if (child->stored) {
            tag = child->u.view.tag;
            memcpy(payload, child->u.view.ptr, json__payload(&child->u.view));
        } else {
            tag = scalar_tag(child);
            (void)inline_payload(child, tag, payload);
        }
        w->out->ptr[entry] = tag;
        memcpy(w->out->ptr + entry + 1, payload, width);
        return ERR_OK;
    }
    size_t at = w->out->len - start;
    if (!large && at > SMALL_MAX) {
        w->too_big = true;
        return ERR_OK;
    }
    TRY(write_value(w, child, depth, !large, &tag));
    w->out->ptr[entry] = tag;
    json__put(w->out->ptr + entry + 1, at, width);
    return ERR_OK;
}

static db_err write_names(struct writer *w, const struct json_node *n, size_t start, bool large)
{
    unsigned width = large ? 4 : 2;
    for (uint32_t i = 0; i < n->u.object.count; i++) {
        struct slice key = n->u.object.members[i].key;
        size_t at = w->out->len - start;
        if (key.len > JSON_KEY_MAX) {
            return my_error(w->diag, ER_JSON_KEY_TOO_BIG);
        }
        if (!large && at > SMALL_MAX) {
            w->too_big = true;
            return ERR_OK;
        }
        uint8_t *entry = w->out->ptr + start + 2 * width + i * (width + 2);
        json__put(entry, at, width);
        json__put(entry + width, key.len, 2);
        TRY(buf_append_slice(w->out, key));
    }
    return ERR_OK;
}

static db_err write_container(struct writer *w, const struct json_node *n, uint32_t depth,
                              bool large)
{
    bool object = n->type == JSON_OBJECT;
    uint32_t count = object ? n->u.object.count : n->u.array.count;
    unsigned width = large ? 4 : 2;
    size_t start = w->out->len;
    size_t names = object ? (size_t)count * (width + 2) : 0;
    size_t table = 2 * width + names + (size_t)count * (1 + width);
    if (!large && table > SMALL_MAX) {
        w->too_big = true;
        return ERR_OK;
    }
    TRY(buf_reserve(w->out, table));
    memset(w->out->ptr + start, 0, table);
    w->out->len += table;
    json__put(w->out->ptr + start, count, width);
    if (object) {
        TRY(write_names(w, n, start, large));
    }
    for (uint32_t i = 0; i < count && !w->too_big; i++) {
        const struct json_node *child = object ? n->u.object.members[i].value : n->u.array.items[i];
        size_t entry = start + 2 * width + names + (size_t)i * (1 + width);
        TRY(write_entry(w, child, depth, start, entry, large));
    }
    size_t size = w->out->len - start;
    w->too_big = w->too_big || (!large && size > SMALL_MAX);
    json__put(w->out->ptr + start + width, size, width);
    return ERR_OK;
}

static db_err write_value(struct writer *w, const struct json_node *n, uint32_t depth,
                          bool in_small, uint8_t *ret_tag)
{
    bool container = n->type == JSON_OBJECT || n->type == JSON_ARRAY;
    if (container && depth >= JSON_DEPTH_MAX) {
        return my_error(w->diag, ER_JSON_DOCUMENT_TOO_DEEP);
    }
    if (n->stored) {
        if (container && depth + json_depth(&n->u.view) > JSON_DEPTH_MAX + 1) {
            return my_error(w->diag, ER_JSON_DOCUMENT_TOO_DEEP);
        }
        *ret_tag = n->u.view.tag;
        return buf_append(w->out, n->u.view.ptr, json__payload(&n->u.view));
    }
    if (!container) {
        *ret_tag = scalar_tag(n);
        return put_scalar(n, *ret_tag, w->out);
    }
    size_t start = w->out->len;
    bool object = n->type == JSON_OBJECT;
    *ret_tag = object ? JSON_TAG_SMALL_OBJECT : JSON_TAG_SMALL_ARRAY;
    TRY(write_container(w, n, depth + 1, false));
    if (w->too_big && !in_small) { /* else what is around it grows first */
        w->out->len = start;
        w->too_big = false;
        *ret_tag = object ? JSON_TAG_LARGE_OBJECT : JSON_TAG_LARGE_ARRAY;
        TRY(write_container(w, n, depth + 1, true));
    }
    return ERR_OK;
}

db_err json_write(const struct json_node *n, struct buf *out, struct diag *diag)
{
    struct writer w = {.out = out, .diag = diag};
    size_t at = out->len;
    uint8_t tag;
    TRY(buf_append_u8(out, 0));
    TRY(write_value(&w, n, 0, false, &tag));
    out->ptr[at] = tag;
    return ERR_OK;
}

db_err json_write_arena(const struct json_node *n, struct arena *arena, struct diag *diag,
                        struct slice *ret)
{
    struct buf out;
    struct slice s;
    buf_init(&out, JSON_TEXT_MAX);
    db_err err = json_write(n, &out, diag);
    if (err == ERR_OK) {
        err = arena_copy(arena, buf_slice(&out), &s);
    }
    buf_fini(&out);
    TRY(err);
    *ret = s;
    return ERR_OK;
}

db_err json_document(const struct json_view *v, struct arena *arena, struct slice *ret)
{
    uint32_t payload = json__payload(v);
    uint8_t *out = arena_alloc(arena, payload + 1);
    if (out == NULL) {
        return ERR_LIMIT;
    }
    out[0] = v->tag;
    memcpy(out + 1, v->ptr, payload);
    *ret = slice_of(out, payload + 1);
    return ERR_OK;
}

/* ---- merging ---- */

db_err json_merge_preserve(struct arena *arena, struct json_node *a, struct json_node *b,
                           struct json_node **ret)
{
    if (a->type == JSON_OBJECT && b->type == JSON_OBJECT) {
        TRY(json_expand(arena, a));
        TRY(json_expand(arena, b));
        for (uint32_t i = 0; i < b->u.object.count; i++) {
            struct json_member *m = &b->u.object.members[i];
            struct json_node *value = m->value;
            uint32_t at;
            if (json_find_member(a, m->key, &at)) {
                TRY(json_merge_preserve(arena, a->u.object.members[at].value, value, &value));
            }
            TRY(json_set_member(arena, a, m->key, value));
        }
        *ret = a;
        return ERR_OK;
    }
    a = json_wrap(arena, a);
    b = json_wrap(arena, b);
    if (a == NULL || b == NULL) {
        return ERR_LIMIT;
    }
    TRY(json_expand(arena, a));
    TRY(json_expand(arena, b));
    for (uint32_t i = 0; i < b->u.array.count; i++) {
        TRY(json_append_item(arena, a, b->u.array.items[i]));
    }
    *ret = a;
    return ERR_OK;
}

db_err json_merge_patch(struct arena *arena, struct json_node *a, struct json_node *b,
                        struct json_node **ret)
{
    if (b->type != JSON_OBJECT) {
        *ret = b;
        return ERR_OK;
    }
    if (a == NULL || a->type != JSON_OBJECT) {
        a = json_node_new(arena, JSON_OBJECT);
        if (a == NULL) {
            return ERR_LIMIT;
        }
    }
    TRY(json_expand(arena, a));
    TRY(json_expand(arena, b));
    for (uint32_t i = 0; i < b->u.object.count; i++) {
        struct json_member *m = &b->u.object.members[i];
        struct json_node *value = m->value;
        uint32_t at;
        bool found = json_find_member(a, m->key, &at);
        if (value->type == JSON_NULL) {
            if (found) {
                json_remove_member(a, at);
            }
            continue;
        }
        TRY(json_merge_patch(arena, found ? a->u.object.members[at].value : NULL, value, &value));
        TRY(json_set_member(arena, a, m->key, value));
    }
    *ret = a;
    return ERR_OK;
}
