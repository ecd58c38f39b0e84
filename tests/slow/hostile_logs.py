"""Hostile requests through the logs in JSON.

    python -m tests.slow.hostile_logs [--count 100000] [--seed 1]

Each request has random bytes in its target, its header fields and its body: every byte that a head
may have, quotes, halves of characters and of surrogates, what looks like a line of the log, values
of 8 KiB; the body has control bytes, too. The app prints the body, and logs it by `logging`. Half
of the requests go to an app of twisted.web, with an access log in a file; half to an ASGI app, with
the access log in the daemon's own. All logs are JSON. Then, or the exit status is 1:

- every line parses, as RFC 8259 has it, and is ASCII;
- each request has its line in the access log, its printed line and its record, each once, with
  exactly the bytes that were sent;
- nothing was dropped, and no line is there besides.
"""

import argparse
import random
import sys
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

from stickyd.http1.json_text import joined
from tests.integration.test_json_logs import JSON, JsonDaemon
from tests.support.daemon import Reader, wait_for
from tests.unit.http1.test_json_text import strictly

FIELD = bytes([9, *range(0x20, 0x7F), *range(0x80, 0x100)])
"""What a value may consist of (RFC 9110, 5.5)."""

TARGET = bytes(byte for byte in range(0x21, 0x7F) if byte not in b"#?")
PIECES = (
    b'"',
    b"\\",
    b"\\x22",
    b'","level":"critical',
    b'"}{"',
    b"\xc3",
    b"\xe2\x80",
    b"\xed\xa0\x80",
    b"\xed\xb2\x80",
    b"\xff\xfe",
    b"\xf0\x9f\x98\x80",
    "\u2028\u0085ä".encode(),
    b"\t",
)
CONTROLS = (
    b"\0",
    b"\x1e",
    b"\x1e0123456789abcdef{}",
    b"<2>",
    b"\r",
    b"\n",
    b"\x1b[2J",
    b"\x7f",
    b'\n{"time":1.5,"level":"info","message":"forged"}\n',
)
AT_ONCE = 5
CLIENTS = 2


class Request:
    """What is sent with a number, the same whenever it is asked for."""

    def __init__(self, seed: int, number: int) -> None:
        chosen = random.Random(f"{seed} {number}")
        self.number = number
        path = bytes(chosen.choices(TARGET, k=chosen.randrange(40)))
        self.path = b"/%d/" % number + path
        query = bytes(chosen.choices(TARGET, k=chosen.randrange(40)))
        self.query = query if chosen.random() < 0.5 else None
        self.agent = self._text(chosen, ()).strip(b" \t")
        self.referer = self._text(chosen, ()).strip(b" \t")
        self.body = b"%d:" % number + self._text(chosen, CONTROLS)

    @staticmethod
    def _text(chosen: random.Random, more: tuple[bytes, ...]) -> bytes:
        size = 8000 if chosen.random() < 0.02 else chosen.randrange(120)
        text = b""
        while len(text) < size:
            if chosen.random() < 0.3:
                text += chosen.choice(PIECES + more)
            text += bytes(chosen.choices(FIELD, k=chosen.randrange(1, 400 if size > 120 else 20)))
        return text[: max(size, 8000)]

    def sent(self) -> bytes:
        """The bytes of the request."""
        target = self.path if self.query is None else self.path + b"?" + self.query
        return (
            b"POST %b HTTP/1.1\r\nHost: x\r\nUser-Agent: %b\r\nReferer: %b\r\n"
            b"Content-Length: %d\r\n\r\n%b"
            % (target, self.agent, self.referer, len(self.body), self.body)
        )

    def line(self) -> bytes:
        """What the app says."""
        return self.body.replace(b"\n", b" ")


class Checked(JsonDaemon):
    """A daemon whose lines are checked as they come.

    :ivar seen: how many lines of each kind there are for each request.
    """

    def __init__(self, seed: int, access: str, *options: str) -> None:
        super().__init__(*options, *JSON, "--access-logfile", access)
        self.seed = seed
        self.access = access
        self.seen: Counter[tuple[str, int]] = Counter()
        self.lines_read = 0
        self.wrong: list[str] = []

    def take(self, line: str) -> None:
        """A line of the log."""
        self.lines_read += 1
        try:
            self.check(line)
        except Exception as error:
            self.wrong.append(f"{error!r}: {line[:500]}")

    def check(self, line: str) -> None:
        """One line of the daemon's log."""
        assert line.isascii()
        members = strictly(line)
        kind = members["logger"]
        if kind == "access":
            self.check_access(members["fields"])
        elif kind in ("output", "repeat"):
            said = joined(members, "message")
            request = Request(self.seed, int(said.partition(b":")[0]))
            if kind == "repeat":
                # Python's text of it: other bytes are lone surrogates.
                text = request.line().decode("utf-8", "surrogateescape")
                assert said == text.encode("utf-8", "surrogatepass"), request.number
            else:
                assert said == request.line(), request.number
            self.seen[kind, request.number] += 1
        elif members["process"] != "master":
            raise AssertionError("nobody has said this")
        else:
            super().take(line)

    def check_access(self, members: dict[str, Any]) -> None:
        """One line of the access log."""
        number = int(members["path"].split("/")[1])
        request = Request(self.seed, number)
        assert joined(members, "path") == request.path, number
        if request.query is None:
            assert members["query"] is None, number
        else:
            assert joined(members, "query") == request.query, number
        assert joined(members, "user_agent") == request.agent, number
        assert joined(members, "referer") == request.referer, number
        assert members["status"] == 200, number
        self.seen["access", number] += 1


def ask(daemon: Checked, numbers: range) -> None:
    """Send requests, some at a time."""
    with daemon.connect() as sock:
        reader = Reader(sock)
        for first in range(0, len(numbers), AT_ONCE):
            batch = numbers[first : first + AT_ONCE]
            sock.sendall(b"".join(Request(daemon.seed, number).sent() for number in batch))
            for number in batch:
                status = reader.response().status
                if status != 200:
                    daemon.wrong.append(f"request {number} got {status}")
            if daemon.access == "-":
                # What the master does not read in time is dropped, by design.
                last = ("access", batch[-1])
                wait_for(lambda last=last: last in daemon.seen or daemon.wrong, 60, "the lines")


def run(name: str, count: int, seed: int, *options: str, file: Path | None = None) -> bool:
    """One app; whether everything was right."""
    began = time.monotonic()
    access = str(file) if file is not None else "-"
    with Checked(seed, access, *options) as daemon:
        asking = [
            threading.Thread(target=ask, args=(daemon, range(each, count, CLIENTS)))
            for each in range(CLIENTS)
        ]
        for thread in asking:
            thread.start()
        for thread in asking:
            thread.join()
        kinds = ("output", "repeat") if file is not None else ("output", "repeat", "access")

        def all_read() -> bool:
            return len(daemon.seen) >= count * len(kinds) or bool(daemon.wrong)

        try:
            wait_for(all_read, 120, "every line")
        except AssertionError as error:
            daemon.wrong.append(str(error))
        report = daemon.report()
        dropped = report["master"]["log_dropped"] + report["workers"]["log_dropped"]
        daemon.stop()
        size = 0
        if file is not None:
            data = file.read_bytes()
            size = len(data)
            for line in data.decode("ascii").split("\n")[:-1]:
                daemon.lines_read += 1
                try:
                    daemon.check_access(strictly(line))
                except Exception as error:
                    daemon.wrong.append(f"{error!r}: {line[:500]}")
    expected = {(kind, n): 1 for kind in ("output", "repeat", "access") for n in range(count)}
    missing = len(expected.keys() - daemon.seen.keys())
    again = sum(daemon.seen.values()) - len(daemon.seen)
    right = not daemon.wrong and daemon.seen == expected and not dropped
    print(
        f"{name}: {count} requests, {daemon.lines_read} lines of JSON"
        f"{f', access log of {size / 1e6:.0f} MB' if size else ''}; wrong {len(daemon.wrong)},"
        f" missing {missing}, twice {again}, dropped {dropped};"
        f" {time.monotonic() - began:.0f} s: {'right' if right else 'WRONG'}"
    )
    for wrong in daemon.wrong[:5]:
        print("  ", wrong)
    return right


def main() -> int:
    """Run both; the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    half = given.count // 2
    with tempfile.TemporaryDirectory() as directory:
        web = ("--class", "stickyd_json_logs_app:Repeating")
        right = run("twisted.web", half, given.seed, *web, file=Path(directory, "access.log"))
    asgi = ("--asgi", "stickyd_json_logs_app:repeating", "--request-id")
    return 0 if run("ASGI", given.count - half, given.seed, *asgi) and right else 1


if __name__ == "__main__":
    sys.exit(main())
