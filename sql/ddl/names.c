/* Names in schema statements: what may be a name, whose it is, and the lock on what it means. */
#include <stdio.h>

#include "base/faults.h"
#include "base/fiber.h"
#include "base/log.h"
#include "sql/charset/charset.h"
#include "sql/ddl/ddl_int.h"
#include "sql/storage/coord.h"
#include "sql/types/sql_mode.h"

const char *ddl__text(struct ddl_ctx *ctx, struct slice s)
{
    const char *text = arena_strdup(ctx->arena, s);
    return text == NULL ? "?" : text;
}

db_err ddl__unsupported(struct ddl_ctx *ctx, const char *feature)
{
    return my_error(ctx->diag, ER_NOT_SUPPORTED_YET, feature);
}

bool ddl__too_long(struct slice text, size_t limit)
{
    return text.len > limit &&
           charset_char_count(collation_by_id(COLL_UTF8MB4_BIN)->cs, text) > limit;
}

db_err ddl__fit_comment(struct ddl_ctx *ctx, struct slice *io_text, size_t limit,
                        enum my_errno number, struct slice name)
{
    if (!ddl__too_long(*io_text, limit)) {
        return ERR_OK;
    }
    if ((ctx->bind->sql_mode & SQL_MODE_STRICT) != 0) {
        return my_error(ctx->diag, number, ddl__text(ctx, name), (unsigned long)limit);
    }
    diag_area_warn(ctx->warnings, number, ddl__text(ctx, name), (unsigned long)limit);
    *io_text = charset_substring(collation_by_id(COLL_UTF8MB4_BIN)->cs, *io_text, 0, limit);
    return ERR_OK;
}

static bool bad_name(struct slice name)
{
    return name.len == 0 || name.ptr[name.len - 1] == ' ' ||
           memchr(name.ptr, '\0', name.len) != NULL;
}

static db_err check_name(struct ddl_ctx *ctx, struct slice name, enum my_errno number)
{
    if (ddl__too_long(name, DDL_NAME_CHARS_MAX)) {
        return my_error(ctx->diag, ER_TOO_LONG_IDENT, ddl__text(ctx, name));
    }
    return bad_name(name) ? my_error(ctx->diag, number, ddl__text(ctx, name)) : ERR_OK;
}

db_err ddl__check_schema_name(struct ddl_ctx *ctx, struct slice name)
{
    return check_name(ctx, name, ER_WRONG_DB_NAME);
}

db_err ddl__check_table_name(struct ddl_ctx *ctx, struct slice name)
{
    return check_name(ctx, name, ER_WRONG_TABLE_NAME);
}

db_err ddl__check_column_name(struct ddl_ctx *ctx, struct slice name)
{
    /* MYSQL: InnoDB's own columns; no table may have one of that name. */
    static const char *const taken[] = {"DB_ROW_ID", "DB_TRX_ID", "DB_ROLL_PTR"};
    for (size_t i = 0; i < ARRAY_COUNT(taken); i++) {
        if (slice_eq_nocase(name, slice_str(taken[i]))) {
            return my_error(ctx->diag, ER_WRONG_COLUMN_NAME, ddl__text(ctx, name));
        }
    }
    return check_name(ctx, name, ER_WRONG_COLUMN_NAME);
}

db_err ddl__schema_of(struct ddl_ctx *ctx, const struct ast_name *name, struct slice *ret_schema)
{
    struct slice schema = name->schema.ptr != NULL ? name->schema : ctx->bind->current_schema;
    if (schema.ptr == NULL) {
        return my_error(ctx->diag, ER_NO_DB_ERROR);
    }
    *ret_schema = schema;
    return ERR_OK;
}

db_err ddl__writable_schema(struct ddl_ctx *ctx, struct slice schema)
{
    if (slice_eq_nocase(schema, SLICE_LIT("information_schema")) ||
        slice_eq_nocase(schema, SLICE_LIT("performance_schema"))) {
        return my_error(ctx->diag, ER_DBACCESS_DENIED_ERROR, ddl__text(ctx, ctx->account_user),
                        ddl__text(ctx, ctx->account_host), ddl__text(ctx, schema));
    }
    return ERR_OK;
}

const char *ddl__full_name(struct ddl_ctx *ctx, struct slice schema, struct slice name)
{
    const char *text = arena_printf(ctx->arena, "%.*s.%.*s", SLICE_FMT(schema), SLICE_FMT(name));
    return text == NULL ? "?" : text;
}

static void unlock_others(struct ddl_ctx *ctx)
{
    if (ctx->coord_lock != NULL) {
        ctx->coord->ops->unlock_tables(ctx->coord_lock);
        ctx->coord_lock = NULL;
    }
}

static db_err lock_found(struct ddl_ctx *ctx, const struct ddl_target *targets, uint32_t count)
{
    uint64_t *ids = ARENA_ARRAY(ctx->arena, uint64_t, count + 1);
    uint32_t n = 0;
    if (ids == NULL) {
        return ERR_NOMEM;
    }
    for (uint32_t i = 0; i < count; i++) {
        if (targets[i].def != NULL) {
            ids[n++] = targets[i].def->id;
        }
    }
    if (ctx->mdl == NULL || n == 0 || ctx->locked) {
        return ERR_OK;
    }
    uint64_t deadline = ctx->lock_deadline_ns == 0 ? DEADLINE_NONE : ctx->lock_deadline_ns;
    if (ctx->coord == NULL) {
        return mdl_lock_exclusive(ctx->mdl, ctx->mdl_owner, ids, n, deadline, ctx->diag);
    }
    unlock_others(ctx); /* of an earlier try */
    return ctx->coord->ops->lock_tables(ctx->coord, ids, n, ctx->mdl_owner, deadline, ctx->diag,
                                        &ctx->coord_lock);
}

static bool resolve(const struct catalog_snapshot *snap, struct ddl_target *targets, uint32_t count)
{
    bool same = true;
    for (uint32_t i = 0; i < count; i++) {
        table_id_t before = targets[i].def == NULL ? 0 : targets[i].def->id;
        const struct table_def *t = snapshot_table(snap, targets[i].schema, targets[i].name);
        targets[i].def = t;
        same = same && before == (t == NULL ? 0 : t->id);
    }
    return same;
}

/* While the lock was waited for the name may have come to mean another table: then once more. */
db_err ddl__lock_targets(struct ddl_ctx *ctx, struct ddl_target *targets, uint32_t count,
                         const struct catalog_snapshot **ret_snapshot)
{
    uint32_t mark = ctx->mdl == NULL ? 0 : mdl_mark(ctx->mdl_owner);
    for (uint32_t i = 0; i < count; i++) {
        targets[i].def = NULL;
    }
    const struct catalog_snapshot *snap = catalog_acquire(ctx->catalog);
    bool same = resolve(snap, targets, count);
    for (;;) {
        db_err err = lock_found(ctx, targets, count);
        if (err != ERR_OK) {
            catalog_release(snap);
            return err;
        }
        const struct catalog_snapshot *now = catalog_acquire(ctx->catalog);
        same = resolve(now, targets, count);
        catalog_release(snap);
        snap = now;
        if (same) {
            *ret_snapshot = snap;
            return ERR_OK;
        }
        ddl__unlock_targets(ctx, mark);
    }
}

void ddl__unlock_targets(struct ddl_ctx *ctx, uint32_t mark)
{
    unlock_others(ctx);
    if (ctx->mdl != NULL) {
        mdl_release_to(ctx->mdl, ctx->mdl_owner, mark);
    }
}

/* Nobody knows whether the change was committed, and its commit may even be on its way. As long as
 * that is so nobody may go on with the old definition, nor with the new one. Behind the catalog's
 * fence what can be read is what is. Should that not be possible for long, each node sees to it by
 * itself before its next statement. */
#define DOUBT_TIME_NS  (30 * NS_PER_S)
#define DOUBT_PAUSE_NS (200 * NS_PER_MS)

static db_err fence(void *arg)
{
    struct ddl_ctx *ctx = arg;
    struct diag diag;
    uint64_t version;
    diag_reset(&diag);
    TRY(catalog_fence(ctx->catalog, &diag, &version));
    return ctx->coord == NULL ? ERR_OK
                              : ctx->coord->ops->publish_schema(ctx->coord, version, &diag);
}

static void end_doubt(struct ddl_ctx *ctx)
{
    db_err err = undisturbed_try(DOUBT_TIME_NS, DOUBT_PAUSE_NS, fence, ctx);
    if (err != ERR_OK) {
        LOG_ERROR("ddl.doubt", F_ERR(err));
        if (ctx->coord != NULL) {
            ctx->coord->ops->lose_schema(ctx->coord,
                                         ctx->locked ? ctx->outer_lock : ctx->coord_lock);
        }
    }
}

db_err ddl__commit(struct ddl_ctx *ctx, struct catalog_change *change)
{
    struct sql_coord_lock *held = ctx->locked ? ctx->outer_lock : ctx->coord_lock;
    if (held != NULL && !ctx->coord->ops->holds(held)) {
        catalog_change_abort(change);
        return diag_set(ctx->diag, ERR_UNAVAILABLE,
                        "a node was lost while the schema was changed: nothing has changed, try "
                        "again");
    }
    FAULT(ddl_before_commit);
    uint64_t version = snapshot_version(catalog_change_view(change));
    db_err err = catalog_change_commit(change, ctx->diag);
    if (err == ERR_OK && FAULT_DROP(ddl_commit_reply)) {
        err = diag_set(ctx->diag, ERR_COMMIT_UNKNOWN, "%s", err_text(ERR_COMMIT_UNKNOWN));
    }
    if (UNLIKELY(err == ERR_COMMIT_UNKNOWN)) {
        end_doubt(ctx);
    }
    TRY(err);
    return ctx->coord == NULL ? ERR_OK
                              : ctx->coord->ops->publish_schema(ctx->coord, version, ctx->diag);
}
