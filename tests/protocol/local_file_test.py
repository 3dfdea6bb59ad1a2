#!/usr/bin/env python3
"""LOAD DATA LOCAL, and variables that concern connections. usage: local_file_test.py HOST PORT USER PASSWORD"""
import os
import sys
import tempfile
import threading
import time

import pymysql
from pymysql.constants import CLIENT

HOST, PORT, USER, PASSWORD = sys.argv[1], int(sys.argv[2]), sys.argv[3], sys.argv[4]
SCHEMA = "protocol_local"
ROWS = 40000
TESTS = []


def test(f):
    TESTS.append(f)
    return f


def connect(**more):
    args = dict(host=HOST, port=PORT, user=USER, password=PASSWORD, autocommit=True, local_infile=True,
                client_flag=CLIENT.MULTI_STATEMENTS, connect_timeout=10)
    args.update(more)
    return pymysql.connect(**args)


def rows(c, sql):
    with c.cursor() as cursor:
        cursor.execute(sql)
        out = [cursor.fetchall()]
        while cursor.nextset():
            out.append(cursor.fetchall())
        return out if len(out) > 1 else out[0]


def fails(c, sql):
    try:
        rows(c, sql)
    except pymysql.MySQLError as e:
        return e.args[0]
    return 0


def load(extra=""):
    return "LOAD DATA LOCAL INFILE '%s' INTO TABLE t %s" % (FILE, extra)


@test
def whole_file():
    c = connect()
    rows(c, "SET GLOBAL local_infile = 1; DROP DATABASE IF EXISTS %s; CREATE DATABASE %s; USE %s; "
            "CREATE TABLE t (id INT PRIMARY KEY, b VARCHAR(80))" % (SCHEMA, SCHEMA, SCHEMA))
    rows(c, load())
    assert rows(c, "SELECT count(*), max(id) FROM t") == ((ROWS, ROWS - 1),)
    # The text behind the statement is still there after the file.
    assert rows(c, "TRUNCATE t; " + load("IGNORE 10 LINES") + "; SELECT 'after', count(*) FROM t")[2] == (("after", ROWS - 10),)
    c.close()


@test
def refused():
    c = connect(database=SCHEMA)
    rows(c, "SET GLOBAL local_infile = 0")
    assert fails(c, load()) == 3948
    rows(c, "SET GLOBAL local_infile = 1")
    other = connect(database=SCHEMA, local_infile=False)
    assert fails(other, load()) == 3948
    assert rows(other, "SELECT 1") == ((1,),)
    other.close()
    c.close()


@test
def error_half_way():
    """What the client sends is read to its end before the error is told."""
    c = connect(database=SCHEMA)
    rows(c, "TRUNCATE t")
    assert fails(c, load("SET b = (SELECT 1 UNION SELECT 2)")) == 1242
    assert rows(c, "SELECT count(*) FROM t") == ((0,),)
    c.close()


@test
def killed():
    c, victim = connect(database=SCHEMA), connect(database=SCHEMA)
    rows(c, "TRUNCATE t")
    result = []
    thread = threading.Thread(target=lambda: result.append(fails(victim, load("SET b = concat(sleep(0.001), b)"))))
    thread.start()
    shown = "SELECT COUNT(*) FROM information_schema.PROCESSLIST WHERE ID = %d AND INFO LIKE 'LOAD DATA%%'" % victim.thread_id()
    until = time.monotonic() + 20
    while rows(c, shown) != ((1,),):
        assert time.monotonic() < until, "LOAD DATA does not begin"
    time.sleep(0.1)  # it is reading rows by now, or not: a KILL ends it in any case
    rows(c, "KILL QUERY %d" % victim.thread_id())
    thread.join()
    assert result == [1317], result
    assert rows(victim, "SELECT count(*) FROM t") == ((0,),)
    victim.close()
    c.close()


@test
def changes_of_the_session_are_told():
    track = 1 << 23
    c = connect(database=SCHEMA, client_flag=CLIENT.MULTI_STATEMENTS | track)
    rows(c, "SET autocommit = 0, sort_buffer_size = 40000")
    told = c._result.message
    assert b"autocommit\x03OFF" in told and b"sort_buffer_size" not in told, told
    rows(c, "SET NAMES latin1")
    assert c._result.message.count(b"latin1") == 3, c._result.message
    rows(c, "SET session_track_system_variables = '*', session_track_state_change = 1")
    rows(c, "SET sort_buffer_size = 50000")
    assert b"sort_buffer_size" in c._result.message
    assert b"\x02\x011" in c._result.message, c._result.message
    rows(c, "USE " + SCHEMA)
    assert SCHEMA.encode() in c._result.message
    rows(c, "SET session_track_schema = 0")
    rows(c, "USE " + SCHEMA)
    assert SCHEMA.encode() not in c._result.message
    c.close()


@test
def prepared_statements_are_counted():
    c = connect(database=SCHEMA)
    rows(c, "SET GLOBAL max_prepared_stmt_count = 1")
    rows(c, "PREPARE a FROM 'SELECT 1'")
    assert fails(c, "PREPARE b FROM 'SELECT 2'") == 1461
    rows(c, "DEALLOCATE PREPARE a")
    rows(c, "PREPARE b FROM 'SELECT 2'; SET GLOBAL max_prepared_stmt_count = DEFAULT")
    c.close()


@test
def read_only():
    c = connect(database=SCHEMA)
    rows(c, "SET GLOBAL super_read_only = 1")
    assert rows(c, "SELECT @@read_only") == ((1,),)
    for sql in ("DELETE FROM t", "CREATE TABLE u (a INT)", load(), "DROP TABLE t"):
        assert fails(c, sql) == 1290, sql
    rows(c, "SET GLOBAL read_only = 0")
    assert rows(c, "SELECT @@super_read_only") == ((0,),)
    rows(c, "DELETE FROM t")
    c.close()


@test
def secure_transport():
    c = connect(database=SCHEMA)
    rows(c, "SET GLOBAL require_secure_transport = 1")
    try:
        connect(ssl_disabled=True)  # newer versions of the driver use TLS by themselves
        raise AssertionError("let in")
    except pymysql.MySQLError as e:
        assert e.args[0] == 3159, e
    finally:
        rows(c, "SET GLOBAL require_secure_transport = 0")
    rows(c, "DROP DATABASE " + SCHEMA)
    c.close()


def main():
    global FILE
    failed = 0
    with tempfile.TemporaryDirectory() as d:
        FILE = os.path.join(d, "rows")
        with open(FILE, "w") as f:
            f.writelines("%d\ta line of the file, number %d\n" % (i, i) for i in range(ROWS))
        for f in TESTS:
            try:
                f()
                print("PASS local_file", f.__name__)
            except Exception as e:
                failed += 1
                print("FAIL local_file %s: %s %s" % (f.__name__, type(e).__name__, str(e)[:300]))
    return 1 if failed else 0


sys.exit(main())
