"""Django with Channels in one file: a page that counts, and a WebSocket that goes on counting."""

import os
from collections import Counter

import django
from channels.generic.websocket import AsyncWebsocketConsumer
from channels.routing import ProtocolTypeRouter, URLRouter
from django.conf import settings
from django.core.asgi import get_asgi_application
from django.http import HttpResponse
from django.urls import path

settings.configure(
    ROOT_URLCONF=__name__,
    ALLOWED_HOSTS=["*"],
    SECRET_KEY=os.environ.get("SECRET_KEY", "only for this example"),
    INSTALLED_APPS=["channels"],
)
django.setup()

visits = Counter()


def said(client):
    visits[client] += 1
    return f"visit {visits[client]} of {client}, worker {os.environ['STICKYD_SLOT']}\n"


def visit(request):
    return HttpResponse(said(request.META["REMOTE_ADDR"]), content_type="text/plain")


class Visits(AsyncWebsocketConsumer):
    """Every message is a visit of the same client, at the same worker."""

    async def receive(self, text_data=None, bytes_data=None):
        await self.send(said(self.scope["client"][0]))


urlpatterns = [path("", visit)]

application = ProtocolTypeRouter(
    {
        "http": get_asgi_application(),
        "websocket": URLRouter([path("ws", Visits.as_asgi())]),
    }
)
