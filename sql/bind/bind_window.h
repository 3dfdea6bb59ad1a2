/* Private to bind_window.c and bind_window_node.c. */
#ifndef SKEIN_SQL_BIND_BIND_WINDOW_H
#define SKEIN_SQL_BIND_BIND_WINDOW_H

#include "sql/bind/bind_int.h"

/* window_key.c: an expression of PARTITION BY or ORDER BY; scope->place says of which. */
db_err bind__window_key(struct binder *b, struct scope *scope, const struct ast_expr *ast,
                        struct bexpr **ret);
const char *bind__window_name(struct binder *b, const struct block_window *w);

static inline bool window_is_offset(const struct ast_frame_bound *f)
{
    return f->kind == AST_BOUND_PRECEDING || f->kind == AST_BOUND_FOLLOWING;
}

#endif
