/* Who is in the group, and how that changes.
 *
 * A configuration takes effect on a replica as soon as its entry is in the replica's log, committed
 * or not (Ongaro's thesis, chapter 4), and the entry holds the whole new configuration, so nothing
 * has to be replayed to know it. A leader appends one only when the one before is committed and it
 * has committed an entry of its own term; so in any log at most the last configuration entry is
 * uncommitted, and one step back is all that a truncation can need.
 *
 * One voter more or less is a simple change: the majorities before and after have a member in
 * common. More than that goes through a joint configuration, in which the voters of before
 * (OUTGOING) and after (VOTER) must both agree; when it is committed the leader leaves it on its
 * own. Learners come and go with either.
 *
 * A leader that is not a voter of a committed, final configuration hands over to the voter that is
 * furthest and steps down. From the moment the entry is in its log it holds no lease. */
#include "node/raft/raft_int.h"

#include <string.h>

#include "base/alloc.h"

bool raft_conf_is_joint(const struct raft_conf *conf)
{
    uint8_t roles = 0;
    ASSERT(conf->count <= RAFT_MEMBERS_MAX);
    for (uint32_t i = 0; i < conf->count; i++) {
        roles |= conf->members[i].roles;
    }
    return (roles & RAFT_ROLE_OUTGOING) != 0;
}

int raft__conf_find(const struct raft_conf *conf, uint64_t id)
{
    ASSERT(conf->count <= RAFT_MEMBERS_MAX);
    for (uint32_t i = 0; i < conf->count; i++) {
        if (conf->members[i].id == id) {
            return (int)i;
        }
    }
    return -1;
}

uint8_t raft_conf_roles(const struct raft_conf *conf, uint64_t id)
{
    int at = raft__conf_find(conf, id);
    ASSERT(at < (int)RAFT_MEMBERS_MAX);
    return at < 0 ? 0 : conf->members[at].roles;
}

/* Portable form: version, count, then per member the id (little-endian) and the roles. */
enum { CONF_FORMAT = 1 };

size_t raft_conf_encode(const struct raft_conf *conf, uint8_t *ret_bytes)
{
    ASSERT(conf->count <= RAFT_MEMBERS_MAX);
    uint8_t *p = ret_bytes;
    *p++ = CONF_FORMAT;
    *p++ = (uint8_t)conf->count;
    for (uint32_t i = 0; i < conf->count; i++) {
        for (int b = 0; b < 8; b++) {
            *p++ = (uint8_t)(conf->members[i].id >> (8 * b));
        }
        *p++ = conf->members[i].roles;
    }
    return (size_t)(p - ret_bytes);
}

static bool conf_valid(const struct raft_conf *conf)
{
    bool voter = false;
    for (uint32_t i = 0; i < conf->count; i++) {
        const struct raft_member *m = &conf->members[i];
        uint8_t roles = m->roles;
        if (m->id == 0 || (i > 0 && m->id <= conf->members[i - 1].id) || roles == 0 || roles > 7) {
            return false;
        }
        if ((roles & RAFT_ROLE_VOTER) != 0 && (roles & RAFT_ROLE_LEARNER) != 0) {
            return false;
        }
        voter = voter || (roles & RAFT_ROLE_VOTER) != 0;
    }
    ASSERT(conf->count <= RAFT_MEMBERS_MAX);
    return voter;
}

db_err raft_conf_decode(struct slice bytes, struct raft_conf *ret_conf)
{
    if (bytes.len < 2 || bytes.ptr[0] != CONF_FORMAT || bytes.ptr[1] > RAFT_MEMBERS_MAX ||
        bytes.len != 2 + 9 * (size_t)bytes.ptr[1]) {
        return ERR_CORRUPT;
    }
    struct raft_conf conf;
    memset(&conf, 0, sizeof(conf));
    conf.count = bytes.ptr[1];
    const uint8_t *p = bytes.ptr + 2;
    for (uint32_t i = 0; i < conf.count; i++) {
        for (int b = 0; b < 8; b++) {
            conf.members[i].id |= (uint64_t)*p++ << (8 * b);
        }
        conf.members[i].roles = *p++;
    }
    ASSERT(p == bytes.ptr + bytes.len);
    if (!conf_valid(&conf)) {
        return ERR_CORRUPT;
    }
    *ret_conf = conf;
    return ERR_OK;
}

void raft__conf_note(struct raft *r)
{
    uint32_t voters = 0;
    ASSERT(r->conf.count <= RAFT_MEMBERS_MAX);
    for (uint32_t i = 0; i < r->conf.count; i++) {
        voters +=
            (r->conf.members[i].roles & (RAFT_ROLE_VOTER | RAFT_ROLE_OUTGOING)) != 0 ? 1u : 0u;
    }
    uint8_t roles = raft_conf_roles(&r->conf, r->id);
    r->self_voter = (roles & (RAFT_ROLE_VOTER | RAFT_ROLE_OUTGOING)) != 0;
    r->sole_voter = voters == 1 && r->self_voter;
    r->conf_joint = raft_conf_is_joint(&r->conf);
}

/* Whoever is a voter; and whoever has been removed by an entry that is not known to be committed:
 * its log may be the only one that reaches so far, and the others cannot elect anybody else then.
 */
bool raft__may_campaign(const struct raft *r)
{
    uint8_t before = raft_conf_roles(&r->prev_conf, r->id);
    ASSERT(r->prev_conf_index <= r->conf_index);
    return r->self_voter ||
           (r->conf_index > r->commit && (before & (RAFT_ROLE_VOTER | RAFT_ROLE_OUTGOING)) != 0);
}

/* ---- computing a change ---- */

static int conf_add(struct raft_conf *conf, uint64_t id)
{
    int at = raft__conf_find(conf, id);
    if (at >= 0) {
        return at;
    }
    if (conf->count == RAFT_MEMBERS_MAX || id == 0) {
        return -1;
    }
    uint32_t i = conf->count++;
    for (; i > 0 && conf->members[i - 1].id > id; i--) {
        conf->members[i] = conf->members[i - 1];
    }
    ASSERT(i < RAFT_MEMBERS_MAX);
    conf->members[i] = (struct raft_member){.id = id, .roles = 0};
    return (int)i;
}

/* The target of the changes, in plain roles; members that go have roles 0. */
static bool conf_target(const struct raft_conf *now, const struct raft_change *changes,
                        size_t count, struct raft_conf *ret_conf)
{
    ASSERT(!raft_conf_is_joint(now));
    *ret_conf = *now;
    for (size_t i = 0; i < count; i++) {
        int at = changes[i].op == RAFT_CHANGE_REMOVE ? raft__conf_find(ret_conf, changes[i].id)
                                                     : conf_add(ret_conf, changes[i].id);
        if (at < 0) {
            return false;
        }
        switch (changes[i].op) {
        case RAFT_CHANGE_ADD_VOTER: ret_conf->members[at].roles = RAFT_ROLE_VOTER; break;
        case RAFT_CHANGE_ADD_LEARNER: ret_conf->members[at].roles = RAFT_ROLE_LEARNER; break;
        case RAFT_CHANGE_REMOVE: ret_conf->members[at].roles = 0; break;
        }
    }
    return true;
}

static void conf_drop_empty(struct raft_conf *conf)
{
    uint32_t n = 0;
    ASSERT(conf->count <= RAFT_MEMBERS_MAX);
    for (uint32_t i = 0; i < conf->count; i++) {
        if (conf->members[i].roles != 0) {
            conf->members[n++] = conf->members[i];
        }
    }
    for (uint32_t i = n; i < conf->count; i++) {
        conf->members[i] = (struct raft_member){0, 0};
    }
    conf->count = n;
}

static bool conf_equal(const struct raft_conf *a, const struct raft_conf *b)
{
    ASSERT(a->count <= RAFT_MEMBERS_MAX);
    if (a->count != b->count) {
        return false;
    }
    for (uint32_t i = 0; i < a->count; i++) {
        if (a->members[i].id != b->members[i].id || a->members[i].roles != b->members[i].roles) {
            return false;
        }
    }
    return true;
}

/* Marks the old voters when the change is more than one voter. */
static void conf_make_joint(const struct raft_conf *now, struct raft_conf *next)
{
    unsigned delta = 0;
    for (uint32_t i = 0; i < next->count; i++) {
        bool was = (raft_conf_roles(now, next->members[i].id) & RAFT_ROLE_VOTER) != 0;
        bool is = (next->members[i].roles & RAFT_ROLE_VOTER) != 0;
        delta += was != is ? 1 : 0;
    }
    ASSERT(next->count >= now->count);
    for (uint32_t i = 0; delta > 1 && i < next->count; i++) {
        if ((raft_conf_roles(now, next->members[i].id) & RAFT_ROLE_VOTER) != 0) {
            next->members[i].roles |= RAFT_ROLE_OUTGOING;
        }
    }
    conf_drop_empty(next);
}

/* Appends a configuration entry; space for it has been reserved by raft_step. */
static db_err conf_entry(struct raft *r, const struct raft_conf *conf)
{
    ASSERT(r->role == RAFT_LEADER);
    struct blob *blob = blob_new(RAFT_CONF_ENCODED_MAX);
    if (blob == NULL) {
        return ERR_NOMEM;
    }
    size_t size = raft_conf_encode(conf, blob->data);
    raft__leader_append(r, RAFT_ENTRY_CONF, slice_of(blob->data, size), blob);
    blob_unref(blob);
    raft__conf_append(r, conf, r->last);
    raft__leader_commit(r);
    return ERR_OK;
}

db_err raft__conf_change(struct raft *r, const struct raft_change *changes, size_t count)
{
    if (r->role != RAFT_LEADER) {
        return ERR_NOT_LEADER;
    }
    if (r->commit < r->term_start || r->conf_index > r->commit || r->conf_joint ||
        r->transfer_to != 0) {
        return ERR_BUSY;
    }
    struct raft_conf next;
    if (!conf_target(&r->conf, changes, count, &next)) {
        return ERR_INVALID;
    }
    conf_make_joint(&r->conf, &next);
    if (!conf_valid(&next) || conf_equal(&next, &r->conf)) {
        return ERR_INVALID;
    }
    TRY(raft__prepare_to_lead(r, next.count));
    raft__wake(r);
    return conf_entry(r, &next);
}

void raft__conf_append(struct raft *r, const struct raft_conf *conf, uint64_t index)
{
    ASSERT(index > r->conf_index);
    r->prev_conf = r->conf;
    r->prev_conf_index = r->conf_index;
    r->conf = *conf;
    r->conf_index = index;
    raft__conf_note(r);
    if (r->role == RAFT_LEADER) {
        raft__progress_rebuild(r, &r->prev_conf);
    }
}

void raft__conf_truncate(struct raft *r, uint64_t from)
{
    if (r->conf_index < from) {
        return;
    }
    /* Only followers truncate, and only the last configuration entry of a log can be uncommitted.
     */
    ASSERT(r->role != RAFT_LEADER);
    ASSERT(r->prev_conf_index < from);
    r->conf = r->prev_conf;
    r->conf_index = r->prev_conf_index;
    raft__conf_note(r);
}

/* A leader that is going: the voter with the longest log takes over without waiting for a time-out.
 */
static void hand_over(struct raft *r)
{
    const struct raft__progress *best = NULL;
    ASSERT(r->role == RAFT_LEADER);
    for (uint32_t i = 0; i < r->conf.count; i++) {
        if ((r->conf.members[i].roles & RAFT_ROLE_VOTER) != 0 &&
            (best == NULL || r->peers[i].match > best->match)) {
            best = &r->peers[i];
        }
    }
    if (best != NULL) {
        raft__out(r, RAFT_MSG_TIMEOUT_NOW, best->id);
    }
    raft__become_follower(r, r->term, 0);
}

void raft__conf_committed(struct raft *r)
{
    ASSERT(r->role == RAFT_LEADER);
    if (r->commit < r->conf_index || r->commit < r->term_start) {
        return;
    }
    if (r->conf_joint) {
        struct raft_conf next = r->conf;
        for (uint32_t i = 0; i < next.count; i++) {
            next.members[i].roles &= (uint8_t)~RAFT_ROLE_OUTGOING;
        }
        conf_drop_empty(&next);
        /* Out of memory: tried again at the next heartbeat. */
        (void)(conf_entry(r, &next) == ERR_OK);
        return;
    }
    if ((raft_conf_roles(&r->conf, r->id) & RAFT_ROLE_VOTER) == 0) {
        hand_over(r);
    }
}

/* At start: finds the configuration entries after the one given by the owner. */
db_err raft__conf_scan(struct raft *r)
{
    uint64_t from = (r->conf_index > r->applied ? r->conf_index : r->applied) + 1;
    while (from <= r->last) {
        const struct raft_entry *entries = NULL;
        size_t count = 0;
        db_err err = raft__entries_get(r, from, r->last + 1, RAFT_SCAN_BYTES, &entries, &count);
        for (size_t i = 0; err == ERR_OK && i < count; i++) {
            if (entries[i].type != RAFT_ENTRY_CONF) {
                continue;
            }
            struct raft_conf conf;
            err = raft_conf_decode(entries[i].data, &conf);
            if (err == ERR_OK) {
                raft__conf_append(r, &conf, entries[i].index);
            }
        }
        arena_reset(&r->pages);
        TRY(err);
        ASSERT(count > 0);
        from += count;
    }
    return ERR_OK;
}
