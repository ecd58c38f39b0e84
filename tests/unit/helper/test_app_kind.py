"""What kind an app is."""

import functools
import unittest
from typing import Any

from twisted.web.resource import Resource

from stickyd.helper.app_kind import kind_of


async def asgi(scope: Any, receive: Any, send: Any) -> None: ...


def wrapped(scope: Any, receive: Any, send: Any) -> Any:
    return asgi(scope, receive, send)


def wsgi(environ: Any, start_response: Any) -> Any: ...


async def two(a: Any, b: Any) -> None: ...


def three(a: Any, b: Any, c: Any) -> None: ...


def anything(*arguments: Any) -> None: ...


def factory() -> Any:
    return wsgi


class AsgiObject:
    async def __call__(self, scope: Any, receive: Any, send: Any) -> None: ...

    async def method(self, scope: Any, receive: Any, send: Any) -> None: ...


class Older:
    def __init__(self, scope: Any) -> None: ...

    async def __call__(self, receive: Any, send: Any) -> None: ...


class WsgiObject:
    def __call__(self, environ: Any, start_response: Any, again: Any = None) -> Any: ...


class Kleins:
    def resource(self) -> Any: ...


class Plain:
    pass


class Kinds(unittest.TestCase):
    def test_certain_ones(self) -> None:
        for kind, apps in {
            "asgi": [asgi, wrapped, AsgiObject(), AsgiObject().method, Older],
            "wsgi": [wsgi, WsgiObject(), functools.partial(three, 1)],
            "class": [Resource(), Resource, Kleins()],
        }.items():
            for app in apps:
                self.assertEqual(kind_of(app), kind, app)
        self.assertEqual(kind_of(functools.partial(asgi)), "asgi")

    def test_others(self) -> None:
        for app in (two, three, anything, factory, Plain, Plain(), 7, None, "m:app", Kleins, print):
            self.assertEqual(kind_of(app), "", app)

    def test_apps_of_frameworks(self) -> None:
        from django.core.handlers.asgi import ASGIHandler
        from django.core.handlers.wsgi import WSGIHandler
        from fastapi import FastAPI
        from flask import Flask
        from klein import Klein
        from socketio import ASGIApp, AsyncServer, Server, WSGIApp

        for app, kind in (
            (FastAPI(), "asgi"),
            (Flask("x"), "wsgi"),
            (Klein(), "class"),
            (ASGIApp(AsyncServer(async_mode="asgi")), "asgi"),
            (WSGIApp(Server(async_mode="threading")), "wsgi"),
            (ASGIHandler.__new__(ASGIHandler), "asgi"),
            (WSGIHandler.__new__(WSGIHandler), "wsgi"),
        ):
            self.assertEqual(kind_of(app), kind, app)
