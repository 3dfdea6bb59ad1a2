/* Schema statements: databases, tables, indexes, views. */
#ifndef SKEIN_SQL_PARSER_AST_DDL_H
#define SKEIN_SQL_PARSER_AST_DDL_H

#include "sql/parser/ast_admin_user.h"
#include "sql/parser/ast_query.h"

/* ---- databases ---- */

struct ast_database_ddl {
    struct ast_stmt stmt;
    struct ast_ident name; /* ALTER DATABASE without a name: ptr NULL, the current one */
    bool if_exists, if_not_exists;
    struct slice charset;   /* "" with a ptr: DEFAULT */
    struct slice collation; /* "" with a ptr: DEFAULT */
    struct slice encryption;
    enum ast_tristate read_only; /* ALTER: AST_UNSET when not written or DEFAULT */
};

/* ---- columns ---- */

enum ast_nullability { AST_NULL_UNSET, AST_NULL_YES, AST_NULL_NO };
enum ast_default_kind {
    AST_DEFAULT_NONE,
    AST_DEFAULT_LITERAL, /* a signed literal or CURRENT_TIMESTAMP / NOW() call */
    AST_DEFAULT_EXPR,    /* DEFAULT (expr) */
};
enum ast_column_format {
    AST_COLFMT_UNSET,
    AST_COLFMT_DEFAULT,
    AST_COLFMT_FIXED,
    AST_COLFMT_DYNAMIC
};
enum ast_storage_media {
    AST_STORAGE_UNSET,
    AST_STORAGE_DEFAULT,
    AST_STORAGE_DISK,
    AST_STORAGE_MEMORY
};

enum ast_ref_action {
    AST_REF_UNSET,
    AST_REF_RESTRICT,
    AST_REF_CASCADE,
    AST_REF_SET_NULL,
    AST_REF_NO_ACTION,
    AST_REF_SET_DEFAULT,
};
enum ast_ref_match { AST_MATCH_UNSET, AST_MATCH_FULL, AST_MATCH_PARTIAL, AST_MATCH_SIMPLE };

struct ast_references {
    struct ast_pos pos;
    struct ast_name table;
    struct ast_ident_list columns; /* may be empty */
    enum ast_ref_match match;
    enum ast_ref_action on_delete, on_update;
};

struct ast_check {
    struct slice name; /* ptr NULL: unnamed */
    struct ast_expr *expr;
    struct slice text; /* the source of expr */
    enum ast_tristate enforced;
    struct ast_pos pos;
};
AST_LIST_OF(ast_check_list, struct ast_check *);

struct ast_column_def {
    struct slice name;
    struct ast_pos pos;
    struct ast_type *type;
    struct slice collation; /* COLLATE as a column attribute (last one wins), or ptr NULL */
    enum ast_nullability nullability;
    enum ast_default_kind default_kind;
    struct ast_expr *default_value;
    struct slice default_text;   /* source of the expression of AST_DEFAULT_EXPR */
    struct ast_expr *on_update;  /* CURRENT_TIMESTAMP call, or NULL */
    struct ast_expr *generated;  /* or NULL */
    struct slice generated_text; /* source of generated */
    bool stored;                 /* STORED, else VIRTUAL */
    bool auto_increment;
    bool null_behind_auto_increment; /* it takes NULLs, then: of the two, what is last counts */
    bool unique;
    bool primary;
    bool serial_default;       /* SERIAL DEFAULT VALUE */
    enum ast_tristate visible; /* AST_NO: INVISIBLE */
    bool has_comment;
    struct slice comment;
    enum ast_column_format format;
    enum ast_storage_media storage;
    bool has_srid;
    uint64_t srid;
    bool not_secondary;
    bool has_engine_attribute;
    struct slice engine_attribute, secondary_engine_attribute;
    struct ast_check_list checks;
    struct ast_references *references; /* parsed; InnoDB acts on it since 9.0: see the binder */
};
AST_LIST_OF(ast_column_def_list, struct ast_column_def *);

/* ---- indexes and constraints ---- */

enum ast_index_kind {
    AST_INDEX_KEY,
    AST_INDEX_UNIQUE,
    AST_INDEX_PRIMARY,
    AST_INDEX_FULLTEXT,
    AST_INDEX_SPATIAL,
    AST_INDEX_FOREIGN, /* FOREIGN KEY: references is set */
};
enum ast_index_algorithm { AST_INDEX_ALGO_UNSET, AST_INDEX_BTREE, AST_INDEX_HASH, AST_INDEX_RTREE };

struct ast_key_part {
    struct ast_pos pos;
    struct slice column;   /* ptr NULL for an expression */
    struct ast_expr *expr; /* functional key part */
    struct slice text;     /* source of expr */
    uint64_t prefix;       /* 0: none */
    bool empty_prefix;     /* (0) was written */
    bool has_order;        /* ASC or DESC was written */
    bool desc;
};
AST_LIST_OF(ast_key_part_list, struct ast_key_part *);

struct ast_index_def {
    struct ast_pos pos;
    enum ast_index_kind kind;
    bool has_constraint;     /* CONSTRAINT was written */
    struct slice constraint; /* its name, or ptr NULL */
    struct slice name;       /* or ptr NULL */
    struct ast_pos name_pos;
    enum ast_index_algorithm algorithm;
    struct ast_key_part_list parts;
    bool has_key_block_size;
    uint64_t key_block_size;
    struct slice parser; /* WITH PARSER p */
    bool has_comment;
    struct slice comment;
    enum ast_tristate visible;
    struct slice engine_attribute, secondary_engine_attribute;
    struct ast_references *references; /* AST_INDEX_FOREIGN */
};
AST_LIST_OF(ast_index_def_list, struct ast_index_def *);

/* ---- table options ---- */

enum ast_table_option_kind {
    AST_TOPT_ENGINE,           /* text */
    AST_TOPT_SECONDARY_ENGINE, /* text; ptr NULL: NULL */
    AST_TOPT_AUTO_INCREMENT,   /* number */
    AST_TOPT_AVG_ROW_LENGTH,
    AST_TOPT_CHARSET,  /* text; "" = DEFAULT */
    AST_TOPT_COLLATE,  /* text; "" = DEFAULT */
    AST_TOPT_CHECKSUM, /* number */
    AST_TOPT_COMMENT,  /* text */
    AST_TOPT_COMPRESSION,
    AST_TOPT_CONNECTION,
    AST_TOPT_DATA_DIRECTORY,
    AST_TOPT_INDEX_DIRECTORY,
    AST_TOPT_DELAY_KEY_WRITE,
    AST_TOPT_ENCRYPTION,
    AST_TOPT_ENGINE_ATTRIBUTE,
    AST_TOPT_SECONDARY_ENGINE_ATTRIBUTE,
    AST_TOPT_INSERT_METHOD, /* text: NO, FIRST, LAST */
    AST_TOPT_KEY_BLOCK_SIZE,
    AST_TOPT_MAX_ROWS,
    AST_TOPT_MIN_ROWS,
    AST_TOPT_PACK_KEYS, /* number, or is_default */
    AST_TOPT_PASSWORD,
    AST_TOPT_ROW_FORMAT, /* text: DEFAULT, FIXED, DYNAMIC, COMPRESSED, REDUNDANT, COMPACT */
    AST_TOPT_START_TRANSACTION,
    AST_TOPT_STATS_AUTO_RECALC,
    AST_TOPT_STATS_PERSISTENT,
    AST_TOPT_STATS_SAMPLE_PAGES,
    AST_TOPT_STORAGE, /* number: enum ast_storage_media */
    AST_TOPT_TABLESPACE,
    AST_TOPT_TABLE_CHECKSUM,
    AST_TOPT_UNION, /* tables */
    AST_TOPT_AUTOEXTEND_SIZE,
    AST_TOPT_EXTERNAL, /* FILE_FORMAT, FILES and the like of external tables: text is the option's
                          source */
};

struct ast_table_option {
    enum ast_table_option_kind kind;
    bool is_default;
    uint64_t number;
    struct slice text;
    struct ast_name_list tables;
    struct ast_pos pos;
};
AST_LIST_OF(ast_table_option_list, struct ast_table_option *);

/* ---- partitions ---- */

enum ast_partition_kind {
    AST_PART_HASH,
    AST_PART_KEY,
    AST_PART_RANGE,
    AST_PART_RANGE_COLUMNS,
    AST_PART_LIST,
    AST_PART_LIST_COLUMNS,
};

/* VALUES LESS THAN (..) has one row; VALUES IN (..) a row per element. A NULL item of a row's list
 * is MAXVALUE. */
enum ast_partition_values {
    AST_PVALUES_NONE,
    AST_PVALUES_LESS_THAN,
    AST_PVALUES_MAXVALUE,
    AST_PVALUES_IN
};

struct ast_partition_def;
AST_LIST_OF(ast_partition_def_list, struct ast_partition_def *);
struct ast_partition_def {
    struct ast_pos pos;
    struct slice name;
    enum ast_partition_values values;
    struct ast_row_list rows;
    struct ast_table_option_list
        options; /* ENGINE, COMMENT, DATA DIRECTORY, MAX_ROWS, TABLESPACE, ... */
    struct ast_partition_def_list subpartitions;
};

struct ast_partition_by {
    enum ast_partition_kind kind;
    bool linear;
    uint64_t key_algorithm; /* 0: not written */
    struct ast_expr *expr;  /* HASH, RANGE, LIST */
    struct slice expr_text;
    struct ast_ident_list columns; /* KEY, .. COLUMNS */
    uint64_t count;                /* PARTITIONS n, 0: not written */
    bool has_sub;
    struct ast_partition_by *sub; /* SUBPARTITION BY: kind HASH or KEY */
    struct ast_partition_def_list defs;
    struct ast_pos pos;
};

/* ---- tables ---- */

enum ast_duplicates { AST_DUP_ERROR, AST_DUP_IGNORE, AST_DUP_REPLACE };

struct ast_create_table {
    struct ast_stmt stmt;
    bool temporary;
    bool if_not_exists;
    bool external;
    struct ast_name name;
    bool has_like;
    struct ast_name like;
    struct ast_column_def_list columns;
    struct ast_index_def_list indexes; /* with FOREIGN KEYs, in the order written */
    struct ast_check_list checks;      /* of the table */
    struct ast_table_option_list options;
    struct ast_partition_by *partition; /* or NULL */
    enum ast_duplicates duplicates;     /* IGNORE/REPLACE before the query */
    struct ast_query *query;            /* CREATE TABLE .. [AS] query, or NULL */
};

enum ast_alter_kind {
    AST_ALTER_ADD_COLUMN,   /* columns (one, with position; or several in parentheses), their checks
                             */
    AST_ALTER_ADD_ELEMENTS, /* ADD (a INT, INDEX (a), ...): columns, indexes, checks */
    AST_ALTER_ADD_INDEX,    /* index (also PRIMARY KEY, FOREIGN KEY) */
    AST_ALTER_ADD_CHECK,    /* check */
    AST_ALTER_DROP_COLUMN,  /* name */
    AST_ALTER_DROP_INDEX,   /* name */
    AST_ALTER_DROP_PRIMARY,
    AST_ALTER_DROP_FOREIGN,    /* name */
    AST_ALTER_DROP_CHECK,      /* name */
    AST_ALTER_DROP_CONSTRAINT, /* name */
    AST_ALTER_CHANGE_COLUMN,   /* name, column, position */
    AST_ALTER_MODIFY_COLUMN,   /* column, position */
    AST_ALTER_RENAME_COLUMN,   /* name, new_name */
    AST_ALTER_SET_DEFAULT,     /* name, default_kind, expr */
    AST_ALTER_DROP_DEFAULT,    /* name */
    AST_ALTER_COLUMN_VISIBLE,  /* name, yes */
    AST_ALTER_RENAME_INDEX,    /* name, new_name */
    AST_ALTER_INDEX_VISIBLE,   /* name, yes */
    AST_ALTER_CHECK_ENFORCED,  /* name, yes; ALTER CHECK and ALTER CONSTRAINT */
    AST_ALTER_RENAME_TABLE,    /* table */
    AST_ALTER_OPTIONS,         /* options */
    AST_ALTER_CONVERT_CHARSET, /* charset ("" = DEFAULT), collation */
    AST_ALTER_ORDER_BY,        /* order_by */
    AST_ALTER_FORCE,
    AST_ALTER_KEYS, /* yes: ENABLE KEYS, else DISABLE KEYS */
    AST_ALTER_DISCARD_TABLESPACE,
    AST_ALTER_IMPORT_TABLESPACE,
    AST_ALTER_SECONDARY_LOAD,
    AST_ALTER_SECONDARY_UNLOAD,
    AST_ALTER_UPGRADE_PARTITIONING,
    /* partitions: alone in their statement but for ALGORITHM, LOCK, VALIDATION */
    AST_ALTER_PARTITION_BY, /* partition */
    AST_ALTER_REMOVE_PARTITIONING,
    AST_ALTER_ADD_PARTITION,        /* partition_defs, or number for ADD PARTITION PARTITIONS n */
    AST_ALTER_DROP_PARTITION,       /* names */
    AST_ALTER_TRUNCATE_PARTITION,   /* names, empty: ALL */
    AST_ALTER_COALESCE_PARTITION,   /* number */
    AST_ALTER_REORGANIZE_PARTITION, /* names, partition_defs */
    AST_ALTER_EXCHANGE_PARTITION,   /* name, table, validation */
    AST_ALTER_ANALYZE_PARTITION,    /* names, empty: ALL; the next four too */
    AST_ALTER_CHECK_PARTITION,
    AST_ALTER_OPTIMIZE_PARTITION,
    AST_ALTER_REBUILD_PARTITION,
    AST_ALTER_REPAIR_PARTITION,
    AST_ALTER_DISCARD_PARTITION,
    AST_ALTER_IMPORT_PARTITION,
};

enum ast_column_place { AST_PLACE_UNSET, AST_PLACE_FIRST, AST_PLACE_AFTER };

struct ast_alter_action {
    enum ast_alter_kind kind;
    struct ast_pos pos;
    struct slice name, new_name;
    struct ast_pos name_pos;
    bool yes;
    struct ast_column_def *column;
    enum ast_column_place place;
    struct slice after;
    struct ast_column_def_list columns;
    struct ast_index_def_list indexes;
    struct ast_check_list checks;
    struct ast_index_def *index;
    struct ast_check *check;
    enum ast_default_kind default_kind;
    struct ast_expr *expr;
    struct slice expr_text;
    struct ast_name table;
    struct ast_table_option_list options;
    struct slice charset, collation;
    struct ast_order_list order_by;
    struct ast_partition_by *partition;
    struct ast_partition_def_list partition_defs;
    struct ast_ident_list names;
    uint64_t number;
    enum ast_tristate validation;
};
AST_LIST_OF(ast_alter_action_list, struct ast_alter_action *);

/* ALGORITHM = .. and LOCK = ..: as written; ptr NULL when not given. The binder knows the words. */
struct ast_alter_modifiers {
    struct slice algorithm, lock;
    enum ast_tristate validation;
};

struct ast_alter_table {
    struct ast_stmt stmt;
    struct ast_name name;
    struct ast_alter_action_list actions;
    struct ast_alter_modifiers modifiers;
};

/* DROP TABLE and DROP VIEW. */
struct ast_drop_table {
    struct ast_stmt stmt;
    bool temporary;
    bool if_exists;
    struct ast_name_list names;
    bool restrict_, cascade; /* parsed, without effect */
};

struct ast_rename_pair {
    struct ast_name from, to;
};
AST_LIST_OF(ast_rename_pair_list, struct ast_rename_pair *);
struct ast_rename_table {
    struct ast_stmt stmt;
    struct ast_rename_pair_list pairs;
};

struct ast_truncate_table {
    struct ast_stmt stmt;
    struct ast_name name;
};

struct ast_create_index {
    struct ast_stmt stmt;
    struct ast_name table;
    struct ast_index_def *index;
    struct ast_alter_modifiers modifiers;
};

struct ast_drop_index {
    struct ast_stmt stmt;
    struct ast_ident index;
    struct ast_name table;
    struct ast_alter_modifiers modifiers;
};

enum ast_view_algorithm {
    AST_VIEW_ALGO_UNSET,
    AST_VIEW_UNDEFINED,
    AST_VIEW_MERGE,
    AST_VIEW_TEMPTABLE
};
enum ast_check_option { AST_CHECK_OPTION_NONE, AST_CHECK_OPTION_LOCAL, AST_CHECK_OPTION_CASCADED };
enum ast_sql_security { AST_SECURITY_UNSET, AST_SECURITY_DEFINER, AST_SECURITY_INVOKER };

struct ast_create_view {
    struct ast_stmt stmt;
    bool alter;
    bool or_replace;
    bool if_not_exists;
    bool materialized;
    enum ast_view_algorithm algorithm;
    struct ast_user *definer; /* or NULL */
    enum ast_sql_security security;
    struct ast_name name;
    struct ast_ident_list columns;
    struct ast_query *query;
    struct slice text; /* the query's source */
    enum ast_check_option check_option;
};

#endif
