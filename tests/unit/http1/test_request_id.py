"""The id of a request."""

import unittest

from hypothesis import given
from hypothesis import strategies as st

from stickyd.http1.request_id import LONGEST, new_id, with_request_id
from tests.unit.http1.test_access_log_json import head

NAME = b"x-request-id"
OTHERS = ((b"host", b"x"), (b"accept", b"*/*"))


def ids(*values: bytes, keep: bool = True) -> list[bytes]:
    asked = head(b"GET", b"/", *OTHERS, *((NAME, value) for value in values))
    made = with_request_id(asked, NAME, keep=keep, make=lambda: b"made")
    assert tuple(field for field in made.fields if field[0] != NAME) == OTHERS
    assert made._replace(fields=asked.fields) == asked
    return made.values(NAME)


class Ids(unittest.TestCase):
    def test_one_of_a_trusted_peer_is_kept(self) -> None:
        for value in (
            b"a",
            b"0" * LONGEST,
            b"7b0a4c5e-1f9d-4c6e-8f0a-0d4c5e1f9d4c",
            b"Root=1-67891233-abcdef012345678912345678;Self=1-67891234-12456789abcdef012345678",
            b"q83vEjRWeJq83vEjRWeJqw==",
        ):
            with self.subTest(value=value):
                self.assertEqual(ids(value), [value])
                self.assertEqual(ids(value, keep=False), [b"made"])

    def test_others_are_replaced(self) -> None:
        for values in (
            (),
            (b"",),
            (b"0" * (LONGEST + 1),),
            (b"a b",),
            (b"a,b",),
            (b'a"',),
            (b"a\xff",),
            (b"a\t",),
            (b"one", b"one"),
        ):
            with self.subTest(values=values):
                self.assertEqual(ids(*values), [b"made"])

    @given(st.lists(st.binary(max_size=20), max_size=3), st.booleans())
    def test_there_is_one_that_any_log_can_hold(self, values: list[bytes], keep: bool) -> None:
        (found,) = ids(*values, keep=keep)
        self.assertRegex(found, rb"\A[!-~]{1,200}\Z")

    def test_new_ones(self) -> None:
        self.assertRegex(new_id(), rb"\A[0-9a-f]{32}\Z")
        self.assertNotEqual(new_id(), new_id())
