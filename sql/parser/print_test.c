/* What the printer makes of a statement parses again, and prints the same: over the statements of
 * the golden files and of the cluster's corpus. SKEIN_SUITES names more: files, or directories of
 * files, with statements that end with ';' at the end of a line. */
#include "sql/parser/ast_print.h"

#include <ftw.h>

#include "sql/parser/testlib.h"

enum { STATEMENT_MAX = 1 << 16, OPEN_DIRECTORIES = 8 };

static unsigned g_printed, g_bad;

/* False: no statement that the printer prints. */
static bool printed(struct slice text, struct buf *out)
{
    struct ast_stmt *stmt;
    return test_parse(text, 0, PARSE_PREPARE, &stmt) == ERR_OK &&
           ast_print_stmt(out, stmt) == ERR_OK;
}

static void check(struct slice text)
{
    struct buf first, second;
    buf_init(&first, 1 << 22);
    buf_init(&second, 1 << 22);
    if (printed(text, &first)) {
        g_printed++;
        if (!printed(buf_slice(&first), &second) ||
            !slice_eq(buf_slice(&first), buf_slice(&second))) {
            g_bad++;
            print_error("%.*s\n gives  %.*s\n then   %.*s (%s)\n", SLICE_FMT(text),
                        SLICE_FMT(buf_slice(&first)), SLICE_FMT(buf_slice(&second)),
                        test_diag.text);
        }
    }
    buf_fini(&first);
    buf_fini(&second);
    arena_reset(&test_arena);
}

/* Comments and directives of the files are lines of their own. */
static bool is_statement_text(const char *line)
{
    return line[0] != '#' && strncmp(line, "--", 2) != 0;
}

static int file(const char *path, const struct stat *st, int kind, struct FTW *at)
{
    (void)st;
    (void)at;
    FILE *f = kind == FTW_F ? fopen(path, "r") : NULL;
    if (f == NULL) {
        return 0;
    }
    static char text[STATEMENT_MAX];
    static char line[STATEMENT_MAX];
    size_t used = 0;
    while (fgets(line, sizeof(line), f) != NULL) {
        size_t n = strlen(line);
        if (used + n >= sizeof(text) || !is_statement_text(line)) {
            used = 0;
            continue;
        }
        memcpy(text + used, line, n);
        used += n;
        while (n > 0 && (line[n - 1] == '\n' || line[n - 1] == '\r' || line[n - 1] == ' ')) {
            n--;
        }
        if (n > 0 && line[n - 1] == ';') {
            check(slice_of(text, used));
            used = 0;
        }
    }
    fclose(f);
    return 0;
}

static void of_repository(const char *name)
{
    char path[1024];
    const char *slash = strrchr(__FILE__, '/');
    snprintf(path, sizeof(path), "%.*s/../../%s", (int)(slash - __FILE__), __FILE__, name);
    assert_int_equal(nftw(path, file, OPEN_DIRECTORIES, FTW_PHYS), 0);
}

static void round_trips(void **state)
{
    (void)state;
    of_repository("tests/sql/t");
    of_repository("tests/cluster_rpc/corpus.sql");
    assert_true(g_printed > 5000);
    assert_int_equal(g_bad, 0);
    const char *more = getenv("SKEIN_SUITES");
    if (more != NULL) {
        assert_int_equal(nftw(more, file, OPEN_DIRECTORIES, FTW_PHYS), 0);
        print_message("%u statements\n", g_printed);
        assert_int_equal(g_bad, 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(round_trips)};
    return cmocka_run_group_tests(tests, test_setup, test_teardown);
}
