"""The pages of ``--admin``, on Twisted's own web server."""

import json
from typing import Any

from twisted.internet import defer, threads
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web import resource, server

from stickyd.master.admin.exposition import apps_directory, exposition
from stickyd.master.admin.metrics import metrics_of
from stickyd.master.admin.page.files import TYPES, PageFiles
from stickyd.master.admin.page.html import page
from stickyd.master.admin.page.observer import Observer
from stickyd.master.admin.page.stream import Streams
from stickyd.master.admin.processes import Processes
from stickyd.master.facts import Watched
from stickyd.net.address import canonical
from stickyd.net.bind_address import host_in, is_loopback

IDLE_SECONDS = 120
"""Seconds without a byte after which a client is disconnected: more than between two scrapes."""

_NO_BODY = b"HTTP/1.1 413 Content Too Large\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"

_log = Logger("stickyd")


class AdminRequest(server.Request):
    """A request without a body.

    A page of another site must not read the answers: by its name for a loopback address (DNS
    rebinding), or in a frame.
    """

    def gotLength(self, length: int | None) -> None:
        """For the channel: the head is complete; a body is refused."""
        if length == 0:
            super().gotLength(length)
            return
        super().gotLength(0)
        transport = self.channel.transport
        if transport is not None:
            transport.write(_NO_BODY)
            transport.loseConnection()

    def process(self) -> None:
        """For the channel: answer."""
        self.setHeader(b"cache-control", b"no-store")
        self.setHeader(b"x-content-type-options", b"nosniff")
        self.setHeader(b"x-frame-options", b"DENY")
        self.setHeader(b"referrer-policy", b"no-referrer")
        self.setHeader(
            b"content-security-policy",
            b"default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self';"
            b" img-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none';"
            b" require-trusted-types-for 'script'",
        )
        if self._is_for_us():
            super().process()
        else:
            self.setResponseCode(421, b"Misdirected Request")
            self.setHeader(b"content-type", b"text/plain; charset=utf-8")
            self.write(b"Host: is not an address of this listener\n")
            self.finish()

    def _is_for_us(self) -> bool:
        own = self.getHost()
        if not is_loopback(getattr(own, "host", "")):
            return True
        hosts = self.requestHeaders.getRawHeaders("host") or ["localhost"]
        name = host_in(hosts[0].strip())
        return name == "localhost" or is_loopback(canonical(name) or "")


def text(request: server.Request, status: int, body: str) -> bytes:
    """A short answer."""
    request.setResponseCode(status)
    request.setHeader(b"content-type", b"text/plain; charset=utf-8")
    return body.encode()


class Page:
    """One page."""

    def __init__(self, watched: Watched) -> None:
        self._watched = watched

    def get(self, request: server.Request) -> bytes | int:
        """The body, or NOT_DONE_YET."""
        raise NotImplementedError


class Health(Page):
    """``/healthz``: the master lives."""

    def get(self, request: server.Request) -> bytes:
        """Answer."""
        return text(request, 200, "ok\n")


class Ready(Page):
    """``/readyz``: every slot can serve."""

    def get(self, request: server.Request) -> bytes:
        """Answer."""
        why = self._watched.not_ready()
        return text(request, 503 if why else 200, f"{why or 'ready'}\n")


class Later(Page):
    """A page that takes a moment."""

    def get(self, request: server.Request) -> int:
        """Answer when it is made, unless the client has gone by then."""
        gone: list[Failure] = []
        request.notifyFinish().addErrback(gone.append)
        made = defer.ensureDeferred(self.make(request))

        def answer(body: bytes) -> None:
            if not gone:
                request.setHeader(b"content-length", b"%d" % len(body))
                request.write(body)
                request.finish()

        def fail(failure: Failure) -> None:
            _log.failure("a page of --admin failed", failure=failure)
            if not gone:
                answer(text(request, 500, "failed; the log says why\n"))

        made.addCallbacks(answer, fail)
        return server.NOT_DONE_YET

    async def make(self, request: server.Request) -> bytes:
        """The body; sets the header fields."""
        raise NotImplementedError


class Status(Later):
    """``/api/status``: the report of ``--control``."""

    async def make(self, request: server.Request) -> bytes:
        """The report."""
        report = await self._watched.report()
        request.setHeader(b"content-type", b"application/json")
        return json.dumps(report, indent=1).encode() + b"\n"


class Metrics(Later):
    """``/metrics``, for Prometheus."""

    def __init__(self, watched: Watched, processes: Processes, reactor: Any) -> None:
        super().__init__(watched)
        self._processes = processes
        self._reactor = reactor

    async def make(self, request: server.Request) -> bytes:
        """The text."""
        facts = self._watched.facts()
        living = [(0, facts.master_pid)]
        living += [(slot.number, each.pid) for slot in facts.slots for each in slot.workers]
        metrics = list(metrics_of(facts, self._processes.look(living)))
        accept = ", ".join(request.requestHeaders.getRawHeaders("accept") or [])
        apps = apps_directory()
        if apps is None:
            body, media_type = exposition(metrics, accept, None)
        else:
            pool = self._reactor.getThreadPool()
            body, media_type = await threads.deferToThreadPool(
                self._reactor, pool, exposition, metrics, accept, apps
            )
        request.setHeader(b"content-type", media_type.encode())
        return body


class Live(Page):
    """``/``: the live page, complete without its script."""

    def __init__(self, watched: Watched, observer: Observer) -> None:
        super().__init__(watched)
        self._observer = observer

    def get(self, request: server.Request) -> bytes:
        """Answer."""
        request.setHeader(b"content-type", b"text/html; charset=utf-8")
        return page(self._observer.view())


class Events(Page):
    """``/events``: the stream that keeps the live page current."""

    def __init__(self, watched: Watched, streams: Streams) -> None:
        super().__init__(watched)
        self._streams = streams

    def get(self, request: server.Request) -> bytes | int:
        """Answer, for as long as the client listens."""
        if not self._streams.has_room():
            request.setHeader(b"retry-after", b"10")
            return text(request, 503, "too many pages are open\n")
        if request.method == b"HEAD":
            request.setHeader(b"content-type", b"text/event-stream")
            return b""
        self._streams.add(request)
        return server.NOT_DONE_YET


class File(Page):
    """A file of the live page."""

    def __init__(self, watched: Watched, content: bytes, media_type: str) -> None:
        super().__init__(watched)
        self._content = content
        self._media_type = media_type.encode()

    def get(self, request: server.Request) -> bytes:
        """Answer."""
        request.setHeader(b"content-type", self._media_type)
        return self._content


class Root(resource.Resource):
    """All pages, by their exact path."""

    isLeaf = True

    def __init__(self, watched: Watched, processes: Processes, reactor: Any) -> None:
        super().__init__()
        files = PageFiles()
        observer = Observer(watched, files.digest)
        self.streams = Streams(reactor, observer.view)
        self._pages: dict[bytes, Page] = {
            b"/": Live(watched, observer),
            b"/events": Events(watched, self.streams),
            b"/healthz": Health(watched),
            b"/readyz": Ready(watched),
            b"/metrics": Metrics(watched, processes, reactor),
            b"/api/status": Status(watched),
        }
        for name, media_type in TYPES.items():
            self._pages[f"/{name}".encode()] = File(watched, files.contents[name], media_type)

    def render(self, request: server.Request) -> bytes | int:
        """Answer."""
        page = self._pages.get(request.path)
        if page is None:
            return text(request, 404, "no such page\n")
        if request.method not in (b"GET", b"HEAD"):
            request.setHeader(b"allow", b"GET, HEAD")
            return text(request, 405, "GET or HEAD\n")
        return page.get(request)


class AdminSite(server.Site):
    """The web server."""

    displayTracebacks = False

    def __init__(self, watched: Watched, processes: Processes, reactor: Any) -> None:
        root = Root(watched, processes, reactor)
        self.streams = root.streams
        super().__init__(root, AdminRequest, timeout=IDLE_SECONDS)
