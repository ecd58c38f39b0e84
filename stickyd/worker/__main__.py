"""``python -m stickyd.worker FD``: a worker process, spawned by the master.

``FD`` is its end of the control channel, through which it receives everything else.
"""

import sys

from stickyd.ipc.control_channel import loop_among
from stickyd.logs.record import tag_among
from stickyd.worker.process import install_reactor, prepare, run


def main() -> None:
    """Run until the master ends the worker, or has ended."""
    # Before anything else imports the reactor.
    installed = install_reactor(loop_among(sys.argv))
    run(int(sys.argv[1]), prepare(tag_among(sys.argv)), installed)


if __name__ == "__main__":
    main()
