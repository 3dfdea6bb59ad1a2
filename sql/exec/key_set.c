#include "sql/exec/key_set.h"

struct seen_key {
    struct hash_node node;
    struct slice key;
};

void key_set_init(struct key_set *s, struct mem_tracker *mem)
{
    hash_init(&s->table);
    arena_init(&s->arena, NULL, mem, 0);
}

void key_set_fini(struct key_set *s)
{
    hash_fini(&s->table);
    arena_fini(&s->arena);
}

void key_set_clear(struct key_set *s)
{
    hash_fini(&s->table);
    hash_init(&s->table);
    arena_reset(&s->arena);
}

db_err key_set_add(struct key_set *s, struct slice key, bool *ret_new)
{
    uint64_t h = hash_bytes(key, (uint64_t)(uintptr_t)s);
    for (struct hash_node *n = hash_first(&s->table, h); n != NULL; n = hash_next(n)) {
        if (slice_eq(((struct seen_key *)n)->key, key)) {
            *ret_new = false;
            return ERR_OK;
        }
    }
    struct seen_key *k = ARENA_NEW(&s->arena, struct seen_key);
    if (k == NULL) {
        return ERR_LIMIT;
    }
    TRY(arena_copy(&s->arena, key, &k->key));
    TRY(hash_insert(&s->table, &k->node, h));
    *ret_new = true;
    return ERR_OK;
}
