/* A point that is not armed is one relaxed load of g_faults_armed, whatever its name. When any is
 * armed, each hit of any point takes a mutex: that is a test, and the dice and counters must be
 * exact. The mutex is not held while a delay waits. */
#include "base/faults.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/fiber.h"
#include "base/rand.h"

enum { ACTION_SIZE = 128, CRASH_STATUS = 137 };

enum action { ACTION_OFF, ACTION_CRASH, ACTION_ERROR, ACTION_DELAY, ACTION_DROP };

struct arming {
    enum action action;
    db_err err;
    uint64_t delay_ms;
    uint64_t after;
    uint64_t count; /* 0: no limit */
    double prob;
    uint64_t seed;
};

struct point {
    const char *name;
    const char *text;
    struct arming arming; /* this and all below: guarded by g_lock */
    char action[ACTION_SIZE];
    uint64_t hits;
    uint64_t acted;
    struct rand rand;
};

_Atomic unsigned g_faults_armed;
static pthread_mutex_t g_lock = PTHREAD_MUTEX_INITIALIZER;
static struct point g_points[] = {
#define FAULT_POINT(id, what) [FAULT_##id] = {.name = #id, .text = what},
#include "base/faults.def"
#undef FAULT_POINT
};

static struct point *find(const char *name, size_t len)
{
    for (unsigned i = 0; i < FAULT__COUNT; i++) {
        if (strlen(g_points[i].name) == len && memcmp(g_points[i].name, name, len) == 0) {
            return &g_points[i];
        }
    }
    return NULL;
}

/* --- reading an action --- */

static bool parse_u64(const char *text, uint64_t *ret_value)
{
    char *end;
    errno = 0;
    unsigned long long v = strtoull(text, &end, 10);
    if (text[0] < '0' || text[0] > '9' || *end != '\0' || errno != 0) {
        return false;
    }
    *ret_value = v;
    return true;
}

static bool parse_err(const char *text, db_err *ret_err)
{
    for (int i = ERR_OK + 1; i < ERR__COUNT; i++) {
        if (strcmp(err_name((db_err)i), text) == 0) {
            *ret_err = (db_err)i;
            return true;
        }
    }
    return false;
}

static bool parse_prob(const char *text, double *ret_prob)
{
    char *end;
    double v = strtod(text, &end);
    if (end == text || *end != '\0' || !(v >= 0.0 && v <= 1.0)) {
        return false;
    }
    *ret_prob = v;
    return true;
}

/* One part of an action: "crash", "delay=50", "after=3". value is NULL without "=". */
static bool parse_part(const char *key, const char *value, bool first, struct arming *a)
{
    if (first) {
        if (value == NULL) {
            a->action = strcmp(key, "crash") == 0  ? ACTION_CRASH
                        : strcmp(key, "drop") == 0 ? ACTION_DROP
                                                   : ACTION_OFF;
            return a->action != ACTION_OFF || strcmp(key, "off") == 0;
        }
        if (strcmp(key, "error") == 0) {
            a->action = ACTION_ERROR;
            return parse_err(value, &a->err);
        }
        a->action = ACTION_DELAY;
        return strcmp(key, "delay") == 0 && parse_u64(value, &a->delay_ms);
    }
    if (value == NULL) {
        return false;
    }
    if (strcmp(key, "after") == 0) {
        return parse_u64(value, &a->after);
    }
    if (strcmp(key, "count") == 0) {
        return parse_u64(value, &a->count) && a->count > 0;
    }
    if (strcmp(key, "prob") == 0) {
        return parse_prob(value, &a->prob);
    }
    return strcmp(key, "seed") == 0 && parse_u64(value, &a->seed);
}

static bool parse_action(const char *action, struct arming *ret_arming)
{
    struct arming a = {.prob = 1.0};
    bool first = true;
    for (;;) {
        char part[ACTION_SIZE];
        size_t len = strcspn(action, ":");
        if (len >= sizeof(part)) {
            return false;
        }
        memcpy(part, action, len);
        part[len] = '\0';
        char *value = strchr(part, '=');
        if (value != NULL) {
            *value++ = '\0';
        }
        if (!parse_part(part, value, first, &a)) {
            return false;
        }
        if (action[len] == '\0') {
            break;
        }
        action += len + 1;
        first = false;
    }
    *ret_arming = a;
    return true;
}

/* --- arming --- */

static void disarm(struct point *p)
{
    if (p->arming.action != ACTION_OFF) {
        p->arming.action = ACTION_OFF;
        atomic_fetch_sub_explicit(&g_faults_armed, 1, memory_order_relaxed);
    }
}

static db_err set(const char *name, size_t name_len, const char *action, struct diag *diag)
{
#if !(defined(SKEIN_FAULTS) && SKEIN_FAULTS)
    return diag_set(diag, ERR_UNSUPPORTED, "fault points are not compiled in (%.*s, %s)",
                    (int)name_len, name, action);
#endif
    struct point *p = find(name, name_len);
    if (p == NULL) {
        return diag_set(diag, ERR_NOT_FOUND, "no fault point %.*s", (int)name_len, name);
    }
    struct arming a;
    if (strlen(action) >= ACTION_SIZE || !parse_action(action, &a)) {
        return diag_set(diag, ERR_INVALID, "not a fault action: %s", action);
    }
    pthread_mutex_lock(&g_lock);
    disarm(p);
    p->arming = a;
    p->hits = p->acted = 0;
    rand_seed(&p->rand, a.seed);
    snprintf(p->action, sizeof(p->action), "%s", action);
    if (a.action != ACTION_OFF) {
        atomic_fetch_add_explicit(&g_faults_armed, 1, memory_order_relaxed);
    }
    pthread_mutex_unlock(&g_lock);
    return ERR_OK;
}

db_err faults_set(const char *name, const char *action)
{
    return set(name, strlen(name), action, NULL);
}

db_err faults_set_list(const char *list, struct diag *diag)
{
    while (*list != '\0') {
        size_t len = strcspn(list, ";");
        size_t name_len = strcspn(list, "=;");
        if (len > 0) {
            char action[ACTION_SIZE];
            if (name_len >= len || len - name_len - 1 >= sizeof(action)) {
                return diag_set(diag, ERR_INVALID, "not name=action: %.*s", (int)len, list);
            }
            memcpy(action, list + name_len + 1, len - name_len - 1);
            action[len - name_len - 1] = '\0';
            TRY(set(list, name_len, action, diag));
        }
        list += len + (list[len] == ';');
    }
    return ERR_OK;
}

db_err faults_arm_from_env(struct diag *diag)
{
    const char *list = getenv("SKEIN_FAULTS_ARM");
    return list == NULL ? ERR_OK : faults_set_list(list, diag);
}

void faults_reset(void)
{
    pthread_mutex_lock(&g_lock);
    for (unsigned i = 0; i < FAULT__COUNT; i++) {
        disarm(&g_points[i]);
    }
    pthread_mutex_unlock(&g_lock);
}

/* --- hits --- */

/* Under the lock: does this hit act? */
static bool throw_dice(struct point *p)
{
    if (p->arming.action == ACTION_OFF) {
        return false;
    }
    p->hits++;
    if (p->hits <= p->arming.after) {
        return false;
    }
    if (p->arming.prob < 1.0 && rand_unit(&p->rand) >= p->arming.prob) {
        return false;
    }
    p->acted++;
    return true;
}

static void wait_ms(uint64_t ms)
{
    if (fiber_self() != NULL) {
        db_err err = fiber_sleep(ms * NS_PER_MS);
        (void)err; /* a canceled wait is a short one */
        return;
    }
    struct timespec left = {(time_t)(ms / 1000), (long)(ms % 1000 * 1000000)};
    while (nanosleep(&left, &left) != 0 && errno == EINTR) {
    }
}

struct fault_outcome faults_hit(enum fault_id id)
{
    struct point *p = &g_points[id];
    pthread_mutex_lock(&g_lock);
    bool acts = throw_dice(p);
    struct arming a = p->arming;
    if (acts && a.count != 0 && p->acted >= a.count) {
        disarm(p);
    }
    pthread_mutex_unlock(&g_lock);
    struct fault_outcome outcome = {ERR_OK, false};
    if (!acts) {
        return outcome;
    }
    switch (a.action) {
    case ACTION_OFF: break;
    case ACTION_CRASH: _exit(CRASH_STATUS);
    case ACTION_ERROR: outcome.err = a.err; break;
    case ACTION_DELAY: wait_ms(a.delay_ms); break;
    case ACTION_DROP: outcome.drop = true; break;
    }
    return outcome;
}

db_err faults_hits(const char *name, uint64_t *ret_hits, uint64_t *ret_acted)
{
    struct point *p = find(name, strlen(name));
    if (p == NULL) {
        return ERR_NOT_FOUND;
    }
    pthread_mutex_lock(&g_lock);
    *ret_hits = p->hits;
    *ret_acted = p->acted;
    pthread_mutex_unlock(&g_lock);
    return ERR_OK;
}

db_err faults_list(struct buf *out)
{
    db_err err = ERR_OK;
    pthread_mutex_lock(&g_lock);
    for (unsigned i = 0; i < FAULT__COUNT && err == ERR_OK; i++) {
        const struct point *p = &g_points[i];
        err = buf_printf(out, "%s\t%s\t%llu\t%llu\t%s\n", p->name,
                         p->arming.action == ACTION_OFF ? "off" : p->action,
                         (unsigned long long)p->hits, (unsigned long long)p->acted, p->text);
    }
    pthread_mutex_unlock(&g_lock);
    return err;
}
