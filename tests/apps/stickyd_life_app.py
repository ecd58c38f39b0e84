"""An app for tests of the life of workers: it tells who it is, and can be made to misbehave."""

import hashlib
import json
import os
import select
import signal
import threading
import time
from pathlib import Path

from twisted.internet import reactor, threads
from twisted.internet.task import LoopingCall
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET

from stickyd.keys import new_key

SLOT = int(os.environ["STICKYD_SLOT"])
LIFE = Path(os.environ.get("LIFE", "."))
"""A directory of the test's: files in it say what goes wrong, and what has happened."""

if (LIFE / f"fails-{SLOT}").exists():
    raise RuntimeError("told to fail")
if (LIFE / "waits").exists():
    # A FIFO, opened before the test may rename it: POLLHUP comes when a writer has been there.
    _waits = select.poll()
    _waits.register(os.open(LIFE / "waits", os.O_RDONLY | os.O_NONBLOCK), select.POLLIN)
    (LIFE / f"loading-{SLOT}-{os.getpid()}").touch()
    _waits.poll()
if (LIFE / f"hangs-{SLOT}").exists():
    time.sleep(60)  # longer than anybody waits for a worker that does not come


def retired(retiring):
    """For --on-retire: what the worker knew, for the test to read."""
    told = {"slot": retiring.slot, "reason": retiring.reason, "keys": retiring.keys}
    (LIFE / f"retired-{SLOT}-{os.getpid()}").write_text(json.dumps(told))


class App(Resource):
    isLeaf = True

    def __init__(self):
        super().__init__()
        self.seen = {}

    def render(self, request):
        name = request.path.strip(b"/").decode() or "who"
        return getattr(self, name)(request)

    def who(self, request):
        """Slot, pid, and how often this client has been here."""
        client = request.getHeader("x-forwarded-for") or "-"
        self.seen[client] = self.seen.get(client, 0) + 1
        return f"{SLOT} {os.getpid()} {self.seen[client]}".encode()

    def key(self, request):
        return new_key().encode()

    def late(self, request):
        """Answers after ?s= seconds."""
        delay = float(request.args[b"s"][0])
        call = reactor.callLater(delay, self._finish, request)
        request.notifyFinish().addErrback(lambda _: call.active() and call.cancel())
        return NOT_DONE_YET

    def begun(self, request):
        """Writes a part of its answer; the rest when the file ``go`` is there."""
        request.write(b"begun ")
        looking = LoopingCall(self._go, request)
        looking.start(0.02).addCallback(lambda _: request.finish())
        request.looking = looking
        return NOT_DONE_YET

    def _go(self, request):
        if (LIFE / "go").exists():
            request.write(b"done")
            request.looking.stop()

    def thread(self, request):
        """Is busy in a thread for ?s= seconds."""
        until = time.monotonic() + float(request.args[b"s"][0])

        def work():
            block = bytes(1 << 24)
            while time.monotonic() < until:
                # Lets go of the interpreter lock, as such work in threads has to.
                hashlib.sha256(block)

        threads.deferToThread(work).addCallback(lambda _: self._finish(request))
        return NOT_DONE_YET

    def _finish(self, request):
        request.write(f"{SLOT} {os.getpid()} late".encode())
        request.finish()

    def block(self, request):
        """Blocks the whole worker for ?s= seconds."""
        time.sleep(float(request.args[b"s"][0]))  # an app that blocks
        return self.who(request)

    def hold(self, request):
        """Blocks the whole worker until somebody writes to the FIFO ``hold``."""
        (LIFE / "hold").read_bytes()
        return self.who(request)

    def die(self, request):
        os.kill(os.getpid(), signal.SIGKILL)
        threading.Event().wait()
