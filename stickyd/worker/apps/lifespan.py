"""An ASGI app's start and end (the ASGI specification's lifespan protocol)."""

import asyncio
import traceback
from typing import Any

from twisted.logger import Logger

from stickyd.errors import CannotLoad
from stickyd.worker.importer import LINE_MOST, one_line

Message = dict[str, Any]

_log = Logger("stickyd")


class Lifespan:
    """Speaks ``lifespan`` with an app.

    An app that raises before it has received ``lifespan.startup`` does not support the protocol,
    and is served without it. One that fails after that, by message or exception, is not served.

    :ivar state: what the app stored for its requests.
    """

    def __init__(self, app: Any) -> None:
        self._app = app
        self.state: dict[str, Any] = {}
        self._inbound: asyncio.Queue[Message] = asyncio.Queue()
        self._answers: asyncio.Queue[Message] = asyncio.Queue()
        self._taken = False
        self._task: asyncio.Task[None] | None = None

    async def startup(self) -> None:
        """Start the app.

        :raise CannotLoad: if the app says that it cannot start, or raises.
        """
        self._inbound.put_nowait({"type": "lifespan.startup"})
        self._task = asyncio.create_task(self._run())
        answer = await self._answer()
        if answer["type"] == "lifespan.startup.complete":
            return
        if answer["type"] == "lifespan.startup.failed":
            message = answer.get("message", "")
            failed = CannotLoad(f"the app cannot start: {_last_line(message)[:LINE_MOST]}")
            failed.add_note(message)
            raise failed
        error = answer.get("error")
        if error is not None and self._taken:
            raise CannotLoad(f"the app cannot start: {one_line(error)}") from error
        self._task = None

    async def shutdown(self) -> None:
        """End the app; errors are only logged."""
        if self._task is None or self._task.done():
            return
        self._inbound.put_nowait({"type": "lifespan.shutdown"})
        answer = await self._answer()
        if answer["type"] == "lifespan.shutdown.failed":
            why = _last_line(answer.get("message", ""))
            _log.error("the app failed at its end: {why}", why=why)
        elif "error" in answer:
            text = "".join(traceback.format_exception(answer["error"]))
            _log.error("the app failed at its end\n{text}", text=text.rstrip())

    async def _answer(self) -> Message:
        return await self._answers.get()

    async def _run(self) -> None:
        scope = {
            "type": "lifespan",
            "asgi": {"version": "3.0", "spec_version": "2.0"},
            "state": self.state,
        }
        ended: Message = {"type": "ended"}
        try:
            await self._app(scope, self._receive, self._send)
        except Exception as error:
            ended["error"] = error
        self._answers.put_nowait(ended)

    async def _receive(self) -> Message:
        message = await self._inbound.get()
        self._taken = True
        return message

    async def _send(self, message: Message) -> None:
        self._answers.put_nowait(message)


def _last_line(text: str) -> str:
    """The last line of a message: frameworks send whole tracebacks."""
    lines = [line for line in text.splitlines() if line.strip()]
    return " ".join(lines[-1].split()) if lines else "it gave no reason"
