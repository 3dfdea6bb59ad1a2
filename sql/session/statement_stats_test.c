/* What is counted of statements: forms, classes, accounts. The threads are for TSan. */
#include "sql/session/statement_stats.h"

#include <pthread.h>
#include <stdio.h>

#include "base/test_main.h"

enum { FORMS = 64, THREADS = 4 };

static uint32_t form(struct statement_stats *s, const char *schema, const char *tokens)
{
    return statement_stats_digest(s, slice_str(schema == NULL ? "" : schema), schema != NULL,
                                  slice_str(tokens), NULL);
}

static void test_forms(void **state)
{
    (void)state;
    struct statement_stats *s;
    assert_int_equal(statement_stats_new(4, &s), ERR_OK);
    uint32_t a = form(s, "d", "ab");
    uint32_t b = form(s, "e", "ab");
    uint32_t c = form(s, NULL, "ab");
    assert_int_equal(a, 2);
    assert_int_equal(b, 3);
    assert_int_equal(c, 4);
    assert_int_equal(form(s, "d", "ab"), a);
    assert_int_equal(form(s, "", "ab"), c);
    assert_int_equal(form(s, "d", "cd"), 1); /* full */
    assert_int_equal(form(s, "e", "ab"), b);
    assert_int_equal(statement_stats_count(s), 4);
    assert_null(statement_stats_at(s, 1)->tokens.ptr);
    assert_true(slice_eq(statement_stats_at(s, b)->schema, SLICE_LIT("e")));
    assert_null(statement_stats_at(s, 0));
    statement_stats_free(s);
    assert_int_equal(statement_stats_new(0, &s), ERR_OK);
    assert_int_equal(form(s, "d", "ab"), 0);
    statement_stats_free(s);
}

static void add(struct session_stats *own, struct statement_stats *s, uint32_t digest,
                enum event_class class, uint64_t wait_us)
{
    struct statement_counts c = {
        .count = 1, .wait_us = wait_us, .min_us = wait_us, .max_us = wait_us, .sent = 2};
    session_stats_add(own, s, digest, class, &c, 1000 + wait_us);
}

static void test_counts(void **state)
{
    (void)state;
    enum { RUNS = 3 * STATS_PENDING + 1 };
    struct statement_stats *s;
    assert_int_equal(statement_stats_new(100, &s), ERR_OK);
    struct session_stats own = {0};
    own.account = statement_stats_connect(s, SLICE_LIT("u"), SLICE_LIT("h"));
    assert_ptr_equal(statement_stats_connect(s, SLICE_LIT("u"), SLICE_LIT("h")), own.account);
    assert_ptr_not_equal(statement_stats_connect(s, SLICE_LIT("uh"), SLICE_LIT("")), own.account);
    assert_int_equal(own.account->current, 2);
    uint32_t digest = form(s, "d", "ab");
    for (uint64_t i = 0; i < RUNS; i++) {
        add(&own, s, digest, EVENT_SQL_SELECT, i);
        add(&own, s, digest + STATS_SLOTS, EVENT_SQL_SELECT, i); /* the same slot */
        form(s, NULL, "xy");
        char other[16];
        snprintf(other, sizeof(other), "%d", (int)i);
        form(s, NULL, other);
    }
    session_stats_fold(&own, s);
    const struct digest_stats *d = statement_stats_at(s, digest);
    uint64_t in_buckets = 0;
    for (int i = 0; i < STATS_BUCKETS; i++) {
        in_buckets += d->buckets[i];
    }
    assert_int_equal(in_buckets, RUNS);
    assert_int_equal(d->counts.count, RUNS);
    assert_int_equal(d->counts.sent, 2 * RUNS);
    assert_int_equal(d->counts.min_us, 0);
    assert_int_equal(d->counts.max_us, RUNS - 1);
    assert_int_equal(d->first_us, 1000);
    assert_int_equal(own.account->by_class[EVENT_SQL_SELECT]->count, 2 * RUNS);
    assert_int_equal(own.classes[0].counts.count, 2 * RUNS);
    statement_stats_truncate(s, true, false);
    assert_int_equal(d->counts.count, 0);
    assert_int_equal(own.account->by_class[EVENT_SQL_SELECT]->count, 2 * RUNS);
    assert_int_equal(form(s, "d", "ab"), digest);
    statement_stats_truncate(s, false, true);
    assert_int_equal(own.account->by_class[EVENT_SQL_SELECT]->count, 0);
    statement_stats_disconnect(s, own.account);
    assert_int_equal(own.account->current, 1);
    assert_int_equal(own.account->total, 2);
    statement_stats_free(s);
}

static void *make_forms(void *arg)
{
    struct statement_stats *s = arg;
    for (int round = 0; round < 50; round++) {
        for (int i = 0; i < FORMS; i++) {
            char tokens[16];
            snprintf(tokens, sizeof(tokens), "%d", i);
            uint32_t n = form(s, "d", tokens);
            const struct digest_stats *d = statement_stats_at(s, n);
            CHECK(n > 1 && slice_eq(d->tokens, slice_str(tokens)));
        }
    }
    return NULL;
}

static void test_threads(void **state)
{
    (void)state;
    struct statement_stats *s;
    pthread_t threads[THREADS];
    assert_int_equal(statement_stats_new(FORMS + 1, &s), ERR_OK);
    for (int i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, make_forms, s), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
    }
    assert_int_equal(statement_stats_count(s), FORMS + 1); /* each form once */
    statement_stats_free(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_forms),
        cmocka_unit_test(test_counts),
        cmocka_unit_test(test_threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
