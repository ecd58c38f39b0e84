"""The master's end of a worker's control channel."""

import json
from typing import TYPE_CHECKING, Any

from stickyd import control

if TYPE_CHECKING:
    from stickyd.master.process import WorkerProcess


class MastersEnd(control.Link):
    """Hears what one worker tells unasked."""

    def __init__(self, worker: "WorkerProcess") -> None:
        super().__init__()
        self._worker = worker

    @control.Progress.responder
    def progress(self, counters: bytes) -> dict[str, Any]:
        """A worker tells how far it is."""
        self._worker.counters = json.loads(counters)
        return {}

    @control.Misrouted.responder
    def misrouted(self, slot: int, named: int, source: str) -> dict[str, Any]:
        """A worker saw its first misrouted request."""
        self._worker.on_misrouted(slot, named, source)
        return {}

    @control.Worn.responder
    def worn(self, reason: str) -> dict[str, Any]:
        """A worker asks to be replaced."""
        self._worker.on_worn(self._worker, reason)
        return {}
