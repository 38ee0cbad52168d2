"""A PostgreSQL server that follows a script: for what real servers never send.

    def script(conn):              # runs in a thread for each connection, after the login
        for got in conn.messages():
            conn.send(...)

    with FakeServer(script, auth="scram-sha-256") as fake: ...

A script that raises fails the test at the end of the block, unless the peer just went away. `login=` replaces the login too.
"""
import base64
import hashlib
import hmac
import os
import socket
import struct
import threading

from . import wire
from .wire import Closed, Wire, message, text

PARAMETERS = {
    "server_version": "15.8", "server_encoding": "UTF8", "client_encoding": "UTF8", "application_name": "", "is_superuser": "off",
    "session_authorization": "app", "DateStyle": "ISO, MDY", "IntervalStyle": "postgres", "TimeZone": "UTC",
    "integer_datetimes": "on", "standard_conforming_strings": "on", "default_transaction_read_only": "off", "in_hot_standby": "off",
}


def authentication(code, data=b""):
    return message("R", struct.pack("!I", code) + data)


def parameter_status(name, value):
    return message("S", text(name) + text(value))


def backend_key(pid, key):
    return message("K", struct.pack("!I", pid) + key)


def ready(status="I"):
    return message("Z", status.encode())


def error(sqlstate, words, severity="ERROR"):
    return message("E", b"S" + text(severity) + b"V" + text(severity) + b"C" + text(sqlstate) + b"M" + text(words) + b"\0")


def notice(words):
    return message("N", b"SNOTICE\0VNOTICE\0C00000\0M" + text(words) + b"\0")


def row_description(*names):
    return message("T", struct.pack("!H", len(names)) + b"".join(
        text(name) + struct.pack("!IHIHiH", 0, 0, 25, 65535, -1, 0) for name in names))


def data_row(*values):
    body = struct.pack("!H", len(values))
    for value in values:
        value = None if value is None else value if isinstance(value, bytes) else str(value).encode()
        body += struct.pack("!i", -1) if value is None else struct.pack("!I", len(value)) + value
    return message("D", body)


def complete(tag):
    return message("C", text(tag))


def one_row(value, tag="SELECT 1", status="I"):
    """A whole answer to a simple query."""
    return row_description("x") + data_row(value) + complete(tag) + ready(status)


class ServerConnection(Wire):
    """The server's side of one connection."""

    def __init__(self, sock, server, number):
        super().__init__(sock)
        self.server, self.number, self.startup_parameters, self.version = server, number, {}, None
        self.pid, self.key = 1000 + number, os.urandom(4)

    def read_startup(self):
        """Answers GSS requests with N, SSL requests with TLS if there is a context; False for a cancel request, which the server keeps."""
        while True:
            body = self.take(struct.unpack("!I", self.take(4))[0] - 4)
            code = struct.unpack_from("!I", body)[0]
            if code == wire.SSL_REQUEST and self.server.tls is not None:
                self.send(b"S")
                self.socket = self.server.tls.wrap_socket(self.socket, server_side=True)
            elif code in (wire.SSL_REQUEST, wire.GSSENC_REQUEST):
                self.send(b"N")
            elif code == wire.CANCEL_REQUEST:
                self.server.cancels.append((struct.unpack_from("!I", body, 4)[0], body[8:]))
                self.server.cancels_tls.append(hasattr(self.socket, "version"))
                return False
            else:
                self.version = code
                words = wire.strings(body[4:-1])
                self.startup_parameters = dict(zip(words[::2], words[1::2]))
                return True

    def authenticate(self, auth, secret):
        user = self.startup_parameters.get("user", "")
        if auth == "password":
            self.send(authentication(3))
            assert self.expect("p").body == text(secret), "wrong password from pgroute"
        elif auth == "md5":
            salt = os.urandom(4)
            self.send(authentication(5, salt))
            assert self.expect("p").body == text(wire.md5_password(user, secret, salt)), "wrong md5 from pgroute"
        elif auth == "scram-sha-256":
            self.authenticate_scram(secret)
        self.send(authentication(0))

    def authenticate_scram(self, secret, iterations=4096, salt=b"0123456789abcdef"):
        """binding of the server: the hash of its certificate; with it PLUS is offered, and must be chosen."""
        binding = self.server.binding
        offered = ["SCRAM-SHA-256"] if binding is None else ["SCRAM-SHA-256-PLUS", "SCRAM-SHA-256"]
        self.send(authentication(10, b"".join(text(name) for name in offered) + b"\0"))
        body = self.expect("p").body
        assert wire.strings(body[:body.index(b"\0") + 1]) == offered[:1], f"pgroute chose {body}"
        first = body[body.index(b"\0") + 5:].decode()
        gs2, bare = first[:-len(first.split(",", 2)[2])], first.split(",", 2)[2]
        self.server.flags.append(gs2)
        nonce = dict(p.split("=", 1) for p in bare.split(","))["r"] + base64.b64encode(os.urandom(18)).decode()
        server_first = f"r={nonce},s={base64.b64encode(salt).decode()},i={iterations}"
        self.send(authentication(11, server_first.encode()))
        final = self.expect("p").body.decode()
        without_proof, proof = final.rsplit(",p=", 1)
        channel = base64.b64decode(without_proof.split(",")[0][2:])
        assert channel == gs2.encode() + (binding or b""), "wrong channel binding from pgroute"
        signed = ",".join([bare, server_first, without_proof]).encode()
        salted = hashlib.pbkdf2_hmac("sha256", secret.encode(), salt, iterations)
        client_key = hmac.digest(salted, b"Client Key", "sha256")
        signature = hmac.digest(hashlib.sha256(client_key).digest(), signed, "sha256")
        assert base64.b64decode(proof) == bytes(a ^ b for a, b in zip(client_key, signature)), "wrong proof from pgroute"
        server_key = hmac.digest(salted, b"Server Key", "sha256")
        self.send(authentication(12, b"v=" + base64.b64encode(hmac.digest(server_key, signed, "sha256"))))

    def greet(self, **parameters):
        """What follows AuthenticationOk."""
        values = {**PARAMETERS, "application_name": self.startup_parameters.get("application_name", ""), **parameters}
        self.send(*[parameter_status(name, value) for name, value in values.items()], backend_key(self.pid, self.key), ready())

    def messages(self):
        """Messages until Terminate or the end of the stream."""
        while True:
            try:
                got = self.recv()
            except Closed:
                return
            if got.type == "X":
                return
            yield got


def echo(conn):
    """Answers each simple query with its own text; enough of the extended protocol for DISCARD ALL and SET."""
    for got in conn.messages():
        if got.type == "Q":
            sql = wire.strings(got.body)[0]
            words = sql.strip(" ;").upper().split()
            if words[:1] in (["SET"], ["DISCARD"], ["RESET"]):
                conn.send(complete(" ".join(words[:2]) if words[0] == "DISCARD" else words[0]), ready())
            else:
                conn.send(one_row(sql))


class FakeServer:
    def __init__(self, script=echo, auth="trust", secret="app-secret", login=None, host="127.0.0.1", port=0, tls=None,
                 binding=None):
        self.tls, self.binding, self.cancels_tls, self.flags = tls, binding, [], []
        self.script, self.auth, self.secret, self.login, self.host = script, auth, secret, login, host
        self.listener = socket.create_server((host, port), backlog=200)
        self.port = self.listener.getsockname()[1]
        self.cancels, self.errors, self.connections, self.threads = [], [], [], []
        self.logins = 0
        self.stopping = False

    def start(self):
        self.acceptor = threading.Thread(target=self.accept, daemon=True)
        self.acceptor.start()
        return self

    def accept(self):
        while True:
            try:
                sock, _ = self.listener.accept()
            except OSError:
                return
            if self.stopping:
                sock.close()
                return
            conn = ServerConnection(sock, self, len(self.connections) + 1)
            self.connections.append(conn)
            thread = threading.Thread(target=self.serve, args=(conn,), daemon=True)
            self.threads.append(thread)
            thread.start()

    def serve(self, conn):
        try:
            if not conn.read_startup():
                return
            if self.login is not None:
                self.login(conn)
            else:
                conn.authenticate(self.auth, self.secret)
                conn.greet()
            self.logins += 1
            self.script(conn)
        except (Closed, BrokenPipeError, ConnectionResetError, ValueError):
            pass
        except OSError as problem:
            if not self.stopping:
                self.errors.append(problem)
        except BaseException as problem:  # raised in the test's thread by stop()
            self.errors.append(problem)
        finally:
            conn.close()

    def stop(self):
        self.stopping = True
        try:
            socket.create_connection((self.host, self.port), timeout=1).close()
        except OSError:
            pass
        self.listener.close()
        for conn in self.connections:
            try:
                conn.socket.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
        for thread in self.threads:
            thread.join(20)
        if self.errors:
            raise self.errors[0]

    def __enter__(self):
        return self.start()

    def __exit__(self, kind, value, trace):
        try:
            self.stop()
        except BaseException:
            if kind is None:
                raise
