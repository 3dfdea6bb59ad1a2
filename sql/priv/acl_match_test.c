#include "sql/priv/acl.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "sql/priv/acl_int.h"

enum { USERS_MAX = 16 };

struct fixture {
    struct acl acl;
    struct acl_user *users[USERS_MAX];
};

static void add(struct fixture *f, const char *user, const char *host)
{
    struct account a;
    account_init(&a, slice_str(user), slice_str(host));
    struct acl_user *u = user__new(&a);
    assert_non_null(u);
    uint32_t at = f->acl.count++;
    while (at > 0 &&
           name__cmp(f->users[at - 1]->user, f->users[at - 1]->host, u->user, u->host) > 0) {
        f->users[at] = f->users[at - 1];
        at--;
    }
    f->users[at] = u;
    f->acl.users = f->users;
}

static void drop_all(struct fixture *f)
{
    for (uint32_t i = 0; i < f->acl.count; i++) {
        user__unref(f->users[i]);
    }
}

static void expect(struct fixture *f, const char *user, const char *host, const char *want_user,
                   const char *want_host)
{
    const struct acl_user *u = acl_match(&f->acl, slice_str(user), slice_str(host));
    if (want_user == NULL) {
        assert_null(u);
        return;
    }
    assert_non_null(u);
    assert_string_equal(u->account.user, want_user);
    assert_string_equal(u->account.host, want_host);
}

static void hosts(void **state)
{
    (void)state;
    assert_true(acl_host_fits("%", slice_str("h.example")));
    assert_true(acl_host_fits("%.example", slice_str("a.b.EXAMPLE")));
    assert_false(acl_host_fits("%.example", slice_str("example")));
    assert_true(acl_host_fits("192.0.2._", slice_str("192.0.2.7")));
    assert_false(acl_host_fits("192.0.2._", slice_str("192.0.2.17")));
    assert_false(acl_host_fits("localhost", slice_str("127.0.0.1")));
    assert_false(acl_host_fits("127.0.0.1", slice_str("localhost")));
    assert_false(acl_host_fits("localhost", slice_str("192.0.2.1")));
    assert_true(acl_host_fits("192.0.2.0/255.255.255.0", slice_str("192.0.2.200")));
    assert_false(acl_host_fits("192.0.2.0/255.255.255.0", slice_str("192.0.3.1")));
    assert_false(acl_host_fits("192.0.2.1/255.255.255.0", slice_str("192.0.2.1")));
    assert_true(acl_host_fits("10.0.0.0/8", slice_str("10.200.3.4")));
    assert_false(acl_host_fits("10.0.0.0/8", slice_str("11.0.0.1")));
    assert_true(acl_host_fits("2001:db8::/32", slice_str("2001:db8:1::5")));
    assert_false(acl_host_fits("2001:db8::/32", slice_str("2001:db9::5")));
    assert_false(acl_host_fits("10.0.0.0/33", slice_str("10.0.0.1")));
    assert_false(acl_host_fits("10.0.0.0/x", slice_str("10.0.0.1")));
    /* Many wildcards are no reason to take long. */
    char text[200];
    memset(text, 'a', sizeof(text));
    assert_false(acl_host_fits("%a%a%a%a%a%a%a%a%a%a%a%a%b", slice_of(text, sizeof(text))));
}

static void most_specific_first(void **state)
{
    (void)state;
    struct fixture f = {.acl = {.count = 0}};
    add(&f, "joe", "%");
    add(&f, "joe", "192.0.2.%");
    add(&f, "joe", "192.0.2.1");
    add(&f, "joe", "192.0.2.0/24");
    add(&f, "", "192.0.2.7");
    add(&f, "", "%");
    add(&f, "Joe", "%");
    expect(&f, "joe", "192.0.2.1", "joe", "192.0.2.1");
    expect(&f, "joe", "192.0.2.2", "joe", "192.0.2.0/24");
    expect(&f, "joe", "198.51.100.1", "joe", "%");
    expect(&f, "joe", "192.0.2.7", "", "192.0.2.7"); /* the host decides before the user */
    expect(&f, "Joe", "198.51.100.1", "Joe", "%");
    expect(&f, "ann", "198.51.100.1", "", "%");
    drop_all(&f);
}

static void nobody(void **state)
{
    (void)state;
    struct fixture f = {.acl = {.count = 0}};
    expect(&f, "root", "localhost", NULL, NULL);
    add(&f, "root", "localhost");
    add(&f, "root", "127.0.0.1");
    expect(&f, "root", "localhost", "root", "localhost");
    expect(&f, "root", "127.0.0.1", "root", "127.0.0.1");
    expect(&f, "root", "::1", NULL, NULL);
    expect(&f, "root", "192.0.2.1", NULL, NULL);
    expect(&f, "ROOT", "localhost", NULL, NULL);
    assert_non_null(acl_find(&f.acl, slice_str("root"), slice_str("LOCALHOST")));
    assert_null(acl_find(&f.acl, slice_str("root"), slice_str("%")));
    drop_all(&f);
}

static void databases(void **state)
{
    (void)state;
    assert_true(acl_db_fits(slice_str("shop"), slice_str("shop")));
    assert_false(acl_db_fits(slice_str("shop"), slice_str("Shop")));
    assert_true(acl_db_fits(slice_str("shop_1"), slice_str("shopx1")));
    assert_true(acl_db_fits(slice_str("shop\\_1"), slice_str("shop_1")));
    assert_false(acl_db_fits(slice_str("shop\\_1"), slice_str("shopx1")));
    assert_true(acl_db_fits(slice_str("shop%"), slice_str("shop")));
    assert_true(acl_db_fits(slice_str("%op%"), slice_str("shops")));
    assert_false(acl_db_fits(slice_str("%op"), slice_str("shops")));
    assert_true(acl_db_fits(slice_str("a\\%b"), slice_str("a%b")));
    assert_false(acl_db_fits(slice_str(""), slice_str("a")));
    assert_true(acl_db_fits(slice_str("f_o"), slice_str("f%o"))); /* a name, not a pattern */
    assert_true(acl_specificity(slice_str("shop")) > acl_specificity(slice_str("sho%")));
    assert_true(acl_specificity(slice_str("sho%")) > acl_specificity(slice_str("s%")));
    assert_true(acl_specificity(slice_str("a\\_b")) > acl_specificity(slice_str("a_b")));
}

/* Who has a privilege on a pattern may give it on what is no wider. */
static void patterns(void **state)
{
    static const struct {
        const char *pattern, *other;
        bool covers;
    } rows[] = {
        {"f_o", "f_o", true},    {"f_o", "f\\_o", true},
        {"f_o", "f\\%o", true},  {"f_o", "fxo", true},
        {"f_o", "f%o", false},   {"f_o", "f%", false},
        {"f\\_o", "f_o", false}, {"f\\_o", "f\\_o", true},
        {"f\\_o", "f%o", false}, {"f%", "f%o", true},
        {"f%", "f_", true},      {"f%o", "f%", false},
        {"%", "%", true},        {"%", "_", true},
        {"_", "%", false},       {"a%c", "a%b%c", true},
        {"a%b", "a%b%c", false}, {"a", "", false},
        {"%", "", true},         {"%b\\_", "a\\_b\\_", true},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        assert_int_equal(acl_db_covers(slice_str(rows[i].pattern), slice_str(rows[i].other)),
                         rows[i].covers);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hosts),    cmocka_unit_test(most_specific_first),
        cmocka_unit_test(nobody),   cmocka_unit_test(databases),
        cmocka_unit_test(patterns),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
