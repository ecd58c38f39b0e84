"""What a service manager is told, message by message."""

import os
import socket
import tempfile
import unittest

from twisted.internet.task import Clock

from stickyd.master.sd_notify import (
    AGAIN_AFTER,
    STATUS_EVERY,
    UNSENT_MOST,
    Notifier,
    watchdog_interval,
)


class Watchdog(unittest.TestCase):
    def test_half_of_what_is_allowed_if_it_is_for_us(self) -> None:
        for environment, seconds in (
            ({}, None),
            ({"WATCHDOG_USEC": "30000000"}, 15.0),
            ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "77"}, 15.0),
            ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "78"}, None),
            ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": ""}, None),
            ({"WATCHDOG_USEC": "0"}, None),
            ({"WATCHDOG_USEC": "-1"}, None),
            ({"WATCHDOG_USEC": "soon"}, None),
        ):
            self.assertEqual(watchdog_interval(environment, 77), seconds, environment)


class Telling(unittest.TestCase):
    def setUp(self) -> None:
        directory = tempfile.TemporaryDirectory(prefix="stickyd-test-")
        self.addCleanup(directory.cleanup)
        self.path = os.path.join(directory.name, "notify")
        self.clock = Clock()

    def manager(self, address: str) -> socket.socket:
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.addCleanup(sock.close)
        sock.bind(address)
        sock.setblocking(False)
        return sock

    def notifier(self, address: str, **more: str) -> Notifier:
        notifier = Notifier(self.clock, {"NOTIFY_SOCKET": address, **more})
        self.addCleanup(notifier.stop)
        return notifier

    def heard(self, sock: socket.socket) -> list[str]:
        messages = []
        while True:
            try:
                messages.append(sock.recv(4096).decode())
            except BlockingIOError:
                return messages

    def test_a_path(self) -> None:
        manager = self.manager(self.path)
        self.notifier(self.path).ready("all\nis well")
        self.assertEqual(self.heard(manager), ["READY=1\nSTATUS=all is well"])

    def test_an_abstract_name(self) -> None:
        name = f"stickyd-test-{os.getpid()}"
        manager = self.manager("\0" + name)
        self.notifier("@" + name).ready("well")
        self.assertEqual(self.heard(manager), ["READY=1\nSTATUS=well"])

    def test_no_socket_or_one_of_another_kind_or_nobody_there(self) -> None:
        for address in ("", "relative", "vsock:2:1234", self.path, "@nobody-is-here"):
            notifier = self.notifier(address, WATCHDOG_USEC="2000000")
            notifier.start(lambda: "well")
            notifier.ready("well")
            self.clock.advance(10)
            notifier.stopping(1)
            notifier.stop()
            self.assertEqual(self.clock.getDelayedCalls(), [], address)

    def test_status_when_it_changes_and_signs_of_life(self) -> None:
        manager = self.manager(self.path)
        notifier = self.notifier(self.path, WATCHDOG_USEC=str(round(4 * STATUS_EVERY * 1e6)))
        status = "one"
        notifier.start(lambda: status)
        self.assertEqual(self.heard(manager), ["STATUS=one", "WATCHDOG=1"])
        self.clock.advance(STATUS_EVERY)
        self.assertEqual(self.heard(manager), [])
        status = "two"
        self.clock.advance(STATUS_EVERY)
        self.assertEqual(sorted(self.heard(manager)), ["STATUS=two", "WATCHDOG=1"])
        # What was said with `ready` is not said again.
        status = "three"
        notifier.ready(status)
        self.clock.advance(STATUS_EVERY)
        self.assertEqual(self.heard(manager), ["READY=1\nSTATUS=three"])
        # The end keeps the last status, and the watchdog's patience.
        status = "four"
        notifier.stopping(2.5)
        self.clock.advance(STATUS_EVERY)
        self.assertEqual(
            self.heard(manager), ["STOPPING=1\nEXTEND_TIMEOUT_USEC=2500000", "WATCHDOG=1"]
        )

    def test_a_manager_that_is_slow_to_read(self) -> None:
        manager = self.manager(self.path)
        notifier = self.notifier(self.path, WATCHDOG_USEC="2000000")
        notifier.start(lambda: "begun")
        told = 0
        # unix(7): a queue of datagrams has a length; the sender does not block.
        while self.clock.getDelayedCalls()[0].getTime() != AGAIN_AFTER:
            notifier.ready(str(told))
            told += 1
        for text in ("over", "over too", "last"):
            notifier.status(text)
        waiting = self.heard(manager)
        self.assertEqual(waiting[-1], f"READY=1\nSTATUS={told - 2}")
        self.clock.advance(AGAIN_AFTER)
        self.assertEqual(self.heard(manager), [f"READY=1\nSTATUS={told - 1}", "STATUS=last"])
        self.clock.advance(1)
        self.assertIn("WATCHDOG=1", self.heard(manager))

    def test_a_manager_that_never_reads_costs_little(self) -> None:
        self.manager(self.path)
        notifier = self.notifier(self.path)
        for _ in range(2000):
            notifier.reloading()
        self.assertEqual(len(notifier._unsent), UNSENT_MOST)
        notifier.stop()
        self.assertEqual(self.clock.getDelayedCalls(), [])
