"""What twisted.web contestants serve, under stickyd and bare: ``/`` and ``/big``.

python -m benchmarks.site PORT      # a bare twisted.web process
"""

import os
import sys

from twisted.web.resource import Resource
from twisted.web.server import Request

SLOT = os.environ.get("STICKYD_SLOT", "-").encode()
BIG = (b"worker %b, " % SLOT * (1 << 20))[: 1 << 20]


class Page(Resource):
    """One line that names the worker, or 1 MiB of it."""

    isLeaf = True

    def render_GET(self, request: Request) -> bytes:
        """The answer, in one piece."""
        request.setHeader(b"Content-Type", b"text/plain")
        if request.path == b"/big":
            return BIG
        return b"From worker %b hello\n" % SLOT


def main() -> None:
    """Serve until TERM."""
    from twisted.internet import reactor
    from twisted.web.server import Site

    site = Site(Page())
    # It would open an access log, which stickyd does not have.
    site.startFactory = lambda: None
    reactor.listenTCP(int(sys.argv[1]), site, backlog=1024, interface="127.0.0.1")
    reactor.run()


if __name__ == "__main__":
    main()
