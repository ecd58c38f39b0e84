"""Signal handlers, in addition to or in place of installed ones."""

import signal
from collections.abc import Callable
from typing import Any


def also_on(
    reactor: Any, number: signal.Signals, call: Callable[[], None], *, at_once: bool = False
) -> None:
    """Call ``call`` in the reactor's thread when a signal comes (signal(7)).

    A handler that is installed already, such as twistd's, is called first.

    :param at_once: call within the handler, before the other one.
    """
    then = signal.getsignal(number)

    def handle(number: int, frame: Any) -> None:
        if at_once:
            call()
        if callable(then) and then is not signal.default_int_handler:
            then(number, frame)
        if not at_once:
            reactor.callFromThread(call)

    signal.signal(number, handle)


def only_on(reactor: Any, number: signal.Signals, call: Callable[[], None]) -> None:
    """Like `also_on`, but in place of the installed handler."""
    signal.signal(number, lambda number, frame: reactor.callFromThread(call))
