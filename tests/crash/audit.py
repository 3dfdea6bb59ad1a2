"""Acknowledged writes survive kill -9: transfers between accounts keep their total, acknowledged inserts stay, nothing else appears.

Each insert carries an id that only its writer knows and is recorded in three steps: intended (before it is sent), acknowledged
(the commit has answered), and, when the connection broke in between, unknown. After a restart every acknowledged id must be
there, with its value; an id that was never sent must not be; an unknown one may be either, but a batch is there as a whole or not
at all. Transfers also write a row into a journal in the same transaction: the balances must be what the journal says."""
import random
import threading
import time

import pymysql
from keys import FIRST_TABLE, key_of

ACCOUNTS = 200
START_BALANCE = 1000
INSERT_BATCH_MAX = 5
TRANSIENT = {1205, 1213, 1180, 1020}  # lock wait, deadlock, commit refused: the transaction is rolled back and tried again


class Ledger:
    """What the clients know, over all cycles."""

    def __init__(self):
        self.lock = threading.Lock()
        self.batches = {}  # first id -> (count, "sent" | "acknowledged" | "unknown")
        self.transfers = {}  # transfer id -> (source, target, amount, state)
        self.next_id = 1
        self.errors = []

    def take_ids(self, count):
        with self.lock:
            first = self.next_id
            self.next_id += count
            return first

    def error(self, text):
        with self.lock:
            if len(self.errors) < 20:
                self.errors.append(text)


def value_of(row_id):
    return "row %d %d" % (row_id, row_id * 2654435761 % 4294967296)


def prepare(connection):
    with connection.cursor() as c:
        c.execute("CREATE DATABASE crash_audit")
        c.execute("USE crash_audit")
        c.execute("CREATE TABLE account (id INT PRIMARY KEY, balance INT NOT NULL)")
        c.execute("CREATE TABLE journal (id BIGINT PRIMARY KEY, source INT NOT NULL, target INT NOT NULL, amount INT NOT NULL)")
        c.execute("CREATE TABLE entry (id BIGINT PRIMARY KEY, v VARCHAR(64) NOT NULL)")
        c.execute("INSERT INTO account VALUES " + ",".join("(%d,%d)" % (i, START_BALANCE) for i in range(ACCOUNTS)))


class Worker(threading.Thread):
    """A connection that works until the server goes away or `stop` is set."""

    def __init__(self, node, ledger, seed, stop, prepared):
        super().__init__(daemon=True)
        self.node, self.ledger, self.rand, self.stop_event = node, ledger, random.Random(seed), stop
        self.port = node.mysql_port
        self.prepared = prepared
        self.done = 0

    def run(self):
        try:
            connection = self.node.connect(port=self.port, database="crash_audit", autocommit=self.autocommit)
        except (pymysql.Error, OSError):
            return
        try:
            while not self.stop_event.is_set():
                self.step(connection)
                self.done += 1
        except (pymysql.OperationalError, pymysql.InterfaceError, OSError) as e:
            # 2006, 2013 and their like: the server has gone. 1053: it stops.
            code = e.args[0] if e.args else 0
            if isinstance(code, int) and 1000 <= code < 2000 and code != 1053:
                self.ledger.error("%s: unexpected error %r" % (type(self).__name__, e.args))
        except pymysql.Error as e:
            self.ledger.error("%s: unexpected error %r" % (type(self).__name__, e.args))
        finally:
            try:
                connection.close()
            except (pymysql.Error, OSError):
                pass


class Transfers(Worker):
    autocommit = False

    def step(self, connection):
        source, target = self.rand.sample(range(ACCOUNTS), 2)
        amount = self.rand.randint(1, 20)
        transfer = self.ledger.take_ids(1)
        with connection.cursor() as c:
            try:
                c.execute("SELECT balance FROM account WHERE id=%s FOR UPDATE", (source,))
                if c.fetchone()[0] < amount:
                    connection.rollback()
                    return
                c.execute("UPDATE account SET balance=balance-%s WHERE id=%s", (amount, source))
                c.execute("UPDATE account SET balance=balance+%s WHERE id=%s", (amount, target))
                c.execute("INSERT INTO journal VALUES (%s,%s,%s,%s)", (transfer, source, target, amount))
                if self.rand.random() < 0.05:
                    connection.rollback()
                    return
                self.ledger.transfers[transfer] = (source, target, amount, "unknown")
                connection.commit()
                self.ledger.transfers[transfer] = (source, target, amount, "acknowledged")
            except pymysql.Error as e:
                if not e.args or e.args[0] not in TRANSIENT:
                    raise
                connection.rollback()
                self.ledger.transfers.pop(transfer, None)


class Inserts(Worker):
    autocommit = True

    def step(self, connection):
        count = self.rand.randint(1, INSERT_BATCH_MAX)
        first = self.ledger.take_ids(count)
        rows = ",".join("(%d,'%s')" % (i, value_of(i)) for i in range(first, first + count))
        self.ledger.batches[first] = (count, "unknown")
        with connection.cursor() as c:
            c.execute("INSERT INTO entry VALUES " + rows)
        self.ledger.batches[first] = (count, "acknowledged")


def split_key(rand):
    """A key between rows of one of the three tables."""
    table = FIRST_TABLE + rand.randrange(4)
    if rand.random() < 0.5:
        return key_of(table, rand.randrange(ACCOUNTS))
    return key_of(table, rand.randrange(1, 100000), wide=True)


def split_ranges(node, count, seed, seconds, stop):
    """Splits ranges while the load runs, so that transactions meet splits and commit over several ranges."""
    rand = random.Random(seed)
    for _ in range(count):
        if stop.wait(rand.uniform(0, seconds / count)):
            return
        try:
            node.http("/range/split?key=" + split_key(rand), b"", 10)
        except OSError:
            return


def run_load(node, ledger, seed, seconds, connections, splits):
    """Runs the load and kills the node in the middle of it. Returns the number of operations."""
    stop = threading.Event()
    threading.Thread(target=split_ranges, args=(node, splits, seed, seconds, stop), daemon=True).start()
    workers = [(Transfers if i % 2 == 0 else Inserts)(node, ledger, seed * 1000 + i, stop, False) for i in range(connections)]
    for w in workers:
        w.start()
    time.sleep(seconds)
    until = time.monotonic() + 30
    while not any(w.done for w in workers) and node.alive() and time.monotonic() < until:
        time.sleep(0.01)  # nothing yet, on a busy machine
    died = not node.alive()
    node.kill()
    stop.set()
    for w in workers:
        w.join(30)
        if w.is_alive():
            ledger.error("a client hangs 30 s after the server has gone")
    if died:
        ledger.error("the node had died before it was killed; log ends with:\n" + node.log_tail())
    return sum(w.done for w in workers)


def check_inserts(cursor, ledger, problems):
    cursor.execute("SELECT id, v FROM entry")
    found = dict(cursor.fetchall())
    lost = partial = 0
    for first, (count, state) in ledger.batches.items():
        there = sum(1 for i in range(first, first + count) if i in found)
        if state == "acknowledged" and there != count:
            lost += count - there
        elif there not in (0, count):
            partial += 1
        if state == "unknown":  # from now on it is known
            ledger.batches[first] = (count if there else 0, "acknowledged")
        for i in range(first, first + count):
            if i in found and found.pop(i) != value_of(i):
                problems.append("row %d has another value" % i)
    if lost:
        problems.append("%d acknowledged rows lost" % lost)
    if partial:
        problems.append("%d inserts are there in part" % partial)
    if found:
        problems.append("%d rows invented, e.g. %r" % (len(found), sorted(found)[:5]))


def check_transfers(cursor, ledger, problems):
    cursor.execute("SELECT id, balance FROM account")
    balances = dict(cursor.fetchall())
    cursor.execute("SELECT id, source, target, amount FROM journal")
    journal = {row[0]: row[1:] for row in cursor.fetchall()}
    total = sum(balances.values())
    if len(balances) != ACCOUNTS or total != ACCOUNTS * START_BALANCE:
        problems.append("%d accounts with a total of %d, not %d" % (len(balances), total, ACCOUNTS * START_BALANCE))
    lost = [t for t, x in ledger.transfers.items() if x[3] == "acknowledged" and journal.get(t) != x[:3]]
    invented = [t for t, x in journal.items() if ledger.transfers.get(t, (None,) * 4)[:3] != x]
    if lost:
        problems.append("%d acknowledged transfers lost, e.g. %r" % (len(lost), lost[:5]))
    if invented:
        problems.append("%d transfers invented, e.g. %r" % (len(invented), invented[:5]))
    expected = dict.fromkeys(range(ACCOUNTS), START_BALANCE)
    for source, target, amount in journal.values():
        expected[source] -= amount
        expected[target] += amount
    wrong = [i for i in expected if balances.get(i) != expected[i]]
    if wrong:
        problems.append("%d balances contradict the journal, e.g. account %d" % (len(wrong), wrong[0]))
    for t, x in list(ledger.transfers.items()):
        if x[3] == "unknown":
            if t in journal:
                ledger.transfers[t] = x[:3] + ("acknowledged",)
            else:
                del ledger.transfers[t]


def check(connection, ledger):
    """The audit after a restart: a list of problems."""
    problems = list(ledger.errors)
    ledger.errors.clear()
    with connection.cursor() as c:
        c.execute("USE crash_audit")
        check_inserts(c, ledger, problems)
        check_transfers(c, ledger, problems)
        c.execute("INSERT INTO entry VALUES (0, 'x')")
        c.execute("DELETE FROM entry WHERE id=0")
    return problems
