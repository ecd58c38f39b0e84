"""Anonymous memory with a sealed size."""

import fcntl
import mmap
import os
import unittest
from unittest import mock

from stickyd.shm.memory import create_memory


class Memory(unittest.TestCase):
    def test_two_mappings_share_it_and_its_size_cannot_change(self) -> None:
        descriptor = create_memory("stickyd-test", 4096)
        self.addCleanup(os.close, descriptor)
        self.assertFalse(os.get_inheritable(descriptor))
        with mmap.mmap(descriptor, 4096) as one, mmap.mmap(descriptor, 4096) as other:
            one[5] = 7
            self.assertEqual((other[5], other[6]), (7, 0))
        for size in (0, 8192):
            with self.assertRaises(PermissionError):
                os.ftruncate(descriptor, size)
        with self.assertRaises(PermissionError):
            fcntl.fcntl(descriptor, fcntl.F_ADD_SEALS, fcntl.F_SEAL_WRITE)

    def test_a_failure_leaves_no_descriptor(self) -> None:
        before = os.listdir("/proc/self/fd")
        with mock.patch("os.ftruncate", side_effect=OSError), self.assertRaises(OSError):
            create_memory("stickyd-test", 4096)
        self.assertEqual(os.listdir("/proc/self/fd"), before)
