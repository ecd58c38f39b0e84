"""A twisted.web site with a WebSocket in it."""

import os

from stickyd_quiet_websocket import Quiet, Sockets
from twisted.web.resource import Resource
from twisted.web.websocket import WebSocketResource

SLOT = os.environ.get("STICKYD_SLOT", "-")
ENDED = []


class Echo(Quiet):
    def __init__(self, request):
        self.who = request.getClientAddress().host

    def negotiationFinished(self):
        self.transport.sendTextMessage(f"{SLOT} {self.who}")

    def textMessageReceived(self, message):
        self.transport.sendTextMessage(f"{SLOT}: {message}")

    def bytesMessageReceived(self, data):
        self.transport.sendBytesMessage(bytes(data))

    def connectionLost(self, reason):
        ENDED.append(reason)


class Hello(Resource):
    isLeaf = True

    def render_GET(self, request):
        client = request.getHeader("x-forwarded-for") or "-"
        return f"From worker {SLOT} for {client} ".encode()


class Ended(Resource):
    isLeaf = True

    def render_GET(self, request):
        return b"%d" % len(ENDED)


def root():
    site = Resource()
    site.putChild(b"ws", WebSocketResource(Sockets(Echo)))
    site.putChild(b"", Hello())
    site.putChild(b"ended", Ended())
    return site
