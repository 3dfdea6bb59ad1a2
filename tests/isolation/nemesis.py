"""What happens to a cluster while a load runs."""
import threading
import time

import driver  # noqa: F401 it knows where tests/lib is
from keys import FIRST_TABLE, key_of


class Nemesis(threading.Thread):
    """Splits ranges, moves leases, kills nodes."""

    def __init__(self, cluster, rand, kills):
        super().__init__()
        self.cluster, self.rand, self.kills = cluster, rand, kills
        self.stop_event = threading.Event()
        self.done = {}

    def count(self, what):
        self.done[what] = self.done.get(what, 0) + 1

    def split(self):
        table, at = FIRST_TABLE + self.rand.randrange(15), self.rand.randrange(1, 60)
        if not self.cluster.split(key_of(table, at, index=self.rand.randint(1, 2))):
            self.count("splits")

    def move(self):
        ranges = self.cluster.ranges()
        if ranges:
            done, _ = self.cluster.move_lease(self.rand.choice(sorted(ranges)), self.rand.choice(self.cluster.living()))
            self.count("leases moved" if done else "leases not moved")

    def prepare(self):
        """Several ranges before the load begins."""
        for _ in range(20):
            try:
                self.split()
            except OSError:
                self.count("no answer")

    def finish(self):
        self.stop_event.set()
        self.join()

    def run(self):
        next_kill = time.monotonic() + 2
        while not self.stop_event.wait(0.05):
            try:
                if self.rand.random() < 0.3:
                    self.split()
                if len(self.cluster.nodes) > 1:
                    self.move()
                if self.kills and time.monotonic() > next_kill:
                    node = self.rand.choice(self.cluster.nodes)
                    node.kill()
                    self.count("kills")
                    self.stop_event.wait(1)
                    node.start()
                    next_kill = time.monotonic() + 4
            except OSError:
                self.count("no answer")
