#!/usr/bin/env python3
"""Raw packet scripts: what drivers do not show. usage: raw_test.py HOST PORT USER PASSWORD"""
import select
import struct
import sys
import time

from raw import OTHERS_PASSWORDS, Closed, Raw, USUAL, error, lenenc, put_lenenc

HOST, PORT, USER, PASSWORD = sys.argv[1], int(sys.argv[2]), sys.argv[3], sys.argv[4]
TESTS = []


def test(f):
    TESTS.append(f)
    return f


def connect(caps=USUAL, schema=None, tls=None):
    c = Raw(HOST, PORT)
    last = c.login(USER, PASSWORD, schema, caps=caps, tls=bool(PASSWORD) if tls is None else tls)
    assert last[0] == 0, last
    return c


@test
def greeting():
    c = Raw(HOST, PORT)
    assert c.greeting[0] == 10 and c.version.startswith("9.7"), c.version
    assert c.greeting.endswith(b"caching_sha2_password\0")
    c.close()


@test
def tls_login():
    c = connect(tls=True)
    assert c.ask(0x0E)[0] == 0
    c.close()


@test
def bad_handshakes():
    for payload, number in ((b"", 1043), (b"\x05\xa2", 1043), (b"\x05\x20 old", 1043), (b"\x05\x20\0\0\0root\0\0", 1251)):
        c = Raw(HOST, PORT)
        c.write(payload)
        assert error(c.read()) == number
        assert c.at_end()
    c = Raw(HOST, PORT)
    c.seq = 3
    c.write(b"\x05\xa2")
    c.seq = 1
    assert error(c.read()) == 1156
    c = Raw(HOST, PORT)
    last = c.login("no such user", "x", tls=True)
    assert error(last) == 1045 and b"(using password: YES)" in last, last
    c = Raw(HOST, PORT)
    last = c.login(USER, PASSWORD, "no_such_schema_anywhere", tls=bool(PASSWORD))
    assert last == b"\xff\x19\x04#42000Unknown database 'no_such_schema_anywhere'", last


@test
def unknown_commands():
    c = connect()
    for code in (0x00, 0x05, 0x06, 0x07, 0x08, 0x0A, 0x0C, 0x0F, 0x22, 0xFF):
        assert c.ask(code, b"x") == b"\xff\x17\x04#08S01Unknown command", code
    assert c.ask(0x1B, b"\0") == b"\xff\x2b\x07#HY000Malformed communication packet."
    assert c.ask(0x1B, b"\0\0")[:5] == b"\xfe\0\0\x02\0"  # then warnings of the session
    assert error(c.ask(0x02)) == 1046
    assert b"Uptime: " in c.ask(0x09)
    assert c.ask(0x0E)[:5] == b"\0\0\0\x02\0"
    assert error(c.ask(3)) == 1065
    c.close()


@test
def out_of_order():
    c = connect()
    c.seq = 5
    c.write(b"\x0e")
    c.seq = 0
    assert c.read() == b"\xff\x84\x04#08S01Got packets out of order"
    assert c.at_end()


@test
def text_result():
    c = connect()
    packets = c.result("SELECT 1 AS a, NULL AS b, 'x' AS c")
    assert packets[0] == b"\x03" and packets[4] == b"\x011\xfb\x01x", packets
    assert packets[1] == b"\x03def\0\0\0\x01a\0\x0c\x3f\0\x02\0\0\0\x08\x81\0\0\0\0", packets[1]
    assert packets[-1] == b"\xfe\0\0\x02\0\0\0", packets[-1]
    c.close()
    c = connect(tuple(n for n in USUAL if n != "DEPRECATE_EOF"))
    packets = c.result("SELECT 1")
    assert packets[2] == b"\xfe\0\0\x02\0" == packets[4], packets
    c.close()
    c = connect(USUAL + ("OPTIONAL_METADATA",))
    assert c.result("SELECT 1")[0] == b"\x01\x01"
    c.close()


@test
def multi_statements():
    c = connect(USUAL + ("MULTI_STATEMENTS",))
    first = c.result("SELECT 1; DO 1; SELEC")
    assert first[-1] == b"\xfe\0\0\x0a\0\0\0", first
    assert c.rest() == [b"\0\0\0\x0a\0\0\0"]
    assert error(c.rest()[0]) == 1064
    # a comment behind the last semicolon is a statement, and answered
    assert c.result("SELECT 1; -- x")[-1] == b"\xfe\0\0\x0a\0\0\0"
    assert c.rest() == [b"\0\0\0\x02\0\0\0"]
    assert c.result("SELECT 1; /* x */ ; ")[-1] == b"\xfe\0\0\x0a\0\0\0"
    assert c.rest() == [b"\0\0\0\x02\0\0\0"]
    assert c.ask(0x0E)[0] == 0
    c.close()


@test
def prepared():
    c = connect()
    ok = c.ask(0x16, b"SELECT ?, ?")
    assert ok == b"\0\x01\0\0\0\x02\0\x02\0\0\0\0", ok
    for _ in range(4):
        c.read()
    run = struct.pack("<IBI", 1, 0, 1)
    assert error(c.ask(0x17, run + b"\0\0")) == 1835
    assert error(c.ask(0x17, struct.pack("<IBI", 99, 0, 1))) == 1243

    def rows(body):
        c.command(0x17, body)
        return [p for p in c.rest()[3:-1]]
    assert rows(run + b"\0\x01\x08\0\xfd\0" + struct.pack("<q", 5) + b"\3abc") == \
        [b"\0\0" + struct.pack("<q", 5) + b"\3abc"]
    assert rows(run + b"\2\0" + struct.pack("<q", -6)) == [b"\0\x08" + struct.pack("<q", -6)]
    c.command(0x18, struct.pack("<IH", 1, 1) + b"long ")
    c.command(0x18, struct.pack("<IH", 1, 1) + b"data")
    assert rows(run + b"\0\x01\x08\0\xfd\0" + struct.pack("<q", 1)) == \
        [b"\0\0" + struct.pack("<q", 1) + b"\x09long data"]
    c.command(0x18, struct.pack("<IH", 1, 9) + b"x")
    assert error(c.ask(0x17, run + b"\3\x01\x08\0\xfd\0")) == 1210
    assert c.ask(0x1A, struct.pack("<I", 1))[0] == 0
    c.command(0x19, struct.pack("<I", 1))
    assert error(c.ask(0x17, run + b"\3\0")) == 1243
    c.close()


@test
def parameters_of_ill_formed_text():
    c = connect()
    for sql in (b"DROP SCHEMA IF EXISTS protocol_ill", b"CREATE SCHEMA protocol_ill", b"CREATE TABLE protocol_ill.t (a INT, v VARCHAR(20))",
                b"SET sql_mode = 'STRICT_ALL_TABLES'"):
        assert c.ask(3, sql)[0] == 0
    c.ask(0x16, b"INSERT INTO protocol_ill.t VALUES (?, ?)")
    c.read(), c.read()
    run = struct.pack("<IBI", 1, 0, 1) + b"\0\x01\x08\0\xfd\0" + struct.pack("<q", 5)
    assert error(c.ask(0x17, run + b"\4a\xe2\x82b")) == 1366
    assert c.ask(0x17, run + b"\4a\xc3\xbfb")[0] == 0
    assert c.ask(3, b"SET sql_mode = ''")[0] == 0
    assert c.ask(0x17, run + b"\4a\xe2\x82b")[0] == 0
    c.command(3, b"SELECT HEX(v) FROM protocol_ill.t")
    rows = c.rest()[2:-1]
    assert rows == [b"\x0861C3BF62", b"\x0261"], rows
    assert c.ask(3, b"DROP SCHEMA protocol_ill")[0] == 0
    c.close()


@test
def parameters_of_time():
    """Values that no clock shows are refused; what is cut short is no packet."""
    c = connect()
    assert c.ask(0x16, b"SELECT CAST(? AS CHAR)")[0] == 0
    for _ in range(2):  # its parameter, its column
        c.read()
    run = struct.pack("<IBI", 1, 0, 1) + b"\0\x01"

    def answer(kind, value):
        c.command(0x17, run + bytes([kind, 0]) + value)
        last = c.rest()
        return error(last[-1]) or last[2][3:]

    def datetime(*fields):
        return b"\x0b" + struct.pack("<HBBBBBI", *fields)

    for fields in (2020, 13, 1, 0, 0, 0, 0), (2020, 1, 32, 0, 0, 0, 0), (10000, 1, 1, 0, 0, 0, 0), (2020, 1, 1, 24, 0, 0, 0), \
            (2020, 1, 1, 0, 60, 0, 0), (2020, 1, 1, 0, 0, 0, 1000000):
        assert answer(12, datetime(*fields)) == 1690, fields
    assert answer(12, datetime(2020, 2, 31, 1, 2, 3, 0)).startswith(b"2020-02-31 01:02:03")
    assert answer(10, b"\x04" + struct.pack("<HBB", 2020, 14, 40)) == 1690
    for days, hour, minute in (40, 0, 0), (0, 0, 61), (4000000000, 0, 0):
        assert answer(11, b"\x0c\0" + struct.pack("<IBBBI", days, hour, minute, 0, 0)) == 1690
    for kind, value in (8, b"\1\2"), (12, b"\x05abcde"), (12, b"\x0b\1"), (10, b"\x07" + datetime(2020, 4, 4, 1, 2, 3, 0)[1:8]), \
            (11, b"\x07abcdefg"), (253, b"\xfd\5"):
        assert answer(kind, value) == 1835, (kind, value)
    assert answer(13, b"\xe4\7") == 1210
    c.close()


@test
def parameters_of_moments():
    """A date with a time of day, and a time, have microseconds; a function makes of them what it asks for."""
    day, clock = struct.pack("<HBB", 2020, 2, 3), b"\4\5\6"
    moment, time = (12, b"\7" + day + clock), (11, b"\x08\0" + struct.pack("<I", 1) + clock)
    for sql, (kind, value), wanted in (
            (b"CONCAT(?)", (10, b"\4" + day), b"2020-02-03"), (b"CONCAT(?)", moment, b"2020-02-03 04:05:06.000000"),
            (b"CONCAT(?)", time, b"28:05:06.000000"), (b"HOUR(?) + 0.5", time, b"28.5"),
            (b"CONCAT(TIMEDIFF(?, TIME'4:00'))", moment, b"00:05:06.000000"), (b"CONCAT(TIME(?))", moment, b"04:05:06.000000"),
            (b"CONCAT(? + INTERVAL 1 HOUR)", (10, b"\4" + day), b"2020-02-03 01:00:00.000000")):
        c = connect()
        assert c.ask(0x16, b"SELECT " + sql)[0] == 0
        for _ in range(2):
            c.read()
        c.command(0x17, struct.pack("<IBI", 1, 0, 1) + b"\0\x01" + bytes([kind, 0]) + value)
        assert c.rest()[2][3:] == wanted, sql
        c.close()


@test
def parameters_of_null():
    """NULL of which no place says anything is text."""
    for sql in b"SELECT ?", b"SELECT (SELECT ?)", b"SELECT x FROM (SELECT ? x) y":
        c = connect()
        assert c.ask(0x16, sql)[0] == 0
        for _ in range(2):
            c.read()
        c.command(0x17, struct.pack("<IBI", 1, 0, 1) + b"\1\x01\6\0")
        answer = c.rest()
        assert answer[1][-6] in (252, 253) and answer[2] == b"\0\4", (sql, answer)
        c.close()


@test
def no_numbers():
    """What is no number is stored nowhere."""
    c = connect()
    for sql in "DROP DATABASE IF EXISTS protocol_nan", "CREATE DATABASE protocol_nan", "USE protocol_nan", \
            "CREATE TABLE t (id INT PRIMARY KEY AUTO_INCREMENT, d DOUBLE, f FLOAT, KEY (d))":
        assert error(c.result(sql)[-1]) == 0, sql
    for column in "df":
        number, = struct.unpack("<I", c.ask(0x16, b"INSERT INTO t (%s) VALUES (?)" % column.encode())[1:5])
        c.read()
        for value in "nan", "inf", "-inf":
            c.command(0x17, struct.pack("<IBI", number, 0, 1) + b"\0\x01\x05\0" + struct.pack("<d", float(value)))
            assert error(c.read()) == 1264, (column, value)
    assert b"\x010" in c.result("SELECT COUNT(*) FROM t")
    c.result("DROP DATABASE protocol_nan")
    c.close()


@test
def expired_password():
    """Who has one sets that one first, whatever it may do otherwise."""
    c = connect()
    for sql in "DROP USER IF EXISTS protocol_e, protocol_o", "CREATE USER protocol_e IDENTIFIED BY 'x'", "CREATE USER protocol_o", \
            "GRANT CREATE USER ON *.* TO protocol_e", "GRANT UPDATE ON mysql.* TO protocol_e", "ALTER USER protocol_e PASSWORD EXPIRE":
        assert error(c.result(sql)[-1]) == 0, sql
    e = Raw(HOST, PORT)
    e.caps = 1 << 22  # CLIENT_CAN_HANDLE_EXPIRED_PASSWORDS
    assert e.login("protocol_e", "x", tls=True)[0] == 0
    for sql in "SELECT 1", "ALTER USER protocol_o IDENTIFIED BY 'y'", "SET PASSWORD FOR protocol_o = 'z'", "ALTER USER protocol_e ACCOUNT UNLOCK":
        assert error(e.result(sql)[-1]) == 1820, sql
    for sql in "ALTER USER protocol_e IDENTIFIED BY 'q', protocol_o IDENTIFIED BY 'q'", "SELECT 1":
        assert error(e.result(sql)[-1]) == 0, sql
    e.close()
    assert error(c.result("DROP USER protocol_e, protocol_o")[-1]) == 0
    c.close()


@test
def secrets():
    """No password is seen in the process list or in statistics."""
    c = connect(USUAL + ("MULTI_STATEMENTS",))
    for sql in b"DROP USER IF EXISTS protocol_secret", b"CREATE USER protocol_secret":
        assert c.ask(0x03, sql)[0] == 0
    c.command(0x16, b"ALTER USER protocol_secret IDENTIFIED BY 'hidden word'")
    number, = struct.unpack("<I", c.read()[1:5])
    assert c.ask(0x17, struct.pack("<IBI", number, 0, 1))[0] == 0
    for sql in OTHERS_PASSWORDS:
        c.result(sql)  # done or refused
    seen = "LIKE CONCAT('%hidden ', 'word%')"
    for table, column in ("events_statements_history", "SQL_TEXT"), ("events_statements_summary_by_digest", "QUERY_SAMPLE_TEXT"):
        rows = c.result("SELECT COUNT(*) FROM performance_schema.%s WHERE %s %s" % (table, column, seen))
        assert b"\x010" in rows, (table, rows)
    c.command(0x03, ("ALTER USER protocol_secret IDENTIFIED BY 'hidden word'; SELECT COUNT(*) FROM performance_schema.processlist"
                     " WHERE INFO %s; DROP USER protocol_secret" % seen).encode())
    assert c.read()[0] == 0
    assert b"\x010" in c.rest()
    assert c.rest()[0][0] == 0
    c.close()


@test
def cursor():
    c = connect()
    assert c.ask(0x16, b"SELECT 1 AS a UNION ALL SELECT 2 UNION ALL SELECT 3")[0] == 0
    c.read()
    c.command(0x17, struct.pack("<IBI", 1, 1, 1))
    assert c.read() == b"\x01"
    c.read()
    assert c.read() == b"\xfe\0\0\x42\0\0\0"
    seen = []
    for _ in range(5):
        c.command(0x1C, struct.pack("<II", 1, 2))
        while True:
            p = c.read()
            if p[0] != 0:
                break
            seen.append(p[2])
        if p[3] & 0x80 or p[0] == 0xFF:
            break
    assert seen == [1, 2, 3] and p[3] & 0x80, (seen, p)
    assert error(c.ask(0x1C, struct.pack("<II", 1, 2))) == 1421
    c.close()


@test
def cursor_of_show():
    """With a cursor, or without one: the rows come."""
    c = connect()
    number, columns = struct.unpack("<IH", c.ask(0x16, b"SHOW VARIABLES LIKE 'version_comment'")[1:7])
    for _ in range(columns):
        c.read()
    c.command(0x17, struct.pack("<IBI", number, 1, 1))
    for _ in range(c.read()[0]):
        c.read()
    row = c.read()
    if row[0] == 0xFE:
        assert row[3] & 0x40, row
        c.command(0x1C, struct.pack("<II", number, 10))
        row = c.read()
    assert row[0] == 0 and b"version_comment" in row, row
    assert c.read()[0] == 0xFE
    c.close()


@test
def reset():
    c = connect()
    for sql in "SELECT LAST_INSERT_ID(7)", "SET @a = 5, time_zone = '+03:00'":
        assert error(c.result(sql)[-1]) == 0
    assert c.ask(0x1F)[0] == 0
    row = c.result("SELECT LAST_INSERT_ID(), @@last_insert_id, @a IS NULL, @@time_zone = @@GLOBAL.time_zone")[5]
    assert row == b"\x010\x010\x011\x011", row
    c.close()


@test
def large_packets():
    c = connect()
    for size in (0xFFFFFE - 1, 0xFFFFFF - 1, 0xFFFFFF, 20 << 20):
        text = b"x" * (size - len(b"SELECT LENGTH('')"))
        assert c.result(b"SELECT LENGTH('" + text + b"')")[2] == b"\x08%d" % len(text), size
    packet = c.result("SELECT REPEAT('a', 17000000)")[2]
    size, pos = lenenc(packet, 0)
    assert size == 17000000 and packet[pos:] == b"a" * size
    c.close()


@test
def too_large_packet():
    c = connect()
    size = int(c.result("SELECT @@max_allowed_packet")[2][1:])
    rounds, sent = size // 0xFFFFFF + 1, 0
    try:
        for i in range(rounds):
            c.socket.sendall(b"\xff\xff\xff" + bytes([i]) + b" " * 0xFFFFFF)
            sent += 1
        c.seq = sent
        number = error(c.read())
        assert number == 1153, number
    except (Closed, ConnectionError, AssertionError) as e:
        assert not isinstance(e, AssertionError) or "sequence" in str(e), e
    c.close()
    assert connect().ask(0x0E)[0] == 0


@test
def change_user_and_reset():
    c = connect()
    c.result("SET @a = 1")
    assert c.ask(0x1F)[0] == 0
    assert c.result("SELECT @a")[2] == b"\xfb"
    c.result("SET @a = 1")
    c.command(0x11, USER.encode() + b"\0\0\0\xff\0caching_sha2_password\0")
    assert c.finish_login(PASSWORD)[0] == 0
    assert c.result("SELECT @a")[2] == b"\xfb"
    c.command(0x11, b"no such user\0\0\0\xff\0caching_sha2_password\0")
    c.read()
    c.write(b"\0")
    assert error(c.read()) == 1045
    assert c.at_end()


@test
def change_user_of_limited_accounts():
    """The connections of an account count those that changed to it, and only those; who changes to the same one counts twice."""
    def change(c, user):
        c.command(0x11, user + b"\0\0\0\xff\0caching_sha2_password\0")
        return c.finish_login("")
    admin = connect()
    for user in (b"raw_one", b"raw_any"):
        admin.result(b"DROP USER IF EXISTS " + user)
        admin.result(b"CREATE USER " + user)
    try:
        for user, number, limit in ((b"raw_one", 1226, "ALTER USER raw_one WITH MAX_USER_CONNECTIONS 1"),
                                    (b"raw_any", 1203, "SET GLOBAL max_user_connections = 1")):
            held, late, later = connect(), connect(), connect()
            admin.result(limit)
            assert change(held, user)[0] == 0
            assert error(change(late, user)) == number
            assert late.at_end()
            assert held.ask(0x1F)[0] == 0
            assert error(change(held, user)) == number
            assert held.at_end()
            assert change(later, user)[0] == 0
            later.close()
    finally:
        admin.result("SET GLOBAL max_user_connections = 0")
        for user in (b"raw_one", b"raw_any"):
            admin.result(b"DROP USER " + user)
    admin.close()


@test
def query_attributes():
    c = connect(USUAL + ("QUERY_ATTRIBUTES",))
    assert c.ask(3, b"\0\x01SELECT 7") == b"\x01"
    for _ in range(3):
        c.read()
    assert c.ask(3, b"\x01\x01\0\x01\xfd\0\x01n\x03abcSELECT 7") == b"\x01"
    for _ in range(3):
        c.read()
    for bad in (b"", b"\0", b"\0\x02SELECT 7", b"\x01\x01\0\0SELECT 7", b"\xfd\x01"):
        assert error(c.ask(3, bad)) == 1835, bad
    c.close()


@test
def values_of_query_attributes():
    """MySQL needs component_query_attributes for this."""
    def attributes(values):
        nulls = sum(1 << i for i, (_, _, v) in enumerate(values) if v is None)
        return nulls.to_bytes((len(values) + 7) // 8, "little") + b"\x01" + b"".join(
            struct.pack("<H", t) + put_lenenc(len(n)) + n for n, t, _ in values) + b"".join(
            v for _, _, v in values if v is not None)

    c = connect(USUAL + ("QUERY_ATTRIBUTES",))
    ask = b"mysql_query_attribute_string('%s')"
    names = b", ".join(ask % n for n in (b"one", b"number", b"none", b"absent"))
    given = [(b"one", 253, b"\x03abc"), (b"number", 8, struct.pack("<q", -5)), (b"none", 253, None)]

    def row():
        packets = c.rest()
        return packets[-2]
    c.command(3, b"\x03\x01" + attributes(given) + b"SELECT " + names)
    assert row() == b"\x03abc\x02-5\xfb\xfb"
    c.command(3, b"\0\x01SELECT " + names)
    assert row() == b"\xfb\xfb\xfb\xfb"
    assert c.ask(0x16, b"SELECT ?, " + names)[0] == 0
    for _ in range(6):
        c.read()
    c.command(0x17, struct.pack("<IBI", 1, 8, 1) + b"\x04" + attributes([(b"", 253, b"\x01p")] + given))
    assert row()[1:] == b"\x60\x01p\x03abc\x02-5", row()
    assert c.ask(0x16, b"SELECT " + ask % b"none")[0] == 0
    c.read()
    c.command(0x17, struct.pack("<IBI", 2, 8, 1) + b"\x01" + attributes(given[2:]))
    assert row() == b"\0\x04"
    many = [(b"none", 253, None)] * 200
    c.command(0x17, struct.pack("<IBI", 2, 8, 1) + put_lenenc(len(many)) + attributes(many))
    assert row() == b"\0\x04"
    c.close()


@test
def session_tracking():
    c = connect(schema="information_schema")
    assert c.ask(0x02, b"information_schema") == \
        b"\0\0\0\x02\x40\0\0\0\x15\x01\x13" + put_lenenc(18) + b"information_schema"
    c.close()


@test
def hinted_variables():
    """SET_VAR is over with the statement: after errors and timeouts, in prepared statements, with a cursor, and in what is told of the mode."""
    c, by = connect(), connect()

    def value(sql):
        packets = c.result(sql)
        assert error(packets[-1]) == 0, packets
        return packets[-2][1:]
    assert error(c.result("SET sort_buffer_size = 40000")[-1]) == 0
    number = value("SELECT CONNECTION_ID()").decode()
    for sql, code in (("SELECT /*+ SET_VAR(sort_buffer_size=50000) */ nosuch", 1054), ("SELECT /*+ SET_VAR(sort_buffer_size=50000) */ POW(10, 1000)", 1690),
                      ("SELECT /*+ SET_VAR(sort_buffer_size=50000) SET_VAR(max_execution_time=50) */ SLEEP(9) UNION SELECT 1", 3024),
                      ("DO (SELECT /*+ SET_VAR(sort_buffer_size=50000) */ 1 FROM nosuch.nosuch)", 1049)):
        assert error(c.result(sql)[-1]) == code, sql
        assert value("SELECT @@sort_buffer_size") == b"40000", sql
    c.command(0x03, b"SELECT /*+ SET_VAR(sort_buffer_size=50000) */ SLEEP(9) UNION SELECT 1")
    time.sleep(0.2)
    assert error(by.result("KILL QUERY " + number)[-1]) == 0
    assert error(c.rest()[-1]) == 1317
    assert value("SELECT @@sort_buffer_size") == b"40000"
    # the mode that clients are told is the one that stays
    assert c.result("SELECT /*+ SET_VAR(sql_mode='NO_BACKSLASH_ESCAPES') */ 1")[-1][3:5] == b"\x02\0"
    # prepared: in force while it is prepared and while it runs; a plan is made under it
    assert error(c.ask(0x16, b"SELECT /*+ SET_VAR(sort_buffer_size=50000) */ nosuch")) == 1054
    assert value("SELECT @@sort_buffer_size") == b"40000"
    ok = c.ask(0x16, b"SELECT /*+ SET_VAR(sort_buffer_size=1) SET_VAR(port=1) SET_VAR(sql_select_limit=1) */ @@sort_buffer_size FROM (SELECT 1 UNION ALL SELECT 2) d")
    assert ok[0] == 0 and ok[-2:] == b"\2\0", ok
    c.read()
    run = struct.pack("<IBI", int.from_bytes(ok[1:5], "little"), 0, 1)
    for _ in range(2):
        c.command(0x17, run)
        packets = c.rest()
        assert len(packets) == 4 and packets[-2][2:] == struct.pack("<q", 32768) and packets[-1][5:7] == b"\1\0", packets
        assert value("SELECT @@sort_buffer_size") == b"40000"
    c.command(0x17, run[:4] + b"\1" + run[5:])
    while c.read()[0] != 0xFE:
        pass
    assert value("SELECT @@sort_buffer_size") == b"40000"
    c.command(0x1C, run[:4] + struct.pack("<I", 9))
    assert c.read()[2:] == struct.pack("<q", 32768)
    assert c.read()[0] == 0xFE
    for one in (c, by):
        one.close()


@test
def counted_commands():
    """What SHOW SESSION STATUS says has been done by each command."""
    c = connect()

    def counts():
        packets = c.result("SHOW SESSION STATUS WHERE Variable_name LIKE 'Com\\_%' OR Variable_name = 'Questions'")
        row = lambda p: (p[1:1 + p[0]].decode(), int(p[2 + p[0]:]))
        return dict(row(p) for p in packets[3:-1])

    def counted(*asked):
        before = counts()
        for code, body in asked:
            c.command(code, body)
            if code not in (0x18, 0x19):
                c.rest() if code == 0x17 else c.read()
        after = counts()
        after["Questions"] -= 1     # the SHOW
        after["Com_show_status"] -= 1
        return {k.replace("Com_", ""): n - before[k] for k, n in after.items() if n != before[k]}
    assert counted((0x0E, b"")) == {"admin_commands": 1}
    assert counted((0x09, b"")) == {"show_status": 1}
    assert counted((0x02, b"information_schema")) == {"change_db": 1, "Questions": 1}
    assert counted((0x1B, b"\0\0")) == {"set_option": 1, "Questions": 1}
    c.command(0x16, b"DO ?")
    number = struct.unpack("<I", c.read()[1:5])[0]
    c.read()
    run = struct.pack("<IBI", number, 0, 1) + b"\0\x01\x08\0" + struct.pack("<q", 5)
    done = counted((0x17, run), (0x17, run))
    assert (done["stmt_execute"], done["do"], done["Questions"]) == (2, 2, 2), done
    assert counted((0x18, struct.pack("<IH", number, 0) + b"x"), (0x1A, struct.pack("<I", number))) == \
        {"stmt_send_long_data": 1, "stmt_reset": 1, "Questions": 1}
    assert counted((0x19, struct.pack("<I", number))) == {"stmt_close": 1}
    assert counted((0x19, struct.pack("<I", number))) == {}
    assert c.ask(0x1F)[0] == 0
    assert {k: n for k, n in counts().items() if n} == {"Com_show_status": 1, "Questions": 1}
    c.close()


@test
def long_regexp():
    """A search that begins at each character of a long text: others are answered meanwhile, and it is ended."""
    c, others = connect(), [connect() for _ in range(8)]
    assert error(c.result("SET max_execution_time = 2000")[-1]) == 0
    c.command(0x03, b"SELECT REGEXP_SUBSTR(REPEAT('x', 70000), REPEAT('x', 70000), 12)")
    for other in others:
        assert b"\x011" in other.result("SELECT 1")
    assert select.select([c.socket], [], [], 0)[0] == [], "others waited"
    assert error(c.rest()[-1]) in (3024, 1317)
    for one in others + [c]:
        one.close()


def main():
    failed = 0
    for f in TESTS:
        try:
            f()
            print("PASS raw", f.__name__)
        except Exception as e:
            failed += 1
            line = e.__traceback__.tb_next.tb_lineno
            print("FAIL raw %s, line %d: %s %s" % (f.__name__, line, type(e).__name__, str(e)[:300]))
    return 1 if failed else 0


sys.exit(main())
