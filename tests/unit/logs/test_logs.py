"""The parts of a log that never waits: the buffer, targets, the writer."""

import os
import pty
import socket
import tempfile
import tty
import unittest
from unittest import mock

from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from twisted.internet.testing import MemoryReactor

from stickyd.logs import target as targets
from stickyd.logs.buffer import LogBuffer
from stickyd.logs.levels import of_logging, prefixed, split
from stickyd.logs.target import SharedTarget, SocketTarget, Target, inherited, opened, write_within
from stickyd.logs.writer import LogWriter

MOST = 50
lines = st.integers(1, 30).map(lambda size: b"x" * (size - 1) + b"\n")


class BufferMachine(RuleBasedStateMachine):
    """What is written is whole lines in order, and every other line is counted."""

    def __init__(self) -> None:
        super().__init__()
        self.buffer = LogBuffer(MOST)
        self.written = b""
        self.added: list[bytes] = []
        self.cuts = 0

    @rule(text=lines)
    def add(self, text: bytes) -> None:
        # No part of one is another.
        self.added.append(b"%04d." % len(self.added) + text)
        self.buffer.add(self.added[-1])

    @precondition(lambda self: self.buffer)
    @rule(most=st.integers(1, 60), share=st.floats(0, 1))
    def write(self, most: int, share: float) -> None:
        front = self.buffer.front(most)
        # Longer than asked for is only a text alone, with the end of one that was cut.
        assert len(front) <= most or front.lstrip(b"\n").count(b"\n") == 1
        size = max(1, round(len(front) * share))
        self.written += front[:size]
        self.buffer.taken(size)

    @rule()
    def discard(self) -> None:
        self.cuts += self.written[-1:] not in (b"", b"\n")
        self.buffer.discard()
        assert not self.buffer

    @invariant()
    def it_is_bounded(self) -> None:
        assert len(self.buffer.front(1 << 20)) <= MOST + 1

    def teardown(self) -> None:
        self.written += self.buffer.front(1 << 20)
        texts = [line + b"\n" for line in self.written.split(b"\n")[:-1]]
        whole = [text for text in texts if text in self.added]
        assert whole == sorted(whole, key=self.added.index)
        cut = [text for text in texts if text not in whole and text != b"\n"]
        assert len(cut) <= self.cuts
        lost = len(self.added) - len(whole)
        # One that was cut just before its end is written whole, and counted all the same.
        assert lost <= self.buffer.dropped <= lost + self.cuts


BufferTest = BufferMachine.TestCase


class Buffer(unittest.TestCase):
    def test_the_newest_is_dropped(self) -> None:
        buffer = LogBuffer(10)
        for text in (b"1234567\n", b"12\n3\n", b"9\n"):
            buffer.add(text)
        self.assertEqual((buffer.front(99), buffer.dropped), (b"1234567\n9\n", 2))

    def test_one_that_is_too_long_goes_alone(self) -> None:
        buffer = LogBuffer(10)
        buffer.add(b"x" * 99 + b"\n")
        buffer.add(b"y\n")
        self.assertEqual((len(buffer.front(4)), buffer.dropped), (100, 1))

    def test_a_line_that_was_cut_is_ended_before_the_next(self) -> None:
        buffer = LogBuffer(100)
        for text in (b"first\n", b"second\n"):
            buffer.add(text)
        buffer.taken(8)
        buffer.discard()
        self.assertEqual(buffer.dropped, 1)
        buffer.add(b"third\n")
        buffer.add(b"fourth\n")
        self.assertEqual(buffer.front(100), b"\nthird\nfourth\n")

    def test_a_line_that_was_cut_and_then_written_needs_no_end(self) -> None:
        buffer = LogBuffer(100)
        buffer.add(b"first\n")
        buffer.taken(3)
        buffer.taken(3)
        buffer.discard()
        buffer.add(b"second\n")
        self.assertEqual(buffer.front(100), b"second\n")

    @given(st.lists(lines), st.integers(1, 100))
    def test_front_is_whole_texts(self, texts: list[bytes], most: int) -> None:
        buffer = LogBuffer(1 << 20)
        written = []
        for text in texts:
            buffer.add(text)
        while front := buffer.front(most):
            self.assertEqual(front[-1:], b"\n")
            written.append(front)
            buffer.taken(len(front))
        self.assertEqual(b"".join(written), b"".join(texts))


class Targets(unittest.TestCase):
    def pipe(self) -> tuple[int, int]:
        reading, writing = os.pipe()
        self.addCleanup(os.close, reading)
        self.addCleanup(os.close, writing)
        return reading, writing

    def fill(self, target: Target) -> int:
        """Until it would block."""
        self.addCleanup(target.close)
        size = 0
        with self.assertRaises(BlockingIOError):
            while True:
                size += target.send(b"x" * 5000)
        return size

    def test_what_we_were_given_stays_as_it_is(self) -> None:
        _, writing = self.pipe()
        ours, theirs = socket.socketpair()
        master, slave = pty.openpty()
        tty.setraw(slave)
        self.addCleanup(ours.close)
        self.addCleanup(theirs.close)
        self.addCleanup(os.close, master)
        self.addCleanup(os.close, slave)
        for descriptor in (writing, theirs.fileno(), slave):
            target = inherited(descriptor)
            self.assertGreater(self.fill(target), 0)
            self.assertEqual(isinstance(target, SocketTarget), descriptor == theirs.fileno())
            self.assertTrue(os.get_blocking(descriptor))

    def test_a_pipe_of_another_user(self) -> None:
        reading, writing = self.pipe()
        with mock.patch.object(targets.os, "open", side_effect=PermissionError):
            target = inherited(writing)
        self.assertIsInstance(target, SharedTarget)
        size = self.fill(target)
        self.assertGreater(size, 60000)
        self.assertEqual(len(os.read(reading, 1 << 20)), size)

    def test_a_file_goes_on_where_others_have_written(self) -> None:
        with tempfile.TemporaryFile() as file:
            os.write(file.fileno(), b"before ")
            target = inherited(file.fileno())
            self.addCleanup(target.close)
            target.send(b"ours ")
            os.write(file.fileno(), b"behind")
            file.seek(0)
            self.assertEqual(file.read(), b"before ours behind")

    def test_a_fifo_without_a_reader(self) -> None:
        with tempfile.TemporaryDirectory() as directory:
            path = os.path.join(directory, "fifo")
            os.mkfifo(path)
            target = opened(path)
            self.addCleanup(target.close)
            self.assertEqual(target.send(b"early"), 5)
            with open(path, "rb", buffering=0) as reading:
                self.assertEqual(reading.read(9), b"early")

    def test_a_line_for_whoever_may_not_read(self) -> None:
        reading, writing = self.pipe()
        write_within(writing, b"said\n", 0.0)
        self.assertEqual(os.read(reading, 99), b"said\n")
        target = inherited(writing)
        self.fill(target)
        write_within(writing, b"left\n", 0.0)
        self.assertNotIn(b"left", os.read(reading, 1 << 20))
        write_within(1 << 20, b"nowhere\n", 0.0)


class Writer(unittest.TestCase):
    def setUp(self) -> None:
        self.reading, writing = os.pipe()
        self.addCleanup(os.close, self.reading)
        self.reactor = MemoryReactor()
        self.reactor.callFromThread = lambda call: call()
        self.said: list[int] = []
        self.failed: list[OSError] = []
        self.writer = LogWriter(
            self.reactor, inherited(writing), self.said.append, self.failed.append, most=1000
        )
        os.close(writing)
        self.addCleanup(self.writer.close)

    def read(self) -> bytes:
        return os.read(self.reading, 1 << 20)

    def fill(self) -> int:
        """Until lines are dropped; how many came before."""
        count = 0
        while not self.writer.take_dropped():
            self.writer.write(b"%6d" % count + b"." * 93 + b"\n")
            count += 1
        return count - 1

    def test_a_line_is_written_at_once(self) -> None:
        self.writer.write(b"one\n")
        self.assertEqual(self.read(), b"one\n")
        self.assertEqual(self.reactor.getWriters(), [])

    def test_it_goes_on_when_the_reactor_says_that_there_is_room(self) -> None:
        count = self.fill()
        self.assertEqual(self.reactor.getWriters(), [self.writer])
        self.writer.write(b"dropped, too\n")
        data = self.read()
        self.assertEqual(self.said, [])
        while self.reactor.getWriters():
            self.writer.doWrite()
            data += self.read()
        self.assertEqual(data.count(b"\n"), count)
        self.assertEqual(self.said, [2])
        self.assertEqual(self.writer.take_dropped(), 1)
        self.assertEqual(self.writer.take_dropped(), 0)

    def test_it_goes_on_at_the_next_line_without_a_reactor(self) -> None:
        self.fill()
        self.read()
        self.writer.write(b"more\n")
        self.assertTrue(self.read().endswith(b"more\n"))

    def test_what_is_said_of_it_may_come_out_of_the_same_pipe(self) -> None:
        self.writer._on_dropped = lambda n: self.writer.write(b"%d dropped\n" % n)
        self.fill()
        self.read()
        self.writer.doWrite()
        self.assertTrue(self.read().endswith(b".\n1 dropped\n"))

    def test_a_line_amid_another_comes_behind_it(self) -> None:
        """As of a signal's handler, which runs between two steps of its own thread."""
        target = self.writer._target
        assert target is not None
        send = target.send

        def interrupted(data: bytes) -> int:
            if data == b"first\n":
                self.writer.write(b"second\n")
            return send(data)

        target.send = interrupted  # type: ignore[method-assign]
        self.writer.write(b"first\n")
        self.assertEqual(self.read(), b"first\nsecond\n")

    def test_no_reader(self) -> None:
        reading, writing = os.pipe()
        writer = LogWriter(self.reactor, inherited(writing), self.said.append, self.failed.append)
        os.close(writing)
        os.close(reading)
        for _ in range(3):
            writer.write(b"line\n")
        writer.close(10.0)
        self.assertEqual([type(error) for error in self.failed], [BrokenPipeError])
        self.assertEqual((writer.take_dropped(), self.said), (3, []))

    def test_its_end_waits_for_room_for_so_long(self) -> None:
        self.fill()
        self.writer.close(0.01)
        self.assertGreater(self.writer.take_dropped(), 0)
        self.assertEqual(self.reactor.getWriters(), [])
        while self.read()[-1:] != b"\n":
            pass
        # Closed: nothing comes any more.
        self.assertEqual(self.read(), b"")


class Levels(unittest.TestCase):
    def test_each_line_has_its_prefix(self) -> None:
        for text, first, within in (
            ("", "", ""),
            ("a", "<3>a", "a"),
            ("a\n", "<3>a\n", "a\n"),
            ("a\n\nb", "<3>a\n<3>\n<3>b", "a\n<3>\n<3>b"),
            ("<3>", "<3><3>", "<3>"),
        ):
            self.assertEqual(prefixed(3, text), first)
            self.assertEqual(prefixed(3, text, within=True), within)

    @given(st.sampled_from([2, 3, 4, 6, 7]), st.text().filter(lambda text: "\n" not in text))
    def test_what_is_prefixed_is_split_again(self, priority: int, text: str) -> None:
        line = prefixed(priority, text or " ").encode()
        self.assertEqual(split(line), (priority, (text or " ").encode()))

    def test_lines_without_a_prefix(self) -> None:
        for line in (b"", b"<", b"<8>x", b"<31>x", b" <3>x", b"<x>"):
            self.assertEqual(split(line), (6, line))

    def test_levels_of_logging(self) -> None:
        levels = [of_logging(level) for level in (60, 50, 45, 40, 30, 25, 20, 15, 10, 0)]
        self.assertEqual(levels, [2, 2, 3, 3, 4, 6, 6, 7, 7, 7])
