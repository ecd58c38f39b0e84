"""An ASGI app for tests of the life of workers: it tells who it is, and leaves word of its ends."""

import asyncio
import os
import time
from pathlib import Path
from urllib.parse import parse_qs

SLOT = int(os.environ["STICKYD_SLOT"])
LIFE = Path(os.environ.get("LIFE", "."))
"""A directory of the test's: files in it say what goes wrong, and what has happened."""


def note(what):
    with open(LIFE / f"{os.getpid()}", "a") as file:
        file.write(f"{what}\n")


async def retired(retiring):
    """For --on-retire: a coroutine of asyncio's."""
    await asyncio.sleep(0.01)
    note(f"retired {retiring.reason} {' '.join(retiring.keys)}".strip())


async def lifespan(receive, send):
    await receive()
    if (LIFE / f"hangs-{SLOT}").exists():
        await asyncio.sleep(60)
    if (LIFE / f"fails-{SLOT}").exists():
        await send({"type": "lifespan.startup.failed", "message": "told to fail"})
        return
    note("started")
    await send({"type": "lifespan.startup.complete"})
    await receive()
    note("ended")
    await send({"type": "lifespan.shutdown.complete"})


async def websocket(receive, send):
    await receive()
    await send({"type": "websocket.accept"})
    while (message := await receive())["type"] != "websocket.disconnect":
        await send({"type": "websocket.send", "text": f"{SLOT}: {message['text']}"})
    note(f"disconnect {message['code']}")


async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        await lifespan(receive, send)
        return
    if scope["type"] == "websocket":
        await websocket(receive, send)
        return
    asked = parse_qs(scope["query_string"].decode())
    seconds = float(asked.get("s", ["0"])[0])
    word = "1"
    if scope["path"] == "/late":
        await asyncio.sleep(seconds)
        word = "late"
    elif scope["path"] == "/block":
        time.sleep(seconds)  # an app that blocks its loop
    elif scope["path"] == "/body":
        while (message := await receive()).get("more_body"):
            pass
        if message["type"] == "http.disconnect":
            note("disconnect")
            return
    elif scope["path"] == "/silent":
        while (await receive())["type"] != "http.disconnect":
            pass
        note("disconnect")
        return
    elif scope["path"] == "/begun":
        # A head that promises persistence, and a body that comes when a file is there.
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"begun ", "more_body": True})
        while not (LIFE / "go").exists():
            await asyncio.sleep(0.02)
        await send({"type": "http.response.body", "body": b"done"})
        return
    body = f"{SLOT} {os.getpid()} {word}".encode()
    head = [(b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": 200, "headers": head})
    await send({"type": "http.response.body", "body": body})


def wsgi(environ, start_response):
    body = f"{SLOT} {os.getpid()} 1".encode()
    start_response("200 OK", [("Content-Length", str(len(body)))])
    return [body]
