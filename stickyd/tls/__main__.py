"""``python -m stickyd.tls FD``: a process that does TLS, spawned by the master.

``FD`` is its end of the control channel, through which it receives everything else: a key is
neither on its command line nor in its environment.
"""

import sys
from typing import Any

from twisted.internet import reactor as _reactor
from twisted.logger import ILogObserver, globalLogBeginner
from zope.interface import implementer

from stickyd.ipc.control_channel import adopt_end
from stickyd.logs.record import tag_among
from stickyd.process import drop_saved_ids, ignore_signals, unblock_signals
from stickyd.tls.process import TlsControlLink, TlsProcess
from stickyd.worker.runtime.event_output import write_event
from stickyd.worker.runtime.output import LeveledStream, tell_levels

reactor: Any = _reactor


@implementer(ILogObserver)
class _Observer:
    def __init__(self, output: LeveledStream) -> None:
        self._output = output

    def __call__(self, event: Any) -> None:
        if event.get("log_namespace") != "twisted.internet.base":
            write_event(self._output, event)


def main() -> None:
    """Run until the master ends the process, or has ended."""
    drop_saved_ids()
    observer = _Observer(tell_levels(tag_among(sys.argv)))
    globalLogBeginner.beginLoggingTo([observer], redirectStandardIO=False)
    process = TlsProcess(reactor, reactor.stop)
    adopt_end(reactor, int(sys.argv[1]), TlsControlLink(reactor, process))

    def begin() -> None:
        ignore_signals()
        unblock_signals()

    reactor.callWhenRunning(begin)
    reactor.run()


if __name__ == "__main__":
    main()
