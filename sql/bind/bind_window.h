/* Private to bind_window.c and bind_window_node.c. */
#ifndef SKEIN_SQL_BIND_BIND_WINDOW_H
#define SKEIN_SQL_BIND_BIND_WINDOW_H

#include "sql/bind/bind_int.h"

const char *bind__window_name(struct binder *b, const struct block_window *w);

static inline bool window_is_offset(const struct ast_frame_bound *f)
{
    return f->kind == AST_BOUND_PRECEDING || f->kind == AST_BOUND_FOLLOWING;
}

#endif
