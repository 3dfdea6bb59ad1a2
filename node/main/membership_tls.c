#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fiber.h"
#include "node/main/membership_int.h"

/* TLS between the nodes: <data>/rpc-tls/ holds the CA's certificate, this node's certificate and
 * key, and the CA's fingerprint. The first node makes the CA there, with its key, which goes into
 * the meta range's records, so that whoever leads it can issue certificates. One that joins pins
 * the CA by the fingerprint behind its token (TOKEN@FINGERPRINT) and is given all three. */

enum { CERT_DAYS = 3650, FIRST_NODE = 1, PATH_SIZE = 1024, TOKEN_KEPT_MAX = 127 };

static void path_of(const struct membership *m, const char *file, char out[PATH_SIZE])
{
    snprintf(out, PATH_SIZE, "%s/rpc-tls%s%s", m->opts.data_dir, file[0] == '\0' ? "" : "/", file);
}

bool membership_tls_begun(const struct membership *m)
{
    char path[PATH_SIZE];
    path_of(m, "node.crt", path);
    return access(path, F_OK) == 0;
}

db_err membership_tls_token(struct membership *m, struct diag *diag)
{
    char *at = strchr(m->token, '@');
    bool given = m->opts.join_token != NULL && m->opts.join_token[0] != '\0';
    if (given && strlen(m->opts.join_token) >= TOKEN_SIZE) {
        return diag_set(diag, ERR_INVALID, "the join token is too long");
    }
    if (at != NULL) {
        if (strlen(at + 1) != sizeof(m->pin) - 1) {
            return diag_set(diag, ERR_INVALID,
                            "a join token with '@' ends with the CA's fingerprint, of 64 digits");
        }
        memcpy(m->pin, at + 1, sizeof(m->pin));
        *at = '\0';
    }
    return strlen(m->token) <= TOKEN_KEPT_MAX
               ? ERR_OK
               : diag_set(diag, ERR_INVALID, "the join token is too long");
}

/* ---- files; all block ---- */

struct tls_job {
    struct membership *m;
    db_err (*fn)(struct membership *m, struct diag *diag);
    struct diag *diag;
    db_err err;
};

static void job(void *arg)
{
    struct tls_job *j = arg;
    j->err = j->fn(j->m, j->diag);
}

static db_err in_pool(struct membership *m, db_err (*fn)(struct membership *m, struct diag *diag),
                      struct diag *diag)
{
    struct tls_job j = {.m = m, .fn = fn, .diag = diag};
    blocking_run(job, &j);
    return j.err;
}

static db_err store(struct membership *m, const char *file, struct slice pem, struct diag *diag)
{
    char path[PATH_SIZE];
    path_of(m, file, path);
    unlink(path); /* of a join that did not come to its end */
    return rpc_tls_store(path, pem, diag);
}

/* node.crt last: with it the rest is there. */
static db_err store_all(struct membership *m, struct diag *diag)
{
    char path[PATH_SIZE];
    char print[65];
    path_of(m, "", path);
    (void)mkdir(path, 0700);
    TRY(rpc_tls_fingerprint((const char *)m->ca.cert.ptr, print));
    TRY(store(m, "ca.crt", buf_slice(&m->ca.cert), diag));
    if (m->ca.key.len != 0) {
        TRY(store(m, "ca.key", buf_slice(&m->ca.key), diag));
    }
    TRY(store(m, "fingerprint", slice_str(print), diag));
    TRY(store(m, "node.key", buf_slice(&m->own.key), diag));
    return store(m, "node.crt", buf_slice(&m->own.cert), diag);
}

static db_err load_all(struct membership *m, struct diag *diag)
{
    char cert[PATH_SIZE];
    char key[PATH_SIZE];
    path_of(m, "node.crt", cert);
    path_of(m, "node.key", key);
    TRY(rpc_tls_load(cert, key, diag, &m->own));
    path_of(m, "ca.crt", cert);
    path_of(m, "ca.key", key);
    if (access(key, F_OK) == 0) {
        return rpc_tls_load(cert, key, diag, &m->ca);
    }
    struct rpc_tls_pair alone; /* without its key: the file is read in its place */
    rpc_tls_pair_init(&alone);
    db_err err = rpc_tls_load(cert, cert, diag, &alone);
    if (err == ERR_OK) {
        err = buf_append(&m->ca.cert, alone.cert.ptr, alone.cert.len + 1);
        m->ca.cert.len -= err == ERR_OK;
    }
    rpc_tls_pair_fini(&alone);
    return err;
}

static db_err make_all(struct membership *m, struct diag *diag)
{
    TRY(rpc_tls_make_ca("skeindb", diag, &m->ca));
    TRY(rpc_tls_issue_node(&m->ca, FIRST_NODE, CERT_DAYS, diag, &m->own));
    return store_all(m, diag);
}

/* ---- transports ---- */

static db_err wrap(struct membership *m, const struct rpc_tls_opts *opts, struct diag *diag)
{
    struct rpc_transport *tls;
    TRY(rpc_tls_transport_new(m->transport, opts, diag, &tls));
    m->transport = tls;
    return ERR_OK;
}

db_err membership_tls_pin(struct membership *m, struct diag *diag)
{
    if (m->pin[0] == '\0') {
        return diag_set(diag, ERR_INVALID,
                        "to join a cluster with TLS (--rpc-tls) the token must carry the CA's "
                        "fingerprint: TOKEN@FINGERPRINT, as in a member's rpc-tls/fingerprint");
    }
    return wrap(m, &(struct rpc_tls_opts){.ca_fingerprint = m->pin}, diag);
}

db_err membership_tls_take(struct membership *m, const struct node_directory *dir,
                           struct diag *diag)
{
    const struct slice zero = SLICE_LIT("\0");
    if (dir->ca_cert.len == 0 || dir->cert.len == 0 || dir->key.len == 0) {
        return diag_set(diag, ERR_INVALID,
                        "the cluster has no CA that could issue this node's certificate");
    }
    TRY(buf_append_slice(&m->ca.cert, dir->ca_cert));
    TRY(buf_append_slice(&m->own.cert, dir->cert));
    TRY(buf_append_slice(&m->own.key, dir->key));
    struct buf *const all[] = {&m->ca.cert, &m->own.cert, &m->own.key};
    for (unsigned i = 0; i < ARRAY_COUNT(all); i++) {
        TRY(buf_append(all[i], zero.ptr, 1)); /* PEM ends with a NUL that does not count */
        all[i]->len--;
    }
    return in_pool(m, store_all, diag);
}

db_err membership_tls_open(struct membership *m, bool found, struct diag *diag)
{
    if (m->own.cert.len == 0 && membership_tls_begun(m)) {
        TRY(in_pool(m, load_all, diag));
    } else if (m->own.cert.len == 0 && found) {
        return diag_set(diag, ERR_INVALID,
                        "%s/rpc-tls has no certificate: TLS between nodes begins with the cluster, "
                        "or say --rpc-tls off on all of them",
                        m->opts.data_dir);
    } else if (m->own.cert.len == 0) {
        TRY(in_pool(m, make_all, diag));
    }
    const struct rpc_tls_opts opts = {.ca_pem = (const char *)m->ca.cert.ptr,
                                      .cert_pem = (const char *)m->own.cert.ptr,
                                      .key_pem = (const char *)m->own.key.ptr};
    TRY(rpc_tls_fingerprint(opts.ca_pem, m->pin));
    return wrap(m, &opts, diag);
}

/* ---- issuing ---- */

db_err membership_tls_issue(void *ctx, struct slice ca_cert, struct slice ca_key, node_id_t node,
                            struct arena *arena, struct diag *diag, struct slice *ret_cert,
                            struct slice *ret_key)
{
    (void)ctx;
    struct rpc_tls_pair ca;
    struct rpc_tls_pair fresh;
    const char *cert = arena_printf(arena, "%.*s", SLICE_FMT(ca_cert));
    const char *key = arena_printf(arena, "%.*s", SLICE_FMT(ca_key));
    db_err err = cert == NULL || key == NULL ? ERR_NOMEM : ERR_OK;
    rpc_tls_pair_init(&ca);
    rpc_tls_pair_init(&fresh);
    err = err == ERR_OK ? buf_append(&ca.cert, cert, ca_cert.len + 1) : err;
    err = err == ERR_OK ? buf_append(&ca.key, key, ca_key.len + 1) : err;
    if (err == ERR_OK) {
        err = rpc_tls_issue_node(&ca, node, CERT_DAYS, diag, &fresh);
    }
    struct slice out_cert = {0};
    struct slice out_key = {0};
    err = err == ERR_OK ? arena_copy(arena, buf_slice(&fresh.cert), &out_cert) : err;
    err = err == ERR_OK ? arena_copy(arena, buf_slice(&fresh.key), &out_key) : err;
    rpc_tls_pair_fini(&fresh);
    rpc_tls_pair_fini(&ca);
    if (err == ERR_OK) {
        *ret_cert = out_cert;
        *ret_key = out_key;
    }
    return err;
}
