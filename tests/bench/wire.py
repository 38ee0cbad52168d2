"""A PostgreSQL client of a few lines: login, simple query, one value back.

Used where pgbench does not fit: ten thousand idle clients in one process, probing whether a server
is up, holding transactions open so that a pool fills. Blocking, protocol 3.0, trust, clear text and
SCRAM-SHA-256 (RFC 5802). Failures are OSError (ConnectionError, TimeoutError) or WireError, which
is an OSError too, so that callers may retry on one class."""

import base64
import hashlib
import hmac
import os
import socket
import struct

IP_BIND_ADDRESS_NO_PORT = 24
_salted = {}


class WireError(OSError):
	"""The server answered with an error, or not in the protocol."""


def _salt(password, salt, rounds):
	key = (password, salt, rounds)
	if key not in _salted:
		_salted[key] = hashlib.pbkdf2_hmac("sha256", password.encode(), salt, rounds)
	return _salted[key]


def _mac(key, text):
	return hmac.digest(key, text, "sha256")


class Client:
	"""One connection to 127.0.0.1; `source` is the local address, for more clients than one address
	has ports."""

	def __init__(self, login, port, source=None, timeout=20.0):
		self._socket = socket.socket()
		self._buffer = b""
		try:
			self._socket.settimeout(timeout)
			if source:
				self._socket.setsockopt(socket.IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1)
				self._socket.bind((source, 0))
			self._socket.connect(("127.0.0.1", port))
			self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
			self._login(login)
		except BaseException:
			self._socket.close()
			raise

	def query(self, sql):
		"""Runs a statement; returns the first column of the last row as text, or None."""
		self._send(b"Q", sql.encode() + b"\0")
		value = None
		for kind, body in self._until_ready():
			if kind == b"D" and body[:2] != b"\0\0":
				size = struct.unpack_from("!i", body, 2)[0]
				value = None if size < 0 else body[6 : 6 + size].decode()
		return value

	def close(self):
		try:
			self._send(b"X", b"")
		except OSError:
			pass
		self._socket.close()

	def __enter__(self):
		return self

	def __exit__(self, *_exception):
		self.close()

	def _login(self, login):
		pairs = ("user", login.user, "database", login.database, "")
		body = struct.pack("!i", 196608) + b"".join(text.encode() + b"\0" for text in pairs)
		self._socket.sendall(struct.pack("!i", len(body) + 4) + body)
		for kind, body in self._until_ready():
			if kind == b"R":
				self._on_authentication(login, struct.unpack_from("!i", body)[0], body[4:])

	def _on_authentication(self, login, method, data):
		if method == 3:
			self._send(b"p", login.password.encode() + b"\0")
		elif method == 10:
			self._nonce = base64.b64encode(os.urandom(18)).decode()
			first = f"n,,n=,r={self._nonce}".encode()
			self._send(b"p", b"SCRAM-SHA-256\0" + struct.pack("!i", len(first)) + first)
		elif method == 11:
			self._send(b"p", self._scram_proof(login.password, data.decode()))
		elif method not in (0, 12):
			raise WireError(f"asks for authentication method {method}")

	def _scram_proof(self, password, challenge):
		told = dict(part.split("=", 1) for part in challenge.split(","))
		salted = _salt(password, base64.b64decode(told["s"]), int(told["i"]))
		client_key = _mac(salted, b"Client Key")
		last = f"c=biws,r={told['r']}"
		signed = f"n=,r={self._nonce},{challenge},{last}".encode()
		signature = _mac(hashlib.sha256(client_key).digest(), signed)
		proof = bytes(a ^ b for a, b in zip(client_key, signature))
		return f"{last},p={base64.b64encode(proof).decode()}".encode()

	def _send(self, kind, body):
		self._socket.sendall(kind + struct.pack("!i", len(body) + 4) + body)

	def _until_ready(self):
		"""Yields messages up to ReadyForQuery; an ErrorResponse becomes an exception."""
		while True:
			kind, body = self._message()
			if kind == b"Z":
				return
			if kind == b"E":
				fields = {part[:1]: part[1:].decode() for part in body.split(b"\0") if part}
				raise WireError(f"{fields.get(b'C', '?')} {fields.get(b'M', '?')}")
			yield kind, body

	def _message(self):
		self._fill(5)
		size = struct.unpack_from("!i", self._buffer, 1)[0] + 1
		if size < 5 or size > 1 << 20:
			raise WireError("not the protocol of PostgreSQL")
		self._fill(size)
		kind, body = self._buffer[:1], self._buffer[5:size]
		self._buffer = self._buffer[size:]
		return kind, body

	def _fill(self, size):
		while len(self._buffer) < size:
			data = self._socket.recv(8192)
			if not data:
				raise ConnectionError("the server closed the connection")
			self._buffer += data
