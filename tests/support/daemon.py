"""A real daemon for tests: started, watched, stopped, and nothing left behind."""

import contextlib
import json
import os
import random
import re
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
SEED = ROOT / "tests" / "seed"
START_SECONDS = 30.0

# A shell ignores SIGINT for what it runs in the background (POSIX, 2.11), and so would daemons.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


def free_port(*, privileged: bool = False) -> int:
    """A TCP port that was free a moment ago.

    Below those that the kernel gives to outgoing connections, of which the tests make thousands.

    :param privileged: one that takes a privilege (ip(7), CAP_NET_BIND_SERVICE).
    """
    with open("/proc/sys/net/ipv4/ip_local_port_range") as ports:
        first = int(ports.read().split()[0])
    while True:
        # At random: other tests look for one at the same time.
        port = random.randrange(600, 1000) if privileged else random.randrange(1024, first)
        with socket.socket() as sock, contextlib.suppress(OSError):
            sock.bind(("127.0.0.1", port))
            return port


def wait_for(condition: Any, seconds: float = 30.0, what: str = "condition") -> Any:
    """The first true value of ``condition()``."""
    until = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > until:
            raise AssertionError(f"{what} did not come true within {seconds} s")
        # There is no event to wait for in another process's state.
        time.sleep(0.02)


def at_rest(look: Callable[[], Any], looks: int = 5) -> Any:
    """What ``look()`` says when it has said the same ``looks`` times in a row."""
    same: list[Any] = []

    def rests() -> bool:
        seen = look()
        same[:] = [*same, seen] if same and same[-1] == seen else [seen]
        return len(same) >= looks

    wait_for(rests, what="rest")
    return same[-1]


class Daemon:
    """``stickyd`` as a subprocess. Use as a context manager."""

    def __init__(
        self,
        *options: str,
        workers: int = 2,
        command: list[str] | None = None,
        listen: str | None = None,
        environment: dict[str, str] | None = None,
        cwd: str | None = None,
    ) -> None:
        self.port = free_port()
        self.directory = tempfile.TemporaryDirectory(prefix="stickyd-test-")
        self.control = os.path.join(self.directory.name, "control")
        self.log: list[str] = []
        if command is None:
            command = [sys.executable, "-W", "error", "-m", "stickyd", "run"]
        self.command = [
            *command,
            "--workers",
            str(workers),
            "--listen",
            listen or f"tcp:{self.port}:interface=127.0.0.1",
            "--control",
            self.control,
            *options,
        ]
        self._environment = {
            **os.environ,
            "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'tests' / 'apps'}",
            **(environment or {}),
        }
        self._cwd = cwd or self.directory.name
        self.pass_fds: tuple[int, ...] = ()
        # umask(2); -1: that of the tests.
        self.umask = -1
        self.own_group = False
        self.process: Any = None

    def __enter__(self) -> "Daemon":
        self.start()
        return self

    def start(self, wait: bool = True) -> None:
        self.process = subprocess.Popen(
            self.command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=self._environment,
            cwd=self._cwd,
            pass_fds=self.pass_fds,
            umask=self.umask,
            start_new_session=self.own_group,
        )
        self._ready = threading.Event()
        self._reader = threading.Thread(target=self._read_log, daemon=True)
        self._reader.start()
        if wait and not self._ready.wait(START_SECONDS):
            self.kill()
            raise AssertionError("the daemon did not become ready:\n" + "\n".join(self.log))
        if wait and self.process.poll() is not None:
            raise AssertionError("the daemon ended at once:\n" + "\n".join(self.log))

    def _read_log(self) -> None:
        for line in self.process.stdout:
            self.log.append(line.rstrip("\n"))
            if " is ready: " in line:
                self._ready.set()
        self._ready.set()

    def said(self, text: str) -> list[str]:
        """The lines of the log with it; what has happened may not have been read here yet."""
        return wait_for(lambda: [line for line in self.log if text in line], what=repr(text))

    def report(self) -> dict[str, Any]:
        """What ``--control`` tells."""
        with socket.socket(socket.AF_UNIX) as sock:
            sock.settimeout(30)
            sock.connect(self.control)
            return json.loads(read_all(sock))

    def pids(self) -> dict[int, int]:
        """The pid of each ready worker, by slot."""
        return {s["slot"]: s["pid"] for s in self.report()["slots"] if s["state"] == "ready"}

    def family(self) -> list[int]:
        """The master and its children."""
        master = self.process.pid
        children = Path(f"/proc/{master}/task/{master}/children").read_text().split()
        return [master, *map(int, children)]

    def descriptors(self) -> dict[int, int]:
        """Open descriptors of every process, by pid."""
        return {pid: len(os.listdir(f"/proc/{pid}/fd")) for pid in self.family()}

    def settled_descriptors(self) -> dict[int, int]:
        """As `descriptors`, once they do not change: a control connection may be just closing."""
        last = self.descriptors()
        while True:
            # Longer than the master takes to drop its copies of what has ended.
            time.sleep(0.3)
            now = self.descriptors()
            if now == last:
                return now
            last = now

    def connect(self, source: str | None = None) -> socket.socket:
        """A new client connection."""
        return connected(self.port, source)

    def exchange(self, data: bytes, pieces: list[bytes] | None = None) -> bytes:
        """Send, half-close, read to the end; as ``nc -N`` does."""
        with self.connect() as sock:
            for piece in pieces or [data]:
                sock.sendall(piece)
            sock.shutdown(socket.SHUT_WR)
            return read_all(sock)

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Signal the master and wait for its end; the exit status."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        return self.wait()

    def wait(self, seconds: float = 40.0) -> int:
        """Wait for the end; the exit status."""
        try:
            status = self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError("the daemon did not end:\n" + "\n".join(self.log)) from None
        self._reader.join(10)
        self.process.stdout.close()
        return int(status)

    def kill(self) -> None:
        """End the whole family, whatever state it is in."""
        for pid in reversed(self.family()) if self.process.poll() is None else []:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)
                os.kill(pid, signal.SIGKILL)
        self.process.wait()

    def __exit__(self, kind: Any, value: Any, trace: Any) -> None:
        family = self.family() if self.process.poll() is None else []
        self.stop()
        left = [pid for pid in family if _alive(pid)]
        for pid in left:
            os.kill(pid, signal.SIGKILL)
        log = "\n".join(self.log)
        self.directory.cleanup()
        if kind is None:
            assert not left, f"processes left behind: {left}\n{log}"
            assert "Traceback" not in log, log
        elif self.log:
            print(log)


def _alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def connected(port: int, source: str | None = None) -> socket.socket:
    """A new connection to a local port."""
    address = (source, 0) if source else None
    sock = socket.create_connection(("127.0.0.1", port), 30, source_address=address)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return sock


def read_all(sock: socket.socket) -> bytes:
    """Everything until the other side finishes."""
    parts = []
    while data := sock.recv(65536):
        parts.append(data)
    return b"".join(parts)


class Reader:
    """Reads whole responses off one connection, in order."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._held = b""

    def _more(self) -> None:
        data = self._sock.recv(65536)
        if not data:
            raise EOFError(f"connection ended; held {self._held[:200]!r}")
        self._held += data

    def _line(self) -> bytes:
        while b"\r\n" not in self._held:
            self._more()
        line, _, self._held = self._held.partition(b"\r\n")
        return line

    def _exactly(self, size: int) -> bytes:
        while len(self._held) < size:
            self._more()
        data, self._held = self._held[:size], self._held[size:]
        return data

    def response(self, method: str = "GET") -> "Response":
        """The next response; EOFError if the connection ends first."""
        status = int(self._line().split()[1])
        headers: dict[str, str] = {}
        while line := self._line():
            name, _, value = line.decode("latin-1").partition(":")
            headers[name.lower()] = value.strip()
        body = b""
        if status < 200:
            return Response(status, headers, b"")
        if method == "HEAD" or status in (204, 304):
            pass
        elif headers.get("transfer-encoding") == "chunked":
            parts = []
            while size := int(self._line(), 16):
                parts.append(self._exactly(size))
                assert self._line() == b""
            assert self._line() == b""
            body = b"".join(parts)
        elif "content-length" in headers:
            body = self._exactly(int(headers["content-length"]))
        else:
            with contextlib.suppress(EOFError):
                while True:
                    self._more()
            body, self._held = self._held, b""
        return Response(status, headers, body)

    def at_end(self) -> bool:
        """Whether the connection ends here, with nothing left over."""
        return not self._held and not self._sock.recv(1)


class Response:
    def __init__(self, status: int, headers: dict[str, str], body: bytes) -> None:
        self.status = status
        self.headers = headers
        self.body = body

    @property
    def worker(self) -> int:
        """The worker that the demo page names."""
        match = re.search(rb"From worker (\d+) ", self.body)
        assert match, self.body
        return int(match[1])


def workers_in(answer: bytes) -> list[int]:
    """The workers that answered, in order."""
    return [int(n) for n in re.findall(rb"From worker (\d+) ", answer)]


def request(client: str, path: str = "/", method: str = "GET", body: bytes = b"") -> bytes:
    """A request of one client, as a trusted proxy forwards it."""
    length = f"Content-Length: {len(body)}\r\n" if body else ""
    head = f"{method} {path} HTTP/1.1\r\nHost: test\r\nX-Forwarded-For: {client}\r\n{length}\r\n"
    return head.encode() + body


def splits(data: bytes, ways: int, random: Any) -> Iterator[list[bytes]]:
    """``data`` cut at random places, ``ways`` times."""
    for _ in range(ways):
        cuts = sorted(random.sample(range(1, len(data)), min(len(data) - 1, random.randint(1, 6))))
        yield [data[a:b] for a, b in zip([0, *cuts], [*cuts, len(data)], strict=True)]
