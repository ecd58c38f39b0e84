"""The daemon through Twisted's own client, under pytest-twisted's reactor."""

import pytest
import pytest_twisted
from twisted.internet import reactor, threads
from twisted.web.client import Agent, HTTPConnectionPool, readBody
from twisted.web.http_headers import Headers

from tests.support.daemon import Daemon


# Twisted's client itself hands readBody a transport that it then warns about.
@pytest.mark.filterwarnings("ignore:Using readBody with a transport:DeprecationWarning")
@pytest_twisted.inlineCallbacks
def test_kept_alive_requests_of_two_clients_move():
    daemon = Daemon("--affinity-scope", "request")
    yield threads.deferToThread(daemon.start)
    pool = HTTPConnectionPool(reactor)
    try:
        agent = Agent(reactor, pool=pool)
        seen = []
        for client in (b"10.10.10.10", b"10.10.12.11") * 3:
            headers = Headers({b"x-forwarded-for": [client]})
            url = b"http://127.0.0.1:%d/" % daemon.port
            response = yield agent.request(b"GET", url, headers)
            seen.append((yield readBody(response)).split()[4])
        assert seen == [b"1", b"2"] * 3
        report = yield threads.deferToThread(daemon.report)
        assert report["master"]["accepted"] == 1
        assert report["workers"]["moved"] == {"1": 2, "2": 3}
    finally:
        yield pool.closeCachedConnections()
        yield threads.deferToThread(daemon.__exit__, None, None, None)
