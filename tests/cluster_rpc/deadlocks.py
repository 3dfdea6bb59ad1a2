#!/usr/bin/python3
"""Deadlocks between locks that lie on different nodes.

    deadlocks.py --binary PATH [NAME...]"""
import os
import random
import sys
import threading
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from basic import DATABASE, Basic, error_of, expect, main, run  # noqa: E402
from keys import FIRST_TABLE, key_of  # noqa: E402

TABLES = ("da", "dg", "rl")


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
                    got.append((number, time.monotonic() - began))
                    cs[i].rollback()

                threads = [threading.Thread(target=wait, args=(i,)) for i in range(size)]
                for t in threads:
                    t.start()
                for t in threads:
                    t.join(60)
                expect([0] * (size - 1) + [1213], sorted(g[0] for g in got), "a deadlock of %d over nodes" % size)
                took.append(max(g[1] for g in got))
        print("  deadlocks over nodes ended after %s s" % " ".join("%.2f" % t for t in took))
        if sorted(took)[len(took) // 2] > 1.0:
            raise AssertionError("deadlocks took %r" % took)

    def gaps(self):
        """The same with locks of gaps: who inserts waits for who has looked."""
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
        expect([0, 1213], sorted(g[0] for g in got), "a deadlock of gaps over nodes")

    def random_rows(self):
        """Many transactions lock random rows in random order, over all nodes: deadlocks, but no time-out."""
        run(self.nodes[0].connect(database=DATABASE), "INSERT INTO rl VALUES " + ",".join("(%d,0)" % (100 * (i % 3) + i // 3) for i in range(24)))
        end = time.monotonic() + 8
        counts, wrong = {}, []

        def client(n, seed):
            rand = random.Random(seed)
            c = n.connect(database=DATABASE, autocommit=False)
            run(c, "SET innodb_lock_wait_timeout=20")
            while time.monotonic() < end:
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
                if number not in (0, 1213):
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
    sys.exit(main(Deadlocks, ["apart", "rows", "gaps", "random_rows"], "deadlocks"))
