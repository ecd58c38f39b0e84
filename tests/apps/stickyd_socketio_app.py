"""Socket.IO under ASGI: rooms, and with REDIS_URL rooms that reach across workers."""

import os

import socketio

from stickyd import keys

SLOT = os.environ.get("STICKYD_SLOT", "-")
REDIS = os.environ.get("REDIS_URL")

sio = socketio.AsyncServer(
    async_mode="asgi",
    client_manager=socketio.AsyncRedisManager(REDIS) if REDIS else None,
    ping_interval=20,
    ping_timeout=60,
)
# Ids that carry their worker, for `--affinity socketio`; for the others they are ids like any.
sio.eio.generate_id = keys.new_key


@sio.event
async def connect(sid, environ, auth):
    await sio.enter_room(sid, auth["room"])


@sio.event
async def say(sid, room, text):
    await sio.emit("said", text, room=room)
    return SLOT


app = socketio.ASGIApp(sio)
