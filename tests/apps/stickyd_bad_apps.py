"""Apps of every kind that answer with what HTTP does not allow; `CASES` says with what."""

from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET

BODY = b"hello"
LENGTH = ("Content-Length", "5")


class Case:
    """A response as the app gives it; names and values as WSGI has them."""

    def __init__(self, *headers, status=200, reason="Fine", body=BODY):
        self.headers, self.status, self.reason, self.body = headers, status, reason, body


CASES = {
    "good": Case(LENGTH),
    "streamed": Case(),
    "chunked": Case(("Transfer-Encoding", "Chunked")),
    # ---- the status line
    "reason-crlf": Case(LENGTH, reason="OK\r\nX-Injected: 1"),
    "reason-lf": Case(LENGTH, reason="OK\nX-Injected: 1"),
    "reason-nul": Case(LENGTH, reason="O\0K"),
    "status-0": Case(LENGTH, status=0),
    "status-99": Case(LENGTH, status=99),
    "status-100": Case(status=100),
    "status-101": Case(("Upgrade", "other"), ("Connection", "upgrade"), status=101),
    "status-103": Case(("Link", "</a>"), status=103),
    "status-600": Case(LENGTH, status=600),
    "status-2000": Case(LENGTH, status=2000),
    # ---- fields
    "value-crlf": Case(LENGTH, ("X-A", "a\r\nX-Injected: 1")),
    "value-lf": Case(LENGTH, ("X-A", "a\nX-Injected: 1")),
    "value-nul": Case(LENGTH, ("X-A", "a\0b")),
    "value-del": Case(LENGTH, ("X-A", "a\x7fb")),
    "value-euro": Case(LENGTH, ("X-A", "\u20ac")),
    "name-crlf": Case(LENGTH, ("X-A: a\r\nX-Injected", "1")),
    "name-blank": Case(LENGTH, ("X A", "1")),
    "name-colon": Case(LENGTH, ("X-A:", "1")),
    "name-empty": Case(LENGTH, ("", "1")),
    "name-latin": Case(LENGTH, ("X-\xe9", "1")),
    # ---- framing
    "length-blank": Case(("Content-Length ", "5")),
    "length-word": Case(("Content-Length", "abc")),
    "length-signed": Case(("Content-Length", "+5")),
    "length-negative": Case(("Content-Length", "-5")),
    "length-list": Case(("Content-Length", "5, 5")),
    "length-float": Case(("Content-Length", "5.0")),
    "length-scored": Case(("Content-Length", "1_0"), body=b"0123456789"),
    "length-empty": Case(("Content-Length", "")),
    "length-huge": Case(("Content-Length", "9" * 30)),
    "length-twice": Case(LENGTH, LENGTH),
    "lengths": Case(LENGTH, ("Content-Length", "7")),
    "length-and-coding": Case(LENGTH, ("Transfer-Encoding", "chunked")),
    "coding-gzip": Case(("Transfer-Encoding", "gzip")),
    "coding-twice": Case(("Transfer-Encoding", "chunked"), ("Transfer-Encoding", "chunked")),
    "coding-list": Case(("Transfer-Encoding", "gzip, chunked")),
    "long": Case(("Content-Length", "3")),
    "short": Case(("Content-Length", "50")),
    # ---- responses without content
    "204": Case(status=204),
    "204-length": Case(LENGTH, status=204),
    "204-zero": Case(("Content-Length", "0"), status=204, body=b""),
    "204-coding": Case(("Transfer-Encoding", "chunked"), status=204),
    "205": Case(status=205),
    "205-length": Case(LENGTH, status=205),
    "304": Case(status=304),
    "304-length": Case(LENGTH, status=304, body=b""),
    "304-body": Case(LENGTH, status=304),
    "304-coding": Case(("Transfer-Encoding", "chunked"), status=304),
}


class Page(Resource):
    isLeaf = True

    def render(self, request):
        name = request.path.strip(b"/").decode()
        return getattr(self, name.replace("-", "_"), self._case)(request)

    def _case(self, request):
        case = CASES[request.path.strip(b"/").decode()]
        request.setResponseCode(case.status, case.reason.encode())
        for name, value in case.headers:
            request.responseHeaders.addRawHeader(name, value)
        for part in (case.body[:2], case.body[2:]):
            request.write(part)
        request.finish()
        return NOT_DONE_YET

    def reason_text(self, request):
        request.setResponseCode(200, "not bytes")
        return BODY

    def status_text(self, request):
        request.setResponseCode("404")
        return BODY

    def body_text(self, request):
        request.write("text")
        request.finish()
        return NOT_DONE_YET

    def body_text_later(self, request):
        request.write(b"bytes")
        request.write("text")
        request.finish()
        return NOT_DONE_YET

    def pulled(self, request):
        """Writes in parts that the transport asks for."""
        request.setResponseCode(int(request.args[b"status"][0]))
        left = 3

        class Producer:
            def resumeProducing(self):
                nonlocal left
                if left == 0:
                    request.unregisterProducer()
                    request.finish()
                    return
                left -= 1
                request.write(BODY)

            def stopProducing(self):
                pass

        request.registerProducer(Producer(), False)
        return NOT_DONE_YET


def wsgi(environ, start_response):
    name = environ["PATH_INFO"].strip("/")
    if name == "body-text":
        start_response("200 OK", [])
        return ["text"]
    if name == "body-text-written":
        start_response("200 OK", [])("text")
        return []
    if name == "status-word":
        start_response("OK", [])
        return [BODY]
    if name == "digest":
        left = int(environ["CONTENT_LENGTH"] or 0)
        while left and (part := environ["wsgi.input"].read(min(left, 65536))):
            left -= len(part)
    case = CASES.get(name) or CASES["good"]
    start_response(f"{case.status} {case.reason}", list(case.headers))
    return [case.body[:2], case.body[2:]]


async def asgi(scope, receive, send):
    if scope["type"] == "lifespan":
        raise RuntimeError("no lifespan here")
    if scope["type"] == "websocket":
        await websocket(scope, receive, send)
        return
    name = scope["path"].strip("/")
    if name == "returns":
        return "not None"
    case = CASES[name]
    headers = [(name.encode("latin-1"), value.encode()) for name, value in case.headers]
    if name == "caught":
        headers = []
    await send({"type": "http.response.start", "status": case.status, "headers": headers})
    for part, more in ((case.body[:2], True), (case.body[2:], False)):
        await send({"type": "http.response.body", "body": part, "more_body": more})


async def websocket(scope, receive, send):
    await receive()
    what, _, where = scope["path"].strip("/").partition("-")
    headers = {
        "name": [(b"x-a: a\r\nx-injected", b"1")],
        "value": [(b"x-a", b"a\r\nx-injected: 1")],
        "length": [(b"content-length", b"5")],
        "lengths": [(b"content-length", b"5"), (b"content-length", b"2")],
        "good": [(b"x-a", b"1")],
    }[what]
    if where == "denied":
        await send({"type": "websocket.http.response.start", "status": 403, "headers": headers})
        await send({"type": "websocket.http.response.body", "body": b"hello"})
        return
    await send({"type": "websocket.accept", "headers": headers})
    await send({"type": "websocket.send", "text": "hello"})
    await receive()
