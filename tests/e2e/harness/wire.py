"""PostgreSQL's protocol, version 3, in plain Python over blocking sockets: both sides, byte by byte where a test wants it.

Builders return bytes, so that tests can cut, join and damage messages. `Client` is the scripted fake client; the server's
side stands in fakeserver.py. Every wait has a timeout, so a hang is a failed test.
"""
import base64
import hashlib
import hmac
import os
import socket
import struct
from typing import NamedTuple

PROTOCOL_3_0 = 3 << 16
PROTOCOL_3_2 = 3 << 16 | 2
SSL_REQUEST = 80877103
GSSENC_REQUEST = 80877104
CANCEL_REQUEST = 80877102
TIMEOUT = 40.0


class Message(NamedTuple):
    type: str
    body: bytes


class Closed(Exception):
    """The peer closed the connection."""


class ServerError(Exception):
    """An ErrorResponse where none was expected."""

    def __init__(self, fields):
        super().__init__(f"{fields.get('C')}: {fields.get('M')}")
        self.fields = fields

    @property
    def sqlstate(self):
        return self.fields.get("C")


# -- builders

def text(value):
    return (value if isinstance(value, bytes) else value.encode()) + b"\0"


def message(kind, body=b""):
    return kind.encode() + struct.pack("!I", len(body) + 4) + body


def untyped(body):
    return struct.pack("!I", len(body) + 4) + body


def startup(parameters, version=PROTOCOL_3_0):
    return untyped(struct.pack("!I", version) + b"".join(text(k) + text(v) for k, v in parameters.items()) + b"\0")


def ssl_request():
    return untyped(struct.pack("!I", SSL_REQUEST))


def gssenc_request():
    return untyped(struct.pack("!I", GSSENC_REQUEST))


def cancel_request(pid, key):
    return untyped(struct.pack("!II", CANCEL_REQUEST, pid) + key)


def query(sql):
    return message("Q", text(sql))


def parse(name, sql, types=()):
    return message("P", text(name) + text(sql) + struct.pack(f"!H{len(types)}I", len(types), *types))


def bind(portal="", statement="", parameters=(), formats=(), results=()):
    body = text(portal) + text(statement) + struct.pack(f"!H{len(formats)}H", len(formats), *formats)
    body += struct.pack("!H", len(parameters))
    for value in parameters:
        if value is None:
            body += struct.pack("!i", -1)
        else:
            value = value if isinstance(value, bytes) else str(value).encode()
            body += struct.pack("!I", len(value)) + value
    return message("B", body + struct.pack(f"!H{len(results)}H", len(results), *results))


def describe(kind, name=""):
    return message("D", kind.encode() + text(name))


def execute(portal="", rows=0):
    return message("E", text(portal) + struct.pack("!I", rows))


def close(kind, name=""):
    return message("C", kind.encode() + text(name))


def sync():
    return message("S")


def flush():
    return message("H")


def terminate():
    return message("X")


def password(value):
    return message("p", text(value))


def sasl_initial(mechanism, data):
    return message("p", text(mechanism) + struct.pack("!i", len(data)) + data)


def sasl_response(data):
    return message("p", data)


def copy_data(data):
    return message("d", data)


def copy_done():
    return message("c")


def copy_fail(why):
    return message("f", text(why))


def function_call(oid, arguments, formats=(), result_format=0):
    body = struct.pack(f"!IH{len(formats)}H", oid, len(formats), *formats) + struct.pack("!H", len(arguments))
    for value in arguments:
        body += struct.pack("!i", -1) if value is None else struct.pack("!I", len(value)) + value
    return message("F", body + struct.pack("!H", result_format))


# -- parsers

def error_fields(body):
    """The fields of ErrorResponse or NoticeResponse by their letter."""
    return {part[:1].decode(): part[1:].decode(errors="replace") for part in body.split(b"\0") if part}


def row_values(body):
    """The columns of DataRow, each bytes or None."""
    number, at, values = struct.unpack_from("!H", body)[0], 2, []
    for _ in range(number):
        length = struct.unpack_from("!i", body, at)[0]
        at += 4
        values.append(None if length < 0 else body[at:at + length])
        at += max(length, 0)
    return values


def strings(body):
    return [part.decode(errors="replace") for part in body.split(b"\0")[:-1]]


class Result:
    """What came back up to ReadyForQuery."""

    def __init__(self, messages):
        self.messages = messages

    @property
    def types(self):
        return "".join(m.type for m in self.messages)

    @property
    def rows(self):
        return [tuple(v if v is None else v.decode() for v in row_values(m.body)) for m in self.messages if m.type == "D"]

    @property
    def tags(self):
        return [m.body[:-1].decode() for m in self.messages if m.type == "C"]

    @property
    def errors(self):
        return [error_fields(m.body) for m in self.messages if m.type == "E"]

    @property
    def sqlstates(self):
        return [fields.get("C") for fields in self.errors]

    @property
    def status(self):
        """The transaction state of the last ReadyForQuery: I, T or E."""
        return [m.body.decode() for m in self.messages if m.type == "Z"][-1]

    def value(self):
        if self.errors:
            raise ServerError(self.errors[0])
        assert len(self.rows) == 1 and len(self.rows[0]) == 1, self.rows
        return self.rows[0][0]


class Wire:
    """One socket that speaks messages."""

    def __init__(self, sock, timeout=TIMEOUT):
        self.socket = sock
        self.socket.settimeout(timeout)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.buffer = bytearray()

    def send(self, *parts):
        self.socket.sendall(b"".join(parts))

    def send_slowly(self, data, size=1):
        """In pieces of `size` bytes, each its own segment."""
        for at in range(0, len(data), size):
            self.socket.sendall(data[at:at + size])

    def fill(self, number):
        while len(self.buffer) < number:
            try:
                got = self.socket.recv(max(65536, number - len(self.buffer)))
            except ConnectionResetError as problem:
                raise Closed("reset") from problem
            if not got:
                raise Closed(f"end of stream, {len(self.buffer)} bytes unread: {bytes(self.buffer[:200])!r}")
            self.buffer += got

    def take(self, number):
        self.fill(number)
        taken = bytes(self.buffer[:number])
        del self.buffer[:number]
        return taken

    def recv(self):
        head = self.take(5)
        return Message(chr(head[0]), self.take(struct.unpack("!I", head[1:])[0] - 4))

    def recv_until(self, kind):
        """All messages up to the first of one of the kinds (a string of type letters)."""
        seen = []
        while not seen or seen[-1].type not in kind:
            seen.append(self.recv())
        return seen

    def expect(self, kind):
        got = self.recv()
        if got.type != kind and got.type == "E":
            raise ServerError(error_fields(got.body))
        assert got.type == kind, f"wanted {kind}, got {got}"
        return got

    def expect_closed(self):
        """Everything that still comes before the end of the stream."""
        seen = []
        try:
            while True:
                seen.append(self.recv())
        except Closed:
            return seen

    def waiting(self, seconds=0.0):
        """True when bytes are here or come within that time."""
        if self.buffer:
            return True
        self.socket.settimeout(seconds or 0.000001)
        try:
            return bool(self.socket.recv(1, socket.MSG_PEEK))
        except (TimeoutError, BlockingIOError):
            return False
        finally:
            self.socket.settimeout(TIMEOUT)

    def reset(self):
        """Closes with RST."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()

    def close(self):
        self.socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def md5_password(user, secret, salt):
    inner = hashlib.md5(secret.encode() + user.encode()).hexdigest()
    return "md5" + hashlib.md5(inner.encode() + salt).hexdigest()


class Scram:
    """The client's side of SCRAM-SHA-256 (RFC 5802, 7677). binding: the hash of the server's certificate, for PLUS."""

    def __init__(self, secret, nonce=None, binding=None):
        self.secret = secret
        self.gs2 = b"n,," if binding is None else b"p=tls-server-end-point,,"
        self.mechanism = "SCRAM-SHA-256" if binding is None else "SCRAM-SHA-256-PLUS"
        self.channel = base64.b64encode(self.gs2 + (binding or b"")).decode()
        self.nonce = nonce or base64.b64encode(os.urandom(18)).decode()
        self.first_bare = f"n=,r={self.nonce}"

    def first(self):
        return self.gs2 + self.first_bare.encode()

    def final(self, server_first):
        server_first = server_first.decode()
        fields = dict(part.split("=", 1) for part in server_first.split(","))
        assert fields["r"].startswith(self.nonce) and len(fields["r"]) > len(self.nonce)
        salted = hashlib.pbkdf2_hmac("sha256", self.secret.encode(), base64.b64decode(fields["s"]), int(fields["i"]))
        client_key = hmac.digest(salted, b"Client Key", "sha256")
        stored = hashlib.sha256(client_key).digest()
        without_proof = f"c={self.channel},r={fields['r']}"
        signed = ",".join([self.first_bare, server_first, without_proof]).encode()
        proof = bytes(a ^ b for a, b in zip(client_key, hmac.digest(stored, signed, "sha256")))
        server_key = hmac.digest(salted, b"Server Key", "sha256")
        self.signature = base64.b64encode(hmac.digest(server_key, signed, "sha256")).decode()
        return f"{without_proof},p={base64.b64encode(proof).decode()}".encode()

    def check(self, server_final):
        assert server_final.decode() == f"v={self.signature}", "the server does not know the password"


class Client(Wire):
    """A scripted client. login() does what libpq does; everything else is sent as the test says."""

    def __init__(self, port, timeout=TIMEOUT, source=""):
        """source: the local address, for more clients than one address has ports."""
        super().__init__(socket.create_connection(("127.0.0.1", port), timeout=timeout, source_address=(source, 0)), timeout)
        self.begin()

    def begin(self):
        self.parameters, self.pid, self.key, self.asked, self.negotiated, self.notices = {}, None, None, None, [], []
        self.received = ""  # types of the messages of the login
        self.binding = None

    @classmethod
    def over(cls, sock):
        """A client on a socket that is there already, such as one with TLS."""
        client = cls.__new__(cls)
        Wire.__init__(client, sock)
        client.begin()
        return client

    def login(self, user="app", password_text=None, database="app", version=PROTOCOL_3_0, slowly=0, **parameters):
        """Up to the first ReadyForQuery; raises ServerError. slowly=n sends n bytes at a time."""
        put = (lambda data: self.send_slowly(data, slowly)) if slowly else self.send
        self.password_text = f"{user}-secret" if password_text is None else password_text
        put(startup({"user": user, "database": database, **parameters}, version))
        self.authenticate(user, put)
        return self

    def authenticate(self, user, put):
        scram = None
        while True:
            got = self.recv()
            self.received += got.type
            if got.type == "E":
                raise ServerError(error_fields(got.body))
            if got.type == "v":
                self.negotiated.append(got.body)
            elif got.type == "S":
                name, value = strings(got.body)
                self.parameters[name] = value
            elif got.type == "K":
                self.pid, self.key = struct.unpack_from("!I", got.body)[0], got.body[4:]
            elif got.type == "N":
                self.notices.append(error_fields(got.body))
            elif got.type == "Z":
                return
            elif got.type == "R":
                code = struct.unpack_from("!I", got.body)[0]
                self.asked = code if code not in (0, 11, 12) else self.asked
                if code == 3:
                    put(password(self.password_text))
                elif code == 5:
                    put(password(md5_password(user, self.password_text, got.body[4:8])))
                elif code == 10:
                    scram = Scram(self.password_text, binding=self.binding)
                    assert scram.mechanism in strings(got.body[4:])
                    put(sasl_initial(scram.mechanism, scram.first()))
                elif code == 11:
                    put(sasl_response(scram.final(got.body[4:])))
                elif code == 12:
                    scram.check(got.body[4:])
                else:
                    assert code == 0, f"authentication request {code}"
            else:
                raise AssertionError(f"in the login: {got}")

    def ready(self):
        """The messages up to ReadyForQuery; ParameterStatus is noted."""
        seen = self.recv_until("Z")
        for got in seen:
            if got.type == "S":
                name, value = strings(got.body)
                self.parameters[name] = value
        return Result(seen)

    def query(self, sql):
        self.send(query(sql))
        return self.ready()

    def extended(self, sql, parameters=(), name="", rows=0):
        self.send(parse(name, sql), bind("", name, parameters), describe("P"), execute("", rows), sync())
        return self.ready()

    def terminate(self):
        self.send(terminate())
        self.close()


def cancel(port, pid, key):
    """Sends a cancel request and waits until the server closes, as libpq does."""
    with Wire(socket.create_connection(("127.0.0.1", port), timeout=TIMEOUT)) as wire:
        wire.send(cancel_request(pid, key))
        try:
            wire.fill(1)
        except Closed:
            return b""
        return bytes(wire.buffer)
