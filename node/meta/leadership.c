#include "node/meta/meta_int.h"

#include "base/assert.h"
#include "base/faults.h"
#include "base/log.h"

/* Meta's state follows the lease of the meta range.
 *
 * The hook only notes the change and takes `running` back at once; one fiber then lets go of the
 * old state or loads the new, until state and lease fit. All that is loaded is marked with the
 * lease's term: writes name the term and are refused under another one, and what a service has
 * computed counts only if the lease of that very term is still held afterwards. So neither a late
 * write nor a late answer of an old term does harm, whatever else goes on. */

#define TAKE_OVER_RETRY_NS (100 * NS_PER_MS)

static db_err note_led(void *arg, const struct range_desc *desc, bool serving)
{
    struct meta *m = arg;
    return serving ? range_index_changed(m, desc, m->self) : ERR_OK;
}

static db_err load(struct meta *m, uint64_t term)
{
    range_index_clear(&m->index);
    safe_point_forget(m);
    waits_forget(m);
    TRY(registry_load(m));
    TRY(range_index_load(m));
    TRY(tso_load(m, term));
    return range_store_each(m->rs, note_led, m);
}

/* False: try again later. */
static bool take_over(struct meta *m)
{
    uint64_t term = range_store_lease_term(m->rs, RANGE_ID_META);
    if (term == 0) {
        return false;
    }
    atomic_store(&m->term, term);
    db_err err = load(m, term);
    if (err != ERR_OK) {
        LOG_ERROR("meta.take_over", F_U64("term", term), F_ERR(err));
        return false;
    }
    FAULT(meta_taking_over);
    if (range_store_lease_term(m->rs, RANGE_ID_META) != term) {
        return false;
    }
    atomic_store(&m->running, true);
    LOG_INFO("meta.leads", F_U64("term", term));
    range_index_write_soon(m);
    return true;
}

void meta_follow_lease(struct meta *m)
{
    for (;;) {
        pthread_mutex_lock(&m->lead_lock);
        unsigned changes = m->lead_changes;
        bool held = m->lead_held;
        pthread_mutex_unlock(&m->lead_lock);
        atomic_store(&m->running, false);
        bool fits = !held || take_over(m);
        if (!held) {
            atomic_store(&m->term, 0);
        }
        pthread_mutex_lock(&m->lead_lock);
        bool same = changes == m->lead_changes;
        if (!same) {
            atomic_store(&m->running, false);
        }
        if ((same && fits) || !atomic_load(&m->started)) {
            m->lead_fiber = false;
            pthread_mutex_unlock(&m->lead_lock);
            return;
        }
        pthread_mutex_unlock(&m->lead_lock);
        if (!fits) {
            db_err err = fiber_sleep(TAKE_OVER_RETRY_NS);
            (void)err;
        }
    }
}

static void follow_fiber(void *arg)
{
    meta_follow_lease(arg);
    meta_fiber_ends(arg);
}

/* lead_fiber has been set. */
static void start_following(struct meta *m)
{
    if (meta_spawn(m, follow_fiber, m) != ERR_OK) {
        LOG_ERROR("meta.follow", F_STR("reason", "no fiber"));
        pthread_mutex_lock(&m->lead_lock);
        m->lead_fiber = false; /* the next heartbeat tries again */
        pthread_mutex_unlock(&m->lead_lock);
    }
}

void meta_lease_changed(struct meta *m, bool held)
{
    pthread_mutex_lock(&m->lead_lock);
    atomic_store(&m->running, false);
    m->lead_held = held;
    m->lead_changes++;
    bool spawn = atomic_load(&m->started) && !m->lead_fiber;
    m->lead_fiber = m->lead_fiber || spawn;
    pthread_mutex_unlock(&m->lead_lock);
    if (spawn) {
        start_following(m);
    }
}

void meta_follow_again(struct meta *m)
{
    pthread_mutex_lock(&m->lead_lock);
    bool fits = m->lead_held == atomic_load(&m->running);
    bool spawn = !fits && atomic_load(&m->started) && !m->lead_fiber;
    m->lead_fiber = m->lead_fiber || spawn;
    pthread_mutex_unlock(&m->lead_lock);
    if (spawn) {
        start_following(m);
    }
}

bool meta_leads(struct meta *m)
{
    if (!atomic_load_explicit(&m->running, memory_order_acquire)) {
        return false;
    }
    uint64_t term = atomic_load_explicit(&m->term, memory_order_relaxed);
    return term != 0 && range_store_lease_term(m->rs, RANGE_ID_META) == term;
}

db_err meta_check(struct meta *m, struct diag *diag)
{
    if (LIKELY(meta_leads(m))) {
        return ERR_OK;
    }
    struct range_status st;
    node_id_t leader = 0;
    if (atomic_load(&m->started) && range_store_status(m->rs, RANGE_ID_META, &st) == ERR_OK &&
        st.leader_node != m->self) {
        leader = st.leader_node;
    }
    diag_set(diag, ERR_NOT_LEADER, "this node does not lead the meta range");
    if (diag != NULL) {
        diag->data = leader;
    }
    return ERR_NOT_LEADER;
}
