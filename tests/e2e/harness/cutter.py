"""A proxy between clients and pgroute that cuts their connections at random bytes, in either direction.

Each client has a listener of its own, so a client that lost its connection can be asked for: cuts[n] says how often it was cut.
What is cut is forwarded up to that byte, then both sides are closed or reset. Some connections pause at a random byte too, and
some are passed on in small pieces. Cancel requests are cut before they are whole or not at all: the client takes the end of their
connection as the sign that they were carried out.
"""
import asyncio
import contextlib
import socket
import struct
import threading

from . import scale

CANCEL, SSL, GSS = 80877102, 80877103, 80877104
UP, DOWN = "up", "down"


class Plan:
    """What happens to one connection: each drawn before its first byte."""

    def __init__(self, dice):
        self.dice = dice
        self.cut = {UP: None, DOWN: None}
        self.pause = {UP: None, DOWN: None}
        if dice.random() < 0.7:
            way = dice.choice((UP, DOWN))
            self.cut[way] = int(dice.expovariate(1 / {UP: 5_000, DOWN: 20_000}[way]))
        if dice.random() < 0.3:
            way = dice.choice((UP, DOWN))
            self.pause[way] = int(dice.expovariate(1 / 5_000))
        self.pieces = dice.random() < 0.2
        self.reset = dice.random() < 0.5

    def limit_to(self, size):
        """A cancel request: nothing happens from that byte on."""
        self.cut[DOWN] = None
        if self.cut[UP] is not None:
            self.cut[UP] = self.dice.randrange(size) if self.dice.random() < 0.5 else None

    def next_stop(self, way, done):
        """How many of the bytes to come may pass before something happens, and what."""
        stops = [(at - done, what) for what, at in (("cut", self.cut[way]), ("pause", self.pause[way]))
                 if at is not None and at >= done]
        return min(stops, default=(None, None))


class Framing:
    """Where in the messages of a client this is, from its startup packet on, whose first `begun` bytes are through."""

    def __init__(self, size, begun):
        self.head, self.left, self.type = b"", size - begun, None

    def pass_on(self, data):
        while data:
            n = min(self.left or 5 - len(self.head), len(data))
            if self.left > 0:
                self.left -= n
            else:
                self.head += data[:n]
            if len(self.head) == 5:
                self.type, self.left, self.head = self.head[:1], int.from_bytes(self.head[1:], "big") - 4, b""
            data = data[n:]

    def half(self):
        """A part of a message is through: if a server was sent as much, its connection must be closed. None sees a login."""
        return self.left > 0 and self.type not in (None, b"p")


class Connection:
    def __init__(self, cutter, n, plan, client, server):
        self.cutter, self.n, self.plan = cutter, n, plan
        self.ends = {UP: (client[0], server[1]), DOWN: (server[0], client[1])}
        self.done = {UP: 0, DOWN: 0}
        self.session, self.framing = True, None

    async def run(self):
        try:
            await self.begin()
            await asyncio.gather(self.pump(UP), self.pump(DOWN))
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            if self.framing is not None and self.framing.half():
                self.cutter.halves += 1
            for _, writer in self.ends.values():
                self.end(writer)

    async def begin(self):
        """The request of the first packet; one for encryption is answered by a byte, and another packet follows."""
        while True:
            head = await self.ends[UP][0].readexactly(8)
            size, code = struct.unpack("!ii", head)
            if code == CANCEL:
                self.session = False
                self.plan.limit_to(16)
                self.done[UP] = 0
            await self.forward(UP, head)
            if code not in (SSL, GSS):
                self.framing = Framing(size, 8)
                return
            await self.forward(DOWN, await self.ends[DOWN][0].readexactly(1))

    async def pump(self, way):
        reader, writer = self.ends[way]
        while data := await reader.read(1 << 16):
            await self.forward(way, data)
        writer.write_eof()

    async def forward(self, way, data):
        while data:
            room, what = self.plan.next_stop(way, self.done[way])
            if what is None or room > len(data) or self.cutter.calm:
                return await self.write(way, data)
            await self.write(way, data[:room])
            data = data[room:]
            if what == "cut":
                self.cut(way)
            self.plan.pause[way] = None
            await asyncio.sleep(self.plan.dice.random() * 0.3)

    async def write(self, way, data):
        writer = self.ends[way][1]
        self.done[way] += len(data)
        while data:
            size = self.plan.dice.randint(1, 2_000) if self.plan.pieces else len(data)
            if way == UP and self.framing is not None:
                self.framing.pass_on(data[:size])
            writer.write(data[:size])
            await writer.drain()
            data = data[size:]
            if data:
                await asyncio.sleep(0)

    def cut(self, way):
        """Counted before anybody can notice."""
        self.cutter.ways[way] += 1
        if self.session:
            self.cutter.cuts[self.n] += 1
        if self.plan.reset:
            for _, writer in self.ends.values():
                sock = writer.get_extra_info("socket")
                with contextlib.suppress(OSError):
                    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                writer.transport.abort()
        raise ConnectionAbortedError

    @staticmethod
    def end(writer):
        with contextlib.suppress(OSError, RuntimeError):
            writer.close()


class Cutter:
    """In a thread of its own, since what some drivers do before they send a cancel request keeps their own loop busy."""

    def __init__(self, target, number):
        self.target, self.number = target, number
        self.calm = False
        self.cuts, self.ways, self.connections = [0] * number, {UP: 0, DOWN: 0}, 0
        self.halves = 0  # connections that ended in the middle of a message of the client, for whatever reason
        self.ports, self.ready, self.loop = [], threading.Event(), None

    async def serve(self, n, *client):
        self.connections += 1
        plan = Plan(scale.dice_of("cutter", n, self.connections))
        try:
            server = await asyncio.open_connection("127.0.0.1", self.target)
        except OSError:  # no excuse for the client, who will tell
            return client[1].transport.abort()
        await Connection(self, n, plan, client, server).run()

    async def listen(self):
        for n in range(self.number):
            server = await asyncio.start_server(lambda *client, n=n: self.serve(n, *client), "127.0.0.1", 0)
            self.ports.append(server.sockets[0].getsockname()[1])

    def body(self):
        asyncio.set_event_loop(self.loop)
        self.loop.run_until_complete(self.listen())
        self.ready.set()
        self.loop.run_forever()
        tasks = asyncio.all_tasks(self.loop)
        for task in tasks:
            task.cancel()
        self.loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
        self.loop.close()

    def __enter__(self):
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.body, daemon=True)
        self.thread.start()
        self.ready.wait()
        return self

    def __exit__(self, *problem):
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join()
