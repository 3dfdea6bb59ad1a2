"""A raw client of the MySQL protocol: packets in, packets out, nothing interpreted that a test does not ask for."""
import hashlib
import socket
import ssl
import struct

CAPS = dict(LONG_PASSWORD=0, FOUND_ROWS=1, LONG_FLAG=2, CONNECT_WITH_DB=3, PROTOCOL_41=9, SSL=11, TRANSACTIONS=13,
            SECURE=15, MULTI_STATEMENTS=16, MULTI_RESULTS=17, PS_MULTI_RESULTS=18, PLUGIN_AUTH=19, SESSION_TRACK=23,
            DEPRECATE_EOF=24, OPTIONAL_METADATA=25, QUERY_ATTRIBUTES=27)
USUAL = ("LONG_PASSWORD", "LONG_FLAG", "PROTOCOL_41", "TRANSACTIONS", "SECURE", "MULTI_RESULTS", "PS_MULTI_RESULTS",
         "PLUGIN_AUTH", "SESSION_TRACK", "DEPRECATE_EOF")
PAYLOAD_MAX = 0xFFFFFF

# Statements that hold a password and are not of accounts. Nothing is left of them.
OTHERS_PASSWORDS = (
    "CHANGE REPLICATION SOURCE TO SOURCE_PASSWORD = 'hidden word', SOURCE_AUTO_POSITION = 1, SOURCE_LOG_POS = 4",
    "START REPLICA USER = 'u' PASSWORD = 'hidden word' FOR CHANNEL 'no such'",
    "START GROUP_REPLICATION USER = 'u', PASSWORD = 'hidden word'",
    "CREATE SERVER protocol_s FOREIGN DATA WRAPPER mysql OPTIONS (HOST 'h', PASSWORD 'hidden word')",
    "ALTER SERVER protocol_s OPTIONS (PASSWORD 'hidden word')",
    "DROP SERVER IF EXISTS protocol_s",
    "CLONE INSTANCE FROM u@h:1 IDENTIFIED BY 'hidden word'",
)


class Closed(Exception):
    pass


def digest_sha2(password, nonce):
    one = hashlib.sha256(password).digest()
    two = hashlib.sha256(hashlib.sha256(one).digest() + nonce).digest()
    return bytes(a ^ b for a, b in zip(one, two))


def lenenc(data, pos):
    first = data[pos]
    if first < 251:
        return first, pos + 1
    size = {252: 2, 253: 3, 254: 8}[first]
    return int.from_bytes(data[pos + 1:pos + 1 + size], "little"), pos + 1 + size


def put_lenenc(n):
    for limit, head, size in ((251, b"", 1), (1 << 16, b"\xfc", 2), (1 << 24, b"\xfd", 3), (1 << 64, b"\xfe", 8)):
        if n < limit:
            return head + n.to_bytes(size, "little")
    raise ValueError(n)


class Raw:
    def __init__(self, host, port, timeout=20):
        self.socket = socket.create_connection((host, port), timeout)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.seq = 0
        self.caps = 0
        self.greeting = self.read()
        end = self.greeting.index(0, 1)
        self.version = self.greeting[1:end].decode()
        self.nonce = self.greeting[end + 5:end + 13] + self.greeting[end + 32:end + 44]

    def close(self):
        self.socket.close()

    def _exactly(self, n):
        parts = []
        while n:
            part = self.socket.recv(min(n, 1 << 20))
            if not part:
                raise Closed()
            parts.append(part)
            n -= len(part)
        return b"".join(parts)

    def read(self):
        out = b""
        while True:
            head = self._exactly(4)
            size = int.from_bytes(head[:3], "little")
            assert head[3] == self.seq & 255, "sequence number %d, expected %d" % (head[3], self.seq & 255)
            self.seq += 1
            out += self._exactly(size)
            if size < PAYLOAD_MAX:
                return out

    def write(self, payload):
        while True:
            part, payload = payload[:PAYLOAD_MAX], payload[PAYLOAD_MAX:]
            self.socket.sendall(len(part).to_bytes(3, "little") + bytes([self.seq & 255]) + part)
            self.seq += 1
            if len(part) < PAYLOAD_MAX:
                return

    def at_end(self):
        try:
            return self.socket.recv(1) == b""
        except ConnectionResetError:
            return True

    def login(self, user, password="", schema=None, plugin="caching_sha2_password", caps=USUAL, tls=False):
        """Returns the last packet: OK or an error."""
        for name in caps:
            self.caps |= 1 << CAPS[name]
        if schema:
            self.caps |= 1 << CAPS["CONNECT_WITH_DB"]
        if tls:
            self.caps |= 1 << CAPS["SSL"]
        head = struct.pack("<IIB23x", self.caps, 1 << 24, 255)
        if tls:
            self.write(head)
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
            self.socket = context.wrap_socket(self.socket)
        answer = digest_sha2(password.encode(), self.nonce) if password else b""
        self.write(head + user.encode() + b"\0" + bytes([len(answer)]) + answer +
                   (schema.encode() + b"\0" if schema else b"") + plugin.encode() + b"\0")
        return self.finish_login(password)

    def finish_login(self, password):
        while True:
            packet = self.read()
            if packet[0] == 0xFE:
                plugin, _, rest = packet[1:].partition(b"\0")
                self.nonce = rest[:20]
                assert plugin == b"caching_sha2_password", plugin
                self.write(digest_sha2(password.encode(), self.nonce) if password else b"")
            elif packet[:2] == b"\x01\x04":
                self.write(password.encode() + b"\0")
            elif packet[:2] != b"\x01\x03":
                return packet

    def command(self, code, body=b""):
        self.seq = 0
        self.write(bytes([code]) + body)

    def ask(self, code, body=b""):
        self.command(code, body)
        return self.read()

    def result(self, sql):
        """Packets of one result: up to OK, the closing EOF or an error."""
        self.command(3, sql.encode() if isinstance(sql, str) else sql)
        return self.rest()

    def rest(self):
        packets = [self.read()]
        if packets[0][0] in (0, 0xFF):
            return packets
        ends = 1 if self.caps >> CAPS["DEPRECATE_EOF"] & 1 else 2
        while ends:
            packets.append(self.read())
            if packets[-1][0] == 0xFF:
                break
            ends -= packets[-1][0] == 0xFE and len(packets[-1]) < PAYLOAD_MAX
        return packets


def error(packet):
    return int.from_bytes(packet[1:3], "little") if packet[:1] == b"\xff" else 0
