"""A WebSocket of twisted.web goes from one worker to another, over a real connection."""

import os
import random
import socket
import unittest
from typing import Any

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.resource import Resource
from twisted.web.server import Site
from twisted.web.websocket import WebSocketResource
from zope.interface import implementer

from stickyd.http1.head_parser import Head, read_head
from stickyd.http1.limits import Limits
from stickyd.ipc.fd_queue import make_inbox, take_one, try_put, waits_in
from stickyd.ipc.frame import Frame, Kind, decode
from stickyd.ipc.handover import STATE_MOST, Handed
from stickyd.ipc.queue_clock import now
from stickyd.settings import Settings
from stickyd.shm.worker_stats import WorkerStats
from stickyd.worker.apps.loader import WebApp
from stickyd.worker.connection.next_step import State
from stickyd.worker.handover.handing import ASK_MOST, head_bytes
from stickyd.worker.handover.interfaces import HandedOver, IHandsOver
from stickyd.worker.handover.web import CannotTakeOver
from stickyd.worker.worker import Resources, Worker
from tests.slow.websocket_cases.frames import CLOSE, PING, TEXT, FrameReader, fragments, frame
from tests.slow.websocket_cases.frames import Frame as Came
from tests.support.daemon import request
from tests.support.extent import examples
from tests.support.stepping import SteppingReactor
from tests.support.upgraded import OFFER, Speaker


@implementer(IHandsOver)
class Leaver(Speaker):
    """An app's end that tells what the test says."""

    state: Any = b"state"

    def __init__(self) -> None:
        super().__init__()
        self.took: list[bytes] = []
        self.asked = 0

    def handOver(self) -> Any:
        self.asked += 1
        if isinstance(self.state, Exception):
            raise self.state
        return self.state

    def takeOver(self, state: bytes) -> None:
        self.took.append(state)


class Stayer(Speaker):
    """An app's end that knows nothing of handovers."""


class Page(Resource):
    """What another version of the app may have in the place of a WebSocket."""

    def render_GET(self, asked: Any) -> bytes:
        return b"another page"


class Handover(SynchronousTestCase):
    """Two workers in one process and one time."""

    speaker_type: type[Speaker] = Leaver

    def setUp(self) -> None:
        self.reactor = SteppingReactor()
        self.stats: list[WorkerStats] = []
        self.inboxes = {number: make_inbox() for number in (1, 2)}
        self.old, self.speaker = self.worker(1, self.speaker_type())
        self.new: Worker | None = None
        with socket.socket() as listening:
            listening.bind(("127.0.0.1", 0))
            listening.listen()
            self.client = socket.create_connection(listening.getsockname())
            self.client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            accepted, peer = listening.accept()
        frame = Frame(Kind.PLACED, 1, peer, accepted.getsockname())
        try_put(self.inboxes[1][0], frame.encode(), accepted.fileno())
        accepted.close()
        self.addCleanup(self.leave)
        self.reader = FrameReader()
        self.client.sendall(request("10.0.0.1", "/ws")[:-2] + OFFER)
        self.got = b""
        while b"\r\n\r\n" not in self.got:
            self.settle()
        self.got = b""

    def worker(self, slot: int, speaker: Speaker) -> tuple[Worker, Any]:
        root = Resource()
        root.putChild(b"ws", WebSocketResource(speaker))
        stats = WorkerStats()
        self.stats.append(stats)
        senders = {number: sender for number, (sender, _) in self.inboxes.items()}
        resources = Resources(slot, self.inboxes[slot][1], senders, stats)
        app = WebApp(Site(root, reactor=self.reactor))
        worker = Worker(self.reactor, Settings(workers=2), app, resources)
        worker.start()
        return worker, speaker

    def leave(self) -> None:
        self.client.close()
        self.reactor.settle()
        for worker in (self.old, self.new):
            if worker is not None:
                worker.retire(0)
                self.reactor.advance(11)
                worker.context.poller.close()
        for stats in self.stats:
            stats.close()
        for ends in self.inboxes.values():
            for end in ends:
                end.close()

    def settle(self) -> None:
        for _ in range(5):
            self.reactor.advance(0)
            self.reactor.settle()
        try:
            self.got += self.client.recv(1 << 20, socket.MSG_DONTWAIT)
        except BlockingIOError:
            pass

    def heard(self) -> list[Came]:
        """The frames that the client has got since the last time."""
        self.settle()
        self.reader.add(self.got)
        self.got = b""
        return list(self.reader.frames())

    def retire(self) -> None:
        """The old worker ends; its connections go to slot 2."""
        self.old.retire(30, [2])
        self.settle()

    def arrived(self) -> bool:
        return waits_in(self.inboxes[2][1])

    def taken(self) -> Handed:
        """What is in the inbox."""
        taken = take_one(self.inboxes[2][1])
        assert taken is not None
        os.close(taken[1])
        got = decode(taken[0])
        self.assertIs(got.kind, Kind.HANDED)
        self.put_at = got.put_at
        return Handed.decode(got.unread)

    def go_on(self, speaker: Speaker | None = None) -> Any:
        """The new worker begins."""
        self.new, there = self.worker(2, speaker or Leaver())
        self.settle()
        return there


class Leaving(Handover):
    def test_it_takes_along_what_it_is(self) -> None:
        self.retire()
        handed = self.taken()
        head = read_head(handed.head, Limits())
        assert isinstance(head, Head)
        self.assertEqual((head.target, head.wants_upgrade), (b"/ws", True))
        self.assertEqual(handed.state, b"state")
        self.assertEqual(handed.keys, ("10.0.0.1",))
        self.assertEqual((handed.extensions, handed.unread), ("", b""))
        self.assertTrue(self.speaker.reasons[0].check(HandedOver))
        self.assertEqual(len(self.speaker.reasons), 1)
        counters = self.old.context.accounting.counters
        self.assertEqual((counters.handed, counters.upgraded, counters.lost), (1, 0, 0))
        self.assertEqual(len(self.old.context.connections), 0)

    def test_its_time_in_the_inbox_begins_now(self) -> None:
        before = now()
        self.retire()
        self.taken()
        self.assertLessEqual((self.put_at - before) % 2**32, (now() - before) % 2**32)

    def test_what_is_sent_before_comes_before(self) -> None:
        self.speaker.transport.sendTextMessage("before")
        self.retire()
        there = self.go_on()
        there.transport.sendTextMessage("after")
        self.assertEqual([f.payload for f in self.heard()], [b"before", b"after"])

    def test_a_slow_client_takes_everything_first(self) -> None:
        self.speaker.transport.sendBytesMessage(bytes(20_000_000))
        self.retire()
        self.assertEqual((self.speaker.asked, self.arrived()), (1, False))
        while len(self.got) < 20_000_000:
            self.settle()
        self.settle()
        self.assertTrue(self.arrived())
        there = self.go_on()
        there.transport.sendTextMessage("after")
        self.assertEqual([len(each.payload) for each in self.heard()], [20_000_000, 5])

    def test_what_is_written_with_the_state_is_not_sent(self) -> None:
        speaker = self.speaker
        tell = Deferred[bytes]()
        speaker.state = tell
        self.retire()
        speaker.transport.sendTextMessage("before")
        tell.callback(b"then")
        speaker.transport.sendTextMessage("too late")
        self.assertEqual(self.go_on().took, [b"then"])
        self.assertEqual([f.payload for f in self.heard()], [b"before"])

    def test_the_boundary_is_waited_for(self) -> None:
        """Of a message in fragments with a ping in between, sent byte by byte."""
        message = frame(PING, b"p").join(fragments(TEXT, [b"one", b"", b"two"]))
        for at, byte in enumerate(message):
            self.client.send(bytes([byte]))
            self.settle()
            if at == 0:
                self.retire()
            self.assertEqual(self.arrived(), at == len(message) - 1)
        self.assertEqual(self.speaker.heard, ["onetwo"])
        self.assertEqual(self.taken().unread, b"")

    def test_between_messages_that_come_together(self) -> None:
        first, second, third = (frame(TEXT, text) for text in (b"1", b"2", b"3"))
        self.client.send(first[:-1])
        self.settle()
        self.retire()
        self.client.send(first[-1:] + second + third[:4])
        self.settle()
        self.assertEqual(self.speaker.heard, ["1"])
        there = self.go_on()
        self.assertEqual(there.heard, ["2"])
        self.client.send(third[4:])
        self.settle()
        self.assertEqual(there.heard, ["2", "3"])

    def test_what_comes_while_the_app_thinks(self) -> None:
        tell = Deferred[bytes]()
        self.speaker.state = tell
        self.retire()
        self.client.send(frame(TEXT, b"meanwhile"))
        self.settle()
        tell.callback(b"")
        there = self.go_on()
        self.assertEqual((self.speaker.heard, there.took), ([], [b""]))
        self.assertEqual(there.heard, ["meanwhile"])

    def test_the_client_goes_while_the_app_thinks(self) -> None:
        tell = Deferred[bytes]()
        self.speaker.state = tell
        self.retire()
        self.old.context.connections.abort()
        tell.callback(b"state")
        self.settle()
        self.assertFalse(self.arrived())
        self.assertEqual([f.opcode for f in self.heard()], [CLOSE])


class Cuts(unittest.TestCase):
    """Whatever the pieces in which it comes, and wherever among them the handover is."""

    def test_every_message_once_and_in_order(self) -> None:
        for seed in range(examples(120)):
            with self.subTest(seed=seed):
                chance = random.Random(seed)
                case = Handover("setUp")
                case.setUp()
                try:
                    self.check(case, chance)
                finally:
                    case.doCleanups()

    def check(self, case: Handover, chance: random.Random) -> None:
        texts = [f"{number} " + "x" * chance.choice((0, 1, 130)) for number in range(8)]
        stream = b""
        for text in texts:
            parts = [text[:1], text[1:2], text[2:]][: chance.choice((1, 3))]
            parts[-1] += text[sum(map(len, parts)) :]
            stream += b"".join(fragments(TEXT, [part.encode() for part in parts]))
            stream += chance.choice((b"", frame(PING, b"p")))
        begins = chance.randrange(len(stream))
        there, at, retired = Leaver(), 0, False
        while at < len(stream):
            size = chance.choice((1, 2, 5, 50, 300))
            case.client.send(stream[at : at + size])
            at += size
            if chance.random() < 0.7:
                case.settle()
            if not retired and at > begins:
                case.retire()
                retired = True
            if retired and case.new is None and chance.random() < 0.3:
                case.go_on(there)
        case.settle()
        if case.new is None:
            case.go_on(there)
        self.assertEqual(case.speaker.heard + there.heard, texts)
        self.assertEqual(case.speaker.asked, len(there.took))


class Staying(Handover):
    """Where it cannot be handed over it goes on, until its worker ends."""

    def check_stays(self) -> None:
        self.assertFalse(self.arrived())
        self.client.send(frame(TEXT, b"still here"))
        self.settle()
        self.assertEqual(self.speaker.heard, ["still here"])
        self.speaker.transport.sendTextMessage("so am I")
        self.assertEqual([f.payload for f in self.heard()], [b"so am I"])
        self.reactor.advance(30)
        self.settle()
        (last,) = self.heard()
        self.assertEqual((last.opcode, last.payload[:2]), (CLOSE, b"\x03\xf4"))

    def test_refused(self) -> None:
        self.speaker.state = None
        self.retire()
        self.check_stays()

    def test_too_much_state(self) -> None:
        self.speaker.state = bytes(STATE_MOST + 1)
        self.retire()
        self.check_stays()

    def test_as_much_as_fits(self) -> None:
        self.speaker.state = os.urandom(STATE_MOST)
        self.retire()
        self.assertEqual(self.go_on().took, [self.speaker.state])

    def test_no_bytes(self) -> None:
        self.speaker.state = "text"
        self.retire()
        self.assertEqual(len(self.flushLoggedErrors(TypeError)), 1)
        self.check_stays()

    def test_the_app_fails(self) -> None:
        self.speaker.state = ValueError("no state")
        self.retire()
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 1)
        self.check_stays()

    def test_an_app_that_never_tells(self) -> None:
        tell = Deferred[bytes]()
        self.speaker.state = tell
        self.retire()
        self.reactor.advance(ASK_MOST)
        tell.callback(b"too late")
        self.settle()
        self.assertFalse(self.arrived())
        self.client.send(frame(TEXT, b"still here"))
        self.settle()
        self.assertEqual(self.speaker.heard, ["still here"])

    def test_an_inbox_without_room(self) -> None:
        """The app has let it go already: it is closed."""
        sender, receiver = self.inboxes[2]
        while try_put(sender, bytes(100_000), self.client.fileno()):
            pass
        self.retire()
        self.assertEqual(self.speaker.asked, 1)
        self.assertEqual(self.heard(), [])
        self.reactor.advance(Settings().timeouts.inbox)
        self.settle()
        (last,) = self.heard()
        self.assertEqual((last.opcode, last.payload), (CLOSE, b"\x03\xf4"))
        while (taken := take_one(receiver)) is not None:
            os.close(taken[1])

    def test_a_closing_one(self) -> None:
        self.client.send(frame(CLOSE, b"\x03\xe8"))
        self.settle()
        self.retire()
        self.assertEqual((self.arrived(), self.speaker.asked), (False, 0))

    def test_the_daemon_ends(self) -> None:
        self.old.retire(30, [])
        self.reactor.advance(1)
        self.assertEqual([f.opcode for f in self.heard()], [CLOSE])
        self.assertEqual(self.speaker.asked, 0)

    def test_a_reload_while_developing(self) -> None:
        self.old.retire(30, [2], hurried=True)
        self.reactor.advance(1)
        self.assertEqual([f.opcode for f in self.heard()], [CLOSE])
        self.assertEqual(self.speaker.asked, 0)


class Arriving(Handover):
    def test_it_goes_on(self) -> None:
        self.retire()
        there = self.go_on()
        self.assertEqual(there.took, [b"state"])
        there.answer = there.echo
        self.client.send(frame(TEXT, b"hello") + frame(PING, b"p"))
        self.assertEqual([f.payload for f in self.heard()], [b"hello", b"p"])
        assert self.new is not None
        counters = self.new.context.accounting.counters
        self.assertEqual((counters.pinned, counters.upgraded, counters.requests), (0, 1, 0))
        (channel,) = self.new.context.connections
        self.assertIs(channel.state, State.PINNED)

    def test_an_app_that_does_not_take_it(self) -> None:
        self.retire()
        self.go_on(Stayer())
        self.assertEqual(len(self.flushLoggedErrors(CannotTakeOver)), 1)
        (last,) = self.heard()
        self.assertEqual((last.opcode, last.payload), (CLOSE, b"\x03\xf4"))

    def test_an_app_that_has_something_else_there(self) -> None:
        self.retire()
        self.new, _ = self.worker(2, Leaver())
        root = self.new.app.site.resource  # type: ignore[attr-defined]
        root.putChild(b"ws", Page())
        self.settle()
        (last,) = self.heard()
        self.assertEqual((last.opcode, last.payload), (CLOSE, b"\x03\xf4"))

    def test_a_worker_that_drains_passes_it_on(self) -> None:
        """Without a word to its app."""
        self.inboxes[3] = make_inbox()
        there = self.go_on()
        assert self.new is not None
        self.new.drain(self.inboxes[3][0])
        self.retire()
        taken = take_one(self.inboxes[3][1])
        assert taken is not None
        os.close(taken[1])
        self.assertEqual(Handed.decode(decode(taken[0]).unread).state, b"state")
        self.assertEqual((there.took, there.asked), ([], 0))


class Heads(unittest.TestCase):
    def test_a_head_reads_as_before(self) -> None:
        whole = request("10.0.0.1", "/ws?a=b")[:-2] + OFFER
        head = read_head(whole, Limits())
        assert isinstance(head, Head)
        again = read_head(head_bytes(head), Limits())
        assert isinstance(again, Head)
        self.assertEqual(again._replace(size=0), head._replace(size=0))
