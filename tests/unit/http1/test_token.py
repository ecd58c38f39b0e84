"""Tokens (RFC 9110, 5.6.2)."""

import string
import unittest

from stickyd.http1.token import TOKEN, is_token

ADMITTED = set(string.ascii_letters + string.digits + "!#$%&'*+-.^_`|~")


class Tokens(unittest.TestCase):
    def test_every_single_byte(self) -> None:
        for number in range(256):
            text = chr(number)
            self.assertEqual(is_token(text), text in ADMITTED, number)
            self.assertEqual(bool(TOKEN.fullmatch(bytes([number]))), text in ADMITTED, number)

    def test_a_token_has_a_character_and_nothing_else(self) -> None:
        for text in ("", "a b", "a\n", "ä", "a:", "\u0661"):
            self.assertFalse(is_token(text), text)
            self.assertIsNone(TOKEN.fullmatch(text.encode()), text)
        self.assertTrue(is_token("X-Forwarded-For"))
