"""A page whose HTTP requests and WebSockets share a state in memory, of a visitor by cookie.

Nothing here knows of stickyd. `interact` in the page is what tests/slow/browsers calls.
"""

import os
import secrets
from collections import Counter

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket

PAGE = """<!doctype html><title>page</title><script>
async function byRequest() {
  const answer = await fetch("/add", {method: "POST"});
  return await answer.json();
}
let socket = null;
function bySocket(again) {
  return new Promise((resolve, reject) => {
    const send = () => {
      socket.onmessage = (event) => resolve(JSON.parse(event.data));
      socket.send("add");
    };
    if (socket !== null && !again) return send();
    if (socket !== null) socket.close();
    socket = new WebSocket(`ws://${location.host}/ws`);
    socket.onerror = () => reject(new Error("WebSocket"));
    socket.onopen = send;
  });
}
// What is wrong: state that was lost, and errors. Who served each interaction that was right.
async function interact(times) {
  const told = {wrong: [], workers: []};
  for (let number = 1; number <= times; number++) {
    try {
      const {count, worker} = await (number % 2 ? byRequest() : bySocket(number % 10 == 0));
      if (count !== number) told.wrong.push(`interaction ${number} was counted as ${count}`);
      else told.workers.push(worker);
    } catch (error) {
      told.wrong.push(`interaction ${number}: ${error}`);
    }
  }
  return told;
}
</script>"""

VISITS: Counter[str] = Counter()


def add(visitor: str | None) -> dict[str, int]:
    # A visitor whom another worker has welcomed is unknown here.
    if visitor not in VISITS:
        return {"count": 0, "worker": os.getpid()}
    VISITS[visitor] += 1
    return {"count": VISITS[visitor], "worker": os.getpid()}


async def page(request: Request) -> HTMLResponse:
    visitor = secrets.token_urlsafe()
    VISITS[visitor] = 0
    response = HTMLResponse(PAGE)
    response.set_cookie("visitor", visitor)
    return response


async def add_by_request(request: Request) -> JSONResponse:
    return JSONResponse(add(request.cookies.get("visitor")))


async def add_by_socket(socket: WebSocket) -> None:
    await socket.accept()
    async for _ in socket.iter_text():
        await socket.send_json(add(socket.cookies.get("visitor")))


app = Starlette(
    routes=[
        Route("/", page),
        Route("/add", add_by_request, methods=["POST"]),
        WebSocketRoute("/ws", add_by_socket),
    ]
)
