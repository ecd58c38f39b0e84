"""The answer to a request that is not served."""

from http import HTTPStatus

import attrs


@attrs.frozen
class Refusal:
    """A request is refused: the HTTP status, and why in a few words for the log and the body.

    ``retry_after``: seconds after which trying again makes sense (RFC 9110, 10.2.3), 0 to say none.
    """

    status: int
    why: str
    retry_after: int = 0

    def response(self) -> bytes:
        """A whole HTTP/1.1 response that ends the connection (RFC 9112, 9.6)."""
        phrase = HTTPStatus(self.status).phrase
        body = f"{self.status} {phrase}: {self.why}\n".encode("ascii", "replace")
        retry = f"Retry-After: {self.retry_after}\r\n" if self.retry_after else ""
        return (
            f"HTTP/1.1 {self.status} {phrase}\r\n"
            "Content-Type: text/plain\r\n"
            f"Content-Length: {len(body)}\r\n"
            f"{retry}"
            "Connection: close\r\n"
            "\r\n"
        ).encode("ascii") + body


BUSY = Refusal(503, "the worker of this client takes no connections for now")
"""Said by whoever holds a connection when its slot's inbox stays full: the master, or a worker."""

FULL = Refusal(503, "too many connections", retry_after=1)
"""Said to a connection for which there is no place, or no descriptor."""
