"""What ASGI apps say in the handshake of a WebSocket, judged before uvicorn writes it.

It checks no name of a field there, and in what is written a line end that a name holds cannot be
told from another.
"""

from collections.abc import Awaitable, Callable
from typing import Any

from stickyd.http1.response import check_field

Message = dict[str, Any]
Send = Callable[[Message], Awaitable[None]]
Receive = Callable[[], Awaitable[Message]]
App = Callable[[Message, Receive, Send], Awaitable[None]]

_HANDSHAKE = frozenset({"websocket.accept", "websocket.http.response.start"})


def with_checked_handshakes(app: App) -> App:
    """The app; a field that is none raises `stickyd.http1.response.BadResponse` in its ``send``.

    :param app: an ASGI 3 application.
    """

    def asked(scope: Message, receive: Receive, send: Send) -> Awaitable[None]:
        return app(scope, receive, _checking(send) if scope["type"] == "websocket" else send)

    return asked


def _checking(send: Send) -> Send:
    async def checked(message: Message) -> None:
        if message["type"] in _HANDSHAKE:
            for name, value in message.get("headers", ()):
                check_field(bytes(name), bytes(value))
        await send(message)

    return checked
