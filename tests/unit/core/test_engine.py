"""Lanes of the compiled engine, and how Python channels take them over."""

import contextlib
import gc
import os
import re
import socket
import unittest
import unittest.mock
from typing import Any

from twisted.internet import interfaces
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET

from stickyd.cli.option_tables.limit_table import LIMITS
from stickyd.cli.parsers import Whole
from stickyd.ipc.fd_queue import MESSAGE_MOST, make_inbox, try_put
from stickyd.ipc.frame import Frame, Kind
from stickyd.net.lingering_close import LINGER_MOST, LINGER_SILENCE
from stickyd.net.timeouts import SWEEP_EVERY
from stickyd.settings import (
    LifecycleSettings,
    LogSettings,
    RecycleSettings,
    RoutingSettings,
    Settings,
)
from stickyd.worker.connection.channel import Channel
from stickyd.worker.connection.transport import READ_MOST
from tests.support.cores import NATIVE, python_core
from tests.support.one_connection import OneConnection

HEAD = b"GET %b HTTP/1.1\r\nHost: x\r\n\r\n"
BIG = b"b" * 4_000_000
FRAME_HEAD_MOST = len(Frame(Kind.MOVED, 1, ("::1", 1), ("::1", 2)).encode())


class Pages(Resource):
    """An answer for each way that one can be given."""

    isLeaf = True

    def __init__(self) -> None:
        super().__init__()
        self.later: list[Any] = []
        self.transports: list[Any] = []

    def render(self, request: Any) -> Any:
        self.transports.append(request.transport)
        if request.path == b"/later":
            self.later.append(request)
            return NOT_DONE_YET
        if request.path == b"/aborts":
            request.transport.abortConnection()
            return NOT_DONE_YET
        if request.path == b"/big":
            return BIG
        if request.path == b"/some":
            return BIG[:40_000]
        return b"body %b of %b" % (request.content.read(), request.path)


@unittest.skipIf(NATIVE is None, "the compiled core is not built")
class OfPages(OneConnection):
    """A connection to a worker that serves `Pages`.

    :cvar core: within it the worker is made; in `python_core` without the compiled one.
    """

    core: Any = staticmethod(contextlib.nullcontext)

    def resource(self) -> Resource:
        self.pages = Pages()
        return self.pages

    def setUp(self) -> None:
        with self.core():
            super().setUp()


class Lanes(OfPages):
    def check_lane(self, expected: bool) -> None:
        """Whether the engine has the connection, or a Python channel."""
        (connection,) = self.worker.context.connections
        self.assertEqual(isinstance(connection, Channel), not expected)

    def test_the_longest_message(self) -> None:
        """As long as one that brings the longest head, and one read behind it."""
        frame = Frame(Kind.MOVED, 2, None, None).encode()
        (option,) = (each for each in LIMITS if each.name == "limit-request-head")
        bounds = option.argument.parse
        assert isinstance(bounds, Whole)
        self.assertGreaterEqual(MESSAGE_MOST, bounds.most + READ_MOST + FRAME_HEAD_MOST)
        begun = b"POST /x HTTP/1.1\r\nHost: x\r\nContent-Length: 250000\r\n\r\n"
        ours, theirs = socket.socketpair()
        theirs.setblocking(False)
        message = frame + begun + bytes(MESSAGE_MOST - len(frame + begun))
        with ours:
            with theirs:
                self.assertTrue(try_put(self.sender, message, theirs.fileno()))
            self.reactor.settle()
            ours.sendall(bytes(len(frame + begun) + 250_000 - MESSAGE_MOST))
            self.reactor.settle()
            self.assertTrue(ours.recv(4096, socket.MSG_DONTWAIT).startswith(b"HTTP/1.1 200 "))

    def ask(self, target: bytes) -> bytes:
        self.client.sendall(HEAD % target)
        return self.answer(b"of " + target)

    def answer(self, end: bytes) -> bytes:
        """What has come when ``end`` has."""
        self.got = b""
        while end not in self.got:
            self.assertTrue(self.take(1), self.got)
        return self.got

    def test_a_second_descriptor_in_a_message_is_not_kept(self) -> None:
        """As `stickyd.ipc.fd_queue` has it: such a message is none of ours."""
        self.begin(HEAD % b"/a")
        before = len(os.listdir("/proc/self/fd"))
        frame = Frame(Kind.PLACED, 2, None, None).encode()
        for count in (2, 3):
            passed = [self.client.fileno()] * count
            socket.send_fds(self.sender, [frame], passed)
            self.reactor.settle()
            self.assertEqual(len(os.listdir("/proc/self/fd")), before)
        self.assertEqual(self.worker.context.accounting.counters.adopted, 1)

    def test_an_idle_connection_has_no_frame(self) -> None:
        """Of the many that idle, each has what it cannot do without; the rest is made again."""
        for target in (b"/a", b"/b"):
            self.ask(target)
            (lane,) = self.worker.context.connections
            self.reactor.advance(SWEEP_EVERY)
            kept = [each for each in gc.get_referents(lane) if isinstance(each, (Frame, bytes))]
            self.assertEqual(kept, [])
            self.assertEqual(lane.frame.peer, self.peer)
        self.check_lane(True)

    def test_counts_what_it_places_by_source(self) -> None:
        """The master has placed the first."""
        for target in (b"/a", b"/b", b"/c"):
            self.ask(target)
        self.client.sendall(
            HEAD.replace(b"\r\n\r\n", b"\r\nX-Forwarded-For: 1.2.3.4\r\n\r\n") % b"/d"
        )
        self.answer(b"of /d")
        counters = self.worker.context.accounting.counters
        # By the number of the source, in the chain xff,src.
        self.assertEqual(counters.placed.as_json(), {"2": 2, "1": 1})

    def test_a_plain_connection_is_a_lane(self) -> None:
        for target in (b"/a", b"/b", b"/c?d"):
            self.assertIn(b"200 OK", self.ask(target.partition(b"?")[0]))
            self.check_lane(True)
        self.assertEqual(self.worker.context.accounting.counters.requests, 3)
        self.assertEqual(len({id(each) for each in self.pages.transports}), 1)

    def test_addresses_and_interface_of_the_transport(self) -> None:
        self.ask(b"/a")
        (transport,) = self.pages.transports
        self.assertTrue(interfaces.ITCPTransport.providedBy(transport))
        self.assertEqual((transport.getPeer().host, transport.getPeer().port), self.peer)
        self.check_lane(True)
        self.assertTrue(transport.getTcpNoDelay() in (False, True))
        self.check_lane(False)
        self.ask(b"/b")

    def test_pipelined_requests_are_answered_in_order(self) -> None:
        self.begin(b"".join(HEAD % b"/%d" % n for n in range(5)))
        got = self.answer(b"of /4")
        self.assertEqual([got.count(b"of /%d" % n) for n in range(5)], [1] * 5)
        self.check_lane(True)

    def test_a_head_that_comes_byte_by_byte(self) -> None:
        for byte in HEAD % b"/a":
            self.client.sendall(bytes([byte]))
            self.reactor.settle()
        self.answer(b"of /a")
        self.check_lane(True)

    def test_a_body_that_is_here_and_one_that_is_not(self) -> None:
        head = b"POST /p HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\n"
        self.client.sendall(head + b"1234")
        self.assertIn(b"body 1234 ", self.answer(b"of /p"))
        self.check_lane(True)
        self.client.sendall(head + b"12")
        self.reactor.settle()
        self.check_lane(False)
        self.client.sendall(b"34")
        self.assertIn(b"body 1234 ", self.answer(b"of /p"))

    def test_an_answer_in_parts_and_later(self) -> None:
        self.begin(HEAD % b"/later" + HEAD % b"/a")
        (request,) = self.pages.later
        request.write(b"one")
        self.answer(b"one")
        request.write(b"two")
        request.finish()
        self.answer(b"of /a")
        self.check_lane(True)

    def test_an_answer_that_the_kernel_does_not_take_at_once(self) -> None:
        self.begin(HEAD % b"/big" + HEAD % b"/a")
        self.check_lane(False)
        got = self.answer_of_many(b"of /a")
        self.assertEqual(got.count(b"b" * 1000), len(BIG) // 1000)

    def answer_of_many(self, end: bytes) -> bytes:
        self.got = b""
        while not self.got.endswith(end):
            self.assertTrue(self.take(1))
            self.take(65536)
        return self.got

    def test_a_producer(self) -> None:
        self.begin(HEAD % b"/later")
        (request,) = self.pages.later
        told: list[str] = []

        class Producer:
            def resumeProducing(self) -> None:
                told.append("more")
                request.write(b"x")
                if len(told) == 3:
                    request.unregisterProducer()
                    request.finish()

            def stopProducing(self) -> None:
                told.append("stop")

        request.registerProducer(Producer(), False)
        self.answer(b"0\r\n\r\n")
        self.assertEqual(told, ["more"] * 3)

    def test_refused(self) -> None:
        self.begin(b"GET / HTTP/1.1\r\n\r\n")
        self.take(1000)
        self.assertIn(b" 400 ", self.got)
        self.assertEqual(self.worker.context.accounting.counters.refused.as_json(), {"400": 1})

    def test_abort(self) -> None:
        self.begin(HEAD % b"/aborts")
        with self.assertRaises(ConnectionResetError):
            self.take(1)
        self.assertFalse(self.open())

    def test_last_answer(self) -> None:
        self.begin(b"GET /a HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        self.answer(b"of /a")
        self.assertFalse(self.take(1))
        self.assertFalse(self.open())

    def parting(self) -> set[Any]:
        """Connections that the worker only closes."""
        return self.worker.context.connections.sweeper.members

    def part(self) -> None:
        """Take the last answer; the worker waits for the client's end."""
        self.begin(b"GET /a HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        self.assertFalse(self.take(10_000))
        self.assertTrue(self.got.endswith(b"of /a"))
        self.assertFalse(self.open())
        self.assertEqual(len(self.parting()), 1)

    def test_a_connection_is_closed_when_the_client_closes_it(self) -> None:
        self.part()
        self.client.sendall(b"x" * 100_000)
        self.reactor.settle()
        self.assertEqual(len(self.parting()), 1)
        self.client.close()
        self.reactor.settle()
        self.assertEqual(self.parting(), set())

    def silent_for(self, each: Any) -> float:
        """Seconds until the worker has closed, while the client does something."""
        start = self.reactor.seconds()
        while self.parting() and self.reactor.seconds() - start < 60:
            each()
            self.reactor.settle()
            self.reactor.advance(SWEEP_EVERY)
        return self.reactor.seconds() - start

    def test_a_client_that_does_not_close(self) -> None:
        self.part()
        # Our end is acknowledged at once: the clock of the worker runs faster than the kernel's.
        quick = (socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)
        seconds = self.silent_for(lambda: self.client.setsockopt(*quick))
        self.assertAlmostEqual(seconds, LINGER_SILENCE, delta=0.6)

    def test_a_client_that_sends_on_behind_the_last_answer(self) -> None:
        self.part()
        seconds = self.silent_for(lambda: self.client.sendall(b"x"))
        self.assertAlmostEqual(seconds, LINGER_MOST, delta=0.6)

    def test_a_client_that_does_not_take_the_end_of_the_last_answer(self) -> None:
        self.begin(b"GET /some HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        self.reactor.settle()
        self.assertEqual(len(self.parting()), 1)
        # The kernel has all of it, and the client's pace decides.
        seconds = self.silent_for(lambda: None)
        self.assertGreater(seconds, LINGER_SILENCE + 1)
        self.assertLess(seconds, self.settings.timeouts.send + LINGER_MOST)

    def test_the_client_half_closes_while_the_app_works(self) -> None:
        self.begin(HEAD % b"/later")
        self.client.shutdown(socket.SHUT_WR)
        self.reactor.settle()
        self.check_lane(False)
        (request,) = self.pages.later
        request.write(b"here")
        request.finish()
        self.answer(b"here")

    def test_keep_alive_is_over(self) -> None:
        self.ask(b"/a")
        self.pass_time(self.settings.timeouts.keep_alive + 1)
        self.assertFalse(self.open())

    def test_a_head_that_stays_unfinished(self) -> None:
        self.begin(HEAD[:10])
        self.pass_time(self.settings.timeouts.head + 1)
        self.take(1000)
        self.assertIn(b" 408 ", self.got)

    def test_the_transport_of_a_connection_that_has_ended(self) -> None:
        self.ask(b"/a")
        (transport,) = self.pages.transports
        self.client.close()
        self.reactor.settle()
        self.assertFalse(self.open())
        self.assertEqual(transport.getPeer().port, self.peer[1])
        for call in (transport.loseConnection, transport.abortConnection):
            call()
        transport.write(b"nobody reads it")
        self.assertEqual(transport.fileno(), -1)


@unittest.skipIf(NATIVE is None, "the compiled core is not built")
class MoreThanCounts(OneConnection):
    """Requests are counted for a replacement, and their durations measured."""

    settings = Settings(
        workers=1,
        lifecycle=LifecycleSettings(recycle=RecycleSettings(max_requests=2)),
        log=LogSettings(admin="tcp:1"),
    )

    def resource(self) -> Resource:
        return Pages()

    def test_as_python_counts(self) -> None:
        seen = []
        for core in (contextlib.nullcontext, python_core):
            self.doCleanups()
            with core():
                self.setUp()
            asked: list[str] = []
            accounting = self.worker.context.accounting
            self.assertFalse(accounting.only_counts)
            with unittest.mock.patch.object(accounting.events, "request_replacement", asked.append):
                self.begin(b"".join(HEAD % b"/%d" % n for n in range(3)))
                while b"of /2" not in self.got:
                    self.take(1)
            counters = accounting.counters
            durations = sum(counters.durations.values())
            seen.append((asked, counters.requests, counters.requests_by.as_json(), durations))
        self.assertEqual(seen[0], seen[1])
        self.assertEqual(seen[0][0], ["max-requests"])


class Channels(Lanes):
    """The same of Python channels, as far as it is seen from outside."""

    core = staticmethod(python_core)

    def check_lane(self, expected: bool) -> None:
        super().check_lane(False)

    def test_an_idle_connection_has_no_frame(self) -> None:
        """A channel has one as long as it lives."""
        self.ask(b"/a")
        self.reactor.advance(SWEEP_EVERY)
        self.assertEqual(self.channel.frame.peer, self.peer)


@unittest.skipIf(NATIVE is None, "the compiled core is not built")
class IdsInAnswers(OneConnection):
    """A chain that sets and learns ids."""

    settings = Settings(workers=1, routing=RoutingSettings(affinity="mcp,insert(S),src"))

    def resource(self) -> Resource:
        self.pages = Pages()
        return self.pages

    def test_the_keys_of_a_request_under_way_stay_when_the_worker_drains(self) -> None:
        for core in (contextlib.nullcontext, python_core):
            self.doCleanups()
            with core():
                self.setUp()
            self.begin(HEAD % b"/later")
            (request,) = self.pages.later
            request.write(b"begun")
            while b"begun" not in self.got:
                self.take(1)
            (value,) = re.findall(rb"\r\nSet-Cookie: S=([\w-]{28});", self.got)
            ours, theirs = make_inbox()
            for end in (ours, theirs):
                self.addCleanup(end.close)
            self.worker.drain(ours)
            keys = self.worker.context.routing.keys
            for key in ("127.0.0.1", value.decode()):
                self.assertIsNone(keys.other(key, 0.0, came_with=False), key)
            self.assertIsNotNone(keys.other("127.0.0.2", 0.0, came_with=False))
            request.finish()
            self.reactor.settle()

    def test_ids_in_fields_that_frame_the_answer_are_pythons(self) -> None:
        self.assertIsNotNone(self.worker.engine)
        self.doCleanups()
        affinity = "learn(hdr(Content-Length)),src"
        self.settings = Settings(workers=1, routing=RoutingSettings(affinity=affinity))
        self.setUp()
        self.assertIsNone(self.worker.engine)
