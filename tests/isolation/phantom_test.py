#!/usr/bin/python3
"""Predicates under concurrent changes: rows of a group are counted by reads that lock, in two tables, by the primary key or by an
index, and one is added where there is room. No snapshot may show more than the quota, and a SERIALIZABLE transaction that commits has
read the same twice. On one node whose ranges are split under the load, and on three whose leases go from node to node.

    phantom_test.py --binary PATH [--only one|three|kill] [--seconds 4] [--seed N] [--keep]"""
import random
import sys
import threading
import time

import pymysql

import driver
from append_test import EXPECTED, LOST, UNKNOWN, Nemesis

GROUPS = 3
QUOTA = 6
THREADS = 8
SPAN = 1000  # ids of a group
DATABASE = "phantom_test"
TABLES = ["a", "b"]
DUPLICATE = 1062


class Client(threading.Thread):
    def __init__(self, number, ports, seed, stop, problems, done):
        super().__init__()
        self.ports, self.home, self.stop = ports, number, stop
        self.rand = random.Random(seed)
        self.problems, self.done = problems, done
        self.connection = None

    def connect(self):
        while not self.stop.is_set():
            try:
                self.connection = pymysql.connect(host="127.0.0.1", port=self.ports[self.home % len(self.ports)], user="root",
                                                  password="", database=DATABASE, autocommit=True, connect_timeout=3,
                                                  read_timeout=40)
                self.cursor = self.connection.cursor()
                self.cursor.execute("SET innodb_lock_wait_timeout = 2")
                return True
            except (pymysql.Error, OSError):
                self.home += 1
                self.stop.wait(0.05)
        return False

    def count(self, what):
        self.done[what] = self.done.get(what, 0) + 1

    def group(self, g, lock):
        """(table, id) of the group's rows."""
        rows = []
        for table in self.rand.sample(TABLES, len(TABLES)):
            where = self.rand.choice(["g = %d" % g, "id BETWEEN %d AND %d" % (g * SPAN, g * SPAN + SPAN - 1)])
            order = self.rand.choice(["", " ORDER BY id DESC"])
            self.cursor.execute("SELECT id FROM %s WHERE %s%s%s" % (table, where, order, lock))
            rows += [(table, id) for (id,) in self.cursor.fetchall()]
        return rows

    def change(self):
        r = self.rand
        g = r.randrange(GROUPS)
        serializable = r.random() < 0.5
        lock = "" if serializable else r.choice([" FOR UPDATE", " FOR SHARE"])
        self.cursor.execute("SET TRANSACTION ISOLATION LEVEL " + ("SERIALIZABLE" if serializable else "REPEATABLE READ"))
        self.cursor.execute("BEGIN")
        rows = self.group(g, lock)
        if len(rows) < QUOTA:
            id = g * SPAN + r.randrange(SPAN)
            self.cursor.execute(r.choice(["INSERT INTO %s VALUES (%d, %d)", "REPLACE INTO %s VALUES (%d, %d)",
                                          "INSERT INTO %s VALUES (%d, %d) ON DUPLICATE KEY UPDATE g = g"])
                                % (r.choice(TABLES), id, g))
        else:
            for table, id in r.sample(rows, r.randint(1, 3)):
                self.cursor.execute("DELETE FROM %s WHERE id = %d" % (table, id))
        self.cursor.execute("COMMIT")
        self.count("changes")

    def snapshot(self):
        self.cursor.execute("START TRANSACTION WITH CONSISTENT SNAPSHOT")
        for g in range(GROUPS):
            n = len(self.group(g, ""))
            if n > QUOTA:
                self.problems.append("a snapshot: group %d has %d rows" % (g, n))
        self.cursor.execute("COMMIT")
        self.count("snapshots")

    def twice(self):
        g = self.rand.randrange(GROUPS)
        self.cursor.execute("SET TRANSACTION ISOLATION LEVEL SERIALIZABLE")
        self.cursor.execute("BEGIN")
        first = sorted(self.group(g, ""))
        time.sleep(self.rand.random() * 0.01)
        second = sorted(self.group(g, ""))
        self.cursor.execute("COMMIT")
        if first != second or len(first) > QUOTA:
            self.problems.append("SERIALIZABLE: group %d was %r, then %r" % (g, first, second))
        self.count("read twice")

    def run(self):
        while not self.stop.is_set():
            if self.connection is None and not self.connect():
                break
            try:
                how = self.rand.random()
                self.change() if how < 0.7 else self.snapshot() if how < 0.85 else self.twice()
            except (pymysql.Error, OSError) as e:
                code = e.args[0] if e.args and isinstance(e.args[0], int) else 0
                lost = isinstance(e, (pymysql.InterfaceError, OSError)) or code in LOST
                if not lost and code not in EXPECTED and code not in (UNKNOWN, DUPLICATE):
                    self.problems.append("unexpected error %r" % (e.args,))
                self.count("lost" if lost else "error %d" % code)
                try:
                    if lost:
                        raise OSError()
                    self.cursor.execute("ROLLBACK")
                except (pymysql.Error, OSError):
                    self.connection.close()
                    self.connection = None


def run_load(cluster, seconds, rand, kills):
    """(problems, a line about it)"""
    ports = [n.ports[0] for n in cluster.nodes]
    with cluster.nodes[0].connect() as setup, setup.cursor() as c:
        c.execute("CREATE DATABASE " + DATABASE)
        c.execute("USE " + DATABASE)
        for t in TABLES:
            c.execute("CREATE TABLE %s (id INT PRIMARY KEY, g INT NOT NULL, KEY (g))" % t)
    nemesis = Nemesis(cluster, rand, kills)
    for _ in range(20):
        nemesis.split()
    stop, problems, done = threading.Event(), [], {}
    clients = [Client(i, ports, rand.getrandbits(24), stop, problems, done) for i in range(THREADS)]
    for t in clients:
        t.start()
    nemesis.start()
    time.sleep(seconds)
    stop.set()
    for t in clients:
        t.join()
    nemesis.stop_event.set()
    nemesis.join()
    with cluster.nodes[0].connect(database=DATABASE) as last, last.cursor() as c:
        c.execute("SELECT g, COUNT(*) FROM (SELECT g FROM a UNION ALL SELECT g FROM b) u GROUP BY g HAVING COUNT(*) > %d" % QUOTA)
        problems += ["at the end: group %d has %d rows" % row for row in c.fetchall()]
    if done.get("changes", 0) < 5:
        problems.append("hardly anything was done: %r" % done)
    done.update(nemesis.done)
    return problems, ", ".join("%d %s" % (n, k) for k, n in sorted(done.items()))


if __name__ == "__main__":
    sys.exit(driver.main("phantoms", __doc__, run_load))
