/* Intrusive min-heap: the element owns the node; nothing is allocated, so that no insertion can
 * fail.
 *
 * A pairing heap: insert and peek O(1), removal of any node O(log n) amortised. `less` should be a
 * static inline function, so that it is inlined. A node is in at most one heap. Not thread-safe. */
#ifndef SKEIN_BASE_HEAP_H
#define SKEIN_BASE_HEAP_H

#include <stdbool.h>
#include <stddef.h>

struct heap_node {
    struct heap_node *child; /* first of the children */
    struct heap_node *next;  /* next sibling */
    struct heap_node *prev;  /* previous sibling; of a first child: the parent; of the root: NULL */
};

struct heap {
    struct heap_node *root;
    size_t count;
};

typedef bool (*heap_less)(const struct heap_node *a, const struct heap_node *b);

static inline void heap_init(struct heap *h)
{
    h->root = NULL;
    h->count = 0;
}

/* The smallest, or NULL. It stays in the heap. */
static inline struct heap_node *heap_min(const struct heap *h)
{
    return h->root;
}

/* Joins two roots; neither is NULL. */
static inline struct heap_node *heap__meld(struct heap_node *a, struct heap_node *b, heap_less less)
{
    if (less(b, a)) {
        struct heap_node *t = a;
        a = b;
        b = t;
    }
    b->prev = a;
    b->next = a->child;
    if (a->child != NULL) {
        a->child->prev = b;
    }
    a->child = b;
    a->next = a->prev = NULL;
    return a;
}

/* Joins a list of siblings into one tree: pairs from left to right, then all pairs from right to
 * left. */
static inline struct heap_node *heap__merge_siblings(struct heap_node *first, heap_less less)
{
    struct heap_node *pairs = NULL;
    while (first != NULL) {
        struct heap_node *a = first;
        struct heap_node *b = a->next;
        first = b == NULL ? NULL : b->next;
        if (b != NULL) {
            a = heap__meld(a, b, less);
        }
        a->next = pairs;
        pairs = a;
    }
    struct heap_node *root = NULL;
    while (pairs != NULL) {
        struct heap_node *next = pairs->next;
        pairs->next = pairs->prev = NULL;
        root = root == NULL ? pairs : heap__meld(root, pairs, less);
        pairs = next;
    }
    return root;
}

static inline void heap_insert(struct heap *h, struct heap_node *n, heap_less less)
{
    n->child = n->next = n->prev = NULL;
    h->root = h->root == NULL ? n : heap__meld(h->root, n, less);
    h->count++;
}

/* The node must be in this heap. */
static inline void heap_remove(struct heap *h, struct heap_node *n, heap_less less)
{
    struct heap_node *below = heap__merge_siblings(n->child, less);
    if (n == h->root) {
        h->root = below;
    } else {
        if (n->prev->child == n) {
            n->prev->child = n->next;
        } else {
            n->prev->next = n->next;
        }
        if (n->next != NULL) {
            n->next->prev = n->prev;
        }
        if (below != NULL) {
            h->root = heap__meld(h->root, below, less);
        }
    }
    n->child = n->next = n->prev = NULL;
    h->count--;
}

/* Takes out the smallest; NULL when empty. */
static inline struct heap_node *heap_pop(struct heap *h, heap_less less)
{
    struct heap_node *n = h->root;
    if (n != NULL) {
        heap_remove(h, n, less);
    }
    return n;
}

#endif
