"""Sessions that outlive a reload for a while, and apps that hand theirs over."""

import json
import os
import signal
import socket
import time
import unittest

from twisted.internet import defer
from twisted.web.resource import Resource
from twisted.web.server import Site

from stickyd.ipc.fd_queue import make_inbox, take_one, try_put
from stickyd.ipc.frame import Frame, Kind
from stickyd.settings import Settings
from stickyd.shm.worker_stats import WorkerStats
from stickyd.worker.apps.loaders.web import WebApp
from stickyd.worker.known_keys import KnownKeys
from stickyd.worker.worker import Resources, Worker
from tests.integration.test_lifecycle import BUSY, ONE, TWO, Client, Life, life, reload, start
from tests.support.daemon import Daemon, _alive, request, wait_for
from tests.support.stepping import SteppingReactor

NEW = "10.10.12.10"
"""A client of slot 1 at seed 1 that nobody has seen before."""


class Drain(Life):
    def check(self, scope: str) -> None:
        with start("--session-drain", "30", "--affinity-scope", scope) as daemon:
            before = self.client(daemon)
            slot, old = before.who(ONE)
            self.assertEqual(slot, 1)
            reload(daemon)
            # Known keys stay with the old worker, on the old connection and on new ones.
            for client in (before, self.client(daemon)):
                self.assertEqual(client.who(ONE), (1, old))
            # New keys go to the new one, and stay there.
            fresh = self.client(daemon)
            slot, new = fresh.who(NEW)
            self.assertEqual(slot, 1)
            self.assertEqual(new, daemon.pids()[1])
            self.assertNotEqual(new, old)
            again = self.client(daemon)
            self.assertEqual(again.who(NEW), (1, new))
            if scope == "request":
                # One connection, keys of both, in turn.
                for _ in range(3):
                    self.assertEqual(again.who(ONE), (1, old))
                    self.assertEqual(again.who(NEW), (1, new))
                    self.assertEqual(again.who(TWO)[0], 2)
            # The one that drains is killed: the new one takes its keys, what waits included.
            os.kill(old, 9)
            last = self.client(daemon)
            self.assertEqual(last.who(ONE), (1, new))
            self.assertEqual(fresh.who(NEW), (1, new))

    def test_connection_scope(self) -> None:
        self.check("connection")

    def test_request_scope(self) -> None:
        self.check("request")

    def test_keys_the_app_made_are_known(self) -> None:
        options = ("--affinity", "url_param(k),xff", "--affinity-scope", "request")
        with start("--session-drain", "30", *options) as daemon:
            client = self.client(daemon)
            key = client.ask(ONE, "/key").body.decode()
            _, old = client.who(ONE)
            reload(daemon)
            self.assertEqual(client.who(TWO, f"/?k={key}"), (1, old))
            other = self.client(daemon)
            self.assertEqual(other.who(NEW)[1], daemon.pids()[1])

    def test_what_waits_for_the_new_worker_outlives_the_old_one(self) -> None:
        """Until the new one has taken it: even if that takes longer than the guardian looks."""
        with start() as daemon:
            client, busy = self.client(daemon), self.client(daemon)
            _, old = client.who(ONE)
            # It leaves nothing in the slot's own inbox.
            last = request(BUSY, "/late?s=1")[:-2] + b"Connection: close\r\n\r\n"
            busy.sock.sendall(last)
            wait_for(lambda: daemon.report()["workers"]["requests"] == 2, what="the request")
            reload(daemon)
            new = daemon.pids()[1]
            os.kill(new, signal.SIGSTOP)
            client.sock.sendall(request(ONE))
            self.assertEqual(busy.reader.response().status, 200)
            wait_for(lambda: not _alive(old), what="the end of the old worker")
            client.sock.settimeout(1)
            with self.assertRaises(TimeoutError):
                client.sock.recv(1, socket.MSG_PEEK)
            os.kill(new, signal.SIGCONT)
            client.sock.settimeout(30)
            self.assertIn(str(new).encode(), client.reader.response().body)

    def test_the_drain_ends(self) -> None:
        with start("--session-drain", "3") as daemon:
            client = self.client(daemon)
            _, old = client.who(ONE)
            reload(daemon)
            self.assertEqual(client.who(ONE), (1, old))
            wait_for(lambda: not _alive(old), what="the end of the drain")
            self.assertEqual(client.who(ONE), (1, daemon.pids()[1]))

    def test_a_reload_during_a_drain(self) -> None:
        with start("--session-drain", "30", "--affinity-scope", "request") as daemon:
            client = self.client(daemon)
            _, first = client.who(ONE)
            reload(daemon)
            _, second = client.who(NEW)
            reload(daemon)
            wait_for(lambda: not _alive(first), what="the end of the first generation")
            self.assertEqual(client.who(NEW), (1, second))
            _, third = client.who(ONE)
            self.assertEqual(third, daemon.pids()[1])
            self.assertEqual(len({first, second, third}), 3)

    def test_the_new_worker_is_killed_during_a_drain(self) -> None:
        with start("--session-drain", "30", "--affinity-scope", "request") as daemon:
            client = self.client(daemon)
            _, old = client.who(ONE)
            reload(daemon)
            _, new = client.who(NEW)
            self.assertEqual(client.who(ONE), (1, old))
            os.kill(new, 9)
            # Waits where the dead one would have read it.
            slot, replacement = client.who(NEW)
            self.assertEqual(slot, 1)
            self.assertNotIn(replacement, (old, new))
            self.assertEqual(client.who(ONE), (1, old))


class InUse(Life):
    """Keys in use stay with the old worker, without any option."""

    def begin(self, daemon: Daemon) -> tuple[Client, int]:
        """A request of ONE that ends when `finish` says so; its connection and the worker's pid."""
        client = self.client(daemon)
        _, old = client.who(ONE)
        requests = daemon.report()["workers"]["requests"]
        client.sock.sendall(request(ONE, "/begun"))
        wait_for(lambda: daemon.report()["workers"]["requests"] > requests)
        return client, old

    def finish(self, daemon: Daemon, busy: Client, old: int) -> None:
        (life(daemon) / "go").touch()
        self.assertEqual(busy.reader.response().body, b"begun done")
        wait_for(lambda: not _alive(old), what="the end of the old worker")

    def check(self, scope: str) -> None:
        with start("--affinity-scope", scope) as daemon:
            kept = self.client(daemon)
            kept.who(ONE)
            busy, old = self.begin(daemon)
            reload(daemon)
            new = daemon.pids()[1]
            self.assertNotEqual(old, new)
            for client in (kept, self.client(daemon)):
                self.assertEqual(client.who(ONE), (1, old))
            fresh = self.client(daemon)
            self.assertEqual(fresh.who(NEW), (1, new))
            if scope == "request":
                self.assertEqual(fresh.who(ONE), (1, old))
                self.assertEqual(fresh.who(NEW), (1, new))
            self.finish(daemon, busy, old)
            for client in (kept, busy, fresh, self.client(daemon)):
                self.assertEqual(client.who(ONE), (1, new))
            self.assertEqual(daemon.report()["workers"]["lost"], 0)

    def test_connection_scope(self) -> None:
        self.check("connection")

    def test_request_scope(self) -> None:
        self.check("request")

    def test_reloads_one_after_the_other_cut_no_request(self) -> None:
        with start("--affinity-scope", "request") as daemon:
            busy, old = self.begin(daemon)
            between = []
            for _ in range(3):
                reload(daemon)
                # Its request goes where the key is in use, through all generations.
                client = self.client(daemon)
                self.assertEqual(client.who(ONE), (1, old))
                between.append(client.who(NEW))
                self.assertEqual(between[-1], (1, daemon.pids()[1]))
            self.assertEqual(len(set(between)), 3)
            self.finish(daemon, busy, old)
            wait_for(lambda: not _alive(between[0][1]), what="the end of the second generation")
            client = self.client(daemon)
            for key in (ONE, NEW):
                self.assertEqual(client.who(key), (1, daemon.pids()[1]))
            self.assertEqual(daemon.report()["workers"]["lost"], 0)

    def test_no_descriptor_is_left(self) -> None:
        with start() as daemon:
            before = sorted(daemon.settled_descriptors().values())
            busy, old = self.begin(daemon)
            reload(daemon)
            self.finish(daemon, busy, old)
            busy.sock.close()
            wait_for(
                lambda: sorted(daemon.settled_descriptors().values()) == before,
                what="the descriptors of before",
            )

    def test_after_a_usr2(self) -> None:
        with start("--affinity-scope", "request") as daemon:
            busy, old = self.begin(daemon)
            reload(daemon)
            new = daemon.pids()[1]
            upgraded = daemon.report()["master"]["upgrades"]
            daemon.process.send_signal(signal.SIGUSR2)
            wait_for(lambda: daemon.report()["master"]["upgrades"] > upgraded, what="the upgrade")
            client = self.client(daemon)
            self.assertEqual(client.who(ONE), (1, old))
            self.assertEqual(client.who(NEW), (1, new))
            self.finish(daemon, busy, old)
            self.assertEqual(client.who(ONE), (1, new))

    def test_if_the_old_worker_is_killed(self) -> None:
        with start("--affinity-scope", "request") as daemon:
            _, old = self.begin(daemon)
            reload(daemon)
            client = self.client(daemon)
            self.assertEqual(client.who(ONE), (1, old))
            self.at_rest(daemon)
            os.kill(old, 9)
            self.assertEqual(self.client(daemon).who(ONE), (1, daemon.pids()[1]))
            self.assertEqual(client.who(ONE), (1, daemon.pids()[1]))

    def test_if_the_new_worker_is_killed(self) -> None:
        with start("--affinity-scope", "request") as daemon:
            busy, old = self.begin(daemon)
            reload(daemon)
            new = daemon.pids()[1]
            os.kill(new, 9)
            client = self.client(daemon)
            slot, replacement = client.who(NEW)
            self.assertEqual(slot, 1)
            self.assertNotIn(replacement, (old, new))
            self.assertEqual(client.who(ONE), (1, old))
            self.finish(daemon, busy, old)

    def test_known_keys_until_they_are_idle(self) -> None:
        options = ("--session-drain", "600", "--session-idle", "2", "--keep-alive", "300")
        with start(*options, "--affinity-scope", "request") as daemon:
            client = self.client(daemon)
            _, old = client.who(ONE)
            reload(daemon)
            other = self.client(daemon)
            self.assertEqual(other.who(ONE), (1, old))
            # An open connection keeps its key.
            other.who(TWO)
            # That it does not end has no event: longer than --session-idle and a second.
            time.sleep(4)
            self.assertEqual(client.who(ONE), (1, old))
            client.sock.close()
            wait_for(lambda: not _alive(old), what="the end of the old worker")


class Empty(unittest.TestCase):
    def test_a_worker_that_is_empty_takes_nothing_more(self) -> None:
        """It may still be putting things away, while a stop follows a reload."""
        reactor = SteppingReactor()
        sender, receiver = make_inbox()
        tally = WorkerStats()
        app = WebApp(Site(Resource(), reactor=reactor))
        ways = {1: sender}
        worker = Worker(reactor, Settings(), app, Resources(1, receiver, ways, tally))
        for close in (tally.close, worker.context.poller.close, receiver.close, sender.close):
            self.addCleanup(close)
        worker.start()
        self.successResultOf(worker.retire(30, [1]))
        ours, theirs = socket.socketpair()
        with ours, theirs:
            try_put(sender, Frame(Kind.PLACED, 1, None, None).encode(), theirs.fileno())
        self.successResultOf(worker.retire(30))
        taken = take_one(receiver)
        self.assertIsNotNone(taken)
        os.close(taken[1])

    def successResultOf(self, fired: "defer.Deferred[None]") -> None:
        results: list[object] = []
        fired.addCallback(results.append)
        self.assertEqual(results, [None])


class OnRetire(Life):
    def test_the_app_is_told_what_its_worker_knew(self) -> None:
        with start("--on-retire", "stickyd_life_app:retired") as daemon:
            client = self.client(daemon)
            _, old = client.who(ONE)
            client.who(TWO)
            reload(daemon)
            file = life(daemon) / f"retired-1-{old}"
            wait_for(file.exists, what="the app to be told")
            told = wait_for(lambda: file.read_text())
            self.assertEqual(json.loads(told), {"slot": 1, "reason": "reload", "keys": [ONE, TWO]})
            pid = daemon.pids()[1]
            daemon.stop()
            told = json.loads((life(daemon) / f"retired-1-{pid}").read_text())
            self.assertEqual(told["reason"], "stop")

    def test_a_name_that_cannot_be_found_is_one_line(self) -> None:
        daemon = start("--on-retire", "stickyd_life_app:nothing")
        daemon.start(wait=False)
        self.assertEqual(daemon.wait(), 1)
        self.assertTrue(any("cannot load --on-retire" in line for line in daemon.log))
        daemon.directory.cleanup()


class Memory(unittest.TestCase):
    def test_is_bounded_and_forgets_the_oldest(self) -> None:
        known = KnownKeys(most=3)
        for key in "abc":
            known.note(key, 1.0)
        known.note("a", 2.0)
        known.note("d", 3.0)
        self.assertEqual(known.keys(), ["c", "a", "d"])
        known.made.append("e")
        known.take_made(4.0)
        self.assertEqual(known.keys(), ["a", "d", "e"])

    def test_forgets_keys_that_are_not_used(self) -> None:
        known = KnownKeys()
        for at, key in enumerate("abcd"):
            known.note(key, float(at))
        known.forget_idle(2.0, {"a"})
        self.assertEqual(known.keys(), ["a", "c", "d"])
