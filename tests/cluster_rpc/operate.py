#!/usr/bin/env python3
"""What operators do with a cluster of real processes: look, split, move, hand leases over, drain, decommission.

Each step is a sub-command of the binary, asked of a node that it is not about."""
import argparse
import json
import os
import subprocess
import sys
import threading
import time
import traceback

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import pymysql  # noqa: E402
from cluster import Cluster  # noqa: E402
from node import StartFailed  # noqa: E402


class Load:
    """One client that adds up through a node, and knows what was acknowledged."""

    def __init__(self, node):
        self.node, self.stop, self.acknowledged, self.problems = node, False, 0, []
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        connection = None
        while not self.stop:
            try:
                connection = connection or self.node.connect()
                with connection.cursor() as c:
                    c.execute("INSERT INTO op.log VALUES (%d)" % (self.acknowledged + 1))
                self.acknowledged += 1
            except pymysql.err.IntegrityError:
                self.acknowledged += 1  # an answer was lost, the row was not
            except (pymysql.Error, OSError) as e:
                self.problems.append(repr(e))
                connection = None
                time.sleep(0.1)

    def end(self):
        self.stop = True
        self.thread.join(60)


class Run:
    def __init__(self, args):
        self.args, self.passed, self.failed = args, 0, 0

    def check(self, good, what, more=""):
        self.passed += bool(good)
        self.failed += not good
        print("%s %s%s" % ("ok  " if good else "FAIL", what, "" if good else ": %s" % (more,)), flush=True)

    def ctl(self, node, *words):
        """(status, what it said) of a sub-command at that node's admin port."""
        command = [self.args.binary, words[0], "--admin", "127.0.0.1:%d" % node.admin_port] + [str(w) for w in words[1:]]
        done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
        return done.returncode, (done.stdout + done.stderr).strip()

    def wait(self, what, good, seconds=90, more=""):
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            try:
                if good():
                    self.check(True, what)
                    return
            except OSError:
                pass
            time.sleep(0.1)
        self.check(False, what, "not within %d s%s" % (seconds, ": %s" % (more,) if more else ""))

    def until(self, good, what, seconds=60):
        """Asks until it is answered as it should be: the cluster changes its ranges by itself too, and refuses what meets that. The last
        answer."""
        deadline = time.monotonic() + seconds
        answer = what()
        while not good(*answer) and time.monotonic() < deadline:
            time.sleep(0.25)
            answer = what()
        return answer

    def row(self, at, node):
        return next(r for r in at.json("/nodes") if r["id"] == node.node_id)

    def ranges(self, c, at):
        status, text = self.ctl(at, "range", "split", "4000")
        self.check(status == 0, "a range is split from any node", text)
        new = json.loads(text)["new"] if status == 0 else 0
        self.wait("its new half has a leader", lambda: new in c.ranges())
        c.wait_replicated()
        leader = c.entry(new)["leader"]
        to = next(n for n in c.nodes if n.node_id != leader)
        status, text = self.ctl(at, "range", "lease", new, to.node_id)
        self.check(status == 0 and json.loads(text)["leader"] == to.node_id, "a lease goes where it is told to", text)
        for words in (("range", "lease", new, 77), ("range", "move", 987, 1, 2), ("range", "split", "4000"), ("node", "drain", 99)):
            status, text = self.ctl(at, *words)
            self.check(status == 1 and len(text) > 10, "refused with a reason: " + " ".join(map(str, words)), text)
        return new

    def split_on_the_way(self, c, at, range_id):
        """A range whose lease moves again and again is split when somebody asks for it, not only when he asks at a good moment. There is one
        after each move; a machine that is late for it may miss it, so a refusal is no failure as long as the next one who asks is heard."""
        stop, moves = threading.Event(), [0]

        def move():
            while not stop.wait(0.02):
                try:
                    moves[0] += c.move_lease(range_id, c.nodes[moves[0] % 3])[0]
                except OSError:
                    pass
        mover = threading.Thread(target=move)
        mover.start()
        keys = range(0x4f, 0x49, -1)  # from the right, so all are splits of this one
        refused = []

        def split(key):
            answer = self.ctl(at, "range", "split", "%02x" % key)
            if answer[0] != 0:
                refused.append(answer)
            return answer
        said = [self.until(lambda status, _: status == 0, lambda key=key: split(key)) for key in keys]
        stop.set()
        mover.join()
        good = all(status == 0 for status, _ in said) and moves[0] > 0 and len(refused) < len(keys) / 2
        self.check(good, "a range whose lease moves is split", (moves[0], said, refused))

    def drain(self, c, node, at):
        held = node.connect()
        status, text = self.ctl(at, "node", "drain", node.node_id)
        self.check(status == 0, "drain", text)
        self.check(node.http("/readyz")[0] == 503, "a draining node is not ready")
        # one that was on its way when it was told to drain may come yet, and is sent on
        self.wait("it holds no leases", lambda: c.leases()[node] == 0)
        try:
            node.connect().close()
            self.check(False, "it takes no new clients")
        except pymysql.Error as e:
            self.check("1053" in repr(e), "it takes no new clients", repr(e))
        with held.cursor() as cursor:
            cursor.execute("SELECT COUNT(*) >= 0 FROM op.log")
            self.check(cursor.fetchall() == ((1,),), "who is connected goes on")
        held.close()
        self.wait("the others see it drain", lambda: self.row(at, node)["state"] == "draining")
        status, text = self.ctl(at, "node", "undrain", node.node_id)
        self.check(status == 0 and node.http("/readyz")[0] == 200, "undrain", text)
        node.connect().close()

    def move_and_leave(self, c, at, new):
        extra = c.add()
        c.wait_replicated(voters=3)

        def move():
            """The cluster gives the new node replicas by itself too: perhaps this one, between the look and the command."""
            members = [m["node"] for m in c.entry(new)["members"]]
            if extra.node_id in members:
                source, to = extra.node_id, next(n.node_id for n in c.nodes if n.node_id not in members)
            else:
                source, to = members[0], extra.node_id
            return self.ctl(at, "range", "move", new, source, to)
        status, text = self.until(lambda status, text: status == 0, move)
        self.check(status == 0, "a replica moves, whoever leads", text)
        leaving = extra
        status, text = self.ctl(at, "node", "decommission", leaving.node_id)
        self.check(status == 0 and '"left"' in text, "a node is decommissioned and leaves empty", text)
        self.wait("its process stops by itself", lambda: leaving.process.poll() is not None)
        self.check(leaving.process.returncode == 0, "with status 0", leaving.process.returncode)
        self.check(leaving.said("server.left"), "and says why in its log")
        self.wait("it is shown as left", lambda: self.row(at, leaving)["state"] == "left")
        c.wait_replicated(voters=3)
        os.rename(leaving.log_path, leaving.log_path + ".old")
        try:
            leaving.start()
            self.check(False, "it does not start again")
        except StartFailed:
            self.check(leaving.said("has left the cluster"), "it does not start again and says why", leaving.log_tail())
        last = leaving.node_id
        c.nodes.remove(leaving)
        os.rename(leaving.directory, leaving.directory + ".left")
        fresh = c.add()
        self.check(fresh.node_id > last, "its id is not used again", fresh.node_id)

    def replace_dead(self, c, at):
        dead = c.nodes[-1]
        dead.kill()
        status, text = self.ctl(at, "node", "decommission", dead.node_id)
        self.check(status == 0 and '"left"' in text, "a dead node is decommissioned", text)
        c.nodes.remove(dead)
        c.wait_replicated(voters=3)
        self.check(True, "and its replicas are elsewhere")

    def one_of_two(self):
        """Two nodes have one replica of each range. The node that has them all can leave all the same."""
        with Cluster(self.args.binary, 1, keep=self.args.keep) as c:
            first, second = c.nodes[0], c.add()
            with first.connect() as connection, connection.cursor() as cursor:
                cursor.execute("CREATE DATABASE op")
                cursor.execute("CREATE TABLE op.two (id BIGINT PRIMARY KEY)")
                cursor.execute("INSERT INTO op.two VALUES (1), (2)")
            self.check(c.leases()[second] == 0, "the first of two nodes has all ranges", c.leases())
            status, text = self.ctl(second, "node", "decommission", first.node_id)
            self.check(status == 0 and '"left"' in text, "the first of two nodes leaves empty", text)
            self.wait("its process stops by itself", lambda: first.process.poll() is not None)
            with second.connect() as connection, connection.cursor() as cursor:
                cursor.execute("INSERT INTO op.two VALUES (3)")
                cursor.execute("SELECT COUNT(*) FROM op.two")
                self.check(cursor.fetchall() == ((3,),), "the other one has all rows")
            c.nodes.remove(first)
            c.keep = c.keep or self.failed != 0

    def last_one(self, at):
        status, text = at.http("/metrics")
        wanted = ("skein_cluster_nodes_alive ", "skein_range_leases ", "skein_ranges_under_replicated 0", "skein_rpc_calls_total ",
                  "skein_raft_messages_sent_total ")
        missing = [w for w in wanted if w not in text]
        self.check(status == 200 and not missing, "the metrics page shows the cluster", missing)

    def run(self):
        self.one_of_two()
        with Cluster(self.args.binary, 3, options=["--dead-after", "5"], keep=self.args.keep) as c:
            first = c.nodes[0].connect()
            with first.cursor() as cursor:
                cursor.execute("CREATE DATABASE op")
                cursor.execute("CREATE TABLE op.log (id BIGINT PRIMARY KEY)")
            listed = []

            def all_listed():  # once all have told where they are
                listed[:] = self.ctl(c.nodes[1], "node", "ls")
                return listed[0] == 0 and listed[1].count("active") == 3 and listed[1].count("alive") == 3
            self.wait("node ls", all_listed, more=listed)
            load = Load(c.nodes[1])
            new = self.ranges(c, c.nodes[1])
            self.split_on_the_way(c, c.nodes[1], new)
            for node in (c.nodes[0], c.nodes[2]):
                self.drain(c, node, c.nodes[1])
            self.move_and_leave(c, c.nodes[1], new)
            self.check(not load.problems, "no write was refused meanwhile", load.problems[:3])
            self.replace_dead(c, c.nodes[1])
            self.last_one(c.nodes[1])
            load.end()
            with first.cursor() as cursor:
                cursor.execute("SELECT COUNT(*) FROM op.log")
                count = cursor.fetchall()[0][0]
            self.check(count == load.acknowledged, "no write was lost (%d)" % count, (count, load.acknowledged))
            if load.problems:
                print("refused around the kill: %s" % load.problems[:3])
            c.keep = c.keep or self.failed != 0


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--binary", required=True)
    p.add_argument("--keep", action="store_true")
    args = p.parse_args()
    args.binary = os.path.abspath(args.binary)
    run = Run(args)
    try:
        run.run()
    except Exception as e:
        traceback.print_exc()
        run.check(False, "the run broke", "%s: %s" % (type(e).__name__, e))
    print("%d passed, %d failed" % (run.passed, run.failed))
    return 1 if run.failed else 0


if __name__ == "__main__":
    sys.exit(main())
