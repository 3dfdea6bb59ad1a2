#!/usr/bin/python3
"""What three nodes must do as one server: schema, accounts, AUTO_INCREMENT, sessions, transactions over ranges, locks.

    basic.py --binary PATH [NAME...]"""
import argparse
import functools
import os
import sys
import threading
import time
import traceback

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "lib"))

import pymysql  # noqa: E402
from cluster import Cluster  # noqa: E402
from keys import FIRST_TABLE, key_of  # noqa: E402

DATABASE = "basic_test"


def run(connection, sql, args=None):
    with connection.cursor() as c:
        c.execute(sql, args)
        return c.fetchall()


def error_of(connection, sql):
    """The number of the error, 0 when there is none."""
    try:
        run(connection, sql)
        return 0
    except pymysql.Error as e:
        return e.args[0]


def expect(wanted, got, what):
    if wanted != got:
        raise AssertionError("%s: wanted %r, got %r" % (what, wanted, got))


def within(seconds, wanted, ask, what):
    """What is to become true soon."""
    end = time.monotonic() + seconds
    got = ask()
    while got != wanted and time.monotonic() < end:
        time.sleep(0.05)
        got = ask()
    expect(wanted, got, what)


def under_way(by, of, sql, state=None):
    """Waits until the process list shows that the connection `of` runs the statement (and what it waits for): a thread that has been
    started has not asked yet."""
    shown = "SELECT INFO, STATE FROM information_schema.PROCESSLIST WHERE ID = %d" % of.thread_id()

    def runs():
        rows = run(by, shown)
        return bool(rows) and rows[0][0] == sql and state in (None, rows[0][1])
    within(30, True, runs, "%s is under way" % sql)


class LocksLost(Exception):
    """Somebody was given what a transaction had locked, and the leader's term is not what it was."""


def repeated(test):
    """Row locks are in the memory of the range's leader and are lost with it; very many of them are lost with a lease that moves, too. Who
    had some is refused (1213), as it should be, when a leader on a busy machine is not heard for a second. The test, which has shown
    nothing then and leaves nothing that hurts, runs again; but only when a term has changed."""
    @functools.wraps(test)
    def run_test(self):
        for _ in range(5):
            before = self.terms()
            try:
                return test(self)
            except (pymysql.Error, LocksLost) as e:
                if isinstance(e, pymysql.Error) and e.args[0] != 1213 or not self.changed(before):
                    raise
                print("    locks were lost with the term of a leader: once more (%r)" % (e.args,))
        raise AssertionError("locks were lost five times")
    return run_test


def metric(node, name):
    return sum(int(float(line.split()[-1])) for line in node.http("/metrics")[1].splitlines() if line.startswith(name))


class Basic:
    OPTIONS = ()

    def __init__(self, cluster):
        self.cluster = cluster
        self.nodes = cluster.nodes

    def terms(self):
        return {i: r["raft_term"] for i, r in self.cluster.ranges().items()}

    def changed(self, before):
        now = self.terms()
        return any(now.get(i) != term for i, term in before.items())

    def unless_lost(self, before, wanted, got, what):
        """expect() of what relies on row locks that have been held since the terms were these."""
        if wanted != got and self.changed(before):
            raise LocksLost(what, got)
        expect(wanted, got, what)

    def connections(self, **options):
        return [n.connect(database=DATABASE, **options) for n in self.nodes]

    def idle_node(self):
        """One that leads nothing. Few leases are gathered at one node, but not in a moment."""
        led = {}

        def least():
            led.clear()
            led.update(self.cluster.leases())
            return min(led.values())
        within(90, 0, least, "leases of the node that leads least")
        return min(led, key=led.get)

    def bring_leases(self, node):
        """To the node, as far as they let themselves; those that were elsewhere."""
        away = [i for i, r in self.cluster.ranges().items() if r["leader"] != node.node_id]
        for i in away:
            self.cluster.move_lease(i, node)
        return away

    def lead_all(self, node):
        """Brings all leases to the node: a few, as many are spread again."""
        within(60, [], lambda: self.bring_leases(node), "ranges that others lead than node %d" % node.number)

    def answers(self):
        for n in self.nodes:
            c = n.connect()
            expect(((2,),), run(c, "SELECT 1+1"), "node %d" % n.number)
            expect((200, "ready\n"), n.http("/readyz"), "/readyz of node %d" % n.number)
            c.close()

    def schema(self):
        """Each change is visible everywhere when its statement has returned."""
        all_ = self.connections()
        for i, c in enumerate(all_):
            run(c, "CREATE TABLE s%d (id INT PRIMARY KEY)" % i)
            for other in all_:
                run(other, "INSERT INTO s%d VALUES (%d)" % (i, 10 * i + all_.index(other)))
            run(c, "ALTER TABLE s%d ADD COLUMN v INT NOT NULL DEFAULT 7" % i)
            for other in all_:
                expect(((21,),), run(other, "SELECT SUM(v) FROM s%d" % i), "column on another node")
            run(c, "CREATE INDEX k ON s%d (v)" % i)
            for other in all_:
                expect(1, len(run(other, "SHOW INDEX FROM s%d WHERE Key_name='k'" % i)), "index on another node")
            run(c, "DROP TABLE s%d" % i)
            for other in all_:
                expect(1146, error_of(other, "SELECT * FROM s%d" % i), "dropped table on another node")
        run(all_[0], "CREATE DATABASE basic_other")
        expect(1007, error_of(all_[1], "CREATE DATABASE basic_other"), "CREATE DATABASE twice")
        run(all_[2], "DROP DATABASE basic_other")
        expect(1049, error_of(all_[1], "USE basic_other"), "USE of a dropped database")

    def schema_waits_for_transactions(self):
        """A change waits for a transaction on another node that uses the table (a metadata lock), and the transaction never meets it."""
        a, b = self.connections()[:2]
        run(a, "CREATE TABLE w (id INT PRIMARY KEY)")
        run(a, "INSERT INTO w VALUES (1)")
        run(b, "BEGIN")
        expect(((1,),), run(b, "SELECT * FROM w"), "within the transaction")
        done = []
        t = threading.Thread(target=lambda: done.append(run(a, "ALTER TABLE w ADD COLUMN v INT")))
        t.start()
        t.join(0.7)
        expect([], done, "ALTER while a transaction on another node uses the table")
        expect(((1,),), run(b, "SELECT * FROM w"), "within the transaction, later")
        run(b, "COMMIT")
        t.join(20)
        expect(1, len(done), "ALTER after the transaction")
        expect(((1, None),), run(b, "SELECT * FROM w"), "after ALTER")

    def schema_without_a_node(self):
        """A change waits for a node that is away no longer than that could still use the old schema. A node that comes back, and was only
        stopped, commits nothing that it had begun under the old one."""
        away = self.nodes[2]
        a, b = self.nodes[0].connect(database=DATABASE), away.connect(database=DATABASE, autocommit=False)
        run(a, "CREATE TABLE wn (id INT PRIMARY KEY, v INT)")
        run(b, "INSERT INTO wn VALUES (1,1)")
        others = [away.connect(database=DATABASE) for _ in range(3)]
        away.pause()
        threads = [threading.Thread(target=error_of, args=(c, "INSERT INTO wn VALUES (%d,%d)" % (10 + i, i))) for i, c in enumerate(others)]
        for t in threads:
            t.start()
        try:
            began = time.monotonic()
            run(a, "CREATE INDEX k ON wn (v)")
            waited = time.monotonic() - began
            run(a, "INSERT INTO wn VALUES (2,2)")
        finally:
            away.resume()
        for t in threads:
            t.join(20)
        number = error_of(b, "COMMIT")
        if number not in (1412, 1213):
            raise AssertionError("COMMIT of a transaction that began under the old schema: error %d" % number)
        self.cluster.wait_replicated()
        rows = run(a, "SELECT COUNT(*) FROM wn FORCE INDEX (PRIMARY)")
        expect(rows, run(a, "SELECT COUNT(*) FROM wn FORCE INDEX (k) WHERE v>=0"), "rows by the new index")
        expect(0, run(a, "SELECT COUNT(*) FROM wn WHERE id=1")[0][0], "what was begun under the old schema")
        away.kill()
        try:
            began = time.monotonic()
            run(a, "CREATE INDEX l ON wn (v, id)")
            killed = time.monotonic() - began
        finally:
            away.start()
        self.cluster.wait_replicated()
        print("    a schema change took %.1f s with a node stopped, %.1f s with one killed" % (waited, killed))
        if max(waited, killed) > 20:  # it is told that the node is away after a second and a half
            raise AssertionError("a schema change waited for a node that was away")

    def auto_increment(self):
        all_ = self.connections()
        run(all_[0], "CREATE TABLE ai (id BIGINT AUTO_INCREMENT PRIMARY KEY, n INT)")
        last = 0
        for i in range(60):
            with all_[i % 3].cursor() as c:
                c.execute("INSERT INTO ai (n) VALUES (%s)", (i,))
                if c.lastrowid <= last:
                    raise AssertionError("%d came after %d" % (c.lastrowid, last))
                last = c.lastrowid
        expect(((60, 60),), run(all_[1], "SELECT COUNT(*), COUNT(DISTINCT id) FROM ai"), "rows")
        rows = run(all_[2], "SELECT n FROM ai ORDER BY id")
        expect(list(range(60)), [r[0] for r in rows], "order of ids")

    def accounts(self):
        a, b = self.connections()[:2]
        run(a, "CREATE USER basic_u@'%' IDENTIFIED BY 'secret'")
        run(b, "GRANT ALL ON *.* TO basic_u@'%'")
        try:
            c = self.nodes[2].connect(user="basic_u", password="secret", database=DATABASE)
            expect(((1,),), run(c, "SELECT 1"), "new account")
            c.close()
        finally:
            run(a, "DROP USER basic_u@'%'")
        for n in self.nodes:
            try:
                n.connect(user="basic_u", password="secret").close()
                raise AssertionError("a dropped account logs in on node %d" % n.number)
            except pymysql.OperationalError as e:
                expect(1045, e.args[0], "a dropped account")

    def privileges(self):
        """A connected session of another node feels GRANT and REVOKE at its next statement."""
        a, b = self.connections()[:2]
        for q in ("CREATE TABLE pt (a INT)", "INSERT INTO pt VALUES (1)", "CREATE USER basic_p",
                  "CREATE ROLE basic_r"):
            run(a, q)
        name = "%s.pt" % DATABASE
        try:
            c = self.nodes[2].connect(user="basic_p")
            for i in range(20):
                expect(1142, error_of(c, "SELECT * FROM " + name), "before the grant")
                run((a, b)[i % 2], "GRANT SELECT ON %s TO basic_p" % name)
                expect(((1,),), run(c, "SELECT * FROM " + name), "after the grant")
                run((b, a)[i % 2], "REVOKE SELECT ON %s FROM basic_p" % name)
            run(b, "GRANT SELECT ON %s TO basic_r" % name)
            run(a, "GRANT basic_r TO basic_p")
            run(c, "SET ROLE basic_r")
            expect(((1,),), run(c, "SELECT * FROM " + name), "by a role")
            run(b, "DROP ROLE basic_r")
            expect(1142, error_of(c, "SELECT * FROM " + name), "the role is gone")
            expect(run(a, "SHOW GRANTS FOR basic_p"), run(b, "SHOW GRANTS FOR basic_p"), "grants")
            c.close()
            self.grants_at_once()
        finally:
            run(a, "DROP USER basic_p")
            run(b, "DROP ROLE IF EXISTS basic_r")

    def grants_at_once(self):
        """Changes made on all nodes at the same time are all there in the end."""
        def give(c, columns):
            for x in columns:
                run(c, "GRANT SELECT ON db_%d.* TO basic_p" % x)
        threads = [threading.Thread(target=give, args=(c, range(i, 60, 3)))
                   for i, c in enumerate(self.connections())]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        for n in self.connections():
            expect(60, run(n, "SELECT COUNT(*) FROM mysql.db WHERE user = 'basic_p'")[0][0], "grants")

    def sessions(self):
        all_ = self.connections()
        ids = [run(c, "SELECT CONNECTION_ID()")[0][0] for c in all_]
        expect(3, len(set(ids)), "connection ids differ")
        for c in all_:
            shown = {r[0] for r in run(c, "SHOW PROCESSLIST")}
            if not set(ids) <= shown:
                raise AssertionError("SHOW PROCESSLIST lacks %r" % sorted(set(ids) - shown))
        result = []
        long = "SELECT COUNT(*) FROM (SELECT 1 UNION SELECT 2) t WHERE SLEEP(20)"
        t = threading.Thread(target=lambda: result.append((time.monotonic(), error_of(all_[1], long))))
        began = time.monotonic()
        t.start()
        under_way(all_[0], all_[1], long)
        run(all_[0], "KILL QUERY %d" % ids[1])
        t.join(30)
        if not result or result[0][1] != 1317 or result[0][0] - began > 15:
            raise AssertionError("KILL QUERY does not reach the other node: %r" % result)
        run(all_[0], "KILL %d" % ids[2])
        within(20, True, lambda: error_of(all_[2], "SELECT 1") != 0, "KILL ends the connection of the other node")
        expect(1094, error_of(all_[0], "KILL 4294967295"), "KILL of nobody")

    def ranges(self):
        """A transaction over tables in several ranges, whose leases are on different nodes, commits through any node, or not at all."""
        all_ = self.connections()
        names = ["r%d" % i for i in range(3)]
        for name in names:
            run(all_[0], "CREATE TABLE %s (id INT PRIMARY KEY, v INT NOT NULL)" % name)
            run(all_[0], "INSERT INTO %s VALUES (1,0),(1000,0)" % name)
        before = len(self.cluster.ranges())
        for table in range(FIRST_TABLE, FIRST_TABLE + 30):
            self.cluster.split(key_of(table), 3)
            self.cluster.split(key_of(table, 500), 3)
        count = len(self.cluster.ranges())
        if count <= before:
            raise AssertionError("no range was split")
        self.cluster.wait_replicated()
        for i, r in enumerate(sorted(self.cluster.ranges())):
            if r != 1:
                self.cluster.move_lease(r, self.nodes[i % 3])
        for n, c in enumerate(all_):
            c.autocommit(False)
            for name in names:
                run(c, "UPDATE %s SET v=v+1" % name)
            for other in all_:
                if other is not c:
                    expect(((n,),), run(other, "SELECT MAX(v) FROM r0"), "before the commit")
                    other.rollback()
            c.commit()
            for name in names:
                run(c, "UPDATE %s SET v=v+100 WHERE id=1000" % name)
            c.rollback()
            for other in all_:
                for name in names:
                    expect(((n + 1, n + 1),), run(other, "SELECT MIN(v), MAX(v) FROM %s" % name), "after the commit")
                other.rollback()
        print("    %d ranges, leases %s" % (count, list(self.cluster.leases().values())))

    def locks(self):
        a, b, c = self.connections(autocommit=False)
        run(a, "CREATE TABLE l (id INT PRIMARY KEY, v INT)")
        run(a, "INSERT INTO l VALUES (1,0),(2,0),(3,0)")
        a.commit()
        run(a, "UPDATE l SET v=1 WHERE id=1")
        run(b, "SET innodb_lock_wait_timeout=1")
        expect(1205, error_of(b, "UPDATE l SET v=2 WHERE id=1"), "a lock of another node")
        expect(3572, error_of(c, "SELECT * FROM l WHERE id=1 FOR UPDATE NOWAIT"), "NOWAIT")
        expect(((2,), (3,)), run(c, "SELECT id FROM l FOR UPDATE SKIP LOCKED"), "SKIP LOCKED")
        c.rollback()
        b.rollback()
        got = []
        t = threading.Thread(target=lambda: got.append((error_of(c, "UPDATE l SET v=3 WHERE id=1"), time.monotonic())))
        t.start()
        time.sleep(0.3)
        committed = time.monotonic()
        a.commit()
        t.join(60)
        expect(False, t.is_alive(), "the waiter waits on")
        expect(0, got[0][0], "the lock after the commit")
        if got[0][1] - committed > 10:  # of 50 that it would wait for the lock
            raise AssertionError("the waiter went on %.1f s after the commit" % (got[0][1] - committed))
        c.commit()
        expect(((3,),), run(a, "SELECT v FROM l WHERE id=1"), "the later write wins")
        a.commit()

    def table_locks(self):
        """LOCK TABLES keeps the clients of all nodes out; a READ lock lets readers and other READ locks by. What a session has locked is
        free when it ends."""
        a, b, d = self.connections()
        run(a, "CREATE TABLE lk1 (a INT PRIMARY KEY)")
        run(a, "CREATE TABLE lk2 (a INT PRIMARY KEY)")

        def waits(holder, free, other, sql, want):
            got = []
            t = threading.Thread(target=lambda: got.append(run(other, sql)))
            t.start()
            t.join(1)
            expect([], got, "%r before the lock is given back" % sql)
            free(holder)
            t.join(20)
            expect([tuple(want)], [tuple(g) for g in got], "%r afterwards" % sql)

        def unlock(c):
            run(c, "UNLOCK TABLES")

        run(a, "LOCK TABLES lk1 READ, lk2 WRITE")
        expect(((0,),), run(b, "SELECT COUNT(*) FROM lk1"), "a reader of a table locked for READ")
        run(d, "LOCK TABLES lk1 READ")
        run(d, "UNLOCK TABLES")
        waits(a, unlock, b, "INSERT INTO lk1 VALUES (1)", ())
        run(a, "LOCK TABLES lk2 WRITE")
        waits(a, unlock, d, "SELECT COUNT(*) FROM lk2", ((0,),))
        run(a, "LOCK TABLES lk1 READ")
        waits(a, unlock, b, "ALTER TABLE lk1 ADD z INT", ())
        run(b, "BEGIN")
        run(b, "INSERT INTO lk1 VALUES (2, 2)")
        waits(b, lambda c: run(c, "COMMIT"), a, "LOCK TABLES lk1 READ", ())
        run(a, "LOCK TABLES lk1 WRITE")
        run(a, "ALTER TABLE lk1 ADD y INT")
        waits(a, unlock, d, "SELECT COUNT(*) FROM lk1", ((2,),))
        run(a, "LOCK TABLES lk1 WRITE")
        waits(a, lambda c: c.close(), b, "SELECT COUNT(*) FROM lk1", ((2,),))

    def deadlock(self):
        a, b = self.connections(autocommit=False)[:2]
        run(a, "CREATE TABLE d1 (id INT PRIMARY KEY, v INT)")
        run(a, "CREATE TABLE d2 (id INT PRIMARY KEY, v INT)")
        run(a, "INSERT INTO d1 VALUES (1,0)")
        run(a, "INSERT INTO d2 VALUES (1,0)")
        a.commit()
        run(a, "UPDATE d1 SET v=1")
        run(b, "UPDATE d2 SET v=1")
        got = []
        t = threading.Thread(target=lambda: got.append(error_of(a, "UPDATE d2 SET v=2")))
        t.start()
        time.sleep(0.2)
        got.append(error_of(b, "UPDATE d1 SET v=2"))
        t.join(20)
        expect([0, 1213], sorted(got), "a deadlock over two nodes")
        a.rollback()
        b.rollback()

    def fragments(self):
        """Parts of plans that run where the rows are answer as the statement alone would, while ranges split and leases move; a KILL ends
        them."""
        writer = self.nodes[0].connect(database=DATABASE)
        run(writer, "CREATE TABLE f (id INT PRIMARY KEY, a INT, b VARCHAR(30))")
        for first in range(0, 6000, 1000):
            rows = ",".join("(%d,%d,'text %d')" % (i, i % 37, i % 101) for i in range(first, first + 1000))
            run(writer, "INSERT INTO f VALUES " + rows)
        queries = ["SELECT COUNT(*), SUM(id), AVG(a), MIN(b), MAX(b) FROM f", "SELECT a, COUNT(*), SUM(id) FROM f GROUP BY a",
                   "SELECT id, b FROM f WHERE b LIKE '%7' ORDER BY b, id LIMIT 20", "SELECT id FROM f WHERE a = 5",
                   "WITH RECURSIVE w (id, d) AS (SELECT id, 0 FROM f WHERE id % 1000 = 5 UNION SELECT t.id, d + 1 FROM w JOIN f t ON "
                   "t.id + 0 = w.id + 700 WHERE d < 4) SELECT COUNT(*), SUM(d), MAX(id) FROM w"]
        run(writer, "SET skein_pushdown = OFF")
        wanted = [run(writer, q) for q in queries]
        stop = threading.Event()
        wrong, asked, killed = [], [0] * 4, [0]

        def ask(number):
            c = self.nodes[number % 3].connect(database=DATABASE)
            run(c, "SET skein_pushdown = %s" % ("AUTO" if number == 3 else "ALWAYS"))
            while not stop.is_set():
                for q, w in zip(queries, wanted):
                    got = run(c, q)
                    asked[number] += 1
                    if got != w:
                        wrong.append((q, got))

        def kill():
            c, other = self.nodes[2].connect(database=DATABASE), self.nodes[1].connect()
            run(c, "SET skein_pushdown = ALWAYS")
            while not stop.is_set():
                timer = threading.Timer(0.003, run, (other, "KILL QUERY %d" % c.thread_id()))
                timer.start()
                killed[0] += error_of(c, queries[0]) == 1317
                timer.join()

        threads = [threading.Thread(target=ask, args=(i,)) for i in range(4)] + [threading.Thread(target=kill)]
        for t in threads:
            t.start()
        began, moves = time.monotonic(), 0

        def more():
            """For four seconds, or until everything has been tried."""
            passed = time.monotonic() - began
            return passed < 4 or passed < 60 and (min(asked) == 0 or killed[0] == 0 or moves == 0)
        while more():
            for table in range(FIRST_TABLE, FIRST_TABLE + 90):
                if more():
                    self.cluster.split(key_of(table, 1000 + 37 * moves), 1)
                    ranges = [r for r in self.cluster.ranges() if r != 1]
                    moves += self.cluster.move_lease(ranges[table % len(ranges)], self.nodes[table % 3])[0]
        stop.set()
        for t in threads:
            t.join()
        expect([], wrong[:1], "with fragments")
        if min(asked) == 0 or killed[0] == 0 or moves == 0:
            raise AssertionError("nothing was tried: %r asked, %d killed, %d leases moved" % (asked, killed[0], moves))

    def copies(self):
        """skein_read_staleness: every node answers from its own copy, one snapshot that is never older than asked for."""
        all_ = self.connections()
        run(all_[0], "CREATE TABLE cp (id INT PRIMARY KEY, v INT NOT NULL, KEY (v))")
        run(all_[0], "INSERT INTO cp VALUES (1, 0), (2, 0)")
        self.cluster.wait_replicated()
        run(all_[0], "CREATE TABLE cp2 AS SELECT * FROM cp")
        before = [metric(n, "skein_kv_copy_reads_total") for n in self.nodes]
        for c in all_:
            run(c, "SET skein_read_staleness = 1000")
            expect(((2,),), run(c, "SELECT COUNT(*) FROM cp2"), "what is older than the table is not used")
        writer = self.nodes[1].connect(database=DATABASE)
        written = []  # (moment of the answer, value)

        def used():
            return sum(metric(n, "skein_kv_copy_reads_total") for n in self.nodes) - sum(before)
        start, value = time.monotonic(), 0
        while value < 25 or used() < 50 and time.monotonic() - start < 60:
            value += 1
            run(writer, "BEGIN")
            run(writer, "UPDATE cp SET v = %d WHERE id = 1" % value)
            run(writer, "UPDATE cp SET v = %d WHERE id = 2" % -value)
            run(writer, "COMMIT")
            written.append((time.monotonic(), value))
            for c in all_:
                began = time.monotonic()
                ((one,),), rows = run(c, "SELECT v FROM cp WHERE id = 1"), run(c, "SELECT id, v FROM cp ORDER BY id")
                expect(0, rows[0][1] + rows[1][1], "one snapshot")
                least = max([v for at, v in written if at < began - 1] or [0])
                if one < least:
                    raise AssertionError("%d was read, %d was there a second before" % (one, least))
            time.sleep(0.1)
        for c in all_:
            run(c, "SET skein_read_staleness = 0")
            expect(((value,),), run(c, "SELECT v FROM cp WHERE id = 1"), "of now")
            run(c, "SET skein_read_staleness = 1000")
            run(c, "BEGIN")
            expect(((value,),), run(c, "SELECT v FROM cp WHERE id = 1"), "of now, in a transaction")
            run(c, "COMMIT")
        if used() < 50:
            raise AssertionError("copies answered %d reads" % used())

    def snapshots(self):
        """A transaction that reads more than a little is answered by its node's copy: in one snapshot, of all that was acknowledged before
        it began, with its own writes."""
        rows = 30
        all_ = self.connections()
        run(all_[0], "CREATE TABLE sn (id INT PRIMARY KEY, v INT NOT NULL)")
        run(all_[0], "INSERT INTO sn VALUES " + ",".join("(%d, 100)" % i for i in range(rows)) + ",(1000, 0)")
        self.cluster.wait_replicated()
        stop, failures = threading.Event(), []

        def transfer(c):
            try:
                at = 0
                while not stop.wait(0.002):
                    at += 1
                    run(c, "UPDATE sn SET v = v + IF(id = %d, 1, -1) WHERE id IN (%d, %d)" % (at % rows, at % rows, (at * 7 + 1) % rows)
                        if at % rows != (at * 7 + 1) % rows else "DO 0")
            except pymysql.Error as e:
                failures.append(e.args)

        t = threading.Thread(target=transfer, args=(self.nodes[0].connect(database=DATABASE),))
        t.start()
        before = [metric(n, "skein_kv_copy_reads_total") for n in self.nodes]

        def used():
            return sorted(metric(n, "skein_kv_copy_reads_total") - b for n, b in zip(self.nodes, before))
        began, at = time.monotonic(), 0
        try:
            # copies are a little behind while somebody writes: they answer some 1,000 on each of the two nodes that do not lead
            while at < 30 or used()[1] < 100 and time.monotonic() - began < 120:
                at += 1
                run(all_[at % 3], "UPDATE sn SET v = %d WHERE id = 1000" % at)
                for c in all_:
                    run(c, "BEGIN")
                    singles = [run(c, "SELECT v FROM sn WHERE id = %d" % i)[0][0] for i in range(rows)]
                    expect(((100 * rows, rows),), run(c, "SELECT SUM(v), COUNT(*) FROM sn WHERE id < 1000"), "the total of a snapshot")
                    expect(100 * rows, sum(singles), "the sum of single rows of a snapshot")
                    expect(((at,),), run(c, "SELECT v FROM sn WHERE id = 1000"), "what was acknowledged before")
                    run(c, "INSERT INTO sn VALUES (2000, 7)")
                    expect(((7,),), run(c, "SELECT v FROM sn WHERE id = 2000"), "a write of its own")
                    expect(((at + 7,),), run(c, "SELECT SUM(v) FROM sn WHERE id >= 1000"), "together with others")
                    run(c, "ROLLBACK")
        finally:
            stop.set()
            t.join(30)
        expect([], failures, "transfers")
        if used()[1] < 100:
            raise AssertionError("copies answered %r reads" % used())

    def lease_moves(self):
        """Leases move to and fro under writes: none fails."""
        stop, failures, done = threading.Event(), [], [0, 0, 0]

        def write(i, c):
            while not stop.is_set():
                try:
                    run(c, "UPDATE m SET v=v+1 WHERE id=%d" % i)
                    done[i] += 1
                except pymysql.Error as e:
                    failures.append(e.args)

        all_ = self.connections()
        run(all_[0], "CREATE TABLE m (id INT PRIMARY KEY, v INT NOT NULL)")
        run(all_[0], "INSERT INTO m VALUES (0,0),(1,0),(2,0)")
        threads = [threading.Thread(target=write, args=(i, c)) for i, c in enumerate(all_)]
        for t in threads:
            t.start()
        moved = 0
        for i in range(9):
            for r in self.cluster.ranges():
                moved += self.cluster.move_lease(r, self.nodes[i % 3])[0]
            time.sleep(0.1)
        stop.set()
        for t in threads:
            t.join(30)
        expect([], failures[:3], "writes while %d leases move" % moved)
        expect(tuple((n,) for n in done), run(all_[1], "SELECT v FROM m ORDER BY id"), "what was written")

    def restart_elsewhere(self):
        """A node that comes back on other ports is found again."""
        from cluster import free_port
        n = self.nodes[1]
        n.kill()
        n.ports = [free_port(), free_port(), free_port()]
        n.start()
        self.cluster.wait_replicated()
        c = n.connect(database=DATABASE)
        run(c, "CREATE TABLE e (id INT PRIMARY KEY)")
        run(self.nodes[0].connect(database=DATABASE), "INSERT INTO e VALUES (1)")
        expect(((1,),), run(c, "SELECT * FROM e"), "a row of another node")

    def all_restart(self):
        """All nodes are killed at once and started again."""
        for n in self.nodes:
            n.kill()
        threads = [threading.Thread(target=n.start) for n in self.nodes]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        self.cluster.wait_replicated()
        for c in self.connections():
            expect(((1,),), run(c, "SELECT * FROM e"), "what was written before")

    def one_waits_for_the_others(self):
        """A node that is started alone waits for a majority, longer than any call does, and ends when it is told to."""
        for n in self.nodes:
            n.kill()
        first = self.nodes[0]
        failed = []

        def start(n):
            try:
                n.start()
            except Exception as e:
                failed.append(e)

        def starts():
            """How often it has begun to start: from then on signals are heard."""
            with open(first.log_path, encoding="utf-8", errors="replace") as f:
                return f.read().count("server.start version")
        before = starts()
        alone = threading.Thread(target=start, args=(first,))
        alone.start()
        within(30, before + 1, starts, "a start")
        time.sleep(1)
        waits = first.process
        waits.terminate()
        expect(0, waits.wait(30), "status of a start that was told to stop")
        alone.join()
        expect(1, len(failed), "starts that came to nothing")
        failed.clear()
        threads = [threading.Thread(target=start, args=(n,)) for n in self.nodes]
        threads[0].start()
        time.sleep(12)
        expect(True, first.alive(), "a node that waits lives")
        for t in threads[1:]:
            t.start()
        for t in threads:
            t.join()
        expect([], failed, "starts that failed")
        self.cluster.wait_replicated()
        expect(((1,),), run(first.connect(database=DATABASE), "SELECT * FROM e"), "what was written before")

    def locks_of_a_dead_node(self):
        """Row locks of a client whose node dies are given back within seconds, not with the lock wait time-out."""
        dies = self.idle_node()
        a = next(n for n in self.nodes if n is not dies).connect(database=DATABASE)
        run(a, "CREATE TABLE IF NOT EXISTS ol (id INT PRIMARY KEY, v INT)")
        run(a, "REPLACE INTO ol VALUES (1,1)")
        b = dies.connect(database=DATABASE, autocommit=False)
        run(b, "SELECT * FROM ol WHERE id=1 FOR UPDATE")
        dies.kill()
        run(a, "SET innodb_lock_wait_timeout=30")
        number = error_of(a, "UPDATE ol SET v=2 WHERE id=1")
        dies.start()
        self.cluster.wait_replicated()
        expect(0, number, "a row that a client of the dead node had locked")

    def locks_of_a_paused_node(self):
        """A node that is stopped for a while loses the row locks of its clients to others. Their transactions commit only if what they
        had locked is as it was."""
        paused = self.idle_node()
        a = next(n for n in self.nodes if n is not paused).connect(database=DATABASE)
        run(a, "CREATE TABLE pl (id INT PRIMARY KEY, v INT)")
        run(a, "INSERT INTO pl VALUES (1,1),(2,1),(3,1),(4,1)")
        lost, kept, shared = [paused.connect(database=DATABASE, autocommit=False) for _ in range(3)]
        run(lost, "SELECT v FROM pl WHERE id=1 FOR UPDATE")
        run(lost, "UPDATE pl SET v=v+10 WHERE id=1")
        run(kept, "UPDATE pl SET v=v+10 WHERE id=2")
        run(shared, "SELECT v FROM pl WHERE id=3 FOR SHARE")
        run(shared, "UPDATE pl SET v=v+10 WHERE id=4")
        paused.pause()
        try:
            run(a, "SET innodb_lock_wait_timeout=30")
            expect(0, error_of(a, "UPDATE pl SET v=v+100 WHERE id=1"), "a row that a client of the paused node had locked")
            expect(0, error_of(a, "UPDATE pl SET v=v+100 WHERE id=3"), "a row that such a client had locked shared")
        finally:
            paused.resume()
        errors = [error_of(c, "COMMIT") for c in (lost, kept, shared)]
        expect([True, False, True], [e != 0 for e in errors], "COMMIT of the paused node's clients (errors %r)" % errors)
        self.cluster.wait_replicated()
        expect(((1, 101), (2, 11), (3, 101), (4, 1)), run(a, "SELECT * FROM pl"), "what is there")

    def locks_of_a_dead_leader(self):
        """Row locks go with the leader that has given them: others write what was locked, and a COMMIT that relied on it says so, also one that
        has changed nothing."""
        dies = self.nodes[2]
        a, other = self.nodes[0].connect(database=DATABASE), self.nodes[1].connect(database=DATABASE)
        run(a, "CREATE TABLE dl (id INT PRIMARY KEY, v INT)")
        run(a, "INSERT INTO dl VALUES (1,1),(2,1),(3,1),(4,1),(5,1)")
        self.lead_all(dies)
        read, mutex, kept, held = [self.nodes[0].connect(database=DATABASE, autocommit=False) for _ in range(4)]
        run(read, "SELECT v FROM dl WHERE id=1 FOR UPDATE")
        run(mutex, "SELECT v FROM dl WHERE id=2 FOR UPDATE")
        run(mutex, "UPDATE dl SET v=v+10 WHERE id=4")
        run(kept, "UPDATE dl SET v=v+10 WHERE id=3")
        expect(1205, self.impatient(other, "UPDATE dl SET v=v+100 WHERE id=1", 1), "a row that is locked")
        dies.kill()
        run(held, "SELECT v FROM dl WHERE id=5 FOR UPDATE")
        expect(0, self.impatient(other, "UPDATE dl SET v=v+100 WHERE id=1", 30), "a row whose lock is lost")
        expect(0, self.impatient(other, "SELECT v FROM dl WHERE id=2 FOR UPDATE", 30), "another one")
        errors = [error_of(c, "COMMIT") for c in (read, mutex, kept, held)]
        expect([1213, 1213, 0, 0], errors, "COMMIT of who had locked them")
        dies.start()
        self.cluster.wait_replicated()
        expect(((1, 101), (2, 1), (3, 11), (4, 1), (5, 1)), run(other, "SELECT * FROM dl"), "what is there")

    @staticmethod
    def impatient(connection, sql, seconds):
        run(connection, "SET innodb_lock_wait_timeout=%d" % seconds)
        return error_of(connection, sql)

    def one_after_another(self):
        """Every node is stopped (as for an upgrade) and started again; the others work on meanwhile. Its leases are handed over: nobody
        waits for an election, which begins after a second only. Where all is slow that is given three chances to show."""
        for n in self.nodes:
            other = self.nodes[(n.number + 1) % 3]
            c = other.connect(database=DATABASE)
            run(c, "CREATE TABLE IF NOT EXISTS o (id INT PRIMARY KEY, v INT)")
            took = []
            while min(took, default=2.0) > 1.0:
                if len(took) == 3:
                    raise AssertionError("a write took %r s after node %d was stopped" % (took, n.number))
                self.bring_leases(n)
                expect(0, n.stop(), "status of a stopped node")
                began = time.monotonic()
                run(c, "REPLACE INTO o VALUES (%d, 1)" % n.number)
                took.append(time.monotonic() - began)
                n.start()
                self.cluster.wait_replicated()
            expect(((n.number,),), run(n.connect(database=DATABASE), "SELECT COUNT(*) FROM o"), "rows on the node that came back")


TESTS = ["answers", "schema", "schema_waits_for_transactions", "schema_without_a_node", "auto_increment", "accounts", "privileges", "sessions", "locks",
         "table_locks", "deadlock",
         "locks_of_a_dead_node", "locks_of_a_paused_node", "locks_of_a_dead_leader", "ranges",
         "copies", "snapshots", "lease_moves", "fragments", "restart_elsewhere", "all_restart",
         "one_waits_for_the_others", "one_after_another"]


def known_failures():
    with open(os.path.join(HERE, "known_failures.txt"), encoding="utf-8") as f:
        return {line.partition(":")[0].strip() for line in f if not line.startswith("#")}


def main(tests_of=Basic, tests=TESTS, area="basic"):
    p = argparse.ArgumentParser()
    p.add_argument("--binary", required=True)
    p.add_argument("--keep", action="store_true")
    p.add_argument("names", nargs="*")
    args = p.parse_args()
    passed = failed = 0
    began = time.monotonic()
    with Cluster(args.binary, 3, options=tests_of.OPTIONS, keep=args.keep) as cluster:
        print("three nodes, each range on all of them, after %.2f s" % (time.monotonic() - began))
        run(cluster.nodes[0].connect(), "CREATE DATABASE " + DATABASE)
        basic = tests_of(cluster)
        for name in args.names or tests:
            began = time.monotonic()
            known = area + "/" + name in known_failures()
            try:
                getattr(basic, name)()
                passed, failed = passed + (not known), failed + known
                print("%s %s (%.1f s)%s" % ("FAIL" if known else "PASS", name, time.monotonic() - began,
                                            ": it passes now, take it off known_failures.txt" if known else ""), flush=True)
            except Exception as e:
                if known and isinstance(e, AssertionError):
                    passed += 1
                    print("PASS %s fails as known: %s" % (name, e), flush=True)
                    continue
                failed += 1
                print("FAIL %s: %s: %s" % (name, type(e).__name__, e), flush=True)
                if not isinstance(e, AssertionError):
                    traceback.print_exc()
                    cluster.print_logs()
                for n in cluster.dead():
                    print("node %d has died; log ends with:\n%s" % (n.number, n.log_tail()))
                    n._reap(1)
                    n.start()
        bad = cluster.stop()
        if bad:
            print("FAIL nodes stop cleanly: %r" % bad)
        passed, failed = passed + (not bad), failed + bool(bad)
        cluster.keep = cluster.keep or failed > 0
    print("%d passed, %d failed" % (passed, failed))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
