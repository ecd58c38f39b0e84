"""Apps of twisted.web, WSGI and static files, which all run on a twisted.web site."""

from typing import TYPE_CHECKING, Any

from twisted.internet import defer
from twisted.web.resource import IResource
from twisted.web.server import Site

from stickyd.errors import CannotLoad
from stickyd.http1.head_parser import Head
from stickyd.settings import Settings
from stickyd.worker.apps.compiled.web import web_site
from stickyd.worker.apps.demo import Demo
from stickyd.worker.apps.loaders.named import hint, named, takes
from stickyd.worker.apps.sessions import KeyedSite
from stickyd.worker.apps.web import WebExchange
from stickyd.worker.apps.wsgi.resource import WsgiResource
from stickyd.worker.importer import cannot_load
from stickyd.worker.interfaces import ClientChannel

if TYPE_CHECKING:
    from stickyd.core._engine import WebSite


class WebApp:
    """A twisted.web site, whatever its resources are."""

    def __init__(self, site: Site) -> None:
        self.site = site

    def start(self) -> "defer.Deferred[None]":
        """There is nothing to start."""
        return defer.succeed(None)

    def exchange(self, channel: ClientChannel, head: Head) -> WebExchange:
        """An exchange for a new request."""
        return WebExchange(channel, head, self.site)

    def compiled(self, header_line: bytes) -> "WebSite | None":
        """What makes exchanges for the compiled engine.

        :param header_line: that every answer gets.
        """
        return web_site(self.site, header_line)

    def close(self) -> None:
        """Exchanges look at the connection set."""

    def end_streams(self) -> None:
        """Apps look at the worker's `ExitSignal`."""

    def stop(self, seconds: float) -> "defer.Deferred[None]":
        """There is nothing to stop."""
        return defer.succeed(None)


class WsgiApp(WebApp):
    """A WSGI application and its threads."""

    def __init__(self, site: Site, resource: WsgiResource) -> None:
        super().__init__(site)
        self._resource = resource

    def start(self) -> "defer.Deferred[None]":
        """Start the threads."""
        self._resource.start()
        return super().start()

    def stop(self, seconds: float) -> "defer.Deferred[None]":
        """End the threads."""
        return defer.ensureDeferred(self._resource.stop(seconds))


def load_web(reactor: Any, settings: Settings) -> WebApp:
    """An app of any kind but ASGI, not started yet.

    :raise CannotLoad: with one line that says why.
    """
    kind, name = settings.app.kind, settings.app.name
    if kind == "wsgi":
        resource = _wsgi(reactor, settings)
        # The app parses the body: Twisted would hold all of a form in memory.
        return WsgiApp(_site(resource, settings, parsePOSTFormSubmission=False), resource)
    if kind == "path":
        # Here, since `twisted.web.static` issues a warning when it is imported.
        from stickyd.worker.apps.static_files import Files

        return WebApp(_site(Files(name), settings))
    return WebApp(_site(Demo() if kind == "demo" else _resource(settings), settings))


def _site(resource: Any, settings: Settings, **how: Any) -> Site:
    site = KeyedSite(resource, **how)
    site.displayTracebacks = settings.app.display_tracebacks
    return site


def _resource(settings: Settings) -> Any:
    name = settings.app.name
    found = named(settings)
    try:
        resource = _as_resource(found)
    except BaseException as error:
        raise cannot_load("class", name, error) from error
    if not IResource.providedBy(resource):
        raise CannotLoad(f"--class {name} is not a twisted.web resource")
    return resource


def _as_resource(found: Any) -> Any:
    """A resource, the result of calling a factory, or of ``resource()`` as Klein apps have."""
    for _ in range(2):
        if IResource.providedBy(found):
            return found
        if not isinstance(found, type) and callable(getattr(found, "resource", None)):
            return found.resource()
        if not callable(found):
            return found
        found = found()
    return found


def _wsgi(reactor: Any, settings: Settings) -> WsgiResource:
    name = settings.app.name
    found = named(settings)
    if not callable(found) or not takes(found, 2):
        raise CannotLoad(f"--wsgi {name} is not callable as a WSGI application{hint(settings)}")
    return WsgiResource(
        reactor,
        found,
        settings.app.threads,
        websockets=settings.limits.websocket.threads,
        multiprocess=settings.workers > 1,
        show_tracebacks=settings.app.display_tracebacks,
    )
