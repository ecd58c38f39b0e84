"""Apps with streams and WebSockets, of every kind, for tests of how these end.

A path that begins with /listens ends its stream in order when the worker is told to stop, as
docs/apps.md describes; /deaf never ends by itself.
"""

import asyncio
import os
import signal
import time
from pathlib import Path

from sse_starlette.sse import EventSourceResponse
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect
from starlette.responses import PlainTextResponse, StreamingResponse
from starlette.routing import Route, WebSocketRoute
from stickyd_quiet_websocket import Quiet, Sockets
from twisted.internet.task import LoopingCall
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET
from twisted.web.websocket import WebSocketResource

LIFE = Path(os.environ.get("LIFE", "."))
"""A directory of the test's."""

TICK = 0.02


def note(what):
    with open(LIFE / "notes", "a") as file:
        file.write(f"{what}\n")


def stopping():
    """Whether the worker is told to stop."""
    owner = getattr(signal.getsignal(signal.SIGTERM), "__self__", None)
    return getattr(owner, "should_exit", False)


# ---- ASGI


async def listens(request):
    """Of the library: nothing here knows of the end."""

    async def ticks():
        while True:
            yield {"data": "tick"}
            await asyncio.sleep(TICK)

    return EventSourceResponse(ticks())


class Deaf:
    """Never ends by itself."""

    def __init__(self, media):
        self.media = media

    async def __call__(self, scope, receive, send):
        head = [(b"content-type", self.media)]
        if scope["path"] == "/deaf-sized":
            head.append((b"content-length", b"1000000000"))
        await send({"type": "http.response.start", "status": 200, "headers": head})

        async def tick():
            while True:
                await send({"type": "http.response.body", "body": b"tick\n", "more_body": True})
                await asyncio.sleep(TICK)

        ticking = asyncio.ensure_future(tick())
        try:
            while (await receive())["type"] != "http.disconnect":
                pass
        finally:
            ticking.cancel()
        note("disconnect")
        # What ends a stream must not make it look whole now.
        await send({"type": "http.response.body", "body": b""})


async def slow(request):
    while not (LIFE / "go").exists():
        await asyncio.sleep(TICK)
    return PlainTextResponse("slow")


async def upload(request):
    try:
        return PlainTextResponse(f"{len(await request.body())}")
    except ClientDisconnect:
        return PlainTextResponse("gone")


async def fails(request):
    async def ticks():
        yield b"tick\n"
        raise RuntimeError("told to fail")

    return StreamingResponse(ticks(), media_type="text/event-stream")


async def echo(websocket):
    await websocket.accept()
    await websocket.send_text("open")
    async for text in websocket.iter_text():
        await websocket.send_text(text)


async def late(websocket):
    """Accepts a moment after the offer."""
    note("offered")
    while not (LIFE / "go").exists():
        await asyncio.sleep(TICK)
    await echo(websocket)


app = Starlette(
    routes=[
        Route("/listens", listens),
        Route("/slow", slow),
        Route("/upload", upload, methods=["POST"]),
        Route("/fails", fails),
        Route("/deaf", Deaf(b"text/event-stream")),
        Route("/deaf-sized", Deaf(b"text/plain")),
        WebSocketRoute("/ws", echo),
        WebSocketRoute("/late", late),
    ]
)


# ---- WSGI


def wsgi(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/event-stream")])
    return ticks(environ["PATH_INFO"])


def ticks(path):
    try:
        while not (path == "/listens" and stopping()):
            yield b"tick\n"
            if path == "/fails":
                raise RuntimeError("told to fail")
            time.sleep(TICK)  # the pace of the stream
    finally:
        note("closed")


# ---- twisted.web


class Stream(Resource):
    isLeaf = True

    def __init__(self, hears):
        super().__init__()
        self.hears = hears

    def render_GET(self, request):
        request.setHeader(b"content-type", b"text/event-stream")

        def tick():
            if self.hears and stopping():
                ticking.stop()
                request.finish()
                return
            request.write(b"tick\n")

        def gone(_):
            ticking.stop()
            note("lost")

        ticking = LoopingCall(tick)
        request.notifyFinish().addErrback(gone)
        ticking.start(TICK)
        return NOT_DONE_YET


class Slow(Resource):
    isLeaf = True

    def render_GET(self, request):
        def look():
            if (LIFE / "go").exists():
                looking.stop()
                request.write(b"slow")
                request.finish()

        looking = LoopingCall(look)
        looking.start(TICK)
        return NOT_DONE_YET


class Echo(Quiet):
    def negotiationFinished(self):
        self.transport.sendTextMessage("open")

    def textMessageReceived(self, message):
        self.transport.sendTextMessage(message)

    def connectionLost(self, reason):
        note("socket lost")


def site():
    root = Resource()
    root.putChild(b"listens", Stream(True))
    root.putChild(b"deaf", Stream(False))
    root.putChild(b"slow", Slow())
    root.putChild(b"ws", WebSocketResource(Sockets(Echo)))
    return root
