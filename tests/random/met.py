"""Is an error that one server tells of, and the other does not, one of a value of some row?

Whether a row is looked at, and which of its values first, is the plan's: a condition that drops it, a LIMIT, what stands beside AND and OR, what
decides a comparison, an empty side of INTERSECT. So the other server is asked for the statement without its conditions, and for each part of it,
of its views and of the definitions of its tables, over all rows of the tables that the part reads, and for what a column makes of it. It must
tell of the same value in the same words, as an error or, in a query, as a warning. Of a change it is asked with the rows that were there before,
and with those that the change makes of them."""
import re

import pymysql
import pymysql.converters

VIEW = re.compile(r"\bv\d\b")
TABLE = re.compile(r"\b(?:t\d|big\d|kept|made)\b")
QUOTED = re.compile(r"'(?:[^'\\]|\\.|'')*'")
AT_ROW = re.compile(r" at row -?\d+")
FOR_COLUMN = re.compile(r"for column '(\w+)'")
ALIAS = re.compile(r"\b([a-z]+\d*)\.[a-z]")
TOKEN = re.compile(r"'(?:[^'\\]|\\.|'')*'|[A-Za-z_@][A-Za-z_0-9@.]*|[0-9.]+(?:e-?[0-9]+)?|<=>|<>|<=|>=|&&|\|\||.", re.DOTALL)
# between these stand the parts
BETWEEN = frozenset("SELECT DISTINCT FROM WHERE AND OR XOR NOT ON HAVING BY WHEN THEN ELSE CASE END SET AS BETWEEN IN LIKE REGEXP RETURNING DESC ASC VALUES "
                    "ROW KEY LIMIT ORDER GROUP DUPLICATE UPDATE USING UNION EXCEPT INTERSECT ALL ANY STORED VIRTUAL IS MEMBER OF JOIN STRAIGHT_JOIN LEFT RIGHT INNER CROSS NATURAL WINDOW , = < > <= >= <> <=> && || + - * / % DIV MOD".split())
# these begin something else
CLAUSES = frozenset("SELECT DISTINCT FROM WHERE ON HAVING BY SET AS VALUES ROW KEY LIMIT ORDER GROUP DUPLICATE UPDATE USING UNION EXCEPT INTERSECT STORED VIRTUAL".split())
NOT_THERE = {1054, 1146}
# of collations that do not agree, of bytes beside text, and of a frame: of an expression as it is written, whatever rows there are
OF_EXPRESSIONS = {1253, 1267, 1270, 1271, 3586, 3995}
# of many values IGNORE tells of each, but not in the words in which a statement that stores is refused
STORING = ("INSERT IGNORE INTO %s ", "INSERT INTO %s ")
PARTS_MAX = 1500
ROWS_MAX = 40000
# what a side of a comparison is converted to, of which the other side may have no row
CONVERTED_TO = re.compile(r" to (\w+)$")
EACH_ROW_MAX = 100


def parts(text):
    """What may be an expression: each stretch between two tokens of BETWEEN within the same parentheses."""
    out, open_ = {}, [[0]]
    for m in TOKEN.finditer(text):
        word = m.group(0).upper()
        if word == "(":
            open_[-1] += [] if open_[-1] else [m.start()]
            open_.append([m.end()])
        elif word == ")" or word in BETWEEN:
            for start in open_[-1]:
                part = text[start:m.start()].strip()
                if part and not part.upper() in BETWEEN:
                    out[part] = None
            if word != ")":
                open_[-1] = (open_[-1] if word not in CLAUSES else []) + [m.end()]
            elif len(open_) > 1:
                open_.pop()
    for start in open_[0]:
        out[text[start:].strip()] = None
    return sorted((p for p in out if p), key=len)[:PARTS_MAX]


ENDS = {"WHERE": frozenset("GROUP HAVING WINDOW ORDER LIMIT UNION EXCEPT INTERSECT FOR".split()), "HAVING": frozenset("WINDOW ORDER LIMIT UNION EXCEPT INTERSECT FOR".split()),
        "LIMIT": frozenset("UNION EXCEPT INTERSECT FOR".split()), "ON": frozenset("WHERE SET GROUP HAVING WINDOW ORDER LIMIT JOIN LEFT RIGHT INNER CROSS NATURAL STRAIGHT_JOIN , UNION EXCEPT INTERSECT FOR".split())}


def unconditional(text, what):
    """The text without what begins with one of these words; ON is left with TRUE."""
    out, depth, cut = [], 0, None
    for m in TOKEN.finditer(text):
        word = m.group(0).upper()
        if cut is not None and depth == cut[1] and (word in ENDS[cut[0]] or word == ")"):
            cut = None
        if cut is None and word in what:
            cut = word, depth
            out.append("ON TRUE " if word == "ON" else "")
        depth += {"(": 1, ")": -1}.get(word, 0)
        if cut is None:
            out.append(m.group(0))
    return "".join(out)


CONSTANT_SHOWN = re.compile(r"\(SELECT ('(?:[^'\\]|\\.|'')*') FROM ")


def of_no_table(text):
    """The text with a subquery that shows a constant as that constant alone, whatever rows it has."""
    out, at = "", 0
    for m in CONSTANT_SHOWN.finditer(text):
        end = closing(text, m.start(), 1)
        if m.start() >= at and end is not None:
            out += "%s(SELECT %s)" % (text[at:m.start()], m.group(1))
            at = end + 1
    return out + text[at:]


SETS = re.compile(r" (?:INTERSECT|EXCEPT)(?: ALL| DISTINCT)? ")


def all_rows(text):
    """The text with set operations that keep the rows of both sides, whatever columns are NULL on one of them."""
    return SETS.sub(" UNION ALL ", text)


def closing(text, at, step):
    """Where the parenthesis is that belongs to the one at a place, forwards or backwards; quotes hide none of them."""
    depth = 0
    bare = QUOTED.sub(lambda m: "'" + "." * (len(m.group(0)) - 2) + "'", text)
    while 0 <= at < len(bare):
        depth += {"(": 1, ")": -1}.get(bare[at], 0)
        if depth == 0:
            return at
        at += step
    return None


def derived(text, alias):
    """The query in parentheses that has this name, with its names of columns; or None."""
    for m in re.finditer(r"\) (?:AS )?(%s(?: \([a-z0-9, ]+\))?)(?![\w.])" % alias, text):
        start = closing(text, m.start(), -1)
        if start is not None and re.match(r"\((?:SELECT|VALUES|\()", text[start:]):
            return text[start:m.start() + 1] + " " + m.group(1)
    return None


def common(text):
    """WITH and the tables that it makes, or nothing; and their names."""
    head = re.match(r"\(?WITH (?:RECURSIVE )?", text)
    names, at = [], head.end() if head else 0
    while head:
        one = re.compile(r"(\w+)(?: \([\w, ]+\))? AS (?=\()").match(text, at)
        end = closing(text, one.end(), 1) if one else None
        if end is None:
            return "", []
        names.append(one.group(1))
        at = end + 1
        if not text.startswith(", ", at):
            return text[head.start():at].lstrip("(") + " ", names
        at += 2
    return "", names


class Sources:
    """What a part of a text reads, as lists for FROM."""

    def __init__(self, text, kept):
        self.text, self.kept = text, kept
        self.with_, self.common = common(text)
        self.tables = sorted(set(TABLE.findall(text)))

    def of_alias(self, alias):
        named = set(re.findall(r"\b([a-z]+\d*)`? (?:AS )?`?%s\b" % alias, self.text)) | ({alias} if TABLE.fullmatch(alias) else set())
        out = ["%s %s" % (self.kept.get(n, n), alias) for n in sorted(named) if TABLE.fullmatch(n) or VIEW.fullmatch(n) or n in self.common]
        query = derived(self.text, alias)
        return out + ([query] if query else [])

    def of(self, part):
        lists = [[]]
        for alias in sorted(set(ALIAS.findall(QUOTED.sub("''", part)))):
            lists = [made + [s] for made in lists for s in self.of_alias(alias)][:8]
        if lists == [[]]:
            lists += [["%s %s" % (self.kept.get(t, t), t)] for t in self.tables]
        return [" FROM " + ", ".join(x) if x else "" for x in lists]


def literal(value):
    return pymysql.converters.escape_item(value, "utf8mb4", pymysql.converters.conversions)


def keep_rows(mine, other, tables, change):
    """Tables of the other server with the rows that the first one has, and with those that a change makes of them: {name: its name}, and of what
    that change told."""
    kept = {}
    for t in tables:
        with mine.c.cursor() as cur:
            try:
                cur.execute("SELECT * FROM " + t)
                rows = cur.fetchall()
            except pymysql.MySQLError:
                continue
        with other.c.cursor() as cur:
            try:
                cur.execute("CREATE TABLE was_%s AS SELECT * FROM %s LIMIT 0" % (t, t))
                kept[t] = "was_" + t
                if rows:
                    cur.execute("INSERT IGNORE INTO was_%s VALUES %s" % (t, ", ".join("(%s)" % ", ".join(map(literal, r)) for r in rows)))
                cur.execute("CREATE TABLE next_%s AS SELECT * FROM was_%s" % (t, t))
            except pymysql.MySQLError:
                continue
    # what a row becomes is beside what it was; nothing but the copies is changed
    changed = re.sub(r"^(INSERT|UPDATE) (?:IGNORE )?", r"\1 IGNORE ", TABLE.sub(lambda m: "next_" + m.group(0), change))
    found = conditions(other, changed) if set(TABLE.findall(change)) <= set(kept) and not VIEW.search(change) else set()
    for t in kept:
        conditions(other, "INSERT INTO was_%s SELECT * FROM next_%s" % (t, t))
        conditions(other, "DROP TABLE IF EXISTS next_" + t)
    return kept, found


def definitions(server, text):
    """Of the views and tables of a text: [(text, table)]."""
    out = []
    for kind, names in (("VIEW", VIEW.findall(text)), ("TABLE", TABLE.findall(text))):
        for n in sorted(set(names)):
            with server.c.cursor() as cur:
                try:
                    cur.execute("SHOW CREATE %s %s" % (kind, n))
                    shown = cur.fetchone()[1].replace("`", "")
                except pymysql.MySQLError:
                    continue
            if kind == "VIEW":
                out += [(shown.split(" VIEW ", 1)[1].split(" AS ", 1)[1], None)] + definitions(server, " ".join(TABLE.findall(shown)))
            else:
                out.append((shown, n))
    return out


# what a character set does not have: a change tells of it as of what is stored or, by another plan, of what is compared
BYTES_TOLD = re.compile(r"string (?:value: )?'((?:\\x[0-9A-F]{2}|[^'\\])+)'")


# of which character set text is that another does not have depends on what has been made of it before: it is told by its bytes
NOT_CONVERTED = 3854
# errors of a row that end a query: what is wrong with the rows behind it is told of row by row
ENDING = {NOT_CONVERTED, 1690}


ONE_BYTE = re.compile(r"\\x[0-9A-F]{2}|[^\\]")


def bytes_of(text, ends=False):
    """The bytes that an error tells of; ends: also those from each byte beyond ASCII on, as the reference tells of rows of VALUES."""
    found = BYTES_TOLD.search(text)
    if found is None:
        return set()
    one_by_one = ONE_BYTE.findall(found.group(1))
    return {("text", found.group(1))} | {("text", "".join(one_by_one[i:])) for i, b in enumerate(one_by_one) if ends and len(b) > 1}


def conditions(server, statement):
    """The conditions of a statement: {(number, text without its row)}; of an error, which one value makes, without the value; and the bytes that
    they tell of."""
    with server.c.cursor() as cur:
        try:
            cur.execute(statement)
            cur.fetchall()
        except pymysql.MySQLError as e:
            return {(e.args[0], shape(e.args[1])), (e.args[0], AT_ROW.sub("", e.args[1]))} | bytes_of(e.args[1]) if len(e.args) > 1 else set()
        cur.execute("SHOW WARNINGS")
        told = [(int(code), text) for _, code, text in cur.fetchall()]
    return set().union({(code, AT_ROW.sub("", text)) for code, text in told}, {(code, shape(text)) for code, text in told if text.startswith(NO_DIGIT_TOLD)},
                       *(bytes_of(text) for _, text in told))


def shape(text):
    return QUOTED.sub("'?'", AT_ROW.sub("", text))


# MySQL, of the text of a column that CAST finds no digit in, before it says so (1292)
NO_DIGIT_TOLD = "Truncated incorrect DECIMAL value: "
NO_DIGIT = "Incorrect DECIMAL value: '0' for column ''"


def as_told(error, told, change):
    """The conditions by which another server may tell of the same value: {(number, text)}."""
    if error in OF_EXPRESSIONS:
        return {(error, told)}
    if bytes_of(told) and (change or error == NOT_CONVERTED):
        return {(error, AT_ROW.sub("", told))} | bytes_of(told, True)
    if AT_ROW.sub("", told) == NO_DIGIT:
        return {(error, NO_DIGIT), (1292, NO_DIGIT_TOLD + "'?'")}
    return {(error, AT_ROW.sub("", told)), (error, shape(told))}


def of_each_row(server, ask, source):
    """The conditions of a query row by row of each of its tables: an error ends it at the first row that has one."""
    found = set()
    for table, alias in re.findall(r"(?:FROM|,) (\w+) (\w+)(?=,|$)", source):
        with server.c.cursor() as cur:
            try:
                cur.execute("SELECT DISTINCT id FROM %s WHERE id IS NOT NULL LIMIT %d" % (table, EACH_ROW_MAX))
                ids = [row[0] for row in cur.fetchall()]
            except pymysql.MySQLError:
                continue
        for n in ids:
            found |= conditions(server, "%s WHERE %s.id = %s LIMIT %d" % (ask, alias, literal(n), ROWS_MAX))
    return found


def met(error, told, text, mine, other, change=False):
    """Does the other server find a value that makes this error, of which the first one has told, in some part of the statement?"""
    wanted = as_told(error, told or "", change)
    column = FOR_COLUMN.search(told or "")
    defined = definitions(mine, text)
    tables = sorted(set(TABLE.findall(text + " ".join(d for d, _ in defined))))
    for one in ("SET max_error_count = 65535", "SET max_execution_time = 2000"):
        conditions(other, one)
    kept, found = keep_rows(mine, other, tables, text) if change else ({}, set())
    to = CONVERTED_TO.search(told or "") if error == NOT_CONVERTED else None
    if to is not None:
        for one in ("CREATE TABLE met_text (x varchar(9) CHARACTER SET %s)" % to.group(1), "INSERT INTO met_text VALUES ('a')"):
            conditions(other, one)
    stores = {"store_" + t for t in tables if column is not None
              and not {n for n, _ in conditions(other, "CREATE TABLE store_%s AS SELECT %s FROM %s LIMIT 0" % (t, column.group(1), t))} & NOT_THERE}
    try:
        whole = () if change else {unconditional(text, w) for w in (("WHERE",), ("ON",), ("WHERE", "HAVING", "LIMIT"), ("WHERE", "HAVING", "LIMIT", "ON"))} | {of_no_table(text), all_rows(text)}
        if wanted & found or any(wanted & conditions(other, w) for w in sorted(set(whole) - {text})):
            return True
        for one, table in [(text, None)] + defined:
            sources = Sources(one, kept)
            for part in parts(one):
                for source in sources.of(part) if table is None else ["", " FROM %s %s" % (kept.get(table, table), table)]:
                    query = "%sSELECT (%s)%s" % (sources.with_, part, source)
                    limited = "%s LIMIT %d" % (query, ROWS_MAX)
                    if any(wanted & conditions(other, ask + limited) for ask in [""] + [how % s for s in stores for how in STORING]):
                        return True
                    if to is not None and wanted & conditions(other, "%sSELECT (%s) = met_text.x%s met_text LIMIT %d" % (
                            sources.with_, part, source + "," if source else " FROM", ROWS_MAX)):
                        return True
                    if ENDING & {n for n, _ in conditions(other, limited)} and wanted & of_each_row(other, query, source):
                        return True
    finally:
        for one in ["SET max_error_count = DEFAULT", "SET max_execution_time = 30000"] + ["DROP TABLE IF EXISTS " + n for n in list(kept.values()) + list(stores) + ["met_text"]]:
            conditions(other, one)
    return False
