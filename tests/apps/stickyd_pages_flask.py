"""The pages of tests/integration/test_framework_pages.py, of Flask."""

import itertools
import threading
import time

import stickyd_pages_common as common
from flask import Flask, request

app = Flask(__name__)


@app.get("/stream")
def stream():
    return app.response_class(common.blocks(int(request.args["n"])))


@app.get("/events")
def events():
    def all_of_them():
        try:
            for number in itertools.count():
                yield common.event(number)
                time.sleep(0.02)  # the pace of the events
        finally:
            common.GONE.append(1)

    return app.response_class(all_of_them(), mimetype="text/event-stream")


@app.post("/upload")
def upload():
    file = request.files["file"]
    return common.told(file.filename, file)


@app.get("/background")
def background():
    threading.Thread(target=common.job, daemon=True).start()
    return "begun", 202


@app.get("/go")
def go():
    common.GO.set()
    return ""


@app.get("/state")
def state():
    return common.state()


@app.get("/boom")
def boom():
    raise ValueError("a page's fault")
