"""A chat over Socket.IO; with REDIS_URL set, clients of different workers talk to each other."""

import os
from pathlib import Path

import socketio

SLOT = os.environ["STICKYD_SLOT"]
HERE = Path(__file__).parent
SCRIPT = HERE / "node_modules" / "socket.io-client" / "dist" / "socket.io.min.js"
REDIS = os.environ.get("REDIS_URL")

server = socketio.AsyncServer(
    async_mode="asgi",
    client_manager=socketio.AsyncRedisManager(REDIS) if REDIS else None,
)


@server.event
async def connect(sid, environ):
    await server.emit("worker", SLOT, to=sid)


@server.event
async def say(sid, text):
    await server.emit("said", {"worker": SLOT, "text": str(text)[:500]})


app = socketio.ASGIApp(
    server,
    static_files={
        "/": {"filename": str(HERE / "page.html"), "content_type": "text/html"},
        "/socket.io.min.js": {"filename": str(SCRIPT), "content_type": "text/javascript"},
    },
)
