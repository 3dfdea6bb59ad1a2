/* SHA-crypt as Ulrich Drepper's public specification describes it ("Unix crypt using SHA-256 and
 * SHA-512"), with two differences that MySQL has: the salt may have 20 bytes, and the number of
 * rounds is written as three hexadecimal digits times 1,000. */
#include "base/sha_crypt.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>

void sha256_two(struct slice a, struct slice b, uint8_t ret_digest[SHA256_SIZE])
{
    uint8_t joined[2 * SHA256_SIZE + SHA2_PASSWORD_MAX];
    size_t n = a.len < sizeof(joined) ? a.len : sizeof(joined);
    size_t m = b.len < sizeof(joined) - n ? b.len : sizeof(joined) - n;
    if (n > 0) {
        memcpy(joined, a.ptr, n);
    }
    if (m > 0) {
        memcpy(joined + n, b.ptr, m);
    }
    EVP_Digest(joined, n + m, ret_digest, NULL, EVP_sha256(), NULL);
    OPENSSL_cleanse(joined, sizeof(joined));
}

struct hasher {
    EVP_MD_CTX *ctx;
    const EVP_MD *md;
};

static void hash_begin(struct hasher *h)
{
    EVP_DigestInit_ex(h->ctx, h->md, NULL);
}

static void hash_add(struct hasher *h, const void *data, size_t size)
{
    EVP_DigestUpdate(h->ctx, data, size);
}

static void hash_end(struct hasher *h, uint8_t ret_digest[SHA256_SIZE])
{
    EVP_DigestFinal_ex(h->ctx, ret_digest, NULL);
}

/* `size` bytes of a digest repeated. */
static void hash_add_repeated(struct hasher *h, const uint8_t digest[SHA256_SIZE], size_t size)
{
    for (; size > SHA256_SIZE; size -= SHA256_SIZE) {
        hash_add(h, digest, SHA256_SIZE);
    }
    hash_add(h, digest, size);
}

static void first_digest(struct hasher *h, struct slice pw, struct slice salt,
                         uint8_t ret_a[SHA256_SIZE])
{
    uint8_t b[SHA256_SIZE];
    hash_begin(h);
    hash_add(h, pw.ptr, pw.len);
    hash_add(h, salt.ptr, salt.len);
    hash_add(h, pw.ptr, pw.len);
    hash_end(h, b);
    hash_begin(h);
    hash_add(h, pw.ptr, pw.len);
    hash_add(h, salt.ptr, salt.len);
    hash_add_repeated(h, b, pw.len);
    for (size_t n = pw.len; n > 0; n >>= 1) {
        if ((n & 1) != 0) {
            hash_add(h, b, SHA256_SIZE);
        } else {
            hash_add(h, pw.ptr, pw.len);
        }
    }
    hash_end(h, ret_a);
    OPENSSL_cleanse(b, sizeof(b));
}

static void fill_repeated(uint8_t *out, size_t size, const uint8_t digest[SHA256_SIZE])
{
    for (size_t i = 0; i < size; i++) {
        out[i] = digest[i % SHA256_SIZE];
    }
}

static void encode(const uint8_t d[SHA256_SIZE], char ret_text[SHA_CRYPT_TEXT])
{
    static const char alphabet[] =
        "./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    static const uint8_t order[10][3] = {{0, 10, 20}, {21, 1, 11}, {12, 22, 2}, {3, 13, 23},
                                         {24, 4, 14}, {15, 25, 5}, {6, 16, 26}, {27, 7, 17},
                                         {18, 28, 8}, {9, 19, 29}};
    char *p = ret_text;
    for (int i = 0; i < 10; i++) {
        uint32_t w =
            (uint32_t)d[order[i][0]] << 16 | (uint32_t)d[order[i][1]] << 8 | d[order[i][2]];
        for (int k = 0; k < 4; k++, w >>= 6) {
            *p++ = alphabet[w & 0x3f];
        }
    }
    uint32_t w = (uint32_t)d[31] << 8 | d[30];
    for (int k = 0; k < 3; k++, w >>= 6) {
        *p++ = alphabet[w & 0x3f];
    }
}

static void run_rounds(struct hasher *h, uint32_t rounds, struct slice p, struct slice s,
                       uint8_t digest[SHA256_SIZE])
{
    for (uint32_t i = 0; i < rounds; i++) {
        hash_begin(h);
        if ((i & 1) != 0) {
            hash_add(h, p.ptr, p.len);
        } else {
            hash_add(h, digest, SHA256_SIZE);
        }
        if (i % 3 != 0) {
            hash_add(h, s.ptr, s.len);
        }
        if (i % 7 != 0) {
            hash_add(h, p.ptr, p.len);
        }
        if ((i & 1) != 0) {
            hash_add(h, digest, SHA256_SIZE);
        } else {
            hash_add(h, p.ptr, p.len);
        }
        hash_end(h, digest);
    }
}

db_err sha_crypt(struct slice password, struct slice salt, uint32_t rounds,
                 char ret_text[SHA_CRYPT_TEXT])
{
    if (password.len > SHA2_PASSWORD_MAX || salt.len > SHA_CRYPT_SALT) {
        return ERR_LIMIT;
    }
    struct hasher h = {EVP_MD_CTX_new(), EVP_sha256()};
    if (h.ctx == NULL) {
        return ERR_NOMEM;
    }
    uint8_t digest[SHA256_SIZE];
    uint8_t tmp[SHA256_SIZE];
    uint8_t p[SHA2_PASSWORD_MAX];
    uint8_t s[SHA_CRYPT_SALT];
    first_digest(&h, password, salt, digest);
    hash_begin(&h);
    for (size_t i = 0; i < password.len; i++) {
        hash_add(&h, password.ptr, password.len);
    }
    hash_end(&h, tmp);
    fill_repeated(p, password.len, tmp);
    hash_begin(&h);
    for (size_t i = 0; i < 16u + digest[0]; i++) {
        hash_add(&h, salt.ptr, salt.len);
    }
    hash_end(&h, tmp);
    fill_repeated(s, salt.len, tmp);
    run_rounds(&h, rounds, slice_of(p, password.len), slice_of(s, salt.len), digest);
    encode(digest, ret_text);
    OPENSSL_cleanse(p, sizeof(p));
    OPENSSL_cleanse(digest, sizeof(digest));
    OPENSSL_cleanse(tmp, sizeof(tmp));
    EVP_MD_CTX_free(h.ctx);
    return ERR_OK;
}

bool sha2_stored_parse(struct slice stored, uint32_t *ret_rounds, struct slice *ret_salt,
                       struct slice *ret_hash)
{
    if (stored.len != SHA2_STORED_SIZE || !slice_starts_with(stored, SLICE_LIT("$A$")) ||
        stored.ptr[6] != '$') {
        return false;
    }
    uint32_t thousands = 0;
    for (int i = 3; i < 6; i++) {
        uint8_t ch = stored.ptr[i];
        uint32_t v = ch >= '0' && ch <= '9'   ? (uint32_t)(ch - 0x30)
                     : ch >= 'A' && ch <= 'F' ? (uint32_t)(ch - 'A' + 10)
                     : ch >= 'a' && ch <= 'f' ? (uint32_t)(ch - 'a' + 10)
                                              : 16u;
        if (v == 16) {
            return false;
        }
        thousands = thousands * 16 + v;
    }
    if (thousands == 0) {
        return false;
    }
    *ret_rounds = thousands * 1000;
    *ret_salt = slice_of(stored.ptr + 7, SHA_CRYPT_SALT);
    *ret_hash = slice_of(stored.ptr + 7 + SHA_CRYPT_SALT, SHA_CRYPT_TEXT);
    return true;
}
