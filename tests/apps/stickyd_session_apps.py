"""A session that a WebSocket makes and requests add to, as notebooks have; ASGI and twisted.web."""

import json
import secrets

from twisted.web.resource import Resource
from twisted.web.websocket import WebSocketResource

SESSIONS = {}


def begin():
    """The id of a new session."""
    name = secrets.token_hex(8)
    SESSIONS[name] = []
    return name


def add(name, body):
    """Status and text of the answer to ``POST /add/ID``."""
    if name not in SESSIONS:
        return 404, b"no such session here"
    SESSIONS[name].append(body.decode())
    return 200, b"added"


async def websocket(receive, send):
    await receive()
    await send({"type": "websocket.accept"})
    name = begin()
    await send({"type": "websocket.send", "text": name})
    while (await receive())["type"] != "websocket.disconnect":
        await send({"type": "websocket.send", "text": json.dumps(SESSIONS[name])})
    del SESSIONS[name]


async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        return
    if scope["type"] == "websocket":
        await websocket(receive, send)
        return
    body = b""
    while True:
        message = await receive()
        body += message.get("body", b"")
        if not message.get("more_body"):
            break
    status, text = add(scope["path"].removeprefix("/add/"), body)
    head = [(b"content-length", b"%d" % len(text))]
    await send({"type": "http.response.start", "status": status, "headers": head})
    await send({"type": "http.response.body", "body": text})


class Session:
    def buildProtocol(self, request):
        return Session()

    def negotiationStarted(self, transport):
        self.transport = transport

    def negotiationFinished(self):
        self.name = begin()
        self.transport.sendTextMessage(self.name)

    def textMessageReceived(self, message):
        self.transport.sendTextMessage(json.dumps(SESSIONS[self.name]))

    def connectionLost(self, reason):
        del SESSIONS[self.name]


class Add(Resource):
    isLeaf = True

    def render_POST(self, request):
        status, text = add(request.postpath[0].decode(), request.content.read())
        request.setResponseCode(status)
        return text


def root():
    site = Resource()
    site.putChild(b"ws", WebSocketResource(Session()))
    site.putChild(b"add", Add())
    return site
