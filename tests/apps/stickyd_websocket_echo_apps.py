"""Echoes over WebSocket, of twisted.web and ASGI (tests.slow.websocket_cases)."""

from stickyd_quiet_websocket import Quiet, Sockets
from twisted.web.resource import Resource
from twisted.web.websocket import WebSocketResource


class Echo(Quiet):
    def textMessageReceived(self, message):
        self.transport.sendTextMessage(message)

    def bytesMessageReceived(self, data):
        self.transport.sendBytesMessage(bytes(data))


def root():
    site = Resource()
    site.putChild(b"", WebSocketResource(Sockets(Echo)))
    return site


async def app(scope, receive, send):
    if scope["type"] != "websocket":
        raise ValueError("WebSocket only")
    await receive()
    await send({"type": "websocket.accept"})
    while (message := await receive())["type"] == "websocket.receive":
        told = {name: message.get(name) for name in ("text", "bytes")}
        await send({"type": "websocket.send", **told})
