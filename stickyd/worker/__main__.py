"""``python -m stickyd.worker FD``: the body of a worker process, spawned by the master.

``FD`` is its end of the control channel; everything else comes over that.
"""

import faulthandler
import gc
import json
import os
import signal
import socket
import sys
from typing import Any

from twisted.internet import defer
from twisted.internet import reactor as _reactor
from twisted.internet.protocol import connectionDone
from twisted.internet.task import LoopingCall
from twisted.logger import FileLogObserver, ILogObserver, Logger, formatEvent, globalLogBeginner
from twisted.python.failure import Failure
from zope.interface import provider

from stickyd import control, keys
from stickyd.control import adopt_stream
from stickyd.routing.policy import Placement
from stickyd.settings import Settings
from stickyd.worker.apps import load_site
from stickyd.worker.known import Known
from stickyd.worker.retirement import Retirement
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
        self._retirement: Retirement | None = None
        self._finishing = False

    @control.Start.responder
    def start(
        self, slot: int, about: bytes, inbox: int, senders: list[dict[str, int]]
    ) -> dict[str, Any]:
        """Load the app."""
        inbox_end, ends = _inbox_end(inbox), _ends(senders)
        told = json.loads(about)
        chosen = Settings.from_json(json.dumps(told["settings"]).encode())
        known = Known() if chosen.session_drain or chosen.on_retire else None
        os.environ["STICKYD_SLOT"] = str(slot)
        keys.bind(slot, chosen.seed, known.made.append if known is not None else lambda key: None)
        site = load_site(*chosen.app)
        self._retirement = Retirement.load(chosen.on_retire, slot)
        self.worker = Worker(
            reactor,
            chosen,
            slot,
            site,
            inbox_end,
            ends,
            self._misrouted,
            self._worn,
            chosen.policy(told["slots"], told["version"]),
            known,
        )
        # What the app brought along at import stays; the collector need not look at it again.
        gc.freeze()
        # Requests leave few cycles; the default of 700 looks for them after every few requests.
        gc.set_threshold(10_000, 20, 20)
        LoopingCall(self._beat).start(1.0, now=False)
        return {}

    @control.Serve.responder
    def serve(self, private: int | None) -> dict[str, Any]:
        """Take connections."""
        assert self.worker is not None
        self.worker.start(None if private is None else _inbox_end(private))
        return {}

    @control.Succeeded.responder
    def succeeded(self) -> dict[str, Any]:
        """The predecessor has ended."""
        assert self.worker is not None
        self.worker.succeed()
        return {}

    @control.Drain.responder
    def drain(self, successor: int) -> dict[str, Any]:
        """Go on with the keys we know."""
        assert self.worker is not None
        self.worker.drain(_inbox_end(successor))
        return {}

    @control.Table.responder
    def table(
        self, version: int, slots: list[int], added: list[dict[str, int]]
    ) -> "defer.Deferred[dict[str, Any]]":
        """Decide by other slots."""
        done: defer.Deferred[dict[str, Any]] = defer.Deferred()
        ends = _ends(added)
        assert self.worker is not None
        self.worker.table(version, slots, ends, lambda: done.callback({}))
        return done

    @control.Retire.responder
    def retire(self, grace: float, to: list[int], reason: str) -> dict[str, Any]:
        """Finish and end."""
        if self.worker is None:
            reactor.callLater(0, _stop, None)
        elif self._finishing:
            self.worker.retire(grace, to)
        else:
            self._finish(grace, to, reason).addBoth(lambda _: self._end())
        return {}

    def _finish(self, grace: float, to: list[int], reason: str) -> "defer.Deferred[None]":
        """Serve what is here, then let the app hand over its state."""
        self._finishing = True
        worker, retirement = self.worker, self._retirement
        assert worker is not None
        assert retirement is not None
        until = reactor.seconds() + grace
        over = worker.retire(grace, to)

        def hand_over(_: object) -> "defer.Deferred[None]":
            known = worker.known.keys() if worker.known is not None else []
            return retirement.tell(reactor, reason, known, until - reactor.seconds())

        return over.addBoth(hand_over)

    def _end(self) -> None:
        """Tell the last counters, then stop."""
        assert self.worker is not None
        last = json.dumps(self.worker.report()).encode()
        self.callRemote(control.Beat, counters=last).addBoth(_stop)

    @control.Report.responder
    def report(self) -> dict[str, Any]:
        """The counters."""
        assert self.worker is not None
        return {"counters": json.dumps(self.worker.report()).encode()}

    def _beat(self) -> None:
        if self.worker is not None and self.transport is not None:
            counters = json.dumps(self.worker.report()).encode()
            self.callRemote(control.Beat, counters=counters).addErrback(lambda _: None)

    def _misrouted(self, slot: int, placement: Placement) -> None:
        told = self.callRemote(
            control.Misrouted, slot=slot, named=placement.slot, source=placement.reason
        )
        told.addErrback(lambda _: None)

    def _worn(self, reason: str) -> None:
        if self.transport is not None:
            self.callRemote(control.Worn, reason=reason).addErrback(lambda _: None)

    def told_to_end(self) -> None:
        """SIGTERM for this process alone: ask for a replacement, and go on until it is there."""
        if self.worker is not None:
            self._worn("told to end by hand")
        else:
            _stop(None)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """The master is gone: finish what is being answered, then follow it."""
        super().connectionLost(reason)
        if self.worker is None:
            _stop(None)
        elif not self._finishing:
            grace = self.worker.settings.graceful_timeout
            self._finish(grace, [], "master gone").addBoth(_stop)


def _inbox_end(descriptor: int) -> socket.socket:
    """One end of an inbox, as it came over the control channel: inheritable, in blocking mode."""
    end = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET, 0, descriptor)
    end.setblocking(False)
    os.set_inheritable(descriptor, False)
    return end


def _ends(senders: list[dict[str, int]]) -> dict[int, socket.socket]:
    return {each["slot"]: _inbox_end(each["end"]) for each in senders}


def _stop(_: object) -> None:
    global _stopped
    if not _stopped:
        _stopped = True
        reactor.stop()


def _install_signals(link: WorkerLink) -> None:
    """TERM retires this worker alone; what is meant for the master is ignored."""
    for name in _MASTERS_SIGNALS:
        signal.signal(getattr(signal, name), signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda *_: reactor.callFromThread(link.told_to_end))


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
    # A worker that hangs is told to write where (SIGABRT) before it is killed.
    faulthandler.enable()
    link = WorkerLink()
    channel = socket.socket(fileno=int(sys.argv[1]))
    channel.set_inheritable(False)
    adopt_stream(reactor, channel, link)
    reactor.callWhenRunning(_install_signals, link)
    reactor.run()


if __name__ == "__main__":
    main()
