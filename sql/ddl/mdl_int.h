/* Private to mdl.c, which locks, and mdl_look.c, which tells who does. */
#ifndef SKEIN_SQL_DDL_MDL_INT_H
#define SKEIN_SQL_DDL_MDL_INT_H

#include <pthread.h>
#include <stdatomic.h>

#include "base/fiber.h"
#include "base/spin.h"
#include "sql/ddl/mdl.h"

enum { MDL_SLOTS = 64, MDL_SLOT_FIRST_CAP = 64, MDL_NO_SLOT = UINT16_MAX };

struct mdl_count {
    uint64_t table_id; /* 0: free */
    uint64_t count;
};

struct mdl_slot {
    _Alignas(64) struct spin lock;
    uint32_t cap, used;        /* cap: 0 or a power of two; used: entries, zero counts included */
    struct mdl_count *entries; /* open addressing */
    struct list owners;        /* that hold locks; struct mdl_owner */
};

struct mdl_granted {
    uint64_t table_id;
    const struct mdl_owner *owner;
};

struct mdl_request {
    struct list node;
    struct waiter wait;
    const struct mdl_owner *owner;
    bool exclusive;
    bool passes; /* shared: the owner has locks already */
    bool queued;
    db_err err;
    uint64_t number, since_ns;
    uint16_t slot;             /* shared: where to count */
    const uint64_t *table_ids; /* sorted, each once */
    uint32_t count;
};

struct mdl {
    _Atomic uint32_t exclusive; /* exclusive locks and requests for them */
    pthread_mutex_t mutex;      /* guards what follows */
    struct list queue;
    struct mdl_granted *granted;
    uint32_t granted_count, granted_cap;
    uint64_t last_wait;
    struct sql_wait_watch watch; /* fixed */
    struct mdl_slot slots[MDL_SLOTS];
};

static inline struct mdl_ticket *mdl_tickets(const struct mdl_owner *o)
{
    return o->cap == 0 ? (struct mdl_ticket *)(uintptr_t)o->inline_tickets : o->more;
}

/* Two exclusive locks of the group kind on one thing do not exclude each other. */
static inline uint64_t mdl_thing(uint64_t id)
{
    return id & ~MDL_GROUP_BIT;
}

static inline bool mdl_conflict(uint64_t a, uint64_t b)
{
    return mdl_thing(a) == mdl_thing(b) && (a & b & MDL_GROUP_BIT) == 0;
}

static inline bool mdl_names(const struct mdl_request *r, uint64_t table_id)
{
    for (uint32_t i = 0; i < r->count; i++) {
        if (mdl_conflict(r->table_ids[i], table_id)) {
            return true;
        }
    }
    return false;
}

#endif
