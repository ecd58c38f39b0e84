"""Rooms of Django Channels that need no Redis: everybody in a room has the same worker.

The room stands in the query of the WebSocket and of the plain request, and is
the affinity key. So Channels' in-memory layer, which knows its own process
only, reaches everybody in the room.
"""

import json
import secrets
from urllib.parse import parse_qs

import django
from channels.generic.websocket import AsyncWebsocketConsumer
from channels.routing import ProtocolTypeRouter, URLRouter
from django.conf import settings
from django.core.asgi import get_asgi_application
from django.http import HttpResponse
from django.urls import path

from stickyd import keys

settings.configure(
    ALLOWED_HOSTS=["*"],
    CHANNEL_LAYERS={"default": {"BACKEND": "channels.layers.InMemoryChannelLayer"}},
    INSTALLED_APPS=["channels"],
    ROOT_URLCONF=__name__,
    # Nothing is signed here; a real project has one key for all workers.
    SECRET_KEY=secrets.token_hex(),
)
django.setup()

PRESENT = {}


def who(request):
    """Tell how many are in a room."""
    room = request.GET.get("room", "")
    return HttpResponse(
        f"{PRESENT.get(room, 0)} in {room!r}, worker {keys.slot()}\n", content_type="text/plain"
    )


class Room(AsyncWebsocketConsumer):
    """Tells everybody in the room what one of them says."""

    async def connect(self):
        query = parse_qs(self.scope["query_string"].decode())
        self.room = query.get("room", [""])[0]
        # A group's name may not have every character.
        self.group = f"room-{self.room.encode().hex()[:80]}"
        PRESENT[self.room] = PRESENT.get(self.room, 0) + 1
        await self.channel_layer.group_add(self.group, self.channel_name)
        await self.accept()

    async def disconnect(self, code):
        PRESENT[self.room] -= 1
        if not PRESENT[self.room]:
            del PRESENT[self.room]
        await self.channel_layer.group_discard(self.group, self.channel_name)

    async def receive(self, text_data=None, bytes_data=None):
        said = {"type": "said", "text": text_data, "by": self.scope["client"][0]}
        await self.channel_layer.group_send(self.group, said)

    async def said(self, event):
        told = {"text": event["text"], "by": event["by"], "worker": keys.slot()}
        await self.send(json.dumps(told))


urlpatterns = [path("", who)]
app = ProtocolTypeRouter(
    {
        "http": get_asgi_application(),
        "websocket": URLRouter([path("ws", Room.as_asgi())]),
    }
)
