"""SIGTERM in a worker, and how an app learns that its streams are to end."""

import os
import signal
from collections.abc import Callable
from types import FrameType


class ExitSignal:
    """Owns the handler of SIGTERM, so that apps and their libraries find it.

    ``signal.getsignal(signal.SIGTERM).__self__.should_exit`` is how sse-starlette asks uvicorn's
    `Server` whether it ends. Any app may ask the same, from any thread.

    :param on_sigterm: called within the handler (signal(7)): it must only notify the reactor.
    :ivar should_exit: the worker ends soon, and its streams are to end now.
    """

    def __init__(self, on_sigterm: Callable[[], None]) -> None:
        self._on_sigterm = on_sigterm
        self.should_exit = False

    def handle_exit(self, number: int, frame: FrameType | None) -> None:
        """The handler, named as uvicorn's."""
        self._on_sigterm()

    def install(self) -> None:
        """Install the handler, in this process alone.

        A process that the app forks ends at SIGTERM, as `multiprocessing` expects: it has no
        reactor, and another process's request for a replacement is not its to make.
        """
        signal.signal(signal.SIGTERM, self.handle_exit)
        os.register_at_fork(after_in_child=_default_action)


def _default_action() -> None:
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
