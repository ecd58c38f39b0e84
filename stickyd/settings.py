"""Every choice of the command line, as one frozen value that master and workers share."""

import json
from collections.abc import Sequence
from typing import Any

import attrs

from stickyd.http1.limits import Limits
from stickyd.routing.policy import Policy
from stickyd.routing.trusted_peers import LOCAL_PEERS

MOST_WORKERS = 512
"""Slots of one daemon: a worker holds the sending end of every inbox."""


@attrs.frozen
class Settings:
    """What a daemon does. Times are seconds, ``min_rate`` is bytes a second.

    ``app`` is the kind of app and its name: ``("demo", "")``, ``("class", FQPN)``,
    ``("wsgi", FQPN)``, ``("asgi", FQPN)`` or ``("path", absolute directory)``.
    ``reload`` is the absolute directories whose files are watched; none: they are not.
    """

    workers: int = 2
    seed: int = attrs.field(default=1, repr=False)
    affinity: str = "xff,src"
    scope: str = "connection"
    hash: str = "rendezvous"
    balance_factor: int = 0
    trusted: str = LOCAL_PEERS
    proxy_protocol: str = "off"
    proxy_allow_from: str = LOCAL_PEERS
    app: tuple[str, str] = ("demo", "")
    threads: int = 8
    factory: bool = False
    root_path: str = ""
    display_tracebacks: bool = False
    reload: tuple[str, ...] = ()
    max_connections: int = 1000
    guardian: bool = True
    worker_header: str = ""
    keep_alive: float = 75.0
    head_timeout: float = 10.0
    body_timeout: float = 60.0
    send_timeout: float = 60.0
    min_rate: int = 240
    ws_max_size: int = 16 * 1024 * 1024
    inbox_timeout: float = 10.0
    half_close_timeout: float = 10.0
    graceful_timeout: float = 30.0
    timeout: float = 30.0
    start_timeout: float = 120.0
    max_requests: int = 0
    max_requests_jitter: int = 0
    session_drain: float = 0.0
    slot_failover: float = 10.0
    on_retire: str = ""
    access_log: str = ""
    access_format: str = "combined"
    limits: Limits = attrs.field(factory=Limits)

    def policy(self, slots: Sequence[int] = (), version: int = 1) -> Policy:
        """The shared decision over ``slots``, 1 to ``workers`` if none are given."""
        slots = slots or range(1, self.workers + 1)
        return Policy.build(self.affinity, self.trusted, self.hash, self.seed, slots, version)

    def to_json(self) -> bytes:
        """The settings as they travel to a worker."""
        return json.dumps(attrs.asdict(self)).encode("utf-8")

    @classmethod
    def from_json(cls, data: bytes) -> "Settings":
        """The settings a worker was sent."""
        values: dict[str, Any] = json.loads(data)
        values["limits"] = Limits(**values["limits"])
        for name in ("app", "reload"):
            values[name] = tuple(values[name])
        return cls(**values)
