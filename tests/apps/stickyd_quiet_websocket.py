"""A WebSocket of twisted.web that does nothing by itself, for apps to fill in."""


class Quiet:
    def __init__(self, request):
        pass

    def negotiationStarted(self, transport):
        self.transport = transport

    def negotiationFinished(self):
        pass

    def textMessageReceived(self, message):
        pass

    def bytesMessageReceived(self, data):
        pass

    def pongReceived(self, payload):
        pass

    def connectionLost(self, reason):
        pass


class Sockets:
    """The factory that `twisted.web.websocket.WebSocketResource` asks."""

    def __init__(self, kind):
        self._kind = kind

    def buildProtocol(self, request):
        return self._kind(request)
