"""Three real browsers at one address, on an app that does not know of stickyd.

    python -m tests.slow.browsers [--interactions 50]

Needs chromium, chromium-driver and npm (Debian's packages), and selenium. With the preset
``browser`` each headless Chromium stays with its worker by stickyd's cookie: its HTTP
requests and its WebSockets, of which it opens several, find their state; and so does
python-socketio with ids of its own, by polling and where it is upgraded.
At least two workers must have served them.

The control is the same under ``uvicorn --workers 4``, which must lose state.
Prints a table in Markdown; exit status 1 if anything was not as it should be.
"""

import argparse
import concurrent.futures
import contextlib
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from typing import Any

import attrs

from tests.slow.chat import browser
from tests.slow.socketio.clients import MODULES, install_client
from tests.slow.uvicorn_workers import uvicorn
from tests.support.daemon import Daemon

WORKERS = 4
BROWSERS = 3
CLIENT = MODULES / "node_modules/socket.io-client/dist/socket.io.min.js"
HEAD = "| app | server | browsers | interactions | failed | workers |\n" + "|---" * 6 + "|"
CALL = (
    "const done = arguments[1]; interact(arguments[0]).then(done, (e) => done({wrong: [`${e}`]}))"
)


@attrs.frozen
class Run:
    """One row of the table.

    :ivar query: of the page.
    """

    label: str
    app: str
    query: str = ""
    scope: str = "request"


PAGE = "stickyd_page_app:app"
SOCKETIO = "stickyd_stock_socketio_app:app"
RUNS = (
    Run("HTTP and WebSocket", PAGE),
    Run("HTTP and WebSocket, scope connection", PAGE, scope="connection"),
    Run("Socket.IO, polling", SOCKETIO, "?polling"),
    Run("Socket.IO, upgrade", SOCKETIO, "?polling,websocket"),
)


@contextlib.contextmanager
def browsers() -> Iterator[list[Any]]:
    """Browsers that have never been here."""
    with tempfile.TemporaryDirectory() as directory, contextlib.ExitStack() as stack:
        pages = []
        for number in range(BROWSERS):
            pages.append(browser(os.path.join(directory, str(number))))
            stack.callback(pages[-1].quit)
        yield pages


def visit(page: Any, url: str, interactions: int) -> dict[str, Any]:
    """One browser opens the page and interacts; what it tells."""
    page.set_script_timeout(120)
    page.get(url)
    return dict(page.execute_async_script(CALL, interactions))


def row(run: Run, server: str, port: int, interactions: int) -> tuple[list[str], int]:
    """Let the browsers work, and print a row; what was wrong, and how many workers served."""
    url = f"http://127.0.0.1:{port}/{run.query}"
    with browsers() as pages, concurrent.futures.ThreadPoolExecutor(BROWSERS) as pool:
        told = list(pool.map(lambda page: visit(page, url, interactions), pages))
    wrong = [fault for one in told for fault in one["wrong"]]
    workers = {worker for one in told for worker in one.get("workers", ())}
    asked = BROWSERS * interactions
    failed = asked - sum(len(one.get("workers", ())) for one in told)
    cells = (run.label, server, BROWSERS, asked, failed, len(workers))
    print("| " + " | ".join(map(str, cells)) + " |", flush=True)
    for fault in wrong[: 5 if server == "stickyd" else 0]:
        print(f"  {fault}", file=sys.stderr)
    return wrong, len(workers)


def control(run: Run, environment: dict[str, str], interactions: int) -> bool:
    """The control; whether it failed, as it must.

    Three browsers whose connections all stay with the worker of the first one are seldom, but
    it happens: hence several times.
    """
    for _ in range(3):
        with uvicorn(run.app, WORKERS, environment=environment) as port:
            wrong, _workers = row(run, f"uvicorn --workers {WORKERS}", port, interactions)
        if wrong:
            return True
    return False


def main() -> int:
    """Run; exit status 1 if anything was not as it should be."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--interactions", type=int, default=50, help="of each browser")
    parser.add_argument("--only", choices=("stickyd", "control"), help="only these rows")
    arguments = parser.parse_args()
    for program in ("chromium", "chromedriver", "npm"):
        if shutil.which(program) is None:
            print(f"{program} is missing", file=sys.stderr)
            return 2
    install_client()
    environment = {"SOCKETIO_CLIENT": str(CLIENT)}
    print(HEAD, flush=True)
    good = True
    for run in RUNS if arguments.only != "control" else ():
        options = ("--asgi", run.app, "--affinity", "browser", "--affinity-scope", run.scope)
        daemon = Daemon(
            *options, "--graceful-timeout", "5", workers=WORKERS, environment=environment
        )
        with daemon:
            wrong, workers = row(run, "stickyd", daemon.port, arguments.interactions)
        good &= not wrong and workers >= 2
    for run in (RUNS[0], *RUNS[2:]) if arguments.only != "stickyd" else ():
        good &= control(run, environment, arguments.interactions)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
