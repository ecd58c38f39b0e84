"""One worker: serves the connections of a slot, and moves the others to theirs."""

import socket
import sys
from collections.abc import Callable, Sequence
from random import randint
from typing import Any

import attrs
from twisted.internet import defer
from twisted.python.failure import Failure

from stickyd.logs.record import tag_among
from stickyd.net.own_descriptors import OwnDescriptors
from stickyd.routing.policy import Policy
from stickyd.settings import Settings
from stickyd.shm.connection_table import ConnectionTable
from stickyd.shm.scoreboard import Scoreboard
from stickyd.shm.shared_ids import SharedIds
from stickyd.shm.worker_stats import WorkerStats
from stickyd.worker import lanes
from stickyd.worker.accounting import Accounting, NoEvents, WorkerEvents
from stickyd.worker.answer_ids import AnswerIds
from stickyd.worker.connection.access_log import AccessLog
from stickyd.worker.connection.adoption import Adoption
from stickyd.worker.connection.context import ConnectionConfig, WorkerContext
from stickyd.worker.connection.round_robin import RoundRobin
from stickyd.worker.connection_set import FINAL_FLUSH, ConnectionSet
from stickyd.worker.drain import Drain, DrainTimes
from stickyd.worker.interfaces import App
from stickyd.worker.key_owner import KeyOwner
from stickyd.worker.slot_load import SlotLoad, UncountedLoad, counted_load
from stickyd.worker.slot_routing import SlotRouting
from stickyd.worker.slot_senders import SlotSenders

IDLE_LEAST = 1.0
"""Seconds a connection has been idle before it is closed to make room: one in use, whose next
request may be in transit, is spared."""


@attrs.frozen
class Resources:
    """What the master shares with a worker.

    :ivar slot: the number of the slot, from 1.
    :ivar inbox: the reading end of the slot's inbox.
    :ivar senders: the sending ends of all inboxes, by slot.
    :ivar stats: where connections that the master does not guard are counted.
    :ivar scoreboard: and the number of this process's row; None if no decision depends on loads.
    :ivar connections: the connection table; None if the master guards no connections.
    :ivar learned: the ids that apps have handed out; None if none are learned.
    """

    slot: int
    inbox: socket.socket
    senders: dict[int, socket.socket]
    stats: WorkerStats
    scoreboard: tuple[Scoreboard, int] | None = None
    connections: ConnectionTable | None = None
    learned: SharedIds | None = None


class Worker:
    """Serves the connections of one slot.

    :param policy: where requests belong; by default that of the settings.
    :param keys: the keys served here while the slot has another worker.
    :param own: checks the descriptors that the process cannot do without.
    :ivar context: what its connections share.
    :ivar engine: serves plain connections; None where Python channels serve all.
    """

    def __init__(
        self,
        reactor: Any,
        settings: Settings,
        app: App,
        resources: Resources,
        events: WorkerEvents | None = None,
        policy: Policy | None = None,
        keys: KeyOwner | None = None,
        own: OwnDescriptors | None = None,
    ) -> None:
        self._reactor = reactor
        self._drain_times = DrainTimes.of(settings)
        self._drain: Drain | None = None
        self.app = app
        self.slot = slot = resources.slot
        own = own or OwnDescriptors()
        poller = lanes.make_poller(reactor, own)
        access = None
        log = settings.log
        if log.access_file:
            access = AccessLog(reactor, log, own, tag_among(sys.argv))
        config = ConnectionConfig.of(settings, slot)
        counters = resources.stats.counters
        replace_at = 0
        self._close_spread = settings.lifecycle.end.close_spread
        recycle = settings.lifecycle.recycle
        if recycle.max_requests:
            replace_at = recycle.max_requests + randint(0, recycle.max_requests_jitter)
        learned = resources.learned
        if learned is not None:
            own.keep("the table of learned ids", learned.table.fd)
        policy = policy or settings.policy(learned=learned)
        load: SlotLoad = UncountedLoad()
        if resources.scoreboard is not None:
            load = counted_load(
                *resources.scoreboard,
                policy,
                settings.routing.balance_factor,
                moves=config.moves,
                counters=counters,
                own=own,
            )
        senders = SlotSenders(reactor, slot, resources.senders, settings.timeouts.inbox, load, own)
        attributes = settings.routing.ids.cookie_attributes
        ids = AnswerIds.of(slot, policy, attributes, counters, learned)
        keys = keys or KeyOwner()
        self.context = WorkerContext(
            reactor,
            config,
            poller,
            RoundRobin(reactor),
            ConnectionSet(reactor),
            Accounting(
                slot, resources.stats, events or NoEvents(), counters, replace_at, bool(log.admin)
            ),
            SlotRouting(policy, load, senders, keys, ids),
            access,
        )
        self.engine = lanes.make_engine(self.context, app, resources.connections)
        self.adoption = Adoption(
            self.context, app, resources.inbox, resources.connections, self.engine
        )

    # ---- start, and hand-over from a predecessor

    def start(self, private: socket.socket | None = None) -> None:
        """Begin to take connections.

        :param private: an inbox to take them from while the predecessor has the slot's.
        """
        if private is None:
            self.adoption.start()
            return
        if self.engine is not None:
            self.engine.enabled = False
        self.context.routing.follow()
        self.adoption.start_private(private)

    def take_over(self, private: socket.socket | None = None) -> None:
        """The predecessor has ended: take connections from its inbox, too.

        :param private: that of the predecessor, if an older worker has the slot's.
        """
        retiring = self.context.connections.retiring
        if private is not None:
            self.adoption.start_private(private)
            if retiring:
                self.adoption.stop(drain=False)
            return
        self.context.routing.keys.take_over()
        if not retiring:
            if self.engine is not None and self._drain is None:
                self.engine.enabled = True
            self.adoption.start()

    def drain(self, successor: socket.socket) -> None:
        """Continue with the keys in use and, with ``--session-drain``, those known.

        The successor serves all others. `WorkerEvents.drained` is told when no key is left.

        :param successor: the sending end of its inbox.
        """
        context = self.context
        if self.engine is not None:
            self.engine.enabled = False
        routing = context.routing
        routing.lead(successor)
        self._drain = drain = Drain(
            self._reactor,
            self._drain_times,
            routing.keys,
            context.connections,
            context.accounting.events.drained,
        )
        routing.keys.released = drain.released
        drain.start()

    def end_drain(self) -> None:
        """Another generation follows: do not wait for upgraded connections and known keys."""
        if self._drain is not None:
            self._drain.hasten()

    # ---- while it serves

    def settle(self) -> None:
        """Correct the counts and drop what is kept too long; to be called every second."""
        context = self.context
        context.connections.moved.forget_old(self._reactor.seconds())
        if self._drain is not None:
            self._drain.tick()
        if not context.connections.retiring and context.routing.keys.alone:
            context.routing.load.settle(self.slot, self.adoption.is_empty)

    def close_idle(self, count: int) -> None:
        """The daemon is full: close up to ``count`` idle connections, the longest idle first."""
        context = self.context
        # The deadline of an idle connection tells since when it is idle.
        most = self._reactor.seconds() + context.config.timeouts.keep_alive - IDLE_LEAST
        context.accounting.counters.eased += context.connections.close_idle(count, most)

    def report(self) -> dict[str, Any]:
        """The counters, JSON-ready."""
        self.note()
        return self.context.accounting.counters.as_json()

    def note(self) -> None:
        """Bring the counters in shared memory up to date; to be called every second."""
        context = self.context
        dropped = context.access.take_dropped() if context.access is not None else 0
        context.accounting.note(len(context.connections), dropped)

    def update_slots(
        self,
        version: int,
        slots: list[int],
        added: dict[int, socket.socket],
        done: Callable[[], None],
    ) -> None:
        """The set of slots has changed; see `SlotSenders.update_slots`."""
        self.context.routing.update_slots(version, slots, added, done)

    # ---- the end

    def retire(
        self, grace: float, heirs: Sequence[int] = (), *, hurried: bool = False
    ) -> "defer.Deferred[None]":
        """Finish the requests; fires when no connection is left or after ``grace`` seconds.

        May be called again while connections are left; the last call decides.

        :param heirs: slots whose inboxes get the idle connections; without any they are closed,
            and so are WebSockets, which otherwise have the grace period.
        :param hurried: WebSockets and event streams are closed at once.
        """
        context = self.context
        connections = context.connections
        if connections.retired is not None:
            # The app may be stopping: what is in the inbox now is for other workers.
            return connections.retired
        if self._drain is not None:
            # Its connections have had their time.
            grace = min(grace, FINAL_FLUSH) if self._drain.closed else grace
            self._drain.cancel()
            self._drain = None
        context.routing.keys.release()
        if self.engine is not None:
            self.engine.enabled = False
        self.adoption.stop(drain=self.slot not in heirs)
        context.routing.senders.heirs = list(heirs)
        connections.leaving, connections.closing = bool(heirs), not heirs
        connections.hurried = hurried
        if connections.closing:
            self.app.close()
        if connections.closing or hurried:
            self.app.end_streams()
        over = connections.retire(0.0 if hurried else min(self._close_spread, grace / 2))
        if not over.called:
            over.addTimeout(grace, self._reactor)
            over.addErrback(self._abort)
        return over

    def _abort(self, failure: Failure) -> "defer.Deferred[None] | None":
        failure.trap(defer.TimeoutError)
        self.context.routing.senders.cancel_waiting()
        return self.context.connections.abort()
