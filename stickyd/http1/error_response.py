"""Error responses to requests that are not served."""

from http import HTTPStatus

import attrs


@attrs.frozen
class Refusal:
    """An HTTP status, and the reason in a few words for log and body.

    ``retry_after``: seconds for the Retry-After field (RFC 9110, 10.2.3); 0 for no field.
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
"""Sent when the inbox of the slot stays full, by the master or by a worker."""

BROKEN = Refusal(500, "the app's response breaks HTTP")
"""Sent instead of an app's response that is ambiguous or invalid."""

NOT_STORED = Refusal(500, "the request body cannot be stored")
"""Sent when a request body cannot be stored, for example because the disk is full."""

FULL = Refusal(503, "too many connections", retry_after=1)
"""Sent to a connection beyond the connection limit or the descriptor limit."""
