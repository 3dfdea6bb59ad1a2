"""Several SkeinDB nodes of one cluster as child processes, on 127.0.0.1 with ports and directories of their own.

A node keeps its ports over restarts, as an installed one does; they are below the range from which the system gives ports to
connections, so that nobody takes them while a node is down."""
import json
import os
import random
import shutil
import signal
import socket
import tempfile
import time

from node import Node

TOKEN = "the-token-of-this-test"
PORTS = (15000, 32000)
given = []  # a socket for each port that was given out; it keeps other runs on this machine from giving it out too


def free_port():
    """One that nobody listens on, and that no run that is under way was given before: who was may listen on it a moment later, or again."""
    for _ in range(1000):
        port = random.SystemRandom().randrange(*PORTS)
        name = socket.socket(socket.AF_UNIX)
        try:
            name.bind("\0skein-test-port-%d" % port)  # gone with this process
            with socket.socket() as s:
                s.bind(("127.0.0.1", port))
        except OSError:
            name.close()
            continue
        given.append(name)
        return port
    raise RuntimeError("no free port")


class Member(Node):
    """A node with fixed ports that joins through others."""

    def __init__(self, binary, directory, options, number):
        super().__init__(binary, directory, options)
        self.number = number
        self.join = []
        self.paused = False
        self.node_id = 0
        self.ports = [free_port(), free_port(), free_port()]

    def addresses(self):
        mysql, rpc, admin = self.ports
        out = ["--mysql", "127.0.0.1:%d" % mysql, "--rpc", "127.0.0.1:%d" % rpc, "--admin", "127.0.0.1:%d" % admin]
        if self.join:
            out += ["--join", ",".join(self.join), "--join-token", TOKEN]
        else:
            out += ["--join-token", TOKEN]
        return out

    def rpc_address(self):
        return "127.0.0.1:%d" % self.ports[1]

    def start(self, timeout=180):
        self.paused = False
        super().start(timeout)

    def signal(self, number):
        self.process.send_signal(number)

    def pause(self):
        self.paused = True
        self.signal(signal.SIGSTOP)

    def resume(self):
        self.signal(signal.SIGCONT)
        self.paused = False

    def kill(self):
        self.paused = False
        super().kill()

    def stop(self, timeout=60):
        if self.paused:
            self.resume()
        return super().stop(timeout)

    def json(self, path, timeout=30):
        status, text = self.http(path, timeout=timeout)
        if status != 200:
            raise OSError("%s answers %d: %s" % (path, status, text.strip()))
        return json.loads(text)


class Cluster:
    """`with Cluster(binary, 3) as c:` — all are ready, and every range has its three voters."""

    def __init__(self, binary, count=3, options=(), keep=False):
        self.binary, self.count, self.options, self.keep = binary, count, list(options), keep
        self.directory = tempfile.mkdtemp(prefix="skein-cluster-")
        self.nodes = []

    def __enter__(self):
        try:
            for i in range(self.count):
                self.add()
            self.wait_replicated()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, kind, value, trace):
        failed = kind is not None and kind is not KeyboardInterrupt
        if failed:
            self.print_logs()
        self.keep = self.keep or failed
        self.close()

    def print_logs(self, lines=40):
        """What the nodes said last, for a failure whose directories nobody can look into later."""
        for n in self.nodes:
            state = "alive" if n.alive() else "dead"
            print("--- node %d (%s), its log ends with:\n%s" % (n.number, state, n.log_tail(lines)), flush=True)

    def add(self):
        """One node more, joined and ready."""
        n = Member(self.binary, os.path.join(self.directory, str(len(self.nodes) + 1)), self.options, len(self.nodes) + 1)
        n.join = [m.rpc_address() for m in self.nodes]
        self.nodes.append(n)
        n.start()
        n.node_id = n.json("/status")["node_id"]
        return n

    def close(self):
        for n in self.nodes:
            if n.alive():
                n.kill()
        if self.keep:
            print("data and logs are in " + self.directory)
        else:
            shutil.rmtree(self.directory, ignore_errors=True)

    def stop(self):
        """Stops all nodes as an operator would; the statuses that are not 0."""
        for n in self.nodes:
            if n.alive():
                if n.paused:
                    n.resume()
                n.signal(signal.SIGTERM)
        bad = []
        for n in self.nodes:
            if n.process is not None:
                status = n._reap(60)
                if status != 0:
                    bad.append((n.number, status))
        return bad

    def living(self):
        return [n for n in self.nodes if n.alive() and not n.paused]

    def dead(self):
        """Nodes whose process has ended although nobody has killed it."""
        return [n for n in self.nodes if n.process is not None and n.process.poll() is not None]

    def ranges(self):
        """{range id: its entry as its leader shows it}, of all that some living node serves."""
        found = {}
        for n in self.living():
            for r in n.json("/ranges"):
                if r["serving"]:
                    found[r["id"]] = dict(r, leader=n.node_id)
        return found

    def entry(self, range_id, timeout=30):
        """The range's entry as its leader shows it. While a lease moves nobody serves the range for a moment."""
        deadline = time.monotonic() + timeout
        while True:
            served = self.ranges()
            if range_id in served:
                return served[range_id]
            if time.monotonic() > deadline:
                raise TimeoutError("nobody has served range %d for %d s" % (range_id, timeout))
            time.sleep(0.05)

    def known(self):
        """Ids of all ranges that a living node has a replica of."""
        return {r["id"] for n in self.living() for r in n.json("/ranges")}

    def leases(self):
        """{node: number of ranges that it serves}"""
        return {n: sum(1 for r in n.json("/ranges") if r["serving"]) for n in self.living()}

    def by_id(self, node_id):
        return next(n for n in self.nodes if n.node_id == node_id)

    def wait_replicated(self, timeout=180, voters=None):
        """Until each range is served by somebody and has as many live voters, all caught up, as there are nodes (3 at most)."""
        wanted = min(3, len(self.living())) if voters is None else voters
        deadline = time.monotonic() + timeout
        state = "no answer"
        while time.monotonic() < deadline:
            try:
                served = self.ranges()
                missing = self.known() - set(served)
                thin = {i: r["members"] for i, r in served.items()
                        if len([m for m in r["members"] if m["kind"] == "voter" and m["live"] and m["caught_up"]]) < wanted
                        or len(r["members"]) > wanted}
                if served and not missing and not thin:
                    return
                state = "not served: %s; not replicated: %s" % (sorted(missing), thin)
            except OSError as e:
                state = str(e)
            time.sleep(0.05)
        raise TimeoutError("ranges do not get %d voters within %d s: %.4000s" % (wanted, timeout, state))

    def split(self, key_hex, timeout=10):
        """Splits the range that holds the key, at whoever leads it. "" when a range came of it, else what was said last. A range that is
        being changed is asked again until the time is over; an answer is waited for as long as it takes."""
        deadline = time.monotonic() + timeout
        asked = 0
        while True:
            said = []
            for n in self.living():
                status, text = n.http("/range/split?key=" + key_hex, b"")
                asked += 1
                if status == 200:
                    return ""
                if "not inside" in text and asked > 1 and any(r["start"].lower() == key_hex for r in self.ranges().values()):
                    return ""  # who was asked before has done it, and lost its lease before it could say so
                said.append(text.strip())
            # a half that has just come has no leader for a moment
            wait = any("being" in s for s in said) or all("lead" in s or "no range holds" in s for s in said)
            if not wait or time.monotonic() > deadline:
                return "; ".join(said)
            time.sleep(0.05)

    def move_lease(self, range_id, to):
        """Asks the range's leader to hand its lease to the node. (done, what it said)"""
        for n in self.living():
            for r in n.json("/ranges"):
                if r["id"] == range_id and r["serving"]:
                    status, text = n.http("/range/lease?key=%d-%d" % (range_id, to.node_id), b"")
                    return status == 200, text.strip()
        return False, "nobody serves it"
