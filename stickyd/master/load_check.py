"""Loads the app once, in a worker process that does not serve (``stickyd check --load``)."""

import sys
from typing import Any

import attrs
from twisted.internet import defer
from twisted.logger import (
    FileLogObserver,
    ILogObserver,
    LogEvent,
    Logger,
    eventAsText,
    globalLogBeginner,
)
from twisted.python.failure import Failure
from zope.interface import implementer

from stickyd.ipc.fd_queue import make_inbox
from stickyd.master.spawner import spawner_of
from stickyd.master.supervisor.replacement import KILL_AFTER, traceback_of, why
from stickyd.master.supervisor.worker_process import WorkerProcess, WorkerStart
from stickyd.net.process_group import LeftGroups
from stickyd.settings import Settings
from stickyd.shm.worker_stats import WorkerStats

STACKS_FIRST = 1.0
"""Seconds that a worker which has not loaded in time has to write the stacks of its threads."""

_log = Logger("stickyd")


@implementer(ILogObserver)
class _WorkerOutput:
    """Writes the worker's output to standard error, and drops Twisted's own log lines."""

    def __init__(self) -> None:
        self._print = FileLogObserver(sys.stderr, _text)

    def __call__(self, event: LogEvent) -> None:
        if event.get("log_namespace") == "stickyd":
            self._print(event)


def _text(event: LogEvent) -> str:
    return eventAsText(event, includeTimestamp=False, includeSystem=False) + "\n"


def load_once(reactor: Any, settings: Settings) -> str:
    """Run the reactor until a worker has loaded and started the app, and ended again.

    A traceback and what the app prints are on standard error.

    :return: why it cannot be loaded, in one line; empty if it can.
    """
    globalLogBeginner.beginLoggingTo([_WorkerOutput()], redirectStandardIO=False)
    result = ["it was interrupted"]

    async def go() -> None:
        try:
            result[0] = await _load(reactor, settings)
        except Exception:
            _log.failure("cannot check")
            result[0] = "cannot check (the traceback above is a bug)"
        reactor.stop()

    reactor.callWhenRunning(lambda: defer.ensureDeferred(go()))
    reactor.run()
    return result[0]


async def _load(reactor: Any, settings: Settings) -> str:
    worker = WorkerProcess(reactor, 1, _NoEvents(), WorkerStats.shared())
    sender, receiver = make_inbox()
    with sender, receiver:
        limit = settings.lifecycle.start_timeout
        late = reactor.callLater(limit, worker.kill, STACKS_FIRST, True) if limit else None
        in_full = attrs.evolve(
            settings,
            app=attrs.evolve(settings.app, display_tracebacks=True),
            log=attrs.evolve(settings.log, format="text"),
        )
        start = WorkerStart(in_full, 1, [1], receiver, {1: sender}, only_load=True)
        spawner = spawner_of(reactor, in_full)
        failed: Failure | None = None
        try:
            await spawner.renew()
            worker.start(start, spawner)
            await worker.loaded
        except Exception:
            failed = Failure()
        in_time = late is None or late.active()
        if late is not None and late.active():
            late.cancel()
        if failed is None:
            worker.link.retire(settings.lifecycle.graceful_timeout, [], "stop")
            worker.kill(after=settings.lifecycle.graceful_timeout + KILL_AFTER)
        elif in_time:
            worker.kill()
        if worker.pid:
            await worker.ended
        groups = LeftGroups(reactor)
        worker.leave(groups, 0.0)
        await groups.stop(0.0)
        spawner.close()
        await spawner.stop()
    if failed is None:
        return ""
    text = traceback_of(failed)
    if text:
        sys.stderr.write(text + "\n")
    return why(failed) if in_time else f"the app has not loaded within {limit} s"


class _NoEvents:
    """A worker that does not serve reports nothing."""

    def misrouted(self, slot: int, named: int, source: str) -> None:
        """Never called: no request is served."""

    def drained(self, worker: WorkerProcess) -> None:
        """It serves nothing."""

    def recycle_requested(self, worker: WorkerProcess, reason: str) -> None:
        """Never called: no request is served."""
