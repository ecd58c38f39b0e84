"""Inboxes over real sockets: what goes in comes out, and no descriptor is lost or left over."""

import errno
import fcntl
import json
import os
import select
import socket
import subprocess
import sys
import unittest
from pathlib import Path
from typing import Any

from twisted.internet.task import Clock

from stickyd.ipc.fd_queue import MESSAGE_MOST, InboxReader, make_inbox, try_put
from stickyd.ipc.fd_sender import RETRY_AFTER, InboxSender

ROOT = Path(__file__).resolve().parents[3]

PROMISED_MESSAGES = 200
PROMISED_SIZE = 600

BIG = 100_000
"""Bytes of a message of which few fill an inbox."""


def open_descriptors() -> int:
    """How many descriptors this process has open."""
    return len(os.listdir("/proc/self/fd"))


def same_file(one: int, other: int) -> bool:
    """Whether two descriptors are of one open file or socket."""
    a, b = os.fstat(one), os.fstat(other)
    return (a.st_dev, a.st_ino) == (b.st_dev, b.st_ino)


class Reactor(Clock):
    """Time that stands still until told, and a note of who is watched for what."""

    def __init__(self) -> None:
        super().__init__()
        self.watched: dict[int, tuple[Any, int]] = {}

    def watch(self, descriptor: int, member: Any, events: int) -> None:
        self.watched[descriptor] = (member, events)

    def forget(self, descriptor: int) -> None:
        del self.watched[descriptor]


class InboxCase(unittest.TestCase):
    """One inbox, one reader, one sender; everything closed and counted at the end."""

    def setUp(self) -> None:
        before = open_descriptors()
        self.addCleanup(lambda: self.assertEqual(open_descriptors(), before, "descriptors left"))
        self.reactor = Reactor()
        self.addCleanup(lambda: self.assertEqual(self.reactor.getDelayedCalls(), []))
        self.sending, self.receiving = make_inbox()
        self.addCleanup(self.sending.close)
        self.addCleanup(self.receiving.close)
        self.connection, client = socket.socketpair()
        self.addCleanup(self.connection.close)
        self.client = client
        self.addCleanup(client.close)
        self.adopted: list[tuple[bytes, int]] = []
        self.addCleanup(self.close_adopted)
        self.lost = 0
        self.reader = InboxReader(self.reactor, self.receiving, self.adopt, self.lose)
        self.sender = InboxSender(self.reactor, self.sending)
        # So that a test that fails half-way is not blamed for the timer as well.
        self.addCleanup(self.sender.give_up)

    def adopt(self, message: bytes, descriptor: int) -> None:
        self.adopted.append((message, descriptor))

    def lose(self, message: bytes) -> None:
        self.lost += 1
        self.last_lost = message

    def close_adopted(self) -> None:
        while self.adopted:
            os.close(self.adopted.pop()[1])

    def messages(self) -> list[bytes]:
        return [message for message, _ in self.adopted]

    def put_now(self, message: bytes) -> bool:
        return try_put(self.sending, message, self.connection.fileno())

    def fill(self) -> int:
        """Fill the inbox with big messages; how many fit."""
        count = 0
        while self.put_now(b"f" * BIG):
            count += 1
        return count

    def take_all(self) -> None:
        while self.reader.take():
            pass


class Passing(InboxCase):
    """A message and a descriptor, together and unharmed."""

    def test_message_and_descriptor_arrive(self) -> None:
        self.assertTrue(self.put_now(b"frame"))
        self.assertTrue(self.reader.take())
        [(message, descriptor)] = self.adopted
        self.assertEqual(message, b"frame")
        self.assertIsInstance(message, bytes)
        self.assertTrue(same_file(descriptor, self.connection.fileno()))
        os.write(descriptor, b"hello")
        self.assertEqual(self.client.recv(10), b"hello")

    def test_an_empty_inbox_has_nothing(self) -> None:
        self.assertFalse(self.reader.take())
        self.assertEqual((self.adopted, self.lost), ([], 0))

    def test_received_descriptors_are_not_inherited(self) -> None:
        os.set_inheritable(self.connection.fileno(), True)
        self.put_now(b"frame")
        self.reader.take()
        [(_, descriptor)] = self.adopted
        self.assertTrue(fcntl.fcntl(descriptor, fcntl.F_GETFD) & fcntl.FD_CLOEXEC)

    def test_both_ends_do_not_block(self) -> None:
        for end in (self.sending, self.receiving):
            self.assertEqual(end.type, socket.SOCK_SEQPACKET)
            self.assertFalse(end.getblocking())
            self.assertFalse(os.get_inheritable(end.fileno()))

    def test_each_message_is_one(self) -> None:
        sent = [b"a" * 1000, b"b", b"c" * 32768]
        for message in sent:
            self.assertTrue(self.put_now(message))
        self.take_all()
        self.assertEqual(self.messages(), sent)

    def test_each_message_has_its_own_descriptor(self) -> None:
        pairs = [socket.socketpair() for _ in range(5)]
        for at, (ours, _) in enumerate(pairs):
            self.assertTrue(try_put(self.sending, b"%d" % at, ours.fileno()))
            ours.close()
        self.take_all()
        for message, descriptor in self.adopted:
            os.write(descriptor, message)
        for at, (_, theirs) in enumerate(pairs):
            self.assertEqual(theirs.recv(10), b"%d" % at)
            theirs.close()

    def test_a_message_does_not_shine_through_in_the_next(self) -> None:
        self.put_now(b"long and old")
        self.put_now(b"new")
        self.take_all()
        self.assertEqual(self.messages(), [b"long and old", b"new"])

    def test_the_longest_message(self) -> None:
        message = os.urandom(MESSAGE_MOST)
        self.assertTrue(self.put_now(message))
        self.take_all()
        self.assertEqual(self.messages(), [message])

    def test_what_was_not_taken_waits_for_another_reader(self) -> None:
        """A worker that dies leaves its connections to its replacement."""
        self.put_now(b"one")
        self.put_now(b"two")
        self.reader.take()
        replacement = InboxReader(self.reactor, self.receiving, self.adopt, self.lose)
        self.assertTrue(replacement.take())
        self.assertEqual(self.messages(), [b"one", b"two"])

    def test_a_connection_in_the_inbox_is_open_without_its_sender(self) -> None:
        self.put_now(b"frame")
        self.connection.close()
        self.client.send(b"hello")
        self.reader.take()
        [(_, descriptor)] = self.adopted
        self.assertEqual(os.read(descriptor, 10), b"hello")

    def test_the_sender_closes_its_copy_and_no_other_is_left(self) -> None:
        self.put_now(b"frame")
        self.connection.close()
        self.reader.take()
        self.close_adopted()
        self.assertEqual(self.client.recv(10), b"")

    def test_no_descriptor_is_used_up(self) -> None:
        before = open_descriptors()
        for _ in range(300):
            self.assertTrue(self.put_now(b"x" * PROMISED_SIZE))
            self.assertEqual(open_descriptors(), before)
            self.assertTrue(self.reader.take())
            self.assertEqual(open_descriptors(), before + 1)
            self.close_adopted()
        self.assertEqual(open_descriptors(), before)


class Capacity(InboxCase):
    """How much an inbox holds before somebody must wait."""

    def test_promise(self) -> None:
        sent = [b"%03d" % at + b"x" * (PROMISED_SIZE - 3) for at in range(PROMISED_MESSAGES)]
        for message in sent:
            self.assertTrue(self.put_now(message), message[:3])
        self.take_all()
        self.assertEqual(self.messages(), sent)

    def test_full_is_no_error(self) -> None:
        self.assertGreater(self.fill(), 0)
        self.assertFalse(self.put_now(b"f" * BIG))
        self.reader.take()
        self.assertTrue(self.put_now(b"f" * BIG))

    def test_too_long_for_any_inbox(self) -> None:
        with self.assertRaises(OSError) as caught:
            self.put_now(bytes(16 * 1024 * 1024))
        self.assertEqual(caught.exception.errno, errno.EMSGSIZE)

    def test_gone(self) -> None:
        self.receiving.close()
        with self.assertRaises(BrokenPipeError):
            self.put_now(b"frame")


class Sending(InboxCase):
    """Those that find the inbox full wait in order, not for ever."""

    def setUp(self) -> None:
        super().setUp()
        self.answers: list[tuple[str, bool]] = []

    def put(self, name: str, patience: float = 10.0, size: int = BIG) -> None:
        message = name.encode().ljust(size, b".")
        self.sender.put(
            message,
            self.connection.fileno(),
            patience,
            lambda sent: self.answers.append((name, sent)),
        )

    def names(self) -> list[str]:
        """Who was taken out, without those that filled the inbox."""
        names = [message.rstrip(b".").decode() for message in self.messages()]
        return [name for name in names if not name.startswith("ff")]

    def tick(self, times: int = 1) -> None:
        for _ in range(times):
            self.reactor.advance(RETRY_AFTER)

    def test_room_is_used_at_once(self) -> None:
        self.put("a")
        self.assertEqual(self.answers, [("a", True)])
        self.assertEqual(self.sender.waiting(), 0)
        self.assertEqual(self.reactor.getDelayedCalls(), [])
        self.take_all()
        self.assertEqual(self.names(), ["a"])

    def test_full_waits_and_goes_in_when_the_reader_takes(self) -> None:
        self.fill()
        self.put("a")
        self.put("b")
        self.tick(5)
        self.assertEqual((self.answers, self.sender.waiting()), ([], 2))
        self.take_all()
        self.assertEqual(self.answers, [])
        self.tick()
        self.assertEqual(self.answers, [("a", True), ("b", True)])
        self.assertEqual(self.sender.waiting(), 0)
        self.take_all()
        self.assertEqual(self.names(), ["a", "b"])

    def test_room_for_one_lets_in_the_first(self) -> None:
        self.fill()
        for name in "abc":
            self.put(name)
        taken = []
        while self.sender.waiting():
            self.reader.take()
            self.tick()
            taken.append(self.sender.waiting())
        self.assertEqual(self.answers, [("a", True), ("b", True), ("c", True)])
        self.assertEqual(taken, sorted(taken, reverse=True))
        self.take_all()
        self.assertEqual(self.names(), ["a", "b", "c"])

    def test_a_small_one_does_not_overtake(self) -> None:
        self.fill()
        self.put("a")
        self.reader.take()
        self.put("b", size=10)
        self.assertEqual(self.answers, [])
        self.tick()
        self.take_all()
        self.tick()
        self.assertEqual(self.answers, [("a", True), ("b", True)])
        self.take_all()
        self.assertEqual(self.names(), ["a", "b"])

    def test_only_one_timer_however_many_wait(self) -> None:
        self.fill()
        for at in range(20):
            self.put(f"{at}")
        self.assertEqual(len(self.reactor.getDelayedCalls()), 1)
        self.tick(3)
        self.assertEqual(len(self.reactor.getDelayedCalls()), 1)
        self.sender.give_up()

    def test_patience_is_over(self) -> None:
        self.fill()
        self.put("a", patience=1.0)
        while self.reactor.seconds() < 1.0 - RETRY_AFTER:
            self.tick()
        self.assertEqual(self.answers, [])
        self.tick(3)
        self.assertEqual(self.answers, [("a", False)])
        self.assertEqual(self.reactor.getDelayedCalls(), [])
        self.take_all()
        self.assertEqual(self.names(), [])

    def test_patience_of_one_is_over_and_the_next_waits_on(self) -> None:
        self.fill()
        self.put("a", patience=1.0)
        self.put("b", patience=2.0)
        while self.reactor.seconds() < 1.5:
            self.tick()
        self.assertEqual(self.answers, [("a", False)])
        self.take_all()
        self.tick()
        self.assertEqual(self.answers, [("a", False), ("b", True)])

    def test_patience_does_not_depend_on_who_waits_in_front(self) -> None:
        self.fill()
        self.put("a", patience=2.0)
        self.put("b", patience=1.0)
        while self.reactor.seconds() < 1.5:
            self.tick()
        self.assertEqual(self.answers, [("b", False)])
        self.sender.give_up()

    def test_room_at_the_last_moment(self) -> None:
        self.fill()
        self.put("a", patience=1.0)
        self.take_all()
        self.reactor.advance(1.0)
        self.assertEqual(self.answers, [("a", True)])

    def test_no_patience_is_one_more_try(self) -> None:
        self.fill()
        self.put("a", patience=0.0)
        self.tick(2)
        self.assertEqual(self.answers, [("a", False)])

    def test_give_up(self) -> None:
        self.fill()
        for name in "ab":
            self.put(name)
        self.sender.give_up()
        self.assertEqual(self.answers, [("a", False), ("b", False)])
        self.assertEqual(self.sender.waiting(), 0)
        self.assertEqual(self.reactor.getDelayedCalls(), [])
        self.take_all()
        self.tick(3)
        self.assertEqual(len(self.answers), 2)

    def test_give_up_with_nobody_waiting(self) -> None:
        self.sender.give_up()
        self.assertEqual(self.answers, [])

    def test_after_giving_up_it_sends_again(self) -> None:
        self.fill()
        self.put("a")
        self.sender.give_up()
        self.take_all()
        self.put("b")
        self.assertEqual(self.answers, [("a", False), ("b", True)])

    def test_gone(self) -> None:
        self.receiving.close()
        self.put("a")
        self.assertEqual(self.answers, [("a", False)])

    def test_gone_while_waiting(self) -> None:
        self.fill()
        self.put("a")
        self.put("b")
        self.receiving.close()
        self.tick()
        self.assertEqual(self.answers, [("a", False), ("b", False)])
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_a_message_that_never_fits_stops_nobody(self) -> None:
        self.fill()
        self.put("a", size=16 * 1024 * 1024)
        self.take_all()
        self.put("b")
        self.tick()
        self.assertEqual(self.answers, [("a", False), ("b", True)])

    def test_putting_again_from_the_answer(self) -> None:
        self.fill()
        again = self.connection.fileno()

        def done(sent: bool) -> None:
            self.answers.append(("a", sent))
            self.sender.put(
                b"again", again, 10.0, lambda sent: self.answers.append(("again", sent))
            )

        self.sender.put(b"a" * BIG, again, 0.0, done)
        self.tick(2)
        self.assertEqual(self.answers[0], ("a", False))
        self.take_all()
        self.tick()
        self.assertEqual(self.answers, [("a", False), ("again", True)])

    def test_giving_up_from_the_answer(self) -> None:
        self.fill()
        descriptor = self.connection.fileno()

        def done(sent: bool) -> None:
            self.answers.append(("a", sent))
            self.sender.give_up()

        self.sender.put(b"a" * BIG, descriptor, 1.0, done)
        self.put("b", patience=1.0)
        self.put("c", patience=9.0)
        self.reactor.advance(2.0)
        self.assertEqual(self.answers, [("a", False), ("b", False), ("c", False)])
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_nothing_is_kept_open_for_those_who_wait(self) -> None:
        before = open_descriptors()
        self.fill()
        for at in range(50):
            self.put(f"{at}", patience=1.0)
        self.assertEqual(open_descriptors(), before)
        self.reactor.advance(2.0)
        self.assertEqual(self.answers, [(f"{at}", False) for at in range(50)])
        self.assertEqual(open_descriptors(), before)


class Reading(InboxCase):
    """The reader as the poller sees it."""

    def test_start_and_stop(self) -> None:
        self.reader.start()
        watched = {self.receiving.fileno(): (self.reader, select.EPOLLIN)}
        self.assertEqual(self.reactor.watched, watched)
        self.reader.stop()
        self.assertEqual(self.reactor.watched, {})
        self.reader.stop()

    def test_a_batch_at_a_time(self) -> None:
        for at in range(InboxReader.BATCH + 5):
            self.put_now(b"%d" % at)
        self.reader.start()
        self.reader.ready(select.EPOLLIN)
        self.assertEqual(len(self.adopted), InboxReader.BATCH)
        self.reader.ready(select.EPOLLIN)
        self.assertEqual(len(self.adopted), InboxReader.BATCH + 5)
        self.reader.ready(select.EPOLLIN)
        self.assertEqual(self.messages(), [b"%d" % at for at in range(InboxReader.BATCH + 5)])

    def test_stopped_it_leaves_what_comes(self) -> None:
        self.put_now(b"one")
        self.reader.start()
        self.reader.stop()
        self.reader.ready(select.EPOLLIN)
        self.assertEqual(self.adopted, [])
        self.reader.start()
        self.reader.ready(select.EPOLLIN)
        self.assertEqual(self.messages(), [b"one"])

    def test_stopped_within_a_batch(self) -> None:
        def adopt(message: bytes, descriptor: int) -> None:
            self.adopt(message, descriptor)
            reader.stop()

        reader = InboxReader(self.reactor, self.receiving, adopt, self.lose)
        self.put_now(b"one")
        self.put_now(b"two")
        reader.start()
        reader.ready(select.EPOLLIN)
        self.assertEqual(self.messages(), [b"one"])
        self.take_all()
        self.assertEqual(self.messages(), [b"one", b"two"])

    def test_two_readers_share(self) -> None:
        """During a reload the old worker and the new one read the same inbox."""
        copy = self.receiving.dup()
        self.addCleanup(copy.close)
        other = InboxReader(self.reactor, copy, self.adopt, self.lose)
        for at in range(4):
            self.put_now(b"%d" % at)
        for reader in (self.reader, other, self.reader, other):
            self.assertTrue(reader.take())
        self.assertFalse(other.take())
        self.assertEqual(self.messages(), [b"0", b"1", b"2", b"3"])

    def test_the_last_sender_is_gone(self) -> None:
        self.put_now(b"one")
        self.sending.close()
        self.reader.start()
        self.reader.ready(select.EPOLLIN)
        self.assertEqual(self.messages(), [b"one"])
        self.assertEqual((self.reactor.watched, self.lost), ({}, 0))

    def test_a_message_without_a_descriptor_is_lost(self) -> None:
        self.sending.send(b"frame")
        self.put_now(b"next")
        self.take_all()
        self.assertEqual((self.lost, self.messages()), (1, [b"next"]))
        self.assertEqual(self.last_lost, b"frame")

    def test_a_message_cut_off_is_lost_and_its_descriptor_closed(self) -> None:
        before = open_descriptors()
        self.put_now(bytes(MESSAGE_MOST + 1))
        self.put_now(b"next")
        self.assertTrue(self.reader.take())
        self.assertEqual((self.lost, self.adopted), (1, []))
        self.assertEqual(open_descriptors(), before)
        self.take_all()
        self.assertEqual(self.messages(), [b"next"])

    def test_a_second_descriptor_in_a_message_is_not_kept(self) -> None:
        before = open_descriptors()
        socket.send_fds(self.sending, [b"frame"], [self.connection.fileno(), self.client.fileno()])
        self.assertTrue(self.reader.take())
        self.close_adopted()
        self.assertEqual(open_descriptors(), before)


# Runs with few descriptors allowed, and prints what it saw.
SHORT_OF_DESCRIPTORS = """
import json, os, resource, socket
from stickyd.ipc.fd_queue import InboxReader, make_inbox, try_put

def is_open(sock):
    try:
        sock.send(b"x")
    except BrokenPipeError:
        return False
    return True

sending, receiving = make_inbox()
clients = []
for number in range(3):
    ours, theirs = socket.socketpair()
    clients.append(theirs)
    assert try_put(sending, b"%d" % number, ours.fileno())
    ours.close()
adopted, lost = [], []
reader = InboxReader(
    None, receiving, lambda message, fd: adopted.append((message, fd)), lost.append
)
resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
spare = []
try:
    while True:
        spare.append(os.dup(0))
except OSError as error:
    full = error.errno
seen = {"full": full, "open before": [is_open(client) for client in clients]}
seen["taken when short"] = reader.take()
seen["lost when short"] = len(lost)
seen["adopted when short"] = len(adopted)
seen["open when short"] = [is_open(client) for client in clients]
for fd in spare:
    os.close(fd)
before = len(os.listdir("/proc/self/fd"))
while reader.take():
    pass
seen["lost"] = len(lost)
seen["adopted"] = [message.decode() for message, fd in adopted]
seen["more descriptors"] = len(os.listdir("/proc/self/fd")) - before
seen["open"] = [is_open(client) for client in clients]
for fd in [fd for _, fd in adopted]:
    os.close(fd)
for sock in (sending, receiving, *clients):
    sock.close()
print(json.dumps(seen))
"""


class ShortOfDescriptors(unittest.TestCase):
    """The kernel could not install a descriptor: lost, said so, and the next one is fine."""

    def test_lost_is_told_and_nothing_else_is_harmed(self) -> None:
        done = subprocess.run(
            [sys.executable, "-W", "error", "-c", SHORT_OF_DESCRIPTORS],
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertEqual(
            json.loads(done.stdout),
            {
                "full": errno.EMFILE,
                "open before": [True, True, True],
                "taken when short": True,
                "lost when short": 1,
                "adopted when short": 0,
                # The client sees the end of its connection; nothing lies dormant.
                "open when short": [False, True, True],
                "lost": 1,
                "adopted": ["1", "2"],
                "more descriptors": 2,
                "open": [False, True, True],
            },
        )
