"""An app for checks under load: every answer says what was asked, by whom, and who answers."""

import contextlib
import hashlib
import os
import socket
import time

from stickyd_life_app import LIFE, SLOT, App
from twisted.internet import reactor
from twisted.web.server import NOT_DONE_YET

from stickyd.ipc.fd_queue import InboxReader
from stickyd.ipc.frame import decode
from stickyd.worker import lanes

NOTES = os.environ.get("LIFE_NOTES")
"""Set: every worker writes down which connections it takes and which requests it begins, so that
the check knows after a kill -9 what the worker had in its hands."""


def _notebook():
    if not NOTES:
        return None
    path = LIFE / f"notes-{os.getpid()}"
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)


_notes = _notebook()


def _note(what, number):
    # One write at once, into the page cache: it outlives the process.
    if _notes is not None:
        os.write(_notes, f"{what} {number} {time.monotonic_ns()}\n".encode())


def _notes_what_it_takes(init):
    def noting_init(self, poller, receiver, adopt, lost):
        def noting(message, descriptor):
            _note("taken", decode(message).peer[1])
            adopt(message, descriptor)

        init(self, poller, receiver, noting, lost)

    return noting_init


class _Probe:
    """The same of what a compiled engine takes."""

    def tick(self):
        pass

    def gave(self, slot):
        pass

    def took(self, descriptor):
        if descriptor < 0:
            return
        sock = socket.socket(fileno=descriptor)
        # The client may have gone.
        with contextlib.suppress(OSError):
            _note("taken", sock.getpeername()[1])
        sock.detach()


if NOTES:
    InboxReader.__init__ = _notes_what_it_takes(InboxReader.__init__)
    lanes.PROBE = _Probe()


class Load(App):
    def hello(self, request):
        return b"hello\n"

    def sum(self, request):
        """Slot, pid, number, client, the peer's port and the body's SHA-256; ?pad= bytes more."""
        _note("begun", request.getHeader("x-number"))
        return self._answer(request)

    def late(self, request):
        """As `sum`, after ?s= seconds."""
        _note("begun", request.getHeader("x-number"))
        delay = float(request.args[b"s"][0])
        call = reactor.callLater(delay, self._finish_late, request)
        request.notifyFinish().addErrback(lambda _: call.active() and call.cancel())
        return NOT_DONE_YET

    def _finish_late(self, request):
        answer = self._answer(request)
        request.setHeader("Content-Length", str(len(answer)))
        request.write(answer)
        request.finish()

    def _answer(self, request):
        sha = hashlib.sha256()
        while part := request.content.read(1 << 16):
            sha.update(part)
        words = (
            SLOT,
            os.getpid(),
            request.getHeader("x-number"),
            request.getHeader("x-forwarded-for"),
            request.transport.getPeer().port,
            sha.hexdigest(),
        )
        pad = int(request.args.get(b"pad", [b"0"])[0])
        return " ".join(map(str, words)).encode() + b"\n" + b"x" * pad
