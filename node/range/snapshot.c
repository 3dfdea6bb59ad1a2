#include "node/range/snapshot.h"

#include "node/store/keyspace.h"
#include "node/store/varint.h"

/* The formats of snapshot.h. */

enum { HEAD_VERSION = 1, KEY_MAX = 1 << 20, VALUE_MAX = STORE_BATCH_SIZE_MAX };

db_err snapshot_head_encode(struct buf *b, const struct snapshot_head *head)
{
    uint8_t bytes[1 + 8 * VARINT_MAX + RAFT_CONF_ENCODED_MAX];
    uint8_t conf[RAFT_CONF_ENCODED_MAX];
    size_t conf_size = raft_conf_encode(&head->meta.conf, conf);
    const uint64_t numbers[] = {head->range,      head->from,       head->to,
                                head->raft_term,  head->meta.index, head->meta.term,
                                head->conf_index, conf_size};
    size_t n = 0;
    bytes[n++] = HEAD_VERSION;
    for (size_t i = 0; i < ARRAY_COUNT(numbers); i++) {
        n += varint_put(bytes + n, numbers[i]);
    }
    memcpy(bytes + n, conf, conf_size);
    TRY(buf_append(b, bytes, n + conf_size));
    return range_desc_encode(b, &head->desc);
}

db_err snapshot_head_decode(struct slice bytes, struct arena *arena, struct snapshot_head *ret_head)
{
    struct snapshot_head h = {0};
    const uint8_t *pos = bytes.ptr;
    const uint8_t *end = bytes.ptr + bytes.len;
    uint64_t conf_size = 0;
    uint64_t *const numbers[] = {&h.range,      &h.from,      &h.to,         &h.raft_term,
                                 &h.meta.index, &h.meta.term, &h.conf_index, &conf_size};
    if (bytes.len == 0 || *pos++ != HEAD_VERSION) {
        return ERR_CORRUPT;
    }
    for (size_t i = 0; i < ARRAY_COUNT(numbers); i++) {
        if (!varint_get(&pos, end, numbers[i])) {
            return ERR_CORRUPT;
        }
    }
    if (conf_size > (uint64_t)(end - pos)) {
        return ERR_CORRUPT;
    }
    TRY(raft_conf_decode(slice_of(pos, conf_size), &h.meta.conf));
    pos += conf_size;
    TRY(range_desc_decode(slice_of(pos, (size_t)(end - pos)), arena, &h.desc));
    if (h.desc.id != h.range || h.from == 0 || h.to == 0 || h.meta.index == 0 || h.meta.term == 0 ||
        (h.raft_term != 0 && h.meta.term > h.raft_term) || h.conf_index > h.meta.index ||
        (h.desc.end.len != 0 && slice_cmp(h.desc.start, h.desc.end) >= 0)) {
        return ERR_CORRUPT;
    }
    *ret_head = h;
    return ERR_OK;
}

static db_err put_record(struct buf *b, uint8_t family, struct slice key, struct slice value)
{
    uint8_t bytes[1 + 2 * VARINT_MAX];
    size_t n = 0;
    bytes[n++] = family;
    n += varint_put(bytes + n, key.len);
    n += varint_put(bytes + n, value.len);
    TRY(buf_append(b, bytes, n));
    TRY(buf_append_slice(b, key));
    return buf_append_slice(b, value);
}

db_err snapshot_record_put(struct buf *b, enum engine_cf cf, struct slice key, struct slice value)
{
    return put_record(b, (uint8_t)cf, key, value);
}

db_err snapshot_points_put(struct buf *b, const struct engine_points *points)
{
    uint8_t safe_point[8];
    struct buf list;
    db_err err = ERR_OK;
    put_be64(safe_point, points->safe_point);
    buf_init(&list, VALUE_MAX);
    for (size_t i = 0; i < points->count && err == ERR_OK; i++) {
        uint8_t ts[8];
        put_be64(ts, points->snapshots[i]);
        err = buf_append(&list, ts, sizeof(ts));
    }
    if (err == ERR_OK) {
        err = put_record(b, SNAPSHOT_POINTS, slice_of(safe_point, 8), buf_slice(&list));
    }
    buf_fini(&list);
    return err;
}

db_err snapshot_points_get(const struct snapshot_record *record, struct arena *arena,
                           struct engine_points *ret_points)
{
    if (record->key.len != 8 || record->value.len % 8 != 0) {
        return ERR_CORRUPT;
    }
    size_t count = record->value.len / 8;
    uint64_t *list = ARENA_ARRAY(arena, uint64_t, count);
    if (list == NULL) {
        return ERR_NOMEM;
    }
    for (size_t i = 0; i < count; i++) {
        list[i] = get_be64(record->value.ptr + 8 * i);
        if (i != 0 && list[i - 1] > list[i]) {
            return ERR_CORRUPT;
        }
    }
    *ret_points = (struct engine_points){get_be64(record->key.ptr), list, count};
    return ERR_OK;
}

db_err snapshot_end_put(struct buf *b, uint64_t records, uint32_t crc)
{
    uint8_t bytes[1 + VARINT_MAX + 4];
    size_t n = 0;
    bytes[n++] = SNAPSHOT_END;
    n += varint_put(bytes + n, records);
    for (int i = 0; i < 4; i++) {
        bytes[n++] = (uint8_t)(crc >> (8 * i));
    }
    return buf_append(b, bytes, n);
}

static db_err end_get(const uint8_t *pos, const uint8_t *end, struct snapshot_record *ret,
                      size_t *ret_size)
{
    const uint8_t *start = pos - 1;
    struct snapshot_record rec = {.end = true};
    if (!varint_get(&pos, end, &rec.records)) {
        *ret_size = 0;
        return end - start > 1 + VARINT_MAX ? ERR_CORRUPT : ERR_OK;
    }
    if (end - pos < 4) {
        *ret_size = 0;
        return ERR_OK;
    }
    for (int i = 0; i < 4; i++) {
        rec.crc |= (uint32_t)pos[i] << (8 * i);
    }
    *ret = rec;
    *ret_size = (size_t)(pos + 4 - start);
    return ERR_OK;
}

db_err snapshot_record_get(struct slice bytes, struct snapshot_record *ret_record, size_t *ret_size)
{
    const uint8_t *pos = bytes.ptr;
    const uint8_t *end = bytes.ptr + bytes.len;
    uint64_t key_len;
    uint64_t value_len;
    *ret_size = 0;
    if (bytes.len == 0) {
        return ERR_OK;
    }
    uint8_t family = *pos++;
    if (family == SNAPSHOT_END) {
        return end_get(pos, end, ret_record, ret_size);
    }
    if (family >= ENGINE_CF_COUNT && family != SNAPSHOT_POINTS) {
        return ERR_CORRUPT;
    }
    if (!varint_get(&pos, end, &key_len) || !varint_get(&pos, end, &value_len)) {
        return bytes.len > 1 + 2 * VARINT_MAX ? ERR_CORRUPT : ERR_OK;
    }
    if (key_len > KEY_MAX || value_len > VALUE_MAX) {
        return ERR_CORRUPT;
    }
    if (key_len + value_len > (uint64_t)(end - pos)) {
        return ERR_OK;
    }
    *ret_record = (struct snapshot_record){.points = family == SNAPSHOT_POINTS,
                                           .cf = (enum engine_cf)family,
                                           .key = slice_of(pos, key_len),
                                           .value = slice_of(pos + key_len, value_len)};
    *ret_size = (size_t)(pos - bytes.ptr) + key_len + value_len;
    return ERR_OK;
}
