#!/usr/bin/python3
"""What sessions of three nodes share: global variables, what SET PERSIST keeps, named locks, the process list, KILL.

    sessions.py --binary PATH [NAME...]"""
import sys
import threading
import time

import basic
from basic import DATABASE, error_of, expect, run

PERSISTED = "SELECT VARIABLE_NAME, VARIABLE_VALUE FROM performance_schema.persisted_variables ORDER BY 1"


def within(seconds, wanted, ask, what):
    """What is to become true soon."""
    end = time.monotonic() + seconds
    got = ask()
    while got != wanted and time.monotonic() < end:
        time.sleep(0.05)
        got = ask()
    expect(wanted, got, what)


class Sessions(basic.Basic):
    def of_all(self, sql):
        """The one value that every node answers."""
        answers = []
        for n in self.nodes:
            c = n.connect()
            answers.append(run(c, sql)[0][0])
            c.close()
        if len(set(answers)) != 1:
            raise AssertionError("%s: the nodes differ: %r" % (sql, answers))
        return answers[0]

    def restart_all(self):
        for n in self.nodes:
            n.kill()
        threads = [threading.Thread(target=n.start) for n in self.nodes]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        self.cluster.wait_replicated()

    def global_variables(self):
        """SET GLOBAL acts on all nodes when it returns, in sessions that begin then."""
        old = self.connections()
        for i, c in enumerate(old):
            run(c, "SET GLOBAL div_precision_increment = %d" % (10 + i))
            expect(10 + i, self.of_all("SELECT @@GLOBAL.div_precision_increment"), "of the cluster")
            expect(10 + i, self.of_all("SELECT @@SESSION.div_precision_increment"), "of new sessions")
        for c in old:
            expect(((4,),), run(c, "SELECT @@SESSION.div_precision_increment"), "of a session that was there")
        run(old[1], "SET GLOBAL time_zone = '+03:00', GLOBAL character_set_server = latin1, GLOBAL long_query_time = 2.5")
        expect("+03:00", self.of_all("SELECT @@GLOBAL.time_zone"), "a text")
        expect("latin1_swedish_ci", self.of_all("SELECT @@GLOBAL.collation_server"), "what follows a variable")
        expect(2.5, self.of_all("SELECT @@GLOBAL.long_query_time"), "a number with a fraction")
        run(old[2], "SET GLOBAL time_zone = DEFAULT, GLOBAL character_set_server = DEFAULT, GLOBAL long_query_time = DEFAULT")
        expect("SYSTEM", self.of_all("SELECT @@GLOBAL.time_zone"), "DEFAULT")
        expect("utf8mb4_0900_ai_ci", self.of_all("SELECT @@GLOBAL.collation_server"), "DEFAULT")
        run(old[0], "SET GLOBAL general_log_file = '/of/node/1'")
        expect(False, run(old[1], "SELECT @@GLOBAL.general_log_file")[0][0] == "/of/node/1", "a path of one node")

    def global_variables_at_once(self):
        """Changes from all nodes at the same time: none is lost, and all nodes end with the same values."""
        names = ["max_error_count", "auto_increment_offset", "group_concat_max_len"]

        def change(i):
            c = self.nodes[i].connect()
            for k in range(1, 16):
                run(c, "SET GLOBAL %s = %d" % (names[i], 100 + k))
                run(c, "SET GLOBAL sort_buffer_size = %d" % (100000 + 100 * i + k))

        threads = [threading.Thread(target=change, args=(i,)) for i in range(3)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        for name in names:
            expect(115, self.of_all("SELECT @@GLOBAL." + name), name)
        self.of_all("SELECT @@GLOBAL.sort_buffer_size")
        c = self.nodes[0].connect()
        for name in names + ["sort_buffer_size"]:
            run(c, "SET GLOBAL %s = DEFAULT" % name)

    def global_variables_of_a_run(self):
        """A node that starts again takes what was set meanwhile, and before; when all were down it is forgotten, and what is persisted
        acts."""
        a = self.nodes[0].connect()
        run(a, "SET GLOBAL div_precision_increment = 7")
        run(a, "SET PERSIST max_error_count = 500")
        run(a, "SET PERSIST_ONLY group_concat_max_len = 2000")
        for n in self.nodes:
            n.stop()
            other = self.nodes[n.number % 3].connect()
            run(other, "SET GLOBAL auto_increment_offset = %d" % (20 + n.number))
            n.start()
            self.cluster.wait_replicated()
            expect(7, self.of_all("SELECT @@GLOBAL.div_precision_increment"), "set before")
            expect(20 + n.number, self.of_all("SELECT @@GLOBAL.auto_increment_offset"), "set meanwhile")
            expect(500, self.of_all("SELECT @@GLOBAL.max_error_count"), "persisted")
            expect(1024, self.of_all("SELECT @@GLOBAL.group_concat_max_len"), "persisted for later")
        kept = (("group_concat_max_len", "2000"), ("max_error_count", "500"))
        for n in self.nodes:
            expect(kept, run(n.connect(), PERSISTED), "what is kept")
        paused = self.nodes[2]
        c = paused.connect()
        paused.pause()
        run(self.nodes[0].connect(), "SET GLOBAL auto_increment_offset = 30")
        paused.resume()
        within(5, ((30,),), lambda: run(c, "SELECT @@GLOBAL.auto_increment_offset"), "on a node that was stopped for a while")
        self.restart_all()
        expect(4, self.of_all("SELECT @@GLOBAL.div_precision_increment"), "SET GLOBAL, after all were down")
        expect(1, self.of_all("SELECT @@GLOBAL.auto_increment_offset"), "SET GLOBAL, after all were down")
        expect(500, self.of_all("SELECT @@GLOBAL.max_error_count"), "SET PERSIST, after all were down")
        expect(2000, self.of_all("SELECT @@GLOBAL.group_concat_max_len"), "SET PERSIST_ONLY, after all were down")
        run(self.nodes[1].connect(), "RESET PERSIST")
        for n in self.nodes:
            expect((), run(n.connect(), PERSISTED), "after RESET PERSIST")
        expect(500, self.of_all("SELECT @@GLOBAL.max_error_count"), "RESET PERSIST changes nothing now")
        run(self.nodes[1].connect(), "SET GLOBAL max_error_count = DEFAULT, GLOBAL group_concat_max_len = DEFAULT")


    def process_list(self):
        """What a connection waits for is shown on every node."""
        waiter, other = self.nodes[0].connect(), self.nodes[1].connect(database=DATABASE)
        t = threading.Thread(target=error_of, args=(waiter, "SELECT SLEEP(60), 'process list'"))
        t.start()
        shown = "SELECT COMMAND, STATE, INFO FROM performance_schema.processlist WHERE ID = %d" % waiter.thread_id()
        for n in self.nodes:
            within(5, (("Query", "User sleep", "SELECT SLEEP(60), 'process list'"),), lambda: run(n.connect(), shown), "node %d" % n.number)
        run(other, "KILL QUERY %d" % waiter.thread_id())
        t.join(5)
        expect(False, t.is_alive(), "a killed statement ends")
        for n in self.nodes:
            within(5, (("Sleep", "", None),), lambda: run(n.connect(), shown), "idle, on node %d" % n.number)
        run(other, "CREATE TABLE pl (a INT)")
        run(other, "LOCK TABLES pl WRITE")
        waiter = self.nodes[2].connect(database=DATABASE)
        t = threading.Thread(target=run, args=(waiter, "SELECT * FROM pl"))
        t.start()
        shown = "SELECT STATE FROM information_schema.processlist WHERE ID = %d" % waiter.thread_id()
        for n in self.nodes:
            within(5, (("Waiting for table metadata lock",),), lambda: run(n.connect(), shown), "a table lock, node %d" % n.number)
        run(other, "UNLOCK TABLES")
        t.join(5)


TESTS = ["process_list", "global_variables", "global_variables_at_once", "global_variables_of_a_run"]

if __name__ == "__main__":
    sys.exit(basic.main(Sessions, TESTS, "sessions"))
