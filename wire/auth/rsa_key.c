#include "wire/auth/rsa_key.h"

#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <pthread.h>
#include <stdio.h>
#include <unistd.h>

#include "base/alloc.h"
#include "wire/net/tls_cert.h"

enum { RSA_BITS = 2048, PATH_SIZE = 1024 };

struct rsa_key {
    pthread_mutex_t lock;
    EVP_PKEY *pair;
    BIO *pem;
    char dir[PATH_SIZE];
};

struct rsa_key *rsa_key_new(const char *data_dir)
{
    struct rsa_key *key = mem_calloc(1, sizeof(*key));
    if (key != NULL) {
        pthread_mutex_init(&key->lock, NULL);
        snprintf(key->dir, sizeof(key->dir), "%s", data_dir == NULL ? "" : data_dir);
    }
    return key;
}

void rsa_key_free(struct rsa_key *key)
{
    if (key != NULL) {
        EVP_PKEY_free(key->pair);
        BIO_free(key->pem);
        pthread_mutex_destroy(&key->lock);
        mem_free(key);
    }
}

static db_err save_key(struct rsa_key *key, EVP_PKEY *pair)
{
    char path[PATH_SIZE + 32];
    BIO *bio = BIO_new(BIO_s_mem());
    db_err err = ERR_NOMEM;
    if (bio != NULL && PEM_write_bio_PrivateKey(bio, pair, NULL, NULL, 0, NULL, NULL) == 1) {
        snprintf(path, sizeof(path), "%s/private_key.pem", key->dir);
        err = tls_write_private(path, bio, true, NULL);
    }
    if (err == ERR_OK) {
        snprintf(path, sizeof(path), "%s/public_key.pem", key->dir);
        err = tls_write_private(path, key->pem, false, NULL);
    }
    BIO_free(bio);
    return err;
}

static EVP_PKEY *load_key(const struct rsa_key *key)
{
    char path[PATH_SIZE + 32];
    snprintf(path, sizeof(path), "%s/private_key.pem", key->dir);
    FILE *file = key->dir[0] == '\0' ? NULL : fopen(path, "re");
    if (file == NULL) {
        return NULL;
    }
    EVP_PKEY *pair = PEM_read_PrivateKey(file, NULL, NULL, NULL);
    fclose(file);
    return pair;
}

static db_err provide_locked(struct rsa_key *key)
{
    if (key->pair != NULL) {
        return ERR_OK;
    }
    EVP_PKEY *pair = load_key(key);
    bool made = pair == NULL;
    if (made) {
        pair = EVP_RSA_gen(RSA_BITS);
    }
    BIO *pem = BIO_new(BIO_s_mem());
    if (pair == NULL || pem == NULL || PEM_write_bio_PUBKEY(pem, pair) != 1) {
        EVP_PKEY_free(pair);
        BIO_free(pem);
        ERR_clear_error();
        return ERR_INVALID;
    }
    key->pem = pem;
    key->pair = pair;
    return made && key->dir[0] != '\0' ? save_key(key, pair) : ERR_OK;
}

static db_err provide(struct rsa_key *key)
{
    pthread_mutex_lock(&key->lock);
    db_err err = provide_locked(key);
    pthread_mutex_unlock(&key->lock);
    return err;
}

db_err rsa_key_public_pem(struct rsa_key *key, struct slice *ret_pem)
{
    TRY(provide(key));
    char *data;
    long size = BIO_get_mem_data(key->pem, &data);
    *ret_pem = slice_of(data, (size_t)size);
    return ERR_OK;
}

bool rsa_key_decrypt(struct rsa_key *key, struct slice secret, uint8_t *ret_plain, size_t *ret_size)
{
    if (provide(key) != ERR_OK) {
        return false;
    }
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(key->pair, NULL);
    size_t size = 0;
    bool ok = ctx != NULL && EVP_PKEY_decrypt_init(ctx) == 1 &&
              EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_OAEP_PADDING) == 1 &&
              EVP_PKEY_decrypt(ctx, NULL, &size, secret.ptr, secret.len) == 1 &&
              size <= *ret_size &&
              EVP_PKEY_decrypt(ctx, ret_plain, &size, secret.ptr, secret.len) == 1;
    EVP_PKEY_CTX_free(ctx);
    ERR_clear_error();
    if (ok) {
        *ret_size = size;
    }
    return ok;
}
