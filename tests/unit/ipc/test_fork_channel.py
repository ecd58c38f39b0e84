"""Messages between master and template process."""

import os
import unittest

from stickyd.ipc.fork_channel import (
    MESSAGE_MOST,
    make_fork_channel,
    receive_message,
    send_message,
)


class ForkChannel(unittest.TestCase):
    def setUp(self) -> None:
        self.ours, self.theirs = make_fork_channel()
        self.addCleanup(self.ours.close)
        self.addCleanup(self.theirs.close)

    def test_descriptors_come_with_their_message(self) -> None:
        pipes = [os.pipe() for _ in range(2)]
        for number, (reading, writing) in enumerate(pipes):
            send_message(self.ours, {"number": number}, [reading, writing])
            os.close(reading)
            os.close(writing)
        for number in range(2):
            received = receive_message(self.theirs)
            assert received is not None
            message, (reading, writing) = received
            self.assertEqual(message, {"number": number})
            self.assertFalse(os.get_inheritable(reading) or os.get_inheritable(writing))
            os.write(writing, b"%d" % number)
            self.assertEqual(os.read(reading, 9), b"%d" % number)
            os.close(reading)
            os.close(writing)

    def test_any_text(self) -> None:
        """The longest is a traceback: 40,000 bytes, of which JSON makes three times as many."""
        text = "\u4e2d\udc80\n" * (40_000 // 3 // 3)
        send_message(self.theirs, {"cannot_load": text})
        received = receive_message(self.ours)
        self.assertEqual(received, ({"cannot_load": text}, []))
        self.assertLess(3 * 40_000, MESSAGE_MOST)

    def test_the_end(self) -> None:
        with self.assertRaises(BlockingIOError):
            receive_message(self.ours)
        self.theirs.close()
        self.assertIsNone(receive_message(self.ours))
        with self.assertRaises(OSError):
            send_message(self.ours, {})


if __name__ == "__main__":
    unittest.main()
