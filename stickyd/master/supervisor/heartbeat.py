"""The pulse of the workers: who has been silent for too long, and what has nobody."""

from collections.abc import Callable
from typing import Any

from twisted.internet.task import LoopingCall
from twisted.logger import Logger

from stickyd.master.supervisor.slots import Slot, Slots
from stickyd.master.supervisor.worker_process import WorkerProcess
from stickyd.settings import Settings

EVERY = 1.0
"""Seconds between two looks; workers note their heartbeats as often."""

STACKS_FIRST = 1.0
"""Seconds that a silent worker has to write where its threads are before it is killed."""

_log = Logger("stickyd")


class HeartbeatMonitor:
    """Kills workers that have stopped answering, and tells of slots that stay empty."""

    def __init__(
        self, reactor: Any, settings: Settings, slots: Slots, on_empty: Callable[[Slot], None]
    ) -> None:
        self._reactor = reactor
        self._settings = settings
        self._slots = slots
        self._on_empty = on_empty
        self._looking = LoopingCall(self._look)
        self._looking.clock = reactor
        self._last = 0.0

    def start(self) -> None:
        """Begin to look."""
        self._last = self._reactor.seconds()
        self._looking.start(EVERY, now=False)

    def stop(self) -> None:
        """Look no longer."""
        if self._looking.running:
            self._looking.stop()

    def _look(self) -> None:
        now = self._reactor.seconds()
        passed, self._last = now - self._last, now
        if passed > 2 * EVERY:
            # We were stopped ourselves, and so perhaps was the whole machine.
            passed = 0.0
        for slot in self._slots:
            for worker in slot.workers():
                worker.listen()
                # Not what lies before its last heartbeat.
                self._feel(slot, worker, min(passed, now - worker.heard))
            failover = self._settings.lifecycle.slot_failover
            empty = slot.serving is None and slot.empty_since is not None and not slot.going
            if failover and empty and slot.number not in self._slots.out:
                assert slot.empty_since is not None
                if now - slot.empty_since > failover:
                    self._on_empty(slot)

    def _feel(self, slot: Slot, worker: WorkerProcess, passed: float) -> None:
        times = self._settings.lifecycle
        limit = times.heartbeat_timeout if worker.loaded.called else times.start_timeout
        worker.silent += passed
        if limit and worker.silent > limit and not worker.given_up:
            worker.given_up = True
            _log.error(
                "worker {slot} (pid {pid}) has been silent for {limit} s and is killed",
                slot=slot.number,
                pid=worker.pid,
                limit=limit,
            )
            worker.kill(after=STACKS_FIRST, show_stacks=True)
