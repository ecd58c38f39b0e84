"""What ASGI contestants serve: one line that names the worker."""

import os

BODY = f"From worker {os.environ.get('STICKYD_SLOT', '-')} hello\n".encode()
HEAD = [(b"content-type", b"text/plain"), (b"content-length", b"%d" % len(BODY))]


async def hello(scope, receive, send):
    """The application."""
    if scope["type"] != "http":
        raise ValueError("only HTTP")
    await send({"type": "http.response.start", "status": 200, "headers": HEAD})
    await send({"type": "http.response.body", "body": BODY})
