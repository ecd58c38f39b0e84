"""An app that takes the transport without a word, with a protocol like Autobahn's."""

import struct

from twisted.internet.protocol import Protocol
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET


class Speaks(Protocol):
    def sendCloseFrame(self, code=None, reasonUtf8=None, isReply=False):
        self.transport.write(b"\x88\x02" + struct.pack("!H", code))
        self.transport.loseConnection()


class Taken(Resource):
    isLeaf = True

    def render_GET(self, request):
        transport, request.channel.transport = request.channel.transport, None
        transport.protocol = protocol = Speaks()
        protocol.makeConnection(transport)
        transport.write(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\nopen")
        return NOT_DONE_YET
