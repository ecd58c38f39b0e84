"""Everything that a connection passes in the master: listeners, admission, dispatch."""

import resource
import socket
from collections.abc import Awaitable, Callable
from itertools import count
from typing import Any

import attrs
from twisted.internet import defer

from stickyd.http1.error_response import BUSY
from stickyd.ipc.exec_state import Packed, as_bytes, as_text, close_on_exec, keep_on_exec
from stickyd.ipc.frame import entry_of
from stickyd.master.frontend.admission import Admission
from stickyd.master.frontend.dispatcher import Dispatcher
from stickyd.master.frontend.hand_off import HandOff
from stickyd.master.frontend.lane import LaneFactory
from stickyd.master.frontend.listen_sockets import ends_with_us
from stickyd.master.frontend.listener import Listener
from stickyd.master.frontend.pending import PendingHead
from stickyd.master.frontend.proxy_pending import ProxyRule
from stickyd.master.frontend.reception import Reception
from stickyd.master.frontend.redirect import STANDARD_PORT, Redirect
from stickyd.master.frontend.tls_gate import TlsGate, TlsListener, unpack_ends
from stickyd.master.supervisor.context import MasterContext
from stickyd.master.supervisor.slots import Slot, unpack_message
from stickyd.net.fd_budget import shed_under
from stickyd.net.lingering_close import LingeringClose
from stickyd.net.timeouts import Sweeper
from stickyd.shm.load_balancer import LoadBalancer


class Frontend:
    """The listeners of a daemon, and what they share.

    :param close_idle: asks the workers to close so many idle connections.
    :param first_number: id of the next connection.
    :ivar gate: where connections over TLS come in; None without a listener for them.
    :ivar stop_tls: lets the TLS processes accept no more; returns when no handshake is under way,
        after the given seconds at most.
    """

    gate: TlsGate | None = None
    stop_tls: Callable[[float], Awaitable[None]] | None = None

    def __init__(
        self, context: MasterContext, close_idle: Callable[[int], None], first_number: int = 1
    ) -> None:
        self._context = context
        self._sweeper = Sweeper(context.reactor)
        self._hand_off = HandOff(context.counters, context.guardian)
        self._dispatcher = _dispatcher(context, self._hand_off)
        lingering = shed_under(resource.getrlimit(resource.RLIMIT_NOFILE)[0])
        self._admission = Admission(
            context.reactor,
            self._sweeper,
            context.counters,
            context.connection_limit,
            lingering,
            close_idle,
        )
        settings = context.settings
        self._reception = Reception(
            context.reactor,
            count(first_number),
            self._dispatcher.dispatch,
            settings.limits.request,
            settings.timeouts.head,
            self._sweeper,
            context.counters,
            self._admission,
        )
        self._lanes = LaneFactory(context, self._dispatcher)
        self._listeners: list[Listener] = []

    def update_slots(self) -> None:
        """Use the slot table that is valid now."""
        self._dispatcher.update_slots()

    def listen(self, ports: list[Any], gate: Packed | None = None) -> None:
        """Make a listener for each port, which does not accept yet.

        :param gate: the one of the previous program.
        """
        settings = self._context.settings
        routing, tls = settings.routing, settings.tls.listeners
        proxy = ProxyRule.build(routing.proxy.protocol, routing.proxy.allow_from)
        over_tls: dict[int, TlsListener] = {}
        for index, port in enumerate(ports):
            listener: Listener
            if index in tls:
                listener = TlsListener(self._reception, port, index, ends_with_us(port))
                over_tls[listener.index] = listener
            elif index in settings.tls.redirects:
                reception = self._redirecting(ports[tls[0]])
                listener = Listener(reception, port, index, None, ends_with_us(port))
            else:
                listener = Listener(self._reception, port, index, proxy, ends_with_us(port))
                self._lanes.equip(listener)
            self._listeners.append(listener)
        if over_tls:
            ends = unpack_ends(gate) if gate is not None else None
            self.gate = TlsGate(self._context.reactor, over_tls, ends)

    def _redirecting(self, https: Any) -> Reception[PendingHead]:
        """A reception whose requests are redirected.

        :param https: the port to which they are.
        """
        name = https.socket.getsockname()
        redirect = Redirect(name[1] if isinstance(name, tuple) else STANDARD_PORT)
        return attrs.evolve(self._reception, dispatch=redirect.dispatch)

    def start(self) -> None:
        """Start accepting."""
        for listener in self._listeners:
            listener.start()
        if self.gate is not None:
            self.gate.start()

    def where(self) -> str:
        """The listening addresses, for the log."""
        return ", ".join(listener.where() for listener in self._listeners)

    def on_unix(self) -> bool:
        """Whether one of the listeners is a Unix socket."""
        return any(listener.unix for listener in self._listeners)

    def waiting(self) -> int:
        """Connections whose first head is not complete yet."""
        return sum(len(listener.waiting) for listener in self._listeners)

    async def stop(self, patience: float) -> None:
        """Stop accepting; returns when all heads that arrive within ``patience`` are dispatched.

        :param patience: seconds.
        """
        over_tls = [each for each in self._listeners if isinstance(each, TlsListener)]
        stops = [
            defer.ensureDeferred(listener.stop(patience))
            for listener in self._listeners
            if listener not in over_tls
        ]
        until = self._context.reactor.seconds() + patience
        if self.stop_tls is not None and self.gate is not None:
            await self.stop_tls(patience)
            # What has come through a handshake counts as accepted.
            self.gate.empty()
        left = until - self._context.reactor.seconds()
        stops += [defer.ensureDeferred(listener.stop(left)) for listener in over_tls]
        await defer.gatherResults(stops)

    def close(self) -> None:
        """Close the reserve descriptor and stop the sweeps."""
        self._admission.close()
        self._sweeper.stop()
        if self.gate is not None:
            self.gate.close()

    # ---- the master's program is replaced

    def pack(self) -> Packed:
        """State of the listeners in their order, for the program that replaces this one."""
        context = self._context
        now = context.reactor.seconds()
        guardian = context.guardian
        lingering = [m for m in self._sweeper.members if isinstance(m, LingeringClose)]
        return {
            "next": next(self._reception.numbers),
            "counters": context.counters.as_json(),
            "waiting": [listener.pack(now) for listener in self._listeners],
            "lingering": [_pack_lingering(closing) for closing in lingering],
            "guarded": guardian.pack() if guardian is not None else None,
            "gate": self.gate.pack() if self.gate is not None else None,
        }

    def resume(self, packed: Packed, slots: list[Packed]) -> None:
        """Continue with what `pack` and `Slots.pack` of the previous program returned."""
        context = self._context
        context.counters.resume(packed["counters"])
        if context.guardian is not None:
            context.guardian.resume(packed["guarded"])
        now = context.reactor.seconds()
        for listener, waiting in zip(self._listeners, packed["waiting"], strict=True):
            listener.resume(waiting, now)
        for each in packed["lingering"]:
            self._linger(*_unpack_lingering(each))
        for slot in slots:
            for each in slot["waiting"]:
                self._wait_for_room(context.slots[slot["number"]], *unpack_message(each))

    def _linger(self, sock: socket.socket, last: bytes) -> None:
        context = self._context
        over = context.connection_limit.give_back
        LingeringClose(context.reactor, self._sweeper, sock, last, over)

    def _wait_for_room(self, slot: Slot, message: bytes, sock: socket.socket, left: float) -> None:
        """Put in a connection that waited for room in the previous program."""
        guardian, patience = self._context.guardian, max(left, 0.0)
        if guardian is not None and guardian.wait_again(slot, message, sock, patience):
            return

        def refuse() -> None:
            self._context.counters.refused[BUSY.status] += 1
            self._linger(sock, BUSY.response())

        entry = entry_of(message)
        self._hand_off.put(slot, message, sock, entry, patience, "none", sock.close, refuse)


def _dispatcher(context: MasterContext, hand_off: HandOff) -> Dispatcher:
    settings, slots, board = context.settings, context.slots, context.scoreboard
    policy = settings.policy(slots.taking_part(), slots.version, context.tables.learned)
    balance = None
    if board is not None:
        percent = settings.routing.balance_factor
        balance = LoadBalancer(policy.table, percent, board, board.row(0), context.counters)
    return Dispatcher(policy, slots, hand_off, settings.timeouts.inbox, balance)


def _pack_lingering(closing: LingeringClose) -> Packed:
    """A connection whose last response is still being sent."""
    sock, last = closing.detach()
    return {"fd": keep_on_exec(sock.detach()), "last": as_text(last)}


def _unpack_lingering(packed: Packed) -> tuple[socket.socket, bytes]:
    """The socket, non-blocking, and the bytes still to be sent."""
    sock = socket.socket(fileno=close_on_exec(packed["fd"]))
    sock.setblocking(False)
    return sock, as_bytes(packed["last"])
