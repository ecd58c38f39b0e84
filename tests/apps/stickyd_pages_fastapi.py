"""The pages of tests/integration/test_framework_pages.py, of FastAPI."""

import asyncio
import itertools

import stickyd_pages_common as common
from fastapi import BackgroundTasks, FastAPI, Response, UploadFile
from fastapi.responses import StreamingResponse

app = FastAPI()


@app.get("/stream")
def stream(n: int):
    return StreamingResponse(common.blocks(n))


@app.get("/events")
async def events():
    async def all_of_them():
        try:
            for number in itertools.count():
                yield common.event(number)
                await asyncio.sleep(0.02)
        finally:
            common.GONE.append(1)

    return StreamingResponse(all_of_them(), media_type="text/event-stream")


@app.post("/upload")
def upload(file: UploadFile):
    return Response(common.told(file.filename, file.file))


@app.get("/background", status_code=202)
def background(tasks: BackgroundTasks):
    tasks.add_task(common.job)
    return "begun"


@app.get("/go")
def go():
    common.GO.set()


@app.get("/state")
def state():
    return Response(common.state())


@app.get("/boom")
def boom():
    raise ValueError("a page's fault")
