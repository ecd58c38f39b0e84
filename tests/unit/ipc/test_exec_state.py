"""Helpers for the state that survives execve."""

import json
import os
import socket
import unittest

from stickyd.ipc.exec_state import as_bytes, as_text, close_on_exec, keep_on_exec
from stickyd.ipc.fd_queue import adopt_inbox_end, make_inbox, take_one, try_put


class Helpers(unittest.TestCase):
    def test_bytes_as_json(self) -> None:
        data = bytes(range(256))
        self.assertEqual(as_bytes(json.loads(json.dumps(as_text(data)))), data)

    def test_descriptors_across_execve(self) -> None:
        ours, theirs = socket.socketpair()
        with ours, theirs:
            self.assertEqual(keep_on_exec(ours.fileno()), ours.fileno())
            self.assertTrue(os.get_inheritable(ours.fileno()))
            self.assertEqual(close_on_exec(ours.fileno()), ours.fileno())
            self.assertFalse(os.get_inheritable(ours.fileno()))

    def test_an_inbox_end_that_was_inherited(self) -> None:
        sender, receiver = make_inbox()
        with sender, receiver:
            os.set_blocking(receiver.fileno(), True)
            with adopt_inbox_end(keep_on_exec(os.dup(receiver.fileno()))) as adopted:
                self.assertFalse(os.get_inheritable(adopted.fileno()))
                self.assertFalse(os.get_blocking(adopted.fileno()))
                self.assertIsNone(take_one(adopted))
                self.assertTrue(try_put(sender, b"frame", sender.fileno()))
                message, descriptor = take_one(adopted) or (b"", -1)
                os.close(descriptor)
                self.assertEqual(message, b"frame")
