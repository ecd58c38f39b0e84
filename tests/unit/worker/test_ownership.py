"""The ownership machine, without and with a guardian."""

import json
import os
import socket
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import rule

from stickyd.ipc.frame import connection_of, decode, entry_of
from stickyd.shm.connection_table import ConnectionTable
from tests.support.numbered_answers import SLOTS
from tests.support.ownership import RUN, SELDOM, Ownership


class GuardedOwnership(Ownership):
    """The same with a guardian: what idled when its worker was killed must go on."""

    guarded = True

    @rule(slot=st.integers(1, SLOTS), first=st.booleans(), steps=st.integers(0, 6))
    def kill_one_that_rests(self, slot: int, first: bool, steps: int) -> None:
        """Most of what it has idles; some may be just beginning with something."""
        if first:
            self.come_to_rest()
        self.work(slot, steps, 0)
        self.kill(slot, 0)

    @rule(really=SELDOM)
    def replace_program(self, really: bool) -> None:
        """Another program in the master's place: what is not packed is gone."""
        old = self.guardian
        if not really or old is None:
            return
        packed = json.loads(json.dumps(old.pack()))
        waiting = {slot: box.take_waiting() for slot, box in self.master.items()}
        descriptor = os.dup(old.table.descriptor)
        old.table.close()
        self.master = self.make_outboxes()
        self.guardian = self.make_guardian(ConnectionTable.again(descriptor))
        self.guardian.resume(packed)
        for slot, messages in waiting.items():
            for message, descriptor, left in messages:
                client = self.everyone[connection_of(message) - 1]
                if client.theirs.fileno() == descriptor and not self.guarded_now(message):
                    done = self.placed(client, decode(message))
                    self.master[slot].put(message, descriptor, 1e9, done)
                else:
                    whence: Any = self.place(slot)
                    sock = socket.socket(fileno=descriptor)
                    assert self.guardian.wait_again(whence, message, sock, left)

    def guarded_now(self, message: bytes) -> bool:
        assert self.guardian is not None
        return entry_of(message) in self.guardian._copies


Ownership.TestCase.settings = RUN
GuardedOwnership.TestCase.settings = RUN
OwnershipTest = Ownership.TestCase
GuardedOwnershipTest = GuardedOwnership.TestCase
