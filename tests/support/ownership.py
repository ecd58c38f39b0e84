"""The ownership machine of docs/architecture.md, against random interleavings.

Real workers, channels, inboxes and sockets in one process; each worker has a
reactor that moves only when a rule says so. Workers may die at any moment,
inboxes may be full, clients half-close and close. One class: its rules act on
one state, which its invariants and its end check.
"""

import contextlib
import os
import socket
from typing import Any

import attrs
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, precondition, rule
from twisted.web.server import Site

from stickyd.ipc.fd_queue import make_inbox, waits_in
from stickyd.ipc.fd_sender import InboxSender
from stickyd.ipc.frame import Frame, Kind
from stickyd.master.supervisor.connection_limit import ConnectionLimit
from stickyd.master.supervisor.guardian import Guardian
from stickyd.master.supervisor.requeue import requeue
from stickyd.shm.connection_table import ConnectionTable
from stickyd.shm.scoreboard import Scoreboard
from stickyd.shm.worker_stats import WorkerStats
from stickyd.stats import MasterCounters
from stickyd.worker.apps.loaders.web import WebApp
from stickyd.worker.connection.lingering import LingeringConnection
from stickyd.worker.worker import Resources, Worker
from tests.support.cores import python_core
from tests.support.daemon import workers_in
from tests.support.extent import SLOW
from tests.support.numbered_answers import ANSWER, CLIENTS, SETTINGS, SLOTS, Echo
from tests.support.stepping import SteppingReactor

CROWD = 6
SELDOM = st.sampled_from([False] * 5 + [True])
RUN = settings(
    max_examples=400 if SLOW else 60,
    stateful_step_count=60,
    deadline=None,
    derandomize=True,
    suppress_health_check=list(HealthCheck),
)


@attrs.define(eq=False)
class Client:
    """A client's end, what it has asked, and what became of it."""

    number: int
    sock: socket.socket
    # The other end, as the master had it at first.
    theirs: socket.socket
    asked: list[tuple[bytes, bytes, int]] = attrs.field(factory=list)
    rest: bytes = b""
    got: bytes = b""
    done: bool = False
    closed: bool = False
    # Its worker died while it had the connection: what was unanswered may be lost.
    orphaned: bool = False


@attrs.frozen
class Place:
    """What the guardian asks of a slot."""

    number: int
    receiver: socket.socket
    outbox: InboxSender

    def is_waited_in(self) -> bool:
        return bool(self.outbox.waiting()) or waits_in(self.receiver)


class Ownership(RuleBasedStateMachine):
    clients = Bundle("clients")
    settings = SETTINGS
    guarded = False
    in_python = frozenset({3})

    def __init__(self) -> None:
        super().__init__()
        self.board = Scoreboard.create(SLOTS) if self.settings.routing.balance_factor else None
        self.rows: dict[int, int] = {}
        self.reactors = {slot: SteppingReactor() for slot in range(SLOTS + 1)}
        self.inboxes = {}
        for slot in range(1, SLOTS + 1):
            sender, receiver = make_inbox()
            # Small, so that a few connections with unread bytes fill it; but all that a worker
            # reads ahead must fit in, or it would rightly be refused.
            sender.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 16384)
            self.inboxes[slot] = (sender, receiver)
        self.places = ConnectionLimit(CROWD)
        self.master = self.make_outboxes()
        self.guardian = self.make_guardian(ConnectionTable.create(CROWD)) if self.guarded else None
        self.descriptors = len(os.listdir("/proc/self/fd"))
        self.workers: dict[int, Worker] = {}
        self.owners: dict[int, int] = {}
        for slot in self.inboxes:
            self.start_worker(slot)
        self.everyone: list[Client] = []

    def make_outboxes(self) -> dict[int, InboxSender]:
        """The master's ways into the inboxes."""
        row = self.board.row(0) if self.board is not None else None
        return {
            slot: InboxSender(self.reactors[0], sender, row.counter(slot) if row else None)
            for slot, (sender, _) in self.inboxes.items()
        }

    def make_guardian(self, ledger: ConnectionTable) -> Guardian:
        slots: Any = [self.place(slot) for slot in self.master]
        return Guardian(self.reactors[0], ledger, slots, self.places, MasterCounters(), 1e9)

    def place(self, slot: int) -> Any:
        return Place(slot, self.inboxes[slot][1], self.master[slot])

    def start_worker(self, slot: int) -> None:
        reactor = self.reactors[slot] = SteppingReactor()
        reactor.advance(self.reactors[0].seconds())
        tally = WorkerStats()
        self.places.watch(tally)
        ledger = None
        if self.guardian is not None:
            self.owners[slot] = self.guardian.next_owner()
            ledger = ConnectionTable(os.dup(self.guardian.table.descriptor), self.owners[slot])
        ends = {number: sender.dup() for number, (sender, _) in self.inboxes.items()}
        seat = None
        if self.board is not None:
            if slot in self.rows:
                self.board.fold(self.rows[slot])
            self.rows[slot] = self.board.hand_out(slot)
            seat = self.board, self.rows[slot]
        # Of one slot in three the workers are Python's: they share connections with engines.
        with python_core() if slot in self.in_python else contextlib.nullcontext():
            self.workers[slot] = Worker(
                reactor,
                self.settings,
                WebApp(Site(Echo(slot), reactor=reactor)),
                Resources(slot, self.inboxes[slot][1].dup(), ends, tally, seat, ledger),
            )
        self.workers[slot].context.poller._batch = 1
        self.workers[slot].start()

    # ---- what clients do

    @precondition(lambda self: len(self.everyone) < CROWD)
    @rule(target=clients, slot=st.integers(1, SLOTS))
    def connect(self, slot: int) -> Client:
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        number = len(self.everyone) + 1
        client = Client(number, ours, theirs)
        self.everyone.append(client)
        assert self.places.take()
        # As the master: the first request is known, so it is placed with it.
        first = self.message(client, slot, 0)
        entry = 0
        if self.guardian is not None:
            entry = self.guardian.allot(number, theirs.fileno(), len(first))
            assert entry, "an entry is left behind"
        frame = Frame(Kind.PLACED, number, None, None, unread=first, entry=entry)

        self.master[slot].put(frame.encode(), theirs.fileno(), 1e9, self.placed(client, frame))
        return client

    def placed(self, client: Client, frame: Frame) -> Any:
        def done(sent: bool) -> None:
            if not sent:
                client.orphaned = True
                self.places.give_back()
            if sent and self.guardian is not None:
                self.guardian.guard(frame.entry, client.theirs.detach(), frame.encode())
            else:
                client.theirs.close()

        return done

    def message(self, client: Client, slot: int, body: int) -> bytes:
        whose = CLIENTS[slot][client.number % 2].encode()
        number = b"%d.%d" % (client.number, len(client.asked))
        client.asked.append((number, whose, slot))
        return (
            b"POST / HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: %b\r\nX-Number: %b\r\n"
            b"Content-Length: %d\r\n\r\n" % (whose, number, body)
        ) + b"b" * body

    @rule(
        client=clients,
        slots=st.lists(st.integers(1, SLOTS), min_size=1, max_size=4),
        body=st.sampled_from([0, 0, 3, 500]),
        cut=st.integers(0, 400),
    )
    def send(self, client: Client, slots: list[int], body: int, cut: int) -> None:
        if client.closed or client.done:
            return
        data = client.rest + b"".join(self.message(client, slot, body) for slot in slots)
        # The end of it may come later.
        keep = min(cut, len(data) - 1)
        self.send_bytes(client, data[: len(data) - keep])
        client.rest = data[len(data) - keep :]

    def send_bytes(self, client: Client, data: bytes) -> None:
        try:
            sent = client.sock.send(data)
        except (BrokenPipeError, ConnectionResetError):
            return
        assert sent == len(data), "the test sends less than a socket holds"

    def send_rest(self, client: Client) -> None:
        rest, client.rest = client.rest, b""
        if rest and not client.closed:
            self.send_bytes(client, rest)

    @rule(client=clients)
    def half_close(self, client: Client) -> None:
        if not client.closed and not client.done:
            self.send_rest(client)
            client.sock.shutdown(socket.SHUT_WR)
            client.done = True

    @rule(client=clients)
    def close(self, client: Client) -> None:
        if not client.closed:
            self.read(client)
            client.sock.close()
            client.closed = True

    def read(self, client: Client) -> bool:
        """Take what has come; whether the connection has ended."""
        while True:
            try:
                data = client.sock.recv(65536)
            except BlockingIOError:
                return False
            except ConnectionResetError:
                return True
            if not data:
                return True
            client.got += data

    # ---- what the system does

    @rule(slot=st.integers(1, SLOTS), steps=st.integers(1, 12), which=st.integers(0, 50))
    def work(self, slot: int, steps: int, which: int) -> None:
        for _ in range(steps):
            self.reactors[slot].step(which)

    @rule(seconds=st.sampled_from([0.005, 0.1]))
    def pass_time(self, seconds: float) -> None:
        for reactor in self.reactors.values():
            reactor.advance(seconds)

    @rule(slots=st.lists(st.integers(1, SLOTS), min_size=1, max_size=20))
    def work_in_turns(self, slots: list[int]) -> None:
        for slot in slots:
            self.reactors[slot].step()

    @rule(slot=st.integers(1, SLOTS), really=st.integers(0, 3))
    def kill(self, slot: int, really: int) -> None:
        """kill -9, and a replacement; seldom, so that connections grow old enough to move."""
        if really:
            return
        worker = self.workers[slot]
        owned = {channel.frame.connection for channel in worker.context.connections}
        idle = {
            channel.frame.connection for channel in worker.context.connections if channel.idle()
        }
        self.close_descriptors(worker)
        if self.guardian is not None:
            self.guardian.worker_died(self.owners[slot], [self.place(slot)])
            # What idled goes on as if nothing had happened.
            owned -= idle
        self.places.settle(worker.context.accounting.stats)
        for client in self.everyone:
            if client.number in owned:
                client.orphaned = True
        self.start_worker(slot)

    @rule(slot=st.integers(1, SLOTS), really=SELDOM)
    def pass_over(self, slot: int, really: bool) -> None:
        """What waits for a slot goes to the others, as if it had no worker."""
        if really:
            others: list[Any] = [self.place(other) for other in self.inboxes if other != slot]
            whence: Any = self.place(slot)
            requeue(whence, others, 1e9, self.places, self.guardian, self.board)

    def close_descriptors(self, worker: Worker) -> None:
        """As the kernel does for a process that ends."""
        for channel in list(worker.context.connections):
            os.close(channel.transport.detach())
        for member in worker.context.connections.sweeper.members:
            if isinstance(member, LingeringConnection):
                member._socket.close()
        worker.context.poller.close()
        worker.adoption._inbox._receiver.close()
        for box in worker.context.routing.senders._senders.values():
            box._sender.close()
        if worker.adoption._table is not None:
            worker.adoption._table.close()

    # ---- what must always hold

    @invariant()
    def one_owner(self) -> None:
        held: dict[int, int] = {}
        for worker in self.workers.values():
            for channel in worker.context.connections:
                held[channel.frame.connection] = held.get(channel.frame.connection, 0) + 1
        assert all(n == 1 for n in held.values()), held
        assert len(held) <= self.places.open() <= len(self.everyone)

    @invariant()
    def answers_are_right(self) -> None:
        for client in self.everyone:
            if not client.closed:
                self.read(client)
            self.check_answers(client)

    def check_answers(self, client: Client) -> int:
        """Every answer is the next one due, of this connection, from the right worker."""
        answers = ANSWER.findall(client.got)
        expected = [(b"%d" % slot, number, whose) for number, whose, slot in client.asked]
        assert answers == expected[: len(answers)], (answers, expected)
        assert len(workers_in(client.got)) == len(answers)
        assert client.got.count(b"HTTP/1.1 ") == len(answers) or b"HTTP/1.1 5" in client.got
        return len(answers)

    def teardown(self) -> None:
        try:
            self.check_the_end()
        finally:
            for client in self.everyone:
                client.sock.close()
            for worker in self.workers.values():
                self.close_descriptors(worker)
            left = len(os.listdir("/proc/self/fd")) - self.descriptors
            if self.guardian is not None:
                self.guardian.close()
            for ends in self.inboxes.values():
                for end in ends:
                    end.close()
            if self.board is not None:
                self.board.close()
        assert left == 0, "a descriptor is left behind"

    def check_the_end(self) -> None:
        for client in self.everyone:
            self.send_rest(client)
        self.come_to_rest()
        for client in self.everyone:
            if client.closed:
                continue
            ended = self.read(client)
            answered = self.check_answers(client)
            if not client.orphaned:
                assert answered == len(client.asked), (client, answered)
                assert ended == client.done, client
            client.sock.close()
            client.closed = True
        # Everyone has left, so no worker may find a connection of its own.
        self.come_to_rest()
        for worker in self.workers.values():
            assert not worker.context.connections, "a connection is left behind"
        assert self.places.open() == 0, "a place is left behind"
        if self.guardian is not None:
            self.guardian.sweep()
            assert not len(self.guardian), "a copy is left behind"

    def come_to_rest(self) -> None:
        outboxes = [
            box
            for worker in self.workers.values()
            for box in worker.context.routing.senders._senders.values()
        ]
        outboxes += self.master.values()
        for _ in range(2000):
            moved = False
            # Time first: what waited for room in an inbox is to be taken out of it after that.
            for reactor in self.reactors.values():
                reactor.advance(0.005)
            for reactor in self.reactors.values():
                while reactor.step():
                    moved = True
            self.answers_are_right()
            if not moved and not any(box.waiting() for box in outboxes):
                return
        raise AssertionError("it does not come to rest")
