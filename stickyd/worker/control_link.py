"""The worker's end of the control channel: what the master asks, and who does it."""

import os
import socket
from typing import Any

from twisted.internet import defer
from twisted.internet.protocol import connectionDone
from twisted.python.failure import Failure

from stickyd.ipc import control_channel as control
from stickyd.ipc.control_channel import adopt_stream
from stickyd.shm.scoreboard import Scoreboard
from stickyd.shm.worker_stats import WorkerStats
from stickyd.worker.lifecycle import Ends, WorkerLifecycle
from stickyd.worker.worker import Worker


class WorkerControlLink(control.ControlLink):
    """One control channel; another may take its place."""

    def __init__(self, reactor: Any, life: WorkerLifecycle) -> None:
        super().__init__()
        self._reactor = reactor
        self._life = life
        life.link = self

    def makeConnection(self, transport: Any) -> None:
        """For the transport."""
        super().makeConnection(transport)
        self._life.own.keep("the control channel", transport.fileno())

    @property
    def _worker(self) -> Worker:
        assert self._life.worker is not None
        return self._life.worker

    @control.Start.responder
    def start(
        self,
        slot: int,
        about: bytes,
        inbox: int,
        tally: int,
        board: int | None,
        senders: list[dict[str, int]],
        ledger: int | None,
    ) -> "defer.Deferred[dict[str, Any]]":
        """Load the app."""
        for descriptor in (tally, board, ledger):
            if descriptor is not None:
                os.set_inheritable(descriptor, False)
        shared = Scoreboard(board) if board is not None else None
        inbox_end, ends = _inbox_end(inbox), _ends(senders)
        loading = self._life.load(slot, about, inbox_end, WorkerStats(tally), shared, ends, ledger)
        return defer.ensureDeferred(loading).addCallback(lambda _: {})

    @control.Serve.responder
    def serve(self, private: int | None) -> dict[str, Any]:
        """Take connections."""
        self._worker.start(None if private is None else _inbox_end(private))
        return {}

    @control.Succeeded.responder
    def succeeded(self) -> dict[str, Any]:
        """The predecessor has ended."""
        self._worker.succeed()
        return {}

    @control.Drain.responder
    def drain(self, successor: int) -> dict[str, Any]:
        """Go on with the keys we know."""
        self._worker.drain(_inbox_end(successor))
        return {}

    @control.Table.responder
    def table(
        self, version: int, slots: list[int], added: list[dict[str, int]]
    ) -> "defer.Deferred[dict[str, Any]]":
        """Decide by other slots."""
        done: defer.Deferred[dict[str, Any]] = defer.Deferred()
        self._worker.table(version, slots, _ends(added), lambda: done.callback({}))
        return done

    @control.Retire.responder
    def retire(self, grace: float, to: list[int], reason: str) -> dict[str, Any]:
        """Finish and end."""
        self._life.retire(grace, to, reason)
        return {}

    @control.CloseIdle.responder
    def close_idle(self, count: int) -> dict[str, Any]:
        """Make room."""
        self._worker.close_idle(count)
        return {}

    @control.Reopen.responder
    def reopen(self) -> dict[str, Any]:
        """Go on in a new access log."""
        if self._worker.access is not None:
            self._worker.access.reopen()
        return {}

    @control.Report.responder
    def report(self) -> dict[str, Any]:
        """The counters."""
        return {"counters": self._life.counters()}

    @control.Relink.responder
    def relink(self, channel: int) -> dict[str, Any]:
        """The master replaces its program, and will be at the end of another channel."""
        os.set_inheritable(channel, False)
        end = socket.socket(fileno=channel)
        adopt_stream(self._reactor, end, WorkerControlLink(self._reactor, self._life))
        return {}

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """If this was the channel of the day, the master is gone."""
        super().connectionLost(reason)
        if self._life.link is self:
            self._life.master_gone()


def _inbox_end(descriptor: int) -> socket.socket:
    """One end of an inbox, as it comes over a control channel: inheritable, and blocking."""
    os.set_inheritable(descriptor, False)
    end = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET, 0, descriptor)
    end.setblocking(False)
    return end


def _ends(senders: list[dict[str, int]]) -> Ends:
    return {each["slot"]: _inbox_end(each["end"]) for each in senders}
