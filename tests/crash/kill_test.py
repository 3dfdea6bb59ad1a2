"""kill -9 in a loop under load, an audit after each restart. A cycle is one test. Prints a line per cycle; see run.sh."""
import sys

import driver  # first: it knows where tests/lib is
import audit  # noqa: E402


def cycle(node, ledger, number, seconds, args):
    operations = audit.run_load(node, ledger, number, seconds, args.connections, args.splits)
    node.start()
    connection = node.connect()
    try:
        problems = audit.check(connection, ledger)
    finally:
        connection.close()
    if operations == 0:
        problems.append("no operation was done in %.1f s" % seconds)
    return operations, problems


def clean_restart(node, ledger):
    status = node.stop()
    problems = [] if status == 0 else ["SIGTERM gave status %r" % status]
    node.start()
    connection = node.connect()
    try:
        return problems + audit.check(connection, ledger)
    finally:
        connection.close()


def main():
    parser = driver.parser_of(__doc__, 5)
    parser.add_argument("--seconds", type=float, default=2.0, help="mean time to the kill")
    parser.add_argument("--connections", type=int, default=8)
    parser.add_argument("--splits", type=int, default=4, help="of ranges under load, per cycle")
    args = parser.parse_args()

    def run(node, rand, report):
        ledger = audit.Ledger()
        connection = node.connect()
        audit.prepare(connection)
        connection.close()
        for number in range(1, args.cycles + 1):
            seconds = rand.uniform(0.2, 2.0) * args.seconds
            operations, problems = cycle(node, ledger, args.seed + number, seconds, args)
            text = "killed after %.2f s and %d operations, ready again in %.2f s, %d ranges, %d inserts, %d transfers" % (
                seconds, operations, node.start_seconds, node.http("/ranges")[1].count('"id"'), len(ledger.batches), len(ledger.transfers))
            report.add("cycle %d" % number, problems, text)
        report.add("clean restart", clean_restart(node, ledger), "SIGTERM, start, audit")

    return driver.main(args, run)


sys.exit(main())
