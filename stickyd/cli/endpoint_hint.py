"""Suggests an endpoint description for an invalid ``--listen``. Pure."""

import re

_PORT = re.compile(r"(?:tcp6?:)?:?(\d{1,5})")
_V6 = re.compile(r"(?:https?://|tcp6?:)?\[([0-9A-Fa-f:.]+)\]:(\d{1,5})/?")
_HOST = re.compile(r"(?:https?://|tcp6?:)?([A-Za-z0-9.-]+):(\d{1,5})/?")
_INTERFACE = re.compile(r"tcp6?:(\d{1,5}):interface=\[?([0-9A-Fa-f.]*:[0-9A-Fa-f:.]*)\]?")


def intended_endpoint(description: str) -> str:
    """The endpoint description, quoted for a shell, of an address as other servers take it; or "".

    Ports, ``HOST:PORT``, ``[V6]:PORT``, URLs of these, and paths of sockets.
    """
    if match := _PORT.fullmatch(description):
        return f"tcp:{match[1]}"
    if match := _V6.fullmatch(description):
        return _on_v6(match[1], match[2])
    if match := _INTERFACE.fullmatch(description):
        return _on_v6(match[2], match[1])
    if match := _HOST.fullmatch(description):
        return f"tcp:{match[2]}:interface={match[1]}"
    return f"unix:{description}" if re.fullmatch(r"\.{0,2}/[^:\s]+", description) else ""


def _on_v6(host: str, port: str) -> str:
    # Colons separate the parts of a description.
    host = host.replace(":", r"\:")
    return f"'tcp6:{port}:interface={host}'"
