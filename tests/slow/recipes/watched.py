"""The daemon that a page's command starts, behind nginx."""

import contextlib
import os
import signal
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType

from tests.slow.recipes.environments import modules_of, python_of
from tests.slow.recipes.pages import Page
from tests.slow.recipes.tracebacks import Traceback, split, tracebacks
from tests.slow.socketio.fronts import front
from tests.support.daemon import ROOT, Daemon, _alive, wait_for

START_SECONDS = 180.0


class Started(Daemon):
    """Started by exactly the command of the page; where it listens, the environment says.

    :ivar tracebacks: of the apps, once it has ended.
    :ivar stop_seconds: how long it took to end.
    """

    def __init__(self, page: Page, python: str, directory: str, grace: float) -> None:
        path = {"PYTHONPATH": str(ROOT), "PATH": f"{Path(python).parent}:{os.environ['PATH']}"}
        super().__init__(cwd=directory, environment=path)
        told = {
            "LISTEN": f"tcp:{self.port}:interface=127.0.0.1",
            "CONTROL": self.control,
            "GRACEFUL_TIMEOUT": str(grace),
        }
        told_here = (f"STICKYD_{name}={value}" for name, value in told.items())
        self.tracebacks: list[Traceback] = []
        self.stop_seconds = 0.0
        self.command = ["env", *told_here, python, "-m", "stickyd", *page.arguments]

    def start(self, wait: bool = True) -> None:
        """Heavy apps take longer than those of the tests."""
        super().start(wait=False)
        wait_for(self._ready.is_set, START_SECONDS, "readiness")
        if self.process.poll() is not None:
            raise AssertionError("the daemon ended at once:\n" + "\n".join(self.log))

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """The daemon must log no traceback; those of apps are for `tracebacks`."""
        family = self.family() if self.process.poll() is None else []
        begun = time.monotonic()
        self.stop()
        self.stop_seconds = time.monotonic() - begun
        self.log[:], apps = split(self.log)
        self.tracebacks = tracebacks(apps)
        super().__exit__(kind, value, trace)
        left = [pid for pid in family if _alive(pid)]
        assert not left, f"processes left behind: {left}"

    def reload(self) -> list[int]:
        """HUP, until all new workers serve; the old ones."""
        old = self.pids()
        self.process.send_signal(signal.SIGHUP)
        wait_for(
            lambda: (
                len(self.pids()) == len(old) and not set(self.pids().values()) & {*old.values()}
            ),
            START_SECONDS,
            "the reload",
        )
        return list(old.values())

    def kill_worker(self, slot: int) -> None:
        """kill -9, until its replacement serves."""
        old = self.pids()[slot]
        os.kill(old, signal.SIGKILL)
        wait_for(lambda: self.pids().get(slot, old) != old, START_SECONDS, "a replacement")


def lay(page: Page, directory: Path) -> None:
    """Put there what the page's command needs."""
    page.write(directory)
    modules = modules_of(page)
    if modules is not None:
        (directory / "node_modules").symlink_to(modules)


@contextlib.contextmanager
def started(page: Page, group: str, grace: float) -> Iterator[tuple[Started, str]]:
    """The daemon, and the URL of nginx before it."""
    with tempfile.TemporaryDirectory(prefix="stickyd-recipe-") as directory:
        lay(page, Path(directory))
        with Started(page, python_of(group), directory, grace) as daemon:
            with front("nginx", daemon.port) as port:
                yield daemon, f"http://127.0.0.1:{port}/"
