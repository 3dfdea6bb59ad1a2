#include "wire/testing/client.h"

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "wire/net/protocol.h"

enum { TIMEOUT_S = 60, PACKET_MAX = 256 << 20, SHA256_LEN = 32 };
#define CAPS_USUAL                                                                                 \
    (CAP_LONG_PASSWORD | CAP_LONG_FLAG | CAP_PROTOCOL_41 | CAP_TRANSACTIONS |                      \
     CAP_SECURE_CONNECTION | CAP_MULTI_RESULTS | CAP_PS_MULTI_RESULTS | CAP_PLUGIN_AUTH |          \
     CAP_SESSION_TRACK | CAP_DEPRECATE_EOF | CAP_PLUGIN_AUTH_LENENC)

static bool send_all(struct client_conn *c, const uint8_t *p, size_t size)
{
    while (size > 0) {
        ssize_t n = c->ssl != NULL ? SSL_write(c->ssl, p, size > 1 << 20 ? 1 << 20 : (int)size)
                                   : send(c->fd, p, size, MSG_NOSIGNAL);
        if (n <= 0) {
            return false;
        }
        p += n;
        size -= (size_t)n;
    }
    return true;
}

static bool recv_all(struct client_conn *c, uint8_t *p, size_t size)
{
    while (size > 0) {
        ssize_t n = c->ssl != NULL ? SSL_read(c->ssl, p, size > 1 << 20 ? 1 << 20 : (int)size)
                                   : recv(c->fd, p, size, 0);
        if (n <= 0) {
            return false;
        }
        p += n;
        size -= (size_t)n;
    }
    return true;
}

bool client_write_raw(struct client_conn *c, const void *data, size_t size)
{
    return send_all(c, data, size);
}

bool client_write(struct client_conn *c, struct slice payload)
{
    for (;;) {
        size_t n = payload.len < PACKET_PAYLOAD_MAX ? payload.len : (size_t)PACKET_PAYLOAD_MAX;
        uint8_t h[4] = {(uint8_t)n, (uint8_t)(n >> 8), (uint8_t)(n >> 16), c->seq++};
        if (!send_all(c, h, sizeof(h)) || !send_all(c, payload.ptr, n)) {
            return false;
        }
        payload = slice_from(payload, n);
        if (n < PACKET_PAYLOAD_MAX) {
            return true;
        }
    }
}

bool client_read(struct client_conn *c)
{
    buf_reset(&c->packet);
    for (;;) {
        uint8_t h[4];
        if (!recv_all(c, h, sizeof(h))) {
            return false;
        }
        size_t n = h[0] | (size_t)h[1] << 8 | (size_t)h[2] << 16;
        if (h[3] != c->seq || buf_reserve(&c->packet, n + 1) != ERR_OK ||
            !recv_all(c, c->packet.ptr + c->packet.len, n)) {
            return false;
        }
        c->seq++;
        c->packet.len += n;
        if (n < PACKET_PAYLOAD_MAX) {
            return true;
        }
    }
}

bool client_at_end(struct client_conn *c)
{
    uint8_t b;
    return c->ssl != NULL ? SSL_read(c->ssl, &b, 1) <= 0 : recv(c->fd, &b, 1, 0) == 0;
}

unsigned client_error(const struct client_conn *c)
{
    if (c->packet.len < 3 || c->packet.ptr[0] != 0xff) {
        return 0;
    }
    return c->packet.ptr[1] | (unsigned)c->packet.ptr[2] << 8;
}

static bool parse_greeting(struct client_conn *c)
{
    const uint8_t *p = c->packet.ptr;
    const uint8_t *end = p + c->packet.len;
    enum { AFTER_VERSION = 44 };
    if (c->packet.len == 0 || p[0] != 10) {
        return false;
    }
    p += 1 + strnlen((const char *)p + 1, c->packet.len - 1) + 1;
    if (end - p < AFTER_VERSION) {
        return false;
    }
    memcpy(&c->id, p, sizeof(c->id));
    memcpy(c->nonce, p + 4, 8);
    memcpy(c->nonce + 8, p + 31, 12);
    snprintf(c->plugin, sizeof(c->plugin), "%s", (const char *)p + 44);
    return true;
}

bool client_connect(struct client_conn *c, uint16_t port, const char *path)
{
    struct timeval t = {TIMEOUT_S, 0};
    *c = (struct client_conn){.fd = -1};
    buf_init(&c->packet, PACKET_MAX);
    c->fd = socket(path != NULL ? AF_UNIX : AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int rc;
    if (path != NULL) {
        struct sockaddr_un un = {.sun_family = AF_UNIX};
        snprintf(un.sun_path, sizeof(un.sun_path), "%s", path);
        rc = connect(c->fd, (struct sockaddr *)&un, sizeof(un));
    } else {
        struct sockaddr_in in4 = {.sin_family = AF_INET, .sin_port = htons(port)};
        in4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        rc = connect(c->fd, (struct sockaddr *)&in4, sizeof(in4));
    }
    int on = 1;
    (void)setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    setsockopt(c->fd, SOL_SOCKET, SO_RCVTIMEO, &t, sizeof(t));
    setsockopt(c->fd, SOL_SOCKET, SO_SNDTIMEO, &t, sizeof(t));
    return rc == 0 && client_read(c) && parse_greeting(c);
}

void client_close(struct client_conn *c)
{
    SSL_free(c->ssl);
    SSL_CTX_free(c->ssl_ctx);
    if (c->fd >= 0) {
        close(c->fd);
    }
    buf_fini(&c->packet);
    *c = (struct client_conn){.fd = -1};
}

static db_err append_head(struct buf *b, uint32_t caps)
{
    static const uint8_t zeros[23];
    uint32_t max = 1u << 24;
    TRY(buf_append(b, &caps, 4));
    TRY(buf_append(b, &max, 4));
    TRY(buf_append_u8(b, 255));
    return buf_append(b, zeros, sizeof(zeros));
}

bool client_start_tls(struct client_conn *c)
{
    struct buf b;
    buf_init(&b, 64);
    c->caps |= CAP_SSL;
    bool ok = append_head(&b, c->caps) == ERR_OK && client_write(c, buf_slice(&b));
    buf_fini(&b);
    c->ssl_ctx = SSL_CTX_new(TLS_client_method());
    c->ssl = c->ssl_ctx == NULL ? NULL : SSL_new(c->ssl_ctx);
    return ok && c->ssl != NULL && SSL_set_fd(c->ssl, c->fd) == 1 && SSL_connect(c->ssl) == 1;
}

/* --- passwords --- */

static void digest(const EVP_MD *md, const void *a, size_t an, const void *b, size_t bn,
                   uint8_t *ret)
{
    EVP_MD_CTX *x = EVP_MD_CTX_new();
    EVP_DigestInit_ex(x, md, NULL);
    EVP_DigestUpdate(x, a, an);
    EVP_DigestUpdate(x, b, bn);
    EVP_DigestFinal_ex(x, ret, NULL);
    EVP_MD_CTX_free(x);
}

static size_t scramble(const char *plugin, const char *password, const char *nonce, uint8_t *out)
{
    uint8_t one[SHA256_LEN];
    uint8_t two[SHA256_LEN];
    uint8_t mask[SHA256_LEN];
    if (password[0] == '\0') {
        return 0;
    }
    bool native = slice_eq(slice_str(plugin), SLICE_LIT("mysql_native_password"));
    const EVP_MD *md = native ? EVP_sha1() : EVP_sha256();
    size_t n = native ? 20 : SHA256_LEN;
    digest(md, password, strlen(password), "", 0, one);
    digest(md, one, n, "", 0, two);
    if (native) {
        digest(md, nonce, NONCE_SIZE, two, n, mask);
    } else {
        digest(md, two, n, nonce, NONCE_SIZE, mask);
    }
    for (size_t i = 0; i < n; i++) {
        out[i] = one[i] ^ mask[i];
    }
    return n;
}

static bool send_encrypted(struct client_conn *c, const char *password)
{
    uint8_t ask = 2;
    if (!client_write(c, slice_of(&ask, 1)) || !client_read(c) || c->packet.len < 2) {
        return false;
    }
    BIO *bio = BIO_new_mem_buf(c->packet.ptr + 1, (int)c->packet.len - 1);
    EVP_PKEY *key = PEM_read_bio_PUBKEY(bio, NULL, NULL, NULL);
    EVP_PKEY_CTX *x = key == NULL ? NULL : EVP_PKEY_CTX_new(key, NULL);
    uint8_t plain[256];
    uint8_t secret[512];
    size_t size = sizeof(secret);
    size_t n = strlen(password) + 1;
    for (size_t i = 0; i < n && i < sizeof(plain); i++) {
        plain[i] = (uint8_t)password[i] ^ (uint8_t)c->nonce[i % NONCE_SIZE];
    }
    bool ok = x != NULL && EVP_PKEY_encrypt_init(x) == 1 &&
              EVP_PKEY_CTX_set_rsa_padding(x, RSA_PKCS1_OAEP_PADDING) == 1 &&
              EVP_PKEY_encrypt(x, secret, &size, plain, n) == 1 &&
              client_write(c, slice_of(secret, size));
    EVP_PKEY_CTX_free(x);
    EVP_PKEY_free(key);
    BIO_free(bio);
    return ok;
}

static bool answer(struct client_conn *c, const struct client_login *login, bool secure)
{
    uint8_t out[SHA256_LEN];
    for (;;) {
        if (!client_read(c)) {
            buf_reset(&c->packet);
            return false;
        }
        const uint8_t *p = c->packet.ptr;
        size_t n = c->packet.len;
        if (n > 0 && p[0] == 0xfe) {
            size_t name = strnlen((const char *)p + 1, n - 1);
            snprintf(c->plugin, sizeof(c->plugin), "%.*s", (int)name, (const char *)p + 1);
            if (name + 2 + NONCE_SIZE > n) {
                return false;
            }
            memcpy(c->nonce, p + 2 + name, NONCE_SIZE);
            size_t size = scramble(c->plugin, login->password, c->nonce, out);
            if (!client_write(c, slice_of(out, size))) {
                return false;
            }
        } else if (n == 2 && p[0] == 1 && p[1] == 4) {
            struct slice clear = {(const uint8_t *)login->password, strlen(login->password) + 1};
            if (!(secure ? client_write(c, clear) : send_encrypted(c, login->password))) {
                return false;
            }
        } else if (n != 2 || p[0] != 1) {
            return n > 0 && p[0] == 0;
        }
    }
}

bool client_login(struct client_conn *c, const struct client_login *login)
{
    struct buf b;
    uint8_t out[SHA256_LEN];
    const char *plugin = login->plugin == NULL ? "caching_sha2_password" : login->plugin;
    c->caps = login->caps == 0 ? CAPS_USUAL : login->caps;
    c->caps |= login->schema != NULL ? CAP_CONNECT_WITH_DB : 0;
    if (login->tls && !client_start_tls(c)) {
        return false;
    }
    size_t size = scramble(plugin, login->password, c->nonce, out);
    buf_init(&b, 4096);
    bool ok = append_head(&b, c->caps) == ERR_OK &&
              buf_append(&b, login->user, strlen(login->user) + 1) == ERR_OK &&
              buf_append_u8(&b, (uint8_t)size) == ERR_OK && buf_append(&b, out, size) == ERR_OK;
    if (login->schema != NULL) {
        ok = ok && buf_append(&b, login->schema, strlen(login->schema) + 1) == ERR_OK;
    }
    ok = ok && buf_append(&b, plugin, strlen(plugin) + 1) == ERR_OK &&
         client_write(c, buf_slice(&b));
    buf_fini(&b);
    struct sockaddr_storage a;
    socklen_t len = sizeof(a);
    bool local = getsockname(c->fd, (struct sockaddr *)&a, &len) == 0 && a.ss_family == AF_UNIX;
    return ok && answer(c, login, login->tls || local);
}

bool client_command(struct client_conn *c, uint8_t code, struct slice body)
{
    struct buf b;
    buf_init(&b, PACKET_MAX);
    c->seq = 0;
    bool ok = buf_append_u8(&b, code) == ERR_OK && buf_append_slice(&b, body) == ERR_OK &&
              client_write(c, buf_slice(&b)) && client_read(c);
    buf_fini(&b);
    return ok;
}

bool client_query(struct client_conn *c, const char *sql)
{
    return client_command(c, 3, slice_str(sql));
}
