"""Resources that tests run in the workers."""

import hashlib
import json
import os
import resource
import time

from twisted.internet import reactor
from twisted.internet.protocol import Protocol
from twisted.internet.task import LoopingCall
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET

HOARD = []
SLOT = os.environ.get("STICKYD_SLOT", "-").encode()


class Page(Resource):
    isLeaf = True

    def render(self, request):
        return getattr(self, request.path.strip(b"/").decode() or "hello")(request)

    def hello(self, request):
        client = request.getHeader("x-forwarded-for") or "-"
        request.setHeader("X-Echo", request.getHeader("x-number") or "-")
        return b"From worker %b for %b " % (SLOT, client.encode())

    def big(self, request):
        """Answers with ?n= bytes in one piece."""
        return b"b" * int(request.args[b"n"][0])

    def late(self, request):
        """Answers after ?s= seconds."""
        delay = float(request.args.get(b"s", [b"0.2"])[0])
        call = reactor.callLater(delay, self._finish, request)
        request.notifyFinish().addErrback(lambda _: call.active() and call.cancel())
        return NOT_DONE_YET

    def held(self, request):
        """Answers once the file ?until= exists."""

        def look():
            if os.path.exists(request.args[b"until"][0]):
                request.write(b"From worker %b held " % SLOT)
                request.finish()

        looking = LoopingCall(look)
        request.notifyFinish().addBoth(lambda _: looking.stop())
        looking.start(0.02, now=False)
        return NOT_DONE_YET

    def _finish(self, request):
        request.write(b"From worker %b late " % SLOT)
        request.finish()

    def digest(self, request):
        """Tells the SHA-256 of the body."""
        sha = hashlib.sha256()
        while part := request.content.read(1 << 16):
            sha.update(part)
        return b"From worker %b %b" % (SLOT, sha.hexdigest().encode())

    def stream(self, request):
        """Streams ?n= blocks of 64 KiB with a pull producer."""
        left = int(request.args.get(b"n", [b"16"])[0])
        request.setHeader("X-Worker", SLOT)

        class Producer:
            def resumeProducing(self):
                nonlocal left
                if left == 0:
                    request.unregisterProducer()
                    request.finish()
                    return
                request.write(bytes([left % 251]) * 65536)
                left -= 1

            def stopProducing(self):
                pass

        request.registerProducer(Producer(), False)
        return NOT_DONE_YET

    def drip(self, request):
        """Writes ?n= lines, one every 20 ms; counts clients that leave."""
        left = int(request.args.get(b"n", [b"5"])[0])

        def write():
            nonlocal left
            request.write(b"From worker %b line\n" % SLOT)
            left -= 1
            if not left:
                call.stop()
                request.finish()

        call = LoopingCall(write)
        gone = request.notifyFinish()
        gone.addErrback(lambda _: call.running and call.stop())
        call.start(0.02)
        return NOT_DONE_YET

    def session(self, request):
        """Counts visits in an in-memory session."""
        session = request.getSession()
        session.visits = getattr(session, "visits", 0) + 1
        return b"From worker %b visit %d" % (SLOT, session.visits)

    def short(self, request):
        """Promises more bytes than it writes."""
        request.setHeader("Content-Length", "100")
        request.write(b"From worker %b short" % SLOT)
        request.finish()
        return NOT_DONE_YET

    def whole(self, request):
        """Writes as much as it promises, and never says that this was all."""
        body = b"From worker %b whole " % SLOT
        request.setHeader("Content-Length", b"%d" % len(body))
        request.write(body)
        return NOT_DONE_YET

    def nothing(self, request):
        request.setResponseCode(204)
        return b""

    def cookies(self, request):
        received = request.received_cookies.items()
        told = {name.decode(): value.decode() for name, value in received}
        return json.dumps([request.getHeader("cookie"), told]).encode()

    def secure(self, request):
        address = request.getClientAddress()
        return f"{request.isSecure()} {address.host} {address.port}".encode()

    def boom(self, request):
        raise ValueError("an app's fault")

    def slow(self, request):
        """Blocks the worker for ?s= seconds."""
        time.sleep(float(request.args.get(b"s", [b"0.01"])[0]))  # an app that blocks
        return b"From worker %b slow " % SLOT

    def hoard(self, request):
        """Opens files until ?left= descriptors are left; closes them all if that is 0."""
        left = int(request.args[b"left"][0])
        while HOARD and not left:
            os.close(HOARD.pop())
        most = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
        while left and (not HOARD or HOARD[-1] < most - left - 1):
            HOARD.append(os.open(os.devnull, os.O_RDONLY))
        return b"From worker %b hoard " % SLOT

    def upgrade(self, request):
        """Speaks another protocol to who offers it."""
        return Upgrading().render_GET(request)

    def cut(self, request):
        """Ends the connection itself."""
        request.write(b"From worker %b cut " % SLOT)
        request.loseConnection()
        return NOT_DONE_YET

    def close(self, request):
        request.setHeader("Connection", "close")
        return b"From worker %b close " % SLOT


class Numbered(Page):
    """Answers with the number that was asked."""

    def slow(self, request):
        super().slow(request)
        return self.hello(request)


class EchoProtocol(Protocol):
    def dataReceived(self, data):
        self.transport.write(b"%b: %b" % (SLOT, data))


class Upgrading(Resource):
    """Speaks another protocol to who offers it."""

    isLeaf = True

    def render_GET(self, request):
        if request.getHeader("upgrade") != "echo":
            request.setResponseCode(426)
            return b""
        transport = request.channel.transport
        request.channel._protocolUpgradeForWebsockets(EchoProtocol())
        transport.write(
            b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n"
        )
        return NOT_DONE_YET


def broken():
    raise RuntimeError("this app\ndoes not load")


def exits():
    os._exit(3)


NOT_A_RESOURCE = object()


class Hello(Resource):
    """What benchmarks serve."""

    isLeaf = True

    def render_GET(self, request):
        request.setHeader(b"Content-Type", b"text/plain")
        return b"From worker %b hello\n" % SLOT
