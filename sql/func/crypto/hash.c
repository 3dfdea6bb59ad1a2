/* MD5, SHA1, SHA2 and random bytes, by OpenSSL. */
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
    bool known = func__const_int(ctx, &args[1], &bits);
    func__want_int(&args[1]);
    if (known && bits != 0 && bits != 224 && bits != 256 && bits != 384 && bits != 512) {
        /* MYSQL: then it is said once, and not for each row */
        static const bool told = true;
        call->data = &told;
        func__bind_warn(ctx, ER_WRONG_PARAMETERS_TO_NATIVE_FCT, call->def->name);
        bits = 256;
    }
    bits = args[1].constant != NULL && args[1].constant->is_null ? 256 : bits;
    known = known || args[1].constant != NULL;
    func__result_ascii(ctx, call,
                       !known      ? SHA512_CHARS
                       : bits == 0 ? SHA2_CHARS
                                   : (uint64_t)bits / 4);
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
        if (vec_is_null(args[0], row)) {
            vec_set_null(out, row);
            continue;
        }
        bool unknown = call->arg_count == 2 && vec_is_null(args[1], row);
        const EVP_MD *md = unknown ? NULL : digest_of(call, args, row);
        unsigned char digest[EVP_MAX_MD_SIZE];
        unsigned len = 0;
        if (md == NULL) {
            vec_set_null(out, row);
            if (call->data == NULL) {
                func__warn(ctx, ER_WRONG_PARAMETERS_TO_NATIVE_FCT, call->def->name);
            }
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

size_t func_sha256_hex(struct slice bytes, char *out)
{
    unsigned char hash[FUNC_SHA256_HEX / 2];
    unsigned int len = 0;
    if (EVP_Digest(bytes.ptr, bytes.len, hash, &len, EVP_sha256(), NULL) != 1) {
        return 0;
    }
    for (unsigned i = 0; i < len; i++) {
        out[2 * i] = "0123456789abcdef"[hash[i] >> 4];
        out[2 * i + 1] = "0123456789abcdef"[hash[i] & 15];
    }
    out[FUNC_SHA256_HEX] = '\0';
    return FUNC_SHA256_HEX;
}
