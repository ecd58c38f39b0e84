"""The worker's end of the control channel: the master's commands."""

import json
import os
from typing import Any

from twisted.internet import defer
from twisted.internet.protocol import connectionDone
from twisted.python.failure import Failure

from stickyd.errors import CannotLoad
from stickyd.ipc import control_channel as control
from stickyd.ipc.control_channel import adopt_end
from stickyd.ipc.fd_queue import adopt_inbox_end
from stickyd.shm.worker_stats import WorkerStats
from stickyd.worker.lifecycle import Ends, Shared, WorkerLifecycle
from stickyd.worker.worker import Worker


class WorkerControlLink(control.ControlLink):
    """One control channel; it is replaced when the master replaces its program."""

    def __init__(self, reactor: Any, lifecycle: WorkerLifecycle) -> None:
        super().__init__()
        self._reactor = reactor
        self._lifecycle = lifecycle
        lifecycle.link = self

    def makeConnection(self, transport: Any) -> None:
        """For the transport."""
        super().makeConnection(transport)
        self._lifecycle.own.keep("the control channel", transport.fileno())

    @property
    def _worker(self) -> Worker:
        assert self._lifecycle.worker is not None
        return self._lifecycle.worker

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
        learned: int | None,
    ) -> "defer.Deferred[dict[str, Any]]":
        """Load the app."""
        start = json.loads(about)
        if start.get("layouts") != control.layouts():
            raise CannotLoad("stickyd on disk is of another version: send the master USR2 first")
        for descriptor in (tally, board, ledger, learned):
            if descriptor is not None:
                os.set_inheritable(descriptor, False)
        shared = Shared(
            slot,
            adopt_inbox_end(inbox),
            _ends(senders),
            WorkerStats(tally),
            board,
            ledger,
            learned,
        )
        loading = self._lifecycle.load(start, shared)
        return defer.ensureDeferred(loading).addCallback(lambda _: {})

    @control.Serve.responder
    def serve(self, private: int | None) -> dict[str, Any]:
        """Take connections."""
        self._worker.start(None if private is None else adopt_inbox_end(private))
        return {}

    @control.Succeeded.responder
    def succeeded(self, private: int | None) -> dict[str, Any]:
        """The predecessor has ended."""
        self._worker.take_over(None if private is None else adopt_inbox_end(private))
        return {}

    @control.Drain.responder
    def drain(self, successor: int) -> dict[str, Any]:
        """Continue with the keys in use, or known, only."""
        self._worker.drain(adopt_inbox_end(successor))
        return {}

    @control.EndDrain.responder
    def end_drain(self) -> dict[str, Any]:
        """Another reload follows: finish sooner."""
        self._worker.end_drain()
        return {}

    @control.Table.responder
    def table(
        self, version: int, slots: list[int], added: list[dict[str, int]]
    ) -> "defer.Deferred[dict[str, Any]]":
        """The set of slots has changed."""
        done: defer.Deferred[dict[str, Any]] = defer.Deferred()
        self._worker.update_slots(version, slots, _ends(added), lambda: done.callback({}))
        return done

    @control.Retire.responder
    def retire(self, grace: float, to: list[int], reason: str) -> dict[str, Any]:
        """Finish the requests and end."""
        self._lifecycle.retire(grace, to, reason)
        return {}

    @control.CloseIdle.responder
    def close_idle(self, count: int) -> dict[str, Any]:
        """Close idle connections to make room."""
        self._worker.close_idle(count)
        return {}

    @control.Reopen.responder
    def reopen(self) -> dict[str, Any]:
        """Continue in a new access log."""
        access = self._worker.context.access
        if access is not None:
            access.reopen()
        return {}

    @control.Report.responder
    def report(self) -> dict[str, Any]:
        """Bring the counters up to date."""
        self._worker.note()
        return {}

    @control.Relink.responder
    def relink(self, channel: int) -> dict[str, Any]:
        """The master replaces its program, which uses another control channel."""
        adopt_end(self._reactor, channel, WorkerControlLink(self._reactor, self._lifecycle))
        return {}

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """If this was the current channel, the master has ended."""
        super().connectionLost(reason)
        if self._lifecycle.link is self:
            self._lifecycle.master_ended()


def _ends(senders: list[dict[str, int]]) -> Ends:
    return {each["slot"]: adopt_inbox_end(each["end"]) for each in senders}
