"""One template process, as the master sees it (`stickyd.worker.template`)."""

import os
import signal
import socket
import sys
from collections import deque
from typing import Any

import attrs
from twisted.internet import defer
from twisted.logger import Logger
from twisted.python.failure import Failure

from stickyd.errors import CannotLoad
from stickyd.ipc.fork_channel import Message, make_fork_channel, receive_message, send_message
from stickyd.logs.child_lines import ChildLines
from stickyd.logs.record import mark_of
from stickyd.master.supervisor.child_process import (
    ChildProcess,
    how_it_ended,
    new_tag,
    spawn,
    unless_over,
)
from stickyd.master.supervisor.spawn import Born, variables_of, worker_options
from stickyd.net.process_group import LeftGroups
from stickyd.process import HELD_BACK
from stickyd.settings import Settings

FORK_MOST = 30.0
"""Seconds that a fork may take: what libraries do at a fork may hang."""

STACKS_FIRST = 1.0
"""Seconds that a silent template has to write the stacks of its threads before it is killed."""

_log = Logger("stickyd")


@attrs.frozen(eq=False)
class _Birth:
    """A worker to be forked.

    :ivar channel: its end of the control channel.
    :ivar born: fires when it has been.
    """

    channel: socket.socket
    options: list[str]
    born: "defer.Deferred[Born]" = attrs.field(factory=defer.Deferred)


class TemplateProcess:
    """Starts a template process, and lets it fork workers, one after another.

    :ivar loaded: fires when the app is imported; fails with `stickyd.errors.CannotLoad`, or when
        the process ends before.
    :ivar ended: fires with the wait status (waitpid(2)) when the process has ended.
    :ivar alive: it can be asked for workers.
    :ivar ready_since: when ``loaded`` has fired without a failure, in the reactor's seconds.
    """

    def __init__(self, reactor: Any, settings: Settings, left: LeftGroups) -> None:
        self._reactor = reactor
        self._settings = settings
        self._left = left
        self._births: deque[_Birth] = deque()
        self._forking: tuple[_Birth, int] | None = None
        self._late: Any = None
        self._child: ChildProcess | None = None
        self._channel: socket.socket | None = None
        self.alive = False
        self.ready_since: float | None = None
        self.loaded: defer.Deferred[None] = defer.Deferred()
        self.ended: defer.Deferred[int] = defer.Deferred()

    @property
    def pid(self) -> int:
        """The process id; 0 if it could not be started."""
        return self._child.pid if self._child is not None else 0

    def start(self) -> None:
        """Start the process, which imports the app."""
        settings = self._settings
        tag = new_tag(settings.log.format)
        ours, theirs = make_fork_channel()
        with theirs:
            command = [sys.executable, "-m", "stickyd.worker.template", str(theirs.fileno())]
            command += worker_options(settings, tag)
            try:
                variables = variables_of(settings)
                pid, output = spawn(command, variables, theirs.fileno(), HELD_BACK, leads=True)
            except OSError as failed:
                ours.close()
                self._settle(Failure(CannotLoad(f"the template cannot be started: {failed}")))
                self.ended.callback(0)
                return
        lines = ChildLines("template", "template", pid, mark=mark_of(tag))
        self._child = ChildProcess(self._reactor, pid, output, lines, mark_of(tag))
        self._child.ended.addCallback(self._ended)
        self._channel = ours
        self._reactor.addReader(self)
        self.alive = True
        self._send({"settings": settings.to_text()})
        limit = settings.lifecycle.start_timeout
        if limit:
            why = f"the app has not loaded within {limit} s"
            self._late = self._reactor.callLater(limit, self._too_late, why)

    def fork(self, channel: socket.socket, tag: str) -> "defer.Deferred[Born]":
        """Fork a worker as soon as the app is imported; see `Spawner.spawn`."""
        birth = _Birth(channel, worker_options(self._settings, tag))
        self._births.append(birth)
        self._next()
        return birth.born

    @property
    def forks(self) -> bool:
        """A worker has been asked for whose pid is not known yet."""
        return self._forking is not None

    def _next(self) -> None:
        if not self.alive or self.ready_since is None or self._forking or not self._births:
            return
        birth = self._births.popleft()
        output, theirs = os.pipe()
        os.set_blocking(output, False)
        self._forking = birth, output
        self._late = self._reactor.callLater(FORK_MOST, self._too_late, "it does not fork")
        self._send({"options": birth.options}, [birth.channel.fileno(), theirs])
        os.close(theirs)

    def _send(self, message: Message, descriptors: list[int] | None = None) -> None:
        assert self._channel is not None
        try:
            send_message(self._channel, message, descriptors or [])
        except OSError as error:
            # It ends, or has ended.
            _log.debug("the template is not reached: {error}", error=error)

    def _too_late(self, why: str) -> None:
        _log.error("the template (pid {pid}) is killed: {why}", pid=self.pid, why=why)
        self._settle(Failure(CannotLoad(why)))
        self.kill(after=STACKS_FIRST, show_stacks=True)

    # ---- answers

    def fileno(self) -> int:
        """For the reactor."""
        return self._channel.fileno() if self._channel is not None else -1

    def logPrefix(self) -> str:
        """For the reactor."""
        return "template"

    def connectionLost(self, reason: object) -> None:
        """For the reactor."""

    def doRead(self) -> None:
        """For the reactor."""
        assert self._channel is not None
        try:
            received = receive_message(self._channel)
        except BlockingIOError:
            return
        except OSError:
            received = None
        if received is None:
            self._close()
            return
        self._in_time()
        message, _ = received
        if self.ready_since is None:
            why = message.get("cannot_load")
            self._settle(Failure(CannotLoad(why)) if why else None)
        elif self._forking is not None:
            (birth, output), self._forking = self._forking, None
            if "pid" in message:
                birth.born.callback((message["pid"], output))
            else:
                os.close(output)
                birth.born.errback(Failure(OSError(message.get("error", ""))))
        self._next()

    def _in_time(self) -> None:
        if self._late is not None and self._late.active():
            self._late.cancel()

    def _settle(self, failure: Failure | None) -> None:
        """The app is imported, or cannot be."""
        self._in_time()
        if failure is not None:
            self.alive = False
            self._fail(failure)
        if self.loaded.called:
            return
        if failure is None:
            self.ready_since = self._reactor.seconds()
            self.loaded.callback(None)
        else:
            self.loaded.errback(failure)

    def _fail(self, failure: Failure) -> None:
        """No worker is forked any more."""
        births = list(self._births)
        self._births.clear()
        if self._forking is not None:
            (birth, output), self._forking = self._forking, None
            # One that has been forked all the same loses its control channel, and ends.
            os.close(output)
            births.insert(0, birth)
        for birth in births:
            birth.born.errback(failure)

    # ---- end

    def abandon(self) -> None:
        """Fork no more workers."""
        self._settle(Failure(CannotLoad("the daemon stops")))

    def stop(self) -> None:
        """Let it end: its workers do without it."""
        self.abandon()
        self._close()
        self.kill(after=STACKS_FIRST)

    def kill(self, after: float, show_stacks: bool = False) -> None:
        """Kill it in ``after`` seconds, unless it has ended by then.

        :param show_stacks: let it write the stacks of its threads first (faulthandler).
        """
        if self._child is None or self.ended.called:
            return
        if show_stacks:
            self._child.signal(signal.SIGABRT)
        unless_over(self._reactor, self.ended, after, self._child.signal, signal.SIGKILL)

    def _close(self) -> None:
        if self._channel is not None:
            self._reactor.removeReader(self)
            self._channel.close()
            self._channel = None

    def _ended(self, status: int) -> None:
        assert self._child is not None
        self._close()
        self._settle(Failure(CannotLoad(f"the template {how_it_ended(status)}")))
        grace = self._settings.lifecycle.graceful_timeout
        self._left.add("the template", self._child.group, self._child.left, grace)
        self.ended.callback(status)
