"""Who gets in, how, and what the refused are told. (C1 C2 C3 C9 C11 C14 B46 B48 B51)"""
import base64
import hashlib
import hmac
import os
import statistics
import struct

import psycopg
import pytest

from harness import proc, wire
from harness import fakeserver as fs
from harness.marks import both_versions
from harness.pgroute import PLAIN, basic, server
from harness.postgres import password_of

CLIENT_METHODS = {"trust": None, "plain": 3, "md5": 5, "scram-sha-256": 10}
SERVER_USERS = ["trust", "plain", "md5", "scram"]


def refusal(port, user, password=None, **kwargs):
    """(fields of the error, types of the authentication requests before it)"""
    with wire.Client(port) as client:
        with pytest.raises(wire.ServerError) as refused:
            client.login(user, password, **kwargs)
        assert client.expect_closed() == []
    return refused.value.fields, client.asked


def still_serves(one, workers):
    with wire.Client(one.port).login() as client:
        assert client.query("SELECT 'alive'").value() == "alive"
        client.terminate()
    assert one.pids("worker") == workers, "a worker died"


@both_versions
@pytest.mark.parametrize("user", SERVER_USERS)
@pytest.mark.parametrize("method", CLIENT_METHODS)
def test_login_by_each_method_on_both_sides(pg, pgroute, method, user):
    one = pgroute(pg, auth={"type": method})
    for _ in range(2):
        with wire.Client(one.port).login(user) as client:
            assert client.asked == CLIENT_METHODS[method]
            assert client.query("SELECT current_user || ' in ' || current_database()").value() == f"{user} in app"
            client.terminate()


@both_versions
def test_login_of_drivers_with_their_defaults(pg, pgroute):
    import asyncio
    import asyncpg
    import psycopg2
    one = pgroute(pg)
    with one.connect() as db:
        assert db.execute("SELECT 1").fetchone() == (1,)
    with psycopg2.connect(**one.dsn()) as db, db.cursor() as cursor:
        cursor.execute("SELECT 2")
        assert cursor.fetchone() == (2,)
    db.close()

    async def by_asyncpg():
        db = await asyncpg.connect(host="127.0.0.1", port=one.port, user="app", password=password_of("app"), database="app")
        assert await db.fetchval("SELECT 3") == 3
        await db.close()

    asyncio.run(by_asyncpg())
    out = proc.run([pg.binaries.program("psql"), "-XAt", "-c", "SELECT 4"], env={
        **os.environ, "PGHOST": "127.0.0.1", "PGPORT": str(one.port), "PGUSER": "app", "PGDATABASE": "app",
        "PGPASSWORD": password_of("app")})
    assert out.strip() == "4"


def test_scram_secret_user_logs_in_to_the_server_with_the_proven_keys(pg, pgroute):
    one = pgroute(pg, users={"scram": {"password": pg.secret("scram")}})
    for _ in range(3):
        with wire.Client(one.port).login("scram") as client:
            assert client.query("SELECT current_user").value() == "scram"
            client.terminate()
    fields, _ = refusal(one.port, "scram", "wrong")
    assert fields["C"] == "28P01"


def test_b46_scram_secret_user_survives_the_loss_of_its_server_connections(pg, pgroute):
    one = pgroute(pg, users={"scram": {"password": pg.secret("scram")}})
    with wire.Client(one.port).login("scram") as client:
        for _ in range(3):
            assert client.query("SELECT 1").value() == "1"
            pg.terminate(pg.pids("scram"))
        with wire.Client(one.port).login("scram") as second:
            assert second.query("SELECT 2").value() == "2"


def test_scram_secret_that_differs_from_the_servers_is_a_clear_error(pg, pgroute):
    foreign = pg.secret("app2")  # another salt and password than the server's secret of this user
    one = pgroute(pg, users={"scram": {"password": foreign}})
    fields, _ = refusal(one.port, "scram", password_of("app2"))
    assert fields["C"] in ("28P01", "28000") and "password" in fields["M"]
    still_serves(one, one.pids("worker"))


def test_md5_secret_user(pg, pgroute):
    one = pgroute(pg, auth={"type": "md5"}, users={"md5": {"password": pg.secret("md5")}})
    with wire.Client(one.port).login("md5") as client:
        assert client.query("SELECT current_user").value() == "md5"
    assert refusal(one.port, "md5", "wrong")[0]["C"] == "28P01"


@pytest.mark.parametrize("method", ["plain", "md5", "scram-sha-256"])
def test_rotation_both_passwords_are_valid(pg, pgroute, method):
    one = pgroute(pg, auth={"type": method}, databases={"app": {"user": "app", "password": password_of("app")}},
                  users={"app": {"password": ["the old one", "the new one"]}})
    for good in ("the old one", "the new one"):
        with wire.Client(one.port).login("app", good) as client:
            assert client.query("SELECT 1").value() == "1"
    assert refusal(one.port, "app", "another one")[0]["C"] == "28P01"


def test_rotation_clear_text_beside_a_scram_secret(pg, pgroute):
    one = pgroute(pg, users={"scram": {"password": ["the new one", pg.secret("scram")]}},
                  databases={"app": {"user": "app", "password": password_of("app")}})
    for good in ("the new one", password_of("scram")):
        with wire.Client(one.port).login("scram", good) as client:
            assert client.query("SELECT 1").value() == "1"
    assert refusal(one.port, "scram", "another one")[0]["C"] == "28P01"


def test_database_with_a_user_of_its_own(pg, pgroute):
    one = pgroute(pg, databases={"app": {"user": "app2", "password": password_of("app2")}})
    with wire.Client(one.port).login("app") as client:
        assert client.query("SELECT current_user").value() == "app2"
    with wire.Client(one.port).login("scram") as client:
        assert client.query("SELECT current_user").value() == "app2"


@pytest.mark.parametrize("method", ["plain", "md5", "scram-sha-256"])
def test_c11_unknown_user_and_wrong_password_look_the_same(pg, pgroute, method):
    one = pgroute(pg, auth={"type": method})
    wrong, wrong_asked = refusal(one.port, "app", "wrong")
    unknown, unknown_asked = refusal(one.port, "nobody_here", "wrong")
    assert wrong["C"] == "28P01" and wrong["S"] == "FATAL"
    assert wrong["M"] == 'password authentication failed for user "app"'
    assert {k: v.replace("nobody_here", "app") for k, v in unknown.items()} == wrong
    assert wrong_asked == unknown_asked == CLIENT_METHODS[method]


def cpu(one):
    """Nanoseconds that the workers have worked."""
    return sum(int(open(f"/proc/{pid}/schedstat").read().split()[0]) for pid in one.pids("worker"))


@pytest.mark.parametrize("method, kind", [("plain", "clear"), ("plain", "scram"), ("md5", "clear"), ("md5", "md5"), ("scram-sha-256", "clear"),
                                          ("scram-sha-256", "scram"), ("scram-sha-256", "md5")])
def test_c11_unknown_user_and_wrong_password_cost_the_same(pg, pgroute, method, kind):
    """C11: by the worker's own processor time, medians of interleaved attempts; one PBKDF2 more or less makes a factor of two."""
    user = {"clear": "app", "scram": "scram", "md5": "md5"}[kind]
    secret = {} if kind == "clear" else {"users": {user: {"password": pg.secret(user)}}}
    one = pgroute(pg, build=PLAIN, workers=1, auth={"type": method}, **secret)
    spent = {user: [], "nobody_here": []}
    for _ in range(20):
        for who in spent:
            before = cpu(one)
            assert refusal(one.port, who, "wrong")[0]["C"] == "28P01"
            spent[who].append(cpu(one) - before)
    known, unknown = (statistics.median(spent[who]) for who in spent)
    assert 2 / 3 < known / unknown < 3 / 2


def test_server_logins_cost_one_pbkdf2_in_all(fake, pgroute):
    """This server wants 300,000 rounds of it. The keys of the first login serve both workers for all that come after."""
    def login(conn):
        conn.authenticate_scram("app-secret", iterations=300_000)
        conn.send(fs.authentication(0))
        conn.greet()

    def script(conn):
        conn.expect("Q")
        conn.send(fs.one_row(f"by {conn.number}"))

    server = fake(script, login=login)
    one = pgroute(server, build=PLAIN, workers=2, auth={"type": "trust"}, defaults={"pool_size": 1})
    spent = []
    for n in range(10):
        client = wire.Client(one.port)
        before = cpu(one)
        client.login()
        assert client.query("x").value() == f"by {n + 1}"
        spent.append(cpu(one) - before)
        proc.wait_for(lambda: not one.show("servers"), "the server connection to be gone")
    assert server.logins == 10
    assert max(spent[1:]) < spent[0] / 5, spent


def test_c11_unknown_user_is_shown_a_constant_salt(pg, pgroute):
    one = pgroute(pg)
    seen = {}
    for user in ("app", "ghost", "ghost", "phantom"):
        with wire.Client(one.port) as client:
            client.send(wire.startup({"user": user, "database": "app"}))
            client.expect("R")
            client.send(wire.sasl_initial("SCRAM-SHA-256", wire.Scram("x").first()))
            fields = dict(part.split("=", 1) for part in client.expect("R").body[4:].decode().split(","))
            seen.setdefault(user, []).append((fields["s"], fields["i"]))
    assert seen["ghost"][0] == seen["ghost"][1] != seen["phantom"][0]
    assert {(len(salt), rounds) for shown in seen.values() for salt, rounds in shown} == {(24, "4096")}


def secret_of(password, iterations):
    """As PostgreSQL keeps it with that scram_iterations."""
    salt = os.urandom(16)
    salted = hashlib.pbkdf2_hmac("sha256", password.encode(), salt, iterations)
    stored = hashlib.sha256(hmac.digest(salted, b"Client Key", "sha256")).digest()
    server_key = hmac.digest(salted, b"Server Key", "sha256")
    encoded = [base64.b64encode(part).decode() for part in (salt, stored, server_key)]
    return f"SCRAM-SHA-256${iterations}:{encoded[0]}${encoded[1]}:{encoded[2]}"


def shown(port, user):
    """What a user is asked for: md5, or the rounds of SCRAM."""
    with wire.Client(port) as client:
        client.send(wire.startup({"user": user, "database": "app"}))
        request = client.expect("R").body
        if struct.unpack("!I", request[:4])[0] == 5:
            return "md5"
        client.send(wire.sasl_initial("SCRAM-SHA-256", wire.Scram("x").first()))
        fields = dict(part.split("=", 1) for part in client.expect("R").body[4:].decode().split(","))
        return int(fields["i"])


@pytest.mark.parametrize("method", ["md5", "scram-sha-256"])
def test_c11_unknown_users_are_asked_what_known_ones_are(pg, pgroute, method):
    """Users with a secret of 5000 rounds and users with a password in clear text: each unknown name looks like some of them,
    and always like the same."""
    users = {f"stored{n}": {"password": secret_of("x", 5000)} for n in range(10)}
    users |= {f"clear{n}": {"password": "x"} for n in range(10)}
    one = pgroute(pg, workers=2, auth={"type": method}, users=users)
    kinds = {5000, "md5" if method == "md5" else 4096}
    seen = {name: shown(one.port, name) for name in (f"ghost{n}" for n in range(60))}
    assert set(seen.values()) == kinds == {shown(one.port, "stored1"), shown(one.port, "clear1")}
    one.reload()
    assert all(shown(one.port, name) == kind for _ in range(3) for name, kind in seen.items())


@pytest.mark.parametrize("method", ["plain", "md5", "scram-sha-256"])
@pytest.mark.parametrize("secrets", [["a password"], ["the first", "the second", "the third"], ["stored"], ["clear", "stored"]],
                         ids=["one", "three", "stored", "clear-and-stored"])
def test_c11_each_refusal_has_the_same_messages(pg, pgroute, method, secrets):
    """Wrong passwords, unknown users with a right password of others: what comes back differs in nothing but the name."""
    kept = [secret_of("stored", 4096) if secret == "stored" else secret for secret in secrets]
    one = pgroute(config={**basic(pg), "auth": {"type": method}, "users": {"app": {"password": kept}}})

    def answers(user, password):
        with wire.Client(one.port) as client:
            with pytest.raises(wire.ServerError) as refused:
                client.login(user, password)
            fields = {k: v.replace(user, "USER") for k, v in refused.value.fields.items()}
            return client.received, fields, client.asked

    told = [answers("app", "wrong"), answers("app", "w" * 60)]
    told += [answers(name, password) for name in ("ghost", "phantom") for password in ("wrong", *secrets)]
    assert all(one_told == told[0] for one_told in told), told
    assert told[0][1]["C"] == "28P01"


@pytest.mark.parametrize("method", ["plain", "md5", "scram-sha-256"])
def test_each_of_several_passwords_is_let_in_by_the_same_messages(pg, pgroute, method):
    passwords = ["the first", "the second", "the third"]
    one = pgroute(pg, auth={"type": method}, users={"app": {"password": passwords}},
                  databases={"app": {"user": "app", "password": password_of("app")}})
    seen = []
    for password in passwords:
        with wire.Client(one.port).login("app", password) as client:
            seen.append(client.received)
    assert seen[0] == seen[1] == seen[2]


@pytest.mark.parametrize("empty", ["plain", "md5", "scram-sha-256"])
def test_c8_empty_password_is_refused(pg, pgroute, empty):
    one = pgroute(pg, auth={"type": empty})
    assert refusal(one.port, "app", "")[0]["C"] == "28P01"
    assert refusal(one.port, "nobody_here", "")[0]["C"] == "28P01"


def test_unknown_database_is_told_only_to_those_who_know_a_password(pg, pgroute):
    one = pgroute(pg)
    fields, _ = refusal(one.port, "app", database="nowhere")
    assert (fields["S"], fields["C"], fields["M"]) == ("FATAL", "3D000", 'database "nowhere" does not exist')
    assert refusal(one.port, "app", "wrong", database="nowhere")[0]["C"] == "28P01"
    assert refusal(one.port, "nobody_here", database="nowhere")[0]["C"] == "28P01"


def test_database_that_the_server_does_not_have(pg, pgroute):
    one = pgroute(pg, databases={"lost": {"servers": [server(pg)]}})
    fields, _ = refusal(one.port, "app", database="lost")
    assert fields["C"] == "3D000"


def test_startup_without_a_user_is_28000(pg, pgroute):
    one = pgroute(pg)
    for parameters in ({"database": "app"}, {"user": "", "database": "app"}):
        with wire.Client(one.port) as client:
            client.send(wire.startup(parameters))
            seen = client.expect_closed()
            assert [m.type for m in seen] == ["E"] and wire.error_fields(seen[0].body)["C"] == "28000"


def test_b51_startup_without_a_database_takes_the_users_name(pg, pgroute):
    one = pgroute(pg)
    with wire.Client(one.port) as client:
        client.password_text = password_of("app")
        client.send(wire.startup({"user": "app"}))
        client.authenticate("app", client.send)
        assert client.query("SELECT current_database()").value() == "app"


def test_b51_probes_cost_nothing(pg, pgroute):
    one = pgroute(pg, wait=False, log={"level": "info"}).start()
    workers = one.pids("worker")
    still_serves(one, workers)
    before = len(one.text())
    for probe in (b"", wire.ssl_request(), wire.gssenc_request()):
        for _ in range(5):
            with wire.Client(one.port) as client:
                client.send(probe)
                if probe:
                    assert client.take(1) == b"N"
    still_serves(one, workers)
    assert one.text()[before:] == ""


def test_ssl_and_gss_are_refused_politely(pg, pgroute):
    one = pgroute(pg)
    for requests in ([wire.ssl_request()], [wire.gssenc_request()], [wire.gssenc_request(), wire.ssl_request()]):
        with wire.Client(one.port) as client:
            for request in requests:
                client.send(request)
                assert client.take(1) == b"N"
            client.login()
            assert client.query("SELECT 1").value() == "1"
    for mode in ("disable", "allow", "prefer"):
        with one.connect(sslmode=mode) as db:
            assert db.execute("SELECT 1").fetchone() == (1,)
    with pytest.raises(psycopg.OperationalError, match="SSL"):
        one.connect(sslmode="require")


@pytest.mark.parametrize("method", ["plain", "md5", "scram-sha-256"])
@pytest.mark.parametrize("size", [1, 3])
def test_b48_login_in_tiny_pieces(pg, pgroute, method, size):
    one = pgroute(pg, auth={"type": method})
    with wire.Client(one.port).login(slowly=size, application_name="slow") as client:
        client.send_slowly(wire.query("SELECT current_user"), size)
        assert client.ready().value() == "app"


@pytest.mark.parametrize("method", ["trust", "password", "md5", "scram-sha-256"])
def test_b48_server_that_answers_the_login_byte_by_byte(fake, pgroute, method):
    def login(conn):
        whole = conn.send
        conn.send = lambda *parts: conn.send_slowly(b"".join(parts))
        conn.authenticate(method, "app-secret")
        conn.greet()
        conn.send = whole

    one = pgroute(fake(login=login))
    with wire.Client(one.port).login() as client:
        assert client.query("over the slow one").value() == "over the slow one"


def test_b48_long_password(pg, pgroute):
    long = "p" * 20000
    one = pgroute(pg, auth={"type": "plain"}, users={"app": {"password": long}},
                  databases={"app": {"user": "app", "password": password_of("app")}})
    with wire.Client(one.port).login("app", long) as client:
        assert client.query("SELECT 1").value() == "1"
    assert refusal(one.port, "app", long[:-1])[0]["C"] == "28P01"
    assert refusal(one.port, "app", long + "p")[0]["C"] == "28P01"


def test_b48_startup_packet_at_and_above_the_limit(pg, pgroute):
    one = pgroute(pg, max_startup_packet="4kB", auth={"type": "trust"})
    workers = one.pids("worker")
    with wire.Client(one.port).login(application_name="n" * 3000) as client:
        assert client.query("SELECT 1").value() == "1"
    with wire.Client(one.port) as client:
        client.send(wire.startup({"user": "app", "database": "app", "application_name": "n" * 5000}))
        seen = client.expect_closed()
        assert [m.type for m in seen] in ([], ["E"])
    still_serves(one, workers)


LENGTHS = [0, 1, 3, 4, 5, 7, 8, 0x7fffffff, 0x80000000, 0xffffffff]


@pytest.mark.parametrize("length", LENGTHS)
def test_c1_startup_of_any_length(pg, pgroute, length):
    """C1: lengths that overflow, that lie, that are nothing."""
    one = pgroute(pg)
    workers = one.pids("worker")
    for body in (b"", struct.pack("!I", wire.PROTOCOL_3_0), struct.pack("!I", wire.CANCEL_REQUEST), b"\xff" * 64):
        with wire.Client(one.port) as client:
            client.send(struct.pack("!I", length) + body)
            client.socket.shutdown(1)
            assert all(m.type == "E" for m in client.expect_closed())
    still_serves(one, workers)


def hostile_passwords():
    p = lambda data: b"p" + struct.pack("!I", len(data) + 4) + data
    for length in LENGTHS:
        yield f"length-{length:x}", b"p" + struct.pack("!I", length) + b"junk"
    for name in (b"", b"SCRAM-SHA-256", b"SCRAM-SHA-256\0", b"SCRAM-SHA-1\0\0\0\0\4abcd", b"SCRAM-SHA-256-PLUS\0\0\0\0\4abcd"):
        yield f"mechanism-{name[:20]!r}", p(name)
    for length in LENGTHS:
        yield f"initial-{length:x}", p(b"SCRAM-SHA-256\0" + struct.pack("!I", length) + b"n,,n=,r=abc")
    for first in (b"", b"n", b"n,", b"n,,", b"n,,n", b"n,,n=", b"n,,n=,r", b"n,,n=,r=", b"y,,n=,r=abc", b"p=tls-unique,,n=,r=abc",
                  b"n,a=x,n=,r=abc", b"n,,m=1,n=,r=abc", b"n,,n=,r=\0\0\0", b"n,,n=,r=" + b"x" * 60000, b",,,,,,,,", b"\xff" * 300,
                  b"n,,n=app=,r=abc"):
        yield f"first-{first[:24]!r}-{len(first)}", wire.sasl_initial("SCRAM-SHA-256", first)
    for other in "QPBESXdcfFCDHZ":
        yield f"type-{other}", wire.message(other, b"SELECT 1\0")


@pytest.mark.parametrize("hostile", [pytest.param(data, id=name) for name, data in hostile_passwords()])
def test_c1_hostile_password_messages(standing, hostile):
    """C1: whatever comes instead of a password: no crash, nobody is let in. (Fuzzed in tests/fuzz.)"""
    one = standing()
    workers = one.pids("worker")
    with wire.Client(one.port) as client:
        client.send(wire.startup({"user": "app", "database": "app"}))
        client.expect("R")
        client.send(hostile)
        client.socket.shutdown(1)
        for got in client.expect_closed():
            assert got.type in "RE" and struct.unpack_from("!I", got.body)[0] != 0, "let in"
    still_serves(one, workers)


@pytest.mark.parametrize("final", [b"", b"c=biws", b"c=biws,r=", b"c=biws,r=NONCE", b"c=biws,r=NONCE,p=", b"c=biws,r=NONCE,p=AAAA",
                                   b"c=biws,r=NONCE,p=!!!!", b"c=,r=NONCE,p=" + b"A" * 44, b"c=biws,r=other,p=" + b"A" * 44,
                                   b"c=biws,r=NONCE,p=" + b"A" * 60000, b"\0" * 50])
def test_c1_hostile_scram_proofs(standing, final):
    """C1: an error in words, nobody is let in."""
    one = standing()
    workers = one.pids("worker")
    with wire.Client(one.port) as client:
        client.send(wire.startup({"user": "app", "database": "app"}))
        client.expect("R")
        client.send(wire.sasl_initial("SCRAM-SHA-256", wire.Scram("x").first()))
        nonce = client.expect("R").body[4:].split(b",")[0][2:]
        client.send(wire.sasl_response(final.replace(b"NONCE", nonce)))
        seen = client.expect_closed()
        assert [m.type for m in seen] == ["E"]
        assert wire.error_fields(seen[0].body)["C"] in ("28P01", "08P01")
    still_serves(one, workers)


def hostile_first(reply):
    def login(conn):
        conn.send(fs.authentication(10, b"SCRAM-SHA-256\0\0"))
        body = conn.expect("p").body
        nonce = body[body.index(b"r=") + 2:]
        conn.send(fs.authentication(11, reply.replace(b"NONCE", nonce)))
        conn.fill(1)
    return login


@pytest.mark.parametrize("reply", [
    pytest.param(b"r=NONCE" + b"x" * 65536 + b",s=MDEyMzQ1Njc4OWFiY2RlZg==,i=4096", id="nonce-64kB"),
    pytest.param(b"r=NONCEx,s=" + b"A" * 65536 + b",i=4096", id="salt-64kB"),
    pytest.param(b"r=NONCEx,s=,i=4096", id="salt-empty"), pytest.param(b"r=NONCEx,s=!!!,i=4096", id="salt-bad"),
    pytest.param(b"r=NONCEx,s=MDEy,i=0", id="iterations-0"), pytest.param(b"r=NONCEx,s=MDEy,i=-1", id="iterations-negative"),
    pytest.param(b"r=NONCEx,s=MDEy,i=2147483647", id="iterations-huge"),
    pytest.param(b"r=NONCEx,s=MDEy,i=99999999999999999999", id="iterations-overflow"),
    pytest.param(b"r=other,s=MDEy,i=4096", id="nonce-foreign"), pytest.param(b"r=NONCE,s=MDEy,i=4096", id="nonce-not-extended"),
    pytest.param(b"", id="empty"), pytest.param(b"e=other-error", id="error"), pytest.param(b"\0\0\0", id="zeros"),
    pytest.param(b"s=MDEy,i=4096", id="no-nonce"),
])
def test_c2_hostile_server_in_scram(fake, pgroute, reply):
    """C2: 64 kB of nonce, negative and huge counts, foreign nonces: an error, no crash."""
    one = pgroute(fake(login=hostile_first(reply)))
    workers = one.pids("worker")
    fields, _ = refusal(one.port, "app")
    assert len(fields["C"]) == 5
    assert one.pids("worker") == workers


@pytest.mark.parametrize("raw", [
    pytest.param(b"R" + struct.pack("!I", 4), id="no-code"), pytest.param(b"R" + struct.pack("!I", 3), id="length-3"),
    pytest.param(b"R" + struct.pack("!I", 0x7fffffff) + b"x" * 100, id="length-2G"),
    pytest.param(b"R" + struct.pack("!I", 0xffffffff) + b"x" * 100, id="length-4G"),
    pytest.param(fs.authentication(5), id="md5-without-salt"), pytest.param(fs.authentication(99), id="unknown-request"),
    pytest.param(fs.authentication(12, b"v=AAAA"), id="final-first"), pytest.param(fs.authentication(10), id="no-mechanism"),
    pytest.param(fs.authentication(10, b"SCRAM-SHA-1\0\0"), id="unknown-mechanism"),
    pytest.param(fs.authentication(10, b"SCRAM-SHA-256"), id="unterminated-mechanism"),
    pytest.param(fs.authentication(7), id="gss"), pytest.param(b"Z" + struct.pack("!I", 5) + b"I", id="ready-first"),
    pytest.param(b"HTTP/1.1 400 Bad Request\r\n\r\n", id="http"), pytest.param(b"", id="closes"),
    pytest.param(b"E" + struct.pack("!I", 4), id="error-empty"), pytest.param(wire.message("E", b"\0"), id="error-no-fields"),
    pytest.param(wire.message("E", b"SFATAL\0Mno sqlstate\0\0"), id="error-no-sqlstate"),
    pytest.param(wire.message("E", b"SFATAL\0C28P01\0\0"), id="error-no-message"),
    pytest.param(wire.message("E", b"C28P01\0Mno severity\0\0"), id="error-no-severity"),
    pytest.param(wire.message("E", b"SFATAL\0C28P01\0Munterminated"), id="error-unterminated"),
    pytest.param(wire.message("E", b"SFATAL\0C2\0Mshort\0\0"), id="error-short-sqlstate"),
    pytest.param(wire.message("E", b"M" + b"x" * 100000 + b"\0\0"), id="error-100kB"),
])
def test_c3_hostile_server_in_the_login(fake, pgroute, raw):
    """C3: errors without SQLSTATE, severity, message or end; the client is told all three."""
    def login(conn):
        conn.send(raw)
        conn.socket.shutdown(1)
        conn.fill(1 << 20)

    one = pgroute(fake(login=login))
    workers = one.pids("worker")
    fields, _ = refusal(one.port, "app")
    assert len(fields["C"]) == 5 and fields["M"] and fields["S"] == "FATAL"
    assert one.pids("worker") == workers


def test_server_that_asks_for_a_method_twice(fake, pgroute):
    def login(conn):
        for _ in range(2):
            conn.send(fs.authentication(3))
            conn.expect("p")
        conn.send(fs.authentication(0))
        conn.greet()

    one = pgroute(fake(login=login))
    with wire.Client(one.port) as client:
        try:
            client.login()
            assert client.query("in").value() == "in"
        except wire.ServerError as refused:
            assert len(refused.sqlstate) == 5


@pytest.mark.parametrize("first", [wire.password("x"), wire.query("SELECT 1"), wire.sync(), wire.terminate(), b"GET / HTTP/1.1\r\n\r\n",
                                   b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\0" * 500, b"\0" * 1000])
def test_c9_any_message_before_the_startup(pg, pgroute, first):
    """C9: a closed connection is all that comes of it."""
    one = pgroute(pg)
    workers = one.pids("worker")
    with wire.Client(one.port) as client:
        client.send(first)
        client.socket.shutdown(1)
        client.expect_closed()
    still_serves(one, workers)


@pytest.mark.parametrize("which", ["user", "database", "application_name"])
def test_c9_names_of_60_kilobytes(pg, pgroute, which):
    """C9: nothing that the network sends ends a process."""
    one = pgroute(pg)
    workers = one.pids("worker")
    with wire.Client(one.port) as client:
        client.send(wire.startup({"user": "app", "database": "app", which: "n" * 60000}))
        got = client.recv()
        assert got.type in "RE"
    still_serves(one, workers)


@pytest.mark.parametrize("body", [
    pytest.param(b"user\0app\0database\0app\0\0junk", id="junk-behind"), pytest.param(b"user\0app\0database\0app\0", id="no-terminator"),
    pytest.param(b"user\0app\0database\0app", id="unterminated-value"), pytest.param(b"user\0app\0database\0", id="no-value"),
    pytest.param(b"user", id="unterminated-name"), pytest.param(b"", id="empty"), pytest.param(b"\0\0\0\0", id="zeros"),
])
def test_c14_malformed_startup_packets(pg, pgroute, body):
    """C14: junk behind the terminator, no terminator, halves."""
    one = pgroute(pg, auth={"type": "trust"})
    workers = one.pids("worker")
    with wire.Client(one.port) as client:
        client.send(wire.untyped(struct.pack("!I", wire.PROTOCOL_3_0) + body))
        seen = client.expect_closed()
        assert [m.type for m in seen] == ["E"]
        assert wire.error_fields(seen[0].body)["C"] in ("08P01", "28000")
    still_serves(one, workers)


def test_c14_many_and_duplicate_parameters(pg, pgroute):
    """C14: the last one counts; 10,000 are no problem of anybody else."""
    one = pgroute(pg, auth={"type": "trust"})
    workers = one.pids("worker")
    pairs = b"user\0app\0database\0app\0application_name\0first\0application_name\0second\0"
    with wire.Client(one.port) as client:
        client.send(wire.untyped(struct.pack("!I", wire.PROTOCOL_3_0) + pairs + b"\0"))
        try:
            client.authenticate("app", client.send)
            assert client.query("SHOW application_name").value() == "second", "PostgreSQL takes the last one"
        except wire.ServerError as refused:
            assert refused.sqlstate == "08P01"
    with wire.Client(one.port) as client:
        client.send(wire.startup({"user": "app", "database": "app", **{f"{n:03x}": "" for n in range(10_000)}}))
        assert client.recv().type in "RE"
    still_serves(one, workers)


@pytest.mark.parametrize("version", [2 << 16, 1 << 16, 4 << 16, 0])
def test_unknown_major_protocol_is_refused(pg, pgroute, version):
    one = pgroute(pg)
    with wire.Client(one.port) as client:
        client.send(wire.startup({"user": "app", "database": "app"}, version))
        seen = client.expect_closed()
        assert [m.type for m in seen] == ["E"]
        assert wire.error_fields(seen[0].body)["C"] == "0A000"


def test_server_wrong_password_is_told_with_28p01(pg, pgroute):
    one = pgroute(pg, users={"app": {"password": "not the server's"}})
    fields, _ = refusal(one.port, "app", "not the server's")
    assert fields["C"] == "28P01"


REFUSALS = {
    "no-login": ("ALTER ROLE app2 NOLOGIN", "ALTER ROLE app2 LOGIN", "28000"),
    "expired": ("ALTER ROLE app2 VALID UNTIL '2001-01-01'", "ALTER ROLE app2 VALID UNTIL 'infinity'", "28P01"),
    "no-right": ("REVOKE CONNECT ON DATABASE app FROM PUBLIC", "GRANT CONNECT ON DATABASE app TO PUBLIC", "42501"),
    "full": ("ALTER ROLE app2 CONNECTION LIMIT 0", "ALTER ROLE app2 CONNECTION LIMIT -1", "53300"),
    "no-connections": ("ALTER DATABASE app ALLOW_CONNECTIONS false", "ALTER DATABASE app ALLOW_CONNECTIONS true", "55000"),
}


@both_versions
@pytest.mark.parametrize("why", REFUSALS)
def test_why_the_server_refuses_is_told_in_its_own_words(pg, pgroute, why):
    refuse, allow, sqlstate = REFUSALS[why]
    one = pgroute(pg)
    with pg.superuser() as db:
        db.execute(refuse)
        try:
            direct, _ = refusal(pg.port, "app2")
            through, _ = refusal(one.port, "app2")
        finally:
            db.execute(allow)
    told = [[fields[key] for key in "SVCM"] for fields in (direct, through)]
    assert told[0] == told[1] and through["C"] == sqlstate


def test_c11_no_secret_in_the_log_or_in_show(pg, pgroute):
    one = pgroute(pg, log={"level": "debug", "connections": True})
    with wire.Client(one.port).login() as client:
        client.query("SELECT 1")
        shown = "".join(one.ctl("show", what) + repr(one.ctl("show", what, "--json"))
                        for what in ("config", "clients", "servers", "pools"))
    refusal(one.port, "app", "a wrong secret")
    everything = one.text() + shown
    for secret in (password_of("app"), password_of("app2"), "a wrong secret"):
        assert secret not in everything


def test_login_timeout_closes_silent_clients(pg, pgroute):
    one = pgroute(pg, client_login_timeout="1s")
    with wire.Client(one.port) as silent, wire.Client(one.port) as half:
        half.send(wire.startup({"user": "app", "database": "app"}))
        half.expect("R")
        silent.expect_closed()
        half.expect_closed()
    still_serves(one, one.pids("worker"))
