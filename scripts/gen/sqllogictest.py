#!/usr/bin/env python3
"""docs/compat/sqllogictest.md from the outputs of the suite's runner.

    sqllogictest.py NAME=LOG[,LOG...] ...

Each NAME is a row of the table ("SkeinDB, one node"), its LOGs what the runner printed: a line a file, of a failure
(-v N) where and why, and a TOTAL. Several logs ran at the same time, each with a part of the files: their speeds add up."""
import re
import sys

PAGE = "docs/compat/sqllogictest.md"
TOTAL = re.compile(r"^TOTAL files (\d+) queries (\d+)/(\d+) statements (\d+)/(\d+) skipped (\d+) .* in ([\d.]+)s \(([\d.]+)/s\)", re.M)


def read(path):
    with open(path, encoding="utf-8", errors="replace") as f:
        return f.read()


def failures(text):
    """(where, message, statement) of what failed, as far as it was shown."""
    found = re.findall(r"^  \./(\S+?): ?(.*)\n    (.*)", text, re.M)
    return [(a.split(":")[0], b.split(" [")[0].strip(), c.strip()) for a, b, c in found]


def main():
    rows, listed = [], []
    for arg in sys.argv[1:]:
        name, logs = arg.split("=", 1)
        texts = [read(x) for x in logs.split(",")]
        totals = [TOTAL.search(t) for t in texts]
        if any(t is None for t in totals):
            sys.exit("no TOTAL in %s" % logs)
        n = [sum(int(t.group(i)) for t in totals) for i in range(1, 7)]
        seconds = max(float(t.group(7)) for t in totals)
        rows.append((name, n, seconds, sum(n[1:6:2]) and (n[2] + n[4]) / seconds))
        for text in texts:
            listed += [(name,) + f for f in failures(text)]
    out = "# sqllogictest\n\nMade by `scripts/gen/sqllogictest.py` from the runner's outputs; do not edit. The files are a sample of the public corpus with\n"
    out += "results as MySQL gives them; `skipif mysql` records are left out. Speeds of one page are of one machine in one hour, shared with\n"
    out += "other work: compare ratios.\n\n"
    out += "| server | queries right | statements right | seconds | records/s |\n|---|---|---|---|---|\n"
    for name, n, seconds, speed in rows:
        out += "| %s | %d of %d | %d of %d | %.1f | %.0f |\n" % (name, n[1], n[2], n[3], n[4], seconds, speed)
    out += "\n## What failed\n\nUp to three of a file are shown by the runner.\n\n| server | file | statement | answer |\n|---|---|---|---|\n"
    for name, where, message, statement in listed:
        clean = lambda x: x.replace("|", "\\|").replace("`", "'")[:110]
        out += "| %s | %s | `%s` | %s |\n" % (name, where, clean(statement), clean(message))
    with open(PAGE, "w", encoding="utf-8") as f:
        f.write(out)


main()
