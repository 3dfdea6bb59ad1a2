/* The cluster's certificates: a CA of its own, made when the cluster is, and one certificate per
 * node, signed by it. ECDSA over P-256: small, fast to sign with at every handshake. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/rand.h"
#include "base/scope.h"
#include "rpc/transport/tls.h"
#include "rpc/transport/tls_int.h"

enum { CA_DAYS = 3650, DAY_S = 24 * 3600, CLOCK_SKEW_S = 3600 };

const char *tls__error_text(void)
{
    unsigned long code = ERR_peek_last_error();
    ERR_clear_error();
    const char *text = code != 0 ? ERR_reason_error_string(code) : NULL;
    return text != NULL ? text : "no reason given";
}

void rpc_tls_pair_init(struct rpc_tls_pair *pair)
{
    buf_init(&pair->cert, RPC_TLS_PEM_MAX);
    buf_init(&pair->key, RPC_TLS_PEM_MAX);
}

void rpc_tls_pair_fini(struct rpc_tls_pair *pair)
{
    if (pair->key.ptr != NULL) {
        OPENSSL_cleanse(pair->key.ptr, pair->key.cap);
    }
    buf_fini(&pair->cert);
    buf_fini(&pair->key);
}

db_err tls__parse_cert(const char *pem, X509 **ret_cert)
{
    BIO *bio = BIO_new_mem_buf(pem, -1);
    X509 *cert = bio != NULL ? PEM_read_bio_X509(bio, NULL, NULL, NULL) : NULL;
    BIO_free(bio);
    if (cert == NULL) {
        return ERR_INVALID;
    }
    *ret_cert = cert;
    return ERR_OK;
}

db_err tls__parse_key(const char *pem, EVP_PKEY **ret_key)
{
    BIO *bio = BIO_new_mem_buf(pem, -1);
    EVP_PKEY *key = bio != NULL ? PEM_read_bio_PrivateKey(bio, NULL, NULL, NULL) : NULL;
    BIO_free(bio);
    if (key == NULL) {
        return ERR_INVALID;
    }
    *ret_key = key;
    return ERR_OK;
}

static bool add_ext(X509 *cert, X509 *issuer, int nid, const char *value)
{
    X509V3_CTX ctx;
    X509V3_set_ctx_nodb(&ctx);
    X509V3_set_ctx(&ctx, issuer, cert, NULL, NULL, 0);
    X509_EXTENSION *ext = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
    bool ok = ext != NULL && X509_add_ext(cert, ext, -1) == 1;
    X509_EXTENSION_free(ext);
    return ok;
}

static bool set_serial(X509 *cert)
{
    uint8_t bytes[16];
    if (rand_secure(bytes, sizeof(bytes)) != ERR_OK) {
        return false;
    }
    bytes[0] &= 0x7f; /* a serial number is positive */
    BIGNUM *n = BN_bin2bn(bytes, sizeof(bytes), NULL);
    bool ok = n != NULL && BN_to_ASN1_INTEGER(n, X509_get_serialNumber(cert)) != NULL;
    BN_free(n);
    return ok;
}

/* Everything but extensions and signature. */
static bool fill_cert(X509 *cert, EVP_PKEY *key, const char *organization, const char *name,
                      X509 *issuer, unsigned days)
{
    X509_NAME *subject = X509_get_subject_name(cert);
    bool ok = X509_set_version(cert, 2) == 1 && set_serial(cert) &&
              X509_gmtime_adj(X509_getm_notBefore(cert), -CLOCK_SKEW_S) != NULL &&
              X509_gmtime_adj(X509_getm_notAfter(cert), (long)days * DAY_S) != NULL &&
              X509_set_pubkey(cert, key) == 1;
    if (ok && organization[0] != '\0') {
        ok = X509_NAME_add_entry_by_txt(subject, "O", MBSTRING_UTF8,
                                        (const unsigned char *)organization, -1, -1, 0) == 1;
    }
    return ok &&
           X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_UTF8, (const unsigned char *)name, -1,
                                      -1, 0) == 1 &&
           X509_set_issuer_name(cert, X509_get_subject_name(issuer != NULL ? issuer : cert)) == 1;
}

static db_err bio_to_buf(BIO *bio, struct buf *out)
{
    char *data;
    long len = BIO_get_mem_data(bio, &data);
    TRY(buf_append(out, data, (size_t)len));
    TRY(buf_append_u8(out, 0));
    out->len--; /* the NUL is there, and does not count */
    return ERR_OK;
}

static db_err write_pem(X509 *cert, EVP_PKEY *key, struct rpc_tls_pair *out)
{
    BIO *c = BIO_new(BIO_s_mem());
    BIO *k = BIO_new(BIO_s_secmem());
    db_err err = ERR_NOMEM;
    if (c != NULL && k != NULL && PEM_write_bio_X509(c, cert) == 1 &&
        PEM_write_bio_PKCS8PrivateKey(k, key, NULL, NULL, 0, NULL, NULL) == 1) {
        buf_reset(&out->cert);
        buf_reset(&out->key);
        err = err_first(bio_to_buf(c, &out->cert), bio_to_buf(k, &out->key));
    }
    BIO_free(c);
    BIO_free(k);
    return err;
}

db_err rpc_tls_make_ca(const char *cluster_name, struct diag *diag, struct rpc_tls_pair *ret_ca)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *cert = X509_new();
    db_err err = ERR_IO;
    if (key != NULL && cert != NULL &&
        fill_cert(cert, key, cluster_name, "SkeinDB cluster CA", NULL, CA_DAYS) &&
        add_ext(cert, cert, NID_basic_constraints, "critical,CA:TRUE,pathlen:0") &&
        add_ext(cert, cert, NID_key_usage, "critical,keyCertSign,cRLSign") &&
        add_ext(cert, cert, NID_subject_key_identifier, "hash") &&
        X509_sign(cert, key, EVP_sha256()) > 0) {
        err = write_pem(cert, key, ret_ca);
    }
    X509_free(cert);
    EVP_PKEY_free(key);
    if (err != ERR_OK) {
        return diag_set(diag, err, "cannot make a CA: %s", tls__error_text());
    }
    return ERR_OK;
}

static db_err issue(const struct rpc_tls_pair *ca, const char *name, const char *alt_names,
                    const char *usage, unsigned days, struct diag *diag, struct rpc_tls_pair *ret)
{
    X509 *ca_cert = NULL;
    EVP_PKEY *ca_key = NULL;
    EVP_PKEY *key = NULL;
    X509 *cert = NULL;
    db_err err = tls__parse_cert((const char *)ca->cert.ptr, &ca_cert);
    err = err != ERR_OK ? err : tls__parse_key((const char *)ca->key.ptr, &ca_key);
    if (err == ERR_OK &&
        (X509_check_ca(ca_cert) == 0 || X509_check_private_key(ca_cert, ca_key) != 1)) {
        err = ERR_INVALID;
    }
    if (err != ERR_OK) {
        diag_set(diag, err, "that is no CA certificate with its key");
        goto out;
    }
    key = EVP_EC_gen("P-256");
    cert = X509_new();
    err = ERR_IO;
    if (key != NULL && cert != NULL && fill_cert(cert, key, "", name, ca_cert, days) &&
        add_ext(cert, ca_cert, NID_basic_constraints, "critical,CA:FALSE") &&
        add_ext(cert, ca_cert, NID_key_usage, "critical,digitalSignature") &&
        add_ext(cert, ca_cert, NID_ext_key_usage, usage) &&
        add_ext(cert, ca_cert, NID_subject_alt_name, alt_names) &&
        add_ext(cert, ca_cert, NID_authority_key_identifier, "keyid") &&
        X509_sign(cert, ca_key, EVP_sha256()) > 0) {
        err = write_pem(cert, key, ret);
    }
    if (err != ERR_OK) {
        diag_set(diag, err, "cannot make a certificate: %s", tls__error_text());
    }
out:
    X509_free(cert);
    EVP_PKEY_free(key);
    EVP_PKEY_free(ca_key);
    X509_free(ca_cert);
    return err;
}

db_err rpc_tls_issue_node(const struct rpc_tls_pair *ca, uint64_t node, unsigned days,
                          struct diag *diag, struct rpc_tls_pair *ret_node)
{
    char name[32];
    char alt_names[96];
    snprintf(name, sizeof(name), "node-%" PRIu64, node);
    snprintf(alt_names, sizeof(alt_names), "DNS:%s,DNS:%s", name, RPC_TLS_ANY_NODE);
    return issue(ca, name, alt_names, "serverAuth,clientAuth", days, diag, ret_node);
}

db_err rpc_tls_issue_operator(const struct rpc_tls_pair *ca, unsigned days, struct diag *diag,
                              struct rpc_tls_pair *ret_operator)
{
    return issue(ca, RPC_TLS_OPERATOR_NAME, "DNS:" RPC_TLS_OPERATOR_NAME, "clientAuth", days, diag,
                 ret_operator);
}

void tls__fingerprint(X509 *cert, char ret_hex[65])
{
    unsigned char md[EVP_MAX_MD_SIZE];
    unsigned len = 0;
    ret_hex[0] = '\0';
    if (X509_digest(cert, EVP_sha256(), md, &len) == 1 && len == 32) {
        for (unsigned i = 0; i < len; i++) {
            snprintf(ret_hex + 2 * (size_t)i, 3, "%02x", md[i]);
        }
    }
}

db_err rpc_tls_fingerprint(const char *cert_pem, char ret_hex[65])
{
    X509 *cert;
    TRY(tls__parse_cert(cert_pem, &cert));
    tls__fingerprint(cert, ret_hex);
    X509_free(cert);
    return ret_hex[0] != '\0' ? ERR_OK : ERR_NOMEM;
}

/* --- files --- */

static db_err load_file(const char *path, struct diag *diag, struct buf *out)
{
    SCOPE_FD(fd) = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return diag_set(diag, ERR_IO, "%s: %s", path, strerror(errno));
    }
    buf_reset(out);
    for (;;) {
        TRY(buf_reserve(out, 4096));
        ssize_t n = read(fd, out->ptr + out->len, 4096);
        if (n < 0) {
            return diag_set(diag, ERR_IO, "%s: %s", path, strerror(errno));
        }
        out->len += (size_t)n;
        if (n == 0) {
            break;
        }
    }
    TRY(buf_append_u8(out, 0));
    out->len--;
    return ERR_OK;
}

db_err rpc_tls_load(const char *cert_path, const char *key_path, struct diag *diag,
                    struct rpc_tls_pair *ret_pair)
{
    TRY(load_file(cert_path, diag, &ret_pair->cert));
    return load_file(key_path, diag, &ret_pair->key);
}

db_err rpc_tls_store(const char *path, struct slice pem, struct diag *diag)
{
    SCOPE_FD(fd) = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0) {
        return diag_set(diag, errno == EEXIST ? ERR_EXISTS : ERR_IO, "%s: %s", path,
                        strerror(errno));
    }
    while (pem.len > 0) {
        ssize_t n = write(fd, pem.ptr, pem.len);
        if (n <= 0) {
            return diag_set(diag, ERR_IO, "%s: %s", path, strerror(errno));
        }
        pem = slice_from(pem, (size_t)n);
    }
    return fsync(fd) == 0 ? ERR_OK : diag_set(diag, ERR_IO, "%s: %s", path, strerror(errno));
}
