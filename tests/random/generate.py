"""Random tables and expressions, typed and seeded.

Values come from small pools, so that comparisons meet equal ones; every expression has a type, so that results depend on SQL's rules
and not on conversions of nonsense. What MySQL itself leaves open (order without ORDER BY, rows that LIMIT picks, which of two strings that
differ in case stands for both) is not made, or is not compared."""
import random

INT, STR, DEC, DATE, DTM, TIME, DBL, JSON = "int", "str", "dec", "date", "dtm", "time", "dbl", "json"
MULTI = "multi"     # a list of numbers in JSON, by a key with several values a row
TYPES = {
    INT: ("int", "bigint", "smallint", "tinyint", "mediumint"),
    STR: ("varchar(12)", "char(6)", "varchar(12)", "char(6)", "text", "varchar(12) COLLATE utf8mb4_0900_bin",
          "varchar(12) COLLATE utf8mb4_general_ci", "varchar(12) CHARACTER SET latin1", "enum('a','b','ab','abc','x y','Z','10')"),
    DEC: ("decimal(8,2)", "decimal(12,4)"), DATE: ("date",), DTM: ("datetime", "datetime(3)", "timestamp NULL"), TIME: ("time", "time(2)"),
    DBL: ("double", "float"), JSON: ("json",),
}
POOL = {
    INT: ["0", "1", "-1", "2", "3", "7", "10", "42", "-5", "100"],
    STR: ["''", "'a'", "'b'", "'ab'", "'abc'", "'x y'", "'Z'", "'10'", "'b '"],
    DEC: ["0.00", "1.50", "-1.50", "2.25", "10.00", "0.01", "99.99"],
    DATE: ["DATE'2020-02-29'", "DATE'2021-01-01'", "DATE'2021-12-31'", "DATE'1999-07-04'", "DATE'2024-03-10'"],
    DTM: ["TIMESTAMP'2020-02-29 00:00:00'", "TIMESTAMP'2021-12-31 23:59:59'", "TIMESTAMP'1999-07-04 12:30:00'",
          "TIMESTAMP'2024-03-10 02:30:00.250'"],
    TIME: ["TIME'00:00:00'", "TIME'10:11:12'", "TIME'-01:30:00'", "TIME'23:59:59.50'", "TIME'100:00:01'"],
    DBL: ["0e0", "1.5e0", "-2.25e0", "1e3", "5e-1"],
    JSON: ["'{\"a\": 1, \"b\": [1, 2, 3]}'", "'[1, \"x\", null]'", "'{\"a\": \"x\"}'", "'3'", "'\"a\"'", "'{}'", "'[]'", "'true'"],
    MULTI: ["'[1, 2, 3]'", "'[2]'", "'[7, 10, 42]'", "'[100]'", "'[3, 1]'"],
}
PLAIN = (INT, INT, STR, STR, DEC, DATE)          # what ordinary columns are made of
ALL = (INT, INT, INT, STR, STR, STR, DEC, DEC, DATE, DATE, DTM, TIME, DBL, JSON)
ORDERED = (INT, STR, DEC, DATE, DTM, TIME)       # kinds whose comparison is exact


# MySQL 9.7 takes an outer join for an inner one below a condition on these, though they are not NULL where their argument is
REFUSE_NULL = ("FIELD(", "INTERVAL(", "ELT(", "MAKE_SET(", "CONCAT_WS(", "QUOTE(")


class Column:
    def __init__(self, name, kind, sql):
        self.name, self.kind, self.sql = name, kind, sql
        self.literals_only = sql.startswith(("enum", "set("))
        self.generated = "GENERATED" in sql


class Table:
    def __init__(self, name, columns, keys):
        self.name, self.columns, self.keys = name, columns, keys

    def written(self):
        return [c for c in self.columns if not c.generated]

    def refers_to(self, other):
        return any("FOREIGN KEY" in k and " REFERENCES %s " % other.name in k for k in self.keys)

    def create(self):
        parts = ["%s %s" % (c.name, c.sql) for c in self.columns] + self.keys
        return "CREATE TABLE %s (%s)" % (self.name, ", ".join(parts))


class Expressions:
    """Tables, and expressions over the columns in scope: a list of (name, kind)."""

    def __init__(self, seed):
        self.r = random.Random(seed)
        self.tables = []
        self.depth = 0
        self.outer = False          # is there an outer join: MySQL takes comparisons of rows for ones that refuse NULL
        self.parameters = None      # in a prepared statement: the literals that stand outside of it

    def pick(self, items):
        return items[self.r.randrange(len(items))]

    def chance(self, p):
        return self.r.random() < p

    # ---- tables ----

    def make_tables(self, count=3):
        statements = []
        for n in range(count):
            columns = [Column("id", INT, "int NOT NULL PRIMARY KEY")]
            kinds = PLAIN if self.chance(0.3) else ALL
            for i in range(self.r.randint(2, 6)):
                kind = self.pick(kinds)
                columns.append(Column("c%d" % i, kind, self.column_type(kind) + self.pick((" NOT NULL", "", "", "", ""))))
                if columns[-1].sql.endswith("NULL NOT NULL"):
                    columns[-1].sql = "timestamp NULL"
            keys = []
            # not of ENUM: by an index MySQL's MAX is of numbers, else of names
            keyed = [c for c in columns[1:] if c.kind not in (JSON, MULTI) and c.sql.split()[0] != "text" and not c.literals_only]
            for k in range(self.r.randint(0, 2) if keyed else 0):
                chosen = self.r.sample(keyed, self.r.randint(1, min(2, len(keyed))))
                keys.append("KEY k%d (%s)" % (k, ", ".join(c.name + self.pick(("", "", " DESC")) for c in chosen)))
            if n == 1 and self.chance(0.3):
                keys.append("CHECK (id <> 7)")
            table = Table("t%d" % n, columns, list(keys))
            self.extras(table)
            self.tables.append(table)
            statements.append(table.create())
            rows = [self.row(table, i) for i in range(self.r.randint(0, 40)) if i != 7]
            step = 5 if len(table.columns) > len(table.written()) or len(table.keys) > len(keys) else 40
            for i in range(0, len(rows), step):
                statements.append("INSERT INTO %s %s VALUES %s" % (table.name, self.names(table), ", ".join(rows[i:i + step])))
        if self.chance(0.4):
            statements += self.make_child()
        return statements

    def column_type(self, kind):
        return self.pick(TYPES[kind])

    def forget(self, name):
        """A table or view that could not be made."""
        self.tables = [t for t in self.tables if t.name != name]

    def extras(self, table):
        """More than plain columns and keys."""

    def readable(self):
        return self.tables

    def pool_of(self, column):
        return [x for x in POOL[column.kind] if x not in ("''", "'b '")] if column.literals_only else POOL[column.kind]

    def names(self, table):
        return "(%s)" % ", ".join(c.name for c in table.written())

    def make_child(self):
        """A table whose rows go, or lose their parent, with the rows of another."""
        actions = " ON DELETE %s ON UPDATE %s" % (self.pick(("CASCADE", "SET NULL", "RESTRICT")), self.pick(("CASCADE", "SET NULL", "NO ACTION")))
        columns = [Column("id", INT, "int NOT NULL PRIMARY KEY"), Column("p", INT, "int"), Column("c0", STR, "varchar(12)")]
        table = Table("t%d" % len(self.tables), columns, ["FOREIGN KEY (p) REFERENCES t0 (id)" + actions])
        self.tables.append(table)
        copy = "INSERT INTO %s SELECT id, id, 'a' FROM t0 WHERE id %% 2 = 0" % table.name
        return [table.create(), copy]

    def literal(self, kind):
        text = self.pick(POOL[kind])
        if self.parameters is not None and kind in (INT, STR) and self.chance(0.6):
            self.parameters.append(text)
            return ":%d:" % (len(self.parameters) - 1)
        return text

    def row(self, table, number):
        values = [str(number)]
        for c in table.written()[1:]:
            null = "NOT NULL" not in c.sql and self.chance(0.25)
            values.append("NULL" if null else self.pick(self.pool_of(c)))
        return "(%s)" % ", ".join(values)

    # ---- expressions ----

    def column(self, scope, kind):
        fitting = [name for name, k in scope if k == kind]
        if fitting and self.chance(0.75):
            return self.pick(fitting)
        literal = self.literal(kind)
        return "CAST(%s AS JSON)" % literal if kind in (JSON, MULTI) else literal

    def expr(self, scope, kind, depth=2):
        if depth == 0 or self.chance(0.35):
            return self.column(scope, kind)
        d = depth - 1
        e = lambda k: self.expr(scope, k, d)
        same = lambda: e(kind)
        general = [
            lambda: "COALESCE(%s, %s)" % (same(), same()),
            lambda: "IF(%s, %s, %s)" % (self.condition(scope, d), same(), same()),
            lambda: "IFNULL(%s, %s)" % (same(), same()),
            lambda: "CASE WHEN %s THEN %s ELSE %s END" % (self.condition(scope, d), same(), same()),
            lambda: "CASE %s WHEN %s THEN %s END" % (e(INT), e(INT), same()),
        ]
        if kind not in (JSON, MULTI):
            # of text the collation is the first operand's, in MySQL that of both
            general += [lambda: "NULLIF(%s, %s)" % ((self.column(scope, kind),) * 2 if kind == STR else (same(), same())), lambda: "%s(%s, %s)" % (self.pick(("GREATEST", "LEAST")), same(), same())]
        special = getattr(self, kind + "_forms")(e, scope, d)
        text = self.pick(general + special * 2)()
        if self.outer and any(name in text for name in REFUSE_NULL):
            return self.column(scope, kind)
        return text

    def int_forms(self, e, scope, d):
        n = lambda: str(self.r.randint(0, 4))
        return [
            lambda: "(%s %s %s)" % (e(INT), self.pick("+-*"), e(INT)),
            lambda: "(%s %s %s)" % (e(INT), self.pick(("DIV", "%", "MOD")), self.pick(("2", "3", "7", "0"))),
            lambda: "CAST((%s %s %s) AS SIGNED)" % (e(INT), self.pick("&|^"), e(INT)),
            lambda: "CAST((%s %s %s) AS SIGNED)" % (e(INT), self.pick(("<<", ">>")), n()),
            lambda: "%s(%s)" % (self.pick(("ABS", "SIGN", "-", "BIT_COUNT")), e(INT)),
            lambda: "%s(%s)" % (self.pick(("SIGN", "FLOOR", "CEILING", "ROUND")), e(DEC)),
            lambda: "%s(%s)" % (self.pick(("LENGTH", "CHAR_LENGTH", "BIT_LENGTH", "ASCII", "ORD", "CRC32")), e(STR)),
            lambda: "%s(%s)" % (self.pick(("DAY", "MONTH", "YEAR", "QUARTER", "WEEK", "DAYOFWEEK", "DAYOFYEAR", "WEEKDAY", "TO_DAYS", "YEARWEEK")), e(DATE)),
            lambda: "%s(%s)" % (self.pick(("HOUR", "MINUTE", "SECOND", "MICROSECOND", "TIME_TO_SEC")), e(TIME)),
            lambda: "EXTRACT(%s FROM %s)" % (self.pick(("YEAR_MONTH", "DAY_HOUR", "HOUR_SECOND", "DAY_MICROSECOND", "SECOND")), e(DTM)),
            lambda: "DATEDIFF(%s, %s)" % (e(DATE), e(DTM)),
            lambda: "TIMESTAMPDIFF(%s, %s, %s)" % (self.pick(("DAY", "MONTH", "HOUR", "SECOND", "YEAR", "QUARTER")), e(DTM), e(DATE)),
            lambda: "%s(%s, %s)" % (self.pick(("INSTR", "STRCMP")), e(STR), e(STR)),
            # of columns of two character sets MySQL compares bytes
            lambda: "FIND_IN_SET(%s, %s)" % (self.literal(STR), self.column(scope, STR)),
            lambda: "LOCATE(%s, %s, %s)" % (e(STR), e(STR), n()),
            lambda: "FIELD(%s, %s, %s)" % (e(STR), e(STR), e(STR)),
            lambda: "INTERVAL(%s, 0, %s, 50)" % (e(INT), n()),
            lambda: "%s(%s)" % (self.pick(("JSON_LENGTH", "JSON_DEPTH", "JSON_VALID")), e(JSON)),
            lambda: "JSON_CONTAINS(%s, %s)" % (e(JSON), e(JSON)),
            lambda: "REGEXP_INSTR(%s, '%s')" % (e(STR), self.pick(("b", "[a-c]+", "^x", "y$"))),
            # of a sum of times: MySQL 9.7 rounds a second up to 60
            lambda: "CAST(%s AS %s)" % (self.pick((e(self.pick((DEC, STR, DATE, DBL))), self.column(scope, TIME))), self.pick(("SIGNED", "SIGNED", "UNSIGNED"))),
            lambda: "(%s)" % self.condition(scope, d),
            lambda: self.scalar_subquery(scope, INT),
        ]

    def str_forms(self, e, scope, d):
        n = lambda: str(self.r.randint(-1, 4))
        return [
            lambda: "CONCAT(%s, %s)" % (e(STR), e(self.pick((STR, INT, DEC)))),
            lambda: "CONCAT_WS(%s, %s, %s)" % (self.pick(("'-'", "','", e(STR))), e(STR), e(STR)),
            lambda: "%s(%s)" % (self.pick(("UPPER", "LOWER", "TRIM", "LTRIM", "RTRIM", "REVERSE", "HEX", "QUOTE", "SOUNDEX", "TO_BASE64")), e(STR)),
            lambda: "SUBSTRING(%s, %s, %s)" % (e(STR), n(), n()),
            lambda: "%s(%s, %s)" % (self.pick(("LEFT", "RIGHT", "REPEAT", "SUBSTRING")), e(STR), n()),
            lambda: "REPLACE(%s, %s, 'x')" % (e(STR), self.pick(("'a'", "'b'", e(STR)))),
            lambda: "%s(%s, 4, %s)" % (self.pick(("LPAD", "RPAD")), e(STR), self.pick(("'*'", "'ab'"))),
            lambda: "INSERT(%s, %s, %s, %s)" % (e(STR), n(), n(), e(STR)),
            lambda: "SUBSTRING_INDEX(%s, %s, %s)" % (e(STR), self.pick(("'b'", "' '", "''")), n()),
            lambda: "ELT(%s, %s, %s)" % (e(INT), e(STR), e(STR)),
            lambda: "CAST(%s AS CHAR)" % e(self.pick((INT, DEC, DATE, DTM, TIME, JSON))),
            lambda: "CAST(%s AS CHAR(2))" % e(STR),
            lambda: "FORMAT(%s, %s)" % (e(DEC), n()),
            lambda: "DATE_FORMAT(%s, '%s')" % (e(self.pick((DATE, DTM))), self.pick(("%Y/%m", "%a %b %e", "%H:%i:%s.%f", "%j %U %v", "%D %y"))),
            lambda: "%s(%s)" % (self.pick(("DAYNAME", "MONTHNAME")), e(DATE)),
            lambda: "JSON_UNQUOTE(JSON_EXTRACT(%s, '%s'))" % (e(JSON), self.pick(("$.a", "$[0]", "$.b[1]", "$"))),
            lambda: "JSON_TYPE(%s)" % e(JSON),
            lambda: "REGEXP_REPLACE(%s, '%s', 'y')" % (e(STR), self.pick(("b", "[a-c]+", "^x"))),
            lambda: "REGEXP_SUBSTR(%s, '%s')" % (e(STR), self.pick(("b.", "[a-c]+", "^x"))),
            lambda: "CONV(%s, 10, %s)" % (e(INT), self.pick(("2", "16", "-36"))),
            lambda: "MAKE_SET(%s, 'p', %s, 'q')" % (e(INT), e(STR)),
            lambda: "(%s COLLATE %s)" % (e(STR), self.pick(("utf8mb4_0900_bin", "utf8mb4_0900_ai_ci", "utf8mb4_0900_as_cs"))),
        ]

    def dec_forms(self, e, scope, d):
        return [
            lambda: "(%s %s %s)" % (e(DEC), self.pick("+-*"), e(self.pick((DEC, INT)))),
            lambda: "(%s / %s)" % (e(self.pick((DEC, INT))), e(self.pick((DEC, INT)))),
            lambda: "%s(%s, %s)" % (self.pick(("ROUND", "TRUNCATE")), e(DEC), self.pick(("0", "1", "-1", "3"))),
            lambda: "(%s %% %s)" % (e(DEC), self.pick(("0.5", "3", e(DEC)))),
            lambda: "-(%s)" % e(DEC),
            lambda: "ABS(%s)" % e(DEC),
            lambda: "CAST(%s AS DECIMAL(10, %d))" % (e(self.pick((INT, DEC, STR, TIME))), self.r.randint(0, 5)),
            lambda: "(%s + 0.5)" % e(INT),
            lambda: self.scalar_subquery(scope, DEC),
        ]

    def dbl_forms(self, e, scope, d):
        return [
            lambda: "(%s %s %s)" % (e(DBL), self.pick("+-*"), e(self.pick((DBL, INT, DEC)))),
            lambda: "SQRT(ABS(%s))" % e(self.pick((DBL, INT, DEC))),
            lambda: "POW(%s, 2)" % e(DBL),
            lambda: "CAST(%s AS DOUBLE)" % e(self.pick((INT, STR, DEC))),
            lambda: "ROUND(%s, 2)" % e(DBL),
            lambda: "-(%s)" % e(DBL),
        ]

    def date_forms(self, e, scope, d):
        return [
            lambda: "(%s %s INTERVAL %s %s)" % (e(DATE), self.pick("+-"), self.pick(("1", "30", "-1", "11")), self.pick(("DAY", "MONTH", "YEAR", "WEEK", "QUARTER"))),
            lambda: "LAST_DAY(%s)" % e(self.pick((DATE, DTM))),
            lambda: "DATE(%s)" % e(DTM),
            lambda: "CAST(%s AS DATE)" % e(DTM),
            lambda: "MAKEDATE(2000 + ABS(%s), %s)" % (e(INT), self.pick(("1", "60", "366"))),
            lambda: "FROM_DAYS(TO_DAYS(%s) + %s)" % (e(DATE), self.pick(("0", "7"))),
        ]

    def dtm_forms(self, e, scope, d):
        return [
            lambda: "(%s %s INTERVAL %s %s)" % (e(DTM), self.pick("+-"), self.pick(("1", "90", "-1")), self.pick(("HOUR", "MINUTE", "SECOND", "DAY", "MONTH", "MICROSECOND"))),
            lambda: "(%s + INTERVAL '1:30' %s)" % (e(DTM), self.pick(("HOUR_MINUTE", "MINUTE_SECOND", "DAY_HOUR"))),
            lambda: "TIMESTAMP(%s, %s)" % (e(DATE), e(TIME)),
            lambda: "CAST(%s AS DATETIME(%d))" % (e(self.pick((DATE, DTM))), self.r.randint(0, 6)),
            lambda: "CONVERT_TZ(%s, '+00:00', '+05:30')" % e(DTM),
            lambda: "ADDTIME(%s, %s)" % (e(DTM), e(TIME)),
        ]

    def time_forms(self, e, scope, d):
        return [
            lambda: "%s(%s, %s)" % (self.pick(("ADDTIME", "SUBTIME")), e(TIME), e(TIME)),
            lambda: "TIMEDIFF(%s, %s)" % (e(DTM), e(DTM)),
            lambda: "TIME(%s)" % e(DTM),
            lambda: "SEC_TO_TIME(%s)" % e(INT),
            lambda: "MAKETIME(%s, %s, 5)" % (e(INT), e(INT)),
            lambda: "CAST(%s AS TIME(%d))" % (e(self.pick((TIME, DTM))), self.r.randint(0, 6)),
        ]

    def json_forms(self, e, scope, d):
        path = lambda: self.pick(("'$.a'", "'$[0]'", "'$.b[1]'", "'$.z'", "'$.b'"))
        return [
            lambda: "JSON_ARRAY(%s, %s)" % (e(self.pick((INT, STR))), e(self.pick((INT, STR, DATE, JSON)))),
            lambda: "JSON_OBJECT('a', %s, 'k', %s)" % (e(self.pick((INT, STR))), e(JSON)),
            lambda: "%s(%s, %s, %s)" % (self.pick(("JSON_SET", "JSON_INSERT", "JSON_REPLACE", "JSON_ARRAY_APPEND")), e(JSON), path(), e(self.pick((INT, STR, JSON)))),
            lambda: "JSON_REMOVE(%s, %s)" % (e(JSON), path()),
            lambda: "JSON_EXTRACT(%s, %s)" % (e(JSON), path()),
            lambda: "%s(%s, %s)" % (self.pick(("JSON_MERGE_PATCH", "JSON_MERGE_PRESERVE")), e(JSON), e(JSON)),
            lambda: "JSON_KEYS(%s)" % e(JSON),
            lambda: "CAST(%s AS JSON)" % e(self.pick((INT, DATE))),
        ]

    def scalar_subquery(self, scope, kind):
        if self.depth >= 2:
            return self.literal(kind)
        self.depth += 1
        table, alias = self.pick(self.readable()), "q%d" % self.depth
        inner = [("%s.%s" % (alias, c.name), c.kind) for c in table.columns]
        what = "COUNT(*)" if kind == INT and self.chance(0.4) else "%s(%s)" % (self.pick(("MIN", "MAX", "SUM")), self.column(inner, kind))
        text = "(SELECT %s FROM %s %s WHERE %s)" % (what, table.name, alias, self.condition(inner + scope, 1))
        self.depth -= 1
        return text

    def condition(self, scope, depth=2):
        kind = self.pick((INT, INT, INT, STR, STR, DEC, DATE, DTM, TIME))
        value = lambda: self.expr(scope, kind, max(depth - 1, 0))
        compare = lambda: self.pick(("=", "<>", "<", "<=", ">", ">=", "<=>"))
        rowkind = INT if kind == STR else kind
        # members of rows of one type: MySQL 9.7 compares a decimal beside an integer as an integer
        rv = lambda: self.column(scope, INT) if rowkind == INT else self.expr(scope, rowkind, max(depth - 1, 0))
        forms = [
            lambda: "%s %s %s" % (value(), compare(), value()),
            lambda: "%s %s %s" % (value(), compare(), value()),
            lambda: "%s IS %sNULL" % (value(), self.pick(("", "NOT "))),
            lambda: "%s %sIN (%s)" % (value(), self.pick(("", "NOT ")), ", ".join(value() for _ in range(self.r.randint(1, 4)))),
            lambda: "%s %sBETWEEN %s AND %s" % (value(), self.pick(("", "NOT ")), value(), value()),
            lambda: "%s LIKE '%s'" % (self.expr(scope, STR, 1), self.pick(("a%", "%b%", "_", "A_", "%"))),
            lambda: "%s REGEXP '%s'" % (self.expr(scope, STR, 1), self.pick(("^a", "b", "[xyz]", "^$"))),
            lambda: "(%s) IS %s%s" % (self.condition(scope, 0), self.pick(("", "NOT ")), self.pick(("TRUE", "FALSE", "UNKNOWN"))),
        ]
        if not self.outer:
            forms += [
                lambda: "(%s, %s) %s (%s, %s)" % (rv(), self.column(scope, INT), self.pick(("=", "<", ">=", "<>", "<=>")), rv(), self.column(scope, INT)),
                lambda: "(%s, %s) IN ((%s, 1), (%s, 2))" % (rv(), self.column(scope, INT), rv(), rv()),
            ]
        if any(k == JSON for _, k in scope):
            forms += [
                lambda: "%s MEMBER OF (%s)" % (self.column(scope, INT), self.column(scope, JSON)),
                lambda: "JSON_EXTRACT(%s, '$.a') = %s" % (
                    # of a column: MySQL 9.7 looks up a constant as a number
                    self.pick([n for n, k in scope if k == JSON]), self.pick((self.column(scope, INT), self.literal(STR)))),
                lambda: "JSON_CONTAINS_PATH(%s, 'one', '$.a', '$[1]')" % self.column(scope, JSON),
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
        table = self.pick(self.readable())
        alias = "s%d" % self.depth
        inner = [("%s.%s" % (alias, c.name), c.kind) for c in table.columns]
        both = inner + (scope if self.chance(0.5) else [])
        kind = self.pick((INT, STR))
        where = self.condition(both, 1)
        tail = "FROM %s %s WHERE %s" % (table.name, alias, where)
        text = self.pick((
            lambda: "%sEXISTS (SELECT 1 %s)" % (self.pick(("", "NOT ")), tail),
            lambda: "%s %sIN (SELECT %s %s)" % (self.column(scope, kind), self.pick(("", "NOT ")), self.column(inner, kind), tail),
            lambda: "%s %s %s (SELECT %s %s)" % (self.column(scope, kind), self.pick(("<", ">=", "=", "<>")), self.pick(("ALL", "ANY")), self.column(inner, kind), tail)
            if self.outer else "(%s, %s) IN (SELECT %s, %s %s)" % (self.column(scope, kind), self.column(scope, INT), self.column(inner, kind), self.column(inner, INT), tail),
            lambda: "%s %s %s (SELECT %s %s)" % (self.column(scope, kind), self.pick(("<", ">=", "=", "<>")), self.pick(("ALL", "ANY")), self.column(inner, kind), tail),
            lambda: "%s %s (SELECT %s(%s) %s)" % (self.column(scope, INT), self.pick(("<", ">=", "=")),
                                                  self.pick(("MAX", "MIN", "COUNT")), self.column(inner, INT), tail),
        ))()
        self.depth -= 1
        return text
