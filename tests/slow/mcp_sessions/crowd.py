"""Clients of the library mcp, 1.x or 2.x, whichever this interpreter has.

    python crowd.py URL CLIENTS CALLS legacy|auto

All are connected at the same time. Every request names another client address in
X-Forwarded-For, as a client's does whose network changes. Prints JSON: how many
clients connected, how many calls were good, at how many workers, and some errors.
"""

import asyncio
import contextlib
import json
import random
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import mcp
from mcp.client.streamable_http import streamable_http_client

try:
    import httpx2 as httpx
except ImportError:
    import httpx

PATIENCE = 60.0


async def elsewhere(request: Any) -> None:
    """Another address for each request."""
    address = ".".join(str(random.randrange(1, 255)) for _ in range(3))
    request.headers["X-Forwarded-For"] = f"10.{address}"


@contextlib.asynccontextmanager
async def client(url: str, mode: str) -> AsyncIterator[Callable[[], Awaitable[Any]]]:
    """One client; what calls its tool."""
    async with contextlib.AsyncExitStack() as stack:
        http = await stack.enter_async_context(
            httpx.AsyncClient(timeout=PATIENCE, event_hooks={"request": [elsewhere]})
        )
        transport = streamable_http_client(url, http_client=http)
        if hasattr(mcp, "Client"):
            session = await stack.enter_async_context(mcp.Client(transport, mode=mode))
        else:
            read, write, _ = await stack.enter_async_context(transport)
            session = await stack.enter_async_context(mcp.ClientSession(read, write))
            await session.initialize()
        yield lambda: session.call_tool("count", {})


class Crowd:
    """Clients that call at the same time.

    :ivar connected: how many there were.
    :ivar good: calls that were answered as they should be.
    :ivar processes: who answered these.
    """

    def __init__(self, url: str, clients: int, calls: int, mode: str) -> None:
        self._url = url
        self._clients = clients
        self._calls = calls
        self._mode = mode
        self.connected = 0
        self.good = 0
        self.processes: set[str] = set()
        self.errors: list[str] = []
        self._all_there = asyncio.Barrier(clients)

    async def run(self) -> None:
        """Connect all, then let all call."""
        await asyncio.gather(*(self._one() for _ in range(self._clients)))

    async def _one(self) -> None:
        waited = False
        try:
            async with asyncio.timeout(PATIENCE), client(self._url, self._mode) as call:
                self.connected += 1
                waited = True
                await self._all_there.wait()
                for number in range(1, self._calls + 1):
                    await self._check(call, number)
        except (Exception, asyncio.CancelledError) as error:
            self.errors.append(_told(error))
            if not waited:
                # The others wait for it.
                await self._all_there.wait()

    async def _check(self, call: Callable[[], Awaitable[Any]], number: int) -> None:
        try:
            result = await call()
        except Exception as error:
            self.errors.append(_told(error))
            return
        counted, _, process = result.content[0].text.partition(" ")
        if counted == ("0" if self._mode == "auto" else str(number)):
            self.good += 1
            self.processes.add(process)
        else:
            self.errors.append(f"call {number} was counted as {counted}")


def _told(error: BaseException) -> str:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return f"{type(error).__name__}: {error}"


def main() -> None:
    """Run, and print what came of it."""
    url, clients, calls, mode = sys.argv[1:]
    crowd = Crowd(url, int(clients), int(calls), mode)

    asyncio.run(crowd.run())
    told = {
        "connected": crowd.connected,
        "good": crowd.good,
        "workers": len(crowd.processes),
        "errors": crowd.errors[:5],
    }
    print(json.dumps(told))


if __name__ == "__main__":
    main()
