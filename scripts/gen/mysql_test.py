#!/usr/bin/env python3
"""docs/compat/mysql_test.md from a run of MySQL's own test files.

    mysql_test.py DIR TESTS     DIR: what the runner (mtrx.py, --mode score) wrote with --out: results.tsv and got/
                                TESTS: the folder of the tests, for the errors that they expect

A test's score is the part of its answer lines that came out. What a test loses is put to the feature that answered 1235
most often in it; features of later work (stored programs, full text, spatial, partitions, replication, administration)
are counted apart."""
import collections
import os
import re
import sys

PAGE = "docs/compat/mysql_test.md"
LATER = [
    ("spatial", r"^(ST_|MBR|spatial|POINT|LINESTRING|POLYGON|MULTI|GEOM)|SPATIAL REFERENCE"),
    ("stored programs", r"PROCEDURE|FUNCTION|TRIGGER|EVENT|LIBRARY|^CALL$"),
    ("full text", r"FULLTEXT|MATCH \.\.\. AGAINST"),
    ("partitions", r"partition"),
    ("administration", r"HELP|RESOURCE GROUP|INSTALL|SHUTDOWN|RESTART|CLONE|REPLICA|BINARY LOG|TABLESPACE|SERVER$"),
]

# Why a test below 90% stays as it is, by the test's name; the first that fits.
REASONS = [
    (r"sha256", "the plugin sha256_password is not built"),
    (r"parts\.", "partitions"),
    (r"innodb_fts\.", "full text"),
    (r"bug35507223", "of two errors the subquery in CHECK is told, not its column"),
    (r"thread_cache_size", "no threads are cached"),
    (r"is_statistics_mysql", "the tables of `mysql` are other ones"),
    (r"status_tls_library", "Tls_library_version is not shown"),
    (r"show_processlist_state", "there is no thread of an event scheduler"),
    (r"bug120323", "rows of more than half a page are stored"),
    (r"ctype_errors", "messages are English"),
    (r"bulk_replace", "the order of rows that nothing orders"),
    (r"innodb-large-prefix", "ROW_FORMAT=COMPACT does not make keys shorter"),
    (r"innodb-alter-varchar", "VARCHAR grows in place beyond 255 bytes too"),
    (r"bug33657235", "FOR SHARE locks rows that InnoDB's index condition leaves out"),
    (r"innodb-alter-autoinc", "LOCK= and ALGORITHM= of other ways to change a table; numbers set aside in other amounts"),
    (r"gcol_bugfixes_latin1", "SHOW CREATE TABLE gives bytes where the client's charset has no character"),
    (r"is_engines_innodb", "XA is not built"),
]


def reason_of(test):
    return next((why for rx, why in REASONS if re.search(rx, test)), "")


def group_of(feature):
    for name, rx in LATER:
        if re.search(rx, feature, re.I):
            return name
    return "not built: " + feature


def output_of(directory, test):
    base = os.path.join(directory, "got", test.replace("/", "_"))
    for end in (".lines", ".out"):
        if os.path.exists(base + end):
            with open(base + end, "rb") as f:
                return f.read().decode("utf-8", "replace")
    return ""


def expected_of(tests, test):
    suite, name = test.rsplit(".", 1)
    for folder in ("r", os.path.join("suite", suite, "r"), os.path.join("suite", suite)):
        path = os.path.join(tests, folder, name + ".result")
        if os.path.exists(path) and (suite == "main") == (folder == "r"):
            with open(path, "rb") as f:
                return f.read().decode("utf-8", "replace")
    return ""


def first_error(text, expected):
    """The first error that the stored result does not have."""
    known = collections.Counter(x for x in expected.split("\n") if x.startswith("ERROR"))
    for line in text.split("\n"):
        if line.startswith("ERROR"):
            known[line] -= 1
            if known[line] < 0:
                return line
    return ""


def judge(directory, tests, test, status, message):
    """What keeps the test from passing: a group, and the first thing that went wrong."""
    text = output_of(directory, test)
    error = first_error(text, expected_of(tests, test))
    features = re.findall(r"doesn't yet support '([^']*)'", text)
    if status in ("timeout", "skip"):
        return status, message or status
    if features:
        groups = collections.Counter(group_of(x) for x in features)
        later = [g for g in groups.most_common() if not g[0].startswith("not built")]
        if later and 2 * sum(n for _, n in later) >= len(features):
            return later[0][0], "1235 " + features[0]
        return groups.most_common(1)[0][0], "1235 " + features[0]
    return "answers differ", error or message


def read(directory, tests):
    rows = []
    with open(os.path.join(directory, "results.tsv"), encoding="utf-8", errors="replace") as f:
        for line in f:
            test, _, status, _, got, wanted, message = (line.rstrip("\n").split("\t") + [""] * 7)[:7]
            score = int(got) / int(wanted) if int(wanted) else float(status == "pass")
            group, first = ("", "") if score == 1 else judge(directory, tests, test, status, message)
            rows.append((test, status, score, group, first))
    return sorted(rows)


def mean(scores):
    scores = list(scores)
    return 100 * sum(scores) / max(1, len(scores))


def table(head, rows):
    line = "| " + " | ".join(head) + " |\n|" + "---|" * len(head) + "\n"
    return line + "".join("| " + " | ".join(str(c) for c in r) + " |\n" for r in rows)


def tick(text):
    return "`" + text.replace("`", "'").replace("|", "/")[:90] + "`" if text else ""


def main():
    rows = read(sys.argv[1], sys.argv[2])
    later = {name for name, _ in LATER}
    plain = [r for r in rows if r[3] not in later]
    by_suite, by_group = collections.defaultdict(list), collections.defaultdict(list)
    for r in rows:
        by_suite[r[0].rsplit(".", 1)[0]].append(r)
        if r[2] < 1:
            by_group[r[3]].append(r)
    groups = sorted(by_group.items(), key=lambda g: -sum(1 - r[2] for r in g[1]))
    apart = [(n, len(g), "%.1f" % sum(1 - r[2] for r in g)) for n, g in groups if n in later]
    own = [(n, len(g), "%.1f" % sum(1 - r[2] for r in g)) for n, g in groups if n not in later]
    worst = sorted((r for r in plain if r[2] < 0.9), key=lambda r: r[2])
    text = "# MySQL's own tests\n\n"
    text += "Made by `scripts/gen/mysql_test.py` from a run of MySQL 9.7's test files of plain SQL, each against one node; do not edit. A test's score\n"
    text += "is the part of its answer lines that came out; statements that the runner repeats do not count. The runner opens `test` to every account by a\n"
    text += "row of mysql.db, which is read only here: a locked anonymous account with the same rights does it.\n\n"
    text += "%d tests: **mean %.1f%%**, %d with every line. Without those that lose most to statements of later work: %d tests, mean %.1f%%.\n\n" % (
        len(rows), mean(r[2] for r in rows), sum(r[2] == 1 for r in rows), len(plain), mean(r[2] for r in plain))
    text += table(["suite", "tests", "all lines", "mean %"], [
        (s, len(g), sum(r[2] == 1 for r in g), "%.1f" % mean(r[2] for r in g)) for s, g in sorted(by_suite.items())])
    text += "\n## What is lost\n\nTests, and the sum of what they miss (1 is a whole test). Counted apart, because the statements are later work:\n\n"
    text += table(["statements", "tests", "missed"], apart)
    text += "\nThe rest:\n\n" + table(["reason", "tests", "missed"], own[:40])
    text += "\n## Tests below 90%, later work left out\n\n"
    text += table(["test", "%", "first error", "why it stays"], [
        ("`%s`" % r[0], "%.0f" % (100 * r[2]), tick(r[4]), reason_of(r[0])) for r in worst])
    text += "\n## All tests\n\nIn percent; a name alone: every line.\n\n"
    for s, g in sorted(by_suite.items()):
        names = ["%s%s" % (r[0].rsplit(".", 1)[1], "" if r[2] == 1 else " %.0f" % (100 * r[2])) for r in g]
        text += "- %s: %s\n" % (s, ", ".join(names))
    with open(PAGE, "w", encoding="utf-8") as f:
        f.write(text)


main()
