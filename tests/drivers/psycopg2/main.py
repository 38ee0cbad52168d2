"""psycopg2 at its default settings (autocommit off); ../README.md says what each client does.

usage: main.py HOST PORT USER PASSWORD DATABASE CLIENTS ROUNDS
"""
import collections
import io
import json
import sys
import threading
import time

import psycopg2
import psycopg2.errors
import psycopg2.extras

HOST, PORT, USER, PASSWORD, DATABASE = sys.argv[1:6]
CLIENTS, ROUNDS = map(int, sys.argv[6:8])
LOOK = ("SELECT current_setting('application_name'), current_setting('TimeZone'), current_setting('search_path'),"
        " current_setting('statement_timeout')")
INSERT = "INSERT INTO uses VALUES ('psycopg2', %s, %s, %s, %s)"


def check(got, wanted, what):
    if got != wanted:
        raise AssertionError(f"{what}: wanted {wanted!r}, got {got!r}")


class Client:
    def __init__(self, number, counts):
        self.number, self.counts = number, counts
        self.settings = (f"psycopg2 {number}", f"Etc/GMT+{number % 12}", f"own_{number},public", f"{600100 + number}ms")
        name, zone, path, timeout = self.settings
        self.db = psycopg2.connect(host=HOST, port=PORT, user=USER, password=PASSWORD, dbname=DATABASE, application_name=name,
                                   options=f"-c search_path={path} -c statement_timeout={timeout}")
        self.ask("SET TIME ZONE %s", zone)
        self.db.commit()

    def ask(self, sql, *args):
        with self.db.cursor() as cursor:
            cursor.execute(sql, args or None)
            return cursor.fetchall() if cursor.description else None

    def look(self):
        check(self.ask(LOOK), [self.settings], "settings")
        self.db.commit()

    def fail(self):
        try:
            self.ask("SELECT 1 / %s", 0)
        except psycopg2.errors.DivisionByZero as problem:
            check(problem.pgcode, "22012", "SQLSTATE")
            self.counts["errors"] += 1
            return
        raise AssertionError("a division by zero succeeded")

    def prepared(self, nonce, n):
        """psycopg2 prepares nothing by itself. One client does so in SQL, which keeps it on its server connection."""
        self.ask("PREPARE ours (text, int) AS SELECT $1, $2 * 2")
        for k in range(7):
            check(self.ask("EXECUTE ours (%s, %s)", nonce, n + k), [(nonce, 2 * (n + k))], "prepared")
            self.counts["prepared"] += 1
        self.ask("DEALLOCATE ours")
        self.db.commit()

    def transactions(self, nonce, n):
        self.ask(INSERT, self.number, n, "committed", nonce)
        check(self.ask("SELECT count(*) FROM uses WHERE nonce = %s AND kind = 'committed'", nonce), [(1,)], "own row")
        self.db.commit()
        self.counts["committed"] += 1
        self.ask(INSERT, self.number, n, "rolled back", nonce)
        self.ask("SAVEPOINT s")
        self.fail()
        self.ask("ROLLBACK TO SAVEPOINT s")
        check(self.ask("SELECT count(*) FROM uses WHERE nonce = %s AND kind = 'rolled back'", nonce), [(1,)], "own row")
        self.db.rollback()
        self.counts["rolled_back"] += 1

    def batch(self, nonce, n):
        with self.db.cursor() as cursor:
            psycopg2.extras.execute_batch(cursor, INSERT, [(self.number, n, "batch", f"{nonce} {k}") for k in range(5)])
        self.db.commit()
        self.counts["batched"] += 5

    def fetch(self, nonce):
        with self.db.cursor("served") as cursor:
            cursor.itersize = 10
            cursor.execute("SELECT %s, g FROM generate_series(1, 25) g", [nonce])
            check(list(cursor), [(nonce, k) for k in range(1, 26)], "cursor")
        self.db.commit()
        self.counts["fetched"] += 25

    def copy(self, nonce, n):
        lines = "".join(f"psycopg2\t{self.number}\t{n}\tcopy\t{nonce} {k}\n" for k in range(10, 30))
        with self.db.cursor() as cursor:
            cursor.copy_expert("COPY uses FROM STDIN", io.StringIO(lines))
            self.counts["copied_in"] += cursor.rowcount
            out = io.StringIO()
            cursor.copy_expert(f"COPY (SELECT * FROM uses WHERE kind = 'copy' AND nonce LIKE '{nonce} %' ORDER BY nonce) TO STDOUT",
                               out)
        self.db.commit()
        check(out.getvalue(), lines, "COPY")
        self.counts["copied_out"] += 20

    def round(self, n):
        nonce = f"psycopg2 {self.number} {n}"
        check(self.ask("SELECT %s, %s + 1", nonce, n), [(nonce, n + 1)], "query")
        self.db.commit()
        self.counts["queries"] += 1
        self.look()
        self.counts["settings"] += 1
        if self.number == 1:
            self.prepared(nonce, n)
        self.transactions(nonce, n)
        self.fail()
        self.db.rollback()
        self.batch(nonce, n)
        self.fetch(nonce)
        self.copy(nonce, n)

    def cancel(self, observer):
        """The query is cancelled by another thread when it is seen to run."""
        mark = f"cancel of psycopg2 {self.number}"
        seen = threading.Thread(target=lambda: (observer.wait_for(mark), self.db.cancel()))
        seen.start()
        try:
            self.ask(f"SELECT pg_sleep(600) /* {mark} */")
        except psycopg2.errors.QueryCanceled:
            self.counts["cancelled"] += 1
        seen.join()
        self.db.rollback()
        self.look()


class Observer:
    """A connection that sees what runs. One client at a time is cancelled, so that there is a server connection for it."""

    def __init__(self):
        self.lock = threading.Lock()
        self.db = psycopg2.connect(host=HOST, port=PORT, user=USER, password=PASSWORD, dbname=DATABASE)
        self.db.autocommit = True

    def wait_for(self, mark):
        with self.db.cursor() as cursor:
            while True:
                cursor.execute("SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND query LIKE %s"
                               " AND pid <> pg_backend_pid()", [f"%{mark} */"])
                if cursor.fetchone() == (1,):
                    return
                time.sleep(0.01)


def body(number, counts, observer, problems):
    try:
        client = Client(number, counts)
        for n in range(ROUNDS):
            client.round(n)
        if number % 10 == 0:
            with observer.lock:
                client.cancel(observer)
        client.db.close()
    except BaseException as problem:
        problems.append(f"client {number}: {problem!r}")


def main():
    observer, problems = Observer(), []
    counts = [collections.Counter() for _ in range(CLIENTS)]
    threads = [threading.Thread(target=body, args=(k, counts[k], observer, problems)) for k in range(CLIENTS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    observer.db.close()
    if problems:
        sys.exit("\n".join(problems))
    print(json.dumps(sum(counts, collections.Counter())))


main()
