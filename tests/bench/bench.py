"""sysbench on a SkeinDB node (or cluster) of its own and on MySQL-speaking peers, by turns; results as a table and as JSON.

Each run is one workload, one way of preparing statements, one number of threads, one server; the servers take turns within it, so
that a change of the machine's mood hits all alike. bulk_insert has a fresh schema for each run.

With --nodes N: `skeindb` is the cluster through its first node, `spread` the same with the threads dealt to all nodes, `alone` a node
without others. What the cluster costs at rest is measured first (with --splits that of another one, too, with so many ranges)."""
import argparse
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from node import Node  # noqa: E402
from cluster_cost import Cluster, cpu_seconds  # noqa: E402
import pymysql  # noqa: E402

WORKLOADS = ["oltp_point_select", "oltp_read_only", "oltp_read_write", "oltp_write_only", "oltp_insert", "oltp_update_index",
             "oltp_update_non_index", "oltp_delete", "bulk_insert"]
SCHEMA = "sbtest_skein"
OURS = "skeindb"


class Server:
    """ports: of all nodes that take part; all but the first are for sysbench only."""

    def __init__(self, name, host, ports, user, password, pids=()):
        self.name, self.host, self.port, self.user, self.password = name, host, ports[0], user, password
        self.ports, self.pids, self.same_data_as = ports, pids, None

    def query(self, sql):
        connection = pymysql.connect(host=self.host, port=self.port, user=self.user, password=self.password)
        try:
            with connection.cursor() as c:
                c.execute(sql)
                return c.fetchall()
        finally:
            connection.close()

    def sysbench(self, script, arguments, command, timeout):
        line = ["sysbench", script, "--db-driver=mysql", "--mysql-host=" + self.host, "--mysql-port=" + ",".join(map(str, self.ports)),
                "--mysql-user=" + self.user, "--mysql-password=" + self.password, "--mysql-db=" + SCHEMA] + arguments + [command]
        return subprocess.run(line, capture_output=True, text=True, timeout=timeout, check=False)

    def cpu_seconds(self):
        return sum(map(cpu_seconds, self.pids)) if self.pids else None


def number(pattern, text):
    found = re.search(pattern, text)
    return float(found.group(1)) if found else None


def table_arguments(args, workload):
    return [] if workload == "bulk_insert" else ["--tables=%d" % args.tables, "--table-size=%d" % args.table_size]


def fresh_schema(server):
    server.query("DROP DATABASE IF EXISTS " + SCHEMA)
    server.query("CREATE DATABASE " + SCHEMA)


def prepare(server, args, workload, threads):
    fresh_schema(server)
    script = "bulk_insert" if workload == "bulk_insert" else "oltp_read_write"
    began = time.monotonic()
    done = server.sysbench(script, table_arguments(args, workload) + ["--threads=%d" % threads], "prepare", 3600)
    if done.returncode != 0:
        raise RuntimeError("%s: prepare: %s" % (server.name, (done.stdout + done.stderr)[-500:]))
    return time.monotonic() - began


def run(server, args, workload, mode, threads):
    if workload == "bulk_insert":
        prepare(server, args, workload, threads)
    arguments = table_arguments(args, workload) + ["--threads=%d" % threads, "--time=%d" % args.seconds, "--events=0",
                                                   "--db-ps-mode=" + mode]
    cpu = server.cpu_seconds()
    done = server.sysbench(workload, arguments, "run", args.seconds + 120)
    out = done.stdout + done.stderr
    result = {"server": server.name, "workload": workload, "mode": mode, "threads": threads,
              "tps": number(r"transactions:.*\(([\d.]+) per sec", out), "qps": number(r"queries:.*\(([\d.]+) per sec", out),
              "avg_ms": number(r"avg:\s+([\d.]+)", out), "p95_ms": number(r"95th percentile:\s+([\d.]+)", out),
              "errors": number(r"ignored errors:\s+(\d+)", out), "reconnects": number(r"reconnects:\s+(\d+)", out)}
    if result["tps"] is None:  # bulk_insert tells events and time
        events, seconds = number(r"total number of events:\s+(\d+)", out), number(r"total time:\s+([\d.]+)s", out)
        result["tps"] = events / seconds if events is not None and seconds else None
    if cpu is not None:
        result["server_cpu_s"] = round(server.cpu_seconds() - cpu, 2)
    fatal = re.search(r"FATAL:.*", out)
    if done.returncode != 0 or fatal:
        result["failure"] = fatal.group(0)[:300] if fatal else "exit status %d" % done.returncode
    return result


def middle(tries):
    """The run of median speed; one that failed counts before all."""
    failed = [r for r in tries if "failure" in r]
    if failed:
        return failed[0]
    r = sorted(tries, key=lambda r: r["tps"])[len(tries) // 2]
    return {**r, "all_tps": [t["tps"] for t in tries]}


def machine():
    with open("/proc/meminfo", encoding="ascii") as f:
        kib = int(f.readline().split()[1])
    return {"cores": os.cpu_count(), "memory_mib": kib // 1024, "kernel": platform.release(), "load": os.getloadavg()[0]}


def cell(result):
    if result is None:
        return "–"
    if "failure" in result:
        return "failed"
    errors = " (%d err)" % result["errors"] if result["errors"] else ""
    return "%.0f%s" % (result["tps"], errors) if result["tps"] is not None else "?"


def load_text(m):
    return "" if m["load"] < 1 else ", load %.0f of others" % m["load"]


def turns_text(report):
    each = "%d s each" % report["seconds"]
    return each if report["repeat"] == 1 else "median of %d runs of %s, by turns" % (report["repeat"], each)


def table(report):
    names = [s["name"] for s in report["servers"]]
    peers = [n for n in names if n != OURS]
    m = report["machine"]
    lines = ["# sysbench" + (", %d nodes" % report["nodes"] if report["nodes"] > 1 else ""), "", "%s · %d cores, %d MiB, Linux %s%s · %d tables of %d rows · %s · transactions per second" % (
        report["date"], m["cores"], m["memory_mib"], m["kernel"], load_text(m), report["tables"], report["table_size"], turns_text(report)), ""]
    lines += ["%s: %s" % (s["name"], s["version"]) for s in report["servers"]]
    lines += ["", "| workload | statements | threads | " + " | ".join(names + ["÷ " + p for p in peers]) + " | p95 ms |",
              "|---|---|---:|" + "---:|" * (len(names) + len(peers)) + "---:|"]
    if report["nodes"] > 1:
        lines[-3:-3] = cluster_lines(report)
    by_key = {}
    for r in report["runs"]:
        by_key.setdefault((r["workload"], r["mode"], r["threads"]), {})[r["server"]] = r
    for (workload, mode, threads), results in by_key.items():
        ours = results.get(OURS)
        ratios = []
        for p in peers:
            theirs = results.get(p)
            both = all(r and r.get("tps") and "failure" not in r for r in (ours, theirs))
            ratios.append("%.2f" % (ours["tps"] / theirs["tps"]) if both else "–")
        p95 = "/".join("%g" % results[n]["p95_ms"] if n in results and results[n]["p95_ms"] is not None else "–" for n in names)
        lines.append("| %s | %s | %d | %s | %s |" % (workload, "prepared" if mode == "auto" else "text", threads, " | ".join(
            [cell(results.get(n)) for n in names] + ratios), p95))
    return "\n".join(lines) + "\n"


def cluster_lines(report):
    lines = ["", "`skeindb`: all threads on the first node; `spread`: dealt to all nodes; `alone`: a node without others. Cold start to",
             "the first answer of every node: %.2f s. At rest:" % report["start_s"], ""]
    return lines + ["- %d ranges: %s MiB, %s %% of a core" % (r["ranges"], "/".join("%d" % m for m in r["rss_mib"]), "/".join(
        "%g" % c for c in r["cpu_percent"])) for r in report["at_rest"]]


def save(report, folder):
    os.makedirs(folder, exist_ok=True)
    name = "cluster" if report["nodes"] > 1 else "results"
    with open(os.path.join(folder, name + ".json"), "w", encoding="utf-8") as f:
        json.dump(report, f, indent=1)
        f.write("\n")
    with open(os.path.join(folder, name + ".md"), "w", encoding="utf-8") as f:
        f.write(table(report))


def at_rest_with_many(args):
    with tempfile.TemporaryDirectory(prefix="skein_bench_", dir=args.data) as directory:
        many = Cluster(args.binary, directory, args.nodes, args.option)
        try:
            many.start()
            many.split(args.splits)
            return many.at_rest(args.rest)
        finally:
            many.kill()


def measure(args, servers, node):
    rest = {} if args.nodes == 1 else {"start_s": node.start_s, "at_rest": [node.at_rest(args.rest)]}
    if args.splits:
        rest["at_rest"].append(at_rest_with_many(args))
    report = {"nodes": args.nodes, **rest, "date": time.strftime("%Y-%m-%d", time.gmtime()), "machine": machine(), "seconds": args.seconds, "repeat": args.repeat, "tables": args.tables,
              "table_size": args.table_size, "prepare_s": {}, "runs": [],
              "servers": [{"name": s.name, "version": s.query("SELECT VERSION()")[0][0]} for s in servers]}
    workloads, modes, threads = args.workloads.split(), args.modes.split(), [int(t) for t in args.threads.split()]
    for mode in modes:
        for workload in workloads:
            first_of_mode = workload == next((w for w in workloads if w != "bulk_insert"), None)
            if first_of_mode:
                for s in (s for s in servers if s.same_data_as is None):
                    report["prepare_s"].setdefault(s.name, []).append(round(prepare(s, args, workload, args.tables), 1))
            for count in threads:
                turns = [[run(s, args, workload, mode, count) for s in servers] for _ in range(args.repeat)]
                for s, tries in zip(servers, zip(*turns)):
                    r = middle(tries)
                    report["runs"].append(r)
                    print("%-22s %-8s %3d  %-10s %10s tps  p95 %s ms%s" % (workload, mode, count, s.name, cell(r), r["p95_ms"],
                                                                        "  " + r["failure"] if "failure" in r else ""), flush=True)
                    if not node.alive():
                        raise RuntimeError("the node has died; log ends with:\n" + node.log_tail())
            save(report, args.out)
    return report


def ours(args, directory):
    """(what is to be watched and stopped, the servers to be measured)"""
    if args.nodes == 1:
        node = Node(args.binary, directory, args.option)
        node.start()
        return node, [Server(OURS, "127.0.0.1", [node.mysql_port], "root", "", [node.process.pid])]
    cluster = Cluster(args.binary, directory, args.nodes, args.option)
    try:
        cluster.start()
    except BaseException:
        cluster.kill()
        raise
    ports, pids = [n.mysql_port for n in cluster.nodes], [n.process.pid for n in cluster.nodes]
    first, spread = Server(OURS, "127.0.0.1", ports[:1], "root", "", pids), Server("spread", "127.0.0.1", ports, "root", "", pids)
    spread.same_data_as = first
    return cluster, [first, spread]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--binary", required=True)
    parser.add_argument("--seconds", type=int, default=20)
    parser.add_argument("--repeat", type=int, default=1, help="runs of each, by turns; the one of median speed counts")
    parser.add_argument("--threads", default="1 8 32")
    parser.add_argument("--workloads", default=" ".join(WORKLOADS))
    parser.add_argument("--modes", default="auto disable", help="of --db-ps-mode")
    parser.add_argument("--tables", type=int, default=4)
    parser.add_argument("--table-size", type=int, default=100000)
    parser.add_argument("--out", required=True, help="folder for results.md and results.json")
    parser.add_argument("--data", help="where the node keeps its data (default: a temporary directory)")
    parser.add_argument("--option", action="append", default=[], help="option for `skeindb start`")
    parser.add_argument("--nodes", type=int, default=1)
    parser.add_argument("--splits", type=int, default=0, help="with --nodes: at rest also with so many more ranges")
    parser.add_argument("--rest", type=int, default=20, help="with --nodes: seconds at rest")
    parser.add_argument("peer", nargs="*", help="name=HOST:PORT or name=USER:PASSWORD@HOST:PORT")
    args = parser.parse_args()
    if shutil.which("sysbench") is None:
        sys.exit("no sysbench: run scripts/install_deps.sh --bench")
    directory = tempfile.mkdtemp(prefix="skein_bench_", dir=args.data)
    node = alone = None
    try:
        node, servers = ours(args, directory)
        if args.nodes > 1:
            alone = Node(args.binary, os.path.join(directory, "alone"), args.option)
            alone.start()
            servers.append(Server("alone", "127.0.0.1", [alone.mysql_port], "root", "", [alone.process.pid]))
        for peer in args.peer:
            found = re.fullmatch(r"([^=]+)=(?:([^:@]*):([^@]*)@)?([^:]+):(\d+)", peer)
            if not found:
                sys.exit("not name=HOST:PORT: " + peer)
            name, user, password, host, port = found.groups()
            servers.append(Server(name, host, [int(port)], user or "root", password or ""))
        report = measure(args, servers, node)
        status = node.stop()
        failures = sum("failure" in r for r in report["runs"]) + (status != 0)
        print("%d runs, %d failures; %s" % (len(report["runs"]), failures, args.out))
        return 1 if failures else 0
    finally:
        for n in (node, alone):
            if n is not None:
                n.kill()
        shutil.rmtree(directory, ignore_errors=True)


sys.exit(main())
