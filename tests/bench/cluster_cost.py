"""A cluster of nodes for bench.py: start, what it costs at rest, many ranges."""
import os
import time

import pymysql
from cluster import Member


def cpu_seconds(pid):
    with open("/proc/%d/stat" % pid, encoding="ascii") as f:
        fields = f.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class Cluster:
    def __init__(self, binary, directory, count, options):
        self.nodes = [Member(binary, os.path.join(directory, str(i + 1)), options, i + 1) for i in range(count)]
        self.start_s = 0.0

    def start(self):
        """Until each node has answered a query; then until placement has come to rest."""
        began = time.monotonic()
        for node in self.nodes:
            if node is not self.nodes[0]:
                node.join = [self.nodes[0].rpc_address()]
            node.start()
        for node in self.nodes:
            self._first_answer(node, began + 30)
        self.start_s = round(time.monotonic() - began, 2)
        time.sleep(3)

    @staticmethod
    def _first_answer(node, deadline):
        while True:
            try:
                with node.connect() as connection, connection.cursor() as c:
                    c.execute("SELECT COUNT(*) FROM information_schema.schemata")
                    return
            except pymysql.err.OperationalError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.02)

    def at_rest(self, seconds):
        """Memory (MiB) and CPU (per cent of one core) of each node while nobody asks anything."""
        pids = [n.process.pid for n in self.nodes]
        before = [cpu_seconds(p) for p in pids]
        time.sleep(seconds)
        used = [cpu_seconds(p) - b for p, b in zip(pids, before)]
        return {"ranges": sum(n.http("/ranges")[1].count('"serving":true') for n in self.nodes),
                "rss_mib": [round(n.resident_mib()) for n in self.nodes],
                "cpu_percent": [round(u * 100 / seconds, 2) for u in used]}

    def split(self, count):
        """So many splits at ascending keys behind all tables, each asked of the nodes by turns until its leader has done it."""
        done, deadline = 0, time.monotonic() + 60 + count / 2
        while done < count and time.monotonic() < deadline:
            if any(n.http("/range/split?key=f0%08x" % done, b"")[0] == 200 for n in self.nodes):
                done += 1
            else:
                time.sleep(0.05)
        time.sleep(5)
        return done

    def alive(self):
        return all(n.alive() for n in self.nodes)

    def log_tail(self):
        return "\n".join(n.log_tail() for n in self.nodes)

    def stop(self):
        return sum(n.stop() != 0 for n in reversed(self.nodes))

    def kill(self):
        for n in self.nodes:
            n.kill()
