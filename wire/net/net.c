#include "wire/net/net.h"

#include <time.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "wire/net/tls.h"

static void end_loop_conns(struct wire_loop *l, bool cancel)
{
    l->draining = true;
    LIST_FOREACH_SAFE (it, &l->conns) {
        struct conn *c = CONTAINER_OF(it, struct conn, link);
        if (cancel || conn_state(c) == CONN_GREETED || conn_state(c) == CONN_IDLE ||
            conn_state(c) == CONN_LINGER || conn_state(c) == CONN_LOGIN) {
            conn__doom(c, DOOM_SHUTDOWN);
        } else if (c->doom == DOOM_NONE) {
            c->doom = DOOM_SHUTDOWN;
        }
    }
}

struct loop_call {
    struct loop_task task;
    void (*fn)(void *arg);
    void *arg;
    _Atomic int done;
};

static void on_loop_call(struct loop_task *task)
{
    struct loop_call *call = CONTAINER_OF(task, struct loop_call, task);
    call->fn(call->arg);
    atomic_store_explicit(&call->done, 1, memory_order_release);
}

void wire_pause(uint64_t ns)
{
    if (fiber_self() != NULL) {
        if (fiber_sleep(ns) != ERR_OK) {
            fiber_yield();
        }
        return;
    }
    struct timespec t = {(time_t)(ns / NS_PER_S), (long)(ns % NS_PER_S)};
    nanosleep(&t, NULL);
}

void loop_call(struct loop *loop, void (*fn)(void *arg), void *arg)
{
    struct loop_call call = {.task.fn = on_loop_call, .fn = fn, .arg = arg};
    loop_post(loop, &call.task);
    while (atomic_load_explicit(&call.done, memory_order_acquire) == 0) {
        wire_pause(NS_PER_MS / 5);
    }
}

struct end_args {
    struct wire_loop *loop;
    bool cancel;
};

static void on_end_all(void *arg)
{
    struct end_args *a = arg;
    end_loop_conns(a->loop, a->cancel);
}

void wire_net_end_all(struct wire_net *net, bool cancel)
{
    for (unsigned i = 0; i < net->loop_count; i++) {
        struct end_args args = {net->loops[i], cancel};
        loop_call(net->loops[i]->loop, on_end_all, &args);
    }
}

db_err wire_net_init(struct wire_net *net, struct loop_group *group)
{
    unsigned count = loop_group_count(group);
    net->loops = mem_calloc(count, sizeof(*net->loops));
    if (net->loops == NULL) {
        return ERR_NOMEM;
    }
    for (unsigned i = 0; i < count; i++) {
        struct wire_loop *l = mem_calloc(1, sizeof(*l));
        if (l == NULL) {
            wire_net_fini(net);
            return ERR_NOMEM;
        }
        l->net = net;
        l->loop = loop_group_get(group, i);
        list_init(&l->conns);
        list_init(&l->preauth);
        net->loops[net->loop_count++] = l;
    }
    return ERR_OK;
}

void wire_net_fini(struct wire_net *net)
{
    for (unsigned i = 0; i < net->loop_count; i++) {
        io_pool_fini(&net->loops[i]->pool);
        mem_free(net->loops[i]);
    }
    mem_free(net->loops);
    net->loops = NULL;
    net->loop_count = 0;
}
