"""The options that say which app the workers run."""

import os
import re
from collections.abc import Mapping
from typing import Any

from twisted.python import usage

KINDS = ("class", "wsgi", "asgi", "path")
THREADS = 8
_ROOT_PATH = re.compile(r"(?:/[A-Za-z0-9._~!$&'()*+,;=:@-]+)+")

# What says more about an app, and the kind it belongs to.
_BELONGS = {"threads": "wsgi", "factory": "asgi", "root-path": "asgi"}


def chosen_app(options: Mapping[str, Any]) -> dict[str, Any]:
    """The app's part of `stickyd.settings.Settings`, from parsed options.

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
        name = _directory(name)
    return {
        "app": (kind, name),
        "threads": whole_number("--threads", options["threads"] or str(THREADS), 1, 1024),
        "factory": bool(options["factory"]),
        "root_path": _root_path(options["root-path"] or ""),
        "display_tracebacks": bool(options["display-tracebacks"]),
    }


def _directory(path: str) -> str:
    if not os.path.isdir(path):
        raise usage.UsageError(f"--path: {path!r} is not a directory")
    # A daemon may leave the directory it was started in.
    return os.path.abspath(path)


def _root_path(text: str) -> str:
    if text and not _ROOT_PATH.fullmatch(text):
        raise usage.UsageError(f"--root-path: {text!r} is not of the form /some/path")
    return text


def whole_number(option: str, text: str, least: int, most: int = 2**31) -> int:
    """A whole number within bounds.

    :raise usage.UsageError: with one line that names the option.
    """
    try:
        number = int(text)
    except ValueError:
        raise usage.UsageError(f"{option}: {text!r} is not a whole number") from None
    if not least <= number <= most:
        raise usage.UsageError(f"{option}: {number} is not within {least} to {most}")
    return number
