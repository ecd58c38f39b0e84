"""What is known of a connection over TLS: in every process that has its frame. Pure.

That the client uses TLS is told by the id of the listener. Who it is, if it has a certificate, by a
record that is in its frames.
"""

import json
from functools import lru_cache
from typing import NamedTuple

TLS_LISTENER = 0x80
"""Set in the id of a listener whose clients speak TLS."""

LISTENERS_MOST = 128
"""Listeners that can be told from each other."""

RECORD_MOST = 8192
"""Bytes of a record."""


def over_tls(listener: int) -> bool:
    """Whether the clients of a listener speak TLS, by its id in a frame."""
    return bool(listener & TLS_LISTENER)


class TlsClient(NamedTuple):
    """A client with a certificate, which has been verified.

    :ivar subject: of the certificate (RFC 4514).
    :ivar version: of TLS, as in its records: 0x0304 for 1.3.
    :ivar cipher: name of the cipher suite, as OpenSSL has it.
    """

    subject: str
    version: int
    cipher: str

    def encode(self) -> bytes:
        """As a record of frames.

        :raise ValueError: if it is longer than `RECORD_MOST`.
        """
        record = json.dumps(self._asdict(), ensure_ascii=False).encode("utf-8", "surrogatepass")
        if len(record) > RECORD_MOST:
            raise ValueError(f"a record of {len(record)} bytes")
        return record


@lru_cache(maxsize=1024)
def client_of(record: bytes) -> TlsClient | None:
    """The client that a record names; None for b"", which is none."""
    return TlsClient(**json.loads(record)) if record else None


def subject_of(record: bytes) -> str | None:
    """The subject of a client's certificate, None without one."""
    client = client_of(record)
    return None if client is None else client.subject
