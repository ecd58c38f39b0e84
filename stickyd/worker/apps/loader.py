"""Load the app that the workers run."""

import importlib
from typing import Any

from stickyd.errors import CannotLoad
from stickyd.settings import Settings
from stickyd.worker.importer import keep_named, one_line
from stickyd.worker.interfaces import App


def load_app(reactor: Any, settings: Settings) -> App:
    """The app that ``settings`` name, not started yet.

    :raise CannotLoad: with one line that says why.
    """
    if settings.app.kind == "asgi":
        import_loader(settings.app.kind)
        from stickyd.worker.apps.loaders.asgi import load_asgi

        return load_asgi(settings)
    from stickyd.worker.apps.loaders.web import load_web

    return load_web(reactor, settings)


def preload_app(settings: Settings) -> None:
    """Import the app, and what serves it, for workers that are forked from this process.

    :raise CannotLoad: with one line that says why.
    """
    kind, name = settings.app.kind, settings.app.name
    import_loader(kind)
    if kind == "asgi":
        from stickyd.worker.apps import uvicorn_log

        uvicorn_log.set_up()
    if kind in ("asgi", "wsgi", "class"):
        keep_named(kind, name, factory=settings.app.origin.factory)
    if settings.app.on_retire:
        keep_named("on-retire", settings.app.on_retire)


def import_loader(kind: str) -> None:
    """Import what serves apps of a kind.

    :raise CannotLoad: if it is not installed.
    """
    try:
        name = "asgi" if kind == "asgi" else "web"
        importlib.import_module(f"stickyd.worker.apps.loaders.{name}")
        if kind == "path":
            importlib.import_module("stickyd.worker.apps.static_files")
    except ImportError as error:
        if kind != "asgi":
            raise
        raise CannotLoad(
            f"--asgi needs more packages: pip install 'stickyd[asgi]' ({one_line(error)})"
        ) from error
