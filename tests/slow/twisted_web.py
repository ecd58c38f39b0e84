"""Twisted's own tests of its web server, run against our request.

``python -m tests.slow.twisted_web``: 0 if every test passes but those in `DIFFER`,
which do not, each for the reason given.
"""

import contextlib
import sys
import tempfile
import unittest
from typing import Any

from twisted.trial.reporter import TestResult
from twisted.web import server
from twisted.web.http_headers import Headers

from stickyd.worker.apps.lean_request import LeanRequest

MODULES = (
    "twisted.web.test.test_web",
    "twisted.web.test.test_static",
    "twisted.web.test.test_resource",
    "twisted.web.test.test_vhost",
    "twisted.web.test.test_util",
    "twisted.web.test.test_wsgi",
    "twisted.web.test.test_httpauth",
    "twisted.web.test.test_script",
)

DIFFER: dict[str, str] = {}
"""Tests that ask for something else than what we do, and why we do it."""


class Begun:
    """Twisted's way to write a head, with the content that follows it."""

    def __init__(self, channel: Any) -> None:
        self._channel = channel
        self._write_headers = channel.writeHeaders

    def __call__(
        self, version: bytes, code: bytes, reason: bytes, headers: Any, content: bytes = b""
    ) -> None:
        self._write_headers(version, code, reason, headers)
        if content:
            self._channel.write(content)


class OnAnyChannel(LeanRequest):
    """Our request where the channel is Twisted's, or one of its tests'."""

    def __init__(self, channel: Any, *args: Any, **how: Any) -> None:
        if not hasattr(channel, "client_address"):
            channel.client_address = channel.getPeer
            channel.read_headers = Headers
            channel.writeHeaders = Begun(channel)
        if not hasattr(channel, "length"):
            channel.length = None
        super().__init__(channel)
        # What is queued is not put away when it is answered; deprecated, yet tests do it.
        self.queued = bool(args and args[0])
        if how.get("parsePOSTFormSubmission") is not None:
            self._parsePOSTFormSubmission = how["parsePOSTFormSubmission"]


def _each(suite: Any) -> Any:
    for test in suite:
        if isinstance(test, unittest.TestSuite) or hasattr(test, "_tests"):
            yield from _each(test)
        else:
            yield test


def _run() -> tuple[int, dict[str, str]]:
    """How many tests have run, and what is wrong with those that failed."""
    result = TestResult()
    for test in _each(unittest.defaultTestLoader.loadTestsFromNames(MODULES)):
        test.run(result)
    failed = [*result.failures, *result.errors]
    return result.testsRun, {test.id(): f.getErrorMessage().strip() for test, f in failed}


def main() -> int:
    """Run them with Twisted's request, since some fail here anyway, and with ours."""
    with tempfile.TemporaryDirectory() as directory, contextlib.chdir(directory):
        return _compare()


def _compare() -> int:
    _, anyway = _run()
    server.Request = OnAnyChannel  # type: ignore[misc]
    server.Site.requestFactory = OnAnyChannel
    ran, failed = _run()
    unexpected = 0
    for name, why in failed.items():
        if name not in DIFFER and name not in anyway:
            unexpected += 1
            print(f"{name}: {why}")
    print(f"{ran} of Twisted's own tests: {unexpected} fail that should not")
    for name, why in DIFFER.items():
        print(f"differs: {name}: {why}")
    return 1 if unexpected else 0


if __name__ == "__main__":
    sys.exit(main())
