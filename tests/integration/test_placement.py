"""Every client reaches the worker that ``stickyd explain`` names."""

import ipaddress
import random
import re
import subprocess
import sys
import tempfile
import unittest

from stickyd.cli.explain import ExplainOptions, explain
from tests.support.daemon import Daemon, Reader, request, wait_for, workers_in
from tests.support.extent import SLOW

CONNECTIONS = 10_000 if SLOW else 2_000


def explained(keys: list[str], *options: str) -> dict[str, int]:
    """The worker of each key, as the command prints it."""
    parsed = ExplainOptions()
    parsed.parseOptions([*keys, *options])
    said = {}
    for line in explain(parsed):
        if match := re.fullmatch(r"(\S+): worker (\d+)", line):
            said[match[1]] = int(match[2])
    return said


def random_keys(count: int, seed: int) -> list[str]:
    chance = random.Random(seed)
    keys = set()
    while len(keys) < count:
        if chance.random() < 0.5:
            keys.add(str(ipaddress.IPv4Address(chance.getrandbits(32))))
        else:
            keys.add(str(ipaddress.IPv6Address(chance.getrandbits(128))))
    return sorted(keys)


class Explain(unittest.TestCase):
    def test_the_verification(self) -> None:
        command = [sys.executable, "-m", "stickyd", "explain"]
        keys = ["10.10.10.10", "10.10.12.11"]
        said = subprocess.run(
            [*command, *keys, "--workers", "2", "--seed", "1"],
            capture_output=True,
            text=True,
            check=True,
            timeout=30,
        ).stdout
        self.assertIn("10.10.10.10: worker 1", said)
        self.assertIn("10.10.12.11: worker 2", said)
        for word in ("key", "bucket", "order"):
            self.assertIn(word, said)

    def test_other_spellings_are_one_client(self) -> None:
        said = explained(["10.10.12.11", "::ffff:10.10.12.11", "10.10.12.11:4711"])
        self.assertEqual(set(said.values()), {2})

    def test_the_npm_librarys_hash(self) -> None:
        options = ExplainOptions()
        options.parseOptions(["10.10.10.10", "--hash", "sticky-session"])
        self.assertIn("421242826", "\n".join(explain(options)))


class Placement(unittest.TestCase):
    def test_ten_thousand_clients_and_no_descriptor_left(self) -> None:
        keys = random_keys(CONNECTIONS, 1)
        expected = explained(keys, "--workers", "4", "--seed", "77")
        with Daemon("--seed", "77", workers=4) as daemon:
            daemon.exchange(request("192.0.2.1"))
            wait_for(lambda: daemon.report()["workers"]["open"] == 0)
            before = daemon.settled_descriptors()
            wrong = []
            for key in keys:
                with daemon.connect() as sock:
                    sock.sendall(request(key))
                    answered = Reader(sock).response().worker
                if answered != expected[key]:
                    wrong.append((key, answered))
            self.assertEqual(wrong, [])
            wait_for(lambda: daemon.report()["workers"]["open"] == 0, what="no open connection")
            wait_for(lambda: daemon.settled_descriptors() == before, what="as before")
            report = daemon.report()
            self.assertEqual(report["master"]["accepted"], CONNECTIONS + 1)
            handed = {int(s): by["xff"] for s, by in report["master"]["handed_off"].items()}
            for slot in range(1, 5):
                named = sum(slot == worker for worker in expected.values())
                self.assertIn(handed[slot] - named, (0, 1))

    def test_as_behind_a_balancer_with_a_secret_seed(self) -> None:
        with tempfile.NamedTemporaryFile("w") as seed:
            seed.write("81985529216486895\n")
            seed.flush()
            keys = random_keys(40, 2)
            expected = explained(keys, "--workers", "4", "--seed", f"@{seed.name}")
            options = ("--affinity-scope", "request", "--forwarded-allow-ips", "127.8.0.0/16")
            with Daemon(*options, "--seed", f"@{seed.name}", workers=4) as daemon:
                self.assertNotIn("seed 1", "\n".join(daemon.log))
                with daemon.connect("127.8.1.2") as sock:
                    reader = Reader(sock)
                    for key in keys:
                        # What the client wrote itself stands to the left and does not count.
                        sock.sendall(request(f"203.0.113.9, {key}, 127.8.7.7"))
                        self.assertEqual(reader.response().worker, expected[key], key)

    def test_the_npm_librarys_placement_from_the_true_address(self) -> None:
        # Both of its hashes are even, so both clients belong to worker 1.
        with Daemon("--hash", "sticky-session") as daemon:
            for client in ("10.10.10.10", "10.10.12.11"):
                self.assertEqual(workers_in(daemon.exchange(request(client))), [1])

    def test_src_when_the_header_is_missing(self) -> None:
        plain = b"GET / HTTP/1.1\r\nHost: test\r\n\r\n"
        sources = [f"127.0.0.{n}" for n in range(1, 30)]
        expected = explained(sources)
        with Daemon("--forwarded-allow-ips", "127.0.0.1,::1") as daemon:
            for source in sources:
                with daemon.connect(source) as sock:
                    sock.sendall(plain)
                    self.assertEqual(Reader(sock).response().worker, expected[source], source)

    def test_header_of_an_untrusted_peer_does_not_count(self) -> None:
        sources = [f"127.0.1.{n}" for n in range(1, 20)]
        expected = explained(sources)
        with Daemon() as daemon:
            for source in sources:
                for client in ("10.10.10.10", "10.10.12.11"):
                    with daemon.connect(source) as sock:
                        sock.sendall(request(client))
                        self.assertEqual(Reader(sock).response().worker, expected[source])

    def test_without_any_key_the_workers_take_turns(self) -> None:
        with Daemon("--affinity", "xff") as daemon:
            plain = b"GET / HTTP/1.1\r\nHost: test\r\n\r\n"
            seen = [workers_in(daemon.exchange(plain))[0] for _ in range(10)]
            self.assertEqual(sorted(seen), [1] * 5 + [2] * 5)
            self.assertEqual(daemon.report()["master"]["handed_off"]["1"], {"none": 5})
