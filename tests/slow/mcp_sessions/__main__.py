"""MCP clients on four workers behind nginx: no call fails, whatever address it comes from.

    python -m tests.slow.mcp_sessions [--clients 50] [--calls 10]

Needs nginx. The clients and the servers are those of the library mcp, 1.x and 2.x,
over streamable HTTP; nginx keeps 4 connections to the server. The server is
unmodified: its session ids are its own. A tool counts the calls of its session, so a
call that reaches another worker fails or is counted wrong. Every request comes from
another client address.

The protocol of 2026 has no sessions; its row shows that it needs none.

The control is the same app under ``uvicorn --workers 4``, which must fail.
Prints a table in Markdown; exit status 1 if anything was not as it should be.
"""

import argparse
import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.slow.mcp_sessions.environments import python_with
from tests.slow.socketio.fronts import front
from tests.slow.uvicorn_workers import uvicorn
from tests.support.daemon import Daemon

WORKERS = 4
KEPT = 4
CROWD = Path(__file__).with_name("crowd.py")
APP = "stickyd_mcp_app:app"
PAIRS = ((1, 1, "legacy"), (1, 2, "legacy"), (2, 1, "legacy"), (2, 2, "legacy"), (2, 2, "auto"))
"""Version of the server's library, of the client's, and how the client connects."""

HEAD = (
    "| server | mcp | client | sessions | connected | calls | failed | workers |\n"
    + "|---" * 8
    + "|"
)


def talk(port: int, python: str, clients: int, calls: int, mode: str) -> dict[str, Any]:
    """Run the clients; what they say."""
    url = f"http://127.0.0.1:{port}/mcp"
    done = subprocess.run(
        [python, str(CROWD), url, str(clients), str(calls), mode],
        stdout=subprocess.PIPE,
        # The library logs each failure with its traceback.
        stderr=subprocess.DEVNULL,
        text=True,
        check=True,
        timeout=300,
    )
    return dict(json.loads(done.stdout.splitlines()[-1]))


def row(server: str, pair: tuple[int, int, str], told: dict[str, Any], asked: int) -> int:
    """Print one row; how many calls failed.

    :param asked: how many calls there were.
    """
    failed = asked - int(told["good"])
    sessions = "no" if pair[2] == "auto" else "yes"
    cells = (server, f"{pair[0]}.x", f"{pair[1]}.x", sessions, told["connected"])
    cells += (asked, failed, told["workers"])
    print("| " + " | ".join(map(str, cells)) + " |", flush=True)
    for error in told["errors"][: 2 if server == "stickyd" else 0]:
        print(f"  {error}", file=sys.stderr)
    return failed


def behind_stickyd(pair: tuple[int, int, str], clients: int, calls: int) -> bool:
    """One row; whether no call failed and all workers served some."""
    server, client, mode = pair
    daemon = Daemon(
        *("--asgi", APP, "--affinity", "mcp", "--affinity-scope", "request"),
        *("--graceful-timeout", "5"),
        command=[python_with(server), "-m", "stickyd", "run"],
        workers=WORKERS,
    )
    with daemon, front("nginx", daemon.port, kept=KEPT) as port:
        told = talk(port, python_with(client), clients, calls, mode)
    failed = row("stickyd", pair, told, clients * calls)
    return failed == 0 and told["workers"] == WORKERS


def control(pair: tuple[int, int, str], clients: int, calls: int) -> bool:
    """The control; whether it failed, as it must where there are sessions."""
    server, client, mode = pair
    with uvicorn(APP, WORKERS, python_with(server)) as upstream:
        with front("nginx", upstream, kept=KEPT) as port:
            told = talk(port, python_with(client), clients, calls, mode)
    failed = row(f"uvicorn --workers {WORKERS}", pair, told, clients * calls)
    return (failed > 0) == (mode != "auto")


def main() -> int:
    """Run; exit status 1 if anything was not as it should be."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--clients", type=int, default=50)
    parser.add_argument("--calls", type=int, default=10, help="of each client")
    parser.add_argument("--only", choices=("stickyd", "control"), help="only these rows")
    arguments = parser.parse_args()
    if shutil.which("nginx") is None:
        print("nginx is not on PATH", file=sys.stderr)
        return 2
    print(HEAD, flush=True)
    good = True
    if arguments.only != "control":
        for pair in PAIRS:
            good &= behind_stickyd(pair, arguments.clients, arguments.calls)
    if arguments.only != "stickyd":
        for pair in PAIRS:
            good &= control(pair, arguments.clients, arguments.calls)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
