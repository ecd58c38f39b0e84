"""The options that say which app the workers run."""

import os
import re
from collections.abc import Mapping, Sequence
from typing import Any

from twisted.python import usage

from stickyd.cli.converters import whole
from stickyd.settings import AppSettings

KINDS = ("class", "wsgi", "asgi", "path")
THREADS = 8
_ROOT_PATH = re.compile(r"(?:/[A-Za-z0-9._~!$&'()*+,;=:@-]+)+")

# As `usage.Options` wants them.
PARAMETERS: list[list[str | None]] = [
    ["class", None, None, "app: a twisted.web resource or Klein app [default: demo page]"],
    ["wsgi", None, None, "app: a WSGI callable"],
    ["asgi", None, None, "app: an ASGI application"],
    ["path", None, None, "app: the files of a directory"],
    ["threads", None, None, "threads of a worker that run the WSGI app [default: 8]"],
    ["root-path", None, None, "where the ASGI app is mounted, like /api"],
]
FLAGS: list[list[str | None]] = [
    ["factory", None, "what --asgi names is called, without arguments, for the application"],
    [
        "display-tracebacks",
        None,
        "show an app's traceback in the 500 page, and in the log if it does not load",
    ],
    ["reload", None, "for development: load the app anew when a file of it changes"],
]

# What says more about an app, and the kind it belongs to.
_BELONGS = {"threads": "wsgi", "factory": "asgi", "root-path": "asgi"}


def chosen_app(options: Mapping[str, Any]) -> AppSettings:
    """The app's part of the settings, from parsed options.

    :raise usage.UsageError: with one line that names the option.
    """
    chosen = [kind for kind in KINDS if options[kind] is not None]
    if len(chosen) > 1:
        raise usage.UsageError(f"--{chosen[0]} and --{chosen[1]}: the workers run one app")
    kind = chosen[0] if chosen else "demo"
    for option, whose in _BELONGS.items():
        if options[option] and whose != kind:
            raise usage.UsageError(f"--{option} goes with --{whose} only")
    name = options[kind] if chosen else ""
    if chosen and not name:
        raise usage.UsageError(f"--{kind} names nothing")
    if kind == "path":
        name = _directory("--path", name)
    return AppSettings(
        kind=kind,
        name=name,
        threads=whole("--threads", options["threads"] or str(THREADS), 1, 1024),
        factory=bool(options["factory"]),
        root_path=_root_path(options["root-path"] or ""),
        display_tracebacks=bool(options["display-tracebacks"]),
        reload=_watched(options["reload"], options["reload-dir"]),
    )


def _directory(option: str, path: str) -> str:
    if not os.path.isdir(path):
        raise usage.UsageError(f"{option}: {path!r} is not a directory")
    # A daemon may leave the directory it was started in.
    return os.path.abspath(path)


def _watched(reload: object, directories: Sequence[str]) -> tuple[str, ...]:
    if directories and not reload:
        raise usage.UsageError("--reload-dir goes with --reload only")
    if not reload:
        return ()
    return tuple(_directory("--reload-dir", directory) for directory in directories or ["."])


def _root_path(text: str) -> str:
    if text and not _ROOT_PATH.fullmatch(text):
        raise usage.UsageError(f"--root-path: {text!r} is not of the form /some/path")
    return text
