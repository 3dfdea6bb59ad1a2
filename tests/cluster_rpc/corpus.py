#!/usr/bin/python3
"""The corpus (corpus.sql: statements that clients send to MySQL), all of it through each node's port.

Every statement is answered: as MySQL answers (OK or a result; corpus_errors.tsv holds the statements that MySQL refuses, with its
error), or with error 1235. Those that are not answered as MySQL does stand in corpus_gaps.txt, a list that may only shrink: a line
whose statement is answered fails the run.

    corpus.py --binary PATH"""
import argparse
import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "lib"))

import pymysql  # noqa: E402
from cluster import Cluster  # noqa: E402

DATABASES = ("skein_test", "corpus_db")


def statements(path):
    """[text], split at semicolons outside quotes; comment lines are no part of them."""
    out, text, quote = [], [], None
    with open(path, encoding="utf-8") as f:
        source = "".join(line for line in f if not line.lstrip().startswith("--"))
    i = 0
    while i < len(source):
        c = source[i]
        if quote:
            if c == "\\" and quote != "`":
                text.append(source[i:i + 2])
                i += 2
                continue
            if c == quote:
                quote = None
        elif c in "'\"`":
            quote = c
        elif c == ";":
            out.append("".join(text).strip())
            text = []
            i += 1
            continue
        text.append(c)
        i += 1
    return [s for s in out if s]


def table(name, column):
    """{number: text of the column}"""
    out = {}
    with open(os.path.join(HERE, name), encoding="utf-8") as f:
        for line in f:
            if line.strip() and not line.startswith("#"):
                parts = line.rstrip("\n").split("\t")
                out[int(parts[0])] = parts[column]
    return out


STAND_INS = {"utf8mb4_unicode_520_ci": "utf8mb4_general_ci"}


def stand_in(connection, sql, text):
    """A table that could not be made for want of its collation is made with another one, for the statements that use it."""
    for missing, other in STAND_INS.items():
        if missing in text and missing in sql:
            with connection.cursor() as c:
                c.execute(sql.replace(missing, other))


def answers(connection, sqls):
    """[number of the error or 0, its text], one per statement."""
    out = []
    for sql in sqls:
        try:
            with connection.cursor() as c:
                c.execute(sql)
                c.fetchall()
            out.append((0, ""))
        except pymysql.Error as e:
            out.append((e.args[0], str(e.args[1]) if len(e.args) > 1 else ""))
            if not isinstance(e.args[0], int) or e.args[0] in (0, 2006, 2013):
                return out  # the connection has gone: that is no answer
            if e.args[0] == 1235:
                stand_in(connection, sql, out[-1][1])
    return out


def judge(sqls, got, wanted, gaps):
    """What is wrong with the answers."""
    wrong = []
    for n, sql in enumerate(sqls, 1):
        if n > len(got):
            wrong.append("%d: no answer: %s" % (n, sql[:100]))
            break
        number, text = got[n - 1]
        same = number == int(wanted.get(n, 0))
        if not same and n not in gaps:
            wrong.append("%d: %s: error %d %s" % (n, " ".join(sql.split())[:100], number, text[:160]))
        elif same and n in gaps:
            wrong.append("%d is answered now: take it off corpus_gaps.txt" % n)
        elif not same and number not in (0, 1235):
            wrong.append("%d: %s: neither MySQL's answer nor 1235: error %d %s" % (n, " ".join(sql.split())[:100], number, text[:160]))
    return wrong


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--binary", required=True)
    p.add_argument("--keep", action="store_true")
    args = p.parse_args()
    sqls = statements(os.path.join(HERE, "corpus.sql"))
    wanted, gaps = table("corpus_errors.tsv", 1), table("corpus_gaps.txt", 1)
    passed = failed = 0
    with Cluster(args.binary, 3, keep=args.keep) as cluster:
        for node in cluster.nodes:
            connection = node.connect()
            got = answers(connection, sqls)
            wrong = judge(sqls, got, wanted, gaps)
            passed, failed = passed + (not wrong), failed + bool(wrong)
            print("%s node %d: %d statements, %d of them with MySQL's error, %d with 1235"
                  % ("FAIL" if wrong else "PASS", node.number, len(got), len(wanted), sum(1 for g in got if g[0] == 1235)))
            for text in wrong[:40]:
                print("  " + text)
            for other in cluster.nodes:  # what one has written the others read
                c = other.connect()
                with c.cursor() as cursor:
                    cursor.execute("SHOW DATABASES")
                    cursor.fetchall()
                c.close()
            with node.connect().cursor() as cursor:
                for name in DATABASES:
                    cursor.execute("DROP DATABASE IF EXISTS " + name)
        bad = cluster.stop()
        if bad:
            failed += 1
            print("FAIL nodes stop cleanly: %r" % bad)
    print("%d passed, %d failed" % (passed, failed))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
