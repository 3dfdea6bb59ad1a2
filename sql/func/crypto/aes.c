/* AES_ENCRYPT and AES_DECRYPT, by OpenSSL.
 *
 * The session's block_encryption_mode says key size and mode when the call runs. The key's bytes
 * are folded by XOR into the key's size, or derived by HKDF or PBKDF2 (SHA-512) when the fourth
 * argument asks for it. ECB takes no initialization vector: one that is given is ignored with a
 * warning. */
#include "sql/func/families.h"

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <openssl/params.h>

enum {
    AES_BLOCK = 16,
    AES_KEY_MAX = 32,
    AES_IV_ARG = 2,
    AES_KDF_ARG = 3,
    AES_SALT_ARG = 4,
    AES_INFO_ARG = 5,
    KDF_OPTION_MAX = 255,
    KDF_DIGITS_MAX = 5,
    KDF_ROUNDS_MIN = 1000,
    KDF_ROUNDS_MAX = 65535,
};

db_err crypto_bind_aes(BIND_ARGS)
{
    func__want_texts(ctx, args, call->arg_count);
    uint64_t bytes = func__byte_length(&args[0].type);
    uint64_t chars =
        call->variant == 1 ? (bytes / AES_BLOCK + 1) * AES_BLOCK : func__chars(&args[0].type);
    func__result_null(call, func__text(chars > FUNC_BLOB_MAX ? FUNC_BLOB_MAX : chars, COLL_BINARY));
    call->coercibility = 4;
    return ERR_OK;
}

struct aes_mode {
    const EVP_CIPHER *cipher;
    uint8_t key_len;
    bool has_iv;
};

/* In the order of block_encryption_mode's values: three key sizes of each mode. */
static void mode_of(const struct eval_ctx *ctx, struct aes_mode *ret)
{
    typedef const EVP_CIPHER *(*cipher_fn)(void);
    static const cipher_fn ciphers[] = {EVP_aes_128_ecb,    EVP_aes_192_ecb,    EVP_aes_256_ecb,
                                        EVP_aes_128_cbc,    EVP_aes_192_cbc,    EVP_aes_256_cbc,
                                        EVP_aes_128_cfb1,   EVP_aes_192_cfb1,   EVP_aes_256_cfb1,
                                        EVP_aes_128_cfb8,   EVP_aes_192_cfb8,   EVP_aes_256_cfb8,
                                        EVP_aes_128_cfb128, EVP_aes_192_cfb128, EVP_aes_256_cfb128,
                                        EVP_aes_128_ofb,    EVP_aes_192_ofb,    EVP_aes_256_ofb};
    static const uint8_t sizes[] = {16, 24, 32};
    uint32_t mode = ctx->env == NULL ? 0 : ctx->env->block_encryption_mode;
    if (mode >= ARRAY_COUNT(ciphers)) {
        mode = 0;
    }
    *ret = (struct aes_mode){ciphers[mode](), sizes[mode % 3], mode >= 3};
}

/* MYSQL: a key of any length is folded into the cipher's. */
static void fold_key(struct slice key, uint8_t *ret, size_t len)
{
    memset(ret, 0, AES_KEY_MAX);
    for (size_t i = 0; i < key.len; i++) {
        ret[i % len] ^= key.ptr[i];
    }
}

/* A KDF's option; none given is empty. */
static db_err option(struct eval_ctx *ctx, const struct func_call *call, struct vector *const *args,
                     uint32_t row, uint32_t at, size_t max, struct slice *ret)
{
    *ret = SLICE_EMPTY;
    if (call->arg_count <= at) {
        return ERR_OK;
    }
    bool null = vec_is_null(args[at], row);
    if (null || vec_str(args[at], row).len > max) {
        return my_error(ctx->diag, ER_AES_INVALID_KDF_OPTION_SIZE, (int)max + 1);
    }
    *ret = vec_str(args[at], row);
    return ERR_OK;
}

static db_err rounds_of(struct eval_ctx *ctx, struct slice text, unsigned *ret)
{
    bool is_unsigned;
    bool overflow;
    size_t used;
    int64_t n = text.len == 0 ? KDF_ROUNDS_MIN : text_to_int(text, &is_unsigned, &used, &overflow);
    if (n < KDF_ROUNDS_MIN || n > KDF_ROUNDS_MAX) {
        return my_error(ctx->diag, ER_AES_INVALID_KDF_ITERATIONS);
    }
    *ret = (unsigned)n;
    return ERR_OK;
}

static db_err derive(struct eval_ctx *ctx, const char *name, struct slice key, struct slice salt,
                     struct slice info, unsigned rounds, uint8_t *ret, size_t len)
{
    bool hkdf = rounds == 0;
    EVP_KDF *kdf = EVP_KDF_fetch(NULL, name, NULL);
    EVP_KDF_CTX *c = kdf == NULL ? NULL : EVP_KDF_CTX_new(kdf);
    char digest[] = "SHA512";
    void *key_ptr = (void *)(uintptr_t)key.ptr;
    OSSL_PARAM params[6];
    size_t n = 0;
    params[n++] = OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, digest, 0);
    params[n++] = OSSL_PARAM_construct_octet_string(
        hkdf ? OSSL_KDF_PARAM_KEY : OSSL_KDF_PARAM_PASSWORD, key_ptr, key.len);
    if (salt.len != 0 || !hkdf) { /* HKDF takes none rather than an empty one */
        params[n++] = OSSL_PARAM_construct_octet_string(
            OSSL_KDF_PARAM_SALT,
            (void *)(uintptr_t)(salt.len == 0 ? (const uint8_t *)"" : salt.ptr), salt.len);
    }
    if (hkdf && info.len != 0) {
        params[n++] = OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_INFO,
                                                        (void *)(uintptr_t)info.ptr, info.len);
    }
    if (!hkdf) {
        params[n++] = OSSL_PARAM_construct_uint(OSSL_KDF_PARAM_ITER, &rounds);
    }
    params[n] = OSSL_PARAM_construct_end();
    bool ok = c != NULL && EVP_KDF_derive(c, ret, len, params) == 1;
    EVP_KDF_CTX_free(c);
    EVP_KDF_free(kdf);
    return ok ? ERR_OK : diag_set(ctx->diag, ERR_UNSUPPORTED, "%s is not available", name);
}

static db_err make_key(struct eval_ctx *ctx, const struct func_call *call,
                       struct vector *const *args, uint32_t row, const struct aes_mode *m,
                       uint8_t ret[AES_KEY_MAX])
{
    struct slice key = vec_str(args[1], row);
    if (call->arg_count <= AES_KDF_ARG) {
        if (key.len > m->key_len && call->variant == 1) { /* MYSQL: AES_DECRYPT keeps quiet */
            func__warn(ctx, WARN_AES_KEY_SIZE, (int)m->key_len);
        }
        fold_key(key, ret, m->key_len);
        return ERR_OK;
    }
    struct slice name;
    struct slice salt;
    struct slice more;
    unsigned rounds = 0;
    TRY(option(ctx, call, args, row, AES_KDF_ARG, KDF_OPTION_MAX, &name));
    bool hkdf = slice_eq(name, SLICE_LIT("hkdf"));
    if (!hkdf && !slice_eq(name, SLICE_LIT("pbkdf2_hmac"))) {
        return my_error(ctx->diag, ER_AES_INVALID_KDF_NAME);
    }
    TRY(option(ctx, call, args, row, AES_SALT_ARG, KDF_OPTION_MAX, &salt));
    TRY(option(ctx, call, args, row, AES_INFO_ARG, hkdf ? KDF_OPTION_MAX : KDF_DIGITS_MAX, &more));
    if (!hkdf) {
        TRY(rounds_of(ctx, more, &rounds));
    }
    return derive(ctx, hkdf ? "HKDF" : "PBKDF2", key, salt, more, rounds, ret, m->key_len);
}

/* False: the text does not decrypt under the key. */
static bool crypt_one(EVP_CIPHER_CTX *c, const struct aes_mode *m, struct slice text,
                      const uint8_t *key, const uint8_t *iv, bool encrypt, uint8_t *p,
                      size_t *ret_len)
{
    int len = 0;
    int last = 0;
    bool ok = text.len < INT32_MAX - AES_BLOCK &&
              EVP_CipherInit_ex(c, m->cipher, NULL, key, iv, encrypt) == 1 &&
              EVP_CipherUpdate(c, p, &len, text.ptr, (int)text.len) == 1 &&
              EVP_CipherFinal_ex(c, p + len, &last) == 1;
    *ret_len = (size_t)(len + last);
    return ok;
}

static db_err aes_row(struct eval_ctx *ctx, const struct func_call *call,
                      struct vector *const *args, const struct aes_mode *m, EVP_CIPHER_CTX *c,
                      struct vector *out, uint32_t row)
{
    uint8_t key[AES_KEY_MAX];
    const uint8_t *iv = NULL;
    uint8_t *p;
    size_t len;
    bool given = call->arg_count > AES_IV_ARG;
    if (vec_is_null(args[0], row) || vec_is_null(args[1], row)) {
        vec_set_null(out, row);
        return ERR_OK;
    }
    bool unread = given && !m->has_iv;
    if (unread && (vec_is_null(args[AES_IV_ARG], row) || call->arg_count <= AES_KDF_ARG)) {
        func__warn(ctx, WARN_OPTION_IGNORED, "IV");
    }
    TRY(make_key(ctx, call, args, row, m, key));
    if (m->has_iv) {
        if (!given) {
            return my_error(ctx->diag, ER_WRONG_PARAMCOUNT_TO_NATIVE_FCT, call->def->name);
        }
        if (vec_is_null(args[AES_IV_ARG], row) || vec_str(args[AES_IV_ARG], row).len < AES_BLOCK) {
            return my_error(ctx->diag, ER_AES_INVALID_IV, call->def->name, AES_BLOCK);
        }
        iv = vec_str(args[AES_IV_ARG], row).ptr;
    }
    struct slice text = vec_str(args[0], row);
    TRY(func__bytes(ctx, text.len + 2 * AES_BLOCK, &p));
    if (crypt_one(c, m, text, key, iv, call->variant == 1, p, &len)) {
        vec_set_str_ref(out, row, slice_of(p, len));
    } else {
        vec_set_null(out, row);
    }
    return ERR_OK;
}

db_err crypto_aes(EVAL_ARGS)
{
    struct aes_mode m;
    db_err err = ERR_OK;
    EVP_CIPHER_CTX *c = EVP_CIPHER_CTX_new();
    if (c == NULL) {
        return ERR_NOMEM;
    }
    mode_of(ctx, &m);
    EACH_ROW(row)
    {
        TRY_GOTO(aes_row(ctx, call, args, &m, c, out, row), done);
    }
done:
    EVP_CIPHER_CTX_free(c);
    return err;
}
