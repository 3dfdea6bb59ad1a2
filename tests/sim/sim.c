/* The event queue (a binary heap) and the run. */
#include "tests/sim/sim.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/assert.h"

uint64_t sim_hash(uint64_t h, const void *data, size_t size)
{
    const uint8_t *p = data;
    h ^= 0x9e3779b97f4a7c15u + size;
    for (size_t i = 0; i < size; i++) {
        h = (h ^ p[i]) * 0x100000001b3u;
        h ^= h >> 29;
    }
    return h * 0xbf58476d1ce4e5b9u;
}

uint64_t sim_pick(struct sim *s, uint64_t low, uint64_t high)
{
    ASSERT(low <= high);
    return low + rand_below(&s->rand, high - low + 1);
}

bool sim_chance(struct sim *s, uint32_t permille)
{
    return permille > 0 && rand_below(&s->rand, 1000) < permille;
}

void sim_trace(struct sim *s, const char *fmt, ...)
{
    if (!s->opt.verbose) {
        return;
    }
    va_list args;
    va_start(args, fmt);
    printf("%12.6f ", (double)s->now / 1e9);
    vprintf(fmt, args);
    putchar('\n');
    va_end(args);
}

void sim_violation(struct sim *s, const char *fmt, ...)
{
    if (s->violation[0] != '\0') {
        return; /* the first is the one that tells */
    }
    va_list args;
    va_start(args, fmt);
    int n = snprintf(s->violation, sizeof(s->violation), "at %.6f s: ", (double)s->now / 1e9);
    vsnprintf(s->violation + n, sizeof(s->violation) - (size_t)n, fmt, args);
    va_end(args);
    sim_trace(s, "VIOLATION %s", s->violation);
}

/* ---- queue ---- */

static bool before(const struct sim_event *a, const struct sim_event *b)
{
    return a->at != b->at ? a->at < b->at : a->seq < b->seq;
}

/* The event returned may be filled in until the next call into the simulation. */
struct sim_event *sim_schedule(struct sim *s, uint64_t delay, enum sim_event_type type,
                               uint32_t node)
{
    if (s->heap_count == s->heap_cap) {
        s->heap_cap = s->heap_cap == 0 ? 256 : s->heap_cap * 2;
        s->heap = mem_realloc(s->heap, s->heap_cap * sizeof(*s->heap));
        ASSERT(s->heap != NULL);
    }
    struct sim_event e = {.at = s->now + delay, .seq = s->seq++, .type = type, .node = node};
    size_t i = s->heap_count++;
    while (i > 0 && before(&e, &s->heap[(i - 1) / 2])) {
        s->heap[i] = s->heap[(i - 1) / 2];
        i = (i - 1) / 2;
    }
    s->heap[i] = e;
    return &s->heap[i];
}

static struct sim_event pop(struct sim *s)
{
    ASSERT(s->heap_count > 0);
    struct sim_event top = s->heap[0];
    struct sim_event last = s->heap[--s->heap_count];
    size_t i = 0;
    for (;;) {
        size_t child = 2 * i + 1;
        if (child >= s->heap_count) {
            break;
        }
        if (child + 1 < s->heap_count && before(&s->heap[child + 1], &s->heap[child])) {
            child++;
        }
        if (!before(&s->heap[child], &last)) {
            break;
        }
        s->heap[i] = s->heap[child];
        i = child;
    }
    s->heap[i] = last;
    return top;
}

/* ---- the run ---- */

static void draw_cluster(struct sim *s, uint32_t *ret_voters)
{
    static const uint32_t sizes[] = {1, 3, 3, 3, 5, 5};
    *ret_voters = sizes[sim_pick(s, 0, ARRAY_COUNT(sizes) - 1)];
    s->node_count = *ret_voters + (uint32_t)sim_pick(s, 0, 2);
    s->group_count = (uint32_t)sim_pick(s, 1, SIM_GROUPS_MAX);
    s->delay_min_ns = 50 * NS_PER_US;
    s->delay_max_ns = sim_pick(s, 1, 20) * NS_PER_MS;
    s->loss_permille = sim_chance(s, 600) ? (uint32_t)sim_pick(s, 0, 100) : 0;
    s->dup_permille = sim_chance(s, 500) ? (uint32_t)sim_pick(s, 0, 80) : 0;
    s->late_permille = sim_chance(s, 500) ? (uint32_t)sim_pick(s, 0, 60) : 0;
    s->page_block_permille = sim_chance(s, 500) ? 200 : 0;
    static const uint64_t intervals[] = {40, 40, 40, 300, 1200};
    s->client_interval_ms = intervals[sim_pick(s, 0, ARRAY_COUNT(intervals) - 1)];
    s->wake_skip_permille = sim_chance(s, 400) ? 700 : 0;
    s->base.external_heartbeat = sim_chance(s, 300);
    s->base.eager_commit = sim_chance(s, 300);
    s->base.quiesce_after_ns = sim_chance(s, 700) ? 300 * NS_PER_MS : UINT64_MAX;
    s->base.max_message_bytes = sim_chance(s, 500) ? sim_pick(s, 16, 400) : 0;
    s->base.max_inflight = sim_chance(s, 500) ? (uint32_t)sim_pick(s, 1, 8) : 0;
    s->base.max_inflight_bytes = sim_chance(s, 300) ? sim_pick(s, 100, 2000) : 0;
    s->base.max_memory_bytes = sim_chance(s, 600) ? sim_pick(s, 1, 2000) : 0;
    s->base.max_uncommitted_bytes = sim_chance(s, 300) ? sim_pick(s, 2000, 20000) : 0;
    s->base.max_apply_bytes = sim_chance(s, 500) ? sim_pick(s, 16, 500) : 0;
}

void sim_init(struct sim *s, const struct sim_options *opt)
{
    memset(s, 0, sizeof(*s));
    s->opt = *opt;
    rand_seed(&s->rand, opt->seed);
    s->base.election_timeout_ns = 1000 * NS_PER_MS;
    s->base.heartbeat_ns = 100 * NS_PER_MS;
    s->base.lease_margin_ns = 100 * NS_PER_MS;
    uint32_t voters = opt->voters;
    if (opt->scripted) {
        s->node_count = voters;
        s->group_count = 1;
        s->delay_min_ns = s->delay_max_ns = 200 * NS_PER_US;
        s->base.quiesce_after_ns = opt->quiesce_after_ns != 0 ? opt->quiesce_after_ns : UINT64_MAX;
        s->base.max_message_bytes = opt->max_message_bytes;
    } else {
        draw_cluster(s, &voters);
    }
    for (uint32_t i = 0; i < s->node_count; i++) {
        sim_node_init(s, i);
        for (uint32_t g = 0; g < s->group_count && i < voters; g++) {
            struct raft_conf *conf = &s->nodes[i].replicas[g].durable_state.conf;
            for (uint32_t v = 0; v < voters; v++) {
                conf->members[conf->count++] =
                    (struct raft_member){.id = v + 1, .roles = RAFT_ROLE_VOTER};
            }
        }
    }
    for (uint32_t i = 0; i < s->node_count; i++) {
        sim_node_start(&s->nodes[i]);
    }
    if (!opt->scripted) {
        sim_schedule(s, 1, SIM_EV_CLIENT, 0);
        sim_schedule(s, 500 * NS_PER_MS, SIM_EV_FAULT, 0);
    }
}

void sim_fini(struct sim *s)
{
    for (size_t i = 0; i < s->heap_count; i++) {
        sim_packet_free(s->heap[i].packet);
    }
    for (uint32_t i = 0; i < s->node_count; i++) {
        sim_node_fini(&s->nodes[i]);
    }
    for (uint32_t g = 0; g < SIM_GROUPS_MAX; g++) {
        sim_check_fini(&s->groups[g]);
    }
    mem_free(s->heap);
    mem_free(s->reads);
}

void sim_run_until(struct sim *s, uint64_t until)
{
    while (s->violation[0] == '\0' && s->heap_count > 0 && s->heap[0].at <= until) {
        struct sim_event ev = pop(s);
        ASSERT(ev.at >= s->now);
        s->now = ev.at;
        s->events++;
        switch ((int)ev.type) {
        case SIM_EV_CLIENT: sim_client(s); break;
        case SIM_EV_FAULT: sim_fault(s); break;
        case SIM_EV_RESTART: sim_node_start(&s->nodes[ev.node]); break;
        default: sim_node_event(&s->nodes[ev.node], &ev); break;
        }
        sim_packet_free(ev.packet);
        sim_check_leases(s);
        if (s->events > SIM_EVENTS_MAX) {
            sim_violation(s, "message storm");
        }
    }
    if (s->violation[0] == '\0') {
        s->now = until;
    }
}
