#include <string.h>

#include "base/clock.h"
#include "base/fiber.h"
#include "base/log.h"
#include "node/main/membership_int.h"

/* A node with an empty data directory asks for an identity. Any member takes the question to the
 * leader of the meta range. A wrong token, or another refusal, is the end; nobody there is tried
 * again: members may be starting too. */

#define JOIN_TIME_MAX_NS (60 * NS_PER_S)
#define JOIN_PAUSE_NS    (300 * NS_PER_MS)

static bool final_answer(db_err err)
{
    switch ((int)err) {
    case ERR_INVALID:
    case ERR_LIMIT:
    case ERR_UNSUPPORTED:
    case ERR_EXISTS:
    case ERR_CORRUPT:
    case ERR_NOMEM:
    case ERR_CANCELED: return true;
    default: return false;
    }
}

static db_err ask_one(struct rpc_client *client, const char *address, const char *token,
                      const struct node_info *self, struct arena *arena, struct diag *diag,
                      struct node_directory *ret_dir)
{
    struct rpc_peer *peer = rpc_client_peer_at(client, address);
    struct meta_call call = {.name = slice_str(token), .self = self};
    struct meta_answer answer = {0};
    if (peer == NULL) {
        return ERR_NOMEM;
    }
    TRY(meta_call_peer(peer, RPC_M_join, META_METHOD_JOIN, &call, arena, diag, &answer));
    if (answer.dir.you == 0 || answer.dir.count == 0) {
        return diag_set(diag, ERR_CORRUPT, "%s answered with no identity", address);
    }
    *ret_dir = answer.dir;
    return ERR_OK;
}

static db_err ask_all(struct membership *m, struct rpc_client *client, const struct node_info *self,
                      struct arena *arena, struct diag *diag, struct node_directory *ret_dir)
{
    const char *rest = m->opts.join;
    db_err err = ERR_INVALID;
    while (*rest != '\0') {
        char address[NODE_ADDRESS_MAX];
        size_t n = strcspn(rest, ",");
        if (n == 0 || n >= sizeof(address)) {
            return diag_set(diag, ERR_INVALID, "--join takes HOST:PORT,... and not \"%s\"",
                            m->opts.join);
        }
        memcpy(address, rest, n);
        address[n] = '\0';
        rest += n + (rest[n] == ',');
        err = ask_one(client, address, m->token, self, arena, diag, ret_dir);
        if (err == ERR_OK || final_answer(err)) {
            return err;
        }
    }
    return err;
}

db_err membership_ask_to_join(struct membership *m, const struct node_info *self,
                              struct arena *arena, struct diag *diag,
                              struct node_directory *ret_dir)
{
    struct loop *loops[1] = {loop_group_get(m->opts.loops, 0)};
    struct rpc_client_opts opts = {
        .transport = m->transport,
        .identity = {.boot_id = m->boot_id, .kind = RPC_PEER_JOIN, .token = m->token},
        .loops = loops,
        .loop_count = 1};
    struct rpc_client *client;
    TRY(rpc_client_start(&opts, &client));
    uint64_t end = clock_mono_ns() + JOIN_TIME_MAX_NS;
    db_err err;
    for (;;) {
        err = ask_all(m, client, self, arena, diag, ret_dir);
        if (err == ERR_OK || final_answer(err) || clock_mono_ns() > end) {
            break;
        }
        LOG_INFO("node.join.waits", F_ERR(err), F_STR("reason", diag->text));
        if (fiber_sleep(JOIN_PAUSE_NS) != ERR_OK) {
            break;
        }
    }
    rpc_client_stop(client);
    return err == ERR_OK ? err
                         : diag_context(diag, err, "cannot join the cluster at %s", m->opts.join);
}
