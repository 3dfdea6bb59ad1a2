"""Statements with other values in the place of their literals: parameters, other literals, columns of a table of all types."""
import re

TOKEN = re.compile(r"""
  (?P<comment> /\*.*?\*/ | \#[^\n]* | --(?=\s|$)[^\n]* )
| (?P<space> \s+ )
| (?P<variable> @@?(?: `[^`]*` | '[^']*' | "[^"]*" | [\w.$]* ) )
| (?P<bits> (?:_[a-z]\w*\s*)? (?: [xX]'[0-9a-fA-F]*' | [bB]'[01]*' | 0x[0-9a-fA-F]+(?![\w$]) | 0b[01]+(?![\w$]) ) )
| (?P<string> (?: [nN] | _[a-z]\w*\s* )? (?: '(?:[^'\\]|\\.|'')*' | "(?:[^"\\]|\\.|"")*" ) )
| (?P<number> (?: \d+\.\d* | \.\d+ | \d+ )(?: [eE][-+]?\d+ )?(?![\w$]) )
| (?P<name> `(?:[^`]|``)*` | [\w$]+ )
| (?P<sign> . )""", re.VERBOSE | re.DOTALL)

CONSTANTS = ("NULL", "TRUE", "FALSE")
TEMPORAL = ("DATE", "TIME", "TIMESTAMP")
# what stands in parentheses behind these is a size
SIZED = frozenset("VARCHAR VARBINARY DECIMAL NUMERIC DEC FLOAT DOUBLE BIT DATETIME TINYINT SMALLINT MEDIUMINT INT INTEGER BIGINT".split())
READS = frozenset(("SELECT", "WITH", "TABLE", "VALUES", "("))
CHANGES = frozenset(("INSERT", "REPLACE", "UPDATE", "DELETE"))
DEFINITIONS = frozenset(("CREATE", "ALTER"))
OTHERS = frozenset("SET DROP TRUNCATE DO START COMMIT ROLLBACK SAVEPOINT RENAME ANALYZE".split())
# of these CREATE, ALTER, DROP and RENAME may be asked: what goes with the test's own database
OBJECTS = frozenset("TABLE TEMPORARY VIEW INDEX UNIQUE OR".split())
# whatever server is asked, these are no part of it: they wait, stay, or are of the whole server
BARRED = frozenset("""SHUTDOWN RESTART KILL FLUSH LOAD LOAD_FILE GLOBAL PERSIST PERSIST_ONLY OUTFILE DUMPFILE USER ROLE PASSWORD SLEEP BENCHMARK GET_LOCK
    MAX_EXECUTION_TIME DATABASE SCHEMA INSTANCE MYSQL RESOURCE TABLESPACE EVENT SERVER PROCEDURE TRIGGER""".split())
# functions of these names may be called
CALLED = frozenset(("USER", "DATABASE", "SCHEMA"))
LENGTH_MAX = 3000       # of a statement
EXECUTIONS = 3          # of a prepared one

PARAMETERS = ["0", "1", "-1", "3", "-5", "32", "70000", "9223372036854775807", "-9223372036854775808", "18446744073709551615", "2.5", "-0.5",
              "99999999999999999999999999999999999.99", "2e0", "1e300", "-1e-300", "''", "'1x'", "'abc'", "'-1'", "'1e300'", "'%'", "'2020-02-29'",
              "'10:11:12'", "'2020-02-29 10:11:12.5'", "'0000-00-00'", "'[1,2]'", "'{\"a\": 1}'", "'$.a'", "'\u00e9\u65e5\U0001f600'", "x''", "x'00'",
              "x'ff00'", "NULL", "NULL"]
INLINE = PARAMETERS + ["TRUE", "b'101'", "0x4142", "DATE'2020-02-29'", "TIME'10:11:12'", "TIME'-838:59:59'", "TIMESTAMP'2020-02-29 10:11:12.123456'",
                       "TIMESTAMP'2020-02-29 10:11:12+05:30'", "CAST('{}' AS JSON)", "CAST(2020 AS YEAR)", "(SELECT NULL)", "(SELECT 1)", "(1, 2)", "_latin1'a'",
                       "N'a'", "'a' COLLATE utf8mb4_bin", "REPEAT('x', 70000)", "CAST(1 AS FLOAT)", "DEFAULT"]

COLUMNS = {"i": "INT", "u": "BIGINT UNSIGNED", "d": "DECIMAL(20,4)", "f": "FLOAT", "g": "DOUBLE", "c": "CHAR(10)", "v": "VARCHAR(50) COLLATE utf8mb4_bin",
           "b": "VARBINARY(20)", "l": "LONGTEXT", "e": "ENUM('a','1','')", "s": "SET('a','b')", "n": "BIT(10)", "y": "YEAR", "dt": "DATE", "tm": "TIME(3)",
           "ts": "TIMESTAMP NULL", "dm": "DATETIME(6)", "j": "JSON"}
TABLE = "literal_values"
MAKE_TABLE = ["CREATE TABLE %s (%s)" % (TABLE, ", ".join("%s_ %s" % c for c in COLUMNS.items())),
              "INSERT INTO %s VALUES (1, 18446744073709551615, 2.5, 0.1, 1e300, 'abc', '1x', x'ff00', '[1,2]', '1', 'a,b', b'101', 2020, '2020-02-29', '10:11:12', "
              "'2020-02-29 10:11:12', '2020-02-29 10:11:12.5', '{\"a\": 1}')" % TABLE,
              "INSERT INTO %s VALUES (-5, 0, -0.5, -1, -0.0, '', '10:11:12', x'', '2020-02-29', '', '', 0, 0, '1000-01-01', '-838:59:59', NULL, '9999-12-31', 'null')" % TABLE,
              "INSERT INTO %s () VALUES ()" % TABLE]


class Token:
    def __init__(self, kind, text, start):
        self.kind, self.text, self.start, self.end = kind, text, start, start + len(text)
        self.word = text.upper() if kind == "name" else ""


def tokens(sql):
    """Those that mean something; a name behind a point is never a number."""
    out, at = [], 0
    while at < len(sql):
        m = TOKEN.match(sql, at)
        kind, text = m.lastgroup, m.group(0)
        if kind in ("number", "bits") and out and out[-1].text == "." and out[-1].end == at:
            text = re.compile(r"[\w$]+|.").match(sql, at).group(0)
            kind = "name"
        if kind not in ("space", "comment"):
            out.append(Token(kind, text, at))
        at += len(text)
    return out


def head(found):
    return (found[0].word or found[0].text) if found else ""


def words(found):
    return {t.word for t in found if t.word}


def may_run(found):
    """Is this a statement that a test may ask of a server that others use, too?"""
    first = head(found)
    if first in DEFINITIONS | {"DROP", "RENAME"} and (len(found) < 2 or found[1].word not in OBJECTS):
        return False
    if first not in READS | CHANGES | DEFINITIONS | OTHERS or (first == "START" and found[1].word != "TRANSACTION"):
        return False
    for t, after in zip(found, found[1:] + [Token("sign", "", 0)]):
        if t.kind == "variable" and t.text.lower().startswith(("@@global", "@@persist")):
            return False
        if t.word.strip("`") in BARRED and not (t.word in CALLED and after.text == "("):
            return False
    return True


def literals(found):
    """(start, end) of each literal; a date's with its word."""
    out, sized = [], False
    for i, t in enumerate(found):
        before = found[i - 1] if i else None
        sized = (sized and t.text != ")") or (t.text == "(" and before is not None and before.word in SIZED)
        start = t.start
        if t.kind in ("string", "number", "bits"):
            if sized or (before is not None and before.word == "AS"):
                continue
            if t.kind == "string" and before is not None and before.word in TEMPORAL:
                start = before.start
        elif t.word not in CONSTANTS or (before is not None and before.word in ("NOT", "IS")):
            continue
        out.append((start, t.end))
    return out


def replaced(sql, places, values):
    out, at = [], 0
    for (start, end), v in zip(places, values):
        out += [sql[at:start], v]
        at = end
    return "".join(out) + sql[at:]


def quoted(text):
    return "'%s'" % text.replace("\\", "\\\\").replace("'", "''")


class Prepared:
    """A statement with parameters, and the values of each of its executions."""

    def __init__(self, text, executions, binary):
        self.text, self.executions, self.binary = text, executions, binary

    def statements(self):
        """As SQL, ready to be asked."""
        out = ["PREPARE literals FROM " + quoted(self.text)]
        for values in self.executions:
            names = ["@v%d" % i for i in range(len(values))]
            out += ["SET " + ", ".join("%s = %s" % x for x in zip(names, values)), "EXECUTE literals USING " + ", ".join(names)]
        return out

    def inline(self, values):
        """The statement of one execution without parameters."""
        marks = [(t.start, t.end) for t in tokens(self.text) if t.text == "?"]
        return replaced(self.text, marks, values)


class Inline:
    def __init__(self, text):
        self.text, self.binary = text, False

    def statements(self):
        return [self.text]


def selects_constants(found):
    return head(found) == "SELECT" and not words(found) & set("FROM WHERE ORDER GROUP HAVING LIMIT UNION EXCEPT INTERSECT INTO FOR WINDOW".split())


def variants(sql, rng):
    """What a statement becomes: a few of Prepared and Inline."""
    found = tokens(sql)
    places = literals(found)
    if not places or len(sql) > LENGTH_MAX:
        return []
    chosen = lambda: sorted(rng.sample(places, min(len(places), rng.choice((1, 1, 2, 3, len(places))))))
    some = lambda pool, n: [rng.choice(pool) for _ in range(n)]
    out = []
    first = head(found)
    if first in READS | CHANGES:
        p = chosen()
        out.append(Prepared(replaced(sql, p, ["?"] * len(p)), [some(PARAMETERS, len(p)) for _ in range(EXECUTIONS)], rng.random() < 0.5))
    if selects_constants(found) and rng.random() < 0.5:
        p = chosen()
        out.append(Inline("%s FROM %s" % (replaced(sql, p, [c + "_" for c in some(list(COLUMNS), len(p))]), TABLE)))
    if first in READS | CHANGES | DEFINITIONS:
        p = chosen()
        out.append(Inline(replaced(sql, p, some(INLINE, len(p)))))
    return out
