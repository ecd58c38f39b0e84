"""An app that says which worker answers which request, and two clients of each of its slots."""

import re
from typing import Any

from twisted.web.resource import Resource

from stickyd.settings import RoutingSettings, Settings, Timeouts

SLOTS = 3
SETTINGS = Settings(
    workers=SLOTS,
    routing=RoutingSettings(scope="request", affinity="xff"),
    timeouts=Timeouts(inbox=1e9),
)
POLICY = SETTINGS.policy()
# Two clients of each slot.
CLIENTS = {
    slot: [
        c for c in (f"10.0.0.{n}" for n in range(250)) if POLICY.table.slot_of(c.encode()) == slot
    ]
    for slot in range(1, SLOTS + 1)
}
ANSWER = re.compile(rb"From worker (\d+) answer (\S+) to (\S+)")


class Echo(Resource):
    """Says which worker answered what for whom."""

    isLeaf = True

    def __init__(self, slot: int) -> None:
        super().__init__()
        self._slot = slot

    def render(self, request: Any) -> bytes:
        request.content.read()
        number = request.getHeader("x-number").encode()
        client = request.getHeader("x-forwarded-for").encode()
        return b"From worker %d answer %b to %b " % (self._slot, number, client)
