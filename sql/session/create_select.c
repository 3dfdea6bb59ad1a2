/* CREATE TABLE ... SELECT: an INSERT ... SELECT of the query fills the table before it enters the
 * catalog: the statement's session has it meanwhile as if it were a temporary table, so that the
 * INSERT finds it by its name. Others see the table with all its rows or, when anything fails,
 * none; a crash leaves rows that recovery deletes (sql/ddl/create_table.c). A temporary table is
 * made first and dropped again on failure: nobody else sees it. */
#include "sql/bind/bind.h"
#include "sql/catalog/catalog.h"
#include "sql/parser/ast_ddl.h"
#include "sql/session/session_int.h"

static db_err query_columns(struct statement *st, const struct catalog_snapshot *snap,
                            const struct ast_create_table *c, struct bound_stmt **ret)
{
    struct sql_session *s = st->session;
    struct ast_select_stmt select = {.stmt = {.kind = AST_STMT_SELECT}, .query = c->query};
    struct bind_opts bind;
    query__bind_opts(s, snap, &bind);
    query__bind_params(st, &bind);
    bind.creates = c->name.name;
    bind.warn = NULL; /* the INSERT warns */
    return bind_statement(&s->stmt_arena, &bind, &select.stmt, &s->diag, ret);
}

static db_err column_list(struct sql_session *s, const struct bound_stmt *bound,
                          struct ast_expr_list *ret)
{
    uint32_t n = bound->result_count;
    struct ast_column *columns = ARENA_ARRAY(&s->stmt_arena, struct ast_column, n + 1);
    ret->items = ARENA_ARRAY(&s->stmt_arena, struct ast_expr *, n + 1);
    if (columns == NULL || ret->items == NULL) {
        return ERR_NOMEM;
    }
    for (uint32_t i = 0; i < n; i++) {
        columns[i].expr.kind = AST_EXPR_COLUMN;
        columns[i].name = bound->result[i].name;
        ret->items[i] = &columns[i].expr;
    }
    ret->count = n;
    return ERR_OK;
}

static db_err fill(struct statement *st, const struct ast_create_table *c,
                   const struct bound_stmt *bound)
{
    struct sql_session *s = st->session;
    struct ast_insert insert = {.stmt = {.kind = AST_STMT_INSERT},
                                .replace = c->duplicates == AST_DUP_REPLACE,
                                .flags = c->duplicates == AST_DUP_IGNORE ? AST_DML_IGNORE : 0,
                                .table = c->name,
                                .fills = true,
                                .has_columns = true,
                                .source = AST_INSERT_QUERY,
                                .query = c->query};
    TRY(column_list(s, bound, &insert.columns));
    s->commits_alone = !c->temporary;
    db_err err = query__run(st, &insert.stmt);
    s->commits_alone = false;
    return err;
}

struct filler {
    struct statement *st;
    const struct ast_create_table *create;
    const struct bound_stmt *bound;
};

/* The answer waits until the table is there. */
static db_err fill_unseen(void *arg, const struct table_def *def)
{
    struct filler *f = arg;
    struct sql_session *s = f->st->session;
    TRY(temporaries__lend(s, def));
    f->st->holds_answer = true;
    db_err err = fill(f->st, f->create, f->bound);
    f->st->holds_answer = false;
    temporaries__take_back(s, def->id);
    return err;
}

static void drop_again(struct statement *st, const struct ast_create_table *c)
{
    struct sql_session *s = st->session;
    struct diag why = s->diag;
    struct ast_name name = c->name;
    struct ast_name *names[] = {&name};
    struct ast_drop_table drop = {.stmt = {.kind = AST_STMT_DROP_TABLE},
                                  .if_exists = true,
                                  .temporary = c->temporary,
                                  .names = {.items = names, .count = 1}};
    uint64_t affected;
    bool tells;
    db_err ignored = session__ddl(st, &drop.stmt, NULL, &affected, &tells);
    (void)ignored; /* the statement's own error is the one to tell */
    s->diag = why;
}

db_err session__create_select(struct statement *st, const struct ast_create_table *c)
{
    struct sql_session *s = st->session;
    struct bound_stmt *bound = NULL;
    uint64_t affected;
    bool tells;
    const struct catalog_snapshot *snap;
    if (!c->temporary) {
        TRY(txn__commit_to_change(s));
    }
    TRY(session__snapshot(s, &snap));
    struct slice schema = c->name.schema.ptr != NULL ? c->name.schema : s->env.current_schema;
    bool exists = schema.ptr != NULL &&
                  (c->temporary ? snapshot_temporary(snap, schema, c->name.name)
                                : snapshot_permanent(snap, schema, c->name.name)) != NULL;
    db_err err = ERR_OK;
    if (!exists) {
        err = query_columns(st, snap, c, &bound);
    }
    struct filler filler = {st, c, bound};
    struct ddl_select select = {bound, c->temporary ? NULL : fill_unseen, &filler};
    if (err == ERR_OK) {
        err = session__ddl(st, &c->stmt, exists ? NULL : &select, &affected, &tells);
    }
    catalog_release(snap);
    TRY(err);
    if (exists) { /* IF NOT EXISTS: nothing is inserted */
        return session__ok(st, 0, SLICE_EMPTY);
    }
    if (!c->temporary) {
        return session__ok(st, st->status.affected_rows, st->status.info);
    }
    err = fill(st, c, bound);
    if (err != ERR_OK) {
        drop_again(st, c);
    }
    return err;
}
