"""Checks the heartbeats of all workers, and for slots that no worker serves."""

from collections.abc import Callable
from typing import Any

from twisted.internet.task import LoopingCall
from twisted.logger import Logger

from stickyd.master.supervisor.slots import Slot, Slots
from stickyd.master.supervisor.worker_process import WorkerProcess
from stickyd.settings import Settings

EVERY = 1.0
"""Seconds between two checks; workers store their heartbeats as often."""

STACKS_FIRST = 1.0
"""Seconds that a silent worker has to write the stacks of its threads before it is killed."""

_log = Logger("stickyd")


class HeartbeatMonitor:
    """Kills workers without a heartbeat, and reports slots without a serving worker.

    :param on_unserved: called with each slot that has had no serving worker for
        ``slot_failover`` seconds.
    """

    def __init__(
        self, reactor: Any, settings: Settings, slots: Slots, on_unserved: Callable[[Slot], None]
    ) -> None:
        self._reactor = reactor
        self._settings = settings
        self._slots = slots
        self._on_unserved = on_unserved
        self._checking = LoopingCall(self._check)
        self._checking.clock = reactor
        self._last = 0.0

    def start(self) -> None:
        """Start checking."""
        self._last = self._reactor.seconds()
        self._checking.start(EVERY, now=False)

    def stop(self) -> None:
        """Stop checking."""
        if self._checking.running:
            self._checking.stop()

    def _check(self) -> None:
        now = self._reactor.seconds()
        passed, self._last = now - self._last, now
        if passed > 2 * EVERY:
            # This process was stopped, and perhaps the whole machine.
            passed = 0.0
        failover = self._settings.lifecycle.slot_failover
        for slot in self._slots:
            for worker in slot.workers():
                worker.heartbeat.observe(worker.stats.last_beat())
                worker.heartbeat.elapse(now, passed)
                self._kill_if_silent(slot, worker)
            since = slot.unserved_since
            if slot.serving is not None or since is None or slot.in_change:
                continue
            if failover and slot.number not in self._slots.out and now - since > failover:
                self._on_unserved(slot)

    def _kill_if_silent(self, slot: Slot, worker: WorkerProcess) -> None:
        times = self._settings.lifecycle
        limit = times.heartbeat_timeout if worker.loaded.called else times.start_timeout
        # Without a process, it is the template that is silent (`stickyd.master.template`).
        if worker.pid and worker.heartbeat.exceeds(limit):
            _log.error(
                "worker {slot} (pid {pid}) has been silent for {limit} s and is killed",
                slot=slot.number,
                pid=worker.pid,
                limit=limit,
            )
            worker.killed_for = "timeout"
            worker.kill(after=STACKS_FIRST, show_stacks=True)
