"""The compiled lane beside Python's listener: the same traffic, the same inboxes and counters."""

import os
import random
import socket
import unittest
import unittest.mock
from typing import Any

from stickyd.ipc.fd_queue import take_one
from stickyd.routing.signed_keys import make, secret_of
from stickyd.settings import ProxySettings
from stickyd.shm.copies import descriptor_of
from tests.slow.fuzz_heads import mutate
from tests.support.core_agreement import BROWSER, BUILT, PLAIN
from tests.support.extent import examples
from tests.support.lane_sides import LINK_LOCAL, PYTHON, Beside, request

SIGNED = make(2, bytes(12), secret_of(1)).encode()

UNUSUAL = [
    b"",
    b"G",
    b"GET / HTTP/1.1\r\nHost: a\r\n",
    b"GET / HTTP/1.1\nHost: a\n\n",
    b"\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
    b"GET / HTTP/1.1\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: unknown\r\n\r\n",
    b"GET /?sid=%41 HTTP/1.1\r\nHost: a\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: a\r\nForwarded: for=1.2.3.4\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"y" * 70000 + b"\r\n\r\n",
    b"no request at all\r\n\r\n",
]


class Traffic(Beside):
    def test_everything_on_every_kind_of_socket(self) -> None:
        sent = [*PLAIN, *UNUSUAL, *(request(f"10.0.0.{n}") for n in range(20))]
        for where in ("127.0.0.1", "0.0.0.0", "::1", "::", "unix"):
            for entries in (None, 200):
                with self.subTest(where=where, entries=entries):
                    sides = self.sides(where=where, entries=entries)
                    for data in sent:
                        for side in sides:
                            side.arrives(side.connect(data))
                    told = self.same(*sides)
                    self.assertGreater(sum(map(len, told["placed"].values())), 25)
                    for side in sides:
                        side.close()

    def test_a_frame_names_the_listener(self) -> None:
        sides = self.sides()
        for side in sides:
            side.listener.index = 3
            if side.listener.lane is not None:
                side.front._lanes.equip(side.listener)
                side.undeferred()
            side.arrives(side.connect(request("10.0.0.1")))
        told = self.same(*sides)
        self.assertEqual([f.listener for frames in told["placed"].values() for f in frames], [3])

    def test_v4_clients_of_a_v6_socket(self) -> None:
        for native in (BUILT, PYTHON):
            side = self.side(native, where="::")
            with socket.create_connection(("127.0.0.1", side.socket.getsockname()[1])) as client:
                client.sendall(request("10.0.0.1"))
                side.arrives(client)
                (frame,) = (f for frames in side.inboxes().values() for f in frames)
                self.assertEqual(
                    (frame.peer, frame.local), (client.getsockname(), client.getpeername())
                )

    @unittest.skipIf(LINK_LOCAL is None, "no interface has a link-local address")
    def test_a_link_local_address(self) -> None:
        """Its zone is of this machine only: frames, keys and logs have the address without it."""
        assert LINK_LOCAL is not None
        address = LINK_LOCAL.partition("%")[0]
        sides = self.sides(where=LINK_LOCAL, trusted=address)
        sent = [*PLAIN, *UNUSUAL, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"]
        for data in sent:
            for side in sides:
                side.arrives(side.connect(data))
        told = self.same(*sides)
        frames = [frame for frames in told["placed"].values() for frame in frames]
        self.assertGreater(len(frames), len(PLAIN))
        ends = {(frame.peer[0], frame.local[0]) for frame in frames}
        self.assertEqual(ends, {(address, address)})
        self.assertEqual(
            [side.listener.own[0] for side in sides if side.listener.own], [address] * 2
        )

    def test_every_chain(self) -> None:
        keys = [
            b"GET /?sid=abc HTTP/1.1\r\nHost: a\r\nCookie: sid=xyz\r\nK: v\r\n\r\n",
            b"GET /chat/123/session/xhr HTTP/1.1\r\nHost: a\r\n\r\n",
            b"GET / HTTP/1.1\r\nHost: a\r\nCookie: S=x; S=%b; sid=y\r\n\r\n" % SIGNED,
        ]
        chains = ["xff,src", "xff", "hdr(k)", "cookie(sid),xff", "url_param(sid),src", "socketio"]
        chains += ["sockjs", "forwarded,xff,src", "insert(S),xff", "learn(cookie(sid)),src"]
        for hash_name in ("rendezvous", "sticky-session"):
            for chain in chains:
                with self.subTest(chain=chain, hash=hash_name):
                    sides = self.sides(affinity=chain, hash=hash_name, workers=3)
                    for data in (*keys, *PLAIN, *UNUSUAL, BROWSER):
                        for side in sides:
                            side.arrives(side.connect(data))
                    self.same(*sides)
                    for side in sides:
                        side.close()

    def test_mutated_heads_in_batches(self) -> None:
        chance = random.Random(7)
        sides = self.sides(workers=5, max_connections=10_000, entries=10_000)
        for _ in range(examples(20)):
            batch = [mutate([*PLAIN, *UNUSUAL], chance) for _ in range(8)]
            for side in sides:
                for data in batch:
                    side.connect(data)
                side.arrives(side.clients[-1])
            self.same(*sides)

    def test_a_batch_of_one_key(self) -> None:
        """Those of one slot and one reason are counted together."""
        sides = self.sides(workers=3)
        for side in sides:
            for number in (1, 2, 1, 1, 3, 2):
                side.connect(request(f"10.0.0.{number}"))
            side.connect(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            side.arrives(side.clients[-1])
        self.same(*sides)
        self.assertEqual([self.lane_accepted(side) for side in sides], [7, 7])

    def test_what_is_placed_stays_in_the_socket(self) -> None:
        side = self.side(BUILT)
        client = side.connect(BROWSER + b"more")
        side.arrives(client)
        (taken,) = (one for slot in side.slots if (one := take_one(slot.receiver)) is not None)
        with socket.socket(fileno=taken[1]) as ours:
            self.assertEqual(ours.recv(9999), BROWSER + b"more")
            self.assertFalse(os.get_inheritable(ours.fileno()))
            ours.sendall(b"answer")
        self.assertEqual(client.recv(99), b"answer")

    def test_the_copy_goes_to_no_other_program_and_blocks_nobody(self) -> None:
        side = self.side(BUILT)
        side.arrives(side.connect(BROWSER))
        guardian = side.guardian
        assert guardian is not None
        (copy,) = map(descriptor_of, guardian._copies.values())
        self.assertEqual((os.get_inheritable(copy), os.get_blocking(copy)), (False, False))

    def test_a_client_that_is_gone(self) -> None:
        sides = self.sides()
        for side in sides:
            client = side.connect()
            client.shutdown(socket.SHUT_WR)
            side.arrives(client)
        self.assertEqual(self.same(*sides)["counters"]["vanished"], 1)

    def test_a_head_in_pieces(self) -> None:
        sides = self.sides()
        for side in sides:
            client = side.connect(BROWSER[:100])
            side.arrives(client)
            client.sendall(BROWSER[100:])
            side.arrives(client)
        told = self.same(*sides)
        self.assertEqual([f.unread for fs in told["placed"].values() for f in fs], [BROWSER])


class Tables(Beside):
    def test_another_table(self) -> None:
        sides = self.sides(workers=4)
        for out in ({2}, {1, 4}, set()):
            for side in sides:
                side.slots.out = set(out)
                side.slots.version += 1
                side.front.update_slots()
                for n in range(30):
                    side.arrives(side.connect(request(f"10.0.1.{n}")))
            told = self.same(*sides)
            self.assertEqual({n for n, frames in told["placed"].items() if not frames}, out)

    def test_a_slot_more(self) -> None:
        sides = self.sides(workers=1)
        for side in sides:
            side.slots.add()
            side.slots.version += 1
            side.front.update_slots()
            for n in range(30):
                side.arrives(side.connect(request(f"10.0.1.{n}")))
        self.assertTrue(all(self.same(*sides)["placed"].values()))

    def test_without_a_key_they_are_spread_in_the_order_of_the_table(self) -> None:
        sides = self.sides(workers=3, affinity="hdr(k)")
        for side in sides:
            for _ in range(9):
                side.arrives(side.connect(request("10.0.0.1")))
        told = self.same(*sides)
        self.assertEqual([len(frames) for frames in told["placed"].values()], [3, 3, 3])


class Which(Beside):
    """Who has a lane."""

    def test_those_whom_python_need_not_see(self) -> None:
        for options, expected in (
            ({}, True),
            ({"affinity": "forwarded,xff"}, True),
            ({"where": "unix"}, True),
            ({"proxy": ProxySettings("v1")}, False),
        ):
            side = self.side(BUILT, **options)
            self.assertEqual(side.listener.lane is not None, expected, options)
        self.assertIsNone(self.side(PYTHON).listener.lane)

    def test_python_sees_nothing_of_what_is_usual(self) -> None:
        for chain in ("xff,src", "insert(S),xff,src", "mcp,django,insert(S),src"):
            side = self.side(BUILT, affinity=chain)
            side.listener.take_in = self.fail  # type: ignore[assignment,method-assign]
            for data in PLAIN:
                side.arrives(side.connect(data))
            self.assertEqual(self.lane_accepted(side), len(PLAIN))
            lane: Any = side.listener.lane
            told = lane._lane.descriptor, lane._lane.peer, lane._lane.error
            self.assertEqual(told, (-1, None, 0))
            side.close()
