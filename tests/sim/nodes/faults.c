/* What goes wrong, from the seed: one fault after another, some of them over each other, until the
 * time is up; then all heals. Beside the faults, what operators and the cluster itself do: splits,
 * leases and replicas that move, members replaced. */
#include <string.h>

#include "base/alloc.h"
#include "base/faults.h"
#include "tests/sim/nodes/world.h"

enum { RANGES_MAX_ = 48, SPLITS_MAX = 10, DRIFT_PPM_MAX = 15000 };

static unsigned draw(struct world *w, unsigned bound)
{
    return (unsigned)rand_below(&w->rand, bound);
}

static void pause_ms(struct world *w, unsigned up_to)
{
    db_err err = fiber_sleep(rand_below(&w->rand, up_to) * NS_PER_MS);
    (void)err;
}

static struct member *any_member(struct world *w)
{
    return &w->members[1 + draw(w, w->opts.members)];
}

/* ---- ranges ---- */

struct led {
    range_id_t id;
    struct member *leader;
    unsigned count;
    node_id_t nodes[RANGE_REPLICAS_MAX];
};

struct led_list {
    struct member *m;
    struct led items[RANGES_MAX_];
    unsigned count;
};

static db_err note_led(void *arg, const struct range_desc *desc, bool serving)
{
    struct led_list *l = arg;
    if (serving && l->count < RANGES_MAX_) {
        struct led *r = &l->items[l->count++];
        *r = (struct led){.id = desc->id, .leader = l->m, .count = desc->replica_count};
        for (unsigned i = 0; i < desc->replica_count; i++) {
            r->nodes[i] = desc->replicas[i].node;
        }
    }
    return ERR_OK;
}

/* Ranges and who leads them, by what the nodes believe. */
static void list_led(struct world *w, struct led_list *ret_list)
{
    ret_list->count = 0;
    for (unsigned i = 1; i <= w->opts.members; i++) {
        ret_list->m = &w->members[i];
        if (w->members[i].state == MEMBER_UP) {
            db_err err = range_store_each(node_ranges(w->members[i].node), note_led, ret_list);
            (void)err;
        }
    }
}

static db_err tell_range(void *arg, const struct range_desc *desc, bool serving)
{
    static const char kinds[] = "vlio"; /* enum replica_kind */
    struct member *m = arg;
    struct range_status st;
    char members[128] = "";
    if (range_store_status(node_ranges(m->node), desc->id, &st) != ERR_OK) {
        return ERR_OK;
    }
    for (unsigned i = 0; i < desc->replica_count; i++) {
        size_t n = strlen(members);
        snprintf(members + n, sizeof(members) - n, " %llu%c",
                 (unsigned long long)desc->replicas[i].node, kinds[desc->replicas[i].kind]);
    }
    world_say(m->w,
              "%s: range %llu [%.*s, %.*s) epoch %llu.%llu members%s, replica %llu, role %d, term "
              "%llu, leader %llu, applied %llu%s%s",
              m->host, (unsigned long long)desc->id, SLICE_FMT(desc->start), SLICE_FMT(desc->end),
              (unsigned long long)desc->epoch.version, (unsigned long long)desc->epoch.conf,
              members, (unsigned long long)st.replica_id, (int)st.role,
              (unsigned long long)st.raft_term, (unsigned long long)st.leader_node,
              (unsigned long long)st.applied, serving ? ", serves" : "",
              st.quiescent ? ", asleep" : "");
    return ERR_OK;
}

void faults_tell_ranges(struct world *w)
{
    for (unsigned i = 1; i <= w->opts.members; i++) {
        struct member *m = &w->members[i];
        if (m->state == MEMBER_UP) {
            db_err err = range_store_each(node_ranges(m->node), tell_range, m);
            (void)err;
        }
    }
}

/* ---- what a member is asked to do ---- */

struct order {
    struct member *m;
    unsigned life;
    enum { SPLIT, MERGE, TRANSFER, CHANGE, FLUSH } what;
    range_id_t range;
    char at[8];
    node_id_t to;
    struct replica_change changes[RANGE_REPLICAS_MAX];
    unsigned change_count;
};

static void order_fiber(void *arg)
{
    struct order *o = arg;
    struct diag diag = {0};
    struct range_store *rs = node_ranges(o->m->node);
    struct world *w = o->m->w;
    range_id_t id = 0;
    db_err err = ERR_OK;
    fiber_set_deadline(clock_mono_ns() + 20 * NS_PER_S);
    switch (o->what) {
    case SPLIT:
        err = range_store_split(rs, o->range, slice_str(o->at), &diag, &id);
        w->totals.splits += err == ERR_OK;
        break;
    case MERGE:
        err = range_store_merge(rs, o->range, &diag, &id);
        w->totals.merges += err == ERR_OK;
        break;
    case TRANSFER:
        err = range_store_transfer_lease(rs, o->range, o->to, LEASE_WITH_LOCKS, &diag);
        w->totals.transfers += err == ERR_OK;
        break;
    case CHANGE:
        err = range_store_change_replicas(rs, o->range, o->changes, o->change_count, &diag);
        w->totals.moves += err == ERR_OK;
        break;
    case FLUSH: range_store_upkeep(rs, true); break;
    }
    world_say(w, "%s order %d of range %llu at %s to %llu: %s %s", o->m->host, (int)o->what,
              (unsigned long long)o->range, o->at, (unsigned long long)o->to, err_name(err),
              diag.text);
    mem_free(o);
}

static void give(struct order o)
{
    struct order *copy = mem_alloc(sizeof(*copy));
    ASSERT(copy != NULL);
    *copy = o;
    if (o.m->state != MEMBER_UP) {
        mem_free(copy);
        return;
    }
    member_spawn(o.m, order_fiber, copy);
}

static void split_some(struct world *w, struct led_list *l)
{
    static const char kinds[] = "blr";
    struct order o = {.what = SPLIT};
    snprintf(o.at, sizeof(o.at), "\x02%c%02u", kinds[draw(w, 3)], draw(w, 8));
    /* Who does not hold that key refuses. */
    for (unsigned i = 0; i < l->count; i++) {
        o.m = l->items[i].leader;
        o.range = l->items[i].id;
        if (o.range != RANGE_ID_META) {
            give(o);
        }
    }
}

static void transfer_some(struct world *w, const struct led *r)
{
    give((struct order){
        .m = r->leader, .what = TRANSFER, .range = r->id, .to = r->nodes[draw(w, r->count)]});
}

static bool holds(const struct led *r, node_id_t id)
{
    for (unsigned i = 0; i < r->count; i++) {
        if (r->nodes[i] == id) {
            return true;
        }
    }
    return false;
}

static void change_some(struct world *w, const struct led *r)
{
    struct order o = {.m = r->leader, .what = CHANGE, .range = r->id};
    node_id_t in = any_member(w)->id;
    node_id_t out = r->nodes[draw(w, r->count)];
    if (!holds(r, in) && in != 0) {
        o.changes[o.change_count++] = (struct replica_change){REPLICA_ADD, in};
    }
    if (r->count > 2 && (o.change_count == 1 || draw(w, 2) == 0)) {
        o.changes[o.change_count++] = (struct replica_change){REPLICA_REMOVE, out};
    }
    if (o.change_count > 0) {
        give(o);
    }
}

/* One more step of the range away from where it was, if there are nodes enough for that. */
static void leave_step(struct world *w, const struct led *now, const struct led *before)
{
    struct order o = {.m = now->leader, .what = CHANGE, .range = now->id};
    node_id_t other = 0;
    for (node_id_t id = 1; id <= w->opts.members; id++) {
        bool there = holds(now, id);
        if (holds(before, id) || o.change_count == RANGE_REPLICAS_MAX) {
            continue;
        }
        other = there ? id : other;
        if (!there) {
            o.changes[o.change_count++] = (struct replica_change){REPLICA_ADD, id};
        }
    }
    if (o.change_count == 0 && other == 0) {
        change_some(w, now);
    } else if (o.change_count != 0) {
        give(o);
    } else if (holds(before, now->leader->id)) {
        give((struct order){.m = now->leader, .what = TRANSFER, .range = now->id, .to = other});
    } else {
        for (unsigned i = 0; i < before->count; i++) {
            if (holds(now, before->nodes[i])) {
                o.changes[o.change_count++] =
                    (struct replica_change){REPLICA_REMOVE, before->nodes[i]};
            }
        }
        if (o.change_count != 0) {
            give(o);
        }
    }
}

/* A merge is given up and its right range cannot be thawed for a while, in which members of the
 * left one, whose leader does not see that (as one whose right replica has not heard of it), leave:
 * what is frozen has to ask for it elsewhere. */
static void strand_some(struct world *w, const struct led *r)
{
    static const char *const points[][2] = {{"range_merge_frozen", "error=TIMEOUT:count=1"},
                                            {"range_merge_thaw", "error=UNAVAILABLE"},
                                            {"range_merge_unseen", "drop"}};
    db_err err = ERR_OK;
    for (unsigned i = 0; i < ARRAY_COUNT(points) && err == ERR_OK; i++) {
        err = faults_set(points[i][0], points[i][1]);
    }
    if (err == ERR_UNSUPPORTED) {
        return;
    }
    give((struct order){.m = r->leader, .what = MERGE, .range = r->id});
    pause_ms(w, 400);
    for (unsigned step = 0; step < 4; step++) {
        struct led_list l;
        list_led(w, &l);
        for (unsigned k = 0; k < l.count; k++) {
            if (l.items[k].id == r->id) {
                leave_step(w, &l.items[k], r);
            }
        }
        pause_ms(w, 700);
    }
    for (unsigned i = 0; i < ARRAY_COUNT(points); i++) {
        err = faults_set(points[i][0], "off");
    }
}

static void operate(struct world *w)
{
    struct led_list l;
    list_led(w, &l);
    if (l.count == 0) {
        return;
    }
    const struct led *r = &l.items[draw(w, l.count)];
    switch (draw(w, 13)) {
    case 0:
    case 1:
    case 2:
    case 3:
        if (l.count < SPLITS_MAX) {
            split_some(w, &l);
        }
        break;
    case 4:
    case 5: give((struct order){.m = r->leader, .what = MERGE, .range = r->id}); break;
    case 6:
    case 7:
    case 8: transfer_some(w, r); break;
    case 9:
    case 10: change_some(w, r); break;
    case 11: strand_some(w, r); break;
    default: give((struct order){.m = any_member(w), .what = FLUSH}); break;
    }
}

void faults_split_first(struct world *w)
{
    static const char *const at[] = {"\x02"
                                     "b03",
                                     "\x02"
                                     "l02",
                                     "\x02"
                                     "l00",
                                     "\x02"
                                     "r01"};
    unsigned wanted = draw(w, ARRAY_COUNT(at) + 1);
    for (unsigned i = 0; i < wanted; i++) {
        struct led_list l;
        list_led(w, &l);
        for (unsigned k = 0; k < l.count; k++) {
            struct order o = {.m = l.items[k].leader, .what = SPLIT, .range = l.items[k].id};
            snprintf(o.at, sizeof(o.at), "%s", at[i]);
            if (o.range != RANGE_ID_META) {
                give(o);
            }
        }
        db_err err = fiber_sleep(100 * NS_PER_MS);
        (void)err;
    }
}

/* ---- the network ---- */

static void cut(struct world *w, const struct member *a, const struct member *b, bool both)
{
    rpc_sim_net_cut(w->net, a->host, b->host, true);
    if (both) {
        rpc_sim_net_cut(w->net, b->host, a->host, true);
    }
}

static void cut_off(struct world *w, struct member *m, bool out, bool in)
{
    for (unsigned i = 1; i <= w->opts.members; i++) {
        if (i != m->slot && out) {
            rpc_sim_net_cut(w->net, m->host, w->members[i].host, true);
        }
        if (i != m->slot && in) {
            rpc_sim_net_cut(w->net, w->members[i].host, m->host, true);
        }
    }
}

/* Two halves that hear one member in common. */
static void bridge(struct world *w)
{
    unsigned n = w->opts.members;
    unsigned middle = 1 + draw(w, n);
    for (unsigned i = 1; i <= n; i++) {
        for (unsigned k = i + 1; k <= n; k++) {
            if (i != middle && k != middle && (i % 2 != k % 2 || n == 3)) {
                cut(w, &w->members[i], &w->members[k], true);
            }
        }
    }
}

static void halves(struct world *w)
{
    unsigned n = w->opts.members;
    unsigned mask = 1 + draw(w, (1u << n) - 2);
    for (unsigned i = 1; i <= n; i++) {
        for (unsigned k = i + 1; k <= n; k++) {
            if ((mask >> (i - 1) & 1) != (mask >> (k - 1) & 1)) {
                cut(w, &w->members[i], &w->members[k], true);
            }
        }
    }
}

static void partition(struct world *w)
{
    struct member *m = any_member(w);
    unsigned kind = draw(w, 6);
    world_say(w, "partition %u of %s", kind, m->host);
    w->totals.cuts++;
    switch (kind) {
    case 0: cut_off(w, m, true, true); break;
    case 1: cut_off(w, m, true, false); break;
    case 2: cut_off(w, m, false, true); break;
    case 3: bridge(w); break;
    case 4: cut(w, m, any_member(w), draw(w, 2) == 0); break;
    default: halves(w); break;
    }
    pause_ms(w, 3000);
    if (draw(w, 4) != 0) {
        rpc_sim_net_heal(w->net);
        world_say(w, "the network is whole");
    }
}

static void weather(struct world *w)
{
    struct rpc_sim_opts o = w->net_opts;
    if (draw(w, 3) != 0) {
        o.slow_chance = 0.002 * draw(w, 20);
        o.slow_max_ns = (1 + draw(w, 200)) * NS_PER_MS;
        o.reset_chance = draw(w, 3) == 0 ? 0.0005 * draw(w, 10) : 0;
        o.split_chance = draw(w, 2) == 0 ? 0.1 : 0;
        o.delay_max_ns = (200 + draw(w, 5000)) * NS_PER_US;
    }
    rpc_sim_net_set(w->net, &o);
}

/* ---- processes ---- */

static unsigned count_up(struct world *w)
{
    unsigned n = 0;
    for (unsigned i = 1; i <= w->opts.members; i++) {
        n += w->members[i].state == MEMBER_UP;
    }
    return n;
}

static void kill_some(struct world *w)
{
    unsigned n = draw(w, 10) == 0 ? w->opts.members : 1 + (draw(w, 5) == 0);
    for (unsigned i = 0; i < n; i++) {
        struct member *m = n == w->opts.members ? &w->members[i + 1] : any_member(w);
        if (m->state != MEMBER_DOWN) {
            member_kill(m);
        }
    }
    pause_ms(w, draw(w, 3) == 0 ? 50 : 2500);
    for (unsigned i = 1; i <= w->opts.members; i++) {
        if (w->members[i].state == MEMBER_DOWN && draw(w, 5) != 0) {
            member_start(&w->members[i]);
        }
    }
}

static void set_paused(struct world *w, struct member *m, bool paused)
{
    for (unsigned i = 0; i < w->opts.loops; i++) {
        loop_sim_pause(loop_group_get(m->loops, i), paused);
    }
}

static void stop_one(struct world *w)
{
    struct member *m = any_member(w);
    world_say(w, "%s is stopped", m->host);
    set_paused(w, m, true);
    pause_ms(w, draw(w, 3) == 0 ? 4500 : 2000);
    set_paused(w, m, false);
    world_say(w, "%s goes on", m->host);
}

static void drift(struct world *w)
{
    struct member *m = any_member(w);
    int64_t ppm = (int64_t)draw(w, 2 * DRIFT_PPM_MAX) - DRIFT_PPM_MAX;
    for (unsigned i = 0; i < w->opts.loops; i++) {
        loop_sim_set_drift(loop_group_get(m->loops, i), ppm);
    }
    w->totals.drifts++;
}

static void slow_disk(struct world *w)
{
    struct member *m = any_member(w);
    m->disk_max_ns = draw(w, 2) == 0 ? 200 * NS_PER_US : (1 + draw(w, 80)) * NS_PER_MS;
    world_say(w, "the disk of %s takes up to %llu us", m->host,
              (unsigned long long)(m->disk_max_ns / NS_PER_US));
}

/* ---- the run ---- */

static void one_fault(struct world *w)
{
    switch (draw(w, 12)) {
    case 0:
    case 1:
    case 2: kill_some(w); break;
    case 3:
    case 4:
    case 5: partition(w); break;
    case 6: weather(w); break;
    case 7:
    case 8: stop_one(w); break;
    case 9: drift(w); break;
    case 10: slow_disk(w); break;
    default: break;
    }
}

/* Beside the faults, all the time. */
static void operator_fiber(void *arg)
{
    struct world *w = arg;
    while (!w->healing && !w->failed) {
        operate(w);
        pause_ms(w, 250);
    }
}

void faults_run(struct world *w, uint64_t for_ns)
{
    uint64_t until = clock_mono_ns() + for_ns;
    ASSERT(fiber_spawn(w->loop, operator_fiber, w) == ERR_OK);
    while (clock_mono_ns() < until && !w->failed) {
        one_fault(w);
        if (count_up(w) == 0 && draw(w, 2) == 0) {
            continue;
        }
        pause_ms(w, 300);
    }
}

void faults_heal(struct world *w)
{
    world_say(w, "all heals");
    w->healing = true;
    rpc_sim_net_heal(w->net);
    rpc_sim_net_set(w->net, &w->net_opts);
    for (unsigned i = 1; i <= w->opts.members; i++) {
        w->members[i].disk_max_ns = 300 * NS_PER_US;
        if (w->members[i].state == MEMBER_DOWN) {
            member_start(&w->members[i]);
        }
    }
}
