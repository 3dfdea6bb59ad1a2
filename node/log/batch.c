/* Building batches.
 *
 * A batch is encoded as it is built: its chunk holds finished records but for the sequence number
 * and the part of the checksum that depends on where and when the record is written. The checksum
 * of the body is taken here, on the submitter's thread, and parked in the header's crc field; the
 * writer extends it over the salt and the header. */
#include "node/log/log_int.h"

#include <string.h>

#include "base/alloc.h"
#include "base/assert.h"

enum { CHUNK_MIN = 512 };

static struct log_chunk *chunk_grow(struct log_chunk *old, size_t cap)
{
    struct log_chunk *c = mem_realloc(old, sizeof(*c) + cap);
    if (c == NULL) {
        return NULL;
    }
    if (old == NULL) {
        atomic_init(&c->refs, 1);
        c->len = 0;
        list_init(&c->node);
    }
    c->cap = (uint32_t)cap;
    return c;
}

void log__chunk_ref(struct log_chunk *c)
{
    atomic_fetch_add_explicit(&c->refs, 1, memory_order_relaxed);
}

void log__chunk_unref(struct log_chunk *c)
{
    if (c != NULL && atomic_fetch_sub_explicit(&c->refs, 1, memory_order_acq_rel) == 1) {
        mem_free(c);
    }
}

db_err raft_log_batch_new(struct raft_log *log, size_t size_hint, struct raft_log_batch **ret_batch)
{
    struct raft_log_batch *b = mem_calloc(1, sizeof(*b));
    if (b == NULL) {
        return ERR_NOMEM;
    }
    size_t max = log->opts.segment_size - LOG_DATA_START;
    b->log = log;
    b->size_max = (uint32_t)(max < RAFT_LOG_BATCH_MAX ? max : RAFT_LOG_BATCH_MAX);
    if (size_hint > b->size_max) {
        size_hint = b->size_max;
    }
    b->chunk = chunk_grow(NULL, size_hint < CHUNK_MIN ? CHUNK_MIN : size_hint);
    if (b->chunk == NULL) {
        mem_free(b);
        return ERR_NOMEM;
    }
    *ret_batch = b;
    return ERR_OK;
}

void raft_log_batch_free(struct raft_log_batch *batch)
{
    if (batch != NULL) {
        log__chunk_unref(batch->chunk);
        mem_free(batch);
    }
}

void raft_log_batch_here(struct raft_log_batch *batch)
{
    batch->here = true;
}

bool raft_log_batch_empty(const struct raft_log_batch *batch)
{
    return batch->records == 0;
}

size_t raft_log_batch_size(const struct raft_log_batch *batch)
{
    return batch->chunk->len;
}

db_err log__batch_record(struct raft_log_batch *b, uint8_t type, uint64_t group, uint16_t count,
                         size_t body, uint8_t **ret_body)
{
    size_t size = log_round_up(sizeof(struct log_rec_header) + body, LOG_ALIGN);
    if (size > b->size_max - b->chunk->len) {
        return ERR_LIMIT;
    }
    size_t need = b->chunk->len + size;
    if (need > b->chunk->cap) {
        size_t cap = (size_t)b->chunk->cap * 2;
        cap = cap < need ? need : cap;
        struct log_chunk *grown = chunk_grow(b->chunk, cap < b->size_max ? cap : b->size_max);
        if (grown == NULL) {
            return ERR_NOMEM;
        }
        b->chunk = grown;
    }
    uint8_t *at = b->chunk->data + b->chunk->len;
    const struct log_rec_header h = {
        .size = (uint32_t)size, .group = group, .count = count, .type = type};
    memcpy(at, &h, sizeof(h));
    memset(at + sizeof(h) + body, 0, size - sizeof(h) - body);
    b->chunk->len = (uint32_t)need;
    b->records++;
    *ret_body = at + sizeof(h);
    return ERR_OK;
}

void log__batch_record_end(struct raft_log_batch *b, uint8_t *body)
{
    struct log_rec_header *h = (struct log_rec_header *)(void *)(body - sizeof(*h));
    ASSERT((uint8_t *)h >= b->chunk->data);
    h->crc = crc32c(0, body, h->size - sizeof(*h));
}

/* How many of the entries go into one record: one term, a bounded size. */
static size_t record_extent(const struct raft_log_entry *entries, size_t count, size_t *ret_body)
{
    size_t body = sizeof(struct log_append_body);
    size_t n = 0;
    while (n < count && n < LOG_RECORD_ENTRIES_MAX && entries[n].term == entries[0].term) {
        size_t more = sizeof(struct log_entry_desc) + entries[n].data.len;
        if (n != 0 && body + more > LOG_RECORD_TARGET) {
            break;
        }
        body += more;
        n++;
    }
    *ret_body = body;
    return n;
}

db_err log__batch_append_record(struct raft_log_batch *b, uint64_t group,
                                const struct raft_log_entry *entries, size_t count,
                                size_t body_size)
{
    uint8_t *body = NULL;
    uint64_t term = entries[0].term;
    TRY(log__batch_record(b, LOG_REC_APPEND, group, (uint16_t)count, body_size, &body));
    const struct log_append_body head = {entries[0].index, entries[0].term};
    memcpy(body, &head, sizeof(head));
    uint8_t *desc = body + sizeof(head);
    uint8_t *data = desc + count * sizeof(struct log_entry_desc);
    for (size_t i = 0; i < count; i++) {
        uint64_t step = entries[i].term - term;
        ASSERT(step <= LOG_TERM_STEP_MAX);
        const struct log_entry_desc d = {
            .size = (uint32_t)entries[i].data.len,
            .type = entries[i].type,
            .term_step = {(uint8_t)step, (uint8_t)(step >> 8), (uint8_t)(step >> 16)}};
        term = entries[i].term;
        memcpy(desc + i * sizeof(d), &d, sizeof(d));
        if (entries[i].data.len != 0) {
            memcpy(data, entries[i].data.ptr, entries[i].data.len);
            data += entries[i].data.len;
        }
    }
    if (term != entries[0].term) {
        ((struct log_rec_header *)(void *)(body - sizeof(struct log_rec_header)))->flags =
            LOG_APPEND_TERMS;
    }
    log__batch_record_end(b, body);
    return ERR_OK;
}

uint32_t log__append_steps(const struct log_rec_header *h)
{
    const uint8_t *desc = log_rec_body(h) + sizeof(struct log_append_body);
    uint32_t steps = 0;
    for (uint32_t i = 0; (h->flags & LOG_APPEND_TERMS) != 0 && i < h->count; i++) {
        struct log_entry_desc d;
        memcpy(&d, desc + i * sizeof(d), sizeof(d));
        steps += log_term_step(&d) != 0;
    }
    return steps;
}

db_err raft_log_batch_append(struct raft_log_batch *batch, uint64_t group,
                             const struct raft_log_entry *entries, size_t count)
{
    if (group == 0 || count == 0 || entries[0].index == 0) {
        return ERR_INVALID;
    }
    for (size_t i = 0; i < count; i++) {
        if (entries[i].index != entries[0].index + i ||
            (i != 0 && entries[i].term < entries[i - 1].term)) {
            return ERR_INVALID;
        }
        if (entries[i].data.len > RAFT_LOG_ENTRY_MAX) {
            return ERR_LIMIT;
        }
    }
    uint32_t len_before = batch->chunk->len;
    uint32_t records_before = batch->records;
    for (size_t i = 0; i < count;) {
        size_t body = 0;
        size_t n = record_extent(entries + i, count - i, &body);
        db_err err = log__batch_append_record(batch, group, entries + i, n, body);
        if (err != ERR_OK) {
            batch->chunk->len = len_before;
            batch->records = records_before;
            return err;
        }
        i += n;
    }
    batch->entries += (uint32_t)count;
    batch->has_append = true;
    return ERR_OK;
}

static db_err add_fixed(struct raft_log_batch *b, uint8_t type, uint64_t group, const void *body,
                        size_t size)
{
    if (group == 0) {
        return ERR_INVALID;
    }
    uint8_t *at = NULL;
    TRY(log__batch_record(b, type, group, 0, size, &at));
    if (size != 0) {
        memcpy(at, body, size);
    }
    log__batch_record_end(b, at);
    return ERR_OK;
}

db_err raft_log_batch_hard_state(struct raft_log_batch *batch, uint64_t group,
                                 struct raft_log_hard_state hs)
{
    const struct log_hard_body body = {hs.term, hs.vote, hs.commit};
    return add_fixed(batch, LOG_REC_HARD_STATE, group, &body, sizeof(body));
}

db_err raft_log_batch_compact(struct raft_log_batch *batch, uint64_t group, uint64_t index,
                              uint64_t term)
{
    const struct log_compact_body body = {index, term};
    return add_fixed(batch, LOG_REC_COMPACT, group, &body, sizeof(body));
}

db_err raft_log_batch_reset(struct raft_log_batch *batch, uint64_t group, uint64_t index,
                            uint64_t term)
{
    const struct log_compact_body body = {index, term};
    return add_fixed(batch, LOG_REC_RESET, group, &body, sizeof(body));
}

db_err raft_log_batch_remove(struct raft_log_batch *batch, uint64_t group)
{
    return add_fixed(batch, LOG_REC_REMOVE, group, NULL, 0);
}
