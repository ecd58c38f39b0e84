"""Helpers for the state that a master passes to the program that replaces it (execve(2)).

execve keeps the process, its children and its open descriptors. The state is JSON
that names descriptors by number; each class packs and unpacks itself. ``FORMAT``
fixes the layout: a program with another one must not be started
(`stickyd.master.upgrade` asks it first).
"""

import os
from base64 import b64decode, b64encode
from typing import Any

FORMAT = 9
"""Version of the layout; a change of any packed key or meaning needs a new one."""

Packed = dict[str, Any]
"""A part of the state, as JSON has it."""


def keep_on_exec(descriptor: int) -> int:
    """Clear the close-on-exec flag (fcntl(2)); returns the descriptor."""
    os.set_inheritable(descriptor, True)
    return descriptor


def close_on_exec(descriptor: int) -> int:
    """Set the close-on-exec flag of a descriptor that has survived; returns the descriptor."""
    os.set_inheritable(descriptor, False)
    return descriptor


def as_text(data: bytes) -> str:
    """Bytes as text for JSON (base64)."""
    return b64encode(data).decode("ascii")


def as_bytes(text: str) -> bytes:
    """The inverse of `as_text`."""
    return b64decode(text)
