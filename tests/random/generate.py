"""Random statements, typed and seeded: tables with rows, expressions, queries and changes.

Values come from small pools, so that comparisons meet equal ones; every expression has a type, so that results depend on SQL's rules
and not on conversions of nonsense. What MySQL itself leaves open (order without ORDER BY, rows that LIMIT picks, which of two strings that
differ in case stands for both) is not made."""
import random

INT, STR, DEC, DATE = "int", "str", "dec", "date"
TYPES = {INT: ("int", "bigint", "smallint"), STR: ("varchar(12)", "char(6)"), DEC: ("decimal(8,2)", "decimal(12,4)"), DATE: ("date",)}
POOL = {
    INT: ["0", "1", "-1", "2", "3", "7", "10", "42", "-5", "100"],
    STR: ["''", "'a'", "'b'", "'ab'", "'abc'", "'x y'", "'Z'", "'10'", "'b '"],
    DEC: ["0.00", "1.50", "-1.50", "2.25", "10.00", "0.01", "99.99"],
    DATE: ["DATE'2020-02-29'", "DATE'2021-01-01'", "DATE'2021-12-31'", "DATE'1999-07-04'", "DATE'2024-03-10'"],
}


class Column:
    def __init__(self, name, kind, sql):
        self.name, self.kind, self.sql = name, kind, sql


class Table:
    def __init__(self, name, columns, keys):
        self.name, self.columns, self.keys = name, columns, keys

    def create(self):
        parts = ["%s %s" % (c.name, c.sql) for c in self.columns] + self.keys
        return "CREATE TABLE %s (%s)" % (self.name, ", ".join(parts))


class Generator:
    def __init__(self, seed):
        self.r = random.Random(seed)
        self.tables = []
        self.depth = 0

    def pick(self, items):
        return items[self.r.randrange(len(items))]

    def chance(self, p):
        return self.r.random() < p

    # ---- tables ----

    def make_tables(self, count=3):
        statements = []
        for n in range(count):
            columns = [Column("id", INT, "int NOT NULL PRIMARY KEY")]
            for i in range(self.r.randint(2, 5)):
                kind = self.pick((INT, INT, STR, STR, DEC, DATE))
                columns.append(Column("c%d" % i, kind, self.pick(TYPES[kind]) + (" NOT NULL" if self.chance(0.2) else "")))
            keys = []
            for k in range(self.r.randint(0, 2)):
                chosen = self.r.sample(columns[1:], self.r.randint(1, min(2, len(columns) - 1)))
                keys.append("KEY k%d (%s)" % (k, ", ".join(c.name for c in chosen)))
            table = Table("t%d" % n, columns, keys)
            self.tables.append(table)
            statements.append(table.create())
            rows = [self.row(table, i) for i in range(self.r.randint(0, 40))]
            if rows:
                statements.append("INSERT INTO %s VALUES %s" % (table.name, ", ".join(rows)))
        return statements

    def row(self, table, number):
        values = [str(number)]
        for c in table.columns[1:]:
            null = "NOT NULL" not in c.sql and self.chance(0.25)
            values.append("NULL" if null else self.pick(POOL[c.kind]))
        return "(%s)" % ", ".join(values)

    # ---- expressions over the columns in scope: a list of (name, kind) ----

    def column(self, scope, kind):
        fitting = [name for name, k in scope if k == kind]
        return self.pick(fitting) if fitting and self.chance(0.75) else self.pick(POOL[kind])

    def expr(self, scope, kind, depth=2):
        if depth == 0 or self.chance(0.35):
            return self.column(scope, kind)
        d = depth - 1
        same = lambda: self.expr(scope, kind, d)
        general = [
            lambda: "COALESCE(%s, %s)" % (same(), same()),
            lambda: "IF(%s, %s, %s)" % (self.condition(scope, d), same(), same()),
            lambda: "NULLIF(%s, %s)" % (same(), same()),
            lambda: "CASE WHEN %s THEN %s ELSE %s END" % (self.condition(scope, d), same(), same()),
        ]
        special = {
            INT: [
                lambda: "(%s %s %s)" % (same(), self.pick("+-*"), same()),
                lambda: "ABS(%s)" % same(),
                lambda: "LENGTH(%s)" % self.expr(scope, STR, d),
                lambda: "(%s %% %s)" % (same(), self.pick(("2", "3", "7"))),
                lambda: "DAY(%s)" % self.expr(scope, DATE, d),
                lambda: "GREATEST(%s, %s)" % (same(), same()),
                lambda: "SIGN(%s)" % self.expr(scope, DEC, d),
            ],
            STR: [
                lambda: "CONCAT(%s, %s)" % (same(), same()),
                lambda: "UPPER(%s)" % same(),
                lambda: "SUBSTRING(%s, %d, %d)" % (same(), self.r.randint(1, 3), self.r.randint(0, 3)),
                lambda: "TRIM(%s)" % same(),
                lambda: "REPLACE(%s, 'a', 'x')" % same(),
                lambda: "LPAD(%s, 4, '*')" % same(),
            ],
            DEC: [
                lambda: "(%s %s %s)" % (same(), self.pick("+-"), same()),
                lambda: "ROUND(%s, 1)" % same(),
                lambda: "(%s * %s)" % (same(), self.pick(("2", "0.5"))),
                lambda: "-(%s)" % same(),
            ],
            DATE: [
                lambda: "(%s + INTERVAL %s DAY)" % (same(), self.pick(("1", "30", "-1"))),
                lambda: "LAST_DAY(%s)" % same(),
            ],
        }[kind]
        return self.pick(general + special * 2)()

    def condition(self, scope, depth=2):
        kind = self.pick((INT, INT, STR, DEC, DATE))
        value = lambda: self.expr(scope, kind, max(depth - 1, 0))
        forms = [
            lambda: "%s %s %s" % (value(), self.pick(("=", "<>", "<", "<=", ">", ">=", "<=>")), value()),
            lambda: "%s IS %sNULL" % (value(), self.pick(("", "NOT "))),
            lambda: "%s %sIN (%s)" % (value(), self.pick(("", "NOT ")), ", ".join(value() for _ in range(self.r.randint(1, 4)))),
            lambda: "%s %sBETWEEN %s AND %s" % (value(), self.pick(("", "NOT ")), value(), value()),
            lambda: "%s LIKE '%s'" % (self.expr(scope, STR, 1), self.pick(("a%", "%b%", "_", "A_", "%"))),
        ]
        if depth > 0:
            forms += [
                lambda: "(%s %s %s)" % (self.condition(scope, depth - 1), self.pick(("AND", "OR", "XOR")), self.condition(scope, depth - 1)),
                lambda: "NOT (%s)" % self.condition(scope, depth - 1),
                lambda: self.subquery_condition(scope),
            ]
        return self.pick(forms)()

    def subquery_condition(self, scope):
        if self.depth >= 2:
            return "1 = 1"
        self.depth += 1
        table = self.pick(self.tables)
        alias = "s%d" % self.depth
        inner = [("%s.%s" % (alias, c.name), c.kind) for c in table.columns]
        both = inner + (scope if self.chance(0.5) else [])
        kind = self.pick((INT, STR))
        where = self.condition(both, 1)
        text = self.pick((
            lambda: "%sEXISTS (SELECT 1 FROM %s %s WHERE %s)" % (self.pick(("", "NOT ")), table.name, alias, where),
            lambda: "%s %sIN (SELECT %s FROM %s %s WHERE %s)" % (self.column(scope, kind), self.pick(("", "NOT ")),
                                                                self.column(inner, kind), table.name, alias, where),
            lambda: "%s %s (SELECT %s(%s) FROM %s %s WHERE %s)" % (self.column(scope, INT), self.pick(("<", ">=", "=")),
                                                                  self.pick(("MAX", "MIN", "COUNT")), self.column(inner, INT), table.name, alias, where),
        ))()
        self.depth -= 1
        return text

    # ---- queries ----

    def source(self):
        """(FROM clause, scope)"""
        tables = [self.pick(self.tables) for _ in range(self.pick((1, 1, 2, 2, 3)))]
        text, scope = "", []
        for i, t in enumerate(tables):
            alias = "a%d" % i
            mine = [("%s.%s" % (alias, c.name), c.kind) for c in t.columns]
            if i == 0:
                text = "%s %s" % (t.name, alias)
            else:
                join = self.pick(("JOIN", "LEFT JOIN", "RIGHT JOIN", "CROSS JOIN"))
                # no subqueries: MySQL 9.7 counts matches of EXISTS in an outer join's condition more than once
                self.depth += 2
                on = "" if join == "CROSS JOIN" else " ON %s" % self.join_condition(scope, mine)
                self.depth -= 2
                text += " %s %s %s%s" % (join, t.name, alias, on)
            scope = scope + mine
        return text, scope

    def join_condition(self, left, right):
        kind = self.pick((INT, INT, STR))
        a = [n for n, k in left if k == kind]
        b = [n for n, k in right if k == kind]
        if a and b and self.chance(0.8):
            equal = "%s = %s" % (self.pick(a), self.pick(b))
            return equal if self.chance(0.7) else "%s AND %s" % (equal, self.condition(left + right, 1))
        return self.condition(left + right, 1)

    def query(self):
        source, scope = self.source()
        where = " WHERE %s" % self.condition(scope) if self.chance(0.8) else ""
        shape = self.r.random()
        if shape < 0.45:
            items = [self.expr(scope, self.pick((INT, STR, DEC, DATE))) for _ in range(self.r.randint(1, 4))]
            return "SELECT %s%s FROM %s%s" % (self.pick(("", "", "DISTINCT ")), ", ".join(items), source, where)
        if shape < 0.8:
            group = [n for n, _ in self.r.sample(scope, self.r.randint(1, 2))]
            aggregates = ["%s(%s)" % (self.pick(("SUM", "MIN", "MAX", "COUNT")), self.expr(scope, self.pick((INT, DEC)), 1)),
                          "COUNT(*)", "COUNT(DISTINCT %s)" % self.column(scope, STR)]
            having = " HAVING COUNT(*) > %d" % self.r.randint(0, 2) if self.chance(0.3) else ""
            return "SELECT %s, %s FROM %s%s GROUP BY %s%s" % (", ".join(group), ", ".join(aggregates[:self.r.randint(1, 3)]), source, where,
                                                            ", ".join(group), having)
        if shape < 0.9:
            kind = self.pick((INT, STR))
            other, other_scope = self.source()
            return "SELECT %s FROM %s%s %s SELECT %s FROM %s" % (self.expr(scope, kind, 1), source, where,
                                                                self.pick(("UNION", "UNION ALL", "INTERSECT", "EXCEPT")),
                                                                self.expr(other_scope, kind, 1), other)
        order = ", ".join(n for n, _ in scope)
        return "SELECT %s, %s OVER (PARTITION BY %s ORDER BY %s) FROM %s%s" % (
            scope[0][0], self.pick(("ROW_NUMBER()", "RANK()", "COUNT(*)")), self.pick(scope)[0], order, source, where)

    # ---- changes ----

    def change(self):
        table = self.pick(self.tables)
        scope = [("%s.%s" % (table.name, c.name), c.kind) for c in table.columns]
        where = self.condition(scope, 1) if self.chance(0.9) else "%s.id < 5" % table.name
        shape = self.r.random()
        if shape < 0.45:
            c = self.pick(table.columns[1:])
            return "UPDATE %s SET %s = %s WHERE %s" % (table.name, c.name, self.column(scope, c.kind), where)
        if shape < 0.6:
            return "DELETE FROM %s WHERE %s AND %s.id %% 4 = %d" % (table.name, where, table.name, self.r.randrange(4))
        number = self.r.randrange(60)
        how = self.pick(("INSERT IGNORE INTO", "REPLACE INTO", "INSERT INTO"))
        odku = ""
        if how == "INSERT INTO" and self.chance(0.6):
            c = self.pick(table.columns[1:])
            odku = " ON DUPLICATE KEY UPDATE %s = %s" % (c.name, self.pick(POOL[c.kind]))
        return "%s %s VALUES %s%s" % (how, table.name, self.row(table, number), odku)
