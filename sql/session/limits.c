#include "sql/session/limits.h"

#include <pthread.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/hash.h"
#include "sql/diag/my_error.h"

struct account_use {
    struct hash_node node;
    char user[ACCOUNT_NAME_MAX + 1];
    char host[ACCOUNT_HOST_MAX + 1];
    /* guarded by mutex */
    pthread_mutex_t mutex;
    uint64_t hour_ns; /* when the hour began */
    uint32_t questions, updates, connections, sessions;
};

/* Uses stay for as long as the node: there are no more than accounts with limits that have logged
 * in. */
struct account_uses {
    pthread_mutex_t mutex; /* guards table */
    struct hash_table table;
    struct account_use **list;
    uint32_t count;
};

db_err account_uses_new(struct account_uses **ret)
{
    struct account_uses *u = mem_calloc(1, sizeof(*u));
    if (u == NULL) {
        return ERR_NOMEM;
    }
    pthread_mutex_init(&u->mutex, NULL);
    hash_init(&u->table);
    *ret = u;
    return ERR_OK;
}

void account_uses_free(struct account_uses *u)
{
    if (u == NULL) {
        return;
    }
    for (uint32_t i = 0; i < u->count; i++) {
        pthread_mutex_destroy(&u->list[i]->mutex);
        mem_free(u->list[i]);
    }
    mem_free(u->list);
    hash_fini(&u->table);
    pthread_mutex_destroy(&u->mutex);
    mem_free(u);
}

static bool has_limits(const struct account *a)
{
    return (a->max_questions | a->max_updates | a->max_connections | a->max_user_connections) != 0;
}

static struct account_use *add(struct account_uses *all, const struct account *a, uint64_t hash)
{
    struct account_use **grown =
        mem_realloc(all->list, (all->count + 1u) * sizeof(struct account_use *));
    if (grown == NULL) {
        return NULL;
    }
    all->list = grown;
    struct account_use *u = mem_calloc(1, sizeof(*u));
    if (u == NULL || hash_insert(&all->table, &u->node, hash) != ERR_OK) {
        mem_free(u);
        return NULL;
    }
    pthread_mutex_init(&u->mutex, NULL);
    memcpy(u->user, a->user, sizeof(u->user));
    memcpy(u->host, a->host, sizeof(u->host));
    grown[all->count++] = u;
    return u;
}

static struct account_use *find(struct account_uses *all, const struct account *a)
{
    uint64_t hash =
        hash_combine(hash_bytes(slice_str(a->user), 1), hash_bytes(slice_str(a->host), 2));
    struct account_use *found = NULL;
    pthread_mutex_lock(&all->mutex);
    for (struct hash_node *n = hash_first(&all->table, hash); n != NULL && found == NULL;
         n = hash_next(n)) {
        struct account_use *u = CONTAINER_OF(n, struct account_use, node);
        found = strcmp(u->user, a->user) == 0 && strcmp(u->host, a->host) == 0 ? u : NULL;
    }
    found = found == NULL ? add(all, a, hash) : found;
    pthread_mutex_unlock(&all->mutex);
    return found;
}

static void begin_hour(struct account_use *u)
{
    enum { HOUR_S = 3600 };
    uint64_t now = clock_mono_ns();
    if (u->hour_ns == 0 || now - u->hour_ns >= HOUR_S * NS_PER_S) {
        u->hour_ns = now;
        u->questions = u->updates = u->connections = 0;
    }
}

static db_err exceeded(const struct account *a, const char *what, uint32_t limit, struct diag *diag)
{
    return my_error(diag, ER_USER_LIMIT_REACHED, a->user, what, (long)limit);
}

db_err account_use_connect(struct account_uses *all, const struct account *account,
                           struct diag *diag, struct account_use **ret_use)
{
    db_err err = ERR_OK;
    *ret_use = NULL;
    if (!has_limits(account)) {
        return ERR_OK;
    }
    struct account_use *u = find(all, account);
    if (u == NULL) {
        return ERR_NOMEM;
    }
    pthread_mutex_lock(&u->mutex);
    begin_hour(u);
    if (account->max_user_connections != 0 && u->sessions >= account->max_user_connections) {
        err = exceeded(account, "max_user_connections", account->max_user_connections, diag);
    } else if (account->max_connections != 0 && u->connections >= account->max_connections) {
        err = exceeded(account, "max_connections_per_hour", account->max_connections, diag);
    } else {
        u->sessions++;
        u->connections++;
    }
    pthread_mutex_unlock(&u->mutex);
    *ret_use = err == ERR_OK ? u : NULL;
    return err;
}

void account_use_disconnect(struct account_use *use)
{
    if (use != NULL) {
        pthread_mutex_lock(&use->mutex);
        use->sessions--;
        pthread_mutex_unlock(&use->mutex);
    }
}

db_err account_use_question(struct account_use *use, const struct account *account,
                            struct diag *diag)
{
    pthread_mutex_lock(&use->mutex);
    begin_hour(use);
    bool over = account->max_questions != 0 && use->questions++ >= account->max_questions;
    pthread_mutex_unlock(&use->mutex);
    return over ? exceeded(account, "max_questions", account->max_questions, diag) : ERR_OK;
}

db_err account_use_update(struct account_use *use, const struct account *account, struct diag *diag)
{
    pthread_mutex_lock(&use->mutex);
    begin_hour(use);
    bool over = account->max_updates != 0 && use->updates++ >= account->max_updates;
    pthread_mutex_unlock(&use->mutex);
    return over ? exceeded(account, "max_updates", account->max_updates, diag) : ERR_OK;
}

void account_uses_reset(struct account_uses *all)
{
    pthread_mutex_lock(&all->mutex);
    for (uint32_t i = 0; i < all->count; i++) {
        pthread_mutex_lock(&all->list[i]->mutex);
        all->list[i]->hour_ns = 0;
        pthread_mutex_unlock(&all->list[i]->mutex);
    }
    pthread_mutex_unlock(&all->mutex);
}
