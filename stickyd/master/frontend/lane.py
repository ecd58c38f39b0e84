"""The compiled lane of a listener: it accepts and places, and Python goes on with the rest.

What goes the Python way: see docs/core.md.
"""

import socket
from socket import AF_INET, AF_INET6, inet_pton
from typing import TYPE_CHECKING

from stickyd.core.native import Core, Lanes
from stickyd.core.placer import placer
from stickyd.master.frontend.dispatcher import Dispatcher
from stickyd.master.frontend.listener import Listener
from stickyd.master.supervisor.context import MasterContext
from stickyd.net.address import Address
from stickyd.net.deferred_accept import period_within
from stickyd.routing.policy import Policy

if TYPE_CHECKING:
    from stickyd.core._lane import Route

BATCH = 64
"""Connections that the lane accepts in one call at most."""


class Routes:
    """Where the lanes of all listeners place: made anew when other slots take part."""

    def __init__(self, core: Core, dispatcher: Dispatcher) -> None:
        self._core = core
        self._dispatcher = dispatcher
        self._policy: Policy | None = None
        self._route: Route | None = None

    def current(self) -> "Route | None":
        """By the policy of the moment; None where only Python can decide by it."""
        policy = self._dispatcher.policy
        if policy is not self._policy:
            self._policy = policy
            self._route = self._make(policy)
        return self._route

    def _make(self, policy: Policy) -> "Route | None":
        compiled = placer(policy, self._core.native)
        if compiled is None or self._core.lanes is None:
            return None
        slots = [self._dispatcher.slots[number] for number in policy.table.slots]
        return self._core.lanes.Route(
            compiled,
            policy.table.version,
            [slot.number for slot in slots],
            [slot.sender.fileno() for slot in slots],
            [slot.outbox for slot in slots],
            [source.text for source in policy.chain],
        )


class LaneFactory:
    """Gives listeners what the compiled core has for them; nothing if Python runs.

    :param dispatcher: whose policy and slots the lanes use.
    """

    def __init__(self, context: MasterContext, dispatcher: Dispatcher) -> None:
        self._context = context
        self._dispatcher = dispatcher
        self._lanes = context.core.lanes
        self._routes = Routes(context.core, dispatcher)

    def equip(self, listener: Listener) -> None:
        """Let a listener use deferred accept, and a lane where Python need not see every head."""
        lanes, dispatcher = self._lanes, self._dispatcher
        if lanes is None:
            return
        if listener.ends_with_us and not listener.unix and listener.proxy is None:
            # The sockets of a service manager are set up by it (DeferAcceptSec= of systemd). A
            # peer that may not send a PROXY header is cut before it has sent anything.
            listener.defer_accept(period_within(listener.reception.head_timeout))
        if listener.proxy is None and dispatcher.balance is None:
            listener.lane = Lane(lanes, self._routes, listener, self._context)


class Lane:
    """Accepts for one listener."""

    def __init__(
        self,
        lanes: Lanes,
        routes: Routes,
        listener: Listener,
        context: MasterContext,
    ) -> None:
        self._lanes = lanes
        self._routes = routes
        self._listener = listener
        self._listening = listener.socket
        self._counters = context.counters
        self._guardian = guardian = context.guardian
        self._limit = context.connection_limit
        self._lane = lanes.MasterLane(
            listener.index,
            _packed(listener.own),
            listener.reception.limits,
            guardian.table.memory() if guardian is not None else None,
            guardian.highest if guardian is not None else 0,
        )

    def accept(self, most: int) -> None:
        """Accept up to ``most`` connections, and place those that can be placed."""
        lane, lanes, listener = self._lane, self._lanes, self._listener
        while most > 0:
            route = self._routes.current()
            room = min(self._limit.room(), most, BATCH)
            if route is None or not room:
                # It may be refused, or there is room after all: that is decided one by one.
                more = listener.accept_in_python(1)
                most -= 1
                if not more:
                    return
                continue
            if self._guardian is not None:
                self._guardian.table.stock(BATCH)
            verdict = lane.accept(self._listening.fileno(), route, room, listener.reception.numbers)
            most -= lane.accepted
            if lane.accepted:
                self._note()
            if verdict == lanes.UNUSUAL:
                most -= 1
                listener.take_in(self._socket_of(lane.descriptor), lane.peer)
            elif verdict == lanes.FAILED:
                most -= 1
                if not listener.accept_failed(OSError(lane.error, "accept4")):
                    return
            elif verdict != lanes.MORE_MAY_WAIT:
                return

    def _socket_of(self, descriptor: int) -> socket.socket:
        like = self._listening
        sock = socket.socket(like.family, like.type, like.proto, descriptor)
        sock.setblocking(False)
        return sock

    def _note(self) -> None:
        """Note what the lane has done, before anything else happens in this process."""
        lane = self._lane
        self._limit.took(lane.accepted)
        self._listener.placed(lane.accepted)
        for slot, reason, count in lane.placed:
            self._counters.hand_off(slot, reason, count)
        if lane.copies and self._guardian is not None:
            self._guardian.guard_all(lane.copies)


def _packed(own: Address | None) -> tuple[bytes, int] | None:
    if own is None:
        return None
    host, port = own
    return inet_pton(AF_INET6 if ":" in host else AF_INET, host), port
