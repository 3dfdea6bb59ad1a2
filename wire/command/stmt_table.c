#include "wire/command/stmt_table.h"

#include "base/alloc.h"
#include "base/assert.h"

enum { CAPACITY_FIRST = 8 };

static uint32_t slot_of(const struct stmt_table *t, uint32_t id)
{
    return (id * 2654435769u) & (t->capacity - 1);
}

struct stmt *stmt_table_find(const struct stmt_table *t, uint32_t id)
{
    if (t->capacity == 0) {
        return NULL;
    }
    for (uint32_t i = slot_of(t, id);; i = (i + 1) & (t->capacity - 1)) {
        if (t->slots[i] == NULL || t->slots[i]->id == id) {
            return t->slots[i];
        }
    }
}

static void place(struct stmt_table *t, struct stmt *s)
{
    uint32_t i = slot_of(t, s->id);
    while (t->slots[i] != NULL) {
        i = (i + 1) & (t->capacity - 1);
    }
    t->slots[i] = s;
}

static db_err grow(struct stmt_table *t)
{
    struct stmt_table bigger = {
        .capacity = t->capacity == 0 ? CAPACITY_FIRST : t->capacity * 2,
        .count = t->count,
    };
    bigger.slots = mem_calloc(bigger.capacity, sizeof(struct stmt *));
    if (bigger.slots == NULL) {
        return ERR_NOMEM;
    }
    for (uint32_t i = 0; i < t->capacity; i++) {
        if (t->slots[i] != NULL) {
            place(&bigger, t->slots[i]);
        }
    }
    mem_free(t->slots);
    *t = bigger;
    return ERR_OK;
}

db_err stmt_table_add(struct stmt_table *t, struct stmt *s)
{
    ASSERT_SLOW(stmt_table_find(t, s->id) == NULL);
    if ((t->count + 1) * 2 > t->capacity) {
        TRY(grow(t));
    }
    place(t, s);
    t->count++;
    return ERR_OK;
}

void stmt_table_remove(struct stmt_table *t, const struct stmt *s)
{
    uint32_t mask = t->capacity - 1;
    uint32_t hole = slot_of(t, s->id);
    while (t->slots[hole] != s) {
        ASSERT(t->slots[hole] != NULL);
        hole = (hole + 1) & mask;
    }
    /* Those behind move up, unless that would put them before their own slot. */
    for (uint32_t i = (hole + 1) & mask; t->slots[i] != NULL; i = (i + 1) & mask) {
        uint32_t home = slot_of(t, t->slots[i]->id);
        if (((i - home) & mask) >= ((i - hole) & mask)) {
            t->slots[hole] = t->slots[i];
            hole = i;
        }
    }
    t->slots[hole] = NULL;
    t->count--;
}

void stmt_table_fini(struct stmt_table *t)
{
    mem_free(t->slots);
    *t = (struct stmt_table){0};
}
