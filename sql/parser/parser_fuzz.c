/* libFuzzer target: built with clang and -DSKEIN_FUZZ=ON (fuzzer and sanitizers).
 *
 * The first byte gives sql_mode's bits and the parser's options. What parses must also have a
 * digest (unless each parse of it has to warn), print, and parse again to what prints the same. */
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/buf.h"
#include "sql/parser/ast_print.h"
#include "sql/parser/digest.h"
#include "sql/parser/parser.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool ok, const char *what)
{
    if (!ok) {
        fprintf(stderr, "not so: %s\n", what);
        abort();
    }
}
#define MUST(x) must((x), #x)

static void check_print(struct arena *arena, const struct ast_stmt *stmt)
{
    struct buf first, second;
    buf_init(&first, 1 << 22);
    buf_init(&second, 1 << 22);
    struct parse_options opts = {.mode = 0, .flags = PARSE_PREPARE};
    struct diag diag;
    struct ast_stmt *again;
    size_t consumed;
    if (ast_print_stmt(&first, stmt) == ERR_OK &&
        parser_parse(arena, buf_slice(&first), &opts, &diag, &again, &consumed) == ERR_OK) {
        MUST(ast_print_stmt(&second, again) == ERR_OK);
    }
    buf_fini(&first);
    buf_fini(&second);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1) {
        return 0;
    }
    struct parse_options opts = {.mode = data[0] & 31u, .flags = (data[0] >> 5) | PARSE_PREPARE};
    struct slice text = slice_of(data + 1, size - 1);
    struct arena arena;
    arena_init(&arena, NULL, NULL, 32 << 20);
    struct diag diag;
    struct ast_stmt *stmt;
    size_t consumed;
    diag_reset(&diag);
    db_err err = parser_parse(&arena, text, &opts, &diag, &stmt, &consumed);
    if (err == ERR_OK) {
        struct digest digest;
        MUST(consumed <= text.len);
        db_err told = digest_compute(&arena, text, &opts, &digest);
        MUST(told == ERR_OK || (told == ERR_INVALID && stmt->warned));
        check_print(&arena, stmt);
    } else if (err == ERR_SQL) {
        MUST(diag.number != 0);
    }
    arena_fini(&arena);
    return 0;
}
