/* MD5, SHA1, SHA2, AES and random bytes, by OpenSSL. */
#include "sql/func/families.h"

#include <openssl/evp.h>

db_err crypto_bind_hash(BIND_ARGS)
{
    enum { SHA512_CHARS = 128, SHA2_CHARS = 64 };
    func__want_text(ctx, &args[0]);
    if (call->variant != 0) {
        func__result_ascii(ctx, call, (uint64_t)call->variant);
        return ERR_OK;
    }
    int64_t bits = 0;
    bool known = func__const_int(&args[1], &bits);
    func__want_int(&args[1]);
    func__result_ascii(ctx, call,
                       !known                    ? SHA512_CHARS
                       : bits == 0               ? SHA2_CHARS
                       : bits > 0 && bits <= 512 ? (uint64_t)bits / 4
                                                 : SHA512_CHARS);
    return ERR_OK;
}

static const EVP_MD *digest_of(const struct func_call *call, struct vector *const *args,
                               uint32_t row)
{
    if (call->variant != 0) {
        return call->variant == 32 ? EVP_md5() : EVP_sha1();
    }
    switch (vec_i64(args[1], row)) {
    case 224: return EVP_sha224();
    case 0:
    case 256: return EVP_sha256();
    case 384: return EVP_sha384();
    case 512: return EVP_sha512();
    default: return NULL;
    }
}

db_err crypto_hash(EVAL_ARGS)
{
    EACH_ROW(row)
    {
        struct slice s = vec_str(args[0], row);
        const EVP_MD *md = digest_of(call, args, row);
        unsigned char digest[EVP_MAX_MD_SIZE];
        unsigned len = 0;
        if (md == NULL) {
            vec_set_null(out, row);
            func__warn(ctx, ER_WRONG_PARAMETERS_TO_NATIVE_FCT, call->def->name);
            continue;
        }
        if (EVP_Digest(s.ptr, s.len, digest, &len, md, NULL) != 1) {
            return diag_set(ctx->diag, ERR_UNSUPPORTED, "the digest of %s is not available",
                            call->def->name);
        }
        char text[2 * EVP_MAX_MD_SIZE];
        for (unsigned i = 0; i < len; i++) {
            text[2 * i] = "0123456789abcdef"[digest[i] >> 4];
            text[2 * i + 1] = "0123456789abcdef"[digest[i] & 15];
        }
        TRY(func__set_ascii(ctx, out, row, slice_of(text, 2ull * len)));
    }
    return ERR_OK;
}

/* ---- AES: aes-128-ecb, as block_encryption_mode is by default ---- */

enum { AES_BLOCK = 16, AES_IV_ARG = 2 };

db_err crypto_bind_aes(BIND_ARGS)
{
    if (call->arg_count > 3) {
        return my_error(ctx->diag, ER_NOT_SUPPORTED_YET, "key derivation in AES functions");
    }
    func__want_texts(ctx, args, call->arg_count);
    const struct collation *c = collation_by_id(args[0].type.collation);
    uint64_t bytes = func__chars(&args[0].type) * c->cs->maxlen;
    uint64_t chars = call->variant == 1 ? (bytes / AES_BLOCK + 1) * AES_BLOCK : bytes;
    func__result_null(call, func__text(chars, COLL_BINARY));
    call->coercibility = 4;
    return ERR_OK;
}

/* MYSQL: a key of any length is folded into 16 bytes. */
static void fold_key(struct slice key, uint8_t ret[AES_BLOCK])
{
    memset(ret, 0, AES_BLOCK);
    for (size_t i = 0; i < key.len; i++) {
        ret[i % AES_BLOCK] ^= key.ptr[i];
    }
}

/* False: the text does not decrypt under the key. */
static bool crypt_one(EVP_CIPHER_CTX *c, struct slice text, struct slice key, bool encrypt,
                      uint8_t *p, size_t *ret_len)
{
    uint8_t folded[AES_BLOCK];
    int len = 0;
    int last = 0;
    fold_key(key, folded);
    bool ok = text.len < INT32_MAX - AES_BLOCK &&
              EVP_CipherInit_ex(c, EVP_aes_128_ecb(), NULL, folded, NULL, encrypt) == 1 &&
              EVP_CipherUpdate(c, p, &len, text.ptr, (int)text.len) == 1 &&
              EVP_CipherFinal_ex(c, p + len, &last) == 1;
    *ret_len = (size_t)(len + last);
    return ok;
}

db_err crypto_aes(EVAL_ARGS)
{
    db_err err = ERR_OK;
    EVP_CIPHER_CTX *c = EVP_CIPHER_CTX_new();
    if (c == NULL) {
        return ERR_NOMEM;
    }
    EACH_ROW(row)
    {
        uint8_t *p;
        size_t len;
        if (call->arg_count > AES_IV_ARG) {
            func__warn(ctx, WARN_OPTION_IGNORED, "IV");
        }
        if (vec_is_null(args[0], row) || vec_is_null(args[1], row)) {
            vec_set_null(out, row);
            continue;
        }
        struct slice text = vec_str(args[0], row);
        TRY_GOTO(func__bytes(ctx, text.len + 2 * AES_BLOCK, &p), done);
        if (crypt_one(c, text, vec_str(args[1], row), call->variant == 1, p, &len)) {
            vec_set_str_ref(out, row, slice_of(p, len));
        } else {
            vec_set_null(out, row);
        }
    }
done:
    EVP_CIPHER_CTX_free(c);
    return err;
}

/* ---- RANDOM_BYTES ---- */

enum { RANDOM_BYTES_MAX = 1024 };

db_err crypto_bind_random(BIND_ARGS)
{
    (void)ctx;
    func__want_int(&args[0]);
    func__result_null(call, func__text(RANDOM_BYTES_MAX, COLL_BINARY));
    call->coercibility = 4;
    return ERR_OK;
}

db_err crypto_random(EVAL_ARGS)
{
    (void)call;
    EACH_ROW(row)
    {
        int64_t len = vec_i64(args[0], row);
        uint8_t *p;
        if (len < 1 || len > RANDOM_BYTES_MAX) {
            return my_error(ctx->diag, ER_DATA_OUT_OF_RANGE, "length", "random_bytes");
        }
        TRY(func__bytes(ctx, (size_t)len, &p));
        TRY(rand_secure(p, (size_t)len));
        vec_set_str_ref(out, row, slice_of(p, (size_t)len));
    }
    return ERR_OK;
}
