"""Counts how often it is imported, and does at import what $LIFE/at-import says."""

import json
import os
import random
import socket
import threading
import time
from pathlib import Path
from typing import Any

from twisted.internet import reactor
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET

LIFE = Path(os.environ["LIFE"])
with (LIFE / "imports").open("a") as _file:
    _file.write(f"{os.getpid()}\n")

BALLAST = os.urandom(1 << 20) * 32
_at_import = LIFE / "at-import"
_does = _at_import.read_text().split() if _at_import.exists() else []
if "thread" in _does:
    threading.Thread(target=time.sleep, args=(3600,), name="poller", daemon=True).start()
if "socket" in _does:
    left_open = socket.socket()
if "reactor" in _does:
    reactor.callLater(0, print)
if "fail" in _does:
    raise RuntimeError("told to fail")


def about() -> bytes:
    state: dict[str, Any] = {
        "slot": int(os.environ["STICKYD_SLOT"]),
        "pid": os.getpid(),
        "parent": os.getppid(),
        "group": os.getpgrp(),
        "imported_by": (LIFE / "imports").read_text().split()[-1],
        "random": random.random(),
        "reactor": type(reactor).__name__,
        "threads": [thread.name for thread in threading.enumerate()],
        "descriptors": [os.readlink(f"/proc/self/fd/{fd}") for fd in _descriptors()],
    }
    return json.dumps(state).encode()


def _descriptors() -> list[str]:
    return [fd for fd in os.listdir("/proc/self/fd") if os.path.exists(f"/proc/self/fd/{fd}")]


async def app(scope: Any, receive: Any, send: Any) -> None:
    if scope["type"] == "lifespan":
        while True:
            message = await receive()
            await send({"type": message["type"] + ".complete"})
            if message["type"] == "lifespan.shutdown":
                return
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": about()})


def wsgi(environ: Any, start_response: Any) -> list[bytes]:
    start_response("200 OK", [("Content-Type", "application/json")])
    return [about()]


def create(what: str) -> Any:
    """A call of it counts as an import."""
    with (LIFE / "imports").open("a") as file:
        file.write(f"{os.getpid()}\n")
    return {"app": app, "wsgi": wsgi}[what]


class Root(Resource):
    isLeaf = True

    def render_GET(self, request: Any) -> int:
        def answer() -> None:
            request.write(about())
            request.finish()

        reactor.callLater(0, answer)
        return NOT_DONE_YET
