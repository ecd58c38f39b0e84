"""Checks of the options that choose the app, across several options."""

from collections.abc import Mapping
from typing import Any

from twisted.python import usage

from stickyd.cli.option_table import BY_NAME
from stickyd.cli.table_options import parsed
from stickyd.settings import Json

KINDS = ("class", "wsgi", "asgi", "path")

# Options that are valid for one kind of app only.
_ONLY_FOR = {"threads": "wsgi", "ws-threads": "wsgi", "root-path": "asgi", "loop": "asgi"}


def chosen_app(options: Mapping[str, Any]) -> dict[str, Json]:
    """The settings ``app.kind``, ``app.name`` and those of ``app.reload``, from the options.

    :raise usage.UsageError: with one line that names the option.
    """
    chosen = [kind for kind in KINDS if options[kind] is not None]
    if len(chosen) > 1:
        raise usage.UsageError(f"--{chosen[0]} and --{chosen[1]}: the workers run one app")
    kind = chosen[0] if chosen else "demo"
    if options["factory"] and kind in ("demo", "path") and not options.get("app"):
        raise usage.UsageError("--factory goes with --asgi, --wsgi or --class only")
    for option, only_for in _ONLY_FOR.items():
        if options[option] and only_for != kind and not options.get("app"):
            raise usage.UsageError(f"--{option} goes with --{only_for} only")
    name = options[kind] if chosen else ""
    if chosen and not name:
        raise usage.UsageError(f"--{kind} has an empty value")
    if kind == "path":
        name = _directory("path", name)
    return {
        "app.kind": kind,
        "app.name": name,
        "app.reload.directories": _watched(options),
        "app.reload.include": tuple(options["reload-include"]),
        "app.reload.exclude": tuple(options["reload-exclude"]),
    }


def _watched(options: Mapping[str, Any]) -> tuple[Json, ...]:
    directories = options["reload-dir"]
    for name in ("reload-dir", "reload-include", "reload-exclude"):
        if options[name] and not options["reload"]:
            raise usage.UsageError(f"--{name} goes with --reload only")
        if "" in options[name]:
            raise usage.UsageError(f"--{name} has an empty value")
    if not options["reload"]:
        return ()
    directories = directories or [options["app-dir"] or "."]
    return tuple(_directory("reload-dir", directory) for directory in directories)


def _directory(name: str, path: str) -> Json:
    return parsed(f"--{name}", BY_NAME[name], path)
