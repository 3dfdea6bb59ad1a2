"""CREATE TABLE ... SELECT is all or nothing: somebody who looks all the time sees no table or all of its rows, an error leaves none,
and after kill -9 at a random moment there is none or a whole one. A cycle is one test. Prints a line per test; see run.sh."""
import sys
import threading
import time

import pymysql

import driver

ROWS = 20000
CREATE = "CREATE TABLE made (PRIMARY KEY (id), KEY (n)) SELECT id, n, REPEAT('x', 100) AS t FROM source"


def prepare(node):
    c = node.connect()
    with c.cursor() as q:
        q.execute("CREATE DATABASE d")
        q.execute("CREATE TABLE d.source (id INT PRIMARY KEY, n INT)")
        for first in range(0, ROWS, 1000):
            q.execute("INSERT INTO d.source VALUES " + ",".join("(%d,%d)" % (i, i * 7 % 1000) for i in range(first, first + 1000)))
    c.commit()
    c.close()


def count(connection):
    """Rows by the primary key and by the index; None: there is no table."""
    try:
        with connection.cursor() as q:
            q.execute("SELECT COUNT(*) FROM d.made")
            rows = q.fetchone()[0]
            q.execute("SELECT COUNT(*) FROM d.made FORCE INDEX (n) WHERE n >= 0")
            return rows, q.fetchone()[0]
    except pymysql.err.ProgrammingError as e:
        if e.args[0] != 1146:
            raise
        return None


def problems_of(seen, may_miss):
    if seen is None:
        return [] if may_miss else ["there is no table"]
    return [] if seen == (ROWS, ROWS) else ["a table of %d rows and %d entries" % seen]


class Creator(threading.Thread):
    def __init__(self, node, sql=CREATE):
        super().__init__()
        self.connection, self.sql, self.error, self.done = node.connect(), sql, None, False

    def run(self):
        try:
            with self.connection.cursor() as q:
                q.execute("USE d")
                q.execute(self.sql)
            self.done = True
        except (pymysql.err.Error, OSError, AttributeError) as e:
            self.error = e


def watched(node):
    problems, looks = [], 0
    creator, connection = Creator(node), node.connect()
    creator.start()
    while creator.is_alive():
        problems += problems_of(count(connection), True)
        looks += 1
    creator.join()
    problems += problems_of(count(connection), False)
    if creator.error is not None:
        problems.append(repr(creator.error))
    with connection.cursor() as q:
        q.execute("DROP TABLE d.made")
    return problems, "looked %d times while it was made" % looks


def refused(node):
    problems = []
    connection = node.connect()
    creator = Creator(node, CREATE + " UNION ALL SELECT 17, 0, 'again'")
    creator.start()
    creator.join()
    if not isinstance(creator.error, pymysql.err.IntegrityError):
        problems.append("no duplicate: %r" % (creator.error,))
    if count(connection) is not None:
        problems.append("an error leaves a table")
    return problems, "%r" % (creator.error,)


def killed(node, after):
    creator = Creator(node)
    creator.start()
    time.sleep(after)
    node.kill()
    creator.join()
    node.start()
    connection = node.connect()
    seen = count(connection)
    problems = problems_of(seen, not creator.done)
    with connection.cursor() as q:
        q.execute("DROP TABLE IF EXISTS d.made")
        q.execute("USE d")
        q.execute(CREATE)
    problems += problems_of(count(connection), False)
    with connection.cursor() as q:
        q.execute("DROP TABLE d.made")
    connection.close()
    return problems, "killed after %.3f s, %s" % (after, "no table" if seen is None else "a table")


def main():
    args = driver.parser_of(__doc__, 5).parse_args()

    def run(node, rand, report):
        prepare(node)
        began = time.monotonic()
        report.add("watched", *watched(node))
        took = time.monotonic() - began
        report.add("refused", *refused(node))
        for number in range(1, args.cycles + 1):
            report.add("kill %d" % number, *killed(node, rand.uniform(0.0, 1.2) * took))

    return driver.main(args, run)


sys.exit(main())
