"""An app that, once a file ``hold`` is there or a first worker has loaded, loads when ``go`` is."""

import os
import time
from pathlib import Path
from typing import Any

from twisted.internet import reactor
from twisted.internet.task import LoopingCall
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET

SLOT = os.environ["STICKYD_SLOT"]


def wait_until(name: str) -> None:
    while not Path(name).exists():
        # There is no event to wait for in another process's state.
        time.sleep(0.02)


if Path("hold").exists() or Path(f"loaded-{SLOT}").exists():
    wait_until("go")
Path(f"loaded-{SLOT}").touch()


class Root(Resource):
    isLeaf = True

    def render_GET(self, request: Any) -> Any:
        if request.path != b"/wait":
            return b"x"

        def answer() -> None:
            if Path("answer").exists():
                waiting.stop()
                request.write(b"x")
                request.finish()

        waiting = LoopingCall(answer)
        waiting.clock = reactor
        waiting.start(0.02)
        return NOT_DONE_YET
