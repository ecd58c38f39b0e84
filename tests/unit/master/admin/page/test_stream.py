"""Streams of pages that read, that do not read, and that have gone."""

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from stickyd.master.admin.page.build import view_of
from stickyd.master.admin.page.sample import Change
from stickyd.master.admin.page.stream import PERIOD, STALLED_SECONDS, STREAMS_MOST, Streams
from stickyd.master.admin.page.view import View
from tests.unit.master.admin.page.hostile import sample
from tests.unit.master.admin.test_metrics import facts


class Request:
    """The request and its channel, as far as a stream uses them."""

    def __init__(self) -> None:
        self.written: list[bytes] = []
        self.headers: dict[bytes, bytes] = {}
        self.finished = self.lost = self.aborted = False
        self.notices: list[Deferred[None]] = []
        self.channel = self.transport = self

    def getHandle(self) -> "Request":
        return self

    def setsockopt(self, *_: int) -> None:
        pass

    def setHeader(self, name: bytes, value: bytes) -> None:
        self.headers[name] = value

    def notifyFinish(self) -> "Deferred[None]":
        self.notices.append(Deferred())
        return self.notices[-1]

    def registerProducer(self, producer: Any, streaming: bool) -> None:
        self.producer = producer

    def unregisterProducer(self) -> None:
        del self.producer

    def write(self, data: bytes) -> None:
        self.written.append(data)

    def finish(self) -> None:
        self.finished = True
        for each in self.notices:
            each.callback(None)

    def loseConnection(self) -> None:
        self.lost = True

    def abortConnection(self) -> None:
        self.aborted = True
        self.disconnect()

    def disconnect(self) -> None:
        for each in self.notices:
            each.errback(Failure(ConnectionError()))


class Bounds(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.looks = 0
        self.streams = Streams(self.clock, self.look)

    def look(self) -> View:
        self.looks += 1
        return view_of(Change(None, sample(facts())), (), "digest")

    def open(self) -> Any:
        request: Any = Request()
        self.streams.add(request)
        return request

    def pass_seconds(self, count: float) -> None:
        self.clock.pump([PERIOD] * round(count / PERIOD))

    def test_one_view_for_all_of_them(self) -> None:
        requests = [self.open() for _ in range(3)]
        looks = self.looks
        self.pass_seconds(5)
        self.assertEqual(self.looks, looks + 5)
        self.assertEqual([len(each.written) for each in requests], [6, 6, 6])
        self.assertEqual(requests[0].headers[b"content-type"], b"text/event-stream")
        self.assertRegex(requests[0].written[1], rb"\Adata: \{[^\n]*\}\n\n\Z")

    def test_views_are_made_only_while_somebody_looks(self) -> None:
        request = self.open()
        request.disconnect()
        self.assertEqual(len(self.streams), 0)
        looks = self.looks
        self.pass_seconds(5)
        self.assertEqual((self.looks, self.clock.getDelayedCalls()), (looks, []))
        again = self.open()
        self.pass_seconds(2)
        self.assertEqual(len(again.written), 3)

    def test_a_page_that_is_behind_skips_views(self) -> None:
        request, other = self.open(), self.open()
        request.producer.pauseProducing()
        self.pass_seconds(STALLED_SECONDS - 2)
        self.assertEqual(len(request.written), 1)
        self.assertEqual(len(other.written), STALLED_SECONDS - 1)
        request.producer.resumeProducing()
        self.pass_seconds(STALLED_SECONDS)
        self.assertEqual(len(request.written), 1 + STALLED_SECONDS)
        self.assertFalse(request.aborted)

    def test_a_page_that_takes_nothing_is_disconnected(self) -> None:
        request = self.open()
        request.producer.pauseProducing()
        self.pass_seconds(STALLED_SECONDS)
        self.assertTrue(request.aborted)
        self.assertEqual((len(self.streams), self.clock.getDelayedCalls()), (0, []))

    def test_there_is_a_most(self) -> None:
        requests = [self.open() for _ in range(STREAMS_MOST)]
        self.assertFalse(self.streams.has_room())
        requests[0].disconnect()
        self.assertTrue(self.streams.has_room())

    def test_the_end(self) -> None:
        behind, other = self.open(), self.open()
        behind.producer.pauseProducing()
        self.streams.close()
        for each in (behind, other):
            self.assertEqual((each.finished, each.lost), (True, True))
        self.assertFalse(self.streams.has_room())
        self.assertEqual((len(self.streams), self.clock.getDelayedCalls()), (0, []))

    def test_a_view_that_fails_ends_them(self) -> None:
        request = self.open()
        look: Callable[[], View] = lambda: 1 // 0  # type: ignore[assignment, return-value]  # noqa: E731
        self.streams._look = look
        self.pass_seconds(1)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.assertTrue(request.finished)
