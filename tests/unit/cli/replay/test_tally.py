"""The sums of replay agree with the daemon's own placement."""

import unittest

from stickyd.cli.replay.log_formats import Client, Entry
from stickyd.cli.replay.placing import Placing
from stickyd.cli.replay.tally import Misroutes, Tally
from stickyd.core.placer import placer
from stickyd.http1.head_parser import Head, read_head
from stickyd.http1.limits import Limits
from stickyd.routing.policy import HASHES, Policy


def policy(slots: int, hash_name: str = "rendezvous", trusted: str = "127.0.0.1") -> Policy:
    return Policy.build("xff,src", trusted, hash_name, 1, range(1, slots + 1))


def request(forwarded: str) -> bytes:
    return f"GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: {forwarded}\r\n\r\n".encode()


def head(forwarded: str) -> Head:
    found = read_head(request(forwarded), Limits())
    assert isinstance(found, Head)
    return found


CLIENTS = [f"10.{n % 7}.{n % 251}.{n % 13}" for n in range(2000)]
COUNTS: dict[Client, int] = {(client, ""): n % 5 + 1 for n, client in enumerate(CLIENTS)}


class Agrees(unittest.TestCase):
    def test_with_the_policy_for_any_number_of_slots(self) -> None:
        for hash_name in HASHES:
            tally = Tally(Placing(policy(4, hash_name)))
            self.assertEqual(tally.add(COUNTS), sum(COUNTS.values()))
            slots = {
                n: {
                    client: policy(n, hash_name).place(head(client), "127.0.0.1").slot
                    for client, _ in COUNTS
                }
                for n in (3, 4, 5)
            }
            for slot in range(1, 5):
                expected = [n for (c, _), n in COUNTS.items() if slots[4][c] == slot]
                self.assertEqual(tally.requests[slot], sum(expected))
                self.assertEqual(tally.clients[slot], len(expected))
            fewer = [n for (c, _), n in COUNTS.items() if slots[4][c] != slots[3][c]]
            more = [n for (c, _), n in COUNTS.items() if slots[4][c] != slots[5][c]]
            self.assertEqual((tally.fewer, tally.fewer_clients), (sum(fewer), len(fewer)))
            self.assertEqual((tally.more, tally.more_clients), (sum(more), len(more)))

    def test_with_the_compiled_placer(self) -> None:
        compiled = placer(policy(4))
        if compiled is None:
            self.skipTest("the compiled core is not built")
        tally = Tally(Placing(policy(4)))
        for client in CLIENTS[:200]:
            placed = compiled.place(request(client), "127.0.0.1")
            assert placed is not None
            self.assertEqual(tally.slot_of(client), placed[0])

    def test_forwarded_clients(self) -> None:
        """The proxy that wrote the log adds its peer."""
        tally = Tally(Placing(policy(4, trusted="127.0.0.1,192.0.2.0/24")))
        tally.add({("192.0.2.1", "198.51.100.7"): 1, ("203.0.113.5", "198.51.100.8"): 1})
        self.assertEqual({key for key, _ in tally.hot.most(9)}, {"198.51.100.7", "203.0.113.5"})

    def test_one_client_however_it_is_written(self) -> None:
        tally = Tally(Placing(policy(4)))
        tally.add({("[2001:db8::7]", ""): 1, ("2001:DB8:0::7", ""): 2, ("192.0.2.1:80", ""): 1})
        self.assertEqual(tally.hot.most(1), [("2001:db8::7", 3)])
        self.assertEqual((tally.distinct(), tally.clients.total()), (2, 2))


class Bounded(unittest.TestCase):
    def test_requests_stay_exact_when_clients_are_forgotten(self) -> None:
        small, large = (Tally(Placing(policy(4)), room=room) for room in (50, 10**6))
        for tally in (small, large):
            for _ in range(2):
                tally.add(COUNTS)
        self.assertEqual((small.exact, large.exact), (False, True))
        self.assertEqual(small.requests, large.requests)
        self.assertEqual((small.fewer, small.more), (large.fewer, large.more))
        self.assertAlmostEqual(small.distinct(), large.distinct(), delta=0.03 * large.distinct())

    def test_connections(self) -> None:
        misroutes = Misroutes(room=2)
        for connection, slot in (("a", 1), ("b", 2), ("a", 2), ("a", 1), ("c", 1), ("b", 1)):
            misroutes.add(connection, slot)
        # b was forgotten: its request counts as its first.
        self.assertEqual((misroutes.misrouted, misroutes.forgotten), (1, 2))
        self.assertEqual((misroutes.requests, misroutes.connections), (6, 4))

    def test_what_the_log_says(self) -> None:
        tally = Tally(Placing(policy(4)))
        slot = tally.slot_of("192.0.2.1")
        client = ("192.0.2.1", "")
        tally.add_entries([Entry(client, "1", slot), Entry(client, "1", slot % 4 + 1)])
        self.assertEqual((tally.logged, tally.elsewhere, tally.misroutes.misrouted), (2, 1, 0))
