"""Starts another worker in a slot whose worker has ended, with a backoff for early deaths."""

from collections.abc import Iterable
from typing import Any

from twisted.logger import Logger
from twisted.python.failure import Failure

from stickyd.master.supervisor.replacement import Replacement, log_traceback, why
from stickyd.master.supervisor.slots import Slot
from stickyd.master.supervisor.worker_process import WorkerProcess

BACKOFF_FIRST = 0.25
BACKOFF_MOST = 30.0

_log = Logger("stickyd")


class Respawner:
    """Starts workers in slots that have none."""

    def __init__(self, reactor: Any, replacement: Replacement) -> None:
        self._reactor = reactor
        self._replacement = replacement
        self._respawns: dict[int, Any] = {}

    def now(self, slot: Slot) -> None:
        """Start a worker."""
        self._respawns.pop(slot.number, None)
        worker = self._replacement.spawn(slot)
        worker.loaded.addCallbacks(
            lambda _: self._replacement.serve_if_unserved(slot, worker, "replacement"),
            self._died_early,
            errbackArgs=(slot, worker),
        )
        worker.loaded.addErrback(lambda failure: _log.failure("no replacement", failure))

    def _died_early(self, failure: Failure, slot: Slot, worker: WorkerProcess) -> None:
        worker.kill()
        slot.early_deaths += 1
        if not self._replacement.stopping and not slot.in_change:
            _log.error("worker {slot}: {why}", slot=slot.number, why=why(failure))
            log_traceback(failure)
            worker.ended.addCallback(lambda _: self.later(slot))

    def unserved(self, slots: Iterable[Slot]) -> None:
        """Start workers in those slots that no worker serves."""
        for slot in slots:
            if slot.serving is None:
                self.later(slot)

    def later(self, slot: Slot) -> None:
        """Start a worker after a delay, which doubles with each worker that ended early."""
        if self._replacement.stopping or slot.in_change or slot.starting is not None:
            return
        self.cancel(slot)
        delay = min(BACKOFF_FIRST * 2**slot.early_deaths, BACKOFF_MOST)
        _log.warn("worker {slot} is started again in {delay} s", slot=slot.number, delay=delay)
        self._respawns[slot.number] = self._reactor.callLater(delay, self.now, slot)

    def cancel(self, slot: Slot) -> None:
        """Cancel the delayed start."""
        respawn = self._respawns.pop(slot.number, None)
        if respawn is not None:
            respawn.cancel()
