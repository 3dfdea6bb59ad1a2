/* Opening: from the files to the index.
 *
 * The segments are replayed in the order of their numbers; sequence numbers must run on without a
 * gap, within a segment and from one to the next. Replay applies records to the index exactly as
 * the writer does. What remains to decide is what a place without a valid record means:
 *
 *   not the newest segment in use   The segment ended there. The next one's first record says
 * whether it did: its sequence number is the next one, or records are missing and the open is
 * refused (a segment is wholly synced before the next is written to). the newest one Either the log
 * ends here, perhaps with a torn write, or something durable was damaged. Every record says how far
 * the log was durable when it was written, so the rest of the segment is searched for later
 * records: one that says that the missing record was durable proves damage, and the open is
 * refused. Without such a proof the tail was never acknowledged, or is indistinguishable from that,
 * and is cut.
 *
 * The proof for the very last round is a mark: written when the log goes idle and when it is
 * closed. After a clean close nothing is searched and writing goes on in the same segment.
 * Otherwise the newest segment is cut to its last record for good, and writing goes on in a new
 * one: the log never writes over bytes it has judged.
 *
 * Where old segments were dropped, replay sees the rest of a group's history without its beginning:
 * an append that does not join on, whose gap a later compaction must cover, and the TRIM record
 * says which record must be the first at the latest. Both are checked at the end. */
#include "node/log/recover_int.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/rand.h"

#define NEXT_STEP                                                                                  \
    "Nothing was changed. Do not delete segments by hand: move the data directory aside and let "  \
    "the node "                                                                                    \
    "join anew from its peers, or restore a backup"

struct found_seg {
    uint64_t no;
    uint64_t size;
    struct disk_file *file; /* NULL once a log_segment owns it */
    struct log_seg_header header;
    bool header_ok;
    bool used;
    struct log_segment *seg;
};

struct recovery {
    struct raft_log *log;
    struct diag *diag;
    struct found_seg *found; /* by number */
    size_t count;
    size_t cap;
    size_t newest;   /* index of the newest used one; count: none */
    uint64_t expect; /* next sequence number; 0: not known yet */
    uint64_t first_seq;
    struct log_trim_body trim;
    const struct found_seg *prev; /* the segment before the one that is replayed */
    uint64_t prev_end;
    bool clean;             /* the last record is a clean mark */
    uint64_t tail_off;      /* in the segment that is replayed: everything before was durable, as a
                               record here says */
    uint64_t next_tail_seq; /* when a record says that this one was durable ... */
    uint64_t next_tail_off; /* ... then tail_off is this, where it begins */
};

static db_err refuse(const struct recovery *rc, const struct found_seg *f, uint64_t off,
                     const char *fmt, ...) PRINTF_LIKE(4, 5);
static db_err refuse(const struct recovery *rc, const struct found_seg *f, uint64_t off,
                     const char *fmt, ...)
{
    char path[DISK_PATH_MAX];
    char what[256];
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(what, sizeof(what), fmt, args);
    va_end(args);
    log__segment_path(rc->log, f->no, path);
    size_t len = strlen(path);
    const char *shown = len > 100 ? path + len - 100 : path;
    return diag_set(rc->diag, ERR_CORRUPT, "raft log: %s, offset %" PRIu64 ": %s. " NEXT_STEP,
                    shown, off, what);
}

/* ---- the files */

static db_err found_add(void *ctx, const char *name)
{
    struct recovery *rc = ctx;
    unsigned long long no = 0;
    int end = 0;
    if (sscanf(name, "%16llx.seg%n", &no, &end) != 1 || end != 20 || name[20] != '\0' || no == 0) {
        return ERR_OK;
    }
    if (rc->count == rc->cap) {
        size_t cap = rc->cap == 0 ? 16 : rc->cap * 2;
        struct found_seg *grown = mem_realloc(rc->found, cap * sizeof(*grown));
        if (grown == NULL) {
            return ERR_NOMEM;
        }
        rc->found = grown;
        rc->cap = cap;
    }
    rc->found[rc->count++] = (struct found_seg){.no = no};
    return ERR_OK;
}

static int by_number(const void *a, const void *b)
{
    uint64_t x = ((const struct found_seg *)a)->no;
    uint64_t y = ((const struct found_seg *)b)->no;
    return x < y ? -1 : x > y;
}

static db_err read_header(struct recovery *rc, struct found_seg *f)
{
    struct log_seg_header h;
    size_t got = 0;
    TRY(disk_pread(f->file, &h, sizeof(h), 0, &got));
    if (got != sizeof(h) || memcmp(h.magic, LOG_SEG_MAGIC, sizeof(h.magic)) != 0 ||
        h.crc != crc32c(0, (const uint8_t *)&h + 4, sizeof(h) - 4)) {
        return ERR_OK;
    }
    if (h.version != LOG_FORMAT_VERSION) {
        return diag_set(rc->diag, ERR_UNSUPPORTED,
                        "raft log: segment %016" PRIx64
                        " has format version %u, this binary knows %d. "
                        "Start the version of skeindb that wrote it",
                        f->no, h.version, LOG_FORMAT_VERSION);
    }
    f->header = h;
    f->header_ok = h.no == f->no;
    if (rc->log->log_id == 0) {
        rc->log->log_id = h.log_id;
    }
    if (h.log_id != rc->log->log_id) {
        return refuse(rc, f, 0,
                      "the segment belongs to another log (id %016" PRIx64
                      ", the others %016" PRIx64 ")",
                      h.log_id, rc->log->log_id);
    }
    return ERR_OK;
}

/* No file has a readable header: the very first open was cut short, or all of them are damaged. */
static db_err check_never_used(const struct recovery *rc)
{
    for (size_t i = 0; i < rc->count; i++) {
        const struct found_seg *f = &rc->found[i];
        static const struct log_rec_header zero;
        struct log_rec_header h;
        size_t got = 0;
        TRY(disk_pread(f->file, &h, sizeof(h), LOG_DATA_START, &got));
        if (got == sizeof(h) && memcmp(&h, &zero, sizeof(h)) != 0) {
            return refuse(rc, f, 0, "no segment has a readable header, but this one holds records");
        }
    }
    return ERR_OK;
}

static db_err open_all(struct recovery *rc)
{
    struct raft_log *log = rc->log;
    char path[DISK_PATH_MAX];
    TRY(disk_list(log->opts.disk, log->dir, found_add, rc));
    if (rc->count != 0) {
        qsort(rc->found, rc->count, sizeof(*rc->found), by_number);
        log->next_no = rc->found[rc->count - 1].no + 1;
    }
    for (size_t i = 0; i < rc->count; i++) {
        struct found_seg *f = &rc->found[i];
        log__segment_path(log, f->no, path);
        TRY(disk_open(log->opts.disk, path, DISK_WRITE, &f->file));
        TRY(disk_size(f->file, &f->size));
        TRY(read_header(rc, f));
    }
    if (log->log_id == 0) {
        TRY(check_never_used(rc));
        log->log_id = log->opts.log_id;
        if (log->log_id == 0) {
            TRY(rand_secure(&log->log_id, sizeof(log->log_id)));
            log->log_id |= 1;
        }
    }
    return ERR_OK;
}

static void reader_of(const struct recovery *rc, const struct found_seg *f, struct seg_reader *r)
{
    seg_reader_init(r, f->file, f->size, log_salt(rc->log->log_id, f->no));
}

static db_err first_record_valid(const struct recovery *rc, const struct found_seg *f, bool *ret)
{
    struct seg_reader r;
    const struct log_rec_header *h = NULL;
    reader_of(rc, f, &r);
    db_err err = seg_reader_record(&r, LOG_DATA_START, &h);
    seg_reader_fini(&r);
    TRY(err);
    *ret = h != NULL;
    return ERR_OK;
}

/* A segment whose first record is not valid was never used, unless a later record in it says
 * otherwise. */
static db_err check_unused(struct recovery *rc, struct found_seg *f)
{
    struct seg_reader r;
    struct seg_scan scan;
    reader_of(rc, f, &r);
    db_err err = seg_reader_scan(&r, LOG_DATA_START, f->size, 1, &scan);
    seg_reader_fini(&r);
    TRY(err);
    f->used = scan.found;
    return ERR_OK;
}

static db_err find_used(struct recovery *rc)
{
    rc->newest = rc->count;
    for (size_t i = 0; i < rc->count; i++) {
        TRY(first_record_valid(rc, &rc->found[i], &rc->found[i].used));
        if (rc->found[i].used) {
            rc->newest = i;
        }
    }
    for (size_t i = 0; i < rc->newest && rc->newest < rc->count; i++) {
        if (!rc->found[i].used) {
            TRY(check_unused(rc, &rc->found[i]));
        }
    }
    return ERR_OK;
}

/* ---- replay */

/* The group's entries begin at base + 1; what was before them went with a dropped segment. */
static void replay_gap(struct recovery *rc, struct log_group *g, uint64_t base)
{
    struct {
        struct log_rec_header h;
        struct log_compact_body body;
    } rec = {.h = {.size = sizeof(rec), .group = g->id, .type = LOG_REC_RESET}};
    uint64_t known_index = g->gap_until != 0 ? g->gap_known_index : g->compacted_index;
    uint64_t known_term = g->gap_until != 0 ? g->gap_known_term : g->compacted_term;
    bool covered = base == known_index;
    struct log_segment *compact_seg = g->compact_seg;
    rec.body = (struct log_compact_body){base, covered ? known_term : 0};
    log__apply(rc->log, g, &rec.h, NULL, 0, NULL, 0);
    g->compact_seg = compact_seg;
    log__state_move(g);
    if (!covered) {
        g->gap_until = base;
        g->gap_known_index = known_index;
        g->gap_known_term = known_term;
    }
}

static db_err replay_append(struct recovery *rc, const struct found_seg *f, uint64_t off,
                            struct log_group *g, const struct log_rec_header *h)
{
    struct log_append_body body;
    memcpy(&body, log_rec_body(h), sizeof(body));
    uint64_t compacted = g->gap_until != 0 ? g->gap_known_index : g->compacted_index;
    if (body.first_index <= compacted) {
        return refuse(rc, f, off,
                      "entries from %" PRIu64 " of group %" PRIu64
                      ", which was compacted to %" PRIu64,
                      body.first_index, g->id, compacted);
    }
    if (body.first_index > g->last_index + 1 || body.first_index <= g->compacted_index) {
        replay_gap(rc, g, body.first_index - 1);
    }
    return log__group_reserve(rc->log, g, 1 + log__append_steps(h));
}

static db_err replay_record(struct recovery *rc, struct found_seg *f, uint64_t off,
                            const struct log_rec_header *h)
{
    struct raft_log *log = rc->log;
    rc->clean = false;
    log->recovered_records++;
    if (!log__record_sound(h)) {
        return refuse(rc, f, off,
                      "record %" PRIu64 " has a right checksum but an unknown type or form (%u)",
                      h->seq, h->type);
    }
    if (h->type == LOG_REC_MARK) {
        rc->clean = h->count == 1;
        return ERR_OK;
    }
    if (h->type == LOG_REC_TRIM) {
        memcpy(&rc->trim, log_rec_body(h), sizeof(rc->trim));
        return ERR_OK;
    }
    struct log_group *g = NULL;
    TRY(log__group_shell(log, h->group, &g));
    if (h->type == LOG_REC_APPEND) {
        TRY(replay_append(rc, f, off, g, h));
    }
    log__apply(log, g, h, f->seg, off, NULL, 0);
    if (!g->exists) {
        log__group_drop_shell(log, g);
    }
    return ERR_OK;
}

/* Where the first record that should be here is not: is it the torn end, or damage? */
static db_err judge_end(struct recovery *rc, const struct found_seg *f, struct seg_reader *r,
                        uint64_t off, const char *what)
{
    struct seg_scan scan;
    TRY(seg_reader_scan(r, off, f->size, rc->expect, &scan));
    if (scan.found && scan.durable_below > rc->expect) {
        return refuse(rc, f, off,
                      "%s: expected record %" PRIu64 ", which was durable: record %" PRIu64
                      " at offset %" PRIu64 " proves it",
                      what, rc->expect, scan.first_seq, scan.off);
    }
    rc->log->cut_bytes += scan.found ? scan.end - off : 0;
    return ERR_OK;
}

/* With several rounds on their way records seldom say that all before them was durable; so one of
 * them is remembered until a later one says so of it. */
static void move_tail(struct recovery *rc, uint64_t off, const struct log_rec_header *h)
{
    if (h->unsynced == 0 || off == LOG_DATA_START) {
        rc->tail_off = off;
    } else if (h->seq - h->unsynced > rc->next_tail_seq) {
        rc->tail_off = rc->next_tail_off;
    } else {
        return;
    }
    rc->next_tail_seq = h->seq;
    rc->next_tail_off = off;
}

/* Replays one segment; ends at the first place without a valid record. */
static db_err replay_records(struct recovery *rc, struct found_seg *f, struct seg_reader *r,
                             uint64_t *ret_off)
{
    uint64_t off = LOG_DATA_START;
    for (;;) {
        const struct log_rec_header *h = NULL;
        TRY(seg_reader_record(r, off, &h));
        if (h == NULL) {
            break;
        }
        if (rc->expect == 0) {
            rc->expect = rc->first_seq = h->seq;
        }
        if (h->seq != rc->expect && off == LOG_DATA_START && rc->prev != NULL) {
            return refuse(rc, rc->prev, rc->prev_end,
                          "expected record %" PRIu64 " here, but the next segment, %016" PRIx64
                          ", begins with record %" PRIu64
                          ": what lies between is missing or damaged",
                          rc->expect, f->no, h->seq);
        }
        if (h->seq != rc->expect) {
            return refuse(rc, f, off,
                          "record %" PRIu64 " expected, %" PRIu64
                          " found: what lies between is missing or damaged",
                          rc->expect, h->seq);
        }
        if (f->seg->first_seq == 0) {
            f->seg->first_seq = h->seq;
        }
        move_tail(rc, off, h);
        uint64_t next = off + h->size;
        TRY(replay_record(rc, f, off, h));
        rc->expect++;
        off = next;
    }
    *ret_off = off;
    return ERR_OK;
}

static db_err replay_segment(struct recovery *rc, size_t i)
{
    struct found_seg *f = &rc->found[i];
    struct raft_log *log = rc->log;
    if (!f->header_ok) {
        return refuse(rc, f, 0, "the header is damaged, but the segment holds records");
    }
    TRY(log__segment_new(f->no, f->file, f->size, &f->seg));
    struct disk_file *file = f->file;
    list_push_back(&log->segments, &f->seg->node);
    log->segment_count++;
    struct seg_reader r;
    seg_reader_init(&r, file, f->size, log_salt(log->log_id, f->no));
    uint64_t off = 0;
    db_err err = replay_records(rc, f, &r, &off);
    if (err == ERR_OK && off == LOG_DATA_START && i != rc->newest) {
        err = refuse(rc, f, off, "the first record is damaged, later ones are there");
    }
    /* A clean end without room for the mark that would follow it is treated as any other: a new
     * segment begins. */
    rc->clean = rc->clean && f->size - off >= sizeof(struct log_rec_header);
    if (err == ERR_OK && i == rc->newest && !rc->clean) {
        err = judge_end(rc, f, &r, off, "a damaged record");
    }
    seg_reader_fini(&r);
    TRY(err);
    atomic_store_explicit(&f->seg->used, off, memory_order_relaxed);
    rc->prev = f;
    rc->prev_end = off;
    return ERR_OK;
}

/* The writer may have gone on to the next segment, with the very first write there torn: later
 * records of that write may have reached the disk without the first. */
static db_err judge_next(struct recovery *rc)
{
    if (rc->clean) {
        return ERR_OK;
    }
    for (size_t i = rc->newest < rc->count ? rc->newest + 1 : 0; i < rc->count; i++) {
        struct found_seg *f = &rc->found[i];
        struct seg_reader r;
        if (rc->expect == 0) {
            rc->expect = 1;
        }
        reader_of(rc, f, &r);
        db_err err = judge_end(rc, f, &r, LOG_DATA_START, "the first record is damaged");
        seg_reader_fini(&r);
        TRY(err);
        if (f->header_ok) {
            break; /* segments are used in order: what comes after was not reached */
        }
    }
    return ERR_OK;
}

static db_err check_complete(struct recovery *rc)
{
    const struct found_seg *f = &rc->found[0];
    uint64_t need = rc->trim.first_seq != 0 ? rc->trim.first_seq : 1;
    if (rc->first_seq > need) {
        return refuse(rc, f, LOG_DATA_START,
                      "the log begins with record %" PRIu64 ", but everything from %" PRIu64
                      " on must be there: older segments are missing",
                      rc->first_seq, need);
    }
    for (size_t i = 0; i < LOG_STRIPES; i++) {
        const struct log_stripe *s = &rc->log->stripes[i];
        for (size_t b = 0; b < s->bucket_count; b++) {
            for (const struct log_group *g = s->buckets[b]; g != NULL; g = g->hash_next) {
                if (g->gap_until != 0) {
                    return refuse(rc, f, LOG_DATA_START,
                                  "entries up to %" PRIu64 " of group %" PRIu64
                                  " are missing and no compaction accounts for them",
                                  g->gap_until, g->id);
                }
            }
        }
    }
    return ERR_OK;
}

/* ---- from replay to a log that can be written */

/* Segments without records: ready as they are after a clean end, otherwise to be prepared anew
 * under new numbers. */
static db_err adopt_unused(struct recovery *rc)
{
    struct raft_log *log = rc->log;
    for (size_t i = 0; i < rc->count; i++) {
        struct found_seg *f = &rc->found[i];
        if (f->seg != NULL) {
            continue;
        }
        TRY(log__segment_new(f->no, f->file, f->size, &f->seg));
        bool ready = rc->clean && f->header_ok && f->size == log->opts.segment_size &&
                     i > rc->newest && log->ready_count <= log->opts.spare_segments;
        if (ready) {
            list_push_back(&log->ready, &f->seg->node);
            log->ready_count++;
            TRY(log__segment_handles(log, f->seg));
            /* As with the tail: what a process before saw of it may never have reached the disk. */
            TRY(log__segment_header(log, f->seg));
        } else {
            list_push_back(&log->garbage, &f->seg->node);
        }
    }
    return ERR_OK;
}

/* Writes what replay has read past tail_off again. It may be in the kernel's memory only: when a
 * sync fails the kernel can forget that pages were to be written and still show them to the next
 * process. */
static db_err rewrite_tail(const struct recovery *rc, const struct log_segment *seg, uint64_t used)
{
    uint8_t *bytes = mem_alloc(LOG_READ_CHUNK);
    if (bytes == NULL) {
        return ERR_NOMEM;
    }
    db_err err = ERR_OK;
    for (uint64_t off = rc->tail_off; off < used && err == ERR_OK; off += LOG_READ_CHUNK) {
        size_t len = used - off < LOG_READ_CHUNK ? (size_t)(used - off) : LOG_READ_CHUNK;
        err = disk_pread_full(seg->files[0], bytes, len, off);
        if (err == ERR_OK) {
            err = disk_pwrite(seg->files[0], bytes, len, off);
        }
    }
    mem_free(bytes);
    TRY(err);
    return disk_sync(seg->files[0]);
}

/* After a clean end: writing goes on behind the clean mark. A mark of the other kind comes first,
 * durably, so that a torn write behind it is not taken for the clean end of the life before. */
static db_err continue_clean(struct recovery *rc, struct log_segment *seg)
{
    struct raft_log *log = rc->log;
    log->active = seg;
    TRY(log__segment_handles(log, seg));
    TRY(log__mark_write(log, false));
    TRY(disk_sync(seg->files[0]));
    log->active_dirty = false;
    log->durable_seq = log->next_seq;
    return ERR_OK;
}

static db_err continue_or_cut(struct recovery *rc)
{
    struct raft_log *log = rc->log;
    log->next_seq = log->durable_seq = rc->expect != 0 ? rc->expect : 1;
    if (rc->newest == rc->count) {
        return ERR_OK;
    }
    struct log_segment *seg = rc->found[rc->newest].seg;
    uint64_t used = atomic_load_explicit(&seg->used, memory_order_relaxed);
    TRY(rewrite_tail(rc, seg, used));
    TRY(disk_sync_dir(log->opts.disk, log->dir));
    if (rc->clean) {
        return continue_clean(rc, seg);
    }
    if (used < seg->size) {
        TRY(disk_truncate(seg->files[0], used));
        TRY(disk_sync(seg->files[0]));
        seg->size = used;
    }
    return ERR_OK;
}

static db_err run(struct recovery *rc)
{
    TRY(open_all(rc));
    TRY(find_used(rc));
    for (size_t i = 0; i < rc->count; i++) {
        if (rc->found[i].used) {
            TRY(replay_segment(rc, i));
        }
    }
    TRY(judge_next(rc));
    if (rc->newest < rc->count) {
        TRY(check_complete(rc));
    }
    TRY(continue_or_cut(rc));
    return adopt_unused(rc);
}

db_err log__recover(struct raft_log *log, struct diag *diag)
{
    struct recovery rc = {.log = log, .diag = diag};
    if (diag != NULL) {
        diag_reset(diag);
    }
    db_err err = run(&rc);
    for (size_t i = 0; i < rc.count; i++) {
        if (rc.found[i].seg == NULL) {
            disk_close(rc.found[i].file);
        }
    }
    mem_free(rc.found);
    if (err != ERR_OK && diag != NULL && diag->err == ERR_OK) {
        return diag_set(diag, err, "raft log: opening %.200s: %s", log->dir, err_text(err));
    }
    return err;
}
