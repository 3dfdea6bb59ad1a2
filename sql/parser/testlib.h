/* For the parser's tests: an arena, one-line parsing, files of statements. Not part of the library.
 */
#ifndef SKEIN_SQL_PARSER_TESTLIB_H
#define SKEIN_SQL_PARSER_TESTLIB_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "sql/parser/parser.h"

static struct arena test_arena;
static struct diag test_diag;

static inline db_err test_parse(struct slice text, uint32_t mode, uint32_t flags,
                                struct ast_stmt **ret)
{
    struct parse_options opts = {.mode = mode, .flags = flags};
    size_t consumed;
    diag_reset(&test_diag);
    return parser_parse(&test_arena, text, &opts, &test_diag, ret, &consumed);
}

/* The statement, or a failed test with the parser's message. */
static inline void *test_stmt(const char *text, uint32_t flags)
{
    struct ast_stmt *stmt = NULL;
    if (test_parse(slice_str(text), 0, flags, &stmt) != ERR_OK) {
        fail_msg("%s: %s", text, test_diag.text);
    }
    return stmt;
}

/* Calls fn for each line of testdata/name, without its end; \n \t \r \\ in it are replaced. Returns
 * the lines. */
static inline unsigned test_lines(const char *this_file, const char *name,
                                  void (*fn)(struct slice line))
{
    char path[1024];
    const char *slash = strrchr(this_file, '/');
    snprintf(path, sizeof(path), "%.*s/testdata/%s", (int)(slash - this_file), this_file, name);
    FILE *f = fopen(path, "r");
    assert_non_null(f);
    static char line[1 << 16];
    unsigned count = 0;
    while (fgets(line, sizeof(line), f) != NULL) {
        size_t n = 0;
        bool escapes = strcmp(name, "corpus.txt") == 0;
        for (const char *p = line; *p != '\0' && *p != '\n'; p++) {
            char c = *p;
            if (c == '\\' && escapes && p[1] != '\0') {
                p++;
                c = *p == 'n' ? '\n' : *p == 't' ? '\t' : *p == 'r' ? '\r' : *p;
            }
            line[n++] = c;
        }
        count++;
        fn(slice_of(line, n));
    }
    fclose(f);
    return count;
}

static inline int test_setup(void **state)
{
    (void)state;
    arena_init(&test_arena, NULL, NULL, 64 << 20);
    return 0;
}

static inline int test_teardown(void **state)
{
    (void)state;
    arena_fini(&test_arena);
    return 0;
}

#endif
