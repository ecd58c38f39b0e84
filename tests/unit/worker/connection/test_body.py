"""A request body on its way to the exchange."""

import unittest
from typing import Any

from stickyd.http1.body_parser import CHUNKED, body_reader
from stickyd.http1.error_response import NOT_STORED, Refusal
from stickyd.http1.limits import Limits
from stickyd.worker.connection.body import RequestBody


class Exchange:
    def __init__(self, error: OSError | None = None) -> None:
        self.data = b""
        self._error = error

    def bodyReceived(self, data: bytes) -> None:
        if self._error is not None:
            raise self._error
        self.data += data


class Bodies(unittest.TestCase):
    def body(self, length: int, error: OSError | None = None) -> RequestBody:
        reader = body_reader(length, Limits())
        assert not isinstance(reader, Refusal)
        self.exchange: Any = Exchange(error)
        return RequestBody(self.exchange, reader)

    def test_a_length(self) -> None:
        body = self.body(5)
        self.assertIsNone(body.receive(b"he"))
        self.assertEqual(body.receive(b"lloGET"), b"GET")
        self.assertEqual((self.exchange.data, body.received), (b"hello", 8))

    def test_chunks(self) -> None:
        body = self.body(CHUNKED)
        self.assertIsNone(body.receive(b"5\r\nhello\r\n"))
        self.assertEqual(body.receive(b"0\r\n\r\nGET"), b"GET")
        self.assertEqual(self.exchange.data, b"hello")

    def test_malformed_chunks_are_refused(self) -> None:
        refusal = self.body(CHUNKED).receive(b"x\r\n")
        assert isinstance(refusal, Refusal)
        self.assertEqual(refusal.status, 400)

    def test_a_body_that_cannot_be_stored(self) -> None:
        self.assertIs(self.body(1, OSError(28, "no space")).receive(b"x"), NOT_STORED)
