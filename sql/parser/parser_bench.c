/* Cost of lexing, digesting and parsing; one line per statement: microseconds each. */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "sql/parser/digest.h"
#include "sql/parser/parser.h"
#include "sql_grammar.h"

static const char *const statements[][2] = {
    {"point select", "SELECT c FROM sbtest1 WHERE id=5"},
    {"range select", "SELECT DISTINCT c FROM sbtest1 WHERE id BETWEEN 4242 AND 4341 ORDER BY c"},
    {"update", "UPDATE sbtest1 SET k=k+1 WHERE id=4242"},
    {"insert",
     "INSERT INTO sbtest1 (id, k, c, pad) VALUES (4242, 77, '68487932199-96439406143-93774651418-"
     "41631865787-96406072701-20604855487-25459966574-28203206787-41238978918-19503783441', "
     "'22195207048-70116052123-74140395089-76317954521-98694025897')"},
    {"TPC-H Q5",
     "select n_name, sum(l_extendedprice * (1 - l_discount)) as revenue from customer, orders, "
     "lineitem, supplier, nation, region where c_custkey = o_custkey and l_orderkey = o_orderkey "
     "and l_suppkey = s_suppkey and c_nationkey = s_nationkey and s_nationkey = n_nationkey and "
     "n_regionkey = r_regionkey and r_name = 'ASIA' and o_orderdate >= date '1994-01-01' and "
     "o_orderdate < date '1994-01-01' + interval '1' year group by n_name order by revenue desc"},
};

static double now_us(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (double)ts.tv_sec * 1e6 + (double)ts.tv_nsec / 1e3;
}

static unsigned lex_all(struct slice text)
{
    struct lexer lx;
    struct lex_token t;
    unsigned n = 0;
    lexer_init(&lx, text, 0);
    for (lexer_next(&lx, &t); t.kind != 0; lexer_next(&lx, &t)) {
        n++;
    }
    return n;
}

int main(void)
{
    enum { ROUNDS = 100000 };
    struct arena arena;
    arena_init(&arena, NULL, NULL, 0);
    struct parse_options opts = {.mode = 0, .flags = 0};
    struct parse_options lift = {.mode = 0, .flags = PARSE_LIFT_LITERALS};
    printf("%-14s %8s %8s %8s %8s %8s\n", "us each", "tokens", "lex", "digest", "parse", "lifting");
    for (size_t i = 0; i < sizeof(statements) / sizeof(statements[0]); i++) {
        struct slice text = slice_str(statements[i][1]);
        struct ast_stmt *stmt;
        struct digest d;
        size_t consumed;
        unsigned tokens = 0;
        double t0 = now_us();
        for (int r = 0; r < ROUNDS; r++) {
            tokens = lex_all(text);
        }
        double t1 = now_us();
        for (int r = 0; r < ROUNDS; r++) {
            arena_reset(&arena);
            if (digest_compute(&arena, text, &opts, &d) != ERR_OK) {
                return 1;
            }
        }
        double t2 = now_us();
        for (int r = 0; r < ROUNDS; r++) {
            arena_reset(&arena);
            if (parser_parse(&arena, text, &opts, NULL, &stmt, &consumed) != ERR_OK) {
                return 1;
            }
        }
        double t3 = now_us();
        for (int r = 0; r < ROUNDS; r++) {
            arena_reset(&arena);
            if (parser_parse(&arena, text, &lift, NULL, &stmt, &consumed) != ERR_OK) {
                return 1;
            }
        }
        double t4 = now_us();
        printf("%-14s %8u %8.3f %8.3f %8.3f %8.3f\n", statements[i][0], tokens, (t1 - t0) / ROUNDS,
               (t2 - t1) / ROUNDS, (t3 - t2) / ROUNDS, (t4 - t3) / ROUNDS);
    }
    arena_fini(&arena);
    return 0;
}
