"""A node on a disk that fills up: first by its own writes, then, at full speed, by somebody else and to the last byte.

Writers insert rows all the time and keep count of what was acknowledged. While the disk is full every statement has to end soon,
writes with 1021, reads with their rows. The node is killed and started on the full disk, gets space again, and has to go on by
itself. At the end every acknowledged row is there. main() of bad_input.py runs it."""
import base64
import os
import shutil
import subprocess
import threading
import time

import pymysql

from keys import FIRST_TABLE, key_of
from node import StartFailed

DISK_SIZE = 700 << 20
# Bounds for two slow cores under other load; a node that hangs or forgets to go on does so for ever.
STATEMENT_MAX_S = 30  # for any statement, whatever the disk does
REFUSED_MAX_S = 60  # from too little space to the third refusal of every writer
RESUME_MAX_S = 20  # from space to the first write
ROW_SIZE = 16 << 10
FAR = 1000000000000  # added to an id: it is in another range
# Rows that do not compress: the disk is full of data and not of log and files to be compacted. Harder.
RANDOM_ROWS = os.environ.get("SKEIN_FULL_DISK_RANDOM") == "1"


class Skip(Exception):
    pass


def mount_tmpfs(path, size):
    os.makedirs(path, exist_ok=True)
    if os.geteuid() != 0:
        raise Skip("mounting a tmpfs needs root")
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=%d" % size, "skein_crash", path], capture_output=True, check=False)
    if done.returncode != 0:
        raise Skip("no tmpfs here: " + done.stderr.decode().strip())


def fill(path, leave):
    """A file that takes the file system down to `leave` bytes; 0: to the last one. Goes on where it stopped."""
    with open(path, "ab", buffering=0) as f:
        try:
            while leave == 0 or shutil.disk_usage(path).free > leave:
                f.write(bytes(1 << 20))
        except OSError:
            pass


class Adversary(threading.Thread):
    """Somebody who takes whatever comes free, at once: nothing that the node gives back can be had again."""

    def __init__(self, path):
        super().__init__(daemon=True)
        self.path = path
        self.stopping = threading.Event()

    def run(self):
        while not self.stopping.is_set():
            fill(self.path, 0)
            time.sleep(0.001)

    def stop(self):
        self.stopping.set()
        self.join()


class Writer(threading.Thread):
    """The odd ones write each row in a transaction over two ranges."""

    def __init__(self, node, index, acknowledged):
        super().__init__(daemon=True)
        self.node, self.index, self.acknowledged = node, index, acknowledged
        self.port = node.mysql_port
        self.stopping = threading.Event()
        self.refused = self.written = 0
        self.slowest = 0.0
        self.began = None
        self.unexpected = []

    def run(self):
        try:
            connection = self.node.connect(port=self.port, read_timeout=120)
            with connection.cursor() as c:
                while not self.stopping.is_set():
                    self.step(c)
            connection.close()
        except (pymysql.Error, OSError) as e:
            self.unexpected.append("a writer lost its connection: %r" % (e.args,))

    def step(self, cursor):
        row = len(self.acknowledged[self.index])
        self.began = time.monotonic()
        try:
            value = base64.b64encode(os.urandom(ROW_SIZE // 4 * 3)).decode() if RANDOM_ROWS else "x" * ROW_SIZE
            if self.written % 64 == 63:
                time.sleep(0.02)  # rows that compress well make no end of the reads that count them
            key = self.index * 1000000000 + row
            values = "(%d, '%s')" % (key, value)
            if self.index % 2 == 1:
                values += ", (%d, 'far')" % (key + FAR)
            cursor.execute("INSERT INTO full_disk.t VALUES " + values)
            self.acknowledged[self.index].append(row)
            self.written += 1
        except pymysql.Error as e:
            if e.args[0] in (1021, 1041):
                self.refused += 1
            elif e.args[0] == 1062:
                # An earlier attempt of which no word came is there: it counts from now on.
                self.acknowledged[self.index].append(row)
            else:
                raise
            time.sleep(0.02)
        finally:
            self.slowest = max(self.slowest, time.monotonic() - self.began)
            self.began = None

    def waiting(self):
        began = self.began
        return 0.0 if began is None else time.monotonic() - began


class Case:
    def __init__(self, node, mount):
        self.node, self.mount = node, mount
        self.filler = os.path.join(mount, "filler")
        self.adversary = None
        self.problems = []
        self.acknowledged = [[] for _ in range(4)]
        self.writers = []

    def query(self, sql, **options):
        options.setdefault("read_timeout", STATEMENT_MAX_S)
        connection = self.node.connect(**options)
        try:
            with connection.cursor() as c:
                c.execute(sql)
                return c.fetchall()
        finally:
            connection.close()

    def split(self):
        """Between the rows and those far off."""
        for table in range(FIRST_TABLE, FIRST_TABLE + 8):
            self.node.http("/range/split?key=" + key_of(table, FAR // 2, wide=True), b"", 10)

    def start_writers(self):
        self.writers = [Writer(self.node, i, self.acknowledged) for i in range(len(self.acknowledged))]
        for w in self.writers:
            w.start()

    def stop_writers(self, what):
        for w in self.writers:
            w.stopping.set()
        for w in self.writers:
            w.join(STATEMENT_MAX_S)
        for w in self.writers:
            if w.is_alive():
                self.problems.append("%s: an INSERT waits for %.0f s" % (what, w.waiting()))
            self.problems += ["%s: %s" % (what, text) for text in w.unexpected]
        print("     %s: %d rows written, %d refused, slowest statement %.2f s, %.1f MiB free" % (
            what, sum(w.written for w in self.writers), sum(w.refused for w in self.writers),
            max(w.slowest for w in self.writers), shutil.disk_usage(self.mount).free / (1 << 20)), flush=True)

    def wait_for_refusals(self, what):
        before = [w.refused for w in self.writers]
        deadline = time.monotonic() + REFUSED_MAX_S
        while time.monotonic() < deadline:
            if all(w.refused > b + 2 for w, b in zip(self.writers, before)):
                return
            time.sleep(0.1)
        self.problems.append("%s: not every writer was refused within %d s (%r)" % (what, REFUSED_MAX_S, [w.waiting() for w in self.writers]))

    def check_reads(self, what):
        try:
            count = sum(len(rows) for rows in self.acknowledged)
            far_count = sum(len(rows) for rows in self.acknowledged[1::2])
            began = time.monotonic()
            if self.query("SELECT LENGTH(v) FROM full_disk.t WHERE id = 0")[0][0] != ROW_SIZE:
                self.problems.append("%s: a row is wrong" % what)
            near, far = self.query("SELECT SUM(id < %d), SUM(id >= %d) FROM full_disk.t" % (FAR, FAR))[0]
            if near < count or far < far_count:
                self.problems.append("%s: acknowledged rows are missing" % what)
            connection = self.node.connect(autocommit=False, read_timeout=STATEMENT_MAX_S)
            with connection.cursor() as c:
                c.execute("SELECT COUNT(*) FROM full_disk.t WHERE id < 100")
                c.execute("SELECT MAX(id) FROM full_disk.t")
            connection.commit()
            connection.close()
            print("     %s: reads took %.2f s" % (what, time.monotonic() - began), flush=True)
        except (pymysql.Error, OSError) as e:
            self.problems.append("%s: a read says %r" % (what, e.args))

    def expect_write(self, what):
        began = time.monotonic()
        while time.monotonic() - began < RESUME_MAX_S:
            try:
                self.query("REPLACE INTO full_disk.t VALUES (-1, '%s')" % what)
                print("     %s: written after %.2f s" % (what, time.monotonic() - began), flush=True)
                return
            except (pymysql.Error, OSError):
                time.sleep(0.1)
        self.problems.append("%s: no write within %d s" % (what, RESUME_MAX_S))

    def begin_adversary(self):
        self.adversary = Adversary(self.filler)
        self.adversary.start()

    def free_space(self):
        if self.adversary:
            self.adversary.stop()
            self.adversary = None
        os.unlink(self.filler)

    def restart(self, what):
        """On a full disk the start may be refused, then with a message that says so."""
        if self.node.alive():
            self.node.kill()
        began = time.monotonic()
        try:
            self.node.start()
            print("     %s: started after %.2f s" % (what, time.monotonic() - began), flush=True)
            return True
        except StartFailed as e:
            text = str(e)
            print("     %s: refused: %s" % (what, text.strip().splitlines()[-1]), flush=True)
            if "space" not in text and "full" not in text and "room" not in text:
                self.problems.append("%s: the start fails and does not say why: %s" % (what, text))
            return False


def run(node, mount):
    case = Case(node, mount)
    case.query("CREATE DATABASE full_disk")
    case.query("CREATE TABLE full_disk.t (id BIGINT PRIMARY KEY, v MEDIUMTEXT)")
    case.query("INSERT INTO full_disk.t VALUES (%d, 'far')" % (FAR - 1))
    case.split()

    case.start_writers()
    time.sleep(0.5)
    fill(case.filler, 150 << 20)
    case.wait_for_refusals("filled by its own writes")
    case.check_reads("filled by its own writes")
    case.free_space()
    case.expect_write("after the first time")
    time.sleep(0.5)  # at full speed again
    case.begin_adversary()
    case.wait_for_refusals("filled by others")
    case.check_reads("filled by others")
    time.sleep(4)  # longer than timestamps are reserved ahead
    case.check_reads("some seconds later")
    case.stop_writers("filled by others")
    if not node.alive():
        return case.problems + ["the node has died of a full disk; log ends with:\n" + node.log_tail()]

    if case.restart("killed, on the full disk"):
        case.check_reads("started on the full disk")
    case.free_space()
    if not node.alive():
        case.restart("with space again")
    case.expect_write("with space again")
    case.start_writers()
    time.sleep(0.3)
    case.stop_writers("with space again")
    case.restart("killed again")
    case.check_reads("killed again")

    # Filled while the node is down: if there was room for the ballast again, the node gives it up and starts.
    deadline = time.monotonic() + 3
    ballast = os.path.join(node.data, "ballast")
    while not os.path.exists(ballast) and time.monotonic() < deadline:
        time.sleep(0.1)
    node.kill()
    ready = os.path.exists(ballast)
    fill(case.filler, 0)
    if not case.restart("started on a full disk"):
        if not ready:
            case.free_space()
            case.restart("at the end")
            case.check_reads("at the end")
            return case.problems
        case.problems.append("the node does not start on a disk that was filled while it was down")
        return case.problems
    case.start_writers()
    case.wait_for_refusals("started on a full disk")
    case.check_reads("started on a full disk")
    case.stop_writers("started on a full disk")
    began = time.monotonic()
    status = node.stop(STATEMENT_MAX_S)
    print("     stopped on a full disk: %s after %.2f s" % (status, time.monotonic() - began), flush=True)
    if status != 0:
        case.problems.append("on a full disk SIGTERM ends with %r" % (status,))
    case.free_space()
    case.restart("with space once more")
    case.expect_write("at the end")
    case.restart("at the end")
    case.check_reads("at the end")
    return case.problems
