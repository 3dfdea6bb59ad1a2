#!/usr/bin/env python3
"""Records what a MySQL server answers to the CREATE TABLE statements of sql/ddl/testdata/show_create.txt.

    record_show_create.py HOST PORT [FILE]

In the file a statement stands on a line of its own; the lines after it are its result: `| ` and a line of SHOW CREATE
TABLE, or `! ` with error number and message. Results are replaced, statements are kept. To add a case add its line,
run this, and look at the difference.
"""
import os
import sys

import pymysql

HERE = os.path.dirname(os.path.abspath(__file__))
FILE = os.path.join(HERE, "..", "..", "sql", "ddl", "testdata", "show_create.txt")
SCHEMA = "record_show_create"


def answer(cursor, statement):
    cursor.execute("DROP TABLE IF EXISTS t")
    try:
        cursor.execute(statement)
        cursor.execute("SHOW CREATE TABLE t")
        text = cursor.fetchone()[1]
    except pymysql.err.MySQLError as e:
        return ["! %d %s" % (e.args[0], e.args[1])]
    return ["| " + line for line in text.split("\n")]


def main():
    path = sys.argv[3] if len(sys.argv) > 3 else FILE
    with open(path, encoding="utf-8") as f:
        statements = [s for s in f.read().split("\n") if s and s[0] not in "|!#"]
    db = pymysql.connect(host=sys.argv[1], port=int(sys.argv[2]), user="root", charset="utf8mb4")
    cursor = db.cursor()
    cursor.execute("DROP DATABASE IF EXISTS " + SCHEMA)
    cursor.execute("CREATE DATABASE " + SCHEMA)
    cursor.execute("USE " + SCHEMA)
    with open(path, "w", encoding="utf-8") as f:
        f.write("# Statements and what MySQL answered: scripts/gen/record_show_create.py writes the results.\n")
        for s in statements:
            f.write("\n".join(["", s] + answer(cursor, s)) + "\n")
    cursor.execute("DROP DATABASE " + SCHEMA)


if __name__ == "__main__":
    main()
