#include "base/alloc.h"
#include "base/assert.h"
#include "base/log.h"
#include "base/sha_crypt.h"
#include "node/meta/meta_int.h"
#include "node/store/keyspace.h"
#include "proto/kv_codec.h"

/* The register of members, at the leader of the meta range.
 *
 * A member's record (id, state, addresses, boot id) is in the meta range and changes seldom; when
 * it was last heard of is in memory, and a new leader gives everybody time before it calls anybody
 * dead. A node that joins shows the cluster's token (kept as a hash) and gets the next id; a member
 * shows its id and boot id with each heartbeat. Two living processes with one id are two copies of
 * one data directory: the second one is refused. One that listens where the first did can only have
 * taken its place.
 *
 * Records are written one at a time, each made from what the one before has left: else a node that
 * comes back while an operator sends it away, or while others go on without it, would undo that.
 *
 * There is room for NODES_MAX members. Those that have left stay known until their places are
 * needed: to whoever asks for one of them afterwards it is a stranger, which says the same. */

#define SUSPECT_AFTER_NS (3 * NS_PER_S)
/* As long as a process that died without a word may still be taken for living when it comes back.
 */
#define REPLACE_AFTER_NS (2 * NS_PER_S)

db_err registry_init(struct registry *g)
{
    fiber_mutex_init(&g->writing);
    return pthread_mutex_init(&g->mutex, NULL) == 0 ? ERR_OK : ERR_NOMEM;
}

void registry_fini(struct registry *g)
{
    pthread_mutex_destroy(&g->mutex);
}

static struct slice node_key(node_id_t id, uint8_t out[8])
{
    put_be64(out, id);
    return slice_of(out, 8);
}

/* Under the mutex: a free place, or that of the first one that has left. NULL: there is none. */
static struct member *place_for_one(struct registry *g)
{
    struct member *left = NULL;
    if (g->count < NODES_MAX) {
        return &g->members[g->count];
    }
    for (unsigned i = 0; i < NODES_MAX; i++) {
        struct member *b = &g->members[i];
        if (b->info.state == NODE_LEFT && (left == NULL || b->info.id < left->info.id)) {
            left = b;
        }
    }
    return left;
}

static void take_place(struct registry *g, struct member *place, const struct node_info *info)
{
    g->count += place == &g->members[g->count];
    *place = (struct member){.info = *info};
}

/* Whatever is found, the cluster must have a leader: more records than there can be members do not
 * keep it from that. */
static db_err load_member(void *arg, struct slice name, struct slice value)
{
    struct registry *g = arg;
    struct node_info info;
    TRY(node_info_decode(value, &info));
    if (name.len != 8 || get_be64(name.ptr) != info.id) {
        return ERR_CORRUPT;
    }
    struct member *place = place_for_one(g);
    if (place == NULL || (g->count == NODES_MAX && info.state == NODE_LEFT)) {
        LOG_WARN("meta.member.no_room", F_U64("node", info.id));
        return ERR_OK;
    }
    take_place(g, place, &info);
    return ERR_OK;
}

static void hash_token(struct slice token, uint8_t ret_hash[TOKEN_HASH_SIZE])
{
    sha256_two(SLICE_LIT("skeindb join token"), token, ret_hash);
}

static db_err load_token(struct meta *m, struct registry *g)
{
    struct arena a;
    struct slice v;
    arena_init(&a, NULL, NULL, 0);
    db_err err = meta_kv_get(m, META_KEY_TOKEN, SLICE_EMPTY, &a, &g->has_token, &v);
    if (err == ERR_OK && g->has_token) {
        if (v.len != TOKEN_HASH_SIZE) {
            err = ERR_CORRUPT;
        } else {
            memcpy(g->token_hash, v.ptr, TOKEN_HASH_SIZE);
        }
    }
    arena_fini(&a);
    return err;
}

/* Length of the certificate (4 bytes, big-endian) | certificate | key, both PEM. Empty slices when
 * there is none. */
static db_err load_ca(struct meta *m, struct arena *a, struct slice *ret_cert,
                      struct slice *ret_key)
{
    bool found;
    struct slice v;
    TRY(meta_kv_get(m, META_KEY_CA, SLICE_EMPTY, a, &found, &v));
    if (!found) {
        *ret_cert = *ret_key = SLICE_EMPTY;
        return ERR_OK;
    }
    size_t len = v.len < 4 ? SIZE_MAX
                           : (size_t)v.ptr[0] << 24 | (size_t)v.ptr[1] << 16 |
                                 (size_t)v.ptr[2] << 8 | v.ptr[3];
    if (v.len < 4 || len >= v.len - 4) {
        return ERR_CORRUPT;
    }
    *ret_cert = slice_of(v.ptr + 4, len);
    *ret_key = slice_from(v, 4 + len);
    return ERR_OK;
}

db_err registry_load(struct meta *m)
{
    struct arena a;
    struct slice ca_cert;
    struct slice ca_key;
    struct registry *g = &m->registry;
    struct registry *fresh = mem_calloc(1, sizeof(*fresh));
    if (fresh == NULL) {
        return ERR_NOMEM;
    }
    db_err err = meta_kv_each(m, META_KEY_NODE, load_member, fresh);
    err = err == ERR_OK ? load_token(m, fresh) : err;
    arena_init(&a, NULL, NULL, 0);
    err = err == ERR_OK ? load_ca(m, &a, &ca_cert, &ca_key) : err;
    fresh->has_ca = err == ERR_OK && ca_cert.len != 0;
    arena_fini(&a);
    if (err == ERR_OK) {
        pthread_mutex_lock(&g->mutex);
        memcpy(g->members, fresh->members, sizeof(g->members));
        memcpy(g->token_hash, fresh->token_hash, sizeof(g->token_hash));
        g->has_token = fresh->has_token;
        g->has_ca = fresh->has_ca;
        g->count = fresh->count;
        g->version++;
        g->since_ns = clock_mono_ns();
        pthread_mutex_unlock(&g->mutex);
    }
    mem_free(fresh);
    return err;
}

/* ---- reading ---- */

static enum node_liveness liveness(const struct meta *m, const struct registry *g,
                                   const struct member *b, uint64_t now)
{
    uint64_t heard = b->heard_ns > g->since_ns ? b->heard_ns : g->since_ns;
    if (b->heard_ns > g->since_ns && now - heard < SUSPECT_AFTER_NS) {
        return NODE_ALIVE; /* a new leader takes nobody's word for it: the old one may be the reason
                              why it leads */
    }
    return now - heard < m->opts.dead_after_ms * NS_PER_MS ? NODE_SUSPECT : NODE_DEAD;
}

db_err registry_directory(struct meta *m, struct arena *arena, struct node_directory *ret_dir)
{
    struct registry *g = &m->registry;
    uint64_t now = clock_mono_ns();
    struct store_ident ident = range_store_ident(m->rs);
    struct node_directory dir = {.meta_term = atomic_load(&m->term), .wall_us = clock_wall_us()};
    memcpy(dir.cluster_id, ident.cluster_id, sizeof(dir.cluster_id));
    pthread_mutex_lock(&g->mutex);
    dir.nodes = ARENA_ARRAY(arena, struct node_info, g->count);
    for (unsigned i = 0; dir.nodes != NULL && i < g->count; i++) {
        const struct member *b = &g->members[i];
        uint64_t heard = b->heard_ns > g->since_ns ? b->heard_ns : g->since_ns;
        dir.nodes[i] = b->info;
        dir.nodes[i].liveness = liveness(m, g, b, now);
        dir.nodes[i].heard_ms = (uint32_t)((now - heard) / NS_PER_MS);
    }
    dir.count = g->count;
    dir.version = g->version;
    pthread_mutex_unlock(&g->mutex);
    if (dir.nodes == NULL) {
        return ERR_NOMEM;
    }
    TRY(safe_point_get(m, arena, &dir.safe_point));
    *ret_dir = dir;
    return ERR_OK;
}

/* Under the mutex. */
static struct member *find(struct registry *g, node_id_t id)
{
    for (unsigned i = 0; i < g->count; i++) {
        if (g->members[i].info.id == id) {
            return &g->members[i];
        }
    }
    return NULL;
}

/* ---- writing: first the meta range, then memory; with `writing` held ---- */

static db_err add_record(struct store_batch *b, const struct node_info *info)
{
    struct buf value;
    uint8_t key[8];
    struct node_info kept = *info;
    kept.liveness = NODE_DEAD; /* not kept */
    kept.heard_ms = kept.ranges = kept.leases = 0;
    buf_init(&value, 4096);
    db_err err = node_info_encode(&kept, &value);
    if (err == ERR_OK) {
        err = meta_kv_put(b, META_KEY_NODE, node_key(info->id, key), buf_slice(&value));
    }
    buf_fini(&value);
    return err;
}

/* gone: a member whose record goes at the same time; 0: none. */
static db_err write_member(struct meta *m, uint64_t term, const struct node_info *info,
                           node_id_t gone, struct diag *diag)
{
    struct store_batch b;
    uint8_t key[8];
    store_batch_init(&b);
    db_err err = add_record(&b, info);
    if (err == ERR_OK && gone != 0) {
        err = meta_kv_delete(&b, META_KEY_NODE, node_key(gone, key));
    }
    if (err == ERR_OK) {
        err = meta_kv_write(m, term, &b, diag);
    }
    store_batch_fini(&b);
    return err == ERR_COMMIT_UNKNOWN
               ? diag_set(diag, ERR_UNAVAILABLE, "the register of members cannot be written")
               : err;
}

static db_err no_room(struct diag *diag)
{
    return diag_set(diag, ERR_LIMIT, "the cluster has %d members: there is no room for another",
                    NODES_MAX);
}

static db_err put_member(struct meta *m, uint64_t term, const struct node_info *info, bool heard,
                         struct diag *diag)
{
    struct registry *g = &m->registry;
    pthread_mutex_lock(&g->mutex);
    struct member *b = find(g, info->id);
    struct member *place = b != NULL ? b : place_for_one(g);
    node_id_t gone = b == NULL && place != NULL && g->count == NODES_MAX ? place->info.id : 0;
    pthread_mutex_unlock(&g->mutex);
    if (place == NULL) {
        return no_room(diag);
    }
    TRY(write_member(m, term, info, gone, diag));
    pthread_mutex_lock(&g->mutex);
    if (atomic_load(&m->term) == term) { /* else all was, or will be, read again */
        b = find(g, info->id);
        place = b != NULL ? b : place_for_one(g);
        if (b == NULL && place != NULL) {
            take_place(g, place, info);
        }
        if (place != NULL) {
            place->info = *info;
            place->heard_ns = heard ? clock_mono_ns() : place->heard_ns;
        }
        g->version++;
    }
    pthread_mutex_unlock(&g->mutex);
    return ERR_OK;
}

/* The addresses and the boot id are as the member says, the rest is as it was decided. */
static db_err put_changed(struct meta *m, uint64_t term, const struct node_info *self,
                          struct diag *diag)
{
    struct registry *g = &m->registry;
    struct node_info info = *self;
    fiber_mutex_lock(&g->writing);
    pthread_mutex_lock(&g->mutex);
    const struct member *b = find(g, self->id);
    if (b != NULL) {
        info.state = b->info.state;
        info.fences = b->info.fences;
    }
    pthread_mutex_unlock(&g->mutex);
    db_err err = put_member(m, term, &info, true, diag);
    fiber_mutex_unlock(&g->writing);
    return err;
}

/* ---- joining ---- */

static db_err set_token(struct meta *m, uint64_t term, struct diag *diag)
{
    struct registry *g = &m->registry;
    struct store_batch b;
    uint8_t hash[TOKEN_HASH_SIZE];
    hash_token(slice_str(m->token), hash);
    if (m->token[0] == '\0' || (g->has_token && memcmp(g->token_hash, hash, sizeof(hash)) == 0)) {
        return ERR_OK;
    }
    store_batch_init(&b);
    db_err err = meta_kv_put(&b, META_KEY_TOKEN, SLICE_EMPTY, slice_of(hash, sizeof(hash)));
    if (err == ERR_OK) {
        err = meta_kv_write(m, term, &b, diag);
    }
    store_batch_fini(&b);
    if (err == ERR_OK) {
        pthread_mutex_lock(&g->mutex);
        memcpy(g->token_hash, hash, sizeof(hash));
        g->has_token = true;
        pthread_mutex_unlock(&g->mutex);
    }
    return err;
}

/* The CA that the first node has made, so that whoever leads can issue. */
static db_err set_ca(struct meta *m, uint64_t term, struct diag *diag)
{
    struct registry *g = &m->registry;
    struct slice cert = m->opts.ca_cert;
    struct store_batch b;
    struct buf record;
    if (m->opts.ca_key.len == 0 || g->has_ca) {
        return ERR_OK;
    }
    const uint8_t len[4] = {(uint8_t)(cert.len >> 24), (uint8_t)(cert.len >> 16),
                            (uint8_t)(cert.len >> 8), (uint8_t)cert.len};
    store_batch_init(&b);
    buf_init(&record, 1 << 20);
    db_err err = buf_append(&record, len, sizeof(len));
    err = err == ERR_OK ? buf_append_slice(&record, cert) : err;
    err = err == ERR_OK ? buf_append_slice(&record, m->opts.ca_key) : err;
    err = err == ERR_OK ? meta_kv_put(&b, META_KEY_CA, SLICE_EMPTY, buf_slice(&record)) : err;
    err = err == ERR_OK ? meta_kv_write(m, term, &b, diag) : err;
    buf_fini(&record);
    store_batch_fini(&b);
    if (err == ERR_OK) {
        pthread_mutex_lock(&g->mutex);
        g->has_ca = true;
        pthread_mutex_unlock(&g->mutex);
    }
    return err;
}

static db_err issue(struct meta *m, node_id_t node, struct arena *arena, struct diag *diag,
                    struct node_directory *dir)
{
    const struct meta_actions *act = m->opts.actions;
    struct slice key;
    if (act == NULL || act->issue == NULL) {
        return ERR_OK;
    }
    TRY(load_ca(m, arena, &dir->ca_cert, &key));
    return dir->ca_cert.len == 0
               ? diag_set(diag, ERR_UNAVAILABLE, "the cluster's CA is not known yet")
               : act->issue(act->ctx, dir->ca_cert, key, node, arena, diag, &dir->cert, &dir->key);
}

static bool token_fits(struct registry *g, struct slice token)
{
    uint8_t hash[TOKEN_HASH_SIZE];
    uint8_t differ = 0;
    hash_token(token, hash);
    pthread_mutex_lock(&g->mutex);
    for (unsigned i = 0; i < TOKEN_HASH_SIZE; i++) {
        differ |= (uint8_t)(hash[i] ^ g->token_hash[i]);
    }
    bool fits = g->has_token && differ == 0;
    pthread_mutex_unlock(&g->mutex);
    return fits;
}

/* A process that asks again, as it has heard nothing, is the member that it became then: one that
 * has not been heard of as such. 0: it is none. */
static node_id_t joined_before(struct registry *g, const struct node_info *self)
{
    node_id_t id = 0;
    pthread_mutex_lock(&g->mutex);
    for (unsigned i = 0; i < g->count && self->boot_id != 0; i++) {
        const struct node_info *info = &g->members[i].info;
        if (info->boot_id == self->boot_id && strcmp(info->rpc, self->rpc) == 0 &&
            info->state == NODE_ACTIVE && info->incarnation == 0) {
            id = info->id;
        }
    }
    pthread_mutex_unlock(&g->mutex);
    return id;
}

/* With `writing` held. */
static db_err add_member(struct meta *m, uint64_t term, const struct node_info *self,
                         struct diag *diag, node_id_t *ret_id)
{
    struct registry *g = &m->registry;
    struct node_info info = *self;
    info.id = joined_before(g, self);
    if (info.id == 0) {
        pthread_mutex_lock(&g->mutex);
        bool room = place_for_one(g) != NULL;
        pthread_mutex_unlock(&g->mutex);
        TRY(room ? ERR_OK : no_room(diag));
        TRY(sequence_next(m, SLICE_LIT("!node"), m->self, 1, 1, 0, diag, &info.id));
        info.state = NODE_ACTIVE;
        TRY(put_member(m, term, &info, true, diag));
        LOG_INFO("meta.joined", F_U64("node", info.id), F_STR("rpc", info.rpc));
    }
    *ret_id = info.id;
    return ERR_OK;
}

db_err meta_join(struct meta *m, struct slice token, const struct node_info *self,
                 struct arena *arena, struct diag *diag, struct node_directory *ret_dir)
{
    struct node_directory dir;
    node_id_t id;
    TRY(meta_check(m, diag));
    uint64_t term = atomic_load(&m->term);
    if (!token_fits(&m->registry, token)) {
        return diag_set(diag, ERR_INVALID,
                        "the join token is wrong: use the one that the first node was started with "
                        "(--join-token), or its file join-token");
    }
    fiber_mutex_lock(&m->registry.writing);
    db_err err = add_member(m, term, self, diag, &id);
    fiber_mutex_unlock(&m->registry.writing);
    TRY(err);
    TRY(registry_directory(m, arena, &dir));
    TRY(issue(m, id, arena, diag, &dir));
    dir.you = id;
    *ret_dir = dir;
    return ERR_OK;
}

/* ---- heartbeats ---- */

enum beat { BEAT_SAME, BEAT_CHANGED, BEAT_STRANGER, BEAT_TWIN, BEAT_GONE, BEAT_FENCING };

static enum beat note_beat(struct meta *m, const struct node_info *self)
{
    struct registry *g = &m->registry;
    uint64_t now = clock_mono_ns();
    enum beat beat = BEAT_SAME;
    pthread_mutex_lock(&g->mutex);
    struct member *b = find(g, self->id);
    if (b == NULL) {
        beat = BEAT_STRANGER;
    } else if (b->info.state == NODE_LEFT) {
        beat = BEAT_GONE;
    } else if (b->fencing) {
        beat = BEAT_FENCING;
    } else if (b->info.boot_id != self->boot_id && strcmp(b->info.rpc, self->rpc) != 0 &&
               b->heard_ns != 0 && now - b->heard_ns < REPLACE_AFTER_NS) {
        beat = BEAT_TWIN;
    } else {
        bool moved = b->info.boot_id != self->boot_id || strcmp(b->info.rpc, self->rpc) != 0 ||
                     strcmp(b->info.mysql, self->mysql) != 0 ||
                     strcmp(b->info.admin, self->admin) != 0;
        struct node_info told = *self;
        told.state = b->info.state;
        told.fences = b->info.fences;
        g->version += b->info.flags != self->flags;
        beat = moved ? BEAT_CHANGED : BEAT_SAME;
        b->fenced = false;
        if (!moved) {
            b->info = told;
        }
        b->heard_ns = now;
    }
    pthread_mutex_unlock(&g->mutex);
    return beat;
}

static db_err refuse(enum beat beat, node_id_t id, struct diag *diag)
{
    unsigned long long n = id;
    switch ((int)beat) {
    case BEAT_GONE:
        return diag_set(diag, ERR_NOT_FOUND,
                        "node %llu has left the cluster: start with an empty data directory to "
                        "join again",
                        n);
    case BEAT_TWIN:
        return diag_set(diag, ERR_EXISTS,
                        "node id %llu is in use by another living process: is this a copy of its "
                        "data directory?",
                        n);
    case BEAT_FENCING:
        return diag_set(diag, ERR_UNAVAILABLE, "others are about to go on without node %llu", n);
    default: return diag_set(diag, ERR_NOT_FOUND, "node %llu is no member of this cluster", n);
    }
}

unsigned registry_heard(struct meta *m, uint64_t within_ns)
{
    struct registry *g = &m->registry;
    unsigned n = 0;
    pthread_mutex_lock(&g->mutex);
    uint64_t now = clock_mono_ns();
    for (unsigned i = 0; i < g->count; i++) {
        const struct member *b = &g->members[i];
        uint64_t heard = b->heard_ns > g->since_ns ? b->heard_ns : g->since_ns;
        n += b->info.state != NODE_LEFT && now - heard < within_ns;
    }
    pthread_mutex_unlock(&g->mutex);
    return n;
}

db_err meta_heartbeat(struct meta *m, const struct node_info *self, struct arena *arena,
                      struct diag *diag, struct node_directory *ret_dir)
{
    struct node_directory dir;
    TRY(meta_check(m, diag));
    uint64_t term = atomic_load(&m->term);
    enum beat beat = note_beat(m, self);
    if (self->id == m->self) {
        TRY(set_token(m, term, diag));
        TRY(set_ca(m, term, diag));
    }
    if (beat == BEAT_STRANGER && self->id == m->self) { /* the first node of all */
        beat = BEAT_CHANGED;
    }
    if (beat == BEAT_CHANGED) {
        TRY(put_changed(m, term, self, diag));
    } else if (beat != BEAT_SAME) {
        return refuse(beat, self->id, diag);
    }
    TRY(registry_directory(m, arena, &dir));
    dir.you = self->id;
    *ret_dir = dir;
    return ERR_OK;
}

/* ---- decisions ---- */

/* With `writing` held. */
static db_err set_state(struct meta *m, node_id_t node, enum node_state state, struct diag *diag)
{
    struct registry *g = &m->registry;
    struct node_info info;
    unsigned others = 0;
    TRY(meta_check(m, diag));
    uint64_t term = atomic_load(&m->term);
    pthread_mutex_lock(&g->mutex);
    const struct member *b = find(g, node);
    bool found = b != NULL;
    if (found) {
        info = b->info;
    }
    for (unsigned i = 0; i < g->count; i++) {
        others += g->members[i].info.id != node && g->members[i].info.state == NODE_ACTIVE;
    }
    pthread_mutex_unlock(&g->mutex);
    if (!found) {
        return diag_set(diag, ERR_NOT_FOUND, "there is no node %llu", (unsigned long long)node);
    }
    if (info.state == NODE_LEFT && state != NODE_LEFT) {
        return diag_set(diag, ERR_INVALID, "node %llu has left for good", (unsigned long long)node);
    }
    if (state == NODE_DECOMMISSIONING && others == 0) {
        return diag_set(diag, ERR_INVALID, "node %llu is the last one: nobody could take its data",
                        (unsigned long long)node);
    }
    if (info.state == state) {
        return ERR_OK;
    }
    info.state = state;
    LOG_INFO("meta.node.state", F_U64("node", node), F_U64("state", (uint64_t)state));
    return put_member(m, term, &info, false, diag);
}

db_err meta_set_node_state(struct meta *m, node_id_t node, enum node_state state, struct diag *diag)
{
    fiber_mutex_lock(&m->registry.writing);
    db_err err = set_state(m, node, state, diag);
    fiber_mutex_unlock(&m->registry.writing);
    return err;
}

/* ---- fences ---- */

enum fence_step { FENCE_STRANGER, FENCE_HEARD, FENCE_BUSY, FENCE_DONE, FENCE_NOW };

/* Under the mutex, as heartbeats are noted. */
static enum fence_step fence_step(struct registry *g, struct member *b, uint64_t silent_ns)
{
    if (b == NULL) {
        return FENCE_STRANGER;
    }
    uint64_t heard = b->heard_ns > g->since_ns ? b->heard_ns : g->since_ns;
    if (clock_mono_ns() - heard < silent_ns) {
        return FENCE_HEARD;
    }
    return b->fencing ? FENCE_BUSY : b->fenced ? FENCE_DONE : FENCE_NOW;
}

/* With `writing` held, and `fencing` set. */
static db_err write_fence(struct meta *m, node_id_t node, struct diag *diag)
{
    struct registry *g = &m->registry;
    struct node_info info = {0};
    uint64_t term = atomic_load(&m->term);
    pthread_mutex_lock(&g->mutex);
    struct member *b = find(g, node);
    if (b != NULL) {
        info = b->info;
    }
    pthread_mutex_unlock(&g->mutex);
    TRY(b != NULL ? ERR_OK : ERR_NOT_FOUND);
    info.fences++;
    TRY(write_member(m, term, &info, 0, diag));
    pthread_mutex_lock(&g->mutex);
    b = find(g, node);
    if (b != NULL && atomic_load(&m->term) == term) {
        b->fenced = true;
        b->info.fences = info.fences;
        g->version++;
    }
    pthread_mutex_unlock(&g->mutex);
    LOG_INFO("meta.node.fenced", F_U64("node", node), F_U64("fences", info.fences));
    return ERR_OK;
}

/* The count is told only once it is written, so that it never goes back; until then the node's
 * heartbeats are not answered. A leader that comes after finds it, or the caller was told nothing.
 */
static db_err fence_now(struct meta *m, node_id_t node, struct diag *diag)
{
    struct registry *g = &m->registry;
    fiber_mutex_lock(&g->writing);
    db_err err = write_fence(m, node, diag);
    fiber_mutex_unlock(&g->writing);
    pthread_mutex_lock(&g->mutex);
    struct member *b = find(g, node);
    if (b != NULL) {
        b->fencing = false;
    }
    pthread_mutex_unlock(&g->mutex);
    TRY(err);
    return meta_check(m, diag);
}

db_err meta_fence(struct meta *m, node_id_t node, uint32_t silent_ms, struct diag *diag)
{
    struct registry *g = &m->registry;
    TRY(meta_check(m, diag));
    pthread_mutex_lock(&g->mutex);
    struct member *b = find(g, node);
    enum fence_step step = fence_step(g, b, silent_ms * NS_PER_MS);
    if (step == FENCE_NOW) {
        b->fencing = true;
    }
    pthread_mutex_unlock(&g->mutex);
    switch (step) {
    case FENCE_STRANGER:
        return diag_set(diag, ERR_NOT_FOUND, "there is no node %llu", (unsigned long long)node);
    case FENCE_HEARD:
        return diag_set(diag, ERR_EXISTS, "node %llu was heard of", (unsigned long long)node);
    case FENCE_BUSY: return diag_set(diag, ERR_BUSY, "another asks for the same fence");
    case FENCE_DONE: return meta_check(m, diag);
    case FENCE_NOW: break;
    }
    return fence_now(m, node, diag);
}
