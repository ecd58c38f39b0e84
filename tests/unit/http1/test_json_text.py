"""Any bytes and any text as members of a JSON object."""

import datetime
import json
import math
import unittest
from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st

from stickyd.http1.json_text import joined, number, plain_members, rfc3339, split, text_member

ANY_TEXT = st.text(st.characters(exclude_categories=()))
"""Lone surrogates included."""


def strictly(text: str) -> Any:
    """What a parser makes of it that knows no more than RFC 8259."""

    def no_constant(name: str) -> None:
        raise AssertionError(f"{name} is no JSON")

    return json.loads(text, parse_constant=no_constant)


class Texts(unittest.TestCase):
    @given(st.binary() | ANY_TEXT)
    @example(b"\xed\xa0\x80")
    @example("\ud800\udc00")
    @example(b'\x00\x1e\x7f\x85"\\\n\r')
    def test_round_trip(self, value: bytes | str) -> None:
        text = "{" + text_member("a", value) + "}"
        self.assertTrue(text.isascii())
        self.assertTrue(text.isprintable())
        members = strictly(text)
        data = value if isinstance(value, bytes) else value.encode("utf-8", "surrogatepass")
        self.assertEqual(joined(members, "a"), data)
        # No parser meets half of a character.
        members["a"].encode("utf-8")

    def test_only_what_is_no_utf_8_has_a_second_member(self) -> None:
        self.assertEqual([*split("a", "ä\\xff".encode())], [("a", "ä\\xff")])
        self.assertEqual([*split("a", b"a\xffb")], [("a", "a\\xffb"), ("a_base64", "Yf9i")])
        self.assertEqual([*split("a", "\udcff")], [("a", "\\udcff"), ("a_base64", "7bO/")])

    def test_a_member_that_is_missing(self) -> None:
        self.assertRaises(KeyError, joined, {}, "a")


class Values(unittest.TestCase):
    def test_numbers(self) -> None:
        for value, text in (
            (True, "true"),
            (False, "false"),
            (7, "7"),
            (0.25, "0.25"),
            (math.nan, '"nan"'),
            (-math.inf, '"-inf"'),
            (2**64 - 1, "18446744073709551615"),
            (2**64, '"0x10000000000000000"'),
        ):
            with self.subTest(value=value):
                self.assertEqual(number(value), text)
        # More digits than Python makes a decimal number of.
        self.assertTrue(number(-(10**5000)).startswith('"-0x'))

    @given(
        st.lists(
            st.tuples(
                ANY_TEXT,
                st.none() | st.booleans() | st.integers() | st.floats() | st.binary() | ANY_TEXT,
            )
        )
    )
    def test_every_plain_value_is_there_once(self, values: list[tuple[str, object]]) -> None:
        pairs: list[tuple[str, object]] = []

        def remember(found: list[tuple[str, object]]) -> dict[str, object]:
            pairs.extend(found)
            return dict(found)

        text = "{" + ",".join(plain_members(values)) + "}"
        self.assertTrue(text.isascii())
        members = json.loads(text, object_pairs_hook=remember)
        self.assertEqual(len(pairs), len(members))
        named: dict[str, object] = {}
        for name, value in values:
            named.setdefault(name.encode("utf-8", "backslashreplace").decode(), value)
        for name, value in named.items():
            if not (name.endswith("_base64") and name[:-7] in named):
                if isinstance(value, bytes):
                    self.assertEqual(joined(members, name), value)
                elif isinstance(value, str):
                    self.assertEqual(joined(members, name), value.encode("utf-8", "surrogatepass"))
                else:
                    self.assertIn(name, members)

    def test_what_would_be_taken_for_the_bytes_of_another(self) -> None:
        for values in ([("a", "x"), ("a_base64", "y")], [("a_base64", 1), ("a", b"x")]):
            self.assertEqual(plain_members(values), ['"a":"x"'])
        self.assertEqual(plain_members([("a_base64", "y")]), ['"a_base64":"y"'])

    def test_what_is_not_plain_is_left_out(self) -> None:
        self.assertEqual(plain_members([("a", object()), ("b", [1]), ("c", None)]), ['"c":null'])


class Times(unittest.TestCase):
    @given(st.floats(0, 250_000_000_000))
    def test_is_rfc_3339(self, moment: float) -> None:
        text = rfc3339(moment)
        self.assertEqual(text[-1], "Z")
        parsed = datetime.datetime.fromisoformat(text)
        self.assertLess(abs(parsed.timestamp() - moment), 1e-3 if moment > 1e10 else 2e-6)

    def test_one_that_is_none(self) -> None:
        for moment in (1e300, -1e300):
            self.assertEqual(rfc3339(moment), "1970-01-01T00:00:00.000000Z")
