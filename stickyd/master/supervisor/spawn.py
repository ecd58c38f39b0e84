"""Starts worker processes: command, environment, signal mask; and how else they may be made."""

import os
import socket
import sys
from pathlib import Path
from typing import Protocol

from twisted.internet import defer

from stickyd.ipc.control_channel import ASYNCIO
from stickyd.logs.record import TAG_OPTION
from stickyd.master.supervisor.child_process import spawn
from stickyd.process import HELD_BACK, SERVICE_MANAGER_VARIABLES
from stickyd.settings import AppSettings, Settings

MASTER_VARIABLES = SERVICE_MANAGER_VARIABLES | {"STICKYD_SEED", "STICKYD_OPTIONS"}
"""Environment variables that no app gets. An error page that prints the environment would show
the seed, which STICKYD_OPTIONS may contain (systemd/stickyd.default)."""


Born = tuple[int, int]
"""The pid of a new worker, and the pipe with its output: the reading end, non-blocking."""


class Spawner(Protocol):
    """Makes worker processes, which are children of this one."""

    def spawn(self, settings: Settings, channel: socket.socket, tag: str) -> "defer.Deferred[Born]":
        """Start a worker.

        Fails with `OSError` or `stickyd.errors.CannotLoad`.

        :param channel: its end of the control channel; the caller closes it when this has fired.
        :param tag: of the mark of its records; "" if its log is text.
        """

    def renew(self) -> "defer.Deferred[bool]":
        """Let workers from now on run the app as it is now; False if they do anyway.

        Fails with `stickyd.errors.CannotLoad`, and then nothing has changed.
        """

    def resume(self) -> None:
        """The master's program has been replaced: get ready for `spawn`."""

    def forks(self) -> bool:
        """Whether there may be a worker whose pid is not known yet."""

    def settle(self, replaced: bool) -> None:
        """All workers have been replaced since `renew`; or none, and the app stays as it was."""

    def close(self) -> None:
        """Start no more workers; what `spawn` has returned and not fired fails."""

    def stop(self) -> "defer.Deferred[None]":
        """After `close`: fires when no process but the workers is left."""


class ExecSpawner:
    """Each worker is a program of its own that imports the app."""

    def spawn(self, settings: Settings, channel: socket.socket, tag: str) -> "defer.Deferred[Born]":
        """Start a worker."""
        return defer.execute(_spawn_worker, settings, channel.fileno(), tag)

    def renew(self) -> "defer.Deferred[bool]":
        """Every worker imports the app as it is."""
        return defer.succeed(False)

    def resume(self) -> None:
        """It is ready."""

    def forks(self) -> bool:
        """Its pid is known at once."""
        return False

    def settle(self, replaced: bool) -> None:
        """Nothing is kept for the next workers."""

    def close(self) -> None:
        """Nothing is waited for."""

    def stop(self) -> "defer.Deferred[None]":
        """There are no other processes."""
        return defer.succeed(None)


def _spawn_worker(settings: Settings, channel: int, tag: str) -> Born:
    command = [sys.executable, "-m", "stickyd.worker", str(channel), *worker_options(settings, tag)]
    # Blocked until its handlers are installed: a signal to the process group would end it.
    # In a group of its own, as are the processes that the app starts.
    return spawn(command, variables_of(settings), channel, HELD_BACK, leads=True)


def worker_options(settings: Settings, tag: str) -> list[str]:
    """The command line of a worker behind its descriptor.

    :param tag: of the mark of its records; "" if its log is text.
    """
    options = []
    if settings.app.kind == "asgi":
        # The worker has to install its reactor before it receives its settings.
        options.append(f"{ASYNCIO}={settings.app.origin.loop}")
    if tag:
        options.append(TAG_OPTION + tag)
    return options


def variables_of(settings: Settings) -> dict[str, str]:
    """The environment of a process that runs the app.

    :raise OSError: as `apps_environment`.
    """
    variables = apps_environment(settings.app)
    if settings.app.reload.directories:
        # Cached bytecode is compared by whole seconds and size only (PEP 3147): too coarse
        # for files that are being edited.
        variables["PYTHONDONTWRITEBYTECODE"] = "1"
    return variables


def apps_environment(app: AppSettings) -> dict[str, str]:
    """The environment of a process that loads an app; its file of variables is read anew.

    A variable of this process has precedence over one of the file.

    :raise OSError: if the file cannot be read, or is not UTF-8.
    """
    given = _in_file(app.origin.env_file) if app.origin.env_file else {}
    return without_the_master_s({**given, **environment()})


def without_the_master_s(variables: dict[str, str]) -> dict[str, str]:
    """All but `MASTER_VARIABLES`."""
    return {name: value for name, value in variables.items() if name not in MASTER_VARIABLES}


def _in_file(path: str) -> dict[str, str]:
    # Here: without --env-file the package is not loaded.
    from dotenv import dotenv_values

    try:
        with open(path, encoding="utf-8") as file:
            found = dotenv_values(stream=file)
    except UnicodeDecodeError as error:
        raise OSError(f"{path}: {error}") from None
    return {name: value for name, value in found.items() if value is not None}


def environment() -> dict[str, str]:
    """The environment of a stickyd process without an app; it imports this same package."""
    ours = {
        name: value for name, value in os.environ.items() if name not in SERVICE_MANAGER_VARIABLES
    }
    package_root = str(Path(__file__).resolve().parents[3])
    search = ours.get("PYTHONPATH")
    ours["PYTHONPATH"] = os.pathsep.join(filter(None, [package_root, search]))
    ours["PYTHONUNBUFFERED"] = "1"
    return ours
