/* What the grammar's actions call: one builder each. Private to the folder.
 *
 * A builder never fails: see struct parse_ctx. Lists may be NULL for an empty list; nodes are void
 * because the grammar's values are. */
#ifndef SKEIN_SQL_PARSER_AST_BUILD_H
#define SKEIN_SQL_PARSER_AST_BUILD_H

#include "sql/parser/parser_int.h"

/* ---- for actions only: ctx and yyloc are the grammar's ---- */

#define MAKE(type, ...) ast_copy(ctx, &(struct type){__VA_ARGS__}, sizeof(struct type))
#define STMT(kind_)                                                                                \
    {                                                                                              \
        .kind = (kind_)                                                                            \
    }
#define MAKE_STMT(type, kind_) MAKE(type, .kind = (kind_))
#define LIST1(item)            ast_list_add(ctx, NULL, (item))
#define LIST2(a, b)            ast_list_add(ctx, LIST1(a), (b))
#define LISTADD(list, item)    ast_list_add(ctx, (list), (item))
#define TOK_TEXT(tok)          slice_of((tok).ptr, (tok).len)
/* Of a text that is no value. */
#define TOK_NAME(tok) parse__to_utf8(ctx, TOK_TEXT(tok))
#define NAME(node)    ((const struct ast_name *)(node))
#define SPAN(a, b)    ((struct sql_loc){(a).offset, (b).end})
#define POS_SPAN(a, b)                                                                             \
    {                                                                                              \
        (a).offset, (b).end - (a).offset                                                           \
    }
#define UNSUPPORTED(name) MAKE(ast_unsupported, STMT(AST_STMT_UNSUPPORTED), (name))
#define ATTR(kind_, ...)  MAKE(attr, .kind = (kind_), ##__VA_ARGS__)
#define TOPT(kind_, ...)                                                                           \
    MAKE(ast_table_option, .kind = AST_TOPT_##kind_, .pos = POS(yyloc), ##__VA_ARGS__)
#define UOPT(kind_, ...) MAKE(ast_user_option, .kind = AST_UOPT_##kind_, ##__VA_ARGS__)
#define ALTER(kind_, ...)                                                                          \
    MAKE(ast_alter_action, .kind = AST_ALTER_##kind_, .pos = POS(yyloc), ##__VA_ARGS__)
#define SHOW(kind_, ...)                                                                           \
    MAKE(ast_show, .stmt = STMT(AST_STMT_SHOW), .what = AST_SHOW_##kind_, ##__VA_ARGS__)
#define FILTER(node) .like = ast_filter_like(node), .where = ast_filter_where(node)

/* ---- nodes that exist only between two rules ---- */

struct attr { /* of a column, an index or a database */
    int kind;
    void *node;
    struct slice text;
    uint64_t number;
};
enum {
    CATTR_NULL,
    CATTR_NOT_NULL,
    CATTR_DEFAULT,
    CATTR_DEFAULT_EXPR,
    CATTR_ON_UPDATE,
    CATTR_AUTO_INCREMENT,
    CATTR_SERIAL,
    CATTR_UNIQUE,
    CATTR_PRIMARY,
    CATTR_COMMENT,
    CATTR_COLLATE,
    CATTR_FORMAT,
    CATTR_STORAGE,
    CATTR_SRID,
    CATTR_VISIBLE,
    CATTR_INVISIBLE,
    CATTR_NOT_SECONDARY,
    CATTR_ENGINE_ATTRIBUTE,
    CATTR_SECONDARY_ATTRIBUTE,
    CATTR_CHECK,
    IATTR_KEY_BLOCK_SIZE,
    IATTR_ALGORITHM,
    IATTR_PARSER,
    IATTR_COMMENT,
    IATTR_VISIBLE,
    IATTR_ENGINE_ATTRIBUTE,
    IATTR_SECONDARY_ATTRIBUTE,
    DATTR_CHARSET,
    DATTR_COLLATE,
    DATTR_ENCRYPTION,
    DATTR_READ_ONLY,
};
struct udf_arg {
    struct ast_expr *expr;
    struct slice name;
    struct ast_pos pos;
};
struct type_size {
    uint64_t length, dec;
    int given; /* 1: length, 2: both */
};
struct string_attrs {
    struct slice charset;
    uint32_t flags;
};
struct query_tail {
    struct ast_list *locking;
    struct ast_into *into;
};
struct table_sample {
    enum ast_sample_kind kind;
    struct ast_expr *percent;
};
struct insert_source {
    enum ast_insert_source kind;
    struct ast_list *rows, *set;
    struct ast_query *query;
};
struct row_alias {
    struct slice name;
    struct ast_list *columns;
};
struct create_source {
    enum ast_duplicates duplicates;
    struct ast_query *query;
};
enum table_element_kind { ELEMENT_COLUMN, ELEMENT_INDEX, ELEMENT_CHECK };
struct table_element {
    enum table_element_kind kind;
    void *node;
};
struct ref_actions {
    enum ast_ref_action on_delete, on_update;
};
struct partition_values {
    enum ast_partition_values kind;
    struct ast_list *rows;
};
enum modifier_kind { MODIFIER_ALGORITHM, MODIFIER_LOCK, MODIFIER_VALIDATION };
enum {
    ALTER_MODIFIER = 1000
}; /* the kind of an item that is no action; `number` is its modifier_kind */
struct column_place {
    enum ast_column_place place;
    struct slice after;
};
struct view_head {
    enum ast_view_algorithm algorithm;
    struct ast_user *definer;
    enum ast_sql_security security;
};
struct xa_xid {
    struct slice gtrid, bqual;
    uint64_t format_id;
};
struct password_value {
    struct slice password, replace;
    bool retain, random;
};
struct show_filter {
    struct ast_text *like;
    struct ast_expr *where;
};
struct histogram {
    int kind;
    struct ast_list *columns;
    uint64_t buckets;
    enum ast_tristate auto_update;
    struct slice data;
};
struct signal_condition {
    struct slice sqlstate, name;
};
struct role_words {
    int kind;
    struct ast_list *roles;
};
struct grant_as {
    struct ast_user *user;
    struct ast_set_role *roles;
};
struct grant_object {
    struct slice schema, name;
    bool any_schema, any_table;
    struct ast_pos pos;
};

enum { LIKE_NEGATED = 1, LIKE_REGEXP = 2 };
enum { CAST_CONVERT = 1, CAST_ARRAY = 2 };
enum { AGG_DISTINCT = 1, WIN_IGNORE_NULLS = 2, WIN_FROM_LAST = 4 };
enum { JOIN_KIND_MASK = 15, JOIN_NATURAL = 16, JOIN_COMMA = 32, JOIN_CROSS = 64 };
enum { CREATE_TEMPORARY = 1, CREATE_EXTERNAL = 2 };
enum { VIEW_OR_REPLACE = 1, VIEW_MATERIALIZED = 2, VIEW_ALTER = 4 };
enum {
    LOAD_LOW_PRIORITY = 1,
    LOAD_CONCURRENT = 2,
    LOAD_LOCAL = 4,
    LOAD_REPLACE = 8,
    LOAD_IGNORE = 16,
};
enum {
    XA_JOIN = 1,
    XA_RESUME = 2,
    XA_SUSPEND = 4,
    XA_MIGRATE = 8,
    XA_ONE_PHASE = 16,
    XA_CONVERT = 32,
};
enum { LOCK_WRITE = 1, LOCK_LOCAL = 2, LOCK_LOW_PRIORITY = 4 };
enum { GRANT_OPTION = 1, GRANT_ADMIN = 2 };

/* For what must be read before it can be refused: error 1064 at loc; scratch memory. */
void *ast_syntax_error(struct parse_ctx *ctx, struct sql_loc loc);

/* ---- ast_build_expr.c: literals, operators ---- */

void *ast_logic(struct parse_ctx *ctx, struct sql_loc loc, enum ast_op op, void *left, void *right);
void *ast_binary(struct parse_ctx *ctx, struct sql_loc loc, enum ast_op op, void *left,
                 void *right);
/* Adds an AST_EXPR_* flag; expr may be NULL. */
void *ast_unary(struct parse_ctx *ctx, struct sql_loc loc, enum ast_op op, void *arg);
void *ast_is(struct parse_ctx *ctx, struct sql_loc loc, void *arg, uint32_t test, bool negated);
void *ast_quantified(struct parse_ctx *ctx, struct sql_loc loc, enum ast_op op, bool all, void *arg,
                     void *query);
void *ast_in(struct parse_ctx *ctx, struct sql_loc loc, void *arg, struct ast_list *list,
             void *query, bool negated);
void *ast_between(struct parse_ctx *ctx, struct sql_loc loc, void *arg, void *low, void *high,
                  bool negated);
void *ast_like(struct parse_ctx *ctx, struct sql_loc loc, void *arg, void *pattern, void *escape,
               uint32_t flags);
void *ast_interval(struct parse_ctx *ctx, struct sql_loc loc, void *amount, uint32_t unit);
void *ast_assign_var(struct parse_ctx *ctx, struct sql_loc loc, void *var, void *value);
void *ast_collate(struct parse_ctx *ctx, struct sql_loc loc, enum ast_expr_kind kind, void *arg,
                  struct slice name);
void *ast_subquery(struct parse_ctx *ctx, struct sql_loc loc, enum ast_expr_kind kind, void *query);
/* query, which an expression holds, begins at loc. */
void *ast_note_subquery(struct parse_ctx *ctx, struct sql_loc loc, void *query);
void *ast_parens(struct parse_ctx *ctx, void *expr);
void *ast_row(struct parse_ctx *ctx, struct sql_loc loc, struct ast_list *items);
void *ast_odbc(struct parse_ctx *ctx, struct sql_loc loc, struct slice word, void *expr);
void *ast_retag(struct parse_ctx *ctx, struct sql_loc loc, enum ast_expr_kind kind, void *column);
void *ast_column(struct parse_ctx *ctx, struct sql_loc loc, struct slice schema, struct slice table,
                 struct slice name);
void *ast_star(struct parse_ctx *ctx, struct sql_loc loc, struct slice schema, struct slice table);
void *ast_default_word(struct parse_ctx *ctx, struct sql_loc loc);
void *ast_user_var(struct parse_ctx *ctx, struct sql_loc loc, struct slice name);
void *ast_sys_var(struct parse_ctx *ctx, struct sql_loc loc, uint64_t scope, struct slice component,
                  struct slice name);
void *ast_case(struct parse_ctx *ctx, struct sql_loc loc, void *value, struct ast_list *whens,
               void *otherwise);
void *ast_match(struct parse_ctx *ctx, struct sql_loc loc, struct ast_list *columns, void *against,
                uint32_t mode);
void *ast_param(struct parse_ctx *ctx, struct sql_loc loc);

/* ---- ast_build_literal.c ---- */

void *ast_number(struct parse_ctx *ctx, struct sql_loc loc, enum ast_literal_kind kind,
                 struct sql_tok tok);
void *ast_string(struct parse_ctx *ctx, struct sql_loc loc, struct sql_tok tok);
void *ast_string_cs(struct parse_ctx *ctx, struct sql_loc loc, struct sql_tok tok,
                    struct slice charset);
void *ast_string_append(struct parse_ctx *ctx, struct sql_loc loc, void *literal,
                        struct sql_tok tok);
void *ast_word_string(struct parse_ctx *ctx, struct sql_loc loc);
void *ast_word_literal(struct parse_ctx *ctx, struct sql_loc loc, enum ast_literal_kind kind);
void *ast_bin_literal(struct parse_ctx *ctx, struct sql_loc loc, enum ast_literal_kind kind,
                      struct sql_tok tok, struct slice charset);
void *ast_temporal(struct parse_ctx *ctx, struct sql_loc loc, enum ast_literal_kind kind,
                   struct sql_tok tok);
/* text and the string behind it. */
struct slice ast_text_append(struct parse_ctx *ctx, struct slice text, struct sql_tok tok);
struct slice ast_bytes(struct parse_ctx *ctx, struct sql_tok tok, bool hex);
uint64_t ast_u64(struct parse_ctx *ctx, struct sql_tok tok);
uint64_t ast_u64_hex(struct parse_ctx *ctx, struct sql_tok tok);

/* ---- ast_build_func.c: calls, aggregates, windows, types ---- */

void *ast_call(struct parse_ctx *ctx, struct sql_loc loc, struct slice schema, struct slice name,
               struct ast_list *udf_args, uint32_t blanks);
void *ast_call_qualified(struct parse_ctx *ctx, struct sql_loc loc, struct slice schema,
                         struct slice name, struct ast_list *args);
void *ast_func(struct parse_ctx *ctx, struct sql_loc loc, struct slice name, struct ast_list *args);
void *ast_func_mode(struct parse_ctx *ctx, struct sql_loc loc, struct slice name, uint32_t mode,
                    struct ast_list *args);
void *ast_func_charset(struct parse_ctx *ctx, struct sql_loc loc, struct slice name,
                       struct ast_list *args, struct slice charset);
void *ast_func_unit(struct parse_ctx *ctx, struct sql_loc loc, struct sql_loc name, uint64_t unit,
                    struct ast_list *args);
void *ast_trim(struct parse_ctx *ctx, struct sql_loc loc, struct sql_loc name,
               enum ast_func_mode mode, void *text, void *remove);
void *ast_weight_string(struct parse_ctx *ctx, struct sql_loc loc, struct sql_loc name,
                        struct sql_loc number, enum ast_func_mode mode, void *arg, uint64_t length);
/* WEIGHT_STRING(text, bytes of the result, characters of the text, flags). */
void *ast_weight_levels(struct parse_ctx *ctx, struct sql_loc loc, struct sql_loc name, void *arg,
                        uint64_t bytes, uint64_t chars, uint64_t flags);
void *ast_now(struct parse_ctx *ctx, struct sql_loc loc, struct slice name, uint64_t fsp);
void *ast_cast(struct parse_ctx *ctx, struct sql_loc loc, void *arg, void *type, uint64_t flags,
               void *time_zone);
void *ast_json_value(struct parse_ctx *ctx, struct sql_loc loc, void *doc, void *path,
                     void *returning, void *ons);
void *ast_json_ons(struct parse_ctx *ctx, void *on_empty, void *on_error);
void *ast_count_star(struct parse_ctx *ctx, struct sql_loc loc, void *over);
void *ast_aggregate(struct parse_ctx *ctx, struct sql_loc loc, struct sql_loc name, uint64_t flags,
                    struct ast_list *args, void *over);
void *ast_group_concat(struct parse_ctx *ctx, struct sql_loc loc, uint64_t flags,
                       struct ast_list *args, struct ast_list *order, struct slice separator,
                       void *over);
void *ast_window_func(struct parse_ctx *ctx, struct sql_loc loc, uint64_t func,
                      struct ast_list *args, uint64_t flags, void *over);
void *ast_window_ref(struct parse_ctx *ctx, struct sql_loc loc, struct slice name);
void *ast_window(struct parse_ctx *ctx, struct sql_loc loc, struct slice parent,
                 struct ast_list *partition_by, struct ast_list *order_by, void *frame);
void *ast_window_name(struct parse_ctx *ctx, struct sql_loc loc, void *window, struct slice name);
void *ast_frame(struct parse_ctx *ctx, uint32_t unit, void *start, void *end, uint32_t exclude);
/* Warnings: `number` with the text of another; "'word' is deprecated ... Please use instead". */
void ast_warn(struct parse_ctx *ctx, enum my_errno number, enum my_errno format_of);
void ast_warn_word(struct parse_ctx *ctx, const char *word, const char *instead);
void ast_warn_super(struct parse_ctx *ctx);
void *ast_type(struct parse_ctx *ctx, struct sql_loc loc, uint64_t kind, void *size,
               uint64_t flags);
void *ast_type_string(struct parse_ctx *ctx, struct sql_loc loc, enum ast_type_kind kind,
                      void *size, void *attrs);
void *ast_type_national(struct parse_ctx *ctx, struct sql_loc loc, enum ast_type_kind kind,
                        void *size, uint64_t flags);
void *ast_type_values(struct parse_ctx *ctx, struct sql_loc loc, enum ast_type_kind kind,
                      struct ast_list *values, void *attrs);
void *ast_string_attrs(struct parse_ctx *ctx, struct sql_loc second, void *a, void *b);

/* ---- ast_build_query.c ---- */

void *ast_query(struct parse_ctx *ctx, struct sql_loc loc, void *with, void *body,
                struct ast_list *order_by, void *limit);
void *ast_query_close(struct parse_ctx *ctx, void *query);
void *ast_query_wrap(struct parse_ctx *ctx, struct sql_loc loc, void *query);
void *ast_query_tail(struct parse_ctx *ctx, struct sql_loc loc, void *query, void *tail);
void *ast_body_query(struct parse_ctx *ctx, struct sql_loc loc, void *query);
void *ast_body_table(struct parse_ctx *ctx, struct sql_loc loc, void *name);
void *ast_cte(struct parse_ctx *ctx, struct sql_loc loc, struct slice name,
              struct ast_list *columns, void *query);
/* A block of the statement, or the statement itself, has these hints. NULL: it has none. */
void ast_add_hints(struct parse_ctx *ctx, struct ast_hints *hints);
/* NULL: the statement has none. */
struct ast_hinted *ast_hinted(struct parse_ctx *ctx);
void *ast_setop(struct parse_ctx *ctx, struct sql_loc loc, enum ast_setop_kind op, bool all,
                void *left, void *right);
void *ast_values(struct parse_ctx *ctx, struct sql_loc loc, struct ast_list *rows);
void *ast_select(struct parse_ctx *ctx, struct sql_loc loc, void *hints, uint64_t options,
                 struct ast_list *items, void *into, void *from, void *where, void *group,
                 void *having, struct ast_list *windows, void *qualify);
void *ast_select_item(struct parse_ctx *ctx, struct sql_loc loc, void *expr, struct slice alias);
void *ast_dual(struct parse_ctx *ctx);
void *ast_group_exprs(struct parse_ctx *ctx, struct ast_list *exprs, enum ast_group_mode mode);
void *ast_into_file(struct parse_ctx *ctx, struct sql_loc loc, enum ast_into_kind kind,
                    struct slice file, void *format);
void *ast_file_format(struct parse_ctx *ctx, struct slice charset, void *fields, void *lines);
void *ast_format_merge(struct parse_ctx *ctx, void *a, void *b);

/* ---- ast_build_table.c: table references ---- */

void *ast_table_base(struct parse_ctx *ctx, struct sql_loc loc, void *name,
                     struct ast_list *partitions, struct slice alias, struct ast_list *hints,
                     void *sample);
void *ast_derived(struct parse_ctx *ctx, struct sql_loc loc, void *query, struct slice alias,
                  struct ast_list *columns, bool lateral);
void *ast_join(struct parse_ctx *ctx, struct sql_loc loc, uint32_t kind, void *left, void *right,
               void *on, struct ast_list *columns);
void *ast_join_bare(struct parse_ctx *ctx, struct sql_loc loc, uint32_t kind, void *left,
                    void *right);
void *ast_table_parens(struct parse_ctx *ctx, void *table);
void *ast_json_table(struct parse_ctx *ctx, struct sql_loc loc, void *doc, struct slice path,
                     struct ast_list *columns, struct slice alias);
void *ast_json_column(struct parse_ctx *ctx, struct sql_loc loc, enum ast_json_column_kind kind,
                      struct slice name, void *type, struct slice collation, struct slice path,
                      void *ons);

/* ---- ast_build_dml.c ---- */

/* HANDLER ... READ, in which no subquery may stand. */
void *ast_handler_read(struct parse_ctx *ctx, struct sql_loc loc, void *read);

void *ast_insert(struct parse_ctx *ctx, bool replace, void *hints, uint64_t flags, void *table,
                 struct ast_list *partitions, void *body, struct ast_list *on_duplicate);
void *ast_insert_body(struct parse_ctx *ctx, void *source, bool has_columns,
                      struct ast_list *columns, void *alias);
void *ast_update(struct parse_ctx *ctx, void *with, void *hints, uint64_t flags, void *table,
                 struct ast_list *set, void *where, struct ast_list *order_by, void *limit);
void *ast_delete(struct parse_ctx *ctx, void *with, void *hints, uint64_t flags,
                 struct ast_list *targets, void *table, void *where, struct ast_list *order_by,
                 void *limit);
void *ast_load(struct parse_ctx *ctx, uint64_t xml, uint64_t flags, struct slice file, void *table,
               struct ast_list *partitions, void *format, struct slice rows_identified,
               uint64_t ignore_lines, struct ast_list *columns, struct ast_list *set);

/* ---- ast_build_ddl.c ---- */

void *ast_database(struct parse_ctx *ctx, enum ast_stmt_kind kind, struct slice name,
                   struct sql_loc loc, bool exists_clause, struct ast_list *options);
void *ast_create_table(struct parse_ctx *ctx, uint64_t flags, uint64_t if_not_exists, void *name,
                       void *body);
void *ast_create_body(struct parse_ctx *ctx, struct ast_list *elements, struct ast_list *options,
                      void *partition, void *query);
void *ast_create_like(struct parse_ctx *ctx, void *name);
void *ast_column_def(struct parse_ctx *ctx, struct sql_loc loc, void *type, struct slice collation,
                     struct ast_list *attrs);
void *ast_column_generated(struct parse_ctx *ctx, struct sql_loc loc, void *type,
                           struct slice collation, void *expr, struct sql_loc expr_loc, bool stored,
                           struct ast_list *attrs);
void *ast_column_named(struct parse_ctx *ctx, struct sql_loc loc, struct slice name, void *column,
                       void *references);
struct slice ast_constraint_name(struct parse_ctx *ctx, struct slice name);
void *ast_index(struct parse_ctx *ctx, struct sql_loc loc, uint32_t kind, struct slice constraint,
                struct slice name, struct sql_loc name_loc, uint64_t algorithm,
                struct ast_list *parts, struct ast_list *options);
void *ast_foreign_key(struct parse_ctx *ctx, struct sql_loc loc, struct slice constraint,
                      struct slice name, struct sql_loc name_loc, struct ast_list *parts,
                      void *references);
void *ast_references(struct parse_ctx *ctx, struct sql_loc loc, void *table,
                     struct ast_list *columns, uint64_t match, void *actions);
void *ast_key_part(struct parse_ctx *ctx, struct sql_loc loc, struct slice column, uint64_t prefix,
                   uint64_t order);
/* The part of a key with its written prefix, which may be a wrong 0. */
void *ast_key_prefix(uint64_t prefix, void *part);
void *ast_key_part_expr(struct parse_ctx *ctx, struct sql_loc loc, void *expr,
                        struct sql_loc expr_loc, uint64_t order);
void *ast_partition_by(struct parse_ctx *ctx, struct sql_loc loc, void *method, uint64_t count,
                       void *sub, struct ast_list *defs);
void *ast_partition_expr(struct parse_ctx *ctx, enum ast_partition_kind kind, bool linear,
                         void *expr, struct sql_loc expr_loc);
void *ast_partition_columns(struct parse_ctx *ctx, enum ast_partition_kind kind, bool linear,
                            uint64_t algorithm, struct ast_list *columns);
void *ast_partition_count(struct parse_ctx *ctx, void *method, uint64_t count);
void *ast_partition_def(struct parse_ctx *ctx, struct sql_loc loc, struct slice name, void *values,
                        struct ast_list *options, struct ast_list *subpartitions);
struct ast_list *ast_partition_in(struct parse_ctx *ctx, void *row);
void *ast_create_index(struct parse_ctx *ctx, void *table, void *index, void *modifiers);
void *ast_drop_index(struct parse_ctx *ctx, struct slice name, struct sql_loc loc, void *table,
                     void *modifiers);
void *ast_modifiers_add(struct parse_ctx *ctx, void *modifiers, void *modifier);
void *ast_create_view(struct parse_ctx *ctx, uint32_t flags, void *head, void *rest);
void *ast_view_rest(struct parse_ctx *ctx, bool if_not_exists, void *name, struct ast_list *columns,
                    void *query, struct sql_loc query_loc, uint64_t check_option);

/* ---- ast_build_alter.c ---- */

void *ast_alter_table(struct parse_ctx *ctx, void *name, struct ast_list *items);
void *ast_alter_elements(struct parse_ctx *ctx, struct sql_loc loc, struct ast_list *elements);
void *ast_alter_column(struct parse_ctx *ctx, struct sql_loc loc, enum ast_alter_kind kind,
                       void *column, void *place);
void *ast_alter_change(struct parse_ctx *ctx, struct sql_loc loc, struct slice name,
                       struct sql_loc name_loc, void *column, void *place);
void *ast_alter_modifier(struct parse_ctx *ctx, enum modifier_kind kind, struct slice text);

/* ---- ast_build_admin.c ---- */

void *ast_begin_merge(struct parse_ctx *ctx, struct sql_loc loc, void *a, void *b);
void *ast_xa(struct parse_ctx *ctx, enum ast_xa_op op, void *xid, uint64_t flags);
void *ast_set_scope(struct parse_ctx *ctx, void *stmt, uint32_t scope);
void *ast_set_password(struct parse_ctx *ctx, void *user, void *value);
void *ast_set_var(struct parse_ctx *ctx, struct sql_loc loc, uint32_t scope, bool at_at,
                  struct slice component, struct slice name, void *value);
struct ast_text *ast_filter_like(void *filter);
struct ast_expr *ast_filter_where(void *filter);
void *ast_explain(struct parse_ctx *ctx, void *options, struct slice schema, void *target);
void *ast_explain_connection(struct parse_ctx *ctx, void *options, uint64_t id);
void *ast_flush_flag(struct parse_ctx *ctx, void *stmt, bool no_binlog);
void *ast_table_admin(struct parse_ctx *ctx, enum ast_table_admin_op op, uint64_t no_binlog,
                      struct ast_list *tables, uint64_t flags, void *histogram);
void *ast_lock_item(struct parse_ctx *ctx, void *table, struct slice alias, uint64_t kind);
void *ast_signal(struct parse_ctx *ctx, bool resignal, void *condition, struct ast_list *items);

/* ---- ast_build_user.c ---- */

void *ast_user_ddl(struct parse_ctx *ctx, enum ast_stmt_kind kind, bool exists_clause,
                   struct ast_list *users, struct ast_list *roles, void *options);
void *ast_user_default_role(struct parse_ctx *ctx, bool if_exists, void *user, void *roles);
void *ast_user_spec(struct parse_ctx *ctx, void *user, void *auth, struct ast_list *factors);
void *ast_user_discard(struct parse_ctx *ctx, void *user);
void *ast_user_options(struct parse_ctx *ctx, struct ast_list *a, struct ast_list *b,
                       struct ast_list *c, struct ast_list *d);
void *ast_auth_initial(struct parse_ctx *ctx, void *auth);
void *ast_auth_factor(struct parse_ctx *ctx, void *auth, uint32_t factor);
void *ast_auth_replace(struct parse_ctx *ctx, void *auth, struct slice replace, bool retain);
void *ast_auth_op(struct parse_ctx *ctx, void *auth, uint64_t factor, int op);
void *ast_rename_user(struct parse_ctx *ctx, struct ast_list *pairs);
void *ast_privilege(struct parse_ctx *ctx, struct sql_loc loc, struct slice name, struct slice host,
                    struct ast_list *columns);
void *ast_privilege_words(struct parse_ctx *ctx, struct sql_loc loc, struct sql_loc words,
                          struct ast_list *columns);
void *ast_grant(struct parse_ctx *ctx, enum ast_stmt_kind kind, struct ast_list *privileges,
                uint64_t object, void *on, struct ast_list *users, uint64_t flags, void *as);
void *ast_grant_roles(struct parse_ctx *ctx, enum ast_stmt_kind kind, struct ast_list *privileges,
                      struct ast_list *users, uint64_t flags);
void *ast_grant_proxy(struct parse_ctx *ctx, enum ast_stmt_kind kind, void *proxy,
                      struct ast_list *users, uint64_t flags);
void *ast_revoke_flags(void *stmt, uint64_t if_exists, uint64_t ignore_unknown);

/* ---- depth of trees ---- */

static inline uint16_t ast_depth(const void *expr)
{
    return expr != NULL ? ((const struct ast_expr *)expr)->depth : 0;
}
static inline uint16_t ast_deeper(uint16_t a, uint16_t b)
{
    return a > b ? a : b;
}
uint16_t ast_list_depth(const struct ast_list *exprs);  /* of expressions; NULL items are skipped */
uint16_t ast_order_depth(const struct ast_list *items); /* of struct ast_order_item */
/* depth + 1, or error 1436 when that is too much. */
uint16_t ast_level(struct parse_ctx *ctx, struct sql_loc loc, uint16_t depth);
/* A new expression node: kind, position, and the level above `depth`. */
void *ast_expr_new(struct parse_ctx *ctx, size_t size, enum ast_expr_kind kind, struct sql_loc loc,
                   uint16_t depth);

#endif
