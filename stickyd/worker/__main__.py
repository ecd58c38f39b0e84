"""``python -m stickyd.worker``: the body of a worker process, spawned by the master."""

import gc
import json
import os
import signal
import socket
import sys
from typing import Any

from twisted.internet import reactor as _reactor
from twisted.internet.protocol import connectionDone
from twisted.internet.task import LoopingCall
from twisted.logger import FileLogObserver, ILogObserver, Logger, formatEvent, globalLogBeginner
from twisted.python.failure import Failure
from zope.interface import provider

from stickyd import control, keys
from stickyd.board import Board
from stickyd.control import CONTROL_FD, INBOX_FD, SENDERS_FD, adopt_stream
from stickyd.routing.policy import Placement
from stickyd.settings import Settings
from stickyd.worker.apps import load_site
from stickyd.worker.worker import Worker

reactor: Any = _reactor
_stopped = False
_log = Logger("stickyd")

_MASTERS_SIGNALS = ("SIGINT", "SIGHUP", "SIGUSR1", "SIGUSR2", "SIGTTIN", "SIGTTOU")


class WorkerLink(control.Link):
    """The worker's end of the control channel."""

    def __init__(self) -> None:
        super().__init__()
        self.worker: Worker | None = None
        self._told: dict[str, Any] = {}

    @control.Start.responder
    def start(self, settings: bytes, slot: int) -> dict[str, Any]:
        """Load the app, then take connections."""
        about = json.loads(settings)
        chosen = Settings.from_json(json.dumps(about["settings"]).encode())
        os.environ["STICKYD_SLOT"] = str(slot)
        keys.bind(slot, chosen.seed)
        site = load_site(*chosen.app)
        senders = {number: _inbox_end(SENDERS_FD + at) for at, number in enumerate(about["slots"])}
        seat = None
        if about["row"] is not None:
            descriptor = SENDERS_FD + len(senders)
            os.set_inheritable(descriptor, False)
            seat = Board(descriptor), about["row"]
        self.worker = Worker(
            reactor, chosen, slot, site, _inbox_end(INBOX_FD), senders, self._misrouted, seat
        )
        # What the app brought along at import stays; the collector need not look at it again.
        gc.freeze()
        # Requests leave few cycles; the default of 700 looks for them after every few requests.
        gc.set_threshold(10_000, 20, 20)
        self.worker.start()
        LoopingCall(self._beat).start(1.0, now=False)
        return {}

    @control.Retire.responder
    def retire(self, grace: float) -> dict[str, Any]:
        """Finish and end."""
        if self.worker is None:
            reactor.callLater(0, _stop, None)
        else:
            self.worker.retire(grace).addBoth(lambda _: _end(self))
        return {}

    @control.Report.responder
    def report(self) -> dict[str, Any]:
        """The counters."""
        assert self.worker is not None
        return {"counters": json.dumps(self.worker.report()).encode()}

    def _beat(self) -> None:
        assert self.worker is not None
        self.worker.settle()
        now = self.worker.report()
        if now != self._told and self.transport is not None:
            self._told = now
            beaten = self.callRemote(control.Beat, counters=json.dumps(now).encode())
            beaten.addErrback(lambda _: None)

    def _misrouted(self, slot: int, placement: Placement) -> None:
        told = self.callRemote(
            control.Misrouted, slot=slot, named=placement.slot, source=placement.reason
        )
        told.addErrback(lambda _: None)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """The master is gone: finish what is being answered, then follow it."""
        super().connectionLost(reason)
        if self.worker is None:
            _stop(None)
        else:
            self.worker.retire(self.worker.settings.graceful_timeout).addBoth(_stop)


def _inbox_end(descriptor: int) -> socket.socket:
    end = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET, 0, descriptor)
    end.setblocking(False)
    os.set_inheritable(descriptor, False)
    return end


def _end(link: WorkerLink) -> None:
    """Tell the last counters, then stop."""
    assert link.worker is not None
    last = json.dumps(link.worker.report()).encode()
    link.callRemote(control.Beat, counters=last).addBoth(_stop)


def _stop(_: object) -> None:
    global _stopped
    if not _stopped:
        _stopped = True
        reactor.stop()


def _install_signals(link: WorkerLink) -> None:
    """TERM retires this worker alone; what is meant for the master is ignored."""
    for name in _MASTERS_SIGNALS:
        signal.signal(getattr(signal, name), signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda *_: reactor.callFromThread(link.retire, _grace_of(link)))


def _grace_of(link: WorkerLink) -> float:
    return link.worker.settings.graceful_timeout if link.worker is not None else 0.0


def _format(event: Any) -> str:
    text = formatEvent(event)
    failure = event.get("log_failure")
    if isinstance(failure, Failure):
        text += "\n" + failure.getTraceback()
    return text + "\n"


@provider(ILogObserver)
def _observer(event: Any) -> None:
    # Twisted's own remarks at this level are about the process, not about what it serves.
    if event.get("log_namespace") != "twisted.internet.base":
        _to_stderr(event)


_to_stderr = FileLogObserver(sys.stderr, _format)


def main() -> None:
    """Run until the master says so, or is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    globalLogBeginner.beginLoggingTo([_observer], redirectStandardIO=False)
    # As `python -m` does: apps are found from the directory the daemon was started in.
    if os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())
    link = WorkerLink()
    adopt_stream(reactor, socket.socket(fileno=CONTROL_FD), link)
    reactor.callWhenRunning(_install_signals, link)
    reactor.run()


if __name__ == "__main__":
    main()
