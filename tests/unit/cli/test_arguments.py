"""Options and positional arguments in any order."""

import unittest

from stickyd.cli.arguments import options_first


class OptionsFirst(unittest.TestCase):
    def test_orders(self) -> None:
        for given, dash, expected in (
            (["a", "--n", "1", "b"], "-", ["--n", "1", "--", "a", "b"]),
            (["a", "--n=1", "-x"], "-", ["--n=1", "-x", "--", "a"]),
            (["--n", "-", "a"], "--in", ["--n", "-", "--", "a"]),
            (["a", "-"], "--in", ["--in", "--", "a"]),
            (["a", "-"], "-", ["--", "a", "-"]),
            (["--n", "1", "--", "--n", "-"], "--in", ["--n", "1", "--", "--n", "-"]),
            (["a", "--n"], "-", ["--n", "--", "a"]),
            ([], "-", ["--"]),
        ):
            self.assertEqual(options_first(given, {"--n"}, dash), expected, given)
