#!/usr/bin/python3
"""Foreign keys under concurrent changes: no snapshot shows a row without its parent, and none is left at the end. On one node whose
ranges are split under the load, and on three whose leases go from node to node.

    foreign_key_test.py --binary PATH [--only one|three|kill] [--seconds 4] [--seed N] [--keep]"""
import sys

import pymysql

import client
import driver

PARENTS = 12
THREADS = 8
REFUSED = {1451, 1452, 1062}
TABLES = [
    "CREATE TABLE parent (id INT PRIMARY KEY, u INT NOT NULL UNIQUE, v INT NOT NULL DEFAULT 0)",
    """CREATE TABLE cascading (id INT PRIMARY KEY AUTO_INCREMENT, pid INT,
       FOREIGN KEY (pid) REFERENCES parent (id) ON DELETE CASCADE ON UPDATE CASCADE)""",
    "CREATE TABLE strict (id INT PRIMARY KEY AUTO_INCREMENT, pid INT, FOREIGN KEY (pid) REFERENCES parent (id))",
    "CREATE TABLE exact (id INT PRIMARY KEY AUTO_INCREMENT, pu INT, FOREIGN KEY (pu) REFERENCES parent (u))",
    """CREATE TABLE loose (id INT PRIMARY KEY AUTO_INCREMENT, pu INT,
       FOREIGN KEY (pu) REFERENCES parent (u) ON DELETE SET NULL ON UPDATE CASCADE)""",
    """CREATE TABLE grandchild (id INT PRIMARY KEY AUTO_INCREMENT, cid INT NOT NULL,
       FOREIGN KEY (cid) REFERENCES cascading (id) ON DELETE CASCADE)""",
]
KEYS = [("cascading", "pid", "parent", "id"), ("strict", "pid", "parent", "id"), ("loose", "pu", "parent", "u"),
        ("exact", "pu", "parent", "u"), ("grandchild", "cid", "cascading", "id")]


def orphans(cursor, problems, when):
    for child, column, parent, key in KEYS:
        cursor.execute("SELECT c.id, c.%s FROM %s c LEFT JOIN %s p ON p.%s = c.%s WHERE c.%s IS NOT NULL AND p.%s IS NULL"
                       % (column, child, parent, key, column, column, key))
        rows = cursor.fetchall()
        if rows:
            problems.append("%s: rows of %s without a parent: %s" % (when, child, rows[:5]))


class Client(client.Client):
    refused = REFUSED

    def change(self):
        """A statement."""
        r = self.rand
        p = r.randrange(PARENTS)
        how = r.randrange(12)
        if how < 3:
            return "INSERT INTO parent VALUES (%d, %d, 0)" % (p, 100 + p)
        if how == 3:
            return "INSERT INTO cascading (pid) VALUES (%d), (%d)" % (p, r.randrange(PARENTS))
        if how == 4:
            return r.choice(["INSERT INTO strict (pid) VALUES (%d)", "INSERT INTO exact (pu) VALUES (100 + %d)"]) % p
        if how == 5:
            return "INSERT INTO loose (pu) SELECT u FROM parent WHERE id <= %d" % p
        if how == 6:
            return "INSERT INTO grandchild (cid) SELECT id FROM cascading ORDER BY id DESC LIMIT 2"
        if how == 7:
            return "DELETE FROM parent WHERE id = %d" % p
        if how == 8:
            return "DELETE FROM parent WHERE id IN (%d, %d, %d)" % (p, r.randrange(PARENTS), r.randrange(PARENTS))
        if how == 9:
            return "UPDATE parent SET id = %d, u = %d WHERE id = %d" % (p, 100 + p, r.randrange(PARENTS))
        if how == 10:
            return "UPDATE cascading SET pid = %d WHERE pid = %d" % (p, r.randrange(PARENTS))
        return r.choice(["DELETE FROM strict WHERE pid = %d", "DELETE FROM exact WHERE pu = 100 + %d",
                         "DELETE FROM cascading WHERE pid = %d LIMIT 3", "REPLACE INTO parent VALUES (%d, 105, 1)"]) % p

    def one(self):
        r = self.rand
        if r.random() < 0.15:
            self.cursor.execute("START TRANSACTION WITH CONSISTENT SNAPSHOT")
            orphans(self.cursor, self.problems, "a snapshot")
            self.cursor.execute("COMMIT")
            self.count("snapshots")
        elif r.random() < 0.5:
            self.cursor.execute(self.change())
        else:
            self.cursor.execute("BEGIN")
            for _ in range(r.randint(2, 4)):
                try:
                    self.cursor.execute(self.change())
                except pymysql.Error as e:
                    if e.args[0] not in REFUSED:
                        raise
            self.cursor.execute("ROLLBACK" if r.random() < 0.1 else "COMMIT")
        self.count("changes")


def orphans_at_end(cursor, problems):
    orphans(cursor, problems, "at the end")


if __name__ == "__main__":
    sys.exit(driver.main("foreign keys", __doc__, client.run_load(Client, "fk_test", TABLES, THREADS, orphans_at_end, 20)))
