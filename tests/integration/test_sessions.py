"""twisted.web's own sessions, found again by the ids that their cookies carry."""

import os
import random
import re
import signal
import unittest
from unittest import mock

from twisted.web.resource import Resource

from stickyd import keys
from stickyd.routing.signed_keys import secret_of, slot_in
from stickyd.worker.apps.sessions import KeyedSite
from tests.integration.test_affinity_keys import Behind
from tests.support.daemon import Daemon, Response, wait_for
from tests.support.stepping import SteppingReactor

PLAIN, SECURE = "TWISTED_SESSION", "TWISTED_SECURE_SESSION"
OVER_TLS = "X-Forwarded-Proto: https"


def visit(response: Response) -> tuple[int, int]:
    """The worker, and the number of the visit."""
    match = re.fullmatch(rb"From worker (\d) visit (\d+)", response.body)
    assert match, response.body
    return int(match[1]), int(match[2])


def given(response: Response, name: str) -> str:
    """The id of the session that the response begins."""
    match = re.match(rf"{name}=([\w-]{{28}});", response.headers["set-cookie"])
    assert match, response.headers
    return match[1]


class SiteTests(unittest.TestCase):
    def test_sessions_are_the_site_s_own(self) -> None:
        reactor = SteppingReactor()
        site = KeyedSite(Resource(), reactor=reactor)
        with mock.patch.object(keys, "_bound", None):
            keys.bind(3, 7)
            made = [site.makeSession() for _ in range(100)]
        self.assertEqual(len({session.uid for session in made}), 100)
        for session in made:
            self.assertEqual(slot_in(session.uid.decode(), secret_of(7)), 3)
            self.assertIs(site.getSession(session.uid), session)
        made[0].expire()
        self.assertRaises(KeyError, site.getSession, made[0].uid)
        reactor.advance(site.sessionFactory.sessionTimeout + 1)
        self.assertEqual(site.sessions, {})


class WithDaemon(unittest.TestCase):
    """Clients who change their address with every request, behind one kept-alive connection."""

    def daemon(self, affinity: str) -> Daemon:
        app = ("--class", "stickyd_test_apps:Page", "--affinity-scope", "request")
        return Daemon(*app, "--affinity", affinity, workers=4)

    def somewhere(self) -> str:
        return f"X-Forwarded-For: 198.18.0.{self.chance.randrange(256)}"

    def setUp(self) -> None:
        self.chance = random.Random(3)

    def test_a_client_keeps_its_session(self) -> None:
        with self.daemon(f"cookie({PLAIN}),xff") as daemon:
            with Behind(daemon) as proxy:
                known = []
                for _ in range(40):
                    response = proxy.ask("/session", self.somewhere())
                    slot, number = visit(response)
                    self.assertEqual(number, 1)
                    uid = given(response, PLAIN)
                    self.assertEqual(slot_in(uid, secret_of(1)), slot)
                    known.append((uid, slot))
                self.assertEqual({slot for _, slot in known}, {1, 2, 3, 4})
                for number in (2, 3):
                    self.chance.shuffle(known)
                    for uid, slot in known:
                        cookie = f"Cookie: a=b; {PLAIN}={uid}"
                        response = proxy.ask("/session", self.somewhere(), cookie)
                        self.assertEqual(visit(response), (slot, number))
                        self.assertNotIn("set-cookie", response.headers)
            old = daemon.pids()[2]
            os.kill(old, signal.SIGKILL)
            wait_for(lambda: daemon.pids().get(2, old) != old, what="a replacement")
            uid = next(uid for uid, slot in known if slot == 2)
            with Behind(daemon) as proxy:
                response = proxy.ask("/session", self.somewhere(), f"Cookie: {PLAIN}={uid}")
                self.assertEqual(visit(response), (2, 1))
                self.assertNotEqual(given(response, PLAIN), uid)

    def test_over_tls(self) -> None:
        with self.daemon(f"cookie({SECURE}),cookie({PLAIN}),xff") as daemon:
            with Behind(daemon) as proxy:
                for _ in range(20):
                    # The plain session first, then, with its cookie sent along, the secure one.
                    response = proxy.ask("/session", self.somewhere())
                    plain = f"{PLAIN}={given(response, PLAIN)}"
                    slot, _ = visit(response)
                    response = proxy.ask("/session", self.somewhere(), OVER_TLS, f"Cookie: {plain}")
                    self.assertEqual(visit(response), (slot, 1))
                    secure = f"{SECURE}={given(response, SECURE)}"
                    self.assertIn("secure", response.headers["set-cookie"].lower())
                    for number in (2, 3):
                        both = f"Cookie: {plain}; {secure}"
                        response = proxy.ask("/session", self.somewhere(), OVER_TLS, both)
                        self.assertEqual(visit(response), (slot, number))
