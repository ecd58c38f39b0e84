"""Which of a slot's workers serves a key."""

import unittest
from typing import cast

import attrs

from stickyd.ipc.fd_sender import InboxSender
from stickyd.worker.key_owner import KeyOwner
from stickyd.worker.known_keys import KnownKeys

OLDER, NEWER = cast("InboxSender", "older"), cast("InboxSender", "newer")


@attrs.define(eq=False)
class Held:
    busy: bool = True
    keys: tuple[str, ...] = ()

    def in_use(self) -> bool:
        return self.busy

    def movable(self) -> bool:
        return False


class Alone(unittest.TestCase):
    def test_serves_everything(self) -> None:
        owner = KeyOwner(KnownKeys(), keeps=True)
        self.assertTrue(owner.alone)
        for key in ("a", None):
            for came_with in (True, False):
                self.assertIsNone(owner.other(key, 0.0, came_with=came_with))

    def test_asks_for_keys_only_if_they_matter(self) -> None:
        self.assertFalse(KeyOwner().active)
        self.assertTrue(KeyOwner(KnownKeys()).active)
        owner = KeyOwner()
        owner.follow(OLDER)
        self.assertTrue(owner.active)
        owner.take_over()
        self.assertFalse(owner.active)


class Draining(unittest.TestCase):
    def setUp(self) -> None:
        self.owner = KeyOwner()
        self.owner.lead(NEWER)

    def other(self, key: str | None, *, came_with: bool = True) -> InboxSender | None:
        return self.owner.other(key, 0.0, came_with=came_with)

    def hold(self, key: str, held: Held) -> None:
        held.keys = (key,)
        self.owner.hold(held)

    def test_an_id_that_an_answer_hands_out_is_in_use(self) -> None:
        held = Held()
        self.owner.serve("a", held, 0.0)
        self.owner.issued("new", held, 0.0)
        self.assertIsNone(self.other("a"))
        self.assertIsNone(self.other("new"))
        self.owner.serve(None, held, 0.0)
        self.assertEqual([self.other(key) for key in ("a", "new")], [NEWER, NEWER])

    def test_keeps_a_key_as_long_as_it_is_in_use(self) -> None:
        first, second = Held(), Held()
        self.hold("a", first)
        self.assertIsNone(self.other("a"))
        self.owner.serve("a", second, 0.0)
        first.busy = False
        self.assertIsNone(self.other("a"))
        self.assertFalse(self.owner.serves_none())
        second.busy = False
        self.assertEqual(self.other("a"), NEWER)
        self.assertTrue(self.owner.serves_none())

    def test_a_connection_that_goes_on_with_another_key_frees_the_first(self) -> None:
        held = Held()
        self.owner.serve("a", held, 0.0)
        self.owner.serve("b", held, 0.0)
        self.assertEqual(self.other("a"), NEWER)
        self.assertIsNone(self.other("b"))

    def test_other_keys_and_none_are_the_newer_workers(self) -> None:
        for key in ("b", None):
            for came_with in (True, False):
                self.assertEqual(self.other(key, came_with=came_with), NEWER)

    def test_between_two_the_older_is_asked_for_what_came_here(self) -> None:
        self.owner.follow(OLDER)
        self.assertEqual(self.other("b", came_with=False), OLDER)
        self.assertEqual(self.other("b", came_with=True), NEWER)
        self.owner.take_over()
        self.assertEqual(self.other("b", came_with=False), NEWER)

    def test_closed_keys_are_not_in_use(self) -> None:
        held = Held()
        self.hold("a", held)
        self.owner.close_keys()
        self.assertEqual(self.other("a"), NEWER)
        self.hold("a", held)
        self.assertEqual(self.other("a"), NEWER)
        self.assertTrue(self.owner.serves_none())

    def test_known_keys_without_the_option_are_not_kept(self) -> None:
        owner = KeyOwner(KnownKeys())
        owner.serve("a", Held(), 0.0)
        owner.lead(NEWER)
        self.assertEqual(owner.other("a", 0.0, came_with=True), NEWER)
        self.assertTrue(owner.serves_none())

    def test_known_keys_with_it_are_kept(self) -> None:
        memory = KnownKeys()
        owner = KeyOwner(memory, keeps=True)
        owner.serve("a", Held(), 1.0)
        owner.lead(NEWER)
        self.assertIsNone(owner.other("a", 2.0, came_with=True))
        memory.made.append("made")
        self.assertIsNone(owner.other("made", 2.0, came_with=True))
        self.assertFalse(owner.serves_none())
        memory.forget_idle(3.0, set())
        self.assertTrue(owner.serves_none())
        owner.serve("c", Held(busy=False), 4.0)
        owner.forget_memory()
        self.assertEqual(owner.other("c", 5.0, came_with=True), NEWER)

    def test_retired_it_serves_what_it_still_has(self) -> None:
        self.owner.release()
        self.assertIsNone(self.other("b"))


class Following(unittest.TestCase):
    def test_keys_that_came_here_are_its_own(self) -> None:
        owner = KeyOwner()
        owner.follow(OLDER)
        self.assertEqual(owner.other("a", 0.0, came_with=False), OLDER)
        self.assertIsNone(owner.other("a", 0.0, came_with=True))
        owner.serve("a", Held(), 0.0)
        self.assertIsNone(owner.other("a", 0.0, came_with=False))
        self.assertIsNone(owner.other(None, 0.0, came_with=False))
        owner.take_over()
        self.assertIsNone(owner.other("b", 0.0, came_with=False))
