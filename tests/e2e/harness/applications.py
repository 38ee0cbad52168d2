"""Applications with real drivers that do everything in random order: psycopg and asyncpg here, pgx in tests/drivers/pgx/chaos.go.

Each client asks only for words that nobody else asks for, knows what it has set, and notes of each row that it wrote whether it
was committed. A client whose connection ends begins anew. What it does next is drawn from dice; what must hold is in Client.
"""
import asyncio
import collections
import contextlib
import logging
import os
import socket

import asyncpg
import psycopg

from . import scale

SETUP = """DROP TABLE IF EXISTS written;
    CREATE TABLE written (driver text, client int, number int, filler text); GRANT ALL ON written TO PUBLIC"""
INSERT = "INSERT INTO written VALUES ($1, $2::int, $3::int, $4)"
DEFAULTS = {"application_name": "", "work_mem": "4MB", "statement_timeout": "0", "search_path": '"$user", public',
            "TimeZone": "UTC", "chaos.word": ""}
ZONES = ("Asia/Tokyo", "Europe/Berlin", "America/Lima", "Africa/Cairo")
LOOK = "SELECT $1::text, " + ", ".join(f"current_setting('{name}', true)" for name in DEFAULTS)
COMMITTED, FAILED, UNKNOWN = "committed", "failed", "unknown"
STUCK = 150  # seconds; pgroute itself ends a wait in its queue earlier


class Fault(AssertionError):
    """What may not happen to a client."""


class Lost(Exception):
    """The connection ended without a word of the server."""


class Left(Exception):
    """The client ended its session itself."""


class Refused(Exception):
    """An error that the server sent."""

    def __init__(self, sqlstate, text, routine):
        super().__init__(f"{sqlstate}: {text} ({f'of PostgreSQL, {routine}' if routine else 'of pgroute'})")
        self.sqlstate = sqlstate


# -- the drivers, each behind the same face

class Psycopg:
    name, db = "psycopg", None

    @contextlib.contextmanager
    def words(self):
        """Turns the driver's exceptions into ours."""
        try:
            yield
        except psycopg.Error as problem:
            if problem.sqlstate is not None:
                raise Refused(problem.sqlstate, str(problem), problem.diag.source_function) from problem
            if isinstance(problem, psycopg.OperationalError):
                raise Lost(str(problem)) from problem
            raise

    async def open(self, port, settings, dice):
        self.db = None
        options = "".join(f" -c {name}={value}" for name, value in settings.items() if name != "application_name")
        with self.words():
            self.db = await psycopg.AsyncConnection.connect(
                host="127.0.0.1", port=port, user="app", password="app-secret", dbname="app", autocommit=True,
                application_name=settings["application_name"], options=options, cursor_factory=psycopg.AsyncRawCursor)
        self.db.prepare_threshold = dice.choice((5, 5, 0, None))

    async def results(self, cursor):
        rows = []
        while True:
            if cursor.description is not None:
                rows += [tuple(row) for row in await cursor.fetchall()]
            if not cursor.nextset():
                return rows

    async def rows(self, sql, *values, prepare=None):
        with self.words():
            return await self.results(await self.db.execute(sql, values or None, prepare=prepare))

    async def simple(self, *texts):
        return await self.rows("; ".join(texts), prepare=None if len(texts) == 1 else False)

    async def prepared(self, sql, *values):
        return await self.rows(sql, *values, prepare=True)

    async def pipeline(self, steps):
        with self.words():
            async with self.db.pipeline():
                cursors = [await self.db.execute(sql, values) for sql, *values in steps]
            return [await self.results(cursor) for cursor in cursors]

    async def many(self, sql, rows):
        with self.words():
            async with self.db.cursor() as cursor:
                await cursor.executemany(sql, rows)

    async def copy_in(self, rows):
        with self.words():
            async with self.db.cursor() as cursor, cursor.copy("COPY written FROM STDIN") as copy:
                for row in rows:
                    await copy.write_row(row)

    async def begin(self):
        """psycopg sends it in front of the first statement."""
        await self.db.set_autocommit(False)

    async def commit(self):
        with self.words():
            await self.db.commit()
            await self.db.set_autocommit(True)

    async def rollback(self):
        with self.words():
            await self.db.rollback()
            await self.db.set_autocommit(True)

    async def cancelled(self, sql, wait):
        """Its rows; or Refused, when the cancel came in time."""
        asking = asyncio.ensure_future(self.rows(sql))
        await asyncio.sleep(wait)
        await self.cancel(1)
        return await asking

    async def cancel(self, times):
        for _ in range(times):
            with contextlib.suppress(psycopg.Error):  # its own connection may be cut
                await self.db.cancel_safe(timeout=STUCK)

    async def in_time(self, sql, limit):
        """None when the time was over; psycopg then cancels."""
        try:
            async with asyncio.timeout(limit):
                return await self.rows(sql)
        except TimeoutError:
            if self.db.closed:  # by psycopg, when the cancel takes long
                raise Left from None
            return None

    def vanish(self):
        """Without a Terminate. The descriptor stays until nobody waits for it."""
        with contextlib.suppress(psycopg.Error, OSError), socket.socket(fileno=os.dup(self.db.pgconn.socket)) as sock:
            sock.shutdown(socket.SHUT_RDWR)

    def release(self):
        if self.db is not None:
            self.db.pgconn.finish()

    async def goodbye(self):
        await self.db.close()


class Asyncpg:
    name, db = "asyncpg", None

    @contextlib.contextmanager
    def words(self):
        try:
            yield
        except TimeoutError:
            raise
        except (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, OSError) as problem:
            if isinstance(problem, asyncpg.PostgresError) and problem.as_dict().get("severity"):
                raise Refused(problem.sqlstate, str(problem), problem.as_dict().get("server_source_function")) from problem
            if isinstance(problem, (OSError, asyncpg.PostgresConnectionError)) or self.db is None or self.db.is_closed():
                raise Lost(repr(problem)) from problem
            raise

    async def open(self, port, settings, dice):
        self.db = None
        with self.words():
            self.db = await asyncpg.connect(host="127.0.0.1", port=port, user="app", password="app-secret", database="app",
                                            timeout=STUCK, server_settings=settings,
                                            statement_cache_size=dice.choice((100, 100, 5, 0)))
        self.statements = {}

    async def rows(self, sql, *values):
        with self.words():
            return [tuple(row) for row in await self.db.fetch(sql, *values)]

    async def simple(self, *texts):
        """asyncpg gives no rows of the simple protocol."""
        if len(texts) == 1 and texts[0].startswith("SELECT"):
            return await self.rows(texts[0])
        with self.words():
            await self.db.execute("; ".join(texts))
        return None

    async def prepared(self, sql, *values):
        with self.words():
            if sql not in self.statements:
                self.statements[sql] = await self.db.prepare(sql)
            return [tuple(row) for row in await self.statements[sql].fetch(*values)]

    async def pipeline(self, steps):
        return [await self.rows(sql, *values) for sql, *values in steps]

    async def many(self, sql, rows):
        with self.words():
            await self.db.executemany(sql, rows)

    async def copy_in(self, rows):
        async def source():
            for row in rows:
                yield ("\t".join(map(str, row)) + "\n").encode()
        with self.words():
            await self.db.copy_to_table("written", source=source())

    async def begin(self):
        with self.words():
            self.transaction = self.db.transaction()
            await self.transaction.start()

    async def commit(self):
        with self.words():
            await self.transaction.commit()

    async def rollback(self):
        with self.words():
            await self.transaction.rollback()

    async def cancelled(self, sql, wait):
        """asyncpg cancels when its task is cancelled, and waits for that before its next query."""
        asking = asyncio.ensure_future(self.rows(sql))
        await asyncio.sleep(wait)
        asking.cancel()
        try:
            return await asking
        except asyncio.CancelledError:
            return None

    async def cancel(self, times):
        """Has no way to do that while something else is asked for."""

    async def in_time(self, sql, limit):
        try:
            with self.words():
                return [tuple(row) for row in await self.db.fetch(sql, timeout=limit)]
        except TimeoutError:
            return None

    def vanish(self):
        self.db.terminate()

    def release(self):
        if self.db is not None:
            self.db.terminate()

    async def goodbye(self):
        with self.words():
            await self.db.close()


# -- what a client knows

class Settings:
    """What a session has set, through its transactions. SET LOCAL is in `now` alone, `kept` is what a commit leaves."""

    def __init__(self, startup):
        self.startup = {**DEFAULTS, **startup}
        self.now = self.before = self.kept = dict(self.startup)

    def begin(self):
        self.before, self.kept = dict(self.now), dict(self.now)

    def set(self, name, value):
        self.now = {**self.now, name: value}
        self.kept = {**self.kept, name: value}

    def set_local(self, name, value):
        self.now = {**self.now, name: value}

    def commit(self):
        self.now = self.kept

    def rollback(self):
        self.now = self.kept = self.before


def quoted(text):
    return "'" + text.replace("'", "''") + "'"


class Client:
    def __init__(self, crowd, driver, number, port, cuts):
        self.crowd, self.db, self.number, self.port, self.cuts = crowd, driver, number, port, cuts
        self.dice = scale.dice_of(driver.name, number)
        self.asked, self.losses, self.sessions = 0, 0, 0
        self.rows, self.pending, self.deciding = {}, [], False
        self.startup = {}
        if number % 3:
            self.startup["work_mem"] = f"{2001 + 2 * number}kB"

    def word(self):
        self.asked += 1
        return f"{self.db.name}-{self.number}-{self.asked}"

    def fault(self, text):
        raise Fault(f"{self.db.name} {self.number}{'' if self.cuts is None else ' (cut at times)'}, after {self.asked} words: {text}")

    def expect(self, got, wanted, what):
        if got != wanted:
            self.fault(f"{what}: wanted {wanted!r}, got {got!r}")

    # -- its life

    async def body(self):
        while not self.crowd.ending:
            await self.or_lost(self.session())
        while not await self.or_lost(self.arrive()):
            pass
        self.crowd.present += 1
        await self.crowd.leave.wait()
        await self.db.goodbye()

    async def or_lost(self, life):
        """Whether it came to its end."""
        try:
            await life
            return True
        except Left:
            self.settle(UNKNOWN if self.deciding else FAILED)
        except Lost as problem:
            self.settle(UNKNOWN if self.deciding else FAILED)
            self.losses += 1
            if self.cuts is None or self.losses > self.cuts():
                self.fault(f"lost its connection, which nobody had cut: {problem}")
        except Refused as problem:
            self.fault(f"met an error that it had not asked for: {problem}")
        self.db.release()
        return False

    async def arrive(self):
        self.sessions += 1
        self.startup["application_name"] = self.word()
        self.settings = Settings(self.startup)
        await self.db.open(self.port, self.startup, self.dice)
        await self.look()

    async def session(self):
        await self.arrive()
        for _ in range(self.dice.randint(1, 40)):
            if self.crowd.ending:
                break
            step = self.dice.choice(STEPS)
            task = asyncio.ensure_future(step(self))
            try:
                done, _ = await asyncio.wait({task}, timeout=STUCK)
                if not done:
                    self.fault(f"{step.__name__} does not come to an end")
                task.result()
            finally:
                task.cancel()
                self.crowd.steps[self.db.name][step.__name__] += 1
        await self.db.goodbye()

    # -- rows, and what became of them

    def row(self):
        number = len(self.rows)
        self.rows[number] = None
        self.pending.append(number)
        return [self.db.name, self.number, number, "x" * self.dice.choice((0, 10, 10, 3000))]

    def settle(self, outcome, numbers=None):
        """What is pending has come to this; with numbers only these."""
        for number in self.pending if numbers is None else numbers:
            self.rows[number] = outcome
        self.pending = [] if numbers is None else [n for n in self.pending if n not in numbers]
        self.deciding = False

    async def at_once(self, write):
        """A write that commits by itself."""
        self.deciding = True
        await write
        self.settle(COMMITTED)

    # -- steps

    async def refused(self, sqlstate, asking):
        try:
            got = await asking
        except Refused as problem:
            return self.expect(problem.sqlstate, sqlstate, "SQLSTATE")
        self.fault(f"wanted the error {sqlstate}, got {got!r}")

    async def look(self):
        """Its settings, on whatever server connection this is."""
        word = self.word()
        ask = self.dice.choice((self.db.rows, self.db.prepared))
        got = await ask(LOOK, word)
        self.expect([tuple(value or "" for value in row) for row in got], [(word, *self.settings.now.values())], "settings")

    async def simple(self):
        word = self.word()
        self.expect(await self.db.simple(f"SELECT '{word}'"), [(word,)], "simple query")

    async def several(self):
        a, b = self.word(), self.word()
        got = await self.db.simple("/* two */ " + f"SELECT '{a}'", f"SELECT '{b}'")
        if got is not None:
            self.expect(got, [(a,), (b,)], "two in one text")

    async def parameters(self):
        word = self.word()
        self.expect(await self.db.rows("SELECT $1::text, $2::int + 1", word, self.number), [(word, self.number + 1)], "parameters")

    async def prepared(self):
        word, kind = self.word(), self.dice.randint(0, 9)
        self.expect(await self.db.prepared(f"SELECT $1::text || '{kind}'", word), [(f"{word}{kind}",)], "prepared")

    async def pipelined(self):
        words = [self.word() for _ in range(self.dice.randint(2, 10))]
        got = await self.db.pipeline([("SELECT $1::text AS piped", word) for word in words])
        self.expect(got, [[(word,)] for word in words], "pipeline")

    async def large(self):
        word, times, rows = self.word(), self.dice.randint(100, 3_000), self.dice.randint(1, 10)
        got = await self.db.rows("SELECT repeat($1, $2::int) FROM generate_series(1, $3::int)", word, times, rows)
        self.expect(got == [(word * times,)] * rows, True, "large rows are its own")

    async def failing(self):
        await self.refused("22012", self.db.rows("SELECT $1::text, 1 / $2::int", self.word(), 0))

    def setting(self):
        name = self.dice.choice(list(DEFAULTS))
        return name, {
            "application_name": self.word(), "work_mem": f"{2001 + 2 * self.dice.randint(0, 40_000)}kB",
            "statement_timeout": f"{200_001 + self.number}ms", "search_path": f"public, {self.db.name}_{self.number}",
            "TimeZone": self.dice.choice(ZONES), "chaos.word": self.word() + self.dice.choice(("", "'", '"\\', "%s $1")),
        }[name]

    async def change(self, local=False):
        """Only what is acknowledged counts."""
        name, value = self.setting()
        if self.dice.random() < 0.5:
            got = await self.db.rows("SELECT set_config($1, $2, $3)", name, value, local)
            self.expect(got, [(value,)], "set_config")
        elif name == "search_path":
            await self.db.simple(f"SET {'LOCAL ' if local else ''}{name} = {value}")
        else:
            await self.db.simple(f"SET {'LOCAL ' if local else ''}{name} = {quoted(value)}")
        (self.settings.set_local if local else self.settings.set)(name, value)

    async def change_and_look(self):
        await self.change()
        await self.look()

    async def reset(self):
        if self.dice.random() < 0.3:
            await self.db.simple("RESET ALL")
            for name, value in self.settings.startup.items():
                self.settings.set(name, value)
        else:
            name = self.dice.choice(list(DEFAULTS))
            await self.db.simple(f"RESET {name}")
            self.settings.set(name, self.settings.startup[name])

    async def insert(self):
        await self.at_once(self.db.rows(INSERT, *self.row()))

    async def insert_many(self):
        await self.at_once(self.db.many(INSERT, [self.row() for _ in range(self.dice.randint(1, 6))]))

    async def copy_in(self):
        rows = [self.row() for _ in range(self.dice.randint(1, 40))]
        if self.dice.random() < 0.3:
            await self.refused("22P02", self.db.copy_in([*rows, [self.db.name, "no number", 0, ""]]))
            self.settle(FAILED)
        else:
            await self.at_once(self.db.copy_in(rows))

    async def in_transaction(self):
        """Something inside of a transaction."""
        kind = self.dice.choice(("row", "row", "look", "local", "set", "savepoint", "copy"))
        if kind == "row":
            await self.db.rows(INSERT, *self.row())
        elif kind == "look":
            await self.look()
        elif kind in ("local", "set"):
            await self.change(local=kind == "local")
        elif kind == "copy":
            await self.db.copy_in([self.row() for _ in range(self.dice.randint(1, 5))])
        else:
            await self.savepoint()

    async def savepoint(self):
        """An error, and all since the savepoint is taken back."""
        now, kept = self.settings.now, self.settings.kept
        await self.db.simple("SAVEPOINT here")
        row = self.row()
        await self.db.rows(INSERT, *row)
        await self.change(local=self.dice.random() < 0.5)
        await self.refused("22012", self.db.rows("SELECT 1 / $1::int", 0))
        await self.db.simple("ROLLBACK TO here")
        self.settle(FAILED, [row[2]])
        self.settings.now, self.settings.kept = now, kept

    async def transaction(self):
        await self.db.begin()
        self.settings.begin()
        for _ in range(self.dice.randint(1, 5)):
            await self.in_transaction()
        ending = self.dice.choice(("commit", "commit", "commit", "rollback", "error", "vanish"))
        if ending == "commit":
            self.deciding = True
            await self.db.commit()
            self.settle(COMMITTED)
            self.settings.commit()
            return await self.look()
        if ending == "vanish":
            self.db.vanish()
            raise Left
        if ending == "error":
            await self.refused("22012", self.db.rows("SELECT 1 / $1::int", 0))
            await self.refused("25P02", self.db.rows("SELECT 1"))
        await self.db.rollback()
        self.settle(FAILED)
        self.settings.rollback()
        await self.look()

    def slow(self, word):
        return f"SELECT '{word}' FROM pg_sleep({self.dice.choice((0, 0.005, 0.02))})"

    async def cancelled(self):
        """May come too early or too late; nobody else may notice, nor this client's next query."""
        word = self.word()
        try:
            got = await self.db.cancelled(self.slow(word), self.dice.random() * 0.3)
        except Refused as problem:
            self.expect(problem.sqlstate, "57014", "SQLSTATE")
        else:
            self.expect(got or [(word,)], [(word,)], "cancelled query")
        await self.parameters()

    async def hunted(self):
        """Cancels are on their way when the transaction ends: whoever gets the connection next may not be hit."""
        await self.db.simple("BEGIN")
        await self.parameters()
        hunt = asyncio.ensure_future(self.db.cancel(self.dice.randint(1, 4)))
        try:
            await self.or_cancelled(self.db.rows(f"SELECT FROM pg_sleep({self.dice.choice((0, 0, 0.001, 0.003))})"))
            while not await self.or_cancelled(self.db.simple("ROLLBACK")):
                pass
        finally:
            await hunt
        await self.parameters()

    async def or_cancelled(self, asking):
        """Whether it was not."""
        try:
            await asking
            return True
        except Refused as problem:
            self.expect(problem.sqlstate, "57014", "SQLSTATE")
            return False

    async def out_of_time(self):
        word = self.word()
        got = await self.db.in_time(self.slow(word), 0.001 + self.dice.random() * 0.05)
        self.expect(got or [(word,)], [(word,)], "query with a time limit")
        await self.parameters()

    async def statement_timeout(self):
        """The server's own: for this client alone. It may end any statement, the one that takes it back, too."""
        asleep = f"SELECT '{self.word()}' FROM pg_sleep(100)"
        if self.dice.random() < 0.5:
            await self.db.begin()
            self.settings.begin()
            await self.db.simple("SET LOCAL statement_timeout = '50ms'")
            await self.refused("57014", self.db.rows(asleep))
            await self.db.rollback()
            self.settings.rollback()
        else:
            await self.db.simple("SET statement_timeout = '50ms'")
            await self.refused("57014", self.db.rows(asleep))
            while not await self.or_cancelled(self.db.simple("SET statement_timeout = 0")):
                pass
            self.settings.set("statement_timeout", "0")
        await self.look()

    async def vanish(self):
        """In the middle of something whose end it does not wait for."""
        kind = self.dice.choice(("nothing", "query", "insert", "large"))
        if kind == "nothing":
            self.db.vanish()
            raise Left
        if kind == "query":
            asking = self.db.rows(self.slow(self.word()))
        elif kind == "large":
            asking = self.db.rows("SELECT repeat('x', 10000) FROM generate_series(1, 300)")
        else:
            self.deciding = True
            asking = self.db.rows(INSERT, *self.row())
        task = asyncio.ensure_future(asking)
        await asyncio.sleep(self.dice.random() * 0.02)
        self.db.vanish()
        await asyncio.wait({task}, timeout=0.1)
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError, Exception):
            await task
        raise Left


STEPS = [Client.simple, Client.several, Client.parameters, Client.prepared, Client.prepared, Client.pipelined, Client.large,
         Client.failing, Client.change_and_look, Client.change_and_look, Client.look, Client.reset, Client.insert, Client.insert,
         Client.insert_many, Client.copy_in, Client.transaction, Client.transaction, Client.transaction, Client.cancelled,
         Client.hunted, Client.out_of_time, Client.statement_timeout, Client.vanish]


class Crowd:
    """Clients of psycopg and asyncpg in one loop."""

    def __init__(self):
        self.ending, self.present, self.leave = False, 0, None
        self.clients = []
        self.steps = collections.defaultdict(collections.Counter)

    def add(self, driver, number, port, cuts=None):
        self.clients.append(Client(self, driver(), number, port, cuts))

    async def run(self, control):
        """Until control(), which says when it ends and looks at what is left; the first fault of a client ends it at once."""
        self.leave = asyncio.Event()
        asyncio.get_running_loop().set_exception_handler(self.quiet)
        logging.getLogger("psycopg").setLevel(logging.ERROR)  # it warns of each cancel request that is cut
        tasks = [asyncio.ensure_future(client.body()) for client in self.clients]
        everybody = asyncio.gather(*tasks)
        controlling = asyncio.ensure_future(control())
        try:
            await asyncio.wait({everybody, controlling}, return_when=asyncio.FIRST_COMPLETED)
            if not controlling.done():
                everybody.result()
            controlling.result()
            self.leave.set()
            await everybody
        finally:
            for task in (controlling, *tasks):
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            for client in self.clients:
                client.db.release()

    @staticmethod
    def quiet(loop, context):
        """asyncpg leaves what its cut connections came to for nobody."""
        if not isinstance(context.get("exception"), (OSError, asyncpg.PostgresError, asyncio.CancelledError)):
            loop.default_exception_handler(context)

    def noted(self):
        return {(c.db.name, c.number, n): outcome for c in self.clients for n, outcome in c.rows.items()}
