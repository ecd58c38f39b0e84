"""ASGI apps."""

from stickyd.errors import CannotLoad
from stickyd.settings import Settings
from stickyd.worker.apps import uvicorn_log
from stickyd.worker.apps.asgi import AsgiApp
from stickyd.worker.apps.loaders.named import hint, named, takes
from stickyd.worker.importer import cannot_load, is_kept


def load_asgi(settings: Settings) -> AsgiApp:
    """The app, not started yet.

    :raise CannotLoad: with one line that says why.
    """
    name = settings.app.name
    if not is_kept(name, settings.app.origin.factory):
        uvicorn_log.set_up()
    app = named(settings)
    try:
        if not callable(app) or not (takes(app, 3) or takes(app, 1)):
            raise CannotLoad(
                f"--asgi {name} is not callable as an ASGI application{hint(settings)}"
            )
        chosen, websocket = settings.app, settings.limits.websocket
        return AsgiApp(app, chosen.root_path, chosen.display_tracebacks, websocket)
    except CannotLoad:
        raise
    except BaseException as error:
        raise cannot_load("asgi", name, error) from error
