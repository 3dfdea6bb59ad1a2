"""More kinds of everything: types, expressions, queries, changes and tables than generate.py and statements.py make.

What holds there holds here: an answer is decided by the statement alone, or is not compared."""
import re

from generate import ALL, DATE, DBL, DEC, DTM, INT, JSON, MULTI, ORDERED, POOL, STR, TIME, TYPES, Column, Table
from statements import EXACT, Generator, Nested

MORE_TYPES = {
    INT: ("int unsigned", "bigint unsigned", "tinyint unsigned"),
    STR: ("varchar(12) CHARACTER SET utf8mb3", "varchar(12) COLLATE utf8mb4_0900_as_cs", "varchar(12) COLLATE utf8mb4_unicode_ci",
          "varbinary(12)", "char(6) CHARACTER SET latin1 COLLATE latin1_general_cs", "set('a','b','ab','abc','x y','Z','10')"),
    DEC: ("decimal(30,10)", "decimal(65,30)", "decimal(8,2) unsigned"), DTM: ("datetime(6)",), TIME: ("time(6)",),
}
GENERATED = {INT: "bigint", STR: "varchar(80)", DEC: "decimal(30,6)", DATE: "date", DTM: "datetime(3)"}
# no integers beyond 64 bits: MySQL 9.7 compares members of rows with them wrongly
WIDE_DECIMALS = ("12345678901234567890123456789.012345678901", "0.000000000000000000000000000001", "0.5", "2.5", "-0.005")
MODES = ("", "STRICT_ALL_TABLES", "NO_UNSIGNED_SUBTRACTION,STRICT_TRANS_TABLES", "PIPES_AS_CONCAT", "TIME_TRUNCATE_FRACTIONAL",
         "HIGH_NOT_PRECEDENCE", "NO_ZERO_DATE,NO_ZERO_IN_DATE", "ERROR_FOR_DIVISION_BY_ZERO,STRICT_TRANS_TABLES",
         "ANSI_QUOTES", "REAL_AS_FLOAT")
UNITS = ("MICROSECOND", "SECOND", "MINUTE", "HOUR", "DAY", "WEEK", "MONTH", "QUARTER", "YEAR")
COMPOSITE = (("'1:30'", "HOUR_MINUTE"), ("'-2 3'", "DAY_HOUR"), ("'1-2'", "YEAR_MONTH"), ("'1 1:1:1.5'", "DAY_MICROSECOND"),
             ("'30.25'", "SECOND_MICROSECOND"), ("'1 10:00:00'", "DAY_SECOND"), ("'90:5'", "MINUTE_SECOND"))


class Everywhere(str):
    """A statement for the sessions of all servers."""


class Wide(Generator):
    def __init__(self, seed):
        super().__init__(seed)
        self.views = []

    def readable(self):
        return self.tables + self.views

    # ---- tables ----

    def forget(self, name):
        super().forget(name)
        self.views = [t for t in self.views if t.name != name]

    def column_type(self, kind):
        return self.pick(TYPES[kind] + MORE_TYPES.get(kind, ()) if self.chance(0.5) else TYPES[kind])

    def pool_of(self, column):
        pool = super().pool_of(column)
        return [v for v in pool if not v.startswith("-")] if "unsigned" in column.sql else pool

    def extras(self, table):
        """Generated columns, indexes of expressions, checks, unique keys."""
        scope = [(c.name, c.kind) for c in table.columns]
        before = len(table.columns), len(table.keys)
        self.depth += 2
        self.outer = True
        if self.chance(0.35):
            for i in range(self.r.randint(1, 2)):
                kind = self.pick(list(GENERATED))
                text = "%s GENERATED ALWAYS AS (%s) %s" % (GENERATED[kind], self.expr(scope[1:], kind, 1), self.pick(("VIRTUAL", "STORED")))
                table.columns.append(Column("g%d" % i, kind, text))
                if self.chance(0.5) and kind != STR:
                    table.keys.append("KEY kg%d (g%d)" % (i, i))
        if self.chance(0.2):
            table.keys.append("KEY kf ((%s))" % self.expr(scope, self.pick((INT, DEC, DATE)), 1))
        if self.chance(0.15):
            table.keys.append("CHECK (id > 5 OR %s)" % self.condition(scope, 0))
        plain = [c.name for c in table.columns[1:] if c.kind in (INT, STR) and c.sql.split()[0] not in ("text",) and not c.generated]
        if plain and self.chance(0.2):
            table.keys.append("UNIQUE KEY u0 (%s, id)" % self.pick(plain))
        if self.chance(0.15):
            table.keys += ["KEY kp%d (%s(2))" % (i, c.name) for i, c in enumerate(table.columns) if c.sql.startswith(("varchar", "text"))][:1]
        self.depth -= 2
        # MySQL 9.7 reads patterns of definitions in another character set, and forgets that of CHAR() there
        if self.changed_by_definition(str([c.sql for c in table.columns] + table.keys)):
            del table.columns[before[0]:], table.keys[before[1]:]

    def make_tables(self, count=3):
        out = super().make_tables(count)
        for n in range(self.pick((0, 1, 1, 2))):
            out.append(self.make_view("v%d" % n))
        return out

    @staticmethod
    def changed_by_definition(text):
        return "REG" in text or re.search(r"\bCHAR\(\w+, 65 USING", text) is not None

    def make_view(self, name):
        if self.chance(0.25):
            table = self.pick(self.tables)
            scope = self.scope_of(table, "a")
            group, kind = self.pick([(n, k) for n, k in scope if k in EXACT])
            columns = [Column("id", INT, "int"), Column("c0", kind, ""), Column("c1", INT, "")]
            text = "SELECT MAX(a.id), %s, COUNT(*) FROM %s a GROUP BY %s" % (group, table.name, group)
        else:
            table = self.pick(self.tables)
            scope = self.scope_of(table, "a")
            kinds = [self.pick((INT, STR, DEC, DATE)) for _ in range(self.r.randint(1, 3))]
            columns = [Column("id", INT, "int")] + [Column("c%d" % i, k, "") for i, k in enumerate(kinds)]
            make = lambda: "SELECT a.id, %s FROM %s a%s" % (", ".join(self.expr(scope, k, 1) for k in kinds), table.name, self.where(scope))
            text = make()
            while " USING utf8mb4)" in text and self.changed_by_definition(text.replace("REG", "")):
                text = make()
        self.views.append(Table(name, columns, []))
        self.views[-1].read_only = "(SELECT" in text
        return "CREATE VIEW %s (%s) AS %s" % (name, ", ".join(c.name for c in columns), text)

    # ---- expressions ----

    def literal(self, kind):
        if kind == DEC and self.parameters is None and self.chance(0.08):
            return self.pick(WIDE_DECIMALS)
        return super().literal(kind)

    def int_forms(self, e, scope, d):
        n = lambda: str(self.r.randint(0, 7))
        return super().int_forms(e, scope, d) + [
            lambda: "%s(%s, %s)" % (self.pick(("WEEK", "YEARWEEK")), e(DATE), n()),
            lambda: "PERIOD_ADD(2021%02d, %s)" % (self.r.randint(1, 12), e(INT)),
            lambda: "%s(%s)" % (self.pick(("TO_SECONDS", "UNIX_TIMESTAMP", "TO_DAYS")), e(self.pick((DATE, DTM)))),
            lambda: "TIMESTAMPDIFF(%s, %s, %s)" % (self.pick(UNITS), e(self.pick((DATE, DTM))), e(DTM)),
            lambda: "EXTRACT(%s FROM %s)" % (self.pick(("DAY_MINUTE", "YEAR", "MONTH", "WEEK", "MINUTE_SECOND", "HOUR_MICROSECOND")), e(self.pick((DATE, DTM)))),
            lambda: "(%s %s %s)" % (e(self.pick((INT, DEC))), self.pick(("DIV", "MOD")), e(self.pick((INT, DEC)))),
            lambda: "(~%s & 255)" % e(INT),
            lambda: "JSON_OVERLAPS(%s, %s)" % (e(JSON), e(JSON)),
            lambda: "JSON_VALUE(%s, '%s' RETURNING SIGNED%s)" % (e(JSON), self.pick(("$.a", "$[0]", "$.b[1]", "$")), self.pick(("", " DEFAULT 5 ON EMPTY NULL ON ERROR"))),
            lambda: "REGEXP_LIKE(%s, '%s', '%s')" % (e(STR), self.pick(("B", "^.y", "a|z")), self.pick("ic")),
            lambda: "CHAR_LENGTH(CONVERT(%s USING %s))" % (e(STR), self.pick(("latin1", "utf8mb3", "utf8mb4"))),
            lambda: "LENGTH(%s)" % e(self.pick((DEC, INT, DATE, JSON))),
            lambda: "%s(%s)" % (self.pick(("ISNULL", "NOT ")), e(INT)),
            lambda: "ROUND(%s, %s)" % (e(INT), self.pick(("-1", "1", "-2", e(INT)))),
            lambda: "INET_ATON(CONCAT(ABS(%s), '.0.0.', %s))" % (e(INT), n()),
        ]

    def str_forms(self, e, scope, d):
        n = lambda: str(self.r.randint(-2, 5))
        return super().str_forms(e, scope, d) + [
            lambda: "%s(%s)" % (self.pick(("BIN", "OCT", "HEX")), e(INT)),
            lambda: "%s(%s)" % (self.pick(("JSON_QUOTE", "LCASE")), e(STR)),
            lambda: "SHA2(%s, 256)" % e(STR),
            lambda: "EXPORT_SET(%s, 'y', 'n', ',', 4)" % e(INT),
            lambda: "TRIM(%s '%s' FROM %s)" % (self.pick(("LEADING", "TRAILING", "BOTH")), self.pick(("a", "b", " ", "ab")), e(STR)),
            lambda: "CONVERT(%s USING %s)" % (e(STR), self.pick(("latin1", "utf8mb4", "utf8mb3"))),
            lambda: "HEX(WEIGHT_STRING(CONCAT(%s) AS CHAR(3)))" % e(STR),
            # not %T: MySQL 9.7 cuts it in temporary tables
            lambda: "TIME_FORMAT(%s, '%s')" % (e(TIME), self.pick(("%H:%i", "%k.%f", "%p"))),
            lambda: "DATE_FORMAT(%s, '%s')" % (e(DTM), self.pick(("%x-%v", "%X %V", "%w %c %l", "%T|%r|%p", "%M %%"))),
            lambda: "JSON_VALUE(%s, '%s')" % (e(JSON), self.pick(("$.a", "$[0]", "$[1]", "$"))),
            lambda: "JSON_PRETTY(%s)" % e(JSON),
            lambda: "INET_NTOA(ABS(%s))" % e(INT),
            lambda: "SUBSTRING(%s FROM %s FOR %s)" % (e(STR), n(), n()),
            lambda: "CONCAT(%s, %s)" % (self.pick((e(self.pick((DATE, DTM))), self.column(scope, TIME))), e(STR)),
            lambda: "SPACE(%s)" % n(),
            lambda: "LPAD(%s, %s, %s)" % (e(INT), n(), e(STR)),
            lambda: "FORMAT(%s, %s, 'de_DE')" % (e(DEC), n()),
            lambda: "CHAR(%s, 65 USING utf8mb4)" % self.pick(("66", "97", "NULL")),
            lambda: "IF(%s, %s, %s)" % (self.condition(scope, 0), e(STR), e(self.pick((INT, DEC, DATE)))),
        ]

    def dec_forms(self, e, scope, d):
        return super().dec_forms(e, scope, d) + [
            lambda: "%s(%s, %s)" % (self.pick(("ROUND", "TRUNCATE")), e(DEC), self.pick(("-2", "2", "30", "5"))),
            lambda: "CAST(%s AS DECIMAL(65, 30))" % e(self.pick((DEC, INT))),
            lambda: "CAST(%s AS DECIMAL(%d, 2))" % (e(DEC), self.r.randint(2, 5)),
            lambda: "MOD(%s, %s)" % (e(DEC), e(DEC)),
            lambda: "JSON_VALUE(%s, '$.a' RETURNING DECIMAL(8, 3))" % e(JSON),
            lambda: "(%s + %s)" % (e(DEC), e(self.pick((DATE, TIME)))),
            lambda: "(%s * %s / %s)" % (e(DEC), e(DEC), self.pick(("3", "7", "0.01"))),
        ]

    def dbl_forms(self, e, scope, d):
        return super().dbl_forms(e, scope, d) + [
            lambda: "%s(%s)" % (self.pick(("SIN", "COS", "ATAN", "DEGREES", "RADIANS")), e(self.pick((DBL, INT)))),
            lambda: "%s(ABS(%s) + 1)" % (self.pick(("LN", "LOG2", "LOG10")), e(self.pick((DBL, DEC)))),
            lambda: "(%s %% %s)" % (e(DBL), self.pick(("2", "1.5", "1e0"))),
            lambda: "CAST(%s AS FLOAT)" % e(self.pick((INT, DEC, DBL))),
        ]

    def date_forms(self, e, scope, d):
        return super().date_forms(e, scope, d) + [
            lambda: "STR_TO_DATE(%s, '%%d.%%m.%%Y')" % self.pick(("'29.02.2020'", "'31.12.2021'", "'30.02.2021'", "'1.1.1999'")),
            lambda: "ADDDATE(%s, %s)" % (e(DATE), e(INT)),
            lambda: "CAST(DATE_FORMAT(%s, '%%Y-%%c-%%e') AS DATE)" % e(DATE),
            lambda: "(%s + INTERVAL %s)" % (e(DATE), self.pick(("'1-2' YEAR_MONTH", "2 WEEK", "-5 QUARTER"))),
            lambda: "(%s - INTERVAL %s DAY)" % (e(DATE), e(INT)),
        ]

    def dtm_forms(self, e, scope, d):
        return super().dtm_forms(e, scope, d) + [
            lambda: "(%s %s INTERVAL %s %s)" % ((e(self.pick((DTM, DATE))), self.pick("+-")) + self.pick(COMPOSITE[:2] + COMPOSITE[3:])),
            lambda: "TIMESTAMPADD(%s, %s, %s)" % (self.pick(UNITS), e(INT), e(DTM)),
            lambda: "FROM_UNIXTIME(ABS(%s) * 1000003)" % e(INT),
            lambda: "SUBTIME(%s, %s)" % (e(DTM), e(TIME)),
            lambda: "STR_TO_DATE('2021-03-04 %d:05', '%%Y-%%m-%%d %%H:%%i')" % self.r.randint(0, 23),
            lambda: "(%s + INTERVAL %s SECOND)" % (e(DTM), e(self.pick((INT, DEC)))),
            lambda: "CAST(%s AS DATETIME)" % e(DTM),
        ]

    def time_forms(self, e, scope, d):
        return super().time_forms(e, scope, d) + [
            lambda: "(%s %s INTERVAL %s %s)" % (e(TIME), self.pick("+-"), self.pick(("1", "90", "-30")), self.pick(("HOUR", "MINUTE", "SECOND", "MICROSECOND"))),
            lambda: "TIMEDIFF(%s, %s)" % (e(TIME), e(TIME)),
            lambda: "CAST(%s AS TIME)" % self.pick(("101112", "'10:11'", "'1 02:03:04'", e(TIME))),
            lambda: "MAKETIME(%s, 5, 6.25)" % e(INT),
        ]

    def json_forms(self, e, scope, d):
        path = lambda: self.pick(("'$.a'", "'$[0]'", "'$[last]'", "'$.b[1 to 2]'", "'$.*'", "'$[*]'", "'$**.a'"))
        return super().json_forms(e, scope, d) + [
            lambda: "JSON_EXTRACT(%s, %s%s)" % (e(JSON), path(), self.pick(("", ", " + path()))),
            lambda: "JSON_SEARCH(%s, '%s', '%s')" % (e(JSON), self.pick(("one", "all")), self.pick(("x", "a", "%"))),
            lambda: "JSON_ARRAY_INSERT(%s, '$[%d]', %s)" % (e(JSON), self.r.randint(0, 3), e(self.pick((INT, JSON)))),
            lambda: "JSON_OBJECT(%s, %s)" % (self.pick(("'k'", "'b'")), e(self.pick((DEC, DATE, DTM, TIME)))),
            lambda: "JSON_ARRAY(%s)" % self.condition(scope, 0),
            lambda: "CAST(%s AS JSON)" % e(self.pick((DEC, DTM, TIME, INT))),
            lambda: "JSON_SET(%s, '$.c', %s, '$.a', %s)" % (e(JSON), e(INT), e(STR)),
        ]

    # ---- queries ----

    def query(self):
        if self.chance(0.6):
            return super().query()
        return self.pick((self.nested_set, self.nested_set, self.grouped_more, self.grouped_more, self.window_more, self.window_of_groups, self.chain,
                          self.walk, self.lateral_rows, self.values_table, self.semi, self.distinct_order, self.binary, self.json_nested))()

    def nested_set(self):
        """Set operations in parentheses, with an order that decides the rows of a LIMIT.

        No INTERSECT over other set operations: MySQL 9.7 finds rows there that one side does not have."""
        kinds = [self.pick((INT, INT, DEC, DATE, TIME)) for _ in range(self.r.randint(1, 2))]
        order = " ORDER BY %s" % ", ".join("%d%s" % (i + 1, self.pick(("", " DESC"))) for i in range(len(kinds)))

        def part(depth):
            if depth == 0 or self.chance(0.4):
                text = self.simple(kinds)
                # a LIMIT of one part needs an order of its own
                return Nested(text if self.chance(0.7) else "(%s%s LIMIT %d)" % (text, order, self.r.randint(0, 6)))
            joined = Nested.of(part(depth - 1), self.pick(("UNION", "UNION ALL", "EXCEPT", "EXCEPT ALL")), part(depth - 1))
            return joined.then("" if self.chance(0.7) else "%s LIMIT %d" % (order, self.r.randint(1, 9)), parentheses=True)
        text = Nested.of(part(1), self.pick(("UNION", "UNION ALL", "EXCEPT")), part(1))
        return text.then(order + self.pick(("", " LIMIT 7", " LIMIT 5 OFFSET 3"))), True, False

    def grouped_more(self):
        """Groups by expressions, conditions on aggregates, orders by them."""
        source, scope, _ = self.source()
        group = [self.expr(scope, self.pick((INT, DATE, DEC)), 1) for _ in range(self.r.randint(1, 2))]
        names = ["e%d" % i for i in range(len(group))]
        kept, self.parameters = self.parameters, None
        one = lambda: "%s(%s)" % (self.pick(("SUM", "MIN", "MAX", "COUNT", "AVG")), self.column(scope, self.pick((INT, DEC))))
        having = " HAVING %s %s %s" % (one(), self.pick(("<", ">=", "<>")), self.pick((one(), self.literal(INT)))) if self.chance(0.5) else ""
        aggregates = self.aggregates(scope)
        self.parameters = kept
        items = ["%s AS %s" % (g, n) for g, n in zip(group, names)] + aggregates
        order = " ORDER BY %s%s" % (one() + ", " if self.chance(0.5) else "", ", ".join(names)) if self.chance(0.5) else ""
        return "SELECT %s FROM %s%s GROUP BY %s%s%s" % (", ".join(items), source, self.where(scope), ", ".join(names), having, order), bool(order), True

    def window_more(self):
        source, scope, keys = self.source()
        part = self.pick([n for n, k in scope if k in EXACT])
        day = [n for n, k in scope if k in (DATE, DTM)]
        number = self.pick([n for n, k in scope if k == INT])
        items = ["SUM(%s) OVER w" % self.column(scope, INT), "COUNT(*) OVER (w ROWS 1 PRECEDING)", "COUNT(%s) OVER (w ROWS BETWEEN 1 FOLLOWING AND 2 FOLLOWING)" % self.column(scope, self.pick((INT, DATE))),
                 "FIRST_VALUE(%s) OVER w" % self.column(scope, STR),
                 "%s(%s) OVER (ORDER BY %s RANGE BETWEEN %d PRECEDING AND %d PRECEDING)" % (self.pick(("SUM", "COUNT", "MIN", "AVG")), self.column(scope, INT), number, self.r.randint(2, 9), self.r.randint(0, 2)),
                 "LEAD(%s, 1, %s) OVER w" % (self.column(scope, DEC), self.literal(DEC)), "RANK() OVER (PARTITION BY %s ORDER BY %s)" % (part, number)]
        if day:
            # not of a zero date, which INSERT IGNORE leaves where NULL may not be: neither what it nor what others count then is in order
            items.append("COUNT(*) OVER (ORDER BY NULLIF(%s, 0)%s RANGE BETWEEN INTERVAL %d MONTH PRECEDING AND CURRENT ROW)" % (
                self.pick(day), self.pick(("", " DESC")), self.r.randint(1, 30)))
        chosen = self.r.sample(items, self.r.randint(1, 3))
        return "SELECT %s, %s FROM %s%s WINDOW w AS (PARTITION BY %s ORDER BY %s)%s" % (
            keys[0], ", ".join(chosen), source, self.where(scope), part, ", ".join(keys), self.pick(("", "", " ORDER BY " + ", ".join(keys)))), False, False

    def window_of_groups(self):
        source, scope, _ = self.source()
        group = self.pick([n for n, k in scope if k in EXACT])
        value = "%s(%s)" % (self.pick(("SUM", "MAX", "COUNT")), self.column(scope, INT))
        return "SELECT %s, %s, %s OVER (ORDER BY %s), %s OVER () FROM %s%s GROUP BY %s" % (
            group, value, self.pick(("SUM(%s)" % value, "RANK()", "LAG(%s)" % value)), self.pick((group, "%s, %s" % (value, group))),
            self.pick(("COUNT(*)", "SUM(%s)" % value)), source, self.where(scope), group), False, False

    def chain(self):
        """Common tables that use each other, also in subqueries."""
        first, second = [self.pick((INT, DEC, DATE)) for _ in range(2)], [INT, self.pick((INT, STR))]
        one = self.simple(first)
        self.outer = True
        scope = self.columns_of("u", first)
        two = "SELECT %s, %s FROM w1 u%s" % (self.expr(scope, second[0], 1), self.expr(scope, second[1], 1), self.where(scope))
        both = scope + self.columns_of("v", second)
        tail = self.pick(("", " AND EXISTS (SELECT 1 FROM w2 z WHERE z.x0 = v.x0)", " AND v.x0 IN (SELECT x0 FROM w2)", " OR v.x0 > (SELECT COUNT(*) FROM w1)"))
        return "WITH w1 (x0, x1) AS (%s), w2 (x0, x1) AS (%s) SELECT %s, COUNT(*) FROM w1 u JOIN w2 v ON %s WHERE (%s)%s GROUP BY 1" % (
            one, two, self.pick([n for n, k in both if k in EXACT]), self.pick(("u.x0 <=> v.x0", "TRUE", self.condition(both, 0))), self.condition(both, 0), tail), False, True

    def walk(self):
        """A recursive table over the rows of a table."""
        table = self.pick(self.tables)
        columns = [c.name for c in table.columns if c.kind == INT]
        return "WITH RECURSIVE w (id, d) AS (SELECT id, 0 FROM %s WHERE id %% 5 = %d UNION SELECT t.id, d + 1 FROM w JOIN %s t ON t.%s = w.id + %d WHERE d < 4) SELECT %s FROM w" % (
            table.name, self.r.randrange(5), table.name, self.pick(columns), self.r.randint(-1, 3), self.pick(("id, d", "COUNT(*), SUM(d)", "MAX(id), MIN(d)"))), False, False

    def lateral_rows(self):
        self.outer = True
        table, other = self.pick(self.readable()), self.pick(self.readable())
        outer, inner = self.scope_of(table, "a"), self.scope_of(other, "b")
        value = self.expr(inner + outer, INT, 1)
        return "SELECT a.id, d.id, d.x FROM %s a %s LATERAL (SELECT b.id, %s AS x FROM %s b WHERE %s ORDER BY %sb.id%s LIMIT %d) d ON %s" % (
            table.name, self.pick(("JOIN", "LEFT JOIN")), value, other.name, self.condition(outer + inner, 0), self.pick(("", "x, ")), self.pick(("", " DESC")),
            self.r.randint(1, 4), self.pick(("TRUE", "d.x > a.id", "d.id <> a.id"))), False, False

    def values_table(self):
        kinds = [self.pick((INT, STR, DEC, DATE)) for _ in range(2)]
        row = lambda: "ROW(%s)" % ", ".join(self.literal(k) if self.chance(0.8) else "NULL" for k in kinds)
        first = "ROW(%s), " % ", ".join(POOL[k][1] for k in kinds)      # so that each column has a type
        table = self.pick(self.tables)
        self.outer = True
        scope = [("d.p", kinds[0]), ("d.q", kinds[1])] + self.scope_of(table, "a")
        return "SELECT %s, %s FROM (VALUES %s%s) d (p, q) %s %s a ON %s" % (
            self.item(scope, 1), self.item(scope, 1), first, ", ".join(row() for _ in range(self.r.randint(1, 4))), self.pick(("JOIN", "LEFT JOIN", "RIGHT JOIN")), table.name,
            self.condition(scope, 0)), False, False

    def semi(self):
        """Subqueries over joins and groups in conditions."""
        source, scope, keys = self.source()
        inner_source, inner, inner_keys = self.source("b")
        self.outer = True
        self.depth += 2
        where = self.condition(inner + scope, 1)
        self.depth -= 2
        group = self.pick([n for n, k in inner if k == INT])
        forms = ("%s IN (SELECT %s FROM %s WHERE %s)" % (keys[0], group, inner_source, where),
                 "%s NOT IN (SELECT %s FROM %s WHERE %s)" % (keys[0], inner_keys[0], inner_source, where),
                 "%s IN (SELECT %s FROM %s GROUP BY %s HAVING COUNT(*) > 1)" % (self.pick([n for n, k in scope if k == INT]), group, inner_source, group),
                 "EXISTS (SELECT %s FROM %s WHERE %s)" % (group, inner_source, where),
                 "NOT EXISTS (SELECT 1 FROM %s WHERE %s AND %s = %s)" % (inner_source, where, group, keys[0]),
                 "%s = (SELECT MAX(%s) FROM %s WHERE %s)" % (self.pick([n for n, k in scope if k == INT]), group, inner_source, where),
                 "%s > ALL (SELECT %s FROM %s WHERE %s)" % (keys[0], group, inner_source, where))
        return "SELECT %s FROM %s WHERE %s %s" % (", ".join(keys), source, self.pick(forms), self.pick(("", "AND " + self.condition(scope, 0)))), False, False

    def distinct_order(self):
        source, scope, _ = self.source()
        kinds = [self.pick((INT, DEC, DATE, DTM)) for _ in range(2)]
        items = ", ".join("%s AS o%d" % (self.expr(scope, k, 1), i) for i, k in enumerate(kinds))
        return "SELECT DISTINCT %s FROM %s%s ORDER BY o1%s, o0 LIMIT %d" % (items, source, self.where(scope), self.pick(("", " DESC")), self.r.randint(1, 20)), True, False

    def json_nested(self):
        self.outer = True
        table = self.pick(self.tables)
        scope = self.scope_of(table, "a")
        return ("SELECT a.id, j.* FROM %s a, JSON_TABLE(%s, '$' COLUMNS (k JSON PATH '$.a', d DECIMAL(6,2) PATH '$.a' DEFAULT '7' ON EMPTY DEFAULT '8' ON ERROR, "
                "NESTED PATH '$.b[*]' COLUMNS (n FOR ORDINALITY, b INT PATH '$'), NESTED PATH '$[*]' COLUMNS (e VARCHAR(9) PATH '$'))) j" % (table.name, self.expr(scope, JSON, 1))), False, False

    def binary(self):
        """A statement for the binary protocol: its parameters are values, not literals."""
        self.parameters = []
        text, ordered, folded = self.pick((self.plain, self.cte, self.semi, self.window))()
        values, self.parameters = self.parameters, None
        text, used = self.marked(text, values)
        return Binary(text, used), ordered, folded

    # ---- changes ----

    def change(self):
        if self.chance(0.55):
            return super().change()
        return self.pick((self.mode, self.alter, self.alter, self.update_by_subquery, self.update_by_subquery, self.delete_by_subquery, self.insert_again, self.insert_again,
                          self.nested_savepoints, self.create_select, self.update_derived, self.view_change, self.binary_change))()

    def mode(self):
        # what an index has of a VIRTUAL column was rounded in the mode of who wrote the row
        fixed = any("VIRTUAL" in c.sql for t in self.tables for c in t.columns) or any("((" in k for t in self.tables for k in t.keys)
        modes = [m for m in MODES if "TRUNCATE" not in m or not fixed]
        return Everywhere("SET sql_mode = %s" % self.pick(["'%s'" % m for m in modes] + ["DEFAULT"] * 8))

    def alter(self):
        table = self.pick(self.tables)
        c = self.pick(table.columns[1:])
        wider = {INT: ("bigint", "int"), STR: ("varchar(40)", "text", "char(20)", "varchar(40) CHARACTER SET latin1"), DEC: ("decimal(20,6)", "decimal(10,1)"),
                 DATE: ("date", "date"), DTM: ("datetime(6)", "datetime"), TIME: ("time(3)", "time"), DBL: ("double",), JSON: ("json",), MULTI: ("json",)}
        forms = ["ADD COLUMN z%d %s" % (self.r.randrange(2), self.pick(("int DEFAULT 5", "varchar(9) NOT NULL", "decimal(6,2)", "int AS (id + 1) VIRTUAL", "int AS (id * 2) STORED", "int DEFAULT 3 FIRST"))),
                 "DROP COLUMN z%d" % self.r.randrange(2), "ADD CHECK (id <> 3)", "ALTER INDEX k0 %s" % self.pick(("INVISIBLE", "VISIBLE")),
                 "ADD INDEX kx%d ((%s))" % (self.r.randrange(2), "id %% %d" % self.r.randint(2, 5)), "DROP INDEX kx%d" % self.r.randrange(2)]
        if not c.generated:
            forms += ["MODIFY COLUMN %s %s%s" % (c.name, self.pick(wider[c.kind]), self.pick(("", " NULL", " NOT NULL")))] * 3
            forms.append("ALTER COLUMN %s SET DEFAULT %s" % (c.name, self.pick(self.pool_of(c)) if c.kind in (INT, DEC) else "NULL"))
        return "ALTER TABLE %s %s" % (table.name, self.pick(forms))

    def other_than(self, table):
        return self.pick([t for t in self.tables if t is not table] or self.tables)

    def update_by_subquery(self):
        self.outer = True
        table = self.pick(self.tables)
        other = self.other_than(table)
        c = self.pick(table.written()[1:])
        scope, inner = self.scope_of(table, table.name), self.scope_of(other, "b")
        self.depth += 2
        of = self.column(inner, c.kind) if c.kind not in (JSON, MULTI) else "b.id"
        of = "CAST(%s AS BINARY)" % of if c.kind == STR else of      # which of two equal texts an extreme is, is open
        value = "(SELECT %s(%s) FROM %s b WHERE %s)" % (self.pick(("MAX", "MIN")), of, other.name, self.condition(scope + inner, 0))
        where = self.pick((self.condition(scope, 1), "%s.id IN (SELECT b.id FROM %s b WHERE %s)" % (table.name, other.name, self.condition(inner, 0))))
        self.depth -= 2
        return "UPDATE %s SET %s = %s WHERE %s" % (table.name, c.name, value if not c.literals_only else "NULL", where)

    def delete_by_subquery(self):
        self.outer = True
        table = self.pick(self.tables)
        other = self.other_than(table)
        inner = self.scope_of(other, "b")
        self.depth += 2
        where = self.condition(inner, 1)
        self.depth -= 2
        return self.pick(("DELETE FROM %s WHERE id IN (SELECT b.id FROM %s b WHERE %s) AND id %% 3 = 0" % (table.name, other.name, where),
                          "DELETE a FROM %s a LEFT JOIN %s b ON a.id = b.id AND %s WHERE b.id IS NULL AND a.id %% 3 = 1" % (table.name, other.name, where),
                          "DELETE FROM a USING %s a JOIN (SELECT b.id FROM %s b WHERE %s) d ON d.id = a.id WHERE a.id %% 3 = 2" % (table.name, other.name, where),
                          "WITH w AS (SELECT b.id FROM %s b WHERE %s) DELETE FROM %s WHERE id IN (SELECT id FROM w) AND id %% 4 = 0" % (other.name, where, table.name)))

    def insert_again(self):
        """INSERT with SET, with rows that meet others, from a query that meets others."""
        self.outer = False
        table = self.pick(self.tables)
        columns = table.written()
        # no zero dates: what is a month before them is open
        c = self.pick([x for x in columns[1:] if x.kind not in (DATE, DTM)] or columns[:1])
        value = self.pick(self.pool_of(c)) if c is not columns[0] else str(self.r.randrange(60, 99))
        number = self.r.randrange(60)
        form = self.r.randrange(4)
        if form == 0:
            sets = ["id = %d" % number] + ["%s = %s" % (x.name, self.pick(self.pool_of(x))) for x in columns[1:]]
            return "%s %s SET %s" % (self.pick(("INSERT INTO", "REPLACE INTO", "INSERT IGNORE INTO")), table.name, ", ".join(sets))
        if form == 1:
            return "INSERT INTO %s (%s) VALUES %s AS n ON DUPLICATE KEY UPDATE %s = %s" % (
                table.name, ", ".join(x.name for x in columns), ", ".join(self.row(table, self.r.randrange(50)) for _ in range(2)), c.name, self.pick(("n." + c.name, value)))
        if form == 2:
            return "INSERT INTO %s (id, %s) SELECT id, %s FROM %s b WHERE id < %d ORDER BY id ON DUPLICATE KEY UPDATE %s = %s" % (
                table.name, c.name, value, self.other_than(table).name, self.r.randint(1, 30), c.name, self.pick(("VALUES(%s)" % c.name, "%s.%s" % (table.name, c.name))))
        return "%s INTO %s (id, %s) VALUES (%d, DEFAULT), (%d, %s)" % (self.pick(("INSERT", "REPLACE", "INSERT IGNORE")), table.name, c.name, number, number + 1, value)

    def nested_savepoints(self):
        one = lambda: self.pick((self.update, self.delete, self.insert, self.insert_again, self.update_by_subquery))()
        return ["START TRANSACTION", one(), "SAVEPOINT a", one(), "SAVEPOINT b", one(), self.pick(("ROLLBACK TO a", "ROLLBACK TO b", "RELEASE SAVEPOINT b", "SAVEPOINT a")), one(),
                self.pick(("ROLLBACK TO a", "ROLLBACK TO b", "DO 1")), self.pick(("COMMIT", "COMMIT", "ROLLBACK"))]

    def create_select(self):
        kinds = [self.pick((INT, DEC, DATE, STR, DTM)) for _ in range(2)]
        self.outer = False
        table = self.pick(self.tables)
        scope = self.scope_of(table, "a")
        items = ", ".join("%s AS y%d" % (self.expr(scope, k, 1), i) for i, k in enumerate(kinds))
        return ["CREATE TABLE made (PRIMARY KEY (id)) AS SELECT a.id, %s FROM %s a%s" % (items, table.name, self.where(scope)), "UPDATE made SET id = id + 1000 ORDER BY id DESC",
                "DELETE FROM made WHERE y0 IS NULL", "INSERT IGNORE INTO made SELECT * FROM made", "DROP TABLE made"]

    def update_derived(self):
        self.outer = False
        table = self.pick(self.tables)
        other = self.other_than(table)
        c = self.pick(table.written()[1:])
        return "UPDATE %s a JOIN (SELECT b.id AS k, COUNT(*) AS n FROM %s b GROUP BY k) d ON d.k = a.id SET a.%s = %s WHERE d.n > 0 AND a.id > %d" % (
            table.name, other.name, c.name, self.pick(self.pool_of(c)), self.r.randrange(30))

    def view_change(self):
        # a view whose condition reads its table again is not told apart
        view = self.pick([v for v in self.views if not v.read_only] or self.tables)
        return self.pick(("UPDATE %s SET id = id + 200 WHERE id < %d ORDER BY id DESC", "DELETE FROM %s WHERE id > %d AND id %% 3 = 0")) % (view.name, self.r.randrange(40))

    def binary_change(self):
        self.parameters = []
        text = self.pick((self.update, self.delete))()
        values, self.parameters = self.parameters, None
        return Binary(*self.marked(text, values))


class Binary:
    """A text with question marks, and the literals that are its parameters."""
    def __init__(self, text, literals):
        self.text, self.literals = text, literals

    def __str__(self):
        return "%s -- %s" % (self.text, ", ".join(self.literals))
