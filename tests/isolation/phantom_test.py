#!/usr/bin/python3
"""Predicates under concurrent changes: rows of a group are counted by reads that lock, in two tables, by the primary key or by an
index, and one is added where there is room. No snapshot may show more than the quota, and a SERIALIZABLE transaction that commits has
read the same twice. On one node whose ranges are split under the load, and on three whose leases go from node to node.

    phantom_test.py --binary PATH [--only one|three|kill] [--seconds 4] [--seed N] [--keep]"""
import sys
import time

import client
import driver

GROUPS = 3
QUOTA = 6
THREADS = 8
SPAN = 1000  # ids of a group
TABLES = ["a", "b"]
DUPLICATE = 1062


class Client(client.Client):
    refused = {DUPLICATE}

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

    def one(self):
        how = self.rand.random()
        self.change() if how < 0.7 else self.snapshot() if how < 0.85 else self.twice()


def too_many(cursor, problems):
    cursor.execute("SELECT g, COUNT(*) FROM (SELECT g FROM a UNION ALL SELECT g FROM b) u GROUP BY g HAVING COUNT(*) > %d" % QUOTA)
    problems += ["at the end: group %d has %d rows" % row for row in cursor.fetchall()]


if __name__ == "__main__":
    made = ["CREATE TABLE %s (id INT PRIMARY KEY, g INT NOT NULL, KEY (g))" % t for t in TABLES]
    sys.exit(driver.main("phantoms", __doc__, client.run_load(Client, "phantom_test", made, THREADS, too_many, 5)))
