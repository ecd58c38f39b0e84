"""Tells a helper process of each ended worker (``--child-exit``); `stickyd.helper.child_exit`."""

import json
import os
import signal
import socket
import sys
from collections import deque
from typing import Any

from twisted.internet import defer
from twisted.internet.protocol import Protocol, connectionDone
from twisted.logger import Logger
from twisted.python.failure import Failure

from stickyd.errors import StartFailed
from stickyd.ipc.control_channel import adopt_stream
from stickyd.logs.child_lines import ChildLines
from stickyd.logs.record import TAG_OPTION, mark_of
from stickyd.master.supervisor.child_process import (
    ChildProcess,
    how_it_ended,
    new_tag,
    spawn,
    unless_over,
)
from stickyd.master.supervisor.spawn import apps_environment
from stickyd.process import HELD_BACK
from stickyd.settings import Settings

LAST_CALLS = 3.0
"""Seconds that the helper has for its last calls when the daemon stops."""

UNTOLD_MOST = 1000
"""Ended workers that are remembered while no helper runs, the oldest dropped first."""

_log = Logger("stickyd")

End = tuple[int, int, int]
"""pid, slot, and exit status; minus the number of the signal that ended it."""


class ChildExit:
    """The helper, if there is a callable.

    One that has ended, because the callable has ended it, is started again at the next end.

    It has directory and environment of the workers' app.
    """

    def __init__(self, reactor: Any, settings: Settings) -> None:
        self._reactor = reactor
        self._settings = settings
        self._name = settings.lifecycle.end.child_exit
        self._helper: _Helper | None = None
        self._untold: deque[End] = deque(maxlen=UNTOLD_MOST)

    async def start(self) -> None:
        """Start the helper.

        :raise StartFailed: if the callable cannot be loaded.
        """
        if not self._name:
            return
        helper = _Helper(self._reactor, self._settings)
        why = await helper.loaded
        if why:
            raise StartFailed(why)
        self._helper = helper
        while self._untold:
            helper.tell(self._untold.popleft())

    def ended(self, pid: int, slot: int, status: int) -> None:
        """A worker has ended.

        :param status: as of waitpid(2).
        """
        if not self._name:
            return
        end = pid, slot, os.waitstatus_to_exitcode(status)
        if self._helper is not None and self._helper.runs:
            self._helper.tell(end)
            return
        restart = self._helper is not None
        self._helper = None
        self._untold.append(end)
        if restart:
            self.restart()

    def restart(self) -> None:
        """Load the callable anew; if that fails, the present helper goes on."""
        if not self._name:
            return
        before = self._helper

        async def go() -> None:
            await self.start()
            if before is not None:
                await before.stop()

        starting = defer.ensureDeferred(go())
        starting.addErrback(lambda failure: _log.error("{why}", why=failure.getErrorMessage()))

    async def stop(self) -> None:
        """Returns when the helper has made its calls and ended."""
        helper, self._helper = self._helper, None
        if helper is not None:
            await helper.stop()

    # ---- the master's program is replaced

    def pack(self) -> list[End]:
        """Workers that have ended since `stop`."""
        return list(self._untold)

    def resume(self, untold: list[list[int]]) -> None:
        """Start the helper of the next program."""
        self._untold.extend((pid, slot, status) for pid, slot, status in untold)
        self.restart()


class _Helper(Protocol):
    """One helper process.

    :ivar loaded: fires with "" or the reason why the callable cannot be loaded.
    :ivar runs: it can be told.
    """

    def __init__(self, reactor: Any, settings: Settings) -> None:
        app, tag = settings.app, new_tag(settings.log.format)
        self._reactor = reactor
        self._held = b""
        self.loaded: defer.Deferred[str] = defer.Deferred()
        self.runs = True
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        with theirs:
            command = [
                sys.executable,
                "-m",
                "stickyd.helper.child_exit",
                str(theirs.fileno()),
                settings.lifecycle.end.child_exit,
                app.origin.directory,
                TAG_OPTION + tag,
            ]
            pid, output = spawn(command, apps_environment(app), theirs.fileno(), HELD_BACK)
        lines = ChildLines("child-exit", "child-exit", pid, mark=mark_of(tag))
        self._child = ChildProcess(reactor, pid, output, lines, mark_of(tag))
        self._child.ended.addCallback(self._ended)
        adopt_stream(reactor, ours, self)

    def tell(self, end: End) -> None:
        """Let it call the callable."""
        assert self.transport is not None
        self.transport.write(json.dumps(end).encode() + b"\n")

    def dataReceived(self, data: bytes) -> None:
        """For the transport: the one line that the helper writes."""
        self._held += data
        if b"\n" in self._held and not self.loaded.called:
            self.loaded.callback(self._held.partition(b"\n")[0].decode("utf-8", "replace"))

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """For the transport."""
        self.runs = False

    def _ended(self, status: int) -> int:
        self.runs = False
        if not self.loaded.called:
            self.loaded.callback(f"the process of --child-exit {how_it_ended(status)}")
        elif status:
            _log.error("the process of --child-exit {how}", how=how_it_ended(status))
        return status

    async def stop(self) -> None:
        """Let it make its calls and end."""
        if self.transport is not None:
            self.transport.loseConnection()
        child = self._child
        unless_over(self._reactor, child.ended, LAST_CALLS, child.signal, signal.SIGKILL)
        await child.ended
