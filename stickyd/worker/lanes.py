"""The compiled engine of a worker, where it can stand for the Python channels; and the way between.

A connection is either a lane of the engine or a `Channel`. The engine makes a channel of a lane
with `Given` when anything unusual comes; docs/core.md says what that is.
"""

import resource
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

import attrs
from twisted.internet import interfaces, main
from twisted.logger import Logger
from zope.interface import classImplements

from stickyd.core.native import CORE
from stickyd.core.placer import placer
from stickyd.http1.error_response import NOT_STORED
from stickyd.http1.head_parser import Head, connection_options, read_head
from stickyd.ipc.frame import Frame, Kind, decode
from stickyd.net.epoll import CONNECTION, Member, Poller
from stickyd.net.own_descriptors import NOT_IN_EPOLL, OwnDescriptors
from stickyd.net.writev import rest_of
from stickyd.routing.issued_ids import INSERT
from stickyd.routing.policy import Policy
from stickyd.shm.connection_table import ConnectionTable, Entry
from stickyd.stats import ADOPTED, ARRIVED, MOVED, PLACED, REQUESTS
from stickyd.worker.answer_ids import AnswerIds, RequestIds
from stickyd.worker.connection import from_engine
from stickyd.worker.connection.access_log import LoggedRequest
from stickyd.worker.connection.addresses import as_twisted
from stickyd.worker.connection.adoption import SHORT_AT
from stickyd.worker.connection.channel import FAILED
from stickyd.worker.connection.context import WorkerContext
from stickyd.worker.connection.given import Given
from stickyd.worker.connection.lingering import LingeringConnection
from stickyd.worker.connection.next_step import State
from stickyd.worker.connection.steps import identified
from stickyd.worker.connection.transport import NO_OWNER, ClientTransport
from stickyd.worker.interfaces import App

if TYPE_CHECKING:
    from stickyd.core._engine import Engine
    from stickyd.core._native import HeadReader

_log = Logger("stickyd")
_FRAMING = frozenset({"content-length", "transfer-encoding"})
"""Fields that the engine does not look for ids in."""


class Probe(Protocol):
    """Told by an engine under test what it does."""

    def tick(self) -> None:
        """Before and after each store that others see, and each system call that moves bytes."""

    def took(self, descriptor: int) -> None:
        """A descriptor has been taken out of an inbox; -1 if none has."""

    def gave(self, slot: int) -> None:
        """A connection has been put into the inbox of a slot."""


PROBE: Probe | None = None
"""Of the engines that are made next; for tests."""


class LanePoller(Poller):
    """A poller whose events an engine takes, and tells its members of theirs."""

    engine: "Engine | None" = None

    @property
    def members(self) -> dict[int, Member]:
        """By descriptor."""
        return self._members

    def doRead(self) -> None:
        """For the reactor: tell a batch of lanes and members."""
        if self.engine is None:
            super().doRead()
        else:
            self.engine.turn()

    def close(self) -> None:
        """Watch nobody any more."""
        if self.engine is not None:
            self.engine.close()
        super().close()


@attrs.frozen
class Parts:
    """What an engine is made of, and whom it asks (see `stickyd.core._engine`).

    :ivar table: None if the master guards no connections.
    :ivar exchanges: makes exchanges in the engine; None where only the app does.
    """

    context: WorkerContext
    app: App
    poller: LanePoller
    table: ConnectionTable | None
    reader: "HeadReader"
    exchanges: Any
    probe: Probe | None

    log = _log
    states = (State.HEAD, State.ANSWER, State.OVER)
    kinds = (None, *Kind)
    frame, given, logged, part = Frame, Given, LoggedRequest, LingeringConnection
    connection_lost: ClassVar[BaseException] = main.CONNECTION_LOST
    not_stored, failed_refusal = NOT_STORED, FAILED
    cells_at = (ADOPTED, ARRIVED, REQUESTS, PLACED, MOVED)
    decode = staticmethod(decode)
    placer = staticmethod(placer)
    rest_of = staticmethod(rest_of)
    as_twisted = staticmethod(as_twisted)
    channel = staticmethod(from_engine.taken_over)
    advance = staticmethod(from_engine.advance)
    deliver = staticmethod(from_engine.deliver)
    app_failed = staticmethod(from_engine.failed)
    wait = staticmethod(from_engine.wait)
    identified = staticmethod(identified)

    @property
    def chain_ids(self) -> tuple[AnswerIds, type[RequestIds], int, bytes, bool] | None:
        """See `stickyd.core._engine.ChainIds`; None if the chain has no ids."""
        ids, policy = self.context.routing.ids, self.context.routing.policy
        if ids is None:
            return None
        at = next((at for at, source in enumerate(policy.chain) if source.kind == INSERT), -1)
        return ids, RequestIds, at, (policy.inserts or "").encode("ascii"), bool(policy.learns)

    @property
    def by_python(self) -> bool:
        """Whether every request is placed by Python."""
        return self.context.routing.load.bounded

    @property
    def descriptors_most(self) -> int:
        """The descriptor from which on a connection is refused."""
        return resource.getrlimit(resource.RLIMIT_NOFILE)[0] - SHORT_AT

    def entry(self, number: int, taken: int, settled: bool) -> Entry | None:
        """The entry of a connection for a channel."""
        return self.table.entry(number, taken, settled) if self.table is not None else None

    def failed(self, error: OSError) -> None:
        """A system call on a connection has failed."""
        self.poller.own.failed(error, CONNECTION)

    def not_in_epoll(self, error: OSError) -> None:
        """The same of epoll_ctl(2)."""
        self.poller.own.failed(error, CONNECTION, NOT_IN_EPOLL)

    @staticmethod
    def ended_transport(context: WorkerContext, frame: Frame) -> ClientTransport:
        """The transport of a connection that has moved or ended, for an app that still asks it."""
        transport = ClientTransport(context.reactor, context.poller, -1, frame, NO_OWNER)
        transport.detach()
        return transport


def make_poller(reactor: Any, own: OwnDescriptors) -> Poller:
    """The poller of a worker, which may get an engine."""
    return Poller(reactor, own) if CORE.engines is None else LanePoller(reactor, own)


def make_engine(context: WorkerContext, app: App, table: ConnectionTable | None) -> "Engine | None":
    """The engine of a worker; None where Python channels serve all connections.

    :param table: None if the master guards no connections.
    """
    poller = context.poller
    native, engines = CORE.native, CORE.engines
    if native is None or engines is None or not isinstance(poller, LanePoller):
        return None
    routing = context.routing
    if routing.keys.memory is not None or not _can_serve(routing.ids, routing.policy):
        return None
    compiled = getattr(app, "compiled", None)
    lane: Any = engines.Lane
    if not interfaces.ITCPTransport.implementedBy(lane):
        classImplements(engines.Lane, interfaces.ITCPTransport)  # type: ignore[misc]
    poller.engine = engine = engines.Engine(
        Parts(
            context,
            app,
            poller,
            table,
            native.HeadReader(Head, connection_options, read_head),
            None if compiled is None else compiled(context.config.header_line),
            PROBE,
        )
    )
    return engine


def _can_serve(ids: AnswerIds | None, policy: Policy) -> bool:
    """Whether the engine finds the ids that are set and learned."""
    if ids is None:
        return True
    framing = any(source.name.lower() in _FRAMING for source in policy.learns)
    return placer(policy) is not None and not framing
