"""Chooses how worker processes are made."""

from typing import Any

from stickyd.master.supervisor.spawn import ExecSpawner, Spawner
from stickyd.settings import Settings


def spawner_of(reactor: Any, settings: Settings) -> Spawner:
    """What makes the workers of a daemon with these settings."""
    if not settings.app.origin.preload:
        return ExecSpawner()
    from stickyd.master.template.templates import Templates

    return Templates(reactor, settings)
