"""A Klein app."""

import os

from klein import Klein

SLOT = os.environ.get("STICKYD_SLOT", "-")
app = Klein()


@app.route("/<name>")
def hello(request, name):
    return f"From worker {SLOT} hello {name}"


@app.route("/boom")
def boom(request):
    raise ValueError("an app's fault")
