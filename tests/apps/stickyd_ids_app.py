"""An app of every kind that knows nothing of stickyd and keeps its sessions in memory."""

import json
import os
import secrets

from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET
from twisted.web.websocket import WebSocketResource

SLOT = int(os.environ.get("STICKYD_SLOT", "0"))
SESSIONS = {}


def told(cookie, **more):
    return json.dumps({"slot": SLOT, "pid": os.getpid(), "cookie": cookie, **more}).encode()


def visit(cookie, sid):
    """Status and body for a client that brings an id of a session."""
    if sid not in SESSIONS:
        return 404, told(cookie, error="no such session here")
    SESSIONS[sid] += 1
    return 200, told(cookie, visits=SESSIONS[sid])


def begun():
    sid = secrets.token_hex(16)
    SESSIONS[sid] = 0
    return sid


def answer(path, cookie, header):
    """Status, headers and parts of the answer to a request.

    :param cookie: the Cookie header as the app sees it, None without one.
    :param header: the value of X-Id, None without one.
    """
    name = path.strip("/") or "hello"
    body = [told(cookie)]
    if name == "hello":
        return 200, [], body
    if name == "cached":
        return 200, [("Cache-Control", "max-age=60")], body
    if name == "expires":
        return 200, [("Expires", "Thu, 01 Jan 2099 00:00:00 GMT")], body
    if name == "own":
        return 200, [("Set-Cookie", "own=1; Path=/"), ("Set-Cookie", "STICKYD=x; Path=/y")], body
    if name == "refuse":
        return 403, [], body
    if name == "nothing":
        return 204, [], []
    if name == "stream":
        return 200, [("X-Id", begun())], [b"first ", b"second ", *body]
    if name == "header":
        return 200, [("x-iD", begun())], body
    if name == "cookie":
        return 200, [("Set-Cookie", f"sessionid={begun()}; HttpOnly; Path=/")], body
    if name == "forget":
        return 200, [("Set-Cookie", 'sessionid=""; Max-Age=0; Path=/')], body
    if name == "echo":
        return 200, [("X-Id", header)], body
    sid = header
    if name == "by-cookie":
        pairs = [pair.strip().partition("=") for pair in (cookie or "").split(";")]
        sid = next((value for key, _, value in pairs if key == "sessionid"), None)
    status, body = visit(cookie, sid)
    return status, [], [body]


# ---- twisted.web


class Page(Resource):
    isLeaf = True

    def render(self, request):
        cookie = request.getHeader("cookie")
        status, headers, parts = answer(request.path.decode(), cookie, request.getHeader("x-id"))
        request.setResponseCode(status)
        for name, value in headers:
            request.responseHeaders.addRawHeader(name, value)
        for part in parts:
            request.write(part)
        request.finish()
        return NOT_DONE_YET


class Speaker:
    def __init__(self, cookie=None):
        self.cookie = cookie

    def buildProtocol(self, request):
        return Speaker(request.getHeader("cookie"))

    def negotiationStarted(self, transport):
        self.transport = transport

    def negotiationFinished(self):
        self.transport.sendTextMessage(told(self.cookie).decode())

    def textMessageReceived(self, message):
        self.transport.sendTextMessage(told(self.cookie, echo=message).decode())

    def connectionLost(self, reason):
        pass


class Root(Resource):
    def getChild(self, path, request):
        if path == b"ws":
            return WebSocketResource(Speaker())
        return Page()


def root():
    return Root()


# ---- WSGI


def wsgi(environ, start_response):
    path, cookie = environ["PATH_INFO"], environ.get("HTTP_COOKIE")
    status, headers, parts = answer(path, cookie, environ.get("HTTP_X_ID"))
    start_response(f"{status} Said", headers)
    return iter(parts)


# ---- ASGI


async def asgi(scope, receive, send):
    if scope["type"] == "lifespan":
        return
    fields = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
    cookie = fields.get("cookie")
    if scope["type"] == "websocket":
        await receive()
        if scope["path"] == "/ws-refuse":
            await send({"type": "websocket.close"})
            return
        await send({"type": "websocket.accept"})
        await send({"type": "websocket.send", "text": told(cookie).decode()})
        while (message := await receive())["type"] != "websocket.disconnect":
            text = told(cookie, echo=message["text"]).decode()
            await send({"type": "websocket.send", "text": text})
        return
    status, headers, parts = answer(scope["path"], cookie, fields.get("x-id"))
    encoded = [(name.encode(), value.encode()) for name, value in headers]
    await send({"type": "http.response.start", "status": status, "headers": encoded})
    for part in parts:
        await send({"type": "http.response.body", "body": part, "more_body": True})
    await send({"type": "http.response.body"})
