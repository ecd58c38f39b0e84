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

from stickyd.ipc.fd_queue import MESSAGE_MOST, InboxReader, try_put, waits_in
from tests.support.inbox_case import BIG, InboxCase, open_descriptors, same_file

ROOT = Path(__file__).resolve().parents[3]

PROMISED_MESSAGES = 200

PROMISED_SIZE = 600


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

    def test_what_waits(self) -> None:
        """The end, when nobody has a sending end any more, is nothing that waits."""
        open_before = open_descriptors()
        self.assertFalse(waits_in(self.receiving))
        self.put_now(b"frame")
        self.assertTrue(waits_in(self.receiving))
        self.assertTrue(waits_in(self.receiving))
        self.assertEqual(open_descriptors(), open_before)
        self.reader.take()
        self.assertFalse(waits_in(self.receiving))
        self.sending.close()
        self.assertFalse(waits_in(self.receiving))

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
