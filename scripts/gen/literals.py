#!/usr/bin/env python3
"""docs/compat/literals.md: expressions and small queries beside what MySQL 9.7 answered, row by row.

    literals.py PORT FACTS     FACTS: a folder with literals_and_types.tsv (group, statement, the first column's name and metadata,
                               its value, numbers of warnings, the column that CREATE TABLE ... SELECT makes of it), and, beside it,
                               wire.py (a client of the protocol) and extract.py (PROBE and ROW1: the table that is asked)

The table is made without what is not built, spatial columns and a full-text key. Each difference gets the first reason that fits."""
import os
import re
import sys

PAGE = "docs/compat/literals.md"
SCHEMA = "mysql97_facts"  # messages and names of columns say it
NOT_BUILT = ["g GEOMETRY, pt POINT, ls LINESTRING, ", ", FULLTEXT KEY k4 (ft)"]
FIX = "SET timestamp=1700000000.123456, time_zone='+00:00', sql_mode=DEFAULT, rand_seed1=1, rand_seed2=2"
REASONS = [
    (r"\b(g|pt|ls)\b|\bPOINT\(|\bST_\w+\(", "spatial types are not built"),
    (r"^SELECT ft\b", "the column has no full-text key, which is not built: its flags say of none"),
    (r"ICU_VERSION", "the version of ICU in use"),
    (r"VERSION", "the server's own version, and its length"),
]


def escaped(v):
    if v is None:
        return "\\N"
    if isinstance(v, bytes):
        try:
            v = v.decode("utf8")
        except UnicodeDecodeError:
            return "0x" + v.hex().upper()
        if re.search("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]", v):
            return "0x" + v.encode().hex().upper()
    return str(v).replace("\\", "\\\\").replace("\t", "\\t").replace("\n", "\\n").replace("\r", "\\r")


def text(v):
    return v.decode() if isinstance(v, bytes) else v


def made_column(client, wire, statement):
    """The column that CREATE TABLE ... SELECT makes of the statement's first one."""
    named = re.sub(r"^SELECT (.*?)( FROM probe)?$", lambda m: "SELECT %s AS x%s" % (m.group(1), m.group(2) or ""), statement, flags=re.S)
    try:
        client.q("DROP TABLE IF EXISTS cts")
        client.q("CREATE TABLE cts " + named)
    except wire.Err as e:
        return "e%d" % e.no
    kind, null, collation = map(text, client.tab(
        "SELECT COLUMN_TYPE, IS_NULLABLE, COLLATION_NAME FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = '%s' "
        "AND TABLE_NAME = 'cts' ORDER BY ORDINAL_POSITION LIMIT 1" % SCHEMA)[0])
    return kind + (" not null" if null == "NO" else "") + (" " + collation if collation else "")


def answer(client, wire, statement):
    try:
        r = client.q(statement)
    except wire.Err as e:
        return [escaped(x) for x in ["", "ERROR", "", "", "", "", "%d (%s) %s" % (e.no, e.state, e.msg), "", ""]]
    warned = ",".join(sorted({text(w[1]) for w in client.tab("SHOW WARNINGS")})) if r.warnings else ""
    column, value = r.cols[0], r.rows[0][0] if r.rows else None
    if value is not None and column.tname in ("BIT", "GEOMETRY", "VECTOR"):
        value = "0x" + value.hex().upper()
    made = made_column(client, wire, statement)
    return [escaped(x) for x in [column.name, column.tname, column.length, column.decimals, column.charset, column.fnames, value, warned, made]]


def main():
    port, facts = int(sys.argv[1]), sys.argv[2]
    sys.dont_write_bytecode = True
    sys.path.insert(0, facts)
    import wire
    with open(os.path.join(facts, "extract.py"), encoding="utf8") as f:
        source = f.read()
    probe, row = (re.search(name + r' = """(.*?)"""', source, re.S).group(1) for name in ("PROBE", "ROW1"))
    for part in NOT_BUILT:
        probe = probe.replace(part, "")
    row = row.replace("js,g,pt,ls,v,ft", "js,v,ft").replace("POINT(1,2),POINT(1,2),LineString(POINT(0,0),POINT(1,1)),", "")
    client = wire.Conn("127.0.0.1", port, "root", "", None)
    for statement in ("SET NAMES utf8mb4", "DROP DATABASE IF EXISTS " + SCHEMA, "CREATE DATABASE " + SCHEMA, "USE " + SCHEMA, FIX, probe, row):
        client.q(statement)
    differ, count = [], 0
    with open(os.path.join(facts, "literals_and_types.tsv"), encoding="utf8") as f:
        for line in f.read().split("\n")[1:-1]:
            group, asked, *want = line.split("\t")
            statement = re.sub(r"\\(.)", lambda m: {"n": "\n", "t": "\t", "r": "\r"}.get(m.group(1), m.group(1)), asked)
            got = answer(client, wire, statement)
            if want[6] == "<varies>":
                got[6] = "<varies>"
            count += 1
            if got != want:
                differ.append((group, asked, want, got))
    client.q("DROP DATABASE " + SCHEMA)
    out = "# Literals and types\n\nMade by `scripts/gen/literals.py` from a run on one node beside what MySQL 9.7 answered; do not edit. Of %d expressions and\n" % count
    out += "small queries %d have the same value, name, type, length, decimals, character set and flags of the result's column, the same\n" % (count - len(differ))
    out += "warnings, and make the same column by CREATE TABLE ... SELECT. The others:\n\n| group | statement | MySQL | here | why |\n|---|---|---|---|---|\n"
    for group, asked, want, got in differ:
        why = next((w for pattern, w in REASONS if re.search(pattern, asked, re.I)), "not explained")
        parts = [(a, b) for a, b in zip(want, got) if a != b]
        cells = [", ".join(x[i] for x in parts)[:70].replace("|", "\\|").replace("`", "'") for i in (0, 1)]
        out += "| %s | `%s` | %s | %s | %s |\n" % (group, asked.replace("|", "\\|").replace("`", "'"), *cells, why)
    with open(PAGE, "w", encoding="utf-8") as f:
        f.write(out)


main()
