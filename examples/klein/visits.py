"""Counts the visits of every client, in the memory of the one worker that serves it."""

from collections import Counter

from klein import Klein

from stickyd import keys

VISITS = Counter()
app = Klein()


@app.route("/")
def visit(request):
    client = request.getClientAddress().host
    VISITS[client] += 1
    request.setHeader(b"Content-Type", b"text/plain; charset=utf-8")
    return f"visit {VISITS[client]} of {client}, worker {keys.slot()}\n"
