"""The tests of pool, cancels, prepared statements, COPY and session mode once more, with TLS to PostgreSQL 15 and to drivers."""
import pytest

import test_cancel
import test_copy
import test_pool
import test_prepared
import test_session
from harness import pgroute as harness
from harness import proc, tls
from harness.postgres import Postgres

# Each test is taken over under its module's name, so that none hides another
for module in (test_cancel, test_copy, test_pool, test_prepared, test_session):
    for name, thing in vars(module).items():
        if name.startswith("test_") and callable(thing):
            globals()[f"{name}__{module.__name__}"] = thing
        elif hasattr(thing, "_fixture_function") or hasattr(thing, "_pytestfixturefunction"):
            globals()[name] = thing


@pytest.fixture(scope="module", autouse=True)
def identity():
    authority = tls.Authority()
    harness.secure = authority.make("both", "localhost", "DNS:localhost,IP:127.0.0.1", owner=proc.unprivileged())
    yield harness.secure
    harness.secure = None
    authority.close()


def settings(identity):
    return {"ssl": "on", "ssl_cert_file": f"'{identity[0]}'", "ssl_key_file": f"'{identity[1]}'"}


@pytest.fixture(scope="module")
def shared(templates, identity):
    """As the session's, but with TLS; PostgreSQL 18 is built without."""
    started = {}

    def get(version):
        if version not in started:
            started[version] = Postgres(templates(version), **(settings(identity) if version == "15" else {})).start()
        return started[version]

    yield get
    for server in started.values():
        server.close()


@pytest.fixture
def own_pg(templates, identity):
    started = []

    def start(version="15", **given):
        server = Postgres(templates(version), **(settings(identity) if version == "15" else {}), **given)
        started.append(server)
        return server.start()

    yield start
    for server in started:
        server.close()


def test_both_sides_are_under_tls(shared, pgroute):
    server = shared("15")
    one = pgroute(server)
    with one.connect() as db:
        assert db.execute("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()").fetchone()[0]
        assert one.show("clients")[0]["tls"] and one.show("servers")[0]["tls"]
