"""The compiled engine of a worker."""

import socket
from collections.abc import Callable
from typing import Any

BUILT_FROM: str

class Lane:
    """One connection of an engine: what exchanges ask of a channel and of its transport."""

class LaneInbox:
    """Reads an inbox, as `stickyd.ipc.fd_queue.InboxReader` does."""

    def start(self) -> None: ...
    def stop(self) -> None: ...
    def take(self) -> bool: ...

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
