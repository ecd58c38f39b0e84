"""Tells in headers what it was asked, so that answers without a body tell it too."""

import hashlib
import os
from urllib.parse import quote_from_bytes

from twisted.web.resource import Resource

SLOT = os.environ.get("STICKYD_SLOT", "-").encode()
SEEN = (
    b"host",
    b"x-forwarded-for",
    b"content-length",
    b"transfer-encoding",
    b"cookie",
    b"x-test",
    b"x_test",
)


class Echo(Resource):
    """Answers 200, or the status that the path names."""

    isLeaf = True

    def render(self, request):
        body = request.content.read()
        digest = hashlib.sha256(body).hexdigest()[:16].encode()
        request.setHeader(b"X-Slot", SLOT)
        request.setHeader(
            b"X-Echo", b"%b %b %d %b" % (request.method, request.uri, len(body), digest)
        )
        seen = []
        for name in SEEN:
            values = request.requestHeaders.getRawHeaders(name)
            if values is not None:
                value = quote_from_bytes(b",".join(values), safe="")
                seen.append(b"%b=%b" % (name, value.encode()))
        request.setHeader(b"X-Seen", b" ".join(seen))
        if request.path in (b"/204", b"/304"):
            request.setResponseCode(int(request.path[1:]))
            return b""
        return b"echo from worker %b\n" % SLOT
