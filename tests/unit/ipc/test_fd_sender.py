"""Senders: what waits for room in an inbox, how long, and what becomes of it."""

from stickyd.ipc.fd_sender import RETRY_AFTER
from tests.support.inbox_case import BIG, InboxCase, open_descriptors


class Sending(InboxCase):
    """Those that find the inbox full wait in order, not for ever."""

    def setUp(self) -> None:
        super().setUp()
        self.answers: list[tuple[str, bool]] = []

    def put(self, name: str, patience: float = 10.0, size: int = BIG) -> None:
        message = name.encode().ljust(size, b".")
        self.sender.put(
            message,
            self.connection.fileno(),
            patience,
            lambda sent: self.answers.append((name, sent)),
        )

    def names(self) -> list[str]:
        """Who was taken out, without those that filled the inbox."""
        names = [message.rstrip(b".").decode() for message in self.messages()]
        return [name for name in names if not name.startswith("ff")]

    def tick(self, times: int = 1) -> None:
        for _ in range(times):
            self.reactor.advance(RETRY_AFTER)

    def test_room_is_used_at_once(self) -> None:
        self.put("a")
        self.assertEqual(self.answers, [("a", True)])
        self.assertEqual(self.sender.waiting(), 0)
        self.assertEqual(self.reactor.getDelayedCalls(), [])
        self.take_all()
        self.assertEqual(self.names(), ["a"])

    def test_full_waits_and_goes_in_when_the_reader_takes(self) -> None:
        self.fill()
        self.put("a")
        self.put("b")
        self.tick(5)
        self.assertEqual((self.answers, self.sender.waiting()), ([], 2))
        self.take_all()
        self.assertEqual(self.answers, [])
        self.tick()
        self.assertEqual(self.answers, [("a", True), ("b", True)])
        self.assertEqual(self.sender.waiting(), 0)
        self.take_all()
        self.assertEqual(self.names(), ["a", "b"])

    def test_room_for_one_lets_in_the_first(self) -> None:
        self.fill()
        for name in "abc":
            self.put(name)
        taken = []
        while self.sender.waiting():
            self.reader.take()
            self.tick()
            taken.append(self.sender.waiting())
        self.assertEqual(self.answers, [("a", True), ("b", True), ("c", True)])
        self.assertEqual(taken, sorted(taken, reverse=True))
        self.take_all()
        self.assertEqual(self.names(), ["a", "b", "c"])

    def test_a_small_one_does_not_overtake(self) -> None:
        self.fill()
        self.put("a")
        self.reader.take()
        self.put("b", size=10)
        self.assertEqual(self.answers, [])
        self.tick()
        self.take_all()
        self.tick()
        self.assertEqual(self.answers, [("a", True), ("b", True)])
        self.take_all()
        self.assertEqual(self.names(), ["a", "b"])

    def test_only_one_timer_however_many_wait(self) -> None:
        self.fill()
        for at in range(20):
            self.put(f"{at}")
        self.assertEqual(len(self.reactor.getDelayedCalls()), 1)
        self.tick(3)
        self.assertEqual(len(self.reactor.getDelayedCalls()), 1)
        self.sender.cancel_waiting()

    def test_patience_is_over(self) -> None:
        self.fill()
        self.put("a", patience=1.0)
        while self.reactor.seconds() < 1.0 - RETRY_AFTER:
            self.tick()
        self.assertEqual(self.answers, [])
        self.tick(3)
        self.assertEqual(self.answers, [("a", False)])
        self.assertEqual(self.reactor.getDelayedCalls(), [])
        self.take_all()
        self.assertEqual(self.names(), [])

    def test_patience_of_one_is_over_and_the_next_waits_on(self) -> None:
        self.fill()
        self.put("a", patience=1.0)
        self.put("b", patience=2.0)
        while self.reactor.seconds() < 1.5:
            self.tick()
        self.assertEqual(self.answers, [("a", False)])
        self.take_all()
        self.tick()
        self.assertEqual(self.answers, [("a", False), ("b", True)])

    def test_patience_does_not_depend_on_who_waits_in_front(self) -> None:
        self.fill()
        self.put("a", patience=2.0)
        self.put("b", patience=1.0)
        while self.reactor.seconds() < 1.5:
            self.tick()
        self.assertEqual(self.answers, [("b", False)])
        self.sender.cancel_waiting()

    def test_room_at_the_last_moment(self) -> None:
        self.fill()
        self.put("a", patience=1.0)
        self.take_all()
        self.reactor.advance(1.0)
        self.assertEqual(self.answers, [("a", True)])

    def test_no_patience_is_one_more_try(self) -> None:
        self.fill()
        self.put("a", patience=0.0)
        self.tick(2)
        self.assertEqual(self.answers, [("a", False)])

    def test_give_up(self) -> None:
        self.fill()
        for name in "ab":
            self.put(name)
        self.sender.cancel_waiting()
        self.assertEqual(self.answers, [("a", False), ("b", False)])
        self.assertEqual(self.sender.waiting(), 0)
        self.assertEqual(self.reactor.getDelayedCalls(), [])
        self.take_all()
        self.tick(3)
        self.assertEqual(len(self.answers), 2)

    def test_give_up_with_nobody_waiting(self) -> None:
        self.sender.cancel_waiting()
        self.assertEqual(self.answers, [])

    def test_after_giving_up_it_sends_again(self) -> None:
        self.fill()
        self.put("a")
        self.sender.cancel_waiting()
        self.take_all()
        self.put("b")
        self.assertEqual(self.answers, [("a", False), ("b", True)])

    def test_gone(self) -> None:
        self.receiving.close()
        self.put("a")
        self.assertEqual(self.answers, [("a", False)])

    def test_gone_while_waiting(self) -> None:
        self.fill()
        self.put("a")
        self.put("b")
        self.receiving.close()
        self.tick()
        self.assertEqual(self.answers, [("a", False), ("b", False)])
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_a_message_that_never_fits_stops_nobody(self) -> None:
        self.fill()
        self.put("a", size=16 * 1024 * 1024)
        self.take_all()
        self.put("b")
        self.tick()
        self.assertEqual(self.answers, [("a", False), ("b", True)])

    def test_putting_again_from_the_answer(self) -> None:
        self.fill()
        again = self.connection.fileno()

        def done(sent: bool) -> None:
            self.answers.append(("a", sent))
            self.sender.put(
                b"again", again, 10.0, lambda sent: self.answers.append(("again", sent))
            )

        self.sender.put(b"a" * BIG, again, 0.0, done)
        self.tick(2)
        self.assertEqual(self.answers[0], ("a", False))
        self.take_all()
        self.tick()
        self.assertEqual(self.answers, [("a", False), ("again", True)])

    def test_giving_up_from_the_answer(self) -> None:
        self.fill()
        descriptor = self.connection.fileno()

        def done(sent: bool) -> None:
            self.answers.append(("a", sent))
            self.sender.cancel_waiting()

        self.sender.put(b"a" * BIG, descriptor, 1.0, done)
        self.put("b", patience=1.0)
        self.put("c", patience=9.0)
        self.reactor.advance(2.0)
        self.assertEqual(self.answers, [("a", False), ("b", False), ("c", False)])
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_nothing_is_kept_open_for_those_who_wait(self) -> None:
        before = open_descriptors()
        self.fill()
        for at in range(50):
            self.put(f"{at}", patience=1.0)
        self.assertEqual(open_descriptors(), before)
        self.reactor.advance(2.0)
        self.assertEqual(self.answers, [(f"{at}", False) for at in range(50)])
        self.assertEqual(open_descriptors(), before)
