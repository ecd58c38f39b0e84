"""The process of a worker, however it was made: output, reactor, signals, control channel."""

import faulthandler
import signal
import sys
from collections.abc import Callable, Mapping
from typing import Any

from twisted.logger import ILogObserver, Logger, globalLogBeginner
from twisted.python.failure import Failure
from zope.interface import implementer

from stickyd.ipc.control_channel import adopt_end
from stickyd.logs.record import mark_of
from stickyd.net.own_descriptors import OwnDescriptors, end_process, open_descriptors
from stickyd.net.process_group import end_own_group
from stickyd.process import (
    HELD_BACK,
    drop_saved_ids,
    ignore_signals,
    import_from_working_directory,
    unblock_signals,
)
from stickyd.worker.control_link import WorkerControlLink
from stickyd.worker.lifecycle import WorkerLifecycle
from stickyd.worker.runtime.event_loop import install_asyncio
from stickyd.worker.runtime.event_output import write_event
from stickyd.worker.runtime.late_threads import tell_late_threads
from stickyd.worker.runtime.output import LeveledStream, tell_levels

ORPHANS_LEAST = 1.0
"""Seconds that the app's processes have to end when both master and worker have ended."""

THREADS_LATE = 1.0
"""Seconds after which the log names the threads of the app that the process waits for."""

_log = Logger("stickyd")

Handlers = Mapping[int, Any]
"""What `signal.getsignal` returns, by the number of the signal."""


@implementer(ILogObserver)
class ProcessLog:
    """Writes Twisted's log of this process for the master.

    :ivar own: checked when the reactor fails; None while there is none.
    """

    def __init__(self, output: LeveledStream) -> None:
        self._output = output
        # The app may put others in their places.
        self._streams = sys.stdout, output
        self.own: OwnDescriptors | None = None

    def mark(self, tag: str) -> None:
        """Mark records with another tag from now on."""
        for stream in self._streams:
            if isinstance(stream, LeveledStream):
                stream.mark = mark_of(tag)

    def __call__(self, event: Any) -> None:
        """For Twisted: write an event."""
        # The keys of Twisted's new and of its old logging.
        failure = event.get("log_failure") or event.get("failure")
        if self.own is not None and isinstance(failure, Failure) and failure.check(OSError):
            # In the reactor or in one of its threads: perhaps a descriptor has been closed.
            self.own.check()
        # Twisted's own messages about the process, as the reactor's start and end.
        if event.get("log_namespace") != "twisted.internet.base":
            write_event(self._output, event)


def prepare(tag: str) -> ProcessLog:
    """Set up what an app is imported with: rights, output, log, search path.

    :param tag: of the mark of records; "" if the log is text.
    """
    drop_saved_ids()
    log = ProcessLog(tell_levels(tag))
    globalLogBeginner.beginLoggingTo([log], redirectStandardIO=False)
    # Apps are imported from the directory the daemon was started in.
    import_from_working_directory()
    # A process that hangs gets SIGABRT, to print its stack, before it is killed.
    faulthandler.enable()
    return log


def install_reactor(loop: str | None) -> tuple[Any, set[int]]:
    """The reactor of this process, which has none yet, and its descriptors.

    :param loop: the event loop of an app that runs on asyncio; None for Twisted's default.
    """
    before = open_descriptors()
    if loop is not None:
        install_asyncio(loop)
    from twisted.internet import reactor

    return reactor, open_descriptors() - before


def run(
    channel: int,
    log: ProcessLog,
    installed: tuple[Any, set[int]],
    handlers: Handlers | None = None,
) -> None:
    """Run until the master ends the worker, or has ended.

    :param channel: the worker's end of the control channel.
    :param installed: what `install_reactor` returned.
    :param handlers: signal handlers of the app, which go before the worker's.
    """
    reactor, descriptors = installed
    log.own = own = OwnDescriptors(end_process)
    for descriptor in descriptors:
        own.keep(f"descriptor {descriptor}, of the reactor,", descriptor)
    lifecycle = WorkerLifecycle(reactor, _once(lambda: _stop(reactor)), own)
    adopt_end(reactor, channel, WorkerControlLink(reactor, lifecycle))
    reactor.callWhenRunning(_install_signals, lifecycle, handlers or {})
    try:
        reactor.run()
    except OSError as error:
        # asyncio's epoll.
        own.failed(error, "the reactor's epoll")
        raise
    if lifecycle.alone:
        # Nobody else is left to end what the app has started.
        end_own_group(ORPHANS_LEAST)


def _stop(reactor: Any) -> None:
    tell_late_threads(THREADS_LATE, _tell_late)
    reactor.stop()


def _tell_late(threads: str) -> None:
    _log.warn("done, but waits for threads of the app: {threads}", threads=threads)


def _once(call: Callable[[], object]) -> Callable[[], None]:
    """``call``, for the first time only."""
    left = [call]

    def first() -> None:
        if left:
            left.pop()()

    return first


def _install_signals(lifecycle: WorkerLifecycle, handlers: Handlers) -> None:
    """SIGTERM requests a replacement; the master's signals are ignored."""
    ignore_signals(HELD_BACK - {signal.SIGTERM})
    lifecycle.exit_signal.install()
    for number, handler in handlers.items():
        signal.signal(number, handler)
    unblock_signals()
