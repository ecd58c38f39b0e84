"""The keys of a connection that leaves a worker, or stays while the worker drains."""

import unittest
from types import SimpleNamespace
from typing import Any, cast

import attrs

from stickyd.http1.head_parser import Head, read_head
from stickyd.http1.limits import Limits
from stickyd.ipc.frame import Frame, Kind
from stickyd.routing.policy import Policy
from stickyd.worker.connection.interfaces import Connection
from stickyd.worker.connection.moves import hold_keys, keys_of
from stickyd.worker.key_owner import KeyOwner

POLICY = Policy.build("hdr(X-Session),src", "", "rendezvous", 1, [1, 2])


@attrs.define(eq=False)
class Leaving:
    """A connection, as far as its keys depend on it."""

    frame: Frame
    exchange: Any
    context: Any
    keys: tuple[str, ...] = ()

    def in_use(self) -> bool:
        return True

    def movable(self) -> bool:
        return True


def connection(lines: bytes, issued: list[str], keys: KeyOwner) -> Leaving:
    head = read_head(b"GET / HTTP/1.1\r\nHost: a\r\n" + lines + b"\r\n", Limits())
    assert isinstance(head, Head)
    return Leaving(
        Frame(Kind.PLACED, 1, ("10.0.0.1", 1), None),
        SimpleNamespace(asked=head, issued=issued),
        SimpleNamespace(routing=SimpleNamespace(policy=POLICY, keys=keys)),
    )


class Keys(unittest.TestCase):
    """That of its request, and those that the answer has handed out."""

    CASES = (
        (b"X-Session: a\r\n", [], ("a",)),
        (b"X-Session: a\r\n", ["b", "c"], ("a", "b", "c")),
        (b"", ["b"], ("10.0.0.1", "b")),
    )

    def test_of_one_that_is_handed_over(self) -> None:
        for lines, issued, expected in self.CASES:
            given = connection(lines, issued, KeyOwner())
            self.assertEqual(keys_of(cast(Connection, given)), expected)

    def test_of_one_that_stays(self) -> None:
        for lines, issued, expected in self.CASES:
            keys = KeyOwner()
            given = connection(lines, issued, keys)
            hold_keys(cast(Connection, given))
            self.assertEqual(given.keys, expected)
            self.assertEqual(keys_of(cast(Connection, given)), expected)
