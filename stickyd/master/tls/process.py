"""One TLS process, as the master sees it: a child process and its control channel."""

import json
import os
import signal
import socket
import sys
from collections.abc import Mapping
from typing import Any

from twisted.internet import defer, error
from twisted.python.failure import Failure

from stickyd.ipc.control_channel import adopt_end, adopt_stream
from stickyd.ipc.exec_state import Packed, close_on_exec, keep_on_exec
from stickyd.logs.child_lines import ChildLines
from stickyd.logs.record import TAG_OPTION, mark_of
from stickyd.master.supervisor.child_process import (
    ChildProcess,
    how_it_ended,
    new_tag,
    spawn,
    unless_over,
)
from stickyd.master.supervisor.control_link import CommandLink
from stickyd.master.supervisor.spawn import environment, without_the_master_s
from stickyd.master.tls.credentials import Credentials
from stickyd.process import HELD_BACK
from stickyd.settings import Settings
from stickyd.tls import commands
from stickyd.tls.certificates import CertificateError
from stickyd.tls.groups import group_variables


class TlsChild:
    """Starts a TLS process and sends it commands.

    :param number: from 1, for the log.
    :ivar opened: fires when the process could accept; fails if it ends before.
    :ivar ended: fires with how it has ended.
    """

    def __init__(self, reactor: Any, number: int) -> None:
        self._reactor = reactor
        self._link = CommandLink()
        self._child: ChildProcess | None = None
        self._tag = ""
        self._next_channel: socket.socket | None = None
        self.number = number
        self.started = reactor.seconds()
        self.opened: defer.Deferred[None] = defer.Deferred()
        self.ended: defer.Deferred[str] = defer.Deferred()

    @property
    def pid(self) -> int:
        """The process id."""
        assert self._child is not None
        return self._child.pid

    def start(
        self,
        settings: Settings,
        credentials: Credentials,
        gate: socket.socket,
        listening: Mapping[int, socket.socket],
    ) -> None:
        """Start the process.

        :param gate: sending end of the inbox that the master reads.
        :param listening: the listening sockets, by the ids of their listeners.
        :raise OSError: if it cannot be started.
        """
        self._tag = new_tag(settings.log.format)
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        with theirs:
            command = [sys.executable, "-m", "stickyd.tls", str(theirs.fileno())]
            command.append(TAG_OPTION + self._tag)
            variables = without_the_master_s(environment())
            variables |= group_variables(variables)
            try:
                pid, output = spawn(command, variables, theirs.fileno(), HELD_BACK)
            except OSError:
                ours.close()
                raise
        self._watch(pid, output)
        adopt_stream(self._reactor, ours, self._link)
        about = {
            "head": settings.timeouts.head,
            "send": settings.timeouts.send,
            "grace": settings.lifecycle.graceful_timeout,
            "most": settings.limits.connections,
            "debug": settings.log.level == "debug",
            "asks_clients": settings.tls.client_cert != "off",
        }
        secrets = credentials.file()
        asked = self._link.ask(
            commands.Open,
            about=json.dumps(about).encode("ascii"),
            secrets=secrets,
            gate=gate.fileno(),
            listeners=[{"id": each, "socket": sock.fileno()} for each, sock in listening.items()],
        )

        def answered(result: object) -> None:
            os.close(secrets)
            if not isinstance(result, Failure):
                self._settle(None)
            elif not result.check(error.ConnectionDone, error.ConnectionLost):
                # Otherwise its end says why.
                self._settle(result)

        asked.addBoth(answered)

    def _watch(self, pid: int, output: int) -> None:
        mark = mark_of(self._tag)
        lines = ChildLines(f"tls {self.number}", "tls", pid, mark=mark)
        self._child = ChildProcess(self._reactor, pid, output, lines, mark)
        self._child.ended.addCallback(self._process_ended)

    def _process_ended(self, status: int) -> None:
        how = how_it_ended(status)
        self._settle(Failure(RuntimeError(how)))
        self.ended.callback(how)

    def _settle(self, failure: Failure | None) -> None:
        if not self.opened.called:
            self.opened.callback(None) if failure is None else self.opened.errback(failure)

    # ---- commands

    def accept(self) -> None:
        """Let it accept connections."""
        self._link.send(commands.Accept)

    def renew(self, credentials: Credentials) -> "defer.Deferred[None]":
        """Let it use other certificates; fires when it does, or has ended.

        Fails with `CertificateError` if it cannot.
        """
        secrets = credentials.file()

        def told(result: object) -> Failure | None:
            os.close(secrets)
            refused = isinstance(result, Failure) and result.check(CertificateError)
            return result if isinstance(result, Failure) and refused else None

        return self._link.ask(commands.Renew, secrets=secrets).addBoth(told)

    def stop_accepting(self, patience: float) -> "defer.Deferred[None]":
        """Fires when no handshake is under way, after ``patience`` seconds at most."""
        return self._link.send(commands.StopAccepting, patience=patience)

    async def finish(self, grace: float, kill_after: float) -> None:
        """Let it end within ``grace`` seconds; kill it ``kill_after`` seconds later."""
        self._link.send(commands.Finish, grace=grace)
        unless_over(self._reactor, self.ended, grace + kill_after, self.kill)
        await self.ended

    def kill(self) -> None:
        """Kill it, unless it has ended."""
        if self._child is not None:
            self._child.signal(signal.SIGKILL)

    # ---- the master's program is replaced

    async def relink(self, patience: float) -> None:
        """Give it another control channel; see `CommandLink.relink`."""
        self._next_channel = await self._link.relink(self._reactor, patience)

    def pack(self) -> Packed:
        """The process, and the master's end of its next channel; then unwatched."""
        assert self._child is not None
        pid, output = self._child.detach()
        channel = self._next_channel
        return {
            "pid": pid,
            "number": self.number,
            "output": keep_on_exec(output),
            "channel": keep_on_exec(channel.detach()) if channel is not None else None,
            "tag": self._tag,
        }

    @classmethod
    def unpack(cls, reactor: Any, packed: Packed) -> "TlsChild":
        """A process that the previous program packed."""
        child = cls(reactor, packed["number"])
        child._tag = packed["tag"]
        child._watch(packed["pid"], close_on_exec(packed["output"]))
        if packed["channel"] is not None:
            adopt_end(reactor, close_on_exec(packed["channel"]), child._link)
        child.opened.callback(None)
        return child
