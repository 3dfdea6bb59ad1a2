"""Statements that insert more rows than fit into the memory that a statement may have: all rows or none, also with duplicates and
when the node is killed. One line per test; see run.sh."""
import os
import re
import sys
import threading
import time

import pymysql

import driver

ROWS = 60000
TABLE = "(id INT PRIMARY KEY, n INT, s VARCHAR(60), d DECIMAL(12,2), KEY (n), UNIQUE KEY (s))"


def write_rows(path, numbers):
    with open(path, "w") as f:
        for i in numbers:
            f.write("%d,%d,this is the name of row %d,%d.5\n" % (i, i * 7 % 1000, i, i))


def connect(node):
    return pymysql.connect(host="127.0.0.1", port=node.mysql_port, user="root", local_infile=True, database="d", autocommit=True)


def ask(connection, sql):
    with connection.cursor() as q:
        count = q.execute(sql)
        return q.fetchall() if q.description else count


def problems_of(connection, table, rows):
    got = ask(connection, "SELECT (SELECT COUNT(*) FROM %s), (SELECT COUNT(*) FROM %s FORCE INDEX (n) WHERE n >= 0), "
                          "(SELECT COUNT(*) FROM %s FORCE INDEX (s) WHERE s >= '')" % (table, table, table))[0]
    checked = ask(connection, "CHECK TABLE " + table)[0][3]
    return ([] if got == (rows, rows, rows) else ["%s: %r rows and entries, not %d" % (table, got, rows)]) + \
           ([] if checked == "OK" else ["%s: %s" % (table, checked)])


def load(connection, path, table, words="LOCAL"):
    return ask(connection, "LOAD DATA %s INFILE '%s' INTO TABLE %s FIELDS TERMINATED BY ','" % (words, path, table))


def from_client(connection, path):
    ask(connection, "CREATE TABLE t " + TABLE)
    count = load(connection, path, "t")
    return problems_of(connection, "t", ROWS), "%d rows" % count


def insert_select(connection, path):
    ask(connection, "CREATE TABLE u " + TABLE)
    count = ask(connection, "INSERT INTO u SELECT * FROM t ORDER BY id DESC")
    return problems_of(connection, "u", ROWS), "%d rows" % count


def from_itself(connection, path):
    """All of the source is read before the first row is written."""
    ask(connection, "CREATE TABLE x " + TABLE)
    ask(connection, "INSERT INTO x SELECT * FROM t")
    count = ask(connection, "INSERT INTO x SELECT id + %d, n, CONCAT(s, 'x'), d FROM x" % ROWS)
    passed = ask(connection, "INSERT IGNORE INTO x SELECT id + 1, n, CONCAT(s, 'y'), d FROM x WHERE id >= %d" % (2 * ROWS - 5))
    wrong = [] if count == ROWS and passed == 1 else ["%d rows, then %d" % (count, passed)]
    return problems_of(connection, "x", 2 * ROWS + 1) + wrong, "%d rows" % count


def duplicate(connection, path):
    ask(connection, "CREATE TABLE v " + TABLE)
    ask(connection, "INSERT INTO v VALUES (%d, 1, 'x', 1)" % (ROWS - 5))
    try:
        ask(connection, "INSERT INTO v SELECT * FROM t")
    except pymysql.err.IntegrityError as e:
        wanted = (1062, "Duplicate entry '%d' for key 'v.PRIMARY'" % (ROWS - 5))
        return problems_of(connection, "v", 1) + ([] if e.args == wanted else [repr(e)]), "%r" % (e,)
    return ["no error"], ""


def passed_over(connection, path):
    ask(connection, "CREATE TABLE w " + TABLE)
    twice = path + "_twice"
    write_rows(twice, list(range(20000)) + [100])
    ask(connection, "INSERT INTO w VALUES (15000, 1, 'x', 1)")
    count = load(connection, twice, "w")
    warnings = ask(connection, "SHOW WARNINGS")
    ok = count == 19999 and len(warnings) == 2 and int(warnings[0][1]) == 1062 and "15000" in warnings[0][2] and "100'" in warnings[1][2]
    return problems_of(connection, "w", 20000) + ([] if ok else ["%d rows, %r" % (count, warnings)]), "%d rows" % count


class Loader(threading.Thread):
    def __init__(self, node, path):
        super().__init__()
        self.connection, self.path, self.done = connect(node), path, False

    def run(self):
        try:
            load(self.connection, self.path, "k")
            self.done = True
        except (pymysql.err.Error, OSError, AttributeError):
            pass


def killed(node, path, after):
    connection = connect(node)
    ask(connection, "DROP TABLE IF EXISTS k")
    ask(connection, "CREATE TABLE k " + TABLE)
    loader = Loader(node, path)
    loader.start()
    loader.join(after)
    node.kill()
    loader.join()
    node.start()
    connection = connect(node)
    rows = ask(connection, "SELECT COUNT(*) FROM k")[0][0]
    problems = problems_of(connection, "k", rows)
    if rows not in (0, ROWS) or (loader.done and rows == 0):
        problems.append("%d rows after the kill" % rows)
    return problems, "killed after %.2f s, %d rows" % (after, rows)


def proposals(node):
    return int(re.search(r"^skein_range_proposals_total (\d+)", node.http("/metrics")[1], re.M).group(1))


def decided(node, path):
    """The node dies as soon as the transaction is committed: whoever meets one of its many intents settles all of a range at once,
    not each with a write to the log of its own."""
    connection = connect(node)
    ask(connection, "SET GLOBAL local_infile = 1")
    ask(connection, "DROP TABLE IF EXISTS k")
    ask(connection, "CREATE TABLE k " + TABLE)
    loader = Loader(node, path)
    if node.http("/faults", b"txn_after_primary=crash")[0] == 501:
        return [], "not looked at: a build without fault points"
    loader.start()
    loader.join()
    node.kill()
    node.start()
    before, began = proposals(node), time.monotonic()
    problems = problems_of(connect(node), "k", ROWS)
    made, took = proposals(node) - before, time.monotonic() - began
    if loader.done or made > ROWS / 10:
        problems.append("%s; %d writes to the log" % ("was not killed" if loader.done else "killed", made))
    return problems, "settled with %d writes to the log in %.1f s" % (made, took)


def many_at_once(node):
    """Statements of half a megabyte, each modest: all together would take more memory than there is, so they take turns."""
    clients, rows, errors = 12, 39000, []

    def insert(number):
        connection = connect(node)
        try:
            ask(connection, "CREATE TABLE a%d (id INT PRIMARY KEY, n INT)" % number)
            for first in (0, rows):
                ask(connection, "INSERT INTO a%d VALUES %s" % (number, ",".join("(%d,%d)" % (i, i) for i in range(first, first + rows))))
            count = ask(connection, "SELECT COUNT(*) FROM a%d" % number)[0][0]
            errors.extend([] if count == 2 * rows else ["%d rows" % count])
        except pymysql.err.Error as e:
            errors.append(repr(e)[:200])
    threads = [threading.Thread(target=insert, args=(n,)) for n in range(clients)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    return errors, "%d clients" % clients


def main():
    parser = driver.parser_of(__doc__, 2)
    parser.set_defaults(option=["--memory=256M"])
    args = parser.parse_args()

    def timed(report, name, test, *arguments):
        """How long it took."""
        began = time.monotonic()
        problems, text = test(*arguments)
        took = time.monotonic() - began
        report.add(name, problems, "%s, %.1f s" % (text, took))
        return took

    def run(node, rand, report):
        path = os.path.join(node.directory, "rows")
        write_rows(path, range(ROWS))
        with node.connect().cursor() as q:
            q.execute("CREATE DATABASE d")
            q.execute("SET GLOBAL local_infile = 1")
        connection = connect(node)
        took = timed(report, "from_client", from_client, connection, path)
        for test in (insert_select, from_itself, duplicate, passed_over):
            timed(report, test.__name__, test, connection, path)
        timed(report, "many_at_once", many_at_once, node)
        for number in range(1, args.cycles + 1):
            ask(connect(node), "SET GLOBAL local_infile = 1")
            timed(report, "kill %d" % number, killed, node, path, rand.uniform(0.3, 1.1) * took)
        timed(report, "decided", decided, node, path)

    return driver.main(args, run)


sys.exit(main())
