"""What may differ from the reference: errors that are open, and known differences (docs/compat/README.md), each of which is told by a
question that only it answers so. All are counted."""
import collections
import decimal
import re
import time

from met import NOT_CONVERTED, OF_EXPRESSIONS, QUOTED, TABLE, TOKEN, VIEW, bytes_of, closing, met
from wide import Binary

VERBOSE = False
explained = collections.Counter()

# errors that a value of a row makes: the other server must find the value, too, where it looks at more rows (met.py)
OF_VALUES = {1292, 1365, 1525, 1264, 1366, 1411, 3140, 3141, 3144, 1441, 6527, 3020, 1690, 3854}
# what such an error may come before or after
OF_ROWS = OF_VALUES | {1048, 1062, 1242, 1364, 1451, 1452, 3751, 3752, 3819}
OUT_OF_RANGE = 1690
BYTES_OF_PATTERNS = 3995
# errors that a value of a row makes: whether a row is looked at, and which of its conditions first, is the plan's
EVALUATED = {1292, 1365, 1411, 1441, 1525, 1690, 3020, 3140, 3141, 3144, 3854, 6527}
TIMEOUT = 3024
TOO_LONG = 1104     # what stands for an answer of so many rows that it is not read to its end
SLOW = 8        # seconds
LIMITED_MEMORY = 20003    # a join of many rows of one key ends with an error when they do not fit into memory

# of which of several tables rows go first, and thus whether a foreign key is met, is the plan's
MANY_TARGETS = re.compile(r"DELETE \w+, \w+ FROM|UPDATE \w+ .*JOIN")


def no_time_unmerged(oracle, sql, ordered, folded, got):
    """The server's time is up; that of the reference is, too, or a good part of it, when derived tables are not made part of the query, and so
    does not see the constants in them."""
    text = sql if isinstance(sql, str) else literal_form(sql)
    if got != ("error", TIMEOUT) or text is None:
        return False
    oracle.change("SET optimizer_switch = 'derived_merge=off,derived_condition_pushdown=off'")
    before = time.monotonic()
    answer = oracle.ask(text, ordered, folded)
    slow = time.monotonic() - before > SLOW
    oracle.change("SET optimizer_switch = DEFAULT")
    return answer == got or slow


def no_time_now(server, oracle, sql, ordered, folded, got, wanted):
    """The server's time is up, on a busy machine: asked again it answers as the reference does, or that takes a good part of the time, too."""
    if got != ("error", TIMEOUT):
        return False
    if server.ask(sql, ordered, folded) == wanted:
        return True
    before = time.monotonic()
    return oracle.ask(sql, ordered, folded)[0] == "rows" and time.monotonic() - before > SLOW


NAMED = re.compile(r"\b(t\d) ([abcqsxyz]\d?|o)\b(?! (?:SET|JOIN \(SELECT))")
FORCED = re.compile(r" FORCE INDEX \(\w+\)|/\*\+ \w*INDEX\w*\([^)]*\) \*/ ")
TIME_FRACTION = re.compile(r"(\d\d:\d\d:\d\d)(\.\d*?[1-9])?\.?0*(?!\d)")
JSON_NUMBER = re.compile(r"(?<![\w.])(-?\d+)\.(\d*?)0*(?![\d.\w])")


def without_indexes(text):
    """The query by no key of its tables, whatever it said of them."""
    return NAMED.sub(r"\1 \2 USE INDEX ()", FORCED.sub("", text))


def count(what, sql, got=None, wanted=None):
    explained[what] += 1
    if VERBOSE:
        print("known (%s): %s" % (what, sql) + ("" if got is None else "\n  got    %s\n  wanted %s" % (str(got)[:900], str(wanted)[:900])), flush=True)


RANGE_TOLD = re.compile(r"value is out of range in '(.*)'$", re.DOTALL)
COLUMN_TOLD = re.compile(r"`\w+`\.(`(\w+)`\.`\w+`)")
DERIVED_TOLD = re.compile(r"`\w+`\.`\w+`")
DEFINED_TOLD = re.compile(r"(?<!\.)`\w+`(?!\.)")


# bytes of which a parameter is a part are no bytes for regular expressions
PARAMETER_SEARCHED = re.compile(r"(?:\bREG.*\?|\?.*\bREG)", re.DOTALL)


def out_of_range(told, other, text):
    """Does the other server find the expression, of which an error is told, out of range in some rows of its tables? Not asked of columns
    of a table that the plan has made."""
    found = RANGE_TOLD.search(told or "")
    if found is None:
        return False
    if DERIVED_TOLD.search(COLUMN_TOLD.sub("", found.group(1))):
        return True
    defined = text + " ".join(other.definition(v) for v in set(VIEW.findall(text)))
    sources = [[]]
    for alias in sorted({m.group(2) for m in COLUMN_TOLD.finditer(found.group(1))}):
        named = set(re.findall(r"\b([a-z]+\d*)`? (?:AS )?`?%s\b" % alias, defined)) | ({alias} if re.fullmatch(r"t\d|big\d|kept|made", alias) else set())
        sources = [s + ["%s %s" % (t, alias)] for s in sources for t in sorted(named)]
    if DEFINED_TOLD.search(COLUMN_TOLD.sub("", found.group(1))):     # of a generated column, or a default
        sources = [s + [t] for s in sources for t in sorted(set(TABLE.findall(defined)))]
    expression = COLUMN_TOLD.sub(r"\1", found.group(1))
    return any(other.ask("SELECT %s%s" % (expression, " FROM " + ", ".join(s) if s else "")) == ("error", OUT_OF_RANGE) for s in sources)


READS = ("SELECT", "WITH", "VALUES", "TABLE", "PREPARE", "SET")


def of_values(got, wanted, text, server, oracle, whole):
    """Which of a statement's errors is met first, and whether one is met in a row that another condition drops, is open: the other server finds
    each of them that a value makes."""
    sides = [x for x in ((got, server, oracle), (wanted, oracle, server)) if x[0][0] == "error"]
    errors = {a[1] for a, _, _ in sides}
    if not errors & OF_VALUES or not errors <= OF_ROWS:
        return False
    return all(any(one_met(a[1], mine.said.get(str(text)), w, mine, other) for w in executed(whole)) for a, mine, other in sides if a[1] in OF_VALUES)


def executed(whole):
    """What is asked, with values in the places of parameters: the texts of each EXECUTE, any of which may have ended with the error."""
    if isinstance(whole, str):
        return [whole]
    ends = [i + 1 for i, s in enumerate(whole) if s.startswith("EXECUTE")] if isinstance(whole, list) else []
    forms = [literal_form(whole[:end]) for end in ends] or [literal_form(whole)]
    return list(dict.fromkeys(f for f in forms if f is not None)) or [whole[-1] if isinstance(whole, list) else str(whole)]


def of_characters(got, wanted, text, server, oracle):
    """Text that a column's character set does not have, in a change: both tell of the same bytes, the reference as of what it compares."""
    if sorted((a[0], a[1] if a[0] == "error" else 0) for a in (got, wanted)) != [("error", 1366), ("error", 3854)]:
        return False
    mine, theirs = (bytes_of(s.said.get(str(text), "")) for s in (server, oracle))
    return bool(mine) and mine == theirs


def of_two(got, wanted, text, server, oracle, whole):
    """Both refuse the statement, each for another reason that an expression makes: in which order expressions are looked at is open. Each finds
    the other's reason, too, when it is asked for that expression alone."""
    sides = ((got, server, oracle), (wanted, oracle, server))
    errors = {a[1] for a, _, _ in sides if a[0] == "error"}
    if len(errors) != 2 or not errors <= OF_VALUES | OF_EXPRESSIONS:
        return False
    return all(mine.said.get(str(text)) and any(one_met(a[1], mine.said[str(text)], w, mine, other) for w in executed(whole)) for a, mine, other in sides)


NO_COMMON = (1267, 1270, 1271)


def shown_bytes(literal):
    """As messages show them: six at most."""
    return "".join(chr(b) if 0x20 <= b < 0x7f else "\\x%02X" % b for b in literal[1:-1].encode()[:6])


def of_literal(got, wanted, text, server, oracle):
    """Sides of a set operation have no common collation, and one is a literal that has what a column's character set has not: which of both is told
    first is open. With another literal in its place both tell that there is no common collation."""
    sides = sorted((a[1], s) for a, s in ((got, server), (wanted, oracle)) if a[0] == "error") if got != wanted and got[0] == wanted[0] == "error" else []
    words = text if isinstance(text, str) else literal_form(text)
    if not sides or words is None or sides[0][0] not in NO_COMMON or sides[1][0] != NOT_CONVERTED:
        return False
    told = sides[1][1].said.get(str(text), "")
    plain = QUOTED.sub(lambda m: "'a'" if not m.group(0).isascii() and "'" + shown_bytes(m.group(0)) in told else m.group(0), words)
    return plain != words and all(s.ask(plain) == ("error", sides[0][0]) for s in (server, oracle))


def one_met(error, told, words, mine, other):
    change = not words.lstrip("(").startswith(READS) or (words.startswith("WITH") and " UPDATE " in words)
    return (error == OUT_OF_RANGE and out_of_range(told, other, words)) or met(error, told, words, mine, other, change)


def open_kind(got, wanted, text, server, oracle, whole):
    """What leaves the difference of two answers open, one of which is an error; or None."""
    if wanted == ("error", TIMEOUT):
        return "time is up"
    errors = {a[1] for a in (got, wanted) if a[0] == "error"}
    if TOO_LONG in errors and len(errors) == 2 and errors <= OF_ROWS | {TIMEOUT, TOO_LONG}:
        return "an answer is too long"
    words = str(text)
    if 1451 in errors and MANY_TARGETS.match(words):
        return "order of tables"
    if of_characters(got, wanted, text, server, oracle) or of_values(got, wanted, text, server, oracle, whole) or of_two(got, wanted, text, server, oracle, whole) or of_literal(got, wanted, text, server, oracle) or (wanted == ("error", BYTES_OF_PATTERNS) and PARAMETER_SEARCHED.search(words)):
        side = "both" if got[0] == wanted[0] else "ours" if got[0] == "error" else "theirs"
        return "error %s of %s" % ("/".join(str(e) for e in sorted(errors)), side)
    return None


def open_error(got, wanted, text, server, oracle, whole=None):
    """Is the difference open? It is counted. whole: the statements of which the text is the last, if that says too little."""
    kind = open_kind(got, wanted, text, server, oracle, whole if whole is not None else text)
    if kind is not None:
        count(kind, text, got if got[0] == "error" else "rows", wanted if wanted[0] == "error" else "rows")
    return kind is not None


def of_rows(*answers):
    """Is each error among them, and there is one, one that depends on which rows are looked at, or on how long and for how many that is done?"""
    errors = {a[1] for a in answers if a[0] == "error"}
    return bool(errors) and errors <= EVALUATED | {TIMEOUT, TOO_LONG}


def of_plan(got, wanted, sql):
    """May two plans of one query answer so? It is counted."""
    if not of_rows(got, wanted) or (("error", TOO_LONG) in (got, wanted) and "rows" in (got[0], wanted[0])):
        return False
    count("a plan meets %s" % "/".join(str(a[1]) for a in (got, wanted) if a[0] == "error"), str(sql), got, wanted)
    return True


def little_memory(server, got, wanted):
    """The session may use next to no memory."""
    return got == ("error", LIMITED_MEMORY) and wanted[0] != "error" and any("spill_budget" in s for s in server.settings)


def literal_form(sql):
    """A prepared statement with the values in the places of its parameters, or the query behind some SET of variables, which stay as they are; or
    None."""
    if isinstance(sql, Binary):
        values = iter(sql.literals)
        return None if sql.text.count("?") != len(sql.literals) else re.sub(r"\?", lambda _: next(values), sql.text)
    if isinstance(sql, list) and sql[0].startswith("SET @v = "):
        return sql[-1]
    if not isinstance(sql, list) or not sql[0].startswith("PREPARE s FROM '"):
        return None
    text = prepared_text(sql[0])
    values = [s.split(" = ", 1)[1] for s in last_values(sql)]
    bare = QUOTED.sub(lambda m: m.group(0).replace("?", "\0"), text)
    if bare.count("?") != len(values):
        return None
    values = iter(values)
    return re.sub(r"\?", lambda _: next(values), bare).replace("\0", "?")


def prepared_text(sql):
    """The statement that PREPARE prepares, or None."""
    return sql[len("PREPARE s FROM '"):-1].replace("''", "'").replace("\\\\", "\\") if isinstance(sql, str) and sql.startswith("PREPARE s FROM '") else None


def last_values(sql):
    """The assignments between the last execution and the one before it."""
    executed = [i for i, s in enumerate(sql) if s.startswith("EXECUTE")]
    return sql[(executed[-2] if len(executed) > 1 else 0) + 1:executed[-1]]


def by_value(server, oracle, sql, ordered, folded):
    """A parameter has its value's type: with the value in its place all answers are the one of the server. Or they are that of the reference, and a
    quotient has more digits with the parameter: the reference prepares the statement again, for what each parameter is, when the value of one of
    them is not of the type of its place."""
    text = literal_form(sql)
    if text is None:
        return False
    ours, theirs = (loosely(s, text, ordered, folded) for s in (server, oracle))
    if equal_rows(ours, theirs, loosely(server, sql, ordered, folded)):
        return True
    few_digits = lambda v: round(v, 3) if isinstance(v, decimal.Decimal) else v
    return (" / " in text and equal_rows(ours, theirs, loosely(oracle, sql, ordered, folded))
            and equal_rows(*(s.ask(sql, ordered, folded, loose=True, fix=few_digits) for s in (server, oracle))))


def loosely(server, sql, ordered, folded):
    return server.ask(sql, ordered, folded, loose=True)


def equal_rows(*answers):
    return all(a[0] == "rows" and a == answers[0] for a in answers)


def json_numbers(server, oracle, sql, ordered, folded):
    """Decimals of numbers in JSON."""
    if "JSON" not in str(sql):
        return False
    fix = lambda v: JSON_NUMBER.sub(lambda m: m.group(1) + ("." + m.group(2) if m.group(2) else ""), v) if isinstance(v, str) else v
    a, b = (s.ask(sql, ordered, folded, fix=fix) for s in (server, oracle))
    return equal_rows(a, b)


def time_decimals(server, oracle, sql, ordered, folded):
    """Decimals of a sum of times as text."""
    if not any(w in str(sql) for w in ("ADDTIME", "SUBTIME", "INTERVAL")):
        return False
    fix = lambda v: TIME_FRACTION.sub(r"\1\2", v) if isinstance(v, str) else v
    a, b = (s.ask(sql, ordered, folded, fix=fix) for s in (server, oracle))
    return equal_rows(a, b)


def of_itself(server, oracle, sql, ordered, folded):
    """The reference answers another plan of the same query as the server does: without indexes, or without what it makes of subqueries and
    of conditions on derived tables."""
    alike = lambda a, b: equal_rows(a, b) or a == b == ("error", TOO_LONG)
    text = sql if isinstance(sql, str) else literal_form(sql)
    if text is None:
        return False
    ours = loosely(server, sql, ordered, folded)
    if NAMED.search(text) and alike(ours, loosely(oracle, without_indexes(text), ordered, folded)):
        return True
    if "(SELECT" not in text and not VIEW.search(text):
        return False
    oracle.change("SET optimizer_switch = 'materialization=off,semijoin=off,subquery_to_derived=off,derived_condition_pushdown=off'")
    answer = loosely(oracle, text, ordered, folded)
    oracle.change("SET optimizer_switch = DEFAULT")
    return alike(ours, answer)


def of_semijoin(oracle, sql, got, wanted):
    """IN of a subquery that the reference makes a join of, which it drops before it looks at the collations: it refuses them as the server
    does when it makes none. It is counted."""
    text = sql if isinstance(sql, str) else literal_form(sql)
    if got != ("error", 1267) or wanted[0] == "error" or text is None or not ("(SELECT" in text or VIEW.search(text)):
        return False
    oracle.change("SET optimizer_switch = 'semijoin=off'")
    answer = oracle.change("EXPLAIN " + text[text.find(" AS SELECT ") + len(" AS "):] if text.startswith("CREATE TABLE") else "EXPLAIN " + text)
    oracle.change("SET optimizer_switch = DEFAULT")
    if answer == got:
        count("of_semijoin", text, got, wanted[0])
    return answer == got


LOOSE = ("SET @mode = @@sql_mode", "SET sql_mode = REPLACE(REPLACE(@@sql_mode, 'STRICT_TRANS_TABLES', ''), 'STRICT_ALL_TABLES', '')")


def as_tables(oracle, made, changes=()):
    """Makes tables, [(name, queries of which the first that can be is taken)], and changes them; a division by zero, or a date that is none,
    is no error of theirs."""
    for one in LOOSE:
        oracle.change(one)
    for name, queries in made:
        any(oracle.change("CREATE TABLE %s AS %s" % (name, q))[0] == "changed" for q in queries)
    for one in changes:
        oracle.change(one)
    oracle.change("SET sql_mode = @mode")


def of_views(server, oracle, sql, ordered, folded):
    """The reference answers as the server does when the rows of its views are in tables."""
    text = sql if isinstance(sql, str) else literal_form(sql)
    names = set(VIEW.findall(text or ""))
    if not names:
        return False
    as_tables(oracle, [("table_" + n, ["SELECT * FROM " + n]) for n in names])
    answer = loosely(oracle, VIEW.sub(lambda m: "table_" + m.group(0), text), ordered, folded)
    for n in names:
        oracle.change("DROP TABLE IF EXISTS table_" + n)
    return equal_rows(loosely(server, sql, ordered, folded), answer)


def set_of_sets(server, oracle, sql, ordered, folded):
    """A set operation with another one at its side: the reference answers as the server does when its sides are tables. Of EXCEPT and INTERSECT it
    drops the wrong rows; text of no certain collation in an operand is any text for it."""
    again = getattr(sql, "again", None)
    if again is None:
        return False
    got = server.ask(sql, ordered, folded)
    return any(equal_rows(got, in_tables(oracle, again, ordered, folded, c)) for c in (None,) + OPERAND_COLLATIONS)


# text of no certain collation is no error in an operand, but it is one of a table: all text of the leaves is given one
OPERAND_COLLATIONS = ("utf8mb4_0900_ai_ci", "utf8mb4_general_ci", "utf8mb4_bin")


def in_tables(oracle, tree, ordered, folded, collation=None):
    """The tree's leaves and inner results as tables of their own; tree: text, or (left, operator, right, tail)."""
    names = []

    def table_of(node):
        text = node if isinstance(node, str) else "SELECT * FROM %s x %s SELECT * FROM %s y %s" % (
            table_of(node[0]), node[1], table_of(node[2]), node[3])
        name = "tree%d" % len(names)
        names.append(name)
        as_tables(oracle, [(name, ["(SELECT * FROM (%s) d (%s)) UNION ALL (SELECT %s LIMIT 0)" % (text, columns, no_defaults)
                                   for columns, no_defaults in (("x0", "NULL"), ("x0, x1", "NULL, NULL"))])])
        if collation is not None and isinstance(node, str):
            oracle.change("ALTER TABLE %s CONVERT TO CHARACTER SET utf8mb4 COLLATE %s" % (name, collation))
        return name
    answer = oracle.ask("SELECT * FROM %s x %s SELECT * FROM %s y %s" % (table_of(tree[0]), tree[1], table_of(tree[2]), tree[3]),
                        ordered, folded)
    for n in names:
        oracle.change("DROP TABLE IF EXISTS " + n)
    return answer


DISTINCT = re.compile(r"SELECT (?:[A-Z_]+ )?DISTINCT ")


def of_distinct(server, oracle, sql, ordered, folded):
    """The reference answers as the server does when DISTINCT is of a table, not of a join."""
    text = sql if isinstance(sql, str) else literal_form(sql)
    head = DISTINCT.match(text or "")
    if head is None or " ORDER BY " in text:
        return False
    for columns in range(1, 6):
        names = ", ".join("x%d" % i for i in range(columns))
        answer = loosely(oracle, "SELECT DISTINCT %s FROM (SELECT %s LIMIT 1000000) d (%s)" % (names, text[head.end():], names), ordered, folded)
        if answer[0] == "rows":
            return equal_rows(loosely(server, sql, ordered, folded), answer)
    return False


CAST = re.compile(r"CAST\(", re.IGNORECASE)
CAST_TYPE = re.compile(r"(.*) AS ((?:DECIMAL|TIME|DATETIME|FLOAT|DOUBLE)\b.*)", re.DOTALL | re.IGNORECASE)


def casts_apart(text):
    """The text with each cast as the value of an IF with a number of its own; None when it casts nothing to two types of one kind."""
    bare, types = QUOTED.sub(lambda m: "'" + "." * (len(m.group(0)) - 2) + "'", text), collections.defaultdict(set)
    for n, m in enumerate(reversed(list(CAST.finditer(bare)))):     # inner ones before those that they stand in
        depth, end = 1, m.end()
        while depth and end < len(bare):
            depth += {"(": 1, ")": -1}.get(bare[end], 0)
            end += 1
        cast = CAST_TYPE.fullmatch(text[m.end():end - 1])
        if depth or cast is None:
            continue
        types[cast.group(1)].add(cast.group(2))
        text, bare = (t[:m.start()] + "IF(%d, " % (n + 1) + t[m.start():end] + ", NULL)" + t[end:] for t in (text, bare))
    return text if any(len(t) > 1 for t in types.values()) else None


SUBTIME = re.compile(r"\bSUBTIME\(")


def apart(text):
    """The text without parts that the reference takes for the same: casts of one value, and SUBTIME beside ADDTIME."""
    text = casts_apart(text) or text
    for m in reversed(list(SUBTIME.finditer(text)) if "ADDTIME(" in text else []):
        end = reach(text, m.end()) + 1
        text = text[:m.start()] + "IF(1, " + text[m.start():end] + ", NULL)" + text[end:]
    return text


def same_casts(server, oracle, sql, ordered, folded):
    """The reference takes casts of one value to two lengths of a type for the same, and SUBTIME for ADDTIME of the same, also in its views; it
    answers as the server does when they differ in more."""
    text = sql if isinstance(sql, str) else literal_form(sql)
    if text is None:
        return False
    made = views_of(oracle, text, apart)
    changed = VIEW.sub(lambda m: made.get(m.group(0), m.group(0)), apart(text))
    known = changed != text and equal_rows(loosely(server, sql, ordered, folded), loosely(oracle, changed, ordered, folded))
    for n in made.values():
        oracle.change("DROP VIEW IF EXISTS " + n)
    return known


TIMES = (re.compile(r"\b(?:DATE|TIME|TIMESTAMP)'[^']*'"), re.compile(r"\bTIME(?:STAMP)?'[^']*\.[^']*'"))


def constant_times(server, oracle, sql, ordered, folded):
    """A fraction that a key, or IN of a subquery, takes with the decimals of a column, and a time that CONCAT with a variable writes over:
    the reference answers as the server does when times are no constants."""
    text = sql if isinstance(sql, str) else literal_form(sql)
    for t in TIMES:
        no_constant = lambda s: t.sub(lambda m: "IF(RAND() < 2, %s, NULL)" % m.group(0), s)
        with_views = views_of(oracle, text or "", no_constant)
        changed = VIEW.sub(lambda m: with_views.get(m.group(0), m.group(0)), no_constant(text or ""))
        equal = changed != text and equal_rows(loosely(server, sql, ordered, folded), loosely(oracle, changed, ordered, folded))
        for v in with_views.values():
            oracle.change("DROP VIEW " + v)
        if equal:
            return True
    return False


TEXT_AS_NAME = re.compile(r" AS `[^`]*[^\w`][^`]*`")      # of an expression: what is changed in it may make it too long


def views_of(oracle, text, change):
    """Makes the views of a text anew, of changed text: {name: new name} of those that change."""
    made = {}
    for n in sorted(set(VIEW.findall(text))):
        shown = oracle.ask("SHOW CREATE VIEW " + n, True)
        if shown[0] != "rows":
            continue
        query = TEXT_AS_NAME.sub("", shown[1].forms[0][0][1].split(" VIEW ", 1)[1])
        if change(query) != query and oracle.change("CREATE VIEW " + change(query).replace("`%s`" % n, "`other_%s`" % n, 1))[0] == "changed":
            made[n] = "other_" + n
    return made


VIEW_NAMED = re.compile(r"\b(v\d) (\w+)\b")
SHOWN_VIEW = re.compile(r"VIEW `\w+` (\([^()]*\)) AS (.*)", re.DOTALL)


def as_written(server, oracle, sql, ordered, folded):
    """Text beside binary strings in a view, which the reference keeps in another character set: it answers as the server does when the views'
    queries, as the server shows them, stand in their places."""
    text = sql if isinstance(sql, str) else literal_form(sql)
    bodies = {n: SHOWN_VIEW.search(server.definition(n)) for n in sorted(set(VIEW.findall(text or "")))}
    if not bodies or None in bodies.values() or all(b.group(2).isascii() for b in bodies.values()):
        return False
    derived = VIEW_NAMED.sub(lambda m: "(%s) %s %s" % (bodies[m.group(1)].group(2), m.group(2), bodies[m.group(1)].group(1)), text)
    return equal_rows(loosely(server, sql, ordered, folded), loosely(oracle, derived, ordered, folded))


IN_QUERY = re.compile(r"\bIN (?=\(SELECT )")


def reach(text, start, ends=")"):
    """Where the parenthesis is that closes around what begins at start, or another end of it."""
    depth = 0
    at = start
    while at < len(text):
        quoted = QUOTED.match(text, at)
        if quoted:
            at = quoted.end()
            continue
        if depth == 0 and text[at] in ends:
            return at
        depth += {"(": 1, ")": -1}.get(text[at], 0)
        at += 1
    return at


def in_sets(server, oracle, sql, ordered, folded):
    """NULL looked up in a set operation: the reference answers as the server does when IN is of a table."""
    text = sql if isinstance(sql, str) else literal_form(sql)
    if text is None:
        return False
    out, at = "", 0
    for found in IN_QUERY.finditer(text):
        end = reach(text, found.end() + 1)
        inner = text[found.end() + 1:end]
        if found.start() >= at and (" INTERSECT " in inner or " EXCEPT " in inner):
            out += "%s(SELECT * FROM (%s) in_set)" % (text[at:found.end()], inner)
            at = end + 1
    return at != 0 and equal_rows(loosely(server, sql, ordered, folded), loosely(oracle, out + text[at:], ordered, folded))


ROW_LIST = re.compile(r"\) (NOT )?IN (?=\(\()")


def rows_apart(text):
    """Lists of rows as comparisons with each of them."""
    at = text.find("(")
    while at != -1:
        end = reach(text, at + 1)
        found = ROW_LIST.match(text, end)
        if found:
            left, start, parts = text[at:end + 1], found.end() + 1, []
            stop = reach(text, start)
            while start < stop:
                comma = reach(text, start, ",)")
                parts.append("%s = %s" % (left, text[start:comma].strip()))
                start = comma + 1
            text = "%s%s(%s)%s" % (text[:at], found.group(1) or "", " OR ".join(parts), text[stop + 1:])
        at = text.find("(", at + 1)
    return text


def of_row_lists(server, oracle, sql, ordered, folded):
    """The rows of a list are compared as the left side's kinds: the reference answers as the server does when each is compared by itself."""
    text = sql if isinstance(sql, str) else literal_form(sql)
    changed = rows_apart(text) if text is not None and ROW_LIST.search(text) else text
    return changed != text and equal_rows(loosely(server, sql, ordered, folded), loosely(oracle, changed, ordered, folded))


GROUP_CONCAT_ORDER = re.compile(r"(GROUP_CONCAT\([^()]* ORDER BY )((?:\w+\.\w+(?:, )?)+)(?= SEPARATOR)")


def null_in_order(server, oracle, sql, ordered, folded):
    """GROUP_CONCAT's order takes NULL for 0: the reference answers as the server does when NULL has a key of its own there."""
    text = sql if isinstance(sql, str) else literal_form(sql)
    apart = lambda m: m.group(1) + ", ".join("%s IS NOT NULL, %s" % (k, k) for k in m.group(2).split(", "))
    changed = GROUP_CONCAT_ORDER.sub(apart, text or "")
    return changed != (text or "") and equal_rows(loosely(server, sql, ordered, folded), loosely(oracle, changed, ordered, folded))


NO_WHOLE_DIGITS = r"DECIMAL\((\d+), ?\1\)"


def widened(text, collate=""):
    """MAKE_SET, TIME_FORMAT, DATE_FORMAT with weeks and CONCAT with a DECIMAL of no whole digits in a CAST that says how wide they are; collate: of
    what collation they stay then."""
    out, at = "", 0
    for found in re.finditer(r"\b(?:MAKE_SET|TIME_FORMAT|DATE_FORMAT|CONCAT)\(", text, re.IGNORECASE):
        end = reach(text, found.end()) + 1
        holds = {"D": "%U", "C": NO_WHOLE_DIGITS}.get(text[found.start()].upper(), "")
        if found.start() >= at and re.search(holds, text[found.start():end], re.IGNORECASE):
            out += "%sCAST(%s AS CHAR(1000))%s" % (text[at:found.start()], text[found.start():end], collate)
            at = end
    return out + text[at:]


def cut_text(server, oracle, sql, ordered, folded):
    """MAKE_SET adds up widths in 32 bits, TIME_FORMAT has none for a sign, nor DATE_FORMAT for the week of the zero date, nor a DECIMAL of no whole
    digits for its sign, so a table cuts their texts: the reference answers as the server does when a CAST says how wide they are, in views, too."""
    text = (sql if isinstance(sql, str) else literal_form(sql)) or ""
    with_views = views_of(oracle, text, widened)
    changed = [VIEW.sub(lambda m: with_views.get(m.group(0), m.group(0)), widened(text, c)) for c in ("", " COLLATE utf8mb4_bin")]
    equal = changed[0] != text and any(equal_rows(loosely(server, sql, ordered, folded), loosely(oracle, c, ordered, folded)) for c in changed)
    for v in with_views.values():
        oracle.change("DROP VIEW " + v)
    return equal


TO_CHARSET = re.compile(r"\bCONVERT\(", re.IGNORECASE)
CHOSEN_TEXT = re.compile(r"\b(?:GREATEST|LEAST|CONCAT_WS|IF)\(|\bCASE\b", re.IGNORECASE)
OF_CASE = re.compile(r"'(?:[^'\\]|\\.|'')*'|\bCASE\b|\bEND\b", re.IGNORECASE)


def end_of_case(text, start):
    """Behind the END of the CASE that starts there."""
    depth = 0
    for m in OF_CASE.finditer(text, start):
        depth += {"CASE": 1, "END": -1}.get(m.group(0).upper(), 0)
        if depth == 0:
            return m.end()
    return len(text)


def chosen_cast(text):
    """GREATEST, LEAST, CONCAT_WS, IF and CASE within CONVERT ... USING in a CAST."""
    spans = [(m.end(), reach(text, m.end())) for m in TO_CHARSET.finditer(text)]
    out, at = "", 0
    for found in CHOSEN_TEXT.finditer(text):
        if found.start() >= at and any(a <= found.start() < b for a, b in spans):
            end = reach(text, found.end()) + 1 if found.group(0).endswith("(") else end_of_case(text, found.start())
            out += "%sCAST(%s AS CHAR)" % (text[at:found.start()], text[found.start():end])
            at = end
    return out + text[at:]


def converted_bytes(server, oracle, sql, ordered, folded):
    """GREATEST, LEAST and CONCAT_WS take what CONVERT asks for for the character set of the bytes that they give, as do IF and CASE whose first
    text is an ASCII literal: the reference answers as the server does when a CAST says what they are, in views, too."""
    text = sql if isinstance(sql, str) else literal_form(sql)
    with_views = views_of(oracle, text or "", chosen_cast)
    changed = VIEW.sub(lambda m: with_views.get(m.group(0), m.group(0)), chosen_cast(text or ""))
    equal = changed != (text or "") and equal_rows(loosely(server, sql, ordered, folded), loosely(oracle, changed, ordered, folded))
    for v in with_views.values():
        oracle.change("DROP VIEW " + v)
    return equal


def numbers_in_text(server, oracle, sql, ordered, folded):
    """A number that LPAD, RPAD, REPLACE or INSERT put text into: the reference takes the bytes of all for latin1, and answers as the server does
    when the number is text before."""
    text = sql if isinstance(sql, str) else literal_form(sql)
    out, at = "", 0
    for found in re.finditer(r"\b(?:LPAD|RPAD|REPLACE|INSERT)\(", text or ""):
        end = reach(text, found.end(), ",)")
        if found.start() >= at and text[end:end + 1] == ",":
            out += "%sCAST(%s AS CHAR)" % (text[at:found.end()], text[found.end():end])
            at = end
    return at != 0 and equal_rows(loosely(server, sql, ordered, folded), loosely(oracle, out + text[at:], ordered, folded))


ROW_QUERY = re.compile(r"\) <=> (?=\(SELECT )")


def row_of_none(server, oracle, sql, ordered, folded):
    """A row that <=> compares with a query of no rows: the reference computes what reads no column; it answers as the server does when the
    query is of a table."""
    text = sql if isinstance(sql, str) else literal_form(sql)
    out, at = "", 0
    for found in ROW_QUERY.finditer(text or ""):
        if found.start() >= at:
            end = reach(text, found.end() + 1)
            out += "%s(SELECT * FROM (%s LIMIT 1000000) row_of (x0, x1))" % (text[at:found.end()], text[found.end():end + 1])
            at = end + 1
    return at != 0 and equal_rows(loosely(server, sql, ordered, folded), loosely(oracle, out + text[at:], ordered, folded))


TABLE = re.compile(r"\bt\d\b")


def padded_text(server, oracle, sql, ordered, folded):
    """CHAR that is hashed with its spaces, in groups that have JSON or long text too: the reference answers as the server does when its
    columns are VARCHAR."""
    text = sql if isinstance(sql, str) else literal_form(sql)
    names = [n for n in sorted(set(TABLE.findall(text or ""))) if varying(oracle, n)]
    answer = loosely(oracle, TABLE.sub(lambda m: ("var_" if m.group(0) in names else "") + m.group(0), text or ""), ordered, folded) if names else ("error", 0)
    for n in names:
        oracle.change("DROP TABLE IF EXISTS var_" + n)
    return equal_rows(loosely(server, sql, ordered, folded), answer)


def varying(oracle, name):
    """Makes a copy of a table with VARCHAR for CHAR; whether there was any."""
    columns = oracle.ask("SELECT column_name, column_type, character_set_name, collation_name FROM information_schema.columns WHERE "
                         "table_schema = DATABASE() AND table_name = '%s' AND data_type = 'char'" % name, True)
    if columns[0] != "rows" or len(columns[1]) == 0:
        return False
    every = oracle.ask("SELECT column_name, extra LIKE '%%INVISIBLE%%' FROM information_schema.columns WHERE table_schema = DATABASE() AND "
                       "table_name = '%s' ORDER BY ordinal_position" % name, True)[1].forms[0]
    as_tables(oracle, [("var_" + name, ["SELECT %s FROM %s" % (", ".join(c for c, _ in every), name)])],
              ["ALTER TABLE var_%s MODIFY %s var%s CHARACTER SET %s COLLATE %s" % (name, column, kind, charset, collation)
               for column, kind, charset, collation in columns[1].forms[0]]
              + ["ALTER TABLE var_%s ALTER COLUMN %s SET INVISIBLE" % (name, c) for c, hidden in every if hidden])
    return True


def cut_weights(server, oracle, sql, ordered, folded):
    """WEIGHT_STRING of long text as so many letters is empty in a temporary table: the reference answers as the server does when the text is
    no longer than a VARCHAR."""
    text, out, at = sql if isinstance(sql, str) else literal_form(sql), "", 0
    for found in re.finditer(r"\bWEIGHT_STRING\(", text or ""):
        end = reach(text, found.end())
        argument = re.fullmatch(r"(.*)( AS (?:CHAR|BINARY)\(\d+\))", text[found.end():end], re.DOTALL)
        if found.start() >= at and argument:
            out += "%sLEFT(%s, 1000)%s" % ((text[at:found.end()],) + argument.groups())
            at = end
    return at != 0 and equal_rows(loosely(server, sql, ordered, folded), loosely(oracle, out + text[at:], ordered, folded))


CONVERTED = re.compile(r" AS CHAR\b| USING ", re.IGNORECASE)


def converted_twice(server, oracle, sql, ordered, folded):
    """MIN and MAX of text that is converted, of groups in a temporary table: the reference takes the first text of a group for one of the character
    set that it had before; it answers as the server does when LPAD, which adds nothing, has the text in a place of its own."""
    text, out, at = sql if isinstance(sql, str) else literal_form(sql), "", 0
    for found in re.finditer(r"\b(?:MIN|MAX)\((?!DISTINCT )", text or ""):
        end = reach(text, found.end())
        inner = text[found.end():end]
        if found.start() >= at and CONVERTED.search(inner):
            out += "%sLPAD(%s, CHAR_LENGTH(%s), '')" % (text[at:found.end()], inner, inner)
            at = end
    return at != 0 and equal_rows(loosely(server, sql, ordered, folded), loosely(oracle, out + text[at:], ordered, folded))


LONG_NUMBER = re.compile(r"\d{20}")


def wide_decimals(server, oracle, sql, ordered, folded):
    """Sums and extremes of numbers with more digits than their DECIMAL, which the reference's temporary tables cut: it answers as the server does
    when they are DOUBLE."""
    text, out, at = sql if isinstance(sql, str) else literal_form(sql), "", 0
    for found in re.finditer(r"\b(?:AVG|SUM|MIN|MAX)\((?:DISTINCT )?", text or ""):
        end = reach(text, found.end())
        if found.start() >= at and LONG_NUMBER.search(text, found.end(), end):
            out += "%s1e0 * (%s)" % (text[at:found.end()], text[found.end():end])
            at = end
    return at != 0 and equal_rows(loosely(server, sql, ordered, folded), loosely(oracle, out + text[at:], ordered, folded))


def true_of_none(server, oracle, sql, ordered, folded):
    """IS TRUE of IN of a subquery is, for the reference, never so of a row that an outer join makes, even where XOR has it otherwise: it drops the
    row, and answers as the server does when IS TRUE asks for the value of an IF."""
    text = sql if isinstance(sql, str) else literal_form(sql)
    if re.search(r"\b(?:LEFT|RIGHT) JOIN\b", text or "") is None:
        return False
    changed, at = text, text.rfind(") IS TRUE")
    while at > 0:
        start = closing(changed, at, -1)
        if start is not None and IN_QUERY.search(changed, start, at):
            changed = "%sIF(RAND() < 2, %s, NULL)%s" % (changed[:start], changed[start + 1:at], changed[at + 1:])
        at = changed.rfind(") IS TRUE", 0, at)
    return changed != text and equal_rows(loosely(server, sql, ordered, folded), loosely(oracle, changed, ordered, folded))


TO_INTEGER = re.compile(r"(.*(?:TIMESTAMP(?=\()|TIMESTAMPADD|ADDTIME|SUBTIME|ADDDATE|SUBDATE|INTERVAL)\b.*) AS ((?:UN)?SIGNED)", re.DOTALL)


def cast_sums(server, oracle, sql, ordered, folded):
    """A sum of times that becomes an integer is rounded without a carry (`235960`): the reference answers as the server does when the sum has a
    type of its own before."""
    text = sql if isinstance(sql, str) else literal_form(sql)
    for kind in ("DATETIME(6)", "TIME(6)"):
        out, at = "", 0
        for found in CAST.finditer(text or ""):
            end = reach(text, found.end())
            cast = TO_INTEGER.fullmatch(text[found.end():end])
            if found.start() >= at and cast:
                out += "%sCAST(CAST(%s AS %s) AS %s)" % (text[at:found.start()], cast.group(1), kind, cast.group(2))
                at = end + 1
        if at != 0 and equal_rows(loosely(server, sql, ordered, folded), loosely(oracle, out + text[at:], ordered, folded)):
            return True
    return False


def first_as_value(server, oracle, sql, ordered, folded, function):
    """Does the reference answer as the server does when the first argument of a function is the value of an IF?"""
    text = sql if isinstance(sql, str) else literal_form(sql)
    out, at = "", 0
    for found in re.finditer(r"\b%s\(" % function, text or ""):
        end = reach(text, found.end(), ",)")
        if found.start() >= at and text[end:end + 1] == ",":
            out += "%sIF(RAND() < 2, %s, NULL)" % (text[at:found.end()], text[found.end():end])
            at = end
    return at != 0 and equal_rows(loosely(server, sql, ordered, folded), loosely(oracle, out + text[at:], ordered, folded))


def of_nullif(server, oracle, sql, ordered, folded):
    """NULLIF gives a constant as the type of the column that it has compared it with: the reference answers as the server does when it is no
    constant."""
    return first_as_value(server, oracle, sql, ordered, folded, "NULLIF")


def of_hash(server, oracle, sql, ordered, folded):
    """SHA2 makes the collation of its argument a binary one, by which LEAST then compares: the reference answers as the server does when the
    argument is an IF, which compares nothing."""
    return first_as_value(server, oracle, sql, ordered, folded, "SHA2")


def of_repeat(server, oracle, sql, ordered, folded):
    """REPEAT of a subquery's text writes what it repeats over that text, and repeats more in each row: the reference answers as the server does when
    the argument is an IF."""
    return first_as_value(server, oracle, sql, ordered, folded, "REPEAT")


ROWS_LISTED = re.compile(r"\bIN \((?=\()")
USER_VARIABLE = re.compile(r"@\w+")


def null_in_rows(server, oracle, sql, ordered, folded):
    """A variable that is NULL in a list of rows: for the reference it makes IN unknown whatever stands beside it in its row, and answers as
    the server does when the variable is no constant."""
    text = sql if isinstance(sql, str) else literal_form(sql)
    out, at = "", 0
    for found in ROWS_LISTED.finditer(text or ""):
        end = reach(text, found.end())
        if found.start() >= at and not text.startswith("(SELECT", found.end()):
            out += text[at:found.end()] + USER_VARIABLE.sub(lambda m: "IF(RAND() < 2, %s, NULL)" % m.group(0), text[found.end():end])
            at = end
    out += (text or "")[at:]
    return out != (text or "") and equal_rows(loosely(server, sql, ordered, folded), loosely(oracle, out, ordered, folded))


QUANTIFIED = re.compile(r"([\w.`@]+) ([<>=]+) (?:(ANY|SOME)|ALL) \((?=SELECT)", re.IGNORECASE)


def by_exists(text):
    """The text with EXISTS in the place of ANY and ALL, of all leaves of a tree; None: there is neither."""
    if not isinstance(text, str):
        parts = [by_exists(x) or x for x in text[:3]]
        return tuple(parts) + text[3:] if parts != list(text[:3]) else None
    out, at = "", 0
    for found in QUANTIFIED.finditer(text):
        end, test = reach(text, found.end()), "%s %s z.q" % found.group(1, 2)
        if found.start() >= at:
            some = "EXISTS (SELECT 1 FROM (%s) z (q) WHERE (%s) IS %%s)" % (text[found.end():end], test)
            found_one, else_all = ("TRUE", "1, IF(%s, NULL, 0)") if found.group(3) else ("FALSE", "0, IF(%s, NULL, 1)")
            out += text[at:found.start()] + "IF(%s, %s)" % (some % found_one, else_all % (some % "NULL"))
            at = end + 1
    return out + text[at:] if at != 0 else None


def of_extremes(server, oracle, sql, ordered, folded):
    """A column of text compared with ANY or ALL of a query: the reference takes the greatest or least of them by their own collation, and
    answers as the server does when EXISTS asks, and set operations at each other's side are of tables (set_of_sets)."""
    text = sql if isinstance(sql, str) else literal_form(sql)
    views = views_of(oracle, text or "", lambda query: by_exists(query) or query)
    changed = VIEW.sub(lambda m: views.get(m.group(0), m.group(0)), by_exists(text or "") or text or "")
    got, tree = loosely(server, sql, ordered, folded), getattr(sql, "again", None)
    equal = changed != (text or "") and (equal_rows(got, loosely(oracle, changed, ordered, folded)) or (
        tree is not None and equal_rows(got, in_tables(oracle, by_exists(tree) or tree, ordered, folded))))
    for v in views.values():
        oracle.change("DROP VIEW " + v)
    return equal


def zero_date_is_null(server, oracle, sql, ordered, folded):
    """A zero date of a derived table IS NULL for the reference as one of a table is: it answers as the server does when `<=> NULL` asks."""
    text = sql if isinstance(sql, str) else literal_form(sql)
    changed = (text or "").replace(" IS NULL", " <=> NULL")
    return changed != (text or "") and equal_rows(loosely(server, sql, ordered, folded), loosely(oracle, changed, ordered, folded))


def bytes_of_variables(server, oracle, sql, ordered, folded):
    """Regular expressions of bytes in which a variable or parameter has a part: the reference answers as the server does when the variable is
    made text, or the server refuses them, too, when a literal stands for the variable, as both do when one stands for the parameter."""
    refused = ("error", BYTES_OF_PATTERNS)
    text = sql if isinstance(sql, str) else literal_form(sql)
    if not isinstance(sql, str) and text is not None and "REG" in text and server.ask(text) == oracle.ask(text) == refused:
        return True
    if "REG" not in (text or "") or USER_VARIABLE.search(text) is None:
        return False
    made_text = USER_VARIABLE.sub(lambda m: "CONVERT(%s USING utf8mb4)" % m.group(0), text)
    if equal_rows(loosely(server, sql, ordered, folded), loosely(oracle, made_text, ordered, folded)):
        return True
    return loosely(oracle, sql, ordered, folded) == refused and server.ask(USER_VARIABLE.sub("'1'", text), ordered, folded) == refused


LISTED = re.compile(r"\bIN \((?!\(|SELECT)")


def in_signs(server, oracle, sql, ordered, folded):
    """An integer IN a list of other integers: when the list is not all constants, the reference takes -1 and 18446744073709551615 for the
    same, which `=` does not; it answers as the server does when what is listed are decimals."""
    text = sql if isinstance(sql, str) else literal_form(sql)
    ours = None
    for found in LISTED.finditer(text or ""):
        listed, at = [], found.end()
        while text[at - 1:at] != ")" and at < len(text):
            end = reach(text, at, ",)")
            listed.append("(%s) + 0.0" % text[at:end])
            at = end + 1
        ours = loosely(server, sql, ordered, folded) if ours is None else ours
        changed = text[:found.end()] + ", ".join(listed) + text[at - 1:]
        if equal_rows(ours, loosely(oracle, changed, ordered, folded)):
            return True
    return False


def case_signs(server, oracle, sql, ordered, folded):
    """The same of what stands behind WHEN in a CASE of integers."""
    text = sql if isinstance(sql, str) else literal_form(sql)
    changed = when_decimals(text or "")
    return changed != (text or "") and equal_rows(loosely(server, sql, ordered, folded), loosely(oracle, changed, ordered, folded))


def when_decimals(text):
    """The text with what a CASE compares, behind each of its WHEN, as a sum with a decimal."""
    out, at, cases = "", 0, []      # of each CASE around: does it compare, and where its WHEN has begun
    for m in TOKEN.finditer(text):
        word = m.group(0)
        if word == "CASE":
            cases.append([not text.startswith(" WHEN ", m.end()), None])
        elif word == "END" and cases:
            cases.pop()
        elif word == "WHEN" and cases:
            cases[-1][1] = m.end() + 1
        elif word == "THEN" and cases and cases[-1][0] and cases[-1][1] >= at:
            start = cases[-1][1]
            out += "%s(%s) + 0.0 " % (text[at:start], text[start:m.start() - 1])
            at = m.start()
    return out + text[at:]


EQUAL_COLUMNS = re.compile(r"(?:(?<= ON )|(?<= AND )|(?<= WHERE ))(\w+\.\w+ = \w+\.\w+)(?=[ )]|$)")


def of_equals(server, oracle, sql, ordered, folded):
    """A column that takes the place of one that it equals, where another comparison tells them apart: the reference answers as the server does
    when that they are equal is what IS TRUE says."""
    text = sql if isinstance(sql, str) else literal_form(sql)
    changed = EQUAL_COLUMNS.sub(r"(\1) IS TRUE", text or "")
    return changed != (text or "") and equal_rows(loosely(server, sql, ordered, folded), loosely(oracle, changed, ordered, folded))


def without_modes(server, ask, modes):
    """What a server answers without some of its modes."""
    left = "@@sql_mode"
    for mode in modes:
        left = "REPLACE(%s, '%s', '')" % (left, mode)
    for one in ("SET @mode = @@sql_mode", "SET sql_mode = " + left):
        server.change(one)
    answer = ask()
    server.change("SET sql_mode = @mode")
    return answer


def letting_zeros(server, ask):
    """What a server answers where its modes let zero dates be."""
    return without_modes(server, ask, ("NO_ZERO_IN_DATE", "NO_ZERO_DATE"))


def zeros_rolled_up(server, oracle, sql, ordered, folded):
    """A zero DATETIME behind NULL among the keys of ROLLUP is NULL for the reference in the modes NO_ZERO_DATE and NO_ZERO_IN_DATE: it
    answers as the server does without them."""
    text = sql if isinstance(sql, str) else literal_form(sql)
    if " WITH ROLLUP" not in (text or ""):
        return False
    return equal_rows(loosely(server, sql, ordered, folded), letting_zeros(oracle, lambda: loosely(oracle, text, ordered, folded)))


def of_sorted_extremes(server, oracle, sql, ordered, folded):
    """MIN and MAX of what their window is ordered by, with a frame of rows: the reference takes the last row's for it, also when that is NULL. It
    answers as the server does when COALESCE has made something else of it."""
    text, out, at = sql if isinstance(sql, str) else literal_form(sql), "", 0
    for found in re.finditer(r"\b(?:MIN|MAX)\(", text or ""):
        end = reach(text, found.end())
        if found.start() >= at and text.startswith(") OVER", end):
            out += "%sCOALESCE(%s)" % (text[at:found.end()], text[found.end():end])
            at = end
    return at != 0 and equal_rows(loosely(server, sql, ordered, folded), loosely(oracle, out + text[at:], ordered, folded))


JSON_BLOB = re.compile(r"base64:type25[0-2]:")


def json_blobs(server, oracle, sql, ordered, folded):
    """Which kind of BLOB the bytes of a parameter are in JSON."""
    if literal_form(sql) is None or "JSON" not in str(sql):
        return False
    fix = lambda v: JSON_BLOB.sub("base64:type252:", v) if isinstance(v, str) else v
    return equal_rows(*(s.ask(sql, ordered, folded, loose=True, fix=fix) for s in (server, oracle)))


EXPLANATIONS = (by_value, json_blobs, json_numbers, time_decimals, of_itself, of_views, as_written, of_distinct, set_of_sets, same_casts, constant_times, in_sets, of_row_lists, null_in_order,
                cut_text, cut_weights, wide_decimals, true_of_none, converted_twice, converted_bytes, numbers_in_text, row_of_none, padded_text, of_nullif, cast_sums, null_in_rows, in_signs, case_signs, of_equals, of_hash, of_repeat, bytes_of_variables, zero_date_is_null, zeros_rolled_up, of_extremes, of_sorted_extremes)
