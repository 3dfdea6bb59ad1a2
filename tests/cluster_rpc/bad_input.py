#!/usr/bin/env python3
"""What must not hurt a cluster of real processes: strangers at the RPC port, wrong tokens, certificates and identities, a damaged log.

Each ends in a clear error on the node that it is about; the others go on, which a client that writes all the time watches."""
import argparse
import glob
import os
import random
import shutil
import socket
import struct
import subprocess
import sys
import time
import traceback

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "crash"))
import full_disk  # noqa: E402
import pymysql  # noqa: E402
from cluster import TOKEN, Cluster, Member  # noqa: E402
from node import StartFailed  # noqa: E402
from operate import Load  # noqa: E402

RANDOM_SECONDS = 3
# The wall clock ten seconds ahead, for a process that preloads it. libfaketime does not get on with the allocator.
CLOCK_AHEAD = """
#define _GNU_SOURCE
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>
int clock_gettime(clockid_t id, struct timespec *t)
{
    long rc = syscall(SYS_clock_gettime, id, t);
    t->tv_sec += rc == 0 && (id == CLOCK_REALTIME || id == CLOCK_REALTIME_COARSE) ? 10 : 0;
    return (int)rc;
}
"""


class Run:
    def __init__(self, args):
        self.args, self.passed, self.failed, self.skipped = args, 0, 0, 0
        self.rand = random.Random(args.seed)

    def check(self, good, what, more=""):
        self.passed += bool(good)
        self.failed += not good
        print("%s %s%s" % ("ok  " if good else "FAIL", what, "" if good else ": %s" % (more,)), flush=True)

    def skip(self, what):
        self.skipped += 1
        print("SKIP " + what, flush=True)

    @staticmethod
    def within(seconds, good):
        """Whether it was once so. Asked a last time when the time is over, and not again once it was."""
        deadline = time.monotonic() + seconds
        while not good():
            if time.monotonic() > deadline:
                return False
            time.sleep(0.2)
        return True

    def stranger(self, c, name, options=(), join=None, token=TOKEN):
        """A node that is not one of the cluster yet."""
        n = Member(self.args.binary, os.path.join(c.directory, name), [*c.options, *options], 0)
        n.join = [c.nodes[0].rpc_address()] if join is None else join
        plain = n.addresses

        def addresses():
            out = plain()
            out[out.index("--join-token") + 1] = token
            return out

        n.addresses = addresses
        return n

    def refused(self, node, text, what, timeout=180):
        try:
            node.start(timeout=timeout)
            self.check(False, what, "it has started")
            node.kill()
        except StartFailed:
            self.check(node.said(text), what, node.log_tail(5))

    # ---- the RPC port ----

    def hammer(self, port, make):
        """Sends what make gives to one connection after the other; how many."""
        count, began = 0, time.monotonic()
        while time.monotonic() < began + RANDOM_SECONDS or count < 10 and time.monotonic() < began + 20 * RANDOM_SECONDS:
            try:
                with socket.create_connection(("127.0.0.1", port), 2) as s:
                    s.settimeout(0.2)
                    s.sendall(make())
                    s.recv(4096)
            except OSError:
                pass
            count += 1
        return count

    def random_bytes(self, c):
        rand = self.rand
        port = c.nodes[0].ports[1]

        def framed():
            body = rand.randbytes(rand.choice((0, 1, 24, 300)))
            return struct.pack("<IHH", len(body), rand.randrange(8), rand.randrange(64)) + body

        pieces = self.hammer(port, lambda: rand.randbytes(rand.choice((1, 8, 64, 4096, 100000))))
        pieces += self.hammer(port, framed)
        self.check(pieces > 10 and not c.dead(), "random bytes at the RPC port (%d connections)" % pieces, c.dead())
        self.check(c.nodes[0].said("rpc.frame.refused"), "its log says what was refused", c.nodes[0].log_tail(5))

    def huge_frame(self, c):
        before = c.nodes[0].resident_mib()
        for order in "<>":
            for size in (2 << 30, (1 << 32) - 1):
                with socket.create_connection(("127.0.0.1", c.nodes[0].ports[1]), 2) as s:
                    s.settimeout(5)
                    try:
                        s.sendall(struct.pack(order + "I", size) + bytes(64))
                        while s.recv(4096):
                            pass
                    except OSError:
                        pass
        grown = c.nodes[0].resident_mib() - before
        self.check(grown < 100 and not c.dead(), "a frame that claims 2 GB takes no memory", "%.0f MiB" % grown)
        self.check(c.nodes[0].said("more than the"), "its log says how large and how large it may be", c.nodes[0].log_tail(8))

    # ---- who is let in ----

    def wrong_token(self, c):
        self.refused(self.stranger(c, "token", token="not-the-one"), "the join token is wrong", "a join with a wrong token")

    def copied_directory(self, c):
        source = c.nodes[2]
        source.stop()
        n = self.stranger(c, "copy")
        shutil.copytree(source.data, n.data)
        source.start()
        c.wait_replicated()
        reasons = ("in use by another", "same id", "own id")
        good = True
        for _ in range(4):  # it is let in when the other one has gone, and waits for that: until it has said so
            try:
                n.start(timeout=40)
                good = self.within(60, lambda: not n.alive())
                break
            except StartFailed:
                if n.said(*reasons):
                    break
        self.check(good and not c.dead(), "a copy of a living node's directory does not serve", n.log_tail(5))
        self.check(n.said(*reasons), "and says why", n.log_tail(5))
        if n.alive():
            n.kill()

    def corrupt_log(self, c):
        n = c.nodes[1]
        n.kill()
        files = sorted(f for f in glob.glob(n.data + "/log/*") if os.path.getsize(f) > 65536)
        done = False
        for path in files:
            with open(path, "r+b") as f:
                data = f.read(1 << 20)
                used = len(data.rstrip(b"\0"))
                if used > 20000:
                    f.seek(used // 2)
                    f.write(bytes(b ^ 0xFF for b in data[used // 2:used // 2 + 64]))
                    done = True
                    break
        if not done:
            self.check(False, "a log to damage", files)
            return
        saved = path
        try:
            n.start()
            self.check(False, "a node with a damaged log does not start")
        except StartFailed:
            tail = n.log_tail(5)
            self.check(os.path.basename(saved) in tail and "offset" in tail, "a node with a damaged log names file and offset", tail)

    # ---- clocks and disks ----

    def clock_off(self, c):
        """A fourth node, ten seconds ahead: timestamps are the oracle's, so what it commits is seen in order everywhere."""
        library = os.path.join(c.directory, "ahead.so")
        command = ["cc", "-shared", "-fPIC", "-O1", "-x", "c", "-o", library, "-"]
        if shutil.which("cc") is None or subprocess.run(command, input=CLOCK_AHEAD, text=True, capture_output=True, check=False).returncode != 0:
            self.skip("a clock that is off needs a compiler")
            return
        extra = {"LD_PRELOAD": library}
        os.environ.update(extra)
        try:
            n = c.add()
        finally:
            for name in extra:
                del os.environ[name]
        c.nodes.remove(n)
        n.connect().close()
        with n.connect() as ahead, c.nodes[0].connect() as right, ahead.cursor() as a, right.cursor() as b:
            b.execute("SELECT NOW()")
            now = b.fetchall()[0][0]
            a.execute("SELECT NOW()")
            self.check((a.fetchall()[0][0] - now).total_seconds() > 8, "a node whose clock is 10 s off")
            a.execute("CREATE TABLE op.clock (id INT PRIMARY KEY, v INT)")
            a.execute("INSERT INTO op.clock VALUES (1, 0)")
            good = True
            for i in range(100):
                writer, reader = (a, b) if i % 2 == 0 else (b, a)
                writer.execute("UPDATE op.clock SET v = v + 1 WHERE id = 1")
                reader.execute("SELECT v FROM op.clock")
                good = good and reader.fetchall() == ((i + 1,),)
            self.check(good, "each reads what the other has committed")
        self.check(self.within(30, lambda: n.said("node.clock.off")), "its log says that its clock is off", n.log_tail(10))
        n.kill()
        answer = c.nodes[0].http("/node/decommission?key=%d" % n.node_id, b"", 600)
        self.check(answer[0] == 200, "and it can be told to leave", answer)

    # ---- all ----

    def plain(self):
        with Cluster(self.args.binary, 3, keep=self.args.keep) as c:
            connection = c.nodes[0].connect()
            with connection.cursor() as cursor:
                cursor.execute("CREATE DATABASE op")
                cursor.execute("CREATE TABLE op.log (id BIGINT PRIMARY KEY)")
            load = Load(c.nodes[0])
            self.random_bytes(c)
            self.huge_frame(c)
            self.wrong_token(c)
            self.check(not load.problems, "no write was refused meanwhile", load.problems[:3])
            self.clock_off(c)
            self.copied_directory(c)
            self.corrupt_log(c)
            before = load.acknowledged  # what the node led waits for an election
            self.check(self.within(30, lambda: load.acknowledged > before), "two of three go on")
            load.end()
            with connection.cursor() as cursor:
                cursor.execute("SELECT COUNT(*) FROM op.log")
                count = cursor.fetchall()[0][0]
            self.check(count == load.acknowledged, "no write was lost (%d)" % count, (count, load.acknowledged))
            c.keep = c.keep or self.failed != 0

    def full_disk(self):
        """One of three runs out of disk. It says so and gives its leases away; writes go on; with space again it catches up."""
        path = None
        c = Cluster(self.args.binary, 3, options=["--memory", "512M"], keep=self.args.keep)
        try:
            path = os.path.join(c.directory, "2")
            try:
                full_disk.mount_tmpfs(path, 512 << 20)
            except full_disk.Skip as e:
                path = None
                self.skip("a full disk: %s" % e)
                return
            with c:
                self.fill_up(c, path)
        finally:
            if path is not None:
                subprocess.run(["umount", "-l", path], check=False)

    def fill_up(self, c, path):
        n = c.nodes[1]
        with c.nodes[0].connect() as connection, connection.cursor() as cursor:
            cursor.execute("CREATE DATABASE op")
            cursor.execute("CREATE TABLE op.log (id BIGINT PRIMARY KEY)")
        for r in c.ranges():  # it leads something
            c.move_lease(r, n)
        load = Load(c.nodes[0])
        time.sleep(1)
        filler = os.path.join(path, "filler")

        def full():
            return next(r for r in c.nodes[0].json("/nodes") if r["id"] == n.node_id)["disk_full"]

        def fills_and_leads_nothing():
            # The node gives back what it can, its ballast and some of its log, and would have space again: others take that, too.
            full_disk.fill(filler, 8 << 20)
            return full() and c.leases()[n] == 0
        self.check(self.within(60, fills_and_leads_nothing), "a node whose disk is full says so and leads nothing", (full(), c.leases()))
        self.check(n.said("range.disk.full"), "its log says what that means", n.log_tail(5))
        before = load.acknowledged
        time.sleep(5)
        self.check(load.acknowledged > before + 20 and not c.dead(), "the cluster goes on (%d writes in 5 s)" % (load.acknowledged - before))
        with n.connect() as there, there.cursor() as cursor:  # and through it, as the leaders are elsewhere
            def written():
                """Where the leader is not heard for a second this node may be elected. It gives the lease away again."""
                try:
                    cursor.execute("REPLACE INTO op.log VALUES (-1)")
                    return True
                except pymysql.err.OperationalError as e:
                    if e.args[0] != 1021:
                        raise
                    return False
            self.within(30, written)
            cursor.execute("SELECT COUNT(*) FROM op.log WHERE id = -1")
            self.check(cursor.fetchall() == ((1,),), "its clients go on too")
        os.unlink(filler)
        try:
            c.wait_replicated()
            self.check(self.within(30, lambda: not full()), "with space again it catches up")
        except TimeoutError as e:
            self.check(False, "with space again it catches up", e)
        load.end()
        with c.nodes[2].connect() as connection, connection.cursor() as cursor:
            cursor.execute("SELECT COUNT(*) FROM op.log WHERE id > 0")
            count = cursor.fetchall()[0][0]
        self.check(count == load.acknowledged, "no write was lost (%d)" % count, (count, load.acknowledged))
        if load.problems:
            print("refused: %d, %s" % (len(load.problems), load.problems[:2]))
        c.keep = c.keep or self.failed != 0

    def with_tls(self):
        with Cluster(self.args.binary, 1, options=["--rpc-tls", "on"], keep=self.args.keep) as c, \
                Cluster(self.args.binary, 1, options=["--rpc-tls", "on"], keep=self.args.keep) as other:
            with open(c.nodes[0].data + "/rpc-tls/fingerprint", encoding="ascii") as f:
                fingerprint = f.read()
            self.refused(self.stranger(c, "bare"), "fingerprint", "a join without the CA's fingerprint")
            member = self.stranger(c, "member", token="%s@%s" % (TOKEN, fingerprint))
            member.start()
            self.check(True, "a join with it")
            member.stop()
            for name in ("ca.crt", "node.crt", "node.key"):
                shutil.copy(other.nodes[0].data + "/rpc-tls/" + name, member.data + "/rpc-tls/" + name)
            for _ in range(6):  # it does not end but tries on; on a busy machine it takes a while until it says so
                try:
                    member.start(timeout=20)
                    break
                except StartFailed:
                    if member.said("certificate"):
                        break
            self.check(not member.alive() and member.said("certificate"),
                       "a node with another CA's certificate is not let in and says why", member.log_tail(5))
            self.check(not c.dead(), "the cluster goes on")
            c.nodes[0].connect().close()
            if member.alive():
                member.kill()
            c.keep = c.keep or self.failed != 0


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--binary", required=True)
    p.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 30))
    p.add_argument("--keep", action="store_true")
    p.add_argument("--only", choices=("plain", "full_disk", "with_tls"))
    args = p.parse_args()
    args.binary = os.path.abspath(args.binary)
    print("seed %d" % args.seed)
    run = Run(args)
    for part in (run.plain, run.full_disk, run.with_tls):
        if args.only not in (None, part.__name__):
            continue
        try:
            part()
        except Exception as e:
            traceback.print_exc()
            run.check(False, "the run broke", "%s: %s" % (type(e).__name__, e))
    print("%d passed, %d failed%s" % (run.passed, run.failed, ", %d skipped" % run.skipped if run.skipped else ""))
    return 1 if run.failed else 0


if __name__ == "__main__":
    sys.exit(main())
