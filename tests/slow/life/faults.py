"""Moves between real workers in one process, while sendmsg and recvmsg fail at random."""

import hashlib
import os
import socket
import time
from random import Random
from typing import Any
from unittest import mock

from twisted.internet.epollreactor import EPollReactor
from twisted.web.resource import Resource
from twisted.web.server import Site

from stickyd.ipc.fd_queue import make_inbox
from stickyd.ipc.fd_sender import InboxSender
from stickyd.ipc.frame import Frame, Kind
from stickyd.master.supervisor.connection_limit import ConnectionLimit
from stickyd.settings import RoutingSettings, Settings, Timeouts
from stickyd.shm.worker_stats import WorkerStats
from stickyd.worker import lanes
from stickyd.worker.apps.loaders.web import WebApp
from stickyd.worker.worker import Resources, Worker
from tests.slow.life.asking import AnswerReader, Asked, compose, judge
from tests.slow.life.faulty import Faults, FaultyReceiver, FaultySender
from tests.slow.life.run import Arguments, Results

MOVES = 100_000
SLOTS = 4
CLIENTS = 64
SETTINGS = Settings(
    workers=SLOTS,
    routing=RoutingSettings(scope="request", affinity="xff"),
    timeouts=Timeouts(inbox=60.0),
)
POLICY = SETTINGS.policy()
LIMIT_SECONDS = 1800.0


class Sum(Resource):
    """Answers as the app for load does."""

    isLeaf = True

    def __init__(self, slot: int) -> None:
        super().__init__()
        self._slot = slot

    def render(self, request: Any) -> bytes:
        number, client = request.getHeader("x-number"), request.getHeader("x-forwarded-for")
        port, digest = request.transport.getPeer().port, hashlib.sha256(request.content.read())
        padding = b"x" * int(request.args.get(b"pad", [b"0"])[0])
        words = (self._slot, os.getpid(), number, client, port, digest.hexdigest())
        return " ".join(map(str, words)).encode() + b"\n" + padding


class Client:
    """One connection that asks for another client's slot each time, until it may stop."""

    def __init__(self, family: "Family", number: int, ours: socket.socket) -> None:
        self.number = number
        self.sock = ours
        self.port = ours.getsockname()[1]
        self.due: list[Asked] = []
        self._family = family
        self._answers = AnswerReader()
        family.reactor.addReader(self)

    def requests(self) -> bytes:
        """The next ones, one to three."""
        family, parts = self._family, []
        for _ in range(family.chance.choice((1, 1, 2, 3))):
            name = ".".join(str(family.chance.randrange(256)) for _ in range(4))
            asked, data = compose(family.chance, family.next(), name, POLICY, 0.0, False)
            self.due.append(asked)
            parts.append(data)
        # Late answers are the daemon's check; here every answer is at once.
        return b"".join(parts)

    def ask(self) -> None:
        """Send them; less than a socket holds."""
        data = self.requests()
        try:
            sent = self.sock.send(data)
        except (BrokenPipeError, ConnectionResetError):
            # Its end will be read.
            return
        assert sent == len(data), "a client's socket is full"

    def fileno(self) -> int:
        """For the reactor."""
        return self.sock.fileno()

    def logPrefix(self) -> str:
        """For the reactor."""
        return "client"

    def connectionLost(self, reason: object) -> None:
        """For the reactor."""
        self.end()

    def doRead(self) -> None:
        """For the reactor: answers, or the end."""
        try:
            data = self.sock.recv(1 << 20)
        except BlockingIOError:
            return
        except ConnectionResetError:
            data = b""
        if not data:
            self.end()
            return
        for answer in self._answers.feed(data):
            asked = self.due.pop(0)
            self._family.answered += 1
            wrong = judge(asked, answer, self.port, POLICY)
            if wrong:
                self._family.wrong.append(f"connection {self.number}: {asked.number}: {wrong}")
        if not self.due:
            if self._family.enough():
                self._family.leave(self)
            else:
                self.ask()

    def end(self) -> None:
        """The connection has ended though we did not close it."""
        self._family.ended.add(self.number)
        self._family.leave(self)


class Family:
    """Workers, their inboxes, a master's sending ends, and the clients, on one reactor."""

    def __init__(self, moves: int, seed: int) -> None:
        self.chance = Random(seed)
        self.moves = moves
        self.faults = Faults(Random(seed + 1), retried=0.05, lossy=0.002)
        self.reactor = EPollReactor()
        self.answered = 0
        self.before = self.after = 0
        self.connections = 0
        self.wrong: list[str] = []
        self.ended: set[int] = set()
        self.clients: set[Client] = set()
        self._number = 0
        self._until = time.monotonic() + LIMIT_SECONDS
        self.places = ConnectionLimit(2 * CLIENTS)
        self._ends: list[FaultySender | FaultyReceiver] = []
        self._listening = socket.create_server(("127.0.0.1", 0))
        self._inboxes = {slot: make_inbox() for slot in range(1, SLOTS + 1)}
        for sender, _ in self._inboxes.values():
            # Small, so that it is full now and then without our help.
            sender.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 32768)
        with mock.patch.object(lanes, "PROBE", self.faults):
            self.workers = [self._worker(slot) for slot in self._inboxes]
        self._master = {
            slot: InboxSender(self.reactor, self._sender(slot)) for slot in self._inboxes
        }
        for worker in self.workers:
            worker.start()

    def _sender(self, slot: int) -> Any:
        self._ends.append(FaultySender(self._inboxes[slot][0].dup(), self.faults))
        return self._ends[-1]

    def _worker(self, slot: int) -> Worker:
        inbox: Any = FaultyReceiver(self._inboxes[slot][1].dup(), self.faults)
        self._ends.append(inbox)
        tally = WorkerStats()
        self.places.watch(tally)
        ends = {number: self._sender(number) for number in self._inboxes}
        site = WebApp(Site(Sum(slot), reactor=self.reactor))
        worker = Worker(self.reactor, SETTINGS, site, Resources(slot, inbox, ends, tally))
        inbox.by_engine = worker.engine is not None
        return worker

    def next(self) -> int:
        """Number of the next request."""
        self._number += 1
        return self._number

    def moved(self) -> int:
        """Moves so far."""
        return sum(
            sum(worker.context.accounting.counters.moved.values()) for worker in self.workers
        )

    def enough(self) -> bool:
        """Whether clients may stop."""
        return self.moved() >= self.moves or time.monotonic() > self._until

    def connect(self) -> None:
        """A new client, placed as the master does it."""
        self.connections += 1
        assert self.places.take()
        ours = socket.create_connection(self._listening.getsockname())
        theirs, peer = self._listening.accept()
        ours.setblocking(False)
        client = Client(self, self.connections, ours)
        self.clients.add(client)
        data = client.requests()
        frame = Frame(Kind.PLACED, client.number, peer, theirs.getsockname(), unread=data)
        slot = client.due[0].slot
        assert slot is not None

        def placed(sent: bool) -> None:
            if not sent:
                self.places.give_back()
            theirs.close()

        self._master[slot].put(frame.encode(), theirs.fileno(), 60.0, placed)

    def leave(self, client: Client) -> None:
        """A client's connection is over; another one comes in its place."""
        if client not in self.clients:
            return
        self.reactor.removeReader(client)
        client.sock.close()
        self.clients.discard(client)
        if not self.enough():
            self.connect()
        elif not self.clients:
            self.reactor.callLater(0, self._at_rest)

    def _at_rest(self) -> None:
        """Stop as soon as workers have seen that everyone left."""
        if any(
            worker.report()["open"] or worker.context.connections.sweeper.members
            for worker in self.workers
        ):
            self.reactor.callLater(0.02, self._at_rest)
        else:
            self.after = _descriptors()
            self.reactor.stop()

    def _begin(self) -> None:
        self.before = _descriptors()
        for _ in range(CLIENTS):
            self.connect()

    def run(self) -> None:
        """Until there were moves enough, or the time is over."""
        self.reactor.callWhenRunning(self._begin)
        # Whatever happens it ends.
        over = self.reactor.callLater(LIMIT_SECONDS + 60, self.reactor.stop)
        self.reactor.run(installSignalHandlers=False)
        if over.active():
            over.cancel()

    def close(self) -> None:
        """Close what is ours, as processes that end do; pollers are closed by their reactor."""
        for client in list(self.clients):
            client.sock.close()
        for faulty in self._ends:
            faulty.close()
        self.faults.close()
        for ends in self._inboxes.values():
            for end in ends:
                end.close()
        self._listening.close()


def _descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


def faults(results: Results, scope: str, arguments: Arguments) -> None:
    """A hundred thousand moves, with faults at each sendmsg and recvmsg."""
    moves = MOVES if arguments.rounds is None else arguments.rounds * 1000
    family = Family(moves, arguments.seed)
    started = time.monotonic()
    family.run()
    took = time.monotonic() - started
    lost_told = sum(worker.context.accounting.counters.lost for worker in family.workers)
    injected, lost = family.faults.injected, family.faults.lost
    moved = family.moved()
    family.close()
    results.check(
        moved >= moves, f"{moved} moves of {family.connections} connections, {took:.0f} s"
    )
    results.say("injected: " + ", ".join(f"{n} {name}" for name, n in sorted(injected.items())))
    results.check(
        not family.wrong, f"{family.answered} answers right and in order; wrong {len(family.wrong)}"
    )
    results.list(family.wrong)
    dropped = injected["recvmsg EMFILE"] + injected["recvmsg MSG_CTRUNC"]
    results.check(
        family.ended == lost and len(lost) == dropped,
        f"{dropped} descriptors dropped by the kernel, {len(family.ended)} connections lost:"
        f" {'the same' if family.ended == lost else sorted(family.ended ^ lost)[:20]}",
    )
    results.check(
        lost_told == dropped and family.places.open() == 0,
        f"counted by the workers as lost {lost_told}, places still taken {family.places.open()}",
    )
    results.check(
        family.after == family.before,
        f"descriptors without clients: {family.before} before, {family.after} after",
    )
