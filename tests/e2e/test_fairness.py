"""Who is served next, and how clients spread over workers. (B26-B28 B67, balance of DESIGN 1)"""
import collections
import contextlib
import queue
import signal
import ssl
import threading

import pytest

from harness import fakeserver as fs
from harness import pgroute as harness
from harness import proc, scale, tls, wire
from harness.scale import amount
from harness.wire import copy_data, query


def ports(clients):
    return [client.socket.getsockname()[1] for client in clients]


class Stage:
    """A pool whose servers answer when the test says so. So each hand-over has come to its end before the next one begins, and the
    order in which servers were given is what pgroute decided, not what a scheduler made of it."""

    def __init__(self, fake, pgroute, workers, size, number):
        self.arrivals, self.releases, self.size = queue.SimpleQueue(), {}, size
        self.one = pgroute(fake(self.script), workers=workers, auth={"type": "trust"}, defaults={"pool_size": size})
        self.clients = [wire.Client(self.one.port).login() for _ in range(number)]
        proc.wait_for(lambda: self.spread(workers), "more than two clients of each worker")
        self.asks = 0
        self.waiting = {}  # number of the ask: how many later ones have been served
        self.asked = {}    # client: number of its ask
        self.busy = {}     # server: client
        self.worst = 0

    def spread(self, workers):
        """Has each worker enough of them? A worker that gets no CPU for a while accepts none: then one more comes instead of another."""
        of = self.one.workers_of(ports(self.clients))
        held = collections.Counter(of)
        if len(held) == workers and min(held.values()) > 2:
            return True
        self.clients.pop(of.index(held.most_common(1)[0][0])).terminate()
        self.clients.append(wire.Client(self.one.port).login())
        return False

    def script(self, conn):
        release = self.releases[conn.number] = queue.SimpleQueue()
        for got in conn.messages():
            text = wire.strings(got.body)[0]
            self.arrivals.put((conn.number, text))
            release.get(timeout=proc.PATIENCE)
            conn.send(fs.one_row(text))

    def send(self, n):
        """Client n sends, and pgroute has read it."""
        client = self.clients[n]
        client.send(query(str(n)))
        proc.wait_for(lambda: proc.in_flight(client.socket.getsockname()[1], self.one.port) == 0, "it to be read", every=0.0005)

    def queued(self, n):
        self.asked[n] = self.asks
        self.waiting[self.asks] = 0
        self.asks += 1

    def arrival(self):
        """Somebody has got a server: whom did that pass by?"""
        server, text = self.arrivals.get(timeout=proc.PATIENCE)
        n = int(text)
        mine = self.asked.pop(n)
        del self.waiting[mine]
        self.busy[server] = n
        for ask in self.waiting:
            self.waiting[ask] += ask < mine
            self.worst = max(self.worst, self.waiting[ask])
        assert self.worst <= 2 * self.size, f"ask {mine} before {sorted(self.waiting)}, overtaken: {self.waiting}"

    def release(self, server):
        """It answers; returns whose it was."""
        n = self.busy.pop(server)
        self.releases[server].put(True)
        assert self.clients[n].ready().value() == str(n)
        return n

    def end(self):
        for release in self.releases.values():
            for _ in self.clients:
                release.put(True)  # whatever still comes is answered
        for client in self.clients:
            client.close()


@pytest.mark.parametrize("workers, size", [(1, 1), (2, 1), (3, 2), (4, 4)])
def test_b28_nobody_is_overtaken_by_more_than_twice_the_pool(fake, pgroute, workers, size):
    """B27 B28: no waiter is passed by more than 2 x pool_size that came later, under a load that never ends: whoever was answered
    asks again, and of some the next query is there already when the answer goes out."""
    stage, dice = Stage(fake, pgroute, workers, size, 8 * workers + size), scale.dice("fair", workers, size)
    for n in range(len(stage.clients)):
        stage.send(n)
        stage.queued(n)
        if n < size:
            stage.arrival()
    for _ in range(amount(100, 20_000)):
        server = dice.choice(sorted(stage.busy))
        pipelined = dice.random() < 0.4
        if pipelined:
            stage.send(stage.busy[server])
        n = stage.release(server)
        stage.arrival()
        if not pipelined:
            stage.send(n)
        stage.queued(n)
    print(f"overtaken by at most {stage.worst}")
    stage.end()


def test_b27_those_who_come_again_and_again_do_not_starve_one_who_waits(pg, pgroute):
    """B27: the greedy always have a hundred queries under way, and stop when the waiter has had its turns. (How often it may be
    overtaken is asked above.)"""
    one = pgroute(pg, workers=2, defaults={"pool_size": 1})
    greedy = [wire.Client(one.port).login() for _ in range(4)]
    patient = wire.Client(one.port).login()
    enough = threading.Event()

    def ask(client):
        client.send(query("SELECT 'more'") * 100)
        while not enough.is_set():
            client.send(query("SELECT 'more'"))
            assert client.ready().value() == "more"
        for _ in range(100):
            assert client.ready().value() == "more"

    with proc.Threads() as group:
        for client in greedy:
            group.start(ask, client)
        try:
            for _ in range(10):
                assert patient.query("SELECT 'a turn'").value() == "a turn"
        finally:
            enough.set()
    for client in [*greedy, patient]:
        client.terminate()


def test_clients_spread_evenly_over_workers(pg, pgroute):
    """Of 400 paced connects, each logged in before the next, no worker has more than 1.5 times as many as another."""
    one = pgroute(pg, workers=4, auth={"type": "trust"})
    clients = [wire.Client(one.port).login() for _ in range(400)]
    held = collections.Counter(one.workers_of(ports(clients)))
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
    held = collections.Counter(one.workers_of(ports(more)))
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


MUCH = 1 << 20  # more than a worker reads of one peer in a turn
WARM = 64       # times as much beforehand: then the kernel's buffers hold it in one piece


@pytest.fixture(params=["clear", "tls"])
def login(request):
    """login(one): a client; with it pgroute and fake servers are in clear or speak TLS."""
    if request.param == "clear":
        yield lambda one: wire.Client(one.port).login()
        return
    authority = tls.Authority()
    harness.secure = authority.make("both", "localhost", "DNS:localhost", owner=proc.unprivileged())
    yield lambda one: wire.Client.over(tls.connect(one.port, tls.client_context())).login()
    harness.secure = None
    authority.close()


def server_tls():
    if harness.secure is None:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*map(str, harness.secure))
    return context


def stop(one):
    worker = one.pid("worker")
    one.kill(worker, signal.SIGSTOP)
    proc.wait_for(lambda: proc.state(worker) == "T", "the worker to be stopped")
    return worker


def sent(port, to, data, send):
    """send(data), and all of it lies before the worker."""
    send(data)
    proc.wait_for(lambda: proc.in_flight(port, to) >= len(data), "it to be there")


def test_b67_much_of_one_client_does_not_come_before_a_little_of_another(fake, pgroute, login):
    """B67: when the worker looks, much input of one client is there already, and behind it a query, and then another client's query.
    Of the one server the other has the first use."""
    arrivals = queue.SimpleQueue()

    def script(conn):
        for got in conn.messages():
            arrivals.put(wire.strings(got.body)[0])
            conn.send(fs.one_row("done"))

    one = pgroute(fake(script, tls=server_tls()), workers=1, auth={"type": "trust"}, defaults={"pool_size": 1})
    late = copy_data(b"x" * (MUCH // 16)) * 16  # outside of a COPY it goes nowhere
    with login(one) as greedy, login(one) as small:
        for _ in range(WARM):
            greedy.send(late)
        assert greedy.query("warm").value() == "done"
        worker = stop(one)
        try:
            for client, data in (greedy, late + query("greedy")), (small, query("small")):
                sent(client.socket.getsockname()[1], one.port, data, client.send)
        finally:
            one.kill(worker, signal.SIGCONT)
        assert small.ready().value() == greedy.ready().value() == "done"
    assert [arrivals.get() for _ in range(3)] == ["warm", "small", "greedy"]


def test_b67_much_of_one_server_does_not_come_before_a_little_of_another(fake, pgroute, login):
    """B67: when the worker looks, a long answer is there already, and then a short one of another server. Who waits for a server
    gets that of the short one."""
    arrivals, answers, row = queue.SimpleQueue(), {}, fs.data_row("x" * (MUCH // 16))

    def script(conn):
        for got in conn.messages():
            answers.setdefault(wire.strings(got.body)[0], queue.SimpleQueue())
            arrivals.put((conn, wire.strings(got.body)[0]))
            conn.send(answers[wire.strings(got.body)[0]].get(timeout=proc.PATIENCE))

    def arrival(text):
        conn, got = arrivals.get(timeout=proc.PATIENCE)
        assert got == text
        return conn

    server = fake(script, tls=server_tls())
    one = pgroute(server, workers=1, auth={"type": "trust"}, defaults={"pool_size": 2})
    with contextlib.ExitStack() as stack:
        greedy, small, waiting = (stack.enter_context(login(one)) for _ in range(3))
        greedy.send(query("warm"))
        long = arrival("warm")
        answers["warm"].put(fs.row_description("v") + row * 16 * WARM + fs.complete("SELECT") + fs.ready("T"))
        assert greedy.ready().status == "T"
        greedy.send(query("much"))
        assert arrival("much") is long
        small.send(query("little"))
        short = arrival("little")
        waiting.send(query("next"))
        proc.wait_for(lambda: one.pool()["cl_waiting"] == 1, "it to wait")
        group = stack.enter_context(proc.Threads())
        worker = stop(one)
        try:
            for conn, text, data in ((long, "much", fs.row_description("v") + row * 16 + fs.complete("SELECT") + fs.ready()),
                                     (short, "little", fs.one_row("done"))):
                sent(server.port, conn.socket.getpeername()[1], data, answers[text].put)
            group.start(greedy.ready)
        finally:
            one.kill(worker, signal.SIGCONT)
        assert arrival("next") is short
        answers["next"].put(fs.one_row("done"))
        assert small.ready().value() == waiting.ready().value() == "done"
