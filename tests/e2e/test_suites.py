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
