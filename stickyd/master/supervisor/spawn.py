"""Starts worker processes: command, environment, signal mask."""

import os
import sys
from pathlib import Path

from stickyd.ipc.control_channel import ASYNCIO
from stickyd.logs.record import TAG_OPTION
from stickyd.master.supervisor.child_process import spawn
from stickyd.process import HELD_BACK, SERVICE_MANAGER_VARIABLES
from stickyd.settings import AppSettings, Settings

MASTER_VARIABLES = SERVICE_MANAGER_VARIABLES | {"STICKYD_SEED", "STICKYD_OPTIONS"}
"""Environment variables that no app gets. An error page that prints the environment would show
the seed, which STICKYD_OPTIONS may contain (systemd/stickyd.default)."""


def spawn_worker(settings: Settings, channel: int, tag: str = "") -> tuple[int, int]:
    """Start a worker with its end of the control channel; pid, and the pipe with its output.

    :param tag: of the mark of its records; "" if its log is text.
    :raise OSError: if it cannot be started.
    """
    command = [sys.executable, "-m", "stickyd.worker", str(channel)]
    if settings.app.kind == "asgi":
        # The worker has to install its reactor before it receives its settings.
        command.append(f"{ASYNCIO}={settings.app.origin.loop}")
    if tag:
        command.append(TAG_OPTION + tag)
    variables = apps_environment(settings.app)
    if settings.app.reload.directories:
        # Cached bytecode is compared by whole seconds and size only (PEP 3147): too coarse
        # for files that are being edited.
        variables["PYTHONDONTWRITEBYTECODE"] = "1"
    # Blocked until its handlers are installed: a signal to the process group would end it.
    # In a group of its own, as are the processes that the app starts.
    return spawn(command, variables, channel, HELD_BACK, leads=True)


def apps_environment(app: AppSettings) -> dict[str, str]:
    """The environment of a process that loads an app; its file of variables is read anew.

    A variable of this process has precedence over one of the file.

    :raise OSError: if the file cannot be read, or is not UTF-8.
    """
    ours = environment()
    given = _in_file(app.origin.env_file) if app.origin.env_file else {}
    return {
        name: value for name, value in {**given, **ours}.items() if name not in MASTER_VARIABLES
    }


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
