"""How a worker process is started."""

import os
import sys
from pathlib import Path

from stickyd.ipc.control_channel import ASYNCIO
from stickyd.master.sd_notify import MASTERS_ALONE
from stickyd.master.supervisor.child_process import spawn
from stickyd.process import HELD_BACK
from stickyd.settings import Settings

TOLD_TO_THE_MASTER = MASTERS_ALONE | {"STICKYD_SEED", "STICKYD_OPTIONS"}
"""Variables that no app gets: an error page that prints the environment would show the seed,
which the second may have in it (``--seed`` in systemd/stickyd.default)."""


def spawn_worker(settings: Settings, channel: int) -> tuple[int, int]:
    """Start a worker with its end of the control channel; pid, and the pipe with its output.

    :raise OSError: if it cannot be started.
    """
    command = [sys.executable, "-m", "stickyd.worker", str(channel)]
    if settings.app.kind == "asgi":
        # Said here, since the worker needs its reactor before it can be told its settings.
        command.append(ASYNCIO)
    variables = apps_environment()
    if settings.app.reload:
        # A cached module is told from its source by whole seconds and size only
        # (PEP 3147): too coarse for somebody who types.
        variables["PYTHONDONTWRITEBYTECODE"] = "1"
    # Until it has its handlers: what is sent to the whole process group would end it.
    return spawn(command, variables, channel, HELD_BACK)


def apps_environment() -> dict[str, str]:
    """What a process gets that loads an app, and with it whatever the app starts."""
    ours = environment()
    return {name: value for name, value in ours.items() if name not in TOLD_TO_THE_MASTER}


def environment() -> dict[str, str]:
    """Ours, with the way to this very package in front: for a program of ours without an app."""
    ours = {name: value for name, value in os.environ.items() if name not in MASTERS_ALONE}
    package_root = str(Path(__file__).resolve().parents[3])
    search = ours.get("PYTHONPATH")
    ours["PYTHONPATH"] = os.pathsep.join(filter(None, [package_root, search]))
    ours["PYTHONUNBUFFERED"] = "1"
    return ours
