/* The end of a change of accounts: it is in the storage, and every node has read it.
 *
 * As a change of the schema holds its tables, one of accounts holds a lock on all nodes, under an
 * id that no table has. Nobody else asks what it is good for: should the statement's node die, or
 * be silent, the others notice by their part of the lock. They fence the accounts then
 * (accounts_fence) and go on with what is in the storage (sql_peer_ops.fence_schema). Without it
 * nobody would hear of a change that was committed by a node which died before it could tell. */
#include "base/faults.h"
#include "base/fiber.h"
#include "base/log.h"
#include "sql/session/session_int.h"

#define DOUBT_TIME_NS  (30 * NS_PER_S)
#define DOUBT_PAUSE_NS (200 * NS_PER_MS)

db_err session__publish_accounts(struct sql_session *s)
{
    struct sql_coord *c = s->engine->opts.coord;
    return c == NULL ? ERR_OK : c->ops->publish_accounts(c, &s->diag);
}

static db_err fence(void *arg)
{
    struct sql_session *s = arg;
    struct sql_coord *c = s->engine->opts.coord;
    struct diag diag;
    diag_reset(&diag);
    TRY(accounts_fence(s->engine->accounts, &diag));
    return c == NULL ? ERR_OK : c->ops->publish_accounts(c, &diag);
}

/* The change may be in force, or on its way, and nobody here knows. Behind a fence what can be read
 * is what is. Should that not be possible for long, each node sees to it by itself. */
static void end_doubt(struct sql_session *s)
{
    struct sql_coord *c = s->engine->opts.coord;
    db_err err = undisturbed_try(DOUBT_TIME_NS, DOUBT_PAUSE_NS, fence, s);
    if (err != ERR_OK) {
        LOG_ERROR("accounts.doubt", F_ERR(err));
        if (c != NULL) {
            c->ops->lose_schema(c, s->global_locks.accounts.everywhere);
        }
    }
}

db_err account__commit(struct sql_session *s, struct acl_change *c)
{
    const struct sql_coord_lock *held = s->global_locks.accounts.everywhere;
    if (held != NULL && !s->engine->opts.coord->ops->holds(held)) {
        acl_change_abort(c);
        return diag_set(&s->diag, ERR_UNAVAILABLE,
                        "a node was lost while accounts were changed: nothing has changed, try "
                        "again");
    }
    db_err err = acl_change_commit(c, &s->diag);
    if (err == ERR_OK && FAULT_DROP(acl_commit_reply)) {
        err = diag_set(&s->diag, ERR_COMMIT_UNKNOWN, "%s", err_text(ERR_COMMIT_UNKNOWN));
    }
    if (UNLIKELY(err == ERR_COMMIT_UNKNOWN)) {
        end_doubt(s);
    }
    TRY(err);
    TRY(session__publish_accounts(s));
    return priv_refresh(&s->priv);
}
