"""What the parts of a connection use of it; `stickyd.worker.connection.channel` has it all."""

from typing import Protocol

from twisted.python.failure import Failure

from stickyd.ipc.frame import Frame
from stickyd.worker.connection.access_log import LoggedRequest
from stickyd.worker.connection.body import RequestBody
from stickyd.worker.interfaces import ClientChannel, Exchange, UpgradedReceiver


class Connection(ClientChannel, Protocol):
    """The state of one client connection.

    :ivar buffer: bytes read and not yet part of a request.
    :ivar client_done: the client has finished sending.
    :ivar came_with: the next request arrived with the connection, from the master or a worker.
    :ivar exchange: the request that is being received or answered.
    :ivar logged: the same for the access log.
    :ivar body: the body of the request that is being received.
    :ivar upgraded: the receiver of a connection that the app has taken over.
    :ivar keys: noted if the worker had to (`stickyd.worker.key_owner`).
    :ivar began: when its request was given to the app; 0 if that is not measured.
    """

    buffer: bytes
    client_done: bool
    came_with: bool
    exchange: Exchange | None
    logged: LoggedRequest | None
    body: RequestBody | None
    upgraded: UpgradedReceiver | None
    keys: tuple[str, ...]
    began: float

    # As the connection set and the sweeper ask of it.

    def reattach(self, frame: Frame, descriptor: int) -> None:
        """The connection has come back, after it moved to another worker."""

    def begin(self) -> None:
        """Serve it: it has just been adopted."""

    def idle(self) -> bool:
        """Whether no request has begun and every answer is sent."""

    def close(self) -> None:
        """Close in order."""

    def retire(self) -> None:
        """The worker ends."""

    def going_away(self) -> None:
        """Its turn to be closed has come."""

    def close_gracefully(self) -> None:
        """The grace period is over."""

    def expired(self) -> None:
        """The deadline has passed."""

    # While the worker drains.

    def in_use(self) -> bool:
        """Whether a request is under way, or the connection is upgraded."""

    def hold_keys(self) -> None:
        """The worker begins to drain: keep the keys in use here."""

    # As the transport asks of its owner.

    def connectionLost(self, reason: Failure) -> None:
        """The connection has ended."""

    def dataReceived(self, data: bytes) -> None:
        """Bytes of the client."""
