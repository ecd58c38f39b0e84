"""Counts the visits of every client, in the memory of the one worker that serves it."""

from collections import Counter

from twisted.web.resource import Resource

from stickyd import keys

VISITS = Counter()


class Visits(Resource):
    isLeaf = True

    def render_GET(self, request):
        client = request.getClientAddress().host
        VISITS[client] += 1
        request.setHeader(b"Content-Type", b"text/plain; charset=utf-8")
        return f"visit {VISITS[client]} of {client}, worker {keys.slot()}\n".encode()
