"""An app that tells whose rights it had when it was imported, and what was around it."""

import json
import os
from typing import Any

from twisted.web.resource import Resource

if "GATE" in os.environ:
    # A FIFO: loading ends when the test opens its other end.
    with open(os.environ["GATE"], "rb") as gate:
        gate.read()

AT_IMPORT = {
    "uids": os.getresuid(),
    "gids": os.getresgid(),
    "groups": os.getgroups(),
    "environment": dict(os.environ),
}


class App(Resource):
    isLeaf = True

    def render_GET(self, request: Any) -> bytes:
        return json.dumps(AT_IMPORT).encode()
