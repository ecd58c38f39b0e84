"""CPUs of the affinity mask and of control groups."""

import tempfile
import unittest
from pathlib import Path
from unittest import mock

from stickyd.net.cpu_budget import usable_cpus

V2 = "31 23 0:28 / /sys/fs/cgroup rw,relatime shared:4 - cgroup2 cgroup2 rw,nsdelegate"
V1 = "31 23 0:28 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu,cpuacct"
BIND = "31 23 0:28 /docker/abc /sys/fs/cgroup rw,relatime - cgroup2 cgroup rw"


class Budget(unittest.TestCase):
    def cpus(self, groups: str, mounts: str, files: dict[str, str], mask: int = 8) -> int:
        with tempfile.TemporaryDirectory() as name:
            root = Path(name)
            (root / "proc").mkdir()
            (root / "proc/cgroup").write_text(groups)
            (root / "proc/mountinfo").write_text(mounts)
            for path, text in files.items():
                (root / path).parent.mkdir(parents=True, exist_ok=True)
                (root / path).write_text(text)
            with mock.patch("os.sched_getaffinity", return_value=set(range(mask))):
                return usable_cpus(root / "proc", root)

    def test_the_mask(self) -> None:
        self.assertEqual(self.cpus("", "", {}, 3), 3)
        self.assertEqual(self.cpus("0::/a\n", V2, {"sys/fs/cgroup/a/cpu.max": "max 100000\n"}), 8)

    def test_a_quota_is_rounded_up(self) -> None:
        for quota, expected in ((10_000, 1), (100_000, 1), (150_000, 2), (400_000, 4), (10**7, 8)):
            files = {"sys/fs/cgroup/a/b/cpu.max": f"{quota} 100000\n"}
            self.assertEqual(self.cpus("0::/a/b\n", V2, files), expected)

    def test_groups_above_count(self) -> None:
        files = {
            "sys/fs/cgroup/a/b/cpu.max": "max 100000\n",
            "sys/fs/cgroup/a/cpu.max": "300000 100000\n",
            "sys/fs/cgroup/other/cpu.max": "100000 100000\n",
        }
        self.assertEqual(self.cpus("0::/a/b\n", V2, files), 3)

    def test_the_first_version(self) -> None:
        directory = "sys/fs/cgroup/cpu/a"
        files = {
            f"{directory}/cpu.cfs_quota_us": "250000",
            f"{directory}/cpu.cfs_period_us": "100000",
        }
        groups = "12:cpuset:/z\n4:cpu,cpuacct:/a\n0::/\n"
        self.assertEqual(self.cpus(groups, V1, files), 3)
        files[f"{directory}/cpu.cfs_quota_us"] = "-1"
        self.assertEqual(self.cpus(groups, V1, files), 8)

    def test_in_a_container(self) -> None:
        files = {"sys/fs/cgroup/cpu.max": "200000 100000\n"}
        self.assertEqual(self.cpus("0::/docker/abc\n", BIND, files), 2)
        # In a namespace of its own the path begins there.
        self.assertEqual(self.cpus("0::/\n", BIND, files), 2)

    def test_what_cannot_be_read(self) -> None:
        for text in ("", "max", "x y", "100000 0"):
            self.assertEqual(self.cpus("0::/\n", V2, {"sys/fs/cgroup/cpu.max": text}), 8)
