"""Import what an option names, or report in one line why that fails."""

import ast
import importlib
import os
import traceback
from types import TracebackType
from typing import Any

from stickyd.errors import CannotLoad
from stickyd.worker.runtime.zope_marks import unmark

LINE_MOST = 2000
"""Characters of an error that is told in one line."""

TRACEBACK_MOST = 40_000
"""Bytes of a traceback, the last ones: what AMP carries has 16 bits for its length."""

_OURS = os.path.dirname(__file__) + os.sep

_kept: dict[tuple[str, bool], Any] = {}


def load_named(option: str, name: str, *, factory: bool = False) -> Any:
    """The object called ``pkg.mod:name`` or ``pkg.mod.name``; with ``(...)`` behind, its result.

    The arguments of such a call are literals: ``pkg.mod:create("production", debug=False)``.

    :param option: that names it, without dashes; "" if it is named without one.
    :param factory: the result of calling it is meant.
    :raise CannotLoad: if there is none, or its module cannot be imported.
    """
    if is_kept(name, factory):
        return _kept[name, factory]
    # All that the worker itself needs is imported by now.
    unmark()
    try:
        found = _find(name)
        return found() if factory else found
    except BaseException as error:
        raise cannot_load(option, name, error) from error


def keep_named(option: str, name: str, *, factory: bool = False) -> None:
    """Load an object for this process and those forked from it: `load_named` has it then.

    :raise CannotLoad: as `load_named`.
    """
    _kept[name, factory] = load_named(option, name, factory=factory)


def is_kept(name: str, factory: bool) -> bool:
    """Whether this process, or the one that it was forked from, has loaded the object already."""
    return (name, factory) in _kept


def cannot_load(option: str, name: str, error: BaseException) -> CannotLoad:
    """The error for an object that cannot be loaded because of ``error``.

    :param option: that names it, without dashes; "" if it was named without one.
    """
    what = f"--{option} {name}" if option else name
    return CannotLoad(f"cannot load {what}: {one_line(error)}")


def _find(name: str) -> Any:
    path, call, rest = name.partition("(")
    if not call:
        return _named(path)
    try:
        arguments, keywords = _literals(f"call({rest}")
    except (SyntaxError, ValueError):
        raise ValueError(f"{name!r} is not a call with literals as arguments") from None
    return _named(path)(*arguments, **keywords)


def _literals(text: str) -> tuple[list[Any], dict[str, Any]]:
    """The arguments of a call.

    :raise ValueError: if one is not a literal.
    """
    call = ast.parse(text, mode="eval").body
    if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Name):
        raise ValueError
    keywords = {}
    for each in call.keywords:
        if each.arg is None:
            raise ValueError
        keywords[each.arg] = ast.literal_eval(each.value)
    return [ast.literal_eval(each) for each in call.args], keywords


def _named(name: str) -> Any:
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
    text = " ".join(f"{type(error).__name__}: {error}"[: 2 * LINE_MOST].split())
    if len(text) > LINE_MOST:
        text = text[:LINE_MOST] + "…"
    frames = traceback.extract_tb(error.__traceback__)
    theirs = [f for f in frames if not f.filename.startswith(("<", _OURS))]
    if theirs and "importlib" not in theirs[-1].filename:
        text += f" ({theirs[-1].filename}:{theirs[-1].lineno})"
    return text


def with_traceback(error: CannotLoad) -> CannotLoad:
    """The error, its text followed by the lines of the traceback it was raised from.

    Those are its notes if it has any: what the app itself has told.
    """
    cause = error.__cause__
    lines: list[str] = getattr(error, "__notes__", [])
    if not lines and cause is not None:
        at = _in_the_app(cause.__traceback__)
        # Otherwise the one line has said it all.
        if at is not None or cause.__cause__ is not None or isinstance(cause, SyntaxError):
            lines = traceback.format_exception(type(cause), cause, at)
    text = "".join(lines).rstrip().encode("utf-8", "backslashreplace")
    return CannotLoad(f"{error}\n{text[-TRACEBACK_MOST:].decode('utf-8', 'ignore')}".rstrip())


def _in_the_app(at: TracebackType | None) -> TracebackType | None:
    """The part of a traceback that begins in the app, behind our calls and the import's."""
    while at is not None:
        name = at.tb_frame.f_code.co_filename
        if not name.startswith(("<frozen", _OURS)) and "importlib" not in name:
            break
        at = at.tb_next
    return at
