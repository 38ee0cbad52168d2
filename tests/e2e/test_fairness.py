"""Who is served next, and how clients spread over workers. (B26-B28, balance of DESIGN 1)"""
import collections

import pytest

from harness import proc, wire
from harness.marks import both_versions
from harness.wire import query


def queue_up(one, pg, size, number):
    """Fills a pool of that size, then lets `number` clients wait, each known to be queued before the next one asks.

    Each takes its number first and then keeps its server for a while, so that the numbers tell the order in which servers were
    given, not which of two backends the scheduler let run first.
    """
    hogs = [wire.Client(one.port).login() for _ in range(size)]
    for hog in hogs:
        assert not hog.query("BEGIN").errors
    clients = [wire.Client(one.port).login() for _ in range(number)]
    for n, client in enumerate(clients):
        client.send(query(f"INSERT INTO served VALUES ({n}) RETURNING pg_sleep(0.05)"))
        proc.wait_for(lambda: one.pool()["cl_waiting"] == n + 1, f"client {n} to be queued")
    return hogs, clients


@both_versions
@pytest.mark.parametrize("workers, size", [(1, 1), (2, 1), (3, 2), (4, 4)])
def test_b28_nobody_is_overtaken_by_more_than_twice_the_pool(pg, pgroute, workers, size):
    with pg.superuser("app") as db:
        db.execute("DROP TABLE IF EXISTS served; CREATE TABLE served (n int, at serial); GRANT ALL ON served, served_at_seq TO app")
    one = pgroute(pg, workers=workers, defaults={"pool_size": size})
    hogs, clients = queue_up(one, pg, size, 40)
    assert len({one.worker_of(c.socket.getsockname()[1]) for c in clients}) == workers
    for hog in hogs:
        hog.query("COMMIT")
    for client in clients:
        assert client.ready().tags == ["INSERT 0 1"]
    with pg.superuser("app") as db:
        order = [n for n, in db.execute("SELECT n FROM served ORDER BY at")]
    assert sorted(order) == list(range(40))
    for place, n in enumerate(order):
        overtaken = sum(later > n for later in order[:place])
        assert overtaken <= 2 * size, f"{n} was overtaken by {overtaken}: {order}"
    for client in hogs + clients:
        client.terminate()


def test_b27_those_who_come_again_and_again_do_not_starve_one_who_waits(pg, pgroute):
    """The greedy send their next query with the last answer still unread; the waiter may be overtaken only so often."""
    one = pgroute(pg, workers=2, defaults={"pool_size": 1})
    greedy = [wire.Client(one.port).login() for _ in range(4)]
    patient = wire.Client(one.port).login()
    with pg.superuser("app") as db:
        db.execute("DROP SEQUENCE IF EXISTS turns; CREATE SEQUENCE turns; GRANT ALL ON turns TO app")
    counts = collections.Counter()
    for client in greedy:
        client.send(query("SELECT nextval('turns')") * 300)

    def read(client):
        for _ in range(300):
            assert not client.ready().errors
            counts[client] += 1

    with proc.Threads() as group:
        for client in greedy:
            group.start(read, client)
        for _ in range(10):
            assert patient.query("SELECT 'a turn'").value() == "a turn"
        early = sum(counts.values())
    assert early < 1200, "the patient one was served only when all others were done"
    for client in [*greedy, patient]:
        client.terminate()


def test_clients_spread_evenly_over_workers(pg, pgroute):
    one = pgroute(pg, workers=4, auth={"type": "trust"})
    clients = [wire.Client(one.port).login() for _ in range(400)]
    held = collections.Counter(one.worker_of(c.socket.getsockname()[1]) for c in clients)
    assert len(held) == 4 and sum(held.values()) == 400
    assert max(held.values()) <= 1.5 * min(held.values()), held
    for client in clients:
        client.close()


def test_clients_spread_again_after_a_worker_died(pg, pgroute):
    one = pgroute(pg, workers=2, auth={"type": "trust"})
    first = [wire.Client(one.port).login() for _ in range(60)]
    before = one.pids("worker")
    one.kill(before[0])
    one.wait_respawn("worker", before[0], 2)
    more = [wire.Client(one.port).login() for _ in range(60)]
    held = collections.Counter(one.worker_of(c.socket.getsockname()[1]) for c in more)
    newcomer = next(pid for pid in one.pids("worker") if pid not in before)
    assert held[newcomer] >= 30, held
    for client in first + more:
        client.close()


def test_descriptors_of_many_clients(pg, pgroute):
    """More clients than the usual soft limit of open files, all usable."""
    one = pgroute(pg, workers=2, auth={"type": "trust"}, defaults={"pool_size": 5})
    clients = [wire.Client(one.port).login() for _ in range(600)]
    for n, client in enumerate(clients):
        client.send(query(f"SELECT {n}"))
    for n, client in enumerate(clients):
        assert client.ready().value() == str(n)
    for client in clients:
        client.close()
