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
        _Fork().register()


class _Fork:
    """Gives forked processes the default action.

    The signal is blocked meanwhile (the interpreter lock is held, so one fork at a time): Python
    drops a signal whose handler is replaced between its arrival and the call.
    """

    def __init__(self) -> None:
        self._mask: set[int] = set()

    def register(self) -> None:
        """For every fork from now on."""
        os.register_at_fork(
            before=self._before, after_in_parent=self._restore, after_in_child=self._in_child
        )

    def _before(self) -> None:
        self._mask = set(signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM}))

    def _restore(self) -> None:
        signal.pthread_sigmask(signal.SIG_SETMASK, self._mask)

    def _in_child(self) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        self._restore()
