"""Root's rights: used for binding, gone before an app is loaded."""

import atexit
import contextlib
import functools
import grp
import json
import os
import pwd
import shutil
import signal
import subprocess
import sys
import sysconfig
import tempfile
import unittest
from pathlib import Path
from typing import Any

from tests.integration.test_start import run
from tests.support.daemon import ROOT, Daemon, Reader, free_port, request, wait_for

NOBODY = pwd.getpwnam("nobody").pw_uid
NOGROUP = grp.getgrnam("nogroup").gr_gid
SEARCH = os.pathsep.join(
    [str(ROOT), str(ROOT / "tests" / "apps"), sysconfig.get_path("purelib")],
)

TWISTD = ["-c", "from twisted.scripts.twistd import run; run()", "-n", "--pidfile="]
WITH_GROUPS = "import os, sys; os.setgroups([0, 4]); os.execv(sys.argv[1], sys.argv[1:])"


@functools.cache
def reachable_python() -> str | None:
    """An interpreter that nobody may run, with what the daemon imports; root's may be hidden."""
    if _works(sys.executable):
        return sys.executable
    directory = tempfile.mkdtemp(prefix="stickyd-test-")
    atexit.register(shutil.rmtree, directory)
    os.chmod(directory, 0o755)
    # Without the distribution's packages: they may be others than ours.
    create = ["/usr/bin/python3", "-m", "venv", "--without-pip", directory]
    python = f"{directory}/bin/python"
    with contextlib.suppress(OSError):
        if subprocess.run(create, capture_output=True).returncode == 0 and _works(python):
            return python
    return None


def _works(python: str) -> bool:
    with contextlib.suppress(OSError):
        tried = subprocess.run(
            [
                python,
                "-c",
                "import stickyd.master.service, stickyd.worker.apps.web, cryptography.x509",
            ],
            user=NOBODY,
            group=NOGROUP,
            extra_groups=[],
            env={"PYTHONPATH": SEARCH},
            capture_output=True,
            cwd="/",
        )
        return tried.returncode == 0
    return False


def owner_of_listener(port: int) -> int:
    """The user who made a listening socket (proc_pid_net(5): ``tcp``)."""
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        fields = line.split()
        if fields[1].endswith(f":{port:04X}") and fields[3] == "0A":
            return int(fields[7])
    raise AssertionError(f"nobody listens on {port}")


def ids(pid: int) -> dict[str, list[int]]:
    """Real, effective, saved and file system ids, and groups (proc_pid_status(5))."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    fields = dict(line.split(":", 1) for line in lines)
    return {name: list(map(int, fields[name].split())) for name in ("Uid", "Gid", "Groups")}


@unittest.skipIf(os.getuid(), "only root has rights to give up")
class Dropping(unittest.TestCase):
    def setUp(self) -> None:
        python = reachable_python()
        if python is None:
            self.skipTest("the user nobody can reach no Python with Twisted")
        self.python = python

    def daemon(self, command: list[str], *options: str, port: int | None = None) -> Daemon:
        daemon = Daemon(
            *("--class", "stickyd_whoami_app:App", *options),
            command=[self.python, "-c", WITH_GROUPS, self.python, "-W", "error", *command],
            listen=f"tcp:{port}:interface=127.0.0.1" if port else None,
            environment={"PYTHONPATH": SEARCH},
        )
        if port is not None:
            daemon.port = port
        # The control socket is the user's to make and to remove.
        os.chown(daemon.directory.name, NOBODY, NOGROUP)
        return daemon

    def ask(self, daemon: Daemon) -> Any:
        with daemon.connect() as sock:
            sock.sendall(request("10.10.10.10"))
            return json.loads(Reader(sock).response().body)

    def check_all_gone(self, *command: str) -> None:
        port = free_port(privileged=True)
        daemon = self.daemon(list(command), port=port)
        path = os.path.join(daemon.directory.name, "http")
        daemon.command += ["--listen", f"unix:{path}"]
        with daemon:
            for pid in daemon.family():
                self.assertEqual(
                    ids(pid), {"Uid": [NOBODY] * 4, "Gid": [NOGROUP] * 4, "Groups": [NOGROUP]}
                )
            self.assertEqual(owner_of_listener(port), 0)
            made = os.stat(path)
            self.assertEqual((made.st_uid, made.st_gid), (NOBODY, NOGROUP))
            self.assertEqual(made.st_mode & 0o777, 0o660)
            at_import = self.ask(daemon)
            self.assertEqual(at_import["uids"], [NOBODY] * 3)
            self.assertEqual(at_import["gids"], [NOGROUP] * 3)
            self.assertEqual(at_import["groups"], [NOGROUP])
            daemon.stop()
            self.assertEqual(os.listdir(daemon.directory.name), [])
            log = "\n".join(daemon.log)
            self.assertNotIn("runs as root", log)

    def test_twistd_uid_and_gid(self) -> None:
        drop = ("--uid=nobody", "--gid=nogroup")
        self.check_all_gone(*TWISTD, *drop, "stickyd")

    def test_stickyd_run_uid(self) -> None:
        self.check_all_gone("-m", "stickyd", "run", "--uid", "nobody")

    def test_rights_that_are_gone_cannot_be_given_up_again(self) -> None:
        """So the program is not replaced: the new one would fail, and there is no way back."""
        with self.daemon(["-m", "stickyd", "run", "--uid", "nobody"]) as daemon:
            daemon.process.send_signal(signal.SIGUSR2)
            wait_for(
                lambda: "has given up root's rights" in "\n".join(daemon.log), what="the refusal"
            )
            self.assertEqual(self.ask(daemon)["uids"], [NOBODY] * 3)

    def test_an_effective_user_leaves_the_app_no_way_back(self) -> None:
        """The master keeps root as its real user, as twistd's --euid says; workers do not."""
        drop = ("--uid=nobody", "--gid=nogroup", "--euid")
        with self.daemon([*TWISTD, *drop, "stickyd"], port=free_port(privileged=True)) as daemon:
            master, *workers = daemon.family()
            self.assertEqual(ids(master)["Uid"], [0, NOBODY, 0, NOBODY])
            for pid in workers:
                self.assertEqual(
                    ids(pid), {"Uid": [NOBODY] * 4, "Gid": [NOGROUP] * 4, "Groups": [NOGROUP]}
                )
            self.assertEqual(self.ask(daemon)["uids"], [NOBODY] * 3)

    def test_check_loads_the_app_as_that_user(self) -> None:
        with tempfile.TemporaryDirectory() as directory:
            os.chmod(directory, 0o755)
            Path(directory, "who.py").write_text(
                "import os\nprint('ids', os.getresuid(), os.getresgid(), os.getgroups())\n"
                "from twisted.web.resource import Resource as Page\n"
            )
            check = ["-m", "stickyd", "check", "--load", "--class", "who:Page"]
            ended = subprocess.run(
                [self.python, *check, "--uid", "nobody"],
                capture_output=True,
                text=True,
                timeout=60,
                env={**os.environ, "PYTHONPATH": SEARCH},
                cwd=directory,
            )
        self.assertEqual(ended.returncode, 0, ended)
        ids = f"ids {(NOBODY,) * 3} {(NOGROUP,) * 3} {[NOGROUP]}"
        self.assertIn(ids, ended.stderr)

    def test_a_socket_file_where_the_user_may_not_write(self) -> None:
        daemon = self.daemon(["-m", "stickyd", "run", "--uid", "nobody"])
        self.addCleanup(daemon.directory.cleanup)
        os.chown(daemon.directory.name, 0, 0)
        daemon.start(wait=False)
        self.assertEqual(daemon.wait(), 1)
        self.assertIn("stickyd: cannot listen on " + daemon.control, "\n".join(daemon.log))

    def test_staying_root_is_told(self) -> None:
        with Daemon() as daemon:
            daemon.stop()
            self.assertIn("runs as root", "\n".join(daemon.log))


class Wrong(unittest.TestCase):
    def test_each_names_the_option(self) -> None:
        for arguments, says in (
            (["--uid", "no-such-user"], "--uid"),
            (["--uid", "nobody", "--gid", "no-such-group"], "--gid"),
            (["--uid", "nobody", "--gid", "-1"], "--gid"),
            (["--gid", "nogroup"], "--uid"),
        ):
            ended = run("run", *arguments)
            self.assertEqual((ended.returncode, ended.stdout), (2, ""), ended)
            self.assertEqual(len(ended.stderr.splitlines()), 1, ended.stderr)
            self.assertIn(says, ended.stderr)
