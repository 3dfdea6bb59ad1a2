/* Intervals of byte strings, searched for overlaps: a treap by start, in which each node knows the
 * largest end below it. All operations take O(log n) expected steps (a visit: plus what it visits).
 *
 * Intrusive: the caller owns nodes and the bytes that they point to, which stay as they are while
 * the node is in a tree. The caller guards the tree; nothing parks or allocates. Equal intervals
 * may be there several times; those of one start are visited in the order in which they came. */
#ifndef SKEIN_BASE_SPAN_TREE_H
#define SKEIN_BASE_SPAN_TREE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/slice.h"

struct span_node {
    struct slice start; /* inclusive */
    struct slice end;   /* exclusive, empty: no bound; of a point: the same bytes as start */
    struct span_node *left, *right;
    const struct span_node *last; /* of the subtree: the node whose end is the largest */
    uint64_t seq;
    uint32_t priority;
};

struct span_tree {
    struct span_node *root;
    uint64_t seq;
    size_t count;
};

/* The one key `key`. */
static inline void span_node_point(struct span_node *n, struct slice key)
{
    n->start = n->end = key;
}

/* An interval may not be empty. */
void span_tree_insert(struct span_tree *t, struct span_node *n);
void span_tree_remove(struct span_tree *t, struct span_node *n); /* it is in the tree */

/* Calls fn for each node that overlaps [start, end) (end empty: no bound), by start, until it says
 * true; returns whether it did. fn may not change the tree. */
bool span_tree_visit(const struct span_tree *t, struct slice start, struct slice end,
                     bool (*fn)(void *ctx, struct span_node *n), void *ctx);
/* As span_tree_visit, for those that contain the key. */
bool span_tree_visit_key(const struct span_tree *t, struct slice key,
                         bool (*fn)(void *ctx, struct span_node *n), void *ctx);

#endif
