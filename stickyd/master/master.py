"""The parts of a running master: slots, front end, supervisor."""

import os
import socket
from collections import Counter
from typing import Any

import attrs
from twisted.internet import defer

from stickyd import __version__
from stickyd.core.native import CORE
from stickyd.errors import StartFailed
from stickyd.ipc.exec_state import Packed, close_on_exec, keep_on_exec
from stickyd.master.child_exit import ChildExit
from stickyd.master.facts import Facts, slot_facts
from stickyd.master.frontend.frontend import Frontend
from stickyd.master.spawner import spawner_of
from stickyd.master.supervisor.context import MasterContext
from stickyd.master.supervisor.slot_states import SlotState
from stickyd.master.supervisor.slots import Slots
from stickyd.master.supervisor.stats_report import refresh, totals_of
from stickyd.master.supervisor.supervisor import Supervisor
from stickyd.master.tls.credentials import Credentials
from stickyd.master.tls.processes import TlsProcesses
from stickyd.process import used_by
from stickyd.settings import Settings
from stickyd.shm.connection_table import ConnectionTable
from stickyd.shm.learned_table import LearnedTable
from stickyd.shm.scoreboard import Scoreboard
from stickyd.shm.shared_ids import SharedIds
from stickyd.shm.shared_tables import SharedTables


class Master:
    """The parts of a master; none of them runs yet.

    :param first_number: id of the next connection.
    :ivar spawner: makes the worker processes.
    :ivar accepts: the daemon accepts connections, and is not about to stop; None while it starts.
    :ivar tls: None without a listener for TLS.
    """

    accepts: bool | None = None
    tls: TlsProcesses | None = None

    def __init__(self, context: MasterContext, first_number: int = 1) -> None:
        self._context = context
        self.slots = context.slots
        self.counters = context.counters
        self.spawner = spawner_of(context.reactor, context.settings)
        self.frontend = Frontend(context, self._close_idle, first_number)
        self.supervisor = Supervisor(context, self.frontend.update_slots, self.spawner)
        self._child_exit = child_exit = ChildExit(context.reactor, context.settings)
        self.supervisor.on_child_exit = child_exit.ended
        self.supervisor.on_generation = child_exit.restart

    @classmethod
    def create(cls, reactor: Any, settings: Settings) -> "Master":
        """A master for an ordinary start.

        :raise StartFailed: if the kernel has no shared memory for an option.
        """
        board = learned = table = None
        option = ""
        try:
            if settings.counts_loads():
                option = "--hash-balance-factor or least"
                board = Scoreboard.create(settings.workers)
            if settings.policy().learns:
                option = "--learn-most"
                learned = _new_table(settings)
            if settings.lifecycle.guardian:
                option = "--guardian"
                table = ConnectionTable.create(settings.limits.connections)
        except OSError as error:
            raise StartFailed(f"no shared memory for {option}: {error}") from error
        slots = Slots(reactor, settings.workers, board)
        tables = SharedTables(board, learned)
        return cls(MasterContext.build(reactor, settings, slots, tables, table))

    def _close_idle(self, count: int) -> None:
        self.supervisor.close_idle(count)

    def listen(
        self, ports: list[Any], credentials: Credentials, gate: Packed | None = None
    ) -> None:
        """Take the listening sockets, in the order of their descriptions.

        :param gate: of the previous program, as `pack` returned it.
        """
        context, front = self._context, self.frontend
        front.listen(ports, gate)
        if front.gate is not None:
            self.tls = tls = TlsProcesses(
                context.reactor, context.settings, credentials, front.gate.sender
            )
            front.stop_tls = tls.stop_accepting

    async def start(self) -> None:
        """Start the helper, the workers and the TLS processes.

        :raise StartFailed: if the app, or a callable, cannot be loaded.
        """
        await self._child_exit.start()
        starts = [defer.ensureDeferred(self.supervisor.start())]
        if self.tls is not None:
            starts.append(defer.ensureDeferred(self.tls.start(self._sockets_over_tls())))
        try:
            await defer.gatherResults(starts, consumeErrors=True)
        except defer.FirstError as first:
            first.subFailure.raiseException()

    def _sockets_over_tls(self) -> dict[int, socket.socket]:
        gate = self.frontend.gate
        listeners = gate.listeners if gate is not None else {}
        return {number: listener.socket for number, listener in listeners.items()}

    def accept(self) -> None:
        """Start accepting connections."""
        self.frontend.start()
        if self.tls is not None:
            self.tls.accept()
        self.accepts = True

    def reload(self) -> None:
        """Read the certificates anew, and start a new generation of workers."""
        if self.tls is not None:
            self.tls.renew()
        self.supervisor.reload()

    # ---- reports

    def ready(self) -> bool:
        """Whether new clients are to be sent here: it accepts, and every slot can serve."""
        return not self.not_ready()

    def status(self) -> str:
        """One line for the service manager."""
        ready = sum(slot.state is SlotState.READY for slot in self.slots)
        generation = self.supervisor.generation
        return f"{ready} of {len(self.slots)} workers ready, generation {generation}"

    def not_ready(self) -> str:
        """Why new clients are not to be sent here; empty if they are."""
        if not self.accepts:
            return "starting" if self.accepts is None else "stopping"
        unserved = [str(slot.number) for slot in self.slots if slot.state is not SlotState.READY]
        return f"slots without a worker: {', '.join(unserved)}" if unserved else ""

    def facts(self) -> Facts:
        """What is known without asking a worker."""
        context, supervisor = self._context, self.supervisor
        idle = context.idle()
        return Facts(
            version=__version__,
            core=CORE.name,
            generation=supervisor.generation,
            table_version=self.slots.version,
            master_pid=os.getpid(),
            master=context.counters,
            totals=totals_of(self.slots, supervisor.ended_counters),
            sources=context.sources,
            slots=slot_facts(self.slots, context.loads(), idle),
            heads=self.frontend.waiting(),
            open=context.connection_limit.open(),
            most=context.connection_limit.most,
            idle=_total(idle),
            certificates=self.tls.expiries() if self.tls is not None else {},
            scope=context.settings.routing.scope,
        )

    async def report(self) -> dict[str, Any]:
        """The report of ``--control``, JSON-ready."""
        context = self._context
        await refresh(self.slots)
        # From here on nothing waits: a worker that has ended meanwhile is in the totals.
        idle = context.idle()
        used = used_by(os.getpid())
        return {
            "version": __version__,
            "ready": self.ready(),
            "not_ready": self.not_ready(),
            "core": {"name": CORE.name, "why_not": CORE.why_not},
            "scope": context.settings.routing.scope,
            "master": {
                "pid": os.getpid(),
                **(used._asdict() if used is not None else {}),
                **context.counters.as_json(),
                "open": self.frontend.waiting(),
            },
            "connections": {
                "open": context.connection_limit.open(),
                "idle": _total(idle),
                "most": context.connection_limit.most,
                "guarded": len(context.guardian or ()),
            },
            "learned": _counts(context.tables.learned),
            **self.supervisor.report(idle),
        }

    # ---- the master's program is replaced

    async def detach(self) -> Packed:
        """Detach all processes; see `Supervisor.pack`."""
        await self._child_exit.stop()
        if self.tls is not None:
            await self.tls.detach()
        return await self.supervisor.pack()

    def pack(self, workers: Packed) -> Packed:
        """The state for the next program; ``workers`` as `detach` returned them."""
        return {
            "front": self.frontend.pack(),
            "connections": self._context.connection_limit.open_in_master(),
            "workers": workers,
            "tables": self._pack_tables(),
            "child_exits": self._child_exit.pack(),
            "slots": self.slots.pack(),
            "tls": self.tls.pack() if self.tls is not None else None,
        }

    def _pack_tables(self) -> Packed:
        tables = self._context.tables
        descriptors = {name: keep_on_exec(fd) for name, fd in tables.descriptors().items()}
        return {"descriptors": descriptors, "board": tables.pack()}

    @classmethod
    def unpack(cls, reactor: Any, settings: Settings, packed: Packed) -> "Master":
        """A master from the state of the previous program; `resume` has to follow."""
        table = None
        kept = packed["tables"]
        fds = {name: close_on_exec(fd) for name, fd in kept["descriptors"].items()}
        tables = SharedTables.resume(fds.get("scoreboard"), kept["board"], fds.get("learned"))
        if settings.policy().learns and tables.learned is None:
            # Its layout is another program's: ids are learned anew.
            tables = attrs.evolve(tables, learned=_new_table(settings))
        guarded = packed["front"]["guarded"]
        if guarded is not None:
            table = ConnectionTable.again(close_on_exec(guarded["ledger"]))
        slots = Slots.unpack(packed["slots"], reactor, tables.scoreboard)
        context = MasterContext.build(reactor, settings, slots, tables, table)
        context.connection_limit.resume(packed["connections"])
        return cls(context, packed["front"]["next"])

    def resume(self, packed: Packed) -> None:
        """Continue with workers and connections, after `Frontend.listen`."""
        slots = packed["slots"]["slots"]
        self.supervisor.resume(packed["workers"], slots)
        self.frontend.resume(packed["front"], slots)
        self._child_exit.resume(packed.get("child_exits", []))
        if self.tls is not None and packed["tls"] is not None:
            self.tls.resume(packed["tls"], self._sockets_over_tls())
        self.counters.upgrades += 1
        # The template of the program before has that program's modules, and has ended with it.
        self.spawner.resume()

    # ---- stop

    async def stop(self, grace: float) -> None:
        """Retire the workers within ``grace`` seconds, and tell of their ends."""
        await self.supervisor.stop(grace)
        if self.tls is not None:
            await self.tls.stop()
        await self._child_exit.stop()

    def close(self) -> None:
        """Close what is left when the last worker has ended."""
        context = self._context
        self.slots.close()
        if context.guardian is not None:
            context.guardian.close()
        self.frontend.close()
        context.tables.close()


def _total(idle: Counter[int] | None) -> int | None:
    return idle.total() if idle is not None else None


def _new_table(settings: Settings) -> SharedIds:
    ids = settings.routing.ids
    return SharedIds(LearnedTable.create(ids.learn_most, ids.learn_idle))


def _counts(learned: SharedIds | None) -> dict[str, int] | None:
    """The counters of the table of learned ids, None without one."""
    return learned.table.counts()._asdict() if learned is not None else None
