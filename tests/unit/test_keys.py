"""`stickyd.keys`, as apps call it."""

import subprocess
import sys
import threading
import unittest
from unittest import mock

from stickyd import keys
from stickyd.routing.signed_keys import secret_of, slot_in
from tests.support.affinity import SECRET


class ForApps(unittest.TestCase):
    """`stickyd.keys`."""

    def test_outside_a_worker(self) -> None:
        with mock.patch.object(keys, "_bound", None):
            self.assertEqual(keys.slot(), 0)
            made = {keys.new_key() for _ in range(1000)}
        self.assertEqual(len(made), 1000)
        for text in made:
            self.assertRegex(text, r"\A[A-Za-z0-9_-]{28}\Z")
            self.assertIsNone(slot_in(text, secret_of(1)))

    def test_in_a_worker_from_many_threads(self) -> None:
        made: list[str] = []
        with mock.patch.object(keys, "_bound", None):
            keys.bind(5, 7)
            self.assertEqual(keys.slot(), 5)

            def make_some() -> None:
                made.extend(keys.new_key() for _ in range(200))

            threads = [threading.Thread(target=make_some) for _ in range(8)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        self.assertEqual(len(set(made)), 1600)
        self.assertEqual({slot_in(text, SECRET) for text in made}, {5})

    def test_nothing_of_it_imports_a_reactor(self) -> None:
        code = (
            "import sys, stickyd.keys, stickyd.routing.policy, stickyd.routing.client_address\n"
            "sys.exit('twisted.internet.reactor' in sys.modules)"
        )
        subprocess.run([sys.executable, "-c", code], check=True, timeout=30)
