"""A tiny DNS server for one test: answers A questions from a table that the test may change at any time.

    with Dns({"db.test": ["127.0.0.2", "127.0.0.3"]}) as dns:
        pgroute(..., dns_servers=[dns.address])
        dns.names["db.test"] = ["127.0.0.3"]
        dns.wait_asked("db.test")
"""
import socket
import struct
import threading

from . import proc

TYPE_A, CLASS_IN, NXDOMAIN = 1, 1, 3


def name_of(packet, at):
    """The name at that offset and what stands behind it; questions use no compression."""
    labels = []
    while packet[at]:
        labels.append(packet[at + 1:at + 1 + packet[at]].decode())
        at += 1 + packet[at]
    return ".".join(labels).lower(), at + 1


class Dns:
    def __init__(self, names, ttl=1):
        self.names, self.ttl = dict(names), ttl
        self.asked = []  # (name, type) of each question that was answered
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.address = "127.0.0.1:%d" % self.socket.getsockname()[1]
        self.stopping = False

    def answer(self, packet):
        name, at = name_of(packet, 12)
        kind, = struct.unpack_from("!H", packet, at)
        addresses = self.names.get(name)
        records = [socket.inet_aton(a) for a in addresses or ()] if kind == TYPE_A else []
        self.asked.append((name, kind))
        return packet[:2] + struct.pack("!HHHHH", 0x8180 | (NXDOMAIN if addresses is None else 0), 1, len(records), 0, 0) \
            + packet[12:at + 4] \
            + b"".join(struct.pack("!HHHIH", 0xc00c, TYPE_A, CLASS_IN, self.ttl, 4) + data for data in records)

    def serve(self):
        while True:
            packet, peer = self.socket.recvfrom(4096)
            if self.stopping:
                return
            self.socket.sendto(self.answer(packet), peer)

    def wait_asked(self, name, times=2):
        """Until the name was asked for that often from now on: the answer before the last was taken in whole."""
        goal = self.asked.count((name, TYPE_A)) + times
        proc.wait_for(lambda: self.asked.count((name, TYPE_A)) >= goal, f"{name} to be asked for again")

    def __enter__(self):
        self.thread = threading.Thread(target=self.serve, daemon=True)
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.stopping = True
        self.socket.sendto(b"", self.socket.getsockname())
        self.thread.join(20)
        self.socket.close()
