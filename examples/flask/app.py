"""A counter for each client, in the memory of its worker: Flask."""

import os
from collections import Counter
from threading import Lock

from flask import Flask, request

app = Flask(__name__)
visits = Counter()
lock = Lock()


@app.get("/")
def visit():
    client = request.remote_addr
    with lock:
        visits[client] += 1
        count = visits[client]
    return f"visit {count} of {client}, worker {os.environ['STICKYD_SLOT']}\n"
