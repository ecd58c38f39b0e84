"""Keys that carry their slot, in an app that uses them."""

import json
import os
import random
import re
import signal
import unittest

from stickyd.routing.signed_keys import secret_of, slot_in
from tests.support.daemon import Daemon, Reader, Response, wait_for

CLIENT6 = "2001:db8::7"

CLIENTS = 200

APP = ("--class", "stickyd_keys_app:Sessions", "--affinity-scope", "request")


class Sessions(unittest.TestCase):
    """An app with sessions in memory, its clients behind one kept-alive connection."""

    def ask(self, connection: "Behind", path: str, *lines: str) -> tuple[Response, dict]:
        response = connection.ask(path, *lines)
        return response, json.loads(response.body)

    def test_url_param(self) -> None:
        chance = random.Random(5)
        with Daemon(*APP, "--affinity", "url_param(sid),xff,src", workers=4) as daemon:
            with Behind(daemon) as proxy:
                sids = []
                for _ in range(CLIENTS):
                    told = self.ask(proxy, "/url", _address(chance))[1]
                    self.assertEqual(slot_in(told["sid"], secret_of(1)), told["slot"])
                    sids.append((told["sid"], told["slot"]))
                self.assertEqual({slot for _, slot in sids}, {1, 2, 3, 4})
                for visit in (2, 3):
                    chance.shuffle(sids)
                    for sid, slot in sids:
                        # From another address each time: the id decides.
                        response, told = self.ask(proxy, f"/url?sid={sid}", _address(chance))
                        self.assertEqual(response.status, 200, told)
                        self.assertEqual((told["slot"], told["visits"]), (slot, visit))
            wait_for(lambda: _moves(daemon) > CLIENTS, what="many moves counted")
            old = daemon.pids()
            os.kill(old[2], signal.SIGKILL)
            wait_for(lambda: daemon.pids().get(2, old[2]) != old[2], what="a replacement")
            with Behind(daemon) as proxy:
                for sid, slot in sids:
                    response, told = self.ask(proxy, f"/url?sid={sid}", _address(chance))
                    # Memory is gone with its worker, the way to the slot is not.
                    self.assertEqual(told["slot"], slot)
                    self.assertEqual(response.status, 404 if slot == 2 else 200)

    def test_cookie_and_socketio(self) -> None:
        chance = random.Random(6)
        affinity = ("--affinity", "socketio,cookie(sid),xff,src", "--seed", "77")
        with Daemon(*APP, *affinity, workers=4) as daemon, Behind(daemon) as proxy:
            known = []
            for _ in range(40):
                response, told = self.ask(proxy, "/cookie", _address(chance))
                match = re.match(r"sid=([\w-]{28});", response.headers["set-cookie"])
                assert match, response.headers
                self.assertEqual(slot_in(match[1], secret_of(77)), told["slot"])
                known.append((match[1], told["slot"]))
            chance.shuffle(known)
            for sid, slot in known:
                told = self.ask(proxy, "/cookie", _address(chance), f"Cookie: a=b; sid={sid}")[1]
                self.assertEqual((told.get("visits"), told["slot"]), (2, slot))
                other = self.ask(proxy, f"/url?sid={sid}", _address(chance))[1]
                self.assertEqual((other.get("visits"), other["slot"]), (3, slot))
                # An unknown id falls through to the cookie.
                other = self.ask(proxy, "/url?sid=x", _address(chance), f"Cookie: sid={sid}")[1]
                self.assertEqual(other, {"slot": slot, "error": "unknown session"})


class Behind:
    """A proxy's kept-alive connection."""

    def __init__(self, daemon: Daemon) -> None:
        self._sock = daemon.connect()
        self._reader = Reader(self._sock)

    def __enter__(self) -> "Behind":
        return self

    def __exit__(self, *_: object) -> None:
        self._sock.close()

    def ask(self, path: str, *lines: str) -> Response:
        text = "\r\n".join([f"GET {path} HTTP/1.1", "Host: a", *lines, "", ""])
        self._sock.sendall(text.encode())
        return self._reader.response()


def _moves(daemon: Daemon) -> int:
    return sum(daemon.report()["workers"]["moved"].values())


def _address(chance: random.Random) -> str:
    return f"X-Forwarded-For: 198.18.{chance.randrange(256)}.{chance.randrange(256)}"
