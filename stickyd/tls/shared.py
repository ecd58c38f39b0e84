"""What the connections of one TLS process share."""

from collections.abc import Callable
from typing import Any

import attrs
from OpenSSL import SSL

from stickyd.ipc.fd_sender import InboxSender
from stickyd.net.epoll import Poller
from stickyd.net.timeouts import Sweeper


class Connection:
    """A connection, in whatever state.

    :ivar deadline: in the reactor's seconds, or None.
    """

    __slots__ = ("deadline",)

    def __init__(self) -> None:
        self.deadline: float | None = None

    def expired(self) -> None:
        """For the sweeper: the deadline has passed."""
        raise NotImplementedError

    def drop(self) -> None:
        """End it at once."""
        raise NotImplementedError


@attrs.frozen
class Bounds:
    """What clients may use.

    :ivar handshake: seconds for a handshake.
    :ivar send: longest silence of a client, in seconds, while it takes the last bytes.
    :ivar most: connections at a time.
    """

    handshake: float
    send: float
    most: int


@attrs.define(eq=False)
class Shared:
    """What the connections of one TLS process share.

    :ivar gate: puts plain sides into the master's inbox.
    :ivar context: for new connections.
    :ivar debug: failed handshakes are logged.
    :ivar asks_clients: for certificates.
    :ivar handshakes: connections whose handshake is under way.
    :ivar relays: connections that are open.
    :ivar on_over: called when a handshake or a connection is over.
    """

    reactor: Any
    poller: Poller
    sweeper: Sweeper
    gate: InboxSender
    context: SSL.Context
    bounds: Bounds
    debug: bool = False
    asks_clients: bool = False
    handshakes: set[Connection] = attrs.field(init=False, factory=set)
    relays: set[Connection] = attrs.field(init=False, factory=set)
    on_over: Callable[[], None] = attrs.field(init=False, default=lambda: None)

    def full(self) -> bool:
        """Whether no more connections are accepted."""
        return len(self.handshakes) + len(self.relays) >= self.bounds.most
