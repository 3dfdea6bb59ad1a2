/* Changing a document's bytes where they are, as UPDATE does with a JSON column.
 *
 * A value of a container is replaced where it stands, or anywhere between the end of the value
 * before it and the start of the one behind it, when it fits there; the container keeps its size
 * and the bytes that are left over are lost until the document is written anew. Values stand in the
 * order of their entries, also after such changes: what lies between two neighbours is free.
 * Removing takes the entries away; what follows them moves up, names and values stay where they
 * are. This is MySQL's way, so that JSON_STORAGE_SIZE and JSON_STORAGE_FREE tell the same. */
#include "sql/types/json_int.h"

#include <string.h>

#include "base/assert.h"

static unsigned width_of(const struct json_view *v)
{
    return json__large(v->tag) ? 4 : 2;
}

static uint32_t get(const uint8_t *p, unsigned width)
{
    return width == 4 ? json__get32(p) : json__get16(p);
}

/* Bytes of the entries that tell where the names are, and of one of them. */
static uint32_t name_entry(const struct json_view *v)
{
    return v->type == JSON_OBJECT ? width_of(v) + 2 : 0;
}

static uint32_t entry_offset(const struct json_view *v, uint32_t i)
{
    unsigned width = width_of(v);
    return 2 * width + json_count(v) * name_entry(v) + i * (1 + width);
}

/* The bytes of value i; false: it stands in its entry. */
static bool value_bytes(const struct json_view *v, uint32_t i, uint32_t *ret_start,
                        uint32_t *ret_end)
{
    const uint8_t *entry = v->ptr + entry_offset(v, i);
    if (json__inlined(entry[0], json__large(v->tag))) {
        return false;
    }
    struct json_view child = json_at(v, i);
    *ret_start = get(entry + 1, width_of(v));
    *ret_end = *ret_start + json__payload(&child);
    return true;
}

/* Where values may begin: behind the entries and names. */
static uint32_t values_start(const struct json_view *v)
{
    uint32_t count = json_count(v);
    if (v->type == JSON_OBJECT && count != 0) {
        struct slice last = json_key_at(v, count - 1);
        return (uint32_t)(last.ptr + last.len - v->ptr);
    }
    return entry_offset(v, count);
}

/* Room for `need` bytes of value i: its own, else what its neighbours leave. */
static bool find_room(const struct json_view *v, uint32_t i, uint32_t need, uint32_t *ret)
{
    uint32_t start;
    uint32_t end;
    if (value_bytes(v, i, &start, &end) && end - start >= need) {
        *ret = start;
        return true;
    }
    uint32_t from = values_start(v);
    uint32_t to = json__payload(v);
    for (uint32_t k = i; k-- > 0;) {
        if (value_bytes(v, k, &start, &end)) {
            from = end;
            break;
        }
    }
    for (uint32_t k = i + 1; k < json_count(v); k++) {
        if (value_bytes(v, k, &start, &end)) {
            to = start;
            break;
        }
    }
    *ret = from;
    return from <= to && to - from >= need;
}

enum found { FOUND, IS_ROOT, ADDABLE, NOWHERE };

static bool member_index(const struct json_view *v, struct slice key, uint32_t *ret)
{
    uint32_t low = 0;
    uint32_t high = json_count(v);
    while (low < high) {
        uint32_t mid = low + (high - low) / 2;
        if (json_key_cmp(json_key_at(v, mid), key) < 0) {
            low = mid + 1;
        } else {
            high = mid;
        }
    }
    *ret = low;
    return low < json_count(v) && json_key_cmp(json_key_at(v, low), key) == 0;
}

/* The container and the position of what a path leads to. A leg [0] or [last] on what is no array
 * stands for the value itself. */
static enum found find(const struct json_view *root, const struct json_path *path,
                       struct json_view *ret_parent, uint32_t *ret_at)
{
    struct json_view v = *root;
    enum found found = IS_ROOT;
    for (uint32_t i = 0; i < path->count; i++) {
        const struct json_leg *leg = &path->legs[i];
        enum found missing = i + 1 == path->count ? ADDABLE : NOWHERE;
        uint32_t at;
        if (leg->kind == JSON_LEG_KEY) {
            if (v.type != JSON_OBJECT) {
                return NOWHERE;
            }
            if (!member_index(&v, leg->key, &at)) {
                return missing;
            }
        } else if (v.type != JSON_ARRAY) {
            if (!json_leg_index(leg, 1, &at)) {
                return missing;
            }
            continue;
        } else if (!json_leg_index(leg, json_count(&v), &at)) {
            return missing;
        }
        found = FOUND;
        *ret_parent = v;
        *ret_at = at;
        v = json_at(&v, at);
    }
    return found;
}

enum json_in_place json_set_in_place(uint8_t *document, size_t len, const struct json_path *path,
                                     struct slice value, bool only_replace)
{
    struct json_view root = json_view_of(slice_of(document, len));
    struct json_view parent;
    struct json_view made = json_view_of(value);
    uint32_t i;
    uint32_t to;
    switch (find(&root, path, &parent, &i)) {
    case FOUND: break;
    case IS_ROOT: return JSON_NOT_IN_PLACE;
    case ADDABLE: return only_replace ? JSON_UNCHANGED : JSON_NOT_IN_PLACE;
    case NOWHERE: return JSON_UNCHANGED;
    }
    if (path->count + json_depth(&made) > JSON_DEPTH_MAX) {
        return JSON_NOT_IN_PLACE;
    }
    uint8_t *base = document + (parent.ptr - document);
    uint8_t *entry = base + entry_offset(&parent, i);
    unsigned width = width_of(&parent);
    uint32_t need = json__payload(&made);
    if (json__inlined(made.tag, json__large(parent.tag))) {
        ASSERT(need <= width);
        memset(entry + 1, 0, width);
        memcpy(entry + 1, made.ptr, need);
    } else {
        if (!find_room(&parent, i, need, &to)) {
            return JSON_NOT_IN_PLACE;
        }
        memcpy(base + to, made.ptr, need);
        json__put(entry + 1, to, width);
    }
    entry[0] = made.tag;
    return JSON_IN_PLACE;
}

enum json_in_place json_remove_in_place(uint8_t *document, size_t len, const struct json_path *path)
{
    struct json_view root = json_view_of(slice_of(document, len));
    struct json_view parent;
    uint32_t i;
    if (find(&root, path, &parent, &i) != FOUND) {
        return JSON_UNCHANGED;
    }
    uint8_t *base = document + (parent.ptr - document);
    unsigned width = width_of(&parent);
    uint32_t count = json_count(&parent);
    uint32_t name = name_entry(&parent);
    uint32_t entry = 1 + width;
    uint8_t *names = base + 2 * width;
    const uint8_t *values = names + count * name;
    memmove(names + i * name, names + (i + 1) * name, (count - i - 1) * name);
    uint8_t *to = names + (count - 1) * name;
    memmove(to, values, i * entry);
    memmove(to + i * entry, values + (i + 1) * entry, (count - i - 1) * entry);
    json__put(base, count - 1, width);
    return JSON_IN_PLACE;
}

uint32_t json_unused(const struct json_view *v)
{
    if (!json_is_container(v)) {
        return 0;
    }
    uint32_t count = json_count(v);
    uint32_t used = entry_offset(v, count);
    uint32_t inner = 0;
    for (uint32_t i = 0; i < count; i++) {
        struct json_view child = json_at(v, i);
        used += v->type == JSON_OBJECT ? (uint32_t)json_key_at(v, i).len : 0;
        if (!json__inlined(child.tag, json__large(v->tag))) {
            used += json__payload(&child);
            inner += json_unused(&child);
        }
    }
    return json__payload(v) - used + inner;
}

db_err json_expand_all(struct arena *arena, struct json_node *n)
{
    TRY(json_expand(arena, n));
    if (n->stored) {
        return ERR_OK;
    }
    if (n->type == JSON_OBJECT) {
        for (uint32_t i = 0; i < n->u.object.count; i++) {
            TRY(json_expand_all(arena, n->u.object.members[i].value));
        }
    } else if (n->type == JSON_ARRAY) {
        for (uint32_t i = 0; i < n->u.array.count; i++) {
            TRY(json_expand_all(arena, n->u.array.items[i]));
        }
    }
    return ERR_OK;
}
