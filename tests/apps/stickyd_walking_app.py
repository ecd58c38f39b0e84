"""An app that looks at every attribute of its classes, as libraries do which register handlers.

For ``--class``, ``--wsgi`` and ``--asgi``; answers with what zope.interface makes of its classes.
"""

import abc
import collections.abc
import gc
import json
import sys
import typing
from typing import Any

from twisted.internet.base import BaseConnector
from twisted.internet.interfaces import IConnector
from twisted.internet.protocol import Factory
from twisted.web.resource import Resource
from zope.interface import Interface, alsoProvides, implementer, providedBy
from zope.interface.declarations import ClassProvides

Thing = typing.TypeVar("Thing")


def walk(cls: type) -> type:
    for name in dir(cls):
        getattr(cls, name)
    return cls


def make() -> type:
    """Classes as an app has them; the first one."""

    class Abstract(abc.ABC):  # noqa: B024
        pass

    class Box(typing.Generic[Thing]):
        pass

    class Sized(typing.Protocol):
        size: int

    class Sequence(collections.abc.Sequence):
        pass

    for cls in (Box, Sized, Sequence):
        walk(cls)
    return walk(Abstract)


Abstract = make()


class IThing(Interface):
    pass


@implementer(IThing)
class Declared(abc.ABC):  # noqa: B024
    pass


class Derived(Declared):
    pass


def told() -> bytes:
    """Which classes of the standard library are marked, and what zope.interface knows."""
    make()
    plain, other = Abstract(), Abstract()
    alsoProvides(other, IThing)
    marked = [
        f"{cls.__module__}.{cls.__qualname__}"
        for cls in gc.get_objects()
        if isinstance(cls, type)
        and isinstance(vars(cls).get("__provides__"), ClassProvides)
        and str(cls.__module__).partition(".")[0] in sys.stdlib_module_names
    ]
    known = {
        "declared": IThing.providedBy(Declared()),
        "subclass": IThing.implementedBy(Derived),
        "direct": IThing.providedBy(other),
        "plain": not list(providedBy(plain)),
        "class": not list(providedBy(Abstract)),
        "abc": not list(providedBy(abc.ABC)),
        "twisted": IConnector.implementedBy(BaseConnector),
        "resource": bool(list(providedBy(Page()))),
        "factory": bool(list(providedBy(Factory()))),
    }
    return json.dumps({"marked": sorted(marked), "known": known}).encode()


class Page(Resource):
    isLeaf = True

    def render_GET(self, request: Any) -> bytes:
        return told()


def wsgi(environ: Any, start_response: Any) -> list[bytes]:
    start_response("200 OK", [("Content-Type", "application/json")])
    return [told()]


async def asgi(scope: Any, receive: Any, send: Any) -> None:
    assert scope["type"] == "http"
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": told()})
