"""Sessions in memory under many reloads: no answer from a worker that does not have the session.

    python -m tests.slow.split_session [--clients 50] [--reloads 20]

Each client has a WebSocket, which makes a session, and adds to that session by requests, over a
connection that it keeps and over new ones in turn. Default options, but for the app. A session
ends with its WebSocket: then the client makes another one. So an answer is wrong if it says that
there is no such session while the WebSocket is open, or if the session does not have all that was
added. Of ASGI and twisted.web, in both scopes. Exit status 1 if any answer was wrong.
"""

import argparse
import collections
import json
import sys
import threading
import time

import attrs
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from tests.integration.test_lifecycle import reload
from tests.support.daemon import Daemon, Reader, request

APPS = {
    "asgi": ("--asgi", "stickyd_session_apps:app"),
    "twisted.web": ("--class", "stickyd_session_apps.root"),
}
EVERY = 0.1
"""Seconds between a client's requests."""

NOTICE = 5.0
"""Seconds in which a Close frame that was sent before an answer has come."""


@attrs.define
class Seen:
    """What a client has seen."""

    added: int = 0
    sessions: int = 0
    wrong: list[str] = attrs.field(factory=list)
    ends: collections.Counter[int] = attrs.field(factory=collections.Counter)


class Client:
    """A browser with one page at a time."""

    def __init__(self, daemon: Daemon, number: int, until: threading.Event) -> None:
        self.daemon, self.until = daemon, until
        self.address = f"10.40.0.{number}"
        self.seen = Seen()

    def run(self) -> None:
        try:
            while not self.until.is_set():
                self.page()
        except Exception as error:
            self.seen.wrong.append(f"{self.address}: {error!r}")

    def page(self) -> None:
        """One session, from its WebSocket on."""
        headers = {"X-Forwarded-For": self.address}
        with (
            self.daemon.connect() as sock,
            connect("ws://test/ws", sock=sock, additional_headers=headers, proxy=None) as websocket,
            self.daemon.connect() as kept,
        ):
            reader = Reader(kept)
            added: list[str] = []
            name = None
            try:
                name = str(websocket.recv(30))
                self.seen.sessions += 1
                while not self.until.is_set():
                    if len(added) % 2:
                        with self.daemon.connect() as fresh:
                            fresh.sendall(self.adding(name, len(added)))
                            status = Reader(fresh).response().status
                    else:
                        kept.sendall(self.adding(name, len(added)))
                        status = reader.response().status
                    if status != 200:
                        # Legitimate if the session had ended, of which the news may be on the way.
                        self.expect_end(websocket, status)
                    added.append(str(len(added)))
                    self.seen.added += 1
                    websocket.send("list")
                    told = json.loads(websocket.recv(30))
                    if told != added:
                        self.seen.wrong.append(f"{self.address}: {len(told)} of {len(added)}")
                        return
                    time.sleep(EVERY)  # the pace of a client
            except ConnectionClosed as closed:
                self.seen.ends[closed.rcvd.code if closed.rcvd is not None else 1006] += 1

    def expect_end(self, websocket: ClientConnection, status: int) -> None:
        try:
            websocket.recv(NOTICE)
        except TimeoutError:
            self.seen.wrong.append(f"{self.address}: {status} while its WebSocket is open")
            raise ConnectionError(f"{status}") from None

    def adding(self, name: str, number: int) -> bytes:
        return request(self.address, f"/add/{name}", "POST", str(number).encode())


def run(app: str, scope: str, clients: int, reloads: int) -> bool:
    """One row."""
    over = threading.Event()
    with Daemon(*APPS[app], "--affinity-scope", scope) as daemon:
        all_of_them = [Client(daemon, number, over) for number in range(clients)]
        threads = [threading.Thread(target=client.run) for client in all_of_them]
        for thread in threads:
            thread.start()
        # Sessions are to exist before the first reload.
        time.sleep(1)
        for _ in range(reloads):
            reload(daemon)
            # The pace of the scenario.
            time.sleep(0.5)
        over.set()
        for thread in threads:
            thread.join()
    seen = [client.seen for client in all_of_them]
    wrong = [each for one in seen for each in one.wrong]
    ends: collections.Counter[int] = sum((one.ends for one in seen), collections.Counter())
    print(
        f"{app}, scope {scope}: {reloads} HUPs, {clients} clients, "
        f"{sum(one.sessions for one in seen)} sessions, {sum(one.added for one in seen)} answers, "
        f"{len(wrong)} wrong; WebSockets closed: {dict(ends)}",
        flush=True,
    )
    if wrong:
        print("  ", wrong[:5])
    return not wrong and set(ends) <= {1012}


def main() -> int:
    """Run it."""
    parser = argparse.ArgumentParser(prog="python -m tests.slow.split_session")
    parser.add_argument("--clients", type=int, default=50)
    parser.add_argument("--reloads", type=int, default=20)
    options = parser.parse_args()
    good = True
    for app in APPS:
        for scope in ("connection", "request"):
            good &= run(app, scope, options.clients, options.reloads)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
