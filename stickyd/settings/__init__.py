"""The parsed command line as one frozen value, shared by the master and the workers.

Times are seconds, sizes are bytes. The master sends the settings to each worker as JSON.
"""

import json
from collections.abc import Mapping, Sequence
from functools import lru_cache

import attrs

from stickyd.http1.limits import Limits as RequestLimits
from stickyd.routing.policy import Policy
from stickyd.routing.source import LearnedIds
from stickyd.routing.trusted_peers import LOCAL_PEERS
from stickyd.settings.app import AppSettings, OriginSettings, ReloadSettings
from stickyd.settings.structure import Json, nested, structure
from stickyd.settings.tls import TlsSettings

__all__ = ["AppSettings", "Json", "OriginSettings", "ReloadSettings", "TlsSettings"]

MOST_WORKERS = 512
"""Slots of one daemon: each worker holds the sending end of every inbox."""


@attrs.frozen
class ProxySettings:
    """The PROXY header.

    :ivar protocol: ``off``, ``v1``, ``v2`` or ``auto``.
    :ivar allow_from: peers that may send one.
    """

    protocol: str = "off"
    allow_from: str = LOCAL_PEERS


@attrs.frozen
class IdSettings:
    """Ids that answers hand out.

    :ivar cookie_attributes: of the cookie of ``insert``, as given.
    :ivar learn_most: most ids that are remembered for ``learn``.
    :ivar learn_idle: seconds without a request after which such an id is forgotten.
    """

    cookie_attributes: str = ""
    learn_most: int = 65536
    learn_idle: float = 3600.0


@attrs.frozen
class RoutingSettings:
    """How a worker is chosen.

    :ivar scope: what is placed, ``connection`` or ``request``.
    :ivar balance_factor: bound on a worker's load, percent of the average; 0 for no bound.
    :ivar trusted: peers whose forwarding headers count.
    """

    seed: int = attrs.field(default=1, repr=False)
    affinity: str = "xff,src"
    scope: str = "connection"
    hash: str = "rendezvous"
    balance_factor: int = 0
    trusted: str = LOCAL_PEERS
    proxy: ProxySettings = attrs.field(factory=ProxySettings)
    ids: IdSettings = attrs.field(factory=IdSettings)


@attrs.frozen
class Timeouts:
    """How long a connection may wait; see ``stickyd.worker.connection.timeout_rules``.

    :ivar min_rate: bytes per second of a body or a response; 0 for any progress.
    """

    keep_alive: float = 75.0
    head: float = 10.0
    body: float = 60.0
    send: float = 60.0
    min_rate: int = 240
    inbox: float = 10.0
    half_close: float = 10.0


@attrs.frozen
class WebSocketSettings:
    """What holds for every WebSocket.

    :ivar message: size of a message at most.
    :ivar ping_interval: seconds from one ping to the next; 0 for no pings.
    :ivar ping_timeout: seconds to answer a ping; 0 for no limit.
    :ivar threads: WebSockets of a WSGI app in each worker, which take a thread each.
    :ivar deflate: permessage-deflate (RFC 7692) is offered, where the app's library has it.
    """

    message: int = 16 * 1024 * 1024
    ping_interval: float = 20.0
    ping_timeout: float = 20.0
    deflate: bool = True
    threads: int = 64


@attrs.frozen
class Limits:
    """Bounds on what clients may use.

    :ivar connections: open connections of the daemon.
    """

    connections: int = 1000
    websocket: WebSocketSettings = attrs.field(factory=WebSocketSettings)
    request: RequestLimits = attrs.field(factory=RequestLimits)


@attrs.frozen
class SessionSettings:
    """What an old worker does with the keys it knows, in seconds.

    :ivar drain: how long it serves them after a reload; 0 for not at all.
    :ivar idle: without a request or connection for so long a key is forgotten then; 0 for the
        keep-alive time.
    """

    drain: float = 0.0
    idle: float = 0.0


@attrs.frozen
class RecycleSettings:
    """When a worker is replaced because of its age.

    :ivar max_requests: requests after which it is replaced; 0 for never.
    :ivar max_requests_jitter: the most that are added at random.
    """

    max_requests: int = 0
    max_requests_jitter: int = 0


@attrs.frozen
class EndSettings:
    """What happens when the daemon stops, or a worker has ended.

    :ivar close_spread: WebSockets and idle connections are closed over so long.
    :ivar shutdown_delay: the daemon continues to serve for so long after TERM.
    :ivar child_exit: import name of a callable, or "".
    """

    close_spread: float = 1.0
    shutdown_delay: float = 0.0
    child_exit: str = ""


@attrs.frozen
class LifecycleSettings:
    """When workers are replaced; a time of 0 means never.

    :ivar heartbeat_timeout: without a heartbeat for so long, a worker is killed.
    :ivar guardian: whether the master keeps copies of idle connections.
    """

    graceful_timeout: float = 30.0
    heartbeat_timeout: float = 30.0
    start_timeout: float = 120.0
    recycle: RecycleSettings = attrs.field(factory=RecycleSettings)
    end: EndSettings = attrs.field(factory=EndSettings)
    session: SessionSettings = attrs.field(factory=SessionSettings)
    slot_failover: float = 10.0
    guardian: bool = True


@attrs.frozen
class LogSettings:
    """What the daemon tells of its work.

    :ivar access_file: an absolute path, ``-`` for the daemon's log, or "" for no access log.
    :ivar admin: endpoint description of the admin listener, or "" for none; with one the
        durations of requests are measured.
    :ivar format: of the daemon's log, ``text`` or ``json``.
    :ivar level: the least one that is written; see `stickyd.logs.log_format`.
    :ivar request_id: name of the header that carries the id of a request, or "" for none.
    :ivar worker_header: name of the response header that carries the slot, or "".
    """

    access_file: str = ""
    access_format: str = "combined"
    admin: str = ""
    format: str = "text"
    level: str = "info"
    request_id: str = ""
    worker_header: str = ""

    @property
    def id_name(self) -> bytes:
        """The name of the header with the id of a request, in lower case; b"" for none."""
        return self.request_id.lower().encode("ascii")


@attrs.frozen
class Settings:
    """All settings of a daemon."""

    workers: int = 2
    routing: RoutingSettings = attrs.field(factory=RoutingSettings)
    app: AppSettings = attrs.field(factory=AppSettings)
    timeouts: Timeouts = attrs.field(factory=Timeouts)
    limits: Limits = attrs.field(factory=Limits)
    lifecycle: LifecycleSettings = attrs.field(factory=LifecycleSettings)
    log: LogSettings = attrs.field(factory=LogSettings)
    tls: TlsSettings = attrs.field(factory=TlsSettings)

    def counts_loads(self) -> bool:
        """Whether the loads of the slots decide: `LoadBalancer` needs the scoreboard."""
        return bool(self.routing.balance_factor) or self.policy().by_load

    def policy(
        self,
        slots: Sequence[int] = (),
        version: int = 1,
        learned: LearnedIds | None = None,
    ) -> Policy:
        """The shared decision over ``slots``, 1 to ``workers`` if none are given."""
        slots = slots or range(1, self.workers + 1)
        routing = self.routing
        return Policy.build(
            routing.affinity, routing.trusted, routing.hash, routing.seed, slots, version, learned
        )

    @classmethod
    def from_paths(cls, values: Mapping[str, Json]) -> "Settings":
        """The settings from values by path, such as ``timeouts.keep_alive``; all of them.

        :raise ValueError: as `from_json`.
        """
        return cls.from_json(nested(values))

    def to_text(self) -> str:
        """The settings as one text, for `from_text`."""
        return json.dumps(self.to_json())

    @classmethod
    def from_text(cls, text: str) -> "Settings":
        """The settings from what `to_text` returned.

        The last ones are kept: a forked worker has those of its template.
        """
        return _parsed(text)

    def to_json(self) -> dict[str, Json]:
        """The settings as a value that ``json.dumps`` takes."""
        return attrs.asdict(self)

    @classmethod
    def from_json(cls, value: Json) -> "Settings":
        """The settings from what ``json.loads`` made of `to_json`.

        :raise ValueError: for a missing or unknown field, or a value of another type.
        """
        return structure(cls, value, "settings")


@lru_cache(maxsize=1)
def _parsed(text: str) -> Settings:
    return Settings.from_json(json.loads(text))
