"""What wide.py does not make: text beyond ASCII in many character sets and collations, primary keys of other shapes, keys with several
values a row, computed defaults, tables of more rows than a batch; row constructors, joins by name, precedence of set operations, sums of
sums, frames, recursion of several parts, subqueries everywhere, variables, transactions that read what they have written."""
from generate import ALL, DATE, DBL, DEC, DTM, INT, JSON, MULTI, ORDERED, STR, TIME, TYPES, Column
from statements import EXACT, FRAMES, Nested, each_part
from wide import MORE_TYPES, UNITS, Everywhere, Wide

BEYOND = ("'ä'", "'A'", "'É'", "'ß'", "'ss'", "'e\u0301'", "'Ж'", "'日本'", "'\U0001f600'", "'Ab'", "'a b  '")
# what a column of a character set takes, beside ASCII
TAKES = {"latin1": ("'ä'", "'É'", "'ß'"), "cp1251": ("'Ж'",), "utf8mb3": ("'ä'", "'ß'", "'日本'", "'Ж'"), "gbk": ("'日本'",),
         "cp932": ("'日本'",), "ascii": ()}
MOST_TYPES = {
    INT: ("boolean", "int(5) zerofill"),     # no YEAR: MySQL takes numbers below 100 beside it for years here and there
    STR: ("varchar(12) COLLATE utf8mb4_bin", "varchar(12) COLLATE utf8mb4_unicode_520_ci", "char(6) COLLATE utf8mb4_ja_0900_as_cs",
          "varchar(12) COLLATE utf8mb4_de_pb_0900_ai_ci", "varchar(12) CHARACTER SET cp1251",
          "varchar(12) CHARACTER SET gbk", "varchar(12) CHARACTER SET cp932", "text CHARACTER SET latin1", "char(6) CHARACTER SET ascii", "varchar(12) CHARACTER SET utf8mb3 COLLATE utf8mb3_bin"),
    DTM: ("timestamp(6) NULL", "datetime(1)"), TIME: ("time(1)",), DBL: ("double unsigned",),
}
MOMENTS = {DTM: ("TIMESTAMP'2021-12-31 23:59:59.999999'", "TIMESTAMP'2020-02-29 00:00:00.000001'", "TIMESTAMP'2024-10-27 01:30:00.5'"),
           TIME: ("TIME'-00:00:00.000001'", "TIME'12:34:56.789012'", "TIME'00:59:59.999999'")}
COLLATIONS = ("utf8mb4_bin", "utf8mb4_general_ci", "utf8mb4_unicode_ci", "utf8mb4_0900_as_ci", "utf8mb4_0900_as_cs", "utf8mb4_sv_0900_ai_ci", "utf8mb4_0900_bin")
LEVELS = ("READ COMMITTED", "REPEATABLE READ", "REPEATABLE READ", "READ UNCOMMITTED")
HINTS = ("", "", "", "SQL_NO_CACHE ", "SQL_SMALL_RESULT ", "SQL_BIG_RESULT ", "HIGH_PRIORITY ", "STRAIGHT_JOIN ", "/*+ NO_MERGE() */ ", "/*+ NO_SEMIJOIN() */ ",
         "/*+ SET_VAR(sort_buffer_size = 65536) */ ", "/*+ NO_BNL() NO_ICP(a0) */ ")
MORE_FRAMES = FRAMES + (" ROWS UNBOUNDED PRECEDING", " ROWS 3 PRECEDING", " RANGE BETWEEN CURRENT ROW AND UNBOUNDED FOLLOWING", " RANGE BETWEEN CURRENT ROW AND CURRENT ROW",
                        " ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING", " ROWS BETWEEN 1 PRECEDING AND 2 FOLLOWING", " ROWS CURRENT ROW")
BIG = 1500      # rows of a table that is larger than a batch


class More(Wide):
    big = None

    # ---- tables ----

    def column_type(self, kind):
        if kind in MOST_TYPES and self.chance(0.3):
            return self.pick(MOST_TYPES[kind])
        return super().column_type(kind)

    def pool_of(self, column):
        pool = list(super().pool_of(column))
        words = column.sql.split()
        if column.kind == STR and not column.literals_only and not words[0].startswith(("varbinary", "binary")):
            charset = words[words.index("SET") + 1] if "SET" in words else ""
            return pool + list(TAKES.get(charset, BEYOND))
        if words[0] == "boolean":
            return ["TRUE", "FALSE"]
        if words[:2] == ["double", "unsigned"] or "zerofill" in words:
            return [v for v in pool if not v.startswith("-")]
        return pool + list(MOMENTS.get(column.kind, ()))

    def extras(self, table):
        super().extras(table)
        if self.chance(0.3):
            self.other_primary(table)
        if self.chance(0.2):
            table.columns.append(Column("m", MULTI, "json"))
            table.keys.append("KEY km (%s)" % (self.pick(("%s", "%s", "id, %s", "%s, id")) % ("(CAST(m AS %s ARRAY))" % self.pick(("UNSIGNED", "SIGNED")))))
        if self.chance(0.15):
            table.columns.append(Column("d0", INT, "bigint DEFAULT (%s)" % self.pick(("id + 1", "id * id", "7 - id"))))
        if self.chance(0.1):
            table.columns.append(Column("h0", INT, "int INVISIBLE"))

    def other_primary(self, table):
        """A key of other columns, or downwards; id stays unique."""
        able = [c for c in table.columns[1:] if c.kind in (INT, STR, DATE, DEC, DTM) and not c.literals_only and not c.generated
                and not c.sql.startswith(("text", "timestamp"))]
        table.columns[0].sql = "int NOT NULL"
        if not able or self.chance(0.3):
            table.keys.insert(0, self.pick(("PRIMARY KEY (id DESC)", "UNIQUE KEY uid (id)")))
            return
        c = self.pick(able)
        if "NOT NULL" not in c.sql:
            c.sql += " NOT NULL"
        order = [c.name + self.pick(("", "", " DESC")), "id"]
        table.keys[:0] = ["PRIMARY KEY (%s)" % ", ".join(order if self.chance(0.7) else order[::-1]), "UNIQUE KEY uid (id)"]

    def make_tables(self, count=3):
        out = super().make_tables(count)
        if self.chance(0.12):
            out += self.make_big()
        return out

    def make_big(self):
        """Its rows follow from their numbers; few queries ask it, none for pairs of its rows."""
        self.big = "big0"
        parts = ["id int PRIMARY KEY", "a int", "b varchar(20)", "c decimal(12,3)", "d datetime", "e bigint", self.pick(("KEY ka (a)", "KEY kb (b, a)", "KEY kd (d DESC)"))]
        return ["CREATE TABLE big0 (%s)" % ", ".join(parts), "SET cte_max_recursion_depth = 5000",
                "INSERT INTO big0 WITH RECURSIVE w (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM w WHERE n < %d) SELECT n, n * 7919 %% 97, IF(n %% 11 = 0, NULL, CONCAT('v', n * 31 %% 257)), "
                "n * 1.375 %% 100, TIMESTAMP'2020-01-01 00:00:00' + INTERVAL n * 977 MINUTE, IF(n %% 5 = 0, NULL, n * n) FROM w" % self.r.randint(300, BIG)]

    # ---- expressions ----

    def literal(self, kind):
        if self.parameters is None and kind == STR and self.chance(0.12):
            return self.pick(BEYOND)
        if self.parameters is None and kind in MOMENTS and self.chance(0.3):
            return self.pick(MOMENTS[kind])
        return super().literal(kind)

    def multi_forms(self, e, scope, d):
        return [lambda: self.column(scope, MULTI), lambda: "JSON_ARRAY_APPEND(%s, '$', %d)" % (e(MULTI), self.r.randint(0, 9))]

    def of_values(self, scope):
        """A condition that a key with several values a row answers."""
        column = self.pick([n for n, k in scope if k == MULTI])
        return self.pick((lambda: "%s MEMBER OF (%s)" % (self.pick(("1", "2", "7", "42", self.column(scope, INT))), column),
                          lambda: "JSON_CONTAINS(%s, '%s')" % (column, self.pick(("[1, 2]", "[7]", "[3, 42]"))),
                          lambda: "JSON_OVERLAPS(%s, '%s')" % (column, self.pick(("[1, 100]", "[7, 2]", "[3, 5]")))))()

    def condition(self, scope, depth=2):
        if self.chance(0.06) and any(k == MULTI for _, k in scope):
            return self.of_values(scope)
        if self.chance(0.12):
            return self.pick(self.more_conditions(scope, depth))()
        return super().condition(scope, depth)

    def more_conditions(self, scope, depth):
        d = max(depth - 1, 0)
        kind = self.pick((INT, STR, DEC, DATE, DTM, TIME))
        v = lambda k: self.expr(scope, k, d)
        c = lambda k: self.column(scope, k)
        forms = [lambda: "%s %sLIKE %s" % (v(STR), self.pick(("", "NOT ")), c(STR)),
                 lambda: "%s LIKE '%s' ESCAPE '|'" % (v(STR), self.pick(("a|%", "_|_", "%ä%", "É%"))),
                 lambda: "%s SOUNDS LIKE %s" % (c(STR), c(STR)),
                 lambda: "%s COLLATE %s %s %s" % (c(STR), self.pick(COLLATIONS), self.pick(("=", "<", ">=")), self.literal(STR)),
                 lambda: "%s = BINARY %s" % (c(STR), c(STR)),
                 lambda: "NOT %s <=> %s" % (v(kind), c(kind)),
                 lambda: "%s NOT BETWEEN %s AND %s" % (c(kind), v(kind), v(kind)),
                 lambda: "COALESCE(%s, %s) %s %s" % (c(kind), v(kind), self.pick(("=", "<", ">")), c(kind)),
                 lambda: "CASE WHEN %s THEN %s ELSE %s END %s %s" % (self.condition(scope, 0), c(kind), c(kind), self.pick(("=", "<>", "<")), c(kind)),
                 lambda: "%s IN (%s, NULL, %s)" % (c(kind), c(kind), v(kind)),
                 lambda: "(%s AND %s OR %s)" % tuple(self.condition(scope, 0) for _ in range(3)),
                 lambda: "%s && NOT %s || %s" % tuple("(%s)" % self.condition(scope, 0) for _ in range(3)) if not self.pipes else "TRUE"]
        if not self.outer:
            forms += [lambda: "ROW(%s, %s, %s) %s ROW(%s, %s, %s)" % (c(INT), c(DATE), c(INT), self.pick(("=", "<=>", "<", ">", "<=", "<>")), c(INT), c(DATE), c(INT)),
                      lambda: "(%s, (%s, %s)) = (%s, (%s, %s))" % tuple(c(k) for k in (INT, DATE, INT) * 2),
                      lambda: self.row_subquery(scope)]
        if depth > 0:
            forms += [lambda: self.more_subquery(scope)] * 2
        return forms

    pipes = True    # some mode of wide.py has || for CONCAT

    def row_subquery(self, scope):
        if self.depth >= 2:
            return "TRUE"
        self.depth += 1
        table, alias = self.pick(self.tables), "s%d" % self.depth
        inner = self.scope_of(table, alias)
        pair = lambda s: (self.column(s, INT), self.column(s, DATE))
        where = self.condition(inner, 0)
        text = self.pick((
            lambda: "(%s, %s) %s (SELECT %s, %s FROM %s %s WHERE %s)" % (
                pair(scope) + (self.pick(("IN", "NOT IN", "= ANY", "<> ALL")),) + pair(inner) + (table.name, alias, where)),
            lambda: "(%s, %s) %s (SELECT %s, %s FROM %s %s WHERE %s.id = %d)" % (
                pair(scope) + (self.pick(("=", "<", "<=>", "<>")),) + pair(inner) + (table.name, alias, alias, self.r.randrange(12)))))()
        self.depth -= 1
        return text

    def more_subquery(self, scope):
        """Subqueries with groups, set operations, an order and a limit."""
        if self.depth >= 2:
            return "TRUE"
        self.depth += 1
        table, alias = self.pick(self.readable()), "s%d" % self.depth
        inner = [("%s.%s" % (alias, c.name), c.kind) for c in table.columns]
        kind = self.pick((INT, DEC, DATE, DTM, TIME))
        name = "%s %s" % (table.name, alias)
        outside = self.column(scope, kind)
        correlated = self.chance(0.4)
        where = self.condition(inner + (scope if correlated else []), 0)
        sets = ("UNION", "UNION ALL", "UNION" if correlated else "INTERSECT")   # MySQL 9.7 keeps rows of the outer row before
        text = self.pick((
            lambda: "%s %s %s (SELECT %s FROM %s WHERE %s)" % (outside, self.pick(("<", ">=", "=", "<>", ">")), self.pick(("ALL", "ANY", "SOME")), self.expr(inner, kind, 1), name, where),
            lambda: "%s %s (SELECT %s(%s) FROM %s WHERE %s GROUP BY %s HAVING COUNT(*) > %d)" % (
                outside, self.pick(("IN", "NOT IN", "= ANY", "> ALL")), self.pick(("MIN", "MAX")), self.column(inner, kind), name, where, self.column(inner, INT) + " + 0", self.r.randint(0, 1)),
            lambda: "%s %sIN (SELECT %s FROM %s WHERE %s %s SELECT %s FROM %s)" % (
                outside, self.pick(("", "NOT ")), self.column(inner, kind), name, where, self.pick(sets), self.column(inner, kind), name),
            lambda: "%s %s (SELECT %s FROM %s WHERE %s ORDER BY %s.id%s LIMIT 1)" % (
                outside, self.pick(("<=>", "=", "<", ">=")), self.expr(inner, kind, 1), name, where, alias, self.pick(("", " DESC"))) if table in self.tables else "TRUE",
            lambda: "EXISTS (SELECT 1 FROM %s WHERE %s GROUP BY %s HAVING MAX(%s) > %s)" % (name, where, self.column(inner, INT) + " + 0", self.column(inner, INT), self.literal(INT)),
            lambda: "(%s IN (SELECT %s FROM %s WHERE %s)) IS %s" % (outside, self.column(inner, kind), name, where, self.pick(("TRUE", "NOT FALSE", "UNKNOWN"))),
            lambda: "EXISTS (SELECT %s FROM %s WHERE %s LIMIT %d)" % (self.column(inner, INT), name, where, self.r.randint(1, 2))))()
        self.depth -= 1
        return text

    def int_forms(self, e, scope, d):
        return super().int_forms(e, scope, d) + [
            lambda: "MICROSECOND(%s)" % e(self.pick((DTM, TIME))),
            lambda: "TIMESTAMPDIFF(%s, %s, %s)" % (self.pick(("MICROSECOND", "SECOND", "MONTH")), e(DTM), e(DTM)),
            lambda: "POSITION(%s IN %s)" % (e(STR), e(STR)),
            lambda: "%s(%s, %s, %s)" % (self.pick(("GREATEST", "LEAST")), e(INT), e(INT), e(INT)),
            lambda: "STRCMP(%s, %s)" % (e(STR), e(STR)),
            lambda: "CAST(%s AS %s)" % (e(self.pick((DTM, DATE, INT))), self.pick(("SIGNED", "UNSIGNED"))),
            lambda: "(%s IS NULL) + (%s)" % (e(self.pick(ALL)), self.condition(scope, 0)),
            lambda: "EXTRACT(%s FROM %s)" % (self.pick(("MICROSECOND", "SECOND_MICROSECOND", "HOUR_MINUTE")), e(TIME)),
            lambda: "JSON_LENGTH(%s, '%s')" % (e(JSON), self.pick(("$.a", "$.b", "$[0]"))),
            lambda: "OCTET_LENGTH(%s)" % e(STR),
            lambda: "REGEXP_INSTR(%s, '%s', 1, %d)" % (e(STR), self.pick(("[ab]", "ä|b", ".")), self.r.randint(1, 2)),
        ]

    def str_forms(self, e, scope, d):
        return super().str_forms(e, scope, d) + [
            lambda: "(%s COLLATE %s)" % (e(STR), self.pick(COLLATIONS)),
            lambda: "CONVERT(%s USING %s)" % (e(STR), self.pick(("gbk", "cp1251", "cp932"))),
            # of units of several bytes MySQL makes JSON byte by byte
            lambda: "HEX(CONVERT(%s USING %s))" % (e(STR), self.pick(("utf16", "ucs2", "utf32", "utf16le"))),
            lambda: "HEX(%s)" % e(STR),
            lambda: "HEX(CAST(%s AS BINARY(%d)))" % (e(STR), self.r.randint(1, 8)),
            lambda: "%s(%s)" % (self.pick(("CHARSET", "COLLATION")), self.column(scope, STR)),
            lambda: "REGEXP_REPLACE(%s, '%s', '[$0]', 1, %d)" % (e(STR), self.pick(("[a-b]", "ä|b", "^.")), self.r.randint(0, 2)),
            lambda: "DATE_FORMAT(%s, '%s')" % (e(DTM), self.pick(("%f", "%Y%m%d%H%i%s%f", "%U %u %V %v"))),
            lambda: "CONCAT_WS(%s, %s, %s, %s)" % (e(STR), e(STR), e(INT), e(DATE)) if not self.outer else self.column(scope, STR),
            lambda: "%s(%s, %s, %s)" % (self.pick(("GREATEST", "LEAST")), e(STR), e(STR), e(STR)),
            lambda: "JSON_UNQUOTE(JSON_EXTRACT(JSON_OBJECT('k', %s), '$.k'))" % e(STR),
            lambda: "UNHEX(HEX(%s))" % e(STR),
            lambda: "TRIM(%s FROM %s)" % (e(STR), e(STR)),
            lambda: self.kept_subquery(scope, STR),
        ]

    def dec_forms(self, e, scope, d):
        return super().dec_forms(e, scope, d) + [
            lambda: "UNIX_TIMESTAMP(%s)" % e(DTM),
            lambda: "CAST(%s AS DECIMAL(20, 6))" % e(self.pick((DTM, TIME))),
            lambda: "(%s - %s)" % (e(self.pick((DTM, TIME))), e(self.pick((INT, DEC)))),
            lambda: "%s(%s, %s, %s)" % (self.pick(("GREATEST", "LEAST")), e(DEC), e(INT), e(DEC)),
            lambda: self.kept_subquery(scope, DEC),
        ]

    def date_forms(self, e, scope, d):
        return super().date_forms(e, scope, d) + [lambda: self.kept_subquery(scope, DATE), lambda: "CAST(%s AS DATE)" % e(STR)]

    def dtm_forms(self, e, scope, d):
        return super().dtm_forms(e, scope, d) + [
            lambda: "(%s + INTERVAL %s MICROSECOND)" % (e(DTM), e(INT)),
            lambda: "CAST(%s AS DATETIME(%d))" % (e(self.pick((DTM, DATE, STR))), self.r.randint(0, 6)),
            lambda: "TIMESTAMPADD(MICROSECOND, %s, %s)" % (e(INT), e(DTM)),
            lambda: "CONVERT_TZ(%s, '-03:00', '+11:00')" % e(DTM),
            lambda: self.kept_subquery(scope, DTM),
        ]

    def kept_subquery(self, scope, kind):
        """The value of one row, which an order by its key decides."""
        if self.depth >= 2:
            return self.literal(kind)
        self.depth += 1
        table, alias = self.pick(self.tables), "q%d" % self.depth
        inner = self.scope_of(table, alias)
        text = "(SELECT %s FROM %s %s WHERE %s ORDER BY %s.id%s LIMIT 1%s)" % (
            self.expr(inner + scope, kind, 1), table.name, alias, self.condition(inner + scope, 0), alias, self.pick(("", " DESC")), self.pick(("", "", " OFFSET 1")))
        self.depth -= 1
        return text

    # ---- queries ----

    def query(self):
        if self.big and self.chance(0.25):
            return self.of_big()
        if self.chance(0.55):
            return super().query()
        return self.pick((self.named_join, self.named_join, self.nested_join, self.precedence, self.precedence, self.rollup_more, self.rollup_more, self.frames, self.frames, self.recursion,
                          self.recursion, self.lateral_more, self.of_union, self.of_union, self.everywhere, self.everywhere, self.variables, self.again, self.again, self.json_groups,
                          self.hinted, self.hinted, self.groups_of_text, self.refused, self.no_table))()

    def named_join(self):
        """NATURAL and USING: common columns stand for both."""
        first, second = self.pick(self.tables), self.pick(self.tables)
        join = self.pick(("JOIN", "INNER JOIN", "LEFT JOIN", "RIGHT JOIN"))
        self.outer = "T JOIN" in join
        scope = self.scope_of(first, "a0") + self.scope_of(second, "a1") + [("id", INT)] * 3
        # other columns of one name are not of one type, or not of one collation
        where = self.where(scope)
        return "SELECT %s, id, %s FROM %s a0 %s %s a1 USING (id)%s" % (
            self.item(scope, 1), self.item(scope, 1), first.name, join, second.name, where), False, False

    def nested_join(self):
        tables = [self.pick(self.tables) for _ in range(3)]
        scopes = [self.scope_of(t, "a%d" % i) for i, t in enumerate(tables)]
        self.outer = True
        self.depth += 2
        inner = self.join_condition(scopes[1], scopes[2])
        outer = self.join_condition(scopes[0], scopes[1] + scopes[2])
        self.depth -= 2
        scope = scopes[0] + scopes[1] + scopes[2]
        form = self.pick(("%s a0 {0} (%s a1 {1} %s a2 ON {2}) ON {3}", "(%s a0, %s a1) {0} %s a2 ON {2}"))
        text = form % tuple(t.name for t in tables)
        joins = self.pick(("JOIN", "LEFT JOIN", "RIGHT JOIN")), self.pick(("JOIN", "LEFT JOIN"))
        return "SELECT %s, a0.id, a1.id, a2.id FROM %s%s" % (self.item(scope, 1), text.format(joins[0], joins[1], inner, outer), self.where(scope)), False, False

    def precedence(self):
        """INTERSECT binds more than UNION and EXCEPT; parts that are tables and values."""
        kinds = [self.pick((INT, DEC, DATE, STR)) for _ in range(self.r.randint(1, 2))]
        one = lambda: self.simple(kinds) if self.chance(0.85) else "VALUES %s" % ", ".join("ROW(%s)" % ", ".join(self.literal(k) for k in kinds) for _ in range(self.r.randint(1, 3)))
        both = Nested.of(one(), self.pick(("INTERSECT", "INTERSECT DISTINCT")), one())
        text = Nested.of(*((one(), self.pick(("UNION", "UNION ALL", "EXCEPT")), both) if self.chance(0.7) else (both, self.pick(("UNION", "UNION ALL", "EXCEPT")), one())))
        return text, False, True

    def rollup_more(self):
        source, scope, _ = self.source()
        able = [n for n, k in scope if k in EXACT]
        group = self.r.sample(able, min(len(able), self.pick((1, 2, 2))))
        items = group + ["GROUPING(%s)" % ", ".join(group)] + self.aggregates(scope)
        having = " HAVING COUNT(*) > 0" + self.pick(("", " AND GROUPING(%s) = 0" % group[0], " AND GROUPING(%s) = 1" % group[-1], " AND (%s IS NULL OR %s > 1)" % (group[0], "COUNT(*)")))
        text = "SELECT %s FROM %s%s GROUP BY %s WITH ROLLUP%s" % (", ".join(items), source, self.where(scope), ", ".join(group), having)
        if self.chance(0.3):
            return text + " ORDER BY GROUPING(%s), %s" % (group[0], ", ".join("%s%s" % (g, self.pick(("", " DESC"))) for g in group)), False, True
        return text, False, True

    def frames(self):
        """Any function over any frame with at least a row; windows of several orders; calls within expressions and in ORDER BY."""
        source, scope, keys = self.source()
        by = ", ".join(keys)
        part = self.pick([n for n, k in scope if k in ORDERED])
        over = lambda: "(%sORDER BY %s%s%s)" % (self.pick(("", "PARTITION BY %s " % part)), self.pick(("", "%s%s, " % (self.pick([n for n, k in scope if k in EXACT]), self.pick(("", " DESC"))))),
                                              by, self.pick(MORE_FRAMES))
        value = lambda: self.pick((lambda: "%s(%s)" % (self.pick(("SUM", "AVG", "STDDEV_POP", "BIT_OR", "COUNT", "VAR_SAMP")), self.column(scope, INT)),
                                   lambda: "%s(%s)" % (self.pick(("MIN", "MAX", "FIRST_VALUE", "LAST_VALUE")), self.column(scope, self.pick(EXACT))),
                                   lambda: "%s(%s)" % (self.pick(("FIRST_VALUE", "LAST_VALUE")), self.column(scope, self.pick((STR, JSON)))),
                                   lambda: "NTH_VALUE(%s, %d)" % (self.column(scope, self.pick(ALL)), self.r.randint(1, 3)),
                                   lambda: "JSON_ARRAYAGG(%s)" % self.column(scope, INT),
                                   lambda: "%s(%s, %d)" % (self.pick(("LAG", "LEAD")), self.expr(scope, self.pick(EXACT), 1), self.r.randint(0, 3)),
                                   lambda: self.pick(("NTILE(4)", "ROW_NUMBER()", "CUME_DIST()"))))()
        items = ["%s OVER %s" % (value(), over()) for _ in range(self.r.randint(1, 3))]
        if self.chance(0.3):
            items.append("COALESCE(LAG(%s) OVER (ORDER BY %s), 0) + COUNT(*) OVER (PARTITION BY %s)" % (self.column(scope, INT), by, part))
        text = "SELECT %s, %s FROM %s%s" % (by, ", ".join(items), source, self.where(scope))
        if self.chance(0.25):
            return "SELECT * FROM (%s) w (%s) WHERE %s" % (text, ", ".join("x%d" % i for i in range(len(keys) + len(items))), self.pick(("x0 > 3", "x0 % 2 = 0", "x0 IS NOT NULL"))), False, False
        if self.chance(0.3):
            return text + " ORDER BY ROW_NUMBER() OVER (ORDER BY %s%s) LIMIT %d" % (self.pick(("", "%s DESC, " % keys[-1])), by, self.r.randint(1, 12)), True, False
        return text, False, False

    def recursion(self):
        table = self.pick(self.tables)
        self.outer = False
        scope = self.scope_of(table, "a")
        forms = (
            lambda: "WITH RECURSIVE w (n, p) AS (SELECT 1, CAST('x' AS CHAR(40)) UNION ALL SELECT n + 1, CONCAT(p, '/', n) FROM w WHERE n < %d) SELECT n, p, a.id FROM w LEFT JOIN %s a ON a.id = n" % (
                self.r.randint(2, 7), table.name),
            lambda: "WITH RECURSIVE w (n) AS (SELECT %d UNION SELECT n + 2 FROM w WHERE n < 9 UNION SELECT n * 2 FROM w WHERE n < 9) SELECT COUNT(*), SUM(n), MAX(n) FROM w" % self.r.randint(1, 4),
            lambda: "WITH RECURSIVE w (n, x) AS (SELECT a.id, %s FROM %s a WHERE %s UNION ALL SELECT n - 7, x FROM w WHERE n > 7) SELECT * FROM w" % (
                self.expr(scope, self.pick((INT, DEC, DATE)), 1), table.name, self.condition(scope, 0)),
            lambda: "WITH RECURSIVE w (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM w LIMIT %d) SELECT n, (SELECT COUNT(*) FROM %s a WHERE a.id < n AND %s) FROM w" % (
                self.r.randint(1, 9), table.name, self.condition(scope, 0)),
            lambda: "WITH RECURSIVE u AS (SELECT a.id FROM %s a WHERE %s), w (n, d) AS (SELECT MIN(id), 0 FROM u UNION ALL SELECT (SELECT MIN(id) FROM u WHERE u.id > w.n), d + 1 FROM w WHERE d < 6) "
                    "SELECT n, d FROM w" % (table.name, self.condition(scope, 0)),
            lambda: "WITH RECURSIVE w (d, n) AS (SELECT DATE'2024-02-27', 0 UNION ALL SELECT d + INTERVAL 1 DAY, n + 1 FROM w WHERE n < %d) SELECT d, n, DAYNAME(d) FROM w" % self.r.randint(1, 5),
            lambda: "SELECT a.id FROM %s a WHERE a.id IN (WITH RECURSIVE w (n) AS (SELECT %d UNION ALL SELECT n + 3 FROM w WHERE n < 30) SELECT n FROM w)" % (table.name, self.r.randint(0, 3)))
        return self.pick(forms)(), False, False

    def lateral_more(self):
        self.outer = True
        tables = [self.pick(self.tables) for _ in range(3)]
        a, b, c = (self.scope_of(t, n) for t, n in zip(tables, "abc"))
        kind = self.pick((INT, DEC, DATE))
        first = self.pick(("SELECT MAX(%s) AS v, COUNT(*) AS n FROM %s b WHERE %s" % (self.column(b, kind), tables[1].name, self.condition(a + b, 0)),
                           "SELECT %s AS v, 1 AS n UNION ALL SELECT %s, 2" % (self.expr(a, kind, 1), self.expr(a, kind, 1)),
                           "SELECT %s AS v, COUNT(*) AS n FROM %s b WHERE %s GROUP BY v" % (self.column(b, kind), tables[1].name, self.condition(a + b, 0))))
        second = "SELECT COUNT(*) AS k, SUM(%s) AS s FROM %s c WHERE %s" % (self.column(c, INT), tables[2].name, self.condition(c + a + [("d.n", INT), ("d.v", kind)], 0))
        return "SELECT a.id, d.v, d.n, e.k, e.s FROM %s a JOIN LATERAL (%s) d %sJOIN LATERAL (%s) e ON TRUE%s" % (
            tables[0].name, first, self.pick(("", "", "CROSS ")).replace("CROSS ", ""), second, self.where(a + [("d.n", INT), ("e.k", INT)])), False, False

    def of_union(self):
        """Conditions, groups and orders over a set operation of a derived table or a common table."""
        kinds = [self.pick((INT, DEC, DATE, DTM)) for _ in range(2)]
        operator = self.pick(("UNION", "UNION ALL", "UNION ALL", "EXCEPT"))
        both = "%s %s %s" % (self.simple(kinds, "b"), operator, self.simple(kinds, "c"))
        self.outer = True
        scope = [("u.x0", kinds[0]), ("u.x1", kinds[1])]
        table = self.pick(self.tables)
        more = scope + self.scope_of(table, "a")
        tail = self.pick((lambda: "SELECT u.x0, u.x1 FROM {0}%s" % self.where(scope),
                          lambda: "SELECT u.x0, COUNT(*), MIN(u.x1) FROM {0}%s GROUP BY u.x0" % self.where(scope),
                          lambda: "SELECT u.x1, a.id FROM {0} JOIN %s a ON %s%s" % (table.name, self.condition(more, 0), self.where(more)),
                          lambda: "SELECT DISTINCT u.x1 FROM {0}%s" % self.where(scope),
                          lambda: "SELECT a.id FROM %s a WHERE EXISTS (SELECT 1 FROM {0} WHERE %s)" % (table.name, self.condition(more, 0))))()
        if self.chance(0.5):
            return tail.replace("{0}", "(%s) u (x0, x1)" % both), False, False
        return "WITH u (x0, x1) AS (%s) %s" % (both, tail.replace("{0}", "u")), False, False

    def everywhere(self):
        """Subqueries in the select list, in groups, orders and HAVING; groups by number and by name."""
        source, scope, keys = self.source()
        kind = self.pick((INT, DEC, DATE))
        value = self.kept_subquery(scope, kind)
        group = self.pick([n for n, k in scope if k in EXACT])
        forms = (lambda: ("SELECT %s, %s FROM %s%s ORDER BY %s, %s LIMIT 9" % (", ".join(keys), value, source, self.where(scope), value, ", ".join(keys)), True, False),
                 lambda: ("SELECT %s AS v, COUNT(*) FROM %s%s GROUP BY v" % (value, source, self.where(scope)), False, False),
                 lambda: ("SELECT %s, MAX(%s) AS m FROM %s%s GROUP BY 1 HAVING m > (SELECT MIN(id) FROM %s)" % (group, self.column(scope, INT), source, self.where(scope), self.tables[0].name), False, False),
                 lambda: ("SELECT COUNT(*), (SELECT MAX(id) FROM %s x WHERE x.id < COUNT(*)) FROM %s%s" % (self.tables[0].name, source, self.where(scope)), False, False),
                 lambda: ("SELECT %s, (SELECT COUNT(*) FROM %s x WHERE x.id < %s) FROM %s%s GROUP BY %s" % (group, self.tables[-1].name, "MAX(%s)" % keys[0], source, self.where(scope), group), False, False),
                 lambda: ("SELECT MAX(%s), MIN(%s) FROM %s%s HAVING COUNT(*) %s 3" % (self.column(scope, kind), self.column(scope, kind), source, self.where(scope), self.pick("<>")), False, False),
                 lambda: ("SELECT DISTINCT %s, COUNT(*) OVER (PARTITION BY %s) FROM %s%s" % (group, group, source, self.where(scope)), False, False),
                 lambda: ("SELECT DISTINCT COUNT(*), MAX(%s) FROM %s%s GROUP BY %s" % (self.column(scope, INT), source, self.where(scope), group), False, False),
                 lambda: ("SELECT %s, COUNT(*) AS n FROM %s%s GROUP BY %s ORDER BY n DESC, %s LIMIT %d" % (group, source, self.where(scope), group, group, self.r.randint(1, 5)), True, False))
        return self.pick(forms)()

    def variables(self):
        """What one statement puts into a variable the next one reads."""
        table = self.pick(self.tables)
        self.outer = False
        scope = self.scope_of(table, "a")
        kind = self.pick((INT, DEC, STR))
        forms = ("SET @v = (SELECT %s(%s) FROM %s a WHERE %s)" % (self.pick(("MIN", "MAX")), self.column(scope, kind), table.name, self.condition(scope, 0)),
                 "SELECT %s FROM %s a ORDER BY a.id LIMIT 1 INTO @v" % (self.column(scope, kind), table.name))
        first = self.pick(forms) if kind != STR else forms[1]      # which of two equal texts an extreme is, is open
        more = scope + [("@v", kind)] * 3
        # NULL has the character set of the value before, which is of the session: with three nodes each has seen other statements
        return ["SET @v = ''", "SET @v = NULL", first, "SELECT a.id, @v, %s FROM %s a%s" % (self.expr(more, kind, 1), table.name, self.where(more))], False, False

    def as_prepared(self, text, values):
        # MySQL reads the text of PREPARE in utf8mb3
        narrow = lambda part: part.replace("'\U0001f600'", "'ä'")
        changed = Nested(narrow(text))
        changed.again = getattr(text, "again", None) and each_part(text.again, narrow)
        return super().as_prepared(changed, [narrow(v) for v in values])

    def again(self):
        """A prepared statement is executed again with other values."""
        self.parameters = []
        text, ordered, folded = self.pick((self.plain, self.grouped, self.semi, self.window, self.frames, self.of_union, self.named_join))()
        values, self.parameters = self.parameters, None
        if not isinstance(text, str):
            return text, ordered, folded
        out = self.as_prepared(text, values)
        if len(out) < 3:
            return out, ordered, folded
        names = [s.split(" = ", 1)[0] for s in out[1:-1]]
        # of the same type, or NULL
        other = lambda s: self.pick(("NULL", super(More, self).literal(STR if s.split(" = ", 1)[1].startswith("'") else INT))) if self.chance(0.8) else s.split(" = ", 1)[1]
        self.parameters = None
        return out[:1] + ["%s = %s" % (n, other(s)) for n, s in zip(names, out[1:-1])] + out[-1:] + out[1:], ordered, folded

    def json_groups(self):
        source, scope, keys = self.source()
        group = self.pick([n for n, k in scope if k in EXACT])
        lone = len(keys) == 1 and source.split()[0] in [t.name for t in self.tables]
        made = "JSON_OBJECTAGG(%s, %s)" % (keys[0], self.column(scope, self.pick((INT, DATE)))) if lone else "JSON_LENGTH(JSON_ARRAYAGG(%s))" % self.column(scope, INT)
        listed = "GROUP_CONCAT(%s ORDER BY %s%s SEPARATOR '|')" % (self.column(scope, self.pick((INT, DATE, STR, DTM))), self.pick(("", "%s, " % group)), ", ".join(keys))
        return "SELECT %s, %s, %s FROM %s%s GROUP BY %s" % (group, made, listed, source, self.where(scope), group), False, False

    def hinted(self):
        text, ordered, folded = self.pick((self.plain, self.grouped, self.semi))()
        text = text.replace("SELECT ", "SELECT " + self.pick(HINTS), 1)
        if " DISTINCT" in text and "/*+" not in text:
            return text.replace("SELECT STRAIGHT_JOIN DISTINCT", "SELECT DISTINCT STRAIGHT_JOIN"), ordered, folded
        # MySQL has HIGH_PRIORITY for a locking clause of its own
        return text + self.pick(("", "") if "HIGH_PRIORITY" in text else ("", "", " FOR UPDATE", " FOR SHARE", " FOR UPDATE NOWAIT", " FOR SHARE SKIP LOCKED")), ordered, folded

    def groups_of_text(self):
        """Groups, orders and extremes of text in its collation."""
        source, scope, keys = self.source()
        # WEIGHT_STRING of ENUM and SET is one of numbers
        texts = [n for n, k in scope if k == STR and not self.is_enum(n, source)]
        if not texts:
            return self.grouped()
        name = self.pick(texts)
        forms = ("SELECT %s, COUNT(*) FROM {0} GROUP BY %s" % (name, name), "SELECT COUNT(DISTINCT %s), MIN(%s), MAX(%s) FROM {0}" % (name, name, name),
                 "SELECT HEX(WEIGHT_STRING(%s)), COUNT(*) FROM {0} GROUP BY 1" % name, "SELECT DISTINCT %s COLLATE %s FROM {0}" % (name, self.pick(COLLATIONS[:4])))
        return self.pick(forms).format(source + self.where(scope)), False, True

    def is_enum(self, name, source):
        """Whether "a0.c1" may be of an ENUM or SET, or of a view."""
        alias, column = name.split(".")
        words = source.replace("(", " ").replace(")", " ").split()
        table = words[words.index(alias) - 1]
        return all(c.literals_only for t in self.tables if t.name == table for c in t.columns if c.name == column)

    def refused(self):
        """What MySQL refuses as well, with its number."""
        source, scope, keys = self.source()
        name, number = self.column(scope, INT), self.pick([n for n, k in scope if k == INT and ".g" not in n])
        return self.pick(("SELECT COUNT(*) OVER (ORDER BY %s GROUPS 1 PRECEDING) FROM {0}" % name, "SELECT FIRST_VALUE(%s) IGNORE NULLS OVER () FROM {0}" % name,
                          "SELECT SUM(%s) OVER (ORDER BY %s ROWS BETWEEN 1 FOLLOWING AND 1 PRECEDING) FROM {0}" % (name, keys[0]), "SELECT %s, COUNT(*) FROM {0} GROUP BY %s + 1" % (number, number),
                          "SELECT (%s, 1) > ANY (SELECT 1, 2) FROM {0}" % name, "SELECT %s FROM {0} WHERE SUM(%s) > 1" % (name, name), "SELECT id + nowhere FROM {0}", "SELECT %s IN (SELECT 1, 2) FROM {0}" % name,
                          "SELECT GROUPING(%s), COUNT(*) FROM {0} GROUP BY %s" % (number, number), "SELECT 1 FROM {0} UNION SELECT 1, 2", "SELECT ROW_NUMBER() FROM {0}",
                          "SELECT %s FROM {0} WHERE RANK() OVER () > 1" % name, "SELECT DISTINCT %s FROM {0} ORDER BY %s + 1" % (number, number),
                          "SELECT %s FROM {0} WHERE %s IN (SELECT id FROM %s LIMIT 1)" % (name, name, self.tables[0].name), "SELECT NTILE(0) OVER () FROM {0}",
                          "WITH RECURSIVE w AS (SELECT 1 AS n UNION ALL SELECT SUM(n) FROM w) SELECT n FROM w, {0}", "SELECT LAG(%s, -1) OVER () FROM {0}" % name)).format(source), False, False

    def no_table(self):
        self.outer = False
        kinds = [self.pick(ALL) for _ in range(self.r.randint(1, 3))]
        return "SELECT %s%s" % (", ".join(self.expr([], k, 3) for k in kinds), self.pick(("", " FROM DUAL", " WHERE %s" % self.condition([], 1)))), False, False

    def of_big(self):
        t, n = self.pick(self.tables), self.r.randint(1, 900)
        return self.pick((
            ("SELECT a, COUNT(*), SUM(c), MIN(d), MAX(b) FROM big0 GROUP BY a", False, False),
            ("SELECT b, COUNT(*), SUM(e) FROM big0 WHERE id > %d GROUP BY b HAVING COUNT(*) > 2" % n, False, False),
            ("SELECT id, a, b FROM big0 ORDER BY %s LIMIT %d, 7" % (self.pick(("a, id", "b DESC, id", "d DESC, id", "e, id DESC", "c, b, id")), n), True, False),
            ("SELECT id, SUM(a) OVER (PARTITION BY b ORDER BY id%s), RANK() OVER (ORDER BY c) FROM big0" % self.pick(("", " ROWS 2 PRECEDING", " ROWS BETWEEN 1 PRECEDING AND 1 FOLLOWING")), False, False),
            ("SELECT x.id, y.c FROM big0 x JOIN big0 y ON y.id = x.e %s" % self.pick(("", "WHERE x.a < 9", "AND x.b = y.b")), False, False),
            ("SELECT x.a, COUNT(*), COUNT(y.id) FROM big0 x LEFT JOIN big0 y ON y.id = x.a * %d AND y.b > x.b GROUP BY x.a" % self.r.randint(1, 9), False, False),
            ("SELECT COUNT(*), SUM(x.a) FROM big0 x WHERE x.b %sIN (SELECT b FROM big0 WHERE a = %d%s)" % (self.pick(("", "NOT ")), n % 97, self.pick(("", " AND b IS NOT NULL"))), False, False),
            ("SELECT DISTINCT a, b FROM big0 WHERE id BETWEEN %d AND %d" % (n, n + 300), False, False),
            ("SELECT a FROM big0 WHERE id < %d %s SELECT id FROM big0 WHERE a > 40" % (n, self.pick(("UNION", "UNION ALL", "INTERSECT", "EXCEPT", "EXCEPT ALL", "INTERSECT ALL"))), False, False),
            ("SELECT t.id, big0.b, big0.c FROM %s t JOIN big0 ON big0.id = t.id * %d" % (t.name, self.r.randint(1, 40)), False, False),
            ("SELECT a, YEAR(d), COUNT(*) FROM big0 GROUP BY a, YEAR(d) WITH ROLLUP", False, False),
            ("SELECT MAX(id), MIN(e), COUNT(DISTINCT b), AVG(c), GROUP_CONCAT(DISTINCT a ORDER BY a) FROM big0 WHERE a <> %d" % (n % 97), False, False),
            ("SELECT x.id FROM big0 x WHERE x.e = (SELECT MAX(y.e) FROM big0 y WHERE y.a = x.a AND y.id < 400)", False, False),
            ("SELECT id FROM big0 WHERE d >= TIMESTAMP'2020-06-01 00:00:00' AND (a < %d OR b = 'v31') AND id %% 3 = 0" % (n % 97), False, False),
            ("SELECT x.b, d.n FROM (SELECT DISTINCT b FROM big0 WHERE a < 9) x JOIN LATERAL (SELECT COUNT(*) AS n FROM big0 y WHERE y.b = x.b) d", False, False)))

    # ---- changes ----

    def change(self):
        if self.big and self.chance(0.12):
            return self.pick(("UPDATE big0 SET c = c + 1, a = a + 1 WHERE id %% 7 = %d", "DELETE FROM big0 WHERE id %% 41 = %d", "UPDATE big0 SET b = CONCAT(b, 'x') WHERE a < %d",
                              "REPLACE INTO big0 SELECT id + 5, a, b, c, d, e FROM big0 WHERE id %% 50 = %d", "UPDATE big0 SET e = NULL WHERE a = %d ORDER BY id DESC LIMIT 20")) % self.r.randrange(9)
        if self.chance(0.6):
            return super().change()
        return self.pick((self.update_twice, self.update_twice, self.replace_again, self.again_by_expression, self.again_by_expression, self.several_tables, self.several_tables, self.by_common,
                          self.defaults, self.reading, self.reading, self.reading, self.not_fitting, self.not_fitting, self.temporary, self.emptied, self.level))()

    def update_twice(self):
        """Assignments that read what earlier ones have set."""
        table, scope, where = self.target()
        numbers = [c for c in table.written()[1:] if c.kind in (INT, DEC)]
        if not numbers:
            return self.update()
        a, b = self.pick(numbers), self.pick(numbers)
        return "UPDATE %s SET %s = %s + 1, %s = %s - 2%s WHERE %s" % (
            table.name, a.name, a.name, b.name, self.pick((a.name, b.name, "id")), self.pick(("", ", %s = NULLIF(%s, 3)" % (a.name, b.name))), where)

    def replace_again(self):
        table = self.pick(self.tables)
        names = ", ".join(c.name for c in table.written())
        return self.pick(("REPLACE INTO {0} ({1}) SELECT {1} FROM {0} o WHERE o.id % 3 = {2}", "INSERT IGNORE INTO {0} ({1}) SELECT {1} FROM {0} o WHERE o.id > {2}",
                          "REPLACE INTO {0} ({1}) VALUES ROW{3}, ROW{4}", "INSERT INTO {0} ({1}) VALUES ROW{3}, ROW{4} ON DUPLICATE KEY UPDATE id = {0}.id + 500")).format(
                              table.name, names, self.r.randrange(3), self.row(table, self.r.randrange(60)), self.row(table, self.r.randrange(60)))

    def again_by_expression(self):
        """What a row that is there already becomes."""
        table = self.pick(self.tables)
        columns = table.written()
        numbers = [c.name for c in columns[1:] if c.kind in (INT, DEC)] or ["id"]
        c, d = self.pick(numbers), self.pick(numbers)
        sets = self.pick(("{0} = {0} + 1", "{0} = VALUES({0}) + {0}", "{0} = IF(VALUES({1}) > {1}, VALUES({0}), {0})", "{0} = {0} + 1, {1} = {0}", "id = id + 300", "{0} = COALESCE({0}, VALUES(id))",
                          "{0} = (SELECT COUNT(*) FROM {2} x)")).format(c, d, self.other_than(table).name)
        rows = ", ".join(self.row(table, self.r.randrange(50)) for _ in range(self.r.randint(1, 4)))
        if self.chance(0.4):
            return "INSERT INTO %s %s VALUES %s AS n (%s) ON DUPLICATE KEY UPDATE %s = n.y%d" % (
                table.name, self.names(table), rows, ", ".join("y%d" % i for i in range(len(columns))), c, [x.name for x in columns].index(c))
        return "INSERT %sINTO %s %s VALUES %s ON DUPLICATE KEY UPDATE %s" % (self.pick(("", "", "IGNORE ")), table.name, self.names(table), rows, sets)

    def several_tables(self):
        """Three tables by their unique columns; a table twice; what is set comes from the other row."""
        a, b, c = self.pick(self.tables), self.pick(self.tables), self.pick(self.tables)
        kind = self.pick((INT, DATE, STR, DEC))
        mine = [x for x in a.written()[1:] if x.kind == kind and not x.literals_only]
        theirs = [x.name for x in b.columns if x.kind == kind]
        value = "y.%s" % self.pick(theirs) if theirs else self.literal(kind)
        n = self.r.randrange(3)
        if mine and self.chance(0.6):
            name = self.pick(mine).name
            return self.pick(("UPDATE {0} x JOIN {1} y ON y.id = x.id + {3} JOIN {2} z USING (id) SET x.{4} = {5} WHERE z.id % 2 = 0", "UPDATE {0} x, {1} y SET x.{4} = {5} WHERE x.id = y.id AND y.id > {3}",
                              "UPDATE {0} x LEFT JOIN {1} y ON y.id = x.id - {3} SET x.{4} = {5} WHERE y.id IS NULL OR x.id < 9")).format(a.name, b.name, c.name, n, name, value).replace("USING (id)", "ON z.id = x.id")
        return self.pick(("DELETE x FROM {0} x JOIN {1} y ON y.id = x.id + {3} JOIN {2} z ON z.id = y.id WHERE x.id % 3 = 0", "DELETE FROM x USING {0} x JOIN {0} y ON y.id = x.id + 1 WHERE y.id % 5 = {3}",
                          "DELETE x FROM {0} x LEFT JOIN {1} y USING (id) WHERE y.id IS NULL AND x.id % 4 = {3}",
                          "DELETE x FROM {0} x WHERE NOT EXISTS (SELECT 1 FROM {6} w WHERE w.id = x.id) AND x.id % 2 = 0")).format(
                              a.name, b.name, c.name, n, "", "", self.other_than(a).name)

    def by_common(self):
        self.outer = False
        table = self.pick(self.tables)
        other = self.other_than(table)
        c = self.pick(table.written()[1:])
        scope = self.scope_of(other, "b")
        self.depth += 2
        where = self.condition(scope, 0)
        self.depth -= 2
        return "WITH w AS (SELECT b.id AS k, COUNT(*) AS n FROM %s b WHERE %s GROUP BY b.id) UPDATE %s x JOIN w ON w.k = x.id SET x.%s = %s WHERE w.n = 1" % (
            other.name, where, table.name, c.name, self.pick(self.pool_of(c)))

    def defaults(self):
        table = self.pick(self.tables)
        c = self.pick([x for x in table.written()[1:] if x.kind not in (DATE, DTM)] or table.written()[1:])
        return self.pick(("UPDATE {0} SET {1} = DEFAULT WHERE id % 4 = {2}", "UPDATE {0} SET {1} = DEFAULT({1}) WHERE id % 6 = {2}", "INSERT INTO {0} (id) VALUES (7{2})",
                          "ALTER TABLE {0} ALTER COLUMN {1} DROP DEFAULT", "INSERT INTO {0} SET id = 8{2}, {1} = DEFAULT")).format(table.name, c.name, self.r.randrange(4))

    def reading(self):
        """A transaction that reads what it has written."""
        one = lambda: self.pick((self.update, self.delete, self.insert, self.again_by_expression, self.update_some, self.several_tables, self.update_keys))()

        def look():
            table = self.pick(self.tables)
            scope = self.scope_of(table, "a")
            self.outer = False
            return self.pick(("SELECT * FROM %s" % table.name, "SELECT a.id FROM %s a WHERE %s" % (table.name, self.condition(scope, 1)),
                              "SELECT COUNT(*), MIN(a.id), MAX(a.id) FROM %s a" % table.name, "SELECT a.id, b.id FROM %s a JOIN %s b ON b.id = a.id + 1 FOR UPDATE" % (table.name, self.other_than(table).name)))
        return [self.pick(("BEGIN", "START TRANSACTION", "START TRANSACTION WITH CONSISTENT SNAPSHOT")), one(), look(), "SAVEPOINT s", one(), look(), one(),
                self.pick(("ROLLBACK TO s", "RELEASE SAVEPOINT s", "SAVEPOINT r")), look(), one(), self.pick(("COMMIT", "COMMIT", "ROLLBACK")), look()]

    def not_fitting(self):
        """Values that do not fit, in loose ways of writing, and how many warnings there are: not of a table that computes columns, or parts of
        keys, which warn as often as they are computed."""
        table = self.pick(self.tables)
        if len(table.columns) > len(table.written()) or any("((" in k or "ARRAY" in k for k in table.keys):
            return self.insert()
        columns = [c for c in table.written()[1:] if c.kind in (INT, STR, DEC)]
        if not columns:
            return self.insert()
        c = self.pick(columns)
        bad = {INT: ("999999999999", "-129", "'7x'", "1.5", "''"), STR: ("'abcdefghijklmnop'", "'日本語'", "NULL"), DEC: ("123456789012.126", "'1.5x'", "0.00499", "NULL")}
        number = self.r.randrange(70, 90)
        first = self.pick(("INSERT IGNORE INTO {0} (id, {1}) VALUES ({2}, {3})", "UPDATE IGNORE {0} SET {1} = {3} WHERE id = {4}", "INSERT IGNORE INTO {0} (id, {1}) VALUES ({4}, {3}), ({2}, {3})")).format(
            table.name, c.name, number, self.pick(bad[c.kind]), self.r.randrange(9))
        return [first, "SHOW COUNT(*) WARNINGS"]

    def temporary(self):
        table = self.pick(self.tables)
        self.outer = False
        scope = self.scope_of(table, "a")
        kind = self.pick((INT, DEC, DATE, STR))
        return ["CREATE TEMPORARY TABLE kept (id int PRIMARY KEY, v %s, KEY (v))" % {INT: "bigint", DEC: "decimal(30,6)", DATE: "date", STR: "varchar(60)"}[kind],
                "INSERT IGNORE INTO kept SELECT a.id, %s FROM %s a" % (self.expr(scope, kind, 1), table.name), "SELECT * FROM kept",
                "UPDATE kept SET v = NULL WHERE id % 3 = 0", "DELETE FROM kept WHERE id > 9", "SELECT a.id, k.v FROM %s a LEFT JOIN kept k ON k.id = a.id" % table.name, "DROP TEMPORARY TABLE kept"]

    def emptied(self):
        table = self.pick(self.tables)
        return "TRUNCATE TABLE %s" % table.name if self.chance(0.25) else "DELETE FROM %s ORDER BY id%s LIMIT %d" % (table.name, self.pick(("", " DESC")), self.r.randint(1, 5))

    def level(self):
        return Everywhere("SET SESSION TRANSACTION ISOLATION LEVEL " + self.pick(LEVELS))
