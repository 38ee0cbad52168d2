"""What the published test suites of drivers and of PostgreSQL found through pgroute and not directly (scripts/suites), reduced."""
import pytest

from harness import wire

MODES = pytest.mark.parametrize("mode", ("session", "transaction"))


@MODES
@pytest.mark.parametrize("given", (
    {"client_encoding": "'utf-8'"}, {"client_encoding": "Unicode"}, {"DateStyle": "ISO"}, {"DateStyle": "german, ymd"},
    {"TimeZone": "utc"}, {"TimeZone": "europe/paris"}, {"standard_conforming_strings": "true"}, {"IntervalStyle": "POSTGRES"},
    {"client_encoding": "utf-8", "DateStyle": "iso", "TimeZone": "utc"}), ids=str)
def test_startup_parameters_are_told_as_the_server_spells_them(pg, pgroute, mode, given):
    """ParameterStatus at login is what it is directly, also where the value is the server's own default, spelled otherwise: then
    the server reports nothing when it is set. Each login twice; between them one with other values on the same server."""
    one = pgroute(pg, defaults={"pool_mode": mode, "pool_size": 1})
    other = {"client_encoding": "LATIN1", "DateStyle": "SQL, DMY", "TimeZone": "Asia/Tokyo", "IntervalStyle": "iso_8601"}
    told = []
    for port, asked in ((pg.port, given), (one.port, given), (one.port, other), (one.port, given), (one.port, given)):
        with wire.Client(port) as db:
            db.login(**asked)
            assert not db.query("SELECT 1").errors
            if asked is given:
                told.append({name: db.parameters[name] for name in sorted(db.parameters)})
            db.terminate()
    assert told[1:] == [told[0]] * 3


@pytest.mark.parametrize("given", ("ISO", "dmy"))
def test_a_date_style_in_part_is_not_completed_by_another_clients(pg, pgroute, given):
    one = pgroute(pg, workers=1, defaults={"pool_size": 1})
    told = []
    for port, asked in ((pg.port, given), (one.port, "SQL, YMD"), (one.port, given)):
        with wire.Client(port).login(DateStyle=asked) as db:
            told.append((db.parameters["DateStyle"], db.query("SHOW DateStyle").value()))
            db.terminate()
    assert told[2] == told[0]


def test_a_session_meets_nothing_of_the_one_before_where_no_connection_is_kept(pg, pgroute):
    """DISCARD ALL leaves a loaded library and the name space of temporary tables, and a kept connection holds its database: with a
    server_lifetime that is over at once each client of a session pool has a server process of its own, gone when it is gone."""
    one = pgroute(pg, defaults={"pool_mode": "session", "server_lifetime": "1ms"}, databases={
        "suites": {"servers": [{"host": "127.0.0.1", "port": pg.port}]}})

    def session(port):
        with wire.Client(port) as db:
            db.login(database="suites")
            pid = db.query("SELECT pg_backend_pid()").rows[0][0]
            seen = [db.query(sql).sqlstates for sql in (
                "SET plpgsql.suites = 1", "DO 'BEGIN END'", "SET plpgsql.suites = 1", "SET search_path = pg_temp",
                "BEGIN", "SELECT current_schema()", "PREPARE TRANSACTION 'suites'")]
            db.terminate()
            return pid, seen

    with pg.superuser() as look:
        look.execute("CREATE DATABASE suites OWNER app")
        try:
            direct = session(pg.port)[1]
            assert direct == [[], [], ["42602"], [], [], [], ["0A000"]]
            through = [session(one.port) for _ in range(3)]
        finally:
            look.execute("DROP DATABASE suites")  # waits for those that are about to leave
    assert [seen for _, seen in through] == [direct] * 3
    assert len({pid for pid, _ in through}) == 3
