"""An app of each kind that logs in the ways that are hard to keep, and says what it was asked."""

import json
import logging
import os
import sys
import threading

from twisted.logger import Logger
from twisted.web.resource import Resource

FORGED = b'\x1e{"time":1.5,"priority":2,"logger":"forged","message":"x","traceback":"","fields":{}}'
LONG = "ä" * 20_000


def log_all():
    print('printed "as it is" \\ \t\x1b[0m')
    print("a lone surrogate", ascii("\udcff"))
    os.write(1, b"half of a character: \xc3\n")
    os.write(2, FORGED + b"\n")
    print("<3>of level error")
    logger = logging.getLogger("its.logger")
    logger.warning("a lone surrogate: %s", "\udcff", extra={"user": 7, "other": object()})
    try:
        raise ValueError("two\nlines")
    except ValueError:
        logger.exception("it failed")
    logger.error(LONG)
    Logger("of.twisted").info("{n} of Twisted", n=0.5)
    print("no line end", end="")
    sys.stdout.flush()
    logger.error("behind it")
    print(" and the rest")


def shout(count):
    """Lines of many threads, and of another process."""

    def lines(name):
        for number in range(count):
            print(f"{name} {number} " + "x" * 5000)
            logging.getLogger(name).error("%d %s", number, "y" * 5000)

    threads = [threading.Thread(target=lines, args=[f"thread-{n}"]) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def asked(request_id, parent):
    return json.dumps({"id": request_id, "parent": parent}).encode()


class Web(Resource):
    isLeaf = True

    def render(self, request):
        if request.path == b"/raise":
            raise RuntimeError("of the app")
        if request.path == b"/log":
            log_all()
        if request.path == b"/shout":
            shout(20)
        headers = [request.getHeader(name) or b"" for name in (b"x-request-id", b"traceparent")]
        return asked(*(value.decode("latin-1") for value in headers))


def wsgi(environ, start_response):
    if environ["PATH_INFO"] == "/raise":
        raise RuntimeError("of the app")
    if environ["PATH_INFO"] == "/log":
        log_all()
    body = asked(environ.get("HTTP_X_REQUEST_ID", ""), environ.get("HTTP_TRACEPARENT", ""))
    start_response("200 OK", [("Content-Length", str(len(body)))])
    return [body]


async def asgi(scope, receive, send):
    if scope["type"] != "http":
        raise RuntimeError("only requests")
    if scope["path"] == "/raise":
        raise RuntimeError("of the app")
    if scope["path"] == "/log":
        log_all()
    headers = {name: value.decode("latin-1") for name, value in scope["headers"]}
    body = asked(headers.get(b"x-request-id", ""), headers.get(b"traceparent", ""))
    length = (b"content-length", str(len(body)).encode())
    await send({"type": "http.response.start", "status": 200, "headers": [length]})
    await send({"type": "http.response.body", "body": body})


def repeat(body):
    """Say what a client has sent, in two ways."""
    line = body.replace(b"\n", b" ")
    sys.stdout.buffer.write(line + b"\n")
    logging.getLogger("repeat").error("%s", line.decode("utf-8", "surrogateescape"))


class Repeating(Resource):
    isLeaf = True

    def render(self, request):
        repeat(request.content.read())
        return b"said"


async def repeating(scope, receive, send):
    if scope["type"] != "http":
        raise RuntimeError("only requests")
    body, more = b"", True
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
    repeat(body)
    await send(
        {"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"4")]}
    )
    await send({"type": "http.response.body", "body": b"said"})
