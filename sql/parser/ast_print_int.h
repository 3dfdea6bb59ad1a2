/* Shared by the printers; private to the folder. The first error is kept and ends all output. */
#ifndef SKEIN_SQL_PARSER_AST_PRINT_INT_H
#define SKEIN_SQL_PARSER_AST_PRINT_INT_H

#include "sql/parser/ast_print.h"
#include "sql/parser/parser.h"

struct printer {
    struct buf *buf;
    db_err err;
    bool number_lifted; /* a lifted literal is printed as $index@offset */
    bool view;          /* in small letters, as MySQL keeps views */
    bool shown;         /* of a view: in the form in which MySQL shows it */
    bool count_selects; /* of a view: the note of EXPLAIN, where each SELECT says its number */
    bool streams;       /* of a view: the rows of the query that comes now lie in no table */
    unsigned selects;
    const struct ast_body *first; /* of view: has `hints` in front of it */
    struct slice hints;
    struct slice hide;                  /* this schema is not printed; ptr NULL: all are */
    const struct ast_name_style *style; /* of names; NULL: in backquotes */
    const struct parse_charset
        *client;         /* texts are in it, and printed in UTF-8; NULL: as they are */
    struct arena *arena; /* for that */
};

void print__text(struct printer *p, const char *text);
void print__slice(struct printer *p, struct slice s);
void print__function(struct printer *p, struct slice name); /* as written; of a view: small */
bool print__hidden(const struct printer *p, struct slice schema);
void print__u64(struct printer *p, uint64_t v);
void print__name(struct printer *p, struct slice name);   /* `name` */
void print__string(struct printer *p, struct slice text); /* 'text' */
void print__table_name(struct printer *p, const struct ast_name *name);
void print__bytes(struct printer *p, struct slice bytes, bool hex);       /* x'..' or b'..' */
void print__names(struct printer *p, const struct ast_ident_list *names); /* without parentheses */
void print__exprs(struct printer *p, const struct ast_expr_list *exprs);  /* without parentheses */
void print__order(struct printer *p,
                  const struct ast_order_list *order);   /* " ORDER BY ..", or nothing */
void print__operator(struct printer *p, enum ast_op op); /* with blanks */
void print__expr(struct printer *p, const struct ast_expr *e);
/* The same, but e itself is not printed as a condition. */
void print__plain(struct printer *p, const struct ast_expr *e);
/* ast_print_shown.c: what is shown otherwise than it was written; false: nothing was printed. */
bool print__shown(struct printer *p, const struct ast_expr *e);
void print__shown_window(struct printer *p, const struct ast_window *w);
const char *print__aggregate_name(enum ast_agg_func func);
/* ast_print_condition.c: e, or NOT e, where a condition stands, in the form shown. */
void print__condition(struct printer *p, const struct ast_expr *e, bool negated);
void print__call(struct printer *p,
                 const struct ast_expr *e); /* FUNC, AGGREGATE, WINDOW, JSON_VALUE */
void print__window(struct printer *p, const struct ast_window *w); /* (..) or a name */
void print__query(struct printer *p, const struct ast_query *q);
void print__type(struct printer *p, const struct ast_type *t);
void print__json_on(struct printer *p, const struct ast_json_on *empty,
                    const struct ast_json_on *error);
void print__table(struct printer *p, const struct ast_table *t);
/* What stands behind FROM and UPDATE. */
void print__from(struct printer *p, const struct ast_table *t);
/* " AS `alias` (`column`, ..)"; alias.ptr NULL, columns NULL: without them. */
void print__alias(struct printer *p, struct slice alias, const struct ast_ident_list *columns);
void print__table_alias(struct printer *p, struct slice alias,
                        const struct ast_ident_list *columns);
void print__partitions(struct printer *p, const struct ast_ident_list *names);
/* The word and e; nothing when e is NULL. */
void print__clause(struct printer *p, const char *word, const struct ast_expr *e);
/* The same of what is a condition. */
void print__condition_clause(struct printer *p, const char *word, const struct ast_expr *e);
void print__items(struct printer *p, const struct ast_select_list *items);
/* As they were written; nothing of a view. hints may be NULL. */
void print__hints(struct printer *p, const struct ast_hints *hints);
/* Those of the printer. */
void print__hints_in_front(struct printer *p);
/* The first query block of the text. */
const struct ast_body *print__first_block(const struct ast_query *query);
void print__with(struct printer *p, const struct ast_with *w);
/* The same, moved to in front of what stands from `from` on. MYSQL: the note counts common table
 * expressions behind what uses them. */
void print__with_before(struct printer *p, const struct ast_with *w, size_t from);
void print__limit(struct printer *p, const struct ast_limit *l);
const char *print__unit(enum ast_interval_unit unit);

#endif
