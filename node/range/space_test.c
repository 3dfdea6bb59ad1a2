#include "node/range/space.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/test_main.h"

/* What is refused, kept back and given up fits together on disks of every size. */
static void plans(void **state)
{
    (void)state;
    for (uint64_t size = 256ull << 20; size < 1ull << 50; size += size / 3) {
        struct space_plan p;
        space_plan_make(size, 0, &p);
        assert_true(p.memtable >= 8 << 20 && p.memtable <= 128 << 20);
        /* writes stop before segments can no longer be made, these before a flush does not fit */
        assert_true(p.refuse_at >= p.keep_free + (64 << 20));
        assert_true(p.keep_free > p.memtable);
        /* with the ballast gone a flush fits, whatever was left */
        assert_true(p.ballast > p.memtable && p.release_at <= p.memtable);
        assert_true(p.refuse_at + p.ballast < size);
    }
}

static void prepare_keeps_the_ballast(void **state)
{
    char dir[] = "./space_test_XXXXXX";
    char path[64];
    struct space_plan p = {0};
    struct diag diag;
    (void)state;
    diag_reset(&diag);
    assert_non_null(mkdtemp(dir));
    snprintf(path, sizeof(path), "%s/ballast", dir);
    int fd = open(path, O_CREAT | O_WRONLY, 0600);
    assert_true(fd >= 0);
    close(fd);
    assert_int_equal(space_prepare(dir, 0, &diag, &p), ERR_OK);
    assert_true(p.refuse_at != 0);
    assert_int_equal(access(path, F_OK), 0);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(rmdir(dir), 0);
    assert_int_not_equal(space_prepare(dir, 0, &diag, &p), ERR_OK);
}

/* Writes that are refused are taken again only above 5/4 of where that began. */
static void refuses_with_a_margin(void **state)
{
    (void)state;
    const struct space_plan p = {.refuse_at = 400};
    const struct {
        uint64_t space;
        bool was;
        bool is;
    } cases[] = {{400, false, false}, {399, false, true}, {0, false, true},   {0, true, true},
                 {400, true, true},   {500, true, true},  {501, true, false}, {501, false, false}};
    for (unsigned i = 0; i < ARRAY_COUNT(cases); i++) {
        assert_true(space_to_refuse(&p, cases[i].space, cases[i].was) == cases[i].is);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plans),
        cmocka_unit_test(prepare_keeps_the_ballast),
        cmocka_unit_test(refuses_with_a_margin),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
