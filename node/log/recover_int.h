/* Private to recovery: reading segments and telling a torn tail from damage. */
#ifndef SKEIN_NODE_LOG_RECOVER_INT_H
#define SKEIN_NODE_LOG_RECOVER_INT_H

#include "node/log/log_int.h"

/* A window over a file that slides forward. */
struct seg_reader {
    struct disk_file *file;
    uint64_t size;
    uint64_t salt;
    uint8_t *buf;
    size_t cap;
    uint64_t start; /* file offset of buf[0] */
    size_t len;
};
void seg_reader_init(struct seg_reader *r, struct disk_file *file, uint64_t size, uint64_t salt);
void seg_reader_fini(struct seg_reader *r);
/* At least min(need, what the file has) bytes at off; valid until the next call. */
MUST_USE db_err seg_reader_at(struct seg_reader *r, uint64_t off, size_t need,
                              const uint8_t **ret_ptr, size_t *ret_avail);
/* The record at off if its checksum is right, else NULL. */
MUST_USE db_err seg_reader_record(struct seg_reader *r, uint64_t off,
                                  const struct log_rec_header **ret_h);
/* Looks from off on for whole records with a sequence number of seq_min or later: the one that says
 * most about what was durable before it. */
struct seg_scan {
    bool found;
    uint64_t off;           /* of the first found */
    uint64_t end;           /* after the last found */
    uint64_t first_seq;     /* smallest sequence number found */
    uint64_t durable_below; /* records below were durable, as the found ones say */
};
MUST_USE db_err seg_reader_scan(struct seg_reader *r, uint64_t off, uint64_t limit,
                                uint64_t seq_min, struct seg_scan *ret_scan);

#endif
