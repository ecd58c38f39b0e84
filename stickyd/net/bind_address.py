"""Addresses to bind as other servers take them, as Twisted's endpoint descriptions. Pure."""

import re

from stickyd.net.address import canonical

_PORT = re.compile(r":?(\d{1,5})")
_HOST_AND_PORT = re.compile(r"(?:\[([^\[\]]*)\]|([^:\[\]]*)):(\d{1,5})")
_HOST = re.compile(r"(?:\[([^\[\]]*)\]|([^:\[\]]*))(?::\d*)?")
_TCP = re.compile(r"tcp(6?):(?:port=)?(\d+)(?::(?:.*:)?interface=((?:\\.|[^:\\])*))?")
_INTERFACE = re.compile(r"(?<!\\):interface=")


def endpoint_of(address: str, *, loopback: bool) -> str:
    """The endpoint description of ``HOST:PORT``, ``:PORT``, ``[V6]:PORT`` or ``unix:PATH``.

    What is an endpoint description already is returned as it is.

    :param loopback: an address without a host is 127.0.0.1, not every interface.
    :raise ValueError: with one line that says what is wrong.
    """
    kind = address.partition(":")[0]
    if kind in ("unix", "systemd"):
        return address
    if kind in ("tcp", "tcp6"):
        named = _INTERFACE.search(address) or address.count(":") > 2
        if named or not loopback:
            return address
        return address + (r":interface=127.0.0.1" if kind == "tcp" else r":interface=\:\:1")
    match = _PORT.fullmatch(address)
    if match:
        host, port = ("127.0.0.1" if loopback else ""), match[1]
    else:
        match = _HOST_AND_PORT.fullmatch(address)
        if not match:
            raise ValueError(f"{address!a} is not HOST:PORT, :PORT, [V6]:PORT or unix:PATH")
        host, port = match[1] or match[2], match[3]
        host = "127.0.0.1" if host == "localhost" else host
        if canonical(host) is None:
            raise ValueError(f"{host!a} is no IP address")
    if int(port) > 65535:
        raise ValueError(f"port {port} is not within 0 to 65535")
    if ":" in host:
        return f"tcp6:{port}:interface=" + host.replace(":", r"\:")
    return f"tcp:{port}:interface={host}" if host else f"tcp:{port}"


def connectable(description: str) -> tuple[str, int] | None:
    """Host and port of a TCP endpoint description, for a client on the same machine.

    An address of every interface is the loopback one; None for other descriptions.
    """
    match = _TCP.match(description)
    if match is None:
        return None
    host = re.sub(r"\\(.)", r"\1", match[3] or "")
    every = host in ("", "0.0.0.0", "::")
    return (("::1" if match[1] else "127.0.0.1") if every else host), int(match[2])


def host_in(text: str) -> str:
    """The host of ``HOST``, ``HOST:PORT``, ``[V6]`` or ``[V6]:PORT``; "" for other text."""
    match = _HOST.fullmatch(text)
    return (match[1] or match[2] or "") if match else ""


def is_loopback(host: str) -> bool:
    """Whether only processes of this machine reach an address."""
    return host == "::1" or host.startswith(("127.", "::ffff:127."))
