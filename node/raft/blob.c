/* Reference-counted entry data. One blob holds the data of many entries, and references are taken
 * for whole runs of entries, so that the count is touched far less than once per entry. */
#include "node/raft/raft.h"

#include <stdatomic.h>

#include "base/alloc.h"
#include "base/assert.h"

struct raft_blob *raft_blob_new(size_t size)
{
    if (size > UINT32_MAX) {
        return NULL;
    }
    struct raft_blob *b = mem_alloc(sizeof(*b) + size);
    if (b == NULL) {
        return NULL;
    }
    atomic_init(&b->refs, 1);
    b->size = (uint32_t)size;
    b->free = NULL;
    return b;
}

void raft_blob_ref(struct raft_blob *blob)
{
    uint32_t before = atomic_fetch_add_explicit(&blob->refs, 1, memory_order_relaxed);
    ASSERT(before > 0);
}

void raft_blob_unref(struct raft_blob *blob)
{
    if (blob == NULL) {
        return;
    }
    uint32_t before = atomic_fetch_sub_explicit(&blob->refs, 1, memory_order_acq_rel);
    ASSERT(before > 0);
    if (before == 1) {
        if (blob->free != NULL) {
            blob->free(blob);
        } else {
            mem_free(blob);
        }
    }
}
