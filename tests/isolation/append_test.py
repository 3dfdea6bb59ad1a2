#!/usr/bin/python3
"""List-append histories over SQL, checked for cycles (graph.py): on one node whose ranges are split under the load, and on three whose
leases go from node to node.

    append_test.py --binary PATH [--only one|three|kill] [--seconds 4] [--seed N] [--keep]

`kill` is three nodes of which one after another is killed and started again; it runs only when asked for."""
import multiprocessing
import random
import sys
import threading
import time

import pymysql

import driver
import graph
from client import EXPECTED, UNKNOWN, Connection, code_of, is_lost
from nemesis import Nemesis

KEYS = 24
PROCESSES = 3
THREADS = 4
DATABASE = "append_test"
TABLE = """CREATE TABLE list (id INT PRIMARY KEY, n INT NOT NULL, v TEXT NOT NULL, INDEX by_length (n))"""


class Failed(Exception):
    """state: what has become of what was being done: "no" or "unknown"."""

    def __init__(self, state, lost):
        super().__init__(state)
        self.state, self.lost = state, lost


def values_of(text):
    return [int(x) for x in text.split(",") if x]


class Client(Connection):
    """Records are plain tuples, because they go from process to process:
    (kind, name, start, end, [(key, value, state)], [(key, values or their number)])"""

    def __init__(self, number, ports, seed, stop, records, problems, still):
        super().__init__(DATABASE, ports, number, stop)
        self.number = number
        self.still = still  # no lease moves
        self.rand = random.Random(seed)
        self.records, self.problems = records, problems
        self.serial = 0

    # ---- statements ----

    def do(self, sql, decides=False):
        """decides: its success is the success of a transaction."""
        try:
            self.cursor.execute(sql)
            return self.cursor.fetchall()
        except (pymysql.Error, OSError) as e:
            code, lost = code_of(e), is_lost(e)
            if not lost and code not in EXPECTED and code != UNKNOWN:
                self.problems.append("unexpected error %r of %s" % (e.args, sql[:200]))
            raise Failed("unknown" if decides and (lost or code == UNKNOWN) else "no", lost) from e

    def new_value(self):
        """Unique, also when the number of a list is added."""
        self.serial += 1
        return (self.serial * 1000 + self.number) * 100

    def name(self):
        return "%d.%d" % (self.number, self.serial)

    def record(self, kind, start, end, appends, reads):
        self.records.append((kind, self.name(), start, end, appends, reads))

    # ---- reads ----

    def some_read(self, suffix=""):
        """[(key, values or number)]; suffix: how it locks."""
        r = self.rand
        how = r.randrange(6)
        if how == 0:
            keys = r.sample(range(KEYS), r.randint(2, 5))
            rows = self.do("SELECT id, v FROM list WHERE id IN (%s)%s" % (",".join(map(str, keys)), suffix))
        elif how == 1 or (suffix and how > 2):
            rows = self.do("SELECT id, v FROM list WHERE id = %d%s" % (r.randrange(KEYS), suffix))
        elif how == 2:
            low = r.randrange(KEYS)
            rows = self.do("SELECT id, v FROM list WHERE id BETWEEN %d AND %d%s" % (low, low + 5, suffix))
        elif how == 3:
            rows = self.do("SELECT id, n FROM list FORCE INDEX (by_length) WHERE n >= 0 ORDER BY n")
            self.complete(rows)
            return [(k, n) for k, n in rows]
        else:
            rows = self.do("SELECT id, v FROM list ORDER BY id" + (" DESC" if how == 4 else ""))
            self.complete(rows)
        return [(k, values_of(v)) for k, v in rows]

    def complete(self, rows):
        if sorted(k for k, _ in rows) != list(range(KEYS)):
            self.problems.append("%s: a read of all lists gives %s" % (self.level, [k for k, _ in rows]))

    # ---- transactions ----

    def append(self, key, value):
        self.do("UPDATE list SET n = n + 1, v = CONCAT(v, '%d,') WHERE id = %d" % (value, key))

    def reader(self):
        level = self.rand.choice(["REPEATABLE READ", "REPEATABLE READ", "READ COMMITTED"])
        self.level = level
        self.do("SET TRANSACTION ISOLATION LEVEL " + level)
        start = time.monotonic()
        self.do(self.rand.choice(["START TRANSACTION", "START TRANSACTION READ ONLY",
                                  "START TRANSACTION WITH CONSISTENT SNAPSHOT" if level[0:3] == "REP" else "BEGIN"]))
        reads = []
        for i in range(self.rand.randint(1, 4)):
            began = time.monotonic()
            now = self.some_read()
            if level == "READ COMMITTED":
                self.record("snapshot", began, time.monotonic(), [], now)
            reads += now
        if level != "READ COMMITTED":
            self.record("snapshot", start, time.monotonic(), [], reads)
        self.do("COMMIT")

    def writer(self):
        r = self.rand
        level = r.choice(["REPEATABLE READ", "REPEATABLE READ", "READ COMMITTED"] + ["SERIALIZABLE"])
        self.level = level
        self.serial += 1
        appends, locked, snapshot = [], [], []
        began = first = last = 0
        try:
            self.do("SET TRANSACTION ISOLATION LEVEL " + level)
            self.do("BEGIN")
            for _ in range(r.randint(1, 4)):
                what = r.randrange(4)
                mine = {a[0] for a in appends}
                if what == 0:
                    began = time.monotonic()
                    rows = [x for x in self.some_read() if x[0] not in mine]
                    last = time.monotonic()
                    first = first or began
                    if level == "READ COMMITTED":
                        self.record("snapshot", began, last, [], rows)
                    else:
                        (locked if level == "SERIALIZABLE" else snapshot).extend(rows)
                elif what == 1:
                    locked += [x for x in self.some_read(r.choice([" FOR UPDATE", " FOR SHARE"])) if x[0] not in mine]
                else:
                    key = r.randrange(KEYS)
                    if key not in mine:
                        value = self.new_value() + 99
                        appends.append((key, value))
                        self.append(key, value)
            start = time.monotonic()
            if r.random() < 0.06:
                self.do("ROLLBACK")
                state = "no"
            else:
                self.do("COMMIT", decides=True)
                state = "yes"
            end = time.monotonic()
        except Failed as e:
            if e.state == "unknown":
                self.record("commit", start, graph.INFINITE, [(k, v, "unknown") for k, v in appends], locked)
            else:
                self.record("commit", 0, graph.INFINITE, [(k, v, "no") for k, v in appends], [])
            if snapshot and last:
                self.record("snapshot", first, last, [], snapshot)
            raise
        # who has written nothing is not asked at the end whether its locks have gone with a lease
        asked = state == "yes" and (appends or self.still)
        self.record("commit", start, end, [(k, v, state) for k, v in appends], locked if asked else [])
        if snapshot:
            self.record("snapshot", first, last, [], snapshot)

    def single(self):
        """A statement by itself."""
        self.level = "autocommit"
        start = time.monotonic()
        if self.rand.random() < 0.5:
            rows = self.some_read()
            self.record("read", start, time.monotonic(), [], rows)
            return
        keys = self.rand.sample(range(KEYS), self.rand.choice([1, 1, 2, 3]))
        value = self.new_value()
        # the same text goes to all: values are made different by the key
        sql = "UPDATE list SET n = n + 1, v = CONCAT(v, %d + id, ',') WHERE id IN (%s)" % (value, ",".join(map(str, keys)))
        state, end = "yes", graph.INFINITE
        try:
            self.do(sql, decides=True)
            end = time.monotonic()
        except Failed as e:
            state = e.state
            raise
        finally:
            self.record("commit", start, end, [(k, value + k, state) for k in keys], [])

    def run(self):
        while not self.stop.is_set() and self.ready():
            try:
                self.rand.choice([self.reader, self.writer, self.writer, self.single])()
            except Failed as e:
                self.give_up(e.lost)
        self.close()


def client_process(number, ports, seed, stop, queue, still):
    records, problems = [], []
    clients = [Client(number * THREADS + i, ports, seed * 100 + i, stop, records, problems, still) for i in range(THREADS)]
    threads = [threading.Thread(target=c.run) for c in clients]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    queue.put((records, problems))


def check(final, records):
    """(problems, number of commits, of snapshots)"""
    h = graph.History(final)
    commits = snapshots = 0
    for kind, name, start, end, appends, reads in records:
        e = graph.Event(name, kind, start, end)
        for key, value, state in appends:
            h.appended(e, key, value, state)
        if appends and not e.appends and end == graph.INFINITE:
            continue  # it did not happen
        for key, seen in reads:
            h.read(e, key, final[key][:seen] if isinstance(seen, int) else seen)
        h.add(e)
        commits += bool(e.appends)
        snapshots += bool(reads)
    return h.check(), commits, snapshots


def run_history(cluster, seconds, rand, kills):
    """(problems, a line about it)"""
    ports = [n.ports[0] for n in cluster.nodes]
    setup = cluster.nodes[0].connect()
    with setup.cursor() as c:
        c.execute("CREATE DATABASE " + DATABASE)
        c.execute("USE " + DATABASE)
        c.execute(TABLE)
        c.execute("INSERT INTO list VALUES " + ",".join("(%d, 0, '')" % i for i in range(KEYS)))
    nemesis = Nemesis(cluster, rand, kills)
    nemesis.prepare()
    stop, queue = multiprocessing.Event(), multiprocessing.Queue()
    still = len(ports) == 1
    workers = [multiprocessing.Process(target=client_process, args=(i, ports[i:] + ports[:i], rand.getrandbits(24), stop, queue,
                                                                    still))
               for i in range(PROCESSES)]
    for w in workers:
        w.start()
    nemesis.start()
    time.sleep(seconds)
    stop.set()
    results = [queue.get(timeout=90) for _ in workers]
    for w in workers:
        w.join()
    nemesis.finish()
    setup.close()
    with cluster.nodes[0].connect(database=DATABASE) as last, last.cursor() as c:
        c.execute("SELECT id, v, n FROM list")
        rows = c.fetchall()
    final = {k: values_of(v) for k, v, _ in rows}
    problems = ["list %d has %d elements and says %d" % (k, len(final[k]), n) for k, _, n in rows if n != len(final[k])]
    records = [r for found, _ in results for r in found]
    for _, more in results:
        problems += more
    found, commits, snapshots = check(final, records)
    line = "%d commits, %d reads; %s" % (commits, snapshots, ", ".join("%d %s" % (n, k) for k, n in sorted(nemesis.done.items())))
    return problems + found, line


if __name__ == "__main__":
    graph.self_test()
    sys.exit(driver.main("transactions", __doc__, run_history))
