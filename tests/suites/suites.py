"""Published test suites directly at PostgreSQL and through pgroute, compared test by test; started by scripts/suites.

Each way has a server of its own from one template, so what a run leaves behind does not meet the next. A suite is judged by
itself: this file only starts it with an address and reads its verdicts. What failed directly counts as well: it has to fail
through pgroute, and where a suite writes its output down, with the same output.
"""
import argparse
import contextlib
import copy
import dataclasses
import difflib
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import xml.etree.ElementTree as tree

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "e2e"))

from harness import proc  # noqa: E402
from harness.pgroute import ROOT, Pgroute, server as server_of  # noqa: E402
from harness.postgres import Postgres, Template  # noqa: E402

USER, PASSWORD, DATABASE = "postgres", "postgres-secret", "suite"
DIRECT = "direct"
GOOD = ("passed", "skipped")
LIMIT = 1500  # seconds of one run of one suite
TEST_LIMIT = 60  # seconds of one test of a driver

# Tests that may differ, each with what the difference has to be then: of regress the lines of its outputs that are not the same,
# of a driver a pattern in the text of the failure through pgroute. README.md has the reasons.
KEPT, INVENTED, RACE = "kept connection", "pid or name of pgroute's own", "race of the test's own"
IN_USE, PID = "is being accessed by other users", r"\b524\d{3}\b"
KNOWN = {
    "regress": {
        "temp": (KEPT, ["-ERROR:  cannot PREPARE a transaction that has operated on temporary objects"]),
        "guc": (KEPT, ['+ERROR:  invalid configuration parameter name "plpgsql.extra_foo_warnings"',
                       '+DETAIL:  "plpgsql" is a reserved prefix.',
                       '-WARNING:  invalid configuration parameter name "plpgsql.extra_foo_warnings", removing it',
                       '-DETAIL:  "plpgsql" is now a reserved prefix.']),
        "stats": (KEPT, ["- t", "+ f"]),
    },
    "psycopg2": {
        "tests.test_async.AsyncTests.test_notify": (INVENTED, PID),
        "tests.test_connection.TestConnectionInfo.test_backend_pid": (INVENTED, PID),
        "tests.test_cursor.CursorTests.test_external_close_async": (INVENTED, "server closed the connection unexpectedly"),
        **{f"tests.test_notify.NotifiesTests.test_{name}": (INVENTED, PID) for name in (
            "many_notifies", "notifies_received_on_commit", "notifies_received_on_execute", "notifies_received_on_poll",
            "notifies_received_on_reset", "notifies_received_on_rollback", "notifies_received_on_set_client_encoding",
            "notifies_received_on_set_session", "notify_attributes", "notify_payload")},
    },
    "asyncpg": {
        "tests.test_cache_invalidation.TestCacheInvalidation.test_type_cache_invalidation_in_pool": (KEPT, IN_USE),
        "tests.test_introspection.TestIntrospection.test_introspection_sticks_for_ps": (KEPT, IN_USE),
        **{f"tests.test_listeners.TestListeners.test_listen_{name}": (INVENTED, PID) for name in ("01", "02", "notletters")},
        "tests.test_pool.TestPool.test_pool_min_size_restored_after_idle_connection_loss": (INVENTED, "TimeoutError"),
        "tests.test_pool.TestPool.test_pool_remote_close": (INVENTED, "terminating connection due to administrator command"),
        "tests.test_pool.TestPool.test_pool_config_persistence": (RACE, r"unexpected connection_lost\(\) call"),
        "tests.test_execute.TestExecuteMany.test_executemany_server_failure_during_writes": (RACE, "128 not less than 128"),
        "tests.test_prepare.TestPrepare.test_prepare_explicitly_named": (INVENTED, 'prepared statement "foobar" does not exist'),
    },
}


@dataclasses.dataclass
class Verdict:
    word: str  # passed, failed, skipped
    output: str = ""  # compared where both failed
    where: str = ""  # how to ask for this test alone; empty: it depends on others
    why: str = ""  # the text of a failure, where the suite tells it; never compared

    def equals(self, other):
        return self.word == other.word and (self.word in GOOD or self.output == other.output)


def run(command, log, **kwargs):
    """The suite in a group of its own, which ends with it or at LIMIT."""
    with open(log, "wb") as output:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT,
                                   start_new_session=True, **kwargs)
        try:
            return process.wait(LIMIT)
        except subprocess.TimeoutExpired:
            print(f"broken off after {LIMIT} s: {log}")
            return None
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


class Regress:
    """PostgreSQL's own: pg_regress with psql, one test after another in the order of its schedule."""
    VERDICT = re.compile(r"^(?:test|    ) +(\S+) +\.\.\. (ok|FAILED|failed)", re.M)

    def __init__(self, fetched, only):
        self.fetched, self.only = fetched / "regress", only

    def run(self, port, work, logs):
        """The server reads and writes files of the suite, so both run as one user in a folder of that user."""
        user = proc.unprivileged()
        shutil.copytree(self.fetched, work / "regress")
        if user is not None:
            proc.run(["chown", "-R", f"{user.pw_uid}:{user.pw_gid}", str(work)])
        regress = work / "regress"
        tests = self.only.split() if self.only else [f"--schedule={regress}/parallel_schedule"]
        command = [str(regress / "pg_regress"), f"--inputdir={regress}", f"--outputdir={work}", f"--dlpath={regress}/lib",
                   "--bindir=/usr/lib/postgresql/15/bin", "--host=127.0.0.1", f"--port={port}", f"--user={USER}",
                   "--max-connections=1", *tests]
        run(proc.as_user(user, command), logs / "output", cwd=work,
            env={"PATH": os.environ["PATH"], "PGPASSWORD": PASSWORD, "LC_ALL": "C"})
        for name in ("regression.diffs", "results"):
            if (work / name).exists():
                shutil.move(work / name, logs / name)
        # a path that differs between the ways is no difference
        return {name: Verdict("passed" if word == "ok" else "failed", self.result(logs, name).replace(str(work), ""))
                for name, word in self.VERDICT.findall((logs / "output").read_text(errors="replace"))}

    def result(self, logs, name):
        path = logs / "results" / f"{name}.out"
        return path.read_text(errors="replace") if path.exists() else "no output"


class Driver:
    """A driver's own: its tests folder under pytest, against the driver installed in this interpreter's environment."""

    def __init__(self, source, tools, only, **environment):
        self.source, self.tools, self.only, self.environment = source, tools, only, environment
        self.tests = ["tests"]

    def alone(self, where):
        some = copy.copy(self)
        some.tests = where
        return some

    def run(self, port, work, logs):
        shutil.copytree(self.source / "tests", work / "tests")
        if (self.source / "pyproject.toml").exists():  # with options for pytest
            shutil.copy(self.source / "pyproject.toml", work)
        address = {"PGHOST": "127.0.0.1", "PGPORT": str(port), "PGUSER": USER, "PGPASSWORD": PASSWORD, "PGDATABASE": DATABASE}
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", f"--timeout={TEST_LIMIT}",
                   "-p", "no:randomly", f"--rootdir={work}", f"--junitxml={logs}/junit.xml", "-o", "junit_family=xunit1",
                   *(["-k", self.only] if self.only else []), *self.tests]
        run(command, logs / "output", cwd=work, env={
            **os.environ, **address, **self.environment, "PYTHONHASHSEED": "0", "PYTHONDONTWRITEBYTECODE": "1",
            "PYTHONPATH": str(self.tools)})
        return self.verdicts(logs / "junit.xml")

    def verdicts(self, path):
        found = {}
        for case in tree.parse(path).getroot().iter("testcase") if path.exists() else ():
            bad = [part.text or "" for kind in ("failure", "error") for part in case.findall(kind)]
            word = "failed" if bad else "skipped" if case.find("skipped") is not None else "passed"
            name = f"{case.get('classname')}.{case.get('name')}"
            if found.get(name, Verdict("")).word != "failed":
                classes = case.get("classname").split(".")[len(pathlib.PurePath(case.get("file")).parts):]
                found[name] = Verdict(word, where="::".join([case.get("file"), *classes, case.get("name")]), why="\n".join(bad))
        return found


def suites(fetched, only):
    tools = fetched / "tools"
    return {
        "regress": Regress(fetched, only),
        "psycopg": Driver(pathlib.Path(os.environ.get("PSYCOPG_TREE", "missing")), tools, only, PSYCOPG_TEST_DSN="host=127.0.0.1"),
        "psycopg2": Driver(fetched / "psycopg2", tools, only, PSYCOPG2_TESTDB=DATABASE),
        "asyncpg": Driver(fetched / "asyncpg", tools, only, PGDATABASE="postgres"),  # its tests mix the two
    }


def configuration(postgres, mode, changes):
    return {"workers": 2, "log": {"level": "info"}, "databases": {"*": {"servers": [server_of(postgres)]}},
            "users": {USER: {"password": PASSWORD}}, "defaults": {"pool_mode": mode, "pool_size": 200, **changes}}


@contextlib.contextmanager
def address(way, template, logs, changes):
    """The port of a fresh server, or of a pgroute in front of one."""
    postgres = Postgres(template)
    try:
        postgres.start()
        with postgres.superuser() as db:
            db.execute(f"ALTER ROLE {USER} PASSWORD '{PASSWORD}'")
            db.execute(f"CREATE DATABASE {DATABASE}")
        with postgres.superuser(DATABASE) as db:
            db.execute("CREATE EXTENSION hstore")
        if way == DIRECT:
            yield postgres.port
            return
        one = Pgroute(configuration(postgres, way, changes), build="release")
        try:
            yield one.start().port
            shutil.copy(one.log, logs / "pgroute.log")
        finally:
            one.close()
    finally:
        if postgres.log.exists():
            shutil.copy(postgres.log, logs / "postgres.log")
        postgres.close()


def run_way(suite, way, template, logs, changes=()):
    proc.remove(logs)
    logs.mkdir(parents=True)
    work = proc.scratch("suite")
    try:
        with address(way, template, logs, dict(changes)) as port:
            return suite.run(port, work, logs)
    finally:
        proc.remove(work)


def count(verdicts):
    words = [verdict.word for verdict in verdicts.values()]
    return ", ".join(f"{words.count(word)} {word}" for word in ("passed", "failed", "skipped"))


def differences(direct, other):
    """(name, word directly, word through pgroute) of each test whose verdict is not the same."""
    missing = Verdict("not run")
    pairs = [(name, direct.get(name, missing), other.get(name, missing)) for name in [*direct, *(other.keys() - direct.keys())]]
    return [pair for pair in pairs if not pair[1].equals(pair[2])]


def diff(one, other, context=1):
    return list(difflib.unified_diff(one.output.splitlines(), other.output.splitlines(), "directly", "pgroute", lineterm="", n=context))


def tell(name, one, other, folder, reason):
    both = one.word == other.word
    print(f"    {name}: directly {one.word}, through pgroute {other.word}{', with other output' if both else ''}"
          f"{f' (known: {reason})' if reason else ''}")
    if one.output or other.output:
        (folder / f"{name}.diff").write_text("\n".join(diff(one, other)) + "\n")


def known(suite, way, changes, name, one, other):
    """The reason why that test may differ in this way, if it does so as KNOWN says; None: it is news."""
    reason, want = KNOWN.get(suite, {}).get(name, (None, None))
    if reason is None or other.word != "failed" or one.word != "passed":
        return None
    if {KEPT: "server_lifetime" in dict(changes), INVENTED: way == "session", RACE: False}[reason]:
        return None
    if isinstance(want, str):
        return reason if re.search(want, other.why) else None
    return reason if [line for line in diff(one, other, 0)[2:] if not line.startswith("@@")] == want else None


def counted(suite, found, template, logs):
    """Without those that fail directly among the others, but not alone: such a test is unsteady itself."""
    where = [one.where for _, one, _ in found if one.word == "failed" and one.where]
    if not where:
        return found
    alone = run_way(suite.alone(where), DIRECT, template, logs / f"{DIRECT}-alone")
    unsteady = [name for name, verdict in alone.items() if verdict.word == "passed"]
    for name in unsteady:
        print(f"    {name}: fails directly at times, does not count")
    return [difference for difference in found if difference[0] not in unsteady]


def compare(name, suite, ways, template, changes):
    """How many tests differ for no known reason."""
    logs = ROOT / "build" / "suites" / name
    direct = run_way(suite, DIRECT, template, logs / DIRECT)
    print(f"{name} directly: {count(direct)}", flush=True)
    total = 0 if any(verdict.word == "passed" for verdict in direct.values()) else 1  # a suite that does not even start
    for way in ways:
        other = run_way(suite, way, template, logs / way, changes)
        found = differences(direct, other)
        setting = "".join(f", {key} {value}" for key, value in changes)
        print(f"{name} through pgroute, pool_mode {way}{setting}: {count(other)}; {len(found)} differ", flush=True)
        for difference in counted(suite, found, template, logs):
            reason = known(name, way, changes, *difference)
            tell(*difference, logs / way, reason)
            total += reason is None
    return total


def main():
    parser = argparse.ArgumentParser(prog="scripts/suites")
    parser.add_argument("--fetched", type=pathlib.Path, required=True)
    parser.add_argument("--mode", choices=("session", "transaction", "statement"), action="append")
    parser.add_argument("--set", type=lambda text: text.split("=", 1), action="append", default=[])
    parser.add_argument("--only", default="")
    parser.add_argument("suite", nargs="+")
    given = parser.parse_args()
    named = suites(given.fetched, given.only)
    folder = proc.scratch("suites")
    try:
        template = Template("15", folder)
        total = sum(compare(name, named[name], given.mode or ["session"], template, given.set) for name in given.suite)
    finally:
        proc.remove(folder)
    print("no test differs for a reason that is not known" if total == 0 else f"{total} differ; logs in build/suites")
    return 1 if total else 0


if __name__ == "__main__":
    sys.exit(main())
