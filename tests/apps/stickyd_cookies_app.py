"""What tests/slow/haproxy_cookie asks of a server: it tells which cookies it has seen.

``/page?status=N&cache=TEXT&set=COOKIE`` answers with that status, Cache-Control and
Set-Cookie lines (``set`` may be repeated); ``/ws`` speaks WebSocket.
"""

import json
import os

from twisted.web.resource import Resource
from twisted.web.websocket import WebSocketResource


class Page(Resource):
    isLeaf = True

    def render(self, request):
        arguments = request.args
        request.setResponseCode(int(arguments.get(b"status", [b"200"])[0]))
        for value in arguments.get(b"cache", ()):
            request.setHeader(b"Cache-Control", value)
        for cookie in arguments.get(b"set", ()):
            request.responseHeaders.addRawHeader(b"Set-Cookie", cookie)
        request.setHeader(b"X-Server", str(os.getpid()))
        lines = request.requestHeaders.getRawHeaders(b"Cookie", [])
        seen = json.dumps([line.decode("latin-1") for line in lines])
        request.setHeader(b"X-Seen", seen)
        return b"" if request.code in (204, 304) else seen.encode()


class Socket:
    def buildProtocol(self, request):
        return Socket()

    def negotiationStarted(self, transport):
        self.transport = transport

    def negotiationFinished(self):
        self.transport.sendTextMessage(str(os.getpid()))

    def connectionLost(self, reason):
        pass


class Root(Resource):
    def __init__(self):
        super().__init__()
        self.putChild(b"page", Page())
        self.putChild(b"ws", WebSocketResource(Socket()))
