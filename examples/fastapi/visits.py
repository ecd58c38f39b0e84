"""Counts the visits of every client, in the memory of the one worker that serves it."""

from collections import Counter

from fastapi import FastAPI, Request
from fastapi.responses import PlainTextResponse

from stickyd import keys

VISITS = Counter()
app = FastAPI()


@app.get("/", response_class=PlainTextResponse)
async def visit(request: Request) -> str:
    client = request.client.host
    VISITS[client] += 1
    return f"visit {VISITS[client]} of {client}, worker {keys.slot()}\n"
