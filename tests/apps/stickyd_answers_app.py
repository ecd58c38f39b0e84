"""An ASGI app that answers in many ways, by the path; what its calls raised is told at the end."""

import asyncio
import contextvars
from typing import Any

LEAK: contextvars.ContextVar[str] = contextvars.ContextVar("LEAK", default="")
TEXT = (b"content-type", b"text/plain")
told: list[str] = []


def start(*headers: Any, status: Any = 200) -> dict[str, Any]:
    return {"type": "http.response.start", "status": status, "headers": list(headers)}


def body(data: Any = b"hello", **more: Any) -> dict[str, Any]:
    return {"type": "http.response.body", "body": data, **more}


def length(size: int) -> tuple[bytes, bytes]:
    return b"content-length", b"%d" % size


WAYS: dict[str, list[Any]] = {
    "plain": [start(TEXT, length(5)), body()],
    "capitals": [start((b"Content-Type", b"a/b"), (b"CONTENT-LENGTH", b"5")), body()],
    "lists": [start([b"content-length", b"5"]), body()],
    "tuple": [{**start(), "headers": (length(5),)}, body()],
    "no_headers": [{"type": "http.response.start", "status": 200}, body()],
    "empty": [start(length(0)), {"type": "http.response.body"}],
    "long": [start(length(20000)), body(b"l" * 20000)],
    "parts": [start(length(10)), body(more_body=True), body()],
    "late": [start(length(5)), 0.01, body()],
    "late_parts": [start(length(10)), 0.01, body(more_body=True), 0.01, body()],
    "chunked": [start(TEXT), body()],
    "said_chunked": [start((b"transfer-encoding", b"chunked")), body()],
    "too_long": [start(length(3)), body()],
    "too_short": [start(length(30)), body()],
    "two_lengths": [start(length(5), length(5)), body()],
    "odd_length": [start((b"content-length", b" 5")), body()],
    "closes": [start(length(5), (b"connection", b"close")), body()],
    "bad_value": [start(length(5), (b"x-a", b"a\nb")), body()],
    "bad_name": [start(length(5), (b"x a", b"b")), body()],
    "high_name": [start(length(5), (b"x-\xff", b"b")), body()],
    "text_value": [start(length(5), (b"x-a", "b")), body()],
    "204": [start(status=204), body(b"")],
    "404": [start(length(5), status=404), body()],
    "599": [start(length(5), status=599), body()],
    "700": [start(length(5), status=700), body()],
    "bytearray": [start(length(5)), body(bytearray(b"hello"))],
    "body_first": [body()],
    "start_twice": [start(length(5)), start(length(5)), body()],
    "again": [start(length(5)), body(), body()],
    "unknown": [{"type": "http.response.unknown"}],
    "nothing": [],
    "start_only": [start(length(5))],
    "raises": [ValueError("first")],
    "raises_behind": [start(length(5)), body(), ValueError("behind")],
    "raises_between": [start(length(5)), ValueError("between")],
    "receives": ["receive", start(length(5)), body(), "receive", "receive"],
    "receives_between": [start(length(5)), "receive", body(), "receive"],
    "leaks": ["leak", start(length(5)), body()],
    "returns": [start(length(5)), body(), "return"],
}


async def app(scope: Any, receive: Any, send: Any) -> Any:
    """Send what the path names, and remember what each call gave."""
    if scope["type"] != "http":
        raise ValueError("only HTTP")
    if scope["path"] in ("/told", "/scope"):
        if scope["path"] == "/scope":
            # Ports differ between two daemons.
            ends = {end: scope[end][0] for end in ("client", "server")}
            told.append(repr({**scope, **ends}))
        data = "\n".join(told).encode()
        told.clear()
        await send(start(length(len(data))))
        await send(body(data))
        return None
    told.append(f"{scope['path']} {LEAK.get()} {asyncio.current_task() is not None}")
    for step in WAYS.get(scope["path"][1:], WAYS["plain"]):
        if isinstance(step, Exception):
            raise step
        if step == "leak":
            LEAK.set("leaked")
        elif step == "return":
            return "something"
        elif step == "receive":
            told.append(repr(await receive()))
        elif isinstance(step, float):
            await asyncio.sleep(step)
        else:
            try:
                await send(step)
            except Exception as error:
                told.append(repr(error))
                raise
    return None
