"""An app that prints more than any pipe holds, and one that logs in every way there is."""

import logging
import os
import sys

from twisted.logger import Logger
from twisted.web.resource import Resource

SLOT = os.environ.get("STICKYD_SLOT", "-")


class Chatter(Resource):
    """Prints ?n= lines of 100 bytes, numbered from 0."""

    isLeaf = True

    def render(self, request):
        for number in range(int(request.args.get(b"n", [b"0"])[0])):
            print(f"line {number:8} ".ljust(99, "."))
        return f"From worker {SLOT} ".encode()


def say_all():
    """One line of each kind; the text is the level that it should get."""
    print("printed: info")
    print("printed to stderr: error", file=sys.stderr)
    print("<4>with a prefix of sd-daemon(3): warn")
    Logger("of.twisted").debug("of Twisted: debug")
    Logger("of.twisted").critical("of Twisted, braces {{}}: critical")
    logging.getLogger("not.configured").warning("not configured: warn")
    logging.getLogger("not.configured").error("not configured, two\nlines: error")
    configured = logging.getLogger("configured")
    configured.propagate = False
    configured.setLevel(logging.DEBUG)
    for stream in (sys.stderr, sys.stdout):
        handler = logging.StreamHandler(stream)
        configured.addHandler(handler)
        configured.info("configured: info")
        configured.error("configured: error")
        configured.removeHandler(handler)
    for name in ("uvicorn", "uvicorn.error"):
        logging.getLogger(name).info("of %s: info", name)
        logging.getLogger(name).debug("of %s: never", name)
        logging.getLogger(name).warning("of %s: warn", name)


class Web(Resource):
    isLeaf = True

    def render(self, request):
        say_all()
        return b"said"


def wsgi(environ, start_response):
    handler = logging.StreamHandler(environ["wsgi.errors"])
    logger = logging.getLogger("wsgi")
    logger.propagate = False
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    logger.info("to wsgi.errors: info")
    environ["wsgi.errors"].write("written to wsgi.errors: error\n")
    say_all()
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"said"]


async def asgi(scope, receive, send):
    if scope["type"] == "lifespan":
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await send({"type": "lifespan.shutdown.complete"})
        return
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.accept"})
        await send({"type": "websocket.close"})
        return
    say_all()
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"said"})
