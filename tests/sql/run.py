#!/usr/bin/python3
"""Golden SQL tests.

Every t/AREA/NAME.test is a list of SQL statements; r/AREA/NAME.result is what the reference server
answered to each of them. A run sends the same statements to SkeinDB and compares the texts.

    run.sh --binary PATH [--backend memory|disk|both] [names...]
    run.sh --backend server HOST:PORT [names...]        compare any running server
    run.sh --record HOST:PORT [names...]                write the results from a reference server

A name is AREA, AREA/NAME or a shell pattern of it. The last line is "N passed, N failed"; the exit
status is 0 when nothing failed. docs/testing.md describes the directives of a test file.
"""
import argparse
import difflib
import fnmatch
import os
import re
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import warnings

import pymysql
from pymysql.constants import CLIENT, COMMAND

HERE = os.path.dirname(os.path.abspath(__file__))
DATABASE = "golden_test"
DEFAULT = "default"
START_S = 60
BLOCKED_S, BLOCKED_MAX_S = 0.3, 2.0

warnings.simplefilter("ignore")
FIELD_VECTOR = 242
pymysql.connections.TEXT_TYPES.add(FIELD_VECTOR)  # PyMySQL does not know it: bytes, not ASCII


class Statement:
    """One SQL statement (or a directive that needs none) with the directives before it."""

    def __init__(self, sql, directives, line):
        self.sql = sql
        self.line = line
        self.connection, self.login = DEFAULT, {}
        self.ours = self.sorted = self.send = self.reap = self.metadata = False
        self.close = False
        self.file = self.content = self.show_file = None
        self.mask = set()
        for word, arg in directives:
            if word == "connection":
                self.connection, *login = arg.split()
                self.login = dict(part.split("=", 1) for part in login)
            elif word in ("ours", "sorted", "send", "reap", "metadata", "close"):
                setattr(self, word, True)
            elif word == "file":
                self.file, _, text = arg.partition(" ")
                self.content = text.encode("utf-8").decode("unicode_escape").encode("latin-1")
            elif word == "show-file":
                self.show_file = arg
            elif word == "mask":
                self.mask.update(a.strip() for a in arg.split(","))
            elif word != "multi":
                raise ValueError("line %d: unknown directive --%s" % (line, word))

    def title(self):
        where = "" if self.connection == DEFAULT else "[%s] " % self.connection
        if self.reap:
            return where + "--reap"
        if self.close:
            return where + "--close"
        if self.file:
            return "--file " + self.file
        if self.show_file:
            return "--show-file " + self.show_file
        return where + self.sql


def parse_test(path):
    out, directives, text, start, multi = [], [], [], 0, False
    with open(path, encoding="utf-8") as f:
        lines = f.read().split("\n")
    for number, line in enumerate(lines, 1):
        if not text:
            if not line.strip() or line.startswith("#"):
                continue
            if line.startswith("--"):
                word, _, arg = line[2:].strip().partition(" ")
                directives.append((word, arg.strip()))
                multi = multi or word == "multi"
                if word in ("reap", "close", "file", "show-file"):
                    out.append(Statement("", directives, number))
                    directives, multi = [], False
                continue
            start = number
        text.append(line)
        stripped = line.rstrip()
        end = ";;" if multi else ";"
        if stripped.endswith(end):
            sql = "\n".join(text).rstrip()
            out.append(Statement(sql[: -len(end)] + (";" if multi else ""), directives, start))
            directives, text, multi = [], [], False
    if text or directives:
        raise ValueError("%s: unfinished statement at line %d" % (path, start))
    return out


def show(value):
    """A raw value of the text protocol, on one line."""
    if value is None:
        return "NULL"
    if isinstance(value, bytes):
        try:
            value = value.decode("utf-8")
        except UnicodeDecodeError:
            return "0x" + value.hex().upper()
        if any(ord(c) < 32 and c not in "\n\t" for c in value):
            return "0x" + value.encode().hex().upper()
    out = value.replace("\\", "\\\\").replace("\n", "\\n").replace("\t", "\\t")
    return "".join(c if c >= " " else "\\x%02X" % ord(c) for c in out)


class Runner:
    def __init__(self, host, port):
        self.host, self.port = host, port
        self.connections = {}
        self.temp = None
        self.slowest = 0.0

    def connect(self, database=None, user="root", password=""):
        c = pymysql.connect(host=self.host, port=self.port, user=user, password=password,
                            database=database, charset="utf8mb4", conv={}, autocommit=None,
                            connect_timeout=10, read_timeout=40, local_infile=True,
                            client_flag=CLIENT.MULTI_STATEMENTS)
        c.query("SET NAMES utf8mb4")
        return c

    def connection(self, name, login):
        """With a user of its own, a connection begins without a database unless it names one."""
        if name not in self.connections:
            self.connections[name] = self.connect(**login) if login else self.connect(DATABASE)
        return self.connections[name]

    def file(self, name):
        """A file that statements name as $TMP/NAME: the servers run on this machine."""
        if self.temp is None:
            self.temp = tempfile.mkdtemp(prefix="skein-golden-")
            os.chmod(self.temp, 0o777)
        return os.path.join(self.temp, name)

    def prepare(self):
        admin = self.connect()
        try:
            admin.query("DROP DATABASE IF EXISTS " + DATABASE)
            admin.query("CREATE DATABASE " + DATABASE)
        finally:
            admin.close()

    def cleanup(self):
        for c in self.connections.values():
            try:
                c.close()
            except pymysql.err.Error:
                pass
        self.connections = {}
        if self.temp is not None:
            shutil.rmtree(self.temp, ignore_errors=True)
            self.temp = None
        admin = self.connect()
        try:
            admin.query("DROP DATABASE IF EXISTS " + DATABASE)
        finally:
            admin.close()

    @staticmethod
    def columns(result, statement, out):
        if statement.metadata:
            for f in result.fields:
                out.append("  @ %s table=%s org=%s.%s type=%d length=%d decimals=%d flags=%d "
                           "charset=%d" % (f.name, f.table_name, f.org_table, f.org_name,
                                           f.type_code, f.length, f.scale, f.flags, f.charsetnr))
        out.append("\t".join(show(f.name) for f in result.fields))

    def result(self, c, statement, out):
        result = c._result
        if result.description is None:
            message = result.message or b""
            if message and message[0] == len(message) - 1:  # PyMySQL leaves the length in
                message = message[1:]
            text = message.decode("utf-8", "replace")
            out.append("affected %d, last id %d%s" % (result.affected_rows, result.insert_id or 0,
                                                     ", " + text if text else ""))
            return
        self.columns(result, statement, out)
        names = [f.name for f in result.fields]
        rows = ["\t".join("#" if n in statement.mask and v is not None else show(v)
                          for n, v in zip(names, row)) for row in result.rows]
        out.extend(sorted(rows) if statement.sorted else rows)

    @staticmethod
    def error(e, out):
        state = getattr(e, "sqlstate", None) or "?"
        out.append("ERROR %s (%s): %s" % (e.args[0], state, e.args[1] if len(e.args) > 1 else ""))

    def answer(self, c, statement, out):
        c._read_query_result()
        self.result(c, statement, out)
        while c._result is not None and c._result.has_next:
            out.append("-")
            c._read_query_result()
            self.result(c, statement, out)
        if c._result.warning_count:
            c.query("SHOW WARNINGS")
            for level, code, message in c._result.rows:
                out.append("! %s %s %s" % (level, code, show(message)))

    def blocked(self):
        """How long a statement gets to come to where it waits: on a busy machine as others have needed there."""
        return min(max(BLOCKED_S, 3 * self.slowest), BLOCKED_MAX_S)

    def statement(self, s):
        """The lines of the answer to one statement."""
        out = []
        if s.close:
            self.connections.pop(s.connection).close()
            return ["closed"]
        if s.file:
            with open(self.file(s.file), "wb") as f:
                f.write(s.content)
            return []
        if s.show_file:
            with open(self.file(s.show_file), "rb") as f:
                return [show(f.read())]
        try:
            c = self.connection(s.connection, s.login)
            if not s.reap:
                sql = s.sql.replace("$TMP", self.file("")[:-1]) if "$TMP" in s.sql else s.sql
                c._execute_command(COMMAND.COM_QUERY, sql.encode("utf-8"))
            if s.send:
                ready = select.select([c._sock], [], [], self.blocked())[0]
                return ["(answered)" if ready else "(waiting)"]
            began = time.monotonic()
            self.answer(c, s, out)
            if not s.reap:
                self.slowest = max(self.slowest, time.monotonic() - began)
        except UnicodeDecodeError as e:
            out.append("CONNECTION LOST: %s" % (e,))
            self.connections.pop(s.connection, None)
        except (pymysql.err.Error, OSError) as e:
            code = e.args[0] if e.args else 0
            if isinstance(e, pymysql.err.InterfaceError) or code in (0, 2006, 2013):
                out.append("CONNECTION LOST: %s" % (e,))
                self.connections.pop(s.connection, None)
            elif isinstance(code, int):
                self.error(e, out)
            else:
                out.append("CONNECTION LOST: %s" % (e,))
        return out

    def run(self, statements):
        """[(title, [line...]), ...]"""
        self.prepare()
        blocks = []
        try:
            for s in statements:
                lines = self.statement(s)
                if self.temp is not None:
                    lines = [line.replace(self.temp, "$TMP") for line in lines]
                blocks.append((s.title(), lines))
            self.cleanup()
        except (pymysql.err.Error, OSError) as e:
            blocks.append(("the rest of the file", ["CONNECTION LOST: %s" % (e,)]))
        return blocks


# PyMySQL drops the SQLSTATE of an error packet: keep it.
def _raise_with_state(data):
    import struct
    number = struct.unpack("<h", data[1:3])[0] & 0xFFFF
    state, text = "?", data[3:]
    if data[3:4] == b"#":
        state, text = data[4:9].decode("ascii", "replace"), data[9:]
    e = pymysql.err.OperationalError(number, text.decode("utf-8", "replace"))
    e.sqlstate = state
    raise e


pymysql.err.raise_mysql_exception = _raise_with_state


def to_text(blocks):
    out = []
    for title, lines in blocks:
        out.extend("> " + t for t in title.split("\n"))
        out.extend(lines)
        out.append("")
    return "\n".join(out)


def from_text(text):
    """The blocks of a result file."""
    blocks, title, lines = [], [], None
    for line in text.split("\n"):
        if line.startswith("> "):
            if lines is not None:
                blocks.append(("\n".join(title), lines))
                title, lines = [], None
            title.append(line[2:])
        elif title:
            lines = lines or []
            lines.append(line)
    if lines is not None:
        blocks.append(("\n".join(title), lines))
    return [(t, ls[:-1] if ls and ls[-1] == "" else ls) for t, ls in blocks]


def unify(blocks):
    """Blocks as a text that a re-read gives back (multi-line titles are merged by from_text)."""
    return from_text(to_text(blocks))


class Server:
    """A SkeinDB of our own on a port the system chooses."""

    def __init__(self, binary, storage, keep_log):
        self.binary, self.storage, self.process = binary, storage, None
        self.directory = tempfile.mkdtemp(prefix="skein-golden-")
        self.log_path = keep_log or os.path.join(self.directory, "server.log")
        self.log = open(self.log_path, "ab")
        self.runs = 0

    def start(self):
        self.runs += 1
        data = os.path.join(self.directory, "data%d" % self.runs)
        temp = os.path.join(self.directory, "temp%d" % self.runs)  # of itself --storage=memory has no place to spill
        os.mkdir(temp)
        self.process = subprocess.Popen(
            [self.binary, "start", "--storage", self.storage, "--data", data, "--mysql",
             "127.0.0.1:0", "--rpc", "127.0.0.1:0", "--admin", "127.0.0.1:0",
             "--secure-file-priv", "", "--temp-dir", temp],
            stdout=subprocess.PIPE, stderr=self.log, stdin=subprocess.DEVNULL)
        deadline = time.monotonic() + START_S
        line = b""
        while time.monotonic() < deadline:
            if select.select([self.process.stdout], [], [], 0.2)[0]:
                line = self.process.stdout.readline()
                if not line:
                    break
                m = re.search(rb"\bmysql=(\S+):(\d+)", line)
                if line.startswith(b"ready") and m:
                    return m.group(1).decode(), int(m.group(2))
            elif self.process.poll() is not None:
                break
        self.stop()
        raise RuntimeError("the server did not get ready: see %s" % self.log_path)

    def alive(self):
        return self.process is not None and self.process.poll() is None

    def stop(self):
        """The exit status of the server, None when it had to be killed."""
        if self.process is None:
            return 0
        p, self.process = self.process, None
        if p.poll() is None:
            p.send_signal(signal.SIGTERM)
        try:
            return p.wait(30)
        except subprocess.TimeoutExpired:
            p.kill()
            p.wait()
            return None

    def close(self, keep):
        status = self.stop()
        self.log.close()
        if not keep:
            shutil.rmtree(self.directory, ignore_errors=True)
        return status


def all_tests(patterns):
    found = []
    for area in sorted(os.listdir(os.path.join(HERE, "t"))):
        folder = os.path.join(HERE, "t", area)
        found += [area + "/" + n[:-5] for n in sorted(os.listdir(folder)) if n.endswith(".test")]
    if not patterns:
        return found
    chosen = [n for n in found if any(n == p or n.startswith(p + "/") or fnmatch.fnmatch(n, p)
                                      for p in patterns)]
    if not chosen:
        sys.exit("no test matches " + " ".join(patterns))
    return chosen


def known_failures(label):
    """{test: reason}; a test in the list must fail. NAME [BACKEND] holds for that one only."""
    path, known = os.path.join(HERE, "known_failures.txt"), {}
    if os.path.exists(path):
        with open(path, encoding="utf-8") as f:
            for line in f:
                line = line.strip()
                if line and not line.startswith("#"):
                    name, _, reason = line.partition(":")
                    name, _, backend = name.strip().partition(" ")
                    if backend in ("", "[%s]" % label):
                        known[name] = reason.strip()
    return known


def path_of(kind, name):
    return os.path.join(HERE, kind, name + (".test" if kind == "t" else ".result"))


def record(host, port, names):
    for name in names:
        statements = parse_test(path_of("t", name))
        blocks = Runner(host, port).run(statements)
        target = path_of("r", name)
        old = []
        if os.path.exists(target):
            with open(target, encoding="utf-8") as f:
                old = from_text(f.read())
        kept = {t: ls for t, ls in old}
        out = []
        for s, (title, lines) in zip(statements, blocks):
            out.append((title, kept.get(title, ["(write the expected answer here)"])
                        if s.ours else lines))
        os.makedirs(os.path.dirname(target), exist_ok=True)
        with open(target, "w", encoding="utf-8") as f:
            f.write(to_text(out))
        print("recorded %s: %d statements" % (name, len(out)))


class Score:
    def __init__(self):
        self.passed = self.failed = self.equal = self.statements = 0
        self.known = []


def compare(name, statements, blocks, skip_ours):
    """(equal statements, unified diff lines)"""
    with open(path_of("r", name), encoding="utf-8") as f:
        wanted = from_text(f.read())
    if skip_ours:
        ours = {i for i, s in enumerate(statements) if s.ours}
        blocks = [b for i, b in enumerate(blocks) if i not in ours]
        wanted = [b for i, b in enumerate(wanted) if i not in ours]
    equal = sum(1 for a, b in zip(wanted, unify(blocks)) if a == b)
    diff = list(difflib.unified_diff(to_text(wanted).split("\n"), to_text(blocks).split("\n"),
                                     "expected " + name, "got " + name, lineterm="", n=4))
    return equal, diff


def run_all(label, make_address, names, args, score, server):
    known = known_failures(label)
    for name in names:
        statements = parse_test(path_of("t", name))
        started = time.monotonic()
        try:
            host, port = make_address()
            blocks = Runner(host, port).run(statements)
            equal, diff = compare(name, statements, blocks, server is None)
        except (pymysql.err.Error, OSError, RuntimeError) as e:
            equal, diff = 0, ["the run broke: %s" % (e,)]
        died = server is not None and not server.alive()
        if died:
            status = server.stop()
            diff = diff + ["the server died, status %s: see %s" % (status, server.log_path)]
        score.equal += equal
        score.statements += len(statements)
        if diff and name in known and not died:
            score.passed += 1
            score.known.append(name)
            verdict = "known (%s)" % known[name]
        elif diff:
            score.failed += 1
            verdict = "FAIL"
        elif name in known:
            score.failed += 1
            verdict = "FAIL: it passes now, take it off known_failures.txt"
        else:
            score.passed += 1
            verdict = "ok"
        print("%-6s %-34s %3d/%3d statements %6.2f s  %s"
              % (label, name, equal, len(statements), time.monotonic() - started, verdict),
              flush=True)
        if diff and (name not in known or died or args.verbose):
            limit = args.diff_lines or len(diff)
            print("\n".join(diff[:limit]))
            if len(diff) > limit:
                print("... %d more lines" % (len(diff) - limit))


def run_own(args, storage, names, score):
    server = Server(args.binary, storage, args.log)
    address = []

    def make_address():
        if not server.alive():
            address[:] = server.start()
        return address

    try:
        run_all(storage, make_address, names, args, score, server)
    finally:
        status = server.close(bool(args.log) or score.failed > 0)
    if status not in (0, -signal.SIGTERM):
        print("%s: the server did not stop cleanly: status %s, log %s"
              % (storage, status, server.log_path))
        score.failed += 1


def host_port(text):
    host, _, port = text.rpartition(":")
    return host or "127.0.0.1", int(port)


def main():
    p = argparse.ArgumentParser(usage=__doc__)
    p.add_argument("--binary", default=os.path.join(HERE, "../../build/release/bin/skeindb"))
    p.add_argument("--backend", default="both",
                   choices=["memory", "disk", "node", "both", "server", "mysql"])
    p.add_argument("--record", metavar="HOST:PORT")
    p.add_argument("--diff-lines", type=int, default=200)
    p.add_argument("--verbose", action="store_true")
    p.add_argument("--log")
    p.add_argument("names", nargs="*")
    args = p.parse_args()
    if args.record:
        host, port = host_port(args.record)
        record(host, port, all_tests(args.names))
        return 0
    score = Score()
    if args.backend in ("server", "mysql"):
        if not args.names:
            p.error("--backend server needs HOST:PORT")
        address = host_port(args.names[0])
        run_all("server", lambda: address, all_tests(args.names[1:]), args, score, None)
    else:
        for storage in {"both": ("memory", "disk"), "node": ("disk",)}.get(args.backend,
                                                                          (args.backend,)):
            run_own(args, storage, all_tests(args.names), score)
    if score.known:
        print("known failures: " + ", ".join(sorted(set(score.known))))
    print("%d of %d statements equal" % (score.equal, score.statements))
    print("%d passed, %d failed" % (score.passed, score.failed))
    return 1 if score.failed else 0


if __name__ == "__main__":
    sys.exit(main())
