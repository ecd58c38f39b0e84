"""``python -m stickyd.worker FD``: a worker process, spawned by the master.

``FD`` is its end of the control channel, through which it receives everything else.
"""

import faulthandler
import signal
import socket
import sys
from typing import Any

from stickyd.ipc.control_channel import ASYNCIO
from stickyd.net.own_descriptors import OwnDescriptors, end_process, open_descriptors
from stickyd.net.process_group import end_own_group

_before = open_descriptors()

if len(sys.argv) > 2 and sys.argv[2].startswith(ASYNCIO):
    # Before anything imports the reactor.
    from stickyd.worker.runtime.event_loop import install_asyncio

    install_asyncio(sys.argv[2].partition("=")[2])

from twisted.internet import reactor as _reactor
from twisted.logger import ILogObserver, Logger, globalLogBeginner
from twisted.python.failure import Failure
from zope.interface import implementer

from stickyd.ipc.control_channel import adopt_stream
from stickyd.logs.record import tag_among
from stickyd.process import (
    HELD_BACK,
    drop_saved_ids,
    ignore_signals,
    import_from_working_directory,
    unblock_signals,
)
from stickyd.worker.control_link import WorkerControlLink
from stickyd.worker.lifecycle import WorkerLifecycle
from stickyd.worker.runtime.event_output import write_event
from stickyd.worker.runtime.late_threads import tell_late_threads
from stickyd.worker.runtime.output import LeveledStream, tell_levels

reactor: Any = _reactor
_reactors = open_descriptors() - _before
_stopped = False
_own = OwnDescriptors(end_process)

ORPHANS_LEAST = 1.0
"""Seconds that the app's processes have to end when both master and worker have ended."""

THREADS_LATE = 1.0
"""Seconds after which the log names the threads of the app that the process waits for."""

_log = Logger("stickyd")


def _stop() -> None:
    global _stopped
    if not _stopped:
        _stopped = True
        tell_late_threads(THREADS_LATE, _tell_late)
        reactor.stop()


def _tell_late(threads: str) -> None:
    _log.warn("done, but waits for threads of the app: {threads}", threads=threads)


def _install_signals(lifecycle: WorkerLifecycle) -> None:
    """SIGTERM requests a replacement; the master's signals are ignored."""
    ignore_signals(HELD_BACK - {signal.SIGTERM})
    lifecycle.exit_signal.install()
    unblock_signals()


@implementer(ILogObserver)
class _Observer:
    def __init__(self, output: LeveledStream) -> None:
        self._output = output

    def __call__(self, event: Any) -> None:
        # The keys of Twisted's new and of its old logging.
        failure = event.get("log_failure") or event.get("failure")
        if isinstance(failure, Failure) and failure.check(OSError):
            # In the reactor or in one of its threads: perhaps a descriptor has been closed.
            _own.check()
        # Twisted's own messages about the process, as the reactor's start and end.
        if event.get("log_namespace") != "twisted.internet.base":
            write_event(self._output, event)


def main() -> None:
    """Run until the master ends the worker, or has ended."""
    drop_saved_ids()
    observer = _Observer(tell_levels(tag_among(sys.argv)))
    globalLogBeginner.beginLoggingTo([observer], redirectStandardIO=False)
    # Apps are imported from the directory the daemon was started in.
    import_from_working_directory()
    # A worker that hangs gets SIGABRT, to print its stack, before it is killed.
    faulthandler.enable()
    for descriptor in _reactors:
        _own.keep(f"descriptor {descriptor}, of the reactor,", descriptor)
    lifecycle = WorkerLifecycle(reactor, _stop, _own)
    channel = socket.socket(fileno=int(sys.argv[1]))
    channel.set_inheritable(False)
    adopt_stream(reactor, channel, WorkerControlLink(reactor, lifecycle))
    reactor.callWhenRunning(_install_signals, lifecycle)
    try:
        reactor.run()
    except OSError as error:
        # asyncio's epoll.
        _own.failed(error, "the reactor's epoll")
        raise
    if lifecycle.alone:
        # Nobody else is left to end what the app has started.
        end_own_group(ORPHANS_LEAST)


if __name__ == "__main__":
    main()
