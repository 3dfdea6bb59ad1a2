/* What is counted of statements: forms, classes, accounts. The threads are for TSan. */
#include "sql/session/statement_stats.h"

#include <pthread.h>
#include <stdio.h>

#include "base/test_main.h"

enum { FORMS = 64, THREADS = 4 };

static digest_id form(struct statement_stats *s, const char *schema, const char *tokens)
{
    return statement_stats_digest(s, slice_str(schema == NULL ? "" : schema), schema != NULL,
                                  slice_str(tokens), NULL);
}

static void test_forms(void **state)
{
    (void)state;
    struct statement_stats *s;
    assert_int_equal(statement_stats_new(4, &s), ERR_OK);
    digest_id a = form(s, "d", "ab");
    digest_id b = form(s, "e", "ab");
    digest_id c = form(s, NULL, "ab");
    assert_int_equal(a, 2);
    assert_int_equal(b, 3);
    assert_int_equal(c, 4);
    assert_int_equal(form(s, "d", "ab"), a);
    assert_int_equal(form(s, "", "ab"), c);
    assert_int_equal(form(s, "d", "cd"), 1); /* full */
    assert_int_equal(form(s, "e", "ab"), b);
    assert_int_equal(statement_stats_count(s), 4);
    assert_null(statement_stats_at(s, 1)->tokens.ptr);
    assert_true(slice_eq(statement_stats_at(s, (uint32_t)b)->schema, SLICE_LIT("e")));
    assert_null(statement_stats_lock(s, 0));
    assert_false(statement_stats_knows(s, 0));
    statement_stats_free(s);
    assert_int_equal(statement_stats_new(0, &s), ERR_OK);
    assert_int_equal(form(s, "d", "ab"), 0);
    statement_stats_free(s);
}

static void add(struct session_stats *own, struct statement_stats *s, digest_id digest,
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
    digest_id digest = form(s, "d", "ab");
    for (uint64_t i = 0; i < RUNS; i++) {
        add(&own, s, digest, EVENT_SQL_SELECT, i);
        add(&own, s, digest + STATS_SLOTS, EVENT_SQL_SELECT, i); /* the same slot */
        form(s, NULL, "xy");
        char other[16];
        snprintf(other, sizeof(other), "%d", (int)i);
        form(s, NULL, other);
    }
    session_stats_fold(&own, s);
    const struct digest_stats *d = statement_stats_at(s, (uint32_t)digest);
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
    assert_null(d->buckets);
    assert_false(statement_stats_knows(s, digest));
    add(&own, s, digest, EVENT_SQL_SELECT, 1); /* one that began before */
    session_stats_fold(&own, s);
    assert_int_equal(d->counts.count, 0);
    assert_int_equal(own.account->by_class[EVENT_SQL_SELECT]->count, 2 * RUNS + 1);
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
            digest_id id = form(s, "d", tokens);
            struct digest_stats *d = statement_stats_lock(s, id);
            CHECK((uint32_t)id > STATS_FIRST && d != NULL &&
                  slice_eq(d->tokens, slice_str(tokens)));
            spin_unlock(&d->lock);
        }
    }
    return NULL;
}

/* TRUNCATE makes room, and leaves what somebody shows in its place. */
static void test_truncate(void **state)
{
    enum { MAX = 8 };
    (void)state;
    struct statement_stats *s;
    char tokens[16];
    assert_int_equal(statement_stats_new(MAX, &s), ERR_OK);
    digest_id last = 0;
    for (int round = 0; round < 3; round++) {
        digest_id first = 0;
        for (int i = 0; i < MAX - 1; i++) {
            snprintf(tokens, sizeof(tokens), "%d.%d", round, i);
            digest_id id = form(s, "d", tokens);
            first = i == 0 ? id : first;
            assert_true((uint32_t)id > STATS_FIRST);
            assert_true(statement_stats_knows(s, id));
            assert_int_equal(form(s, "d", tokens), id);
        }
        digest_id beyond = form(s, "d", "beyond");
        assert_int_equal((uint32_t)beyond, STATS_FIRST);
        assert_false(last != 0 && statement_stats_knows(s, last));
        assert_null(statement_stats_lock(s, last));
        statement_stats_truncate(s, true, false);
        assert_false(statement_stats_knows(s, first));
        assert_false(statement_stats_knows(s, beyond));
        last = first;
    }
    digest_id kept = form(s, "d", "kept");
    digest_id gone = form(s, NULL, "gone");
    statement_stats_want(s, kept);
    statement_stats_want(s, last);
    statement_stats_truncate(s, true, false);
    assert_int_equal(form(s, "d", "kept"), kept);
    assert_true(slice_eq(statement_stats_at(s, (uint32_t)kept)->tokens, SLICE_LIT("kept")));
    assert_false(statement_stats_knows(s, gone));
    assert_int_not_equal(form(s, NULL, "gone"), gone);
    statement_stats_truncate(s, true, false);
    assert_false(statement_stats_knows(s, kept));
    assert_int_equal(statement_stats_count(s), MAX);
    statement_stats_free(s);
}

/* While somebody truncates a form is another one, never a wrong one. */
static void *use_forms(void *arg)
{
    struct statement_stats *s = arg;
    struct session_stats own = {0};
    for (int i = 0; i < 4000; i++) {
        char tokens[16];
        snprintf(tokens, sizeof(tokens), "%d", i % (2 * FORMS));
        digest_id id = form(s, "d", tokens);
        struct digest_stats *d = statement_stats_lock(s, id);
        if (d != NULL) {
            CHECK((uint32_t)id == STATS_FIRST || slice_eq(d->tokens, slice_str(tokens)));
            spin_unlock(&d->lock);
        }
        add(&own, s, id, EVENT_SQL_SELECT, (uint64_t)i);
    }
    session_stats_fold(&own, s);
    return NULL;
}

static void *truncate_often(void *arg)
{
    struct statement_stats *s = arg;
    for (int i = 0; i < 300; i++) {
        statement_stats_want(s, form(s, "d", "1"));
        statement_stats_truncate(s, true, i % 2 == 0);
    }
    return NULL;
}

static void test_truncate_threads(void **state)
{
    (void)state;
    struct statement_stats *s;
    pthread_t threads[THREADS];
    assert_int_equal(statement_stats_new(FORMS, &s), ERR_OK);
    for (int i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, i == 0 ? truncate_often : use_forms, s),
                         0);
    }
    for (int i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
    }
    statement_stats_truncate(s, true, false);
    for (int i = 0; i < FORMS - 1; i++) {
        char tokens[16];
        snprintf(tokens, sizeof(tokens), "n%d", i);
        assert_true((uint32_t)form(s, "d", tokens) > STATS_FIRST);
    }
    statement_stats_free(s);
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
        cmocka_unit_test(test_truncate),
        cmocka_unit_test(test_truncate_threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
