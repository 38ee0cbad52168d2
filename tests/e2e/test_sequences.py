"""currval() and lastval() answer from the client's own nextval(), or not at all."""
import psycopg
import pytest

from harness import wire
from harness.marks import both_versions


@pytest.fixture
def table(pg):
    with pg.superuser("app") as db:
        db.execute("DROP TABLE IF EXISTS counted; CREATE TABLE counted (id bigserial, by text); GRANT ALL ON counted TO PUBLIC;"
                   "GRANT ALL ON SEQUENCE counted_id_seq TO PUBLIC")
        yield db
        db.execute("DROP TABLE counted")


def insert(db, by):
    assert not db.query(f"INSERT INTO counted (by) VALUES ('{by}')").errors


def own(look, number, by):
    return look.execute("SELECT by FROM counted WHERE id = %s", (number,)).fetchone() == (by,)


@both_versions
@pytest.mark.parametrize("asks", ("lastval()", "currval('counted_id_seq')"))
@pytest.mark.parametrize("size", (1, 2))
def test_nobody_gets_the_number_of_another(pg, pgroute, table, asks, size):
    """Each inserts, then asks in a transaction of its own, where the other has inserted meanwhile or not."""
    one = pgroute(pg, workers=1, defaults={"pool_size": size})
    answered = 0
    with wire.Client(one.port).login() as a, wire.Client(one.port).login() as b:
        for turn in range(20):
            insert(a, "a")
            if turn % 2:
                insert(b, "b")
            got = a.query(f"SELECT {asks}")
            if got.errors:
                assert got.sqlstates == ["55000"]
            else:
                assert own(table, got.value(), "a")
                answered += 1
        assert answered >= 5


@both_versions
def test_in_the_transaction_of_the_nextval_it_is_known(pg, pgroute, table):
    one = pgroute(pg, workers=1, defaults={"pool_size": 1})
    with wire.Client(one.port).login() as a, wire.Client(one.port).login() as b:
        for db, by in ((a, "a"), (b, "b"), (a, "a")):
            db.query("BEGIN")
            insert(db, by)
            number = db.query("SELECT lastval()").value()
            db.query("COMMIT")
            assert own(table, number, by)
        insert(b, "b")
        # in one text, and in one pipeline
        assert own(table, a.query("INSERT INTO counted (by) VALUES ('a'); SELECT lastval()").value(), "a")
        insert(b, "b")
        a.send(wire.query("INSERT INTO counted (by) VALUES ('a')"), wire.query("SELECT lastval()"))
        assert not a.ready().errors
        assert own(table, a.ready().value(), "a")


def test_a_transaction_without_nextval_knows_nothing(pg, pgroute, table):
    one = pgroute(pg, workers=1, defaults={"pool_size": 1})
    with wire.Client(one.port).login() as a, wire.Client(one.port).login() as b:
        insert(a, "a")
        assert own(table, a.query("SELECT lastval()").value(), "a")
        insert(b, "b")
        a.query("BEGIN")
        assert a.query("SELECT lastval()").sqlstates == ["55000"]
        a.query("ROLLBACK")


@both_versions
def test_prepared_statements_ask_too(pg, pgroute, table):
    one = pgroute(pg, workers=1, defaults={"pool_size": 1})
    with wire.Client(one.port).login() as a, wire.Client(one.port).login() as b:
        for name in ("", "last"):
            insert(a, "a")
            a.send(wire.parse(name, "SELECT lastval()"), wire.bind("", name), wire.execute(), wire.sync())
            assert own(table, a.ready().value(), "a")
            insert(b, "b")
            a.send(*([wire.parse("", "SELECT lastval()")] if name == "" else []), wire.bind("", name), wire.describe("P", ""),
                   wire.execute(), wire.sync())
            refused = a.ready()
            assert refused.sqlstates == ["55000"] and "RETURNING" in refused.errors[0]["H"]
            assert a.query("SELECT 1").value() == "1"


def test_with_a_driver(pg, pgroute, table):
    one = pgroute(pg, defaults={"pool_size": 1})
    with one.connect() as a, one.connect() as b:
        a.execute("INSERT INTO counted (by) VALUES ('a')")
        number = a.execute("SELECT lastval()").fetchone()[0]
        assert own(table, number, "a")
        a.commit()
        b.execute("INSERT INTO counted (by) VALUES ('b')")
        b.commit()
        with pytest.raises(psycopg.errors.ObjectNotInPrerequisiteState):
            a.execute("SELECT lastval()")
        a.rollback()


def test_pinned_and_session_mode_ask_their_server(pg, pgroute, table):
    one = pgroute(pg, workers=1, defaults={"pool_size": 2, "pool_mode": "session"})
    with wire.Client(one.port).login() as a, wire.Client(one.port).login() as b:
        assert a.query("SELECT lastval()").sqlstates == ["55000"]
        insert(a, "a")
        insert(b, "b")
        assert own(table, a.query("SELECT lastval()").value(), "a")
