"""TLS towards clients: modes, direct TLS, certificates, channel binding, tickets, reload, hostile bytes."""
import os
import socket
import ssl
import struct

import psycopg
import pytest

from harness import proc, tls, wire
from harness.fakeserver import echo

OPERATIONAL = psycopg.OperationalError
SIMPLE = {"cursor_factory": psycopg.ClientCursor}  # simple queries, which the fake server answers with their own text


@pytest.fixture(scope="module")
def authority():
    one = tls.Authority()
    one.server = one.make("server", "localhost", "DNS:localhost,IP:127.0.0.1")
    yield one
    one.close()


@pytest.fixture
def front(fake, pgroute, authority):
    """front(mode, **changes): pgroute with TLS in front of a server that costs nothing."""
    def start(mode="allow", ca=None, **changes):
        keys = {"mode": mode, "cert_file": str(authority.server[0]), "key_file": str(authority.server[1])}
        if ca is not None:
            keys["ca_file"] = str(ca)
        return pgroute(fake(echo).port, **{"client_tls": keys, **changes})
    return start


def logged_in(one, **kwargs):
    """What show clients says of the TLS of one client that logs in with these parameters."""
    with one.connect(**kwargs) as db:
        assert db.execute("one").fetchone()[0] == "one"
        return [row["tls"] for row in one.show("clients") if row["state"] != "login"][0]


@pytest.mark.parametrize("mode, plain, encrypted", [
    ("disable", True, False), ("allow", True, True), ("require", False, True)])
def test_c13_mode_decides_who_may_come_in(front, mode, plain, encrypted):
    one = front(mode)
    assert (logged_in(one, sslmode="prefer", **SIMPLE) != "") == encrypted
    if plain:
        assert logged_in(one, sslmode="disable", **SIMPLE) == ""
    else:
        with pytest.raises(OPERATIONAL, match="connection requires TLS"):
            one.connect(sslmode="disable")
    if encrypted:
        assert logged_in(one, sslmode="require", **SIMPLE).startswith("TLSv1.3/TLS_")
    else:
        with pytest.raises(OPERATIONAL, match="server does not support SSL"):
            one.connect(sslmode="require")


@pytest.mark.parametrize("sslmode, host, good", [
    ("verify-ca", "127.0.0.1", True), ("verify-full", "localhost", True), ("verify-full", "127.0.0.1", True),
    ("verify-full", "other.test", False)])
def test_client_verifies_the_certificate(front, authority, sslmode, host, good):
    one = front("require")
    given = {"sslmode": sslmode, "sslrootcert": str(authority.ca), "host": host, "hostaddr": "127.0.0.1"}
    if good:
        assert logged_in(one, **given, **SIMPLE)
    else:
        with pytest.raises(OPERATIONAL, match="does not match host name"):
            one.connect(**given)


def test_console_over_tls(front):
    """Answers that are longer than any record."""
    one = front("require", admin={"users": ["app"]})
    with one.connect(database="pgroute", sslmode="require") as db:
        once = db.execute("SHOW CONFIG").fetchall()
        for _ in range(50):
            assert db.execute("SHOW CONFIG").fetchall() == once
        assert [row[17] for row in db.execute("SHOW CLIENTS").fetchall()][0].startswith("TLSv1.3")


def test_direct_tls_needs_no_request(front):
    one = front("require")
    assert logged_in(one, sslmode="require", sslnegotiation="direct", **SIMPLE).startswith("TLSv1.3")
    # without ALPN it may be anybody's protocol
    with pytest.raises((ConnectionError, ssl.SSLError, wire.Closed)):
        sock = tls.connect(one.port, tls.client_context(), direct=True)
        sock.sendall(wire.startup({"user": "app", "database": "app"}))
        wire.Wire(sock).recv()
    with pytest.raises(ssl.SSLError, match="NO_APPLICATION_PROTOCOL|no application protocol"):
        tls.connect(one.port, tls.client_context(alpn="http/1.1"), direct=True)
    with pytest.raises(ssl.SSLError, match="NO_APPLICATION_PROTOCOL|no application protocol"):
        tls.connect(one.port, tls.client_context(alpn="http/1.1"))
    one.wait_metric("pgroute_process_tls_failures_total", 3)


def test_direct_tls_to_one_without_tls_ends_at_once(front):
    one = front("disable")
    with pytest.raises((ssl.SSLError, ConnectionError)):
        tls.connect(one.port, tls.client_context(alpn="postgresql"), direct=True)
    assert logged_in(one, sslmode="disable", **SIMPLE) == ""


@pytest.mark.parametrize("behind", [b"x", wire.startup({"user": "app", "database": "app"}), b"\x16\x03\x01\x02\x00\x01"])
@pytest.mark.parametrize("asked", [wire.SSL_REQUEST, wire.GSSENC_REQUEST])
def test_c7_bytes_behind_an_encryption_request_are_refused(front, asked, behind):
    """CVE-2021-23214: what somebody has put there in clear must not be read as the client's."""
    one = front("allow")
    sock = socket.create_connection(("127.0.0.1", one.port), timeout=proc.PATIENCE)
    with wire.Wire(sock) as client:
        client.send(struct.pack("!II", 8, asked) + behind)
        got = client.recv()
        assert got.type == "E" and wire.error_fields(got.body)["M"] == "received unencrypted data after an encryption request"
        assert client.expect_closed() == []


def test_encryption_is_asked_for_once(front):
    one = front("allow")
    sock = tls.connect(one.port, tls.client_context())
    with wire.Wire(sock) as client:
        client.send(struct.pack("!II", 8, wire.SSL_REQUEST))
        assert wire.error_fields(client.recv().body)["M"] == "encryption was requested twice"


def test_startup_packet_of_one_byte_records(front):
    one = front("require")
    with wire.Client.over(tls.connect(one.port, tls.client_context())) as client:
        client.login(slowly=1)
        assert client.query("one").value() == "one"


def test_min_version_refuses_the_older(front, authority):
    one = front("require", client_tls={"mode": "require", "cert_file": str(authority.server[0]),
                                       "key_file": str(authority.server[1]), "min_version": "1.3"})
    with pytest.raises(ssl.SSLError, match="version"):
        tls.connect(one.port, tls.client_context(version=ssl.TLSVersion.TLSv1_2))
    assert tls.connect(one.port, tls.client_context()).version() == "TLSv1.3"


def test_tls_1_2_works_and_older_does_not(front):
    one = front("require")
    assert tls.connect(one.port, tls.client_context(version=ssl.TLSVersion.TLSv1_2)).version() == "TLSv1.2"
    assert logged_in(one, sslmode="require", ssl_max_protocol_version="TLSv1.2", **SIMPLE).startswith("TLSv1.2/ECDHE")
    old = tls.client_context()
    old.set_ciphers("ALL:@SECLEVEL=0")
    old.minimum_version = old.maximum_version = ssl.TLSVersion.TLSv1_1
    with pytest.raises(ssl.SSLError):
        tls.connect(one.port, old)


# -- certificates of clients

def with_cert(authority, name):
    cert, key = authority.make(f"client-{name}-{os.urandom(3).hex()}", name)
    return {"sslmode": "require", "sslcert": str(cert), "sslkey": str(key)}


def test_c13_certificate_of_one_user_does_not_log_in_another(front, authority):
    one = front("require", ca=authority.ca, auth={"type": "cert"})
    assert logged_in(one, **with_cert(authority, "app"), **SIMPLE)
    with pytest.raises(OPERATIONAL, match='certificate authentication failed for user "app2"(.|\n)*common name of the '
                                          'certificate is "app"'):
        one.connect(user="app2", **with_cert(authority, "app"))
    with pytest.raises(OPERATIONAL, match="connection requires a valid client certificate"):
        one.connect(sslmode="require")
    with pytest.raises(OPERATIONAL, match='role "nobody" does not exist'):
        one.connect(user="nobody", **with_cert(authority, "nobody"))


def test_c13_certificate_of_strangers_expired_or_revoked_is_refused(front, authority):
    revoked = with_cert(authority, "app")
    one = front("verify-full", ca=authority.revoke(revoked["sslcert"]))
    assert logged_in(one, **with_cert(authority, "app"), **SIMPLE)
    other = tls.Authority("somebody else")
    try:
        stranger = with_cert(other, "app")
        cert, key = authority.make("client-expired", "app", days=-1)
        expired = {"sslmode": "require", "sslcert": str(cert), "sslkey": str(key)}
        for given, words in ((stranger, "unknown ca"), (expired, "certificate expired"), (revoked, "certificate revoked")):
            with pytest.raises(OPERATIONAL, match=words):
                one.connect(**given)
    finally:
        other.close()
    for words in ("unable to get local issuer certificate", "certificate has expired", "certificate revoked"):
        proc.wait_for(lambda: words in one.text(), f"{words} to be logged")  # the client may know sooner


def test_verify_ca_asks_for_any_name_verify_full_for_the_users(front, authority):
    one = front("verify-ca", ca=authority.ca)
    assert logged_in(one, **with_cert(authority, "anybody"), **SIMPLE)
    with pytest.raises(OPERATIONAL, match="connection requires a valid client certificate"):
        one.connect(sslmode="require")
    with pytest.raises(OPERATIONAL, match="connection requires TLS"):
        one.connect(sslmode="disable")
    with pytest.raises(OPERATIONAL, match="password authentication failed"):  # the certificate is not instead of the password
        one.connect(password="wrong", **with_cert(authority, "app"))
    one.change(client_tls={"mode": "verify-full"})
    one.reload()
    proc.wait_for(lambda: not comes_in(one, with_cert(authority, "anybody")), "verify-full to hold")
    assert comes_in(one, with_cert(authority, "app"))


def comes_in(one, given):
    try:
        one.connect(**given).close()
        return True
    except OPERATIONAL:
        return False


# -- channel binding

@pytest.mark.parametrize("binding, sslmode, good", [
    ("require", "require", True), ("prefer", "require", True), ("disable", "require", True), ("require", "disable", False),
    ("prefer", "disable", True)])
def test_f12_channel_binding(front, binding, sslmode, good):
    one = front("allow")
    if good:
        logged_in(one, sslmode=sslmode, channel_binding=binding, **SIMPLE)
    else:
        with pytest.raises(OPERATIONAL, match="channel binding"):
            one.connect(sslmode=sslmode, channel_binding=binding)


def test_f12_binding_to_another_certificate_is_refused(front, authority):
    """A client that sees the certificate of somebody in between proves just that."""
    one = front("require")
    for seen, good in ((authority.server[0], True), (authority.ca, False)):
        with wire.Client.over(tls.connect(one.port, tls.client_context())) as client:
            client.binding = tls.end_point(tls.der(seen))
            if good:
                client.login()
                continue
            with pytest.raises(wire.ServerError, match="SCRAM channel binding check failed"):
                client.login()


# -- tickets

@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_session_is_resumed_by_every_worker(front, version):
    one = front("require", workers=2)
    context = tls.client_context(version=version)
    session, workers, kept = None, set(), []
    for attempt in range(40):
        sock = tls.connect(one.port, context, session=session)
        assert sock.session_reused == (attempt > 0)
        client = wire.Client.over(sock).login()
        session = sock.session
        kept.append(client)
        workers |= {row["worker"] for row in one.show("clients")}
        if len(workers) == 2 and attempt > 2:
            break
    assert workers == {0, 1}
    one.wait_metric("pgroute_process_tls_resumed_total", len(kept) - 1)
    for client in kept:
        client.close()


def test_session_of_other_authorities_is_not_resumed(front, authority):
    """A ticket says that a certificate was verified: it must not outlive the authority that signed it."""
    one = front("require", ca=authority.ca)
    context = tls.client_context(cert=authority.make("client-ticket", "app"))
    sock = tls.connect(one.port, context)
    client = wire.Client.over(sock).login()
    session = sock.session
    client.close()
    other = tls.Authority("the next")
    try:
        again = tls.connect(one.port, context, session=session)
        assert again.session_reused
        again.close()
        one.change(client_tls={"ca_file": str(other.ca)})
        assert "client_tls.ca_file" in str(one.reload())
        # until both workers have it the old one may still be served
        def refused():
            try:
                later = tls.connect(one.port, context, session=session)
                wire.Client.over(later).login()
                return False
            except (ssl.SSLError, ConnectionError, wire.Closed):
                return True
        proc.wait_for(lambda: refused() and refused() and refused(), "the certificate to be refused")
    finally:
        other.close()


# -- reload

def certificate(one):
    with tls.connect(one.port, tls.client_context()) as sock:
        return sock.getpeercert(True)


def test_f21_changed_certificate_is_taken_up_and_old_sessions_live(front, authority, tmp_path):
    files = tmp_path / "server.crt", tmp_path / "server.key"
    copy(authority.server, files)
    one = front("require", client_tls={"mode": "require", "cert_file": str(files[0]), "key_file": str(files[1])})
    before = certificate(one)
    with one.connect(sslmode="require", **SIMPLE) as old:
        copy(authority.make("renewed", "localhost", "DNS:localhost"), files)
        assert certificate(one) == before
        told = str(one.reload())
        assert "client_tls.cert_file: (changed)" in told and "client_tls.key_file: (changed)" in told
        proc.wait_for(lambda: certificate(one) != before and certificate(one) != before, "the new certificate")
        assert old.execute("one").fetchone()[0] == "one"
    assert logged_in(one, sslmode="require", channel_binding="require", **SIMPLE)


def copy(source, target):
    for a, b in zip(source, target):
        b.write_bytes(a.read_bytes())
        b.chmod(0o600)


BROKEN = {
    "no-certificate": (0, b"nothing\n", "holds no certificate in PEM"),
    "cut-certificate": (0, b"-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n", "a certificate that cannot be read"),
    "no-key": (1, b"nothing\n", "holds no private key in PEM"),
    "missing": (1, None, "cannot be read: No such file"),
    "other-key": (1, "other", "is not the key of the certificate"),
    "with-passphrase": (1, "passphrase", "is protected by a passphrase"),
    "readable": (1, 0o644, "everybody may read or write this file of a private key"),
    "nul": (0, b"-----BEGIN CERTIFICATE-----\0", "is not a text"),
}


@pytest.mark.parametrize("what", BROKEN)
def test_f21_broken_file_is_told_and_the_old_one_served(front, authority, tmp_path, what):
    files = tmp_path / "server.crt", tmp_path / "server.key"
    copy(authority.server, files)
    one = front("require", client_tls={"mode": "require", "cert_file": str(files[0]), "key_file": str(files[1])})
    before = certificate(one)
    which, content, words = BROKEN[what]
    if content is None:
        files[which].unlink()
    elif content == "other":
        files[which].write_bytes(authority.make("unrelated", "localhost")[1].read_bytes())
    elif content == "passphrase":
        authority.openssl("ec", "-in", authority.server[1], "-out", files[which], "-aes128", "-passout", "pass:secret")
    elif isinstance(content, int):
        files[which].chmod(content)
    else:
        files[which].write_bytes(content)
    failed = one.ctl_run("reload")
    told = failed.stdout + failed.stderr
    assert failed.returncode == 1 and words in told and str(files[which]) in told, told
    assert words in one.text()
    assert certificate(one) == before
    assert logged_in(one, sslmode="require", **SIMPLE)


# -- hostile bytes

HELLOS = {
    "nothing": b"", "zeroes": bytes(64), "http": b"GET / HTTP/1.1\r\n\r\n", "alert": b"\x15\x03\x03\x00\x02\x02\x28",
    "long-record": b"\x16\x03\x01\xff\xff" + b"x" * 70000, "empty-records": b"\x16\x03\x03\x00\x00" * 2000,
    "old-version": b"\x16\x03\x00\x00\x05\x01\x00\x00\x01\x00", "random": bytes(range(256)) * 8,
    "startup-in-clear": wire.startup({"user": "app", "database": "app"}),
}


@pytest.mark.parametrize("direct", [False, True])
@pytest.mark.parametrize("what", HELLOS)
def test_c1_garbage_instead_of_a_hello_ends_that_connection_alone(front, what, direct):
    one = front("allow")
    with one.connect(sslmode="require", **SIMPLE) as bystander:
        if direct:
            sock = socket.create_connection(("127.0.0.1", one.port), timeout=proc.PATIENCE)
            sock.sendall(b"\x16\x03\x01\x00\x10" + HELLOS[what])
        else:
            sock, answer = tls.request(one.port)
            assert answer == b"S"
            sock.sendall(HELLOS[what])
        sock.shutdown(socket.SHUT_WR)
        while True:
            try:
                if not sock.recv(65536):
                    break
            except ConnectionResetError:
                break
        assert bystander.execute("one").fetchone()[0] == "one"
    assert one.show("clients") == []


@pytest.mark.parametrize("sent", [0, 1, 5, 100])
def test_half_a_handshake_ends_with_client_login_timeout(front, sent):
    one = front("allow", client_login_timeout="300ms")
    memory, out = ssl.MemoryBIO(), ssl.MemoryBIO()
    hello = tls.client_context().wrap_bio(memory, out)
    with pytest.raises(ssl.SSLWantReadError):
        hello.do_handshake()
    sock, answer = tls.request(one.port)
    assert answer == b"S"
    sock.sendall(out.read()[:sent])
    assert sock.recv(100) == b""


def test_b51_probes_leave_no_line_in_the_log(front):
    one = front("allow")
    one.change(log={"level": "info"})
    one.reload()
    mark = len(one.text())
    for _ in range(3):
        socket.create_connection(("127.0.0.1", one.port)).close()
        sock, answer = tls.request(one.port)
        sock.close()
    proc.wait_for(lambda: one.show("clients") == [], "the probes to be gone")
    assert "client." not in one.text()[mark:]
