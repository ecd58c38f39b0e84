"""What an app of twisted.web implements so that its WebSockets are handed over."""

from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionDone
from zope.interface import Interface


class HandedOver(ConnectionDone):
    """The WebSocket goes on in another worker.

    The reason of ``connectionLost`` in this one.
    """


class IHandsOver(Interface):
    """A WebSocket protocol (`twisted.web.websocket.WebSocketProtocol`) that can be handed over."""

    def handOver() -> "Deferred[bytes | None] | bytes | None":
        """The state of the app for this WebSocket, at most 16,384 bytes.

        Called between two messages. From the moment the state is known nothing is sent that the
        protocol writes, and nothing is received. Then ``connectionLost`` is called with
        `HandedOver`, unless the WebSocket has to be closed because no worker takes it.

        :return: None, if the WebSocket cannot be handed over now: it stays.
        """

    def takeOver(state: bytes) -> None:
        """The WebSocket comes from another worker, whose protocol returned ``state``.

        Called before ``negotiationStarted`` and ``negotiationFinished``, which are called as for
        a new WebSocket. The client does not notice, so it expects no greeting.
        """
