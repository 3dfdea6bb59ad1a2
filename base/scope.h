/* Clean-up at the end of a block, in the only three forms that are used here. They run on every way
 * out of the block, TRY's return included. */
#ifndef SKEIN_BASE_SCOPE_H
#define SKEIN_BASE_SCOPE_H

#include <pthread.h>
#include <unistd.h>

#include "base/buf.h"

static inline pthread_mutex_t *scope__lock(pthread_mutex_t *m)
{
    pthread_mutex_lock(m);
    return m;
}

static inline void scope__unlock(pthread_mutex_t **m)
{
    pthread_mutex_unlock(*m);
}

static inline void scope__close(int *fd)
{
    if (*fd >= 0) {
        close(*fd);
    }
}

/* Holds the pthread mutex until the end of the block. Once per block. Never across a call that may
 * park. */
#define SCOPE_LOCK(mutex)                                                                          \
    pthread_mutex_t *scope_lock_ __attribute__((cleanup(scope__unlock), unused)) =                 \
        scope__lock(mutex)

/* int name = value; closed at the end of the block unless it is negative: set it to -1 to give it
 * away. */
#define SCOPE_FD(name) int name __attribute__((cleanup(scope__close)))

/* struct buf name, initialised with the maximum, freed at the end of the block. */
#define SCOPE_BUF(name, max)                                                                       \
    struct buf name __attribute__((cleanup(buf_fini)));                                            \
    buf_init(&name, (max))

#endif
