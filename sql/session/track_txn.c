/* What OK packets tell of the transaction, for clients with CLIENT_SESSION_TRACK that might move it
 * to another server: what it has done so far (SESSION_TRACK_TRANSACTION_STATE, "T_R_W_S_") and the
 * statements that begin it anew (SESSION_TRACK_TRANSACTION_CHARACTERISTICS).
 *
 * MYSQL: session_track_transaction_info. The beginning and the end of explicit transactions are
 * told even when it is OFF. A state is told when it is another one than was told last;
 * characteristics when they change, and with each beginning and end. What a failed statement has
 * done is told by the next OK. */
#include "sql/charset/charset.h"
#include "sql/session/session_int.h"

enum { TELLS_NOTHING, TELLS_STATE, TELLS_CHARACTERISTICS };

static bool in_transaction(const struct txn_track *t)
{
    return (t->now & (TRACK_EXPLICIT | TRACK_IMPLICIT)) != 0;
}

void track_txn__begin(struct sql_session *s, bool snapshot)
{
    s->txn_track.now = TRACK_EXPLICIT;
    s->txn_track.again = true;
    if (snapshot) {
        track_txn__use(s, TRACK_SNAPSHOT);
    }
}

void track_txn__end(struct sql_session *s)
{
    struct txn_track *t = &s->txn_track;
    t->again = t->again || (t->now & TRACK_EXPLICIT) != 0;
    t->now &= TRACK_LOCKED;
}

void track_txn__use(struct sql_session *s, unsigned what)
{
    enum { TABLES = TRACK_READ | TRACK_READ_OTHER | TRACK_WRITE };
    struct txn_track *t = &s->txn_track;
    if (!t->on && what != TRACK_SNAPSHOT) {
        return;
    }
    if (!in_transaction(t) && !s->vars.autocommit && (what & TABLES) != 0) {
        t->now |= TRACK_IMPLICIT;
    }
    if (in_transaction(t) || (what & TRACK_LOCKED) != 0) {
        t->now |= (uint16_t)what;
    }
}

/* MYSQL: tables that foreign keys bring in are read, but for children whose rows a DELETE takes
 * along. */
static bool reads_for_keys(const struct plan *plan)
{
    bool reads = plan->fk_lock_count != 0 && plan->kind != BOUND_DELETE;
    for (uint32_t i = 0; i < plan->fk_lock_count && !reads; i++) {
        const struct table_def *t = plan->fk_locks[i];
        for (uint32_t k = 0; k < t->foreign_key_count; k++) {
            reads = reads || t->foreign_keys[k].on_delete != FK_CASCADE;
        }
    }
    return reads;
}

void track_txn__use_plan(struct sql_session *s, const struct plan *plan, bool shows)
{
    unsigned what = 0;
    if (s->is_own_query) {
        return;
    }
    what |= (plan->use & PLAN_USE_READS) != 0 ? TRACK_READ : 0u;
    what |= s->vars.foreign_key_checks && reads_for_keys(plan) ? TRACK_READ : 0u;
    what |= (plan->use & PLAN_USE_READS_OTHER) != 0 ? TRACK_READ_OTHER : 0u;
    what |= (plan->use & PLAN_USE_WRITES) != 0 ? TRACK_WRITE : 0u;
    what |= (plan->use & PLAN_USE_UNSAFE) != 0 && !shows ? TRACK_UNSAFE : 0u;
    track_txn__use(s, what);
}

void track_txn__unlock(struct sql_session *s)
{
    if (s->txn_track.on) {
        s->txn_track.now &= (uint16_t)~TRACK_LOCKED;
    }
}

void track_txn__next(struct sql_session *s)
{
    struct txn_track *t = &s->txn_track;
    const struct txn_next *n = &s->next;
    uint8_t isolation = n->has_isolation ? (uint8_t)(1 + n->isolation) : 0;
    uint8_t access = !n->has_access ? TRACK_ACCESS_DEFAULT
                     : n->read_only ? TRACK_READ_ONLY
                                    : TRACK_READ_WRITE;
    if (!t->on || (isolation == t->isolation && access == t->access)) {
        return;
    }
    t->isolation = isolation;
    t->access = access;
    t->again = true;
}

void track_txn__switched(struct sql_session *s)
{
    struct txn_track *t = &s->txn_track;
    int64_t level = vars__get(s, VAR_session_track_transaction_info)->i;
    if (level != TELLS_NOTHING && !t->on) {
        t->now = t->told = 0;
    }
    t->on = level != TELLS_NOTHING;
    t->again = t->again || level == TELLS_CHARACTERISTICS;
}

/* ---- telling ---- */

bool track_txn__has_news(const struct sql_session *s)
{
    return s->txn_track.now != s->txn_track.told || s->txn_track.again;
}

static db_err state(struct sql_session *s, struct slice *ret)
{
    unsigned now = s->txn_track.now;
    const char text[] = {(now & TRACK_EXPLICIT) != 0   ? 'T'
                         : (now & TRACK_IMPLICIT) != 0 ? 'I'
                                                       : '_',
                         (now & TRACK_READ_OTHER) != 0 ? 'r' : '_',
                         (now & (TRACK_READ | TRACK_SNAPSHOT)) != 0 ? 'R' : '_',
                         '_', /* there are no tables without transactions to write to */
                         (now & TRACK_WRITE) != 0 ? 'W' : '_',
                         (now & TRACK_UNSAFE) != 0 ? 's' : '_',
                         (now & TRACK_RESULT) != 0 ? 'S' : '_',
                         (now & TRACK_LOCKED) != 0 ? 'L' : '_'};
    return arena_copy(&s->stmt_arena, slice_of(text, sizeof(text)), ret);
}

/* MYSQL: what SET TRANSACTION has said, then BEGIN if there is a transaction. */
static db_err characteristics(struct sql_session *s, struct slice *ret)
{
    static const char *const levels[] = {[0] = "",
                                         [1 + STORAGE_READ_UNCOMMITTED] = "READ UNCOMMITTED",
                                         [1 + STORAGE_READ_COMMITTED] = "READ COMMITTED",
                                         [1 + STORAGE_REPEATABLE_READ] = "REPEATABLE READ",
                                         [1 + STORAGE_SNAPSHOT] = "REPEATABLE READ",
                                         [1 + STORAGE_SERIALIZABLE] = "SERIALIZABLE"};
    static const char *const accesses[] = {"", "READ WRITE", "READ ONLY"};
    const struct txn_track *t = &s->txn_track;
    bool begun = (t->now & TRACK_EXPLICIT) != 0;
    bool snapshot = (t->now & TRACK_SNAPSHOT) != 0;
    const char *text =
        arena_printf(&s->stmt_arena, "%s%s%s%s%s%s%s%s%s",
                     t->isolation != 0 ? "SET TRANSACTION ISOLATION LEVEL " : "",
                     levels[t->isolation], t->isolation != 0 ? "; " : "",
                     begun            ? "START TRANSACTION"
                     : t->access != 0 ? "SET TRANSACTION"
                                      : "",
                     begun && snapshot ? " WITH CONSISTENT SNAPSHOT" : "",
                     begun && snapshot && t->access != 0 ? "," : "", t->access != 0 ? " " : "",
                     accesses[t->access], begun || t->access != 0 ? "; " : "");
    if (text == NULL) {
        return ERR_LIMIT;
    }
    *ret = charset_trim_space(slice_str(text));
    return ERR_OK;
}

db_err track_txn__tell(struct statement *st, const struct sql_state_change **io)
{
    struct sql_session *s = st->session;
    struct txn_track *t = &s->txn_track;
    struct slice text;
    if (t->again && vars__get(s, VAR_session_track_transaction_info)->i == TELLS_CHARACTERISTICS) {
        TRY(characteristics(s, &text));
        TRY(track__tell(st, SQL_TRACK_TXN_CHARACTERISTICS, SLICE_EMPTY, text, io));
    }
    if (t->now != t->told) {
        TRY(state(s, &text));
        TRY(track__tell(st, SQL_TRACK_TXN_STATE, SLICE_EMPTY, text, io));
    }
    t->told = t->now;
    t->again = false;
    return ERR_OK;
}
