"""The interface between a connection and the app that answers its requests."""

from collections.abc import Sequence
from typing import Protocol

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from stickyd.http1.error_response import Refusal
from stickyd.http1.head_parser import Head
from stickyd.ipc.frame import Frame
from stickyd.ipc.handover import Handed
from stickyd.worker.connection.context import WorkerContext
from stickyd.worker.connection.next_step import State
from stickyd.worker.connection.transport import ClientTransport
from stickyd.worker.connection.transport_writing import Receiver
from stickyd.worker.connection_set import Handing

EVENT_STREAM = b"text/event-stream"
"""The media type of server-sent events (HTML Living Standard, 9.2.5)."""


class Exchange(Protocol):
    """One request and its answer.

    It writes to the channel's transport, and calls the channel's `ClientChannel.answered` once
    when the answer is complete.

    :ivar begun: whether anything of the answer has been written.
    :ivar status: of the answer; 0 before it has begun.
    :ivar invites: the exchange sends 100 Continue itself when the app asks for the body
        (RFC 9110, 10.1.1); otherwise the channel sends it at once.
    """

    begun: bool
    status: int
    invites: bool

    @property
    def asked(self) -> Head:
        """The head of the request as it came, with what is not for the app."""

    @property
    def issued(self) -> Sequence[str]:
        """The ids that the answer has handed out so far, which are keys."""

    @property
    def event_stream(self) -> bool:
        """Whether the answer has begun, and is one of server-sent events."""

    @property
    def to_head(self) -> bool:
        """Whether the request's method is HEAD."""

    @property
    def whole(self) -> bool:
        """Whether the client will have all of the answer when what is written is sent.

        The app may still be busy with it: Content-Length ends an answer (RFC 9112, 6.3). False for
        the last answer of a connection.
        """

    def bodyReceived(self, data: bytes) -> None:
        """Part of the request body.

        :raise OSError: if it cannot be stored.
        """

    def requestReceived(self) -> None:
        """The request is complete."""

    def connectionLost(self, reason: Failure) -> None:
        """No answer can be sent any more."""


class UpgradedReceiver(Receiver, Protocol):
    """Receives what the client sends after an upgrade (RFC 9110, 7.8), in place of the channel.

    :ivar closes: its protocol has a way to close in order.
    """

    @property
    def closes(self) -> bool:
        """See the class."""

    def sent(self) -> None:
        """The client has taken something of what was written."""

    def close_gracefully(self) -> None:
        """The grace period of the worker is over: close by the protocol's means, or abort."""


class ClientChannel(Protocol):
    """What an exchange asks of the connection that its request came on.

    :ivar deadline: in the reactor's seconds, None without one.
    :ivar keys: as `stickyd.worker.key_owner.KeyHolder` has them.
    :ivar handed: what a WebSocket has brought from another worker; None for any other connection.
    :ivar handing: its handover to another worker; None while that is not possible.
    """

    keys: tuple[str, ...]
    handed: Handed | None
    handing: Handing | None
    context: WorkerContext
    frame: Frame
    transport: ClientTransport
    state: State
    deadline: float | None

    def in_use(self) -> bool:
        """Whether a request is under way, or the connection is upgraded."""

    def movable(self) -> bool:
        """Whether it is a WebSocket that its app hands over to another worker."""

    def answered(self, exchange: Exchange, last: bool) -> None:
        """The answer is complete.

        :param last: no further answer can follow on this connection.
        """

    def hold(self, exchange: Exchange) -> None:
        """The app takes no more of the request body for now."""

    def resume(self, exchange: Exchange) -> None:
        """The app takes more of the request body."""

    def refuse(self, refusal: Refusal) -> None:
        """Answer with an error and close."""

    def pin(self, upgraded: UpgradedReceiver) -> None:
        """The app takes the connection over."""

    def deliver_held(self) -> None:
        """Give what arrived before `pin` to the new receiver."""

    def bytesSent(self, flushed: bool) -> None:
        """The client has taken something, or has to; ``flushed`` if everything is sent."""


class App(Protocol):
    """What a worker runs, of any kind."""

    def start(self) -> "Deferred[None]":
        """Start; fires when requests may come, fails with `CannotLoad`."""

    def exchange(self, channel: ClientChannel, head: Head) -> Exchange:
        """An exchange for a new request."""

    def close(self) -> None:
        """The daemon ends: each answer from now on is the last on its connection."""

    def end_streams(self) -> None:
        """Streams are to end now: tell libraries that do not look at `ExitSignal`."""

    def stop(self, seconds: float) -> "Deferred[None]":
        """No connection is left; fires when the app has ended, after ``seconds`` at most."""
