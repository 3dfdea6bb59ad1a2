/* Forms are found by a hash of their tokens and of the schema in which they ran, in a table that
 * only grows: it is searched without a lock, and whoever has a form's number may read it so; the
 * lock is for who puts a form in. A form that is to be forgotten loses its counts and stays unseen
 * until it runs again. When the table is full, new forms are counted together in the first, as
 * MySQL does. */
#include "sql/session/statement_stats.h"

#include <math.h>

#include "base/alloc.h"
#include "base/hash.h"
#include "sql/func/func.h"

const char *const event_class_names[EVENT__COUNT] = {
#define EVENT_CLASS(symbol, name) name,
#include "sql/session/event_classes.def"
#undef EVENT_CLASS
};

void statement_counts_add(struct statement_counts *into, const struct statement_counts *c)
{
    if (c->count == 0) {
        return;
    }
    into->min_us = into->count == 0 || c->min_us < into->min_us ? c->min_us : into->min_us;
    into->max_us = c->max_us > into->max_us ? c->max_us : into->max_us;
    into->count += c->count;
    into->wait_us += c->wait_us;
    into->errors += c->errors;
    into->warnings += c->warnings;
    into->affected += c->affected;
    into->sent += c->sent;
    into->examined += c->examined;
    into->no_index += c->no_index;
    into->scans += c->scans;
}

/* ---- buckets: fifty for a factor of ten, from ten microseconds on ---- */

enum { BUCKETS_PER_TEN = 50, BUCKET_FIRST_US = 10 };

uint32_t stats_bucket(uint64_t wait_us)
{
    if (wait_us < BUCKET_FIRST_US) {
        return 0;
    }
    double n = log10((double)wait_us / BUCKET_FIRST_US) * BUCKETS_PER_TEN;
    uint32_t i = 1 + (uint32_t)n;
    return i < STATS_BUCKETS ? i : STATS_BUCKETS - 1;
}

uint64_t stats_bucket_end_ps(uint32_t bucket)
{
    const double ps_per_us = 1e6;
    return (uint64_t)(BUCKET_FIRST_US * ps_per_us * pow(10.0, (double)bucket / BUCKETS_PER_TEN));
}

/* ---- the engine's ---- */

db_err statement_stats_new(uint32_t digests_max, struct statement_stats **ret)
{
    struct statement_stats *s = mem_calloc(1, sizeof(*s));
    if (s == NULL) {
        return ERR_NOMEM;
    }
    list_init(&s->accounts);
    for (uint32_t i = 0; i < STATS_QUICK; i++) {
        s->quick[i] = (uint16_t)stats_bucket(i);
    }
    s->max = digests_max;
    s->mask = 1;
    while (s->mask < digests_max * 2) {
        s->mask *= 2;
    }
    s->index = mem_calloc(s->mask, sizeof(*s->index));
    s->digests = mem_calloc((size_t)digests_max + 1, sizeof(struct digest_stats *));
    s->mask--;
    if (s->index == NULL || s->digests == NULL) {
        statement_stats_free(s);
        return ERR_NOMEM;
    }
    if (digests_max != 0) {
        s->digests[0] = mem_calloc(1, sizeof(struct digest_stats));
        if (s->digests[0] == NULL) {
            statement_stats_free(s);
            return ERR_NOMEM;
        }
        s->count = 1;
    }
    *ret = s;
    return ERR_OK;
}

static void digest_free(struct digest_stats *d)
{
    if (d != NULL) {
        mem_free(d->sample);
        mem_free((void *)(uintptr_t)d->tokens.ptr);
        mem_free(d);
    }
}

void statement_stats_free(struct statement_stats *s)
{
    struct list *node;
    if (s == NULL) {
        return;
    }
    for (uint32_t i = 0; s->digests != NULL && i < s->count; i++) {
        digest_free(s->digests[i]);
    }
    while ((node = list_pop_front(&s->accounts)) != NULL) {
        struct account_stats *a = CONTAINER_OF(node, struct account_stats, node);
        for (int i = 0; i < EVENT__COUNT; i++) {
            mem_free(a->by_class[i]);
        }
        mem_free((void *)(uintptr_t)a->user.ptr);
        mem_free(a);
    }
    mem_free(s->digests);
    mem_free(s->index);
    mem_free(s);
}

/* schema and tokens lie behind each other in one piece of memory. */
static struct digest_stats *digest_new(uint64_t hash, struct slice schema, bool has_schema,
                                       struct slice tokens)
{
    struct digest_stats *d = mem_calloc(1, sizeof(*d));
    uint8_t *bytes = mem_calloc(1, tokens.len + schema.len + 1);
    if (d == NULL || bytes == NULL) {
        mem_free(d);
        mem_free(bytes);
        return NULL;
    }
    if (tokens.len != 0) {
        memcpy(bytes, tokens.ptr, tokens.len);
    }
    if (has_schema && schema.len != 0) {
        memcpy(bytes + tokens.len, schema.ptr, schema.len);
        d->schema = slice_of(bytes + tokens.len, schema.len);
    }
    d->hash = hash;
    d->tokens = slice_of(bytes, tokens.len);
    (void)func_sha256_hex(tokens, d->hex);
    return d;
}

/* The number of the form, and its place in the index; 0, and a place that was free. */
static uint32_t find(struct statement_stats *s, uint64_t hash, struct slice schema, bool has_schema,
                     struct slice tokens, uint32_t *ret_place)
{
    for (uint32_t i = (uint32_t)hash & s->mask;; i = (i + 1) & s->mask) {
        uint32_t n = atomic_load_explicit(&s->index[i], memory_order_acquire);
        const struct digest_stats *d = n == 0 ? NULL : s->digests[n - 1];
        if (d == NULL || (d->hash == hash && slice_eq(d->tokens, tokens) &&
                          (d->schema.ptr != NULL) == has_schema &&
                          (!has_schema || slice_eq(d->schema, schema)))) {
            *ret_place = i;
            return n;
        }
    }
}

uint32_t statement_stats_digest(struct statement_stats *s, struct slice schema, bool has_schema,
                                struct slice tokens, const struct charset *charset)
{
    static const uint32_t first = 1;
    uint32_t at;
    if (s->max == 0) {
        return 0;
    }
    has_schema = has_schema && schema.len != 0;
    uint64_t hash = hash_combine(hash_bytes(tokens, 1), has_schema ? hash_bytes(schema, 2) : 0);
    uint32_t n = find(s, hash, schema, has_schema, tokens, &at);
    if (n != 0 || statement_stats_count(s) >= s->max) {
        return n != 0 ? n : first;
    }
    struct digest_stats *d = digest_new(hash, schema, has_schema, tokens);
    if (d == NULL) {
        return 0;
    }
    d->charset = charset;
    spin_lock(&s->lock);
    uint32_t count = statement_stats_count(s);
    n = find(s, hash, schema, has_schema, tokens, &at);
    if (n == 0 && count < s->max) {
        s->digests[count] = d;
        n = count + 1;
        atomic_store_explicit(&s->count, n, memory_order_release);
        atomic_store_explicit(&s->index[at], n, memory_order_release);
        d = NULL;
    }
    spin_unlock(&s->lock);
    digest_free(d);
    return n != 0 ? n : first;
}

struct digest_stats *statement_stats_at(struct statement_stats *s, uint32_t digest)
{
    return digest == 0 ? NULL : s->digests[digest - 1];
}

uint32_t statement_stats_count(struct statement_stats *s)
{
    return atomic_load_explicit(&s->count, memory_order_acquire);
}

void statement_stats_truncate(struct statement_stats *s, bool digests, bool classes)
{
    uint32_t n = digests ? statement_stats_count(s) : 0;
    for (uint32_t i = 0; i < n; i++) {
        struct digest_stats *d = s->digests[i];
        spin_lock(&d->lock);
        d->counts = (struct statement_counts){0};
        d->first_us = d->last_us = 0;
        memset(d->buckets, 0, sizeof(d->buckets));
        char *sample = d->sample;
        d->sample = NULL;
        d->sample_len = 0;
        atomic_store(&d->sample_wait_us, 0);
        atomic_store(&d->sample_seen_us, 0);
        spin_unlock(&d->lock);
        mem_free(sample);
    }
    spin_lock(&s->lock);
    LIST_FOREACH (node, &s->accounts) {
        struct account_stats *a = CONTAINER_OF(node, struct account_stats, node);
        spin_lock(&a->lock);
        for (int i = 0; classes && i < EVENT__COUNT; i++) {
            if (a->by_class[i] != NULL) {
                *a->by_class[i] = (struct statement_counts){0};
            }
        }
        spin_unlock(&a->lock);
    }
    spin_unlock(&s->lock);
}

/* ---- accounts ---- */

static struct account_stats *account_new(struct slice user, struct slice host)
{
    struct account_stats *a = mem_calloc(1, sizeof(*a));
    uint8_t *text = mem_calloc(1, user.len + host.len + 1);
    if (a == NULL || text == NULL) {
        mem_free(a);
        mem_free(text);
        return NULL;
    }
    if (user.len != 0) {
        memcpy(text, user.ptr, user.len);
    }
    if (host.len != 0) {
        memcpy(text + user.len, host.ptr, host.len);
    }
    a->user = slice_of(text, user.len);
    a->host = slice_of(text + user.len, host.len);
    return a;
}

struct account_stats *statement_stats_connect(struct statement_stats *s, struct slice user,
                                              struct slice host)
{
    struct account_stats *fresh = account_new(user, host);
    struct account_stats *found = NULL;
    uint32_t count = 0;
    spin_lock(&s->lock);
    LIST_FOREACH (node, &s->accounts) {
        struct account_stats *a = CONTAINER_OF(node, struct account_stats, node);
        count++;
        if (slice_eq(a->user, user) && slice_eq(a->host, host)) {
            found = a;
            break;
        }
    }
    if (found == NULL && fresh != NULL && count < STATS_ACCOUNTS_MAX) {
        list_push_back(&s->accounts, &fresh->node);
        found = fresh;
        fresh = NULL;
    }
    if (found != NULL) {
        found->current++;
        found->total++;
    }
    spin_unlock(&s->lock);
    if (fresh != NULL) {
        mem_free((void *)(uintptr_t)fresh->user.ptr);
        mem_free(fresh);
    }
    return found;
}

void statement_stats_disconnect(struct statement_stats *s, struct account_stats *a)
{
    if (a != NULL) {
        spin_lock(&s->lock);
        a->current--;
        spin_unlock(&s->lock);
    }
}

/* ---- a session's ---- */

static void give(struct session_stats *s, struct statement_stats *all, struct stats_slot *slot)
{
    struct digest_stats *d = statement_stats_at(all, slot->digest);
    if (slot->counts.count == 0) {
        return;
    }
    if (d != NULL) {
        spin_lock(&d->lock);
        d->first_us = d->counts.count == 0 ? slot->first_us : d->first_us;
        d->last_us = slot->last_us > d->last_us ? slot->last_us : d->last_us;
        statement_counts_add(&d->counts, &slot->counts);
        for (uint64_t i = 0; i < slot->counts.count; i++) {
            d->buckets[slot->pending[i]]++;
        }
        spin_unlock(&d->lock);
    }
    struct account_stats *a = s->account;
    if (a != NULL) {
        struct statement_counts **at = &a->by_class[slot->class];
        spin_lock(&a->lock);
        if (UNLIKELY(*at == NULL)) {
            *at = mem_calloc(1, sizeof(**at));
        }
        if (*at != NULL) {
            statement_counts_add(*at, &slot->counts);
        }
        spin_unlock(&a->lock);
    }
    for (int i = 0; i < STATS_CLASSES; i++) {
        if (s->classes[i].counts.count == 0 || s->classes[i].class == slot->class) {
            s->classes[i].class = slot->class;
            statement_counts_add(&s->classes[i].counts, &slot->counts);
            break;
        }
    }
    slot->counts = (struct statement_counts){0};
}

void session_stats_add(struct session_stats *s, struct statement_stats *all, uint32_t digest,
                       enum event_class class, const struct statement_counts *c, uint64_t now_us)
{
    struct stats_slot *slot = &s->slots[(digest + (uint32_t) class) % STATS_SLOTS];
    if (slot->counts.count == STATS_PENDING ||
        (slot->counts.count != 0 && (slot->digest != digest || slot->class != class))) {
        give(s, all, slot);
    }
    if (slot->counts.count == 0) {
        slot->digest = digest;
        slot->class = class;
        slot->first_us = now_us;
    }
    slot->last_us = now_us;
    slot->pending[slot->counts.count] =
        c->wait_us < STATS_QUICK ? all->quick[c->wait_us] : (uint16_t)stats_bucket(c->wait_us);
    statement_counts_add(&slot->counts, c);
}

void session_stats_fold(struct session_stats *s, struct statement_stats *all)
{
    spin_lock(&s->lock);
    for (int i = 0; i < STATS_SLOTS; i++) {
        give(s, all, &s->slots[i]);
    }
    spin_unlock(&s->lock);
}
