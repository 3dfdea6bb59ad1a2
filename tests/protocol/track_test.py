#!/usr/bin/env python3
"""What OK packets tell of transactions (session_track_transaction_info): the statements of track.txt, each with what a reference server has told.
usage: track_test.py HOST PORT USER PASSWORD [--record]

track.txt: `@name` goes on as that connection, `PS sql` prepares and executes, `sql -> told` says what is expected: kinds and texts of changes of state,
or `error NUMBER`; nothing behind the arrow: nothing is told. --record writes what the server tells."""
import os
import sys

from raw import Raw, error, lenenc

HOST, PORT, USER, PASSWORD = sys.argv[1], int(sys.argv[2]), sys.argv[3], sys.argv[4]
FILE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "track.txt")
KINDS = {0: "variable", 1: "schema", 2: "state", 4: "characteristics", 5: "transaction"}
STATE_CHANGED = 0x4000


def strings(data):
    out, pos = [], 0
    while pos < len(data):
        size, pos = lenenc(data, pos)
        out.append(data[pos:pos + size].decode())
        pos += size
    return out


def told(packet):
    if error(packet):
        return "error %d" % error(packet)
    _, pos = lenenc(packet, 1)  # affected rows
    _, pos = lenenc(packet, pos)  # last insert id
    status = int.from_bytes(packet[pos:pos + 2], "little")
    if not status & STATE_CHANGED:
        return ""
    size, pos = lenenc(packet, pos + 4)
    total, pos = lenenc(packet, pos + size)
    out, end = [], pos + total
    while pos < end:
        kind = packet[pos]
        size, pos = lenenc(packet, pos + 1)
        data = packet[pos:pos + size]
        pos += size
        out.append("%s [%s]" % (KINDS[kind], data.decode() if kind == 2 else "=".join(strings(data))))
    return ", ".join(out)


def run(c, sql):
    if not sql.startswith("PS "):
        return c.result(sql)[-1]
    prepared = c.ask(0x16, sql[3:].encode())
    if error(prepared):
        return prepared
    for _ in range(int.from_bytes(prepared[5:7], "little") + int.from_bytes(prepared[7:9], "little")):
        c.read()
    c.command(0x17, prepared[1:5] + b"\0\1\0\0\0")
    packets = c.rest()
    c.command(0x19, prepared[1:5])
    return packets[-1]


def connect():
    c = Raw(HOST, PORT)
    last = c.login(USER, PASSWORD, tls=bool(PASSWORD))
    assert last[0] == 0, last
    return c


def main():
    setup = connect()
    for sql in ("DROP DATABASE IF EXISTS protocol_track", "CREATE DATABASE protocol_track"):
        assert not error(setup.result(sql)[-1]), sql
    connections, name, out, wrong = {}, "first", [], 0
    with open(FILE, encoding="utf-8") as f:
        lines = f.read().split("\n")
    for line in lines:
        sql, arrow, wanted = line.partition(" ->")
        if line.startswith("@"):
            name = line[1:]
        if not line or line[0] in "#@":
            out.append(line)
            continue
        if name not in connections:
            connections[name] = connect()
            connections[name].result("USE protocol_track")
        got = told(run(connections[name], sql))
        out.append(("%s -> %s" % (sql, got)).rstrip())
        if arrow and wanted.strip() != got:
            wrong += 1
            print("%s\n    expected %s\n    got      %s" % (sql, wanted.strip() or "nothing", got or "nothing"))
    for c in connections.values():
        c.close()
    assert not error(setup.result("DROP DATABASE protocol_track")[-1])
    if "--record" in sys.argv:
        with open(FILE, "w", encoding="utf-8") as f:
            f.write("\n".join(out))
        return 0
    print("%s session tracking of transactions" % ("FAIL" if wrong else "PASS"))
    return 1 if wrong else 0


sys.exit(main())
