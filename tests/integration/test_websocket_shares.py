"""Clients of upgraded connections share a worker: none holds up the others."""

import unittest
from functools import partial
from typing import Any
from unittest import mock

from twisted.internet.task import Clock

from stickyd.worker.connection import upgraded
from stickyd.worker.connection.round_robin import RoundRobin
from tests.slow.websocket_cases.frames import BINARY, fragments, text
from tests.support.upgraded import Upgraded


class FairShare(Upgraded):
    """An app that takes a millisecond over a message."""

    def setUp(self) -> None:
        super().setUp()
        self.story: list[str] = []

        def slowly(message: Any) -> None:
            self.reactor.rightNow += 0.001
            self.story.append("message")

        self.speaker.answer = slowly

    def turn(self) -> None:
        """The others' share: what is due in the next turn of the reactor."""
        self.story.append("turn")
        if self.story.count("message") < 100:
            self.reactor.callLater(0, self.turn)

    def check(self, data: bytes, most: int) -> None:
        self.upgrade()
        self.reactor.callLater(0, self.turn)
        self.push(data)
        runs = [len(run.split()) for run in " ".join(self.story).split("turn")]
        self.assertEqual(sum(runs), 100)
        self.assertLessEqual(max(runs), most, self.story)

    def test_many_messages_that_came_at_once(self) -> None:
        self.check(b"".join(text(str(number)) for number in range(100)), 3)
        self.assertEqual(self.speaker.heard, [str(number) for number in range(100)])

    def test_fragments_that_came_at_once(self) -> None:
        """A fragment costs a share, too, though the app hears of the whole only."""
        self.speaker.answer = lambda message: self.story.extend(["message"] * 100)
        self.upgrade()
        seconds = self.reactor.seconds

        def ticking() -> float:
            # Time passes, whoever asks for it.
            self.reactor.rightNow += 0.0005
            return seconds()

        self.reactor.seconds = ticking  # type: ignore[method-assign]
        self.reactor.callLater(0, self.turn)
        self.push(b"".join(fragments(BINARY, [b"x"] * 5000)))
        del self.reactor.seconds
        self.assertEqual(self.speaker.heard, [b"x" * 5000])
        self.assertGreater(self.story.count("turn"), 5000 / (16 * 4))

    def test_a_protocol_that_has_enough_for_now(self) -> None:
        """As uvicorn's does, which asks for the next message when the app has taken the last."""
        self.upgrade()
        delivery = self.channel.transport.protocol
        self.speaker.answer = lambda message: delivery.pause()
        self.push(b"".join(text(str(number)) for number in range(4)))
        self.assertEqual(self.speaker.heard, ["0"])
        # Not before it is done with the one that it has just taken.
        delivery.resume()
        self.assertEqual(self.speaker.heard, ["0"])
        self.reactor.settle()
        self.reactor.advance(0)
        self.assertEqual(self.speaker.heard, ["0", "1"])
        # What comes meanwhile waits too, and then comes in order.
        self.push(text("4"))
        self.speaker.answer = lambda message: None
        delivery.resume()
        self.reactor.advance(0)
        self.reactor.settle()
        self.assertEqual(self.speaker.heard, ["0", "1", "2", "3", "4"])

    def test_an_app_that_fails_on_what_it_got_later(self) -> None:
        def fails(message: Any) -> None:
            self.reactor.rightNow += 0.001
            if message == "50":
                raise ValueError("an app's fault")

        self.speaker.answer = fails
        self.upgrade()
        # Trial would take a failure in the log for one of the test.
        with mock.patch.object(upgraded, "_log") as log:
            self.push(b"".join(text(str(number)) for number in range(100)))
        log.failure.assert_called_once_with("a connection failed")
        self.assertEqual(self.speaker.heard[-1], "50")
        self.assertFalse(self.open())
        self.assertEqual(len(self.speaker.reasons), 1)


class Turns(unittest.TestCase):
    """Many connections with something left: they take turns, and the others wait for one step."""

    def test_round_robin(self) -> None:
        clock = Clock()
        story: list[int | str] = []
        left = dict.fromkeys(range(5), 3)
        rota = RoundRobin(clock)

        def step(number: int) -> None:
            clock.rightNow += 0.001
            story.append(number)
            left[number] -= 1
            if left[number]:
                rota.add(partial(step, number))

        def turn() -> None:
            story.append("turn")
            if any(left.values()):
                clock.callLater(0, turn)

        for number in left:
            rota.add(partial(step, number))
        clock.callLater(0, turn)
        clock.advance(0)
        self.assertEqual([number for number in story if number != "turn"], [0, 1, 2, 3, 4] * 3)
        self.assertEqual(story[1::2], ["turn"] * 15)

    def test_quick_steps_share_a_turn(self) -> None:
        clock = Clock()
        rota = RoundRobin(clock)
        done: list[int] = []
        for number in range(100):
            rota.add(partial(done.append, number))
        self.assertEqual(len(clock.getDelayedCalls()), 1)
        clock.advance(0)
        self.assertEqual(done, list(range(100)))
        self.assertEqual(clock.getDelayedCalls(), [])
