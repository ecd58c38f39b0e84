"""What tests/slow/mixed_sources asks: it hands out ids of its own in X-Session.

The answer names the worker, the number of the request and the cookies it has seen.
"""

import os
import secrets

from twisted.web.resource import Resource

SLOT = os.environ.get("STICKYD_SLOT", "-")


class Page(Resource):
    isLeaf = True

    def render_GET(self, request):
        if request.path == b"/new":
            request.setHeader(b"X-Session", secrets.token_hex(16).encode())
        cookies = request.getHeader("cookie") or "-"
        body = f"worker={SLOT} number={request.getHeader('x-number')} cookies={cookies}\n"
        return body.encode()
