/* TLS around another transport's pipes, by OpenSSL with memory on both sides of it.
 *
 *     owner  <-- plain -->  SSL  <-- in/out (BIOs in memory) -->  inner pipe
 *
 * One mutex per pipe: an SSL object serves one thread at a time. It is held while bytes are
 * encrypted and while the inner pipe is asked to send or receive (which does not call back), never
 * while the owner is called back.
 *
 * A send of the owner is encrypted at once and complete when its last byte was taken by the inner
 * pipe. A receive first takes what is decrypted already, then asks the inner pipe.
 *
 * NNG has TLS of its own, but version 1.5 cannot tell whose certificate the peer has shown, which
 * the first frame is compared with; and it uses another library, so that there would be two in the
 * process.
 *
 * A handshake under way is in one of two lists of the transport: of a dial, which its owner can
 * cancel, or of a listener, where the oldest is closed when there are too many: nobody can keep
 * others out by beginning handshakes and not going on. */
#include "rpc/transport/tls.h"

#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/assert.h"
#include "base/list.h"
#include "base/log.h"
#include "base/scope.h"
#include "rpc/transport/tls_int.h"

enum {
    TLS_IN_SIZE = 32 * 1024,
    TLS_OUT_SIZE = 80 * 1024,
    TLS_WRITE_MAX = 64 * 1024, /* plain bytes of one send */
    HANDSHAKES_MAX_DEFAULT = 64,
};

struct tls_transport {
    struct rpc_transport base;
    struct rpc_transport *inner;
    SSL_CTX *client_ctx;
    SSL_CTX *server_ctx; /* NULL without a certificate: cannot listen */
    char fingerprint[65];
    pthread_mutex_t lock;
    struct list dials; /* of tls_dial; guarded by lock */
};

struct rpc_listener {
    struct tls_transport *t;
    struct rpc_listener *inner;
    void (*accepted)(void *ctx, struct rpc_pipe *pipe);
    void *ctx;
    unsigned handshakes_max;
    pthread_mutex_t lock;
    pthread_cond_t idle;
    struct list handshakes; /* of tls_pipe, oldest first; guarded by lock */
    unsigned count;         /* guarded by lock */
};

struct tls_dial {
    struct rpc_dial inner;
    struct tls_transport *t;
    struct rpc_dial *outer;
    struct list link;      /* t->dials */
    struct tls_pipe *pipe; /* handshake under way; guarded by t->lock */
    bool canceled;         /* guarded by t->lock */
};

struct tls_pipe {
    struct rpc_pipe base;
    struct rpc_pipe *inner;
    _Atomic unsigned refs;         /* the owner; an inner receive; an inner send */
    struct tls_dial *dial;         /* handshake of a dial, or */
    struct rpc_listener *listener; /* of a listener, until it is over */
    struct list link;              /* listener->handshakes */

    pthread_mutex_t lock; /* guards the rest */
    SSL *ssl;
    BIO *in;  /* owned by ssl */
    BIO *out; /* owned by ssl */
    bool shaking;
    bool failed;
    bool receiving; /* the inner pipe */
    bool sending;   /* the inner pipe */
    void *recv_ptr; /* the owner's receive under way, or NULL */
    size_t recv_len;
    size_t send_bytes; /* the owner's send under way: its plain bytes, or 0 */
    size_t out_start;
    size_t out_end;
    uint8_t in_bytes[TLS_IN_SIZE];
    uint8_t out_bytes[TLS_OUT_SIZE];
};

static void pipe_unref(struct tls_pipe *p)
{
    if (atomic_fetch_sub(&p->refs, 1) > 1) {
        return;
    }
    rpc_pipe_close(p->inner);
    rpc_pipe_free(p->inner);
    SSL_free(p->ssl);
    pthread_mutex_destroy(&p->lock);
    mem_free(p);
}

/* --- with the lock held --- */

/* Gives encrypted bytes to the inner pipe until it keeps us waiting or there are none. */
static void pump_out(struct tls_pipe *p)
{
    while (!p->sending && !p->failed) {
        if (p->out_start == p->out_end) {
            int n = BIO_read(p->out, p->out_bytes, sizeof(p->out_bytes));
            if (n <= 0) {
                return;
            }
            p->out_start = 0;
            p->out_end = (size_t)n;
        }
        struct slice s = slice_of(p->out_bytes + p->out_start, p->out_end - p->out_start);
        struct rpc_io io;
        p->sending = true;
        atomic_fetch_add(&p->refs, 1);
        if (!rpc_pipe_send(p->inner, &s, 1, &io)) {
            return;
        }
        p->sending = false;
        atomic_fetch_sub(&p->refs, 1);
        if (io.err != ERR_OK) {
            p->failed = true;
        } else {
            p->out_start += io.bytes;
        }
    }
}

static bool out_empty(const struct tls_pipe *p)
{
    return !p->sending && p->out_start == p->out_end && BIO_pending(p->out) == 0;
}

static void take_in(struct tls_pipe *p, size_t bytes)
{
    int n = BIO_write(p->in, p->in_bytes, (int)bytes);
    if (n != (int)bytes) {
        p->failed = true; /* out of memory */
    }
}

/* Asks the inner pipe for bytes. True: some came at once. */
static bool pump_in(struct tls_pipe *p)
{
    if (p->receiving || p->failed) {
        return false;
    }
    struct rpc_io io;
    p->receiving = true;
    atomic_fetch_add(&p->refs, 1);
    if (!rpc_pipe_recv(p->inner, p->in_bytes, sizeof(p->in_bytes), &io)) {
        return false;
    }
    p->receiving = false;
    atomic_fetch_sub(&p->refs, 1);
    if (io.err != ERR_OK) {
        p->failed = true;
        return false;
    }
    take_in(p, io.bytes);
    return !p->failed;
}

/* Decrypts into ptr. 0: more must be read first. */
static size_t decrypt(struct tls_pipe *p, void *ptr, size_t len)
{
    for (;;) {
        size_t n = 0;
        ERR_clear_error();
        int rc = SSL_read_ex(p->ssl, ptr, len, &n);
        int reason = rc == 1 ? SSL_ERROR_NONE : SSL_get_error(p->ssl, rc);
        pump_out(p); /* what reading made it say */
        if (rc == 1) {
            return n;
        }
        if (reason != SSL_ERROR_WANT_READ) {
            p->failed = true;
        }
        if (p->failed || !pump_in(p)) {
            return 0;
        }
    }
}

/* --- the owner's side --- */

static bool pipe_send(struct rpc_pipe *base, const struct slice *iov, unsigned count,
                      struct rpc_io *ret_io)
{
    struct tls_pipe *p = CONTAINER_OF(base, struct tls_pipe, base);
    SCOPE_LOCK(&p->lock);
    ASSERT(p->send_bytes == 0);
    size_t total = 0;
    for (unsigned i = 0; i < count && !p->failed && total < TLS_WRITE_MAX; i++) {
        size_t n = iov[i].len < TLS_WRITE_MAX - total ? iov[i].len : TLS_WRITE_MAX - total;
        size_t written = 0;
        ERR_clear_error();
        if (SSL_write_ex(p->ssl, iov[i].ptr, n, &written) != 1) {
            p->failed = true;
        }
        total += written;
    }
    pump_out(p);
    if (p->failed && !p->sending) {
        *ret_io = (struct rpc_io){ERR_CLOSED, 0};
        return true;
    }
    if (out_empty(p)) {
        *ret_io = (struct rpc_io){ERR_OK, total};
        return true;
    }
    p->send_bytes = total > 0 ? total : 1;
    return false;
}

static bool pipe_recv(struct rpc_pipe *base, void *ptr, size_t len, struct rpc_io *ret_io)
{
    struct tls_pipe *p = CONTAINER_OF(base, struct tls_pipe, base);
    SCOPE_LOCK(&p->lock);
    ASSERT(p->recv_ptr == NULL);
    size_t n = p->failed ? 0 : decrypt(p, ptr, len);
    if (n > 0) {
        *ret_io = (struct rpc_io){ERR_OK, n};
        return true;
    }
    if (p->failed && !p->receiving) {
        *ret_io = (struct rpc_io){ERR_CLOSED, 0};
        return true;
    }
    p->recv_ptr = ptr;
    p->recv_len = len;
    return false;
}

static void pipe_close(struct rpc_pipe *base)
{
    struct tls_pipe *p = CONTAINER_OF(base, struct tls_pipe, base);
    rpc_pipe_close(p->inner);
}

static void pipe_free(struct rpc_pipe *base)
{
    struct tls_pipe *p = CONTAINER_OF(base, struct tls_pipe, base);
    rpc_pipe_close(p->inner);
    pipe_unref(p);
}

static void pipe_move(struct rpc_pipe *base, struct loop *loop)
{
    rpc_pipe_move(CONTAINER_OF(base, struct tls_pipe, base)->inner, loop);
}

static const struct rpc_pipe_ops g_pipe_ops = {"tls",     pipe_send,  pipe_recv,
                                               pipe_move, pipe_close, pipe_free};

/* --- the handshake --- */

static void describe_failure(struct tls_pipe *p, char *out, size_t size)
{
    long verify = SSL_get_verify_result(p->ssl);
    if (verify != X509_V_OK) {
        snprintf(out, size, "its certificate is not accepted: %s",
                 X509_verify_cert_error_string(verify));
        ERR_clear_error();
    } else {
        snprintf(out, size, "TLS handshake failed: %s", tls__error_text());
    }
}

/* With the lock held. False: not over yet. */
static bool shake(struct tls_pipe *p, char *text, size_t text_size)
{
    while (!p->failed) {
        ERR_clear_error();
        int rc = SSL_do_handshake(p->ssl);
        int reason = rc == 1 ? SSL_ERROR_NONE : SSL_get_error(p->ssl, rc);
        if (rc != 1 && reason != SSL_ERROR_WANT_READ) {
            describe_failure(p, text, text_size);
            pump_out(p); /* the alert */
            p->failed = true;
            return true;
        }
        pump_out(p);
        if (rc == 1) {
            return true;
        }
        if (!pump_in(p)) {
            break;
        }
    }
    if (p->failed) {
        snprintf(text, text_size, "the connection broke during the TLS handshake");
    }
    return p->failed;
}

static void read_peer_name(struct tls_pipe *p)
{
    X509 *cert = SSL_get0_peer_certificate(p->ssl);
    p->base.encrypted = true;
    if (cert == NULL || SSL_get_verify_result(p->ssl) != X509_V_OK) {
        return;
    }
    char name[RPC_PEER_NAME_MAX];
    int len =
        X509_NAME_get_text_by_NID(X509_get_subject_name(cert), NID_commonName, name, sizeof(name));
    /* A name that does not fit, or has a NUL within, is nobody's. */
    if (len > 0 && (size_t)len < sizeof(name) - 1 && strlen(name) == (size_t)len) {
        memcpy(p->base.peer_name, name, (size_t)len + 1);
    }
}

static void dial_over(struct tls_dial *d, db_err err, const char *text, struct tls_pipe *p)
{
    struct tls_transport *t = d->t;
    pthread_mutex_lock(&t->lock);
    list_remove(&d->link);
    bool canceled = d->canceled;
    pthread_mutex_unlock(&t->lock);
    struct rpc_dial *outer = d->outer;
    if (err != ERR_OK && canceled) {
        err = ERR_CANCELED;
        text = "no answer in time";
    }
    if (err != ERR_OK && p != NULL) {
        pipe_free(&p->base);
        p = NULL;
    }
    mem_free(d);
    outer->done(outer, err, text, p != NULL ? &p->base : NULL);
}

static void accept_over(struct rpc_listener *l, db_err err, const char *text, struct tls_pipe *p)
{
    pthread_mutex_lock(&l->lock);
    list_remove(&p->link);
    pthread_mutex_unlock(&l->lock);
    if (err == ERR_OK) {
        l->accepted(l->ctx, &p->base);
    } else {
        LOG_WARN("rpc.tls.refused", F_STR("peer", p->base.remote), F_STR("reason", text));
        pipe_free(&p->base);
    }
    pthread_mutex_lock(&l->lock);
    l->count--;
    pthread_cond_broadcast(&l->idle);
    pthread_mutex_unlock(&l->lock);
}

/* The handshake's next step. Not with the lock held. */
static void shake_on(struct tls_pipe *p)
{
    char text[256] = "";
    pthread_mutex_lock(&p->lock);
    bool over = p->shaking && shake(p, text, sizeof(text));
    if (over) {
        p->shaking = false;
    }
    db_err err = p->failed ? ERR_UNAVAILABLE : ERR_OK;
    struct tls_dial *d = p->dial;
    struct rpc_listener *l = p->listener;
    if (over && err == ERR_OK) {
        read_peer_name(p);
    }
    if (over) {
        p->dial = NULL;
        p->listener = NULL;
    }
    pthread_mutex_unlock(&p->lock);
    if (over && d != NULL) {
        dial_over(d, err, text, p);
    } else if (over) {
        accept_over(l, err, text, p);
    }
}

/* --- the inner pipe's side --- */

static void on_sent(void *ctx, db_err err, size_t bytes)
{
    struct tls_pipe *p = ctx;
    pthread_mutex_lock(&p->lock);
    p->sending = false;
    p->out_start += bytes;
    p->failed = p->failed || err != ERR_OK;
    pump_out(p);
    size_t done = 0;
    bool broken = p->failed && !p->sending;
    bool shaking = p->shaking;
    if (p->send_bytes > 0 && (broken || out_empty(p))) {
        done = p->send_bytes;
        p->send_bytes = 0;
    }
    pthread_mutex_unlock(&p->lock);
    if (done > 0) {
        p->base.events.sent(p->base.ctx, broken ? ERR_CLOSED : ERR_OK, broken ? 0 : done);
    } else if (shaking && broken) {
        rpc_pipe_close(p->inner); /* the receive under way tells */
    }
    pipe_unref(p);
}

static void on_received(void *ctx, db_err err, size_t bytes)
{
    struct tls_pipe *p = ctx;
    pthread_mutex_lock(&p->lock);
    p->receiving = false;
    if (err != ERR_OK) {
        p->failed = true;
    } else {
        take_in(p, bytes);
    }
    bool shaking = p->shaking;
    size_t n = 0;
    bool done = false;
    if (!shaking && p->recv_ptr != NULL) {
        n = p->failed ? 0 : decrypt(p, p->recv_ptr, p->recv_len);
        done = n > 0 || (p->failed && !p->receiving);
        if (done) {
            p->recv_ptr = NULL;
        }
    }
    pthread_mutex_unlock(&p->lock);
    if (shaking) {
        shake_on(p);
    } else if (done) {
        p->base.events.received(p->base.ctx, n > 0 ? ERR_OK : ERR_CLOSED, n);
    }
    pipe_unref(p);
}

static const struct rpc_pipe_events g_inner_events = {on_sent, on_received};

/* Takes the inner pipe in every case. */
static struct tls_pipe *pipe_new(SSL_CTX *ctx, struct rpc_pipe *inner)
{
    struct tls_pipe *p = mem_calloc(1, sizeof(*p));
    SSL *ssl = p != NULL ? SSL_new(ctx) : NULL;
    BIO *in = BIO_new(BIO_s_mem());
    BIO *out = BIO_new(BIO_s_mem());
    if (p == NULL || ssl == NULL || in == NULL || out == NULL) {
        SSL_free(ssl);
        BIO_free(in);
        BIO_free(out);
        mem_free(p);
        rpc_pipe_close(inner);
        rpc_pipe_free(inner);
        return NULL;
    }
    BIO_set_mem_eof_return(in, -1);
    BIO_set_mem_eof_return(out, -1);
    SSL_set_bio(ssl, in, out);
    p->base.ops = &g_pipe_ops;
    memcpy(p->base.remote, inner->remote, sizeof(p->base.remote));
    p->inner = inner;
    atomic_init(&p->refs, 1);
    list_init(&p->link);
    pthread_mutex_init(&p->lock, NULL);
    p->ssl = ssl;
    p->in = in;
    p->out = out;
    p->shaking = true;
    rpc_pipe_attach(inner, &g_inner_events, p);
    return p;
}

/* --- dialling --- */

static void inner_dialed(struct rpc_dial *inner, db_err err, const char *text,
                         struct rpc_pipe *pipe)
{
    struct tls_dial *d = CONTAINER_OF(inner, struct tls_dial, inner);
    if (err != ERR_OK) {
        dial_over(d, err, text, NULL);
        return;
    }
    struct tls_pipe *p = pipe_new(d->t->client_ctx, pipe);
    if (p == NULL || SSL_set1_host(p->ssl, d->outer->server_name) != 1 ||
        SSL_set_tlsext_host_name(p->ssl, d->outer->server_name) != 1) {
        dial_over(d, ERR_NOMEM, "out of memory", p);
        return;
    }
    SSL_set_connect_state(p->ssl);
    p->dial = d;
    /* The pipe is kept alive past the end of the handshake, which another thread may reach. */
    atomic_fetch_add(&p->refs, 1);
    pthread_mutex_lock(&d->t->lock);
    d->pipe = p;
    bool canceled = d->canceled;
    pthread_mutex_unlock(&d->t->lock);
    if (canceled) {
        rpc_pipe_close(p->inner);
    }
    shake_on(p);
    pipe_unref(p);
}

static void transport_dial(struct rpc_transport *base, struct rpc_dial *outer)
{
    struct tls_transport *t = CONTAINER_OF(base, struct tls_transport, base);
    struct tls_dial *d = mem_calloc(1, sizeof(*d));
    if (d == NULL) {
        outer->done(outer, ERR_NOMEM, "out of memory", NULL);
        return;
    }
    d->t = t;
    d->outer = outer;
    d->inner =
        (struct rpc_dial){.address = outer->address, .loop = outer->loop, .done = inner_dialed};
    pthread_mutex_lock(&t->lock);
    list_push_back(&t->dials, &d->link);
    pthread_mutex_unlock(&t->lock);
    rpc_dial(t->inner, &d->inner);
}

static void transport_dial_cancel(struct rpc_transport *base, struct rpc_dial *outer)
{
    struct tls_transport *t = CONTAINER_OF(base, struct tls_transport, base);
    SCOPE_LOCK(&t->lock);
    LIST_FOREACH (n, &t->dials) {
        struct tls_dial *d = CONTAINER_OF(n, struct tls_dial, link);
        if (d->outer == outer) {
            d->canceled = true;
            if (d->pipe != NULL) {
                rpc_pipe_close(d->pipe->inner);
            } else {
                rpc_dial_cancel(t->inner, &d->inner);
            }
            return;
        }
    }
}

/* --- listening --- */

static void inner_accepted(void *ctx, struct rpc_pipe *pipe)
{
    struct rpc_listener *l = ctx;
    struct tls_pipe *p = pipe_new(l->t->server_ctx, pipe);
    if (p == NULL) {
        return;
    }
    SSL_set_accept_state(p->ssl);
    p->listener = l;
    atomic_fetch_add(&p->refs, 1);
    pthread_mutex_lock(&l->lock);
    l->count++;
    list_push_back(&l->handshakes, &p->link);
    if (l->count > l->handshakes_max && l->handshakes.next != &p->link) {
        rpc_pipe_close(CONTAINER_OF(l->handshakes.next, struct tls_pipe, link)->inner);
    }
    pthread_mutex_unlock(&l->lock);
    shake_on(p);
    pipe_unref(p);
}

static db_err transport_listen(struct rpc_transport *base, const struct rpc_listen *listen,
                               struct diag *diag, uint16_t *ret_port,
                               struct rpc_listener **ret_listener)
{
    struct tls_transport *t = CONTAINER_OF(base, struct tls_transport, base);
    if (t->server_ctx == NULL) {
        return diag_set(diag, ERR_INVALID, "TLS: a node that listens needs a certificate");
    }
    struct rpc_listener *l = mem_calloc(1, sizeof(*l));
    if (l == NULL) {
        return ERR_NOMEM;
    }
    l->t = t;
    l->accepted = listen->accepted;
    l->ctx = listen->ctx;
    l->handshakes_max =
        listen->handshakes_max != 0 ? listen->handshakes_max : HANDSHAKES_MAX_DEFAULT;
    pthread_mutex_init(&l->lock, NULL);
    pthread_cond_init(&l->idle, NULL);
    list_init(&l->handshakes);
    struct rpc_listen inner = *listen;
    inner.accepted = inner_accepted;
    inner.ctx = l;
    /* Set before the first connection comes: `accepted` does not use it. */
    db_err err = rpc_listen(t->inner, &inner, diag, ret_port, &l->inner);
    if (err != ERR_OK) {
        pthread_cond_destroy(&l->idle);
        pthread_mutex_destroy(&l->lock);
        mem_free(l);
        return err;
    }
    *ret_listener = l;
    return ERR_OK;
}

static void transport_listener_close(struct rpc_transport *base, struct rpc_listener *l)
{
    struct tls_transport *t = CONTAINER_OF(base, struct tls_transport, base);
    rpc_listener_close(t->inner, l->inner);
    pthread_mutex_lock(&l->lock);
    LIST_FOREACH (n, &l->handshakes) {
        rpc_pipe_close(CONTAINER_OF(n, struct tls_pipe, link)->inner);
    }
    while (l->count > 0) {
        pthread_cond_wait(&l->idle, &l->lock);
    }
    pthread_mutex_unlock(&l->lock);
    pthread_cond_destroy(&l->idle);
    pthread_mutex_destroy(&l->lock);
    mem_free(l);
}

/* --- life --- */

static void transport_free(struct rpc_transport *base)
{
    struct tls_transport *t = CONTAINER_OF(base, struct tls_transport, base);
    rpc_transport_free(t->inner);
    SSL_CTX_free(t->client_ctx);
    SSL_CTX_free(t->server_ctx);
    pthread_mutex_destroy(&t->lock);
    mem_free(t);
}

static const struct rpc_transport_ops g_transport_ops = {
    .name = "tls",
    .dial = transport_dial,
    .dial_cancel = transport_dial_cancel,
    .listen = transport_listen,
    .listener_close = transport_listener_close,
    .free = transport_free,
};

/* The root is known by its fingerprint only: the server sends it, it is trusted if it is that one,
 * and the usual checks follow. */
static int verify_pinned(X509_STORE_CTX *store_ctx, void *arg)
{
    const struct tls_transport *t = arg;
    STACK_OF(X509) *sent = X509_STORE_CTX_get0_untrusted(store_ctx);
    STACK_OF(X509) *trusted = sk_X509_new_null();
    for (int i = 0; trusted != NULL && i < sk_X509_num(sent); i++) {
        char hex[65];
        tls__fingerprint(sk_X509_value(sent, i), hex);
        if (strcmp(hex, t->fingerprint) == 0) {
            sk_X509_push(trusted, sk_X509_value(sent, i));
        }
    }
    X509_STORE_CTX_set0_trusted_stack(store_ctx, trusted);
    int ok = X509_verify_cert(store_ctx);
    X509_STORE_CTX_set0_trusted_stack(store_ctx, NULL);
    sk_X509_free(trusted);
    return ok;
}

static db_err use_ca(SSL_CTX *ctx, const char *ca_pem, bool send_it)
{
    X509 *ca;
    TRY(tls__parse_cert(ca_pem, &ca));
    bool ok = X509_STORE_add_cert(SSL_CTX_get_cert_store(ctx), ca) == 1;
    ok = ok && (!send_it || SSL_CTX_add1_chain_cert(ctx, ca) == 1);
    X509_free(ca);
    return ok ? ERR_OK : ERR_NOMEM;
}

static db_err use_own(SSL_CTX *ctx, const struct rpc_tls_opts *opts)
{
    X509 *cert;
    EVP_PKEY *key;
    TRY(tls__parse_cert(opts->cert_pem, &cert));
    db_err err = tls__parse_key(opts->key_pem, &key);
    if (err == ERR_OK) {
        bool ok = SSL_CTX_use_certificate(ctx, cert) == 1 && SSL_CTX_use_PrivateKey(ctx, key) == 1;
        err = ok && SSL_CTX_check_private_key(ctx) == 1 ? ERR_OK : ERR_INVALID;
        EVP_PKEY_free(key);
    }
    X509_free(cert);
    return err;
}

static db_err make_ctx(struct tls_transport *t, const struct rpc_tls_opts *opts, bool server,
                       SSL_CTX **ret_ctx)
{
    SSL_CTX *ctx = SSL_CTX_new(server ? TLS_server_method() : TLS_client_method());
    if (ctx == NULL) {
        return ERR_NOMEM;
    }
    SSL_CTX_set_min_proto_version(ctx, TLS1_3_VERSION);
    SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_num_tickets(ctx, 0);
    SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, NULL);
    X509_VERIFY_PARAM_set_hostflags(SSL_CTX_get0_param(ctx), X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    db_err err = ERR_OK;
    if (opts->cert_pem != NULL) {
        err = use_own(ctx, opts);
    }
    if (err == ERR_OK && opts->ca_pem != NULL) {
        err = use_ca(ctx, opts->ca_pem, server);
    } else if (err == ERR_OK && !server) {
        SSL_CTX_set_cert_verify_callback(ctx, verify_pinned, t);
    }
    if (err != ERR_OK) {
        SSL_CTX_free(ctx);
        return err;
    }
    *ret_ctx = ctx;
    return ERR_OK;
}

db_err rpc_tls_transport_new(struct rpc_transport *inner, const struct rpc_tls_opts *opts,
                             struct diag *diag, struct rpc_transport **ret_transport)
{
    if ((opts->ca_pem == NULL && opts->ca_fingerprint == NULL) ||
        (opts->cert_pem == NULL) != (opts->key_pem == NULL)) {
        return diag_set(diag, ERR_INVALID, "TLS needs a CA, and a certificate with its key");
    }
    struct tls_transport *t = mem_calloc(1, sizeof(*t));
    if (t == NULL) {
        return ERR_NOMEM;
    }
    t->base.ops = &g_transport_ops;
    t->inner = inner;
    list_init(&t->dials);
    if (opts->ca_fingerprint != NULL) {
        snprintf(t->fingerprint, sizeof(t->fingerprint), "%s", opts->ca_fingerprint);
    }
    db_err err = make_ctx(t, opts, false, &t->client_ctx);
    if (err == ERR_OK && opts->cert_pem != NULL && opts->ca_pem != NULL) {
        err = make_ctx(t, opts, true, &t->server_ctx);
    }
    if (err != ERR_OK) {
        SSL_CTX_free(t->client_ctx);
        mem_free(t);
        return diag_set(diag, err, "TLS: CA, certificate or key: %s", tls__error_text());
    }
    pthread_mutex_init(&t->lock, NULL);
    *ret_transport = &t->base;
    return ERR_OK;
}
