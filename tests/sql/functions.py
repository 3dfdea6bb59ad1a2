#!/usr/bin/python3
"""Golden tests of every built-in function, made from the registries.

    functions.py --check                  every row of the registries has a call in functions.txt
    functions.py --make REFERENCE OURS    writes t/functions/FAMILY.test and r/functions/FAMILY.result
                                          (both addresses are HOST:PORT)

Each call of functions.txt is made as it is (with the result's metadata), with one argument fewer and
one more, and with each argument in turn NULL, of another type, and extreme. The reference server's
answers are the results. A call that OURS answers otherwise goes to FAMILY_gaps.test, so that the
main file guards all others; run it again when a gap has been closed.
"""
import argparse
import glob
import os
import re
import sys

sys.dont_write_bytecode = True

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.join(HERE, "../..")
SETUP = ["SET timestamp = 1700000000.123456, time_zone = '+00:00'",
         "CREATE TABLE one (a INT)", "INSERT INTO one VALUES (1)"]
# Not in the reference server itself but in a component of its own.
ABSENT = {"md5", "sha", "sha1"}
# Their values differ from call to call.
VARYING = {"RAND()"}
NUMBERS = ["0", "-1.5", "9223372036854775807", "1e300"]
TEXTS = ["''", "'\u00e9\u65e5'", "x'00FF41'"]
DATES = ["'0000-00-00'", "'2024-02-30'", "'9999-12-31 23:59:59.999999'", "TIME'-25:30:01.5'"]


def rows():
    """[(family, name, least, most)] of the registries; most is None without a limit."""
    out = []
    for path in sorted(glob.glob(os.path.join(ROOT, "sql/func/*/*.def"))):
        family = os.path.basename(os.path.dirname(path))
        with open(path, encoding="utf-8") as f:
            text = f.read()
        for m in re.finditer(r"^(?:FUNC|AGG)\((\w+), (\d+), (\w+), ([^\n]*)", text, re.M):
            if "FUNC_HIDDEN" not in m.group(4):
                most = int(m.group(3)) if m.group(3).isdigit() else None
                out.append((family, m.group(1), int(m.group(2)), most))
    return out


def calls():
    """[(family, name, call)]"""
    out, family = [], ""
    with open(os.path.join(HERE, "functions.txt"), encoding="utf-8") as f:
        for line in f.read().split("\n"):
            if re.fullmatch(r"# \w+", line):
                family = line[2:]
            elif line and not line.startswith("#"):
                name, _, call = line.partition("\t")
                out.append((family, name, call))
    return out


def plain(call):
    return re.sub("[«»]", "", call)


def with_argument(call, index, text):
    at = [-1]

    def replace(m):
        at[0] += 1
        return text if at[0] == index else m.group(1)
    return re.sub("«(.*?)»", replace, call)


def edges(argument):
    if re.fullmatch(r"[-+]?[0-9.e]+", argument):
        return ["'12abc'"] + NUMBERS
    if re.match(r"(DATE|TIME|TIMESTAMP)?'\d+[-:]\d+", argument):
        return ["'abc'", "20240229"] + DATES
    return ["12.5"] + TEXTS


def arities(call):
    m = re.fullmatch(r"(\w+)\(((?:«[^»]*»(?:, )?)*)\)", call)
    if m is None:
        return []
    arguments = re.findall("«(.*?)»", m.group(2))
    fewer = ["%s(%s)" % (m.group(1), ", ".join(arguments[:-1]))] if arguments else []
    return fewer + ["%s(%s)" % (m.group(1), ", ".join(arguments + ["1"]))]


def statements(call):
    out = [("--metadata", "SELECT " + plain(call))]
    out += [("--mask " + c if c in VARYING else "", "SELECT " + c) for c in arities(call)]
    for i, argument in enumerate(re.findall("«(.*?)»", call)):
        for other in ["NULL"] + edges(argument):
            out.append(("", "SELECT " + with_argument(call, i, other)))
    return out


def answers(address, listed):
    host, port = run.host_port(address)
    parsed = [run.Statement(sql, [tuple((d[2:] + " ").split(" ", 1))] if d else [], 0)
              for d, sql in listed]
    return run.unify(run.Runner(host, port).run(parsed))


def write(family, listed, blocks, about):
    if not listed:
        for kind, end in (("t", ".test"), ("r", ".result")):
            path = os.path.join(HERE, kind, "functions", family + end)
            if os.path.exists(path):
                os.remove(path)
        return
    for kind, end in (("t", ".test"), ("r", ".result")):
        os.makedirs(os.path.join(HERE, kind, "functions"), exist_ok=True)
        with open(os.path.join(HERE, kind, "functions", family + end), "w", encoding="utf-8") as f:
            if kind == "r":
                f.write(run.to_text(blocks))
                continue
            f.write("# Made by functions.py. %s\n" % about)
            for directive, sql in listed:
                f.write((directive + "\n" if directive else "") + sql + ";\n")


def make(reference, ours):
    global run
    import run  # needs the driver, which --check does not
    families = {}
    for family, name, call in calls():
        if name not in ABSENT:
            families.setdefault(family, []).extend(statements(call))
    setup = [("", sql) for sql in SETUP]
    for family, listed in sorted(families.items()):
        listed = setup + list(dict.fromkeys(listed))
        wanted = answers(reference, listed)
        got = answers(ours, listed)
        n = len(setup)
        good = [i for i in range(n, len(listed)) if wanted[i] == got[i]]
        bad = [i for i in range(n, len(listed)) if wanted[i] != got[i]]
        for name, which, about in ((family, good, "Calls of every function of this family."),
                                   (family + "_gaps", bad, "What does not answer as MySQL yet.")):
            picked = (list(range(n)) + which) if which else []
            write(name, [listed[i] for i in picked], [wanted[i] for i in picked], about)
        print("%-12s %4d equal, %4d differ" % (family, len(good), len(bad)))


def check():
    listed = {name for _, name, _ in calls()}
    missing = [r for r in rows() if r[1] not in listed]
    for family, name, _, _ in missing:
        print("tests/sql/functions.txt has no call of %s (%s)" % (name, family))
    return 1 if missing else 0


def main():
    p = argparse.ArgumentParser(usage=__doc__)
    p.add_argument("--check", action="store_true")
    p.add_argument("--make", nargs=2, metavar=("REFERENCE", "OURS"))
    args = p.parse_args()
    if args.check:
        return check()
    if not args.make:
        p.error("--check or --make")
    make(*args.make)
    return 0


if __name__ == "__main__":
    sys.exit(main())
