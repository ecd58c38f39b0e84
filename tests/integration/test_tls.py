"""TLS in processes of its own: the same rows, ends that keep their meaning, and its life."""

import contextlib
import os
import signal
import unittest

from OpenSSL import SSL

from tests.integration.test_verification import AFTER, BEFORE, CRLF1, CRLF2, MSG1, MSG2, rows, seen
from tests.support.daemon import Reader, read_all, request, wait_for, workers_in
from tests.support.tls import TlsClient, TlsDaemon

VERSIONS = (SSL.TLS1_2_VERSION, SSL.TLS1_3_VERSION)


def asked(client: TlsClient, data: bytes = b"") -> int:
    """The worker that answers a request on this connection."""
    client.sendall(data or request("10.10.10.10"))
    return Reader(client).response().worker


class Rows(unittest.TestCase):
    def test_connection_scope(self) -> None:
        with TlsDaemon() as daemon:
            self.assertEqual(seen(daemon, MSG1, MSG2), BEFORE)
            self.assertEqual(seen(daemon, CRLF1, CRLF2), BEFORE)

    def test_request_scope(self) -> None:
        with TlsDaemon("--affinity-scope", "request") as daemon:
            for first, second in ((MSG1, MSG2), (CRLF1, CRLF2)):
                self.assertEqual(seen(daemon, first, second), AFTER)
                for row, expected in zip(rows(first, second), AFTER, strict=True):
                    pieces = [bytes([byte]) for byte in row]
                    self.assertEqual(workers_in(daemon.exchange(row, pieces)), expected)
