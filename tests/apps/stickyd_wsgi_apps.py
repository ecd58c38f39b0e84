"""WSGI applications that tests run in the workers."""

import hashlib
import json
import os
import threading
import time
from urllib.parse import parse_qs

from stickyd import keys

SLOT = os.environ.get("STICKYD_SLOT", "-")
CLOSED = []
BACK = threading.Event()
TOLD = (
    "REQUEST_METHOD",
    "SCRIPT_NAME",
    "PATH_INFO",
    "QUERY_STRING",
    "CONTENT_LENGTH",
    "CONTENT_TYPE",
    "REMOTE_ADDR",
    "SERVER_NAME",
    "SERVER_PORT",
    "SERVER_PROTOCOL",
    "HTTP_HOST",
    "HTTP_COOKIE",
    "HTTP_TRANSFER_ENCODING",
    "wsgi.url_scheme",
    "wsgi.multithread",
    "wsgi.input_terminated",
    "wsgi.multiprocess",
    "SSL_CLIENT_S_DN",
)


class Blocks:
    """Says when it has been closed."""

    def __init__(self, blocks):
        self.blocks = iter(blocks)

    def __iter__(self):
        return self.blocks

    def close(self):
        CLOSED.append(SLOT)


class Pages:
    def __init__(self, environ, start_response):
        self.environ, self.start_response = environ, start_response
        self.asked = {k: v[0] for k, v in parse_qs(environ["QUERY_STRING"]).items()}

    def ok(self, body, *headers):
        told = [("Content-Type", "text/plain"), ("Content-Length", str(len(body))), *headers]
        self.start_response("200 OK", told)
        return [body]

    def hello(self):
        client = self.environ.get("HTTP_X_FORWARDED_FOR", "-")
        body = f"From worker {SLOT} for {client} ".encode()
        return self.ok(body, ("X-Echo", self.environ.get("HTTP_X_NUMBER", "-")))

    def told(self):
        return self.ok(
            json.dumps({**{n: self.environ.get(n) for n in TOLD}, "slot": SLOT}).encode()
        )

    def digest(self):
        sha = hashlib.sha256()
        left = int(self.environ["CONTENT_LENGTH"] or 0)
        while left and (part := self.environ["wsgi.input"].read(min(left, 100_000))):
            sha.update(part)
            left -= len(part)
        return self.ok(f"From worker {SLOT} {sha.hexdigest()}".encode())

    streamed = 0

    def stream(self):
        self.start_response("200 OK", [("Content-Type", "application/octet-stream")])

        def blocks():
            for left in range(int(self.asked["n"]), 0, -1):
                Pages.streamed = left
                yield bytes([left % 251]) * 65536

        return Blocks(blocks())

    def left(self):
        return self.ok(b"%d" % Pages.streamed)

    def closed(self):
        return self.ok(b"%d" % len(CLOSED))

    def events(self):
        """Server-sent events, by the write callable."""
        write = self.start_response("200 OK", [("Content-Type", "text/event-stream")])
        for number in range(int(self.asked["n"])):
            time.sleep(0.02)  # an event is a matter of time
            write(b"data: %d\n\n" % number)
        return []

    def late(self):
        time.sleep(float(self.asked.get("s", 0.2)))  # an app that is slow
        return self.ok(f"From worker {SLOT} late ".encode())

    def together(self):
        """Two requests meet here, so they run at the same time."""
        met = MEETING.wait(10)
        return self.ok(b"met %d" % met)

    def back(self):
        """Answers, and goes on in a thread of its own."""
        key = []
        thread = threading.Thread(target=lambda: key.append(keys.new_key()))
        thread.start()
        thread.join()
        return self.ok(key[0].encode())

    def whole(self):
        """Yields as much as it promises, and is never closed."""
        (body,) = self.ok(f"From worker {SLOT} whole ".encode())

        def blocks():
            yield body
            threading.Event().wait()

        return blocks()

    def nothing(self):
        self.start_response("204 No Content", [])
        return []

    def boom(self):
        raise ValueError("an app's fault")

    def boom_amid(self):
        self.start_response("200 OK", [("Content-Type", "text/plain")])

        def blocks():
            yield b"half"
            raise ValueError("an app's fault amid")

        return Blocks(blocks())

    def boom_lazily(self):
        self.start_response("200 OK", [("Content-Type", "text/plain")])

        def blocks():
            raise ValueError("an app's fault before the first block")
            yield

        return Blocks(blocks())

    def silent(self):
        return []

    def bare_status(self):
        self.start_response("299", [])
        return [b"bare"]


MEETING = threading.Barrier(2)


def app(environ, start_response):
    pages = Pages(environ, start_response)
    return getattr(pages, environ["PATH_INFO"].rpartition("/")[2].replace("-", "_") or "hello")()


NOT_CALLABLE = object()
