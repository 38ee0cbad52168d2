"""Fixtures: servers for the session, a pgroute for each test.

    def test_x(pg, pgroute): ...                 pg: PostgreSQL 15, shared; pgroute: a function that starts one in front of it
    @both_versions                               pg is 15, then 18

Servers stand before pgroute in a test's arguments, so that pgroute ends first and the server is then seen to be idle.

PGROUTE_BUILD names the build under test (default asan).
"""
import os
import pathlib

import pytest

from harness import proc
from harness.fakeserver import FakeServer
from harness.pgroute import Pgroute, basic
from harness.postgres import Postgres, Template


def pytest_configure(config):
    """A folder for what the processes of one run (pytest -n) share, such as templates; the controlling process removes it."""
    given = getattr(config, "workerinput", {}).get("run_folder")
    config.run_folder = pathlib.Path(given) if given else proc.scratch("run")


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node):
    node.workerinput["run_folder"] = str(node.config.run_folder)


def pytest_unconfigure(config):
    if not hasattr(config, "workerinput"):
        proc.remove(config.run_folder)


@pytest.fixture(scope="session")
def run_folder(pytestconfig):
    return pytestconfig.run_folder


@pytest.fixture(scope="session")
def templates(run_folder):
    made = {}

    def get(version):
        if version not in made:
            made[version] = Template(version, run_folder)
        return made[version]

    return get


@pytest.fixture(scope="session")
def shared(templates):
    """shared(version): the session's server of that version."""
    started = {}

    def get(version):
        if version not in started:
            started[version] = Postgres(templates(version)).start()
        return started[version]

    yield get
    for server in started.values():
        server.close()


@pytest.fixture
def pg(request, shared):
    """The shared server, 15 unless the test is parametrised by both_versions; it must be idle before and after."""
    server = shared(getattr(request, "param", "15"))
    server.wait_backends(0)
    yield server
    try:
        server.wait_backends(0)
    except AssertionError:
        server.terminate(server.pids())  # this test fails alone, not all that come after it
        raise


@pytest.fixture
def own_pg(request, templates):
    """own_pg(version="15", **settings): a server of this test alone."""
    started = []

    def start(version="15", **settings):
        server = Postgres(templates(version), **settings)
        started.append(server)
        return server.start()

    yield start
    for server in started:
        server.close()


@pytest.fixture
def pgroute(request):
    """pgroute(server, **changes): starts one; all are closed and checked at the end, before the servers."""
    started = []

    def start(server=None, config=None, build=os.environ.get("PGROUTE_BUILD", "asan"), wait=True, **changes):
        one = Pgroute(config if config is not None else basic(server, **changes), build=build)
        started.append(one)
        return one.start() if wait else one

    yield start
    problems = []
    for one in reversed(started):
        if getattr(request.node, "failed", False):
            print(f"---- pgroute's log ({one.file}):\n{one.tail()}")
        try:
            one.close()
        except Exception as problem:
            problems.append(problem)
    if problems:
        raise problems[0]


@pytest.fixture(scope="module")
def standing(templates):
    """standing(version, **changes): one pgroute with a server of its own for tests of a module that cannot disturb each other."""
    servers, started = {}, {}

    def get(version="15", **changes):
        key = (version, repr(changes))
        if key not in started:
            if version not in servers:
                servers[version] = Postgres(templates(version)).start()
            started[key] = Pgroute(basic(servers[version], **changes), build=os.environ.get("PGROUTE_BUILD", "asan")).start()
            started[key].server = servers[version]
        return started[key]

    yield get
    problems = []
    for one in started.values():
        try:
            one.close()
        except Exception as problem:
            problems.append(problem)
    for server in servers.values():
        server.close()
    if problems:
        raise problems[0]


def superfluous(item):
    """test_tls_again needs PostgreSQL 15 alone: the 18 of the tests is built without TLS."""
    versions = item.callspec.id.split("-") if hasattr(item, "callspec") else []
    return item.module.__name__ == "test_tls_again" and "18" in versions


def pytest_collection_modifyitems(config, items):
    config.hook.pytest_deselected(items=[item for item in items if superfluous(item)])
    items[:] = [item for item in items if not superfluous(item)]


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    outcome = yield
    if call.when == "call" and outcome.get_result().failed:
        item.failed = True


@pytest.fixture(scope="session")
def pgx(run_folder):
    """The program of tests/drivers/pgx."""
    source = pathlib.Path(__file__).resolve().parents[1] / "drivers/pgx"
    return str(proc.once(run_folder, "pgx", lambda path: proc.run(["go", "build", "-o", str(path), "."], cwd=source, timeout=300)))


@pytest.fixture
def fake():
    """fake(script=..., auth=..., login=...): starts a scripted server."""
    started = []

    def start(*args, **kwargs):
        server = FakeServer(*args, **kwargs).start()
        started.append(server)
        return server

    yield start
    for server in started:
        server.stop()


@pytest.fixture
def threads():
    """A group of threads; what they raise is raised at the end of the test."""
    with proc.Threads() as group:
        yield group
