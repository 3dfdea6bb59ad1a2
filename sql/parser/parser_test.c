#include "sql/parser/parser.h"

#include "sql/parser/ast_admin.h"
#include "sql/parser/ast_print.h"
#include "sql/parser/testlib.h"

/* ---- the corpus: accepted or 1064, as a live MySQL says ---- */

static unsigned corpus_bad;

static void corpus_line(struct slice line)
{
    const uint8_t *tab = memchr(line.ptr, '\t', line.len);
    assert_non_null(tab);
    int want = 0;
    for (const uint8_t *p = line.ptr; p < tab; p++) {
        want = want * 10 + (*p - '0');
    }
    struct slice text = slice_from(line, (size_t)(tab + 1 - line.ptr));
    struct ast_stmt *stmt;
    db_err err = test_parse(text, 0, PARSE_NO_FULL_JOIN, &stmt);
    int got = err == ERR_OK ? 0 : test_diag.number;
    if (got != want) {
        print_error("%d instead of %d: %.*s (%s)\n", got, want, SLICE_FMT(text), test_diag.text);
        corpus_bad++;
    }
    arena_reset(&test_arena);
}

static void corpus(void **state)
{
    (void)state;
    assert_true(test_lines(__FILE__, "corpus.txt", corpus_line) > 2500);
    assert_int_equal(corpus_bad, 0);
}

/* ---- round trips: what is printed parses to what prints the same ---- */

static struct slice printed_expr(struct slice text, struct buf *buf)
{
    struct parse_options opts = {.mode = 0, .flags = PARSE_PREPARE};
    struct ast_expr *e;
    diag_reset(&test_diag);
    if (parser_parse_expr(&test_arena, text, &opts, &test_diag, &e) != ERR_OK) {
        fail_msg("%.*s: %s", SLICE_FMT(text), test_diag.text);
    }
    assert_int_equal(ast_print_expr(buf, e), ERR_OK);
    return buf_slice(buf);
}

static struct slice printed_stmt(struct slice text, struct buf *buf)
{
    struct ast_stmt *stmt;
    if (test_parse(text, 0, PARSE_PREPARE, &stmt) != ERR_OK) {
        fail_msg("%.*s: %s", SLICE_FMT(text), test_diag.text);
    }
    assert_int_equal(ast_print_stmt(buf, stmt), ERR_OK);
    return buf_slice(buf);
}

static void round_trip(struct slice line, struct slice (*print)(struct slice, struct buf *))
{
    struct buf first, second;
    buf_init(&first, 1 << 20);
    buf_init(&second, 1 << 20);
    struct slice a = print(line, &first);
    struct slice b = print(a, &second);
    if (!slice_eq(a, b)) {
        fail_msg("%.*s\n gives  %.*s\n then   %.*s", SLICE_FMT(line), SLICE_FMT(a), SLICE_FMT(b));
    }
    buf_fini(&first);
    buf_fini(&second);
    arena_reset(&test_arena);
}

static void expression_line(struct slice line)
{
    round_trip(line, printed_expr);
}

static void query_line(struct slice line)
{
    round_trip(line, printed_stmt);
}

static void corpus_query_line(struct slice line)
{
    struct slice text = slice_from(line, 2);
    struct ast_stmt *stmt;
    if (line.ptr[0] != '0' || test_parse(text, 0, 0, &stmt) != ERR_OK) {
        return;
    }
    if (stmt->kind == AST_STMT_SELECT || stmt->kind == AST_STMT_INSERT ||
        stmt->kind == AST_STMT_UPDATE || stmt->kind == AST_STMT_DELETE) {
        round_trip(text, printed_stmt);
    }
}

static void round_trips(void **state)
{
    (void)state;
    assert_true(test_lines(__FILE__, "expressions.txt", expression_line) > 60);
    assert_true(test_lines(__FILE__, "queries.txt", query_line) > 50);
    test_lines(__FILE__, "corpus.txt", corpus_query_line);
}

/* ---- precedence: the printer shows the tree ---- */

static void precedence(void **state)
{
    (void)state;
    static const char *const pairs[][2] = {
        {"a OR b AND c", "(`a` OR (`b` AND `c`))"},
        {"a XOR b OR c AND d", "((`a` XOR `b`) OR (`c` AND `d`))"},
        {"NOT a = b", "(NOT (`a` = `b`))"},
        {"!a = b", "((NOT `a`) = `b`)"},
        {"NOT a AND b", "((NOT `a`) AND `b`)"},
        {"a = b IS NULL", "((`a` = `b`) IS NULL)"},
        {"a = b = c", "((`a` = `b`) = `c`)"},
        {"a BETWEEN 1 AND 2 AND b", "((`a` BETWEEN 1 AND 2) AND `b`)"},
        {"a + b * c - d", "((`a` + (`b` * `c`)) - `d`)"},
        {"a | b & c << d + e", "(`a` | (`b` & (`c` << (`d` + `e`))))"},
        {"-a ^ b * c", "(((-`a`) ^ `b`) * `c`)"},
        {"a || b", "(`a` OR `b`)"},
        {"a LIKE b = c", "((`a` LIKE `b`) = `c`)"},
        {"a IN (1) + 2", NULL},
        {"BINARY a + b", "((BINARY `a`) + `b`)"},
        {"a COLLATE c = b", "((`a` COLLATE `c`) = `b`)"},
        {"-a COLLATE c", "(-(`a` COLLATE `c`))"},
        {"@a := b OR c", "(@`a` := (`b` OR `c`))"},
        {"a - INTERVAL 1 DAY + b", "((`a` - INTERVAL 1 DAY) + `b`)"},
        {"a DIV b MOD c / d % e", "((((`a` DIV `b`) % `c`) / `d`) % `e`)"},
        {"CASE WHEN a OR b THEN c END + 1", "(CASE WHEN (`a` OR `b`) THEN `c` END + 1)"},
    };
    for (size_t i = 0; i < ARRAY_COUNT(pairs); i++) {
        struct parse_options opts = {.mode = 0, .flags = 0};
        struct ast_expr *e;
        db_err err = parser_parse_expr(&test_arena, slice_str(pairs[i][0]), &opts, &test_diag, &e);
        if (pairs[i][1] == NULL) {
            assert_int_equal(err, ERR_SQL);
            continue;
        }
        assert_int_equal(err, ERR_OK);
        struct buf buf;
        buf_init(&buf, 4096);
        assert_int_equal(ast_print_expr(&buf, e), ERR_OK);
        if (!slice_eq(buf_slice(&buf), slice_str(pairs[i][1]))) {
            fail_msg("%s: %.*s", pairs[i][0], SLICE_FMT(buf_slice(&buf)));
        }
        buf_fini(&buf);
    }
}

static void modes(void **state)
{
    (void)state;
    struct parse_options opts = {
        .mode = PARSE_MODE_PIPES_AS_CONCAT | PARSE_MODE_HIGH_NOT_PRECEDENCE, .flags = 0};
    struct ast_expr *e;
    assert_int_equal(parser_parse_expr(&test_arena, SLICE_LIT("NOT a || b = c"), &opts, NULL, &e),
                     ERR_OK);
    struct buf buf;
    buf_init(&buf, 4096);
    assert_int_equal(ast_print_expr(&buf, e), ERR_OK);
    assert_true(slice_eq(buf_slice(&buf), SLICE_LIT("(((NOT `a`) || `b`) = `c`)")));
    buf_fini(&buf);
}

/* ---- what the binder relies on ---- */

static void select_items(void **state)
{
    (void)state;
    const char *text = "SELECT  a+1 , COUNT( * )x, 'a' 'b', t.*,b /* c */ FROM t";
    const struct ast_select_stmt *s = test_stmt(text, 0);
    const struct ast_select *q = (const struct ast_select *)s->query->body;
    assert_int_equal(q->items.count, 5);
    assert_true(slice_eq(q->items.items[0]->text, SLICE_LIT("a+1")));
    assert_int_equal(q->items.items[0]->pos.offset, 8);
    assert_true(slice_eq(q->items.items[1]->text, SLICE_LIT("COUNT( * )")));
    assert_true(slice_eq(q->items.items[1]->alias, SLICE_LIT("x")));
    const struct ast_literal *l = (const struct ast_literal *)q->items.items[2]->expr;
    assert_true(slice_eq(l->text, SLICE_LIT("ab")));
    assert_int_equal(l->first_part_len, 1);
    assert_int_equal(q->items.items[3]->expr->kind, AST_EXPR_STAR);
    assert_true(slice_eq(q->items.items[4]->text, SLICE_LIT("b")));
    assert_null(q->items.items[4]->alias.ptr);
}

static void joins(void **state)
{
    (void)state;
    const struct ast_select_stmt *s =
        test_stmt("SELECT * FROM a JOIN b LEFT JOIN c ON a.x = c.x", 0);
    const struct ast_select *q = (const struct ast_select *)s->query->body;
    const struct ast_table_join *top = (const struct ast_table_join *)q->from;
    assert_int_equal(top->kind, AST_JOIN_LEFT);
    assert_int_equal(top->left->kind, AST_TABLE_JOIN);
    assert_int_equal(top->right->kind, AST_TABLE_BASE);
    assert_int_equal(top->table.pos.offset, 14);
    s = test_stmt("SELECT * FROM a JOIN (b LEFT JOIN c ON 1)", 0);
    top = (const struct ast_table_join *)((const struct ast_select *)s->query->body)->from;
    assert_int_equal(top->kind, AST_JOIN_INNER);
    assert_int_equal(top->right->kind, AST_TABLE_JOIN);
}

static void create_table(void **state)
{
    (void)state;
    const struct ast_create_table *t =
        test_stmt("CREATE TABLE IF NOT EXISTS s.t (id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT, "
                  "c CHAR(120) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin DEFAULT '' COMMENT 'x', "
                  "d DECIMAL(10,2) DEFAULT -1.5, g INT GENERATED ALWAYS AS (id + 1) STORED, "
                  "ts TIMESTAMP(6) DEFAULT CURRENT_TIMESTAMP(6) ON UPDATE NOW(6), "
                  "e INT DEFAULT (1 + 2) CHECK (e > 0), "
                  "PRIMARY KEY (id), UNIQUE KEY u (c(10) DESC), KEY f ((d + 1)) INVISIBLE, "
                  "CONSTRAINT fk FOREIGN KEY (e) REFERENCES o (x) ON DELETE CASCADE, "
                  "CONSTRAINT ck CHECK (e < 9) NOT ENFORCED) ENGINE=InnoDB, AUTO_INCREMENT 7 "
                  "PARTITION BY RANGE (id) (PARTITION p0 VALUES LESS THAN (10), "
                  "PARTITION p1 VALUES LESS THAN MAXVALUE)",
                  0);
    assert_true(t->if_not_exists);
    assert_int_equal(t->columns.count, 6);
    assert_int_equal(t->indexes.count, 4);
    assert_int_equal(t->checks.count, 1);
    assert_int_equal(t->options.count, 2);
    assert_int_equal(t->partition->defs.count, 2);
    struct ast_column_def **c = t->columns.items;
    assert_true(c[0]->auto_increment && c[0]->nullability == AST_NULL_NO);
    assert_int_equal(c[0]->type->flags & AST_TYPE_F_UNSIGNED, AST_TYPE_F_UNSIGNED);
    assert_true(slice_eq(c[1]->collation, SLICE_LIT("utf8mb4_bin")));
    assert_int_equal(c[1]->type->length, 120);
    assert_int_equal(c[2]->default_kind, AST_DEFAULT_LITERAL);
    assert_true(c[3]->stored);
    assert_true(slice_eq(c[3]->generated_text, SLICE_LIT("id + 1")));
    assert_non_null(c[4]->on_update);
    assert_int_equal(c[5]->default_kind, AST_DEFAULT_EXPR);
    assert_int_equal(c[5]->checks.count, 1);
    assert_int_equal(t->indexes.items[0]->kind, AST_INDEX_PRIMARY);
    assert_int_equal(t->indexes.items[1]->parts.items[0]->prefix, 10);
    assert_int_equal(t->indexes.items[2]->visible, AST_NO);
    assert_int_equal(t->indexes.items[3]->references->on_delete, AST_REF_CASCADE);
    assert_int_equal(t->checks.items[0]->enforced, AST_NO);
}

static void alter_table(void **state)
{
    (void)state;
    const struct ast_alter_table *t =
        test_stmt("ALTER TABLE t ADD COLUMN a INT FIRST, ALGORITHM=INPLACE, DROP b, LOCK=NONE, "
                  "ADD (c INT, KEY (c)), ENGINE=InnoDB COMMENT='x', MODIFY d INT AFTER a",
                  0);
    assert_int_equal(t->actions.count, 5);
    assert_int_equal(t->actions.items[0]->place, AST_PLACE_FIRST);
    assert_int_equal(t->actions.items[1]->kind, AST_ALTER_DROP_COLUMN);
    assert_int_equal(t->actions.items[2]->indexes.count, 1);
    assert_int_equal(t->actions.items[3]->options.count, 2);
    assert_true(slice_eq(t->actions.items[4]->after, SLICE_LIT("a")));
    assert_true(slice_eq(t->modifiers.algorithm, SLICE_LIT("INPLACE")));
    assert_true(slice_eq(t->modifiers.lock, SLICE_LIT("NONE")));
}

static void params(void **state)
{
    (void)state;
    const struct ast_select_stmt *s =
        test_stmt("SELECT ? FROM t WHERE a = ? LIMIT ?", PARSE_PREPARE);
    assert_int_equal(s->stmt.param_count, 3);
    assert_int_equal(((const struct ast_param *)s->query->limit->count)->index, 2);
    struct ast_stmt *stmt;
    assert_int_equal(test_parse(SLICE_LIT("SELECT ?"), 0, 0, &stmt), ERR_SQL);
    assert_int_equal(test_diag.number, 1064);
}

static const struct ast_user_var *variable(const struct ast_select_stmt *s, uint32_t item)
{
    const struct ast_select *body = (const struct ast_select *)s->query->body;
    return (const struct ast_user_var *)body->items.items[item]->expr;
}

static void assigned_variables(void **state)
{
    (void)state;
    const struct ast_select_stmt *s =
        test_stmt("SELECT @a, @b, @`B`, @c FROM t WHERE x = (SELECT @A := 1) OR (@b := 2)", 0);
    assert_true(variable(s, 0)->assigned);
    assert_true(variable(s, 1)->assigned);
    assert_true(variable(s, 2)->assigned);
    assert_false(variable(s, 3)->assigned);
    s = test_stmt("SELECT @a FROM t WHERE x = @a", 0);
    assert_false(variable(s, 0)->assigned);
}

static void multi(void **state)
{
    (void)state;
    struct slice text = SLICE_LIT("SELECT 1 ; /* x */ INSERT INTO t VALUES (';');\n SELECT 2;;\n");
    struct parse_options opts = {.mode = 0, .flags = PARSE_MULTI};
    static const enum ast_stmt_kind kinds[] = {AST_STMT_SELECT, AST_STMT_INSERT, AST_STMT_SELECT};
    for (size_t i = 0; i < ARRAY_COUNT(kinds); i++) {
        struct ast_stmt *stmt;
        size_t consumed;
        assert_int_equal(parser_parse(&test_arena, text, &opts, &test_diag, &stmt, &consumed),
                         ERR_OK);
        assert_int_equal(stmt->kind, kinds[i]);
        text = slice_from(text, consumed);
    }
    assert_int_equal(text.len, 0);
    struct ast_stmt *stmt;
    assert_int_equal(test_parse(SLICE_LIT(" -- x\n"), 0, 0, &stmt), ERR_OK);
    assert_int_equal(stmt->kind, AST_STMT_EMPTY);
}

static void admin(void **state)
{
    (void)state;
    const struct ast_set *set = test_stmt(
        "SET @a = 1, SESSION sql_mode = DEFAULT, @@global.x = ON, NAMES utf8mb4 COLLATE c, y := 2",
        0);
    assert_int_equal(set->items.count, 5);
    assert_true(set->items.items[1]->is_default);
    assert_int_equal(set->items.items[2]->scope, AST_SCOPE_GLOBAL);
    assert_int_equal(set->items.items[2]->value->kind, AST_EXPR_LITERAL);
    assert_int_equal(set->items.items[3]->kind, AST_SET_NAMES);
    const struct ast_show *show = test_stmt("SHOW FULL COLUMNS FROM s.t LIKE 'a%'", 0);
    assert_true(show->full && show->what == AST_SHOW_COLUMNS);
    assert_true(slice_eq(show->name.schema, SLICE_LIT("s")));
    assert_true(slice_eq(show->like->text, SLICE_LIT("a%")));
    const struct ast_grant *g =
        test_stmt("GRANT SELECT (a), CREATE TEMPORARY TABLES ON s.* TO u@'%' WITH GRANT OPTION", 0);
    assert_true(slice_eq(g->privileges.items[1]->name, SLICE_LIT("CREATE TEMPORARY TABLES")));
    assert_true(g->any_table && g->with_grant_option);
    assert_true(slice_eq(g->users.items[0]->host, SLICE_LIT("%")));
    const struct ast_explain *e = test_stmt("EXPLAIN ANALYZE FORMAT=TREE DELETE FROM t", 0);
    assert_true(e->analyze && e->target->kind == AST_STMT_DELETE);
    const struct ast_unsupported *u =
        test_stmt("CREATE TRIGGER t BEFORE INSERT ON x FOR EACH ROW SET NEW.a = 1", 0);
    assert_int_equal(u->stmt.kind, AST_STMT_UNSUPPORTED);
    assert_string_equal(u->feature, "CREATE TRIGGER");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(corpus),       cmocka_unit_test(round_trips),
        cmocka_unit_test(precedence),   cmocka_unit_test(modes),
        cmocka_unit_test(select_items), cmocka_unit_test(joins),
        cmocka_unit_test(create_table), cmocka_unit_test(alter_table),
        cmocka_unit_test(params),       cmocka_unit_test(assigned_variables),
        cmocka_unit_test(multi),        cmocka_unit_test(admin),
    };
    return cmocka_run_group_tests(tests, test_setup, test_teardown);
}
