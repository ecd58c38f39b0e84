"""Tracebacks in the 500 pages of ASGI apps, for ``--display-tracebacks``."""

import traceback
from collections.abc import Awaitable, Callable
from typing import Any

Message = dict[str, Any]
Send = Callable[[Message], Awaitable[None]]


def with_tracebacks(app: Callable[..., Awaitable[None]]) -> Callable[..., Awaitable[None]]:
    """The app; if it raises before its answer begins, the answer is the traceback.

    What it raises goes on, for the log.

    :param app: an ASGI 3 application.
    """

    async def asked(scope: Message, receive: Callable[[], Awaitable[Message]], send: Send) -> None:
        if scope["type"] != "http":
            await app(scope, receive, send)
            return
        begun = False

        async def sending(message: Message) -> None:
            nonlocal begun
            begun = True
            await send(message)

        try:
            await app(scope, receive, sending)
        except Exception:
            if not begun:
                await _tell(send, traceback.format_exc().encode("utf-8", "replace"))
            raise

    return asked


async def _tell(send: Send, page: bytes) -> None:
    headers = [
        (b"content-type", b"text/plain; charset=utf-8"),
        (b"content-length", b"%d" % len(page)),
        (b"connection", b"close"),
    ]
    await send({"type": "http.response.start", "status": 500, "headers": headers})
    await send({"type": "http.response.body", "body": page})
