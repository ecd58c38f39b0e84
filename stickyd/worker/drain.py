"""The end of an old worker whose successor serves beside it: when its last key is free."""

from collections.abc import Callable
from functools import partial
from typing import Any

import attrs

from stickyd.net.spread import Spread
from stickyd.settings import Settings
from stickyd.worker.connection.next_step import State
from stickyd.worker.connection_set import Connection, ConnectionSet
from stickyd.worker.key_owner import KeyOwner

HAND_OVER_LEAST = 1.0
"""Seconds that WebSockets have to be handed over when all others are closed."""


@attrs.frozen
class DrainTimes:
    """How long keys stay with a worker that drains, in seconds.

    :ivar remembered: keys that it has served recently (``--session-drain``).
    :ivar in_use: keys of connections in use; then these are closed.
    :ivar idle: a remembered key without a request or connection for so long is free.
    :ivar spread: connections in use are closed over so long (``--close-spread``).
    """

    remembered: float
    in_use: float
    idle: float
    spread: float

    @classmethod
    def of(cls, settings: Settings) -> "DrainTimes":
        """As the settings say."""
        lifecycle = settings.lifecycle
        remembered = lifecycle.session.drain
        in_use = max(remembered, lifecycle.graceful_timeout)
        idle = lifecycle.session.idle or settings.timeouts.keep_alive
        return cls(remembered, in_use, idle, lifecycle.end.close_spread)


class Drain:
    """Watches the keys of a draining worker.

    :param finished: called when no key is left, and at each `tick` after that.
    :ivar over: no key is left.
    :ivar closed: connections in use were closed for that.
    """

    def __init__(
        self,
        reactor: Any,
        times: DrainTimes,
        keys: KeyOwner,
        connections: ConnectionSet,
        finished: Callable[[], None],
    ) -> None:
        self._reactor = reactor
        self._times = times
        self._keys = keys
        self._connections = connections
        self._finished = finished
        self._looking = False
        # Those that were to be handed over when another reload followed.
        self._hastened: set[Connection] = set()
        self._calls: list[Any] = []
        self._turns = Spread(reactor)
        self.over = self.closed = False

    def start(self) -> None:
        """The successor serves: hold the keys in use, and wait until they are free."""
        for connection in self._connections:
            connection.hold_keys()
        later, times = self._reactor.callLater, self._times
        self._calls = [
            later(times.remembered, self._forget),
            later(times.in_use, self.end),
        ]
        self.released()

    def released(self) -> None:
        """A request or an upgraded connection has ended; look in the next turn, when it is idle."""
        if not self._looking and not self.over:
            self._looking = True
            self._calls.append(self._reactor.callLater(0, self._look))

    def _look(self) -> None:
        self._looking = False
        self._calls = [call for call in self._calls if call.active()]
        if self.over:
            return
        self._hand_over()
        if self._keys.serves_none():
            self._finish()

    def _hand_over(self) -> None:
        """Hand over the WebSockets whose keys nothing else needs here: they go with their keys."""
        offering = [
            each
            for each in self._connections
            if each.state is State.PINNED and each.handing is not None
        ]
        if not offering:
            return
        keys, bound = self._keys, self._keys.bound()
        for each in offering:
            if each in self._hastened and each.keys and not each.movable():
                self._close(each)
            elif each.handing is not None and not any(
                key in bound or keys.remembers(key) for key in each.keys
            ):
                each.handing.start()

    def _forget(self) -> None:
        self._keys.forget_memory()
        self.released()

    def tick(self) -> None:
        """To be called every second."""
        if self.over:
            # The master may have replaced its program, and lost the first report.
            self._finished()
            return
        memory = self._keys.memory
        if memory is not None:
            now = self._reactor.seconds()
            memory.take_made(now)
            in_use = {key for c in self._connections for key in c.keys}
            memory.forget_idle(now - self._times.idle, in_use)
        self._look()

    def hasten(self) -> None:
        """Another reload follows: close upgraded connections, let requests end in their time.

        Those are not closed that can be handed over.
        """
        if not self.over and not self.closed:
            self._keys.forget_memory()
            upgraded = [each for each in self._held() if each.state is State.PINNED]
            self._hastened = {each for each in upgraded if each.movable()}
            others = [partial(self._close, each) for each in upgraded if not each.movable()]
            self._turns.start(others, self._times.spread)
            self.released()

    def end(self) -> None:
        """Close the connections in use one by one; then their keys are the successor's."""
        if self.over or self.closed:
            return
        self.closed = True
        closing, spread = [], self._times.spread
        most = spread
        for each in self._held():
            if each.state is State.PINNED and each.handing is not None and each.movable():
                most = max(spread, HAND_OVER_LEAST)
                each.handing.start()
            else:
                closing.append(partial(self._close, each))
        self._turns.start(closing, spread)
        self._calls.append(self._reactor.callLater(most, self._close_all))

    def _held(self) -> list[Connection]:
        return [each for each in self._connections if each.keys and each.in_use()]

    def _close(self, connection: Connection) -> None:
        if connection.keys and connection.in_use():
            connection.close_gracefully()
            connection.keys = ()
            self.released()

    def _close_all(self) -> None:
        # Those included whose requests came meanwhile.
        for connection in self._held():
            self._close(connection)
        self._keys.close_keys()
        if not self.over:
            self._finish()

    def _finish(self) -> None:
        self.over = True
        self.cancel()
        self._finished()

    def cancel(self) -> None:
        """The worker retires: no timer is needed any more."""
        self._turns.stop()
        for call in self._calls:
            if call.active():
                call.cancel()
        self._calls = []
