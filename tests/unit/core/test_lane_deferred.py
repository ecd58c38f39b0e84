"""The compiled lane beside Python's listener: TCP_DEFER_ACCEPT (tcp(7))."""

import unittest
import unittest.mock
from typing import Any

from twisted.internet import defer

from stickyd.net.deferred_accept import deferred_for, period_within, silent_clients
from stickyd.settings import ProxySettings
from tests.support.core_agreement import BROWSER, BUILT
from tests.support.lane_sides import PYTHON, Beside, Side


class Deferred(Beside):
    """TCP_DEFER_ACCEPT."""

    def test_period(self) -> None:
        periods = [period_within(t) for t in (0.1, 1.9, 2, 3.9, 4, 7.9, 8, 10, 16, 1e9)]
        self.assertEqual(periods, [0, 0, 1, 1, 3, 3, 7, 7, 15, 127])

    def test_which_sockets(self) -> None:
        for options, expected in (
            ({}, 7),
            ({"head_timeout": 2.0}, 1),
            ({"where": "::"}, 7),
            ({"where": "unix"}, 0),
            ({"passed": True}, 0),
            ({"proxy": ProxySettings("v1")}, 0),
        ):
            side = self.side(BUILT, **options)
            self.assertEqual(deferred_for(side.socket), expected, options)
        self.assertEqual(deferred_for(self.side(PYTHON).socket), 0)

    def test_a_silent_client_costs_nothing(self) -> None:
        side = self.side(BUILT)
        client = side.connect()
        self.assertEqual(side.reactor.ready(), [])
        self.assertTrue(silent_clients(side.socket.getsockname()[1]))
        self.assertEqual((side.places.open(), side.counters.accepted), (0, 0))
        client.sendall(BROWSER)
        side.arrives(client)
        self.assertFalse(silent_clients(side.socket.getsockname()[1]))
        self.assertEqual((side.places.open(), self.lane_accepted(side)), (1, 1))

    def test_it_is_accepted_after_the_period_with_the_rest_of_its_time(self) -> None:
        # The program before us may have run on the compiled core.
        for core in (BUILT, PYTHON):
            side = self.side(core, head_timeout=2.5)
            side.listener.defer_accept(1)
            side.arrives(side.connect())
            (waiting,) = side.listener.waiting
            self.assertEqual(waiting.deadline, 1.5)
            side.reactor.advance(1.5)
            side.reactor.advance(0.25)
            self.assertEqual(side.counters.silent, 1)

    def test_it_has_the_whole_time_once_it_has_begun(self) -> None:
        side = self.side(BUILT)
        side.arrives(side.connect(b"G"))
        (waiting,) = side.listener.waiting
        self.assertEqual(waiting.deadline, 10.0)

    def stop(self, side: Side) -> "defer.Deferred[None]":
        patcher = unittest.mock.patch("twisted.internet.task.deferLater", _later)
        patcher.start()
        self.addCleanup(patcher.stop)
        stopping = defer.ensureDeferred(side.front.stop(1.0))
        self.addCleanup(lambda: self.assertTrue(stopping.called))
        return stopping

    def test_a_stop_accepts_those_who_send_then(self) -> None:
        for core in (BUILT, PYTHON):
            side = self.side(core)
            side.listener.defer_accept(7)
            client = side.connect()
            stopping = self.stop(side)
            self.assertFalse(stopping.called)
            client.sendall(BROWSER)
            side.arrives(client)
            side.reactor.advance(0.1)
            self.assertTrue(stopping.called)
            self.assertEqual(self.lane_accepted(side), 1)

    def test_a_stop_does_not_wait_for_the_others(self) -> None:
        side = self.side(BUILT)
        side.connect()
        stopping = self.stop(side)
        for _ in range(11):
            self.assertFalse(stopping.called)
            side.reactor.advance(0.1)
        self.assertTrue(stopping.called)
        self.assertLess(side.socket.fileno(), 0)

    def test_a_stop_without_silent_clients_is_at_once(self) -> None:
        side = self.side(BUILT)
        side.arrives(side.connect(BROWSER))
        self.assertTrue(self.stop(side).called)


def _later(clock: Any, seconds: float) -> "defer.Deferred[None]":
    done: defer.Deferred[None] = defer.Deferred()
    clock.callLater(seconds, done.callback, None)
    return done
