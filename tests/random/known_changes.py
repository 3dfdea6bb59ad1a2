"""What may differ from the reference in a change: its outcome, or of which rows it is."""
import re

from known import NAMED, OF_ROWS, OF_VALUES, TABLE, TIMES, VIEW, constant_times, count, equal_rows, letting_zeros, literal_form, padded_text, reach, row_of_none
from known_queries import EXPLANATIONS
from met import common, unconditional

# which rows a cascade has reached before they are deleted themselves, and whether ALTER copies the table, is open
OPEN_COUNTS = re.compile(r"ALTER|DELETE \w+, ")


def changed_by_value(oracle, sql, got, wanted):
    """A parameter has its value's type, in a change, which the reference refuses: with the value in its place it makes the server's. It is
    counted."""
    text = literal_form(sql)
    if text is None or got[0] != "changed" or wanted[0] != "error" or oracle.change(text) != got:
        return False
    count("changed_by_value", text, got, wanted)
    return True


# those that make no tables, and views only of views
ASKED_WITHIN = (constant_times, row_of_none)


def known_within(server, oracle, sql):
    """One of these of a query within a transaction, which nothing may commit. It is counted."""
    if not str(sql).startswith("SELECT") or VIEW.search(str(sql)):
        return False
    for e in ASKED_WITHIN:
        if e(server, oracle, str(sql), False, False):
            count(e.__name__, sql)
            return True
    return False


def counts_unchanged(server, oracle, sql, got, wanted):
    """A row with NULL that ON DUPLICATE KEY UPDATE leaves as it is counts as one, now and then: both are asked again, when all rows are
    there, and the server tells of the rows that have changed; the reference may count more, and has counted no more too many than it does now, or
    than there are rows with NULL in a column that is set. It is counted."""
    if got[0] != "changed" or wanted[0] != "changed" or not isinstance(sql, str) or " ON DUPLICATE KEY UPDATE " not in sql:
        return False
    table = TABLE.search(sql).group(0)
    shown = oracle.ask("SHOW COLUMNS FROM " + table)
    if shown[0] != "rows":
        return False
    look = "SELECT %s FROM %s" % (", ".join(sorted(row[0] for row in shown[1].forms[0])), table)
    before = oracle.ask(look)
    again = server.change(sql), oracle.change(sql)
    after = oracle.ask(look)
    if not before[0] == after[0] == "rows" or server.ask(look) != after or len(before[1]) != len(after[1]):
        return False
    changed = sum((before[1].forms[0] - after[1].forms[0]).values())
    nulls = 0
    for column in re.findall(r"(?:UPDATE|,) (\w+) = ", sql.split(" ON DUPLICATE KEY ")[1]):
        found = oracle.ask("SELECT id FROM %s WHERE %s IS NULL" % (table, column))
        nulls = max(nulls, len(found[1]) if found[0] == "rows" else 0)
    if again[0] != ("changed", 2 * changed) or again[1][0] != "changed" or not 0 < wanted[1] - got[1] <= max(again[1][1] - again[0][1], nulls):
        return False
    count("counts_unchanged", sql, got, wanted)
    return True


def generated_anew(server, oracle, sql, got, wanted):
    """ON DUPLICATE KEY UPDATE computes all generated columns of a row anew for the reference, also those of which nothing has changed but sql_mode:
    no other column differs. It is counted."""
    if not got[0] == wanted[0] == "changed" or not isinstance(sql, str) or " ON DUPLICATE KEY UPDATE " not in sql:
        return False
    table = TABLE.search(sql).group(0)
    shown = oracle.ask("SHOW COLUMNS FROM " + table)
    if shown[0] != "rows":
        return False
    columns = sorted(row[0] for row in shown[1].forms[0])
    given = sorted(row[0] for row in shown[1].forms[0] if row[5] != "STORED GENERATED")
    whole, bare = ("SELECT %s FROM %s" % (", ".join(c), table) for c in (columns, given))
    if server.ask(bare) != oracle.ask(bare) or server.ask(whole) == oracle.ask(whole):
        return False
    count("generated_anew", sql, got, wanted)
    return True


IGNORES = re.compile(r"(?:INSERT|UPDATE|DELETE) IGNORE ")


def passed_over(server, sql, before, got, wanted):
    """Rows of t3, which refers to t0 by its second column, that an IGNORE changed or deleted with a row of t0 that it then passed over: that
    one is still there. before: t3's rows before the statement. It is counted."""
    if not before[0] == got[0] == wanted[0] == "rows" or got == wanted:
        return False
    ours, theirs = (a[1].forms[0] - b[1].forms[0] for a, b in ((got, wanted), (wanted, got)))
    parents = server.ask("SELECT id FROM t0")
    known = (parents[0] == "rows" and bool(ours) and all((row[1],) in parents[1].forms[0] and row in before[1].forms[0] for row in ours) and
             {row[0] for row in theirs} <= {row[0] for row in ours})
    if known:
        count("passed_over", sql, sorted(ours, key=str), sorted(theirs, key=str))
    return known


def words_at_top(text, words, start=0):
    """Where each of some words, with spaces around it, stands outside of parentheses and quotes: {word: where it first does}."""
    found, at = {}, reach(text, start, " ")
    while at < len(text):
        for w in words:
            if text.startswith(" %s " % w, at):
                found.setdefault(w, at)
        at = reach(text, at + 1, " ")
    return found


OF_A_JOIN = re.compile(r"(?:DELETE t\d(?:, t\d)? FROM|UPDATE) (?=t\d (?:LEFT )?JOIN t\d ON )")
UNNAMED = re.compile(r"(^t\d|(?<=JOIN )t\d)( )")
JOINED = re.compile(r"(t\d) (?:LEFT )?JOIN (t\d) ")


def drops_true(server, oracle, sql):
    """Does the reference keep other rows by the WHERE of a change of a join than those of which its select list says that the condition is true,
    or than it keeps without indexes, which the server keeps? Where an equality of one collation holds, it takes one of its columns for the other
    in comparisons of another; an index of a collation without padding misses rows of one with it."""
    head = OF_A_JOIN.match(sql) if isinstance(sql, str) else None
    at = words_at_top(sql, ("SET", "WHERE"), head.end()) if head is not None else {}
    if "WHERE" not in at:
        return False
    source, where = sql[head.end():at.get("SET", at["WHERE"])], sql[at["WHERE"] + len(" WHERE "):]
    ids = "SELECT %s.id x0, %s.id x1" % JOINED.match(source).groups()
    kept = "%s FROM %s WHERE %s" % (ids, source, where)
    listed = "SELECT x0, x1 FROM (%s, (%s) x2 FROM %s LIMIT 1000000) d WHERE x2" % (ids, where, source)
    unindexed = "%s FROM %s WHERE %s" % (ids, UNNAMED.sub(r"\1 USE INDEX ()\2", source), where)
    dropped = oracle.ask(kept)
    for said in (oracle.ask(listed), oracle.ask(unindexed)):
        if dropped[0] == said[0] == "rows" and dropped != said and equal_rows(said, server.ask(kept)):
            return True
    return False


OF_ONE_TABLE = re.compile(r"(?:UPDATE|DELETE) (/\*\+ [^*]*\*/ )?(?:FROM )?(t\d)(?= SET | WHERE )")


PREFIX_KEYS = "SELECT DISTINCT index_name FROM information_schema.statistics WHERE table_schema = DATABASE() AND table_name = '%s' AND sub_part IS NOT NULL"


def keeps_others(server, oracle, sql):
    """Does the reference keep other rows by the WHERE of a change of one table than it keeps, as the server does, when the times in it are no
    constants, or without indexes (one of a collation without padding misses rows of one with it, one of beginnings those that case tells apart)?"""
    head = OF_ONE_TABLE.match(sql) if isinstance(sql, str) else None
    at = words_at_top(sql, ("WHERE",), head.end()) if head is not None else {}
    if "WHERE" not in at:
        return False
    hint, table = head.group(1) or "", head.group(2)
    where = sql[at["WHERE"]:]
    kept = "SELECT %sid FROM %s%s" % (hint, table, where)
    ways = ["SELECT id FROM %s USE INDEX ()%s" % (table, where)] + [t.sub(lambda m: "IF(RAND() < 2, %s, NULL)" % m.group(0), kept) for t in TIMES if t.search(where)]
    beginnings = oracle.ask(PREFIX_KEYS % table)
    found = [oracle.ask(kept)] + [oracle.ask("SELECT id FROM %s FORCE INDEX (%s)%s" % (table, k, where)) for (k,) in (beginnings[1].forms[0] if beginnings[0] == "rows" else ())]
    for way in ways:
        free = oracle.ask(way)
        if any(rows[0] == free[0] == "rows" and rows != free for rows in found) and equal_rows(free, server.ask(kept)):
            return True
    return False


def sees_condition(server, oracle, sql, got, wanted):
    """A change that the reference alone refuses, for what it makes of its condition for a key, or that one of both refuses, for a row that the
    other does not read as it sees that the condition is never true: it answers as the other does when it does not see the condition.
    It is counted."""
    ours = got[0] == "error" and got[1] in OF_ROWS and wanted == ("changed", 0)
    unread = got == ("changed", 0) and wanted[0] == "error" and wanted[1] in OF_ROWS
    theirs = unread or (got[0] == "changed" and wanted[0] == "error" and wanted[1] in OF_VALUES)
    at = words_at_top(sql, ("WHERE", "ORDER", "LIMIT")) if isinstance(sql, str) and (ours or theirs) else {}
    if "WHERE" not in at:
        return False
    start, end = at["WHERE"] + len(" WHERE "), min([at[w] for w in ("ORDER", "LIMIT") if w in at] + [len(sql)])
    unseen = "%sIF(RAND() < 2, %s, NULL)%s" % (sql[:start], sql[start:end], sql[end:])
    if not (unread and server.change(unseen) == wanted) and oracle.change(unseen) != got:
        return False
    count("sees_condition", sql)
    return True


CHANGES_TABLES = re.compile(r"UPDATE (?:IGNORE )?|DELETE (?:IGNORE )?(?:FROM (?:(?:\w+, )*\w+ USING )?|(?:\w+, )*\w+ FROM )")
KEY_REFUSED = 3751      # what a functional key part makes of a row does not fit


FIRST_OF_ROWS = re.compile(r"UPDATE (t\d+) SET (?!.*\b(?:LIMIT|ORDER)\b)", re.S)


def first_of_rows(server, oracle, sql, got, wanted):
    """Several rows are refused, each for a reason of its own, and the first that is read is told of: in the order of their ids both refuse the
    same one. It is counted."""
    found = FIRST_OF_ROWS.match(sql) if isinstance(sql, str) else None
    if found is None or not got[0] == wanted[0] == "error":
        return False
    in_order = "%s ORDER BY %s.id" % (sql, found.group(1))
    told = server.change(in_order)
    if told[0] != "error" or told != oracle.change(in_order):
        return False
    count("first_of_rows", sql)
    return True


def joins_nothing(server, oracle, sql, got, wanted):
    """A change that has no row, as both say of its WITH, FROM and WHERE, and that one of them refuses for a row of one of its tables: which
    are read is the plan's. It is counted."""
    if not isinstance(sql, str) or ("changed", 0) not in (got, wanted) or "error" not in (got[0], wanted[0]):
        return False
    with_ = common(sql)[0]
    head = CHANGES_TABLES.match(sql, len(with_))
    if head is None or (got[1] not in OF_VALUES | {KEY_REFUSED} if got[0] == "error" else wanted[1] not in OF_ROWS):
        return False
    at = words_at_top(sql, ("SET", "WHERE"), head.end())
    end = min(list(at.values()) + [len(sql)])
    source, where = sql[head.end():end], sql[at["WHERE"]:] if "WHERE" in at else ""
    answers = [s.ask("%sSELECT 1 FROM %s%s%s" % (with_, source, where, "" if " LIMIT " in where else " LIMIT 1")) for s in (server, oracle)]
    if not all(a[0] == "rows" and len(a[1]) == 0 for a in answers):
        return False
    count("joins_nothing", sql)
    return True


def reads_a_row(server, oracle, sql, got, wanted):
    """A change that one server refuses for a row whose key does not fit (3751), which the other does not read: that one refuses the change, too,
    of all rows. It is counted."""
    if not isinstance(sql, str) or sorted((got[0], wanted[0])) != ["changed", "error"] or KEY_REFUSED not in (got[1], wanted[1]):
        return False
    of_all = unconditional(sql, ("WHERE", "ON", "LIMIT"))
    if (server if got[0] == "changed" else oracle).change(of_all) != ("error", KEY_REFUSED):
        return False
    count("reads_a_row", sql, got, wanted)
    return True


ZERO_REFUSED = re.compile(r"Incorrect \w+ value: '0000-00-00[^']*' for column '(?!\w+')")


def keeps_no_zeros(oracle, sql, got, wanted):
    """A change for which the reference keeps rows of a query, strictly: it refuses a zero date of a column of that query, and does what the server
    does where its modes let such dates be. It is counted."""
    if got[0] != "changed" or wanted != ("error", 1292) or not ZERO_REFUSED.search(oracle.said.get(str(sql)) or ""):
        return False
    if letting_zeros(oracle, lambda: oracle.change(sql)) != got:
        return False
    count("keeps_no_zeros", sql)
    return True


def hidden_null(oracle, sql, got, wanted):
    """A functional key part whose columns became nullable stays one that may not be NULL for the reference, which tells of a name that nobody gave.
    It is counted."""
    if got[0] != "changed" or wanted != ("error", 1048) or "Column '!hidden!" not in (oracle.said.get(str(sql)) or ""):
        return False
    count("hidden_null", sql)
    return True


QUERY = re.compile(r"\((?=SELECT )")
TAKES_ROWS = ("CREATE TABLE", "INSERT", "REPLACE")


def reads_otherwise(server, oracle, sql, got, wanted):
    """A change by what a query within it, or whose rows it takes, says of tables that it leaves as they are: asked alone that query has another
    answer, too, for a reason that is known. Not where it reads views or copies of tables have to be made, as it may be within a transaction.
    It is counted."""
    if not isinstance(sql, str) or not got[0] == wanted[0] == "changed" or VIEW.search(sql):
        return False
    queries = [sql[m.end():reach(sql, m.end())] for m in QUERY.finditer(sql)]
    if sql.startswith(TAKES_ROWS) and " ON DUPLICATE " not in sql:
        queries += [sql[at + 1:] for at in words_at_top(sql, ("SELECT",)).values()]
    for query in queries:
        for e in EXPLANATIONS:
            if e is not padded_text and server.ask(query) != oracle.ask(query) and e(server, oracle, query, False, False):
                count(e.__name__, sql, got, wanted)
                return True
    return False


ARRAY_KEYS = ("SELECT table_name, index_name FROM information_schema.statistics WHERE table_schema = DATABASE() AND "
              "expression LIKE '% array)' GROUP BY table_name, index_name")


INDEX_READ = re.compile(r"-> (?:Covering i|I)ndex scan on \w+ using (\w+)")


def keys_in_order(oracle, sql):
    """The names of the keys that the reference reads as a whole for a change with GROUP BY. Its plan is another when statistics have come:
    to be asked before the change."""
    plan = oracle.ask("EXPLAIN FORMAT=TREE " + sql) if isinstance(sql, str) and " GROUP BY " in sql else ("error", 0)
    return set(INDEX_READ.findall(str(plan[1].forms))) if plan[0] == "rows" else set()


def groups_elements(server, oracle, sql, got, wanted, read):
    """A change by a query with GROUP BY, for which the reference reads, in its order, a key that has an element of an array in each entry, and
    counts a row once for each: by that key the query alone has another answer than without indexes, which is the server's. read: what
    keys_in_order has said before the change. It is counted."""
    if not read or not got[0] == wanted[0] == "changed" or VIEW.search(sql):
        return False
    keys = oracle.ask(ARRAY_KEYS)
    if keys[0] != "rows":
        return False
    for found in QUERY.finditer(sql):
        query = sql[found.end():reach(sql, found.end())]
        ours, free = server.ask(query), oracle.ask(NAMED.sub(r"\1 \2 USE INDEX ()", query))
        for table, key in ((t, k) for t, k in keys[1].forms[0] if k in read):
            by_key = oracle.ask(re.sub(r"\b(%s [a-z]\d?)\b" % table, r"\1 FORCE INDEX (%s)" % key, query))
            if by_key != free and equal_rows(free, ours):
                count("groups_elements", sql, got, wanted)
                return True
    return False
