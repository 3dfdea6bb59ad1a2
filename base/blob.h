/* Bytes with a count of references: what is received, kept in a log and sent on without a copy. Any
 * thread may take and drop references; who holds one may read the bytes, and who holds the only one
 * may write them. */
#ifndef SKEIN_BASE_BLOB_H
#define SKEIN_BASE_BLOB_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

struct blob {
    _Atomic uint32_t refs;
    size_t size; /* of data */
    uint8_t data[];
};

/* One reference, the bytes not set. NULL when memory is out. */
struct blob *blob_new(size_t size);
/* One more reference; returns the blob. */
struct blob *blob_ref(struct blob *blob);
/* Drops one; the last one frees it. NULL is fine. */
void blob_unref(struct blob *blob);
/* `count` references by one atomic operation. */
void blob_ref_many(struct blob *blob, uint32_t count);
void blob_unref_many(struct blob *blob, uint32_t count);

#endif
