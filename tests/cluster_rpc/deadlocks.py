#!/usr/bin/python3
"""Deadlocks between locks that lie on different nodes, and how locks are shown.

    deadlocks.py --binary PATH [NAME...]"""
import os
import random
import sys
import threading
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from basic import DATABASE, Basic, error_of, expect, main, repeated, run, within  # noqa: E402
from keys import FIRST_TABLE, key_of  # noqa: E402

TABLES = ("da", "dg", "rl")

# Circles through locks of several kinds: what each of two sessions does first, what it then waits for, and the answers. MySQL ends the
# cheapest wait: of a use of a table or a row before that of a named lock, and that before a change of a table's definition. (It finds no
# circle with a row in it: there one of the two times out.)
MIXED = (
    ("a named lock and a schema change", ["INSERT INTO mx VALUES (5, 5)"], ["SELECT GET_LOCK('mx', 1)"],
     "SELECT GET_LOCK('mx', 30)", "ALTER TABLE mx ADD c%d INT", 3058, 0),
    ("a named lock and LOCK TABLES", ["LOCK TABLES mx WRITE"], ["SELECT GET_LOCK('mx', 1)"],
     "SELECT GET_LOCK('mx', 30)", "INSERT INTO mx VALUES (7, 7)", 0, 1213),
    ("a named lock and two LOCK TABLES", ["SELECT GET_LOCK('mx', 1)"], ["LOCK TABLES mx READ"],
     "LOCK TABLES mx WRITE", "SELECT GET_LOCK('mx', 30)", 0, 3058),
    ("a named lock and a row", ["SELECT GET_LOCK('mx', 1)"], ["UPDATE mx SET b = b + 1 WHERE a = 1"],
     "UPDATE mx SET b = b + 1 WHERE a = 1", "SELECT GET_LOCK('mx', 30)", 1213, 0),
    ("a row, a table and a named lock", ["LOCK TABLES mx WRITE", "SELECT GET_LOCK('mx', 1)"],
     ["SELECT GET_LOCK('my', 1)", "UPDATE my SET b = b + 1 WHERE a = 1"],
     "SELECT GET_LOCK('my', 30)", "UPDATE mx SET b = b + 1 WHERE a = 1", 0, 1213),
)


class Deadlocks(Basic):
    def apart(self):
        """Tables whose rows 0.., 100.. and 200.. are in ranges that different nodes lead."""
        c = self.nodes[0].connect(database=DATABASE)
        for t in TABLES:
            run(c, "CREATE TABLE %s (id INT PRIMARY KEY, v INT)" % t)
        for table in range(FIRST_TABLE, FIRST_TABLE + 6):  # the database has a number of these too
            for at in (0, 100, 200):
                self.cluster.split(key_of(table, at), 3)
        self.cluster.wait_replicated()
        deadline = time.monotonic() + 60
        while True:
            wrong = []
            for r in self.cluster.ranges().values():
                at = r["start"][-2:].lower()
                node = {"00": 0, "64": 1, "c8": 2}.get(at) if len(r["start"]) == 16 else None
                if node is not None and r["leader"] != self.nodes[node].node_id:
                    wrong.append(r["id"])
                    self.cluster.move_lease(r["id"], self.nodes[node])
            if not wrong:
                return
            if time.monotonic() > deadline:
                raise AssertionError("leases do not move: %r" % wrong)
            time.sleep(0.1)

    def rows(self):
        """Deadlocks whose locks are at different nodes: one victim, soon."""
        run(self.nodes[0].connect(database=DATABASE), "INSERT INTO da VALUES (1,0),(101,0),(201,0)")
        took = []
        for size in (2, 3):
            for turn in range(3):
                cs = [self.nodes[(i + turn) % 3].connect(database=DATABASE, autocommit=False) for i in range(size)]
                for i, c in enumerate(cs):
                    run(c, "UPDATE da SET v=v+1 WHERE id=%d" % (100 * i + 1))
                got = []

                def wait(i):
                    began = time.monotonic()
                    number = error_of(cs[i], "UPDATE da SET v=v+1 WHERE id=%d" % (100 * ((i + 1) % size) + 1))
                    waited = time.monotonic() - began
                    # A node that is not heard for a second loses its clients' locks to others: then it is the commit that is refused.
                    got.append((number or error_of(cs[i], "COMMIT"), waited))
                    cs[i].rollback()

                threads = [threading.Thread(target=wait, args=(i,)) for i in range(size)]
                for t in threads:
                    t.start()
                for t in threads:
                    t.join(60)
                expect([0] * (size - 1) + [1213], sorted(g[0] for g in got), "a deadlock of %d over nodes" % size)
                took.append(max(g[1] for g in got))
        print("  deadlocks over nodes ended after %s s" % " ".join("%.2f" % t for t in took))
        if sorted(took)[len(took) // 2] > 5.0:  # of 50 that a row is waited for
            raise AssertionError("deadlocks took %r" % took)

    @repeated
    def gaps(self):
        """The same with locks of gaps: who inserts waits for who has looked."""
        before = self.terms()
        cs = [n.connect(database=DATABASE, autocommit=False) for n in self.nodes[:2]]
        run(cs[0], "SELECT * FROM dg WHERE id BETWEEN 10 AND 20 FOR UPDATE")
        run(cs[1], "SELECT * FROM dg WHERE id BETWEEN 110 AND 120 FOR UPDATE")
        got = []

        def insert(i):
            began = time.monotonic()
            number = error_of(cs[i], "INSERT INTO dg VALUES (%d,1)" % (115, 15)[i])
            got.append((number, time.monotonic() - began))
            cs[i].rollback()

        threads = [threading.Thread(target=insert, args=(i,)) for i in range(2)]
        for t in threads:
            t.start()
        for t in threads:
            t.join(60)
        self.unless_lost(before, [0, 1213], sorted(g[0] for g in got), "a deadlock of gaps over nodes")

    @repeated
    def mixed(self):
        """Deadlocks through named locks, LOCK TABLES, schema changes and rows, with the sessions at the same and at different nodes."""
        setup = self.nodes[0].connect(database=DATABASE)
        took = []
        for turn, (first, second) in enumerate(((0, 0), (0, 1), (1, 2), (2, 0))):
            for what, first_has, second_has, first_waits, second_waits, *wanted in MIXED:
                for t in ("mx", "my"):
                    run(setup, "DROP TABLE IF EXISTS %s" % t)
                    run(setup, "CREATE TABLE %s (a INT PRIMARY KEY, b INT)" % t)
                    run(setup, "INSERT INTO %s VALUES (1, 1), (2, 2)" % t)
                cs = [self.nodes[i].connect(database=DATABASE, autocommit=False) for i in (first, second)]
                for c, has in zip(cs, (first_has, second_has)):
                    for sql in has:
                        run(c, sql)
                waits = [sql % turn if "%d" in sql else sql for sql in (first_waits, second_waits)]
                got = [None, None]
                before, began = self.terms(), time.monotonic()

                def wait(i):
                    got[i] = error_of(cs[i], waits[i])
                    if got[i] == 0 or got[i] == 3058:
                        took.append(time.monotonic() - began)
                    for sql in ("UNLOCK TABLES", "ROLLBACK", "DO RELEASE_ALL_LOCKS()"):
                        run(cs[i], sql)

                threads = [threading.Thread(target=wait, args=(i,)) for i in range(2)]
                for t in threads:
                    t.start()
                    time.sleep(0.05)
                for t in threads:
                    t.join(60)
                for c in cs:
                    c.close()
                self.unless_lost(before, wanted, got, "%s, sessions at nodes %d and %d" % (what, first + 1, second + 1))
        print("  mixed deadlocks ended after %.2f s in the middle, %.2f s at most" % (sorted(took)[len(took) // 2], max(took)))

    def meta_moves(self):
        """The leader of the meta range, who finds deadlocks over nodes, is another one three times a second. Each begins with nothing."""
        setup = self.nodes[0].connect(database=DATABASE)
        run(setup, "DROP TABLE IF EXISTS mx")
        run(setup, "CREATE TABLE mx (a INT PRIMARY KEY, b INT)")
        stop, moves = threading.Event(), [0]

        def move():
            while not stop.wait(0.3):
                moves[0] += self.cluster.move_lease(1, self.nodes[moves[0] % 3])[0]
        mover = threading.Thread(target=move)
        mover.start()
        try:
            for _ in range(3):
                a, b = (n.connect(database=DATABASE) for n in self.nodes[1:])
                run(a, "SELECT GET_LOCK('mx', 1)")
                run(b, "LOCK TABLES mx READ")
                got = []
                t = threading.Thread(target=lambda: got.append(error_of(a, "LOCK TABLES mx WRITE")))
                t.start()
                time.sleep(2)  # its node has nothing new to tell, and tells it less often
                began = time.monotonic()
                number = error_of(b, "SELECT GET_LOCK('mx', 30)")
                took = time.monotonic() - began
                run(b, "UNLOCK TABLES")
                t.join(30)
                expect((3058, [0]), (number, got), "a deadlock while leases of the meta range move")
                print("    %.2f s, %d moves so far" % (took, moves[0]))
                for c in (a, b):
                    c.close()
        finally:
            stop.set()
            mover.join()

    def no_deadlock(self):
        """Waits that look like a circle and are none: the lock is given back in time."""
        c, d = self.nodes[1].connect(database=DATABASE, autocommit=False), self.nodes[2].connect(database=DATABASE, autocommit=False)
        run(c, "SELECT GET_LOCK('first', 1)")
        run(d, "SELECT GET_LOCK('second', 1)")
        run(d, "UPDATE my SET b = b + 1 WHERE a = 1")
        got = []
        t = threading.Thread(target=lambda: got.append(run(d, "SELECT GET_LOCK('first', 30)")))
        t.start()
        time.sleep(1.0)
        run(c, "SELECT RELEASE_LOCK('first')")  # what d waits for goes before c waits for d
        ends = threading.Timer(1.0, lambda: run(d, "COMMIT") if not t.join(20) else None)
        ends.start()
        expect(0, error_of(c, "UPDATE my SET b = b + 1 WHERE a = 1"), "a row of who waited for a lock that was given back")
        t.join(30)
        ends.join()  # its answer may come after what it has let go on
        expect([((1,),)], got, "the named lock")
        for x in (c, d):
            x.rollback()
            x.close()

    def shown(self):
        """performance_schema shows the locks of all nodes on each of them, with who waits for whom."""
        run(self.nodes[0].connect(database=DATABASE), "REPLACE INTO da VALUES (1,0),(101,0),(201,0)")
        holder = self.nodes[0].connect(database=DATABASE, autocommit=False)
        waiter = self.nodes[1].connect(database=DATABASE, autocommit=False)
        waiter_seen = self.nodes[2].connect()
        for at in (1, 101, 201):
            run(holder, "UPDATE da SET v = v + 1 WHERE id = %d" % at)
        run(holder, "SELECT * FROM dg WHERE id = 1 FOR SHARE")
        run(holder, "SELECT * FROM dg WHERE id = 150 FOR UPDATE")
        ids = [run(c, "SELECT CONNECTION_ID()")[0][0] for c in (holder, waiter)]
        t = threading.Thread(target=lambda: run(waiter, "UPDATE da SET v = v + 1 WHERE id = 201"))
        t.start()
        within(30, 1, lambda: run(waiter_seen, "SELECT COUNT(*) FROM performance_schema.data_locks WHERE LOCK_STATUS = 'WAITING'")[0][0],
               "an UPDATE waits for a lock")
        for n in self.nodes:
            c = n.connect(database=DATABASE)
            locks = ("SELECT THREAD_ID, OBJECT_NAME, LOCK_TYPE, LOCK_MODE, LOCK_STATUS, LOCK_DATA FROM performance_schema.data_locks "
                     "WHERE ENGINE = 'INNODB' AND OBJECT_NAME IN ('da', 'dg') ORDER BY 1, 2, 3 DESC, LOCK_DATA")
            wanted = [(ids[0], "da", "TABLE", "IX", "GRANTED", None)]
            wanted += [(ids[0], "da", "RECORD", "X,REC_NOT_GAP", "GRANTED", at) for at in ("1", "101", "201")]
            wanted += [(ids[0], "dg", "TABLE", "IX", "GRANTED", None)]
            wanted += [(ids[0], "dg", "RECORD", "X,GAP", "GRANTED", at) for at in ("1", "150")]
            wanted += [(ids[1], "da", "TABLE", "IX", "GRANTED", None), (ids[1], "da", "RECORD", "X,REC_NOT_GAP", "WAITING", "201")]
            # locks that go to another node with a lease may be on both for a look that meets it, or on none
            within(20, sorted(wanted, key=str), lambda: sorted(run(c, locks), key=str), "the locks that node %d shows" % n.node_id)
            waits = ("SELECT w.REQUESTING_THREAD_ID, w.BLOCKING_THREAD_ID, r.LOCK_DATA, b.LOCK_DATA, b.LOCK_STATUS "
                         "FROM performance_schema.data_lock_waits w "
                     "JOIN performance_schema.data_locks r ON r.ENGINE_LOCK_ID = w.REQUESTING_ENGINE_LOCK_ID "
                     "JOIN performance_schema.data_locks b ON b.ENGINE_LOCK_ID = w.BLOCKING_ENGINE_LOCK_ID")
            within(20, ((ids[1], ids[0], "201", "201", "GRANTED"),), lambda: run(c, waits), "the wait that node %d shows" % n.node_id)
            got = run(c, "SELECT OWNER_THREAD_ID, LOCK_TYPE FROM performance_schema.metadata_locks "
                         "WHERE OBJECT_SCHEMA = '%s' AND OBJECT_NAME = 'da' ORDER BY 1" % DATABASE)
            expect(((ids[0], "SHARED_WRITE"), (ids[1], "SHARED_WRITE")), got, "the metadata locks that node %d shows" % n.node_id)
            c.close()
        holder.rollback()
        t.join(30)
        waiter.rollback()
        # A schema change has its lock on all nodes, and is shown once.
        run(holder, "SELECT * FROM dg")
        t = threading.Thread(target=lambda: run(waiter, "ALTER TABLE dg ADD shown INT"))
        t.start()
        within(30, ((ids[0], "SHARED_READ", "GRANTED"), (ids[1], "EXCLUSIVE", "PENDING")),
               lambda: run(waiter_seen, "SELECT OWNER_THREAD_ID, LOCK_TYPE, LOCK_STATUS FROM performance_schema.metadata_locks "
                                        "WHERE OBJECT_NAME = 'dg' ORDER BY 1"), "a schema change that waits")
        holder.commit()
        t.join(30)
        run(waiter, "ALTER TABLE dg DROP shown")

    def random_rows(self):
        """Many transactions lock random rows in random order, over all nodes: deadlocks, but no time-out."""
        run(self.nodes[0].connect(database=DATABASE), "INSERT INTO rl VALUES " + ",".join("(%d,0)" % (100 * (i % 3) + i // 3) for i in range(24)))
        began = time.monotonic()
        counts, wrong = {}, []

        def more():
            """For eight seconds, or until enough was done."""
            passed = time.monotonic() - began
            return passed < 8 or passed < 60 and counts.get(0, 0) < 50

        def client(n, seed):
            rand = random.Random(seed)
            c = n.connect(database=DATABASE, autocommit=False)
            run(c, "SET innodb_lock_wait_timeout=20")
            while more():
                number = 0
                for _ in range(3):
                    at = 100 * rand.randrange(3) + rand.randrange(8)
                    sql = rand.choice(("UPDATE rl SET v=v+1 WHERE id=%d", "SELECT v FROM rl WHERE id=%d FOR UPDATE",
                                       "SELECT v FROM rl WHERE id=%d FOR SHARE", "INSERT IGNORE INTO rl VALUES (%d,1)")) % at
                    number = error_of(c, sql)
                    if number:
                        break
                number = number or error_of(c, "COMMIT")
                c.rollback()
                counts[number] = counts.get(number, 0) + 1
                if number not in (0, 1213, 20001):  # 20001: the leader was lost while it was asked for the commit
                    wrong.append((number, sql))
            c.close()

        threads = [threading.Thread(target=client, args=(self.nodes[i % 3], i)) for i in range(15)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        print("  " + ", ".join("%s: %d" % ("done" if k == 0 else k, v) for k, v in sorted(counts.items())))
        expect([], wrong, "errors other than deadlocks")
        if counts.get(0, 0) < 50:
            raise AssertionError("next to nothing was done: %r" % counts)


if __name__ == "__main__":
    sys.exit(main(Deadlocks, ["apart", "rows", "gaps", "mixed", "meta_moves", "no_deadlock", "shown", "random_rows"], "deadlocks"))
