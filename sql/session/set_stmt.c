/* SET in its forms. Assignments run left to right; an error in a value leaves those before it done,
 * as in MySQL for session variables. */
#include "sql/charset/charset.h"
#include "sql/charset/deprecated.h"
#include "sql/parser/ast_walk.h"
#include "sql/session/deprecated_vars.h"
#include "sql/session/session_int.h"

static db_err set_names(struct sql_session *s, const struct ast_set_item *i)
{
    static const enum sysvar_id ids[] = {VAR_character_set_client, VAR_character_set_results,
                                         VAR_character_set_connection};
    const struct charset *cs = charset_by_name(SLICE_LIT("utf8mb4"));
    const struct collation *coll = NULL;
    if (!i->is_default) {
        TRY(charset_require(i->text, &s->diag, &cs));
    }
    const struct collation *utf8mb4 = collation_by_id(s->vars.utf8mb4_collation);
    coll = utf8mb4->cs == cs ? utf8mb4 : charset_default_collation(cs);
    if (i->collation.ptr != NULL) {
        TRY(collation_require(i->collation, &s->diag, &coll));
        if (coll->cs != cs) {
            return my_error(&s->diag, ER_COLLATION_CHARSET_MISMATCH, coll->name, cs->name);
        }
    }
    charset_warn_deprecated(&s->conditions, i->text);
    collation_warn_deprecated(&s->conditions, i->collation.ptr == NULL ? NULL : coll);
    struct value name = value_str(slice_str(cs->name), COLL_UTF8MB3_GENERAL_CI);
    for (size_t k = 0; k < ARRAY_COUNT(ids); k++) {
        TRY(vars__set(s, ids[k], AST_SCOPE_SESSION, &name));
    }
    struct value c = value_str(slice_str(coll->name), COLL_UTF8MB3_GENERAL_CI);
    return vars__set(s, VAR_collation_connection, AST_SCOPE_SESSION, &c);
}

/* MYSQL: SET CHARACTER SET makes the database's collation the connection's. */
static db_err set_charset(struct sql_session *s, const struct ast_set_item *i)
{
    const struct charset *cs = charset_by_name(SLICE_LIT("utf8mb4"));
    if (!i->is_default) {
        TRY(charset_require(i->text, &s->diag, &cs));
        charset_warn_deprecated(&s->conditions, i->text);
    }
    struct value name = value_str(slice_str(cs->name), COLL_UTF8MB3_GENERAL_CI);
    TRY(vars__set(s, VAR_character_set_client, AST_SCOPE_SESSION, &name));
    TRY(vars__set(s, VAR_character_set_results, AST_SCOPE_SESSION, &name));
    struct value c = value_str(slice_str(collation_by_id(s->vars.collation_database)->name),
                               COLL_UTF8MB3_GENERAL_CI);
    return vars__set(s, VAR_collation_connection, AST_SCOPE_SESSION, &c);
}

/* A bare word (SET x = ON) came as a text literal; a column name is one too. */
static db_err item_value(struct sql_session *s, const struct ast_expr *e, struct value *ret)
{
    if (e->kind == AST_EXPR_COLUMN) {
        const struct ast_column *c = (const struct ast_column *)e;
        *ret = value_str(c->name, COLL_UTF8MB3_GENERAL_CI);
        return ERR_OK;
    }
    return query__eval(s, e, ret);
}

/* MYSQL: SET OFF tells why, SET ON only that the variable goes. */
static void warn_non_standard_key(struct sql_session *s)
{
    struct diag d;
    diag_reset(&d);
    if (!s->vars.fk_needs_unique) {
        diag_area_warn(&s->conditions, ER_WARN_DEPRECATED_WITH_NOTE,
                       "restrict_fk_on_non_standard_key",
                       "Foreign key referring to non-unique or partial keys is unsafe and may "
                       "break replication.");
        return;
    }
    diag_set_sql(&d, ER_WARN_DEPRECATED_SYNTAX_NO_REPLACEMENT,
                 my_error_sqlstate(ER_WARN_DEPRECATED_SYNTAX_NO_REPLACEMENT),
                 "'restrict_fk_on_non_standard_key' is deprecated and will be removed in a future "
                 "release.");
    diag_area_add(&s->conditions, DIAG_WARNING, &d);
}

/* MYSQL: the one value that is, of a variable that is not. */
static void warn_value(struct sql_session *s, enum sysvar_id id, enum ast_scope scope,
                       int64_t deprecated)
{
    struct sysvar_globals *g = engine__globals(s->engine);
    bool global = scope == AST_SCOPE_GLOBAL || scope == AST_SCOPE_PERSIST;
    const struct sysvar_value *now = global ? &g->values[id] : vars__get(s, id);
    struct diag d;
    diag_reset(&d);
    if (now->i == deprecated) {
        diag_set_sql(&d, ER_WARN_DEPRECATED_SYNTAX, my_error_sqlstate(ER_WARN_DEPRECATED_SYNTAX),
                     "'%s' is deprecated and will be removed in a future release.",
                     sysvar_defs[id].name);
        diag_area_add(&s->conditions, DIAG_WARNING, &d);
    }
    sysvar_globals_unref(g);
}

static void warn_updating(struct sql_session *s, const char *name)
{
    struct diag d;
    diag_reset(&d);
    diag_set_sql(&d, ER_WARN_DEPRECATED_SYNTAX_NO_REPLACEMENT,
                 my_error_sqlstate(ER_WARN_DEPRECATED_SYNTAX_NO_REPLACEMENT),
                 "Updating '%s' is deprecated. It will be made read-only in a future release.",
                 name);
    diag_area_add(&s->conditions, DIAG_WARNING, &d);
}

/* A packet may have at least what a buffer holds. */
static void warn_packet(struct sql_session *s)
{
    struct sysvar_globals *g = engine__globals(s->engine);
    bool less = g->values[VAR_max_allowed_packet].i < g->values[VAR_net_buffer_length].i;
    sysvar_globals_unref(g);
    if (less) {
        diag_area_warn(&s->conditions, WARN_OPTION_BELOW_LIMIT, "max_allowed_packet",
                       "net_buffer_length");
    }
}

static struct slice charset_of_number(const struct value *v)
{
    bool number = v != NULL && !v->is_null && v->phys == PHYS_INT;
    const struct collation *c = number ? collation_by_id((uint16_t)v->u) : NULL;
    return c == NULL ? SLICE_EMPTY : slice_str(c->cs->name);
}

/* What MySQL warns of when the variable is assigned to. v NULL: DEFAULT. */
static void warn_set(struct sql_session *s, enum sysvar_id id, enum ast_scope scope,
                     const struct value *v)
{
    bool text = v != NULL && !v->is_null && v->phys == PHYS_STR;
    switch ((int)id) {
    case VAR_character_set_filesystem:
    case VAR_character_set_client:
    case VAR_character_set_connection:
    case VAR_character_set_results:
    case VAR_character_set_server:
    case VAR_character_set_database:
        charset_warn_deprecated(&s->conditions, text ? v->str : charset_of_number(v));
        break;
    case VAR_explicit_defaults_for_timestamp: warn_value(s, id, scope, 0); break;
    case VAR_default_collation_for_utf8mb4: warn_updating(s, sysvar_defs[id].name); break;
    case VAR_max_allowed_packet:
    case VAR_net_buffer_length: warn_packet(s); break;
    case VAR_enable_cascade_triggers:
        diag_area_warn(&s->conditions, ER_WARN_DEPRECATED_WITH_NOTE, sysvar_defs[id].name,
                       "Triggers on child table will not fire during foreign key cascade.");
        break;
    case VAR_performance_schema_show_processlist:
        diag_area_warn(&s->conditions, ER_WARN_DEPRECATED_WITH_NOTE,
                       "@@performance_schema_show_processlist",
                       "When it is removed, SHOW PROCESSLIST will always use the performance "
                       "schema implementation.");
        break;
    case VAR_collation_connection:
    case VAR_collation_server:
    case VAR_collation_database:
        collation_warn_deprecated(&s->conditions, text ? collation_by_name(v->str) : NULL);
        break;
    default: return;
    }
    if (id == VAR_character_set_database || id == VAR_collation_database) {
        warn_updating(s, sysvar_defs[id].name);
    }
}

static db_err check_name(struct sql_session *s, const struct ast_set_item *i)
{
    if (i->component.ptr != NULL) {
        return my_error(
            &s->diag, ER_UNKNOWN_SYSTEM_VARIABLE,
            arena_printf(&s->stmt_arena, "%.*s.%.*s", SLICE_FMT(i->component), SLICE_FMT(i->name)));
    }
    if (sysvar_find(i->name) == VAR__COUNT) {
        return my_error(&s->diag, ER_UNKNOWN_SYSTEM_VARIABLE,
                        arena_strdup(&s->stmt_arena, i->name));
    }
    return ERR_OK;
}

static db_err check_use(struct sql_session *s, const struct ast_set_item *i)
{
    enum sysvar_id id = sysvar_find(i->name);
    deprecated_var_warn(&s->conditions, id);
    TRY(access__variable(s, id, i->scope));
    return vars__check_scope(s, id, i->scope);
}

static bool of_isolation(enum sysvar_id id)
{
    return id == VAR_transaction_isolation || id == VAR_tx_isolation;
}

static bool of_transaction(enum sysvar_id id)
{
    return of_isolation(id) || id == VAR_transaction_read_only || id == VAR_tx_read_only;
}

static bool in_transaction(const struct sql_session *s)
{
    return s->txn_mode == TXN_EXPLICIT || s->txn_mode == TXN_IMPLICIT;
}

/* MYSQL: SET @@transaction_isolation is of the next transaction, as SET TRANSACTION is. */
static db_err set_next(struct sql_session *s, enum sysvar_id id, const struct value *v)
{
    static const uint8_t levels[] = {STORAGE_READ_UNCOMMITTED, STORAGE_READ_COMMITTED,
                                     STORAGE_REPEATABLE_READ, STORAGE_SERIALIZABLE};
    struct sysvar_value x;
    if (in_transaction(s)) {
        return my_error(&s->diag, ER_CANT_CHANGE_TX_CHARACTERISTICS);
    }
    TRY(vars__wanted(s, id, AST_SCOPE_SESSION, v, &x));
    if (of_isolation(id)) {
        s->next.has_isolation = true;
        s->next.isolation = (enum storage_isolation)levels[x.i & 3];
    } else {
        s->next.has_access = true;
        s->next.read_only = x.i != 0;
    }
    track_txn__next(s);
    return ERR_OK;
}

/* MYSQL: what the session is set to takes the place of what was said for one transaction. */
static void forget_next(struct sql_session *s, enum sysvar_id id, enum ast_scope scope)
{
    bool session = scope == AST_SCOPE_DEFAULT || scope == AST_SCOPE_SESSION;
    if (!session || !of_transaction(id) || in_transaction(s)) {
        return;
    }
    if (of_isolation(id)) {
        s->next.has_isolation = false;
    } else {
        s->next.has_access = false;
    }
    track_txn__next(s);
}

static db_err set_system(struct sql_session *s, const struct ast_set_item *i, const struct value *v)
{
    enum sysvar_id id = sysvar_find(i->name);
    if (of_transaction(id) && i->scope == AST_SCOPE_DEFAULT && i->at_at) {
        return set_next(s, id, v); /* MYSQL: no variable has changed */
    }
    s->state_changed = true;
    TRY(vars__set(s, id, i->scope, v));
    forget_next(s, id, i->scope);
    if (id == VAR_restrict_fk_on_non_standard_key) {
        warn_non_standard_key(s);
    }
    warn_set(s, id, i->scope, v);
    return ERR_OK;
}

/* What the item assigns; *ret_given false: a default, or the item has no value. */
static db_err value_of(struct sql_session *s, const struct ast_set_item *i, struct value *ret,
                       bool *ret_given)
{
    bool system = i->kind == AST_SET_SYS_VAR;
    *ret_given = system ? i->value != NULL && !i->is_default : i->kind == AST_SET_USER_VAR;
    if (!*ret_given) {
        return ERR_OK;
    }
    TRY(system ? item_value(s, i->value, ret) : query__eval(s, i->value, ret));
    return value_copy(ret, &s->stmt_arena, ret);
}

static db_err set_one(struct sql_session *s, const struct ast_set_item *i, const struct value *v)
{
    s->state_changed = s->state_changed || i->kind != AST_SET_SYS_VAR;
    switch (i->kind) {
    case AST_SET_SYS_VAR: return set_system(s, i, v);
    case AST_SET_USER_VAR: return vars__user_set(s, i->name, v);
    case AST_SET_NAMES: return set_names(s, i);
    case AST_SET_CHARSET: return set_charset(s, i);
    }
    return ERR_INVALID;
}

/* What is read as the session's, or the server's, is there as such. */
static db_err check_read(const struct ast_expr *e, void *session)
{
    struct sql_session *s = session;
    struct sql_type ignored;
    const void *sysvar;
    bool unsafe;
    if (e->kind == AST_EXPR_SYS_VAR && ((const struct ast_sys_var *)e)->component.ptr == NULL) {
        const struct ast_sys_var *v = (const struct ast_sys_var *)e;
        return vars__bind_system(s, v->scope, v->name, &s->diag, &ignored, &sysvar, &unsafe);
    }
    return ast_each_part(e, check_read, s);
}

/* MYSQL: names, those that are read as well, then scopes and privileges of all items are looked at
 * before the first is set. */
static db_err check_variables(struct sql_session *s, const struct ast_set *set)
{
    for (uint32_t i = 0; i < set->items.count * 2; i++) {
        const struct ast_set_item *item = set->items.items[i % set->items.count];
        if (i < set->items.count && item->value != NULL) {
            TRY(check_read(item->value, s));
        }
        if (item->kind == AST_SET_SYS_VAR) {
            TRY(i < set->items.count ? check_name(s, item) : check_use(s, item));
        }
    }
    return ERR_OK;
}

db_err set__run(struct statement *st, const struct ast_set *set)
{
    TRY(check_variables(st->session, set));
    /* MYSQL: every expression sees the variables as they were before the statement. */
    struct value *values =
        ARENA_ARRAY(&st->session->stmt_arena, struct value, set->items.count + 1);
    bool *given = ARENA_ARRAY(&st->session->stmt_arena, bool, set->items.count + 1);
    if (values == NULL || given == NULL) {
        return ERR_LIMIT;
    }
    for (uint32_t i = 0; i < set->items.count; i++) {
        TRY(value_of(st->session, set->items.items[i], &values[i], &given[i]));
    }
    for (uint32_t i = 0; i < set->items.count; i++) {
        TRY(set_one(st->session, set->items.items[i], given[i] ? &values[i] : NULL));
    }
    return session__ok(st, 0, SLICE_EMPTY);
}

db_err set__transaction(struct statement *st, const struct ast_set_transaction *t)
{
    static const char *const names[] = {"", "READ-UNCOMMITTED", "READ-COMMITTED", "REPEATABLE-READ",
                                        "SERIALIZABLE"};
    static const uint8_t levels[] = {0, STORAGE_READ_UNCOMMITTED, STORAGE_READ_COMMITTED,
                                     STORAGE_REPEATABLE_READ, STORAGE_SERIALIZABLE};
    struct sql_session *s = st->session;
    if (t->scope == AST_SCOPE_DEFAULT &&
        (s->txn_mode == TXN_EXPLICIT || s->txn_mode == TXN_IMPLICIT)) {
        return my_error(&s->diag, ER_CANT_CHANGE_TX_CHARACTERISTICS);
    }
    TRY(access__variable(s, VAR_transaction_isolation, t->scope));
    if (t->isolation != AST_ISO_UNSET) {
        if (t->scope == AST_SCOPE_DEFAULT) {
            s->next.has_isolation = true;
            s->next.isolation = (enum storage_isolation)levels[t->isolation];
        } else {
            struct value v = value_str(slice_str(names[t->isolation]), COLL_UTF8MB3_GENERAL_CI);
            TRY(vars__set(s, VAR_transaction_isolation, t->scope, &v));
            forget_next(s, VAR_transaction_isolation, t->scope);
        }
    }
    if (t->access != AST_ACCESS_UNSET) {
        bool read_only = t->access == AST_ACCESS_READ_ONLY;
        if (t->scope == AST_SCOPE_DEFAULT) {
            s->next.has_access = true;
            s->next.read_only = read_only;
        } else {
            struct value v = value_int(read_only);
            TRY(vars__set(s, VAR_transaction_read_only, t->scope, &v));
            forget_next(s, VAR_transaction_read_only, t->scope);
        }
    }
    track_txn__next(s);
    return session__ok(st, 0, SLICE_EMPTY);
}
