"""Malformed and out-of-order TLS handshakes, for 1.2 and 1.3: each ends, and nothing grows.

    python -m tests.slow.tls_malformed [--mutations 300] [--seed 1]

Needs tlslite-ng (extra `slow`), which makes the messages. Fails if a connection does not end within
20 seconds, if the TLS process is another one than before, if it has more descriptors or 1 MiB more
memory after a second round, or if the log has a traceback.
"""

import argparse
import contextlib
import os
import random
import socket
import struct
import sys
from collections import Counter
from collections.abc import Iterator

from tests.support.daemon import Reader, at_rest, request
from tests.support.tls import TlsDaemon

Version = tuple[int, int]
VERSIONS: tuple[Version, ...] = ((3, 3), (3, 4))
CCS, ALERT, HANDSHAKE, DATA = 20, 21, 22, 23
FINISHED = b"\x14\0\0\x0c" + bytes(12)
KEY_EXCHANGE = b"\x10\0\0\x21\x20" + bytes(32)
PATIENCE = 20.0


def hello(version: Version) -> bytes:
    """A ClientHello."""
    from tlslite import extensions
    from tlslite.constants import GroupName
    from tlslite.messages import ClientHello

    offered = [
        extensions.SupportedGroupsExtension().create([GroupName.x25519, GroupName.secp256r1]),
        extensions.ECPointFormatsExtension().create([0]),
        extensions.SignatureAlgorithmsExtension().create([(4, 3), (8, 4)]),
    ]
    if version == (3, 4):
        share = extensions.KeyShareEntry().create(GroupName.x25519, os.urandom(32), b"")
        offered.append(extensions.SupportedVersionsExtension().create([version]))
        offered.append(extensions.ClientKeyShareExtension().create([share]))
    made = ClientHello().create(
        (3, 3), os.urandom(32), b"", [0x1301, 0xC02B, 0xC02F], extensions=offered
    )
    return bytes(made.write())


def record(kind: int, body: bytes) -> bytes:
    """A record of plain text."""
    return struct.pack("!B2sH", kind, b"\3\3", len(body)) + body


def cases(chance: random.Random, mutations: int) -> Iterator[tuple[str, bytes]]:
    """What a client sends, with a name."""
    for version in VERSIONS:
        good = hello(version)
        first = record(HANDSHAKE, good)
        yield "finished first", record(HANDSHAKE, FINISHED)
        yield "key exchange first", record(HANDSHAKE, KEY_EXCHANGE)
        yield "data first", record(DATA, b"GET / HTTP/1.1\r\n\r\n")
        yield "alert first", record(ALERT, b"\2\0")
        yield "change of ciphers first", record(CCS, b"\1")
        yield "hello twice", first + first
        yield "data behind hello", first + record(DATA, bytes(50))
        yield "finished behind hello", first + record(CCS, b"\1") + record(HANDSHAKE, FINISHED)
        yield "largest record", first[:5] + b"\x16\3\3\xff\xff" + bytes(65535)
        yield "empty records", record(HANDSHAKE, b"") * 200
        yield "records of a byte", b"".join(record(HANDSHAKE, bytes([each])) for each in good)
        yield "largest message", record(HANDSHAKE, b"\1\xff\xff\xff" + bytes(16000))
        for _ in range(mutations):
            changed = bytearray(good)
            for _ in range(chance.randint(1, 4)):
                changed[chance.randrange(len(changed))] ^= 1 << chance.randrange(8)
            yield "changed", record(HANDSHAKE, bytes(changed))
        for _ in range(mutations // 5):
            yield "cut", first[: chance.randrange(len(first))]
            noise = chance.randbytes(chance.randint(1, 300))
            yield "noise", bytes([HANDSHAKE, 3, chance.randrange(5)]) + noise


def outcome(sock: socket.socket) -> str:
    """How the connection ends, and the alert that it ends with."""
    sock.settimeout(PATIENCE)
    got = b""
    try:
        while data := sock.recv(65536):
            got += data
    except TimeoutError:
        return "no end"
    except ConnectionResetError:
        return "reset"
    alert, at = "no alert", 0
    while at + 5 <= len(got):
        size = int.from_bytes(got[at + 3 : at + 5], "big")
        if got[at] == ALERT:
            alert = f"alert {got[at + 6]}"
        at += 5 + size
    return alert


def held(pid: int) -> tuple[int, int]:
    """KiB in memory, and descriptors, once the last connections have lingered."""
    descriptors = at_rest(lambda: len(os.listdir(f"/proc/{pid}/fd")), 150)
    with open(f"/proc/{pid}/statm") as file:
        pages = int(file.read().split()[1])
    return pages * 4, descriptors


def main() -> int:
    """The exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mutations", type=int, default=300)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    ends: Counter[tuple[str, str]] = Counter()
    rounds = []
    with TlsDaemon("--head-timeout", "1") as daemon:
        (pid,) = daemon.tls_pids()
        for _ in range(2):
            for name, data in cases(random.Random(given.seed), given.mutations):
                with daemon.connect() as sock:
                    # The other side may have seen enough.
                    with contextlib.suppress(OSError):
                        sock.sendall(data)
                        if name != "cut":
                            sock.shutdown(socket.SHUT_WR)
                    ends[name, outcome(sock)] += 1
            rounds.append(held(pid))
        same = daemon.tls_pids() == [pid]
        with daemon.secure() as client:
            client.sendall(request("10.10.10.10"))
            works = Reader(client).response().status == 200
        log = "\n".join(daemon.log)
    for (name, end), count in sorted(ends.items()):
        print(f"{count:6} {name}: {end}")
    print(f"KiB and descriptors after each round: {rounds}; same process: {same}")
    grown = rounds[1][0] - rounds[0][0] > 1024 or rounds[1][1] > rounds[0][1]
    hangs = any(end == "no end" for _, end in ends)
    return 1 if hangs or grown or not same or not works or "Traceback" in log else 0


if __name__ == "__main__":
    sys.exit(main())
