"""A slot whose worker has died gets another one: at once, or after a while if they die early."""

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

    def __init__(self, reactor: Any, succession: Replacement) -> None:
        self._reactor = reactor
        self._succession = succession
        self._respawns: dict[int, Any] = {}

    def now(self, slot: Slot) -> None:
        """Start one."""
        self._respawns.pop(slot.number, None)
        worker = self._succession.bring(slot)
        worker.loaded.addCallbacks(
            lambda _: self._succession.fill(slot, worker, "replacement"),
            self._died_early,
            errbackArgs=(slot, worker),
        )
        worker.loaded.addErrback(lambda failure: _log.failure("no replacement", failure))

    def _died_early(self, failure: Failure, slot: Slot, worker: WorkerProcess) -> None:
        worker.kill()
        slot.early_deaths += 1
        if not self._succession.stopping and not slot.going:
            _log.error("worker {slot}: {why}", slot=slot.number, why=why(failure))
            log_traceback(failure)
            worker.ended.addCallback(lambda _: self.later(slot))

    def later(self, slot: Slot) -> None:
        """Start one after a while, the longer the more have died before they could serve."""
        if self._succession.stopping or slot.going or slot.coming is not None:
            return
        self.cancel(slot)
        delay = min(BACKOFF_FIRST * 2**slot.early_deaths, BACKOFF_MOST)
        _log.warn("worker {slot} is started again in {delay} s", slot=slot.number, delay=delay)
        self._respawns[slot.number] = self._reactor.callLater(delay, self.now, slot)

    def cancel(self, slot: Slot) -> None:
        """Start none for now."""
        respawn = self._respawns.pop(slot.number, None)
        if respawn is not None:
            respawn.cancel()
