"""A counter for each client, in the memory of its worker: FastAPI."""

import os
from collections import Counter

from fastapi import FastAPI, Request
from fastapi.responses import PlainTextResponse

app = FastAPI()
visits = Counter()


@app.get("/", response_class=PlainTextResponse)
async def visit(request: Request):
    client = request.client.host
    visits[client] += 1
    return f"visit {visits[client]} of {client}, worker {os.environ['STICKYD_SLOT']}\n"
