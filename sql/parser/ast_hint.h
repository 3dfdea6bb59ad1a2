/* Optimizer hints: what stands between the marks of a comment behind SELECT, INSERT, REPLACE,
 * UPDATE or DELETE. Source: MySQL 9.7 Reference Manual, "Optimizer Hints".
 *
 * A hint never makes a statement fail: what cannot be read or followed is warned of. */
#ifndef SKEIN_SQL_PARSER_AST_HINT_H
#define SKEIN_SQL_PARSER_AST_HINT_H

#include "sql/parser/ast.h"

enum ast_hint_kind {
#define AST_HINT(name, on, off, class) HINT_##name,
#include "sql/parser/hint_kinds.def"
#undef AST_HINT
    HINT_KINDS
};

/* What may stand in a hint's parentheses. */
enum ast_hint_class {
    HINT_CLASS_STATEMENT,  /* see the members of struct ast_hint */
    HINT_CLASS_BLOCK,      /* [@block] */
    HINT_CLASS_STRATEGIES, /* [@block] [strategy, ...] */
    HINT_CLASS_TABLES,     /* [@block] [table[@block], ...]: an order of tables */
    HINT_CLASS_TABLE, /* the same: it holds for each of them, for all of the block when there is
                         none */
    HINT_CLASS_INDEX, /* [@block] table[@block] [index, ...] */
};

enum ast_hint_strategy {
    HINT_DUPSWEEDOUT = 1, /* of SEMIJOIN */
    HINT_FIRSTMATCH = 2,
    HINT_LOOSESCAN = 4,
    HINT_MATERIALIZATION = 8, /* of both */
    HINT_INTOEXISTS = 16,     /* of SUBQUERY */
};

enum ast_hint_value { HINT_VALUE_NUMBER, HINT_VALUE_DECIMAL, HINT_VALUE_WORD, HINT_VALUE_TEXT };

struct ast_hint_table {
    struct slice name;
    struct slice block; /* ptr NULL: that of the hint, or the one in which the hint stands */
};
AST_LIST_OF(ast_hint_table_list, struct ast_hint_table *);

struct ast_hint {
    enum ast_hint_kind kind;
    bool off; /* the opposite: NO_BKA, NO_INDEX ... */
    struct slice
        block; /* @block before everything else; ptr NULL: the one in which the hint stands */
    struct ast_hint_table_list tables; /* exactly one in HINT_CLASS_INDEX */
    struct ast_ident_list indexes;
    uint32_t strategies; /* enum ast_hint_strategy */
    struct slice name;   /* QB_NAME: the block's; RESOURCE_GROUP; SET_VAR: the variable's */
    enum ast_hint_value value_kind; /* SET_VAR */
    struct slice
        value; /* SET_VAR, as written, without quotes; a number has its K, M or G counted in */
    uint64_t number; /* MAX_EXECUTION_TIME: ms; SET_VAR of an integer */
};
AST_LIST_OF(ast_hint_list, struct ast_hint *);

/* The hints of one SELECT, INSERT, REPLACE, UPDATE or DELETE. */
struct ast_hints {
    struct ast_hint_list list; /* in the order of the text, those before what could not be read */
    struct slice text; /* between the marks, as written; ptr NULL: there is no such comment */
    struct hint_block
        *block; /* what they say of this query block, see sql/bind/hints.h; NULL: nothing */
};

AST_LIST_OF(ast_hints_list, struct ast_hints *);

struct ast_body;
struct hint_set;

/* A statement with hints. */
struct ast_hinted {
    struct ast_hints_list lists; /* those of a block before those of the block around it */
    struct ast_body *last_block; /* the query blocks by way of struct ast_body.before */
    struct hint_set *set;        /* what they say, see sql/bind/hints.h; NULL: not looked at yet */
};

/* "BKA", "NO_BKA" */
const char *ast_hint_name(enum ast_hint_kind kind, bool off);
enum ast_hint_class ast_hint_class_of(enum ast_hint_kind kind);

#endif
