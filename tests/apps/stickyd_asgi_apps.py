"""ASGI applications that tests run in the workers."""

import asyncio
import contextvars
import hashlib
import json
import os
from urllib.parse import parse_qs

from stickyd import keys

SLOT = os.environ.get("STICKYD_SLOT", "-")
SEEN = contextvars.ContextVar("SEEN", default="nobody")
GONE = {"http": [], "websocket": []}
PLAIN = [(b"content-type", b"text/plain")]


async def answer(send, body=b"", status=200, headers=()):
    head = [*PLAIN, (b"content-length", b"%d" % len(body)), *headers]
    await send({"type": "http.response.start", "status": status, "headers": head})
    await send({"type": "http.response.body", "body": body})


async def begin(send, headers=()):
    start = {"type": "http.response.start", "status": 200, "headers": [*PLAIN, *headers]}
    await send(start)


async def parts(receive):
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ConnectionError("the client is gone")
        yield message.get("body", b"")
        if not message.get("more_body"):
            return


class Pages:
    """One method a path."""

    def __init__(self, scope, receive, send):
        self.scope, self.receive, self.send = scope, receive, send
        asked = parse_qs(scope["query_string"].decode())
        self.asked = {name: values[0] for name, values in asked.items()}
        self.headers = dict(scope["headers"])

    async def hello(self):
        client = self.headers.get(b"x-forwarded-for", b"-").decode()
        number = self.headers.get(b"x-number", b"-")
        body = f"From worker {SLOT} for {client} ".encode()
        await answer(self.send, body, headers=[(b"x-echo", number)])

    async def scope_(self):
        told = {**self.scope, "type": self.scope["type"], "state": self.scope["state"]}
        await answer(self.send, json.dumps(told, default=lambda b: b.decode("latin-1")).encode())

    async def digest(self):
        """Tells the SHA-256 of the body, and the largest part it came in."""
        await asyncio.sleep(float(self.asked.get("s", 0)))
        sha, largest = hashlib.sha256(), 0
        async for part in parts(self.receive):
            sha.update(part)
            largest = max(largest, len(part))
            await asyncio.sleep(0)
        await answer(self.send, f"From worker {SLOT} {largest} {sha.hexdigest()}".encode())

    async def stream(self):
        """Streams ?n= blocks of 64 KiB; ahead of the client by as much as /ahead tells."""
        await begin(self.send)
        for left in range(int(self.asked["n"]), 0, -1):
            await self.send(
                {
                    "type": "http.response.body",
                    "body": bytes([left % 251]) * 65536,
                    "more_body": True,
                }
            )
            Pages.streamed = left
        await self.send({"type": "http.response.body"})

    streamed = 0

    flooded = 0

    async def flood(self):
        await answer(self.send, b"%d" % Pages.flooded)

    async def left(self):
        await answer(self.send, b"%d" % Pages.streamed)

    async def events(self):
        """Server-sent events, one every 20 ms."""
        await begin(self.send, [(b"cache-control", b"no-store")])
        for number in range(int(self.asked["n"])):
            await asyncio.sleep(0.02)
            event = b"data: %d\n\n" % number
            await self.send({"type": "http.response.body", "body": event, "more_body": True})
        await self.send({"type": "http.response.body"})

    async def wait(self):
        """Answers with a head, then waits until the client goes."""
        await begin(self.send)
        while (message := await self.receive())["type"] != "http.disconnect":
            pass
        GONE["http"].append(message["type"])

    async def gone(self):
        await answer(self.send, json.dumps(GONE).encode())

    async def late(self):
        await asyncio.sleep(float(self.asked.get("s", 0.2)))
        await answer(self.send, f"From worker {SLOT} late ".encode())

    async def whole(self):
        """Sends as much as it promises, and never says that this was all."""
        body = f"From worker {SLOT} whole ".encode()
        await begin(self.send, [(b"content-length", b"%d" % len(body))])
        await self.send({"type": "http.response.body", "body": body, "more_body": True})
        await asyncio.Event().wait()

    async def nothing(self):
        await self.send({"type": "http.response.start", "status": 204, "headers": []})
        await self.send({"type": "http.response.body"})

    async def refuse(self):
        """Answers without reading the body."""
        await answer(self.send, b"no thanks", 403)

    async def early(self):
        """Answers with ?n= bytes without reading the body."""
        await answer(self.send, b"e" * int(self.asked["n"]))

    async def echo(self):
        """Answers while it reads."""
        await begin(self.send)
        async for part in parts(self.receive):
            await self.send({"type": "http.response.body", "body": part, "more_body": True})
        await self.send({"type": "http.response.body"})

    async def thread(self):
        key = await asyncio.to_thread(keys.new_key)
        await answer(self.send, key.encode())

    async def context(self):
        before = SEEN.get()
        SEEN.set(self.asked["who"])
        await answer(self.send, before.encode())

    async def boom(self):
        raise ValueError("an app's fault")

    async def boom_amid(self):
        await begin(self.send)
        await self.send({"type": "http.response.body", "body": b"half", "more_body": True})
        raise ValueError("an app's fault amid")

    async def boom_after(self):
        await answer(self.send, b"whole")
        raise ValueError("an app's fault after")

    async def loop(self):
        await answer(self.send, type(asyncio.get_running_loop()).__module__.encode())

    async def silent(self):
        pass

    async def behind(self):
        """Goes on behind its answer."""
        await answer(self.send, b"whole")
        await asyncio.sleep(0.3)
        print("the work behind the answer is done", flush=True)


async def websocket(scope, receive, send):
    assert (await receive())["type"] == "websocket.connect"
    path = scope["path"].rpartition("/")[2]
    if path == "no":
        await send({"type": "websocket.close"})
        return
    if path == "boom":
        raise ValueError("an app's fault with a socket")
    offered = scope["subprotocols"]
    await send({"type": "websocket.accept", "subprotocol": offered[0] if offered else None})
    told = {"client": scope["client"], "scheme": scope["scheme"], "slot": SLOT}
    await send({"type": "websocket.send", "text": json.dumps(told)})
    while True:
        message = await receive()
        if message["type"] == "websocket.disconnect":
            GONE["websocket"].append(message.get("code"))
            return
        if message.get("text") == "close":
            await send({"type": "websocket.close", "code": 4001, "reason": "asked for"})
        elif message.get("text", "").startswith("flood "):
            for number in range(int(message["text"].split()[1])):
                await send({"type": "websocket.send", "bytes": bytes(65536)})
                Pages.flooded = number + 1
        elif message.get("text") is not None:
            await send({"type": "websocket.send", "text": f"{SLOT}: {message['text']}"})
        else:
            await send({"type": "websocket.send", "bytes": message["bytes"]})


async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        await receive()
        scope["state"]["started"] = True
        await send({"type": "lifespan.startup.complete"})
        await receive()
        print("the app has ended in order", flush=True)
        await send({"type": "lifespan.shutdown.complete"})
        return
    if scope["type"] == "websocket":
        await websocket(scope, receive, send)
        return
    name = scope["path"].rpartition("/")[2].replace("-", "_")
    pages = Pages(scope, receive, send)
    if name == "scope" or name.endswith("*"):
        name = "scope_"
    page = getattr(pages, name or "hello")
    await page()


async def without_lifespan(scope, receive, send):
    assert scope["type"] != "lifespan", "no lifespan here"
    await app(scope, receive, send)


def made():
    return app


def made_badly():
    raise RuntimeError("this factory\nfails")


def makes_nothing():
    return None


async def says_it_fails(scope, receive, send):
    await receive()
    message = "Traceback:\n  nothing to see\nRuntimeError: no database\n"
    await send({"type": "lifespan.startup.failed", "message": message})


async def fails_at_the_start(scope, receive, send):
    await receive()
    raise RuntimeError("no\ndatabase")


async def ends_at_the_start(scope, receive, send):
    os._exit(4)


class Old:
    """The double callable of ASGI 2."""

    def __init__(self, scope):
        self.scope = scope

    async def __call__(self, receive, send):
        await answer(send, b"old style")


async def hello(scope, receive, send):
    """What benchmarks serve."""
    if scope["type"] != "http":
        raise ValueError("only HTTP")
    await answer(send, f"From worker {SLOT} hello\n".encode())
