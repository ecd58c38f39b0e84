"""``make install`` under a real systemd: ``python -m tests.slow.booted``.

Installs into a DESTDIR, starts the daemon from there through the tests' own
stand-in, then boots systemd in namespaces of its own, over an overlay of this
machine's file system with the DESTDIR on top, and there lets systemd do what
an operator would: start by a connection, reload, restart under load, a worker
and a master that die, a master that hangs, stop. All of it with the unit's
restrictions in force. Nothing of the machine itself is changed.

Needs root (as in `unshare`), Debian's python3 and systemd, and a package index.
Skipped, with the reason, where namespaces cannot be had.
"""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.slow.booted_inside import CHECKS
from tests.support.activation import Activated
from tests.support.daemon import ROOT, request, wait_for, workers_in

LIBDIR = "usr/local/lib/stickyd"
PYTHON = "/usr/bin/python3"
BOOT_SECONDS = 150

_PROGRAMS = ("unshare", "findmnt", "tar", "ip", "systemctl")
_UNSHARE = ("unshare", "--pid", "--fork", "--mount", "--net")

# What would touch more than a service needs: devices, the kernel, the clock.
_MASKED = """
systemd-tmpfiles-setup.service systemd-sysctl.service systemd-udevd.service
systemd-udev-trigger.service dev-hugepages.mount dev-mqueue.mount sys-kernel-debug.mount
sys-kernel-tracing.mount sys-fs-fuse-connections.mount sys-kernel-config.mount
systemd-modules-load.service systemd-random-seed.service systemd-update-utmp.service
local-fs.target swap.target systemd-machine-id-commit.service systemd-sysusers.service
network-online.target
"""

_MOUNT = """
set -eu
base=$1 installed=$2 tests=$3
mount --make-rprivate /
mount -t tmpfs tmpfs "$base"
mkdir "$base/upper" "$base/work" "$base/root"
mount -t overlay overlay -o "lowerdir=/,upperdir=$base/upper,workdir=$base/work" "$base/root"
cd "$base/root"
mount -t proc proc proc
mount -t sysfs sysfs sys
mount -t tmpfs tmpfs run
mount -t tmpfs tmpfs tmp
mount -t tmpfs -o mode=755 tmpfs dev
for name in null zero full random urandom tty; do
  touch "dev/$name"
  mount --bind "/dev/$name" "dev/$name"
done
mkdir dev/shm dev/pts dev/mqueue dev/hugepages
mount -t tmpfs tmpfs dev/shm
mount -t devpts -o ptmxmode=0666 devpts dev/pts
ln -s pts/ptmx dev/ptmx
mount -t cgroup2 none sys/fs/cgroup
ip link set lo up
rm -rf etc/systemd/system
mkdir -p etc/systemd/system run/systemd/system srv/probe
for unit in $MASKED; do ln -s /dev/null "run/systemd/system/$unit"; done
tar -C "$installed" -cf - . | tar --keep-directory-symlink -xf -
cp -a "$tests" srv/probe/tests
cp "$tests/slow/probe.service" etc/systemd/system/
echo 0123456789abcdef0123456789abcdef >etc/machine-id
touch srv/probe/result
mount --bind "$base.result" srv/probe/result
mkdir -p mnt/before
pivot_root . mnt/before
umount -l /mnt/before
exec /lib/systemd/systemd --system --unit=probe.service --log-target=journal --show-status=no
"""


def install(root: Path) -> None:
    """The whole program, as a package would be staged."""
    started = time.monotonic()
    command = ["make", "-s", "install", f"DESTDIR={root}", f"PYTHON={PYTHON}"]
    subprocess.run(command, cwd=ROOT, check=True)
    print(f"make install: {time.monotonic() - started:.0f} s")
    first = (root / LIBDIR / "bin/stickyd").read_bytes().splitlines()[0].decode()
    assert first == f"#!/{LIBDIR}/bin/python", first
    assert os.readlink(root / "usr/local/bin/stickyd") == f"/{LIBDIR}/bin/stickyd"
    for path in (root / LIBDIR / "bin").iterdir():
        assert path.is_symlink() or str(root).encode() not in path.read_bytes(), path


def start_from(root: Path) -> None:
    """What ``ExecStart=`` names, where DESTDIR has put it."""
    program = [str(root / LIBDIR / "bin/python"), str(root / LIBDIR / "bin/stickyd")]
    daemon = Activated(root, program=program, environment={"PYTHONPATH": ""})
    assert daemon.unit.one("ExecStart").startswith(f"/{LIBDIR}/bin/stickyd ")
    with daemon:
        assert workers_in(daemon.exchange(request("10.10.10.10"))), daemon.log
        assert not [line for line in daemon.log if "seed 1" in line], daemon.log
    print("started out of DESTDIR")


@contextlib.contextmanager
def _cgroup(base: Path):  # type: ignore[no-untyped-def]
    """A control group for the booted system, gone with it (cgroups(7))."""
    find = ["findmnt", "-n", "-t", "cgroup2", "-o", "TARGET"]
    found = subprocess.run(find, capture_output=True, text=True).stdout.split()
    if not found:
        raise OSError("no cgroup2 is mounted")
    group = Path(found[0]) / base.name
    group.mkdir()
    try:
        yield group
    finally:
        wait_for(lambda: _removed(group), what="an empty control group")


def _removed(group: Path) -> bool:
    """Whether it is gone; busy as long as one of its processes is not quite dead."""
    for directory, _, _ in os.walk(group, topdown=False):
        with contextlib.suppress(OSError):
            os.rmdir(directory)
    return not group.exists()


def boot(root: Path, base: Path) -> list[dict[str, str]]:
    """Run the checks inside; what each said."""
    result = Path(f"{base}.result")
    result.touch()
    enter = "echo $$ >$1/cgroup.procs; shift; exec unshare --pid --fork --kill-child --mount"
    enter += ' --net --uts --ipc --cgroup bash -c "$@"'
    try:
        with _cgroup(base) as group:
            arguments = [str(group), _MOUNT, "bash", str(base), str(root), str(ROOT / "tests")]
            booted = subprocess.Popen(
                ["bash", "-c", enter, "bash", *arguments],
                env={"PATH": os.environ["PATH"], "container": "other", "MASKED": _MASKED},
                stdin=subprocess.DEVNULL,
            )
            try:
                booted.wait(BOOT_SECONDS)
            except subprocess.TimeoutExpired:
                booted.kill()
                booted.wait()
                print(f"the booted system did not end within {BOOT_SECONDS} s")
        return [json.loads(line) for line in result.read_text().splitlines()]
    finally:
        result.unlink()


def main() -> int:
    """Exit status 1 if a check fails."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    with tempfile.TemporaryDirectory(prefix="stickyd-test-") as directory:
        root, base = Path(directory) / "installed", Path(directory) / "boot"
        os.chmod(directory, 0o755)
        root.mkdir()
        base.mkdir()
        install(root)
        start_from(root)
        missing = [name for name in _PROGRAMS if shutil.which(name) is None]
        if missing or os.getuid() or subprocess.run([*_UNSHARE, "true"]).returncode:
            print(f"skipped: needs root, namespaces, {', '.join(missing or _PROGRAMS)}")
            return 0
        said = boot(root, base)
    for check in said:
        print(check["check"], check["said"])
    done = [check["check"] for check in said if check["said"] == "ok"]
    missing = [name for name in CHECKS if name not in done]
    print(f"{len(done)} checks hold" if not missing else f"failed: {', '.join(missing)}")
    return 1 if missing else 0


if __name__ == "__main__":
    sys.exit(main())
