"""Three drivers, 200 clients, 5 connections: whatever they do and wherever they are cut, each gets its own rows and settings, and
what was committed is in the database once. (B1 B2 B3 B6 B9 B10 F32)

A minute in a test run; `scripts/soak drivers` goes on for as long as one wants.
"""
import asyncio
import contextlib
import json
import subprocess
import threading
import time

from harness import applications, proc, scale
from harness.applications import COMMITTED, FAILED, UNKNOWN
from harness.cutter import Cutter

SIZE, EACH, PGX = 5, 67, 66
ASYNC = (applications.Psycopg, applications.Asyncpg)


class Pgx:
    """The program of tests/drivers/pgx, told and read by lines."""

    def __init__(self, program, one, ports):
        self.process = subprocess.Popen([program, "chaos", f"postgres://app:app-secret@127.0.0.1:{one.port}/app", str(scale.SEED),
                                         *map(str, ports)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                        text=True)
        self.lines, self.made = [], None
        self.reader = threading.Thread(target=lambda: self.lines.extend(iter(self.process.stdout.readline, "")), daemon=True)
        self.reader.start()

    def check(self):
        if self.process.poll() not in (None, 0):
            self.reader.join()
            raise applications.Fault("".join(self.lines)[-3000:])
        return True

    def say(self):
        with contextlib.suppress(BrokenPipeError):  # check() tells why
            self.process.stdin.write("\n")
            self.process.stdin.flush()

    def here(self):
        return self.check() and any(line.startswith("here ") for line in self.lines)

    def ended(self):
        """What it did."""
        self.say()
        self.process.wait(applications.STUCK)
        self.check()
        self.reader.join()
        return json.loads(self.lines[-1])

    def close(self):
        self.process.kill()
        self.process.wait()


class Run:
    """The clients of all drivers; every other one goes through the cutter."""

    def __init__(self, one, pg, program, cutter):
        self.one, self.pg, self.cutter = one, pg, cutter
        self.crowd = applications.Crowd()
        places = iter(range(2 * EACH + PGX))
        for number in range(EACH):
            for driver in ASYNC:
                self.crowd.add(driver, number, *self.way(next(places), number))
        self.places = list(places)
        self.pgx = Pgx(program, one, [self.way(place, number)[0] for number, place in enumerate(self.places)])

    def way(self, place, number):
        """The port, and how often the client was cut, which of those that are not is None."""
        if number % 2:
            return self.one.port, None
        return self.cutter.ports[place], lambda: self.cutter.cuts[place]

    async def until(self, condition, what):
        for _ in range(int(applications.STUCK / 0.1)):
            self.pgx.check()
            if condition():
                return
            await asyncio.sleep(0.1)
        raise AssertionError(f"waited in vain for {what}")

    async def control(self):
        end = time.monotonic() + scale.seconds(60, 600)
        while time.monotonic() < end:
            self.pgx.check()
            await asyncio.sleep(0.1)
        self.cutter.calm = True
        self.crowd.ending = True
        self.pgx.say()
        await self.until(lambda: self.crowd.present == len(self.crowd.clients), "the clients to come a last time")
        await self.until(self.pgx.here, "the clients of pgx to come a last time")
        self.everybody_idle()

    def everybody_idle(self):
        """As many clients as there are, and nobody has a connection."""
        number = 2 * EACH + PGX
        proc.wait_for(lambda: len(self.one.show("clients")) == number, f"{number} clients in the books")
        proc.wait_for(lambda: (self.one.pool()["sv_active"], self.one.pool()["cl_waiting"]) == (0, 0), "all connections to be free")
        assert {row["state"] for row in self.one.show("servers")} <= {"idle"}
        assert 1 <= self.pg.backends("app") <= SIZE

    def load(self):
        with contextlib.closing(self.pgx):
            asyncio.run(self.crowd.run(self.control))
            return self.pgx.ended()


def judge(noted, pg):
    """Each committed row once, none that failed, and of those that nobody knows of at most one."""
    with pg.superuser("app") as db:
        there = {tuple(row[:3]): row[3] for row in
                 db.execute("SELECT driver, client, number, count(*) FROM written GROUP BY 1, 2, 3").fetchall()}
    allowed = {COMMITTED: (1,), FAILED: (0,), UNKNOWN: (0, 1)}
    wrong = [(row, outcome, there.get(row, 0)) for row, outcome in noted.items() if there.get(row, 0) not in allowed[outcome]]
    assert not wrong, f"{len(wrong)} rows are not what their clients were told (which, told, how often there): {wrong[:5]}"
    assert there.keys() <= noted.keys(), f"rows that nobody wrote: {list(there.keys() - noted.keys())[:5]}"


def at_rest(one, pg):
    """The pool is whole: every place can be used, and nothing stays on any of them."""
    proc.wait_for(lambda: not one.show("clients"), "no client to be left in the books")
    proc.wait_for(lambda: all(row[3] == "idle" for row in pg.activity("app")), "all backends to be idle")
    dbs = [one.connect() for _ in range(SIZE)]
    for db in dbs:
        db.execute("BEGIN")
    pg.wait_backends(SIZE, "app")
    for db in dbs:
        assert db.execute("SELECT current_setting('work_mem'), current_setting('TimeZone'), current_setting('statement_timeout')"
                          ).fetchone() == ("4MB", "UTC", "0")
        db.close()


def test_b1_b2_b3_f32_three_drivers_200_clients_on_5_connections(pg, pgroute, pgx):
    """B1 B2 B3 B6 B9 B10 F32: queries with a nonce, settings, transactions, COPY, cancels, timeouts, errors, cuts."""
    print(f"PGR_SEED={scale.SEED}")
    with pg.superuser("app") as db:
        db.execute(applications.SETUP)
    # on a busy machine these times must not end what would be well
    one = pgroute(pg, workers=2, log={"level": "info"}, cancel_timeout="60s", client_login_timeout="120s",
                  defaults={"pool_size": SIZE, "pool_mode": "transaction", "connect_timeout": "60s"})
    mark = pg.log_mark()
    with pg.counting("app") as backends, Cutter(one.port, 2 * EACH + PGX) as cutter:
        run = Run(one, pg, pgx, cutter)
        told = run.load()
    opened = pg.log_since(mark).count("connection authorized: user=app ")
    noted = run.crowd.noted() | {("pgx", client, number): outcome for client, rows in enumerate(told["rows"])
                                 for number, outcome in enumerate(rows)}
    steps = {**run.crowd.steps, "pgx": told["steps"]}
    for name, done in steps.items():
        print(f"{name}: {sum(done.values())} steps {dict(done)}")
    print(f"{sum(c.sessions for c in run.crowd.clients) + told['sessions']} sessions, {sum(cutter.cuts)} cut {cutter.ways}, "
          f"{sum(c.losses for c in run.crowd.clients) + sum(told['losses'])} of them noticed, "
          f"{cutter.halves} ended within a message, {opened} server connections opened")
    print({outcome: list(noted.values()).count(outcome) for outcome in (COMMITTED, FAILED, UNKNOWN)})
    for losses, place in zip(told["losses"], run.places):
        assert losses <= cutter.cuts[place], "a client of pgx lost more connections than were cut"
    at_rest(one, pg)
    judge(noted, pg)
    assert backends.highest <= SIZE
    assert opened <= SIZE + cutter.halves, "F32: only a message that was cut in two may cost a server connection"
    assert sum(row["total_pins"] for row in one.show("stats")) == 0
    errors = [line for line in one.text().splitlines() if " UTC error " in line]
    assert not errors, errors[:5]
    wanted = {step.__name__ for step in applications.STEPS}
    for name in ("psycopg", "asyncpg", "pgx"):
        assert not wanted - steps[name].keys(), f"{name} has never done {wanted - steps[name].keys()}"
