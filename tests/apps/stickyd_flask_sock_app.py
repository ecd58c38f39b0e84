"""WebSocket under WSGI: Flask with flask-sock."""

import os

from flask import Flask
from flask_sock import Sock

SLOT = os.environ.get("STICKYD_SLOT", "-")

app = Flask(__name__)
app.config["SOCK_SERVER_OPTIONS"] = {"ping_interval": 25}
sock = Sock(app)


@app.get("/")
def page():
    return f"From worker {SLOT} "


@sock.route("/echo")
def echo(ws):
    ws.send(SLOT)
    while True:
        ws.send(ws.receive())
