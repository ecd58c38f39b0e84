"""Socket.IO on four workers behind real proxies: no session lost, no message lost or doubled.

    python -m tests.slow.socketio [--sessions 2000] [--only WORD]

Needs nginx, haproxy, redis-server, node and npm. Every client has an address of
its own in 127.0.0.0/8, which the proxy tells in X-Forwarded-For; all are there at
the same time, and the proxy mixes their requests on the connections it keeps. Two
clients each share a room, seldom a worker, so what they say crosses Redis. Each
says 4 messages; itself and its partner must hear each once, and it must be
acknowledged once.

Clients: up to 150 of npm's socket.io-client, 20 of python-socketio (50 where
there is an upgrade), the others speak Engine.IO's polling themselves.

The control is the same app under ``uvicorn --workers 4``, which must fail.
Prints a table in Markdown; exit status 1 if anything was not as it should be.
"""

import argparse
import asyncio
import contextlib
import resource
import shutil
import sys
import time
from collections.abc import Iterator
from typing import Any

import attrs

from tests.slow.socketio.clients import NodeCrowd, PythonCrowd, install_client
from tests.slow.socketio.fronts import Redis, front
from tests.slow.socketio.outcome import Outcome, plans, total
from tests.slow.socketio.polling import PollingCrowd
from tests.slow.uvicorn_workers import uvicorn
from tests.support.daemon import Daemon

WORKERS = 4
POLLING = ["polling"]
UPGRADE = ["polling", "websocket"]
WEBSOCKET = ["websocket"]
ASGI = ("--asgi", "stickyd_socketio_app:app")
# A poll that waits keeps its thread: two for each client of the worker, and some for chance.
WSGI = ("--wsgi", "stickyd_flask_socketio_app:app", "--threads", "160")
BY_ID = ("--affinity", "socketio,hdr(x-request-id)")


@attrs.frozen
class Run:
    """One row of the table.

    :ivar sessions: clients; 0 for as many as ``--sessions`` says.
    :ivar websockets: whether every client must end on a WebSocket; otherwise none may.
    """

    label: str
    front: str
    options: tuple[str, ...]
    transports: list[str]
    sessions: int = 200
    websockets: bool = False
    addresses: bool = True
    environment: dict[str, str] = attrs.field(factory=dict)


def runs() -> Iterator[Run]:
    """All rows but the control."""
    for proxy in ("nginx", "haproxy"):
        yield Run("ASGI, polling", proxy, ASGI, POLLING, 0)
        yield Run("ASGI, polling, by `sid`", proxy, (*ASGI, *BY_ID), POLLING, 400, addresses=False)
        yield Run("ASGI, upgrade", proxy, ASGI, UPGRADE, websockets=True)
        yield Run("ASGI, WebSocket only", proxy, ASGI, WEBSOCKET, websockets=True)
        yield Run("WSGI, polling", proxy, WSGI, POLLING)
        yield Run(
            *("WSGI, upgrade not allowed", proxy, WSGI, UPGRADE),
            environment={"ALLOW_UPGRADES": "no"},
        )


async def _talk(run: Run, url: str, sessions: int, redis: Redis | None, patience: float) -> Outcome:
    # Seconds. The clients need more of the processor than the server does.
    spread = max(4.0, sessions / 20)
    node = min(150, sessions // 2) // 2 * 2
    others = 20 if run.transports == POLLING else sessions - node
    made: list[Any] = []

    def some(kind: str, count: int) -> Any:
        first = sum(len(crowd_plans) for _, crowd_plans in made)
        crowd_plans = plans(kind, count, first, addresses=run.addresses)
        made.append((kind, crowd_plans))
        return crowd_plans

    crowds: list[Any] = [
        NodeCrowd(url, some("node", node), run.transports, spread, patience),
        PythonCrowd(url, some("python", others), run.transports, spread, patience),
    ]
    if sessions > node + others:
        bulk = some("bulk", sessions - node - others)
        crowds.append(PollingCrowd(url, bulk, spread, patience))
    await asyncio.gather(*(crowd.connect() for crowd in crowds))
    while redis is not None and redis.subscribers() < WORKERS:
        # Redis tells nobody of a new subscriber.
        await asyncio.sleep(0.1)
    return total(await asyncio.gather(*(crowd.talk() for crowd in crowds)))


def _row(run: Run, server: str, outcome: Outcome, mixing: str, took: float) -> str:
    cells = (run.label, server, run.front, outcome.sessions, outcome.invalid, outcome.failed)
    cells += (outcome.heard, outcome.lost, outcome.doubled, outcome.websockets, mixing)
    return "| " + " | ".join(map(str, cells)) + f" | {took:.0f} s |"


HEAD = (
    "| app | server | proxy | sessions | invalid session | other failure | heard | lost | doubled"
    " | on WebSocket | requests, connections, moves | took |\n" + "|---" * 12 + "|"
)


def behind_stickyd(run: Run, sessions: int) -> bool:
    """One row; whether it is as it should be."""
    sessions = run.sessions or sessions
    with contextlib.ExitStack() as stack:
        redis = stack.enter_context(Redis())
        options = (*run.options, "--affinity-scope", "request", "--graceful-timeout", "5")
        environment = {"REDIS_URL": redis.url, **run.environment}
        daemon = Daemon(*options, workers=WORKERS, environment=environment)
        stack.enter_context(daemon)
        port = stack.enter_context(front(run.front, daemon.port))
        started = time.monotonic()
        url = f"http://127.0.0.1:{port}"
        outcome = asyncio.run(_talk(run, url, sessions, redis, 60.0))
        took = time.monotonic() - started
        report = daemon.report()
    moved = sum(report["workers"]["moved"].values())
    requests, accepted = report["workers"]["requests"], report["master"]["accepted"]
    print(_row(run, "stickyd", outcome, f"{requests}, {accepted}, {moved}", took), flush=True)
    if outcome.why:
        print(f"  first error: {outcome.why}", file=sys.stderr)
    return outcome.good() and outcome.websockets == (outcome.sessions if run.websockets else 0)


def control(proxy: str) -> bool:
    """The control; whether it failed, as it must."""
    run = Run("ASGI, polling", proxy, (), POLLING)
    with contextlib.ExitStack() as stack:
        redis = stack.enter_context(Redis())
        app = uvicorn("stickyd_socketio_app:app", WORKERS, environment={"REDIS_URL": redis.url})
        port = stack.enter_context(front(proxy, stack.enter_context(app)))
        started = time.monotonic()
        outcome = asyncio.run(_talk(run, f"http://127.0.0.1:{port}", run.sessions, None, 5.0))
        took = time.monotonic() - started
    print(_row(run, "uvicorn --workers 4", outcome, "", took), flush=True)
    return outcome.invalid > 0


def main() -> int:
    """Run; exit status 1 if anything was not as it should be."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sessions", type=int, default=2000, help="of ASGI in polling mode, even")
    parser.add_argument("--only", default="", help="rows in whose first cells this stands")
    arguments = parser.parse_args()
    for program in ("nginx", "haproxy", "redis-server", "node", "npm"):
        if shutil.which(program) is None:
            print(f"{program} is not on PATH", file=sys.stderr)
            return 2
    install_client()
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    print(HEAD, flush=True)
    good = True
    for run in runs():
        if arguments.only in f"{run.front} {run.label}":
            good &= behind_stickyd(run, arguments.sessions)
    for proxy in ("nginx", "haproxy"):
        if arguments.only in f"{proxy} control":
            good &= control(proxy)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
