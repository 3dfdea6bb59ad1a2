"""What must not hurt a node: random bytes, broken packets, idle strangers, a full disk, flipped bits, monstrous statements.

Each function of TESTS gets a running node and returns a list of problems; it raises Skip when it cannot run here. See run.sh."""
import argparse
import os
import random
import shutil
import struct
import subprocess
import sys
import tempfile
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import pymysql  # noqa: E402
import full_disk  # noqa: E402
from full_disk import Skip  # noqa: E402
from node import Node, StartFailed  # noqa: E402

RESIDENT_MAX_MIB = 400  # during abuse, with the default limits; sanitizers take a multiple: --resident-max


class Context:
    def __init__(self, args, directory):
        self.args, self.directory = args, directory
        self.rand = random.Random(args.seed)
        self.node = None

    def fresh_node(self, name, options=(), data=None):
        if self.node is not None:
            self.node.kill()
        self.node = Node(self.args.binary, os.path.join(self.directory, name), options)
        self.node.resident_max = self.args.resident_max
        if data is not None:
            self.node.data = data
        self.node.start()
        return self.node


def query(node, sql, **options):
    connection = node.connect(**options)
    try:
        with connection.cursor() as c:
            c.execute(sql)
            return c.fetchall()
    finally:
        connection.close()


def well(node):
    """Problems of a node that should be as healthy as ever."""
    if not node.alive():
        return ["the node has died; log ends with:\n" + node.log_tail()]
    problems = []
    try:
        if query(node, "SELECT 1+1") != ((2,),):
            problems.append("SELECT 1+1 is wrong")
    except (pymysql.Error, OSError) as e:
        problems.append("a client cannot work: %r" % (e,))
    try:
        if node.http("/livez")[0] != 200 or node.http("/readyz")[0] != 200:
            problems.append("the health pages say no")
    except OSError as e:
        problems.append("no HTTP: %r" % (e,))
    if node.resident_mib() > node.resident_max:
        problems.append("%.0f MiB resident" % node.resident_mib())
    return problems


# ---- sockets ----

def send_quietly(node, port, data, read=0, timeout=1.0):
    """Sends and perhaps reads; what happens to the connection does not matter."""
    try:
        with node.socket(port, timeout) as s:
            if read:
                s.recv(read)
            s.sendall(data)
            s.shutdown(1)
            while s.recv(65536):
                pass
    except OSError:
        pass


def hammer(seconds, threads, action):
    deadline = time.monotonic() + seconds
    counts = [0] * threads

    def loop(i):
        while time.monotonic() < deadline:
            action()
            counts[i] += 1

    workers = [threading.Thread(target=loop, args=(i,), daemon=True) for i in range(threads)]
    for w in workers:
        w.start()
    for w in workers:
        w.join(seconds + 30)
    return sum(counts)


def random_packet(rand):
    """Random bytes, often in a frame that is right, so that they get past the first check."""
    body = rand.randbytes(rand.choice((0, 1, 5, 32, 36, 300, 5000)))
    kind = rand.random()
    if kind < 0.4:
        return body
    length = len(body) if kind < 0.8 else rand.randrange(1 << 24)
    return struct.pack("<I", length)[:3] + bytes([rand.choice((0, 1, 2, 255))]) + body


def random_mysql(ctx):
    node, rand = ctx.node, ctx.rand
    lock = threading.Lock()

    def action():
        with lock:
            data = b"".join(random_packet(rand) for _ in range(rand.randrange(1, 4)))
            read = rand.choice((0, 4096))
        send_quietly(node, node.mysql_port, data, read, 0.3)

    count = hammer(ctx.args.seconds, 4, action)
    return well(node) + ([] if count else ["nothing was sent"])


def random_commands(ctx):
    """Commands with random bytes from a client that has logged in."""
    node, rand = ctx.node, ctx.rand
    deadline = time.monotonic() + ctx.args.seconds / 2
    # 0x08, COM_SHUTDOWN, is root's good right
    commands = [c for c in range(0x24) if c != 0x08]
    while time.monotonic() < deadline:
        try:
            connection = node.connect(read_timeout=2)
            sock = connection._sock
            for _ in range(50):
                body = bytes([rand.choice(commands)]) + rand.randbytes(rand.choice((0, 1, 4, 9, 50)))
                sock.sendall(struct.pack("<I", len(body))[:3] + b"\0" + body)
            sock.shutdown(1)
            while sock.recv(65536):
                pass
            sock.close()
        except (pymysql.Error, OSError):
            pass
    return well(node)


def random_http(ctx):
    node, rand = ctx.node, ctx.rand
    lock = threading.Lock()
    paths = (b"/", b"/status", b"/metrics", b"/range/split?key=", b"/faults", b"/ranges", b"/%00", b"//..//")

    def action():
        with lock:
            kind = rand.randrange(6)
            noise = rand.randbytes(rand.choice((1, 20, 300, 5000)))
            path = rand.choice(paths)
        if kind == 0:
            data = noise
        elif kind == 1:
            data = b"GET " + noise + b" HTTP/1.1\r\n\r\n"
        elif kind == 2:
            data = b"GET " + path + b" HTTP/1.1\r\nHost: x\r\n" + b"X: y\r\n" * 20000 + b"\r\n"
        elif kind == 3:
            data = b"POST " + path + noise.hex().encode() + b" HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n"
        elif kind == 4:
            data = b"POST /faults HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % (10 ** 12) + noise
        else:
            data = b"POST /faults HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nffffffff\r\n" + noise
        send_quietly(node, node.admin_port, data, 0, 0.3)

    count = hammer(ctx.args.seconds, 4, action)
    time.sleep(0.5)
    problems = well(node) + ([] if count else ["nothing was sent"])
    status, _ = node.http("/faults", b"x" * 100000)
    if status != 413:
        problems.append("a body of 100,000 bytes gives status %d, not 413" % status)
    status, _ = node.http("/range/split?key=xyz", b"")
    if status != 400:
        problems.append("a key that is no hexadecimal gives status %d, not 400" % status)
    return problems


def broken_packets(ctx):
    node = ctx.node
    port = node.mysql_port
    login = struct.pack("<IIB23s", 0x000FA285, 1 << 24, 45, b"") + b"root\0\0"
    cases = [
        b"", b"\x01", b"\xff\xff\xff", b"\xff\xff\xff\x01", b"\xff\xff\xff\x01" + b"a" * 1000,  # truncated
        b"\0\0\0\x01", b"\x05\0\0\x01abc",
        b"\xff\xff\xff\x01" + b"b" * (1 << 24),  # 16 MB before a login
        struct.pack("<I", len(login))[:3] + b"\x07" + login,  # a wrong sequence number
    ]
    cases += [struct.pack("<I", n)[:3] + b"\x01" + login[:n] for n in range(0, len(login), 3)]
    for data in cases:
        send_quietly(node, port, data, 4096)
    problems = well(node)
    connection = node.connect()
    try:
        with connection.cursor() as c:
            c.execute("SELECT @@max_allowed_packet")
            limit = int(c.fetchone()[0])
        big = b"\x03SELECT '" + b"x" * (limit + 1000) + b"'"
        try:
            for at in range(0, len(big) + 1, 0xFFFFFF):
                piece = big[at:at + 0xFFFFFF]
                connection._sock.sendall(struct.pack("<I", len(piece))[:3] + bytes([at // 0xFFFFFF]) + piece)
            answer = connection._sock.recv(4096)
            if answer[4:5] != b"\xff":
                problems.append("a packet over max_allowed_packet is answered with %r" % answer[:20])
        except OSError:
            pass  # cut off while it still sends: as good
    finally:
        try:
            connection.close()
        except (pymysql.Error, OSError):
            pass
    return problems + well(node)


def idle_strangers(ctx):
    node, sockets, problems = ctx.node, [], []
    before = node.resident_mib()
    try:
        for _ in range(ctx.args.idle):
            sockets.append(node.socket(node.mysql_port))
        began = time.monotonic()
        problems += well(node)
        if time.monotonic() - began > 20:
            problems.append("a client needs %.1f s to log in" % (time.monotonic() - began))
        print("     %d idle connections: %.0f MiB more" % (ctx.args.idle, node.resident_mib() - before))
    finally:
        for s in sockets:
            s.close()
    return problems


# ---- statements ----

def expect_error(node, sql, problems, what):
    """An error with number, not a lost connection; also no error is fine."""
    try:
        query(node, sql)
    except pymysql.OperationalError as e:
        if e.args[0] in (2006, 2013):
            problems.append("%s: the connection is lost" % what)
    except pymysql.Error:
        pass
    except OSError as e:
        problems.append("%s: %r" % (what, e))


def deep_statements(ctx):
    n, problems = 10000, []
    expect_error(ctx.node, "SELECT " + "(" * n + "1" + ")" * n, problems, "parentheses")
    expect_error(ctx.node, "SELECT " + "NOT " * n + "1", problems, "NOT")
    expect_error(ctx.node, "SELECT " + "abs(" * n + "1" + ")" * n, problems, "calls")
    expect_error(ctx.node, "SELECT 1" + "+1" * n, problems, "sums")
    expect_error(ctx.node, "SELECT " + "(SELECT " * n + "1" + ")" * n, problems, "subqueries")
    expect_error(ctx.node, "SELECT CASE WHEN 1 THEN " * n + "1" + " END" * n, problems, "CASE")
    return problems + well(ctx.node)


# ---- disk ----

def full_disk_test(ctx):
    mount = os.path.join(ctx.directory, "small_disk")
    full_disk.mount_tmpfs(mount, full_disk.DISK_SIZE)
    try:
        return full_disk.run(ctx.fresh_node("full_disk", data=os.path.join(mount, "data")), mount)
    finally:
        if ctx.node is not None:
            ctx.node.kill()
        subprocess.run(["umount", "-l", mount], check=False)


def load_rows(node, count):
    connection = node.connect()
    with connection.cursor() as c:
        c.execute("CREATE DATABASE IF NOT EXISTS flipped")
        c.execute("CREATE TABLE flipped.t (id INT PRIMARY KEY, v VARCHAR(200))")
        for i in range(count):
            c.execute("INSERT INTO flipped.t VALUES (%s, %s)", (i, "v%d" % i * 20))
    connection.close()


def flip(path, offset):
    with open(path, "r+b") as f:
        f.seek(offset)
        byte = f.read(1)[0]
        f.seek(offset)
        f.write(bytes([byte ^ 0x40]))


def used_size(path):
    with open(path, "rb") as f:
        return len(f.read().rstrip(b"\0"))


def flipped_log(ctx):
    node = ctx.fresh_node("flipped_log")
    load_rows(node, 500)
    node.kill()
    folder = os.path.join(node.data, "log")
    sizes = {name: used_size(os.path.join(folder, name)) for name in os.listdir(folder)}
    name = max(sizes, key=sizes.get)
    offset = sizes[name] // 2
    flip(os.path.join(folder, name), offset)
    try:
        node.start()
        return ["the node starts although byte %d of %s is wrong" % (offset, name)]
    except StartFailed as e:
        text = str(e)
    problems = []
    if name not in text:
        problems.append("the message does not name the file %s: %s" % (name, text))
    if "offset" not in text:
        problems.append("the message names no offset: " + text)
    flip(os.path.join(folder, name), offset)
    node.start()
    if query(node, "SELECT COUNT(*) FROM flipped.t")[0][0] != 500:
        problems.append("rows are missing after the byte is right again")
    return problems


def flipped_sst(ctx):
    node = ctx.fresh_node("flipped_sst")
    load_rows(node, 5000)
    node.stop()
    folder = os.path.join(node.data, "store")
    names = [n for n in os.listdir(folder) if n.endswith(".sst")]
    name = max(names, key=lambda n: os.path.getsize(os.path.join(folder, n)))
    flip(os.path.join(folder, name), os.path.getsize(os.path.join(folder, name)) // 3)
    try:
        node.start()
    except StartFailed:
        return []  # refused at the start: as good
    try:
        rows = query(node, "SELECT COUNT(*), SUM(LENGTH(v)) FROM flipped.t")
    except (pymysql.Error, OSError) as e:
        print("     a read says %r" % (e.args,))
        return []
    return ["a read over a wrong byte gives %r" % (rows,)]


TESTS = [random_mysql, random_commands, broken_packets, random_http, idle_strangers, deep_statements, full_disk_test, flipped_log,
         flipped_sst]
OWN_NODE = {full_disk_test, flipped_log, flipped_sst}


def run_one(ctx, test, options):
    try:
        if test not in OWN_NODE and (ctx.node is None or not ctx.node.alive()):
            ctx.fresh_node("node_" + test.__name__, options)
        problems = test(ctx)
    except Skip as e:
        print("SKIP %s: %s" % (test.__name__, e), flush=True)
        return None
    except (StartFailed, OSError, pymysql.Error) as e:
        problems = ["%r; log ends with:\n%s" % (e, ctx.node.log_tail() if ctx.node else "")]
    print("%s %s" % ("FAIL" if problems else "PASS", test.__name__), flush=True)
    for p in problems:
        print("     " + p, flush=True)
    return not problems


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--binary", required=True)
    parser.add_argument("--seconds", type=float, default=3.0, help="of each kind of random bytes")
    parser.add_argument("--idle", type=int, default=500, help="connections that never log in")
    parser.add_argument("--seed", type=int, default=int(time.time()) & 0xFFFFFF)
    parser.add_argument("--option", action="append", default=[])
    parser.add_argument("--resident-max", type=float, default=RESIDENT_MAX_MIB, help="MiB")
    parser.add_argument("--only", action="append", default=[], help="name of a test")
    args = parser.parse_args()
    print("seed %d" % args.seed, flush=True)
    directory = tempfile.mkdtemp(prefix="skein_bad_input_")
    ctx = Context(args, directory)
    results = []
    try:
        for test in TESTS:
            if not args.only or test.__name__ in args.only:
                results.append(run_one(ctx, test, args.option))
    finally:
        if ctx.node is not None:
            ctx.node.kill()
        shutil.rmtree(directory, ignore_errors=True)
    skipped = results.count(None)
    print("%d passed, %d failed%s" % (results.count(True), results.count(False), ", %d skipped" % skipped if skipped else ""))
    return 1 if results.count(False) else 0


sys.exit(main())
