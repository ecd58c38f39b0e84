"""Every choice of the command line, as one frozen value that master and workers share."""

import json
from typing import Any

import attrs

from stickyd.routing.policy import Policy
from stickyd.wire.limits import Limits


@attrs.frozen
class Settings:
    """What a daemon does. Times are seconds.

    ``app`` is the kind of app and its name: ``("demo", "")`` or ``("class", FQPN)``.
    """

    workers: int = 2
    seed: int = 1
    affinity: str = "xff,src"
    scope: str = "connection"
    hash: str = "rendezvous"
    balance_factor: int = 0
    trusted: str = "127.0.0.1,::1"
    proxy_protocol: str = "off"
    proxy_allow_from: str = "127.0.0.1,::1"
    app: tuple[str, str] = ("demo", "")
    worker_header: str = ""
    keep_alive: float = 75.0
    head_timeout: float = 10.0
    body_timeout: float = 60.0
    send_timeout: float = 60.0
    inbox_timeout: float = 10.0
    half_close_timeout: float = 10.0
    graceful_timeout: float = 30.0
    limits: Limits = attrs.field(factory=Limits)

    def policy(self) -> Policy:
        """The shared decision, over slots 1 to ``workers``."""
        slots = range(1, self.workers + 1)
        return Policy.build(self.affinity, self.trusted, self.hash, self.seed, slots)

    def to_json(self) -> bytes:
        """The settings as they travel to a worker."""
        return json.dumps(attrs.asdict(self)).encode("utf-8")

    @classmethod
    def from_json(cls, data: bytes) -> "Settings":
        """The settings a worker was sent."""
        values: dict[str, Any] = json.loads(data)
        values["limits"] = Limits(**values["limits"])
        values["app"] = tuple(values["app"])
        return cls(**values)
