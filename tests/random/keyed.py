"""Keys of several parts, and deep conditions on their columns: what ranges of a key are made from.

Bounds are of the column's type, or of another one whose values compare in the same order; some the column cannot hold."""
from generate import DATE, DEC, DTM, INT, STR, Column, Table
from more import More

PART_TYPES = {
    INT: ("int", "int", "tinyint", "bigint", "smallint unsigned"),
    STR: ("varchar(6)", "varchar(6) COLLATE utf8mb4_bin", "varchar(6) COLLATE utf8mb4_0900_as_cs", "varchar(6) COLLATE utf8mb4_general_ci", "char(4)", "varchar(6) CHARACTER SET latin1", "varbinary(6)"),
    DEC: ("decimal(6,2)",), DATE: ("date",), DTM: ("datetime", "datetime(2)", "timestamp NULL"),
}
# what rows have: few values, so that conditions on several parts meet some
CELLS = {
    INT: ("0", "1", "2", "3", "4", "5"), STR: ("''", "'a'", "'A'", "'ab'", "'Ab'", "'abc'", "'b'", "'B '", "'c'"), DEC: ("0.00", "0.50", "1.00", "1.25", "2.00", "-1.00"),
    DATE: ("DATE'2020-01-01'", "DATE'2020-01-02'", "DATE'2020-01-03'", "DATE'2020-01-04'", "DATE'2020-01-05'"),
    DTM: ("TIMESTAMP'2020-01-01 00:00:00'", "TIMESTAMP'2020-01-02 00:00:00'", "TIMESTAMP'2020-01-02 12:00:00'", "TIMESTAMP'2020-01-03 00:00:00.25'", "TIMESTAMP'2020-01-04 00:00:00'"),
}
BOUNDS = {
    INT: CELLS[INT] + ("-1", "6"), STR: CELLS[STR] + ("'abd'", "'a '", "'zz'"), DEC: CELLS[DEC] + ("1", "2", "-3"), DATE: CELLS[DATE] + ("DATE'2019-12-31'", "DATE'2020-01-06'"),
    DTM: CELLS[DTM] + ("TIMESTAMP'2020-01-02 11:59:59.99'",),
}
OTHER_BOUNDS = {
    INT: ("2.5", "1e0", "'3'", "300", "-200", "5000000000", "NULL"), STR: ("NULL", "'abcdefghij'"), DEC: ("1.255", "'1.5'", "1e0", "99999", "-99999.5", "NULL"),
    DATE: ("TIMESTAMP'2020-01-03 12:00:00'", "'2020-01-04'", "20200103", "NULL"), DTM: ("DATE'2020-01-02'", "'2020-01-02 12:00:00'", "TIMESTAMP'2020-01-03 00:00:00.255'", "NULL"),
}
PATTERNS = ("a%", "A%", "ab%", "%b", "_b%", "a", "", "%", "b_%")
COMPARE = ("=", "=", "<", "<=", ">", ">=", "<=>", "<>")
HINTS = ("INDEX", "INDEX", "INDEX", "NO_INDEX", "JOIN_INDEX", "ORDER_INDEX", "NO_ORDER_INDEX", "GROUP_INDEX", "INDEX_MERGE", "NO_RANGE_OPTIMIZATION", "SKIP_SCAN")
MOST_IN_LIST = 60


class Keyed(More):
    NAME = "t9"
    made = 0.5      # in so many of the seeds there is such a table,
    share = 0.4     # and of so many of their statements it is what they are about

    def __init__(self, seed):
        super().__init__(seed)
        self.parts = {}     # the table's columns, by name
        self.parts_of = []  # (name of the key, its columns)

    # ---- the table ----

    def make_tables(self, count=3):
        out = super().make_tables(count)
        return out + self.make_keyed() if self.chance(self.made) else out

    def make_keyed(self):
        kinds = [INT, self.pick((INT, STR, DATE))] + [self.pick((INT, INT, STR, STR, DATE, DTM, DEC)) for _ in range(self.r.randint(1, 4))]
        columns = [Column("id", INT, "int NOT NULL PRIMARY KEY")]
        for i, kind in enumerate(kinds):
            null = self.pick(("", "", "", " NOT NULL"))
            columns.append(Column("p%d" % i, kind, self.pick([t + null for t in PART_TYPES[kind] if not null or not t.endswith("NULL")])))
        self.parts = {c.name: c for c in columns[1:]}
        keys = [self.make_key("kd%d" % i, columns[1:]) for i in range(self.r.randint(2, 5))]
        whole = [c for c in columns[1:] if "NOT NULL" in c.sql]
        if whole and self.chance(0.4):
            columns[0].sql = "int NOT NULL"
            keys[:0] = ["PRIMARY KEY (%s, id)" % ", ".join(c.name + self.pick(("", " DESC")) for c in whole[:2]), "UNIQUE KEY uid (id)"]
            self.parts_of.append(("PRIMARY", [c.name for c in whole[:2]]))
        table = Table(self.NAME, columns, keys)
        self.tables.append(table)
        return [table.create(), self.more_rows("INSERT", table, range(self.r.randint(20, 60)))]

    def make_key(self, name, columns):
        chosen = self.r.sample(columns, min(len(columns), self.r.randint(2, 4)))
        self.parts_of.append((name, [c.name for c in chosen]))
        prefix = lambda c: "(%d)" % self.r.randint(1, 3) if c.kind == STR and self.chance(0.25) else ""
        parts = ["%s%s%s" % (c.name, prefix(c), self.pick(("", "", " DESC"))) for c in chosen]
        return "UNIQUE KEY %s (%s, id)" % (name, ", ".join(parts)) if self.chance(0.15) else "KEY %s (%s)" % (name, ", ".join(parts))

    def more_rows(self, how, table, numbers):
        return "%s INTO %s %s VALUES %s" % (how, table.name, self.names(table), ", ".join(self.row(table, n) for n in numbers))

    def pool_of(self, column):
        return list(CELLS[column.kind]) if column is self.parts.get(column.name) else super().pool_of(column)

    def keyed(self):
        """The table, or None: it may not have been made."""
        return next((t for t in self.tables if t.name == self.NAME), None)

    # ---- conditions ----

    def condition(self, scope, depth=2):
        names = [n for n, _ in scope if n.rsplit(".", 1)[-1] in self.parts]
        if depth > 0 and names and self.chance(self.share):
            return self.deep(self.r.sample(names, min(len(names), 3)), self.r.randint(1, 2))
        return super().condition(scope, depth)

    def deep(self, names, depth):
        """AND and OR of conditions on the columns."""
        if depth == 0:
            return self.atom(names)
        items = [self.deep(names, self.r.randrange(depth)) for _ in range(self.r.randint(2, 4))]
        text = "(%s)" % self.pick((" AND ", " OR ")).join(items)
        if self.chance(0.08):
            return "NOT " + text
        return "%s IS %s" % (text, self.pick(("TRUE", "NOT FALSE", "UNKNOWN"))) if self.chance(0.04) else text

    def kind_of(self, name):
        return self.parts[name.rsplit(".", 1)[-1]].kind

    def bound(self, kind, plain=False):
        if not plain and self.chance(0.15):
            return self.pick(OTHER_BOUNDS[kind])
        text = self.pick(BOUNDS[kind])
        if self.parameters is not None and kind in (INT, STR) and self.chance(0.4):
            self.parameters.append(text)
            return ":%d:" % (len(self.parameters) - 1)
        return text

    def bounds(self, kind, plain=False):
        count = MOST_IN_LIST if self.chance(0.05) else self.r.randint(1, 4)
        return ", ".join(self.bound(kind, plain) for _ in range(count))

    def atom(self, names):
        name = self.pick(names)
        kind = self.kind_of(name)
        b = lambda: self.bound(kind)
        # of dates without numbers: MySQL 9.7 cuts a moment beside a number to its day
        end = lambda: self.bound(kind, plain=kind == DATE)
        forms = [lambda: "%s = %s" % (name, b())] * 3 + [lambda: "%s %s %s" % (name, self.pick(COMPARE), b())] * 5 + [
            lambda: "%s %s %s" % (b(), self.pick(COMPARE), name),
            lambda: "%s IN (%s)" % (name, self.bounds(kind)),
            lambda: "%s IN (%s)" % (name, self.bounds(kind)),
            lambda: "%s NOT IN (%s)" % (name, self.bounds(kind)),
            lambda: "%s BETWEEN %s AND %s" % (name, end(), end()),
            lambda: "%s %sBETWEEN %s AND %s" % (name, self.pick(("", "NOT ")), end(), end()),
            lambda: "%s IS %sNULL" % (name, self.pick(("", "NOT ")))]
        if kind == STR:
            forms += [lambda: "%s LIKE '%s'" % (name, self.pick(PATTERNS))] * 3
        else:
            forms.append(lambda: "%s %s %s" % (name, self.pick(COMPARE), self.pick([n for n in names if self.kind_of(n) == kind])))
        if not self.outer and len(names) > 1:
            forms += [lambda: self.of_rows(names)] * 2
        return self.pick(forms)()

    def of_rows(self, names):
        # their members are of the columns' types: MySQL 9.7 compares others as integers
        chosen = self.r.sample(names, self.r.randint(2, min(3, len(names))))
        row = lambda: "(%s)" % ", ".join(self.bound(self.kind_of(n), plain=True) for n in chosen)
        left = "(%s)" % ", ".join(chosen)
        if self.chance(0.4):
            return "%s %s %s" % (left, self.pick(COMPARE), row())
        count = MOST_IN_LIST if self.chance(0.05) else self.r.randint(1, 4)
        return "%s %sIN (%s)" % (left, self.pick(("", "", "NOT ")), ", ".join(row() for _ in range(count)))

    def of_key(self, alias):
        """A deep condition on the columns of a key, and sometimes on another one, and the name of the key."""
        key, parts = self.pick(self.parts_of)
        names = ["%s.%s" % (alias, p) for p in parts]
        if self.chance(0.3):
            names.append("%s.%s" % (alias, self.pick(sorted(self.parts))))
        return self.deep(names, self.r.randint(1, 3)), key, parts

    # ---- queries ----

    def query(self):
        if self.keyed() is None or not self.chance(self.share):
            return super().query()
        self.outer = False
        self.depth += 2
        text, ordered, folded = self.pick((self.by_key, self.by_key, self.by_key, self.of_parts, self.grouped_parts, self.joined_key, self.correlated, self.prepared_key))()
        self.depth -= 2
        return text, ordered, folded

    def hint(self, alias, key):
        keys = [key] + [k for k, _ in self.parts_of if k != key and self.chance(0.2)]
        return self.pick(("", "/*+ %s(%s %s) */ " % (self.pick(HINTS), alias, ", ".join(keys))))

    def by_key(self):
        where, key, parts = self.of_key("a")
        forced = " FORCE INDEX (%s)" % key if self.chance(0.2) else ""
        text = "SELECT %sa.id FROM %s a%s WHERE %s" % ("" if forced else self.hint("a", key), self.NAME, forced, where)
        if self.chance(0.6):
            return text + self.pick(("", "", "", " FOR UPDATE", " FOR SHARE")), False, False
        way = self.pick(("", " DESC"))
        order = ", ".join("a.%s%s" % (p, way if self.chance(0.8) else " DESC") for p in parts)
        return text + " ORDER BY %s, a.id%s%s" % (order, way, self.pick(("", " LIMIT %d" % self.r.randint(1, 9)))), True, False

    def of_parts(self):
        """What the key has, without the rows; the ends of it."""
        where, key, parts = self.of_key("a")
        names = ["a." + p for p in parts]
        exact = [n for n in names if self.kind_of(n) != STR] or ["a.id"]
        items = self.pick((", ".join(names), "COUNT(*), MIN({0}), MAX({0})".format(self.pick(exact)), "MAX(%s)" % self.pick(exact), "COUNT(DISTINCT %s)" % ", ".join(names[:2])))
        return "SELECT %s%s FROM %s a WHERE %s" % (self.hint("a", key), items, self.NAME, where), False, False

    def grouped_parts(self):
        where, key, parts = self.of_key("a")
        by = ", ".join("a." + p for p in parts[:self.r.randint(1, len(parts))])
        exact = ["a." + p for p in parts if self.parts[p].kind != STR] or ["a.id"]
        head = "SELECT " + self.hint("a", key)
        if self.chance(0.4):
            return "%sDISTINCT %s FROM %s a WHERE %s" % (head, by, self.NAME, where), False, True
        return "%s%s, COUNT(*), MIN({0}), MAX({0}) FROM %s a WHERE %s GROUP BY %s".format(self.pick(exact)) % (head, by, self.NAME, where, by), False, True

    def joined_key(self):
        """The key is looked up with values of another table's rows, and with constants."""
        other = self.pick(self.tables)
        where, key, parts = self.of_key("a")
        part = self.pick(parts)
        alike = ["b." + c.name for c in other.columns if c.kind == self.parts[part].kind and c.kind != STR] or ["b.id"]
        equal = "a.%s %s %s" % (part if alike != ["b.id"] else "id", self.pick(("=", "=", "<=>", ">")), self.pick(alike))
        join = self.pick(("JOIN", "LEFT JOIN", "STRAIGHT_JOIN"))
        return "SELECT %sb.id, a.id FROM %s b %s %s a ON %s AND %s" % (self.hint("a", key), other.name, join, self.NAME, equal, where), False, False

    def correlated(self):
        other = self.pick(self.tables)
        where, key, parts = self.of_key("a")
        alike = ["b." + c.name for c in other.columns if c.kind == INT]
        tied = "%s %s %s" % ("a." + self.pick([p for p in parts if self.parts[p].kind == INT] or ["id"]), self.pick(("=", "<", ">=", "<=>")), self.pick(alike))
        inner = "SELECT %s%%s FROM %s a WHERE %s%%s" % (self.hint("a", key), self.NAME, where.replace("%", "%%"))
        return self.pick(("SELECT b.id, (%s) FROM %s b" % (inner % ("COUNT(*)", " AND " + tied), other.name),
                          "SELECT b.id FROM %s b WHERE %sEXISTS (%s)" % (other.name, self.pick(("", "NOT ")), inner % ("1", " AND " + tied)),
                          "SELECT b.id FROM %s b WHERE b.id %sIN (%s)" % (other.name, self.pick(("", "NOT ")), inner % ("a.id", "")))), False, False

    def prepared_key(self):
        self.parameters = []
        text, ordered, folded = self.pick((self.by_key, self.of_parts))()
        values, self.parameters = self.parameters, None
        return self.as_prepared(text, values), ordered, folded

    def ways(self):
        """A query by each of the keys, and first without."""
        self.outer = False
        where, _, _ = self.of_key("a")
        return ["SELECT /*+ %s */ a.id FROM %s a WHERE %s" % (how, self.NAME, where) for how in ["NO_INDEX(a)"] + ["INDEX(a %s)" % k for k, _ in self.parts_of]]

    # ---- changes ----

    def change(self):
        table = self.keyed()
        if table is None or not self.chance(self.share):
            return super().change()
        self.outer = False
        where, key, _ = self.of_key(table.name)
        hint = self.hint(table.name, key)
        if self.chance(0.35):
            return self.more_rows("INSERT IGNORE", table, self.r.sample(range(70), 6))
        if self.chance(0.3):
            return "DELETE %sFROM %s WHERE %s AND %s.id %% 3 = %d" % (hint, table.name, where, table.name, self.r.randrange(3))
        column = self.pick(sorted(self.parts))
        tail = " ORDER BY id%s LIMIT %d" % (self.pick(("", " DESC")), self.r.randint(1, 9)) if self.chance(0.2) else ""
        return "UPDATE %s%s SET %s = %s WHERE %s%s" % (hint, table.name, column, self.pick(CELLS[self.parts[column].kind]), where, tail)


class Deep(Keyed):
    """Little else."""
    made, share = 1, 0.9
