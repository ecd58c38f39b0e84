"""One app in every kind: it answers with ?n= bytes, whole, streamed or by a producer."""

import asyncio
import gc
import json
from urllib.parse import parse_qs

from klein import Klein
from stickyd_quiet_websocket import Quiet, Sockets
from twisted.internet import interfaces, reactor
from twisted.internet.task import cooperate
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET
from twisted.web.websocket import WebSocketResource
from zope.interface import implementer

PART = 1 << 20


def cycles():
    """The types of what is unreachable, and has not been freed, as JSON; forgets them."""
    # From now on they are left for the next call.
    gc.disable()
    gc.set_debug(gc.DEBUG_SAVEALL)
    gc.collect()
    gc.set_debug(0)
    kinds = {f"{type(found).__module__}.{type(found).__qualname__}" for found in gc.garbage}
    gc.garbage.clear()
    gc.collect()
    return json.dumps(sorted(kinds)).encode()


def asked_for(args):
    """How many bytes, and whether the app ends the connection in the middle."""
    return int(args[b"n"][0]), b"abort" in args


def parts(size):
    for left in range(size, 0, -PART):
        yield b"z" * min(left, PART)


@implementer(interfaces.IPushProducer)
class Push:
    """Writes as long as it is not told to wait."""

    def __init__(self, request, size):
        self.request = request
        self.task = cooperate(self.work(size))
        request.registerProducer(self, True)

    def work(self, size):
        for part in parts(size):
            self.request.write(part)
            yield
        self.request.unregisterProducer()
        self.request.finish()
        self.task = None

    def pauseProducing(self):
        self.task.pause()

    def resumeProducing(self):
        self.task.resume()

    def stopProducing(self):
        # It refers to us.
        task, self.task = self.task, None
        task.stop()


@implementer(interfaces.IPullProducer)
class Pull:
    """Writes when it is asked to."""

    def __init__(self, request, size):
        self.request = request
        self.parts = parts(size)
        request.registerProducer(self, False)

    def resumeProducing(self):
        part = next(self.parts, None)
        if part is None:
            self.request.unregisterProducer()
            self.request.finish()
        else:
            self.request.write(part)

    def stopProducing(self):
        self.parts.close()


def cut(request):
    """End the connection in the middle of the answer, unless it has ended."""
    late = reactor.callLater(0.1, request.transport.abortConnection)
    request.notifyFinish().addBoth(lambda _: late.active() and late.cancel())


def whole(request):
    size, abort = asked_for(request.args)
    if abort:
        cut(request)
    return b"z" * size


def streamed(request):
    size, abort = asked_for(request.args)
    if abort:
        cut(request)
    for part in parts(size):
        request.write(part)
    request.finish()
    return NOT_DONE_YET


def produced(request, producer):
    size, abort = asked_for(request.args)
    if abort:
        cut(request)
    producer(request, size)
    return NOT_DONE_YET


def boom(request):
    request.write(b"z" * asked_for(request.args)[0])
    raise ValueError("an app's fault")


class Tangled:
    """An app's own circle, with a big thing in it."""

    def __init__(self, request, size):
        self.me = self
        self.request = request
        self.big = b"z" * size


class Failing(Pull):
    def resumeProducing(self):
        self.request.write(b"z" * PART)

    def stopProducing(self):
        raise ValueError("a producer's fault")


class Flood(Quiet):
    """A WebSocket: writes what it is asked for at once."""

    def __init__(self, request):
        self.size = asked_for(request.args)[0]

    def negotiationFinished(self):
        self.transport.sendBytesMessage(b"z" * self.size)

    def connectionLost(self, reason):
        del self.transport


class Web(Resource):
    """twisted.web; ``tangled`` leaves what only the collector finds."""

    isLeaf = True

    def render_GET(self, request):
        return getattr(self, request.path.strip(b"/").decode())(request)

    def cycles(self, request):
        return cycles()

    def whole(self, request):
        return whole(request)

    def streamed(self, request):
        return streamed(request)

    def push(self, request):
        return produced(request, Push)

    def pull(self, request):
        return produced(request, Pull)

    def boom(self, request):
        return boom(request)

    def failing(self, request):
        return produced(request, Failing)

    def socket(self, request):
        return WebSocketResource(Sockets(Flood)).render_GET(request)

    def tangled(self, request):
        return Tangled(request, asked_for(request.args)[0]).big


klein = Klein()


@klein.route("/cycles")
def klein_cycles(request):
    return cycles()


@klein.route("/whole")
def klein_whole(request):
    return whole(request)


@klein.route("/boom")
def klein_boom(request):
    return boom(request)


@klein.route("/streamed")
def klein_streamed(request):
    # As what Klein takes from `render`.
    return streamed(request)


@klein.route("/push")
def klein_push(request):
    over = request.notifyFinish()
    produced(request, Push)
    return over.addErrback(lambda _: None)


def wsgi(environ, start_response):
    name = environ["PATH_INFO"].strip("/")
    asked = parse_qs(environ["QUERY_STRING"])
    if name == "cycles":
        start_response("200 OK", [("Content-Type", "application/json")])
        return [cycles()]
    size, abort = int(asked["n"][0]), "abort" in asked
    write = start_response("200 OK", [("Content-Type", "text/plain")])
    if name == "write":
        for part in parts(size):
            write(part)
        return []
    answer = [b"z" * size] if name == "whole" else parts(size)
    return breaking(answer) if abort else answer


def breaking(answer):
    yield from answer
    raise ValueError("the app breaks off")


async def socket(scope, receive, send):
    await receive()
    await send({"type": "websocket.accept"})
    size = asked_for(parse_qs(scope["query_string"]))[0]
    await send({"type": "websocket.send", "bytes": b"z" * size})
    while (await receive())["type"] != "websocket.disconnect":
        pass


async def asgi(scope, receive, send):
    if scope["type"] == "lifespan":
        raise ValueError("no lifespan")
    if scope["type"] == "websocket":
        await socket(scope, receive, send)
        return
    if scope["path"] == "/cycles":
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": cycles()})
        return
    asked = parse_qs(scope["query_string"])
    size, abort = asked_for(asked)
    await send({"type": "http.response.start", "status": 200, "headers": []})
    answer = [b"z" * size] if scope["path"] == "/whole" else parts(size)
    if abort:
        sending = asyncio.current_task()
        asyncio.get_running_loop().call_later(0.1, sending.cancel)
    for part in answer:
        await send({"type": "http.response.body", "body": part, "more_body": True})
    if scope["path"] == "/boom":
        raise ValueError("an app's fault")
    await send({"type": "http.response.body"})
