/* What a table computes of its own rows: defaults that read other columns, generated columns, CHECK
 * constraints. The descriptor keeps them as text; here they are bound on the table's columns as
 * bind_scalar does it: slot = ordinal. Immutable, in the plan's arena. */
#ifndef SKEIN_SQL_BIND_TABLE_RULES_H
#define SKEIN_SQL_BIND_TABLE_RULES_H

#include "sql/bind/bind.h"

struct rule_column {
    uint32_t column; /* ordinal */
    struct bexpr *expr;
};

struct rule_check {
    struct slice name;
    struct bexpr *expr;
    struct bexpr *report; /* of JSON_SCHEMA_VALID, the document that says why not; else NULL */
    bool of_view;         /* WITH CHECK OPTION: must be TRUE, tells of the view schema.name */
    struct slice schema;
    /* A view's with a subquery, before it is planned: the ids under which it names the table's
     * columns, by ordinal, once for each view (0: not named so). NULL: the slots are ordinals. */
    col_id_t *ids;
    uint32_t id_count;
};

struct table_rules {
    uint32_t default_count; /* by ordinal */
    struct rule_column *defaults;
    uint32_t generated_count; /* by ordinal: each reads only those before it */
    struct rule_column *generated;
    uint32_t check_count; /* the enforced ones, by name */
    struct rule_check *checks;
    bool *reads; /* by ordinal: does any of them read the column? */
};

enum rules_defaults {
    RULES_NO_DEFAULTS,
    RULES_ROW_DEFAULTS, /* those that read columns */
    RULES_ALL_DEFAULTS, /* every DEFAULT (expr) */
};

/* *ret_rules is NULL when the table has none. Does not park. Errors: those of the parser and of
 * bind_scalar. */
MUST_USE db_err bind_table_rules(struct arena *arena, const struct bind_opts *opts,
                                 const struct table_def *table, enum rules_defaults defaults,
                                 struct diag *diag, struct table_rules **ret_rules);

/* Rules of VIRTUAL columns only, as who reads a row needs them: those `wanted` (by ordinal; NULL:
 * all) and those that these read. *ret_rules is NULL when there is none. Errors as above. */
MUST_USE db_err bind_virtual_columns(struct arena *arena, const struct bind_opts *opts,
                                     const struct table_def *table, const bool *wanted,
                                     struct diag *diag, struct table_rules **ret_rules);

/* Adds the conditions of views to a table's rules (NULL: it has none). */
MUST_USE db_err table_rules_add_checks(struct arena *arena, const struct table_def *table,
                                       const struct rule_check *checks, uint32_t count,
                                       struct table_rules **io_rules);

/* Leaves of rules without defaults what an assignment to the columns `assigned` (by ordinal) can
 * change, and adds the generated columns that it changes to `assigned`. NULL when nothing is left.
 */
struct table_rules *table_rules_affected(struct table_rules *rules, const struct table_def *table,
                                         bool *assigned);

/* Adds the columns that e, bound on a table by ordinal, reads to `reads`. */
void bexpr_note_columns(const struct bexpr *e, bool *reads);
/* Such an expression's columns get the slots to[ordinal]. No node may be in it twice. */
void bexpr_move_columns(struct bexpr *e, const uint32_t *to);

#endif
