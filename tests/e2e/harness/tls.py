"""Certificates for the tests, made by the openssl command, and TLS to pgroute in plain Python."""
import hashlib
import os
import pathlib
import socket
import ssl
import struct

from . import proc, wire


class Authority:
    """Signs certificates; `ca` is its own. All files lie in one folder, which close() removes."""

    def __init__(self, name="test authority", days=2):
        self.folder = proc.scratch("tls")
        self.name, self.days = name, days
        self.ca, self.key = self.folder / "ca.crt", self.folder / "ca.key"
        self.serial = 0
        self.openssl("req", "-x509", *self.new_key(self.key), "-out", self.ca, "-days", days, "-subj", f"/CN={name}",
                     "-addext", "basicConstraints=critical,CA:true", "-addext", "keyUsage=keyCertSign,cRLSign")

    def openssl(self, *arguments):
        return proc.run(["openssl", *map(str, arguments)], cwd="/")

    def new_key(self, path):
        return ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", path]

    def make(self, file, cn, names="", days=None, owner=None):
        """(certificate, key) for that common name and alternative names ("DNS:db.test,IP:127.0.0.1")."""
        cert, key, request = (self.folder / f"{file}{end}" for end in (".crt", ".key", ".csr"))
        extensions = self.folder / f"{file}.ext"
        extensions.write_text(f"subjectAltName={names}\n" if names else "basicConstraints=CA:false\n")
        self.openssl("req", "-new", *self.new_key(key), "-out", request, "-subj", f"/CN={cn}")
        self.serial += 1
        self.openssl("x509", "-req", "-in", request, "-CA", self.ca, "-CAkey", self.key, "-set_serial", 1000 + self.serial,
                     "-days", self.days if days is None else days, "-extfile", extensions, "-out", cert)
        key.chmod(0o600)
        if owner is not None:
            os.chown(key, owner.pw_uid, owner.pw_gid)
        return cert, key

    def revoke(self, *certs):
        """A file with the authority and a list that revokes these certificates."""
        database, config = self.folder / "index.txt", self.folder / "ca.cnf"
        database.write_text("")
        config.write_text(f"[ca]\ndefault_ca=d\n[d]\ndatabase={database}\ndefault_md=sha256\ndefault_crl_days=2\n"
                          f"crlnumber={self.folder / 'crlnumber'}\n")
        (self.folder / "crlnumber").write_text("01\n")
        both = ["-config", config, "-keyfile", self.key, "-cert", self.ca]
        for cert in certs:
            self.openssl("ca", *both, "-revoke", cert)
        self.openssl("ca", *both, "-gencrl", "-out", self.folder / "list.crl")
        result = self.folder / "ca-with-crl.crt"
        result.write_text(self.ca.read_text() + (self.folder / "list.crl").read_text())
        return result

    def close(self):
        proc.remove(self.folder)


def client_context(ca=None, cert=None, alpn=None, version=None):
    context = ssl.create_default_context(cafile=ca)
    if ca is None:
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    if cert is not None:
        context.load_cert_chain(*map(str, cert))
    if alpn is not None:
        context.set_alpn_protocols([alpn])
    if version is not None:
        context.minimum_version = context.maximum_version = version
    return context


def request(port):
    """A socket that has had its SSLRequest answered, and the answer."""
    sock = socket.create_connection(("127.0.0.1", port), timeout=proc.PATIENCE)
    sock.sendall(struct.pack("!II", 8, wire.SSL_REQUEST))
    return sock, sock.recv(1)


def connect(port, context, direct=False, session=None, name="localhost"):
    """A TLS socket to pgroute, by SSLRequest or directly."""
    if direct:
        sock = socket.create_connection(("127.0.0.1", port), timeout=proc.PATIENCE)
    else:
        sock, answer = request(port)
        assert answer == b"S", answer
    return context.wrap_socket(sock, server_hostname=name, session=session)


def end_point(cert):
    """tls-server-end-point of a certificate in DER, signed with SHA-256."""
    return hashlib.sha256(cert).digest()


def der(path):
    return ssl.PEM_cert_to_DER_cert(pathlib.Path(path).read_text())
