"""What tells of the daemon: the control socket and the admin listener."""

import os
from typing import TYPE_CHECKING, Any

from twisted.internet import defer

from stickyd.errors import StartFailed
from stickyd.ipc.exec_state import Packed, close_on_exec, keep_on_exec
from stickyd.logs.stream import LogStream
from stickyd.master.admin import MULTIPROC_DIR
from stickyd.master.facts import Facts
from stickyd.master.frontend.listen_sockets import InheritedSocket
from stickyd.master.master import Master
from stickyd.master.stats_socket import StatsSocket

if TYPE_CHECKING:
    from stickyd.master.admin.listener import AdminListener


class Reporting:
    """Answers on the control socket and the admin listener; see `stickyd.master.facts.Watched`.

    :param control: path of the ``--control`` socket.
    :param admin: endpoint description of the ``--admin`` listener, or "".
    :param output: the log's stream, if the log goes to standard output.
    """

    def __init__(
        self, reactor: Any, control: str | None, admin: str, output: LogStream | None
    ) -> None:
        self._reactor = reactor
        self._control_path = control
        self._output = output
        self._control: StatsSocket | None = None
        self._master: Master | None = None
        self._admin = self._make_admin(admin)

    def _make_admin(self, description: str) -> "AdminListener | None":
        if not description:
            return None
        from stickyd.master.admin.listener import AdminListener

        return AdminListener(self._reactor, [description], self)

    # ---- start

    def bind_privileged(self) -> None:
        """Bind what may need root's rights, before twistd drops them."""
        if self._admin is not None:
            self._admin.bind_privileged()

    async def listen(self, master: Master) -> None:
        """Begin to answer.

        :raise StartFailed: if a socket cannot be bound.
        """
        self._use(master)
        if self._control_path is not None:
            control = StatsSocket(self._reactor, self.report)
            try:
                control.listen(self._control_path)
            except Exception as error:
                raise StartFailed(f"cannot listen on {self._control_path}: {error}") from error
            self._control = control
        if self._admin is not None:
            await self._admin.listen()

    def resume(self, master: Master, packed: Packed) -> None:
        """Continue with what `pack` of the previous program returned."""
        self._use(master)
        if packed["control"] is not None:
            self._control = StatsSocket(self._reactor, self.report)
            self._control.resume(InheritedSocket(close_on_exec(packed["control"])))
        if self._admin is not None and packed["admin"] is not None:
            self._admin.resume(packed["admin"])

    def _use(self, master: Master) -> None:
        self._master = master
        if MULTIPROC_DIR in os.environ:
            from stickyd.master.admin.exposition import forget_process

            tell = master.supervisor.on_child_exit

            def ended(pid: int, slot: int, status: int) -> None:
                forget_process(pid)
                tell(pid, slot, status)

            master.supervisor.on_child_exit = ended

    # ---- answers

    def _running(self) -> Master:
        assert self._master is not None
        return self._master

    def report(self) -> "defer.Deferred[dict[str, Any]]":
        """The report of ``--control``."""
        self.count_dropped()
        return defer.ensureDeferred(self._running().report())

    def facts(self) -> Facts:
        """What is known without asking a worker."""
        self.count_dropped()
        return self._running().facts()

    def not_ready(self) -> str:
        """Why not every slot can serve; empty if every one can."""
        return self._running().not_ready()

    def count_dropped(self) -> None:
        """Count the log lines that were dropped since the last call."""
        if self._output is not None and self._master is not None:
            self._master.counters.log_dropped += self._output.writer.take_dropped()

    # ---- stop

    async def pause(self) -> None:
        """Stop accepting; returns when the clients have what they were sent."""
        if self._control is not None:
            await self._control.pause()
        if self._admin is not None:
            await self._admin.pause()

    def pack(self) -> Packed:
        """The sockets, for the program that replaces this one."""
        return {
            "control": keep_on_exec(self._control.pack()) if self._control is not None else None,
            "admin": self._admin.pack() if self._admin is not None else None,
        }

    async def stop(self) -> None:
        """Close the sockets."""
        if self._control is not None:
            await self._control.stop()
        if self._admin is not None:
            await self._admin.stop()
