"""A counter for each client, in the memory of its worker: Klein."""

import os
from collections import Counter

from klein import Klein

app = Klein()
visits = Counter()


@app.route("/")
def visit(request):
    client = request.getClientAddress().host
    visits[client] += 1
    return f"visit {visits[client]} of {client}, worker {os.environ['STICKYD_SLOT']}\n"
