"""The answer to a request that is not served."""

from http import HTTPStatus

import attrs


@attrs.frozen
class Refusal:
    """A request is refused: the HTTP status, and why in a few words for the log and the body."""

    status: int
    why: str

    def response(self) -> bytes:
        """A whole HTTP/1.1 response that ends the connection (RFC 9112, 9.6)."""
        phrase = HTTPStatus(self.status).phrase
        body = f"{self.status} {phrase}: {self.why}\n".encode("ascii", "replace")
        return (
            f"HTTP/1.1 {self.status} {phrase}\r\n"
            "Content-Type: text/plain\r\n"
            f"Content-Length: {len(body)}\r\n"
            "Connection: close\r\n"
            "\r\n"
        ).encode("ascii") + body


BUSY = Refusal(503, "the worker of this client takes no connections for now")
"""Said by whoever holds a connection when its slot's inbox stays full: the master, or a worker."""
