/* A session's variables: system variables over the globals, user variables, and the cached fields
 * that statements ask. */
#include <stdio.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "sql/charset/charset.h"
#include "sql/session/globals.h"
#include "sql/session/query_log.h"
#include "sql/session/session_int.h"
#include "sql/types/json.h"

/* ---- system variables ---- */

const struct sysvar_value *vars__get(const struct sql_session *s, enum sysvar_id id)
{
    for (uint32_t i = 0; i < s->override_count; i++) {
        if (s->overrides[i].id == id) {
            return &s->overrides[i].value;
        }
    }
    return &s->globals->values[id];
}

static uint16_t charset_collation(const struct sysvar_value *v, uint16_t none)
{
    const struct charset *cs = v->is_null || v->s.len == 0 ? NULL : charset_by_name(v->s);
    return cs == NULL ? none : cs->default_collation;
}

static uint16_t collation_of(const struct sysvar_value *v, uint16_t none)
{
    const struct collation *c = v->is_null ? NULL : collation_by_name(v->s);
    return c == NULL ? none : c->id;
}

static size_t client_char_size(const void *arg, const uint8_t *p, const uint8_t *end)
{
    const struct charset *cs = arg;
    uint32_t cp;
    unsigned n = cs->maxlen == 1 ? 1 : cs->ops->decode(cs, p, end, &cp);
    return n == 0 ? 1 : n;
}

static db_err client_to_utf8(const void *arg, struct arena *arena, struct slice text,
                             struct slice *ret_text)
{
    return charset_convert_arena(arg, text, collation_by_id(COLL_UTF8MB4_BIN)->cs, arena, ret_text,
                                 NULL);
}

static void set_client_charset(struct sql_session *s, const struct charset *cs)
{
    static const char *const utf8[] = {"utf8mb4", "utf8mb3", "ascii", "binary"};
    s->client_charset =
        (struct parse_charset){.arg = cs, .char_size = client_char_size, .to_utf8 = client_to_utf8};
    for (size_t i = 0; i < ARRAY_COUNT(utf8); i++) {
        if (strcmp(cs->name, utf8[i]) == 0) {
            s->client_charset.arg = NULL;
        }
    }
}

const struct parse_charset *session__parse_charset(const struct sql_session *s)
{
    return LIKELY(s->client_charset.arg == NULL) ? NULL : &s->client_charset;
}

void vars__refresh(struct sql_session *s)
{
    struct session_vars *v = &s->vars;
    static const uint8_t isolation[] = {STORAGE_READ_UNCOMMITTED, STORAGE_READ_COMMITTED,
                                        STORAGE_REPEATABLE_READ, STORAGE_SERIALIZABLE};
    v->sql_mode = (uint64_t)vars__get(s, VAR_sql_mode)->i;
    v->autocommit = vars__get(s, VAR_autocommit)->i != 0;
    v->foreign_key_checks = vars__get(s, VAR_foreign_key_checks)->i != 0;
    v->fk_needs_unique = vars__get(s, VAR_restrict_fk_on_non_standard_key)->i != 0;
    v->explicit_timestamps = vars__get(s, VAR_explicit_defaults_for_timestamp)->i != 0;
    v->unique_checks = vars__get(s, VAR_unique_checks)->i != 0;
    v->notes = vars__get(s, VAR_sql_notes)->i != 0;
    v->safe_updates = vars__get(s, VAR_sql_safe_updates)->i != 0;
    v->bulk_change = vars__get(s, VAR_skein_bulk_change)->i != 0;
    v->short_paths = vars__get(s, VAR_skein_short_paths)->i != 0;
    v->read_staleness_ms = (uint64_t)vars__get(s, VAR_skein_read_staleness)->i;
    v->spill_budget = (size_t)vars__get(s, VAR_skein_spill_budget)->i;
    v->pushdown = (enum exec_pushdown)vars__get(s, VAR_skein_pushdown)->i;
    v->tx_read_only = vars__get(s, VAR_transaction_read_only)->i != 0;
    v->charset_client =
        charset_collation(vars__get(s, VAR_character_set_client), COLL_UTF8MB4_0900_AI_CI);
    set_client_charset(s, collation_by_id(v->charset_client)->cs);
    v->charset_results = charset_collation(vars__get(s, VAR_character_set_results), 0);
    v->collation_connection =
        collation_of(vars__get(s, VAR_collation_connection), COLL_UTF8MB4_0900_AI_CI);
    v->collation_database =
        collation_of(vars__get(s, VAR_collation_database), COLL_UTF8MB4_0900_AI_CI);
    v->collation_server = collation_of(vars__get(s, VAR_collation_server), COLL_UTF8MB4_0900_AI_CI);
    v->utf8mb4_collation =
        collation_of(vars__get(s, VAR_default_collation_for_utf8mb4), COLL_UTF8MB4_0900_AI_CI);
    v->lock_wait_timeout_s = (uint32_t)vars__get(s, VAR_innodb_lock_wait_timeout)->i;
    v->ddl_lock_wait_timeout_s = (uint32_t)vars__get(s, VAR_lock_wait_timeout)->i;
    v->div_precision_increment = (uint32_t)vars__get(s, VAR_div_precision_increment)->i;
    v->block_encryption_mode = (uint32_t)vars__get(s, VAR_block_encryption_mode)->i;
    v->cte_max_recursion_depth = (uint32_t)vars__get(s, VAR_cte_max_recursion_depth)->i;
    v->default_week_format = (uint32_t)vars__get(s, VAR_default_week_format)->i;
    v->auto_increment_increment = (uint32_t)vars__get(s, VAR_auto_increment_increment)->i;
    v->auto_increment_offset = (uint32_t)vars__get(s, VAR_auto_increment_offset)->i;
    v->locale = date_locale_by_name(vars__get(s, VAR_lc_time_names)->s);
    v->locale = v->locale == NULL ? date_locale_en_us : v->locale;
    v->insert_id = (uint64_t)vars__get(s, VAR_insert_id)->i;
    v->max_sort_length = (uint32_t)vars__get(s, VAR_max_sort_length)->i;
    v->big_selects = vars__get(s, VAR_sql_big_selects)->i != 0;
    v->max_join_size = (uint64_t)vars__get(s, VAR_max_join_size)->i;
    v->max_execution_time_ms = (uint64_t)vars__get(s, VAR_max_execution_time)->i;
    v->optimizer_switch = (uint64_t)vars__get(s, VAR_optimizer_switch)->i;
    v->sql_select_limit = (uint64_t)vars__get(s, VAR_sql_select_limit)->i;
    v->group_concat_max_len = (uint64_t)vars__get(s, VAR_group_concat_max_len)->i;
    v->max_allowed_packet = (uint64_t)vars__get(s, VAR_max_allowed_packet)->i;
    v->isolation =
        (enum storage_isolation)isolation[vars__get(s, VAR_transaction_isolation)->i & 3];
    if (timezone_find(vars__get(s, VAR_time_zone)->s, NULL, &v->tz) != ERR_OK) {
        v->tz = timezone_system();
    }
    v->profiling = vars__get(s, VAR_profiling)->i != 0;
    v->sql_log_off = vars__get(s, VAR_sql_log_off)->i != 0;
    v->sql_warnings = vars__get(s, VAR_sql_warnings)->i != 0;
    v->long_query_us = (uint64_t)(vars__get(s, VAR_long_query_time)->d * 1e6);
    v->min_examined_rows = (uint64_t)vars__get(s, VAR_min_examined_row_limit)->i;
    s->env.regexp_time_limit = (uint32_t)vars__get(s, VAR_regexp_time_limit)->i;
    s->env.regexp_stack_limit = (uint32_t)vars__get(s, VAR_regexp_stack_limit)->i;
    s->conditions.max = (uint32_t)vars__get(s, VAR_max_error_count)->i;
    s->conditions.notes_off = !v->notes;
}

static db_err override_room(struct sql_session *s)
{
    if (s->override_count < s->override_cap) {
        return ERR_OK;
    }
    uint32_t cap = s->override_cap == 0 ? 8 : s->override_cap * 2;
    struct override *grown = mem_realloc(s->overrides, cap * sizeof(*grown));
    if (grown == NULL) {
        return ERR_NOMEM;
    }
    s->overrides = grown;
    s->override_cap = cap;
    return ERR_OK;
}

/* The text is copied before the one it takes the place of goes: it may be that one. */
static db_err override_value(struct sql_session *s, enum sysvar_id id, const struct sysvar_value *v)
{
    struct override fresh = {.id = id, .value = *v};
    uint32_t at = 0;
    while (at < s->override_count && s->overrides[at].id != id) {
        at++;
    }
    TRY(at == s->override_count ? override_room(s) : ERR_OK);
    if (sysvar_defs[id].type == SYSVAR_T_STR) {
        fresh.text = mem_alloc(v->s.len + 1);
        if (fresh.text == NULL) {
            return ERR_NOMEM;
        }
        memcpy(fresh.text, v->s.len == 0 ? "" : (const char *)v->s.ptr, v->s.len);
        fresh.value.s = slice_of(fresh.text, v->s.len);
    }
    if (at == s->override_count) {
        s->override_count++;
    } else {
        mem_free(s->overrides[at].text);
    }
    s->overrides[at] = fresh;
    return ERR_OK;
}

/* Values computed at each read. */
static bool computed(struct sql_session *s, enum sysvar_id id, struct value *ret)
{
    switch ((int)id) {
    case VAR_warning_count:
        s->conditions.last_read = true;
        *ret = value_uint(s->conditions.last_total);
        return true;
    case VAR_error_count:
        s->conditions.last_read = true;
        *ret = value_uint(s->conditions.last_errors);
        return true;
    case VAR_last_insert_id:
    case VAR_identity: *ret = value_uint(s->last_insert_id); return true;
    case VAR_pseudo_thread_id: *ret = value_uint(s->connection_id); return true;
    case VAR_timestamp: {
        double t = s->vars.timestamp != 0 ? s->vars.timestamp : (double)s->env.now_us / 1e6;
        *ret = value_double(t);
        return true;
    }
    case VAR_version:
        *ret = value_str(slice_str(s->engine->version), COLL_UTF8MB3_GENERAL_CI);
        return true;
    case VAR_hostname: {
        char host[256] = "";
        const char *name = gethostname(host, sizeof(host) - 1) == 0
                               ? arena_strdup(&s->stmt_arena, slice_str(host))
                               : "";
        *ret = value_str(slice_str(name == NULL ? "" : name), COLL_UTF8MB3_GENERAL_CI);
        return true;
    }
    case VAR_slow_query_log_file:
    case VAR_general_log_file: {
        const char *path = query_log__path(s, id == VAR_slow_query_log_file);
        *ret = path == NULL ? value_null() : value_str(slice_str(path), COLL_UTF8MB3_GENERAL_CI);
        return true;
    }
    case VAR_port: *ret = value_uint(s->engine->opts.port); return true;
    case VAR_server_id: *ret = value_uint(s->engine->opts.server_id); return true;
    case VAR_socket:
        *ret = value_str(
            slice_str(s->engine->opts.socket_path == NULL ? "" : s->engine->opts.socket_path),
            COLL_UTF8MB3_GENERAL_CI);
        return true;
    case VAR_secure_file_priv:
        *ret =
            s->engine->opts.secure_file_priv == NULL
                ? value_null()
                : value_str(slice_str(s->engine->opts.secure_file_priv), COLL_UTF8MB3_GENERAL_CI);
        return true;
    case VAR_system_time_zone:
        *ret = value_str(slice_str(timezone_system_abbreviation()), COLL_UTF8MB3_GENERAL_CI);
        return true;
    case VAR_datadir:
        *ret =
            value_str(slice_str(s->engine->opts.data_dir == NULL ? "" : s->engine->opts.data_dir),
                      COLL_UTF8MB3_GENERAL_CI);
        return true;
    default: return false;
    }
}

/* tx_isolation is transaction_isolation's old name, and so on. */
static enum sysvar_id canonical(enum sysvar_id id)
{
    switch ((int)id) {
    case VAR_tx_isolation: return VAR_transaction_isolation;
    case VAR_tx_read_only: return VAR_transaction_read_only;
    default: return id;
    }
}

db_err vars__read(struct sql_session *s, enum sysvar_id id, bool global, struct arena *arena,
                  struct value *ret)
{
    id = canonical(id);
    if (computed(s, id, ret)) {
        return ERR_OK;
    }
    if (!global && sysvar_defs[id].scope != SYSVAR_GLOBAL) {
        TRY(sysvar_to_value(id, vars__get(s, id), arena, ret));
        return value_copy(ret, arena, ret); /* SET may change it while the value is in use */
    }
    struct sysvar_globals *g = engine__globals(s->engine);
    db_err err = sysvar_to_value(id, &g->values[id], arena, ret);
    if (err == ERR_OK) {
        err = value_copy(ret, arena, ret);
    }
    sysvar_globals_unref(g);
    return err;
}

db_err vars__check_scope(struct sql_session *s, enum sysvar_id id, enum ast_scope scope)
{
    const struct sysvar_def *d = &sysvar_defs[canonical(id)];
    bool own = scope == AST_SCOPE_DEFAULT || scope == AST_SCOPE_SESSION;
    bool read_only = (d->flags & SYSVAR_DYNAMIC) == 0;
    if (read_only && scope != AST_SCOPE_PERSIST_ONLY) {
        return my_error(&s->diag, ER_INCORRECT_GLOBAL_LOCAL_VAR, d->name, "read only");
    }
    if (!own && (d->scope & SYSVAR_GLOBAL) == 0) {
        return my_error(&s->diag, ER_LOCAL_VARIABLE, d->name);
    }
    if (own && (d->scope & SYSVAR_SESSION) == 0) {
        return my_error(&s->diag, ER_GLOBAL_VARIABLE, d->name);
    }
    return read_only && (d->flags & SYSVAR_NOPERSIST) != 0
               ? my_error(&s->diag, ER_INCORRECT_GLOBAL_LOCAL_VAR, d->name,
                          "non persistent read only")
               : ERR_OK;
}

static db_err check_utf8mb4(struct sql_session *s, const struct sysvar_value *v)
{
    const struct collation *c = collation_by_name(v->s);
    bool may = c != NULL && (c->id == COLL_UTF8MB4_0900_AI_CI || c->id == COLL_UTF8MB4_GENERAL_CI);
    return may ? ERR_OK
               : my_error(&s->diag, ER_INVALID_DEFAULT_UTF8MB4_COLLATION,
                          arena_strdup(&s->stmt_arena, v->s));
}

/* Checks that need more than the type: names that must exist. Of an offset of a time zone what is
 * kept is how it is usually written. */
static db_err check_value(struct sql_session *s, enum sysvar_id id, struct sysvar_value *v)
{
    const struct timezone *tz;
    switch ((int)id) {
    case VAR_time_zone:
        TRY(timezone_find(v->s, &s->diag, &tz));
        v->s = slice_str(timezone_name(tz));
        return ERR_OK;
    case VAR_character_set_client: {
        const struct charset *cs = charset_by_name(v->s);
        return cs != NULL && cs->minlen > 1 /* the parser reads ASCII */
                   ? my_error(&s->diag, ER_WRONG_VALUE_FOR_VAR, sysvar_defs[id].name, cs->name)
                   : ERR_OK;
    }
    case VAR_default_collation_for_utf8mb4: return check_utf8mb4(s, v);
    case VAR_resultset_metadata: /* of the protocol's options that is one we do not offer */
        return v->i != 0
                   ? ERR_OK
                   : my_error(&s->diag, ER_CLIENT_DOES_NOT_SUPPORT, "optional metadata transfer");
    case VAR_max_allowed_packet: return ERR_OK;
    default: return ERR_OK;
    }
}

/* character_set_x and collation_x move together. */
bool vars__companion(enum sysvar_id id, const struct sysvar_value *v, struct global_change *ret)
{
    enum sysvar_id to = VAR__COUNT;
    switch ((int)id) {
    case VAR_character_set_connection: to = VAR_collation_connection; break;
    case VAR_character_set_server: to = VAR_collation_server; break;
    case VAR_character_set_database: to = VAR_collation_database; break;
    case VAR_collation_connection: to = VAR_character_set_connection; break;
    case VAR_collation_server: to = VAR_character_set_server; break;
    case VAR_collation_database: to = VAR_character_set_database; break;
    default: return false;
    }
    if (v->is_null) {
        return false;
    }
    const struct charset *cs = charset_by_name(v->s);
    const struct collation *c = collation_by_name(v->s);
    if (cs == NULL && c == NULL) {
        return false;
    }
    *ret = (struct global_change){.id = to};
    ret->value.s =
        cs != NULL ? slice_str(charset_default_collation(cs)->name) : slice_str(c->cs->name);
    return true;
}

static void warn_mode(struct sql_session *s, uint64_t mode)
{
    uint64_t dates =
        SQL_MODE_NO_ZERO_DATE | SQL_MODE_NO_ZERO_IN_DATE | SQL_MODE_ERROR_FOR_DIVISION_BY_ZERO;
    bool strict = (mode & SQL_MODE_STRICT) != 0;
    if (strict ? (mode & dates) != dates : (mode & dates) != 0) {
        diag_area_warn(&s->conditions, ER_SQL_MODE_MERGED);
    }
    if ((mode & SQL_MODE_PAD_CHAR_TO_FULL_LENGTH) != 0) {
        diag_area_warn(&s->conditions, ER_WARN_DEPRECATED_SQLMODE, "PAD_CHAR_TO_FULL_LENGTH");
    }
}

static db_err set_special(struct sql_session *s, enum sysvar_id id, const struct sysvar_value *v,
                          bool *ret_done)
{
    *ret_done = true;
    switch ((int)id) {
    case VAR_last_insert_id:
    case VAR_identity:
        s->last_insert_id = (uint64_t)v->i;
        s->env.last_insert_id = v->i;
        return ERR_OK;
    case VAR_sql_mode:
        warn_mode(s, (uint64_t)v->i);
        *ret_done = false;
        return ERR_OK;
    case VAR_timestamp: s->vars.timestamp = v->d; return ERR_OK;
    case VAR_rand_seed1:
    case VAR_rand_seed2: rand_seed(&s->rand, (uint64_t)v->i); return ERR_OK;
    default: *ret_done = false; return ERR_OK;
    }
}

/* The variable and those that follow it. */
static unsigned with_followers(enum sysvar_id id, const struct sysvar_value *x,
                               struct global_change out[2])
{
    out[0] = (struct global_change){id, *x};
    /* MYSQL: super_read_only brings read_only with it; without read_only there is neither. */
    if (id == VAR_super_read_only && x->i != 0) {
        out[1] = (struct global_change){VAR_read_only, *x};
        return 2;
    }
    if (id == VAR_read_only && x->i == 0) {
        out[1] = (struct global_change){VAR_super_read_only, *x};
        return 2;
    }
    return vars__companion(id, x, &out[1]) ? 2 : 1;
}

static db_err change_own(struct sql_session *s, enum sysvar_id id, const struct sysvar_value *x)
{
    struct global_change follows;
    TRY(override_value(s, id, x));
    if (vars__companion(id, x, &follows)) {
        TRY(override_value(s, follows.id, &follows.value));
    }
    if (id == VAR_max_join_size) {
        struct sysvar_value big = {.i = (uint64_t)x->i == UINT64_MAX};
        TRY(override_value(s, VAR_sql_big_selects, &big));
    }
    return ERR_OK;
}

db_err vars__change_own(struct sql_session *s, enum sysvar_id id, const struct sysvar_value *x)
{
    bool done;
    TRY(set_special(s, id, x, &done));
    return done ? ERR_OK : change_own(s, id, x);
}

bool vars__take_own(struct sql_session *s, enum sysvar_id id, struct override *ret)
{
    for (uint32_t i = 0; i < s->override_count; i++) {
        if (s->overrides[i].id == id) {
            *ret = s->overrides[i];
            s->overrides[i] = s->overrides[--s->override_count];
            return true;
        }
    }
    return false;
}

void vars__give_own(struct sql_session *s, const struct override *own)
{
    ASSERT(s->override_count < s->override_cap);
    s->overrides[s->override_count++] = *own;
}

static db_err change_global(struct sql_session *s, enum sysvar_id id, enum ast_scope scope,
                            const struct sysvar_value *x)
{
    struct global_change changes[2];
    unsigned how = scope == AST_SCOPE_GLOBAL    ? GLOBALS_NOW
                   : scope == AST_SCOPE_PERSIST ? GLOBALS_NOW | GLOBALS_PERSIST
                                                : GLOBALS_PERSIST;
    if (x->is_null && (sysvar_defs[id].flags & SYSVAR_DYNAMIC) == 0) {
        return my_error(&s->diag, ER_NULL_CANT_BE_PERSISTED_FOR_READONLY, sysvar_defs[id].name);
    }
    return globals__change(s, changes, with_followers(id, x, changes), how);
}

void vars__insert_id_used(struct sql_session *s)
{
    for (uint32_t i = 0; i < s->override_count && s->vars.insert_id != 0; i++) {
        if (s->overrides[i].id == VAR_insert_id) {
            s->overrides[i].value.i = 0;
        }
    }
    s->vars.insert_id = 0;
}

/* MYSQL: a session's DEFAULT is the global value. A FLAGSET starts from the value it has. */
static db_err start_value(struct sql_session *s, enum sysvar_id id, bool global,
                          struct sysvar_value *ret)
{
    if (!global && (sysvar_defs[id].scope & SYSVAR_GLOBAL) == 0) {
        *ret = *vars__get(s, id);
        return ERR_OK;
    }
    struct sysvar_globals *g = engine__globals(s->engine);
    *ret = g->values[id];
    db_err err =
        sysvar_defs[id].type == SYSVAR_T_STR ? arena_copy(&s->stmt_arena, ret->s, &ret->s) : ERR_OK;
    sysvar_globals_unref(g);
    return err;
}

static db_err value_text(struct sql_session *s, const struct value *v, const char **ret)
{
    struct cast_ctx c;
    struct sql_type t = value_type(v);
    struct slice text;
    query__cast_ctx(s, &c, false);
    TRY(value_to_text(&c, &t, v, &text));
    *ret = arena_strdup(&s->stmt_arena, text);
    return ERR_OK;
}

static db_err warn_clipped(struct sql_session *s, enum sysvar_id id, const struct value *given)
{
    const char *text;
    TRY(value_text(s, given, &text));
    diag_area_warn(&s->conditions, ER_TRUNCATED_WRONG_VALUE, sysvar_defs[id].name, text);
    return ERR_OK;
}

/* MYSQL: 0 is the clock again, and so is what lies before it. */
static db_err check_timestamp(struct sql_session *s, const struct value *given,
                              struct sysvar_value *v)
{
    const char *text;
    if (v->d < 0) {
        v->d = 0;
        return warn_clipped(s, VAR_timestamp, given);
    }
    if (v->d == 0 || (v->d >= 1 && v->d <= INT32_MAX)) {
        return ERR_OK;
    }
    struct value number = value_double(v->d);
    TRY(value_text(s, &number, &text));
    return my_error(&s->diag, ER_WRONG_VALUE_FOR_VAR, sysvar_defs[VAR_timestamp].name, text);
}

db_err vars__wanted(struct sql_session *s, enum sysvar_id id, enum ast_scope scope,
                    const struct value *v, struct sysvar_value *ret)
{
    struct value other;
    struct sysvar_value x;
    bool clipped = false;
    bool global = scope != AST_SCOPE_DEFAULT && scope != AST_SCOPE_SESSION;
    if (id == VAR_timestamp && v != NULL && v->phys == PHYS_INT && !v->is_null) {
        other = value_double(v->is_unsigned ? (double)v->u : (double)v->i);
        v = &other;
    }
    if (v != NULL) {
        other = *v;
        TRY(vars__find_name(s, id, &other));
        v = &other;
    }
    bool of_globals = v == NULL && !global && (sysvar_defs[id].scope & SYSVAR_GLOBAL) != 0;
    if (of_globals || global) {
        TRY(start_value(s, id, global, &x));
    } else {
        x = *vars__get(s, id);
    }
    if (!of_globals) {
        TRY(sysvar_convert(id, v, &s->stmt_arena, &s->diag, &x, &clipped));
    }
    TRY(check_value(s, id, &x));
    if (id == VAR_default_table_encryption && !global && x.i != vars__get(s, id)->i) {
        TRY(access__encryption(s)); /* MYSQL: anybody may set what it is */
    }
    if (id == VAR_timestamp && v != NULL) {
        TRY(check_timestamp(s, v, &x));
    }
    if (id == VAR_default_storage_engine || id == VAR_default_tmp_storage_engine) {
        if (x.is_null) {
            return my_error(&s->diag, ER_WRONG_VALUE_FOR_VAR, sysvar_defs[id].name, "NULL");
        }
        if (!ddl_engine_name(x.s, &x.s)) {
            return my_error(&s->diag, ER_UNKNOWN_STORAGE_ENGINE, arena_strdup(&s->stmt_arena, x.s));
        }
    }
    if (clipped && scope == AST_SCOPE_PERSIST_ONLY) {
        x.i = v->i; /* MYSQL: kept as given, and clipped when it is used */
    } else if (clipped) {
        TRY(warn_clipped(s, id, v));
    }
    *ret = x;
    return ERR_OK;
}

db_err vars__set(struct sql_session *s, enum sysvar_id id, enum ast_scope scope,
                 const struct value *v)
{
    bool global = scope != AST_SCOPE_DEFAULT && scope != AST_SCOPE_SESSION;
    bool done;
    struct sysvar_value x;
    id = vars__of_number(canonical(id), v);
    TRY(vars__check_scope(s, id, scope));
    TRY(vars__wanted(s, id, scope, v, &x));
    bool own_only = id == VAR_max_user_connections || id == VAR_max_allowed_packet ||
                    id == VAR_net_buffer_length;
    if (own_only && !global) {
        return my_error(&s->diag, ER_VARIABLE_IS_READONLY, "SESSION", sysvar_defs[id].name,
                        "GLOBAL");
    }
    if (!global) {
        TRY(vars__change_own(s, id, &x));
    } else {
        TRY(set_special(s, id, &x, &done));
        TRY(done ? ERR_OK : change_global(s, id, scope, &x));
    }
    if (!global) {
        track__variable(s, id);
    }
    if (!global && id == VAR_session_track_transaction_info) {
        track_txn__switched(s);
    }
    bool was_autocommit = s->vars.autocommit;
    double timestamp = s->vars.timestamp;
    vars__refresh(s);
    s->vars.timestamp = timestamp;
    if (!was_autocommit && s->vars.autocommit && s->txn != NULL) {
        return txn__commit(s); /* MYSQL: switching autocommit on commits */
    }
    return ERR_OK;
}

db_err vars__bind_system(void *env, int scope, struct slice name, struct diag *diag,
                         struct sql_type *ret_type, const void **ret_sysvar, bool *ret_unsafe)
{
    enum sysvar_id id = sysvar_find(name);
    (void)env;
    if (id == VAR__COUNT) {
        char text[128];
        snprintf(text, sizeof(text), "%.*s", SLICE_FMT(name));
        return my_error(diag, ER_UNKNOWN_SYSTEM_VARIABLE, text);
    }
    const struct sysvar_def *d = &sysvar_defs[id];
    if (scope == AST_SCOPE_GLOBAL && (d->scope & SYSVAR_GLOBAL) == 0) {
        return my_error(diag, ER_INCORRECT_GLOBAL_LOCAL_VAR, d->name, "SESSION");
    }
    if (scope == AST_SCOPE_SESSION && (d->scope & SYSVAR_SESSION) == 0) {
        return my_error(diag, ER_INCORRECT_GLOBAL_LOCAL_VAR, d->name, "GLOBAL");
    }
    *ret_type = sysvar_type(id);
    *ret_sysvar = d;
    *ret_unsafe = (d->flags & SYSVAR_LOGGED) == 0;
    return ERR_OK;
}

static db_err system_get(struct exec_ctx *ctx, const struct bexpr *e, struct value *ret)
{
    const struct sysvar_def *d = e->u.var.sysvar;
    return vars__read(ctx->session, (enum sysvar_id)(d - sysvar_defs),
                      e->u.var.scope == AST_SCOPE_GLOBAL, ctx->arena, ret);
}

/* ---- user variables ---- */

const struct user_var *vars__user_get(const struct sql_session *s, struct slice name)
{
    for (const struct user_var *v = s->user_vars; v != NULL; v = v->next) {
        if (slice_eq_nocase(v->name, name)) {
            return v;
        }
    }
    return NULL;
}

/* What a variable takes, with a text of so many bytes. */
static db_err charge_var(struct sql_session *s, struct user_var *u, size_t text)
{
    size_t size = sizeof(*u) + u->name.len + text;
    if (size > u->charged) {
        TRY(mem_tracker_charge(&s->kept, size - u->charged));
    } else {
        mem_tracker_release(&s->kept, u->charged - size);
    }
    u->charged = size;
    return ERR_OK;
}

static db_err new_var(struct sql_session *s, struct slice name, struct user_var **ret)
{
    struct user_var *u = mem_calloc(1, sizeof(*u) + name.len);
    if (u == NULL) {
        return ERR_NOMEM;
    }
    if (name.len != 0) {
        memcpy(u + 1, name.ptr, name.len);
    }
    u->name = slice_of(u + 1, name.len);
    u->value = value_null();
    u->type = type_null();
    db_err err = charge_var(s, u, 0);
    if (err != ERR_OK) {
        mem_free(u);
        return err;
    }
    buf_init(&u->bytes, (size_t)1 << 30);
    u->next = s->user_vars;
    s->user_vars = u;
    *ret = u;
    return ERR_OK;
}

/* BIGINT, DECIMAL, DOUBLE or text. MYSQL: NULL is of its expression's type, NULL itself of what the
 * variable was before; neither changes the collation. */
static void set_type(struct sql_session *s, struct user_var *u, const struct value *v)
{
    enum { TEXT_CHARS = 0xffffff, NUMBER_LENGTH = 21, DOUBLE_LENGTH = 23 };
    bool fresh = u->type.id == TYPE_NULL;
    bool text = v->phys == PHYS_STR || v->type == TYPE_ENUM || v->type == TYPE_SET;
    if (fresh || !v->is_null) {
        u->collation = v->type == TYPE_NULL   ? COLL_BINARY
                       : v->type == TYPE_JSON ? COLL_UTF8MB4_BIN
                       : text                 ? v->collation
                                              : (uint16_t)s->vars.collation_connection;
    }
    if (v->type == TYPE_NULL && !fresh) {
        return;
    }
    if (v->type == TYPE_DECIMAL) {
        u->type = type_decimal(DECIMAL_PRECISION_MAX, DECIMAL_SCALE_MAX, false);
    } else if (v->phys == PHYS_DOUBLE) {
        u->type = type_double();
        u->type.length = DOUBLE_LENGTH;
    } else if (v->phys == PHYS_INT && !text && v->type != TYPE_NULL) {
        u->type = type_int(TYPE_BIGINT, v->is_unsigned || v->type == TYPE_BIT);
        u->type.length = NUMBER_LENGTH;
    } else {
        u->type = func_text_type(TEXT_CHARS, u->collation);
    }
}

db_err vars__user_set(struct sql_session *s, struct slice name, const struct value *v)
{
    struct user_var *u = (struct user_var *)(uintptr_t)vars__user_get(s, name);
    if (u == NULL) {
        TRY(new_var(s, name, &u));
    }
    struct value copy = *v;
    if (!v->is_null && v->phys == PHYS_DECIMAL) {
        copy.dec = *decimal_own(&v->dec, &copy.dec);
    }
    if (!v->is_null && v->phys == PHYS_STR) {
        struct buf fresh; /* v may lie in u->bytes */
        TRY(charge_var(s, u, v->str.len));
        buf_init(&fresh, (size_t)1 << 30);
        TRY(buf_append_slice(&fresh, v->str));
        buf_fini(&u->bytes);
        u->bytes = fresh;
        copy.str = buf_slice(&u->bytes);
    }
    if (!v->is_null && v->type == TYPE_JSON) { /* MYSQL: a variable keeps the text */
        struct buf text;
        struct json_view doc = json_view_of(copy.str);
        buf_init(&text, (size_t)1 << 30);
        db_err err = json_print(&doc, &text);
        err = err == ERR_OK ? charge_var(s, u, text.len) : err;
        if (err != ERR_OK) {
            buf_fini(&text);
            return err;
        }
        buf_fini(&u->bytes);
        u->bytes = text;
        copy = value_str(buf_slice(&u->bytes), COLL_UTF8MB4_BIN);
    } else if (!v->is_null && v->type == TYPE_VECTOR) {
        copy = value_str(copy.str, COLL_BINARY);
    } else if (!v->is_null && v->phys == PHYS_TIME) {
        /* MYSQL: temporal values become text. */
        struct cast_ctx c;
        struct sql_type t = value_type(v);
        struct slice text;
        query__cast_ctx(s, &c, false);
        TRY(value_to_text(&c, &t, v, &text));
        buf_reset(&u->bytes);
        TRY(buf_append_slice(&u->bytes, text));
        copy = value_str(buf_slice(&u->bytes), s->vars.collation_connection);
    }
    set_type(s, u, &copy);
    u->value = copy;
    return ERR_OK;
}

void vars__free(struct sql_session *s)
{
    while (s->user_vars != NULL) {
        struct user_var *v = s->user_vars;
        s->user_vars = v->next;
        mem_tracker_release(&s->kept, v->charged);
        buf_fini(&v->bytes);
        mem_free(v);
    }
    for (uint32_t i = 0; i < s->override_count; i++) {
        mem_free(s->overrides[i].text);
    }
    mem_free(s->overrides);
    s->overrides = NULL;
    s->override_count = s->override_cap = 0;
}

static void type_now(const struct sql_session *s, struct slice name, struct sql_type *ret_type,
                     uint16_t *ret_collation)
{
    enum { UNSET_BYTES = 65532 };
    const struct user_var *v = vars__user_get(s, name);
    *ret_collation = v == NULL ? 0 : v->collation;
    *ret_type = v == NULL ? type_char(TYPE_VARBINARY, UNSET_BYTES, COLL_BINARY) : v->type;
}

/* Without memory for it the type is the variable's of now at each time. */
static void keep_type(struct var_types *types, struct slice name, const struct sql_type *type,
                      uint16_t collation)
{
    struct var_type *t = ARENA_NEW(types->arena, struct var_type);
    if (t != NULL && arena_copy(types->arena, name, &t->name) == ERR_OK) {
        t->type = *type;
        t->collation = collation;
        t->next = types->first;
        types->first = t;
    }
}

bool vars__bind_user(void *env, struct slice name, struct sql_type *ret_type,
                     uint16_t *ret_collation)
{
    struct sql_session *s = env;
    struct var_types *types = s->var_types;
    for (const struct var_type *t = types == NULL ? NULL : types->first; t != NULL; t = t->next) {
        if (slice_eq_nocase(t->name, name)) {
            *ret_type = t->type;
            *ret_collation = t->collation;
            return true;
        }
    }
    type_now(s, name, ret_type, ret_collation);
    if (types != NULL && vars__user_get(s, name) == NULL) {
        types->unset = true;
    } else if (types != NULL) {
        keep_type(types, name, ret_type, *ret_collation);
    }
    return true;
}

static db_err user_get(struct exec_ctx *ctx, struct slice name, struct value *ret)
{
    const struct user_var *v = vars__user_get(ctx->session, name);
    if (v == NULL) {
        *ret = value_null();
        return ERR_OK;
    }
    return value_copy(&v->value, ctx->arena, ret);
}

static db_err user_set(struct exec_ctx *ctx, struct slice name, const struct value *v)
{
    return vars__user_set(ctx->session, name, v);
}

const struct exec_var_ops session_var_ops = {user_get, user_set, system_get};
