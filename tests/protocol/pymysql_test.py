#!/usr/bin/env python3
"""PyMySQL (Python, text protocol). usage: pymysql_test.py HOST PORT USER PASSWORD"""
import datetime
import decimal
import sys
import threading
import time

import pymysql

HOST, PORT, USER, PASSWORD = sys.argv[1], int(sys.argv[2]), sys.argv[3], sys.argv[4]
SCHEMA = "protocol_py"
TESTS = []


def test(f):
    TESTS.append(f)
    return f


def connect(**more):
    args = dict(host=HOST, port=PORT, user=USER, password=PASSWORD, charset="utf8mb4", connect_timeout=10)
    args.update(more)
    return pymysql.connect(**args)


def rows(c, sql, args=None):
    with c.cursor() as cursor:
        cursor.execute(sql, args)
        return cursor.fetchall()


@test
def schema():
    c = connect(autocommit=True)
    rows(c, "DROP DATABASE IF EXISTS " + SCHEMA)
    rows(c, "CREATE DATABASE " + SCHEMA)
    c.select_db(SCHEMA)
    assert rows(c, "SELECT DATABASE()") == ((SCHEMA,),)
    c.ping()
    c.close()


@test
def types():
    c = connect(database=SCHEMA, autocommit=True)
    rows(c, "CREATE TABLE t (a TINYINT, b SMALLINT, c MEDIUMINT, d INT UNSIGNED, e BIGINT, f FLOAT, g DOUBLE, "
            "h DECIMAL(20,5), i DATE, j TIME(3), k DATETIME(6), l VARCHAR(50), m VARBINARY(50), n TEXT, id INT PRIMARY KEY)")
    want = (-128, -32768, 8388607, 4294967295, -2 ** 63, 1.5, 0.1, decimal.Decimal("-12345.67800"),
            datetime.date(2024, 2, 29), datetime.timedelta(hours=838, minutes=5, milliseconds=250),
            datetime.datetime(2024, 2, 29, 13, 5, 9, 250000), "h\u00e9llo \U0001F600", b"\0\x01\xff", "text")
    with c.cursor() as cursor:
        cursor.execute("INSERT INTO t VALUES (" + ",".join(["%s"] * 15) + ")", want + (1,))
        assert cursor.rowcount == 1
        cursor.execute("INSERT INTO t (id) VALUES (2)")
    got = rows(c, "SELECT * FROM t ORDER BY id")
    assert got[0] == want + (1,), got[0]
    assert got[1] == (None,) * 14 + (2,), got[1]
    c.close()


@test
def errors():
    c = connect(database=SCHEMA)
    for sql, number in (("SELEC 1", 1064), ("SELECT * FROM nosuch", 1146), ("SELECT nosuch FROM t", 1054),
                        ("INSERT INTO t (id) VALUES (1)", 1062)):
        try:
            rows(c, sql)
            raise AssertionError(sql)
        except pymysql.MySQLError as e:
            assert e.args[0] == number, e.args
    assert rows(c, "SELECT 1") == ((1,),)
    c.close()


@test
def transactions():
    c = connect(database=SCHEMA)
    c.begin()
    rows(c, "INSERT INTO t (id) VALUES (10)")
    c.rollback()
    rows(c, "INSERT INTO t (id) VALUES (11)")
    c.commit()
    assert rows(c, "SELECT id FROM t WHERE id >= 10") == ((11,),)
    c.close()


@test
def many_rows_unbuffered():
    c = connect(database=SCHEMA, autocommit=True)
    rows(c, "CREATE TABLE n (id INT PRIMARY KEY, s VARCHAR(100))")
    with c.cursor() as cursor:
        cursor.executemany("INSERT INTO n VALUES (%s, %s)", [(i, "row %d" % i) for i in range(5000)])
    with c.cursor(pymysql.cursors.SSCursor) as cursor:
        cursor.execute("SELECT id, s FROM n ORDER BY id")
        assert all(r == (i, "row %d" % i) for i, r in enumerate(cursor))
    c.close()


@test
def multi_statements():
    c = connect(client_flag=pymysql.constants.CLIENT.MULTI_STATEMENTS)
    with c.cursor() as cursor:
        cursor.execute("SELECT 1; SELECT 2, 3; DO 1")
        assert cursor.fetchall() == ((1,),) and cursor.nextset()
        assert cursor.fetchall() == ((2, 3),) and cursor.nextset()
        assert not cursor.nextset()
    c.close()


@test
def large_values():
    c = connect(max_allowed_packet=64 << 20)
    text = "x" * (17 << 20)
    assert rows(c, "SELECT LENGTH(%s)", (text,)) == ((len(text),),)
    assert rows(c, "SELECT REPEAT('y', 17000000)") == (("y" * 17000000,),)
    c.close()


@test
def passwords():
    c = connect(autocommit=True)
    for plugin, required in (("caching_sha2_password", True), ("mysql_native_password", False)):
        user = "protocol_" + plugin[:6]
        for host in ("localhost", "127.0.0.1"):
            rows(c, "DROP USER IF EXISTS %s@%s", (user, host))
            try:
                rows(c, "CREATE USER %s@%s IDENTIFIED WITH " + plugin + " BY 'pa$$ word'", (user, host))
            except pymysql.MySQLError as e:
                if required or e.args[0] != 1524:
                    raise
                print("SKIP pymysql", plugin, "(the server has no such plugin)")
                break
        else:
            for tls in ({}, {"ssl": {"check_hostname": False}}, {}):
                login(user, "pa$$ word", tls)
            for password in ("", "wrong"):
                try:
                    login(user, password, {})
                    raise AssertionError("logged in with a wrong password")
                except pymysql.MySQLError as e:
                    assert e.args[0] == 1045, e.args
            for host in ("localhost", "127.0.0.1"):
                rows(c, "DROP USER %s@%s", (user, host))
    c.close()


@test
def expired_password():
    can_handle = 1 << 22
    c = connect(autocommit=True)
    rows(c, "DROP USER IF EXISTS protocol_old")
    rows(c, "CREATE USER protocol_old IDENTIFIED BY 'old' PASSWORD EXPIRE")
    try:
        pymysql.connect(host=HOST, port=PORT, user="protocol_old", password="old")
        raise AssertionError("logged in with an expired password")
    except pymysql.MySQLError as e:
        assert e.args[0] == 1862, e.args
    class Silent(pymysql.connections.Connection):
        def set_character_set(self, *_):
            """Newer versions send SET NAMES as soon as they are connected, which is refused."""

    o = Silent(host=HOST, port=PORT, user="protocol_old", password="old", client_flag=can_handle, autocommit=None)
    for statement in ("SELECT 1", "SELECT 1 FROM DUAL WHERE 1 = 2", "SHOW DATABASES", "BEGIN",
                      "DROP TABLE nothing.nowhere", "PREPARE p FROM 'SELECT 1'", "SET @a = 1"):
        try:
            rows(o, statement)
            raise AssertionError("an expired password may say " + statement)
        except pymysql.MySQLError as e:
            assert e.args[0] == 1820, e.args
    rows(o, "ALTER USER USER() IDENTIFIED BY 'new'")
    assert rows(o, "SELECT 1") == ((1,),)
    o.close()
    login("protocol_old", "new", {})
    rows(c, "DROP USER protocol_old")
    c.close()


def limited(what, f):
    """Runs f; it must be refused because the limit `what` is reached."""
    try:
        f()
    except pymysql.MySQLError as e:
        assert e.args[0] == 1226 and "'%s'" % what in e.args[1], e.args
        return
    raise AssertionError("no limit: " + what)


@test
def limits():
    """They count on each node for itself, so they are tested on one connection's node."""
    def user():
        return pymysql.connect(host=HOST, port=PORT, user="protocol_l", autocommit=None)
    c = connect(autocommit=True)
    rows(c, "DROP USER IF EXISTS protocol_l")
    rows(c, "CREATE DATABASE IF NOT EXISTS protocol_l")
    rows(c, "CREATE TABLE IF NOT EXISTS protocol_l.t (a INT)")
    rows(c, "CREATE USER protocol_l WITH MAX_QUERIES_PER_HOUR 7 MAX_UPDATES_PER_HOUR 2 "
            "MAX_CONNECTIONS_PER_HOUR 4 MAX_USER_CONNECTIONS 2")
    rows(c, "GRANT ALL ON protocol_l.* TO protocol_l")
    rows(c, "FLUSH USER_RESOURCES")
    a, b = user(), user()
    limited("max_user_connections", user)
    rows(a, "INSERT INTO protocol_l.t VALUES (1)")
    rows(b, "CREATE TABLE protocol_l.t2 (a INT)")
    limited("max_updates", lambda: rows(a, "INSERT INTO protocol_l.t VALUES (2)"))
    while True: # how many statements a driver sends by itself is its own business
        try:
            rows(b, "SELECT 1")
        except pymysql.MySQLError as e:
            assert e.args[0] == 1226 and "'max_questions'" in e.args[1], e.args
            break
    rows(c, "FLUSH USER_RESOURCES")
    rows(a, "SELECT 1")
    a.close()
    b.close()
    for _ in range(50): # a closed connection is given back a moment later
        try:
            user().close()
        except pymysql.MySQLError as e:
            if "'max_connections_per_hour'" in e.args[1]:
                break
            assert "'max_user_connections'" in e.args[1], e.args
            time.sleep(0.05)
    else:
        raise AssertionError("no limit of connections")
    rows(c, "DROP USER protocol_l")
    rows(c, "DROP DATABASE protocol_l")
    c.close()


def login(user, password, more):
    c = pymysql.connect(host=HOST, port=PORT, user=user, password=password, connect_timeout=10, **more)
    assert rows(c, "SELECT USER()")[0][0].startswith(user + "@")
    status = dict(rows(c, "SHOW STATUS LIKE 'Ssl\\_%'"))
    encrypted = c._secure  # by default too, where the server can
    assert (status["Ssl_cipher"] != "") == encrypted and status["Ssl_version"].startswith("TLS") == encrypted, (status, more)
    c.close()


@test
def process_list_of_others():
    """Names that connections are changing are shown whole."""
    names = ["protocol_a", "protocol_" + "b" * 50]
    c = connect(autocommit=True)
    for name in names:
        rows(c, "CREATE DATABASE IF NOT EXISTS " + name)
    stop = threading.Event()

    def use():
        mine = connect()
        while not stop.is_set():
            for name in names:
                mine.select_db(name)
        mine.close()

    threads = [threading.Thread(target=use) for _ in range(3)]
    for t in threads:
        t.start()
    end, wrong = time.monotonic() + 1.5, set()
    while time.monotonic() < end:
        wrong |= {r[3] for r in rows(c, "SHOW PROCESSLIST") if (r[3] or "").startswith("protocol_")} - set(names) - {SCHEMA}
    stop.set()
    for t in threads:
        t.join()
    for name in names:
        rows(c, "DROP DATABASE " + name)
    c.close()
    assert not wrong, wrong


@test
def kill_of_others():
    """One ends one's own; others' with CONNECTION_ADMIN; those of who has SYSTEM_USER only with that."""
    root = connect(autocommit=True)
    for u in "protocol_k1", "protocol_k2":
        rows(root, "DROP USER IF EXISTS " + u)
        rows(root, "CREATE USER %s IDENTIFIED BY 'pw'" % u)
    weak, same, other = (connect(user=u, password="pw") for u in ("protocol_k1", "protocol_k1", "protocol_k2"))

    def kill(by, of):
        try:
            rows(by, "KILL QUERY %d" % of.thread_id())
            return 0
        except pymysql.MySQLError as e:
            return e.args[0]

    assert [kill(weak, c) for c in (same, other, root)] == [0, 1095, 1095]
    rows(root, "GRANT CONNECTION_ADMIN ON *.* TO protocol_k1")
    assert [kill(weak, c) for c in (same, other, root)] == [0, 0, 1095]
    rows(root, "GRANT SYSTEM_USER ON *.* TO protocol_k1")
    assert kill(weak, root) == 1095  # MySQL: from the next log-in on
    weak.close()
    weak = connect(user="protocol_k1", password="pw")
    assert [kill(weak, c) for c in (other, root)] == [0, 0]
    for c in weak, same, other:
        c.close()
    rows(root, "DROP USER protocol_k1, protocol_k2")
    root.close()


@test
def kill_connection():
    c, victim = connect(), connect()
    rows(c, "KILL %d" % victim.thread_id())
    try:
        for _ in range(50):
            rows(victim, "DO SLEEP(0.05)")
        raise AssertionError("still alive")
    except pymysql.MySQLError:
        pass
    rows(c, "DROP DATABASE " + SCHEMA)
    c.close()


def main():
    failed = 0
    for f in TESTS:
        try:
            f()
            print("PASS pymysql", f.__name__)
        except Exception as e:
            failed += 1
            print("FAIL pymysql %s: %s %s" % (f.__name__, type(e).__name__, str(e)[:300]))
    return 1 if failed else 0


sys.exit(main())
