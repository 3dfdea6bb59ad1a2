#!/usr/bin/env python3
"""The life of ranges on real processes: merged by command and by themselves, split by load, rebuilt on a node that has lost its disk,
spread over a node that joins, gone from one that leaves. All of it while clients write, who watch that nothing is lost.

The figures it prints depend on the machine; the limits that it checks are wide."""
import argparse
import multiprocessing
import os
import random
import shutil
import sys
import threading
import time
import traceback

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import pymysql  # noqa: E402
from cluster import Cluster  # noqa: E402
from operate import Run as Operator  # noqa: E402

ROW = "x" * 200


class Writers:
    """Clients that insert rows one by one through given nodes, and know what was acknowledged, and when."""

    def __init__(self, nodes, table, count=8):
        self.nodes, self.table, self.stop = nodes, table, False
        self.times = [[] for _ in range(count)]
        self.acknowledged = [0] * count
        self.problems = []
        self.threads = [threading.Thread(target=self.run, args=(i,), daemon=True) for i in range(count)]
        for t in self.threads:
            t.start()

    def run(self, who):
        connection = None
        at = 0
        while not self.stop:
            try:
                if connection is None:
                    node = self.nodes[(who + at) % len(self.nodes)]
                    at += 1
                    connection = node.connect(read_timeout=20)
                key = who * 100000000 + self.acknowledged[who]
                with connection.cursor() as c:
                    c.execute("INSERT INTO %s VALUES (%d, '%s')" % (self.table, key, ROW))
                self.done(who)
            except pymysql.err.IntegrityError:
                self.done(who)  # an answer was lost, the row was not
            except (pymysql.Error, OSError) as e:
                self.problems.append(repr(e)[:200])
                connection = None
                time.sleep(0.05)

    def done(self, who):
        self.acknowledged[who] += 1
        self.times[who].append(time.monotonic())

    def rate(self, begin, end):
        n = sum(1 for times in self.times for t in times if begin <= t < end)
        return n / max(end - begin, 0.001)

    def longest_gap(self, begin, end):
        """In which nobody could write."""
        all_times = sorted(t for times in self.times for t in times if begin <= t < end)
        return max((b - a for a, b in zip(all_times, all_times[1:])), default=end - begin)

    def slowest_second(self, begin, end):
        return min((self.rate(t, t + 1) for t in range(int(begin) + 1, int(end))), default=0)

    def end(self):
        self.stop = True
        for t in self.threads:
            t.join(60)
        return sum(self.acknowledged)


class Readers:
    """Clients that ask for rows at random, from processes of their own: Python's threads would not make enough load."""

    def __init__(self, nodes, text, rows, count=6):
        self.nodes, self.text, self.rows = nodes, text, rows
        self.stop, self.counts, self.problems = multiprocessing.Event(), multiprocessing.Array("Q", count), []
        self.queue = multiprocessing.Queue()
        self.processes = [multiprocessing.Process(target=self.run, args=(i,), daemon=True) for i in range(count)]
        for p in self.processes:
            p.start()
        self.count = 0

    def run(self, who):
        rand = random.Random(who)
        try:
            connection = self.nodes[who % len(self.nodes)].connect()
            with connection.cursor() as c:
                while not self.stop.is_set():
                    c.execute(self.text % rand.randrange(self.rows))
                    if len(c.fetchall()) != 1:
                        self.queue.put("a row is missing")
                    self.counts[who] += 1
        except (pymysql.Error, OSError) as e:
            self.queue.put(repr(e)[:200])

    def end(self):
        self.stop.set()
        for p in self.processes:
            p.join(20)
        while not self.queue.empty():
            self.problems.append(self.queue.get())
        self.count = sum(self.counts)


class Run(Operator):
    def sql(self, node, text):
        with node.connect() as connection, connection.cursor() as c:
            c.execute(text)
            return c.fetchall()

    def count_ranges(self, c):
        return len(c.known())  # also one that nobody serves for a moment

    def split_many(self, c, count):
        """So many ranges, of keys above all tables that there are; the new ones."""
        before = set(c.ranges())
        for i in range(count):
            said = c.split("f0%06x" % i)
            while "no range holds" in said:  # not told to all yet
                time.sleep(0.02)
                said = c.split("f0%06x" % i)
            if said:
                self.check(False, "split %d" % i, said)
                return set()
        return set(c.ranges()) - before

    # ---- merges ----

    def by_command(self):
        with Cluster(self.args.binary, 3, options=["--memory", "512M"], keep=self.args.keep) as c:
            self.sql(c.nodes[0], "CREATE DATABASE life")
            self.sql(c.nodes[0], "CREATE TABLE life.w (id BIGINT PRIMARY KEY, v VARCHAR(300))")
            writers = Writers(c.nodes, "life.w", 4)
            time.sleep(1)
            gaps = []
            rounds = 10
            for i in range(rounds):
                at = c.nodes[i % 3]
                status, text = self.ctl(at, "range", "split", "40")
                if status != 0:
                    self.check(False, "split", text)
                    break
                new = int(text.split('"new":')[1].rstrip("}\n"))
                left = int(text.split('"split":')[1].split(",")[0])
                c.entry(new)  # it has a leader
                if i % 2 == 1:  # the leases are apart: the merge brings them together
                    leader = c.entry(new)["leader"]
                    self.ctl(at, "range", "lease", new, next(n.node_id for n in c.nodes if n.node_id != leader))
                time.sleep(0.3)
                began = time.monotonic()
                status, text = self.ctl(c.nodes[(i + 1) % 3], "range", "merge", left)
                if status != 0:
                    self.check(False, "merge", text)
                    break
                gaps.append(writers.longest_gap(began - 0.2, time.monotonic() + 0.2))
            self.check(len(gaps) == rounds, "ranges are split and merged from any node, %d times; longest write gap %.0f ms"
                       % (rounds, 1000 * max(gaps, default=0)))
            self.wait("each node has what it had", lambda: len(c.known()) == 2)
            for words in (("range", "merge", 1), ("range", "merge", 2), ("range", "merge", 99999)):
                status, text = self.ctl(c.nodes[0], *words)
                self.check(status == 1 and len(text) > 10, "refused with a reason: " + " ".join(map(str, words)), text)
            self.judge(c, writers, "life.w")

    def judge(self, c, writers, table, refused=False, more=0):
        acknowledged = writers.end() + more
        count = self.sql(c.nodes[0], "SELECT COUNT(*) FROM %s" % table)[0][0]
        self.check(count == acknowledged, "no write was lost (%d)" % count, (count, acknowledged))
        if not refused:
            self.check(not writers.problems, "no write was refused", writers.problems[:3])
        c.keep = c.keep or self.failed != 0

    def shrink(self, count):
        options = ["--memory", "512M", "--range-merge-after", str(max(10, count // 12))]
        with Cluster(self.args.binary, 3, options=options, keep=self.args.keep) as c:
            self.sql(c.nodes[0], "CREATE DATABASE life")
            self.sql(c.nodes[0], "CREATE TABLE life.w (id BIGINT PRIMARY KEY, v VARCHAR(300))")
            writers = Writers(c.nodes, "life.w", 2)
            began = time.monotonic()
            self.split_many(c, count)
            peak = self.count_ranges(c)
            split_time = time.monotonic() - began
            began = time.monotonic()
            self.wait("%d ranges (made in %.0f s) are few again" % (peak, split_time), lambda: len(c.known()) <= 4, 180 + count // 2)
            took = time.monotonic() - began
            memory = max(n.resident_mib() for n in c.nodes)
            print("     %d ranges merged in %.0f s; memory %.0f MiB" % (peak, took, memory))
            c.wait_replicated()
            self.judge(c, writers, "life.w")
            victim = c.nodes[1]
            victim.kill()
            victim.start()
            c.wait_replicated()
            self.check(len(c.known()) <= 4, "and stay few over a restart", sorted(c.known()))

    def dropped(self):
        """A table that has grown over many ranges, dropped."""
        options = ["--memory", "512M", "--range-merge-after", "10", "--range-size", "1M"]
        with Cluster(self.args.binary, 3, options=options, keep=self.args.keep) as c:
            self.sql(c.nodes[0], "CREATE DATABASE life")
            self.sql(c.nodes[0], "CREATE TABLE life.w (id BIGINT PRIMARY KEY, v VARCHAR(300))")
            self.sql(c.nodes[0], "CREATE TABLE life.big (id BIGINT PRIMARY KEY, v VARCHAR(1000))")
            with c.nodes[0].connect() as connection, connection.cursor() as cursor:
                for i in range(0, 40000, 500):
                    cursor.execute("INSERT INTO life.big VALUES " + ",".join("(%d, '%s')" % (k, os.urandom(400).hex()) for k in range(i, i + 500)))
            self.wait("a table grows over many ranges", lambda: self.count_ranges(c) >= 8, 180)
            peak = self.count_ranges(c)
            self.sql(c.nodes[1], "DROP TABLE life.big")
            began = time.monotonic()
            # those that were found too large before are looked at again after two minutes, and once more if that was too soon
            self.wait("dropped, its %d ranges are few again" % peak, lambda: len(c.known()) <= 5, 420)
            print("     after %.0f s" % (time.monotonic() - began))
            self.sql(c.nodes[1], "INSERT INTO life.w VALUES (1, 'a')")
            self.check(self.sql(c.nodes[2], "SELECT COUNT(*) FROM life.w")[0][0] == 1, "and serve")
            c.keep = c.keep or self.failed != 0

    # ---- load ----

    def by_load(self):
        # as little as a busy machine makes, which is sampled for half a minute then
        options = ["--memory", "512M", "--range-split-load", "500", "--range-merge-after", "20"]
        with Cluster(self.args.binary, 3, options=options, keep=self.args.keep) as c:
            self.sql(c.nodes[0], "CREATE DATABASE life")
            self.sql(c.nodes[0], "CREATE TABLE life.w (id BIGINT PRIMARY KEY, v VARCHAR(300))")
            rows = 20000
            with c.nodes[0].connect() as connection, connection.cursor() as cursor:
                for k in range(0, rows, 1000):
                    cursor.execute("INSERT INTO life.w VALUES " + ",".join("(%d, '%s')" % (-1 - n, ROW) for n in range(k, k + 1000)))
            before = self.count_ranges(c)
            writers = Writers(c.nodes, "life.w", 1)
            readers = Readers(c.nodes, "SELECT v FROM life.w WHERE id = -1 - %d", rows)
            self.wait("a range with load is split", lambda: self.count_ranges(c) > before, 120)
            self.wait("leases of the halves are on several nodes",
                      lambda: sum(1 for n in c.leases().values() if n > 0) > 1, 120)
            peak = self.count_ranges(c)
            readers.end()
            self.check(not readers.problems, "no read was refused (%d, %d ranges)" % (readers.count, peak), readers.problems[:3])
            self.judge(c, writers, "life.w", more=rows)
            self.wait("and merged when the load has gone", lambda: self.count_ranges(c) == before, 240)

    # ---- nodes ----

    def rebuild(self):
        """A node comes back with an empty directory: to the cluster it is dead, and a new one."""
        options = ["--memory", "512M", "--dead-after", "5"]
        with Cluster(self.args.binary, 3, options=options, keep=self.args.keep) as c:
            self.sql(c.nodes[0], "CREATE DATABASE life")
            self.sql(c.nodes[0], "CREATE TABLE life.w (id BIGINT PRIMARY KEY, v VARCHAR(300))")
            self.sql(c.nodes[0], "CREATE TABLE life.big (id BIGINT PRIMARY KEY, v VARCHAR(1000))")
            with c.nodes[0].connect() as connection, connection.cursor() as cursor:
                rows = self.args.rows
                for i in range(0, rows, 1000):
                    cursor.execute("INSERT INTO life.big VALUES " + ",".join("(%d, '%s')" % (k, ROW * 4) for k in range(i, i + 1000)))
            writers = Writers(c.nodes[:2], "life.w", 8)
            time.sleep(5)
            now = time.monotonic()
            plain = writers.rate(now - 4, now)
            lost = c.nodes.pop()
            lost.kill()
            shutil.rmtree(lost.data)
            began = time.monotonic()
            fresh = c.add()
            answer = c.nodes[0].http("/node/decommission?key=%d" % lost.node_id, b"", 600)
            self.check(answer[0] == 200, "a node that does not come back is told to leave", answer)
            c.wait_replicated(voters=3)
            done = time.monotonic()
            time.sleep(1)
            size = rows * len(ROW) * 4 / 1e6
            self.check(fresh.node_id != lost.node_id, "a node with an empty directory has all replicas again, after %.1f s (%.0f MB)"
                       % (done - began, size))
            print("     writes/s before %.0f, during %.0f, slowest second %.0f; longest gap %.2f s"
                  % (plain, writers.rate(began, done), writers.slowest_second(began, done), writers.longest_gap(began, done)))
            self.check(writers.longest_gap(began, done) < 5, "writes went on", writers.longest_gap(began, done))
            total = self.sql(fresh, "SELECT COUNT(*) FROM life.big")[0][0]
            self.check(total == rows, "all rows are there", total)
            self.fourth(c, writers)
            self.judge(c, writers, "life.w", refused=True)
            if writers.problems:
                print("refused around the kill: %d, %s" % (len(writers.problems), writers.problems[:2]))

    def fourth(self, c, writers):
        self.split_many(c, 12)
        c.wait_replicated(voters=3)
        began = time.monotonic()
        extra = c.add()

        def share():
            return len(extra.json("/ranges")) >= 8
        self.wait("a fourth node receives its share of ranges", share, 180)
        c.wait_replicated(timeout=180, voters=3)
        done = time.monotonic()
        print("     %d of %d ranges on it after %.1f s; writes/s %.0f, longest gap %.2f s"
              % (len(extra.json("/ranges")), self.count_ranges(c), done - began, writers.rate(began, done), writers.longest_gap(began, done)))
        began = time.monotonic()
        status, text = self.ctl(c.nodes[0], "node", "decommission", extra.node_id)
        self.check(status == 0 and '"left"' in text, "a decommissioned node leaves empty, after %.1f s" % (time.monotonic() - began), text)
        done = time.monotonic()
        print("     writes/s %.0f, longest gap %.2f s" % (writers.rate(began, done), writers.longest_gap(began, done)))
        self.wait("its process stops by itself", lambda: extra.process.poll() is not None)
        c.nodes.remove(extra)
        c.wait_replicated(timeout=180, voters=3)


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--binary", required=True)
    p.add_argument("--keep", action="store_true")
    p.add_argument("--only", choices=("command", "shrink", "dropped", "load", "rebuild"))
    p.add_argument("--ranges", type=int, default=200, help="that shrink makes")
    p.add_argument("--rows", type=int, default=100000, help="of 800 bytes, that a node is rebuilt with")
    args = p.parse_args()
    args.binary = os.path.abspath(args.binary)
    run = Run(args)
    parts = {"command": run.by_command, "shrink": lambda: run.shrink(args.ranges), "dropped": run.dropped,
             "load": run.by_load, "rebuild": run.rebuild}
    for name, part in parts.items():
        if args.only not in (None, name):
            continue
        try:
            part()
        except Exception as e:
            traceback.print_exc()
            run.check(False, "%s: the run broke" % name, "%s: %s" % (type(e).__name__, e))
    print("%d passed, %d failed" % (run.passed, run.failed))
    return 1 if run.failed else 0


if __name__ == "__main__":
    sys.exit(main())
