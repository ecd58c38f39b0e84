"""Apps that close descriptors which are not their own, as ``os.closerange`` or a second ``close``
of a number does. The path says which: those of one kind that the worker has, or all.
"""

import os

from twisted.internet import reactor
from twisted.web.resource import Resource

from stickyd.worker.control_link import WorkerControlLink


def link():
    readers = [getattr(reader, "protocol", None) for reader in reactor.getReaders()]
    return next(each for each in readers if isinstance(each, WorkerControlLink))


def worker():
    return link()._lifecycle.worker


def inbox():
    return [worker().adoption._inbox._receiver.fileno()]


def senders():
    return [
        sender._sender.fileno() for sender in worker().context.routing.senders._senders.values()
    ]


def epoll():
    return [worker().context.poller.fileno()]


def control():
    return [link().transport.fileno()]


def board():
    return [worker().context.routing.load._balancer._scoreboard.descriptor]


def poll():
    """The reactor's epoll."""
    return [reactor._poller.fileno()]


def clients():
    """Connections of clients: of the one that asks, and of others that idle here."""
    return [channel.transport.fileno() for channel in worker().context.connections]


def all():
    return range(3, 256)


def standard():
    return range(3)


def close(path):
    """Close what the path asks for."""
    for descriptor in list(globals()[path.strip("/")]()):
        try:
            os.close(descriptor)
        except OSError:
            pass


def reuse(path):
    """The same, and a file of the app's own has the number then."""
    for descriptor in list(globals()[path.strip("/")]()):
        null = os.open("/dev/null", os.O_RDWR)
        os.dup2(null, descriptor)
        os.close(null)


class Page(Resource):
    isLeaf = True

    def render_GET(self, request):
        return b"%d" % os.getpid()

    def render_POST(self, request):
        close(request.path.decode())
        return b"closed"

    def render_PUT(self, request):
        reuse(request.path.decode())
        return b"closed"


def wsgi(environ, start_response):
    if environ["REQUEST_METHOD"] == "POST":
        close(environ["PATH_INFO"])
    body = b"%d" % os.getpid()
    start_response("200 OK", [("Content-Length", str(len(body)))])
    return [body]


async def asgi(scope, receive, send):
    assert scope["type"] == "http"
    if scope["method"] == "POST":
        close(scope["path"])
    body = b"%d" % os.getpid()
    headers = [(b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


if os.environ.get("STICKYD_CLOSES") and os.environ.get("STICKYD_SLOT") == "1":
    # While it is loaded.
    close(os.environ["STICKYD_CLOSES"])
