#include "wire/net/tls_cert.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"

enum { PATH_SIZE = 1024, LIFETIME_DAYS = 3650 };

struct identity {
    EVP_PKEY *key;
    X509 *cert;
};

static void identity_fini(struct identity *id)
{
    EVP_PKEY_free(id->key);
    X509_free(id->cert);
}

static db_err fail(struct diag *diag, const char *what)
{
    char text[160];
    ERR_error_string_n(ERR_get_error(), text, sizeof(text));
    ERR_clear_error();
    return diag_set(diag, ERR_INVALID, "cannot make a certificate: %s: %s", what, text);
}

static bool add_extension(X509 *cert, X509 *issuer, int nid, const char *value)
{
    X509V3_CTX ctx;
    X509V3_set_ctx(&ctx, issuer, cert, NULL, NULL, 0);
    X509_EXTENSION *e = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
    bool ok = e != NULL && X509_add_ext(cert, e, -1) == 1;
    X509_EXTENSION_free(e);
    return ok;
}

/* Signed by `issuer`, or by itself when that is NULL. */
static db_err make_identity(const char *name, const struct identity *issuer, struct diag *diag,
                            struct identity *ret_id)
{
    struct identity id = {EVP_EC_gen("P-256"), X509_new()};
    const struct identity *signer = issuer == NULL ? &id : issuer;
    unsigned char serial[16];
    BIGNUM *number = NULL;
    db_err err = ERR_OK;
    if (id.key == NULL || id.cert == NULL || RAND_bytes(serial, sizeof(serial)) != 1) {
        err = fail(diag, "key");
        goto out;
    }
    serial[0] &= 0x7f;
    number = BN_bin2bn(serial, sizeof(serial), NULL);
    X509_NAME *subject = X509_get_subject_name(id.cert);
    bool ok = number != NULL && X509_set_version(id.cert, 2) == 1 &&
              BN_to_ASN1_INTEGER(number, X509_get_serialNumber(id.cert)) != NULL &&
              X509_gmtime_adj(X509_getm_notBefore(id.cert), -3600) != NULL &&
              X509_time_adj_ex(X509_getm_notAfter(id.cert), LIFETIME_DAYS, 0, NULL) != NULL &&
              X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC, (const unsigned char *)name,
                                         -1, -1, 0) == 1 &&
              X509_set_issuer_name(id.cert, X509_get_subject_name(signer->cert)) == 1 &&
              X509_set_pubkey(id.cert, id.key) == 1 &&
              add_extension(id.cert, signer->cert, NID_basic_constraints,
                            issuer == NULL ? "critical,CA:TRUE" : "critical,CA:FALSE");
    if (ok && issuer != NULL) {
        ok = add_extension(id.cert, signer->cert, NID_subject_alt_name,
                           "DNS:localhost,IP:127.0.0.1,IP:::1");
    }
    if (!ok || X509_sign(id.cert, signer->key, EVP_sha256()) == 0) {
        err = fail(diag, name);
        goto out;
    }
    *ret_id = id;
    BN_free(number);
    return ERR_OK;
out:
    BN_free(number);
    identity_fini(&id);
    return err;
}

db_err tls_write_private(const char *path, BIO *content, bool secret, struct diag *diag)
{
    char tmp[PATH_SIZE];
    char *data;
    long size = BIO_get_mem_data(content, &data);
    snprintf(tmp, sizeof(tmp), "%s.tmp", path);
    unlink(tmp);
    int fd = open(tmp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, secret ? 0600 : 0644);
    if (fd < 0 || write(fd, data, (size_t)size) != size || fsync(fd) != 0) {
        int e = errno;
        if (fd >= 0) {
            close(fd);
            unlink(tmp);
        }
        return diag_set(diag, ERR_IO, "cannot write %s: %s", tmp, strerror(e));
    }
    close(fd);
    if (rename(tmp, path) != 0) {
        return diag_set(diag, ERR_IO, "cannot write %s: %s", path, strerror(errno));
    }
    return ERR_OK;
}

static db_err save(const char *dir, const char *cert_name, const char *key_name,
                   const struct identity *id, struct diag *diag)
{
    char path[PATH_SIZE];
    BIO *cert = BIO_new(BIO_s_mem());
    BIO *key = BIO_new(BIO_s_mem());
    db_err err = ERR_OK;
    if (cert == NULL || key == NULL || PEM_write_bio_X509(cert, id->cert) != 1 ||
        PEM_write_bio_PrivateKey(key, id->key, NULL, NULL, 0, NULL, NULL) != 1) {
        err = fail(diag, "PEM");
        goto out;
    }
    snprintf(path, sizeof(path), "%s/%s", dir, key_name);
    TRY_GOTO(tls_write_private(path, key, true, diag), out);
    snprintf(path, sizeof(path), "%s/%s", dir, cert_name);
    TRY_GOTO(tls_write_private(path, cert, false, diag), out);
out:
    BIO_free(cert);
    BIO_free(key);
    return err;
}

static db_err make_both(const char *data_dir, struct diag *diag, struct identity *ret_server)
{
    struct identity ca = {NULL, NULL};
    struct identity server = {NULL, NULL};
    db_err err;
    TRY_GOTO(make_identity("SkeinDB auto-generated CA", NULL, diag, &ca), out);
    TRY_GOTO(make_identity("SkeinDB auto-generated server", &ca, diag, &server), out);
    if (data_dir != NULL) {
        TRY_GOTO(save(data_dir, "ca.pem", "ca-key.pem", &ca, diag), out);
        TRY_GOTO(save(data_dir, "server-cert.pem", "server-key.pem", &server, diag), out);
    }
    *ret_server = server;
    server = (struct identity){NULL, NULL};
out:
    identity_fini(&ca);
    identity_fini(&server);
    return err;
}

db_err tls_cert_provide(SSL_CTX *ctx, const char *data_dir, struct diag *diag)
{
    char cert_path[PATH_SIZE];
    char key_path[PATH_SIZE];
    snprintf(cert_path, sizeof(cert_path), "%s/server-cert.pem", data_dir == NULL ? "" : data_dir);
    snprintf(key_path, sizeof(key_path), "%s/server-key.pem", data_dir == NULL ? "" : data_dir);
    bool there = data_dir != NULL && access(cert_path, F_OK) == 0 && access(key_path, F_OK) == 0;
    if (there) {
        if (SSL_CTX_use_certificate_chain_file(ctx, cert_path) != 1 ||
            SSL_CTX_use_PrivateKey_file(ctx, key_path, SSL_FILETYPE_PEM) != 1 ||
            SSL_CTX_check_private_key(ctx) != 1) {
            return fail(diag, cert_path);
        }
        return ERR_OK;
    }
    struct identity server;
    TRY(make_both(data_dir, diag, &server));
    bool ok = SSL_CTX_use_certificate(ctx, server.cert) == 1 &&
              SSL_CTX_use_PrivateKey(ctx, server.key) == 1;
    identity_fini(&server);
    return ok ? ERR_OK : fail(diag, "use");
}
