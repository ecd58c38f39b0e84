"""Clients that speak Engine.IO 4 over HTTP polling themselves, many in one process.

The protocol: a GET opens the session and fetches packets, which are divided by
U+001E; a POST sends them. A Socket.IO message is an Engine.IO packet 4 with a
Socket.IO packet in it: 40 connects, 41 disconnects, 42 is an event, 43 acknowledges one.
"""

import asyncio
import json
import random
from collections import Counter

import aiohttp

from tests.slow.socketio.outcome import Outcome, Plan, judge, total

AT_ONCE = 100
"""Clients that connect at the same time; a browser tries for longer than a kernel's backlog."""


class Failed(Exception):
    """The server said something else than it should."""


class Session:
    """One client, on as many connections as it needs: two, as browsers do."""

    def __init__(self, url: str, plan: Plan) -> None:
        self.plan = plan
        self.heard: Counter[str] = Counter()
        self.error = ""
        self.progress = asyncio.Event()
        local = (plan.address, 0) if plan.address else None
        self._url = f"{url}/socket.io/"
        self._query = {"EIO": "4", "transport": "polling"}
        self._http = aiohttp.ClientSession(connector=aiohttp.TCPConnector(local_addr=local))
        self._connected = False
        self._polling: asyncio.Task[None] | None = None

    async def _send(self, packets: str) -> None:
        async with self._http.post(self._url, params=self._query, data=packets) as response:
            await self._checked(response)

    async def _fetch(self) -> list[str]:
        async with self._http.get(self._url, params=self._query) as response:
            return (await self._checked(response)).split("\x1e")

    async def _checked(self, response: aiohttp.ClientResponse) -> str:
        text = await response.text()
        if response.status != 200:
            raise Failed(f"{response.status} {text[:200]}")
        return text

    def _fail(self, error: Exception) -> None:
        self.error = self.error or f"{type(error).__name__}: {error}"
        self.progress.set()

    async def connect(self) -> None:
        """Open the session and enter the room."""
        try:
            (opened,) = await self._fetch()
            self._query["sid"] = json.loads(opened[1:])["sid"]
            await self._send("40" + json.dumps({"room": self.plan.room}))
            while not self._connected:
                self._take(await self._fetch())
        except (Failed, aiohttp.ClientError, ValueError) as error:
            self._fail(error)
        else:
            self._polling = asyncio.create_task(self._poll())

    async def _poll(self) -> None:
        try:
            while True:
                self._take(packets := await self._fetch())
                if "2" in packets:
                    await self._send("3")
        except (Failed, aiohttp.ClientError, ValueError) as error:
            self._fail(error)

    def _take(self, packets: list[str]) -> None:
        for packet in packets:
            if packet.startswith("40"):
                self._connected = True
            elif packet.startswith("42"):
                self.heard[json.loads(packet[2:])[1]] += 1
            elif packet.startswith("43"):
                number = int(packet[2 : packet.index("[")])
                self.heard[f"ack {self.plan.said[number]}"] += 1
            elif packet not in ("2", "6"):
                raise Failed(f"packet {packet[:200]}")
        self.progress.set()

    async def talk(self, due: int, spread: float, patience: float) -> None:
        """Say everything, and hear ``due`` things, or nothing new for ``patience`` seconds.

        :param spread: seconds over which the messages are spread.
        """
        try:
            for number, text in enumerate(self.plan.said):
                if self.error:
                    break
                # People do not all speak at one time.
                await asyncio.sleep(random.uniform(0, 2 * spread / len(self.plan.said)))
                await self._send(f"42{number}" + json.dumps(["say", self.plan.room, text]))
        except (Failed, aiohttp.ClientError) as error:
            self._fail(error)
        while len(self.heard) < due and not self.error:
            self.progress.clear()
            try:
                await asyncio.wait_for(self.progress.wait(), patience)
            except TimeoutError:
                break

    async def close(self) -> None:
        """Leave, without waiting for the answer to the poll."""
        if self._polling is not None:
            self._polling.cancel()
        if not self.error:
            try:
                await self._send("41\x1e1")
            except (Failed, aiohttp.ClientError) as error:
                self._fail(error)
        await self._http.close()


class PollingCrowd:
    """Many sessions; see `Session`."""

    def __init__(self, url: str, plans: list[Plan], spread: float, patience: float) -> None:
        self._plans = plans
        self._url = url
        self._spread = spread
        self._patience = patience

    async def connect(self) -> None:
        """Connect all."""
        self._sessions = [Session(self._url, plan) for plan in self._plans]
        few = asyncio.Semaphore(AT_ONCE)

        async def one(session: Session) -> None:
            async with few:
                await session.connect()

        await asyncio.gather(*map(one, self._sessions))

    async def talk(self) -> Outcome:
        """Let all talk; what became of them."""
        due = 3 * len(self._plans[0].said)
        talks = [session.talk(due, self._spread, self._patience) for session in self._sessions]
        await asyncio.gather(*talks)
        # What would come twice has the time that the others' leave-taking needs.
        few = asyncio.Semaphore(AT_ONCE)

        async def one(session: Session) -> None:
            async with few:
                await session.close()

        await asyncio.gather(*map(one, self._sessions))
        judged = []
        for n, session in enumerate(self._sessions):
            partner = self._plans[n ^ 1]
            judged.append(judge(session.plan, partner, session.heard, session.error, "polling"))
        return total(judged)
