"""Clients that do everything that the protocol allows, in random order, and vanish at random bytes.

Each asks only for words that nobody else asks for, so that a row of another client, a lost answer or a second one is seen at
once. A client that ends anywhere is replaced by a new one with other settings. Which step comes next is drawn from dice.
"""
import threading

from . import proc, scale, wire
from .wire import bind, close, copy_data, copy_done, copy_fail, describe, execute, flush, parse, query, sync

SETUP = """DROP TABLE IF EXISTS chaos;
    CREATE TABLE chaos (word text); GRANT ALL ON chaos TO PUBLIC"""
LOST = ("08", "57P")  # what a client may be told when what served it has been killed


class Gone(Exception):
    """The client ended its session itself."""


class One:
    """One client after another, in a thread."""

    def __init__(self, chaos, number):
        self.chaos, self.number = chaos, number
        self.dice = scale.dice("chaos", number)
        self.asked, self.sessions, self.losses = 0, 0, 0
        self.db = None

    def word(self):
        self.asked += 1
        return f"word-{self.number}-{self.asked}"

    def body(self):
        while not self.chaos.done(self):
            try:
                self.session()
            except Gone:
                pass
            except (wire.Closed, wire.ServerError, OSError) as problem:
                self.excuse(problem)
            finally:
                if self.db is not None:
                    self.db.close()

    def excuse(self, problem):
        """Raises unless something was killed meanwhile."""
        sqlstate = problem.sqlstate if isinstance(problem, wire.ServerError) else None
        if not self.chaos.kills or isinstance(problem, TimeoutError) or not (sqlstate is None or sqlstate.startswith(LOST)):
            raise AssertionError(f"client {self.number}: {problem!r}") from problem
        self.losses += 1

    def session(self):
        self.name = self.word()
        self.sessions += 1
        self.db = None
        self.db = wire.Client(self.chaos.one.port)
        self.db.login(application_name=self.name, options=f"-c work_mem={1000 + self.number}kB")
        self.named = False
        for _ in range(self.dice.randint(1, 25)):
            if self.chaos.done(self):
                break
            step = self.dice.choice(STEPS)
            step(self)
            self.chaos.took(step)
        self.db.terminate()

    # -- what is expected

    def answer(self):
        result = self.db.ready()
        if result.errors and result.sqlstates[0].startswith(LOST):
            raise wire.ServerError(result.errors[0])
        return result

    def ask(self, sql):
        self.db.send(query(sql))
        return self.answer()

    def rows(self, result, *words):
        """Exactly these rows and no error."""
        assert not result.errors and result.rows == [(w,) for w in words], (
            f"client {self.number} asked for {words}, got {result.messages}")

    def fails(self, result, sqlstate):
        assert result.sqlstates == [sqlstate], f"client {self.number} expected {sqlstate}, got {result.messages}"

    # -- steps

    def simple(self):
        word = self.word()
        self.rows(self.ask(f"SELECT '{word}'"), word)

    def several_in_one(self):
        a, b = self.word(), self.word()
        self.rows(self.ask(f"SELECT '{a}'; SELECT '{b}'"), a, b)

    def failing(self):
        self.fails(self.ask(f"SELECT '{self.word()}', 1/0"), "22012")

    def extended(self):
        word = self.word()
        self.db.send(parse("", "SELECT $1::text"), bind("", "", [word]), describe("P"), execute(), sync())
        self.rows(self.answer(), word)

    def prepared(self):
        word = self.word()
        if not self.named:
            self.db.send(parse("mine", "SELECT $1::text AS chaos"))
            self.named = True
        self.db.send(bind("", "mine", [word]), execute(), sync())
        self.rows(self.answer(), word)

    def forgotten(self):
        if self.named:
            self.db.send(close("S", "mine"), sync())
            assert self.answer().types == "3Z"
            self.named = False

    def settings(self):
        """Its own, also after a change, on whatever server this is."""
        if self.dice.random() < 0.3:
            self.name = self.word()
            assert not self.ask(f"SET application_name = '{self.name}'").errors
        shown = self.ask("SELECT current_setting('application_name') || ' ' || current_setting('work_mem')")
        self.rows(shown, f"{self.name} {1000 + self.number}kB")

    def transaction(self):
        words = [self.word() for _ in range(self.dice.randint(1, 4))]
        assert self.ask("BEGIN").status == "T"
        for word in words:
            assert self.ask(f"INSERT INTO chaos VALUES ('{word}')").tags == ["INSERT 0 1"]
        self.rows(self.ask("SELECT word FROM chaos"), *words)
        if self.dice.random() < 0.3:
            self.fails(self.ask("SELECT 1/0"), "22012")
            self.fails(self.ask("SELECT 1"), "25P02")
        assert self.ask("ROLLBACK").status == "I"

    def pipeline(self):
        """Batches with an error somewhere; what stands behind it up to its Sync is skipped."""
        data, expected = b"", []
        for _ in range(self.dice.randint(1, 6)):
            words, failed = [], False
            for _ in range(self.dice.randint(1, 4)):
                word = self.word()
                if self.dice.random() < 0.15:
                    data += parse("", "SELECT $1::int") + bind("", "", [word]) + execute()
                    failed = True
                else:
                    data += parse("", "SELECT $1::text") + bind("", "", [word]) + execute()
                    words += [] if failed else [word]
            data += sync()
            expected.append((words, failed))
        self.db.send(data)
        for words, failed in expected:
            result = self.answer()
            if failed:
                self.fails(result, "22P02")
                assert result.rows == [(w,) for w in words], (result.rows, words)
            else:
                self.rows(result, *words)

    def many_queries(self):
        words = [self.word() for _ in range(self.dice.randint(2, 20))]
        self.db.send(*[query(f"SELECT '{w}'") for w in words])
        for word in words:
            self.rows(self.answer(), word)

    def flushes(self):
        """B1: steps behind a Flush, each answered before the next; the server is kept until the Sync."""
        word = self.word()
        self.db.send(parse("", "SELECT $1::text"), describe("S"), flush())
        self.take("1tT")
        self.db.send(bind("p", "", [word]), describe("P", "p"), flush())
        self.take("2T")
        self.db.send(execute("p"), flush())
        row = self.take("DC")[0]
        if wire.row_values(row.body) != [word.encode()]:
            raise AssertionError(f"client {self.number} asked for {word}, got {row}")
        self.db.send(sync())
        self.take("Z")

    def take(self, types):
        seen = []
        for kind in types:
            got = self.db.recv()
            if got.type == "E" and wire.error_fields(got.body)["C"].startswith(LOST):
                raise wire.ServerError(wire.error_fields(got.body))
            assert got.type == kind, f"client {self.number}: wanted {kind} of {types}, got {got}"
            seen.append(got)
        return seen

    def portal(self):
        word, number = self.word(), self.dice.randint(2, 30)
        self.db.send(parse("", f"SELECT '{word}' || n FROM generate_series(1, {number}) n"), bind("p"), execute("p", 1),
                     execute("p", 0), sync())
        self.rows(self.answer(), *[f"{word}{n}" for n in range(1, number + 1)])

    def copy_out(self):
        word, number = self.word(), self.dice.randint(0, 300)
        result = self.ask(f"COPY (SELECT '{word}' FROM generate_series(1, {number})) TO STDOUT")
        got = [m.body for m in result.messages if m.type == "d"]
        if result.errors or got != [f"{word}\n".encode()] * number:
            self.rows(result)
            raise AssertionError(f"client {self.number} copied {number} of {word}, got {got[:3]}")

    def copy_in(self):
        word, number = self.word(), self.dice.randint(0, 50)
        self.db.send(query("BEGIN"), query("COPY chaos FROM STDIN"))
        assert not self.answer().errors
        if self.db.recv_until("GE")[-1].type == "E":
            raise wire.Closed("the server was killed")
        self.db.send(*[copy_data(f"{word}\n".encode())] * number)
        if self.dice.random() < 0.3:
            self.db.send(copy_fail("no"))
            self.fails(self.answer(), "57014")
        else:
            self.db.send(copy_done())
            assert self.answer().tags == [f"COPY {number}"]
            self.rows(self.ask("SELECT word FROM chaos"), *[word] * number)
        assert self.ask("ROLLBACK").status == "I"

    def big_row(self):
        word, number = self.word(), self.dice.randint(100, 40_000)
        self.rows(self.ask(f"SELECT repeat('{word}', {number})"), word * number)

    def big_parameter(self):
        value = self.word() * self.dice.randint(100, 20_000)
        self.db.send(parse("", "SELECT $1::text"), bind("", "", [value]), execute(), sync())
        self.rows(self.answer(), value)

    def cancelled(self):
        """May come too early or too late; it may never hit another client, which would fail there."""
        word = self.word()
        self.db.send(query(f"SELECT '{word}' FROM pg_sleep({self.dice.choice((0, 0.002, 0.02))})"))
        wire.cancel(self.chaos.one.port, self.db.pid, self.db.key)
        result = self.answer()
        if result.errors:
            self.fails(result, "57014")
        else:
            self.rows(result, word)

    def cut(self):
        """Vanishes after a random part of a random request, its answer unread."""
        word = self.word()
        data = self.dice.choice((
            query(f"SELECT '{word}'"),
            query(f"BEGIN; INSERT INTO chaos VALUES ('{word}'); SELECT pg_sleep(0.005)"),
            query(f"SELECT repeat('{word}', 20000) FROM generate_series(1, 30)"),
            parse("", "SELECT $1::text") + bind("", "", [word * 9000]) + execute() + sync(),
            parse("", f"INSERT INTO chaos VALUES ('{word}')") + bind() + execute() + flush(),
            query("COPY chaos FROM STDIN") + copy_data(word.encode() + b"\n") * 20,
            query(f"COPY (SELECT '{word}' FROM generate_series(1, 100000)) TO STDOUT"),
            wire.function_call(177, [b"2", b"40"]) * 3,
            b"".join(query(f"SELECT '{word}' FROM pg_sleep(0.002)") for _ in range(10)),
            query("SET work_mem = '77MB'"), query("LISTEN chaos"), query("CREATE TEMP TABLE mine (x int)"),
        ))
        self.db.send(data[:self.dice.randint(1, len(data))])
        self.dice.choice((self.db.close, self.db.reset, self.db.terminate))()
        raise Gone


STEPS = [One.simple, One.several_in_one, One.failing, One.extended, One.prepared, One.prepared, One.forgotten, One.settings,
         One.transaction, One.pipeline, One.many_queries, One.flushes, One.portal, One.copy_out, One.copy_in, One.big_row,
         One.big_parameter, One.cancelled, One.cut]


class Chaos:
    """A crowd of them. With kills=True connections may be lost for no fault of the client's own."""

    def __init__(self, one, number, steps, kills=False):
        self.one, self.limit, self.kills = one, steps, kills
        self.group = proc.Threads(timeout=proc.PATIENCE + 3600)
        self.clients = [One(self, n) for n in range(number)]
        self.steps, self.lock, self.over = {}, threading.Lock(), False

    def done(self, client):
        return self.over or bool(self.group.errors) or sum(self.steps.values()) >= self.limit

    def took(self, step):
        with self.lock:
            self.steps[step.__name__] = self.steps.get(step.__name__, 0) + 1

    def __enter__(self):
        for client in self.clients:
            self.group.start(client.body)
        return self

    def running(self):
        if self.group.errors:
            raise self.group.errors[0]
        return any(thread.is_alive() for thread in self.group.threads)

    def stop(self):
        self.over = True

    def __exit__(self, kind, value, trace):
        if kind is not None:
            self.over = True
            return
        self.group.join()
        missing = [step.__name__ for step in STEPS if step is not One.cut and step.__name__ not in self.steps]
        assert not missing, f"never done: {missing}"
        print(f"chaos: {sum(self.steps.values())} steps, {sum(c.sessions for c in self.clients)} sessions, "
              f"{sum(c.losses for c in self.clients)} lost")
