"""The load: wrk on the load's core, and what it says."""

import re
import subprocess
from collections.abc import Sequence
from pathlib import Path

import attrs

from benchmarks.contest import Contestant, Figures, Ground, pinned, tool

CONNECTIONS = 32

_EACH_REQUEST = """
local n = 0
request = function()
  n = n + 1
  wrk.headers["X-Forwarded-For"] = string.format("10.%d.%d.%d", n % 7, n % 239, n % 251)
  return wrk.format("GET", wrk.path)
end
"""

# wrk tells a script nothing about connections; but a thread that has one connection is one.
_EACH_THREAD = """
local n = 0
setup = function(thread)
  n = n + 1
  thread:set("client", string.format("10.1.%d.%d", n, n * 7 % 251))
end
init = function(args)
  wrk.headers["X-Forwarded-For"] = client
end
"""

_LISTED = """
local clients = {%s}
local n = 0
request = function()
  n = n + 1
  wrk.headers["%s"] = clients[n %% #clients + 1]
  return wrk.format("GET", wrk.path)
end
"""

_LISTED_EACH_THREAD = """
local clients = {%s}
local n = 0
setup = function(thread)
  n = n + 1
  thread:set("client", clients[n %% #clients + 1])
end
init = function(args)
  wrk.headers["%s"] = client
end
"""

_CLOSING = 'wrk.headers["Connection"] = "close"\n'


def thread_client(number: int) -> str:
    """The client of a thread, from 1, as `_EACH_THREAD` names it."""
    return f"10.1.{number}.{number * 7 % 251}"


def mixed_client(number: int) -> str:
    """The client of a request, from 1, as `_EACH_REQUEST` names it."""
    return f"10.{number % 7}.{number % 239}.{number % 251}"


@attrs.frozen
class Load:
    """What is asked.

    :ivar mixed: another client with every request; otherwise each connection is one client.
    :ivar closing: a new connection for every request.
    :ivar clients: who asks; empty for as many as there may be.
    :ivar header: that says which of ``clients`` asks.
    """

    mixed: bool
    closing: bool = False
    path: str = "/"
    clients: Sequence[str] = ()
    header: str = "X-Forwarded-For"

    def script(self) -> str:
        """For wrk, in Lua."""
        if self.clients:
            listed = ", ".join(f'"{client}"' for client in self.clients)
            text = (_LISTED if self.mixed else _LISTED_EACH_THREAD) % (listed, self.header)
        else:
            text = _EACH_REQUEST if self.mixed else _EACH_THREAD
        return (_CLOSING if self.closing else "") + text

    def client(self, connection: int, request: int) -> str:
        """Who asks in the correctness pass; both count from 1."""
        number = request if self.mixed else connection
        if self.clients:
            return self.clients[number % len(self.clients)]
        return mixed_client(number) if self.mixed else thread_client(number)

    def threads(self) -> int:
        """Of wrk."""
        return 1 if self.mixed else CONNECTIONS


@attrs.frozen
class Said:
    """wrk's summary: requests answered, those without 2xx or 3xx, socket errors."""

    requests: int
    non_2xx: int
    errors: int


def read(printed: str) -> Said:
    """What wrk printed.

    :raise ValueError: it is no summary of wrk.
    """
    total = re.search(r"(\d+) requests in", printed)
    if total is None:
        raise ValueError(f"wrk printed no summary: {printed[:200]!r}")
    non_2xx = re.search(r"Non-2xx or 3xx responses: (\d+)", printed)
    errors = re.search(r"Socket errors: (.*)", printed)
    return Said(
        int(total[1]),
        int(non_2xx[1]) if non_2xx else 0,
        sum(map(int, re.findall(r"\d+", errors[1]))) if errors else 0,
    )


@attrs.frozen
class Wrk:
    """Measures a contestant under a load."""

    ground: Ground
    load: Load
    seconds: int

    def __call__(self, contestant: Contestant) -> Figures:
        """One turn: requests a second, CPU microseconds a request, what failed."""
        script = self.ground.directory / "load.lua"
        script.write_text(self.load.script())
        before, master = contestant.cpu(), contestant.master_cpu()
        said = read(self._run(contestant.port, script))
        used, by_master = contestant.cpu() - before, contestant.master_cpu() - master
        if not said.requests:
            log = self.ground.log(contestant.processes[0])[-400:]
            raise ValueError(f"{contestant.name} answered nothing: {log}")
        return {
            "rate": said.requests / self.seconds,
            "cost": used / said.requests * 1e6,
            "master": by_master / said.requests * 1e6,
            "failed": float(said.non_2xx + said.errors),
        }

    def _run(self, port: int, script: Path) -> str:
        command = ["wrk", f"-t{self.load.threads()}", f"-c{CONNECTIONS}"]
        command += [f"-d{self.seconds}s", "--timeout", "20"]
        tool("wrk")
        return subprocess.run(
            [
                *pinned(self.ground.load_core),
                *command,
                "-s",
                str(script),
                f"http://127.0.0.1:{port}{self.load.path}",
            ],
            capture_output=True,
            text=True,
            check=True,
            timeout=self.seconds + 60,
        ).stdout
