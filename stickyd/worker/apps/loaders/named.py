"""What the options name as the app."""

import inspect
from typing import Any

from stickyd.settings import Settings
from stickyd.worker.importer import load_named


def named(settings: Settings) -> Any:
    """What the option names, or with ``--factory`` the result of calling it."""
    return load_named(settings.app.kind, settings.app.name, factory=settings.app.origin.factory)


def hint(settings: Settings) -> str:
    """What to add to an error: perhaps the app is made by a call."""
    return "" if settings.app.origin.factory else " (if it makes one: --factory)"


def takes(app: Any, arguments: int) -> bool:
    """Whether it takes so many positional arguments; True if unknown."""
    try:
        inspect.signature(app).bind(*[None] * arguments)
    except TypeError:
        return False
    except ValueError:
        return True
    return True
