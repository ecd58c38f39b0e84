"""``python -m stickyd.worker FD``: the body of a worker process, spawned by the master.

``FD`` is its end of the control channel; everything else comes over that.
"""

import faulthandler
import os
import signal
import socket
import sys
from typing import Any

from stickyd.ipc.control_channel import ASYNCIO
from stickyd.net.own_descriptors import OwnDescriptors, end_process, open_descriptors

_before = open_descriptors()

if ASYNCIO in sys.argv[1:]:
    # Before anything imports the reactor.
    from stickyd.worker.event_loop import install_asyncio

    install_asyncio()

from twisted.internet import reactor as _reactor
from twisted.logger import FileLogObserver, ILogObserver, globalLogBeginner
from twisted.python.failure import Failure
from zope.interface import provider

from stickyd.ipc.control_channel import adopt_stream
from stickyd.master.signals import unblock_signals
from stickyd.process import drop_saved_ids
from stickyd.worker.control_link import WorkerControlLink
from stickyd.worker.lifecycle import WorkerLifecycle
from stickyd.worker.output import as_lines, tell_levels

reactor: Any = _reactor
_reactors = open_descriptors() - _before
_stopped = False
_own = OwnDescriptors(end_process)

_MASTERS_SIGNALS = ("SIGINT", "SIGHUP", "SIGUSR1", "SIGUSR2", "SIGTTIN", "SIGTTOU")


def _stop() -> None:
    global _stopped
    if not _stopped:
        _stopped = True
        reactor.stop()


def _install_signals(life: WorkerLifecycle) -> None:
    """TERM asks for a replacement; what is meant for the master is ignored."""
    for name in _MASTERS_SIGNALS:
        signal.signal(getattr(signal, name), signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda *_: reactor.callFromThread(life.told_to_end))
    unblock_signals()


@provider(ILogObserver)
def _observer(event: Any) -> None:
    # As Twisted's new and old way of logging call it.
    failure = event.get("log_failure") or event.get("failure")
    if isinstance(failure, Failure) and failure.check(OSError):
        # In the reactor or in one of its threads, perhaps for want of a descriptor.
        _own.check()
    # Twisted's own remarks at this level are about the process, not about what it serves.
    if event.get("log_namespace") != "twisted.internet.base":
        _to_stderr(event)


_to_stderr = FileLogObserver(sys.stderr, as_lines)


def main() -> None:
    """Run until the master says so, or is gone."""
    drop_saved_ids()
    tell_levels()
    globalLogBeginner.beginLoggingTo([_observer], redirectStandardIO=False)
    # As `python -m` does: apps are found from the directory the daemon was started in.
    if os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())
    # A worker that hangs is told to write where (SIGABRT) before it is killed.
    faulthandler.enable()
    for descriptor in _reactors:
        _own.keep(f"descriptor {descriptor}, of the reactor,", descriptor)
    life = WorkerLifecycle(reactor, _stop, _own)
    channel = socket.socket(fileno=int(sys.argv[1]))
    channel.set_inheritable(False)
    adopt_stream(reactor, channel, WorkerControlLink(reactor, life))
    reactor.callWhenRunning(_install_signals, life)
    try:
        reactor.run()
    except OSError as error:
        # asyncio's epoll.
        _own.failed(error, "the reactor's epoll")
        raise


if __name__ == "__main__":
    main()
