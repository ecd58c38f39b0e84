"""The points that are compared: each asks a server, and tells what a client sees."""

import http.client
import json
from collections.abc import Callable, Iterator

import attrs

from tests.slow.haproxy_cookie.servers import NAME, Server

Point = Callable[[Server], str]


@attrs.frozen
class Answer:
    """What came back.

    :ivar cookies: the Set-Cookie lines.
    :ivar cache: the Cache-Control lines.
    :ivar seen: the Cookie lines that the app has seen; None where the app was not asked.
    :ivar process: the server.
    """

    status: int
    cookies: list[str]
    cache: list[str]
    seen: list[str] | None
    process: int

    @property
    def value(self) -> str:
        """The value that our cookie is set to; empty if it is not set."""
        for cookie in self.cookies:
            name, _, rest = cookie.partition("=")
            if name == NAME:
                return rest.partition(";")[0].strip('"')
        return ""

    def told(self) -> str:
        """The Set-Cookie lines, the value as ID, attributes in one spelling and order."""
        return " and ".join(map(self._spelt, self.cookies)) or "none"

    def _spelt(self, cookie: str) -> str:
        pair, *attributes = (part.strip() for part in cookie.split(";"))
        if self.value:
            pair = pair.replace(f"{NAME}={self.value}", f"{NAME}=ID")
        return "; ".join([pair, *sorted(attribute.lower() for attribute in attributes)])


def ask(
    server: Server,
    *cookies: str,
    path: str = "/page",
    method: str = "GET",
    headers: dict[str, str] | None = None,
    on: http.client.HTTPConnection | None = None,
) -> Answer:
    """One request.

    :param cookies: the Cookie lines.
    :param on: a connection to use, which stays open; otherwise a new one.
    """
    connection = on or http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
    try:
        connection.putrequest(method, path)
        for cookie in cookies:
            connection.putheader("Cookie", cookie)
        for name, value in (headers or {}).items():
            connection.putheader(name, value)
        connection.endheaders()
        response = connection.getresponse()
        if response.status != 101:
            response.read()
        seen = response.getheader("X-Seen")
        return Answer(
            response.status,
            response.headers.get_all("Set-Cookie", []),
            response.headers.get_all("Cache-Control", []),
            json.loads(seen) if seen is not None else None,
            int(response.getheader("X-Server") or 0),
        )
    finally:
        if on is None:
            connection.close()


def _known(server: Server) -> tuple[str, Answer]:
    """A client that has the cookie: its Cookie line, and the answer that set it."""
    answer = ask(server)
    assert answer.value, "no cookie was set"
    return f"{NAME}={answer.value}", answer


def _hidden(text: list[str] | None, value: str) -> str:
    if text is None:
        return "not asked"
    return " and ".join(repr(line.replace(value, "ID")) for line in text) or "no Cookie line"


def first_request(server: Server) -> str:
    """Set-Cookie of the first answer."""
    return ask(server).told()


def known_client(server: Server) -> str:
    """Set-Cookie of an answer to a client that has the cookie."""
    return ask(server, _known(server)[0]).told()


def stays(server: Server) -> str:
    """Servers that a client with the cookie meets on 20 new connections."""
    cookie, first = _known(server)
    return str(len({first.process} | {ask(server, cookie).process for _ in range(20)}))


def spread(server: Server) -> str:
    """Servers that 20 new clients at one address meet."""
    return str(len({ask(server).process for _ in range(20)}))


def _seen(pattern: str) -> Point:
    def point(server: Server) -> str:
        cookie, _ = _known(server)
        lines = pattern.replace("ID", cookie).split("\n")
        return _hidden(ask(server, *lines).seen, cookie.partition("=")[2])

    return point


def no_caching(server: Server) -> str:
    """Cache-Control of an answer that sets the cookie."""
    return ", ".join(ask(server).cache) or "none"


def public(server: Server) -> str:
    """The same where the app says `public, max-age=60`."""
    return ", ".join(ask(server, path="/page?cache=public,+max-age%3D60").cache) or "none"


def caching_known(server: Server) -> str:
    """Cache-Control of an answer that does not."""
    return ", ".join(ask(server, _known(server)[0]).cache) or "none"


def other_cookies(server: Server) -> str:
    """Set-Cookie where the app sets a=1 and b=2."""
    return ask(server, path="/page?set=a%3D1;+Path%3D/&set=b%3D2").told()


def same_name(server: Server) -> str:
    """Set-Cookie where the app sets a cookie of this name, too."""
    cookie, _ = _known(server)
    return ask(server, cookie, path=f"/page?set={NAME}%3Dapp").told()


def _status(status: int) -> Point:
    def point(server: Server) -> str:
        answer = ask(server, path=f"/page?status={status}")
        assert answer.status == status
        return answer.told()

    return point


def _method(method: str) -> Point:
    def point(server: Server) -> str:
        return ask(server, method=method, headers={"Content-Length": "0"}).told()

    return point


UPGRADE = {
    "Connection": "Upgrade",
    "Upgrade": "websocket",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
}


def websocket(server: Server) -> str:
    """Status and Set-Cookie of an upgrade to WebSocket."""
    answer = ask(server, path="/ws", headers=UPGRADE)
    return f"{answer.status}, {answer.told()}"


def _invalid(pattern: str) -> Point:
    def point(server: Server) -> str:
        cookie, _ = _known(server)
        answer = ask(server, pattern.replace("ID", cookie.partition("=")[2]))
        seen = _hidden(answer.seen, cookie.partition("=")[2])
        return f"sets {answer.told().partition(';')[0]}; the app sees {seen}"

    return point


def twice(server: Server) -> str:
    """Which of two cookies of this name decides."""
    mine = ask(server)
    other = mine
    while other.process == mine.process:
        other = ask(server)
    answer = ask(server, f"{NAME}={mine.value}; {NAME}={other.value}")
    return "the first" if answer.process == mine.process else "the last"


def one_connection(server: Server) -> str:
    """Set-Cookie lines in three answers to a client that returns none, on one connection."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
    try:
        return str(sum(ask(server, on=connection).value != "" for _ in range(3)))
    finally:
        connection.close()


def refused(server: Server) -> str:
    """Status and Set-Cookie of a malformed request."""
    answer = ask(server, headers={"Content-Length": "x"})
    return f"{answer.status}, {answer.told()}"


def gone(server: Server) -> str:
    """A client whose server is taken out: is it served, is the cookie set, does it stay."""
    answer = ask(server)
    while answer.process != server.last():
        answer = ask(server)
    server.remove_last()
    moved = ask(server, f"{NAME}={answer.value}")
    after = ask(server, f"{NAME}={moved.value or answer.value}")
    stays = "stays" if after.process == moved.process and not after.value else "does not stay"
    return f"{moved.status}, sets {moved.told().partition(';')[0]}, {stays}"


def points() -> Iterator[tuple[str, Point]]:
    """All of them, by what they ask. The last one takes a server out."""
    yield "Set-Cookie of the first answer", first_request
    yield "Set-Cookie for a client that has the cookie", known_client
    yield "servers that this client meets on 20 connections", stays
    yield "servers that 20 new clients of one address meet", spread
    yield "the app sees, of the cookie alone", _seen("ID")
    yield "the app sees, of `a=1; ID; b=2`", _seen("a=1; ID; b=2")
    yield "the app sees, of `a=1;ID;b=2`", _seen("a=1;ID;b=2")
    yield "the app sees, of `ID; b=2`", _seen("ID; b=2")
    yield "the app sees, of `a=1; ID`", _seen("a=1; ID")
    yield "the app sees, of two lines `a=1; ID` and `b=2`", _seen("a=1; ID\nb=2")
    yield "Cache-Control with the cookie", no_caching
    yield "Cache-Control, the app says `public, max-age=60`", public
    yield "Cache-Control without the cookie", caching_known
    yield "Set-Cookie, the app sets `a` and `b`", other_cookies
    yield "Set-Cookie, the app sets one of this name", same_name
    for status in (204, 304, 404, 500):
        yield f"Set-Cookie of a {status}", _status(status)
    for method in ("HEAD", "POST"):
        yield f"Set-Cookie of an answer to {method}", _method(method)
    yield "a WebSocket", websocket
    yield "an unknown value", _invalid(f"{NAME}=nonsense; a=1")
    yield "an empty value", _invalid(f"{NAME}=; a=1")
    yield "the value in quotes", _invalid(f'{NAME}="ID"; a=1')
    yield "the name in lower case", _invalid(f"{NAME.lower()}=ID; a=1")
    yield "a longer name", _invalid(f"{NAME}X=ID; X{NAME}=ID")
    yield "two cookies of the name: which decides", twice
    yield "Set-Cookie lines in 3 answers on one connection without the cookie", one_connection
    yield "a malformed request", refused
    yield "the server is taken out", gone
