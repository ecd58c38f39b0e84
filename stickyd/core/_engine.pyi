"""The compiled engine of a worker."""

import socket
from collections.abc import Callable
from typing import Any

BUILT_FROM: str

class Lane:
    """One connection of an engine: what exchanges ask of a channel and of its transport."""

class LaneInbox:
    """Reads an inbox, as `stickyd.ipc.fd_queue.InboxReader` does."""

    on_end: Callable[[], object] | None
    def start(self) -> None: ...
    def stop(self) -> None: ...
    def take(self) -> bool: ...

class WebExchange:
    """One request of a lane; a base of `stickyd.worker.apps.web.WebExchange`'s class for lanes."""

class WebSite:
    """What such exchanges of one site share."""

    def __init__(self, parts: Any) -> None: ...

class AsgiExchange:
    """One request of a lane; a base of `stickyd.worker.apps.compiled.asgi`'s class for lanes."""

class AsgiSite:
    """What such exchanges of one app share."""

    def __init__(self, parts: Any) -> None: ...

def answer_head(
    asked: bytes, code: int, reason: Any, fields: Any, last: bool, extra: bytes
) -> tuple[bytes, int | None, bool] | None: ...

class Engine:
    enabled: bool
    def __init__(self, parts: Any) -> None: ...
    def turn(self) -> None: ...
    def close(self) -> None: ...
    def inbox(
        self,
        receiver: socket.socket,
        adopt: Callable[[bytes, int], None],
        lost: Callable[[bytes], None],
    ) -> LaneInbox: ...
