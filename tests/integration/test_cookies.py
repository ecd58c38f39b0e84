"""Several Cookie lines are one (RFC 9113, 8.2.3): for every kind of app, and for `cookie(NAME)`."""

import json
import unittest

from stickyd.http1.head_parser import Head, read_head
from stickyd.http1.limits import Limits
from stickyd.routing.extractors import cookie
from stickyd.settings import Settings
from tests.support import shared

LINES = "Cookie: a=1\r\nX-Between: x\r\ncookie:  sid={}; b=2 \r\nCOOKIE: c=3\r\n"


def request(path: str, key: str) -> bytes:
    return f"GET {path} HTTP/1.1\r\nHost: x\r\n{LINES.format(key)}\r\n".encode()


class Heads(unittest.TestCase):
    def fields(self, lines: str) -> list[tuple[bytes, bytes]]:
        # The line ends in LF here and CRLF there, as two ways lead to a head.
        heads = []
        for end in ("\r\n", "\n"):
            data = f"GET / HTTP/1.1\r\nHost: x\r\n{lines}\r\n".replace("\r\n", end).encode()
            head = read_head(data, Limits())
            assert isinstance(head, Head)
            heads.append(head)
        self.assertEqual(heads[0].fields, heads[1].fields)
        return [field for field in heads[0].fields if field[0] != b"host"]

    def test_they_are_one_where_the_first_was(self) -> None:
        for lines, joined in (
            (LINES.format("k"), [(b"cookie", b"a=1; sid=k; b=2; c=3"), (b"x-between", b"x")]),
            ("Cookie: a=1\r\n", [(b"cookie", b"a=1")]),
            ("Cookie:\r\n", [(b"cookie", b"")]),
            ("Cookie:\r\nCookie: a=1\r\nCookie:\r\n", [(b"cookie", b"a=1")]),
            ("Cookie: a=1\r\nX: 1\r\nX: 2\r\n", [(b"cookie", b"a=1"), (b"x", b"1"), (b"x", b"2")]),
            ("X-A: 1\r\n", [(b"x-a", b"1")]),
        ):
            self.assertEqual(self.fields(lines), joined, lines)

    def test_the_router_sees_what_the_app_sees(self) -> None:
        head = read_head(request("/", "k"), Limits())
        assert isinstance(head, Head)
        self.assertEqual(
            [cookie(head, name) for name in ("a", "sid", "b", "c")], ["1", "k", "2", "3"]
        )


class Kind(shared.Shared):
    """An app of one kind tells its cookies, at the worker that a cookie names."""

    path = "/"

    def told(self, body: bytes) -> object:
        raise NotImplementedError

    def test_the_app_is_told_one_line(self) -> None:
        table = Settings().policy().table
        for key in map(str, range(8)):
            response = self.ask(request(self.path, key))
            self.assertEqual(self.told(response.body), f"a=1; sid={key}; b=2; c=3")
            slot = str(table.slot_of(key.encode()))
            self.assertEqual(response.headers["x-stickyd-worker"], slot)


def options(*app: str) -> tuple[str, ...]:
    return (*app, "--worker-header", "--affinity", "cookie(sid)", "--affinity-scope", "request")


class Wsgi(Kind):
    options = options("--wsgi", "stickyd_wsgi_apps:app")
    path = "/told"

    def told(self, body: bytes) -> object:
        return json.loads(body)["HTTP_COOKIE"]


class Asgi(Kind):
    options = options("--asgi", "stickyd_asgi_apps:app")
    path = "/scope"

    def told(self, body: bytes) -> object:
        return dict(json.loads(body)["headers"])["cookie"]


class TwistedWeb(Kind):
    options = options("--class", "stickyd_test_apps:Page")
    path = "/cookies"

    def told(self, body: bytes) -> object:
        line, received = json.loads(body)
        self.assertEqual([received[name] for name in ("a", "b", "c")], ["1", "2", "3"])
        return line


# Only the concrete classes are tests.
del Kind
