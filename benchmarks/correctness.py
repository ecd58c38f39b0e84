"""The correctness pass: a wrong answer is fast, so answers are read before they are counted.

Every answer must have status 200 and name a worker, and every client must get all of its
answers from one worker: of stickyd from the slot its key has, of others from the one that
answers this client most.
"""

import re
import socket
from collections import Counter, defaultdict
from collections.abc import Mapping

import attrs

from benchmarks.load import CONNECTIONS, Load
from stickyd.settings import RoutingSettings, Settings
from tests.support.daemon import Reader

BIG_SIZE = 1 << 20
_WORKER = re.compile(rb"rom worker (\d+)|^worker (\d+), ")


@attrs.frozen
class Check:
    """Of so many requests: answers that were wrong, and those from another's worker.

    :ivar workers: how many workers answered.
    """

    asked: int
    wrong: int
    misrouted: int
    workers: int


def slots(workers: int, clients: Mapping[str, object]) -> dict[str, int]:
    """The worker that stickyd owes each client, with seed 1."""
    table = Settings(workers=workers, routing=RoutingSettings(seed=1)).policy().table
    return {client: table.slot_of(client.encode()) for client in clients}


def clients_of(workers: int, wanted: set[int], count: int) -> list[str]:
    """So many clients, all of them at home in the wanted slots."""
    table = Settings(workers=workers, routing=RoutingSettings(seed=1)).policy().table
    found: list[str] = []
    number = 0
    while len(found) < count:
        number += 1
        client = f"10.{number % 200}.{number // 200 % 200}.{number % 251}"
        if table.slot_of(client.encode()) in wanted:
            found.append(client)
    return found


def check(port: int, load: Load, requests: int = 1000, workers: int = 0) -> Check:
    """Ask as the load does, read every answer.

    :param workers: how many stickyd has; 0 for others, whose placement we do not know.
    """
    answered: dict[str, Counter[int]] = defaultdict(Counter)
    wrong = 0
    connections: dict[int, tuple[socket.socket, Reader]] = {}
    # Few clients, so that each comes back on several connections.
    distinct = max(2 * CONNECTIONS, requests // 8)
    try:
        for number in range(requests):
            at = number % CONNECTIONS
            if at not in connections:
                sock = socket.create_connection(("127.0.0.1", port), 20)
                connections[at] = sock, Reader(sock)
            sock, reader = connections[at]
            client = load.client(at + 1, number * 37 % distinct + 1)
            sock.sendall(_request(load, client))
            try:
                response = reader.response()
                worker = worker_of(response.status, response.body, load.path == "/big")
                last = load.closing or response.headers.get("connection", "").lower() == "close"
            except (OSError, EOFError, ValueError, IndexError):
                worker, last = None, True
            if worker is None:
                wrong += 1
            else:
                answered[client][worker] += 1
            if last:
                connections.pop(at)[0].close()
    finally:
        for sock, _ in connections.values():
            sock.close()
    return Check(requests, wrong, *judged(answered, workers))


def _request(load: Load, client: str) -> bytes:
    close = "Connection: close\r\n" if load.closing else ""
    head = f"GET {load.path} HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: {client}\r\n{close}\r\n"
    return head.encode()


def answers(port: int, load: Load) -> bool:
    """Whether a contestant answers as it should, by now."""
    try:
        return check(port, attrs.evolve(load, closing=True), 1).wrong == 0
    except OSError:
        return False


def worker_of(status: int, body: bytes, big: bool) -> int | None:
    """The worker that an answer names; None if the answer is wrong."""
    named = _WORKER.search(body)
    if status != 200 or named is None:
        return None
    if big:
        line = b"worker %b, " % named[named.lastindex or 1]
        if len(body) != BIG_SIZE or body != (line * BIG_SIZE)[:BIG_SIZE]:
            return None
    return int(named[named.lastindex or 1])


def judged(answered: Mapping[str, Counter[int]], workers: int) -> tuple[int, int]:
    """Answers from another's worker, and how many workers answered."""
    homes = slots(workers, answered) if workers else {}
    misrouted = 0
    for client, seen in answered.items():
        home = homes.get(client, seen.most_common(1)[0][0])
        misrouted += seen.total() - seen[home]
    return misrouted, len({worker for seen in answered.values() for worker in seen})
