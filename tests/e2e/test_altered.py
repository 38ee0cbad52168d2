"""Statements that were prepared before their table was altered: nobody reads rows by the description of others, and who can do
without an error gets none. (F24)"""
import asyncio
import contextlib

import asyncpg
import pytest

from harness import wire
from harness.marks import both_versions

SELECT = "SELECT * FROM altered"
TO_TEXT = "ALTER TABLE altered ALTER v TYPE text USING 'text ' || v"
PLAN = (["0A000"], "cached plan must not change result type")


@pytest.fixture
def table(pg):
    with pg.superuser("app") as db:
        db.execute("DROP TABLE IF EXISTS altered; CREATE TABLE altered AS SELECT 7 AS v; ALTER TABLE altered OWNER TO app")
        yield db
        db.execute("DROP TABLE altered")


class Connections:
    """A pool of two, each of them held by somebody. Who is to have one gets it of them."""

    def __init__(self, one, stack):
        self.one = one
        self.stack = stack
        self.holders = [self.client(), self.client()]
        for holder in self.holders:
            assert not holder.query("BEGIN").errors

    def client(self):
        return self.stack.enter_context(wire.Client(self.one.port).login())

    @contextlib.contextmanager
    def on(self, number):
        assert not self.holders[number].query("COMMIT").errors
        yield
        assert not self.holders[number].query("BEGIN").errors


@pytest.fixture
def pool(pg, pgroute, table):
    one = pgroute(pg, workers=1, defaults={"pool_size": 2})
    with contextlib.ExitStack() as stack:
        yield Connections(one, stack)


def asked(db, *messages):
    db.send(*messages, wire.sync())
    return db.ready()


def prepared(db, sql=SELECT):
    result = asked(db, wire.parse("s", sql), wire.describe("S", "s"))
    assert not result.errors, result.errors
    return result


def run(db, *values):
    return asked(db, wire.bind("", "s", values), wire.execute())


def run_described(db, *values):
    return asked(db, wire.bind("", "s", values), wire.describe("P"), wire.execute())


def plan(result):
    return result.sqlstates, result.errors[0]["M"] if result.errors else ""


def alter(pool, table, through, sql=TO_TEXT):
    """By somebody who goes through pgroute, or past it."""
    if through:
        with pool.on(0):
            assert not pool.client().query(sql).errors
    else:
        table.execute(sql)


THROUGH = pytest.mark.parametrize("through", (True, False), ids=("through", "past"))
EACH = pytest.mark.parametrize("where", (0, 1), ids=("same", "other"))


@both_versions
@THROUGH
@EACH
def test_who_was_told_of_other_rows_does_not_get_these(pool, table, through, where):
    """As directly, on the connection that has the statement from before as on one that has it not; in the words by which drivers
    know what to do."""
    a = pool.client()
    with pool.on(0):
        prepared(a)
        assert run(a).value() == "7"
    alter(pool, table, through)
    with pool.on(where):
        result = run(a)
        assert plan(result) == PLAN and result.rows == [] and result.status == "I"
        assert result.errors[0]["R"] == "RevalidateCachedQuery"
        assert plan(run(a)) == PLAN, "it was not told otherwise"
        assert asked(a, wire.close("S", "s")).errors == []
        prepared(a)
        assert run(a).value() == "text 7"
    with pool.on(1 - where):
        assert run(a).value() == "text 7"


@both_versions
@THROUGH
@EACH
def test_who_asks_for_the_description_each_time_gets_the_new_rows(pool, table, through, where):
    a = pool.client()
    with pool.on(0):
        assert not asked(a, wire.parse("s", SELECT)).errors
        assert run_described(a).value() == "7"
    alter(pool, table, through)
    with pool.on(where):
        result = run_described(a)
        assert (result.types, result.value()) == ("2TDCZ", "text 7")
    with pool.on(1 - where):
        assert run_described(a).value() == run(a).value() == "text 7"


@THROUGH
@EACH
def test_a_description_that_still_fits(pool, table, through, where):
    a = pool.client()
    with pool.on(0):
        prepared(a, "SELECT v FROM altered")
    alter(pool, table, through, "ALTER TABLE altered ADD COLUMN more text, ALTER v SET DEFAULT 3")
    with pool.on(where):
        assert run(a).types == "2DCZ"


@EACH
def test_who_has_prepared_it_since_meets_no_older_one(pool, table, where):
    """Nobody hears that a connection has it from before: neither at the Describe nor at the Bind."""
    a, b = pool.client(), pool.client()
    for number in (0, 1):
        with pool.on(number):
            asked(a, wire.close("S", "s"))
            prepared(a)
            assert run(a).value() == "7"
    table.execute(TO_TEXT)
    with pool.on(where):
        assert prepared(b).types == "1tTZ"
        assert run(b).value() == "text 7"
    with pool.on(1 - where):
        assert run(b).value() == "text 7"
        assert plan(run(a)) == PLAN


def test_in_a_transaction_it_fails_as_it_would(pool, table):
    a = pool.client()
    with pool.on(0):
        assert not asked(a, wire.parse("s", SELECT)).errors
        assert run_described(a).value() == "7"
    table.execute(TO_TEXT)
    with pool.on(0):
        assert not a.query("BEGIN").errors
        result = run_described(a)
        assert plan(result) == PLAN and result.status == "E"
        assert not a.query("ROLLBACK").errors
        assert run_described(a).value() == "text 7"


def test_a_batch_is_sent_again_only_whole(pool, table):
    """One that is too long to be kept, one whose beginning was answered, one with another behind it: the error is the server's. What
    did run ran once."""
    sql = "INSERT INTO altered SELECT * FROM altered WHERE $1 <> '' LIMIT 1 RETURNING *"
    batches = (
        [wire.bind("", "s", ["x" * 600]), wire.describe("P"), wire.execute(), wire.sync()],
        [wire.parse("", "SELECT 1"), wire.bind(), wire.execute(), wire.bind("", "s", ["x"]), wire.describe("P"), wire.execute(), wire.sync()],
        [wire.bind("", "s", ["x"]), wire.describe("P"), wire.execute(), wire.sync(), wire.query("SELECT 1")],
        [wire.bind("", "t"), wire.execute(), wire.bind("", "s", ["x"]), wire.describe("P"), wire.execute(), wire.sync()],
        [wire.bind("", "s", ["x"]), wire.describe("P"), wire.execute(), wire.sync(), wire.parse("", "SELECT 2"), wire.bind(),
         wire.execute(), wire.sync()],
    )
    behind = {2: "1", 4: "2"}
    types = ("integer USING 7", "text USING 'text'")
    a = pool.client()
    with pool.on(0):
        assert not asked(a, wire.parse("s", sql), wire.parse("t", "SELECT 2")).errors
        assert run_described(a, "x").value() == "7"
        for n, batch in enumerate(batches):
            table.execute("ALTER TABLE altered ALTER v TYPE " + types[(n + 1) % 2])
            a.send(*batch)
            result = a.ready()
            assert plan(result) == PLAN and "".join(result.types).count("2") <= 1, n
            if n in behind:
                assert a.ready().value() == behind[n]
            assert table.execute("SELECT count(*) FROM altered").fetchone() == (n + 2,)
            assert run_described(a, "x").value() == ("text", "7")[n % 2]
        table.execute("ALTER TABLE altered ALTER v TYPE " + types[0])
        query = wire.query("SELECT 1")
        a.send(wire.bind("", "s", ["x"]), wire.describe("P"), wire.execute(), wire.sync(), query[:3])
        assert a.ready().value() == "7"
        a.send(query[3:])
        assert a.ready().value() == "1"
        assert table.execute("SELECT count(*) FROM altered").fetchone() == (8,), "once each"


@pytest.mark.parametrize("name", ("", "write"))
def test_what_was_told_before_in_the_same_batch_is_not_forgotten(pool, table, name):
    """A write that was answered (Flush) goes with the error behind it, and the client hears of that."""
    a, b = pool.client(), pool.client()
    with pool.on(0):
        prepared(b)
        table.execute(TO_TEXT)
        a.send(wire.parse(name, "INSERT INTO altered VALUES (DEFAULT)"), wire.bind("", name), wire.execute(), wire.flush())
        assert [m.type for m in a.recv_until("C")] == ["1", "2", "C"]
        a.send(wire.parse("s", SELECT), wire.describe("S", "s"), wire.sync())
        result = a.ready()
        assert plan(result) == PLAN and result.status == "I"
    assert table.execute("SELECT count(*) FROM altered").fetchone() == (1,)


@EACH
def test_values_that_were_encoded_for_another_type(pool, table, where):
    """Four bytes of a date are no timestamp, and as a number another day."""
    table.execute("DELETE FROM altered; ALTER TABLE altered ALTER v TYPE date USING NULL")
    a = pool.client()
    day = (8765).to_bytes(4, "big")
    with pool.on(0):
        prepared(a, "INSERT INTO altered VALUES ($1)")
        assert not asked(a, wire.bind("", "s", [day], formats=[1]), wire.execute()).errors
        assert not pool.client().query("ALTER TABLE altered ALTER v TYPE integer USING 1").errors
    with pool.on(where):
        assert plan(asked(a, wire.bind("", "s", [day], formats=[1]), wire.execute())) == PLAN
    assert table.execute("SELECT v FROM altered").fetchall() == [(1,)]


def test_rows_too_wide_to_be_compared(pool, table):
    """More than 32 kB of description are not looked at: such a statement goes on as before. (Documented.)"""
    sql = "SELECT " + ", ".join(f"v AS column_with_a_long_name_{n:04}" for n in range(1000)) + " FROM altered"
    a = pool.client()
    with pool.on(0):
        prepared(a, sql)
    for number in (1, 0, 1):
        with pool.on(number):
            assert run(a).rows[0][999] == "7"


def test_an_asked_for_description_costs_one_round_trip_and_no_more(pool, pg, table):
    """What one connection has said of a statement is known to all workers from then on."""
    a = pool.client()
    with pool.on(0):
        prepared(a)
    before = pool.one.show("stats")[0]["total_server_parse_count"]
    with pool.on(1):
        for _ in range(5):
            assert run(a).value() == "7"
    assert pool.one.show("stats")[0]["total_server_parse_count"] - before == 1


def test_each_statement_of_a_transaction_is_asked_for(pool):
    """On a connection that has none of them, with and without a description in the batch."""
    a = pool.client()
    with pool.on(0):
        for n in range(3):
            assert not asked(a, wire.parse(f"s{n}", f"SELECT v + {n} FROM altered"), wire.describe("S", f"s{n}")).errors
    with pool.on(1):
        assert not a.query("BEGIN").errors
        for n in (0, 1, 2, 1):
            assert asked(a, wire.bind("", f"s{n}"), wire.execute()).value() == str(7 + n)
        assert not a.query("COMMIT").errors


@both_versions
@pytest.mark.parametrize("direct", (True, False), ids=("directly", "pgroute"))
@THROUGH
def test_asyncpg_notices_nothing(pg, pgroute, table, direct, through):
    """It caches statements by text, knows their rows from the Describe, and prepares them once more when it is told so."""
    port = pg.port if direct else pgroute(pg, workers=2, defaults={"pool_size": 3}).port

    async def main():
        clients = [await asyncpg.connect(host="127.0.0.1", port=port, user="app", password="app-secret", database="app") for _ in range(8)]
        try:
            for kind, value in (("integer USING 7", 7), ("text USING '7'", "7"), ("bigint USING 7", 7), ("date USING '2000-01-08'", None)):
                if through:
                    await clients[0].execute("ALTER TABLE altered ALTER v TYPE " + kind)
                else:
                    table.execute("ALTER TABLE altered ALTER v TYPE " + kind)
                for _ in range(3):
                    for rows in await asyncio.gather(*(client.fetch(SELECT) for client in clients)):
                        assert value is None or rows[0]["v"] == value, (kind, rows)
                        assert len(rows) == 1
        finally:
            for client in clients:
                client.terminate()

    asyncio.run(main())


@pytest.mark.parametrize("binary", (False, True))
def test_psycopg_gets_new_columns(pg, pgroute, table, binary):
    """It describes each time. Directly this is an error."""
    one = pgroute(pg, workers=2, defaults={"pool_size": 2})
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(one.connect(prepare_threshold=0)) for _ in range(4)]
        for kind, value in (("integer USING 7", 7), ("text USING 'seven'", "seven"), ("bigint USING 8", 8)):
            table.execute("ALTER TABLE altered ALTER v TYPE " + kind)
            for _ in range(3):
                for client in clients:
                    assert client.cursor(binary=binary).execute(SELECT).fetchall() == [(value,)]
