/* The order in which query blocks are numbered.
 *
 * MYSQL: that of the text, but for the operands of a RIGHT JOIN, which is a LEFT JOIN the other way
 * round; common table expressions, which are made when they are used, come behind all others. */
#include <stdlib.h>

#include "sql/bind/hint_text.h"
#include "sql/parser/ast_query.h"

static int by_place(const void *a, const void *b)
{
    const struct ast_body *x = *(struct ast_body *const *)a;
    const struct ast_body *y = *(struct ast_body *const *)b;
    if (x->in_cte != y->in_cte) {
        return x->in_cte ? 1 : -1;
    }
    return x->pos.offset < y->pos.offset ? -1 : x->pos.offset > y->pos.offset;
}

static void reverse(struct ast_body **bodies, uint32_t n)
{
    for (uint32_t i = 0; i < n / 2; i++) {
        struct ast_body *b = bodies[i];
        bodies[i] = bodies[n - 1 - i];
        bodies[n - 1 - i] = b;
    }
}

static bool is_in(const struct ast_body *b, const struct ast_table *t)
{
    return b->pos.offset >= t->pos.offset && b->pos.offset < t->pos.offset + t->pos.len;
}

/* The blocks of each operand stand together, those of the left one before those of the right one.
 */
static void swap_operands(struct ast_body **bodies, uint32_t n, const struct ast_table_join *j)
{
    uint32_t first = 0;
    while (first < n && !is_in(bodies[first], j->left)) {
        first++;
    }
    uint32_t middle = first;
    while (middle < n && is_in(bodies[middle], j->left)) {
        middle++;
    }
    uint32_t end = middle;
    while (end < n && is_in(bodies[end], j->right)) {
        end++;
    }
    reverse(bodies + first, middle - first);
    reverse(bodies + middle, end - middle);
    reverse(bodies + first, end - first);
}

static void swap_rights(struct ast_body **bodies, uint32_t n, const struct ast_table *t)
{
    while (t != NULL && t->kind == AST_TABLE_JOIN) {
        const struct ast_table_join *j = (const struct ast_table_join *)t;
        if (j->kind == AST_JOIN_RIGHT) {
            swap_operands(bodies, n, j);
        }
        swap_rights(bodies, n, j->right);
        t = j->left;
    }
}

void hint_sort_blocks(struct ast_body **bodies, uint32_t n, struct ast_body *last,
                      const struct ast_table *changed, bool by_end)
{
    struct ast_body *at = last;
    for (uint32_t i = n; i > 0; i--, at = at->before) {
        bodies[i - 1] = at;
    }
    if (!by_end) {
        qsort(bodies, n, sizeof(struct ast_body *), by_place);
    }
    swap_rights(bodies, n, changed);
    for (const struct ast_body *b = last; b != NULL; b = b->before) {
        if (b->kind == AST_BODY_SELECT) {
            swap_rights(bodies, n, ((const struct ast_select *)b)->from);
        }
    }
}
