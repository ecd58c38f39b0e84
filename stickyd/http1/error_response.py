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

    def response(self, *, to_head: bool = False) -> bytes:
        """A whole HTTP/1.1 response that ends the connection (RFC 9112, 9.6).

        :param to_head: the request's method is HEAD, so there is no content (RFC 9110, 9.3.2).
        """
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
        ).encode("ascii") + (b"" if to_head else body)


BUSY = Refusal(503, "the worker of this client takes no connections for now")
"""Said by whoever holds a connection when its slot's inbox stays full: the master, or a worker."""

BROKEN = Refusal(500, "the app's response breaks HTTP")
"""Sent in the place of a response of an app that could be read in two ways."""

NOT_STORED = Refusal(500, "the request body cannot be stored")
"""Said by a worker that has no room for a body: its disk is full, say."""

FULL = Refusal(503, "too many connections", retry_after=1)
"""Said to a connection for which there is no place, or no descriptor."""
