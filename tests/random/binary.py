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
BINARY_CHARSET = 63


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
        return decimal.Decimal(data.decode())
    if field.charsetnr == BINARY_CHARSET and field.type_code != FIELD_TYPE.JSON:
        return data
    return data.decode("utf8", "surrogateescape")


def parameter(literal):
    """Type and bytes of a literal's value."""
    if literal.startswith("'"):
        text = literal[1:-1].encode()
        return FIELD_TYPE.VAR_STRING, bytes([len(text)]) + text
    if "." in literal:
        return FIELD_TYPE.NEWDECIMAL, bytes([len(literal)]) + literal.encode()
    return FIELD_TYPE.LONGLONG, struct.pack("<q", int(literal))


def skip(connection, count):
    """Definitions, and the packet that ends them."""
    for _ in range(count + 1 if count else 0):
        connection._read_packet()


def run(connection, text, literals):
    """Rows, or the number of affected ones; errors as PyMySQL raises them."""
    connection._execute_command(PREPARE, text)
    head = connection._read_packet().get_all_data()
    number, columns, parameters = struct.unpack("<IHH", head[1:9])
    skip(connection, parameters)
    skip(connection, columns)
    try:
        body = struct.pack("<IBI", number, 0, 1)
        if literals:
            values = [parameter(p) for p in literals]
            body += bytes((len(values) + 7) // 8) + b"\1" + b"".join(struct.pack("<BB", t, 0) for t, _ in values) + b"".join(v for _, v in values)
        connection._execute_command(EXECUTE, body)
        first = connection._read_packet()
        if first.is_ok_packet():
            first.advance(1)
            return first.read_length_encoded_integer()
        fields = [connection._read_packet(FieldDescriptorPacket) for _ in range(first.read_length_encoded_integer())]
        connection._read_packet()
        rows = []
        while True:
            packet = connection._read_packet()
            if packet.is_eof_packet():
                return rows
            packet.advance(1)
            nulls = packet.read((len(fields) + 9) // 8)
            rows.append(tuple(None if nulls[(i + 2) // 8] >> (i + 2) % 8 & 1 else value(packet, f) for i, f in enumerate(fields)))
    finally:
        if connection.open:     # a time-out has closed it, and is what is told
            connection._execute_command(CLOSE, struct.pack("<I", number))
