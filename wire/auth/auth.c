/* Which account, which plugin, and the switch to it.
 *
 * The client guesses a plugin (that of the greeting). If the account has another, or on
 * COM_CHANGE_USER always, an auth switch request names it with a new nonce and the client answers
 * again. */
#include "wire/auth/auth.h"

#include <arpa/inet.h>
#include <openssl/crypto.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/fiber.h"
#include "wire/auth/digest_cache.h"
#include "wire/auth/handshake.h"
#include "wire/auth/rsa_key.h"
#include "wire/net/tls.h"

#define NOTE_TIME_NS (5 * NS_PER_S)

static const struct auth_plugin *const g_plugins[] = {
    &auth__caching_sha2,
    &auth__native_password,
};

struct auth_server {
    struct sql_engine *engine;
    struct digest_cache *cache;
    struct rsa_key *rsa;
};

db_err auth_server_new(struct sql_engine *engine, const char *data_dir,
                       struct auth_server **ret_auth)
{
    struct auth_server *auth = mem_calloc(1, sizeof(*auth));
    if (auth == NULL) {
        return ERR_NOMEM;
    }
    auth->engine = engine;
    auth->cache = digest_cache_new();
    auth->rsa = rsa_key_new(data_dir);
    if (auth->cache == NULL || auth->rsa == NULL) {
        auth_server_free(auth);
        return ERR_NOMEM;
    }
    *ret_auth = auth;
    return ERR_OK;
}

void auth_server_free(struct auth_server *auth)
{
    if (auth != NULL) {
        digest_cache_free(auth->cache);
        rsa_key_free(auth->rsa);
        mem_free(auth);
    }
}

struct digest_cache *auth__cache(struct auth_server *auth)
{
    return auth->cache;
}

struct rsa_key *auth__rsa(struct auth_server *auth)
{
    return auth->rsa;
}

bool auth_is_loopback(const struct conn *c)
{
    if (c->transport == CONN_UNIX) {
        return true;
    }
    struct in_addr in4;
    if (inet_pton(AF_INET, c->peer, &in4) == 1) {
        return (ntohl(in4.s_addr) >> 24) == 127;
    }
    return slice_eq(slice_str(c->peer), SLICE_LIT("::1"));
}

const char *auth_client_host(const struct conn *c)
{
    return auth_is_loopback(c) ? "localhost" : c->peer;
}

static size_t literal_prefix(const char *pattern)
{
    return strcspn(pattern, "%_");
}

static bool is_exact(const struct sql_account *account)
{
    return account->exists && strpbrk(account->host_pattern, "%_") == NULL;
}

/* MYSQL: a loopback client is known by name and by address. Its address, or a network of it, comes
 * before its name, and that before patterns, of which the longer one wins. */
static db_err find_account(struct auth_server *auth, const struct conn *c, struct slice user,
                           struct diag *diag, struct sql_account *ret_account)
{
    struct slice host = slice_str(auth_client_host(c));
    TRY(sql_engine_find_account(auth->engine, user, host, diag, ret_account));
    if (c->peer[0] == '\0' || !auth_is_loopback(c)) {
        return ERR_OK;
    }
    struct sql_account *other = mem_alloc(sizeof(*other));
    if (other == NULL) {
        return diag_set(diag, ERR_NOMEM, "out of memory");
    }
    db_err err = sql_engine_find_account(auth->engine, user, slice_str(c->peer), diag, other);
    if (err == ERR_OK && other->exists &&
        (!ret_account->exists || is_exact(other) ||
         (!is_exact(ret_account) &&
          literal_prefix(other->host_pattern) > literal_prefix(ret_account->host_pattern)))) {
        *ret_account = *other;
    }
    mem_free(other);
    return err;
}

static const struct auth_plugin *plugin_of(const struct sql_account *account)
{
    const char *name = account->exists ? account->plugin : auth__caching_sha2.name;
    for (size_t i = 0; i < ARRAY_COUNT(g_plugins); i++) {
        if (slice_eq(slice_str(g_plugins[i]->name), slice_str(name))) {
            return g_plugins[i];
        }
    }
    return NULL;
}

static bool take_response(struct auth_exchange *x, struct slice response)
{
    if (response.len > sizeof(x->response)) {
        return false;
    }
    if (response.len > 0) {
        memcpy(x->response, response.ptr, response.len);
    }
    x->response_size = response.len;
    return true;
}

static db_err switch_plugin(struct auth_exchange *x, const struct auth_plugin *plugin,
                            bool *ret_taken)
{
    struct conn *c = x->conn;
    struct slice packet;
    TRY(handshake_make_nonce(c->nonce));
    TRY(conn_begin(c));
    TRY(put_u8(&c->out, 0xfe));
    TRY(put_cstr(&c->out, slice_str(plugin->name)));
    TRY(put_bytes(&c->out, slice_of(c->nonce, NONCE_SIZE + 1)));
    TRY(conn_finish(c));
    TRY(conn_read_packet(c, &packet));
    *ret_taken = take_response(x, packet);
    return ERR_OK;
}

static db_err exchange(struct auth_exchange *x, const struct auth_request *request,
                       const struct auth_plugin *plugin, bool *ret_accepted)
{
    bool taken = true;
    bool guessed = slice_eq(request->plugin, slice_str(plugin->name));
    /* A client without CLIENT_PLUGIN_AUTH can only do what the oldest plugin does. */
    if (request->plugin.len == 0 && (x->conn->caps & CAP_PLUGIN_AUTH) == 0) {
        guessed = plugin == &auth__native_password || x->response_size == 0;
    }
    if (request->fresh || !guessed) {
        TRY(switch_plugin(x, plugin, &taken));
    }
    *ret_accepted = false;
    return taken ? plugin->authenticate(x, ret_accepted) : ERR_OK;
}

static struct slice account_user(const struct auth_request *request, const struct sql_account *a)
{
    return a->anonymous ? SLICE_LIT("") : request->user;
}

/* Whether the password was right counts for accounts that are blocked after some wrong ones. */
static db_err note(struct auth_server *auth, const struct auth_request *request, struct diag *diag,
                   struct auth_outcome *o)
{
    o->password_right = o->accepted;
    if (!o->account.exists || !o->account.counts_failures) {
        return ERR_OK;
    }
    return sql_engine_note_login(auth->engine, account_user(request, &o->account),
                                 slice_str(o->account.host_pattern), o->accepted, diag, &o->block);
}

/* Who leaves, or says nothing more, has not shown the password. MYSQL: it counts as a wrong one; a
 * guess could be made without it, as the answer to the first packet tells. */
static void note_left(struct auth_server *auth, const struct auth_request *request,
                      struct auth_outcome *o)
{
    struct diag ignored = {0};
    fiber_clear_cancel();
    fiber_set_deadline(clock_mono_ns() + NOTE_TIME_NS);
    o->accepted = false;
    db_err err = note(auth, request, &ignored, o);
    (void)err; /* there is nobody to tell */
    fiber_set_deadline(DEADLINE_NONE);
}

/* What the account asks of the connection. */
static bool connection_fits(struct auth_server *auth, const struct conn *c,
                            const struct auth_request *request, const struct sql_account *a)
{
    struct tls_peer peer;
    if (!a->exists || (a->loopback_only && !auth_is_loopback(c)) ||
        (a->require_tls && c->tls == NULL)) {
        return false;
    }
    if (!a->require_certificate) {
        return true;
    }
    bool shown = tls_peer_get(c->tls, &peer);
    struct sql_certificate cert = {.cipher = tls_cipher(c->tls),
                                   .subject = shown ? peer.subject : NULL,
                                   .issuer = shown ? peer.issuer : NULL};
    return sql_engine_certificate_fits(auth->engine, account_user(request, a),
                                       slice_str(a->host_pattern), &cert);
}

db_err auth_run(struct auth_server *auth, struct conn *c, const struct auth_request *request,
                struct diag *diag, struct auth_outcome *ret_outcome)
{
    struct auth_outcome out = {.accepted = false};
    struct auth_exchange x = {.server = auth, .conn = c, .user = request->user};
    bool taken = take_response(&x, request->response);
    x.used_password = request->response.len > 0;
    TRY(find_account(auth, c, request->user, diag, &out.account));
    x.account = &out.account;
    const struct auth_plugin *plugin = plugin_of(&out.account);
    out.plugin_missing = plugin == NULL;
    db_err err = ERR_OK;
    if (taken && plugin != NULL) {
        err = exchange(&x, request, plugin, &out.accepted);
    }
    out.used_password = x.used_password;
    if (err == ERR_OK) {
        err = note(auth, request, diag, &out);
    } else if (c->doom != DOOM_SHUTDOWN) {
        note_left(auth, request, &out);
    }
    if (out.block.days != 0 || !connection_fits(auth, c, request, &out.account)) {
        out.accepted = false;
    }
    OPENSSL_cleanse(x.response, sizeof(x.response));
    if (err == ERR_OK) {
        *ret_outcome = out;
    }
    return err;
}
