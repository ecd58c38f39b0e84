"""``stickyd top``: the figures, refreshed each second, until a key ends it."""

import os
import signal
import sys
import threading
import time
from collections.abc import Sequence

from rich.live import Live
from twisted.python import usage

from stickyd.cli.status.command import asked, fails
from stickyd.cli.status.figures import Figures
from stickyd.cli.status.keys import Keys, Wakeup
from stickyd.cli.status.options import TopOptions
from stickyd.cli.status.screen import console, text_of
from stickyd.cli.status.source import Source, Unreachable
from stickyd.cli.status.view import View

_SECONDS = 1.0


def top(arguments: Sequence[str]) -> int:
    """Run the command; its exit status."""
    options = TopOptions()
    try:
        options.parseOptions(list(arguments))
        if not (sys.stdin.isatty() and sys.stdout.isatty()) or console().is_dumb_terminal:
            raise usage.UsageError("it needs a terminal; 'stickyd status' prints to anything")
        # A wrong address is said at once, and not on a screen that shows nothing else.
        _, figures = asked(options.source)
    except (usage.UsageError, Unreachable) as error:
        return fails("top", str(error))
    except KeyboardInterrupt:
        return 0
    view = View()
    view.heard(figures, time.monotonic())
    _run(options.source, view)
    return 0


def _run(source: Source, view: View) -> None:
    wakeup = Wakeup()
    asking = _Asking(source, wakeup)
    with Keys(wakeup) as keys:
        while not keys.over:
            with Live(console=console(), screen=True, auto_refresh=False) as live:
                _show(live, keys, view, asking)
            if keys.suspended:
                keys.suspended = False
                keys.give_back()
                os.kill(os.getpid(), signal.SIGSTOP)
                keys.take()


def _show(live: Live, keys: Keys, view: View, asking: "_Asking") -> None:
    """Until a key or a signal ends it."""
    due = time.monotonic() + _SECONDS
    while not keys.over and not keys.suspended:
        # 0 by 0 is what a terminal says whose size nobody has set.
        columns, lines = os.get_terminal_size(sys.stdout.fileno())
        width, height = columns or 80, lines or 24
        live.console.size = os.terminal_size((width, height))
        live.update(text_of(view.lines(width, height), width), refresh=True)
        pressed = keys.wait(due - time.monotonic())
        keys.over = keys.over or "quit" in pressed
        view.press(pressed)
        asking.deliver(view)
        if time.monotonic() >= due:
            asking.ask()
            due = time.monotonic() + _SECONDS


class _Asking:
    """Asks the daemon in a thread, so that keys are read whatever the daemon does."""

    def __init__(self, source: Source, wakeup: Wakeup) -> None:
        self._source = source
        self._wakeup = wakeup
        self._thread: threading.Thread | None = None
        self._answer: tuple[Figures | str, float] | None = None

    def ask(self) -> None:
        """Ask, unless an answer is due."""
        if self._thread is None:
            # A daemon's silence does not keep the program alive.
            self._thread = threading.Thread(target=self._fetch, daemon=True)
            self._thread.start()

    def _fetch(self) -> None:
        answer: Figures | str
        try:
            _, answer = asked(self._source)
        except Unreachable as error:
            answer = str(error)
        self._answer = answer, time.monotonic()
        self._wakeup.wake()

    def deliver(self, view: View) -> None:
        """Tell the view what has been answered, if anything has."""
        if self._answer is None:
            return
        (answer, at), self._answer, self._thread = self._answer, None, None
        if isinstance(answer, str):
            view.failed(answer)
        else:
            view.heard(answer, at)
