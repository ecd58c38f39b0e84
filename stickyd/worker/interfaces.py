"""What a channel asks of one request and its answer, whatever kind of app gives it."""

from typing import Any, Protocol

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from stickyd.http1.head_parser import Head


class Exchange(Protocol):
    """One request and its answer.

    It writes through the channel's transport, and calls the channel's
    ``answered`` once when the answer is whole.

    :ivar begun: whether anything of the answer has been written.
    :ivar status: of the answer; 0 before it has begun.
    :ivar invites: it says 100 Continue itself, when the app asks for the body (RFC 9110, 10.1.1);
        otherwise the channel says it at once.
    """

    begun: bool
    status: int
    invites: bool

    @property
    def to_head(self) -> bool:
        """Whether the request's method is HEAD."""

    def bodyReceived(self, data: bytes) -> None:
        """Part of the request body."""

    def requestReceived(self) -> None:
        """The request is whole."""

    def connectionLost(self, reason: Failure) -> None:
        """No answer can be given any more."""


class App(Protocol):
    """What a worker runs, whatever its kind."""

    def start(self) -> "Deferred[None]":
        """Get ready; fires when requests may come, fails with `CannotLoad`."""

    def exchange(self, channel: Any, head: Head) -> Exchange:
        """An exchange for a new request."""

    def close(self) -> None:
        """The daemon ends: what is being answered is the last on its connection."""

    def stop(self, seconds: float) -> "Deferred[None]":
        """No connection is left; fires when everything is put away, ``seconds`` later at most."""
