/* OpenSSL over a socket by a BIO of our own.
 *
 * The BIO first gives out the bytes that were received before TLS began (a client may send its
 * hello right behind the request), then receives; it sends with MSG_NOSIGNAL. read_ahead lets
 * OpenSSL take a whole record with one receive; tls_pending tells what it holds back.
 * RELEASE_BUFFERS keeps an idle connection small. */
#include "wire/net/tls.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/assert.h"
#include "wire/net/tls_cert.h"

enum { PATH_SIZE = 1024 };

struct tls_context {
    SSL_CTX *ctx;
    BIO_METHOD *method;
};

struct tls_stream {
    SSL *ssl;
    int fd;
    uint8_t *head;
    size_t head_pos;
    size_t head_size;
};

/* --- the BIO --- */

static int bio_read(BIO *bio, char *out, int size)
{
    struct tls_stream *s = BIO_get_data(bio);
    BIO_clear_retry_flags(bio);
    if (size <= 0) {
        return 0;
    }
    if (s->head_pos < s->head_size) {
        size_t n = s->head_size - s->head_pos;
        n = n < (size_t)size ? n : (size_t)size;
        memcpy(out, s->head + s->head_pos, n);
        s->head_pos += n;
        return (int)n;
    }
    ssize_t n;
    do {
        n = recv(s->fd, out, (size_t)size, MSG_DONTWAIT);
    } while (n < 0 && errno == EINTR);
    if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
        BIO_set_retry_read(bio);
    }
    return (int)n;
}

static int bio_write(BIO *bio, const char *data, int size)
{
    struct tls_stream *s = BIO_get_data(bio);
    BIO_clear_retry_flags(bio);
    ssize_t n;
    do {
        n = send(s->fd, data, (size_t)size, MSG_DONTWAIT | MSG_NOSIGNAL);
    } while (n < 0 && errno == EINTR);
    if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
        BIO_set_retry_write(bio);
    }
    return (int)n;
}

static long bio_ctrl(BIO *bio UNUSED, int cmd, long num UNUSED, void *ptr UNUSED)
{
    return cmd == BIO_CTRL_FLUSH ? 1 : 0;
}

/* --- context --- */

static db_err ssl_error(struct diag *diag, const char *what)
{
    char text[160];
    ERR_error_string_n(ERR_get_error(), text, sizeof(text));
    ERR_clear_error();
    return diag_set(diag, ERR_INVALID, "TLS: %s: %s", what, text);
}

/* Clients may show a certificate, and one that is shown must be good (MySQL: likewise). */
static db_err ask_for_certificates(SSL_CTX *ctx, const char *ca, struct diag *diag)
{
    STACK_OF(X509_NAME) *names = SSL_load_client_CA_file(ca);
    if (names == NULL || SSL_CTX_load_verify_locations(ctx, ca, NULL) != 1) {
        return ssl_error(diag, ca);
    }
    SSL_CTX_set_client_CA_list(ctx, names);
    SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER | SSL_VERIFY_CLIENT_ONCE, NULL);
    return ERR_OK;
}

static db_err load_own(SSL_CTX *ctx, const struct tls_opts *opts, struct diag *diag)
{
    char ca[PATH_SIZE];
    TRY(tls_cert_provide(ctx, opts->data_dir, diag));
    snprintf(ca, sizeof(ca), "%s/ca.pem", opts->data_dir == NULL ? "" : opts->data_dir);
    if (opts->ca != NULL) {
        return ask_for_certificates(ctx, opts->ca, diag);
    }
    return opts->data_dir == NULL || access(ca, R_OK) != 0 ? ERR_OK
                                                           : ask_for_certificates(ctx, ca, diag);
}

static db_err load(SSL_CTX *ctx, const struct tls_opts *opts, struct diag *diag)
{
    if (opts->cert == NULL) {
        return load_own(ctx, opts, diag);
    }
    if (opts->key == NULL || SSL_CTX_use_certificate_chain_file(ctx, opts->cert) != 1) {
        return ssl_error(diag, opts->cert);
    }
    if (SSL_CTX_use_PrivateKey_file(ctx, opts->key, SSL_FILETYPE_PEM) != 1 ||
        SSL_CTX_check_private_key(ctx) != 1) {
        return ssl_error(diag, opts->key);
    }
    return opts->ca == NULL ? ERR_OK : ask_for_certificates(ctx, opts->ca, diag);
}

static BIO_METHOD *make_method(void)
{
    BIO_METHOD *m = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "connection");
    if (m != NULL &&
        (BIO_meth_set_read(m, bio_read) != 1 || BIO_meth_set_write(m, bio_write) != 1 ||
         BIO_meth_set_ctrl(m, bio_ctrl) != 1)) {
        BIO_meth_free(m);
        return NULL;
    }
    return m;
}

db_err tls_context_new(const struct tls_opts *opts, struct diag *diag,
                       struct tls_context **ret_context)
{
    struct tls_context *t = mem_calloc(1, sizeof(*t));
    if (t == NULL) {
        return diag_set(diag, ERR_NOMEM, "out of memory");
    }
    db_err err = ERR_OK;
    t->method = make_method();
    t->ctx = SSL_CTX_new(TLS_server_method());
    if (t->ctx == NULL || t->method == NULL) {
        err = ssl_error(diag, "cannot start");
        goto out;
    }
    SSL_CTX_set_min_proto_version(t->ctx, TLS1_2_VERSION);
    SSL_CTX_set_options(t->ctx, SSL_OP_NO_RENEGOTIATION | SSL_OP_CIPHER_SERVER_PREFERENCE |
                                    SSL_OP_NO_COMPRESSION);
    SSL_CTX_set_mode(t->ctx, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                                 SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_session_id_context(t->ctx, (const unsigned char *)"skein", 5);
    SSL_CTX_set_read_ahead(t->ctx, 1);
    TRY_GOTO(load(t->ctx, opts, diag), out);
    *ret_context = t;
    return ERR_OK;
out:
    tls_context_free(t);
    return err;
}

void tls_context_free(struct tls_context *context)
{
    if (context == NULL) {
        return;
    }
    SSL_CTX_free(context->ctx);
    BIO_meth_free(context->method);
    mem_free(context);
}

/* --- streams --- */

db_err tls_stream_new(struct tls_context *context, int fd, const void *head, size_t head_size,
                      struct tls_stream **ret_stream)
{
    struct tls_stream *s = mem_calloc(1, sizeof(*s));
    if (s == NULL) {
        return ERR_NOMEM;
    }
    s->fd = fd;
    s->head_size = head_size;
    s->head = head_size == 0 ? NULL : mem_alloc(head_size);
    s->ssl = SSL_new(context->ctx);
    BIO *bio = BIO_new(context->method);
    if (s->ssl == NULL || bio == NULL || (head_size != 0 && s->head == NULL)) {
        BIO_free(bio);
        tls_stream_free(s);
        return ERR_NOMEM;
    }
    if (head_size != 0) {
        memcpy(s->head, head, head_size);
    }
    BIO_set_data(bio, s);
    BIO_set_init(bio, 1);
    SSL_set_bio(s->ssl, bio, bio);
    SSL_set_accept_state(s->ssl);
    *ret_stream = s;
    return ERR_OK;
}

void tls_stream_free(struct tls_stream *stream)
{
    if (stream == NULL) {
        return;
    }
    if (stream->ssl != NULL) {
        /* Says goodbye when the socket takes it; nobody waits for the answer. */
        if (SSL_is_init_finished(stream->ssl)) {
            SSL_shutdown(stream->ssl);
        }
        SSL_free(stream->ssl);
        ERR_clear_error();
    }
    mem_free(stream->head);
    mem_free(stream);
}

static enum tls_result result_of(struct tls_stream *s, int rc)
{
    int e = SSL_get_error(s->ssl, rc);
    switch (e) {
    case SSL_ERROR_WANT_READ: return TLS_WANT_READ;
    case SSL_ERROR_WANT_WRITE: return TLS_WANT_WRITE;
    case SSL_ERROR_ZERO_RETURN: return TLS_CLOSED;
    default: ERR_clear_error(); return TLS_FAILED;
    }
}

enum tls_result tls_handshake(struct tls_stream *stream)
{
    ERR_clear_error();
    int rc = SSL_do_handshake(stream->ssl);
    if (rc != 1) {
        return result_of(stream, rc);
    }
    if (stream->head_pos == stream->head_size) {
        mem_free(stream->head);
        stream->head = NULL;
        stream->head_pos = stream->head_size = 0;
    }
    return TLS_OK;
}

enum tls_result tls_read(struct tls_stream *stream, void *ptr, size_t size, size_t *ret_size)
{
    ERR_clear_error();
    int rc = SSL_read_ex(stream->ssl, ptr, size, ret_size);
    return rc == 1 ? TLS_OK : result_of(stream, rc);
}

enum tls_result tls_write(struct tls_stream *stream, const void *ptr, size_t size, size_t *ret_size)
{
    ERR_clear_error();
    int rc = SSL_write_ex(stream->ssl, ptr, size, ret_size);
    return rc == 1 ? TLS_OK : result_of(stream, rc);
}

bool tls_pending(const struct tls_stream *stream)
{
    return SSL_has_pending(stream->ssl) == 1 || stream->head_pos < stream->head_size;
}

bool tls_peer_get(const struct tls_stream *stream, struct tls_peer *ret_peer)
{
    X509 *cert = SSL_get0_peer_certificate(stream->ssl);
    if (cert == NULL || SSL_get_verify_result(stream->ssl) != X509_V_OK) {
        return false;
    }
    X509_NAME_oneline(X509_get_subject_name(cert), ret_peer->subject, sizeof(ret_peer->subject));
    X509_NAME_oneline(X509_get_issuer_name(cert), ret_peer->issuer, sizeof(ret_peer->issuer));
    return true;
}

const char *tls_cipher(const struct tls_stream *stream)
{
    return SSL_get_cipher(stream->ssl);
}

const char *tls_version(const struct tls_stream *stream)
{
    return SSL_get_version(stream->ssl);
}
