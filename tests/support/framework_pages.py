"""The same pages, of twisted.web and of frameworks: where they are, and how they are asked."""

import hashlib
import random
import socket
import threading

import attrs

from tests.support.daemon import Reader, Response

MEBI = 1 << 20


@attrs.frozen
class Kind:
    """An app with the pages.

    :ivar streams: what lies before the names of pages that stream.
    """

    name: str
    options: tuple[str, ...]
    streams: str = ""


KINDS = (
    Kind("twisted.web", ("--class", "stickyd_pages_web.Pages")),
    Kind("Flask", ("--wsgi", "stickyd_pages_flask:app")),
    Kind("Django, WSGI", ("--wsgi", "stickyd_pages_django:wsgi")),
    Kind("Django, ASGI", ("--asgi", "stickyd_pages_django:asgi"), "/async"),
    Kind("FastAPI", ("--asgi", "stickyd_pages_fastapi:app")),
)


def get(path: str) -> bytes:
    return f"GET {path} HTTP/1.1\r\nHost: test\r\n\r\n".encode()


def upload(sock: socket.socket, size: int, in_form: bool = True) -> tuple[Response, bytes]:
    """Upload a file of ``size`` bytes, in a form or bare; the answer, and what it should tell."""
    content = random.Random(size).randbytes(MEBI) * (size // MEBI)
    before = after = b""
    kind = plain = b"application/octet-stream"
    if in_form:
        disposition = b'Content-Disposition: form-data; name="file"; filename="upload.bin"'
        before = b"--edge\r\n%b\r\nContent-Type: %b\r\n\r\n" % (disposition, plain)
        after = b"\r\n--edge--\r\n"
        kind = b"multipart/form-data; boundary=edge"
    length = len(before) + size + len(after)
    head = b"POST /upload HTTP/1.1\r\nHost: test\r\nContent-Type: %b\r\nContent-Length: %d\r\n\r\n"

    def send() -> None:
        sock.sendall(head % (kind, length) + before)
        sock.sendall(content)
        sock.sendall(after)

    # Beside the reading: an answer that comes too early must not make both sides wait.
    sending = threading.Thread(target=send)
    sending.start()
    response = Reader(sock).response()
    sending.join()
    digest = hashlib.sha256(content).hexdigest()
    return response, f"upload.bin {size} {digest}".encode()
