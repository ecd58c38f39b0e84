"""twisted.web on the compiled engine: what it makes exchanges and requests of.

The engine does for nearly all requests what `WebExchange` and `LeanRequest` do, which are the
specification, and calls their methods for all others.
"""

from typing import TYPE_CHECKING, Any
from urllib.parse import unquote_to_bytes

import attrs
from twisted.python.failure import Failure
from twisted.web.error import UnsupportedMethod
from twisted.web.resource import Resource, getChildForRequest
from twisted.web.server import NOT_DONE_YET, Request, Site, version

from stickyd.core.native import CORE
from stickyd.worker.apps.lean_request import ENCODING, AnswerHeaders, LeanRequest, date
from stickyd.worker.apps.web import WebExchange

if TYPE_CHECKING:
    from stickyd.core._engine import WebSite

_IS_ENCODING, _DATE = ENCODING.providedBy, date.now
# As they are before an app can change them.
_RENDER, _FINISH = LeanRequest.render, LeanRequest.finish


class Rendered:
    """A resource that has been rendered already, for `Request.render` to do the rest.

    :param error: raised by it, None if it returned ``body``.
    """

    def __init__(self, resource: Any, body: Any, error: Exception | None) -> None:
        self._resource = resource
        self._body = body
        self._error = error

    def __repr__(self) -> str:
        return repr(self._resource)

    def render(self, request: Any) -> Any:
        """What rendering has given."""
        if self._error is not None:
            raise self._error
        return self._body


@attrs.frozen
class WebParts:
    """What the engine is told of a site, and whom it asks (see `stickyd.core._engine`)."""

    site: Site
    exchange_type: type[WebExchange]
    header_line: bytes

    request_type, request_factory, headers_type = LeanRequest, Request, AnswerHeaders
    request_render, request_finish = staticmethod(_RENDER), staticmethod(_FINISH)
    resource_render = staticmethod(Resource.render)
    resource_for = staticmethod(Site.getResourceFor)
    raw_name = "_rawHeaders"
    server_version = version
    unsupported, failure, later = UnsupportedMethod, Failure, NOT_DONE_YET
    child_of = staticmethod(getChildForRequest)
    encoding = staticmethod(_IS_ENCODING)
    date = staticmethod(_DATE)
    rendered = Rendered
    received = staticmethod(WebExchange.requestReceived)
    done = staticmethod(WebExchange.requestDone)

    @staticmethod
    def unquoted(segments: list[bytes]) -> list[bytes]:
        """Segments of a path without percent-encoding."""
        return [*map(unquote_to_bytes, segments)]


def web_site(site: Site, header_line: bytes) -> "WebSite | None":
    """What makes the exchanges of an engine; None without the compiled core.

    :param header_line: that every answer gets.
    """
    engines = CORE.engines
    if engines is None:
        return None
    base: Any = engines.WebExchange
    exchange_type = type("LaneExchange", (base, WebExchange), {"__module__": __name__})
    return engines.WebSite(WebParts(site, exchange_type, header_line))
