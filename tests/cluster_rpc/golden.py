#!/usr/bin/python3
"""The golden SQL of tests/sql on three nodes, in three ways. What MySQL answered must be answered word for word each time.

  nodes   each file through another node; further connections of a file go to the other nodes
  deaths  before each file a node is killed; the file runs on another one, and then the node is started again. No statement is tried
          twice
  moves   while the files run, ranges are split and leases are moved

    golden.py --binary PATH [--only nodes|deaths|moves] [--full] [NAME...]

Without --full the files are not run while nodes die; by name it takes some of them."""
import argparse
import contextlib
import os
import random
import sys
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "sql"))
sys.path.insert(0, os.path.join(HERE, "..", "lib"))

import pymysql  # noqa: E402
import run as golden  # noqa: E402
from keys import FIRST_TABLE, key_of  # noqa: E402
from cluster import Cluster  # noqa: E402

DEATHS = ["ddl/create_table", "dml/insert", "dml/update", "query/joins", "txn/basic", "txn/isolation"]


class ManyNodes(golden.Runner):
    """The first connection of a file goes to the first node given, named ones to the others in turn."""

    def __init__(self, nodes):
        super().__init__("127.0.0.1", nodes[0].ports[0])
        self.nodes, self.used = nodes, 0

    def connection(self, name, login):
        if name not in self.connections:
            self.port = self.nodes[self.used % len(self.nodes)].ports[0]
            self.used += 1
        return super().connection(name, login)


def run_file(name, nodes):
    """The difference to what MySQL answered, as lines; [] when there is none."""
    statements = golden.parse_test(golden.path_of("t", name))
    try:
        blocks = ManyNodes(nodes).run(statements)
    except (pymysql.Error, OSError) as e:
        return ["the run broke: %s" % (e,)]
    return golden.compare(name, statements, blocks, False)[1]


def nodes_of(cluster, first):
    return cluster.nodes[first:] + cluster.nodes[:first]


class Splitter(threading.Thread):
    """Splits ranges, merges some again and moves leases until it is told to stop."""

    def __init__(self, cluster, seed):
        super().__init__(daemon=True)
        self.cluster, self.rand, self.stop_event = cluster, random.Random(seed), threading.Event()
        self.held = threading.Lock()  # by whom nothing is to move
        self.splits = self.moves = self.merges = 0

    def table(self):
        """The key of some table, of those that a run makes (docs/formats/key.md)."""
        return key_of(FIRST_TABLE + self.rand.randrange(0, 700))

    def run(self):
        while not self.stop_event.wait(0.05):
            try:
                with self.held:
                    self.change()
            except OSError:
                pass

    def change(self):
        if self.splits < 60 and self.rand.random() < 0.3:
            key = self.table() + "01" + ("" if self.rand.random() < 0.5 else "800000%02x" % self.rand.randrange(1, 9))
            self.splits += self.cluster.split(key, 1) == ""
        ranges = list(self.cluster.ranges())
        if ranges and self.rand.random() < 0.1:
            node = self.rand.choice(self.cluster.nodes)
            self.merges += node.http("/range/merge?key=%d" % self.rand.choice(ranges), b"", 10)[0] == 200
        if ranges:
            self.moves += self.cluster.move_lease(self.rand.choice(ranges), self.rand.choice(self.cluster.nodes))[0]

    def end(self):
        self.stop_event.set()
        self.join(30)


def known_here():
    """{name} of known_failures.txt beside this file."""
    out = set()
    with open(os.path.join(HERE, "known_failures.txt"), encoding="utf-8") as f:
        for line in f:
            if line.strip() and not line.startswith("#"):
                out.add(line.partition(":")[0].strip())
    return out


class Suite:
    def __init__(self, args):
        self.args = args
        self.passed = self.failed = self.repeated = 0
        self.known = golden.known_failures("disk")
        self.known_here = known_here()

    def verdict(self, way, name, diff, seconds):
        known = name in self.known or name in self.known_here
        good = bool(diff) == known
        self.passed, self.failed = self.passed + good, self.failed + (not good)
        if not good or self.args.verbose:
            print("%s %s %s %.1f s%s" % ("PASS" if good else "FAIL", way, name, seconds, "" if diff or not known else ": it passes now"),
                  flush=True)
        if diff and not known:
            print("\n".join(diff[:60]))

    def each(self, way, names, cluster, before, after, again=0, still=None):
        """again: so often a file is run once more that differs where 1213 is told: of a lock that went with its range, or to the other one of
        two who wait for each other, because the first had to ask for its lock again. On a busy machine that may come each time in a file
        of many deadlocks: the last time nothing moves, `still` is held."""
        began, count = time.monotonic(), self.passed
        for i, name in enumerate(names):
            nodes = before(i)
            start = time.monotonic()
            diff = run_file(name, nodes)
            for k in range(again):
                if not any(line[1:].startswith("ERROR 1213") for line in diff):
                    break
                self.repeated += 1
                with still if k == again - 1 else contextlib.nullcontext():
                    diff = run_file(name, nodes)
            self.verdict(way, name, diff, time.monotonic() - start)
            after(i)
            for n in cluster.dead():
                self.failed += 1
                print("FAIL node %d has died in %s; log ends with:\n%s" % (n.number, name, n.log_tail()))
                n._reap(1)
                n.start()
        print("%s: %d of %d files as MySQL, %.0f s" % (way, self.passed - count, len(names), time.monotonic() - began), flush=True)

    def nodes(self, names):
        with Cluster(self.args.binary, 3, ["--secure-file-priv", ""], keep=self.args.keep) as c:
            self.each("nodes", names, c, lambda i: nodes_of(c, i % 3), lambda i: None)

    def deaths(self, names):
        with Cluster(self.args.binary, 3, ["--secure-file-priv", ""], keep=self.args.keep) as c:
            def kill(i):
                c.wait_replicated()
                c.nodes[i % 3].kill()
                return nodes_of(c, (i + 1) % 3)[:2]

            self.each("deaths", names, c, kill, lambda i: c.nodes[i % 3].start())

    def moves(self, names):
        with Cluster(self.args.binary, 3, ["--secure-file-priv", ""], keep=self.args.keep) as c:
            splitter = Splitter(c, self.args.seed)
            splitter.start()
            try:
                self.each("moves", names, c, lambda i: nodes_of(c, i % 3), lambda i: None, again=4, still=splitter.held)
            finally:
                splitter.end()
            print("%d splits, %d merges, %d moves of leases; %d files met a deadlock where MySQL has none, or of another, and ran again"
                  % (splitter.splits, splitter.merges, splitter.moves, self.repeated))


def chosen(args, some):
    if args.names:
        return golden.all_tests(args.names)
    return golden.all_tests([] if args.full or some is None else [n for n in some if known_name(n)])


def known_name(pattern):
    return os.path.isdir(os.path.join(golden.HERE, "t", pattern)) or os.path.exists(golden.path_of("t", pattern))


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--binary", required=True)
    p.add_argument("--only", choices=["nodes", "deaths", "moves"])
    p.add_argument("--full", action="store_true")
    p.add_argument("--keep", action="store_true")
    p.add_argument("--verbose", action="store_true")
    p.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 30))
    p.add_argument("names", nargs="*")
    args = p.parse_args()
    print("seed %d" % args.seed)
    suite = Suite(args)
    for way, some in (("nodes", None), ("deaths", DEATHS), ("moves", None)):
        if args.only == way or (args.only is None and (args.full or way != "deaths")):
            getattr(suite, way)(chosen(args, some))
    print("%d passed, %d failed" % (suite.passed, suite.failed))
    return 1 if suite.failed else 0


if __name__ == "__main__":
    sys.exit(main())
