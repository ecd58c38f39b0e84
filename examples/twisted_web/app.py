"""A counter for each client, in the memory of its worker: twisted.web."""

import os
from collections import Counter

from twisted.web.resource import Resource


class Visits(Resource):
    """Tells how often the client has been here, and which worker says so."""

    isLeaf = True

    def __init__(self):
        super().__init__()
        self.visits = Counter()

    def render_GET(self, request):
        client = request.getClientAddress().host
        self.visits[client] += 1
        slot = os.environ["STICKYD_SLOT"]
        return b"visit %d of %b, worker %b\n" % (
            self.visits[client],
            client.encode(),
            slot.encode(),
        )
