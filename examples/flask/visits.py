"""Counts the visits of every client, in the memory of the one worker that serves it."""

import threading
from collections import Counter

from flask import Flask, Response, request

from stickyd import keys

VISITS = Counter()
# A worker runs the app on several threads.
LOCK = threading.Lock()
app = Flask(__name__)


@app.get("/")
def visit():
    client = request.remote_addr
    with LOCK:
        VISITS[client] += 1
        count = VISITS[client]
    page = f"visit {count} of {client}, worker {keys.slot()}\n"
    return Response(page, mimetype="text/plain")
