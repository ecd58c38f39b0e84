"""Socket.IO under WSGI, on threads; otherwise as stickyd_socketio_app."""

import os

from flask import Flask
from flask_socketio import SocketIO, join_room

from stickyd import keys

SLOT = os.environ.get("STICKYD_SLOT", "-")

app = Flask(__name__)
sio = SocketIO(
    app,
    async_mode="threading",
    message_queue=os.environ.get("REDIS_URL"),
    ping_interval=20,
    ping_timeout=60,
    allow_upgrades=os.environ.get("ALLOW_UPGRADES", "yes") == "yes",
)
sio.server.eio.generate_id = keys.new_key


@sio.on("connect")
def connect(auth):
    join_room(auth["room"])


@sio.on("say")
def say(room, text):
    sio.emit("said", text, to=room)
    return SLOT
