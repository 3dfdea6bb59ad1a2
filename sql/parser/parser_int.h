/* What lexer adapter, grammar and builders share; private to the folder. */
#ifndef SKEIN_SQL_PARSER_PARSER_INT_H
#define SKEIN_SQL_PARSER_PARSER_INT_H

#include "base/arena.h"
#include "base/diag.h"
#include "sql/parser/ast_admin.h"
#include "sql/parser/ast_ddl.h"
#include "sql/parser/ast_dml.h"
#include "sql/parser/lexer.h"
#include "sql/parser/lift.h"
#include "sql/parser/limits.h"
#include "sql/parser/parser.h"

/* A range of the text, as Bison's location. */
struct sql_loc {
    uint32_t offset, end;
};

/* A literal's token: its text, and its number + 1 when it is lifted. */
struct sql_tok {
    const uint8_t *ptr;
    uint32_t len;
    uint32_t lift;
};

union sql_value {
    struct slice text;
    struct sql_tok tok;
    void *node;
    struct ast_list *list;
    uint64_t num;
};

/* One parse. After the first error `err` is set: builders then give zeroed scratch memory and the
 * token stream ends, so that no builder has to check. */
struct parse_ctx {
    struct arena *arena;
    struct slice text;
    struct parse_options opts;
    struct diag *diag;
    db_err err;
    struct lexer lexer;
    struct lift lift;
    struct lex_token ahead; /* the token after the current one, when has_ahead */
    bool has_ahead;
    bool started;
    int start_mark; /* MARK_STMT or MARK_EXPR: the first token that the grammar gets */
    int last_kind;
    bool warned;
    uint32_t params; /* `?` seen */
    struct ast_user_var *vars,
        *assigns;                /* AST_EXPR_USER_VAR and AST_EXPR_USER_ASSIGN, last first */
    struct ast_body *last_block; /* see struct ast_body */
    struct ast_list *hints;      /* of struct ast_hints; NULL: there were none */
    uint32_t subquery;           /* 1 + where the first subquery begins; 0: there is none */
    bool limited;                /* what IN, ALL or ANY looks through has a LIMIT */
    uint32_t paren_depth;
    uint16_t depth;       /* of the deepest tree so far */
    uint32_t query_count; /* open parentheses that hold queries */
    uint32_t query_parens[PARSER_QUERY_DEPTH_MAX];
    struct ast_stmt *stmt;
    struct ast_expr *expr;
    size_t consumed;
    uint64_t scratch[128]; /* what an allocation gives after a failure */
};

/* ---- parser.c ---- */
/* A name or a text that is no value, from the client's charset. */
struct slice parse__to_utf8(struct parse_ctx *ctx, struct slice text);

int parse__next_token(struct parse_ctx *ctx, union sql_value *value, struct sql_loc *loc);
/* Error 1064 near `offset`; only the first error counts. */
void parse__syntax_error(struct parse_ctx *ctx, uint32_t offset);
/* Error 1436: the grammar's stack or a tree is too deep. */
void parse__stack_full(struct parse_ctx *ctx, uint32_t offset);
void parse__fail(struct parse_ctx *ctx, db_err err);
/* Where a warning of what is deprecated goes; NULL: nobody listens. */
struct diag_area *parse__deprecated(struct parse_ctx *ctx);
/* A character set, a collation is named. */
void parse__charset_named(struct parse_ctx *ctx, struct slice name);
void parse__collation_named(struct parse_ctx *ctx, struct slice name);
/* A system variable is read. */
void parse__variable_named(struct parse_ctx *ctx, enum ast_scope scope, struct slice name);
/* The statement is complete; `end` is where it ends, with its ';' when has_semicolon. */
void parse__finish(struct parse_ctx *ctx, void *stmt, struct sql_loc loc, uint32_t end,
                   bool has_semicolon);
void *parse__stack_alloc(struct parse_ctx *ctx, size_t size);

static inline struct slice parse__text_at(const struct parse_ctx *ctx, struct sql_loc loc)
{
    return slice_of(ctx->text.ptr + loc.offset, loc.end - loc.offset);
}

/* ---- allocation and lists (ast_build.c); never NULL ---- */

void *ast_alloc(struct parse_ctx *ctx, size_t size); /* zeroed */
void *ast_copy(struct parse_ctx *ctx, const void *node, size_t size);
struct ast_list *ast_list_add(struct parse_ctx *ctx, struct ast_list *list,
                              void *item); /* list NULL: a new one */
struct ast_list *ast_list_prepend(struct parse_ctx *ctx, struct ast_list *list, void *item);
struct ast_list *ast_list_concat(struct parse_ctx *ctx, struct ast_list *a,
                                 const struct ast_list *b);
const struct ast_list *ast_list_or_empty(const struct ast_list *list);

static inline struct ast_pos ast_pos_of(struct sql_loc loc)
{
    return (struct ast_pos){loc.offset, loc.end - loc.offset};
}

#define AST_NEW(ctx, type) ((struct type *)ast_alloc((ctx), sizeof(struct type)))
#define LIST(type, list)   (*(const struct type *)ast_list_or_empty(list))
#define POS(loc)                                                                                   \
    {                                                                                              \
        (loc).offset, (loc).end - (loc).offset                                                     \
    }

#endif
