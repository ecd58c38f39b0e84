"""The pages of tests/integration/test_framework_pages.py, of Django: for WSGI, and for ASGI."""

import asyncio
import itertools
import threading
import time

import stickyd_pages_common as common
from django.conf import settings
from django.core.asgi import get_asgi_application
from django.core.wsgi import get_wsgi_application
from django.http import HttpResponse, StreamingHttpResponse
from django.urls import path

settings.configure(
    ALLOWED_HOSTS=["*"],
    ROOT_URLCONF=__name__,
    SECRET_KEY="for tests only",
    LOGGING={
        "version": 1,
        "disable_existing_loggers": False,
        "handlers": {"console": {"class": "logging.StreamHandler"}},
        "root": {"handlers": ["console"], "level": "ERROR"},
    },
)


def stream(request):
    return StreamingHttpResponse(common.blocks(int(request.GET["n"])))


async def stream_async(request):
    async def blocks():
        for block in common.blocks(int(request.GET["n"])):
            yield block

    return StreamingHttpResponse(blocks())


def events(request):
    def all_of_them():
        try:
            for number in itertools.count():
                yield common.event(number)
                time.sleep(0.02)  # the pace of the events
        finally:
            common.GONE.append(1)

    return StreamingHttpResponse(all_of_them(), content_type="text/event-stream")


async def events_async(request):
    async def all_of_them():
        try:
            for number in itertools.count():
                yield common.event(number)
                await asyncio.sleep(0.02)
        finally:
            common.GONE.append(1)

    return StreamingHttpResponse(all_of_them(), content_type="text/event-stream")


def upload(request):
    file = request.FILES["file"]
    return HttpResponse(common.told(file.name, file))


def background(request):
    threading.Thread(target=common.job, daemon=True).start()
    return HttpResponse("begun", status=202)


def go(request):
    common.GO.set()
    return HttpResponse()


def state(request):
    return HttpResponse(common.state())


def boom(request):
    raise ValueError("a page's fault")


urlpatterns = [
    *(path(view.__name__, view) for view in (upload, background, go, state, boom)),
    path("stream", stream),
    path("events", events),
    path("async/stream", stream_async),
    path("async/events", events_async),
]

wsgi = get_wsgi_application()
asgi = get_asgi_application()
