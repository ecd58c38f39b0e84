"""Django's sessions in memory, on four workers behind nginx: none is lost.

    python -m tests.slow.django_sessions [--clients 40] [--requests 25]

Needs nginx, which keeps 4 connections to the server. Sessions are in a cache in each
process (LocMemCache); the app does not know of stickyd, and its ids are Django's. Every
client has a cookie jar; each request names another client address in X-Forwarded-For,
and one of them logs in, which changes the session's id. The app counts the requests of a
session: a request that reaches another worker begins at 1 again.

The control is the same app under ``uvicorn --workers 4``, which must lose some.
Prints a table in Markdown; exit status 1 if anything was not as it should be.
"""

import argparse
import asyncio
import random
import shutil
import sys

import aiohttp
import attrs

from tests.slow.socketio.fronts import front
from tests.slow.uvicorn_workers import uvicorn
from tests.support.daemon import Daemon

WORKERS = 4
KEPT = 4
MODULE = "stickyd_django_sessions_app"
HEAD = "| server | clients | requests | lost sessions | clients that lost one | workers |\n"
HEAD += "|---" * 6 + "|"


@attrs.define
class Outcome:
    """What became of the clients.

    :ivar lost: how often a session was not there.
    :ivar unlucky: clients that this happened to.
    :ivar processes: who served them.
    """

    clients: int = 0
    requests: int = 0
    lost: int = 0
    unlucky: int = 0
    processes: set[str] = attrs.field(factory=set)

    def row(self, server: str) -> str:
        """As a line of the table."""
        cells = (server, self.clients, self.requests, self.lost, self.unlucky, len(self.processes))
        return "| " + " | ".join(map(str, cells)) + " |"


async def _client(url: str, requests: int, outcome: Outcome) -> None:
    lost = 0
    expected = 1
    jar = aiohttp.CookieJar(unsafe=True)
    async with aiohttp.ClientSession(cookie_jar=jar) as session:
        for number in range(requests):
            page = "login" if number == requests // 2 else "count"
            address = ".".join(str(random.randrange(1, 255)) for _ in range(3))
            headers = {"X-Forwarded-For": f"10.{address}"}
            async with session.get(f"{url}/{page}", headers=headers) as response:
                response.raise_for_status()
                counted, process = (await response.text()).split()
            lost += int(counted) != expected
            expected = int(counted) + 1
            outcome.requests += 1
            outcome.processes.add(process)
    outcome.clients += 1
    outcome.lost += lost
    outcome.unlucky += lost > 0


async def crowd(port: int, clients: int, requests: int) -> Outcome:
    """All clients at the same time; what became of them."""
    outcome = Outcome()
    url = f"http://127.0.0.1:{port}"
    await asyncio.gather(*(_client(url, requests, outcome) for _ in range(clients)))
    return outcome


def main() -> int:
    """Run; exit status 1 if anything was not as it should be."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--clients", type=int, default=40)
    parser.add_argument("--requests", type=int, default=25, help="of each client")
    parser.add_argument("--only", choices=("stickyd", "control"), help="only these rows")
    arguments = parser.parse_args()
    if shutil.which("nginx") is None:
        print("nginx is not on PATH", file=sys.stderr)
        return 2
    asked = arguments.clients, arguments.requests
    print(HEAD, flush=True)
    good = True
    for kind in ("wsgi", "asgi") if arguments.only != "control" else ():
        options = (f"--{kind}", f"{MODULE}:{kind}", "--affinity", "django")
        with Daemon(*options, "--affinity-scope", "request", workers=WORKERS) as daemon:
            with front("nginx", daemon.port, kept=KEPT) as port:
                outcome = asyncio.run(crowd(port, *asked))
        print(outcome.row(f"stickyd, {kind.upper()}"), flush=True)
        good &= outcome.lost == 0 and len(outcome.processes) == WORKERS
    if arguments.only != "stickyd":
        with uvicorn(f"{MODULE}:asgi", WORKERS) as upstream:
            with front("nginx", upstream, kept=KEPT) as port:
                outcome = asyncio.run(crowd(port, *asked))
        print(outcome.row(f"uvicorn --workers {WORKERS}"), flush=True)
        good &= outcome.lost > 0
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
