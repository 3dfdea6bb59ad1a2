"""What may differ from the reference in a query: known differences beside those of known.py, and which of all of them one is."""
import re

import known
from known import NAMED, VIEW, equal_rows, letting_zeros, literal_form, loosely, reach, views_of, without_modes

BOUNDS = re.compile(r" BETWEEN ", re.IGNORECASE)
BESIDE = re.compile(r" AND ", re.IGNORECASE)


def no_constant_bounds(text):
    """The text with the lower bound of each BETWEEN as the value of an IF."""
    out, at = "", 0
    for found in BOUNDS.finditer(text):
        end = reach(text, found.end(), " ")
        while text[end:end + 1] == " " and not BESIDE.match(text, end):
            end = reach(text, end + 1, " ")
        if found.start() >= at:
            out += "%sIF(RAND() < 2, %s, NULL)" % (text[at:found.end()], text[found.end():end])
            at = end
    return out + text[at:]


def constant_bounds(server, oracle, sql, ordered, folded):
    """Two constant bounds of BETWEEN are, for the reference, text of the character set of what is compared, whatever COLLATE says, and when they
    are equal in its collation `=` takes the place of BETWEEN: it answers as the server does when one of them is no constant, in views, too."""
    text = sql if isinstance(sql, str) else literal_form(sql)
    with_views = views_of(oracle, text or "", no_constant_bounds)
    changed = VIEW.sub(lambda m: with_views.get(m.group(0), m.group(0)), no_constant_bounds(text or ""))
    equal = changed != (text or "") and equal_rows(loosely(server, sql, ordered, folded), loosely(oracle, changed, ordered, folded))
    for v in with_views.values():
        oracle.change("DROP VIEW " + v)
    return equal


def zeros_with_sign(server, oracle, sql, ordered, folded):
    """-0 and 0 of a DOUBLE are told apart by DISTINCT and set operations when there is JSON or long text beside them: the reference has no other
    values than the server, each of whose rows comes once, but for the sign of its zeros."""
    ours, theirs = (loosely(s, sql, ordered, folded) for s in (server, oracle))
    if ours[0] != "rows" or theirs[0] != "rows" or ordered:
        return False
    mine, others = ours[1].forms[0], theirs[1].forms[0]
    zeros = lambda row: sum(isinstance(v, float) and v == 0 for v in row)
    return set(others) == set(mine) and max(mine.values(), default=1) == 1 and all(n <= 2 ** zeros(row) for row, n in others.items())


GREATEST_DECIMAL = re.compile(r"-?9{15,65}(?:\.9+)?")


def wide_products(server, oracle, sql, ordered, folded):
    """A product of more digits than its DECIMAL has is the greatest one in the reference's temporary tables: it answers as the server does when it
    is a DOUBLE."""
    text, wanted = sql if isinstance(sql, str) else literal_form(sql), oracle.ask(sql, ordered, folded)
    if " * " not in (text or "") or wanted[0] != "rows" or not any(GREATEST_DECIMAL.fullmatch(str(v)) for row in wanted[1].forms[0] for v in row):
        return False
    views = views_of(oracle, text, lambda query: query.replace(" * ", " * 1e0 * "))
    changed = VIEW.sub(lambda m: views.get(m.group(0), m.group(0)), text.replace(" * ", " * 1e0 * "))
    equal = equal_rows(loosely(server, sql, ordered, folded), loosely(oracle, changed, ordered, folded))
    for v in views.values():
        oracle.change("DROP VIEW " + v)
    return equal


FIRST_VALUE = re.compile(r"\b(?:COALESCE|IFNULL|IF)\(|\bCASE\b")


def zeros_passed_over(server, oracle, sql, ordered, folded):
    """COALESCE, IFNULL, IF and CASE show a zero DATETIME, but where it is compared the reference passes it over in the modes NO_ZERO_DATE and
    NO_ZERO_IN_DATE: it answers as the server does without them."""
    text = sql if isinstance(sql, str) else literal_form(sql)
    if FIRST_VALUE.search(text or "") is None:
        return False
    return equal_rows(loosely(server, sql, ordered, folded), letting_zeros(oracle, lambda: loosely(oracle, text, ordered, folded)))


KEPT_ZERO = re.compile(r"Incorrect (?:date|datetime) value: '0000-00-00[^']*' for column '")


def keeps_zeros(server, oracle, sql, ordered, folded):
    """A table of rows that the reference makes for a query takes no zero date (1292): it answers as the server does where its modes let such
    dates be."""
    text = sql if isinstance(sql, str) else literal_form(sql)
    if text is None or oracle.ask(sql, ordered, folded) != ("error", 1292) or not KEPT_ZERO.search(oracle.said.get(str(sql)) or ""):
        return False
    return equal_rows(loosely(server, sql, ordered, folded), letting_zeros(oracle, lambda: loosely(oracle, text, ordered, folded)))


NOT_GROUPED, NOT_CONVERTED = ("error", 1055), ("error", 3854)


def told_later(server, oracle, sql, ordered, folded):
    """Text that a character set does not have, in a condition, where a column is not grouped by, too: the server tells of that first, and of the text
    as the reference does without ONLY_FULL_GROUP_BY."""
    if server.ask(sql, ordered, folded) != NOT_GROUPED or oracle.ask(sql, ordered, folded) != NOT_CONVERTED:
        return False
    return without_modes(server, lambda: server.ask(sql, ordered, folded), ("ONLY_FULL_GROUP_BY",)) == NOT_CONVERTED


FROM_TABLE = re.compile(r"(`t\d` `\w+`)(?! USE)")


def once_for_lateral(server, oracle, sql, ordered, folded):
    """A key with elements of arrays that LATERAL reads for each row of another table has each of its rows once for all of them: the reference
    answers as the server does without indexes, in views, too."""
    text = sql if isinstance(sql, str) else literal_form(sql)
    if "LATERAL" not in (text or ""):
        return False
    views = views_of(oracle, text, lambda query: FROM_TABLE.sub(r"\1 USE INDEX ()", query))
    changed = VIEW.sub(lambda m: views.get(m.group(0), m.group(0)), NAMED.sub(r"\1 \2 USE INDEX ()", text))
    equal = equal_rows(loosely(server, sql, ordered, folded), loosely(oracle, changed, ordered, folded))
    for v in views.values():
        oracle.change("DROP VIEW " + v)
    return equal


INTO_VARIABLE = re.compile(r"SET @v = \((SELECT .*)\)|(SELECT .*) INTO @v", re.DOTALL)


def of_variable(server, oracle, sql, ordered, folded):
    """A variable is set to what a query has found: asked alone that one has another answer, too, for a reason that is known."""
    found = INTO_VARIABLE.fullmatch(sql[2]) if isinstance(sql, list) and sql[0].startswith("SET @v = ") and len(sql) == 4 else None
    query = found and (found.group(1) or found.group(2))
    if query is None or server.ask(query) == oracle.ask(query):
        return False
    return any(e(server, oracle, query, False, False) for e in EXPLANATIONS if e is not of_variable)


EXPLANATIONS = known.EXPLANATIONS + (constant_bounds, zeros_with_sign, wide_products, zeros_passed_over, keeps_zeros, told_later, once_for_lateral, of_variable)


def is_known(server, oracle, sql, ordered, folded, got, wanted):
    if known.little_memory(server, got, wanted):
        known.count("little_memory", sql)
        return True
    if known.no_time_unmerged(oracle, sql, ordered, folded, got):
        known.count("no_time_unmerged", sql)
        return True
    if known.no_time_now(server, oracle, sql, ordered, folded, got, wanted):
        known.count("no_time_now", sql)
        return True
    for e in EXPLANATIONS:
        if e(server, oracle, sql, ordered, folded):
            known.count(e.__name__, sql, got[1].missing_in(wanted[1]) if got[0] == wanted[0] == "rows" else got,
                        wanted[1].missing_in(got[1]) if got[0] == wanted[0] == "rows" else wanted)
            return True
    return False
