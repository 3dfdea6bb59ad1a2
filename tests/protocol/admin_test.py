#!/usr/bin/env python3
"""What an administrator does to others' connections and sees of them. usage: admin_test.py HOST PORT USER PASSWORD
The server's logs are read as files: it has to run on this machine (its log steps are skipped when it does not)."""
import os
import re
import sys
import tempfile
import threading
import time

import pymysql

from raw import OTHERS_PASSWORDS

HOST, PORT, USER, PASSWORD = sys.argv[1], int(sys.argv[2]), sys.argv[3], sys.argv[4]
LOCAL = HOST in ("127.0.0.1", "localhost", "::1")
PLAIN = "protocol_plain"
TESTS = []


def test(f):
    TESTS.append(f)
    return f


def connect(user=USER, password=PASSWORD, **options):
    return pymysql.connect(host=HOST, port=PORT, user=user, password=password, autocommit=True, connect_timeout=10, read_timeout=30,
                           **options)


def ask(connection, sql):
    with connection.cursor() as c:
        c.execute(sql)
        return c.fetchall()


def number_of(f, *arguments, **options):
    """The number of its error; 0: none."""
    try:
        f(*arguments, **options)
        return 0
    except pymysql.Error as e:
        return e.args[0]


def wait_for(what, seconds=10):
    until = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < until, "waited in vain"
        time.sleep(0.02)


class Set:
    """SET GLOBAL for a while."""

    def __init__(self, connection, **values):
        self.connection, self.values, self.before = connection, values, {}

    def __enter__(self):
        for name, value in self.values.items():
            self.before[name] = ask(self.connection, "SELECT @@GLOBAL." + name)[0][0]
            self.set(name, value)

    def __exit__(self, *_):
        for name in reversed(list(self.values)):
            self.set(name, self.before[name])

    def set(self, name, value):
        with self.connection.cursor() as c:
            c.execute("SET GLOBAL " + name + " = %s", (value,))


def statement_of(root, connection):
    """What the process list shows of it; "" when it does nothing."""
    return ask(root, "SELECT INFO FROM information_schema.PROCESSLIST WHERE ID = %d" % connection.thread_id())[0][0] or ""


def abandon(sql):
    """A client that asks and goes away without waiting for the answer; its id."""
    c = connect()
    c._execute_command(3, sql)
    time.sleep(0.3)
    c._force_close()
    return c.thread_id()


@test
def abandoned_waits(root):
    ask(root, "SELECT GET_LOCK('protocol_lock', 0)")
    mine = "SELECT info FROM performance_schema.processlist WHERE id = CONNECTION_ID()"
    assert ask(root, mine + " ; ;\n") == ((mine,),)
    ids = [abandon("SELECT GET_LOCK('protocol_lock', 600)"), abandon("SELECT SLEEP(600)")]
    wait_for(lambda: not ask(root, "SELECT 1 FROM performance_schema.processlist WHERE id IN (%d, %d)" % tuple(ids)), 20)
    assert ask(root, "SELECT RELEASE_LOCK('protocol_lock')") == ((1,),)
    other = connect()
    assert ask(other, "SELECT GET_LOCK('protocol_lock', 5)") == ((1,),)
    other.close()


@test
def offline_mode(root):
    plain, privileged = connect(PLAIN, "p"), connect()
    with Set(root, offline_mode=1):
        wait_for(lambda: number_of(ask, plain, "SELECT 1") != 0)
        assert number_of(connect, PLAIN, "p") == 3032
        assert ask(privileged, "SELECT 1") == ((1,),)
        connect().close()
    connect(PLAIN, "p").close()


@test
def connections_of_a_user(root):
    ask(root, "ALTER USER %s WITH MAX_USER_CONNECTIONS 1" % PLAIN)
    first = connect(PLAIN, "p")
    assert number_of(connect, PLAIN, "p") == 1226
    first.close()
    ask(root, "ALTER USER %s WITH MAX_USER_CONNECTIONS 0" % PLAIN)
    with Set(root, max_user_connections=2):
        wait_for(lambda: not ask(root, "SELECT 1 FROM information_schema.PROCESSLIST WHERE USER = '%s'" % PLAIN))
        first, second = connect(PLAIN, "p"), connect(PLAIN, "p")
        assert number_of(connect, PLAIN, "p") == 1203
        second.close()
        wait_for(lambda: number_of(lambda: connect(PLAIN, "p").close()) == 0)
        first.close()


def read(path):
    with open(path, encoding="utf-8", errors="replace") as f:
        return f.read()


@test
def slow_log(root):
    if not LOCAL:
        return "the server is elsewhere"
    with tempfile.TemporaryDirectory() as d:
        os.chmod(d, 0o777)
        path = os.path.join(d, "slow.log")
        with Set(root, slow_query_log_file=path, slow_query_log=1):
            c = connect()
            ask(c, "SET long_query_time = 0")
            assert number_of(ask, c, "ALTER USER %s IDENTIFIED BY 'secret word' nonsense" % PLAIN) == 1064
            ask(c, "SET long_query_time = 100")  # a busy machine is slow, too
            ask(c, "SELECT 'quick'")
            ask(c, "SET long_query_time = 0.05")
            ask(c, "SELECT SLEEP(0.1), 'slow'")
            wait_for(lambda: "'slow'" in read(path))
        text = read(path)
        assert "'quick'" not in text and "secret word" not in text, text
        assert "# User@Host: %s[%s] @" % (USER, USER) in text, text
        times = re.findall("^# Query_time: ([0-9.]+) ", text[:text.index("'slow'")], re.M)
        assert 0.1 <= float(times[-1]) < 60, text
        assert "Rows_sent: 1 " in text and "SELECT SLEEP(0.1), 'slow';" in text, text
    return None


@test
def general_log(root):
    if not LOCAL:
        return "the server is elsewhere"
    with tempfile.TemporaryDirectory() as d:
        os.chmod(d, 0o777)
        path = os.path.join(d, "general.log")
        with Set(root, general_log_file=path, general_log=1):
            c = connect()
            ask(c, "SELECT 'seen'")
            ask(c, "ALTER USER %s IDENTIFIED BY 'hidden word'" % PLAIN)
            ask(c, "ALTER USER %s IDENTIFIED BY 'p'" % PLAIN)
            for sql in OTHERS_PASSWORDS:
                number_of(ask, c, sql)
            ask(c, "SET sql_log_off = 1")
            ask(c, "SELECT 'not seen'")
            ask(c, "SET sql_log_off = 0")
            c.close()
            wait_for(lambda: "Quit" in read(path))
        ask(root, "SELECT 'later'")
        text = read(path)
        assert "Query\tSELECT 'seen'" in text and "Connect\t%s@" % USER in text, text
        assert "hidden word" not in text, text
        assert "'not seen'" not in text and "'later'" not in text, text
    return None


@test
def hash_of_any_bytes(root):
    ask(root, "DROP USER IF EXISTS protocol_hash")
    ask(root, "CREATE USER protocol_hash IDENTIFIED WITH caching_sha2_password AS 0x24412430303524" + "ff" * 20 + "61" * 43)
    ask(root, "ALTER USER protocol_hash IDENTIFIED BY 'x' RETAIN CURRENT PASSWORD")
    rows = ask(root, "SELECT user_attributes FROM mysql.user WHERE user = 'protocol_hash'")
    assert rows == (('{"additional_password": "$A$005$"}',),), rows
    ask(root, "DROP USER protocol_hash")


@test
def endless_schema(root):
    """Work without end inside one function: others go on meanwhile, and it can be killed."""
    if "SkeinDB" not in ask(root, "SELECT @@version_comment")[0][0]:
        return "not of this server"
    twice = ", ".join('"s%d": {"allOf": [{"$ref": "#/s%d"}, {"$ref": "#/s%d"}]}' % (i, i + 1, i + 1) for i in range(50))
    other, got = connect(), []
    sql = "SELECT JSON_SCHEMA_VALID('{\"$ref\": \"#/s0\", %s, \"s50\": {}}', '1')" % twice
    runs = threading.Thread(target=lambda: got.append(number_of(ask, other, sql)), daemon=True)
    runs.start()
    wait_for(lambda: "JSON_SCHEMA" in statement_of(root, other))
    for _ in range(8):
        connect().close()
    assert not got, got
    ask(root, "KILL QUERY %d" % other.thread_id())
    runs.join(30)
    assert got == [1317], got
    text = '"%s"' % ("a" * 60)
    assert number_of(ask, root, "SELECT JSON_SCHEMA_VALID('{\"pattern\": \"^(a|a)*(a|a)*b\"}', '%s')" % text) == 3699
    return None


@test
def explain_for_connection(root):
    ask(root, "CREATE TABLE protocol_admin.t (id INT PRIMARY KEY, n INT)")
    ask(root, "INSERT INTO protocol_admin.t VALUES (1, 1), (2, 2), (3, 3), (4, 4)")
    other = connect(database="protocol_admin")
    number = other.thread_id()
    explain = "EXPLAIN FORMAT=TRADITIONAL FOR CONNECTION %d" % number
    wait_for(lambda: number_of(ask, root, explain) == 0)  # a statement of the connecting driver may still be ending
    assert not ask(root, explain)  # it does nothing
    runs = threading.Thread(target=number_of, args=(ask, other, "SELECT COUNT(*) FROM t WHERE n > 0 AND SLEEP(100) = 0"), daemon=True)
    runs.start()
    wait_for(lambda: "SLEEP" in statement_of(root, other))
    wait_for(lambda: number_of(ask, root, explain) != 3012)  # so it is until there is a plan, as in the reference
    rows = ask(root, explain)
    assert len(rows) == 1 and rows[0][1] == "SIMPLE" and rows[0][2] == "t", rows
    assert number_of(ask, root, "EXPLAIN FOR CONNECTION 999999") == 1094
    assert number_of(ask, connect(PLAIN, "p"), explain) == 1045
    ask(root, "KILL %d" % number)
    runs.join(30)
    assert not runs.is_alive()


def main():
    root = connect()
    failed = 0
    for sql in ("DROP DATABASE IF EXISTS protocol_admin", "CREATE DATABASE protocol_admin", "DROP USER IF EXISTS " + PLAIN,
                "CREATE USER %s IDENTIFIED BY 'p'" % PLAIN):
        ask(root, sql)
    for f in TESTS:
        try:
            said = f(root)
            print("%s admin %s" % ("SKIP" if said else "PASS", f.__name__) + (": " + said if said else ""))
        except (AssertionError, pymysql.Error, OSError) as e:
            failed += 1
            print("FAIL admin %s: %r" % (f.__name__, e))
    for sql in ("DROP DATABASE protocol_admin", "DROP USER " + PLAIN):
        ask(root, sql)
    return 1 if failed else 0


sys.exit(main())
