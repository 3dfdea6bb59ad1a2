/* Forms are found by a hash of their tokens and of the schema in which they ran. Their places never
 * move, and the index of them is read without the table's lock, which is for who puts a form in; a
 * place's own lock says what is in it. TRUNCATE gives places up: who still has such a form's id
 * finds that the place's generation is another. When the table is full, new forms are counted
 * together in the first, as MySQL does. */
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
    into->tmp_tables += c->tmp_tables;
    into->full_joins += c->full_joins;
    into->range_joins += c->range_joins;
    into->ranges += c->ranges;
    into->sort_merges += c->sort_merges;
    into->sort_rows += c->sort_rows;
    into->sorts += c->sorts;
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
        s->full = digests_max == 1;
    }
    *ret = s;
    return ERR_OK;
}

static void digest_free(struct digest_stats *d)
{
    if (d != NULL) {
        mem_free(d->sample);
        mem_free(d->buckets);
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
    atomic_init(&d->hash, hash);
    d->tokens = slice_of(bytes, tokens.len);
    (void)func_sha256_hex(tokens, d->hex);
    return d;
}

static digest_id id_of(const struct digest_stats *d, uint32_t place)
{
    return (uint64_t)atomic_load_explicit(&d->generation, memory_order_relaxed) << 32 | place;
}

struct wanted_form {
    uint64_t hash;
    struct slice schema, tokens;
    bool has_schema;
};

/* Under the place's lock. */
static bool is_form(const struct digest_stats *d, const struct wanted_form *w)
{
    return d->tokens.ptr != NULL && slice_eq(d->tokens, w->tokens) &&
           (d->schema.ptr != NULL) == w->has_schema &&
           (!w->has_schema || slice_eq(d->schema, w->schema));
}

/* The form, and its place in the index; 0, and a place that was free. */
static digest_id find(struct statement_stats *s, const struct wanted_form *w, uint32_t *ret_at)
{
    for (uint32_t i = (uint32_t)w->hash & s->mask;; i = (i + 1) & s->mask) {
        uint32_t n = atomic_load_explicit(&s->index[i], memory_order_acquire);
        *ret_at = i;
        if (n == 0) {
            return 0;
        }
        struct digest_stats *d = s->digests[n - 1];
        if (atomic_load_explicit(&d->hash, memory_order_relaxed) != w->hash) {
            continue;
        }
        spin_lock(&d->lock);
        digest_id id = is_form(d, w) ? id_of(d, n) : 0;
        spin_unlock(&d->lock);
        if (id != 0) {
            return id;
        }
    }
}

/* Under the table's lock: a place that was given up takes what the new one has, or the new one
 * becomes a place. 0: the table is full. */
static uint32_t put(struct statement_stats *s, struct digest_stats **io_new)
{
    struct digest_stats *from = *io_new;
    uint32_t count = statement_stats_count(s);
    uint32_t n = s->free;
    if (n != 0) {
        struct digest_stats *d = s->digests[n - 1];
        s->free = d->next_free;
        spin_lock(&d->lock);
        d->schema = from->schema;
        d->tokens = from->tokens;
        d->charset = from->charset;
        memcpy(d->hex, from->hex, sizeof(d->hex));
        atomic_store_explicit(&d->hash, atomic_load(&from->hash), memory_order_relaxed);
        spin_unlock(&d->lock);
        from->tokens = (struct slice){0}; /* it is the place's by now */
        return n;
    }
    if (count == s->max) {
        return 0;
    }
    s->digests[count] = from;
    *io_new = NULL;
    atomic_store_explicit(&s->count, count + 1, memory_order_release);
    return count + 1;
}

digest_id statement_stats_digest(struct statement_stats *s, struct slice schema, bool has_schema,
                                 struct slice tokens, const struct charset *charset)
{
    uint32_t at;
    if (s->max == 0) {
        return 0;
    }
    has_schema = has_schema && schema.len != 0;
    struct wanted_form w = {.schema = schema, .tokens = tokens, .has_schema = has_schema};
    w.hash = hash_combine(hash_bytes(tokens, 1), has_schema ? hash_bytes(schema, 2) : 0);
    digest_id id = find(s, &w, &at);
    if (id != 0) {
        return id;
    }
    if (atomic_load_explicit(&s->full, memory_order_relaxed)) {
        return id_of(s->digests[0], STATS_FIRST);
    }
    struct digest_stats *d = digest_new(w.hash, schema, has_schema, tokens);
    if (d == NULL) {
        return 0;
    }
    d->charset = charset;
    spin_lock(&s->lock);
    id = find(s, &w, &at);
    uint32_t n = id == 0 ? put(s, &d) : 0;
    if (n != 0) {
        id = id_of(s->digests[n - 1], n);
        atomic_store_explicit(&s->index[at], n, memory_order_release);
        atomic_store(&s->full, s->free == 0 && statement_stats_count(s) == s->max);
    }
    id = id != 0 ? id : id_of(s->digests[0], STATS_FIRST);
    spin_unlock(&s->lock);
    digest_free(d);
    return id;
}

static struct digest_stats *place_of(const struct statement_stats *s, digest_id id)
{
    uint32_t n = (uint32_t)id;
    return n == 0 || n > atomic_load_explicit(&s->count, memory_order_acquire) ? NULL
                                                                               : s->digests[n - 1];
}

bool statement_stats_knows(const struct statement_stats *s, digest_id id)
{
    const struct digest_stats *d = place_of(s, id);
    return d != NULL &&
           atomic_load_explicit(&d->generation, memory_order_acquire) == (uint32_t)(id >> 32);
}

struct digest_stats *statement_stats_lock(struct statement_stats *s, digest_id id)
{
    struct digest_stats *d = place_of(s, id);
    if (d == NULL) {
        return NULL;
    }
    spin_lock(&d->lock);
    if (atomic_load_explicit(&d->generation, memory_order_relaxed) != (uint32_t)(id >> 32)) {
        spin_unlock(&d->lock);
        return NULL;
    }
    return d;
}

struct digest_stats *statement_stats_at(struct statement_stats *s, uint32_t place)
{
    return s->digests[place - 1];
}

void statement_stats_want(struct statement_stats *s, digest_id id)
{
    struct digest_stats *d = statement_stats_lock(s, id);
    if (d != NULL) {
        d->wanted = true;
        spin_unlock(&d->lock);
    }
}

uint32_t statement_stats_count(struct statement_stats *s)
{
    return atomic_load_explicit(&s->count, memory_order_acquire);
}

static void index_again(struct statement_stats *s, uint32_t n)
{
    uint32_t i = (uint32_t)atomic_load(&s->digests[n - 1]->hash) & s->mask;
    while (atomic_load(&s->index[i]) != 0) {
        i = (i + 1) & s->mask;
    }
    atomic_store_explicit(&s->index[i], n, memory_order_release);
}

/* Under the table's lock. The first place, too, begins anew: what was counted there may have a
 * place of its own now. */
static void forget_place(struct statement_stats *s, uint32_t n)
{
    struct digest_stats *d = s->digests[n - 1];
    void *names = NULL;
    spin_lock(&d->lock);
    void *buckets = d->buckets;
    char *sample = d->sample;
    bool stays = d->wanted && d->tokens.ptr != NULL;
    bool was_free = n != STATS_FIRST && d->tokens.ptr == NULL;
    d->counts = (struct statement_counts){0};
    d->first_us = d->last_us = 0;
    d->buckets = NULL;
    d->sample = NULL;
    d->sample_len = 0;
    d->wanted = false;
    atomic_store(&d->sample_wait_us, 0);
    atomic_store(&d->sample_seen_us, 0);
    if (!stays) {
        names = (void *)(uintptr_t)d->tokens.ptr;
        d->tokens = d->schema = (struct slice){0};
        atomic_store(&d->hash, 0);
        atomic_fetch_add(&d->generation, was_free ? 0 : 1);
    }
    spin_unlock(&d->lock);
    mem_free(buckets);
    mem_free(sample);
    mem_free(names);
    if (stays) {
        index_again(s, n);
    } else if (n != STATS_FIRST) {
        d->next_free = s->free;
        s->free = n;
    }
}

static void forget_digests(struct statement_stats *s)
{
    spin_lock(&s->lock);
    for (uint32_t i = 0; i <= s->mask; i++) {
        atomic_store_explicit(&s->index[i], 0, memory_order_relaxed);
    }
    s->free = 0;
    for (uint32_t n = statement_stats_count(s); n >= STATS_FIRST; n--) {
        forget_place(s, n);
    }
    atomic_store(&s->full, s->free == 0 && statement_stats_count(s) == s->max);
    spin_unlock(&s->lock);
}

void statement_stats_truncate(struct statement_stats *s, bool digests, bool classes)
{
    if (digests && s->max != 0) {
        forget_digests(s);
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
    if (slot->counts.count == 0) {
        return;
    }
    struct digest_stats *d = statement_stats_lock(all, slot->digest);
    if (d != NULL) {
        if (d->buckets == NULL) {
            d->buckets = mem_calloc(STATS_BUCKETS, sizeof(*d->buckets));
        }
        d->first_us = d->counts.count == 0 ? slot->first_us : d->first_us;
        d->last_us = slot->last_us > d->last_us ? slot->last_us : d->last_us;
        statement_counts_add(&d->counts, &slot->counts);
        for (uint64_t i = 0; i < slot->counts.count && d->buckets != NULL; i++) {
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

void session_stats_add(struct session_stats *s, struct statement_stats *all, digest_id digest,
                       enum event_class class, const struct statement_counts *c, uint64_t now_us)
{
    struct stats_slot *slot = &s->slots[((uint32_t)digest + (uint32_t) class) % STATS_SLOTS];
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
