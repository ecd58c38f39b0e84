"""The page of the verification: which worker answers, and for which client."""

import os
from typing import Any

from twisted.web.http import datetimeToString
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET


class Demo(Resource):
    """Answers on every path, in one chunk."""

    isLeaf = True

    def __init__(self) -> None:
        super().__init__()
        self._slot = os.environ.get("STICKYD_SLOT", "-")

    def render(self, request: Any) -> int:
        """Write the page."""
        values = request.requestHeaders.getRawHeaders(b"x-forwarded-for", [b"-"])
        request.responseHeaders.removeHeader(b"server")
        request.responseHeaders.removeHeader(b"date")
        request.setHeader(b"Content-Type", b"text/plain")
        request.setHeader(b"Date", datetimeToString())
        request.write(
            b"Hello World! From worker %b x-forwarded-for=%b with pid: %d \n"
            % (self._slot.encode("ascii"), b", ".join(values), os.getpid())
        )
        request.finish()
        return NOT_DONE_YET
