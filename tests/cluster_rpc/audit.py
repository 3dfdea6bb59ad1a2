#!/usr/bin/python3
"""kill -9 and SIGSTOP of one node after another under load, with an audit: nothing acknowledged is lost, nothing is invented, the
total is the same in every snapshot, single rows are linearizable; and how long nobody could write.

    audit.py --binary PATH [--kills 3] [--pauses 3] [--seed N] [--keep]

A gap is the longest time without a successful write of one kind (of transfers, inserts, register writes: each of a table in ranges
of its own) that begins in the seconds after a fault."""
import argparse
import os
import random
import sys
import threading
import time
import traceback

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "lib"))
sys.path.insert(0, HERE)

import linear  # noqa: E402
from cluster import Cluster  # noqa: E402
from keys import FIRST_TABLE, key_of  # noqa: E402
from workload import DATABASE, Inserts, Ledger, Registers, Snapshots, Transfers, audit, prepare  # noqa: E402

GAP_LIMIT_S = 3.0
AUDIT_EVERY = 10
TABLES = range(FIRST_TABLE, FIRST_TABLE + 8)  # the workload's four are among them


def split_tables(cluster, rand):
    """Ranges begin at tables and within account and journal, and their leases lie on different nodes."""
    for table in TABLES:
        cluster.split(key_of(table))
        cluster.split(key_of(table, 60))
        cluster.split(key_of(table, 1000, wide=True))
    cluster.wait_replicated()
    for i in sorted(cluster.ranges()):
        if i != 1:
            cluster.move_lease(i, rand.choice(cluster.nodes))


class Reshape(threading.Thread):
    """Splits ranges and merges them again, at any node that lives, until it is told to stop."""

    def __init__(self, cluster, rand):
        super().__init__(daemon=True)
        self.cluster, self.rand, self.stop_event = cluster, random.Random(rand.getrandbits(32)), threading.Event()
        self.splits = self.merges = 0

    def run(self):
        while not self.stop_event.wait(0.1):
            try:
                node = self.rand.choice(self.cluster.living())
                if self.rand.random() < 0.5:
                    key = key_of(self.rand.choice(TABLES), self.rand.randrange(0, 120))
                    self.splits += node.http("/range/split?key=" + key, b"", 5)[0] == 200
                else:
                    ranges = [r["id"] for r in node.json("/ranges") if r["id"] != 1 and r["end"]]
                    self.merges += bool(ranges) and node.http("/range/merge?key=%d" % self.rand.choice(ranges), b"", 15)[0] == 200
            except (OSError, IndexError):
                pass

    def end(self):
        self.stop_event.set()
        self.join(30)
        print("%d splits, %d merges meanwhile" % (self.splits, self.merges))


class Load:
    """The clients, started and stopped."""

    def __init__(self, cluster, ledger, rand):
        self.stop_event = threading.Event()
        kinds = [Transfers, Inserts, Registers] * len(cluster.nodes) + [Snapshots] * len(cluster.nodes)
        # one of a kind on each node
        self.clients = [k(cluster, ledger, i // 3 if k is not Snapshots else i, rand.getrandbits(32), self.stop_event) for i, k in enumerate(kinds)]
        self.ledger = ledger
        for c in self.clients:
            c.start()

    def stop(self):
        self.stop_event.set()
        for c in self.clients:
            c.join(45)
            if c.is_alive():
                self.ledger.problem("a client hangs")


def victim(cluster, rand):
    """A random node; every second time the one with most leases, and every fourth the one that leads the meta range."""
    choice = rand.random()
    if choice < 0.25:
        return cluster.by_id(cluster.entry(1)["leader"])
    if choice < 0.5:
        leases = cluster.leases()
        return max(leases, key=leases.get)
    return rand.choice(cluster.nodes)


def gap_after(ledger, began, until):
    """{kind: the longest time without a success that begins in [began, until]}, in seconds."""
    gaps = {}
    for kind, times in ledger.successes.items():
        window = sorted(t for t in list(times) if began - 5 <= t <= until)
        before = [t for t in window if t <= began]
        points = [before[-1] if before else began] + [t for t in window if t > began] + [until]
        gaps[kind] = max(b - max(a, began) for a, b in zip(points, points[1:]) if b >= began)
    return gaps


def percentile(values, p):
    values = sorted(values)
    return values[min(len(values) - 1, int(len(values) * p))] if values else 0.0


class Run:
    def __init__(self, args):
        self.args = args
        self.rand = random.Random(args.seed)
        self.ledger = Ledger()
        self.gaps = {"kill": [], "pause": []}
        self.transfer_gaps = []
        self.starts = []
        self.passed = self.failed = 0
        self.details = []

    def verdict(self, ok, name, text=""):
        self.passed += ok
        self.failed += not ok
        print("%s %s%s" % ("PASS" if ok else "FAIL", name, ": " + text if text else ""), flush=True)

    def fault(self, cluster, kind):
        node = victim(cluster, self.rand)
        began = time.monotonic()
        if kind == "kill":
            node.kill()
            time.sleep(self.rand.uniform(2.5, 4.0))
            restarted = time.monotonic()
            node.start()
            self.starts.append(node.start_seconds)
        else:
            node.pause()
            time.sleep(self.rand.uniform(1.0, 3.0))
            node.resume()
            restarted = time.monotonic()
        cluster.wait_replicated()
        time.sleep(0.5)
        until = time.monotonic()
        for n in cluster.dead():
            raise RuntimeError("node %d has died by itself; log ends with:\n%s" % (n.number, n.log_tail()))
        gaps = gap_after(self.ledger, began, until)
        self.gaps[kind].append(max(gaps.values()))
        self.transfer_gaps.append(gaps["transfer"])
        print("  %s node %d: no write for %s s; whole again %.1f s after it came back"
              % (kind, node.number, " ".join("%s %.2f" % (k, v) for k, v in sorted(gaps.items())), until - 0.5 - restarted), flush=True)

    def audit(self, cluster, name):
        connection = self.rand.choice(cluster.nodes).connect(database=DATABASE)
        problems = audit(connection, self.ledger)
        connection.close()
        problems = self.ledger.problems + problems
        self.ledger.problems = []
        self.verdict(not problems, name, "; ".join(problems[:12]))
        return not problems

    def batch(self, cluster, kinds, name):
        load = Load(cluster, self.ledger, self.rand)
        try:
            time.sleep(1.0)
            for kind in kinds:
                self.fault(cluster, kind)
        finally:
            load.stop()
        return self.audit(cluster, name)

    def run(self):
        kinds = ["kill"] * self.args.kills + ["pause"] * self.args.pauses
        self.rand.shuffle(kinds)
        with Cluster(self.args.binary, 3, keep=self.args.keep) as cluster:
            connection = cluster.nodes[0].connect()
            prepare(connection)
            connection.close()
            split_tables(cluster, self.rand)
            print("%d ranges, leases %s" % (len(cluster.ranges()), list(cluster.leases().values())), flush=True)
            reshape = Reshape(cluster, self.rand) if self.args.reshape else None
            if reshape is not None:
                reshape.start()
            for at in range(0, len(kinds), AUDIT_EVERY):
                some = kinds[at:at + AUDIT_EVERY]
                if not self.batch(cluster, some, "faults %d to %d: nothing lost, nothing invented" % (at + 1, at + len(some))):
                    cluster.keep = True
                    break
            if reshape is not None:
                reshape.end()
            bad = cluster.stop()
            self.verdict(not bad, "all nodes stop cleanly", repr(bad) if bad else "")
        self.figures()

    def figures(self):
        counts = self.ledger.counts
        print("writes %s; %s" % (" ".join("%s %d" % (k, len(v)) for k, v in sorted(self.ledger.successes.items())),
                                 ", ".join("%s %d" % x for x in sorted(counts.items()))))
        for text, n in sorted(self.ledger.texts.items(), key=lambda x: -x[1]):
            print("  %6d x %s" % (n, text))
        for kind, gaps in self.gaps.items():
            if gaps:
                print("gap after a %s: p50 %.2f s, p99 %.2f s, max %.2f s (%d)"
                      % (kind, percentile(gaps, 0.5), percentile(gaps, 0.99), max(gaps), len(gaps)))
                self.verdict(max(gaps) <= self.args.limit, "writes of all kinds resume within %g s of a %s" % (self.args.limit, kind))
        if self.transfer_gaps:
            print("gap of transfers: p50 %.2f s, p99 %.2f s, max %.2f s"
                  % (percentile(self.transfer_gaps, 0.5), percentile(self.transfer_gaps, 0.99), max(self.transfer_gaps)))
        if self.starts:
            print("restart: max %.2f s until it is ready" % max(self.starts))


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--binary", required=True)
    p.add_argument("--kills", type=int, default=3)
    p.add_argument("--pauses", type=int, default=3)
    p.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 30))
    p.add_argument("--keep", action="store_true")
    p.add_argument("--reshape", action="store_true", help="ranges are split and merged all the time")
    p.add_argument("--limit", type=float, default=GAP_LIMIT_S, help="seconds without a write after which the run fails")
    args = p.parse_args()
    print("seed %d" % args.seed)
    run = Run(args)
    run.verdict(linear.self_test(), "the checker of registers tells good histories from bad ones")
    try:
        run.run()
    except Exception as e:
        traceback.print_exc()
        for text in run.ledger.problems:
            print("  " + text)
        run.verdict(False, "the run broke", "%s: %s" % (type(e).__name__, e))
    print("%d passed, %d failed" % (run.passed, run.failed))
    return 1 if run.failed else 0


if __name__ == "__main__":
    sys.exit(main())
