"""Threads and descriptors that an import has left."""

import os
import socket
import tempfile
import threading
import unittest

from stickyd.net.own_descriptors import open_descriptors
from stickyd.worker.template.leftovers import files, kind_of, of_files, of_threads, threads


class Leftovers(unittest.TestCase):
    def test_threads_have_their_names(self) -> None:
        over, begun = threading.Event(), threading.Event()

        def run() -> None:
            begun.set()
            over.wait()

        before = threads()
        thread = threading.Thread(target=run, name="a poller")
        thread.start()
        begun.wait()
        self.assertEqual(sorted([*before, "a poller"]), threads())
        over.set()
        thread.join()
        self.assertNotIn("a poller", threads())

    def test_kinds_of_files(self) -> None:
        before = open_descriptors()
        with (
            tempfile.NamedTemporaryFile(prefix="left") as file,
            socket.socket(),
            open("/dev/urandom", "rb"),
        ):
            epoll, (reading, writing) = os.eventfd(0), os.pipe()
            found = files(sorted(open_descriptors() - before))
            for descriptor in (epoll, reading, writing):
                os.close(descriptor)
        self.assertEqual(
            sorted(kind_of(each) for each in found), ["eventfd", "file", "pipe", "pipe", "socket"]
        )
        line = of_files(found)
        self.assertIn(f"left open 1 eventfd, 1 file, 2 pipes, 1 socket ({file.name}),", line)

    def test_kinds(self) -> None:
        self.assertEqual(kind_of("/dev/nvidia0"), "device")
        self.assertEqual(kind_of("anon_inode:[eventpoll]"), "eventpoll")
        self.assertEqual(kind_of("socket:[1234]"), "socket")

    def test_nothing_is_said_of_nothing(self) -> None:
        self.assertEqual((of_threads([]), of_files([])), ("", ""))

    def test_few_are_named(self) -> None:
        line = of_threads([f"t{number}" for number in range(8)])
        self.assertIn("8 threads (t0, t1, t2, t3, t4 and 3 more), which", line)

    def test_a_path_is_one_line(self) -> None:
        self.assertIn("(/tmp/a?b)", of_files(["/tmp/a\nb"]))


if __name__ == "__main__":
    unittest.main()
