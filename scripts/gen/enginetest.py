#!/usr/bin/env python3
"""docs/compat/enginetest.md: what of the engine tests is answered as MySQL answers.

    enginetest.py RESULTS.json > docs/compat/enginetest.md

The node has the accounts that the recorded server had, root@localhost and root@127.0.0.1, and may read files
(--secure-file-priv=). RESULTS.json is what the runner of the suite writes: one object a line with file, query, verdict
("pass", "fail", "skip") and, of a failure, category and reason. Failures are gathered by what they
wait for; of those that wait for nothing each is listed.
"""
import collections
import json
import re
import sys

# What a failure waits for, by what its reason or statement says; the first that fits.
WAITS = [
    ("triggers", r"create trigger|TriggerT|\btrigger"),
    ("procedures and functions", r"create procedure|\bCALL\b|stored|create function|procedure"),
    ("events", r"create event|\bevents?\b"),
    ("replication", r"\bREPLICA(TION)?\b"),
    ("full-text search", r"FULLTEXT|MATCH"),
    ("spatial types", r"spatial|POINT|LINESTRING|POLYGON|GEOM|point_table|line_table|polygon_table|\bST_"),
    ("partitions", r"PARTITION"),
]
FILES = {
    "trigger_queries.go": "triggers",
    "procedure_queries.go": "procedures and functions", "event_queries.go": "events",
    "external_procedure_queries.go": "procedures and functions",
    "call_asof_queries.go": "procedures and functions", "fulltext_queries.go": "full-text search",
    "spatial_queries.go": "spatial types", "large_geometry_queries.go": "spatial types",
}
# Answers that belong to the server that was recorded and not to the language.
OWN = [
    (r"icu_version", "the version of ICU in use"),
    (r"variable_name = 'version'|SELECT VERSION", "the server's own version"),
    (r"gtid|%mode'", "replication settings of the recorded server"),
]

# Why an answer differs that waits for nothing: file, words of the statement (or of what came), the reason.
REASONS = [
    ("alter_table", r"MODIFY", "the column changes in place: no row is written anew, so none is counted"),
    ("foreign_key", r"over_cycle1", "a ring of 16 rows, 8 in each table: MySQL deletes one of them and leaves keys that refer to nothing"),
    ("indexed_expressions", r"EXTENDED COLUMNS", "hidden columns are not listed: they are other ones here"),
    ("indexed_expressions", r"hidden", "hidden columns have other names here"),
    ("indexed_expressions", r"DROP INDEX", "the index goes in place: no row is counted"),
    ("information_schema", r"information_schema\.innodb_|optimizer_trace", "tells of what InnoDB keeps of tables and transactions, or of the optimizer's steps: not built"),
    ("information_schema", r"schemata_extensions", "the order of rows that nothing orders"),
    ("load", r"@extra1", "after a LOAD DATA that a line which is too long has ended: MySQL has read the next line's fields before it sees the error"),
    ("priv_auth", r"testuser1|testuser2|ranuse|'lol'", "the plugin mysql_native_password is there: the recorded server refuses it"),
    ("priv_auth", r"INSERT INTO mysql\.|UPDATE mysql\.|FROM mysql\.(db|tables_priv)", "the tables about accounts are read only: what UPDATE should have changed is as it was"),
    ("vector_index", r"order by v limit", "arrays of a JSON column: MySQL does not sort them, and warns of that"),
    ("prepared_statement", r"using @c", "MySQL keeps the type that the parameter had before, and makes an integer of the text"),
    ("queries", r"<=> \(select 1, 4", "a row subquery without rows is a row of NULLs here; MySQL compares with what the last row that it has read holds"),
    ("queries", r"histogram", "answers error 1235"),
    ("queries", r"-1 in \(null", "with NULL in the list MySQL compares the integer with rounded numbers"),
    ("script", r"GROUP_CONCAT\(name ORDER BY \(SELECT", "the order of rows that nothing orders: MySQL does not evaluate the subquery"),
]

# Files on the language proper: queries, functions, joins, JSON, windows, order and groups, derived tables, aliases, regular
# expressions, indexes, changes of rows, loading, variables, quotes, character sets.
LANGUAGE = (
    "queries function join json json_table window_functions order_by_group_by derived_table_outer_scope_visibility "
    "column_alias regex index indexed_expressions insert update delete replace load variable ansi_quotes "
    "charset_collation_engine charset_collation_wire collation_coercion").split()


def stem(name):
    """The file's name without what all of them end in."""
    return re.sub(r"(_queries|_scripts)?\.go$", "", name)


def short(text, size):
    text = " ".join(str(text).split()).replace("|", "\\|").replace("`", "'")
    return text if len(text) <= size else text[: size - 1] + "…"


def waits_for(row):
    text = "%s %s %s" % (row.get("reason"), row.get("query"), row.get("script"))
    feature = re.search(r"yet support '([^']*)'", str(row.get("reason")))
    if feature is not None:
        text = feature.group(1)
    elif row["file"] in FILES:
        return FILES[row["file"]]
    for name, pattern in WAITS:
        if re.search(pattern, text, re.I):
            return name
    return None


def note(row):
    for pattern, why in OWN:
        if re.search(pattern, str(row.get("query")), re.I):
            return why
    for name, pattern, why in REASONS:
        if row["file"].startswith(name) and re.search(pattern, str(row.get("query")), re.I):
            return why + ": " + short(row.get("reason"), 90)
    return short(row.get("reason"), 150)


def main():
    with open(sys.argv[1], encoding="utf-8") as f:
        rows = [json.loads(line) for line in f]
    count = collections.defaultdict(collections.Counter)
    waiting = collections.defaultdict(collections.Counter)
    rest = []
    for row in rows:
        verdict = row["verdict"]
        count[row["file"]][verdict] += 1
        if verdict != "fail":
            continue
        name = waits_for(row)
        if name is not None:
            waiting[row["file"]][name] += 1
        else:
            rest.append(row)
    passed = sum(c["pass"] for c in count.values())
    failed = sum(c["fail"] for c in count.values())
    later = sum(sum(c.values()) for c in waiting.values())
    print("# The engine tests\n")
    print("Made by `scripts/gen/enginetest.py` from the runner's results: %d of %d answers are those "
          "that MySQL\ngave (%.1f%%). %d of the others wait for a part that is not built; the "
          "remaining %d are listed below.\n" % (passed, passed + failed,
                                               100 * passed / (passed + failed), later, len(rest)))
    language = [c for name, c in count.items() if stem(name) in LANGUAGE]
    right, total = sum(c["pass"] for c in language), sum(c["pass"] + c["fail"] for c in language)
    print("Of the %d files on the language proper (queries, functions, joins, JSON, windows, order and groups, derived\n"
          "tables, aliases, regular expressions, indexes, changes of rows, loading, variables, quotes, character sets)\n"
          "%d of %d answers are MySQL's (%.1f%%).\n" % (len(language), right, total, 100 * right / total))
    print("| file | as MySQL | of | | waits for |\n|---|---|---|---|---|")
    for name in sorted(count):
        c, total = count[name], count[name]["pass"] + count[name]["fail"]
        if total == 0:
            continue
        parts = ", ".join("%s %d" % x for x in waiting[name].most_common())
        print("| %s | %d | %d | %.1f%% | %s |" % (name, c["pass"], total, 100 * c["pass"] / total,
                                               parts))
    print("\n## What the language's files wait for\n\n| file | statement | waits for |\n|---|---|---|")
    late = [r for r in rows if r["verdict"] == "fail" and stem(r["file"]) in LANGUAGE and waits_for(r) is not None]
    for row in sorted(late, key=lambda r: (r["file"], str(r.get("query")))):
        print("| %s | `%s` | %s |" % (stem(row["file"]), short(row.get("query"), 110), waits_for(row)))
    print("\n## What is left\n\n| file | statement | why |\n|---|---|---|")
    for row in sorted(rest, key=lambda r: (r["file"], str(r.get("query")))):
        print("| %s | `%s` | %s |" % (row["file"].replace("_queries.go", "").replace(".go", ""),
                                   short(row.get("query"), 110), note(row)))


main()
