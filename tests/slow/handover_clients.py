"""Many WebSockets in one process, each of which counts what comes and goes."""

import asyncio
import contextlib
import time

import attrs

from tests.slow.websocket_cases.frames import CLOSE, PING, TEXT, FrameReader, fragments, frame
from tests.support.daemon import request

PONG = 10
HANDSHAKE = (
    b"Connection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
)
WAYS = ("one", "bytes", "burst", "fragments")


@attrs.define
class Seen:
    """What all clients have seen.

    :ivar wrong: faults, each in words: lost, doubled, out of order.
    :ivar closed: how sockets have ended.
    :ivar waits: seconds from each message to its answer.
    :ivar pauses: those waits for the first answer of another worker, in seconds.
    :ivar moves: handovers that the apps know of.
    """

    answers: int = 0
    ticks: int = 0
    wrong: list[str] = attrs.field(factory=list)
    closed: list[str] = attrs.field(factory=list)
    waits: list[float] = attrs.field(factory=list)
    pauses: list[float] = attrs.field(factory=list)
    moves: int = 0


class Client(asyncio.Protocol):
    """One WebSocket.

    :param way: how it sends: one message at a time, byte by byte, five at once, or in fragments.
    :param every: seconds between messages; 0 for none.
    """

    def __init__(self, number: int, path: str, way: str, every: float, seen: Seen) -> None:
        self.number, self.path, self.way, self.every, self.seen = number, path, way, every, seen
        self.sent = self.answered = self.ticked = self.moves = 0
        self.frames = FrameReader()
        self.head = b""
        self.open = asyncio.get_running_loop().create_future()
        self.times: dict[int, float] = {}
        self.ending = False
        self.task: asyncio.Task[None] | None = None
        self.why = "no Close frame"

    # ---- asyncio

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        client = f"10.30.{self.number // 250}.{self.number % 250}"
        transport.write(request(client, self.path)[:-2] + HANDSHAKE)

    def data_received(self, data: bytes) -> None:
        if not self.open.done():
            self.head += data
            if b"\r\n\r\n" not in self.head:
                return
            head, _, data = self.head.partition(b"\r\n\r\n")
            if not head.startswith(b"HTTP/1.1 101 "):
                self.seen.wrong.append(f"{self.number}: {head[:60]!r}")
                return
            self.open.set_result(None)
            if self.every:
                self.task = asyncio.get_running_loop().create_task(self.talk())
        self.frames.add(data)
        for each in self.frames.frames():
            if each.opcode == TEXT:
                self.heard(each.payload.decode())
            elif each.opcode == PING:
                self.transport.write(frame(PONG, each.payload))
            elif each.opcode == CLOSE:
                self.why = f"closed with {int.from_bytes(each.payload[:2], 'big')}"
                self.transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        if self.task is not None:
            self.task.cancel()
        if not self.ending:
            self.seen.closed.append(self.why)
        if not self.open.done():
            self.open.set_result(None)

    # ---- messages

    def heard(self, text: str) -> None:
        seen = self.seen
        who, number, *rest = text.split()
        if who == "tick":
            seen.ticks += 1
            if int(number) != self.ticked:
                seen.wrong.append(f"{self.number}: tick {number}, not {self.ticked}")
            self.ticked = int(number) + 1
            return
        if who == "bad" or int(number) != self.answered:
            seen.wrong.append(f"{self.number}: {text}, not {self.answered}")
        seen.answers += 1
        self.answered = int(number) + 1
        sent = self.times.pop(int(number), 0.0)
        wait = time.monotonic() - sent
        if self.way != "bytes":
            # Sending takes longer there than the answer.
            seen.waits.append(wait)
        if int(rest[0]) != self.moves:
            seen.pauses.append(wait)
        seen.moves += int(rest[0]) - self.moves
        self.moves = int(rest[0])

    def message(self) -> bytes:
        number = str(self.sent)
        self.times[self.sent] = time.monotonic()
        self.sent += 1
        payload = number.encode()
        if self.way == "fragments":
            payload += b" and more"
            parts = [payload[:1], b"", payload[1:5], payload[5:]]
            return frame(PING, b"a").join(fragments(TEXT, parts))
        return frame(TEXT, payload)

    async def talk(self) -> None:
        """Send until cancelled."""
        while True:
            if self.way == "bytes":
                for byte in self.message():
                    self.transport.write(bytes([byte]))
                    await asyncio.sleep(self.every / 16)  # the pace of the bytes
                continue
            for _ in range(5 if self.way == "burst" else 1):
                self.transport.write(self.message())
            # The pace of the messages.
            await asyncio.sleep(self.every * (5 if self.way == "burst" else 1))

    async def finish(self, seconds: float = 30.0) -> None:
        """Send nothing more; wait until all is answered."""
        if self.task is not None:
            self.task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self.task
        if self.way == "bytes" and not self.transport.is_closing():
            # It may have been cut within a frame, which then has no answer.
            self.times.pop(self.sent - 1, None)
        until = time.monotonic() + seconds
        while self.times and time.monotonic() < until and not self.transport.is_closing():
            # Answers come meanwhile.
            await asyncio.sleep(0.05)
        if self.times and not self.transport.is_closing():
            self.seen.wrong.append(f"{self.number}: no answer to {sorted(self.times)}")
        self.ending = True
        self.transport.close()


async def open_all(
    port: int, count: int, seen: Seen, path: str = "/ticks", every: float = 1.0
) -> list[Client]:
    """Open so many WebSockets; their ways alternate."""
    loop = asyncio.get_running_loop()
    clients: list[Client] = []
    for number in range(count):
        way = WAYS[number % len(WAYS)]

        def make(number: int = number, way: str = way) -> Client:
            query = f"{path}?id={number}"
            return Client(number, query, way, every, seen)

        _, client = await loop.create_connection(make, "127.0.0.1", port)
        clients.append(client)
        if number % 50 == 49:
            await asyncio.gather(*(each.open for each in clients))
    await asyncio.gather(*(each.open for each in clients))
    return clients
