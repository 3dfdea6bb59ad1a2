/* Editing an account, its record, and what its grants allow. */
#include "sql/priv/acl.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "sql/priv/acl_int.h"
#include "sql/priv/check.h"

enum { RECORD_BYTES = 1024 * 1024 };

#define OBJECT(s, n)                                                                               \
    &(struct acl_object)                                                                           \
    {                                                                                              \
        slice_str(s), slice_str(n), slice_str("root@localhost")                                    \
    }

static struct acl_user *full(void)
{
    struct account a;
    account_init(&a, slice_str("joe"), slice_str("%"));
    a.locked = true;
    a.tls = ACCOUNT_TLS_SPECIFIED;
    a.tls_issuer = slice_str("/CN=ca");
    a.password_lifetime_days = 30;
    a.max_questions = 7;
    a.failed_logins = 3;
    a.lock_days = ACCOUNT_LOCK_FOREVER;
    a.lock_epoch = 77;
    memcpy(a.old_auth, "*OLD", 4);
    a.old_auth_len = 4;
    a.attributes = slice_str("{\"a\": 1}");
    struct acl_user *u = user__new(&a);
    assert_non_null(u);
    struct acl_name role = {slice_str("r"), slice_str("%")};
    struct acl_name other = {slice_str("s"), slice_str("%")};
    u->global = PRIV_SELECT | PRIV_GRANT;
    u->dynamic = DYN_BIT(BACKUP_ADMIN) | DYN_BIT(ROLE_ADMIN);
    u->dynamic_grant = DYN_BIT(ROLE_ADMIN);
    assert_int_equal(acl_user_set_db(u, slice_str("d%"), PRIV_INSERT), ERR_OK);
    assert_int_equal(acl_user_set_db(u, slice_str("d"), PRIV_UPDATE), ERR_OK);
    assert_int_equal(acl_user_set_restriction(u, slice_str("secret"), PRIV_SELECT), ERR_OK);
    assert_int_equal(acl_user_set_table(u, OBJECT("d", "t"), PRIV_DELETE), ERR_OK);
    assert_int_equal(acl_user_set_column(u, OBJECT("d", "t"), slice_str("a"), PRIV_SELECT), ERR_OK);
    assert_int_equal(acl_user_set_column(u, OBJECT("e", "t"), slice_str("B"), PRIV_INSERT), ERR_OK);
    assert_int_equal(acl_user_set_routine(u, ACL_PROCEDURE, OBJECT("d", "p"), PRIV_EXECUTE),
                     ERR_OK);
    assert_int_equal(acl_user_add_role(u, &role, true), ERR_OK);
    assert_int_equal(acl_user_add_role(u, &other, false), ERR_OK);
    assert_int_equal(acl_user_set_default_roles(u, &role, 1), ERR_OK);
    assert_int_equal(acl_user_set_proxy(u, &other, true, slice_str("root@localhost")), ERR_OK);
    assert_int_equal(acl_user_add_past(u, slice_str("*ONE"), 10), ERR_OK);
    assert_int_equal(acl_user_add_past(u, slice_str("*TWO"), 20), ERR_OK);
    return u;
}

static void check_full(const struct acl_user *u)
{
    assert_string_equal(u->account.user, "joe");
    assert_string_equal(u->account.host, "%");
    assert_true(u->account.locked);
    assert_int_equal(u->account.tls, ACCOUNT_TLS_SPECIFIED);
    assert_true(slice_eq(u->account.tls_issuer, slice_str("/CN=ca")));
    assert_int_equal(u->account.password_lifetime_days, 30);
    assert_int_equal(u->account.reuse_history, ACCOUNT_UNSET);
    assert_int_equal(u->account.max_questions, 7);
    assert_true(slice_eq(u->account.attributes, slice_str("{\"a\": 1}")));
    assert_int_equal(u->global, PRIV_SELECT | PRIV_GRANT);
    assert_true(u->dynamic == (DYN_BIT(BACKUP_ADMIN) | DYN_BIT(ROLE_ADMIN)));
    assert_true(u->dynamic_grant == DYN_BIT(ROLE_ADMIN));
    assert_int_equal(u->db_count, 2);
    assert_true(slice_eq(u->dbs[0].name, slice_str("d")));
    assert_int_equal(u->restriction_count, 1);
    const struct acl_table *t = acl_table_of(u, slice_str("d"), slice_str("t"));
    assert_non_null(t);
    assert_int_equal(t->privs, PRIV_DELETE);
    assert_int_equal(acl_table_columns(t), PRIV_SELECT);
    assert_true(slice_eq(t->grantor, slice_str("root@localhost")));
    assert_int_equal(u->table_count, 2);
    assert_int_equal(u->routine_count, 1);
    assert_int_equal(u->role_count, 2);
    assert_true(u->roles[0].admin && !u->roles[1].admin);
    assert_int_equal(u->default_role_count, 1);
    assert_int_equal(u->proxy_count, 1);
    assert_true(u->proxies[0].with_grant);
    assert_int_equal(u->account.failed_logins, 3);
    assert_int_equal(u->account.lock_days, ACCOUNT_LOCK_FOREVER);
    assert_true(u->account.lock_epoch == 77 && u->account.old_auth_len == 4);
    assert_string_equal(u->account.old_auth, "*OLD");
    assert_int_equal(u->past_count, 2);
    assert_true(u->past[0].time_us == 20 && slice_eq(u->past[1].hash, slice_str("*ONE")));
}

static void record_and_back(void **state)
{
    (void)state;
    struct buf value;
    struct acl_user *u = full();
    struct acl_user *back = NULL;
    buf_init(&value, RECORD_BYTES);
    assert_int_equal(record__encode(u, &value), ERR_OK);
    assert_int_equal(record__decode(buf_slice(&value), &back), ERR_OK);
    check_full(back);
    struct acl_user *copy = user__copy(back);
    check_full(copy);
    user__unref(copy);
    user__unref(back);
    /* Cut short anywhere, it is refused or it is another account: never a crash. */
    for (size_t n = 0; n < value.len; n++) {
        back = NULL;
        if (record__decode(slice_of(value.ptr, n), &back) == ERR_OK) {
            user__unref(back);
        }
    }
    value.ptr[0] = 3;
    assert_int_equal(record__decode(buf_slice(&value), &back), ERR_CORRUPT);
    buf_fini(&value);
    user__unref(u);
}

/* A long history takes memory for its entries, however it came together. */
static void long_history(void **state)
{
    (void)state;
    enum { ENTRIES = 3000, ENTRY_BYTES = 200 };
    struct buf value;
    struct acl_user *u = full();
    struct acl_user *back = NULL;
    for (uint32_t i = 0; i < ENTRIES; i++) {
        assert_int_equal(acl_user_add_past(u, slice_str("*HASH"), 100 + i), ERR_OK);
    }
    buf_init(&value, RECORD_BYTES);
    assert_int_equal(record__encode(u, &value), ERR_OK);
    assert_int_equal(record__decode(buf_slice(&value), &back), ERR_OK);
    assert_int_equal(back->past_count, ENTRIES + 2);
    for (uint32_t i = 0; i < ENTRIES; i++) {
        assert_true(back->past[i].time_us == 100 + ENTRIES - 1 - i);
    }
    assert_true(back->arena.used < ENTRIES * ENTRY_BYTES);
    struct acl_user *copy = user__copy(back);
    assert_int_equal(acl_user_add_past(copy, slice_str("*NEW"), 1), ERR_OK);
    assert_true(copy->past_count == ENTRIES + 3 && copy->past[ENTRIES + 2].time_us == 1);
    acl_user_trim_past(copy, 2, UINT64_MAX);
    assert_int_equal(copy->past_count, 2);
    assert_int_equal(acl_user_add_past(copy, slice_str("*NEW"), 1000000), ERR_OK);
    assert_true(copy->past[0].time_us == 1000000);
    user__unref(copy);
    user__unref(back);
    user__unref(u);
    buf_fini(&value);
}

static void unknown_items_are_refused(void **state)
{
    (void)state;
    struct buf value;
    struct acl_user *u = full();
    struct acl_user *back = NULL;
    buf_init(&value, RECORD_BYTES);
    assert_int_equal(record__encode(u, &value), ERR_OK);
    assert_int_equal(buf_append(&value, "Z\0\0\0\0", 5), ERR_OK);
    assert_int_equal(record__decode(buf_slice(&value), &back), ERR_CORRUPT);
    buf_fini(&value);
    user__unref(u);
}

/* An account of before there were privileges keeps what it could do. */
static void plain_record(void **state)
{
    (void)state;
    static const uint8_t record[] = "\x01\x02\x00\x03joe\x00\x01%\x00\x15"
                                    "caching_sha2_password\x00\x00";
    struct acl_user *u = NULL;
    assert_int_equal(record__decode(slice_of(record, sizeof(record) - 1), &u), ERR_OK);
    assert_string_equal(u->account.user, "joe");
    assert_int_equal(u->account.tls, ACCOUNT_TLS_ANY);
    assert_int_equal(u->global, priv_all(PRIV_LEVEL_GLOBAL, true));
    assert_true(u->dynamic == DYN_ALL && u->dynamic_grant == DYN_ALL);
    user__unref(u);
}

static void forgetting_and_renaming(void **state)
{
    (void)state;
    struct acl_user *u = full();
    struct acl_name r = {slice_str("r"), slice_str("%")};
    struct acl_name s = {slice_str("s"), slice_str("%")};
    struct acl_name z = {slice_str("z"), slice_str("h")};
    assert_true(user__mentions(u, &r) && user__mentions(u, &s) && !user__mentions(u, &z));
    assert_int_equal(user__rename_mentions(u, &s, &z), ERR_OK);
    assert_true(user__mentions(u, &z) && !user__mentions(u, &s));
    user__forget(u, &r);
    assert_false(user__mentions(u, &r));
    assert_int_equal(u->default_role_count, 0);
    assert_int_equal(acl_user_set_column(u, OBJECT("e", "t"), slice_str("b"), 0), ERR_OK);
    assert_null(acl_table_of(u, slice_str("e"), slice_str("t")));
    acl_user_clear(u);
    assert_int_equal(u->table_count + u->db_count + u->global + u->routine_count, 0);
    assert_int_equal(u->role_count, 1);
    user__unref(u);
}

static void what_is_allowed(void **state)
{
    (void)state;
    struct acl_user *u = full();
    const struct acl_user *slot = u;
    struct priv_subject s = priv_subject_of(&slot);
    priv_t columns;
    assert_false(priv_everywhere(&s, PRIV_SELECT)); /* revoked for one database */
    assert_int_equal(priv_on_schema(&s, slice_str("x")), PRIV_SELECT | PRIV_GRANT);
    assert_int_equal(priv_on_schema(&s, slice_str("secret")), PRIV_GRANT);
    assert_int_equal(priv_on_schema(&s, slice_str("d")), PRIV_SELECT | PRIV_GRANT | PRIV_UPDATE);
    assert_int_equal(priv_on_schema(&s, slice_str("dx")), PRIV_SELECT | PRIV_GRANT | PRIV_INSERT);
    assert_int_equal(priv_on_table(&s, slice_str("d"), slice_str("t"), &columns),
                     PRIV_SELECT | PRIV_GRANT | PRIV_UPDATE | PRIV_DELETE);
    assert_int_equal(columns, PRIV_SELECT);
    assert_int_equal(priv_on_column(&s, slice_str("e"), slice_str("t"), slice_str("b")),
                     PRIV_INSERT);
    assert_true(priv_sees_table(&s, slice_str("e"), slice_str("t")));
    u->global = 0;
    s = priv_subject_of(&slot);
    assert_false(priv_sees_table(&s, slice_str("e"), slice_str("u")));
    assert_true(priv_sees_schema(&s, slice_str("e")));
    assert_false(priv_sees_schema(&s, slice_str("f")));
    user__unref(u);
}

static void names(void **state)
{
    (void)state;
    struct arena a;
    bool usage;
    arena_init(&a, NULL, NULL, 0);
    assert_string_equal(priv_text(&a, PRIV_SELECT | PRIV_GRANT | PRIV_ALTER),
                        "SELECT, GRANT, ALTER");
    assert_int_equal(priv_by_words(slice_str("create temporary tables"), &usage), PRIV_CREATE_TMP);
    assert_int_equal(priv_by_words(slice_str("usage"), &usage), 0);
    assert_true(usage);
    assert_int_equal(dyn_by_name(slice_str("role_admin")), DYN_ROLE_ADMIN);
    assert_int_equal(dyn_by_name(slice_str("nothing")), -1);
    assert_int_equal(priv_all(PRIV_LEVEL_COLUMN, true),
                     PRIV_SELECT | PRIV_INSERT | PRIV_UPDATE | PRIV_REFERENCES);
    arena_fini(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(record_and_back), cmocka_unit_test(unknown_items_are_refused),
        cmocka_unit_test(plain_record),    cmocka_unit_test(forgetting_and_renaming),
        cmocka_unit_test(what_is_allowed), cmocka_unit_test(names),
        cmocka_unit_test(long_history),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
