#include "rpc/conn/rpc.h"

#include <pthread.h>
#include <string.h>

#include "base/alloc.h"
#include "base/assert.h"
#include "base/crc32c.h"
#include "base/rand.h"

#define ONEWAY RPC_ONEWAY
#define UNARY  RPC_UNARY
#define STREAM RPC_STREAM
static const struct rpc_method_info g_methods[RPC_METHOD_MAX] = {
#define METHOD(number, name, kind, class, callers, text)                                           \
    [number] = {#name, kind, RPC_CLASS_##class, (callers)},
#include "rpc/conn/methods.def"
#undef METHOD
};
#undef ONEWAY
#undef UNARY
#undef STREAM

const struct rpc_method_info *rpc_method_info(unsigned number)
{
    return number < RPC_METHOD_MAX && g_methods[number].name != NULL ? &g_methods[number] : NULL;
}

const char *rpc_class_name(enum rpc_class class)
{
    static const char *const names[] = {"raft", "sql", "bulk"};
    return (unsigned)class < RPC_CLASS__COUNT ? names[class] : "unknown";
}

void rpc_msg_release(struct rpc_msg *msg)
{
    blob_unref(msg->blob);
    *msg = (struct rpc_msg){0};
}

db_err rpc_boot_id(uint64_t *ret_boot_id)
{
    uint64_t id = 0;
    while (id == 0) {
        TRY(rand_secure(&id, sizeof(id)));
    }
    *ret_boot_id = id;
    return ERR_OK;
}

uint32_t rpc_err_number(db_err err)
{
    if (err == ERR_OK) {
        return 0;
    }
    const char *name = err_name(err);
    return crc32c(0, name, strlen(name));
}

static uint32_t g_numbers[ERR__COUNT];
static pthread_once_t g_numbers_once = PTHREAD_ONCE_INIT;

static void fill_numbers(void)
{
    for (int e = 0; e < ERR__COUNT; e++) {
        g_numbers[e] = rpc_err_number((db_err)e);
    }
}

db_err rpc_err_of(uint32_t number)
{
    pthread_once(&g_numbers_once, fill_numbers);
    for (int e = 0; e < ERR__COUNT; e++) {
        if (g_numbers[e] == number) {
            return (db_err)e;
        }
    }
    return ERR_OUTCOME_UNKNOWN;
}

void rpc_timing_defaults(struct rpc_timing *t)
{
    const struct rpc_timing d = {.tick_ms = 50,
                                 .ping_ms = 300,
                                 .dead_ms = 1500,
                                 .hello_ms = 5000,
                                 .dial_ms = 2000,
                                 .redial_ms = 50,
                                 .redial_max_ms = 1000};
    t->tick_ms = t->tick_ms != 0 ? t->tick_ms : d.tick_ms;
    t->ping_ms = t->ping_ms != 0 ? t->ping_ms : d.ping_ms;
    t->dead_ms = t->dead_ms != 0 ? t->dead_ms : d.dead_ms;
    t->hello_ms = t->hello_ms != 0 ? t->hello_ms : d.hello_ms;
    t->dial_ms = t->dial_ms != 0 ? t->dial_ms : d.dial_ms;
    t->redial_ms = t->redial_ms != 0 ? t->redial_ms : d.redial_ms;
    t->redial_max_ms = t->redial_max_ms != 0 ? t->redial_max_ms : d.redial_max_ms;
}
