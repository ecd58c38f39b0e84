"""Find what an option names, and say in one line why it cannot be had."""

import importlib
import os
import traceback
from typing import Any

from stickyd.control import CannotLoad
from stickyd.worker.unmarked import unmark

_OURS = os.path.dirname(__file__) + os.sep


def load_named(option: str, name: str) -> Any:
    """The object called ``pkg.mod:name`` or ``pkg.mod.name``.

    :param option: that names it, without dashes.
    :raise CannotLoad: if there is none, or its module cannot be imported.
    """
    # Now that all is imported which the worker itself needs.
    unmark()
    try:
        return _find(name)
    except BaseException as error:
        raise cannot_load(option, name, error) from error


def cannot_load(option: str, name: str, error: BaseException) -> CannotLoad:
    """What is said if ``error`` keeps us from having what an option names."""
    return CannotLoad(f"cannot load --{option} {name}: {one_line(error)}")


def _find(name: str) -> Any:
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
    theirs = [f for f in frames if not f.filename.startswith(("<", _OURS))]
    if theirs and "importlib" not in theirs[-1].filename:
        text += f" ({theirs[-1].filename}:{theirs[-1].lineno})"
    return text
