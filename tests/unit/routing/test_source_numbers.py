"""Numbers of key sources."""

import unittest

from stickyd.routing.source_numbers import OTHER, names_of, numbers_of
from stickyd.stats import SOURCES


class Numbers(unittest.TestCase):
    def test_names_and_numbers_agree(self) -> None:
        for count in (0, 1, 2, 29, 30, 31, 40):
            texts = [f"hdr(X-{at})" for at in range(count)]
            names, numbers = names_of(texts), numbers_of(texts)
            self.assertEqual(len(names), SOURCES)
            self.assertEqual(names[0], "none")
            for text, number in numbers.items():
                self.assertEqual(names[number], text if number < OTHER else "other")
