"""Statements of the binary protocol over a connection of PyMySQL, which speaks the text protocol only.

Values come back as those of the text protocol do: dates and times as text, DECIMAL as Decimal, the rest as Python's."""
import decimal
import struct

from pymysql.constants import FIELD_TYPE
from pymysql.protocol import FieldDescriptorPacket

PREPARE, EXECUTE, CLOSE = 0x16, 0x17, 0x19
FIXED = {FIELD_TYPE.TINY: "bB", FIELD_TYPE.SHORT: "hH", FIELD_TYPE.YEAR: "hH", FIELD_TYPE.LONG: "iI", FIELD_TYPE.INT24: "iI",
         FIELD_TYPE.LONGLONG: "qQ", FIELD_TYPE.FLOAT: "ff", FIELD_TYPE.DOUBLE: "dd"}
UNSIGNED = 32
UNSIGNED_TYPE = 128        # of a parameter
BINARY_CHARSET = 63


def number_of(text):
    """What is sent as a DECIMAL; as it is, where that is no number."""
    try:
        return decimal.Decimal(text)
    except decimal.InvalidOperation:
        return text


def fraction(micros, decimals):
    return ".%06d" % micros if micros or decimals else ""


def date_time(data, field):
    parts = struct.unpack("<HBBBBBI", data.ljust(11, b"\0"))
    out = "%04d-%02d-%02d" % parts[:3]
    return out if field.type_code == FIELD_TYPE.DATE else out + " %02d:%02d:%02d" % parts[3:6] + fraction(parts[6], field.scale)


def time_of(data, field):
    negative, days, hours, minutes, seconds, micros = struct.unpack("<BIBBBI", data.ljust(12, b"\0"))
    return "%s%02d:%02d:%02d" % ("-" if negative else "", days * 24 + hours, minutes, seconds) + fraction(micros, field.scale)


def value(packet, field):
    if field.type_code in FIXED:
        code = FIXED[field.type_code][bool(field.flags & UNSIGNED)]
        return struct.unpack("<" + code, packet.read(struct.calcsize(code)))[0]
    if field.type_code in (FIELD_TYPE.DATE, FIELD_TYPE.DATETIME, FIELD_TYPE.TIMESTAMP):
        return date_time(packet.read(packet.read_uint8()), field)
    if field.type_code == FIELD_TYPE.TIME:
        return time_of(packet.read(packet.read_uint8()), field)
    data = packet.read_length_coded_string()
    if field.type_code in (FIELD_TYPE.DECIMAL, FIELD_TYPE.NEWDECIMAL):
        return number_of(data.decode("utf8", "surrogateescape"))
    if field.charsetnr == BINARY_CHARSET and field.type_code != FIELD_TYPE.JSON:
        return data
    return data.decode("utf8", "surrogateescape")


def lengthed(data):
    """With its length, as short values have it."""
    if len(data) > 250:
        raise ValueError("a parameter of %d bytes" % len(data))
    return bytes([len(data)]) + data


def parameter(literal):
    """Type, whether it is unsigned, and bytes of a literal's value."""
    if literal.startswith("'"):
        return FIELD_TYPE.VAR_STRING, 0, lengthed(literal[1:-1].encode())
    if literal.startswith("x'"):
        return FIELD_TYPE.BLOB, 0, lengthed(bytes.fromhex(literal[2:-1]))
    if literal == "NULL":
        return FIELD_TYPE.NULL, 0, b""
    if "e" in literal:
        return FIELD_TYPE.DOUBLE, 0, struct.pack("<d", float(literal))
    if "." in literal:
        return FIELD_TYPE.NEWDECIMAL, 0, lengthed(literal.encode())
    number = int(literal)
    return FIELD_TYPE.LONGLONG, UNSIGNED_TYPE * (number >= 1 << 63), struct.pack("<Q", number % (1 << 64))


def skip(connection, count):
    """Definitions, and the packet that ends them."""
    for _ in range(count + 1 if count else 0):
        connection._read_packet()


def prepare(connection, text):
    """The number of the statement; errors as PyMySQL raises them."""
    connection._execute_command(PREPARE, text)
    head = connection._read_packet().get_all_data()
    number, columns, parameters = struct.unpack("<IHH", head[1:9])
    skip(connection, parameters)
    skip(connection, columns)
    return number


def close(connection, number):
    if connection.open:     # a time-out has closed it, and is what is told
        connection._execute_command(CLOSE, struct.pack("<I", number))


def execute(connection, number, literals, rows=None):
    """rows, to which those of the answer are appended as they come, or the number of affected ones; errors as PyMySQL raises them."""
    body = struct.pack("<IBI", number, 0, 1)
    if literals:
        values = [parameter(p) for p in literals]
        nulls = sum((p == "NULL") << i for i, p in enumerate(literals)).to_bytes((len(literals) + 7) // 8, "little")
        body += nulls + b"\1" + b"".join(struct.pack("<BB", t, u) for t, u, _ in values) + b"".join(v for _, _, v in values)
    connection._execute_command(EXECUTE, body)
    first = connection._read_packet()
    if first.is_ok_packet():
        first.advance(1)
        return first.read_length_encoded_integer()
    fields = [connection._read_packet(FieldDescriptorPacket) for _ in range(first.read_length_encoded_integer())]
    connection._read_packet()
    rows = [] if rows is None else rows
    while True:
        packet = connection._read_packet()
        if packet.is_eof_packet():
            return rows
        packet.advance(1)
        nulls = packet.read((len(fields) + 9) // 8)
        rows.append(tuple(None if nulls[(i + 2) // 8] >> (i + 2) % 8 & 1 else value(packet, f) for i, f in enumerate(fields)))


def run(connection, text, literals, rows=None):
    """Of a statement that is executed once."""
    number = prepare(connection, text)
    try:
        return execute(connection, number, literals, rows)
    finally:
        close(connection, number)
