"""From text to value."""

import os
import tempfile
import unittest

from stickyd.cli import parsers
from stickyd.cli.parsers import OneOf, OnOff, Parser, Seconds, Whole


class Parsers(unittest.TestCase):
    def test_values(self) -> None:
        cases: list[tuple[Parser, str, object]] = [
            (Whole(1, 5), "5", 5),
            (Whole(101, 200, or_zero=True), "0", 0),
            (Seconds(), "0.5", 0.5),
            (Seconds(or_zero=True), "0", 0.0),
            (OneOf(("a", "b")), "b", "b"),
            (OnOff(), "off", False),
            (parsers.header_name, "X-Worker", "X-Worker"),
            (parsers.affinity, "cookie(a),src", "cookie(a),src"),
            (parsers.peers, "10.0.0.0/8,unix", "10.0.0.0/8,unix"),
            (parsers.log_format, "%(h)s", "%(h)s"),
            (parsers.root_path, "/a/b", "/a/b"),
            (parsers.seed, str(2**128 - 1), 2**128 - 1),
            (parsers.log_file, "-", "-"),
            (parsers.log_file, "", ""),
            (parsers.log_file, "a.log", os.path.abspath("a.log")),
            (parsers.directory, ".", os.getcwd()),
        ]
        for parse, text, value in cases:
            self.assertEqual(parse(text), value, (parse, text))

    def test_errors_are_one_line_of_ascii(self) -> None:
        cases: list[tuple[Parser, str, str]] = [
            (Whole(1, 5), "x\n\u00e4", "is not a whole number"),
            (Whole(1, 5), "0", "0 is not within 1 to 5"),
            (Whole(101, 200, or_zero=True), "100", "100 is neither 0 nor within 101 to 200"),
            (Seconds(10), "11", "'11' is not within 0 to 10"),
            (Seconds(), "0", "'0' is not within 0 to"),
            (Seconds(), "nan", "is not within"),
            (Seconds(), "x", "is not a number of seconds"),
            (OneOf(("a", "b")), "\u00e4", "is none of a, b"),
            (OnOff(), "yes", "'yes' is none of on, off"),
            (parsers.header_name, "a b", "'a b' is not a header name"),
            (parsers.affinity, "moon", "unknown source 'moon'"),
            (parsers.peers, "here", "'here'"),
            (parsers.log_format, "%(x)s", "unknown atom"),
            (parsers.root_path, "a/", "is not of the form /some/path"),
            (parsers.seed, str(2**128), "not within 0 to 2**128 - 1"),
            (parsers.seed, "@/nonexistent", "cannot read the seed file"),
            (parsers.log_file, "/nonexistent/a", "cannot create a file"),
            (parsers.directory, "/nonexistent", "is not a directory"),
        ]
        for parse, text, says in cases:
            with self.assertRaises(ValueError, msg=text) as caught:
                parse(text)
            line = str(caught.exception)
            self.assertIn(says, line)
            self.assertTrue(line.isascii() and line.isprintable(), line)

    def test_a_seed_is_not_quoted(self) -> None:
        for text in ("12345x", str(2**128)):
            with self.assertRaises(ValueError) as caught:
                parsers.seed(text)
            self.assertNotIn(text, str(caught.exception))

    def test_a_seed_from_a_file(self) -> None:
        with tempfile.NamedTemporaryFile("w") as file:
            file.write("77\n")
            file.flush()
            self.assertEqual(parsers.seed(f"@{file.name}"), 77)
