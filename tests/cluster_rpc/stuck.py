#!/usr/bin/python3
"""What gets stuck on three nodes does not stay so: statements that are killed while others are told of their change or hold locks for
them, an event loop that stands still, a list of members that could not be written.

    stuck.py --binary PATH [NAME...]"""
import os
import sys
import threading
import time

import pymysql

import basic
from basic import DATABASE, error_of, expect, run, under_way, within
from cluster import free_port


def error_of_login(node, user, password):
    try:
        node.connect(user=user, password=password).close()
        return 0
    except pymysql.Error as e:
        return e.args[0]


def acted(node, fault):
    """How often the fault has acted."""
    lines = [line.split("\t") for line in node.http("/faults")[1].splitlines()]
    return next(int(line[3]) for line in lines if line[0] == fault)


class Ended(AssertionError):
    """A statement had ended before it was killed."""


class Stuck(basic.Basic):
    OPTIONS = ("--stuck-after", "6")

    def killed(self, connection, sql, after, begun=lambda: None):
        """The error of a statement that is killed so many seconds after it has begun; it must end soon then."""
        errors = []
        thread = threading.Thread(target=lambda: errors.append(error_of(connection, sql)), daemon=True)
        number = connection.thread_id()
        thread.start()
        begun()
        time.sleep(after)
        if not thread.is_alive():
            raise Ended("%s is not under way any more after %.1f s: %r" % (sql, after, errors))
        for n in self.nodes:
            if n.alive() and not n.paused:
                run(n.connect(), "KILL QUERY %d" % number)
                break
        thread.join(20)
        expect(False, thread.is_alive(), "%s goes on although it was killed" % sql)
        return errors[0]

    def kill_while_others_are_told(self):
        """A change that is committed is told to all nodes, also when its statement is killed meanwhile; and that comes to an end."""
        away = self.idle_node()
        here = next(n for n in self.nodes if n is not away)
        a = here.connect()
        before = 0

        def pause(): # between the commit and what others are told of it
            within(20, before + 1, lambda: acted(here, "acl_commit_reply"), "CREATE USER has come to its commit")
            away.pause()
        number = None
        for _ in range(5): # a silent node is waited for a second and a half: the KILL may come too late
            if here.http("/faults", b"acl_commit_reply=delay=500:count=1")[0] == 501:
                return # a build without faults
            before = acted(here, "acl_commit_reply")
            try:
                number = self.killed(a, "CREATE USER told IDENTIFIED BY 'pw'", 0.8, pause)
                break
            except Ended as e:
                print("    %s" % e)
            finally:
                away.resume()
            run(a, "DROP USER told")
        expect(True, number in (0, 1317), "CREATE USER, killed: error %r" % number)
        b = here.connect()
        expect(((1,),), run(b, "SELECT COUNT(*) FROM mysql.user WHERE user = 'told'"), "what was committed before the KILL")
        end = time.monotonic() + 30
        while True:
            try:
                away.connect(user="told", password="pw").close()
                break
            except pymysql.Error:
                if time.monotonic() > end:
                    raise
                time.sleep(0.1)
        expect(0, error_of(b, "DROP USER told"), "the next change")

    def kill_gives_locks_back(self):
        """A schema change that is killed while it waits on one node leaves its table on the others at once."""
        a, b, c = (n.connect(database=DATABASE) for n in self.nodes)
        run(a, "CREATE TABLE kl (id INT PRIMARY KEY)")
        c.autocommit(False)
        run(c, "SELECT * FROM kl")
        sql = "ALTER TABLE kl ADD COLUMN v INT"
        expect(1317, self.killed(a, sql, 1.0, lambda: under_way(b, a, sql)), "ALTER TABLE, killed")
        began = time.monotonic()
        run(b, "INSERT INTO kl VALUES (1)")
        waited = time.monotonic() - began
        if waited > 15:  # of the minutes for which the ALTER would have waited
            raise AssertionError("a table was locked for %.1f s more after its ALTER was killed" % waited)
        c.commit()

    def change_in_doubt(self):
        """A schema change whose statement does not hear that it was committed is known to all nodes nevertheless."""
        a, b, c = (n.connect(database=DATABASE) for n in self.nodes)
        run(a, "CREATE TABLE cd (id INT PRIMARY KEY, v INT)")
        for x in (b, c):
            run(x, "INSERT INTO cd VALUES (%d, 1)" % x.thread_id())
        if self.nodes[0].http("/faults", b"ddl_commit_reply=drop:count=1")[0] == 501:
            return # a build without faults
        expect(20001, error_of(a, "CREATE INDEX k ON cd (v)"), "CREATE INDEX that hears of nothing")
        for x in (b, c, a):
            run(x, "INSERT INTO cd VALUES (%d, 1)" % (x.thread_id() + 100000000))
            expect(1, len(run(x, "SHOW INDEX FROM cd WHERE Key_name='k'")), "the index on each node")
        expect(((5,),), run(c, "SELECT COUNT(*) FROM cd FORCE INDEX (k) WHERE v = 1"), "rows by the index")
        expect((200,), self.nodes[0].http("/faults", b"acl_commit_reply=drop:count=1")[:1], "/faults")
        expect(20001, error_of(a, "CREATE USER doubt IDENTIFIED BY 'pw'"), "CREATE USER that hears of nothing")
        for n in self.nodes:
            n.connect(user="doubt", password="pw").close()
        run(a, "DROP USER doubt")

    def account_of_a_dead_node(self):
        """A change of accounts of which nobody hears, as its node dies when it is committed, is in force on the others; so are those
        that come after it."""
        dies = self.idle_node()
        others = [n for n in self.nodes if n is not dies]
        a, b = dies.connect(), others[0].connect()
        run(b, "CREATE USER gone IDENTIFIED BY 'pw'")
        if dies.http("/faults", b"acl_commit_reply=crash:count=1")[0] == 501:
            return # a build without faults
        error_of(a, "ALTER USER gone IDENTIFIED BY 'new'")
        dies._reap(10)
        try:
            for n in others:
                end = time.monotonic() + 60
                while error_of_login(n, "gone", "new") != 0:
                    expect(True, time.monotonic() < end, "%s knows the new password" % n)
                    time.sleep(0.1)
                expect(1045, error_of_login(n, "gone", "pw"), "the old password")
            began = time.monotonic()
            run(b, "DROP USER gone")
            print("    the next change took %.1f s" % (time.monotonic() - began))
        finally:
            dies.start()
            self.cluster.wait_replicated()

    def stop_of_a_node_with_locks(self):
        """A node that is stopped while it holds a table for a change of another one, which waits for a third, ends as it should."""
        a, c = self.nodes[0].connect(database=DATABASE), self.nodes[2].connect(database=DATABASE)
        stops = self.nodes[1]
        run(a, "CREATE TABLE sl (id INT PRIMARY KEY)")
        c.autocommit(False)
        run(c, "SELECT * FROM sl")
        errors = []
        change = threading.Thread(target=lambda: errors.append(error_of(a, "ALTER TABLE sl ADD COLUMN v INT")), daemon=True)
        change.start()
        under_way(c, a, "ALTER TABLE sl ADD COLUMN v INT")
        time.sleep(1)
        began = time.monotonic()
        expect(0, stops.stop(), "the exit status of a node that holds a table for another")
        print("    it stopped in %.1f s" % (time.monotonic() - began))
        stops.start()
        c.commit()
        change.join(60)
        expect(False, change.is_alive(), "ALTER TABLE comes to an end")
        self.cluster.wait_replicated()
        expect(True, error_of(a, "ALTER TABLE sl ADD COLUMN w INT") == 0, "the next change")

    def long_expressions(self):
        """One expression that takes minutes: others have their turn, the node does not count as stuck, and KILL QUERY ends it."""
        a, b, look = (self.nodes[0].connect() for _ in range(3))
        run(b, "CREATE TABLE {0}.le (id INT PRIMARY KEY)".format(DATABASE))
        run(b, "INSERT INTO {0}.le VALUES {1}".format(DATABASE, ",".join("(%d)" % i for i in range(1000))))
        run(a, "SET @s = REPEAT('aaaaaaaaa\u00e9', 50000), @j = CONCAT('[', REPEAT('1,', 50000), '1]')")
        for sql in ("SELECT LOCATE(CONCAT(REPEAT('a', 200000), 'b'), REPEAT('a', 2000000))",
                    "SELECT SUBSTRING_INDEX(%s, %s, -1) = ''" % tuple("CONVERT(%s USING latin1)" % s for s in (
                        "REPEAT('a', 9000000)", "CONCAT(REPEAT('a', 1000000), 'b')")),
                    "SELECT REPEAT('a', 2000000) LIKE CONCAT('%', REPEAT('a_', 100000), 'b%')",
                    "SELECT JSON_OVERLAPS(@j, REPLACE(@j, '1', '2'))",
                    "SELECT JSON_CONTAINS(JSON_ARRAY_APPEND(@j, '$', 2), REPLACE(@j, '1', '2'))",
                    "SELECT JSON_EXTRACT(CONCAT(REPEAT('{\"a\":', 90), '1', REPEAT('}', 90)), '$**.a**.a**.a**.a**.a**.a**.a')",
                    "SELECT JSON_SEARCH(REPLACE(@j, '1', '\"a\"'), 'all', 'a', NULL, '$**[0]', '$**[*]', '$[*]', '$**[*]') IS NULL",
                    "SELECT COUNT(*) FROM %s.le WHERE REGEXP_LIKE(REPEAT(@s, 2), CONCAT('[x-z].*', id))" % DATABASE,
                    "SELECT BENCHMARK(1000000, SHA2(CONCAT(@s, @s, @s, @s, RAND()), 512))"):
            worst, stop = [0.0], threading.Event()

            def look_on():
                while not stop.wait(0.01):
                    began = time.monotonic()
                    run(b, "SELECT 1")
                    worst[0] = max(worst[0], time.monotonic() - began)
            looks = threading.Thread(target=look_on, daemon=True)
            looks.start()
            try:
                expect(1317, self.killed(a, sql, 1.0, lambda: under_way(look, a, sql)), sql)
            finally:
                stop.set()
                looks.join(10)
            expect(True, worst[0] < 10, "another statement took %.1f s during %s" % (worst[0], sql))

    def change_of_a_silent_node(self):
        """A node that stands still between finding that it holds a table everywhere and committing its change: the others do not wait
        for it for ever, and what they have done meanwhile is right, whatever becomes of the change."""
        silent = self.idle_node()
        here = next(n for n in self.nodes if n is not silent)
        a, b, look = silent.connect(database=DATABASE), here.connect(database=DATABASE), here.connect(database=DATABASE)
        run(b, "CREATE TABLE cs (id INT PRIMARY KEY, v INT)")
        run(b, "INSERT INTO cs VALUES (1, 1)")
        if silent.http("/faults", b"ddl_before_commit=delay=5000:count=1")[0] == 501:
            return # a build without faults
        before = acted(silent, "ddl_before_commit")
        errors = []
        change = threading.Thread(target=lambda: errors.append(error_of(a, "CREATE INDEX k ON cs (v)")), daemon=True)
        change.start()
        within(20, before + 1, lambda: acted(silent, "ddl_before_commit"), "CREATE INDEX has come to its commit")
        expect([], errors, "CREATE INDEX has not come to its end")
        silent.pause()
        try:
            began = time.monotonic()
            run(b, "INSERT INTO cs VALUES (2, 1)")
            waited = time.monotonic() - began
        finally:
            silent.resume()
        change.join(30)
        expect(False, change.is_alive(), "CREATE INDEX comes to an end")
        self.cluster.wait_replicated()
        if run(look, "SHOW INDEX FROM cs WHERE Key_name = 'k'"):
            expect(((2,),), run(look, "SELECT COUNT(*) FROM cs FORCE INDEX (k) WHERE v = 1"), "rows by an index that came to be")
        expect(True, errors[0] != 0, "CREATE INDEX that others did not wait for")
        expect((), run(look, "SHOW INDEX FROM cs WHERE Key_name = 'k'"), "an index that was refused")
        print("    others waited %.1f s" % waited)
        run(a, "CREATE INDEX k ON cs (v)")
        expect(((2,),), run(b, "SELECT COUNT(*) FROM cs FORCE INDEX (k) WHERE v = 1"), "rows by the index")

    def loop_that_stands_still(self):
        """A node of which an event loop stands still ends; the others go on."""
        dies, here = self.nodes[2], self.nodes[0]
        c = here.connect(database=DATABASE)
        run(c, "CREATE TABLE IF NOT EXISTS ls (id INT PRIMARY KEY)")
        if dies.http("/faults", b"range_before_submit=delay=600000:count=1")[0] == 501:
            return # a build without faults
        began = time.monotonic()
        i = 0
        while dies.process.poll() is None and time.monotonic() - began < 40:
            i += 1
            error_of(c, "INSERT INTO ls VALUES (%d)" % i)
            time.sleep(0.02)
        waited = time.monotonic() - began
        expect(False, dies.process.poll() is None, "a node of which a loop stands still lives after %.0f s" % waited)
        dies._reap(10)
        expect(True, dies.said("server.loop.stuck"), "why it has ended")
        run(c, "INSERT INTO ls VALUES (1000000)")
        print("    it ended after %.1f s" % waited)
        dies.start()
        self.cluster.wait_replicated()

    def list_of_members(self):
        """The file with the members is written as soon as that is possible."""
        n, moves = self.nodes[0], self.nodes[1]
        path = os.path.join(n.data, "members")
        os.mkdir(path + ".new") # in the way
        moves.kill()
        moves.ports = [free_port(), free_port(), free_port()]
        moves.start()
        self.cluster.wait_replicated()

        def lists():
            with open(path, encoding="utf-8") as f:
                return moves.rpc_address() in f.read()
        expect(False, lists(), "a file that cannot be written")
        os.rmdir(path + ".new")
        within(30, True, lists, "the new address of a member is in the file")


TESTS = ["kill_while_others_are_told", "kill_gives_locks_back", "change_in_doubt", "account_of_a_dead_node", "stop_of_a_node_with_locks", "long_expressions",
         "change_of_a_silent_node", "list_of_members", "loop_that_stands_still"]

if __name__ == "__main__":
    sys.exit(basic.main(Stuck, TESTS, "stuck"))
