"""Modules that are imported when a worker runs: imported before the fork, they share memory."""

import importlib
import sys
from collections.abc import Iterable

_REACTOR = ("twisted.internet.default", "twisted.internet.epollreactor")
_ASYNCIO = ("twisted.internet.asyncioreactor",)
# uvicorn imports these by name, when its configuration is loaded.
_ASGI = (
    "uvicorn.lifespan.off",
    "uvicorn.middleware.asgi2",
    "uvicorn.middleware.message_logger",
    "uvicorn.middleware.wsgi",
    "uvloop",
)


# What libraries import when they are first used, 3 MiB of each worker: anyio is under Starlette.
_LATER = {"anyio": ("anyio._backends._asyncio",)}


def import_what_workers_need(kind: str) -> None:
    """Import what serves the app, but nothing that installs a reactor.

    :param kind: of the app; see `stickyd.settings.AppSettings`.
    """
    _import((*_REACTOR, *_ASYNCIO, *_ASGI) if kind == "asgi" else _REACTOR)


def import_what_libraries_need() -> None:
    """After the app: import what the libraries that it has imported are going to."""
    for library, names in _LATER.items():
        if library in sys.modules:
            _import(names)


def _import(names: Iterable[str]) -> None:
    for name in names:
        try:
            importlib.import_module(name)
        except ImportError:
            # Not installed, or not of this version: the worker does without, too.
            continue
