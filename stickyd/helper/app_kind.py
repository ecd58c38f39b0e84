"""``python -m stickyd.helper.app_kind FD NAME DIRECTORY FACTORY``: tells what kind an app is.

A process of ``stickyd run NAME``, which then ends. It writes one JSON object to the pipe ``FD``:
``kind``, or ``why`` there is none.
"""

import inspect
import json
import os
import sys

from twisted.web.resource import IResource

from stickyd.errors import CannotLoad
from stickyd.net.process_group import end_own_group
from stickyd.process import drop_saved_ids, import_from_directory, import_from_working_directory
from stickyd.worker.importer import load_named

_CALL = "__call__"

ORPHANS = 0.2
"""Seconds that processes have to end which the app has started when it was imported."""


def kind_of(app: object) -> str:
    """``class``, ``asgi`` or ``wsgi``; "" where it cannot be told for certain.

    ASGI applications are coroutine functions of three arguments, or have such a ``__call__``, or
    are classes of the older form (asgiref's specification, "Legacy Applications"). WSGI
    applications are callables of two arguments (PEP 3333), which no coroutine function is.
    """
    if IResource.providedBy(app) or _is_resource_class(app):
        return "class"
    if not isinstance(app, type) and callable(getattr(app, "resource", None)):
        # Klein.
        return "class"
    if not callable(app):
        return ""
    if isinstance(app, type):
        called = getattr(app, _CALL, None)
        older = inspect.iscoroutinefunction(called) and _names(called) == 3 and _names(app) == 1
        return "asgi" if older else ""
    if [each.name for each in _parameters(app)] == ["scope", "receive", "send"]:
        # Perhaps a function that returns an awaitable of another app.
        return "asgi"
    if inspect.iscoroutinefunction(app) or inspect.iscoroutinefunction(getattr(app, _CALL, None)):
        return "asgi" if _names(app) == 3 else ""
    return "wsgi" if _names(app) == 2 else ""


def _is_resource_class(app: object) -> bool:
    return isinstance(app, type) and IResource.implementedBy(app)


def _parameters(called: object) -> list[inspect.Parameter]:
    """The parameters of a callable; anything at all, if it does not tell them."""
    assert callable(called)
    try:
        return [*inspect.signature(called).parameters.values()]
    except (TypeError, ValueError):
        return [inspect.Parameter("arguments", inspect.Parameter.VAR_POSITIONAL)]


def _names(called: object) -> int:
    """Positional parameters without default of a callable; -1 if that is not all it takes."""
    parameters = _parameters(called)
    positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    if any(each.kind is inspect.Parameter.VAR_POSITIONAL for each in parameters):
        return -1
    return sum(each.kind in positional and each.default is each.empty for each in parameters)


def _told(name: str, factory: bool) -> dict[str, str]:
    try:
        app = load_named("", name, factory=factory)
    except CannotLoad as error:
        return {"why": str(error)}
    kind = kind_of(app)
    if kind:
        return {"kind": kind}
    if callable(app) and not isinstance(app, type) and _names(app) == 0:
        return {"why": f"{name} takes no argument; if it makes the app, name it {name}()"}
    return {"why": f"cannot tell what {name} is: name it with --asgi, --wsgi or --class"}


def main() -> None:
    """Tell it, and end with all processes that the app has started."""
    drop_saved_ids()
    import_from_working_directory()
    descriptor, name, directory, factory = sys.argv[1:]
    if directory:
        import_from_directory(directory)
    # As in a worker that loads an app only to check it.
    os.environ["STICKYD_SLOT"] = "1"
    os.set_inheritable(int(descriptor), False)
    told = json.dumps(_told(name, bool(factory))).encode()
    # An error has less than 64 KiB, which a pipe takes at once (pipe(7)).
    os.write(int(descriptor), told)
    os.close(int(descriptor))
    sys.stdout.flush()
    sys.stderr.flush()
    end_own_group(ORPHANS)
    # Threads of the app do not hold the process back.
    os._exit(0)


if __name__ == "__main__":
    main()
