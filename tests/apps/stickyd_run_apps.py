"""Apps of all kinds that tell what they were started with."""

import os
from collections.abc import Callable, Iterable
from typing import Any

from twisted.web.resource import Resource

SLOT = os.environ["STICKYD_SLOT"]
"""Every process that imports an app has it, the one that finds out the kind too."""


def _told() -> bytes:
    return f"{os.environ.get('OF_FILE')} {os.environ.get('OF_BOTH')}".encode()


async def asgi(scope: Any, receive: Any, send: Any) -> None:
    if scope["type"] == "http":
        headers = [(b"content-type", b"text/plain")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b"asgi " + _told()})


def wsgi(environ: Any, start_response: Callable[..., Any]) -> Iterable[bytes]:
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"wsgi " + _told()]


class Page(Resource):
    isLeaf = True

    def render_GET(self, request: Any) -> bytes:
        return b"class " + _told()


def create(kind: str = "wsgi", *, page: bool = False) -> Any:
    return Page() if page else {"wsgi": wsgi, "asgi": asgi}[kind]


def uncertain(*arguments: Any) -> None:
    print("imported")
