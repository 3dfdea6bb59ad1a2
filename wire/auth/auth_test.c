#include "base/sha_crypt.h"

#include "base/rand.h"
#include "base/test_main.h"
#include "wire/auth/digest_cache.h"
#include "wire/auth/handshake.h"

/* What MySQL 9.7 stored for the password. */
static const char g_stored[] =
    "$A$00A$\x15\x7b\x55\x1f\x03\x65\x06\x5d\x6e\x72\x52\x0e\x53\x36\x0a\x79\x5a\x5e\x42\x64"
    "XlltRQuyBNLXl/ZP6CnNX0yJPJVwP6.m1dom.sAWGMB";

static void test_stored_form(void **state)
{
    (void)state;
    uint32_t rounds;
    struct slice salt;
    struct slice hash;
    char text[SHA_CRYPT_TEXT];
    assert_true(sha2_stored_parse(slice_str(g_stored), &rounds, &salt, &hash));
    assert_int_equal(rounds, 10000);
    assert_int_equal(sha_crypt(SLICE_LIT("secret"), salt, rounds, text), ERR_OK);
    assert_memory_equal(text, hash.ptr, SHA_CRYPT_TEXT);
    assert_int_equal(sha_crypt(SLICE_LIT("Secret"), salt, rounds, text), ERR_OK);
    assert_memory_not_equal(text, hash.ptr, SHA_CRYPT_TEXT);
    assert_false(sha2_stored_parse(SLICE_LIT("$A$005$short"), &rounds, &salt, &hash));
    assert_false(sha2_stored_parse(SLICE_LIT("*14E65567ABDB5135D0CFD9A70B3032C179A49EE7"), &rounds,
                                   &salt, &hash));
}

/* The example of the public specification. */
static void test_sha_crypt_example(void **state)
{
    (void)state;
    char text[SHA_CRYPT_TEXT];
    assert_int_equal(sha_crypt(SLICE_LIT("Hello world!"), SLICE_LIT("saltstring"), 5000, text),
                     ERR_OK);
    assert_memory_equal(text, "5B8vYYiY.CVt1RlTTf8KbXBH3hsxY/GNooZaBBGWEc5", SHA_CRYPT_TEXT);
}

static void test_cache(void **state)
{
    (void)state;
    struct digest_cache *cache = digest_cache_new();
    uint8_t digest[SHA256_SIZE];
    assert_non_null(cache);
    for (int i = 0; i < 10000; i++) {
        struct digest_key key;
        struct digest_key other;
        memset(digest, i, sizeof(digest));
        digest_key_make(slice_of(&i, sizeof(i)), SLICE_LIT("%"), SLICE_LIT("stored"), &key);
        digest_key_make(slice_of(&i, sizeof(i)), SLICE_LIT("%"), SLICE_LIT("changed"), &other);
        digest_cache_put(cache, &key, digest);
        assert_true(digest_cache_get(cache, &key, digest));
        assert_int_equal(digest[0], (uint8_t)i);
        assert_false(digest_cache_get(cache, &other, digest));
    }
    digest_cache_free(cache);
}

/* Every cut and many changes of a good packet: an answer, and only slices of the packet. */
static void test_parse_hostile(void **state)
{
    (void)state;
    static const uint8_t good[] = "\x8f\xa2\x3f\x01\x00\x00\x00\x01\xff\0\0\0\0\0\0\0\0\0\0\0\0\0"
                                  "\0\0\0\0\0\0\0\0\0\0root\0\x03"
                                  "abcdb\0caching_sha2_password\0"
                                  "\x15\x0cprogram_name\x07mariadb";
    struct login_packet l;
    struct rand r;
    uint8_t data[sizeof(good)];
    uint32_t caps = handshake_server_caps(true);
    assert_int_equal(handshake_parse(slice_of(good, sizeof(good) - 1), caps, &l), LOGIN_OK);
    assert_true(slice_eq(l.user, SLICE_LIT("root")));
    assert_true(slice_eq(l.schema, SLICE_LIT("db")));
    assert_true(slice_eq(l.attributes, SLICE_LIT("\x0cprogram_name\x07mariadb")));
    rand_seed(&r, 3);
    for (int i = 0; i < 200000; i++) {
        size_t size = rand_below(&r, sizeof(good));
        memcpy(data, good, sizeof(good));
        for (uint64_t k = rand_below(&r, 4); k > 0; k--) {
            data[rand_below(&r, sizeof(data))] = (uint8_t)rand_u64(&r);
        }
        uint8_t *exact = data + (sizeof(data) - size); /* the end of it: overruns are seen */
        memmove(exact, data, size);
        if (handshake_parse(slice_of(exact, size), caps, &l) == LOGIN_OK) {
            assert_true(l.user.ptr >= exact && l.user.ptr + l.user.len <= exact + size);
            assert_true(l.response.len <= size);
        }
        uint16_t charset;
        (void)!handshake_parse_change_user(slice_of(exact, size), caps, &charset, &l);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_stored_form),
        cmocka_unit_test(test_sha_crypt_example),
        cmocka_unit_test(test_cache),
        cmocka_unit_test(test_parse_hostile),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
