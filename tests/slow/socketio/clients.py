"""Clients as people use them: python-socketio's, and the JavaScript one on Node."""

import asyncio
import contextlib
import json
import os
import random
import shutil
import subprocess
from collections import Counter
from pathlib import Path
from typing import Any

import aiohttp
import socketio

from tests.slow.socketio.outcome import Outcome, Plan, judge, total
from tests.support.daemon import ROOT

HERE = Path(__file__).parent
MODULES = ROOT / "build" / "socketio-client"


class PythonCrowd:
    """Clients of python-socketio."""

    def __init__(
        self, url: str, plans: list[Plan], transports: list[str], spread: float, patience: float
    ) -> None:
        self._url = url
        self._plans = plans
        self._transports = transports
        self._spread = spread
        self._patience = patience

    async def connect(self) -> None:
        """Connect all."""
        self._clients = [_PythonClient(plan) for plan in self._plans]
        await asyncio.gather(
            *(client.connect(self._url, self._transports) for client in self._clients)
        )

    async def talk(self) -> Outcome:
        """Let all talk; what became of them."""
        await asyncio.gather(*(one.talk(self._spread, self._patience) for one in self._clients))
        await asyncio.gather(*(client.close() for client in self._clients))
        return total(
            judge(one.plan, self._plans[n ^ 1], one.heard, one.error, one.transport)
            for n, one in enumerate(self._clients)
        )


class _PythonClient:
    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.heard: Counter[str] = Counter()
        self.error = ""
        self.transport = ""
        self._progress = asyncio.Event()
        local = (plan.address, 0) if plan.address else None
        self._http = aiohttp.ClientSession(connector=aiohttp.TCPConnector(local_addr=local))
        # Its 5 seconds for a request are little on a machine that has all the clients as well.
        self._client = socketio.AsyncClient(
            reconnection=False, http_session=self._http, request_timeout=60
        )
        self._client.on("said", self._hear)
        self._client.on("disconnect", self._disconnected)

    async def _hear(self, text: str) -> None:
        self.heard[text] += 1
        self._progress.set()

    async def _disconnected(self, reason: Any) -> None:
        if reason != self._client.reason.CLIENT_DISCONNECT:
            self.error = self.error or f"disconnected: {reason}"
            self._progress.set()

    async def connect(self, url: str, transports: list[str]) -> None:
        try:
            await self._client.connect(
                url, auth={"room": self.plan.room}, transports=transports, wait_timeout=30
            )
        except socketio.exceptions.ConnectionError as error:
            self.error = f"{error}"

    async def talk(self, spread: float, patience: float) -> None:
        try:
            for text in self.plan.said:
                if self.error:
                    return
                # People do not all speak at one time.
                await asyncio.sleep(random.uniform(0, 2 * spread / len(self.plan.said)))
                said = (self.plan.room, text)
                await self._client.call("say", said, timeout=patience)
                self.heard[f"ack {text}"] += 1
        except socketio.exceptions.SocketIOError as error:
            self.error = self.error or f"{type(error).__name__} {error}"
        while len(self.heard) < 3 * len(self.plan.said) and not self.error:
            self._progress.clear()
            try:
                await asyncio.wait_for(self._progress.wait(), patience)
            except TimeoutError:
                break

    async def close(self) -> None:
        if not self.error:
            self.transport = self._client.transport()
            # It waits for the answer to its poll, which python-engineio does not give any more.
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._client.disconnect(), 1)
        await self._http.close()


def install_client() -> None:
    """Bring socket.io-client, of the version in package.json, from npm unless it is there."""
    wanted = (HERE / "package.json").read_bytes()
    there = MODULES / "package.json"
    if there.exists() and there.read_bytes() == wanted and (MODULES / "node_modules").exists():
        return
    MODULES.mkdir(parents=True, exist_ok=True)
    shutil.copy(HERE / "package.json", there)
    subprocess.run(
        ["npm", "install", "--no-audit", "--no-fund", "--loglevel=error"], cwd=MODULES, check=True
    )


class NodeCrowd:
    """Clients of npm's socket.io-client in one process of Node."""

    def __init__(
        self, url: str, plans: list[Plan], transports: list[str], spread: float, patience: float
    ) -> None:
        self._plans = plans
        self._order = {
            "url": url,
            "transports": transports,
            "spread": spread,
            "patience": patience,
            "plans": [
                {"room": plan.room, "address": plan.address, "said": plan.said} for plan in plans
            ],
        }

    async def connect(self) -> None:
        """Connect all."""
        environment = {**os.environ, "NODE_PATH": str(MODULES / "node_modules")}
        self._node = await asyncio.create_subprocess_exec(
            *("node", str(HERE / "crowd.js")),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=environment,
            limit=1 << 24,
        )
        assert self._node.stdin is not None
        self._node.stdin.write(json.dumps(self._order).encode() + b"\n")
        await self._read()

    async def _read(self) -> Any:
        assert self._node.stdout is not None
        line = await self._node.stdout.readline()
        if not line:
            raise RuntimeError(f"node ended with {await self._node.wait()}")
        return json.loads(line)

    async def talk(self) -> Outcome:
        """Let all talk; what became of them."""
        assert self._node.stdin is not None
        self._node.stdin.write(b"talk\n")
        told = await self._read()
        self._node.stdin.close()
        await self._node.wait()
        return total(
            judge(
                *(plan, self._plans[n ^ 1], Counter(one["heard"])),
                *(one["error"], one["transport"]),
            )
            for n, (plan, one) in enumerate(zip(self._plans, told, strict=True))
        )
