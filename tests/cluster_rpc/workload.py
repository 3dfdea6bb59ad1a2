"""Clients of a cluster that know what they were told, and the audit of it.

Each works on one node and goes to another one when its connection breaks. What a client is told is taken at its word:
  - acknowledged: it is there from then on;
  - an error, whatever its number, but 20001: it did not happen;
  - 20001, or the connection was lost while the statement that commits was on its way: unknown. That is counted, and settled by what
    the first audit finds.
"""
import random
import re
import threading
import time

import pymysql

from linear import INFINITE, Op, check

ACCOUNTS = 120
START_BALANCE = 1000
REGISTERS = 12
INSERT_BATCH_MAX = 4
UNKNOWN = 20001
# Errors that a client of a cluster must expect while a node is away: lock wait, deadlock, definition changed (the node had been cut off),
# shutting down, data not available. All of them say for certain that the transaction, or the statement, did not happen.
EXPECTED = {1205, 1213, 1412, 1053, 20005}
LOST = {2003, 2006, 2013}
DATABASE = "cluster_audit"


class Ledger:
    def __init__(self):
        self.lock = threading.Lock()
        self.transfers = {}  # id -> [source, target, amount, state]; state: "acknowledged", "unknown", "refused"
        self.entries = {}  # first id -> [count, state]
        self.registers = {i: [] for i in range(REGISTERS)}
        self.successes = {"transfer": [], "insert": [], "register": []}  # times
        self.counts = {}
        self.texts = {}  # what errors said, without numbers
        self.problems = []
        self.next_id = 1

    def take_ids(self, count=1):
        with self.lock:
            first = self.next_id
            self.next_id += count
            return first

    def count(self, what):
        with self.lock:
            self.counts[what] = self.counts.get(what, 0) + 1

    def note_text(self, code, text):
        text = "%d %s" % (code, re.sub(r"[0-9]+", "#", text))
        with self.lock:
            if len(self.texts) < 40 or text in self.texts:
                self.texts[text] = self.texts.get(text, 0) + 1

    def problem(self, text):
        with self.lock:
            if len(self.problems) < 30:
                self.problems.append(text)


def value_of(row_id):
    return "row %d %d" % (row_id, row_id * 2654435761 % 4294967296)


def prepare(connection):
    with connection.cursor() as c:
        c.execute("CREATE DATABASE " + DATABASE)
        c.execute("USE " + DATABASE)
        c.execute("CREATE TABLE account (id INT PRIMARY KEY, balance INT NOT NULL)")
        c.execute("CREATE TABLE journal (id BIGINT PRIMARY KEY, source INT NOT NULL, target INT NOT NULL, amount INT NOT NULL)")
        c.execute("CREATE TABLE entry (id BIGINT PRIMARY KEY, v VARCHAR(64) NOT NULL)")
        c.execute("CREATE TABLE register (id INT PRIMARY KEY, v BIGINT NOT NULL)")
        c.execute("INSERT INTO account VALUES " + ",".join("(%d,%d)" % (i, START_BALANCE) for i in range(ACCOUNTS)))
        c.execute("INSERT INTO register VALUES " + ",".join("(%d,0)" % i for i in range(REGISTERS)))


class Refused(Exception):
    """The server has said that it did not happen."""


class Lost(Exception):
    """Nobody knows: the connection has gone, or the server said so."""


class Client(threading.Thread):
    autocommit = True

    def __init__(self, cluster, ledger, number, seed, stop):
        super().__init__(daemon=True)
        self.cluster, self.ledger, self.number, self.stop_event = cluster, ledger, number, stop
        self.rand = random.Random(seed)
        self.home = number % len(cluster.nodes)
        self.connection = None

    def connect(self):
        while not self.stop_event.is_set():
            node = self.cluster.nodes[self.home]
            try:
                self.connection = node.connect(port=node.ports[0], database=DATABASE, autocommit=self.autocommit, connect_timeout=2,
                                               read_timeout=30)
                return True
            except (pymysql.Error, OSError) as e:
                code = e.args[0] if e.args and isinstance(e.args[0], int) else 0
                if 1000 <= code < 2000 and code not in EXPECTED:
                    self.ledger.problem("connecting to node %d: %r" % (node.number, e.args))
                self.ledger.count("connection refused")
                self.home = (self.home + 1) % len(self.cluster.nodes)
                self.stop_event.wait(0.02)
        return False

    def disconnect(self):
        if self.connection is not None:
            try:
                self.connection.close()
            except (pymysql.Error, OSError):
                pass
            self.connection = None

    def do(self, cursor, sql, args=None):
        """One statement; Refused or Lost."""
        try:
            cursor.execute(sql, args)
        except (pymysql.Error, OSError) as e:
            self.failed(e)

    def commit(self):
        try:
            self.connection.commit()
        except (pymysql.Error, OSError) as e:
            self.failed(e)

    def failed(self, e):
        code = e.args[0] if e.args and isinstance(e.args[0], int) else 0
        if isinstance(e, pymysql.InterfaceError) or code in LOST or code == 0:
            self.ledger.count("connection lost")
            self.disconnect()
            raise Lost() from e
        self.ledger.count("error %d" % code)
        self.ledger.note_text(code, str(e.args[1]) if len(e.args) > 1 else "")
        if code == UNKNOWN:
            raise Lost() from e
        if code not in EXPECTED:
            self.ledger.problem("%s: unexpected error %r" % (type(self).__name__, e.args))
        raise Refused() from e

    def run(self):
        try:
            while not self.stop_event.is_set():
                if self.connection is None and not self.connect():
                    break
                self.step()
        except Exception as e:  # a client that dies silently would make the audit pass
            self.ledger.problem("%s: %r" % (type(self).__name__, e))
        finally:
            self.disconnect()

    def abandon(self):
        """The transaction is over for the client; a server that is there ends it too."""
        if self.connection is None:
            return
        try:
            self.connection.rollback()
        except (pymysql.Error, OSError):
            self.disconnect()


class Transfers(Client):
    autocommit = False

    def step(self):
        source, target = self.rand.sample(range(ACCOUNTS), 2)
        amount = self.rand.randint(1, 20)
        transfer = self.ledger.take_ids()
        entry = [source, target, amount, "refused"]
        self.ledger.transfers[transfer] = entry
        try:
            with self.connection.cursor() as c:
                self.do(c, "SELECT balance FROM account WHERE id=%s FOR UPDATE", (source,))
                if c.fetchone()[0] < amount:
                    self.abandon()
                    return
                self.do(c, "UPDATE account SET balance=balance-%s WHERE id=%s", (amount, source))
                self.do(c, "UPDATE account SET balance=balance+%s WHERE id=%s", (amount, target))
                self.do(c, "INSERT INTO journal VALUES (%s,%s,%s,%s)", (transfer, source, target, amount))
            if self.rand.random() < 0.05:
                self.abandon()
                return
        except (Refused, Lost):
            self.abandon()
            return
        entry[3] = "unknown"
        try:
            self.commit()
            entry[3] = "acknowledged"
            self.ledger.successes["transfer"].append(time.monotonic())
        except Refused:
            entry[3] = "refused"
            self.abandon()
        except Lost:
            self.ledger.count("unknown transfer")
            self.abandon()


class Inserts(Client):
    def step(self):
        count = self.rand.randint(1, INSERT_BATCH_MAX)
        first = self.ledger.take_ids(count)
        entry = [count, "unknown"]
        self.ledger.entries[first] = entry
        rows = ",".join("(%d,'%s')" % (i, value_of(i)) for i in range(first, first + count))
        try:
            with self.connection.cursor() as c:
                self.do(c, "INSERT INTO entry VALUES " + rows)
            entry[1] = "acknowledged"
            self.ledger.successes["insert"].append(time.monotonic())
        except Refused:
            entry[1] = "refused"
        except Lost:
            self.ledger.count("unknown insert")


class Registers(Client):
    def step(self):
        key = self.rand.randrange(REGISTERS)
        write = self.rand.random() < 0.5
        value = self.ledger.take_ids() if write else None
        start = time.monotonic()
        end = INFINITE
        try:
            with self.connection.cursor() as c:
                if write:
                    self.do(c, "UPDATE register SET v=%s WHERE id=%s", (value, key))
                else:
                    self.do(c, "SELECT v FROM register WHERE id=%s", (key,))
                    value = c.fetchone()[0]
            end = time.monotonic()
            if write:
                self.ledger.successes["register"].append(end)
        except Refused:
            return
        except Lost:
            if not write:
                return
            self.ledger.count("unknown register write")
        self.ledger.registers[key].append(Op("w" if write else "r", value, start, end))


class Snapshots(Client):
    """The total is the same in every snapshot, and a snapshot does not move."""
    autocommit = False

    def step(self):
        try:
            with self.connection.cursor() as c:
                self.do(c, "START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY")
                self.do(c, "SELECT SUM(balance), COUNT(*) FROM account")
                first = c.fetchone()
                self.do(c, "SELECT SUM(id), COUNT(*) FROM journal")
                journal = c.fetchone()
                self.do(c, "SELECT SUM(balance), COUNT(*) FROM account")
                second = c.fetchone()
                self.do(c, "SELECT SUM(id), COUNT(*) FROM journal")
                again = c.fetchone()
            self.commit()
        except (Refused, Lost):
            self.abandon()
            return
        self.ledger.count("snapshots")
        if first != (ACCOUNTS * START_BALANCE, ACCOUNTS):
            self.ledger.problem("a snapshot has %s accounts with a total of %s" % (first[1], first[0]))
        if first != second or journal != again:
            self.ledger.problem("a snapshot moves: %r, then %r" % ((first, journal), (second, again)))
        self.stop_event.wait(0.05)


def check_entries(cursor, ledger, problems):
    cursor.execute("SELECT id, v FROM entry")
    found = dict(cursor.fetchall())
    lost = partial = undead = 0
    for first, entry in ledger.entries.items():
        count, state = entry
        there = 0
        for i in range(first, first + count):
            if i in found:
                there += 1
                if found.pop(i) != value_of(i):
                    problems.append("row %d has another value" % i)
        lost += count - there if state == "acknowledged" else 0
        undead += there if state == "refused" else 0
        partial += state != "acknowledged" and there not in (0, count)
        if state == "unknown":  # from now on it is known
            entry[1] = "acknowledged" if there else "refused"
    for n, text in ((lost, "acknowledged rows lost"), (partial, "inserts are there in part"), (len(found), "rows invented"),
                    (undead, "rows are there although the server said that the insert failed")):
        if n:
            problems.append("%d %s" % (n, text))


def check_transfers(cursor, ledger, problems):
    cursor.execute("START TRANSACTION WITH CONSISTENT SNAPSHOT")
    cursor.execute("SELECT id, balance FROM account")
    balances = dict(cursor.fetchall())
    cursor.execute("SELECT id, source, target, amount FROM journal")
    journal = {row[0]: list(row[1:]) for row in cursor.fetchall()}
    cursor.execute("COMMIT")
    total = sum(balances.values())
    if len(balances) != ACCOUNTS or total != ACCOUNTS * START_BALANCE:
        problems.append("%d accounts with a total of %d, not %d" % (len(balances), total, ACCOUNTS * START_BALANCE))
    expected = dict.fromkeys(range(ACCOUNTS), START_BALANCE)
    for i, (source, target, amount) in journal.items():
        known = ledger.transfers.get(i)
        if known is None or known[:3] != [source, target, amount]:
            problems.append("transfer %d is invented" % i)
        elif known[3] == "refused":
            problems.append("transfer %d is there although the server said that it failed" % i)
        expected[source] -= amount
        expected[target] += amount
    wrong = [i for i in expected if balances.get(i) != expected[i]]
    if wrong:
        problems.append("%d balances contradict the journal, e.g. account %d" % (len(wrong), wrong[0]))
    for i, entry in ledger.transfers.items():
        if entry[3] == "acknowledged" and i not in journal:
            problems.append("acknowledged transfer %d is lost" % i)
        elif entry[3] == "unknown":
            entry[3] = "acknowledged" if i in journal else "refused"


def check_registers(cursor, ledger, problems):
    now = time.monotonic()
    cursor.execute("SELECT id, v FROM register")
    for key, value in cursor.fetchall():
        ledger.registers[key].append(Op("r", value, now, time.monotonic()))
    for key, ops in ledger.registers.items():
        wrong = check(list(ops), 0)
        if wrong is not None:
            problems.append("register %d is not linearizable: %s" % (key, wrong))


def audit(connection, ledger):
    """What is wrong. No client works meanwhile."""
    problems = []
    with connection.cursor() as c:
        check_entries(c, ledger, problems)
        check_transfers(c, ledger, problems)
        check_registers(c, ledger, problems)
    return problems
