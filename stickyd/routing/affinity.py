"""The affinity key of a request: the first source of a chain that yields one."""

import re
from collections.abc import Callable, Iterator

from stickyd.http1.head_parser import Head
from stickyd.http1.token import is_token
from stickyd.routing.client_address import client_by_forwarded, client_by_xff
from stickyd.routing.extractors import cookie, header, sockjs_session, url_param
from stickyd.routing.issued_ids import (
    INSERT,
    LEARN_COOKIE,
    LEARN_HEADER,
    declared_slot,
    insert,
    learn,
)
from stickyd.routing.source import (
    BY_LOAD,
    AffinityError,
    Asked,
    ByLoad,
    Found,
    Key,
    Missed,
    Source,
)
from stickyd.routing.trusted_peers import Missing


def _xff(asked: Asked) -> Key | Missing:
    found = client_by_xff(asked.head, asked.peer, asked.trusted)
    return found if isinstance(found, Missing) else Key("xff", found)


def _forwarded(asked: Asked) -> Key | Missing:
    found = client_by_forwarded(asked.head, asked.peer, asked.trusted)
    return found if isinstance(found, Missing) else Key("forwarded", found)


def _src(asked: Asked) -> Key | Missing:
    peer = asked.peer
    return Key("src", peer) if peer is not None else Missing("a Unix socket has no address")


def _least(asked: Asked) -> ByLoad:
    return BY_LOAD


def _by_value(
    text: str, read: Callable[[Head], str | Missing], kind: str, name: str = ""
) -> Source:
    def look(asked: Asked) -> Key | Missing:
        value = read(asked.head)
        if isinstance(value, Missing):
            return value
        return Key(text, value, declared_slot(value, asked.table))

    return Source(text, look, kind, name)


def _tls_client(asked: Asked) -> Key | Missing:
    if asked.subject is None:
        return Missing("no client certificate")
    return Key(TLS_CLIENT, asked.subject)


def _socketio(asked: Asked) -> Key | Missing:
    sid = url_param(asked.head, "sid")
    if isinstance(sid, Missing):
        return sid
    slot = declared_slot(sid, asked.table)
    if slot is None:
        return Missing("url parameter sid names no slot")
    return Key("socketio", sid, slot)


_MEMBER = re.compile(r"([^()]*)\(([^()]*)\)")
_LEARNED = re.compile(r"learn\(\s*([^()]*)\(([^()]*)\)\s*\)")
LEAST = "least"
TLS_CLIENT = "tls_client"
_PLAIN: dict[str, Source] = {
    "xff": Source("xff", _xff, "xff"),
    "forwarded": Source("forwarded", _forwarded, "forwarded"),
    "src": Source("src", _src, "src"),
    TLS_CLIENT: Source(TLS_CLIENT, _tls_client, TLS_CLIENT),
    "socketio": Source("socketio", _socketio, "socketio"),
    "sockjs": _by_value("sockjs", sockjs_session, "sockjs"),
    LEAST: Source(LEAST, _least, LEAST),
}
_NAMED: dict[str, Callable[[Head, str], str | Missing]] = {
    "hdr": header,
    "cookie": cookie,
    "url_param": url_param,
}
_LEARNING = {"hdr": LEARN_HEADER, "cookie": LEARN_COOKIE}

PRESETS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "socketio": (("socketio",), ("xff", "src")),
    "sockjs": (("sockjs",), ("xff", "src")),
    "mcp": (("learn(hdr(mcp-session-id))",), ("xff", "src")),
    "django": (("learn(cookie(sessionid))",), ("xff", "src")),
    "browser": (("insert(STICKYD)",), (LEAST,)),
}
"""What each preset stands for, and how a chain goes on that ends in it."""

_KNOWN = ", ".join(
    [
        *_PLAIN,
        *(f"{kind}(NAME)" for kind in _NAMED),
        "insert(NAME)",
        *(f"learn({kind}(NAME))" for kind in _LEARNING),
        *(preset for preset in PRESETS if preset not in _PLAIN),
    ]
)


def _named(text: str, kind: str, name: str) -> Source:
    """``hdr(NAME)``, ``cookie(NAME)``, ``url_param(NAME)`` or ``insert(NAME)``."""
    if kind in _PLAIN or kind in PRESETS:
        raise AffinityError(f"{kind} takes no name, but is given one: {text!r}")
    if kind == "learn":
        raise AffinityError(f"{text!r}: write learn(hdr(NAME)) or learn(cookie(NAME))")
    if kind not in _NAMED and kind != INSERT:
        raise AffinityError(f"unknown source {text!r} (known: {_KNOWN})")
    _check_name(text, kind, name)
    if kind == INSERT:
        return insert(text, name)
    read = _NAMED[kind]
    return _by_value(text, lambda head: read(head, name), kind, name)


def _check_name(text: str, kind: str, name: str) -> None:
    if not name:
        raise AffinityError(f"empty name in {text!r}")
    if kind != "url_param" and not is_token(name):
        raise AffinityError(f"{name!r} in {text!r} is no name of a header or cookie")
    if kind == "url_param" and not name.isprintable():
        raise AffinityError(f"{name!r} in {text!r} is no name of a URL parameter")
    if kind == "hdr" and "_" in name:
        raise AffinityError(f"{text!r}: headers with an underscore in the name are dropped")


def _learned(text: str, of: str, name: str) -> Source:
    if of not in _LEARNING:
        raise AffinityError(f"{text!r}: only hdr(NAME) and cookie(NAME) can be learned")
    _check_name(text, of, name)
    return learn(text, _LEARNING[of], name)


def _source(text: str) -> Source:
    if not text:
        raise AffinityError(f"empty source (known: {_KNOWN})")
    if text in _PLAIN:
        return _PLAIN[text]
    match = _LEARNED.fullmatch(text)
    if match is not None:
        return _learned(text, match[1].strip(), match[2].strip())
    match = _MEMBER.fullmatch(text)
    if match is not None:
        return _named(text, match[1].strip(), match[2].strip())
    kind = re.split(r"[()]", text, maxsplit=1)[0].strip()
    if "(" in text or ")" in text:
        raise AffinityError(f"missing or extra parenthesis in {text!r} (write cookie(NAME))")
    if kind == "learn":
        raise AffinityError("learn needs a source: learn(hdr(NAME)) or learn(cookie(NAME))")
    if kind in _NAMED or kind == INSERT:
        raise AffinityError(f"{kind} needs a name: {kind}(NAME)")
    raise AffinityError(f"unknown source {text!r} (known: {_KNOWN})")


def _members(spec: str) -> Iterator[str]:
    """The sources of a chain as text, each preset as what it stands for."""
    texts = [text.strip() for text in spec.split(",")]
    for text in texts:
        yield from PRESETS[text][0] if text in PRESETS else (text,)
    if texts[-1] in PRESETS:
        yield from (text for text in PRESETS[texts[-1]][1] if text not in texts)


def parse_chain(spec: str) -> tuple[Source, ...]:
    """Read ``cookie(sid),xff,src``; ``socketio`` alone is ``socketio,xff,src``.

    :raise AffinityError: for what is no source, with one line.
    """
    chain = tuple(_source(text) for text in _members(spec))
    if any(source.kind == LEAST for source in chain[:-1]):
        raise AffinityError("least decides every request that reaches it: put it last")
    if sum(source.kind == INSERT for source in chain) > 1:
        raise AffinityError("insert is there twice: one cookie names the slot")
    return chain


def find_key(chain: tuple[Source, ...], asked: Asked) -> Found:
    """The key of a request, and why no earlier source gave one."""
    missed: tuple[Missed, ...] = ()
    for source in chain:
        found = source.look(asked)
        if isinstance(found, Key):
            return Found(found, False, missed)
        if isinstance(found, ByLoad):
            return Found(None, True, missed)
        missed += (Missed(source.text, found.why),)
    return Found(None, False, missed)
