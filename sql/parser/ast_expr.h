/* Expressions. Each struct begins with struct ast_expr; `kind` tells which one it is. */
#ifndef SKEIN_SQL_PARSER_AST_EXPR_H
#define SKEIN_SQL_PARSER_AST_EXPR_H

#include "sql/parser/ast.h"

enum ast_expr_kind {
    AST_EXPR_LITERAL,  /* struct ast_literal */
    AST_EXPR_PARAM,    /* struct ast_param */
    AST_EXPR_COLUMN,   /* struct ast_column */
    AST_EXPR_STAR,     /* struct ast_column with name.ptr NULL: *, t.*, s.t.* (SELECT items only) */
    AST_EXPR_USER_VAR, /* struct ast_user_var: @x */
    AST_EXPR_USER_ASSIGN, /* struct ast_user_var with value: @x := e */
    AST_EXPR_SYS_VAR,     /* struct ast_sys_var: @@x */
    AST_EXPR_UNARY,       /* struct ast_unary */
    AST_EXPR_BINARY,      /* struct ast_binary */
    AST_EXPR_IS,          /* struct ast_is */
    AST_EXPR_BETWEEN,     /* struct ast_between */
    AST_EXPR_IN,          /* struct ast_in */
    AST_EXPR_LIKE,        /* struct ast_like: LIKE and REGEXP */
    AST_EXPR_QUANTIFIED,  /* struct ast_quantified: e op ANY/ALL (subquery) */
    AST_EXPR_EXISTS,      /* struct ast_subquery */
    AST_EXPR_SUBQUERY,    /* struct ast_subquery: scalar or row */
    AST_EXPR_ROW,         /* struct ast_row: (a, b), ROW(a, b) */
    AST_EXPR_CASE,        /* struct ast_case */
    AST_EXPR_CAST, /* struct ast_cast: CAST(e AS t), CONVERT(e, t), CAST(e AT TIME ZONE ..) */
    AST_EXPR_CONVERT_USING, /* struct ast_collate: CONVERT(e USING cs) */
    AST_EXPR_COLLATE,       /* struct ast_collate: e COLLATE c */
    AST_EXPR_FUNC,       /* struct ast_func: every call name(args), also the keyword forms below */
    AST_EXPR_AGGREGATE,  /* struct ast_aggregate: COUNT, SUM, GROUP_CONCAT, ... (also with OVER) */
    AST_EXPR_WINDOW,     /* struct ast_aggregate: ROW_NUMBER, RANK, LAG, ... always with OVER */
    AST_EXPR_INTERVAL,   /* struct ast_interval: only as date +/- INTERVAL and as an argument of
                            ADDDATE.. */
    AST_EXPR_MATCH,      /* struct ast_match */
    AST_EXPR_DEFAULT,    /* struct ast_column: DEFAULT(c); name.ptr NULL: the bare word in DML */
    AST_EXPR_VALUES,     /* struct ast_column: VALUES(c) of ON DUPLICATE KEY UPDATE */
    AST_EXPR_JSON_VALUE, /* struct ast_json_value */
    AST_EXPR__COUNT
};

enum ast_expr_flags {
    /* Was written within parentheses of its own (the position is without them). */
    AST_EXPR_PARENS = 1,
    /* A call with a blank between name and '(': without IGNORE_SPACE, COUNT (x) is no aggregate. */
    AST_EXPR_NAME_BLANK = 2,
};

/* depth: 1 for a leaf; at most PARSER_DEPTH_MAX (limits.h), so that recursion over a tree is
 * bounded. Chains of AND and of OR are built balanced. */
struct ast_expr {
    enum ast_expr_kind kind;
    uint16_t flags;
    uint16_t depth;
    struct ast_pos pos;
};

enum ast_literal_kind {
    AST_LIT_NULL,
    AST_LIT_TRUE,
    AST_LIT_FALSE,
    AST_LIT_INT,     /* u64; text has the digits */
    AST_LIT_DECIMAL, /* digits with a point, or an integer beyond 64 bits: text */
    AST_LIT_FLOAT,   /* with an exponent: text */
    AST_LIT_STRING,  /* text, unescaped; charset for _cs'..' ("utf8mb3" for N'..') */
    AST_LIT_HEX,     /* text: the bytes; charset for _cs x'..' */
    AST_LIT_BIT,     /* text: the bytes, big endian, leading zero bytes as in the source; charset */
    AST_LIT_DATE,    /* DATE '..', {d '..'}: text unescaped */
    AST_LIT_TIME,
    AST_LIT_TIMESTAMP,
};

struct ast_literal {
    struct ast_expr expr;
    enum ast_literal_kind kind;
    uint32_t first_part_len; /* STRING: bytes of text from the first of adjacent literals: names the
                                column */
    uint64_t u64;
    struct slice text;
    struct slice charset; /* introducer without '_', or ptr NULL */
    bool braces;          /* {d .. }, {t .. }, {ts .. }: one that is no such literal is a text */
};

/* A `?`, or a literal lifted out of the text (PARSE_LIFT_LITERALS). The two kinds are numbered
 * apart. */
struct ast_param {
    struct ast_expr expr;
    uint32_t index;
    const struct ast_literal
        *literal; /* NULL for `?`; the value in this text for a lifted literal */
};

struct ast_column {
    struct ast_expr expr;
    struct slice schema, table, name;
};

struct ast_user_var {
    struct ast_expr expr;
    struct slice name;
    struct ast_expr *value; /* AST_EXPR_USER_ASSIGN */
    bool assigned;          /* an expression of the statement assigns it: it may change from row to
                               row */
    struct ast_user_var *before; /* the one that was read before it, in the statement */
};

struct ast_sys_var {
    struct ast_expr expr;
    enum ast_scope scope;
    struct slice component; /* @@component.name: structured variables; ptr NULL else */
    struct slice name;
};

enum ast_op {
    /* unary */
    AST_OP_NEG,
    AST_OP_PLUS,
    AST_OP_BIT_NOT,
    AST_OP_NOT,
    AST_OP_BINARY, /* BINARY e */
    /* binary: logic */
    AST_OP_AND,
    AST_OP_OR,
    AST_OP_XOR,
    /* binary: comparison, in this order */
    AST_OP_EQ,
    AST_OP_NULL_SAFE_EQ,
    AST_OP_NE,
    AST_OP_LT,
    AST_OP_LE,
    AST_OP_GT,
    AST_OP_GE,
    /* binary: arithmetic */
    AST_OP_ADD,
    AST_OP_SUB,
    AST_OP_MUL,
    AST_OP_DIV,     /* / */
    AST_OP_INT_DIV, /* DIV */
    AST_OP_MOD,     /* % and MOD */
    AST_OP_BIT_AND,
    AST_OP_BIT_OR,
    AST_OP_BIT_XOR,
    AST_OP_SHIFT_LEFT,
    AST_OP_SHIFT_RIGHT,
    AST_OP_CONCAT,       /* || under PIPES_AS_CONCAT */
    AST_OP_JSON_EXTRACT, /* column -> '$.path' */
    AST_OP_JSON_UNQUOTE, /* column ->> '$.path' */
    AST_OP_MEMBER_OF,    /* e MEMBER OF (json) */
    AST_OP_SOUNDS_LIKE,
    AST_OP__COUNT
};

struct ast_unary {
    struct ast_expr expr;
    enum ast_op op;
    struct ast_expr *arg;
};

struct ast_binary {
    struct ast_expr expr;
    enum ast_op op;
    struct ast_expr *left, *right;
};

enum ast_is_test { AST_IS_NULL, AST_IS_TRUE, AST_IS_FALSE, AST_IS_UNKNOWN };

struct ast_is {
    struct ast_expr expr;
    enum ast_is_test test;
    bool negated;
    struct ast_expr *arg;
};

struct ast_between {
    struct ast_expr expr;
    bool negated;
    struct ast_expr *arg, *low, *high;
};

struct ast_in {
    struct ast_expr expr;
    bool negated;
    struct ast_expr *arg;
    struct ast_expr_list list; /* count 0 when a subquery */
    struct ast_query *query;
};

struct ast_like {
    struct ast_expr expr;
    bool negated;
    bool regexp; /* REGEXP/RLIKE: no escape */
    struct ast_expr *arg, *pattern;
    struct ast_expr *escape; /* or NULL */
};

struct ast_quantified {
    struct ast_expr expr;
    enum ast_op op; /* a comparison other than <=> */
    bool all;       /* ALL, else ANY/SOME */
    struct ast_expr *arg;
    struct ast_query *query;
};

struct ast_subquery {
    struct ast_expr expr;
    struct ast_query *query;
};

struct ast_row {
    struct ast_expr expr;
    struct ast_expr_list items;
};
AST_LIST_OF(ast_row_list, struct ast_row *);

struct ast_when {
    struct ast_expr *when, *then;
};
AST_LIST_OF(ast_when_list, struct ast_when *);

struct ast_case {
    struct ast_expr expr;
    struct ast_expr *value; /* CASE value WHEN ...; NULL for a searched CASE */
    struct ast_when_list whens;
    struct ast_expr *otherwise; /* or NULL */
};

/* Column and cast types; NOT NULL and the like are attributes of the column, not of the type. */
enum ast_type_kind {
    AST_TYPE_TINYINT,
    AST_TYPE_SMALLINT,
    AST_TYPE_MEDIUMINT,
    AST_TYPE_INT,
    AST_TYPE_BIGINT,
    AST_TYPE_DECIMAL,
    AST_TYPE_FLOAT, /* FLOAT(p) keeps p in length: p > 24 means DOUBLE */
    AST_TYPE_DOUBLE,
    AST_TYPE_REAL, /* DOUBLE, or FLOAT under REAL_AS_FLOAT */
    AST_TYPE_BIT,
    AST_TYPE_BOOL,   /* TINYINT(1) */
    AST_TYPE_SERIAL, /* BIGINT UNSIGNED NOT NULL AUTO_INCREMENT UNIQUE */
    AST_TYPE_DATE,
    AST_TYPE_TIME,      /* fsp in length */
    AST_TYPE_DATETIME,  /* fsp in length */
    AST_TYPE_TIMESTAMP, /* fsp in length */
    AST_TYPE_YEAR,
    AST_TYPE_CHAR,
    AST_TYPE_VARCHAR,
    AST_TYPE_BINARY,
    AST_TYPE_VARBINARY,
    AST_TYPE_TINYTEXT,
    AST_TYPE_TEXT,       /* TEXT(n) keeps n in length */
    AST_TYPE_MEDIUMTEXT, /* also LONG, LONG VARCHAR */
    AST_TYPE_LONGTEXT,
    AST_TYPE_TINYBLOB,
    AST_TYPE_BLOB,
    AST_TYPE_MEDIUMBLOB, /* also LONG VARBINARY */
    AST_TYPE_LONGBLOB,
    AST_TYPE_ENUM,
    AST_TYPE_SET,
    AST_TYPE_JSON,
    AST_TYPE_GEOMETRY,
    AST_TYPE_POINT,
    AST_TYPE_LINESTRING,
    AST_TYPE_POLYGON,
    AST_TYPE_MULTIPOINT,
    AST_TYPE_MULTILINESTRING,
    AST_TYPE_MULTIPOLYGON,
    AST_TYPE_GEOMETRYCOLLECTION,
    AST_TYPE_VECTOR,
    AST_TYPE_SIGNED,   /* CAST only */
    AST_TYPE_UNSIGNED, /* CAST only */
    AST_TYPE__COUNT
};

enum ast_type_flags {
    AST_TYPE_F_UNSIGNED = 1,
    AST_TYPE_F_ZEROFILL = 2,
    AST_TYPE_F_LENGTH = 4,  /* length is given */
    AST_TYPE_F_DEC = 8,     /* dec is given */
    AST_TYPE_F_BINARY = 16, /* the BINARY attribute: the charset's _bin collation */
    AST_TYPE_F_NATIONAL = 32,
    AST_TYPE_F_ARRAY = 64,   /* CAST(.. AS t ARRAY) */
    AST_TYPE_F_SIGNED = 128, /* SIGNED was written */
    AST_TYPE_F_BYTE = 256,   /* CHAR BYTE: BINARY */
};

struct ast_type {
    enum ast_type_kind kind;
    uint32_t flags;
    struct ast_pos pos;
    uint64_t length; /* saturated at UINT64_MAX */
    uint64_t dec;
    struct slice charset; /* CHARACTER SET x, "latin1" for ASCII, "ucs2" for UNICODE; or ptr NULL */
    struct slice collation;      /* COLLATE written among the type's attributes; or ptr NULL */
    struct ast_text_list values; /* ENUM, SET */
};

struct ast_cast {
    struct ast_expr expr;
    struct ast_expr *arg;
    struct ast_type *type;
    bool is_convert; /* CONVERT(e, t) */
    struct ast_expr
        *time_zone; /* CAST(e AT TIME ZONE [INTERVAL] 'tz' AS t): the text literal, or NULL */
};

struct ast_collate {
    struct ast_expr expr;
    struct ast_expr *arg;
    struct slice name; /* collation, or charset for AST_EXPR_CONVERT_USING; "binary" for BINARY */
};

enum ast_interval_unit {
    AST_UNIT_NONE,
    AST_UNIT_MICROSECOND,
    AST_UNIT_SECOND,
    AST_UNIT_MINUTE,
    AST_UNIT_HOUR,
    AST_UNIT_DAY,
    AST_UNIT_WEEK,
    AST_UNIT_MONTH,
    AST_UNIT_QUARTER,
    AST_UNIT_YEAR,
    AST_UNIT_SECOND_MICROSECOND,
    AST_UNIT_MINUTE_MICROSECOND,
    AST_UNIT_MINUTE_SECOND,
    AST_UNIT_HOUR_MICROSECOND,
    AST_UNIT_HOUR_SECOND,
    AST_UNIT_HOUR_MINUTE,
    AST_UNIT_DAY_MICROSECOND,
    AST_UNIT_DAY_SECOND,
    AST_UNIT_DAY_MINUTE,
    AST_UNIT_DAY_HOUR,
    AST_UNIT_YEAR_MONTH,
};
/* "second_microsecond": as definitions and messages name it. Of AST_UNIT_NONE "". */
const char *ast_unit_word(enum ast_interval_unit unit);

/* INTERVAL amount unit. `date + INTERVAL n unit` and `INTERVAL n unit + date` are AST_OP_ADD/SUB
 * with this as the right side; DATE_ADD, DATE_SUB, ADDDATE, SUBDATE have it as second argument. */
struct ast_interval {
    struct ast_expr expr;
    struct ast_expr *amount;
    enum ast_interval_unit unit;
};

/* Forms with words instead of commas are calls with a mode:
 *   EXTRACT(u FROM e)                  name EXTRACT, unit, args (e)
 *   TIMESTAMPADD/DIFF(u, a, b)         unit, args (a, b)
 *   TRIM([LEADING|TRAILING|BOTH] [r] FROM s)   name TRIM, mode, args (s[, r])
 *   SUBSTRING(s FROM p FOR n), SUBSTR, MID     name as written, args (s, p[, n])
 *   POSITION(x IN s)                   name POSITION, args (x, s)
 *   CHAR(n, .. USING cs)               name CHAR, charset
 *   GET_FORMAT(DATE|TIME|DATETIME, e)  name GET_FORMAT, mode, args (e)
 *   WEIGHT_STRING(e AS CHAR(n))        name WEIGHT_STRING, mode, length
 *   CURRENT_DATE and friends without parentheses: AST_FUNC_NO_PARENS
 *   JSON_DUALITY_OBJECT('k': e, ..)    arg_names hold the keys
 *   MOD(a,b) and INTERVAL(n, ...), IF, LEFT, RIGHT, INSERT, REPLACE, REPEAT, ...: plain calls. */
enum ast_func_mode {
    AST_FUNC_PLAIN,
    AST_FUNC_NO_PARENS,
    AST_FUNC_TRIM_BOTH, /* written, or FROM without a word */
    AST_FUNC_TRIM_LEADING,
    AST_FUNC_TRIM_TRAILING,
    AST_FUNC_FORMAT_DATE,
    AST_FUNC_FORMAT_TIME,
    AST_FUNC_FORMAT_DATETIME, /* DATETIME and TIMESTAMP */
    AST_FUNC_WEIGHT_CHAR,
    AST_FUNC_WEIGHT_BINARY,
};

struct ast_func {
    struct ast_expr expr;
    struct slice schema; /* schema.f(..): a stored function; ptr NULL else */
    struct slice name;   /* as written */
    struct ast_expr_list args;
    struct ast_ident_list
        arg_names; /* loadable functions: f(e AS name); count 0 or args.count, NULL items */
    enum ast_func_mode mode;
    enum ast_interval_unit unit;
    struct slice charset;
    uint64_t length;
};

struct ast_order_item {
    struct ast_expr *expr;
    bool desc;
};
AST_LIST_OF(ast_order_list, struct ast_order_item *);

enum ast_frame_unit { AST_FRAME_NONE, AST_FRAME_ROWS, AST_FRAME_RANGE, AST_FRAME_GROUPS };
enum ast_frame_bound_kind {
    AST_BOUND_UNBOUNDED_PRECEDING,
    AST_BOUND_PRECEDING,
    AST_BOUND_CURRENT_ROW,
    AST_BOUND_FOLLOWING,
    AST_BOUND_UNBOUNDED_FOLLOWING,
};
struct ast_frame_bound {
    enum ast_frame_bound_kind kind;
    struct ast_expr *value; /* may be an AST_EXPR_INTERVAL */
};
enum ast_frame_exclude {
    AST_EXCLUDE_NONE, /* not written */
    AST_EXCLUDE_CURRENT_ROW,
    AST_EXCLUDE_GROUP,
    AST_EXCLUDE_TIES,
    AST_EXCLUDE_NO_OTHERS,
};

/* OVER name, OVER (...), and each definition of the WINDOW clause. */
struct ast_window {
    struct ast_pos pos;
    struct slice name;   /* of the definition in WINDOW; ptr NULL in OVER (...) */
    struct slice parent; /* OVER parent, OVER (parent ...) */
    bool reference_only; /* OVER parent, without parentheses */
    struct ast_expr_list partition_by;
    struct ast_order_list order_by;
    enum ast_frame_unit frame_unit;
    struct ast_frame_bound start, end; /* end is CURRENT ROW when only one was written */
    bool has_between;
    enum ast_frame_exclude exclude;
};
AST_LIST_OF(ast_window_list, struct ast_window *);

enum ast_agg_func {
    AST_AGG_COUNT, /* args empty: COUNT(*) */
    AST_AGG_SUM,
    AST_AGG_AVG,
    AST_AGG_MIN,
    AST_AGG_MAX,
    AST_AGG_BIT_AND,
    AST_AGG_BIT_OR,
    AST_AGG_BIT_XOR,
    AST_AGG_STDDEV_POP, /* STD, STDDEV, STDDEV_POP */
    AST_AGG_STDDEV_SAMP,
    AST_AGG_VAR_POP, /* VARIANCE, VAR_POP */
    AST_AGG_VAR_SAMP,
    AST_AGG_GROUP_CONCAT,
    AST_AGG_JSON_ARRAYAGG,
    AST_AGG_JSON_OBJECTAGG,
    AST_AGG_ST_COLLECT,
    /* AST_EXPR_WINDOW only */
    AST_WIN_ROW_NUMBER,
    AST_WIN_RANK,
    AST_WIN_DENSE_RANK,
    AST_WIN_PERCENT_RANK,
    AST_WIN_CUME_DIST,
    AST_WIN_NTILE,
    AST_WIN_LEAD,
    AST_WIN_LAG,
    AST_WIN_FIRST_VALUE,
    AST_WIN_LAST_VALUE,
    AST_WIN_NTH_VALUE,
};

struct ast_aggregate {
    struct ast_expr expr;
    enum ast_agg_func func;
    bool distinct;
    bool star;         /* COUNT(*) */
    bool ignore_nulls; /* IGNORE NULLS was written (RESPECT NULLS is the default) */
    bool from_last;    /* NTH_VALUE .. FROM LAST */
    struct ast_expr_list args;
    struct ast_order_list order_by; /* GROUP_CONCAT */
    struct slice separator;         /* GROUP_CONCAT; ptr NULL: "," */
    struct ast_window *over;        /* or NULL */
};

enum ast_match_mode {
    AST_MATCH_NATURAL, /* also written IN NATURAL LANGUAGE MODE */
    AST_MATCH_BOOLEAN,
    AST_MATCH_EXPANSION, /* WITH QUERY EXPANSION, alone or after IN NATURAL LANGUAGE MODE */
};

struct ast_match {
    struct ast_expr expr;
    struct ast_expr_list columns; /* AST_EXPR_COLUMN */
    struct ast_expr *against;
    enum ast_match_mode mode;
};

enum ast_json_on_kind {
    AST_JSON_ON_UNSET,
    AST_JSON_ON_NULL,
    AST_JSON_ON_ERROR,
    AST_JSON_ON_DEFAULT
};
struct ast_json_on {
    enum ast_json_on_kind kind;
    struct ast_expr *value; /* DEFAULT value */
};

/* JSON_VALUE(doc, path [RETURNING type] [.. ON EMPTY] [.. ON ERROR]) */
struct ast_json_value {
    struct ast_expr expr;
    struct ast_expr *doc, *path;
    struct ast_type *returning; /* or NULL */
    struct ast_json_on on_empty, on_error;
};

#endif
