"""wrk beside our own client: many requests, and its own count of what failed."""

import re
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path

import attrs

MOST_SECONDS = 3600
"""wrk ends by itself after that, should nobody stop it."""

# Another client with every request, so that every slot has its share.
_SCRIPT = """
math.randomseed(%d)
function delay() return %d end
function request()
  wrk.headers["X-Forwarded-For"] = string.format("10.%%d.%%d.%%d",
    math.random(0, 255), math.random(0, 255), math.random(0, 255))
  return wrk.format("GET", "/hello")
end
"""


@attrs.frozen
class Told:
    """What wrk printed: requests answered, those without 2xx or 3xx, and socket errors."""

    requests: int
    rate: float
    non_2xx: int
    connect: int
    read: int
    write: int
    timeout: int

    def failed(self) -> int:
        """Everything that went wrong."""
        return self.non_2xx + self.connect + self.read + self.write + self.timeout

    def __str__(self) -> str:
        return (
            f"wrk: {self.requests} requests ({self.rate:.0f} a second), non-2xx {self.non_2xx},"
            f" socket errors: connect {self.connect}, read {self.read}, write {self.write},"
            f" timeout {self.timeout}"
        )


class Wrk:
    """One thread, 32 connections on the hello page until it is stopped.

    :param delay: milliseconds each connection rests between two requests.
    """

    def __init__(self, port: int, delay: int, seed: int = 1) -> None:
        self._directory = tempfile.TemporaryDirectory(prefix="stickyd-wrk-")
        script = Path(self._directory.name) / "clients.lua"
        script.write_text(_SCRIPT % (seed, delay))
        command = ["wrk", "-t", "1", "-c", "32", "-d", str(MOST_SECONDS), "--timeout", "60"]
        command += ["-s", str(script), f"http://127.0.0.1:{port}/hello"]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)

    def stop(self) -> Told:
        """Interrupt it and read what it prints then."""
        self._process.send_signal(signal.SIGINT)
        try:
            printed = self._process.communicate(timeout=90)[0]
        finally:
            self.kill()
        return read_told(printed)

    def kill(self) -> None:
        """End it, whatever it does."""
        if self._process.poll() is None:
            self._process.kill()
            self._process.communicate()
        self._directory.cleanup()


def read_told(printed: str) -> Told:
    """wrk's summary."""

    def number(pattern: str) -> float:
        found = re.search(pattern, printed)
        return float(found[1]) if found else 0

    if "requests in" not in printed:
        raise AssertionError(f"wrk printed no summary: {printed!r}")
    errors = [int(number(rf"{name} (\d+)")) for name in ("connect", "read", "write", "timeout")]
    return Told(
        int(number(r"(\d+) requests in")),
        number(r"Requests/sec:\s+([\d.]+)"),
        int(number(r"Non-2xx or 3xx responses: (\d+)")),
        *errors,
    )


def missing() -> str:
    """One line that says what to install, or ""."""
    return "" if shutil.which("wrk") else "wrk is missing: apt-get install wrk"
