#include "node/log/recover_int.h"

#include <string.h>

#include "base/alloc.h"

void seg_reader_init(struct seg_reader *r, struct disk_file *file, uint64_t size, uint64_t salt)
{
    *r = (struct seg_reader){.file = file, .size = size, .salt = salt};
}

void seg_reader_fini(struct seg_reader *r)
{
    mem_free(r->buf);
    r->buf = NULL;
}

db_err seg_reader_at(struct seg_reader *r, uint64_t off, size_t need, const uint8_t **ret_ptr,
                     size_t *ret_avail)
{
    uint64_t rest = off < r->size ? r->size - off : 0;
    need = need < rest ? need : (size_t)rest;
    if (off < r->start || off + need > r->start + r->len || (need == 0 && r->len == 0)) {
        size_t want = need > LOG_READ_CHUNK ? need : LOG_READ_CHUNK;
        if (want > r->cap) {
            uint8_t *grown = mem_realloc(r->buf, want);
            if (grown == NULL) {
                return ERR_NOMEM;
            }
            r->buf = grown;
            r->cap = want;
        }
        want = want < rest ? want : (size_t)rest;
        r->len = 0;
        TRY(disk_pread_full(r->file, r->buf, want, off));
        r->start = off;
        r->len = want;
    }
    *ret_ptr = r->buf + (off - r->start);
    *ret_avail = need == 0 ? 0 : (size_t)(r->start + r->len - off);
    return ERR_OK;
}

static bool append_sound(const struct log_rec_header *h, size_t body)
{
    size_t table = sizeof(struct log_append_body) + h->count * sizeof(struct log_entry_desc);
    if (h->count == 0 || table > body) {
        return false;
    }
    struct log_append_body head;
    memcpy(&head, log_rec_body(h), sizeof(head));
    if (head.first_index == 0) {
        return false;
    }
    size_t rest = body - table;
    bool steps = (h->flags & LOG_APPEND_TERMS) != 0;
    const uint8_t *desc = log_rec_body(h) + sizeof(head);
    for (uint32_t i = 0; i < h->count; i++) {
        struct log_entry_desc d;
        memcpy(&d, desc + i * sizeof(d), sizeof(d));
        if (d.size > rest || (log_term_step(&d) != 0 && (!steps || i == 0))) {
            return false;
        }
        rest -= d.size;
    }
    return rest < LOG_ALIGN;
}

bool log__record_sound(const struct log_rec_header *h)
{
    size_t body = h->size - sizeof(*h);
    bool grouped = h->group != 0;
    switch (h->type) {
    case LOG_REC_APPEND: return grouped && append_sound(h, body);
    case LOG_REC_HARD_STATE: return grouped && body == sizeof(struct log_hard_body);
    case LOG_REC_COMPACT:
    case LOG_REC_RESET: return grouped && body == sizeof(struct log_compact_body);
    case LOG_REC_REMOVE: return grouped && body == 0;
    case LOG_REC_STATE: return grouped && body == sizeof(struct log_state_body);
    case LOG_REC_MARK: return !grouped && body == 0;
    case LOG_REC_TRIM: return !grouped && body == sizeof(struct log_trim_body);
    default: return false;
    }
}

static bool header_plausible(const struct log_rec_header *h, uint64_t rest)
{
    return h->size >= sizeof(*h) && h->size <= rest && h->size % LOG_ALIGN == 0 && h->seq != 0 &&
           h->type != 0;
}

db_err seg_reader_record(struct seg_reader *r, uint64_t off, const struct log_rec_header **ret_h)
{
    const uint8_t *at = NULL;
    size_t avail = 0;
    *ret_h = NULL;
    if (off >= r->size || r->size - off < sizeof(struct log_rec_header)) {
        return ERR_OK;
    }
    TRY(seg_reader_at(r, off, sizeof(struct log_rec_header), &at, &avail));
    struct log_rec_header h;
    memcpy(&h, at, sizeof(h));
    if (!header_plausible(&h, r->size - off)) {
        return ERR_OK;
    }
    TRY(seg_reader_at(r, off, h.size, &at, &avail));
    uint32_t body_crc = crc32c(0, at + sizeof(h), h.size - sizeof(h));
    if (log_rec_crc(body_crc, r->salt, &h) == h.crc) {
        *ret_h = (const void *)at;
    }
    return ERR_OK;
}

/* No log gets this many records ahead of what the scan looks for. */
#define LOG_SCAN_SEQ_SPAN (1ull << 40)

/* Cheap, and seldom passed by stale or random bytes; the checksum decides. */
static bool scan_candidate(const uint8_t *p, uint64_t rest, uint64_t seq_min)
{
    uint32_t size;
    uint64_t seq;
    memcpy(&size, p + offsetof(struct log_rec_header, size), sizeof(size));
    if (size < sizeof(struct log_rec_header) || size > rest || size % LOG_ALIGN != 0) {
        return false;
    }
    memcpy(&seq, p + offsetof(struct log_rec_header, seq), sizeof(seq));
    return seq >= seq_min && seq - seq_min < LOG_SCAN_SEQ_SPAN;
}

/* Stale bytes and the data of entries are full of numbers that could be a size and a sequence
 * number, and each of these sizes may be the rest of the segment: to take the checksum of all that
 * would take minutes. So what a record of its type looks like is asked first; of an APPEND that is
 * its table of entries, whose sizes make up its own. */
static db_err scan_record(struct seg_reader *r, uint64_t off, const struct log_rec_header **ret_h)
{
    const uint8_t *at = NULL;
    size_t avail = 0;
    struct log_rec_header h;
    *ret_h = NULL;
    TRY(seg_reader_at(r, off, sizeof(h), &at, &avail));
    memcpy(&h, at, sizeof(h));
    if (!header_plausible(&h, r->size - off)) {
        return ERR_OK;
    }
    size_t table = sizeof(struct log_append_body) + h.count * sizeof(struct log_entry_desc);
    size_t need = h.type == LOG_REC_APPEND ? sizeof(h) + table : sizeof(h);
    if (need > h.size) {
        return ERR_OK;
    }
    TRY(seg_reader_at(r, off, need, &at, &avail));
    return log__record_sound((const void *)at) ? seg_reader_record(r, off, ret_h) : ERR_OK;
}

static void scan_note(struct seg_scan *s, const struct log_rec_header *h, uint64_t off)
{
    uint64_t durable = h->seq - h->unsynced;
    if (!s->found) {
        s->found = true;
        s->off = off;
        s->first_seq = h->seq;
    }
    s->end = off + h->size;
    if (durable > s->durable_below) {
        s->durable_below = durable;
    }
}

db_err seg_reader_scan(struct seg_reader *r, uint64_t off, uint64_t limit, uint64_t seq_min,
                       struct seg_scan *ret_scan)
{
    struct seg_scan s = {0};
    uint64_t end = limit < r->size ? limit : r->size;
    off = log_round_up(off, LOG_ALIGN);
    while (off + sizeof(struct log_rec_header) <= end) {
        const uint8_t *p = NULL;
        size_t avail = 0;
        TRY(seg_reader_at(r, off, sizeof(struct log_rec_header), &p, &avail));
        size_t i = 0;
        while (i + sizeof(struct log_rec_header) <= avail &&
               !scan_candidate(p + i, r->size - off - i, seq_min)) {
            i += LOG_ALIGN;
        }
        off += i;
        if (i + sizeof(struct log_rec_header) > avail) {
            continue;
        }
        const struct log_rec_header *h = NULL;
        TRY(scan_record(r, off, &h));
        if (h != NULL) {
            scan_note(&s, h, off);
            off += h->size;
        } else {
            off += LOG_ALIGN;
        }
    }
    *ret_scan = s;
    return ERR_OK;
}
