"""``least``: requests without a key go to the slot with the least load."""

import signal
import unittest
from collections import Counter
from contextlib import ExitStack
from pathlib import Path

from websockets.sync.client import connect

from tests.support.browsers import Connection
from tests.support.daemon import Daemon, Reader, request, wait_for

WORKERS = 4
LEAST = ("--affinity", "cookie(sid),least")
PAGE = ("--class", "stickyd_test_apps:Page")
IDS = ("--class", "stickyd_ids_app:root")
UNTRUSTED = ("--forwarded-allow-ips", "192.0.2.1")


class WithDaemon(unittest.TestCase):
    def daemon(self, *options: str, workers: int = WORKERS) -> Daemon:
        return self.enterContext(Daemon(*LEAST, *options, workers=workers))

    def loads(self, daemon: Daemon) -> list[int]:
        return [slot["load"] for slot in daemon.report()["slots"]]

    def hold(self, daemon: Daemon, count: int) -> tuple[Path, list[Reader]]:
        """Requests without a key, all at once, that are answered when the file exists."""
        gate = Path(daemon.directory.name, "gate")
        readers = []
        for _ in range(count):
            sock = self.enterContext(daemon.connect())
            sock.sendall(request("10.0.0.1", f"/held?until={gate}"))
            readers.append(Reader(sock))
        return gate, readers


class Master(WithDaemon):
    def test_a_burst_is_even(self) -> None:
        """No worker has reported anything when the last of them is placed."""
        daemon = self.daemon(*PAGE)
        gate, readers = self.hold(daemon, 40)
        wait_for(lambda: daemon.report()["workers"]["requests"] == 40, what="40 requests")
        self.assertEqual(self.loads(daemon), [10] * WORKERS)
        gate.touch()
        for reader in readers:
            self.assertEqual(reader.response().status, 200)
        handed = daemon.report()["master"]["handed_off"]
        self.assertEqual(handed, {str(slot): {"least": 10} for slot in range(1, 5)})

    def test_one_after_the_other_take_turns(self) -> None:
        daemon = self.daemon(*IDS)
        slots = []
        for _ in range(12):
            with Connection(daemon.port) as connection:
                slots.append(connection.ask().slot)
            wait_for(lambda: not any(self.loads(daemon)), what="no load")
        self.assertEqual(slots, [1, 2, 3, 4] * 3)

    def test_websockets_count_as_long_as_they_last(self) -> None:
        daemon = self.daemon(*IDS, workers=2)
        url = f"ws://127.0.0.1:{daemon.port}/ws"
        # A key that hashes to slot 1 keeps it busy.
        key = next(n for n in range(99) if self.slot_of(daemon, f"k{n}") == 1)
        jar = {"Cookie": f"sid=k{key}"}
        sockets = self.enterContext(ExitStack())
        for _ in range(3):
            websocket = sockets.enter_context(connect(url, additional_headers=jar))
            self.assertIn('"slot": 1', websocket.recv())
        self.assertEqual(self.loads(daemon), [3, 0])
        for _ in range(4):
            with Connection(daemon.port) as connection:
                self.assertEqual(connection.ask().slot, 2)
        sockets.close()
        wait_for(lambda: not any(self.loads(daemon)), what="no load")
        slots = set()
        for _ in range(2):
            with Connection(daemon.port) as connection:
                slots.add(connection.ask().slot)
        self.assertEqual(slots, {1, 2})

    def slot_of(self, daemon: Daemon, key: str) -> int:
        with Connection(daemon.port) as connection:
            return connection.ask("/", f"Cookie: sid={key}").slot

    def test_after_a_resize(self) -> None:
        daemon = self.daemon(*PAGE, workers=2)
        daemon.process.send_signal(signal.SIGTTIN)
        wait_for(lambda: daemon.report()["table"]["slots"] == [1, 2, 3], what="a slot more")
        gate, readers = self.hold(daemon, 9)
        wait_for(lambda: daemon.report()["workers"]["requests"] == 9, what="9 requests")
        self.assertEqual(self.loads(daemon), [3, 3, 3])
        gate.touch()
        for reader in readers:
            self.assertEqual(reader.response().status, 200)


class Kept(WithDaemon):
    """Requests without a key on a kept-alive connection."""

    def slots(self, connection: Connection, count: int) -> list[int]:
        return [connection.ask().slot for _ in range(count)]

    def test_of_a_proxy_each_is_placed(self) -> None:
        daemon = self.daemon(*IDS, "--affinity-scope", "request")
        with Connection(daemon.port) as proxy:
            slots = self.slots(proxy, 40)
        self.assertEqual(set(slots), {1, 2, 3, 4})
        self.assertGreaterEqual(min(Counter(slots).values()), 4, slots)
        report = daemon.report()
        handed = sum(sum(by.values()) for by in report["master"]["handed_off"].values())
        # Each request is counted where it was decided: one by the master, the others by workers.
        self.assertEqual((handed, report["workers"]["placed"]), (1, {"least": 39}))

    def test_of_a_client_they_stay(self) -> None:
        daemon = self.daemon(*IDS, "--affinity-scope", "request", *UNTRUSTED)
        with Connection(daemon.port) as client:
            self.assertEqual(len(set(self.slots(client, 12))), 1)
        self.assertFalse(daemon.report()["workers"]["moved"])

    def test_in_connection_scope_they_stay(self) -> None:
        daemon = self.daemon(*IDS)
        with Connection(daemon.port) as proxy:
            self.assertEqual(len(set(self.slots(proxy, 12))), 1)
        report = daemon.report()["workers"]
        self.assertEqual((report["moved"], report["misrouted"]), ({}, 0))

    def test_with_a_bound(self) -> None:
        options = ("--affinity-scope", "request", "--hash-balance-factor", "150")
        daemon = self.daemon(*IDS, *options)
        with Connection(daemon.port) as proxy:
            self.assertEqual(set(self.slots(proxy, 40)), {1, 2, 3, 4})

    def test_with_the_other_hash(self) -> None:
        daemon = self.daemon(*IDS, "--affinity-scope", "request", "--hash", "sticky-session")
        with Connection(daemon.port) as proxy:
            self.assertEqual(set(self.slots(proxy, 40)), {1, 2, 3, 4})
            self.assertEqual(len({proxy.ask("/", "Cookie: sid=a").slot for _ in range(9)}), 1)
