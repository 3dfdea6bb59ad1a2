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
    ("values", r"character_sets|collations", "more are listed, or in another order"),
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


def difference(want, got):
    """None, or what differs."""
    if want.get("errno") != got.get("errno"):
        return "error"
    if want.get("nrows") != got.get("nrows") or want.get("affected") != got.get("affected") or want.get("cols") != got.get("cols"):
        return "values"
    if "rows" in want and not same_rows(want["rows"], got["rows"]):
        # A cross join under a LIMIT may give any of its rows.
        a, b = (sorted(map(str, x["rows"])) for x in (want, got))
        cross = re.search(r"CROSS JOIN", want["sql"]) and "LIMIT" in want["sql"]
        return "order" if a == b or cross else "values"
    return "types" if want.get("types") != got.get("types") else None


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
    found = collections.defaultdict(list)
    with connection.cursor() as cursor:
        for want in wanted:
            kind = difference(want, ask(cursor, want["sql"]))
            if kind is not None:
                found[reason(kind, want["sql"])].append(want)
    connection.close()
    count = sum(map(len, found.values()))
    out = "# The corpus\n\nMade by `scripts/gen/corpus.py` from a run on one node beside what MySQL 9.7 answered; do not edit. Of %d statements that\n" % len(wanted)
    out += "clients send %d are answered alike: columns, their types, rows and their order, affected rows, error numbers. The others:\n\n" % (len(wanted) - count)
    out += "| statements | why | which |\n|---|---|---|\n"
    for why, all_of in sorted(found.items(), key=lambda x: (-len(x[1]), x[0])):
        names = list(dict.fromkeys(" ".join(w["sql"].split())[:70].replace("|", "\\|").replace("`", "'") for w in all_of))
        out += "| %d | %s | %s |\n" % (len(all_of), why, ", ".join("`%s`" % n for n in names))
    with open(PAGE, "w", encoding="utf-8") as f:
        f.write(out)


main()
