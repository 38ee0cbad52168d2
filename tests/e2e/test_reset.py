"""RESET and what goes to defaults otherwise: to the client its startup parameters are the session's defaults, in every pool mode,
in transactions and outside, as if it had logged in to PostgreSQL itself. (F4)"""
import itertools

import pytest

from harness import trace, wire
from harness.marks import both_versions
from harness.wire import bind, describe, execute, parse, query, sync

STARTUP = {"application_name": "mine", "TimeZone": "Asia/Tokyo", "DateStyle": "German, DMY", "client_encoding": "LATIN1",
           "options": "-c work_mem=9MB -c my.tenant=5 -c statement_timeout=77s -c search_path=pg_catalog,public"}
SHOWN = ("application_name", "TimeZone", "DateStyle", "client_encoding", "work_mem", "my.tenant", "statement_timeout",
         "search_path", "IntervalStyle", "maintenance_work_mem", "role")
LOOK = "SELECT " + ", ".join(f"current_setting('{name}')" for name in SHOWN)

SEQUENCES = {
    "one": ["SET work_mem = '77MB'", "RESET work_mem"],
    "reported": ["SET TimeZone = 'Europe/Berlin'", "RESET TimeZone"],
    "reported-set-to-the-servers-default": ["SET TimeZone = 'UTC'", LOOK, "RESET TimeZone"],
    "without-a-set": ["RESET work_mem", "RESET TimeZone", "RESET application_name"],
    "all": ["SET work_mem = '77MB'", "SET TimeZone = 'Europe/Berlin'", "SET IntervalStyle = 'iso_8601'", "RESET ALL"],
    "all-without-a-set": ["RESET ALL"],
    "another-is-left-alone": ["SET work_mem = '77MB'", "SET DateStyle = 'ISO, MDY'", "RESET maintenance_work_mem"],
    "not-of-the-startup": ["SET maintenance_work_mem = '77MB'", "SET IntervalStyle = 'iso_8601'", "RESET maintenance_work_mem",
                           LOOK, "RESET IntervalStyle"],
    "custom": ["SET my.tenant = '6'", LOOK, "RESET my.tenant"],
    "in-a-transaction": ["SET work_mem = '77MB'", "BEGIN", "RESET work_mem", LOOK, "RESET ALL", LOOK, "COMMIT"],
    "rolled-back": ["SET work_mem = '77MB'", "SET TimeZone = 'Europe/Berlin'", "BEGIN", "RESET ALL", LOOK, "ROLLBACK"],
    "rolled-back-without-a-set": ["BEGIN", "RESET ALL", LOOK, "ROLLBACK"],
    "failed": ["SET TimeZone = 'Europe/Berlin'", "BEGIN", "RESET ALL", "SELECT 1/0", "ROLLBACK"],
    "failed-in-one": ["SET TimeZone = 'Europe/Berlin'", "BEGIN; RESET ALL; SELECT 1/0", "ROLLBACK"],
    "failed-behind-a-savepoint": ["SET work_mem = '77MB'", "BEGIN; RESET ALL; SAVEPOINT s; SELECT 1/0", "ROLLBACK TO s", LOOK, "COMMIT"],
    "to-a-savepoint": ["SET work_mem = '77MB'", "BEGIN", "SAVEPOINT s", "RESET ALL", LOOK, "ROLLBACK TO s", LOOK, "COMMIT"],
    "set-local": ["BEGIN", "SET LOCAL work_mem = '77MB'", "SET LOCAL TimeZone = 'UTC'", LOOK, "RESET work_mem", LOOK, "COMMIT"],
    "behind-a-set-of-another-in-one": ["SET IntervalStyle = 'iso_8601'; RESET work_mem", "SET IntervalStyle = 'postgres'; RESET ALL"],
    "set-again-in-one": ["SET TimeZone = 'Europe/Berlin'", "RESET TimeZone; SET TimeZone = 'UTC'"],
    "failed-on-its-own": ["RESET work_mem; SELECT 1/0", "RESET no_such_setting"],
    "reported-to-default": ["SET TimeZone = 'Europe/Berlin'", "SET TimeZone TO DEFAULT", LOOK, "SET application_name TO DEFAULT"],
    "reported-by-set-config": ["SELECT set_config('TimeZone', 'UTC', false)", LOOK, "SET TimeZone = 'Europe/Berlin'",
                               "SELECT set_config('TimeZone', NULL, false) IS NULL"],
    "discard": ["SET work_mem = '77MB'", "SET TimeZone = 'Europe/Berlin'", "DISCARD ALL"],
    "discard-without-a-set": ["DISCARD ALL", LOOK, "SET TimeZone = 'UTC'", "RESET TimeZone"],
    "role": ["SET ROLE pg_monitor", "RESET work_mem", LOOK, "RESET ROLE"],
}
LOGINS = {"session": {"pool_mode": "session"}, "transaction": {"pool_mode": "transaction"}, "pinned": {"pool_mode": "transaction"}}


def steps(name, extended):
    """Each SQL text of the sequence and a look at the settings behind it."""
    sequence = [*SEQUENCES[name], LOOK, LOOK]
    if not extended:
        return [query(sql) for sql in sequence]
    return [query(sql) if ";" in sql else parse("", sql) + bind() + describe("P") + execute() + sync() for sql in sequence]


def normal(messages):
    """Several ParameterStatus of one command have no order: PostgreSQL 18 sends them as its hash table has them."""
    groups = itertools.groupby(trace.normal(messages), lambda m: m[0] == "S")
    return [m for reports, group in groups for m in (sorted(group) if reports else group)]


def run(port, sequence, pinned, parameters):
    with wire.Client(port).login(**parameters) as client:
        if pinned:
            client.query("LISTEN pinned")
        messages = [normal(trace.exchange(client, step)) for step in sequence]
        client.terminate()
        return messages


@both_versions
@pytest.mark.parametrize("extended", [False, True], ids=["simple", "extended"])
@pytest.mark.parametrize("login", LOGINS)
@pytest.mark.parametrize("name", SEQUENCES)
def test_defaults_are_those_of_the_startup(pg, standing, login, name, extended):
    one = standing(pg.version, defaults={"pool_size": 1, **LOGINS[login]})
    with one.server.superuser() as db:
        db.execute("GRANT pg_monitor TO app")
    sequence = steps(name, extended)
    wanted, got = (run(port, sequence, login == "pinned", STARTUP) for port in (one.server.port, one.port))
    for step, (there, here) in enumerate(zip(wanted, got)):
        assert here == there, f"step {step}: {sequence[step]!r:.200}"
    with wire.Client(one.port).login() as other, wire.Client(one.server.port).login() as direct:
        look = LOOK.replace("current_setting('my.tenant')", "coalesce(current_setting('my.tenant', true), '')")
        assert other.query(look).rows == direct.query(look).rows
        other.terminate()


@both_versions
def test_the_unnamed_statement_stays_behind_a_reset(pg, pgroute):
    for mode in ("session", "transaction"):
        one = pgroute(pg, defaults={"pool_size": 1, "pool_mode": mode})
        with wire.Client(one.port).login(**STARTUP) as client:
            client.query("SET work_mem = '77MB'")
            client.send(parse("", "RESET work_mem"), sync())
            assert client.ready().types == "1Z"
            for _ in range(2):
                client.send(bind(), execute(), sync())
                assert client.ready().types == "2CZ"
                assert client.query("SHOW work_mem").value() == "9MB"
                client.send(parse("", "RESET work_mem"), sync())
                assert client.ready().types == "1Z"
            client.send(bind(), execute(), sync(), bind(), execute(), sync())
            assert client.ready().types + client.ready().types == "2CZ2CZ"
            client.send(bind(), execute(), sync())
            assert client.ready().types == "2CZ"


@both_versions
def test_what_is_pipelined_behind_a_reset_keeps_its_order(pg, pgroute):
    """The requests behind it run before the startup values are back; the client gets its answers in order, and its values."""
    one = pgroute(pg, defaults={"pool_size": 1})
    with wire.Client(one.port).login(**STARTUP) as client, wire.Client(one.port).login() as other:
        for n in range(5):
            client.send(query("SET TimeZone = 'Europe/Berlin'"), query("RESET ALL"), *(query(f"SELECT {k}") for k in range(20)))
            results = [client.ready() for _ in range(22)]
            assert [r.rows for r in results[2:]] == [[(str(k),)] for k in range(20)]
            assert client.parameters["TimeZone"] == "Asia/Tokyo"
            assert client.query(LOOK).rows[0][:8] == ("mine", "Asia/Tokyo", "German, DMY", "LATIN1", "9MB", "5", "77s",
                                                      "pg_catalog,public")
            assert other.query("SELECT current_setting('work_mem') || current_setting('TimeZone')").value() == "4MBUTC"


@pytest.mark.parametrize("leave", ["terminate", "close", "reset"])
def test_a_client_that_resets_and_leaves_harms_nobody(pg, pgroute, leave):
    one = pgroute(pg, defaults={"pool_size": 1})
    with wire.Client(one.port).login(TimeZone="Asia/Tokyo", options="-c work_mem=9MB") as other:
        for n in range(3):
            client = wire.Client(one.port).login(**STARTUP)
            client.query("SELECT 1")
            client.send(query("RESET ALL"), wire.terminate() if leave == "terminate" else b"")
            client.close() if leave == "terminate" else getattr(client, leave)()
            assert other.query("SELECT current_setting('work_mem') || current_setting('TimeZone')").value() == "9MBAsia/Tokyo"


def test_a_startup_value_that_cannot_come_back_ends_the_session(pg, pgroute):
    """What a RESET goes to is not to be had any more: the next request is answered by an error, not under another value."""
    one = pgroute(pg, defaults={"pool_size": 1})
    with pg.superuser() as db:
        db.execute("GRANT pg_monitor TO app")
        with wire.Client(one.port).login(options="-c role=pg_monitor") as client:
            assert client.query("SELECT current_user").value() == "pg_monitor"
            db.execute("REVOKE pg_monitor FROM app")
            assert client.query("RESET ROLE").tags == ["RESET"]
            client.send(query("SELECT current_user"))
            seen = client.expect_closed()
        assert [wire.error_fields(m.body)["C"] for m in seen if m.type == "E"] == ["42501"]
        assert not {"D", "Z"} & {m.type for m in seen}
        db.execute("GRANT pg_monitor TO app")
    with wire.Client(one.port).login() as client:
        assert client.query("SELECT current_user").value() == "app"
