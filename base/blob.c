#include "base/blob.h"

#include "base/alloc.h"
#include "base/assert.h"

struct blob *blob_new(size_t size)
{
    struct blob *blob = mem_alloc(sizeof(*blob) + size);
    if (blob != NULL) {
        atomic_init(&blob->refs, 1);
        blob->size = size;
    }
    return blob;
}

void blob_ref_many(struct blob *blob, uint32_t count)
{
    uint32_t before = atomic_fetch_add_explicit(&blob->refs, count, memory_order_relaxed);
    ASSERT(before > 0);
}

struct blob *blob_ref(struct blob *blob)
{
    blob_ref_many(blob, 1);
    return blob;
}

void blob_unref_many(struct blob *blob, uint32_t count)
{
    uint32_t before = atomic_fetch_sub_explicit(&blob->refs, count, memory_order_acq_rel);
    ASSERT(before >= count);
    if (before == count) {
        mem_free(blob);
    }
}

void blob_unref(struct blob *blob)
{
    if (blob != NULL) {
        blob_unref_many(blob, 1);
    }
}
