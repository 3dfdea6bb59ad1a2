/* What optimizer hints ask of the session: SET_VAR, RESOURCE_GROUP and, with query.c,
 * MAX_EXECUTION_TIME. MYSQL: "Optimizer Hints" of the Reference Manual.
 *
 * SET_VAR sets the session's own value before the statement is bound, and hints__end() puts the one
 * before back, however the statement ends; of what the statement itself has set of it nothing
 * stays. A variable is set as SET SESSION does it, and what SET would refuse is a warning: no hint
 * makes a statement fail. What a prepared statement asks is in force while it is prepared and each
 * time that it is executed; the text of a view asks nothing.
 *
 * All that a plan takes from variables is as the hints say when it is made, so a plan made under
 * SET_VAR is not kept for other statements (cached_query.c). */
#include "sql/bind/hints.h"

#include <stdio.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "sql/session/deprecated_vars.h"
#include "sql/session/session_int.h"

enum { VARIABLE_NAME_MAX = 512 }; /* more than a message has room for */

/* One variable's value before the hint. */
struct hint_undo {
    struct hint_undo *before; /* what was changed before this one */
    enum sysvar_id id;
    bool had; /* a value of the session's own */
    struct override old;
    double timestamp;
};

/* ---- what is said ---- */

/* Names that are not shown are those that MySQL has no more, and ours: no hint knows them. */
static bool may_set(void *warnings, struct slice *io_name)
{
    char text[VARIABLE_NAME_MAX];
    enum sysvar_id id = sysvar_find(*io_name);
    bool known = id != VAR__COUNT && (sysvar_defs[id].flags & SYSVAR_HIDDEN) == 0;
    if (known && (sysvar_defs[id].flags & SYSVAR_HINT) != 0) {
        *io_name = slice_str(sysvar_defs[id].name);
        return true;
    }
    snprintf(text, sizeof(text), known ? "%.*s" : "'%.*s'", SLICE_FMT(*io_name));
    if (known) {
        diag_area_warn(warnings, ER_NOT_HINT_UPDATABLE_VARIABLE, text);
    } else {
        diag_area_warn(warnings, ER_UNRESOLVED_HINT_NAME, text, "SET_VAR");
    }
    return false;
}

db_err hints__read(struct sql_session *s, struct arena *arena, struct ast_stmt *ast, bool tell)
{
    struct diag_area *warnings = tell ? &s->conditions : NULL;
    struct hint_env env = {.warnings = warnings,
                           .ansi_quotes = (s->vars.sql_mode & SQL_MODE_ANSI_QUOTES) != 0,
                           .arg = warnings,
                           .may_set = may_set};
    return ast->hinted == NULL ? ERR_OK : hints_collect(arena, &env, ast);
}

/* ---- undoing ---- */

static db_err remember(struct sql_session *s, enum sysvar_id id)
{
    struct hint_undo *u = ARENA_NEW(&s->stmt_arena, struct hint_undo);
    if (u == NULL) {
        return ERR_LIMIT;
    }
    *u = (struct hint_undo){.before = s->hint_undo, .id = id, .timestamp = s->vars.timestamp};
    u->had = vars__take_own(s, id, &u->old);
    s->hint_undo = u;
    return ERR_OK;
}

static void undo(struct sql_session *s, struct hint_undo *u, double *io_timestamp)
{
    struct override now;
    if (u->id == VAR_timestamp) {
        *io_timestamp = u->timestamp;
        return;
    }
    if (vars__take_own(s, u->id, &now)) {
        mem_free(now.text);
    }
    if (u->had) {
        vars__give_own(s, &u->old);
    }
}

void hints__undo(struct sql_session *s)
{
    double timestamp = s->vars.timestamp;
    struct hint_undo *u = s->hint_undo;
    s->hints = NULL;
    if (u == NULL) {
        return;
    }
    for (; u != NULL; u = u->before) {
        undo(s, u, &timestamp);
    }
    s->hint_undo = NULL;
    vars__refresh(s);
    s->vars.timestamp = timestamp;
    session__read_vars(s);
}

uint64_t hints__lasting_mode(const struct sql_session *s)
{
    uint64_t mode = s->vars.sql_mode;
    for (const struct hint_undo *u = s->hint_undo; u != NULL; u = u->before) {
        if (u->id == VAR_sql_mode) {
            mode = (uint64_t)(u->had ? &u->old.value : &s->globals->values[VAR_sql_mode])->i;
        }
    }
    return mode;
}

/* ---- SET_VAR ---- */

/* As SET would have the value. */
static struct value value_of(const struct ast_hint *h)
{
    if (h->value_kind == HINT_VALUE_DECIMAL) {
        struct decimal d;
        decimal_from_text(h->value, &d);
        return value_decimal(&d);
    }
    if (h->value_kind != HINT_VALUE_NUMBER) {
        return value_str(h->value, COLL_UTF8MB3_GENERAL_CI);
    }
    return h->number > INT64_MAX ? value_uint(h->number) : value_int((int64_t)h->number);
}

static db_err set_variable(struct sql_session *s, enum sysvar_id id, const struct value *v)
{
    struct sysvar_value x;
    deprecated_var_warn(&s->conditions, id);
    TRY(vars__wanted(s, id, AST_SCOPE_SESSION, v, &x));
    TRY(access__variable(s, id, AST_SCOPE_SESSION));
    TRY(remember(s, id));
    if (id == VAR_max_join_size) {
        TRY(remember(s, VAR_sql_big_selects)); /* it moves with the other */
    }
    TRY(vars__change_own(s, id, &x));
    if (id == VAR_timestamp) {
        s->env.now_us = v->i == 0 ? clock_wall_us() : (uint64_t)(x.d * 1e6);
    }
    double timestamp = s->vars.timestamp;
    vars__refresh(s);
    s->vars.timestamp = timestamp;
    return ERR_OK;
}

/* MYSQL: of what there is to say of one variable only the first is said, as a warning. */
static db_err follow(struct sql_session *s, struct hint_var *var)
{
    struct diag_area_mark mark = diag_area_mark(&s->conditions);
    struct value v = value_of(var->hint);
    db_err err = set_variable(s, sysvar_find(var->hint->name), &v);
    if (err != ERR_OK && err != ERR_SQL) {
        return err;
    }
    var->in_force = err == ERR_OK;
    if (err == ERR_SQL && s->conditions.total == mark.total) {
        diag_area_add(&s->conditions, DIAG_WARNING, &s->diag);
    } else if (s->conditions.total > mark.total + 1) {
        mark.count = mark.count < s->conditions.count ? mark.count + 1 : mark.count;
        mark.total++;
        diag_area_forget_since(&s->conditions, &mark);
    }
    diag_reset(&s->diag);
    return ERR_OK;
}

db_err hints__begin(struct sql_session *s, const struct ast_stmt *ast)
{
    if (LIKELY(ast->hinted == NULL)) {
        return ERR_OK;
    }
    struct hint_set *hints = ast->hinted->set;
    s->hints = hints;
    for (struct hint_var *v = hints->vars; v != NULL; v = v->next) {
        TRY(follow(s, v));
    }
    if (s->hint_undo != NULL) {
        session__read_vars(s);
    }
    return ERR_OK;
}

/* ---- RESOURCE_GROUP ---- */

/* MYSQL: a thread of a session may be of the user groups alone; there is but the one that it is of
 * anyway. */
void hints__resource_group(struct sql_session *s, const struct ast_stmt *ast)
{
    struct slice name = ast->hinted == NULL ? SLICE_EMPTY : ast->hinted->set->resource_group;
    if (name.ptr == NULL) {
        return;
    }
    bool user = slice_eq_nocase(name, SLICE_LIT("USR_default"));
    bool system = slice_eq_nocase(name, SLICE_LIT("SYS_default"));
    if (!user && !system) {
        diag_area_warn(&s->conditions, ER_RESOURCE_GROUP_NOT_EXISTS,
                       arena_strdup(&s->stmt_arena, name));
    } else if (system) {
        diag_area_warn(&s->conditions, ER_RESOURCE_GROUP_BIND_FAILED, "SYS_default",
                       (unsigned long)s->connection_id,
                       "System resource group can't be bound with a session thread");
    } else if (access__resource_group(s) != ERR_OK) {
        diag_area_add(&s->conditions, DIAG_WARNING, &s->diag);
        diag_reset(&s->diag);
    }
}
