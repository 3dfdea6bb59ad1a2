#!/usr/bin/python3
"""The statements of the golden tests with other values in the place of their literals.

    tests/random/literals.py --binary BINARY [--seconds N] [--count N] [--seed S] [--storage disk|memory] [FILE...]
    ... --seed S --once FILE        that file's statements of that seed again
    ... --oracle HOST:PORT          the same statements on a reference server, too; answers must be equal
    ... --oracle ... --rows         but for texts of errors, and warnings

FILE is AREA, AREA/NAME or a shell pattern of it. Each file runs in a database of its own: its statements as they are, and after each what
substitute.py makes of it: parameters (of PREPARE and of the binary protocol), other literals, columns of a table of all types. It fails when
the node ends, when a statement outlasts max_execution_time by far or cannot be killed, when an error is an internal one, and when a
sanitizer reports. A failure prints the statements, to be asked behind those of the file; what bounds a run by time leaves a file where it is."""
import argparse
import collections
import os
import random
import re
import struct
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "..", "sql"), os.path.join(HERE, "..", "lib")]

import pymysql  # noqa: E402
import binary  # noqa: E402
import run as golden  # noqa: E402
from pymysql.constants import SERVER_STATUS  # noqa: E402
import substitute  # noqa: E402
from node import Node  # noqa: E402
from substitute import CHANGES, READS, Prepared  # noqa: E402

AREAS = ["ddl", "dml", "expr", "func", "functions", "json", "query", "types"]
EXECUTION_MAX_MS = 1000
KILL_SECONDS = 20
LEAST_ANSWERS = 500             # of a run that is bounded by time
REFERENCE_SECONDS = 90
LOST = "CONNECTION LOST"
INTERNAL = re.compile(r"^ERROR 1105 \(HY000\): (?!.*XPATH\b)")       # MySQL has no other number for XPath
NOT_BUILT = re.compile(r"^ERROR 1235 ")
NUMBERED = re.compile(r", last id [1-9]\d*")    # numbers given by what is taken back are not given again
OF_PARAMETERS = "of a parameter's type: "       # which is its value's here, in MySQL often its place's: docs/compat
REPORT = re.compile(r"runtime error:|ERROR: \w+Sanitizer")
# what these answer is of the server, the moment or the plan
OPEN = frozenset("""RAND UUID UUID_SHORT NOW SYSDATE CURRENT_TIMESTAMP CURRENT_DATE CURRENT_TIME CURDATE CURTIME LOCALTIME LOCALTIMESTAMP UTC_DATE UTC_TIME
    UTC_TIMESTAMP UNIX_TIMESTAMP CONNECTION_ID VERSION RANDOM_BYTES LAST_INSERT_ID FOUND_ROWS ROW_COUNT USER SESSION_USER SYSTEM_USER CURRENT_USER DATABASE
    SCHEMA INFORMATION_SCHEMA PERFORMANCE_SCHEMA SYS ICU_VERSION STATEMENT_DIGEST STATEMENT_DIGEST_TEXT COMPRESS""".split())

# MySQL 9.7 ends when these are asked of 0
END_REFERENCE = frozenset("DAYOFWEEK WEEKDAY DAYNAME".split())


class Failure(Exception):
    pass


class Ended(Failure):
    """No more statements can be asked of this file."""


class Side(golden.Runner):
    """One server that is asked; answers are the lines of a golden result."""

    def __init__(self, address):
        super().__init__(*golden.host_port(address))

    def wait(self):
        """Until it is there (again)."""
        end = time.monotonic() + REFERENCE_SECONDS
        while True:
            try:
                return self.connect().close()
            except pymysql.Error:
                if time.monotonic() > end:
                    raise
                time.sleep(1)

    def kill_ours(self):
        """What goes on in the test's database though nobody waits for it."""
        admin = self.connect()
        admin.query("SELECT id FROM information_schema.processlist WHERE db = '%s'" % golden.DATABASE)
        for row in admin._result.rows:
            self.ask("KILL %s" % row[0])
        admin.close()
        self.leave()

    def begin(self):
        self.prepare()
        for s in ["SET max_execution_time = %d" % EXECUTION_MAX_MS] + substitute.MAKE_TABLE:
            self.ask(s)

    def ask(self, sql, ordered=True):
        c = self.connections.get(golden.DEFAULT)
        lines = self.statement(golden.Statement(sql, [] if ordered else [("sorted", "")], 0))
        if c is not None and golden.DEFAULT not in self.connections:
            c._force_close()        # what it holds would hold up others
        return lines

    def ask_binary(self, prepared):
        """The answers of each execution."""
        out = []
        try:
            c = self.connection(golden.DEFAULT, {})
            number = binary.prepare(c, prepared.text)
            for values in prepared.executions:
                try:
                    rows = binary.execute(c, number, values)
                    out.append(sorted(map(repr, rows)) if isinstance(rows, list) else ["affected %d" % rows])
                except pymysql.Error as e:
                    if isinstance(e, pymysql.err.InterfaceError) or e.args[0] in (0, 2006, 2013):
                        raise
                    out.append([])
                    self.error(e, out[-1])
            binary.close(c, number)
        except (pymysql.Error, OSError, struct.error) as e:
            out.append([])
            if isinstance(e, pymysql.OperationalError) and e.args[0] not in (0, 2006, 2013):
                self.error(e, out[-1])
            else:
                out[-1].append("%s: %s" % (LOST, e))
                self.leave()
        return out

    def leave(self):
        """Ends the connection, whatever it waits for."""
        c = self.connections.pop(golden.DEFAULT, None)
        if c is not None:
            c._force_close()

    def answers(self, variant, ordered):
        """[(what was asked, lines)]"""
        if variant.binary:
            asked = [variant.text + " -- " + ", ".join(v) for v in variant.executions]
            return list(zip(asked, self.ask_binary(variant)))
        return [(s, self.ask(s, ordered)) for s in variant.statements()]

    def in_transaction(self):
        self.ask("DO 0")        # its answer has the status, that of rows has none
        result = self.connection(golden.DEFAULT, {})._result
        return result is not None and bool((result.server_status or 0) & SERVER_STATUS.SERVER_STATUS_IN_TRANS)

    def is_running(self, thread):
        admin = self.connect()
        try:
            admin.query("SELECT 1 FROM information_schema.processlist WHERE id = %d AND command <> 'Sleep'" % thread)
            return bool(admin._result.rows)
        finally:
            admin.close()

    def kill(self, thread):
        """Does what a connection runs end when it is told to?"""
        end = time.monotonic() + KILL_SECONDS
        while self.is_running(thread):
            if time.monotonic() > end:
                return False
            self.ask("KILL %d" % thread)
            time.sleep(0.2)
        return True


class Ours:
    """The node of the test; another one when it has ended."""

    def __init__(self, args, directory):
        self.args, self.directory, self.count, self.seen = args, directory, 0, 0
        self.start()

    def start(self):
        self.count, self.seen = self.count + 1, 0
        self.node = Node(self.args.binary, os.path.join(self.directory, "node%d" % self.count), ["--storage", self.args.storage, "--memory", self.args.memory, "--loops", "1"])
        self.node.start()

    def address(self):
        return "127.0.0.1:%d" % self.node.mysql_port

    def reports(self):
        """What a sanitizer has said since it was asked last."""
        with open(self.node.log_path, encoding="utf-8", errors="replace") as f:
            f.seek(self.seen)
            text = f.read()
            self.seen = f.tell()
        at = REPORT.search(text)
        return text[max(0, at.start() - 300):at.start() + 3000] if at else ""

    def ended(self):
        time.sleep(0.5)
        return not self.node.alive()

    def again(self):
        status = self.node.process.poll()
        self.node.kill()
        report = self.reports() or self.node.log_tail()
        self.start()
        return "the node ended, status %s\n%s" % (status, report)


class Tally:
    def __init__(self):
        self.asked = self.answered = 0
        self.kinds = collections.Counter()

    def add(self, lines):
        self.asked += 1
        self.answered += not (lines and lines[0].startswith("ERROR"))


class File:
    """One golden file on our node, and beside it on a reference server."""

    def __init__(self, name, seed, args, ours, oracle, tally):
        self.name, self.args, self.ours, self.oracle, self.tally = name, args, ours, oracle, tally
        self.rng = random.Random("%d %s" % (seed, name))
        self.side = Side(ours.address())
        self.failures = []

    def fail(self, what, asked):
        self.failures.append("%s\n    %s" % (what, "\n    ".join(s + ";" for s in asked)))

    def run(self, end):
        statements = golden.parse_test(golden.path_of("t", self.name))
        sides = [self.side] + ([self.oracle] if self.oracle else [])
        try:
            for side in sides:
                side.begin()
            for s in statements:
                found = substitute.tokens(s.sql)
                if time.monotonic() > end or self.tally.asked >= self.args.count:
                    break
                if s.connection != golden.DEFAULT or s.send or s.reap or not substitute.may_run(found):
                    continue
                self.one(s, found)
            for side in sides:
                side.cleanup()
        except Ended:
            for side in sides:
                side.leave()
        except (pymysql.Error, OSError) as e:
            self.fail("the connection ended: %r" % e, [])
            if self.ours.ended():
                self.failures[-1] += "\n" + self.ours.again()
        report = self.ours.reports()
        if report:
            self.fail("a sanitizer reports\n" + report, [])

    def one(self, s, found):
        """A statement as it is, then what is made of it."""
        lines = self.side.ask(s.sql, False)
        self.look([s.sql], lines, found)
        theirs = self.oracle.ask(s.sql, False) if self.oracle else None
        if self.oracle:
            self.gone(theirs, [s.sql])
        for v in substitute.variants(s.sql, self.rng):
            if self.oracle is None:
                for asked, lines in self.side.answers(v, True):
                    self.tally.add(lines)
                    self.look(v.statements(), lines, found)
            elif lines == theirs and comparable(found):
                self.compare(v, found)

    def look(self, asked, lines, found):
        """Is an answer none that a statement may have?"""
        first = lines[0] if lines else ""
        if LOST in " ".join(lines[-1:]):
            if self.ours.ended():
                self.fail(self.ours.again(), asked)
                raise Ended()
            self.lost(asked, lines[-1], found)
        elif INTERNAL.match(first):
            self.fail("an internal error: " + first, asked)

    def lost(self, asked, line, found):
        """The node lives, the connection has ended."""
        if "timed out" not in line:
            if "Lost connection" in line:
                self.fail("the connection ended: " + line, asked)
            raise Ended()
        slow = [t for t in self.threads() if not self.side.kill(t)]
        if slow:
            self.fail("a statement does not end when it is killed", asked)
        elif substitute.head(found) in READS:
            self.fail("a statement goes on when its time is over", asked)
        raise Ended()

    def threads(self):
        """The connections that run something."""
        admin = self.side.connect()
        admin.query("SELECT id FROM information_schema.processlist WHERE command <> 'Sleep' AND id <> connection_id() AND user = 'root'")
        out = [int(r[0]) for r in admin._result.rows]
        admin.close()
        return out

    def compare(self, v, found):
        """What is made of a statement, on both; changes are taken back."""
        if substitute.head(found) not in CHANGES | READS:
            return
        sides = self.side, self.oracle
        table = "SELECT * FROM " + target(found) if substitute.head(found) in CHANGES else None
        if table:
            for side in sides:
                for s in ([] if side.in_transaction() else ["START TRANSACTION"]) + ["SAVEPOINT literals"]:
                    side.ask(s)
            if self.side.ask(table, False) != self.oracle.ask(table, False):
                table = None
        ours, theirs = (side.answers(v, False) for side in sides)
        for asked, lines in ours:
            self.tally.add(lines)
            self.look(v.statements(), lines, found)
        kinds = [difference(mine, other, self.args.rows) for (_, mine), (_, other) in zip(ours, theirs)]
        for i, kind in enumerate(kinds):
            self.gone(theirs[i][1], v.statements())
            if kind:
                self.differ(self.of_parameters(v, i) + kind, v, ours[i][0], ours[i][1], theirs[i][1])
        if table and not any(kinds) and not any(NUMBERED.search(line) for _, lines in ours for line in lines):
            mine, other = (side.ask(table, False) for side in sides)
            if mine != other:
                self.differ("the table", v, table, mine, other)
        if substitute.head(found) in CHANGES:
            for side in sides:
                side.ask("ROLLBACK TO SAVEPOINT literals")

    def gone(self, lines, asked):
        """The reference has ended: that is told, and somebody starts it again."""
        if LOST in " ".join(lines[-1:]):
            if "codec" in lines[-1]:        # PyMySQL could not read it
                raise Ended()
            self.tally.kinds["the reference ended"] += 1
            print("the reference ended: %s\n    %s" % (lines[-1], ";\n    ".join(asked)), flush=True)
            self.oracle.leave()
            self.oracle.wait()
            self.oracle.kill_ours()
            raise Ended()

    def of_parameters(self, v, i):
        """Of a statement with parameters: is its answer another one only because they are parameters?"""
        if isinstance(v, Prepared):
            values = v.executions[i if v.binary else max(i // 2 - 1, 0)]
            sql = v.inline(values)
            if not difference(self.side.ask(sql, False), self.oracle.ask(sql, False), self.args.rows):
                return OF_PARAMETERS
        return ""

    def differ(self, kind, v, asked, mine, other):
        self.tally.kinds[kind] += 1
        if self.args.verbose or not kind.startswith(OF_PARAMETERS):
            self.fail("%s\n    %s\n  got\n    %s\n  wanted\n    %s" % (kind, asked, "\n    ".join(less(mine, other)), "\n    ".join(less(other, mine))),
                      v.statements() if isinstance(v, Prepared) and not v.binary else [])


def less(lines, other):
    """What the other has not, and where."""
    return [line[:600] for line in lines if line not in other][:6]


def comparable(found):
    return not any(t.word in OPEN | END_REFERENCE or t.text.startswith("@@") for t in found)


def target(found):
    """The table that a change begins with."""
    return next(t.text for t in found if t.kind == "name" and t.word not in ("INSERT", "REPLACE", "UPDATE", "DELETE", "LOW_PRIORITY", "HIGH_PRIORITY", "DELAYED", "QUICK", "IGNORE", "INTO", "FROM"))


def difference(mine, other, rows_only):
    """None, or of what kind it is."""
    if mine == other or NOT_BUILT.match(mine[0] if mine else ""):
        return None
    number = lambda lines: lines[0].split()[1] if lines and lines[0].startswith("ERROR ") else None
    if number(mine) != number(other):
        return "errors %s, %s" % (number(mine), number(other))
    if number(mine) is not None:
        return None if rows_only else "texts of errors"
    body = lambda lines: [NUMBERED.sub("", line) for line in lines if not line.startswith("! ")]
    if body(mine) != body(other):
        return "rows"
    return None if rows_only else "warnings"


def rounds(args, ours, oracle, tally, seed):
    """Files of one seed after the other; how many passed and failed."""
    end = time.monotonic() + args.seconds
    passed = failed = 0
    while True:
        names = golden.all_tests(args.files or AREAS)
        random.Random(seed).shuffle(names)
        for name in names:
            if (time.monotonic() > end and not args.once) or tally.asked >= args.count or failed >= args.failures:
                return passed, failed
            file = File(name, seed, args, ours, oracle, tally)
            file.run(end if not args.once else float("inf"))
            passed, failed = passed + (not file.failures), failed + bool(file.failures)
            for f in file.failures:
                print("FAIL %s, --seed %d --once: %s" % (name, seed, f), flush=True)
        if args.once:
            return passed, failed
        seed += 1


def run(args, directory):
    golden.DATABASE = "literals_%d" % os.getpid()
    seed = args.seed if args.seed is not None else random.SystemRandom().randrange(10**9)
    ours, tally = Ours(args, directory), Tally()
    oracle = Side(args.oracle) if args.oracle else None
    try:
        passed, failed = rounds(args, ours, oracle, tally, seed)
        if oracle:
            oracle.cleanup()
        if ours.node.stop() != 0 or ours.reports():
            print("FAIL the node did not stop cleanly\n" + ours.node.log_tail())
            failed += 1
    finally:
        ours.node.kill()
    print("%d files from seed %d, %d statements, %d answered without an error" % (passed + failed, seed, tally.asked, tally.answered))
    for kind, n in tally.kinds.most_common():
        print("%6d %s" % (n, kind))
    if not args.once and tally.asked < args.count and tally.answered < LEAST_ANSWERS:
        print("FAIL too few statements")
        failed += 1
    return passed, failed


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--binary", required=True)
    p.add_argument("--oracle")
    p.add_argument("--rows", action="store_true", help="with --oracle: errors' numbers and rows only")
    p.add_argument("--storage", default="memory")
    p.add_argument("--memory", default="800M")
    p.add_argument("--seconds", type=float, default=30)
    p.add_argument("--count", type=int, default=10**9, help="stop after so many statements")
    p.add_argument("--seed", type=int)
    p.add_argument("--once", action="store_true", help="only the given seed")
    p.add_argument("--verbose", action="store_true", help="with --oracle: show also what differs because of a parameter's type")
    p.add_argument("--failures", type=int, default=5, help="stop after so many files that fail")
    p.add_argument("files", nargs="*")
    args = p.parse_args()
    with tempfile.TemporaryDirectory(prefix="skein_literals_") as directory:
        passed, failed = run(args, directory)
    print("%d passed, %d failed" % (passed, failed))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
