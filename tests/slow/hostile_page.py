"""Serves the live page of a daemon whose names are all hostile: ``... hostile_page PORT``."""

import os
import sys
from typing import Any

from twisted.internet import defer, reactor

from stickyd.master.admin.listener import AdminListener
from stickyd.master.facts import Facts
from tests.unit.master.admin.page.hostile import hostile_facts


class Hostile:
    """A daemon, as the listener asks it."""

    def facts(self) -> Facts:
        return hostile_facts(os.getpid())

    def report(self) -> "defer.Deferred[dict[str, Any]]":
        return defer.succeed({})

    def not_ready(self) -> str:
        return "</script><script>alert(1)</script>"


def main() -> None:
    description = f"tcp:{sys.argv[1]}:interface=127.0.0.1"
    listener = AdminListener(reactor, [description], Hostile())
    listener.bind_privileged()
    defer.ensureDeferred(listener.listen()).addCallback(lambda _: print("ready", flush=True))
    reactor.run()


if __name__ == "__main__":
    main()
