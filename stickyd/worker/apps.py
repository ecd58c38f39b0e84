"""Load what the workers run."""

import importlib
import traceback
from typing import Any

from twisted.web.resource import IResource
from twisted.web.server import Site

from stickyd.control import CannotLoad
from stickyd.worker.demo import Demo
from stickyd.worker.sessions import KeyedSite


def load_site(kind: str, name: str) -> Site:
    """The site for an app of ``kind`` called ``name``.

    :raise CannotLoad: with one line that says why.
    """
    resource = Demo() if kind == "demo" else _resource(kind, name)
    return KeyedSite(resource)


def _resource(kind: str, name: str) -> Any:
    try:
        found = find_object(name)
        resource = found if IResource.providedBy(found) else found()
    except CannotLoad:
        raise
    except BaseException as error:
        raise CannotLoad(f"cannot load --{kind} {name}: {one_line(error)}") from error
    if not IResource.providedBy(resource):
        raise CannotLoad(f"--{kind} {name} is not a twisted.web resource")
    return resource


def find_object(name: str) -> Any:
    """The object called ``pkg.mod:name`` or ``pkg.mod.name``.

    :raise ImportError: if there is no such module.
    :raise AttributeError: if the module has no such object.
    """
    if ":" in name:
        module_name, _, path = name.partition(":")
    else:
        module_name, _, path = name.rpartition(".")
    if not module_name or not path:
        raise ImportError(f"{name!r} is not of the form pkg.mod.name or pkg.mod:name")
    found: Any = importlib.import_module(module_name)
    for part in path.split("."):
        found = getattr(found, part)
    return found


def one_line(error: BaseException) -> str:
    """An error as one line, with the place in the app's code it came from."""
    text = " ".join(f"{type(error).__name__}: {error}".split())
    frames = traceback.extract_tb(error.__traceback__)
    theirs = [f for f in frames if not f.filename.startswith("<") and f.filename != __file__]
    if theirs and "importlib" not in theirs[-1].filename:
        text += f" ({theirs[-1].filename}:{theirs[-1].lineno})"
    return text
