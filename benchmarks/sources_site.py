"""What `benchmarks.sources` serves: ``/``, and ``/repeat`` with the client's id in the answer."""

from twisted.web.server import Request

from benchmarks import site


class Page(site.Page):
    """One line that names the worker."""

    def render_GET(self, request: Request) -> bytes:
        """The answer, in one piece."""
        if request.path == b"/repeat":
            value = request.requestHeaders.getRawHeaders(b"x-id")
            if value:
                request.setHeader(b"X-Id", value[0])
        return super().render_GET(request)
