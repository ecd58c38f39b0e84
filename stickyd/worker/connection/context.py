"""What the connections of one worker share."""

import attrs
from twisted.internet.interfaces import IReactorTime

from stickyd.http1.limits import Limits
from stickyd.net.epoll import Poller
from stickyd.settings import Settings, Timeouts, WebSocketSettings
from stickyd.worker.accounting import Accounting
from stickyd.worker.connection.access_log import AccessLog
from stickyd.worker.connection.round_robin import RoundRobin
from stickyd.worker.connection_set import ConnectionSet
from stickyd.worker.slot_routing import SlotRouting


@attrs.frozen
class ConnectionConfig:
    """The settings that apply to each connection.

    :ivar slot: of the worker, from 1.
    :ivar moves: connections move to the slot that a request names (request scope).
    :ivar limits: of heads and bodies.
    :ivar timeouts: of each connection.
    :ivar header_line: a field that every answer gets (--worker-header), b"" for none.
    :ivar websocket: what holds for every WebSocket.
    :ivar request_id: name in lower case of the field with the id of a request; b"" for none.
    """

    slot: int
    moves: bool
    limits: Limits
    timeouts: Timeouts
    header_line: bytes
    websocket: WebSocketSettings
    request_id: bytes = b""

    @classmethod
    def of(cls, settings: Settings, slot: int) -> "ConnectionConfig":
        """The part of a daemon's settings that concerns connections."""
        name = settings.log.worker_header
        return cls(
            slot,
            settings.routing.scope == "request",
            settings.limits.request,
            settings.timeouts,
            f"{name}: {slot}\r\n".encode("ascii") if name else b"",
            settings.limits.websocket,
            settings.log.id_name,
        )


@attrs.frozen
class WorkerContext:
    """The parts of a worker that its connections use.

    :ivar reactor: its clock.
    :ivar poller: watches the descriptors of connections.
    :ivar round_robin: shares turns of the reactor among upgraded connections.
    :ivar access: the access log, None without one.
    """

    reactor: IReactorTime
    config: ConnectionConfig
    poller: Poller
    round_robin: RoundRobin
    connections: ConnectionSet
    accounting: Accounting
    routing: SlotRouting
    access: AccessLog | None
