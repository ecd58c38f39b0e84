"""The offer of a twisted.web app to have its WebSocket handed over: its protocol's interface."""

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import ensureDeferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from stickyd.worker.connection.interfaces import Connection
from stickyd.worker.connection.upgraded import Upgraded
from stickyd.worker.handover.handing import Handing, told_by
from stickyd.worker.handover.interfaces import IHandsOver
from stickyd.worker.interfaces import ClientChannel

_log = Logger("stickyd")


class CannotTakeOver(Exception):
    """The app does not take over WebSockets that its predecessor has handed over."""


class WebOffer:
    """What a `WebSocketProtocol` of twisted.web offers.

    :param wire: of `twisted.web.websocket`; has ``_wsconn``, the connection of wsproto.
    :param app: the app's protocol, which provides `IHandsOver`.
    :ivar offered: always.
    :ivar extensions: Twisted offers none.
    """

    offered = True
    extensions = ""

    def __init__(self, wire: Any, app: Any) -> None:
        self._wire = wire
        self._app = app
        self._frozen = False
        self.on_offered: Callable[[], None] = lambda: None

    def is_open(self) -> bool:
        """Whether neither side has begun to close."""
        transport = self._wire.transport
        return self._wire._wsconn.state.name == "OPEN" and not transport.disconnecting

    def when_idle(self, call: Callable[[], None]) -> None:
        """A protocol receives messages as they are delivered: at once."""
        call()

    def ask(self, done: Callable[[bytes | None], None]) -> None:
        """Call ``handOver`` of the protocol."""

        def told(state: bytes | None) -> None:
            if state is not None:
                self._freeze()
            done(state)

        def failed(failure: Failure) -> None:
            _log.failure("an app failed to tell the state of a WebSocket", failure)
            done(None)

        asked = ensureDeferred(told_by(self._app.handOver))
        asked.addCallbacks(told, failed)
        asked.addErrback(lambda failure: _log.failure("a handover failed", failure))

    def _freeze(self) -> None:
        self._frozen = True
        self._wire.transport.write = _drop

    def flush(self) -> None:
        """All is in the transport already."""

    def thaw(self) -> None:
        """Let the protocol write again."""
        if self._frozen:
            self._frozen = False
            del self._wire.transport.write

    def gone(self) -> None:
        """``connectionLost`` tells it."""


def _drop(data: bytes) -> None:
    """What is written after the state was told; the other worker may write it."""


def app_of(wire: Any) -> Any:
    """The app's protocol, if it can be handed over; None for any other."""
    app = getattr(wire, "_wsp", None)
    known = hasattr(wire, "_wsconn") and IHandsOver.providedBy(app)
    return app if known else None


def take_over(channel: ClientChannel, wire: Any) -> None:
    """Give the app the state of a WebSocket that comes from another worker.

    :raise CannotTakeOver: if its protocol does not take it.
    """
    if channel.handed is not None:
        app = app_of(wire)
        if app is None:
            raise CannotTakeOver
        app.takeOver(channel.handed.state)


def prepare(channel: Connection, wire: Any, upgraded: Upgraded) -> None:
    """Let the WebSocket be handed over, if the app's protocol can be."""
    app = app_of(wire)
    if app is not None:
        channel.handing = Handing(channel, upgraded, WebOffer(wire, app))
