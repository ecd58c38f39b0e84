"""What is sent through the proxies."""

from collections.abc import Iterator

from tests.corpus.case import HELLO, LAST, SMUGGLED, chunked, get, post, sized
from tests.corpus.reading import load


def _both(length: int, body: bytes, coding: bytes = b"Transfer-Encoding: chunked") -> bytes:
    return post(b"Content-Length: %d" % length, coding) + body


def _hidden(coding: bytes) -> bytes:
    """A coding one side may miss: with chunks the body ends early, by its length late."""
    return _both(len(LAST + SMUGGLED), LAST + SMUGGLED, coding)


def _size(line: bytes) -> bytes:
    """Chunks whose first size line may be read in two ways."""
    return chunked(line + b"\r\nhello\r\n" + LAST + SMUGGLED)


CHUNK = b"%x\r\n%b\r\n" % (len(SMUGGLED), SMUGGLED)

PAYLOADS: dict[str, bytes] = {
    "plain": get(),
    "plain body": sized(HELLO),
    "plain chunks": chunked(b"5\r\nhello\r\n" + LAST),
    "three pipelined": get() * 3,
    "body and pipelined": sized(HELLO) + get(),
    "CL.TE": _both(len(LAST) + 1, LAST + b"G"),
    "CL.TE whole request": _hidden(b"Transfer-Encoding: chunked"),
    "TE.CL": _both(4, CHUNK + LAST),
    "TE.CL reversed fields": post(b"Transfer-Encoding: chunked", b"Content-Length: 4")
    + CHUNK
    + LAST,
    "CL 0 and TE": _both(0, LAST + SMUGGLED),
    "TE blank before colon": _hidden(b"Transfer-Encoding : chunked"),
    "TE tab before colon": _hidden(b"Transfer-Encoding\t: chunked"),
    "TE tab before value": _hidden(b"Transfer-Encoding:\tchunked"),
    "TE vertical tab before value": _hidden(b"Transfer-Encoding:\x0bchunked"),
    "TE vertical tab behind": _hidden(b"Transfer-Encoding: chunked\x0b"),
    "TE blank before name": _hidden(b" Transfer-Encoding: chunked"),
    "TE folded": _hidden(b"Transfer-Encoding:\r\n chunked"),
    "TE folded into another": _hidden(b"X: y\r\n Transfer-Encoding: chunked"),
    "TE behind bare LF": _hidden(b"X: y\nTransfer-Encoding: chunked"),
    "TE behind bare CR": _hidden(b"X: y\rTransfer-Encoding: chunked"),
    "TE ends in bare LF": _hidden(b"Transfer-Encoding: chunked\nX: y"),
    "TE xchunked": _hidden(b"Transfer-Encoding: xchunked"),
    "TE quoted": _hidden(b'Transfer-Encoding: "chunked"'),
    "TE identity": _hidden(b"Transfer-Encoding: identity"),
    "TE identity, chunked": _hidden(b"Transfer-Encoding: identity, chunked"),
    "TE chunked, identity": _hidden(b"Transfer-Encoding: chunked, identity"),
    "TE gzip, chunked": _hidden(b"Transfer-Encoding: gzip, chunked"),
    "TE twice": _hidden(b"Transfer-Encoding: chunked\r\nTransfer-Encoding: cow"),
    "TE twice reversed": _hidden(b"Transfer-Encoding: cow\r\nTransfer-Encoding: chunked"),
    "TE chunked,": _hidden(b"Transfer-Encoding: chunked,"),
    "TE ;parameter": _hidden(b"Transfer-Encoding: chunked;x=y"),
    "TE underscore": _hidden(b"Transfer_Encoding: chunked"),
    "TE NUL": _hidden(b"Transfer-Encoding: chunked\0"),
    "TE upper case": _hidden(b"TRANSFER-ENCODING: CHUNKED"),
    "TE only, identity": post(b"Transfer-Encoding: identity") + SMUGGLED,
    "TE only, gzip, chunked": post(b"Transfer-Encoding: gzip, chunked") + LAST + SMUGGLED,
    "TE on HTTP/1.0": post(b"Transfer-Encoding: chunked", minor=0) + LAST + SMUGGLED,
    "TE on HTTP/1.0 kept alive": post(
        b"Transfer-Encoding: chunked", b"Connection: keep-alive", minor=0
    )
    + LAST
    + SMUGGLED,
    "CL.TE on HTTP/1.0": post(
        b"Content-Length: 5", b"Transfer-Encoding: chunked", b"Connection: keep-alive", minor=0
    )
    + LAST
    + SMUGGLED,
    "TE hidden by Connection": post(b"Connection: Transfer-Encoding", b"Transfer-Encoding: chunked")
    + LAST
    + SMUGGLED,
    "CL hidden by Connection": post(b"Connection: Content-Length", b"Content-Length: 5")
    + HELLO
    + SMUGGLED,
    "CL twice, small first": post(b"Content-Length: 0", b"Content-Length: %d" % len(SMUGGLED))
    + SMUGGLED,
    "CL twice, small last": post(b"Content-Length: %d" % len(SMUGGLED), b"Content-Length: 0")
    + SMUGGLED,
    "CL twice the same": post(b"Content-Length: 5", b"Content-Length: 5") + HELLO + SMUGGLED,
    "CL list": post(b"Content-Length: 5, 5") + HELLO + SMUGGLED,
    "CL plus": post(b"Content-Length: +5") + HELLO + SMUGGLED,
    "CL minus": post(b"Content-Length: -5") + HELLO + SMUGGLED,
    "CL hexadecimal": post(b"Content-Length: 0x5") + HELLO + SMUGGLED,
    "CL blank before colon": post(b"Content-Length : 5") + SMUGGLED,
    "CL underscore": post(b"Content_Length: %d" % len(SMUGGLED)) + SMUGGLED,
    "CL folded": post(b"Content-Length:\r\n 5") + SMUGGLED,
    "CL beyond 64 bits": post(b"Content-Length: 18446744073709551621") + HELLO + SMUGGLED,
    "CL leading zeros": post(b"Content-Length: 005") + HELLO + SMUGGLED,
    "CL 18 digits": post(b"Content-Length: 000000000000000005") + HELLO + SMUGGLED,
    "CL 19 digits": post(b"Content-Length: 0000000000000000005") + HELLO + SMUGGLED,
    "CL of GET": get(b"Content-Length: %d" % len(SMUGGLED)) + SMUGGLED,
    "CL too long": post(b"Content-Length: 6") + HELLO,
    "body is two requests": sized(SMUGGLED * 2),
    "chunks are two requests": chunked(CHUNK * 2 + LAST),
    "request behind the last chunk": chunked(LAST + SMUGGLED),
    "chunk size 0x": _size(b"0x5"),
    "chunk size blank behind": _size(b"5 "),
    "chunk size blank before": _size(b" 5"),
    "chunk size tab behind": _size(b"5\t"),
    "chunk size plus": _size(b"+5"),
    "chunk size minus": _size(b"-5"),
    "chunk size zeros": _size(b"0000000000000005"),
    "chunk size beyond 64 bits": _size(b"10000000000000005"),
    "chunk size beyond 32 bits": _size(b"100000005"),
    "chunk size empty": _size(b""),
    "chunk size letter": _size(b"5g"),
    "chunk extension": _size(b"5;a=b"),
    "chunk extension with LF": _size(b"5;a\nb"),
    "chunk extension with CR": _size(b"5;a\rb"),
    "chunk extension blank before": _size(b"5 ;a=b"),
    "chunk extension swallows a chunk": chunked(b"5;\n" + b"hello\r\n" + LAST + SMUGGLED),
    "chunk size line in LF": chunked(b"5\nhello\r\n" + LAST + SMUGGLED),
    "chunk data ends in LF": chunked(b"5\r\nhello\n" + LAST + SMUGGLED),
    "chunk data ends in two letters": chunked(b"5\r\nhelloXX" + LAST + SMUGGLED),
    "chunk too long": chunked(b"4\r\nhello\r\n" + LAST + SMUGGLED),
    "last chunk in LF": chunked(b"5\r\nhello\r\n0\n\n" + SMUGGLED),
    "last chunk with a bare CR": chunked(b"5\r\nhello\r\n0\r\n\r" + SMUGGLED),
    "trailer": chunked(b"0\r\nX: y\r\n\r\n" + SMUGGLED),
    "trailer Content-Length": chunked(b"0\r\nContent-Length: 40\r\n\r\n" + SMUGGLED),
    "trailer is a request": chunked(b"0\r\n" + SMUGGLED),
    "trailer in LF": chunked(b"0\r\nX: y\n\r\n" + SMUGGLED),
    "bare LF head": get().replace(b"\r\n", b"\n") + SMUGGLED,
    "bare LF head with body": sized(HELLO).replace(b"\r\n", b"\n") + SMUGGLED,
    "bare LF in a CRLF head": get(b"X: y\nContent-Length: 40") + SMUGGLED,
    "LF CR LF ends the head": b"GET / HTTP/1.1\r\nHost: a\n\r\n" + SMUGGLED,
    "CR ends a line": get(b"X: y\rContent-Length: 40") + SMUGGLED,
    "empty lines first": b"\r\n\r\n" + get() + SMUGGLED,
    "obs-fold": get(b"X: y\r\n z") + SMUGGLED,
    "obs-fold of Host": b"GET / HTTP/1.1\r\nHost: a\r\n b\r\n\r\n" + SMUGGLED,
    "fold before the first field": b"GET / HTTP/1.1\r\n X: y\r\nHost: a\r\n\r\n" + SMUGGLED,
    "Host twice": get(b"Host: b") + SMUGGLED,
    "Host missing": get(host=False) + SMUGGLED,
    "Host with path": get(b"Host: a/b", host=False) + SMUGGLED,
    "absolute-form": get(first=b"GET http://b.example/c HTTP/1.1") + SMUGGLED,
    "absolute-form, userinfo": get(first=b"GET http://a@b.example/ HTTP/1.1") + SMUGGLED,
    "absolute-form, no path": get(first=b"GET http://b.example HTTP/1.1") + SMUGGLED,
    "absolute-form, other scheme": get(first=b"GET ftp://b.example/ HTTP/1.1") + SMUGGLED,
    "fragment": get(first=b"GET /a#b HTTP/1.1") + SMUGGLED,
    "NUL in a value": get(b"X: a\0b") + SMUGGLED,
    "NUL in a name": get(b"X\0Y: z") + SMUGGLED,
    "NUL in the target": get(first=b"GET /\0 HTTP/1.1") + SMUGGLED,
    "control in a value": get(b"X: a\x01b") + SMUGGLED,
    "DEL in a value": get(b"X: a\x7fb") + SMUGGLED,
    "obs-text in the target": get(first=b"GET /\xfc HTTP/1.1") + SMUGGLED,
    "blank in the target": get(first=b"GET /a b HTTP/1.1") + SMUGGLED,
    "HTTP/0.9": b"GET /\r\n" + SMUGGLED,
    "HTTP/1.2": get(first=b"GET / HTTP/1.2") + SMUGGLED,
    "HTTP/2.0": get(first=b"GET / HTTP/2.0") + SMUGGLED,
    "CONNECT": get(first=b"CONNECT a:80 HTTP/1.1") + SMUGGLED,
    "HEAD": get(first=b"HEAD / HTTP/1.1") + SMUGGLED,
    "HEAD with body": get(b"Content-Length: 5", first=b"HEAD / HTTP/1.1") + HELLO + SMUGGLED,
    "204": get(first=b"GET /204 HTTP/1.1") + SMUGGLED,
    "304": get(first=b"GET /304 HTTP/1.1") + SMUGGLED,
    "Expect": post(b"Expect: 100-continue", b"Content-Length: 5") + HELLO + SMUGGLED,
    "Expect unknown": post(b"Expect: x", b"Content-Length: 5") + HELLO + SMUGGLED,
    "Expect obfuscated": post(b"Expect: y 100-continue", b"Content-Length: 5") + HELLO + SMUGGLED,
    "Upgrade h2c": get(b"Connection: Upgrade, HTTP2-Settings", b"Upgrade: h2c") + SMUGGLED,
    "Upgrade websocket": get(b"Connection: Upgrade", b"Upgrade: websocket") + SMUGGLED,
    "Connection close": get(b"Connection: close") + SMUGGLED,
}


def payloads(corpus: bool) -> Iterator[tuple[str, bytes]]:
    """What is sent, by name."""
    yield from PAYLOADS.items()
    if corpus:
        for case in load():
            yield case.name, case.data
