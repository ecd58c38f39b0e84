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


async def asgi_echo(scope, receive, send):
    """As `Echo`."""
    if scope["type"] != "http":
        raise ValueError("only HTTP")
    body = b""
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return
        body += message.get("body", b"")
        if not message.get("more_body"):
            break
    digest = hashlib.sha256(body).hexdigest()[:16].encode()
    uri = scope["raw_path"]
    if scope["query_string"]:
        uri += b"?" + scope["query_string"]
    asked = b"%b %b %d %b" % (scope["method"].encode(), uri, len(body), digest)
    seen = []
    for name in SEEN:
        values = [value for field, value in scope["headers"] if field == name]
        if values:
            seen.append(b"%b=%b" % (name, quote_from_bytes(b",".join(values), safe="").encode()))
    headers = [(b"x-slot", SLOT), (b"x-echo", asked), (b"x-seen", b" ".join(seen))]
    path = uri.partition(b"?")[0]
    if path in (b"/204", b"/304"):
        await send({"type": "http.response.start", "status": int(path[1:]), "headers": headers})
        await send({"type": "http.response.body"})
        return
    page = b"echo from worker %b\n" % SLOT
    headers.append((b"content-length", b"%d" % len(page)))
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": page})
