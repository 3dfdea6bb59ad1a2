#!/usr/bin/python3
"""Random queries and changes against a server.

    tests/random/run.py --binary BINARY [--seconds N] [--seed S] [--storage disk|memory]   a node of its own
    tests/random/run.py --server HOST:PORT ...                                             one that runs
    ... --oracle HOST:PORT          the same statements on a reference server; answers must be equal
    ... --binary BINARY --nodes 3   three nodes, tables cut into ranges: parts of plans that run on other nodes against none that do;
                                    with --oracle each statement goes to the next node
    ... --plans                     each query by several plans, and with so little memory that operators spill

Without an oracle two properties are checked that hold for every SQL server: a query's rows are those of its three parts where a
condition is true, false and unknown (ternary logic partitioning), and a WHERE keeps as many rows as its condition is true for when it
stands in the select list (NoREC). A failure prints the seed and the statements; --seed repeats it."""
import argparse
import decimal
import os
import random
import sys
import tempfile
import time

import pymysql
import pymysql.converters
from pymysql.constants import FIELD_TYPE
from pymysql.cursors import SSCursor

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import binary  # noqa: E402
import known  # noqa: E402
from answers import rows_of  # noqa: E402
from known import LIMITED_MEMORY, TIMEOUT, TOO_LONG, little_memory, of_plan, of_rows, of_semijoin, open_error, prepared_text, without_indexes  # noqa: E402
from known_changes import IGNORES, OPEN_COUNTS, changed_by_value, counts_unchanged, drops_true, first_of_rows, generated_anew, groups_elements, hidden_null, joins_nothing, keeps_no_zeros, keeps_others, keys_in_order, known_within, passed_over, reads_a_row, reads_otherwise, sees_condition  # noqa: E402
from known_queries import is_known  # noqa: E402
from generate import DEC, INT  # noqa: E402
from hints import SWITCHES, hinted  # noqa: E402
from keyed import Deep, Keyed  # noqa: E402
from more import More  # noqa: E402
from statements import EXACT, Generator  # noqa: E402
from wide import Binary, Everywhere, Wide  # noqa: E402
from cluster import Cluster  # noqa: E402
from keys import FIRST_TABLE, key_of  # noqa: E402
from node import Node  # noqa: E402

KINDS = {"basic": Generator, "wide": Wide, "more": More, "keyed": Keyed, "deep": Deep}
TEMPORAL = (FIELD_TYPE.DATE, FIELD_TYPE.TIME, FIELD_TYPE.DATETIME, FIELD_TYPE.TIMESTAMP)
CHILD = "SELECT * FROM t3"       # which refers to t0
LOST = (0, 2006, 2013)
INTERRUPTED = 1317
QUERIES_PER_SEED = 60
CHANGES_PER_SEED = 15
ROUNDS_PER_SEED = 5
READ_SECONDS = 45           # beyond max_execution_time, which ends a statement and not the session
REFERENCE_TRIES = 90        # seconds
MOST_ROWS = 150000          # of an answer; few statements have more, and those have millions
READS = ("SELECT", "SHOW", "TABLE", "WITH RECURSIVE")     # in what is between changes


class TimeUp(Exception):
    """The rest of the seed is not asked."""


class ReferenceGone(TimeUp):
    """The reference server ended; somebody starts it again."""


class Taken(list):
    """The rows of an answer as they come; after MOST_ROWS of them the statement is ended, and what still comes is dropped."""

    def __init__(self, server):
        super().__init__()
        self.server, self.ended = server, False

    def append(self, row):
        if len(self) < MOST_ROWS:
            super().append(row)
        elif not self.ended:
            self.ended = True
            self.server.end_statement()


class Server:
    end = float("inf")  # of the run

    def __init__(self, address, schema, settings=(), reference=False):
        host, port = address.rsplit(":", 1)
        self.address = (host, int(port))
        self.settings = settings
        self.reference = reference
        self.said = {}      # the texts of errors since the schema was made, by statement
        self.everywhere = []  # settings of the session since then: a session that is lost had them
        self.connect()
        self.schema = schema

    def connect(self):
        # dates and times as text: what a parameter's value is of another type shows in metadata only
        conv = {k: v for k, v in pymysql.converters.decoders.items() if k not in TEMPORAL}
        conv[FIELD_TYPE.DECIMAL] = conv[FIELD_TYPE.NEWDECIMAL] = binary.number_of
        tries = REFERENCE_TRIES if self.reference else 1
        while True:
            try:
                self.c = pymysql.connect(host=self.address[0], port=self.address[1], user="root", autocommit=True, charset="utf8mb4",
                                         read_timeout=READ_SECONDS, conv=conv)
                break
            except pymysql.MySQLError:
                tries -= 1
                if tries == 0:
                    raise
                time.sleep(1)
        with self.c.cursor() as cur:
            cur.execute("SET NAMES utf8mb4 COLLATE utf8mb4_0900_ai_ci")
            cur.execute("SET time_zone = '+00:00'")
            cur.execute("SET max_execution_time = 30000")
            for s in self.settings:
                cur.execute(s)

    def fresh(self, statements):
        """An empty schema with what the statements make; their outcomes."""
        self.said = {}
        self.everywhere = []
        with self.c.cursor() as cur:
            cur.execute("SET sql_mode = DEFAULT")
            cur.execute("DROP DATABASE IF EXISTS %s" % self.schema)
            cur.execute("CREATE DATABASE %s" % self.schema)
            cur.execute("USE %s" % self.schema)
        return [self.change(s) for s in statements]

    def use(self):
        with self.c.cursor() as cur:
            cur.execute("SET sql_mode = DEFAULT")
            cur.execute("USE " + self.schema)
        self.everywhere = []

    def use_again(self):
        """In the place of a session that is lost, with its settings."""
        settings = self.everywhere
        self.use()
        for one in settings:
            self.change(one)

    def ask(self, sql, ordered=False, folded=False, loose=False, fix=None):
        """('rows', Rows) or ('error', number); of several statements the last one's. fix: what is done to each value first"""
        loose = loose or isinstance(sql, list) or bool(isinstance(sql, Binary) and sql.literals)
        self.in_time()
        rows = Taken(self)
        try:
            self.take(sql, rows)
        except pymysql.MySQLError as e:
            if e.args[0] in LOST:
                self.connect()
                if self.reference and "timed out" not in str(e):
                    raise self.gone(sql)
                self.use_again()
                if "timed out" in str(e):
                    return ("error", TIMEOUT)
                raise Failure("%s: %r\n  %s" % (self.address, e, sql))
            if not rows.ended:
                self.said[str(sql)] = str(e.args[1])
                return ("error", e.args[0])
        if rows.ended:
            self.settle()
            return ("error", TOO_LONG)
        return ("rows", rows_of(rows if fix is None else [[fix(v) for v in r] for r in rows], ordered, folded, loose))

    def in_time(self):
        if time.monotonic() > self.end:
            raise TimeUp()

    def take(self, sql, rows):
        """The answer's rows, of several statements the last one's, as they come."""
        if isinstance(sql, Binary):
            binary.run(self.c, sql.text, sql.literals, rows)
            return
        cur = self.c.cursor(SSCursor)
        try:
            for one in sql if isinstance(sql, list) else [sql]:
                rows.clear()
                cur.execute(one)
                for row in cur:
                    rows.append(row)
        except pymysql.MySQLError as e:
            if e.args[0] in LOST:
                cur.connection = None   # what still comes is not to be read
            raise
        finally:
            cur.close()

    def end_statement(self):
        """What runs in the session; its transaction and variables stay."""
        with pymysql.connect(host=self.address[0], port=self.address[1], user="root", read_timeout=30) as c, c.cursor() as cur:
            cur.execute("KILL QUERY %d" % self.c.thread_id())

    def settle(self):
        """Of an end that came too late for its statement nothing is left for the next one."""
        try:
            with self.c.cursor() as cur:
                cur.execute("DO 0")
        except pymysql.MySQLError as e:
            if e.args[0] != INTERRUPTED:
                raise

    def definition(self, view):
        """Of a view that is there."""
        with self.c.cursor() as cur:
            try:
                cur.execute("SHOW CREATE VIEW " + view)
                return cur.fetchone()[1]
            except pymysql.MySQLError:
                return ""

    def change(self, sql):
        if isinstance(sql, list):
            return ("several", [self.change(one) for one in sql])
        try:
            if isinstance(sql, Binary):
                return ("changed", binary.run(self.c, sql.text, sql.literals))
            with self.c.cursor() as cur:
                count = cur.execute(sql)
                if isinstance(sql, Everywhere):
                    self.everywhere.append(sql)
                if sql.startswith(READS):
                    return ("rows", rows_of(cur.fetchall(), False, False, False))
                return ("changed", count)
        except pymysql.MySQLError as e:
            if e.args[0] in LOST:
                self.connect()
                if self.reference:
                    raise self.gone(sql)
                raise Failure("%s: %r\n  %s" % (self.address, e, sql))
            self.said[str(sql)] = str(e.args[1])
            return ("error", e.args[0])

    def gone(self, sql):
        known.count("the reference ended", str(sql))
        return ReferenceGone()

    def drop(self):
        with self.c.cursor() as cur:
            cur.execute("DROP DATABASE IF EXISTS %s" % self.schema)


class Failure(Exception):
    pass


def told(sql, *servers):
    """What servers said of a statement that was an error."""
    texts = [s.said.get(str(sql)) for s in servers]
    return "".join("; %s: %s" % x for x in zip(("ours", "theirs"), texts) if x[1] is not None)


def differ(what, statements, got, wanted):
    def short(answer, other):
        if answer[0] != "rows":
            return str(answer)[:2000]
        return str(("rows", answer[1].missing_in(other[1] if other[0] == "rows" else None), "of", len(answer[1])))[:2000]
    raise Failure("%s\n  %s\n  got    %s\n  wanted %s" % (what, "\n  ".join(";\n  ".join(map(str, x)) if isinstance(x, list) else str(x) for x in statements), short(got, wanted), short(wanted, got)))


def check_partition(server, g):
    source, scope, _ = g.source()
    p = g.condition(scope)
    head = "SELECT %s FROM %s" % (", ".join(n for n, _ in scope), source)
    whole = server.ask(head)
    parts = [server.ask("%s WHERE %s" % (head, c)) for c in thirds(p)]
    if any(a[0] == "error" for a in parts + [whole]):
        of_parts("%s WHERE [NOT] (%s) [IS NULL]" % (head, p), parts, whole)
        return 4
    total = ("rows", parts[0][1] + parts[1][1] + parts[2][1])
    if total != whole:
        differ("the parts of a query are not the query", ["%s WHERE [NOT] (%s) [IS NULL]" % (head, p)], total, whole)
    return 4


def of_parts(text, parts, whole=None):
    """An error that no row makes is one of all parts; one of the whole is one of each part."""
    told = [a for a in parts if a[0] == "error" and not of_rows(a)]
    whole_told = whole is not None and whole[0] == "error" and not of_rows(whole)
    for a in parts:
        if (told and a != told[0] and not of_rows(a)) or (whole_told and a[0] != "error"):
            differ("an error of some parts only", [text], a, told[0] if told else whole)


def thirds(p):
    return "(%s)" % p, "NOT (%s)" % p, "(%s) IS NULL" % p


def check_groups(server, g):
    """A condition on groups parts the groups."""
    source, scope, _ = g.source()
    group, kind = g.pick([(n, k) for n, k in scope if k in EXACT])
    value = g.column(scope, INT)
    where = g.where(scope)
    # No name of a column: without ONLY_FULL_GROUP_BY rows would be grouped by that, and which of their values is shown is open.
    head = "SELECT %s AS grp, COUNT(*) AS n0, MAX(%s) AS m0 FROM %s%s GROUP BY grp" % (group, value, source, where)
    p = g.condition([("grp", kind), ("n0", INT), ("m0", INT)], 1)
    whole = server.ask(head)
    parts = [server.ask("%s HAVING %s" % (head, c)) for c in thirds(p)]
    of_parts("%s HAVING [NOT] (%s) [IS NULL]" % (head, p), parts, whole)
    if all(a[0] == "rows" for a in parts + [whole]) and ("rows", parts[0][1] + parts[1][1] + parts[2][1]) != whole:
        differ("the parts of groups are not the groups", ["%s HAVING [NOT] (%s) [IS NULL]" % (head, p)], ("rows", parts[0][1] + parts[1][1] + parts[2][1]), whole)
    return 4


def check_sums(server, g):
    """Sums and extremes of the parts are those of the whole."""
    source, scope, _ = g.source()
    p = g.condition(scope)
    exact, any_kind = g.column(scope, g.pick((INT, DEC))), g.column(scope, g.pick(EXACT))
    part = "SELECT COUNT(*) AS n, COUNT(%s) AS k, SUM(%s) AS s, MIN(%s) AS a, MAX(%s) AS z FROM %s" % (any_kind, exact, any_kind, any_kind, source)
    whole = server.ask(part)
    total = server.ask("SELECT SUM(n), SUM(k), SUM(s), MIN(a), MAX(z) FROM (%s) d" % " UNION ALL ".join("%s WHERE %s" % (part, c) for c in thirds(p)))
    of_parts("%s WHERE [NOT] (%s) [IS NULL]" % (part, p), [total], whole)
    if whole[0] == total[0] == "rows" and whole != total:
        differ("the sums of the parts are not those of the whole", ["%s WHERE [NOT] (%s) [IS NULL]" % (part, p)], total, whole)
    return 2


def check_norec(server, g):
    source, scope, _ = g.source()
    p = g.condition(scope)
    kept = server.ask("SELECT COUNT(*) FROM %s WHERE %s" % (source, p))
    counted = server.ask("SELECT SUM(CASE WHEN x THEN 1 ELSE 0 END) FROM (SELECT (%s) AS x FROM %s) d" % (p, source))
    if "error" in (kept[0], counted[0]):
        of_parts("FROM %s WHERE %s" % (source, p), [kept, counted])
        return 2
    a = kept[1].one()[0]
    b = counted[1].one()[0] or decimal.Decimal(0)
    if a != b:
        differ("a condition keeps other rows than it is true for", ["FROM %s WHERE %s" % (source, p)], kept, counted)
    return 2


def check_ranges(server, g):
    """A condition finds the same rows by each key."""
    ways = g.ways() if isinstance(g, Keyed) and g.keyed() else []
    answers = [server.ask(w) for w in ways]
    for way, a in zip(ways, answers):
        if a != answers[0]:
            differ("another key, another answer", [way], a, answers[0])
    return len(ways)


def check_change(servers, oracle, n, sql):
    """Whether to go on: not after errors that differ, which have ended transactions where they were looked for, nor after a known difference of
    contents."""
    servers[n].in_time()
    several = isinstance(sql, list)
    if isinstance(sql, Everywhere) and not several:
        for s in servers[:n] + servers[n + 1:]:
            s.change(sql)
    for one in sql if several else [sql]:
        before = servers[n].ask(CHILD) if IGNORES.match(str(one)) else None
        for reason in (drops_true, keeps_others):
            if reason(servers[n], oracle, one):
                known.count(reason.__name__, one)
                roll_back([servers[n], oracle])
                return False
        read = keys_in_order(oracle, one)
        a, b = servers[n].change(one), oracle.change(one)
        whole = sql if several and one.startswith("EXECUTE") else prepared_text(one) or one
        goes_on = (a == b or (a[0] == b[0] == "changed" and OPEN_COUNTS.match(str(one))) or counts_unchanged(servers[n], oracle, one, a, b)
                   or changed_by_value(oracle, whole, a, b) or known_within(servers[n], oracle, one)
                   or sees_condition(servers[n], oracle, one, a, b) or joins_nothing(servers[n], oracle, one, a, b))
        if not goes_on and not (open_error(a, b, one, servers[n], oracle, whole) or little_memory(servers[n], a, b) or of_semijoin(oracle, one, a, b)
                                or reads_otherwise(servers[n], oracle, one, a, b) or reads_a_row(servers[n], oracle, one, a, b)
                                or keeps_no_zeros(oracle, one, a, b) or hidden_null(oracle, one, a, b) or generated_anew(servers[n], oracle, one, a, b)
                                or first_of_rows(servers[n], oracle, one, a, b) or groups_elements(servers[n], oracle, one, a, b, read)):
            differ("another outcome than the reference" + told(one, servers[n], oracle), [sql, one], a, b)
        if not goes_on or (before is not None and passed_over(servers[n], one, before, servers[n].ask(CHILD), oracle.ask(CHILD))):
            roll_back([servers[n], oracle])
            return False
    return True


def as_shown(sql, got, wanted):
    """Answers that are equal by value: do they show the same decimals?"""
    if got[0] == wanted[0] == "rows" and got[1].shown != wanted[1].shown:
        known.count("decimals", sql, got[1].shown_missing_in(wanted[1]), wanted[1].shown_missing_in(got[1]))


def check_oracle(servers, oracle, g, log):
    """Each server is asked in turn; all are of one cluster."""
    count = 0
    for n in range(ROUNDS_PER_SEED):
        for _ in range(QUERIES_PER_SEED // ROUNDS_PER_SEED):
            sql, ordered, folded = g.query()
            got, wanted = servers[count % len(servers)].ask(sql, ordered, folded), oracle.ask(sql, ordered, folded)
            count += 1
            if got == wanted:
                as_shown(sql, got, wanted)
            elif not open_error(got, wanted, sql, servers[(count - 1) % len(servers)], oracle) and not of_semijoin(oracle, sql, got, wanted):
                server = servers[(count - 1) % len(servers)]
                said = told(sql, server, oracle)
                if not is_known(server, oracle, sql, ordered, folded, got, wanted):
                    differ("another answer than the reference (asked with %s)" % (server.settings,) + said, [sql], got, wanted)
        for _ in range(CHANGES_PER_SEED // ROUNDS_PER_SEED):
            sql = g.change()
            log.append(sql)
            count += 1
            if not check_change(servers, oracle, count % len(servers), sql):
                return count
            for t in g.tables:
                look = "SELECT * FROM %s" % t.name
                got, wanted = servers[count % len(servers)].ask(look), oracle.ask(look)
                if got != wanted:
                    differ("another content than the reference after", [sql, look], got, wanted)
                as_shown(look, got, wanted)
    return count


def change_all(server, others, g, log):
    """A change, by the first session; what is of the session itself, by all."""
    server.in_time()
    log.append(g.change())
    server.change(log[-1])
    for s in others if isinstance(log[-1], Everywhere) else []:
        s.change(log[-1])


def check_pushdown(servers, g, log):
    """servers[0] runs all of a query itself; each of the others asks for parts of it elsewhere."""
    count = 0
    for _ in range(QUERIES_PER_SEED):
        sql, ordered, folded = g.query()
        wanted = servers[0].ask(sql, ordered, folded)
        for s in servers[1:]:
            got = s.ask(sql, ordered, folded)
            count += 1
            if got != wanted and not of_plan(got, wanted, sql):
                differ("with fragments at other nodes another answer than without", [sql], got, wanted)
    for _ in range(CHANGES_PER_SEED):
        change_all(servers[0], servers[1:], g, log)
    return count


# how a session of check_plans asks for another plan, or another way to run it
PLANS = ("SET skein_short_paths = OFF", "SET skein_pushdown = ALWAYS", "SET skein_pushdown = OFF", "SET skein_spill_budget = 4096", "SET skein_spill_budget = 1", SWITCHES)


def check_plans(server, others, g, log):
    """Each query also without indexes, with hints, by prepared statements and in the ways of PLANS; after some changes statistics are made."""
    count = 0
    for n in range(ROUNDS_PER_SEED):
        for _ in range(QUERIES_PER_SEED // ROUNDS_PER_SEED):
            sql, ordered, folded = g.query()
            wanted = server.ask(sql, ordered, folded)
            # what is too long for us is so for operators that spill at once, too
            asked = [(s, sql, s.settings[0]) for s in others if wanted != ("error", TOO_LONG) or "spill" not in s.settings[0]]
            if isinstance(sql, str):
                asked.append((server, without_indexes(sql), "without indexes"))
                asked.append((server, hinted(sql, g.tables), "with hints"))
                asked.append((server, Binary(sql, []), "binary protocol"))
            for s, text, how in asked:
                got = s.ask(text, ordered, folded)
                count += 1
                if got != wanted and not of_plan(got, wanted, sql) and not ("spill" in how and got == ("error", LIMITED_MEMORY)):
                    differ("another plan, another answer: " + how, [text], got, wanted)
        for _ in range(CHANGES_PER_SEED // ROUNDS_PER_SEED):
            change_all(server, others, g, log)
        if n % 2 == 0:
            for t in g.tables:
                server.ask("ANALYZE TABLE " + t.name)
    return count


def roll_back(servers):
    for s in servers:
        try:
            s.change("ROLLBACK")
        except (Failure, TimeUp):
            pass        # its connection was lost, and with it the transaction


def one_seed(kind, seed, server, oracle, others=(), plans=False):
    g = kind(seed)
    statements = g.make_tables()
    done = server.fresh(statements)
    for s in others:
        s.use()
    log = []
    try:
        if oracle is not None:
            for one, a, b in zip(statements, done, oracle.fresh(statements)):
                if a != b:
                    if open_error(a, b, one, server, oracle):
                        return 0
                    differ("another outcome than the reference", [one], a, b)
        for one, a in zip(statements, done):
            if a[0] == "error" and one.startswith("CREATE"):
                g.forget(one.split()[2])
        if not g.tables:
            return 0
        if oracle is not None:
            return check_oracle([server] + list(others), oracle, g, log)
        if plans:
            return check_plans(server, others, g, log)
        if others:
            return sum(check_pushdown([server] + list(others), g, log) for _ in range(2))
        count = 0
        for _ in range(QUERIES_PER_SEED // 3):
            count += sum(check(server, g) for check in (check_partition, check_norec, check_groups, check_sums, check_ranges))
            log.append(g.change())
            server.change(log[-1])
        return count
    except TimeUp:
        roll_back([server] + list(others))
        return 0
    except Failure as f:
        # a transaction that is left open would hold up who makes the next tables
        roll_back([server] + list(others) + ([oracle] if oracle is not None else []))
        changes = [x for c in log for x in (c if isinstance(c, list) else [c])]
        raise Failure("seed %d: %s\n  tables:\n    %s\n  changes:\n    %s" % (
            seed, f, "\n    ".join(s[:4000] for s in statements), "\n    ".join(map(str, changes))))


class Ahead:
    """Splits the tables to come, some dozens at a time: neighbours that nobody splits are merged again after some minutes."""
    STEP, EDGE = 60, 15

    def __init__(self, cluster):
        self.cluster, self.next, self.watched = cluster, FIRST_TABLE, {}
        self.go_on()

    def served(self):
        return {r["start"]: (r, n) for n in self.cluster.nodes for r in n.json("/ranges") if r["serving"]}

    def go_on(self):
        """Is somebody writing to the last tables that have been split?"""
        ranges = self.served()
        if self.watched and not any(k in ranges and ranges[k][0]["applied"] > was + 10 for k, was in self.watched.items()):
            return
        keys = []
        for t in range(self.next, self.next + self.STEP):
            # among its rows, and of some between its rows and the entries of its first secondary index
            keys += [key_of(t, 3)] + [key_of(t, 17)] * (t % 2) + [key_of(t) + "02"] * (t % 3 == 0)
        self.next += self.STEP
        for k in keys:
            self.cluster.split(k)
        self.cluster.wait_replicated()
        ranges = self.served()
        for i, k in enumerate(keys):
            if k in ranges:
                r, at = ranges[k]
                to = self.cluster.nodes[i % len(self.cluster.nodes)]
                if to is not at:
                    at.http("/range/lease?key=%d-%d" % (r["id"], to.node_id), b"")
        ranges = self.served()
        self.watched = {k: ranges[k][0]["applied"] for k in keys[-self.EDGE:] if k in ranges}


def run(args, address, cluster=None):
    ahead = Ahead(cluster) if cluster else None
    schema = "random_%d" % os.getpid()
    server = Server(address, schema)
    others = []
    for mode, n in (("ALWAYS", 1), ("ALWAYS", 2), ("AUTO", 2)) if cluster else ():
        others.append(Server("127.0.0.1:%d" % cluster.nodes[n].mysql_port, schema, ["SET skein_pushdown = " + mode]))
    for how in PLANS if args.plans else ():
        others.append(Server(address, schema, [how]))
    if cluster and not args.oracle:
        server.settings = ["SET skein_pushdown = OFF"]
        server.connect()
    oracle = Server(args.oracle, schema, reference=True) if args.oracle else None
    first = args.seed if args.seed is not None else random.SystemRandom().randrange(10**9)
    end = time.monotonic() + args.seconds
    if not args.once:
        for s in [server, oracle] + others:
            if s is not None:
                s.end = end
    seeds = statements = failed = 0
    while time.monotonic() < end and failed < args.failures:
        try:
            try:
                if ahead is not None:
                    ahead.go_on()
            except OSError as e:
                print("no tables were split: %s" % e, flush=True)       # a busy machine; the next seed tries again
            statements += one_seed(KINDS[args.kinds], first + seeds, server, oracle, others, args.plans)
        except (Failure, pymysql.MySQLError, OSError) as f:
            gone = oracle is not None and not isinstance(f, Failure) and not oracle.c.open and all(s.c.open for s in [server] + others)
            if gone:
                oracle.gone(f)
            if not isinstance(f, Failure):
                f = "seed %d: the connection ended: %r" % (first + seeds, f)
                for s in [server, oracle] + others:
                    if s is not None:
                        s.connect()
            if not gone:
                print("FAIL %s" % f, flush=True)
                failed += 1
        seeds += 1
        if args.seed is not None and args.once:
            break
    server.drop()
    if oracle is not None:
        oracle.drop()
    met = ", ".join("%d %s" % (n, e) for e, n in known.explained.most_common())
    print("%d seeds from %d, %d statements%s" % (seeds, first, statements, "; known differences: " + met if met else ""))
    return seeds - failed, failed


def in_pieces(args):
    """Three nodes; the tables to come lie in ranges of a few rows, led by all of them."""
    with Cluster(args.binary, args.nodes, ["--memory", args.memory]) as cluster:
        result = run(args, "127.0.0.1:%d" % cluster.nodes[0].mysql_port, cluster)
        pages = 0
        for n in cluster.nodes:
            for line in n.http("/metrics")[1].splitlines():
                pages += int(line.split()[1]) if line.startswith("skein_pushdown_pages_total ") else 0
        print("%d pages came from other nodes" % pages)
        return result if pages > 0 else (result[0], result[1] + 1)


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--binary")
    p.add_argument("--server")
    p.add_argument("--oracle")
    p.add_argument("--nodes", type=int, default=1)
    p.add_argument("--storage", default="disk")
    p.add_argument("--memory", default="512M", help="of each node")
    p.add_argument("--seconds", type=float, default=30)
    p.add_argument("--seed", type=int)
    p.add_argument("--once", action="store_true", help="only the given seed")
    p.add_argument("--kinds", choices=KINDS, default="keyed", help="the kinds of statements.py, also those of wide.py, also those of more.py, also those of keyed.py, mostly these")
    p.add_argument("--plans", action="store_true", help="each query by several plans")
    p.add_argument("--verbose", action="store_true", help="show the known differences that are met")
    p.add_argument("--failures", type=int, default=5, help="stop after so many")
    args = p.parse_args()
    known.VERBOSE = args.verbose
    if args.nodes > 1:
        passed, failed = in_pieces(args)
    elif args.server:
        passed, failed = run(args, args.server)
    else:
        with tempfile.TemporaryDirectory(prefix="skein_random_") as directory:
            node = Node(args.binary, directory, ["--storage", args.storage, "--memory", args.memory])
            node.start()
            try:
                passed, failed = run(args, "127.0.0.1:%d" % node.mysql_port)
            finally:
                node.stop()
    print("%d passed, %d failed" % (passed, failed))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
