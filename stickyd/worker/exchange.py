"""What a channel asks of one request and its answer, whatever kind of app gives it."""

from typing import Protocol

from twisted.python.failure import Failure


class Exchange(Protocol):
    """One request and its answer.

    It writes through the channel's transport, and calls the channel's
    ``answered`` once when the answer is whole.

    :ivar begun: whether anything of the answer has been written.
    """

    begun: bool

    def bodyReceived(self, data: bytes) -> None:
        """Part of the request body."""

    def requestReceived(self) -> None:
        """The request is whole."""

    def connectionLost(self, reason: Failure) -> None:
        """No answer can be given any more."""
