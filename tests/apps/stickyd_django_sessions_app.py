"""Django with sessions in the memory of the process, which nothing here says to stickyd.

``/count`` counts the requests of the session. ``/login`` does, and gives the session a new
id, as logging in does (django.contrib.auth.login). Both tell the process.
"""

import os

from django.conf import settings
from django.core.asgi import get_asgi_application
from django.core.wsgi import get_wsgi_application
from django.http import HttpResponse
from django.urls import path

settings.configure(
    ALLOWED_HOSTS=["*"],
    ROOT_URLCONF=__name__,
    SECRET_KEY="for tests only",
    MIDDLEWARE=["django.contrib.sessions.middleware.SessionMiddleware"],
    SESSION_ENGINE="django.contrib.sessions.backends.cache",
    CACHES={"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}},
)


def count(request):
    number = request.session["count"] = request.session.get("count", 0) + 1
    return HttpResponse(f"{number} {os.getpid()}")


def login(request):
    request.session.cycle_key()
    return count(request)


urlpatterns = [path("count", count), path("login", login)]

wsgi = get_wsgi_application()
asgi = get_asgi_application()
