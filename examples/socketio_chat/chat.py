"""A chat over Socket.IO: polling, upgrade and WebSocket, on several workers.

With REDIS_URL what one worker's clients say reaches those of the others.
"""

import os
from pathlib import Path

import socketio

from stickyd import keys

HERE = Path(__file__).parent
REDIS = os.environ.get("REDIS_URL")

sio = socketio.AsyncServer(
    async_mode="asgi", client_manager=socketio.AsyncRedisManager(REDIS) if REDIS else None
)
# Ids that carry their worker: that is what `--affinity socketio` reads.
sio.eio.generate_id = keys.new_key


@sio.event
async def connect(sid, environ):
    await sio.emit("welcome", {"worker": keys.slot()}, to=sid)


@sio.event
async def say(sid, name, text):
    said = {"name": str(name)[:40], "text": str(text)[:1000], "worker": keys.slot()}
    await sio.emit("said", said)


app = socketio.ASGIApp(
    sio,
    static_files={
        "/": str(HERE / "index.html"),
        "/client": str(HERE / "node_modules" / "socket.io-client" / "dist"),
    },
)
