/* The cluster's CA and certificates: made, stored, loaded, checked by OpenSSL itself. */
#include "rpc/transport/tls.h"

#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/test_main.h"
#include "rpc/transport/tls_int.h"

static X509 *parse(const struct buf *pem)
{
    X509 *cert;
    CHECK_OK(tls__parse_cert((const char *)pem->ptr, &cert));
    return cert;
}

static bool verifies(const struct rpc_tls_pair *ca, const struct rpc_tls_pair *leaf)
{
    X509 *root = parse(&ca->cert);
    X509 *cert = parse(&leaf->cert);
    X509_STORE *store = X509_STORE_new();
    X509_STORE_CTX *ctx = X509_STORE_CTX_new();
    X509_STORE_add_cert(store, root);
    X509_STORE_CTX_init(ctx, store, cert, NULL);
    bool ok = X509_verify_cert(ctx) == 1;
    X509_STORE_CTX_free(ctx);
    X509_STORE_free(store);
    X509_free(root);
    X509_free(cert);
    return ok;
}

static void test_chain(void **state UNUSED)
{
    struct diag diag = {0};
    struct rpc_tls_pair ca;
    struct rpc_tls_pair other;
    struct rpc_tls_pair node;
    struct rpc_tls_pair op;
    rpc_tls_pair_init(&ca);
    rpc_tls_pair_init(&other);
    rpc_tls_pair_init(&node);
    rpc_tls_pair_init(&op);
    CHECK_OK(rpc_tls_make_ca("one", &diag, &ca));
    CHECK_OK(rpc_tls_make_ca("one", &diag, &other));
    CHECK_OK(rpc_tls_issue_node(&ca, 17, 30, &diag, &node));
    CHECK_OK(rpc_tls_issue_operator(&ca, 30, &diag, &op));
    assert_true(verifies(&ca, &node));
    assert_true(verifies(&ca, &op));
    assert_false(verifies(&other, &node)); /* the same name, another key */
    X509 *cert = parse(&node.cert);
    assert_int_equal(X509_check_host(cert, "node-17", 0, 0, NULL), 1);
    assert_int_equal(X509_check_host(cert, RPC_TLS_ANY_NODE, 0, 0, NULL), 1);
    assert_int_equal(X509_check_host(cert, "node-1", 0, 0, NULL), 0);
    assert_int_equal(X509_check_ca(cert), 0);
    X509_free(cert);
    cert = parse(&op.cert);
    assert_int_equal(X509_check_host(cert, RPC_TLS_ANY_NODE, 0, 0, NULL), 0); /* no server */
    assert_int_equal(X509_check_purpose(cert, X509_PURPOSE_SSL_SERVER, 0), 0);
    X509_free(cert);
    char a[65];
    char b[65];
    CHECK_OK(rpc_tls_fingerprint((const char *)ca.cert.ptr, a));
    CHECK_OK(rpc_tls_fingerprint((const char *)other.cert.ptr, b));
    assert_int_equal(strlen(a), 64);
    assert_string_not_equal(a, b);
    assert_int_equal(rpc_tls_fingerprint("no certificate", a), ERR_INVALID);
    /* A key that does not fit the certificate. */
    struct rpc_tls_pair mixed = {ca.cert, other.key};
    struct rpc_tls_pair none;
    rpc_tls_pair_init(&none);
    assert_int_equal(rpc_tls_issue_node(&mixed, 1, 30, &diag, &none), ERR_INVALID);
    rpc_tls_pair_fini(&none);
    rpc_tls_pair_fini(&ca);
    rpc_tls_pair_fini(&other);
    rpc_tls_pair_fini(&node);
    rpc_tls_pair_fini(&op);
}

static void test_files(void **state UNUSED)
{
    char dir[] = "./tls_cert_test.XXXXXX";
    char cert_path[64];
    char key_path[64];
    assert_non_null(mkdtemp(dir));
    snprintf(cert_path, sizeof(cert_path), "%s/ca.crt", dir);
    snprintf(key_path, sizeof(key_path), "%s/ca.key", dir);
    struct diag diag = {0};
    struct rpc_tls_pair ca;
    struct rpc_tls_pair loaded;
    struct rpc_tls_pair node;
    rpc_tls_pair_init(&ca);
    rpc_tls_pair_init(&loaded);
    rpc_tls_pair_init(&node);
    CHECK_OK(rpc_tls_make_ca("files", &diag, &ca));
    CHECK_OK(rpc_tls_store(cert_path, buf_slice(&ca.cert), &diag));
    CHECK_OK(rpc_tls_store(key_path, buf_slice(&ca.key), &diag));
    assert_int_equal(rpc_tls_store(key_path, buf_slice(&ca.key), &diag), ERR_EXISTS);
    struct stat st;
    assert_int_equal(stat(key_path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    CHECK_OK(rpc_tls_load(cert_path, key_path, &diag, &loaded));
    assert_true(slice_eq(buf_slice(&ca.cert), buf_slice(&loaded.cert)));
    assert_true(slice_eq(buf_slice(&ca.key), buf_slice(&loaded.key)));
    CHECK_OK(rpc_tls_issue_node(&loaded, 1, 30, &diag, &node));
    assert_true(verifies(&ca, &node));
    unlink(key_path);
    assert_int_equal(rpc_tls_load(cert_path, key_path, &diag, &loaded), ERR_IO);
    assert_non_null(strstr(diag.text, "ca.key"));
    unlink(cert_path);
    rmdir(dir);
    rpc_tls_pair_fini(&ca);
    rpc_tls_pair_fini(&loaded);
    rpc_tls_pair_fini(&node);
}

/* What does not parse is refused before any connection. */
static void test_bad_options(void **state UNUSED)
{
    struct diag diag = {0};
    struct rpc_transport *inner;
    struct rpc_transport *t = NULL;
    CHECK_OK(rpc_nng_transport_new(&inner));
    struct rpc_tls_opts opts = {0};
    assert_int_equal(rpc_tls_transport_new(inner, &opts, &diag, &t), ERR_INVALID);
    opts.ca_pem = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    assert_int_equal(rpc_tls_transport_new(inner, &opts, &diag, &t), ERR_INVALID);
    assert_null(t);
    rpc_transport_free(inner);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_chain),
        cmocka_unit_test(test_files),
        cmocka_unit_test(test_bad_options),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
