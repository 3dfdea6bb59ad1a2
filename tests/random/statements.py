"""Random queries and changes over the tables and expressions of generate.py.

A query is (text, ordered, folded): whether its order is decided, and whether which of several equal strings it shows is open."""
import re

from generate import ALL, DATE, DBL, DEC, DTM, INT, JSON, MULTI, ORDERED, STR, TIME, Expressions

# none that may be without rows: where a key has found its one row, MySQL 9.7 takes that row's value
FRAMES = ("", "", " ROWS BETWEEN 1 PRECEDING AND CURRENT ROW", " ROWS BETWEEN UNBOUNDED PRECEDING AND 1 FOLLOWING",
          " ROWS BETWEEN 2 PRECEDING AND CURRENT ROW", " RANGE BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW",
          " ROWS BETWEEN CURRENT ROW AND UNBOUNDED FOLLOWING")
EXACT = (INT, DEC, DATE, DTM, TIME)
MARK = re.compile(r":(\d+):(?!\d)")      # of the parameter of that number


class Nested(str):
    """A query of set operations. again: None, or its parts (text or again), the operator and what follows."""
    again = None

    @classmethod
    def of(cls, left, operator, right):
        out = cls("%s %s %s" % (left, operator, right))
        out.again = tuple(x.again or str(x) if isinstance(x, Nested) else x for x in (left, operator, right)) + ("",)
        return out

    def then(self, tail, parentheses=False):
        out = Nested(("(%s%s)" if parentheses else "%s%s") % (self, tail))
        out.again = self.again[:3] + (tail,)
        return out


class Prepared(list):
    """A prepared query of set operations: its statements. again: its parts, as those of Nested, with the values in their places."""
    again = None


def each_part(again, change):
    """The parts of a Nested with each text changed."""
    return change(again) if isinstance(again, str) else tuple(each_part(x, change) for x in again)


class Generator(Expressions):
    def scope_of(self, table, alias):
        return [("%s.%s" % (alias, c.name), c.kind) for c in table.columns]

    def source(self, prefix="a"):
        """(FROM clause, scope, names of the primary keys)"""
        tables = [self.pick(self.readable()) for _ in range(self.pick((1, 1, 2, 2, 3)))]
        # MySQL 9.7 does not see that an expression of a view is NULL in a row that an outer join makes
        views = any(t not in self.tables for t in tables)
        text, scope, keys = "", [], []
        self.outer = False
        for i, t in enumerate(tables):
            alias = "%s%d" % (prefix, i)
            mine = self.scope_of(t, alias)
            if i == 0:
                text = "%s %s" % (t.name, alias)
            else:
                join = self.pick(("JOIN", "CROSS JOIN", "STRAIGHT_JOIN") + (() if views else ("LEFT JOIN", "RIGHT JOIN")))
                self.outer = self.outer or "T JOIN" in join
                # no subqueries: MySQL 9.7 counts matches of EXISTS in an outer join's condition more than once
                self.depth += 2
                on = "" if join == "CROSS JOIN" else " ON %s" % self.join_condition(scope, mine)
                self.depth -= 2
                text += " %s %s %s%s" % (join, t.name, alias, on)
            scope = scope + mine
            keys.append(alias + ".id")
        return text, scope, keys

    def join_condition(self, left, right):
        kind = self.pick((INT, INT, STR))
        a = [n for n, k in left if k == kind]
        b = [n for n, k in right if k == kind]
        if a and b and self.chance(0.8):
            equal = "%s = %s" % (self.pick(a), self.pick(b))
            return equal if self.chance(0.7) else "%s AND %s" % (equal, self.condition(left + right, 1))
        return self.condition(left + right, 1)

    def where(self, scope):
        return " WHERE %s" % self.condition(scope) if self.chance(0.8) else ""

    def item(self, scope, depth=2):
        return self.expr(scope, self.pick(ALL), depth)

    # ---- queries ----

    def query(self):
        forms = (self.plain, self.plain, self.plain, self.grouped, self.grouped, self.rollup, self.set_operation, self.window, self.window,
                 self.cte, self.recursive, self.derived, self.lateral, self.json_table, self.mixed, self.prepared)
        return self.pick(forms)()

    def plain(self):
        source, scope, keys = self.source()
        items = ", ".join(self.item(scope) for _ in range(self.r.randint(1, 4)))
        where = self.where(scope)
        if self.chance(0.2):
            return "SELECT DISTINCT %s FROM %s%s" % (items, source, where), False, True
        if self.chance(0.3):
            first = self.pick([n for n, k in scope if k in EXACT])
            limit = " LIMIT %d" % self.r.randint(0, 9) + self.pick(("", " OFFSET 2")) if self.chance(0.6) else ""
            order = ", ".join([first + self.pick(("", " DESC"))] + keys)
            return "SELECT %s FROM %s%s ORDER BY %s%s" % (items, source, where, order, limit), True, False
        return "SELECT %s FROM %s%s" % (items, source, where), False, False

    def aggregates(self, scope):
        # no parameters: MySQL 9.7 takes them for NULL when the groups lie in a temporary table
        kept, self.parameters = self.parameters, None
        out = self.aggregate_list(scope)
        self.parameters = kept
        return out

    def aggregate_list(self, scope):
        exact = lambda: self.expr(scope, self.pick((INT, DEC)), 1)
        forms = (lambda: "%s(%s)" % (self.pick(("SUM", "AVG", "MIN", "MAX", "COUNT")), exact()),
                 lambda: "%s(%s)" % (self.pick(("MIN", "MAX")), self.expr(scope, self.pick((DATE, DTM, TIME, STR)), 1)),
                 lambda: "COUNT(*)",
                 lambda: "COUNT(DISTINCT %s)" % self.column(scope, self.pick((STR, INT, DATE))),
                 lambda: "COUNT(DISTINCT %s, %s)" % (self.column(scope, STR), self.column(scope, INT)),
                 lambda: "%s(DISTINCT %s)" % (self.pick(("SUM", "AVG")), self.column(scope, self.pick((INT, DEC)))),
                 lambda: "%s(%s)" % (self.pick(("BIT_AND", "BIT_OR", "BIT_XOR")), self.column(scope, INT)),
                 lambda: "%s(%s)" % (self.pick(("STD", "VAR_POP", "VAR_SAMP", "STDDEV_SAMP")), self.column(scope, INT)),
                 lambda: "GROUP_CONCAT(DISTINCT %s ORDER BY 1 SEPARATOR '/')" % self.column(scope, INT),
                 lambda: "SUM(%s) / COUNT(*)" % self.column(scope, DEC))
        return [self.pick(forms)() for _ in range(self.r.randint(1, 3))]

    def grouped(self):
        source, scope, _ = self.source()
        where = self.where(scope)
        able = [n for n, k in scope if k in ORDERED]
        group = self.r.sample(able, min(len(able), self.r.randint(0, 2)))
        having = " HAVING COUNT(*) > %d" % self.r.randint(0, 2) if self.chance(0.3) else ""
        by = " GROUP BY %s" % ", ".join(group) if group else ""
        return "SELECT %s FROM %s%s%s%s" % (", ".join(group + self.aggregates(scope)), source, where, by, having), False, True

    def rollup(self):
        # without HAVING, GROUPING of the row of no rows depends on MySQL's plan
        source, scope, _ = self.source()
        able = [n for n, k in scope if k in ORDERED]
        group = self.r.sample(able, 1 if self.chance(0.5) or len(scope) < 4 else min(2, len(able)))
        return "SELECT %s, GROUPING(%s), %s FROM %s%s GROUP BY %s WITH ROLLUP HAVING COUNT(*) > 0" % (
            ", ".join(group), group[0], ", ".join(self.aggregates(scope)), source, self.where(scope), ", ".join(group)), False, True

    def simple(self, kinds, prefix="a"):
        source, scope, _ = self.source(prefix)
        items = [self.expr(scope, k, 1) for k in kinds]
        # a constant of a derived table is not NULL for MySQL 9.7 in a row that an outer join makes
        self.only_columns = all(any(name in item for name, _ in scope) for item in items)
        return "SELECT %s FROM %s%s" % (", ".join(items), source, self.where(scope))

    def set_operation(self):
        kinds = [self.pick((INT, STR, DEC, DATE)) for _ in range(self.r.randint(1, 2))]
        operators = ("UNION", "UNION ALL", "INTERSECT", "EXCEPT", "INTERSECT ALL", "EXCEPT ALL")
        text = Nested.of(self.simple(kinds), self.pick(operators), self.simple(kinds))
        if self.chance(0.3):
            # not INTERSECT ALL: MySQL 9.7 miscounts it over another set operation
            text = Nested.of(text.then("", parentheses=True), self.pick([o for o in operators if o != "INTERSECT ALL"]), self.simple(kinds))
        return text, False, True

    def window(self):
        source, scope, keys = self.source()
        part = self.pick([n for n, k in scope if k in ORDERED])
        order = ", ".join(["%s%s" % (self.pick([n for n, k in scope if k in EXACT]), self.pick(("", " DESC")))] + keys)
        functions = (lambda: self.pick(("ROW_NUMBER()", "RANK()", "DENSE_RANK()", "PERCENT_RANK()", "CUME_DIST()", "NTILE(3)")),
                     lambda: "%s(%s)" % (self.pick(("SUM", "AVG", "MIN", "MAX", "COUNT")), self.expr(scope, self.pick((INT, DEC)), 1)),
                     lambda: "%s(%s, %d)" % (self.pick(("LAG", "LEAD")), self.column(scope, self.pick(ALL)), self.r.randint(0, 2)),
                     lambda: "LAG(%s, 1, %s)" % (self.column(scope, INT), self.column(scope, INT)),
                     lambda: "%s(%s)" % (self.pick(("FIRST_VALUE", "LAST_VALUE")), self.column(scope, self.pick(ALL))),
                     lambda: "NTH_VALUE(%s, 2)" % self.column(scope, self.pick((INT, STR))))
        items = []
        for _ in range(self.r.randint(1, 2)):
            by = self.pick(("PARTITION BY %s ORDER BY %s" % (part, order), "ORDER BY " + order))
            items.append("%s OVER (%s%s)" % (self.pick(functions)(), by, self.pick(FRAMES)))
        if self.chance(0.3):
            items.append("%s OVER (PARTITION BY %s)" % (self.pick(("COUNT(*)", "SUM(%s)" % self.column(scope, INT))), part))
        if self.chance(0.2):
            value = self.pick([n for n, k in scope if k == INT])
            items.append("SUM(%s) OVER (ORDER BY %s RANGE BETWEEN 2 PRECEDING AND 1 FOLLOWING)" % (self.column(scope, INT), value))
        return "SELECT %s, %s FROM %s%s" % (keys[0], ", ".join(items), source, self.where(scope)), False, False

    def columns_of(self, prefix, kinds):
        return [("%s.x%d" % (prefix, i), k) for i, k in enumerate(kinds)]

    def cte(self):
        kinds = [self.pick((INT, STR, DEC, DATE, DTM)) for _ in range(2)]
        inner = self.simple(kinds)
        self.outer = True
        scope = self.columns_of("u", kinds) + self.columns_of("v", kinds)
        return "WITH w (x0, x1) AS (%s) SELECT %s, %s FROM w u %s w v ON %s%s" % (
            inner, self.item(scope, 1), self.item(scope, 1), self.pick(("JOIN", "LEFT JOIN" if self.only_columns else "JOIN")),
            self.pick(("u.x0 = v.x0", "u.x1 <=> v.x1")), self.where(scope)), False, False

    def recursive(self):
        self.outer = True
        table = self.pick(self.tables)
        scope = [("w.n", INT)] + self.scope_of(table, "a")
        return "WITH RECURSIVE w AS (SELECT %s AS n UNION %sSELECT n + %d FROM w WHERE n < %d) SELECT w.n, %s FROM w %s %s a ON a.id = w.n" % (
            self.pick(("0", "1", "-3")), self.pick(("", "ALL ")), self.r.randint(1, 3), self.r.randint(2, 12), self.item(scope, 1),
            self.pick(("JOIN", "LEFT JOIN")), table.name), False, False

    def derived(self):
        table = self.pick(self.tables)
        source, inner, _ = self.source("b")
        self.outer = True
        group = self.pick([n for n, k in inner if k in EXACT])
        kind = dict(inner)[group]
        scope = self.scope_of(table, "a") + [("d.g", kind), ("d.n", INT), ("d.m", INT)]
        on = "a.id = d.n" if self.chance(0.5) else self.condition(scope, 0)
        return "SELECT a.id, d.n, %s FROM %s a %s (SELECT %s AS g, COUNT(*) AS n, MAX(%s) AS m FROM %s%s GROUP BY g) d ON %s%s" % (
            self.item(scope, 1), table.name, self.pick(("JOIN", "LEFT JOIN", "RIGHT JOIN")), group, self.column(inner, INT), source,
            self.where(inner), on, self.where(scope)), False, False

    def lateral(self):
        self.outer = True
        table, other = self.pick(self.tables), self.pick(self.tables)
        outer, inner = self.scope_of(table, "a"), self.scope_of(other, "b")
        return "SELECT a.id, d.n, d.m FROM %s a %s LATERAL (SELECT COUNT(*) AS n, %s(%s) AS m FROM %s b WHERE %s) d ON TRUE%s" % (
            table.name, self.pick(("JOIN", "LEFT JOIN")), self.pick(("MIN", "MAX", "SUM")), self.column(inner, INT), other.name,
            self.condition(outer + inner, 1), self.where(outer)), False, False

    def json_table(self):
        self.outer = True
        table = self.pick(self.tables)
        scope = self.scope_of(table, "a")
        return ("SELECT a.id, j.o, j.v, j.s, j.e FROM %s a %s JSON_TABLE(%s, '%s' COLUMNS (o FOR ORDINALITY, v INT PATH '$' NULL ON ERROR, "
                "s VARCHAR(20) PATH '$.a' DEFAULT '\"?\"' ON EMPTY NULL ON ERROR, e INT EXISTS PATH '$.b')) j ON TRUE" % (
                    table.name, self.pick(("JOIN", "LEFT JOIN")), self.expr(scope, JSON, 1), self.pick(("$[*]", "$", "$.b[*]")))), False, False

    def mixed(self):
        """Comparisons and operators over values of different types, in the select list."""
        source, scope, _ = self.source()
        kinds = (INT, STR, DEC, DATE, DTM, TIME, DBL)
        forms = (lambda: "%s %s %s" % (self.column(scope, self.pick(kinds)), self.pick(("=", "<", ">=", "<>", "<=>")), self.column(scope, self.pick(kinds))),
                 lambda: "%s %s %s" % (self.column(scope, self.pick(kinds)), self.pick("+-*"), self.column(scope, self.pick((INT, DEC, STR)))),
                 lambda: "COALESCE(%s, %s)" % (self.column(scope, self.pick(kinds)), self.column(scope, self.pick(kinds))),
                 lambda: "IF(%s, %s, %s)" % (self.column(scope, self.pick(kinds)), self.column(scope, self.pick(kinds)), self.column(scope, self.pick(kinds))),
                 lambda: "%s IN (%s, %s)" % tuple(self.column(scope, self.pick((INT, STR, DEC))) for _ in range(3)),
                 lambda: "%s BETWEEN %s AND %s" % tuple(self.column(scope, self.pick((INT, STR, DEC))) for _ in range(3)),
                 lambda: "CONCAT(%s, %s)" % tuple(self.column(scope, self.pick((INT, STR, DEC, DATE, DTM, TIME))) for _ in range(2)),
                 lambda: "GREATEST(%s, %s)" % tuple(self.column(scope, self.pick((INT, STR, DEC))) for _ in range(2)))
        return "SELECT %s FROM %s" % (", ".join(self.pick(forms)() for _ in range(self.r.randint(1, 3))), source), False, False

    def prepared(self):
        """PREPARE and EXECUTE; the statement comes as a list."""
        self.parameters = []
        text, ordered, folded = self.pick((self.plain, self.grouped, self.cte, self.set_operation))()
        values, self.parameters = self.parameters, None
        return self.as_prepared(text, values), ordered, folded

    def marked(self, text, values):
        """The text with question marks, and the literals in their order."""
        used = []

        def mark(match):
            used.append(values[int(match.group(1))])
            return "?"
        return MARK.sub(mark, text), used

    def as_prepared(self, text, values):
        again = getattr(text, "again", None)
        text, used = self.marked(text, values)
        out = ["PREPARE s FROM '%s'" % text.replace("\\", "\\\\").replace("'", "''")]
        out += ["SET @p%d = %s" % (i, v) for i, v in enumerate(used)]
        out = Prepared(out + ["EXECUTE s" + (" USING %s" % ", ".join("@p%d" % i for i in range(len(used))) if used else "")])
        out.again = again and each_part(again, lambda part: MARK.sub(lambda m: values[int(m.group(1))], part))
        return out

    # ---- changes ----

    def change(self):
        forms = (self.update, self.update, self.update, self.delete, self.insert, self.insert, self.insert_select, self.update_joined, self.delete_joined,
                 self.update_some, self.update_keys, self.index_change, self.prepared_change, self.undone)
        return self.pick(forms)()

    def assignment(self, table, scope):
        c = self.pick(table.written()[1:])
        if self.chance(0.35) and not c.literals_only:
            return "%s.%s = %s" % (table.name, c.name, self.expr(scope, c.kind, 1))
        return "%s.%s = %s" % (table.name, c.name, self.pick(self.pool_of(c)))

    def target(self):
        self.outer = False
        table = self.pick(self.tables)
        scope = self.scope_of(table, table.name)
        # a subquery may not read the table that is changed
        self.depth += 2
        where = self.condition(scope, 1) if self.chance(0.9) else "%s.id < 5" % table.name
        self.depth -= 2
        return table, scope, where

    def update(self):
        table, scope, where = self.target()
        self.depth += 2
        sets = ", ".join(self.assignment(table, scope) for _ in range(self.pick((1, 1, 2))))
        self.depth -= 2
        return "UPDATE %s%s SET %s WHERE %s" % (self.pick(("", "", "", "IGNORE ")), table.name, sets, where)

    def delete(self):
        table, scope, where = self.target()
        return "DELETE FROM %s WHERE %s AND %s.id %% 4 = %d" % (table.name, where, table.name, self.r.randrange(4))

    def insert(self):
        table = self.pick(self.tables)
        how = self.pick(("INSERT IGNORE INTO", "REPLACE INTO", "INSERT INTO", "INSERT INTO"))
        rows = ", ".join(self.row(table, self.r.randrange(60)) for _ in range(self.r.randint(1, 3)))
        odku = ""
        if how == "INSERT INTO" and self.chance(0.6):
            c = self.pick(table.written()[1:])
            value = "VALUES(%s)" % c.name if self.chance(0.3) else self.pick(self.pool_of(c))
            odku = " ON DUPLICATE KEY UPDATE %s = %s" % (c.name, value)
        return "%s %s %s VALUES %s%s" % (how, table.name, self.names(table), rows, odku)

    def insert_select(self):
        self.outer = False
        table, other = self.pick(self.tables), self.pick(self.tables)
        scope = self.scope_of(other, "o")
        items = ["o.id + %d" % self.pick((0, 30, 60))]
        for c in table.written()[1:]:
            fitting = [n for n, k in scope if k == c.kind]
            items.append(self.pick(fitting) if fitting and not c.literals_only else self.pick(self.pool_of(c)))
        how = self.pick(("INSERT IGNORE INTO", "REPLACE INTO", "INSERT INTO"))
        return "%s %s %s SELECT %s FROM %s o WHERE %s ORDER BY o.id LIMIT 9" % (how, table.name, self.names(table), ", ".join(items), other.name, self.condition(scope, 1))

    def joined(self):
        self.outer = True
        first, second = self.pick(self.tables[:3]), self.pick(self.tables[:3])
        if first is second:
            first, second = self.tables[0], self.tables[-1]
        scope = self.scope_of(first, first.name) + self.scope_of(second, second.name)
        self.depth += 2
        out = first, second, scope, self.join_condition(scope[:len(first.columns)], scope[len(first.columns):]), self.condition(scope, 1)
        self.depth -= 2
        return out

    def unread(self, table, condition):
        """Columns to write but those of which a generated column is made that a condition reads: MySQL compares what it has just written."""
        read = [g for g in table.columns if g.generated and re.search(r"\b%s\.%s\b" % (table.name, g.name), condition)]
        return [c for c in table.written()[1:] if not any(re.search(r"\b%s\b" % c.name, g.sql) for g in read)]

    def update_joined(self):
        first, second, _, on, where = self.joined()
        c = self.pick(self.unread(first, on + " " + where) or first.written()[:1])
        sets = "%s.%s = %s" % (first.name, c.name, self.pick(self.pool_of(c)))
        if self.chance(0.4):
            d = self.pick(self.unread(second, on + " " + where) or second.written()[:1])
            sets += ", %s.%s = %s" % (second.name, d.name, self.pick(self.pool_of(d)))
        return "UPDATE %s %s %s ON %s SET %s WHERE %s" % (first.name, self.pick(("JOIN", "LEFT JOIN")), second.name, on, sets, where)

    def delete_joined(self):
        """Not rows of a table that the other one refers to: whether the join has read what goes with them is the plan's."""
        first, second, _, on, where = self.joined()
        gone = self.pick((first.name, "%s, %s" % (first.name, second.name)))
        for parent, child in ((first, second), (second, first)):
            gone = child.name if child.refers_to(parent) else gone
        return "DELETE %s FROM %s JOIN %s ON %s WHERE %s AND %s.id %% 5 = %d" % (
            gone, first.name, second.name, on, where, first.name, self.r.randrange(5))

    def update_some(self):
        table, scope, where = self.target()
        order = "ORDER BY %s.id%s LIMIT %d" % (table.name, self.pick(("", " DESC")), self.r.randint(0, 4))
        if self.chance(0.4):
            return "DELETE FROM %s WHERE %s %s" % (table.name, where, order)
        return "UPDATE %s SET %s WHERE %s %s" % (table.name, self.assignment(table, scope), where, order)

    def update_keys(self):
        table, _, where = self.target()
        step = self.pick((1, 100))
        return "UPDATE %s SET id = id + %d WHERE %s ORDER BY id%s" % (table.name, step, where, self.pick((" DESC", " DESC", "")))

    def index_change(self):
        table = self.pick(self.tables)
        able = [c for c in table.columns[1:] if c.kind not in (JSON, MULTI) and c.sql.split()[0] != "text" and not c.literals_only]
        if self.chance(0.4) or not able:
            return "ALTER TABLE %s DROP INDEX k%d" % (table.name, self.r.randrange(3))
        return "ALTER TABLE %s ADD %sINDEX k%d (%s)" % (table.name, self.pick(("", "", "UNIQUE ")), self.r.randrange(3), self.pick(able).name)

    def prepared_change(self):
        self.parameters = []
        text = self.pick((self.update, self.delete))()
        values, self.parameters = self.parameters, None
        return self.as_prepared(text, values)

    def undone(self):
        one = lambda: self.pick((self.update, self.delete, self.insert, self.update_joined))()
        return ["BEGIN", one(), "SAVEPOINT a", one(), self.pick(("ROLLBACK TO a", "SELECT 1")), one(), self.pick(("COMMIT", "ROLLBACK"))]
