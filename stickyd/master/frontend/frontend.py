"""The front of the master: everything a connection meets before it is in an inbox."""

import resource
from collections.abc import Callable
from itertools import count
from typing import Any

from twisted.internet import defer

from stickyd.http1.error_response import BUSY
from stickyd.ipc.frame import entry_of
from stickyd.master.exec_state import (
    Packed,
    pack_lingering,
    pack_waiting,
    unpack_lingering,
    unpack_message,
    unpack_waiting,
)
from stickyd.master.frontend.admission import Admission
from stickyd.master.frontend.dispatcher import Dispatcher
from stickyd.master.frontend.listen_sockets import ends_with_us
from stickyd.master.frontend.listener import Listener
from stickyd.master.frontend.pending import PendingHead
from stickyd.master.frontend.proxy_pending import PendingProxyHeader, ProxyRule
from stickyd.master.supervisor.connection_limit import ConnectionLimit
from stickyd.master.supervisor.guardian import Guardian
from stickyd.master.supervisor.slots import Slot, Slots
from stickyd.net.fd_budget import shed_under
from stickyd.net.lingering_close import LingeringClose
from stickyd.net.timeouts import Sweeper
from stickyd.routing.rendezvous import SlotTable
from stickyd.settings import Settings
from stickyd.shm.connection_table import ConnectionTable
from stickyd.shm.load_balancer import LoadBalancer
from stickyd.shm.scoreboard import Scoreboard
from stickyd.stats import MasterCounters


class Frontend:
    """Listeners, and what they need.

    :param board: None if slots have no bound.
    :param ease: asks the workers for room for so many connections more.
    :param ledger: of connections that the master guards; None if it does not.
    """

    def __init__(
        self,
        reactor: Any,
        settings: Settings,
        slots: Slots,
        places: ConnectionLimit,
        board: Scoreboard | None,
        ease: Callable[[int], None],
        ledger: ConnectionTable | None = None,
    ) -> None:
        self._reactor = reactor
        self._settings = settings
        self._places = places
        self._slots = slots
        self.counters = MasterCounters()
        self._sweeper = Sweeper(reactor)
        self._numbers = count(1)
        policy = settings.policy(slots.taking_part(), slots.version)
        balance = None
        if board is not None:
            assert isinstance(policy.table, SlotTable)
            percent = settings.routing.balance_factor
            balance = LoadBalancer(policy.table, percent, board, board.row(0), self.counters)
        self.guardian: Guardian | None = None
        if ledger is not None:
            patience = settings.timeouts.keep_alive
            self.guardian = Guardian(reactor, ledger, slots, places, self.counters, patience)
        self._dispatcher = Dispatcher(
            policy, slots, self.counters, settings.timeouts.inbox, balance, self.guardian
        )
        lingering = shed_under(resource.getrlimit(resource.RLIMIT_NOFILE)[0])
        self._admission = Admission(reactor, self._sweeper, self.counters, places, lingering, ease)
        self._listeners: list[Listener] = []

    def take_table(self) -> None:
        """Place among the slots that take part now."""
        self._dispatcher.take_table()

    def listen(self, ports: list[Any]) -> None:
        """A listener for each port; they do not accept yet."""
        settings = self._settings
        for index, port in enumerate(ports):
            listener = Listener(
                self._reactor,
                port,
                index,
                self._numbers,
                self._dispatcher.dispatch,
                settings.limits.request,
                settings.timeouts.head,
                self._sweeper,
                self.counters,
                self._admission,
                ProxyRule.build(settings.routing.proxy_protocol, settings.routing.proxy_allow_from),
                ends_with_us(port),
            )
            self._listeners.append(listener)

    def start(self) -> None:
        """Begin to accept."""
        for listener in self._listeners:
            listener.start()

    def where(self) -> str:
        """Where it listens, for the log."""
        return ", ".join(listener.where() for listener in self._listeners)

    def on_unix(self) -> bool:
        """Whether one of the listeners is a Unix socket."""
        return any(listener.unix for listener in self._listeners)

    def waiting(self) -> int:
        """Connections whose first head is not whole yet."""
        return sum(len(listener.waiting) for listener in self._listeners)

    async def stop(self, patience: float) -> None:
        """Accept no more; returns when all heads that came within ``patience`` are handed on."""
        stops = [defer.ensureDeferred(listener.stop(patience)) for listener in self._listeners]
        await defer.gatherResults(stops)

    def close(self) -> None:
        """Let go of everything."""
        if self.guardian is not None:
            self.guardian.close()
        self._admission.close()
        self._sweeper.stop()

    # ---- the master's own program is replaced

    def pack(self) -> Packed:
        """Everything but the ports, in the order of the listeners."""
        now = self._reactor.seconds()
        waiting = [
            [
                pack_waiting(c, now)
                for c in listener.waiting
                if isinstance(c, (PendingHead, PendingProxyHeader))
            ]
            for listener in self._listeners
        ]
        lingering = [m for m in self._sweeper.members if isinstance(m, LingeringClose)]
        return {
            "next": next(self._numbers),
            "counters": self.counters.as_json(),
            "waiting": waiting,
            "lingering": [pack_lingering(closing) for closing in lingering],
            "guarded": self.guardian.pack() if self.guardian is not None else None,
        }

    def resume(self, packed: Packed, slots: list[Packed]) -> None:
        """Go on with what `pack` and `baggage.pack_slots` of the program before us have left."""
        self._numbers = count(packed["next"])
        self.counters.resume(packed["counters"])
        if self.guardian is not None:
            self.guardian.resume(packed["guarded"])
        now = self._reactor.seconds()
        for listener, waiting in zip(self._listeners, packed["waiting"], strict=True):
            listener.numbers = self._numbers
            for each in waiting:
                unpack_waiting(each, listener, now).resume()
        for each in packed["lingering"]:
            self._linger(*unpack_lingering(each))
        for slot in slots:
            for each in slot["waiting"]:
                self._wait_for_room(self._slots[slot["number"]], *unpack_message(each))

    def _linger(self, sock: Any, last: bytes) -> None:
        LingeringClose(self._reactor, self._sweeper, sock, last, self._places.give_back)

    def _wait_for_room(self, slot: Slot, message: bytes, sock: Any, left: float) -> None:
        guardian, patience = self.guardian, max(left, 0.0)
        if guardian is not None and guardian.wait_again(slot, message, sock, patience):
            return
        entry = entry_of(message)

        def done(sent: bool) -> None:
            if sent:
                self.counters.hand_off(slot.number, "none")
                if guardian is not None and entry:
                    guardian.guard(entry, sock.detach(), message)
                else:
                    sock.close()
            else:
                if guardian is not None:
                    guardian.give_up(entry)
                self.counters.refused[BUSY.status] += 1
                self._linger(sock, BUSY.response())

        slot.outbox.put(message, sock.fileno(), patience, done)
