"""Drivers at their default settings, each with its everyday use: 50 clients on 2 server connections. (F2 F4 F18)

The programs, and what each client does, are in tests/drivers. psycopg 3, asyncpg and pgx have their tests in test_prepared.py;
Npgsql, PDO and Postgrex are not in the test run.
"""
import json
import os
import pathlib
import shutil
import sys

import pytest

from harness import proc

DRIVERS = pathlib.Path(__file__).resolve().parents[1] / "drivers"
FETCHED = pathlib.Path(sys.prefix).parent / "drivers"  # scripts/deps puts them beside the virtual environment
CLIENTS, ROUNDS = 50, 4


def python(name, folder):
    return [sys.executable, str(DRIVERS / name / "main.py")]


def go(name, folder):
    """Without a proxy for modules nothing is fetched."""
    built = proc.once(folder, name, lambda path: proc.run(["go", "build", "-o", str(path), "."], cwd=DRIVERS / name, timeout=300,
                                                          env={**os.environ, "GOPROXY": "off"}))
    return [str(built)]


def node(name, folder):
    return ["env", f"NODE_PATH={FETCHED / name / 'node_modules'}", "node", str(DRIVERS / name / "main.js")]


def java(name, folder):
    """As it is told to start soon: it would compile for longer than it runs."""
    soon, jars = ["-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC"], f"{FETCHED / name}/*"
    built = proc.once(folder, name, lambda path: proc.run(["javac", *(f"-J{option}" for option in soon), "-cp", jars, "-d", str(path),
                                                           str(DRIVERS / name / "Main.java")]))
    return ["java", *soon, "-cp", f"{built}:{jars}", "Main"]


def rust(name, folder):
    def build(path):
        target = FETCHED / "cargo"
        proc.run(["cargo", "build", "--offline", "--locked", "--target-dir", str(target)], cwd=DRIVERS / name, timeout=300)
        shutil.copy2(target / "debug" / f"driver-{name}", path)

    return [str(proc.once(folder, name, build))]


LANGUAGES = {"psycopg2": python, "pq": go, "node-postgres": node, "postgres.js": node, "pgjdbc": java, "tokio-postgres": rust,
             "sqlx": rust}


def expected(name):
    each = CLIENTS * ROUNDS
    counts = {"queries": each, "settings": each, "prepared": 7 * each, "committed": each, "rolled_back": each, "errors": 2 * each,
              "batched": 5 * each, "fetched": 25 * each, "copied_in": 20 * each, "copied_out": 20 * each, "cancelled": CLIENTS // 10}
    return counts | {"psycopg2": {"prepared": 7 * ROUNDS}, "pq": {"copied_out": 0}}.get(name, {})


@pytest.fixture
def uses(pg):
    """The table that the drivers write to."""
    with pg.superuser("app") as db:
        db.execute("CREATE TABLE uses (driver text, client int, round int, kind text, nonce text)")
        db.execute("GRANT ALL ON uses TO app")
        yield db
        db.execute("DROP TABLE uses")


@pytest.mark.parametrize("pg, name", [*(("15", name) for name in LANGUAGES), ("18", "pgjdbc"), ("18", "node-postgres")],
                         indirect=["pg"])
def test_f2_f4_drivers(pg, pgroute, uses, run_folder, name):
    """F2 F4 F18: what each client got is checked by the client, what they wrote here. Nobody is pinned, but for one client of
    psycopg2, which prepares in SQL."""
    command = LANGUAGES[name](name, run_folder)
    one = pgroute(pg, workers=2, defaults={"pool_size": 2, "pool_mode": "transaction"})
    with pg.counting("app") as backends:
        out = proc.run([*command, "127.0.0.1", str(one.port), "app", "app-secret", "app", str(CLIENTS), str(ROUNDS)], timeout=120)
    assert json.loads(out.splitlines()[-1]) == expected(name), out
    each = CLIENTS * ROUNDS
    written = uses.execute("SELECT kind, count(*), count(DISTINCT nonce) FROM uses GROUP BY kind ORDER BY kind").fetchall()
    assert written == [(kind, rows, rows) for kind, rows in (("batch", 5 * each), ("committed", each), ("copy", 20 * each))]
    assert backends.highest <= 2
    assert sum(row["total_pins"] for row in one.show("stats")) == (1 if name == "psycopg2" else 0)
