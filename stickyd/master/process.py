"""One worker process, as the master sees it."""

import json
import os
import socket
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from twisted.internet import defer, error
from twisted.internet.protocol import ProcessProtocol
from twisted.logger import Logger
from twisted.python.failure import Failure

from stickyd import control
from stickyd.control import CONTROL_FD, INBOX_FD, SENDERS_FD, adopt_stream
from stickyd.master.slots import Slot
from stickyd.settings import Settings

_log = Logger("stickyd")


class _Link(control.Link):
    """The master's end of a control channel."""

    def __init__(self, on_misrouted: Callable[[int, int, str], None]) -> None:
        super().__init__()
        self._on_misrouted = on_misrouted
        self.counters: dict[str, Any] = {}

    @control.Beat.responder
    def beat(self, counters: bytes) -> dict[str, Any]:
        """A worker tells how far it is."""
        self.counters = json.loads(counters)
        return {}

    @control.Misrouted.responder
    def misrouted(self, slot: int, named: int, source: str) -> dict[str, Any]:
        """A worker saw its first misrouted request."""
        self._on_misrouted(slot, named, source)
        return {}


class WorkerProcess(ProcessProtocol):
    """Spawns a worker for a slot and speaks with it.

    :ivar started: fires when the worker is ready; fails with
        `control.CannotLoad`, or when the process ends before it is ready.
    :ivar ended: fires with None when the process has ended.
    """

    def __init__(
        self,
        reactor: Any,
        slot: Slot,
        on_misrouted: Callable[[int, int, str], None],
    ) -> None:
        self._reactor = reactor
        self._slot = slot
        self._link = _Link(on_misrouted)
        self._partial = {1: b"", 2: b""}
        self.started: defer.Deferred[None] = defer.Deferred()
        self.ended: defer.Deferred[None] = defer.Deferred()

    def spawn(
        self,
        settings: Settings,
        senders: dict[int, socket.socket],
        seat: tuple[int, int] | None,
    ) -> int:
        """Start the process; its pid.

        :param seat: the board's descriptor and the number of the process's row, if there is one.
        """
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        fds: dict[int, Any] = {1: "r", 2: "r", CONTROL_FD: theirs.fileno()}
        fds[INBOX_FD] = self._slot.receiver.fileno()
        for at, sender in enumerate(senders.values()):
            fds[SENDERS_FD + at] = sender.fileno()
        if seat is not None:
            fds[SENDERS_FD + len(senders)] = seat[0]
        with open(os.devnull, "rb") as nothing, theirs:
            fds[0] = nothing.fileno()
            command = [sys.executable, "-m", "stickyd.worker"]
            process = self._reactor.spawnProcess(
                self, sys.executable, command, env=_environment(), childFDs=fds
            )
        adopt_stream(self._reactor, ours, self._link)
        about = json.dumps(
            {
                "settings": json.loads(settings.to_json()),
                "slots": list(senders),
                "row": seat[1] if seat is not None else None,
            }
        )
        started = self._link.callRemote(
            control.Start, settings=about.encode("utf-8"), slot=self._slot.number
        )
        started.addCallbacks(self._is_ready, self._failed)
        return int(process.pid)

    def _is_ready(self, _: object) -> None:
        if not self.started.called:
            self.started.callback(None)

    def _failed(self, failure: Failure) -> None:
        # A lost link means that the process ends; processEnded says how.
        if not failure.check(error.ConnectionDone, error.ConnectionLost) and (
            not self.started.called
        ):
            self.started.errback(failure)

    def retire(self, grace: float) -> None:
        """Ask the worker to finish and end within ``grace`` seconds."""
        if self._link.transport is not None:
            asked = self._link.callRemote(control.Retire, grace=grace)
            asked.addErrback(lambda _: None)

    def report(self, patience: float) -> "defer.Deferred[dict[str, Any]]":
        """The worker's counters; the last known ones if it does not answer in time."""
        if self.ended.called or not self.started.called:
            return defer.succeed(self._link.counters)
        asked: defer.Deferred[Any] = self._link.callRemote(control.Report)
        asked.addTimeout(patience, self._reactor)

        def keep(response: dict[str, bytes]) -> dict[str, Any]:
            self._link.counters = json.loads(response["counters"])
            return self._link.counters

        asked.addCallback(keep)
        asked.addErrback(lambda _: self._link.counters)
        return asked

    def take_last_report(self) -> dict[str, Any]:
        """The last counters of a worker that has ended; given once."""
        last, self._link.counters = self._link.counters, {}
        return last

    def signal(self, name: str) -> None:
        """Send a signal, unless the process is gone."""
        try:
            self.transport.signalProcess(name)  # type: ignore[union-attr]
        except error.ProcessExitedAlready:
            pass

    def outReceived(self, data: bytes) -> None:
        """What the worker prints goes to our log, line by line."""
        self._log_lines(1, data)

    def errReceived(self, data: bytes) -> None:
        """As `outReceived`."""
        self._log_lines(2, data)

    def _log_lines(self, fd: int, data: bytes) -> None:
        *lines, rest = (self._partial[fd] + data).split(b"\n")
        if len(rest) > 65536:
            lines.append(rest)
            rest = b""
        self._partial[fd] = rest
        for line in lines:
            _log.info(
                "[worker {slot}] {line}",
                slot=self._slot.number,
                line=line.decode("utf-8", "replace"),
            )

    def processEnded(self, reason: Failure) -> None:
        """The process is gone and its pipes are closed."""
        for fd, rest in self._partial.items():
            if rest:
                self._log_lines(fd, b"\n")
        if not self.started.called:
            self.started.errback(RuntimeError(how_it_ended(reason)))
        self.ended.callback(None)


def how_it_ended(reason: Failure) -> str:
    """``exit code 3``, ``signal 9``."""
    value = reason.value
    if isinstance(value, error.ProcessTerminated) and value.signal is not None:
        return f"ended by signal {value.signal}"
    return f"ended with exit code {getattr(value, 'exitCode', 0)}"


def _environment() -> dict[str, str]:
    """Ours, with the way to this very package in front."""
    environment = dict(os.environ)
    package_root = str(Path(__file__).resolve().parents[2])
    search = environment.get("PYTHONPATH")
    environment["PYTHONPATH"] = os.pathsep.join(filter(None, [package_root, search]))
    environment["PYTHONUNBUFFERED"] = "1"
    return environment
