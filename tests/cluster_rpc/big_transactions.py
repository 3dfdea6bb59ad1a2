#!/usr/bin/python3
"""Transactions that write more than a statement's memory (cluster/txn/spill.c), over three nodes.

    big_transactions.py --binary PATH [NAME...]"""
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from basic import DATABASE, Basic, LocksLost, error_of, expect, main, metric, repeated, run  # noqa: E402
from keys import FIRST_TABLE, key_of  # noqa: E402

ROWS = 30000
BATCH = 1000
WIDE = 1200  # bytes of a row: 36 MB in all, of 19 that a statement may take


class BigTransactions(Basic):
    OPTIONS = ("--memory", "256M")

    def locked(self, a, before, good, what):
        """What others see of the locks that the connection has had since the terms were these."""
        if not good and self.changed(before):
            run(a, "ROLLBACK")
            raise LocksLost(what)
        expect(True, good, what)

    def fill(self):
        c = self.nodes[0].connect(database=DATABASE)
        run(c, "CREATE TABLE wide (id INT PRIMARY KEY, k INT NOT NULL, v VARCHAR(5000), u INT, KEY (k), UNIQUE KEY (u))")
        for table in range(FIRST_TABLE, FIRST_TABLE + 4):
            for at in (10000, 20000):
                self.cluster.split(key_of(table, at), 3)
        self.cluster.wait_replicated()
        run(c, "CREATE TABLE numbers (n INT PRIMARY KEY)")
        run(c, "INSERT INTO numbers VALUES " + ",".join("(%d)" % i for i in range(ROWS)))

    def insert(self, c, first, last):
        for at in range(first, last, BATCH):
            run(c, "INSERT INTO wide SELECT n, n %% 10, REPEAT('a', %d), -n FROM numbers WHERE n >= %d AND n < %d"
                % (WIDE, at, min(at + BATCH, last)))

    def sums(self, c, count, total, length, what):
        for index in ("PRIMARY", "k", "u"):
            expect(((count, total),), run(c, "SELECT COUNT(*), SUM(k) FROM wide FORCE INDEX (%s) WHERE u <= 0" % index),
                   "%s by %s" % (what, index))
        expect(length, run(c, "SELECT SUM(LENGTH(v)) FROM wide")[0][0], what + ": bytes")

    @repeated
    def transaction(self):
        """Savepoints on both sides of what is on disk; own rows are seen, by others none."""
        a, b = self.connections()[:2]
        half = ROWS // 2
        updated = half // 2 // BATCH * BATCH
        run(a, "DELETE FROM wide")
        before = self.terms()
        run(a, "BEGIN")
        self.insert(a, 0, half)
        run(a, "SAVEPOINT half")
        self.insert(a, half, ROWS)
        all_k = sum(i % 10 for i in range(ROWS))
        self.sums(a, ROWS, all_k, ROWS * WIDE, "own rows")
        expect(((ROWS - 1,), (ROWS - 2,)), run(a, "SELECT id FROM wide ORDER BY id DESC LIMIT 2"), "own rows, backwards")
        expect(((0,),), run(b, "SELECT COUNT(*) FROM wide"), "rows of an open transaction")
        expect(1062, error_of(a, "INSERT INTO wide VALUES (%d,0,'',1)" % (ROWS // 3)), "a row that is there")
        expect(1062, error_of(a, "INSERT INTO wide SELECT n + %d, 0, REPEAT('b', 1200), n + 1 FROM numbers ORDER BY n DESC" % (1 - ROWS)),
               "the last row is there")
        self.sums(a, ROWS, all_k, ROWS * WIDE, "after refused statements")
        run(b, "SET innodb_lock_wait_timeout=1")
        self.locked(a, before, error_of(b, "INSERT INTO wide VALUES (5,0,'',1)") == 1205, "a row that another transaction inserts")
        run(a, "ROLLBACK TO half")
        half_k = sum(i % 10 for i in range(half))
        self.sums(a, half, half_k, half * WIDE, "back at the savepoint")
        for at in range(0, updated, BATCH):
            run(a, "UPDATE wide SET v=CONCAT(v,'x'), k=k+1 WHERE id>=%d AND id<%d" % (at, at + BATCH))
        run(a, "DELETE FROM wide WHERE id>=%d" % (half - 100))
        run(a, "SAVEPOINT late")
        for at in range(0, half, 2 * BATCH):
            run(a, "DELETE FROM wide WHERE id>=%d AND id<%d" % (at, at + 2 * BATCH))
        expect(((0,),), run(a, "SELECT COUNT(*) FROM wide"), "own deletes")
        run(a, "ROLLBACK TO late")
        count = half - 100
        total = sum(i % 10 for i in range(count)) + updated
        self.sums(a, count, total, count * WIDE + updated, "before the commit")
        run(a, "COMMIT")
        for c in self.connections():
            self.sums(c, count, total, count * WIDE + updated, "committed")

    @repeated
    def rollback(self):
        a, b = self.connections()[:2]
        before = run(b, "SELECT COUNT(*), SUM(k), SUM(LENGTH(v)) FROM wide")
        run(a, "BEGIN")
        run(a, "UPDATE wide SET v=REPEAT('r', 1300), k=k+1 WHERE id<1000")
        run(a, "REPLACE INTO wide SELECT n, 7, REPEAT('q', 1200), -n FROM numbers")
        expect(((ROWS, 7 * ROWS),), run(a, "SELECT COUNT(*), SUM(k) FROM wide"), "own replaced rows")
        run(a, "ROLLBACK")
        expect(before, run(b, "SELECT COUNT(*), SUM(k), SUM(LENGTH(v)) FROM wide"), "after a rollback")

    @repeated
    def on_duplicate(self):
        """Statements that look at each row, with autocommit."""
        a, b = self.connections()[:2]
        run(a, "DELETE FROM wide WHERE id >= 6000")
        run(a, "DELETE FROM wide WHERE id % 2 = 1")
        there = run(a, "SELECT COUNT(*) FROM wide")[0][0]
        run(a, "INSERT INTO wide SELECT n, 1, REPEAT('i', 1200), -n FROM numbers ON DUPLICATE KEY UPDATE k=2, v=REPEAT('d', 1300)")
        expect(((1, ROWS - there, "i"), (2, there, "d")), run(b, "SELECT k, COUNT(*), MIN(LEFT(v,1)) FROM wide GROUP BY k ORDER BY k"), "rows")
        self.sums(b, ROWS, ROWS + there, ROWS * 1200 + there * 100, "ON DUPLICATE KEY UPDATE")
        run(a, "REPLACE INTO wide SELECT n, 3, REPEAT('r', 1400), -n FROM numbers")
        self.sums(b, ROWS, 3 * ROWS, ROWS * 1400, "REPLACE")

    @repeated
    def foreign_keys(self):
        a, b = self.connections()[:2]
        run(a, "DROP TABLE IF EXISTS child, parent")
        run(a, "CREATE TABLE parent (id INT PRIMARY KEY)")
        run(a, "CREATE TABLE child (id INT PRIMARY KEY, p INT, v VARCHAR(5000), FOREIGN KEY (p) REFERENCES parent (id) ON UPDATE CASCADE ON DELETE CASCADE)")
        run(a, "INSERT INTO parent VALUES (1),(2),(3)")
        run(a, "INSERT INTO child SELECT n, n % 3 + 1, REPEAT('c', 1200) FROM numbers")
        run(a, "UPDATE parent SET id=id+10")
        expect(((11, ROWS // 3), (12, ROWS // 3), (13, ROWS // 3)), run(b, "SELECT p, COUNT(*) FROM child GROUP BY p ORDER BY p"), "children")
        run(a, "DELETE FROM parent WHERE id>11")
        expect(((11, ROWS // 3, ROWS // 3 * 1200),), run(b, "SELECT p, COUNT(*), SUM(LENGTH(v)) FROM child GROUP BY p"), "children that stay")

    @repeated
    def read_and_write(self):
        """A statement whose rows are the transaction's own, in memory, and which writes so much for each that what is
        in memory goes to disk several times before it comes to the last of them."""
        a, b = self.connections()[:2]
        run(a, "DROP TABLE IF EXISTS few, many")
        run(a, "CREATE TABLE few (id INT PRIMARY KEY, v VARCHAR(500), KEY (v(3)))")
        run(a, "CREATE TABLE many (id INT PRIMARY KEY, v VARCHAR(500), w MEDIUMTEXT)")
        same = "SELECT COUNT(*), SUM(f.v = m.v) FROM few f JOIN many m ON f.id = m.id"
        run(a, "BEGIN")
        run(a, "INSERT INTO few SELECT n, REPEAT(CONV(10 + n % 26, 10, 36), 300) FROM numbers WHERE n < 300")
        run(a, "INSERT INTO many SELECT id, v, REPEAT('w', 15000) FROM few")
        expect(((300, 300),), run(a, same), "own rows, copied")
        run(a, "COMMIT")
        expect(((300, 300),), run(b, same), "rows that were copied")

    @repeated
    def ignored(self):
        """Rows of one statement that are duplicates of each other, when the first of them is on disk."""
        a, b = self.connections()[:2]
        run(a, "DROP TABLE IF EXISTS once")
        run(a, "CREATE TABLE once (id INT PRIMARY KEY, n INT, v VARCHAR(5000))")
        run(a, "INSERT IGNORE INTO once SELECT IF(n = 20000, 7, n), n, REPEAT('i', 500) FROM numbers")
        expect(((1,),), run(a, "SHOW COUNT(*) WARNINGS"), "warnings")
        expect(((ROWS - 1, 7),), run(b, "SELECT COUNT(*), SUM(IF(id = 7, n, 0)) FROM once"), "rows that are kept")
        run(a, "TRUNCATE once")
        expect(1062, error_of(a, "INSERT INTO once SELECT IF(n = 20000, 7, n), n, REPEAT('i', 500) FROM numbers"), "duplicates")
        expect(((0,),), run(b, "SELECT COUNT(*) FROM once"), "rows of a refused statement")

    @repeated
    def many_locks(self):
        """More locks than there is memory for if each were kept as one of few is; beside others, to whom they are locks
        like all."""
        a, b = self.connections()[:2]
        count = 2 * ROWS
        run(a, "DROP TABLE IF EXISTS locked")
        run(a, "CREATE TABLE locked (id INT PRIMARY KEY, u INT NOT NULL, k INT NOT NULL, UNIQUE KEY (u))")
        for i in range(2):
            run(a, "INSERT INTO locked SELECT n * 2 + %d, (n * 7919 %% %d) * 2 + %d, 0 FROM numbers" % (i, ROWS, i))
        before = self.terms()
        run(a, "BEGIN")
        asked = metric(self.nodes[0], "skein_kv_lock_requests_total")
        run(a, "UPDATE locked SET u = u + 1000000, k = id")
        asked = metric(self.nodes[0], "skein_kv_lock_requests_total") - asked
        expect(True, asked < count // 8, "locks are asked for by the hundred: %d requests" % asked)
        run(b, "SET innodb_lock_wait_timeout = 1")
        for sql in ("SELECT * FROM locked WHERE id = 77 FOR UPDATE", "SELECT * FROM locked WHERE u = 800 FOR SHARE",
                    "DELETE FROM locked WHERE id = %d" % (count - 1), "INSERT INTO locked VALUES (-1, 1000800, 0)"):
            self.locked(a, before, error_of(b, sql) == 1205, sql)
        # They are all shown, most of them by the stretch: '2 .. 40000 (19995 rows)'.
        got = run(b, "SELECT SUM(IF(LOCK_DATA LIKE '%% .. %% rows)', SUBSTRING_INDEX(SUBSTRING_INDEX(LOCK_DATA, '(', -1), ' ', 1), 1)), "
                     "SUM(LOCK_DATA LIKE '%% rows)') FROM performance_schema.data_locks WHERE OBJECT_NAME = 'locked' AND "
                     "INDEX_NAME = 'PRIMARY' AND LOCK_TYPE = 'RECORD' AND LOCK_STATUS = 'GRANTED'".replace("%%", "%"))[0]
        self.locked(a, before, int(got[0] or 0) >= count and int(got[1] or 0) > 0, "locks that are shown: %s" % (got,))
        run(a, "DELETE FROM locked WHERE id % 2 = 1")
        run(a, "COMMIT")
        for index in ("PRIMARY", "u"):
            expect(((count // 2,),), run(b, "SELECT COUNT(*) FROM locked FORCE INDEX (%s) WHERE u >= 1000000 AND k = id" % index), "rows by " + index)
        run(b, "UPDATE locked SET u = -u WHERE id = 76")
        run(a, "UPDATE locked l JOIN numbers n ON n.n = l.id DIV 2 SET l.k = l.k + 1, n.n = n.n")
        expect(((count // 2,),), run(b, "SELECT COUNT(*) FROM locked WHERE k = id + 1"), "UPDATE of a join")
        before = self.terms()
        run(a, "BEGIN")
        run(a, "DELETE l FROM locked l JOIN numbers n ON n.n = l.id DIV 2")
        self.locked(a, before, error_of(b, "SELECT * FROM locked WHERE id = 78 FOR UPDATE") == 1205, "a row that is deleted")
        run(a, "ROLLBACK")
        run(b, "SELECT * FROM locked WHERE id = 78 FOR UPDATE")
        expect(((count // 2,),), run(b, "SELECT COUNT(*) FROM locked WHERE k = id + 1"), "after a rollback")

    @repeated
    def large_values(self):
        a, b = self.connections()[:2]
        size, count = 1000000, 40
        sums = "SELECT COUNT(*), SUM(LENGTH(v)), SUM(LEFT(v, 1) = CONCAT(id % 10) AND RIGHT(v, 1) = CONCAT(id % 10)) FROM large"
        run(a, "DROP TABLE IF EXISTS large")
        run(a, "CREATE TABLE large (id INT PRIMARY KEY, v LONGTEXT)")
        run(a, "BEGIN")
        for i in range(count):
            run(a, "INSERT INTO large VALUES (%d, REPEAT('%d', %d))" % (i, i % 10, size))
        run(a, "SAVEPOINT all_rows")
        for i in range(0, count, 4):
            run(a, "UPDATE large SET v=REPEAT('x', 1000) WHERE id=%d" % i)
        expect(((count, count * size - count // 4 * (size - 1000), count - count // 4),), run(a, sums), "changed")
        run(a, "ROLLBACK TO all_rows")
        run(a, "DELETE FROM large WHERE id < 4")
        expect(((count - 4, (count - 4) * size, count - 4),), run(a, sums), "own rows")
        run(a, "COMMIT")
        expect(((count - 4, (count - 4) * size, count - 4),), run(b, sums), "committed")


if __name__ == "__main__":
    sys.exit(main(BigTransactions, ["fill", "transaction", "rollback", "on_duplicate", "foreign_keys", "read_and_write", "ignored", "many_locks", "large_values"], "big_transactions"))
