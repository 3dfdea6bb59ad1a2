"""A connection that comes back on another node, what its errors mean, and a load of such clients in threads."""
import random
import threading
import time

import pymysql

from nemesis import Nemesis

UNKNOWN = 20001  # the transaction may or may not be committed
# Lock wait, deadlock, definition changed, shutting down, data not available: for certain it did not happen.
EXPECTED = {1205, 1213, 1412, 1053, 20005}
LOST = {0, 2003, 2006, 2013, 2014}


def code_of(e):
    return e.args[0] if e.args and isinstance(e.args[0], int) else 0


def is_lost(e):
    """The connection is gone."""
    return isinstance(e, (pymysql.InterfaceError, OSError)) or code_of(e) in LOST


class Connection:
    """Of one of the nodes; goes on to the next when that one does not answer."""

    def __init__(self, database, ports, home, stop):
        self.database, self.ports, self.home, self.stop = database, ports, home, stop
        self.connection = None

    def connect(self):
        """False: the load has ended."""
        while not self.stop.is_set():
            try:
                self.connection = pymysql.connect(host="127.0.0.1", port=self.ports[self.home % len(self.ports)], user="root",
                                                  password="", database=self.database, autocommit=True, connect_timeout=3,
                                                  read_timeout=40)
                self.cursor = self.connection.cursor()
                self.cursor.execute("SET innodb_lock_wait_timeout = 2")
                return True
            except (pymysql.Error, OSError):
                self.home += 1
                self.stop.wait(0.05)
        return False

    def ready(self):
        return self.connection is not None or self.connect()

    def give_up(self, lost):
        """The transaction, and with it a connection that is lost."""
        try:
            if not lost:
                self.cursor.execute("ROLLBACK")
                return
        except (pymysql.Error, OSError):
            pass
        self.close()

    def close(self):
        if self.connection is not None:
            self.connection.close()
        self.connection = None


class Client(threading.Thread, Connection):
    """Does one() until the end. `refused` are errors that its statements may meet by their nature."""
    refused = set()

    def __init__(self, database, number, ports, seed, stop, problems, done):
        threading.Thread.__init__(self)
        Connection.__init__(self, database, ports, number, stop)
        self.rand = random.Random(seed)
        self.problems, self.done = problems, done

    def count(self, what):
        self.done[what] = self.done.get(what, 0) + 1

    def run(self):
        while not self.stop.is_set() and self.ready():
            try:
                self.one()
            except (pymysql.Error, OSError) as e:
                lost, code = is_lost(e), code_of(e)
                if not lost and code not in EXPECTED | self.refused and code != UNKNOWN:
                    self.problems.append("unexpected error %r" % (e.args,))
                self.count("lost" if lost else "refused" if code in self.refused else "error %d" % code)
                self.give_up(lost)
        self.close()


def run_load(kind, database, tables, threads, at_end, least):
    """What driver.main runs: `kind` clients in `threads` threads on tables made by the statements `tables`; at_end(cursor, problems)
    looks at what is left. Fewer changes than `least` are a problem."""

    def run(cluster, seconds, rand, kills):
        ports = [n.ports[0] for n in cluster.nodes]
        with cluster.nodes[0].connect() as setup, setup.cursor() as c:
            for statement in ["CREATE DATABASE " + database, "USE " + database] + tables:
                c.execute(statement)
        nemesis = Nemesis(cluster, rand, kills)
        nemesis.prepare()
        stop, problems, done = threading.Event(), [], {}
        clients = [kind(database, i, ports, rand.getrandbits(24), stop, problems, done) for i in range(threads)]
        for t in clients:
            t.start()
        nemesis.start()
        time.sleep(seconds)
        stop.set()
        for t in clients:
            t.join()
        nemesis.finish()
        with cluster.nodes[0].connect(database=database) as last, last.cursor() as c:
            at_end(c, problems)
        if done.get("changes", 0) < least:
            problems.append("hardly anything was done: %r" % done)
        done.update(nemesis.done)
        return problems, ", ".join("%d %s" % (n, k) for k, n in sorted(done.items()))

    return run
