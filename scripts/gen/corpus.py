#!/usr/bin/env python3
"""docs/compat/corpus.md: the corpus of client statements, answer by answer, beside what MySQL recorded.

    corpus.py PORT REFERENCE.jsonl     PORT: of a node that was just made. REFERENCE: an object a line, with sql and cols,
                                       types, nrows and rows (the first ones; long texts as "<text of N characters>"), or
                                       errno, or affected

Statements run in order on one connection. Each difference gets the first reason that fits it; one that none fits is listed as
such."""
import collections
import json
import re
import sys

import pymysql

PAGE = "docs/compat/corpus.md"
# What differs ("error", "types", "order", "values"), words of the statement, the reason.
REASONS = [
    ("error", r"FULL OUTER JOIN", "answered here; MySQL has no FULL JOIN"),
    ("error", r"\b(MD5|SHA1)\(", "answered here; MySQL 9.7 has them in a component only"),
    ("error", r"@@tx_isolation", "answered here: the old name of the variable"),
    ("order", r".", "the order of rows, or which of them a LIMIT leaves, that nothing in the statement decides"),
    ("values", r"^EXPLAIN", "our own plans and estimates, in MySQL's form"),
    ("values", r"NOW\(\)|UTC_|SYSDATE|CURDATE|CURTIME|CURRENT_(DATE|TIME)|UUID|RAND\(\)|UNIX_TIMESTAMP", "changes from call to call"),
    ("values", r"VERSION\(\)|@@version|version_comment|CONNECTION_ID|SHOW (FULL )?PROCESSLIST|\bprocesslist\b|character_set_%",
     "the server's own facts"),
    ("values", r"^SHOW (SESSION |GLOBAL )?STATUS", "counters that are not kept are not listed"),
    ("values", r"PLUGINS|ENGINES|\.engines|GRANTS|user_privileges", "what a server of ours and of theirs has: engines, plugins, privileges, accounts"),
    ("values", r"(PROCEDURE|FUNCTION) STATUS|routines|triggers|\.views|schemata", "there is no schema `sys`; schemas come in another order"),
    ("values", r"SHOW (INDEX|KEYS)|STATISTICS", "how many values an index has is counted at other times than InnoDB's"),
    ("values", r"TABLE STATUS|information_schema\.tables", "sizes and times of what is stored are not InnoDB's"),
    ("types", r"^(SHOW|ANALYZE|OPTIMIZE|CHECK|REPAIR)|information_schema",
     "column types on the wire: of the tables as INFORMATION_SCHEMA describes them, where MySQL's are its views' expressions"),
]


def text(v):
    if v is None:
        return None
    return v.decode("utf-8", "backslashreplace") if isinstance(v, bytes) else str(v)


def ask(cursor, sql):
    try:
        cursor.execute(sql)
        if cursor.description is None:
            return {"affected": cursor.rowcount}
        rows = [[text(v) for v in row] for row in cursor.fetchall()]
        return {"cols": [d[0] for d in cursor.description], "types": [d[1] for d in cursor.description],
                "nrows": len(rows), "rows": rows}
    except pymysql.Error as e:
        return {"errno": e.args[0]}


def same_cell(want, got):
    m = re.fullmatch(r"<text of (\d+) characters>", want or "")
    return want == got or (m is not None and got is not None and len(got) == int(m.group(1)))


def same_rows(want, got):
    return all(len(a) == len(b) and all(map(same_cell, a, b)) for a, b in zip(want, got))


def changed(names, a, b):
    """The names of the columns in which two lists differ."""
    return ", ".join(n for n, x, y in zip(names, a, b) if x != y)


def rows_differ(want, got):
    """What differs in the rows: ("", "") when nothing does."""
    if want["nrows"] != got["nrows"]:
        return "values", "%d rows, MySQL %d" % (got["nrows"], want["nrows"])
    if same_rows(want["rows"], got["rows"]):
        return "", ""
    # A cross join under a LIMIT may give any of its rows; of a long answer only the first rows were kept.
    a, b = (sorted(map(str, x["rows"])) for x in (want, got))
    first = len(want["rows"]) < want["nrows"]
    cross = re.search(r"CROSS JOIN", want["sql"]) and "LIMIT" in want["sql"]
    if a == b or cross or (first and set(a) <= set(b)):
        return "order", "order of rows"
    wrong = [(x, y) for x, y in zip(want["rows"], got["rows"]) if not all(map(same_cell, x, y))]
    names = {n for x, y in wrong for n, u, v in zip(want["cols"], x, y) if not same_cell(u, v)}
    return "values", "values of " + ", ".join(n for n in want["cols"] if n in names)


def difference(want, got):
    """None, or the kind of what differs, and all that does."""
    if want.get("errno") != got.get("errno"):
        return "error", "MySQL refuses it (%d)" % want["errno"] if "errno" in want else "error %d" % got["errno"]
    if want.get("affected") != got.get("affected") or want.get("cols") != got.get("cols"):
        return "values", "columns or affected rows"
    kind, what = rows_differ(want, got) if "rows" in want else ("", "")
    types = changed(want.get("cols", []), want.get("types", []), got.get("types", []))
    both = "; ".join(x for x in (what, "types of " + types if types else "") if x)
    return (kind or "types", both) if both else None


def reason(kind, sql):
    for k, pattern, why in REASONS:
        if k == kind and re.search(pattern, sql, re.I):
            return why
    return "not explained: " + kind


def main():
    port, path = int(sys.argv[1]), sys.argv[2]
    with open(path, encoding="utf-8") as f:
        wanted = [json.loads(line) for line in f]
    connection = pymysql.connect(host="127.0.0.1", port=port, user="root", autocommit=True, conv={}, charset="utf8mb4")
    found = []
    with connection.cursor() as cursor:
        for n, want in enumerate(wanted, 1):
            differs = difference(want, ask(cursor, want["sql"]))
            if differs is not None:
                found.append((n, want["sql"], differs[1], reason(differs[0], want["sql"])))
    connection.close()
    out = "# The corpus\n\nMade by `scripts/gen/corpus.py` from a run on one node beside what MySQL 9.7 answered; do not edit. Of %d statements that\n" % len(wanted)
    out += "clients send %d are answered alike: columns, their types, rows and their order, affected rows, error numbers. Why the other\n" % (len(wanted) - len(found))
    out += "%d are not:\n\n| statements | why |\n|---|---|\n" % len(found)
    for why, count in collections.Counter(f[3] for f in found).most_common():
        out += "| %d | %s |\n" % (count, why)
    out += "\n## Each of them\n\n| n | statement | what differs | why |\n|---|---|---|---|\n"
    for n, sql, what, why in found:
        out += "| %d | `%s` | %s | %s |\n" % (n, " ".join(sql.split())[:90].replace("|", "\\|").replace("`", "'"), what.replace("|", "\\|"), why)
    with open(PAGE, "w", encoding="utf-8") as f:
        f.write(out)


main()
