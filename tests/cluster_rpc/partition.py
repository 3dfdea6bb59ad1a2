#!/usr/bin/env python3
"""Networks that fall apart: three nodes, each in a network namespace of its own, behind one bridge; TLS between them.

A direction from one node to another is cut by a neighbour entry that leads nowhere: packets vanish without a word. Cuts: one node
alone (symmetric), one that nobody hears (one-way), two that do not hear each other while the third hears both (bridge). The part
with a majority must go on, reads must never be older than what was acknowledged before they began, all must heal."""
import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import pymysql  # noqa: E402

NOWHERE = "02:00:00:00:00:99"
TOKEN = "the-token-of-this-test"
RESUME_S = 20  # until a write goes through again, by a client that tries each node in turn


class Skip(Exception):
    pass


def sh(*words):
    subprocess.run(words, check=True, capture_output=True, text=True)


class Net:
    def __init__(self, count):
        self.prefix = "skein%d-" % os.getpid()
        self.names = [self.prefix + str(i) for i in range(count)]
        self.hub = self.prefix + "hub"

    def address(self, i):
        return "10.77.0.%d" % (i + 1)

    def __enter__(self):
        try:
            sh("ip", "netns", "add", self.hub)
            sh("ip", "-n", self.hub, "link", "add", "br0", "type", "bridge")
            sh("ip", "-n", self.hub, "link", "set", "br0", "up")
            for i, name in enumerate(self.names):
                sh("ip", "netns", "add", name)
                sh("ip", "-n", name, "link", "set", "lo", "up")
                sh("ip", "-n", name, "link", "add", "eth0", "type", "veth", "peer", "name", "port%d" % i, "netns", self.hub)
                sh("ip", "-n", name, "addr", "add", self.address(i) + "/24", "dev", "eth0")
                sh("ip", "-n", name, "link", "set", "eth0", "up")
                sh("ip", "-n", self.hub, "link", "set", "port%d" % i, "master", "br0", "up")
        except BaseException as e:
            self.__exit__()
            if isinstance(e, subprocess.CalledProcessError):
                raise Skip("network namespaces cannot be made here: " + e.stderr.strip()) from e
            raise
        return self

    def __exit__(self, *_):
        for name in [*self.names, self.hub]:
            subprocess.run(["ip", "netns", "del", name], check=False, capture_output=True)

    def cut(self, source, to):
        sh("ip", "-n", self.names[source], "neigh", "replace", self.address(to), "lladdr", NOWHERE, "dev", "eth0", "nud", "permanent")

    def heal(self):
        for i, name in enumerate(self.names):
            for k in range(len(self.names)):
                if i != k:
                    subprocess.run(["ip", "-n", name, "neigh", "del", self.address(k), "dev", "eth0"], check=False, capture_output=True)


class Node:
    def __init__(self, binary, net, i, directory):
        self.socket = os.path.join(directory, "sock%d" % i)
        self.log = os.path.join(directory, "log%d" % i)
        self.data = os.path.join(directory, "data%d" % i)
        self.inside = ["ip", "netns", "exec", net.names[i]]
        token, join = TOKEN, []
        if i > 0:
            with open(os.path.join(directory, "data0", "rpc-tls", "fingerprint"), encoding="ascii") as f:
                token += "@" + f.read()
            join = ["--join", net.address(0) + ":7306"]
        command = [*self.inside, binary, "start", "--data", self.data, "--mysql", "127.0.0.1:3306", "--socket",
                   self.socket, "--rpc", net.address(i) + ":7306", "--admin", "127.0.0.1:7380", "--join-token", token, *join]
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log)
        if not self.process.stdout.readline().startswith(b"ready "):
            with open(self.log, encoding="utf-8", errors="replace") as f:
                raise RuntimeError("node %d does not start: %s" % (i, f.readlines()[-3:]))

    def query(self, sql, patience=5):
        connection = pymysql.connect(unix_socket=self.socket, user="root", autocommit=True, connect_timeout=3, read_timeout=patience,
                                     write_timeout=patience)
        try:
            with connection.cursor() as c:
                c.execute(sql)
                return c.fetchall()
        finally:
            connection.close()


    def ranges(self):
        """Of /ranges, which is asked within the node's network."""
        get = "import urllib.request as r; print(r.urlopen('http://127.0.0.1:7380/ranges', timeout=5).read().decode())"
        done = subprocess.run([*self.inside, sys.executable, "-c", get], check=False, capture_output=True, text=True)
        return json.loads(done.stdout) if done.returncode == 0 else []


class Run:
    def __init__(self):
        self.passed = self.failed = 0
        self.value = 0  # acknowledged

    def check(self, good, what, more=""):
        self.passed += bool(good)
        self.failed += not good
        print("%s %s%s" % ("ok  " if good else "FAIL", what, "" if good else ": %s" % (more,)), flush=True)

    def write(self, nodes, seconds):
        """One more in the register, through whichever of the nodes takes it; how long that took, or None. Writing a value again is
        harmless, so an unknown outcome is too."""
        began = time.monotonic()
        while time.monotonic() < began + seconds:
            for n in nodes:
                try:
                    n.query("UPDATE p.t SET v = %d WHERE id = 1" % (self.value + 1))
                    self.value += 1
                    return time.monotonic() - began
                except (pymysql.Error, OSError):
                    pass
        return None

    def read(self, node):
        """Is what the node says, if it says anything, as new as it must be? (good, what)"""
        known = self.value
        try:
            v = node.query("SELECT v FROM p.t WHERE id = 1")[0][0]
        except (pymysql.Error, OSError) as e:
            return True, "refused: %s" % (e.args[:1],)
        return v >= known, "%d, acknowledged %d" % (v, known)

    def cut(self, net, nodes, name, cuts, majority, minority):
        for source, to in cuts:
            net.cut(source, to)
        took = self.write([nodes[i] for i in majority], RESUME_S + 20)
        self.check(took is not None and took < RESUME_S, "%s: the majority writes again" % name, took)
        if took is not None:
            print("     after %.1f s" % took)
        stale, answered = [], 0
        for _ in range(3):
            self.write([nodes[i] for i in majority], 10)
            for i in range(len(nodes)):
                good, what = self.read(nodes[i])
                answered += not what.startswith("refused")
                if not good:
                    stale.append("node %d: %s" % (i + 1, what))
        more = "" if minority is None else "; the minority: " + self.read(nodes[minority])[1]
        self.check(answered > 0 and not stale, "%s: reads are not stale%s" % (name, more), stale or "none was answered")
        net.heal()
        healed = time.monotonic()
        for i, n in enumerate(nodes):
            good = self.write([n], 30) is not None and self.read(n)[0]
            self.check(good, "%s: node %d writes and reads after healing" % (name, i + 1))
        print("     healed in %.1f s" % (time.monotonic() - healed))

    @staticmethod
    def wait_replicated(nodes, timeout=60):
        """Until each range has three voters that have caught up, by whoever leads it."""
        deadline = time.monotonic() + timeout
        while True:
            seen = [r for n in nodes for r in n.ranges()]
            ready = {r["id"] for r in seen if r["serving"] and
                     len([m for m in r["members"] if m["kind"] == "voter" and m["live"] and m["caught_up"]]) == len(nodes)}
            if seen and ready == {r["id"] for r in seen}:
                return
            if time.monotonic() > deadline:
                raise RuntimeError("ranges do not get three voters within %d s: %s" % (timeout, seen))
            time.sleep(0.1)

    def run(self, binary, directory):
        with Net(3) as net:
            nodes = []
            try:
                for i in range(3):
                    nodes.append(Node(binary, net, i, directory))
                nodes[0].query("CREATE DATABASE p")
                nodes[0].query("CREATE TABLE p.t (id INT PRIMARY KEY, v BIGINT)")
                nodes[0].query("INSERT INTO p.t VALUES (1, 0)")
                self.wait_replicated(nodes)
                both = [(0, 1), (1, 0), (0, 2), (2, 0)]
                self.cut(net, nodes, "symmetric, the leader alone", both, (1, 2), 0)
                self.cut(net, nodes, "symmetric, another alone", [(1, 0), (0, 1), (1, 2), (2, 1)], (0, 2), 1)
                self.cut(net, nodes, "one-way, nobody hears node 1", [(0, 1), (0, 2)], (1, 2), 0)
                self.cut(net, nodes, "bridge", [(0, 1), (1, 0)], (0, 1, 2), None)
                self.check(all(n.process.poll() is None for n in nodes), "no node has died")
            finally:
                for n in nodes:
                    n.process.send_signal(signal.SIGKILL)
                    n.process.wait(10)


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--binary", required=True)
    p.add_argument("--keep", action="store_true")
    args = p.parse_args()
    if os.geteuid() != 0 or shutil.which("ip") is None or subprocess.run(["unshare", "-n", "true"], check=False).returncode != 0:
        print("skipped: this needs root, ip (iproute2) and network namespaces")
        print("0 passed, 0 failed, 1 skipped")
        return 0
    run, skipped = Run(), False
    directory = tempfile.mkdtemp(prefix="skein-partition-")
    try:
        run.run(os.path.abspath(args.binary), directory)
    except Skip as e:
        skipped = True
        print("skipped: %s" % e)
    except (pymysql.Error, OSError, RuntimeError, subprocess.CalledProcessError) as e:
        run.check(False, "the run broke", repr(e))
    if args.keep or run.failed:
        print("data and logs are in " + directory)
    else:
        shutil.rmtree(directory, ignore_errors=True)
    print("%d passed, %d failed%s" % (run.passed, run.failed, ", 1 skipped" if skipped else ""))
    return 1 if run.failed else 0


if __name__ == "__main__":
    sys.exit(main())
