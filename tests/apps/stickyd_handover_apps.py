"""WebSockets that are handed over: an ASGI app and a twisted.web site that count messages.

The client sends numbers from 0 on; each is answered with the worker's process, the number, and how
many the WebSocket has had. A number out of order is answered with "bad". In between the app sends
numbers of its own, if the path is /ticks.
"""

import asyncio
import contextlib
import json
import os

from starlette.applications import Starlette
from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocketDisconnect
from stickyd_quiet_websocket import Quiet, Sockets
from twisted.internet import reactor
from twisted.internet.task import LoopingCall, deferLater
from twisted.web.resource import Resource
from twisted.web.websocket import WebSocketResource
from zope.interface import implementer

from stickyd.worker.handover.interfaces import IHandsOver

PID = os.getpid()
EVERY = float(os.environ.get("TICK_EVERY", "0.01"))


NOTES = os.environ.get("HANDOVER_NOTES")
"""A file for what happens to states; none without it."""


class Counting:
    """What one WebSocket has seen."""

    def __init__(self, query):
        self.had = self.ticks = self.moves = 0
        self.id = query.partition(b"id=")[2].decode()

    def note(self, what):
        if NOTES:
            with open(NOTES, "a") as file:
                file.write(f"{what} {self.id} {PID}\n")

    def load(self, state):
        self.note("took")
        self.had, self.ticks, self.moves = json.loads(state)
        self.moves += 1

    def save(self):
        self.note("told")
        return json.dumps([self.had, self.ticks, self.moves]).encode()

    def answer(self, message):
        number, _, _ = message.partition(" ")
        good = number == str(self.had)
        self.had += 1
        return f"{PID} {number} {self.moves}" if good else f"bad {number} {self.had}"

    def tick(self):
        self.ticks += 1
        return f"tick {self.ticks - 1}"


def how(kind, counting):
    """The function that tells the state, as the path asks for it."""

    async def late():
        await asyncio.sleep(0.05)  # an app that takes its time
        return counting.save()

    async def never():
        await asyncio.sleep(3600)  # longer than it has

    def fails():
        raise RuntimeError("no state today")

    kinds = {
        "/late": late,
        "/never": never,
        "/refuses": lambda: None,
        "/large": lambda: bytes(16385),
        "/fails": fails,
    }
    return kinds.get(kind, counting.save)


async def starlette(websocket):
    """The same by a framework that knows nothing of it."""
    counting = Counting(b"")
    handover = websocket.scope["extensions"]["stickyd.handover"]
    if handover["state"] is not None:
        counting.load(handover["state"])
    handover["offer"](counting.save)
    await websocket.accept()
    with contextlib.suppress(WebSocketDisconnect):
        while True:
            await websocket.send_text(counting.answer(await websocket.receive_text()))


STARLETTE = Starlette(routes=[WebSocketRoute("/starlette", starlette)])


async def app(scope, receive, send):
    if scope["type"] == "websocket" and scope["path"] == "/starlette":
        await STARLETTE(scope, receive, send)
        return
    if scope["type"] == "lifespan":
        return
    if scope["type"] == "http":
        body = str(PID).encode()
        if scope["path"] == "/slow":
            await asyncio.sleep(0.5)  # a request that is under way
        length = (b"content-length", str(len(body)).encode())
        await send({"type": "http.response.start", "status": 200, "headers": [length]})
        await send({"type": "http.response.body", "body": body})
        return
    await websocket(scope, receive, send)


async def websocket(scope, receive, send):
    counting = Counting(scope["query_string"])
    handover = scope["extensions"]["stickyd.handover"]
    assert (await receive())["type"] == "websocket.connect"
    if handover["state"] is not None:
        counting.load(handover["state"])
    path = scope["path"]
    if path == "/afterwards":
        await send({"type": "websocket.accept"})
    offered = path != "/no" and handover["offer"](how(path, counting))
    if path != "/afterwards":
        await send({"type": "websocket.accept", "headers": [(b"x-offered", b"%d" % offered)]})
    else:
        await send({"type": "websocket.send", "text": f"offered {int(offered)}"})

    async def ticks():
        try:
            while True:
                await send({"type": "websocket.send", "text": counting.tick()})
                await asyncio.sleep(EVERY)  # the pace of the ticks
        except OSError:
            pass

    task = asyncio.ensure_future(ticks()) if path == "/ticks" else None
    while True:
        message = await receive()
        if message["type"] == "websocket.disconnect":
            break
        text = message.get("text") or message["bytes"].decode()
        await send({"type": "websocket.send", "text": counting.answer(text)})
    if task is not None:
        task.cancel()


@implementer(IHandsOver)
class Counted(Quiet):
    """The same of twisted.web."""

    def __init__(self, request):
        self.counting = Counting(request.uri)
        self.path = request.path.decode()
        self.ticking = LoopingCall(self.tick)

    def handOver(self):
        if self.path == "/late":
            return deferLater(reactor, 0.05, self.counting.save)
        return how(self.path, self.counting)()

    def takeOver(self, state):
        self.counting.load(state)

    def negotiationFinished(self):
        if self.path == "/ticks":
            self.ticking.start(EVERY)

    def tick(self):
        # The count is of what is sent, so what is written when the state is told is not counted.
        self.transport.sendTextMessage(self.counting.tick())

    def textMessageReceived(self, message):
        self.transport.sendTextMessage(self.counting.answer(message))

    def bytesMessageReceived(self, data):
        self.textMessageReceived(bytes(data).decode())

    def connectionLost(self, reason):
        if self.ticking.running:
            self.ticking.stop()


class Pid(Resource):
    isLeaf = True

    def render_GET(self, request):
        return str(PID).encode()


def root():
    site = Resource()
    for path in (b"ws", b"ticks", b"late", b"refuses", b"large", b"fails"):
        site.putChild(path, WebSocketResource(Sockets(Counted)))
    site.putChild(b"no", WebSocketResource(Sockets(Quiet)))
    site.putChild(b"", Pid())
    return site
