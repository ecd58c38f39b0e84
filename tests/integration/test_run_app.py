"""``stickyd run pkg.mod:app``: the kind of the app, and where options come from."""

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

from tests.support.daemon import ROOT, Daemon, Reader, request, wait_for

APPS = str(ROOT / "tests" / "apps")
MODULE = "stickyd_run_apps"


def body(daemon: Daemon) -> bytes:
    with daemon.connect() as sock:
        sock.sendall(request("10.0.0.1"))
        return Reader(sock).response().body


class Kinds(unittest.TestCase):
    def test_each(self) -> None:
        for name, kind in (
            ("asgi", b"asgi"),
            ("wsgi", b"wsgi"),
            ("create('asgi')", b"asgi"),
            ("create(page=True)", b"class"),
        ):
            with self.subTest(name), Daemon(f"{MODULE}:{name}", workers=1) as daemon:
                self.assertEqual(body(daemon), kind + b" None None")

    def test_factory(self) -> None:
        with Daemon(f"{MODULE}:create", "--factory", workers=1) as daemon:
            self.assertEqual(body(daemon), b"wsgi None None")

    def refused(self, *words: str) -> list[str]:
        ended = subprocess.run(
            [sys.executable, "-m", "stickyd", *words],
            capture_output=True,
            text=True,
            timeout=30,
            env={**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{APPS}"},
        )
        self.assertEqual((ended.returncode, ended.stdout), (1, ""))
        return ended.stderr.splitlines()

    def test_none(self) -> None:
        uncertain = f"{MODULE}:uncertain"
        says = f"stickyd: cannot tell what {uncertain} is: name it with --asgi, --wsgi or --class"
        self.assertEqual(self.refused("run", uncertain), [says])
        self.assertEqual(self.refused("check", "--load", uncertain), [says])
        (line,) = self.refused("run", f"{MODULE}:nothing")
        self.assertIn(f"stickyd: cannot load {MODULE}:nothing: AttributeError", line)


class Places(unittest.TestCase):
    def test_a_file_a_directory_and_variables(self) -> None:
        with tempfile.TemporaryDirectory() as name, contextlib.ExitStack() as stack:
            directory = Path(name)
            (directory / "src").mkdir()
            text = (Path(APPS) / f"{MODULE}.py").read_text()
            (directory / "src" / "there.py").write_text(text)
            (directory / "env").write_text("OF_FILE='a b'\nOF_BOTH=file\n")
            (directory / "stickyd.toml").write_text(
                'wsgi = "there:wsgi"\napp-dir = "src"\nenv_file = "env"\nworkers = 3\n'
                'worker-header = "X-File"\n'
            )
            daemon = stack.enter_context(
                Daemon(
                    workers=1,
                    cwd=name,
                    environment={"OF_BOTH": "own", "STICKYD_WORKER_HEADER": "X-Variable"},
                )
            )
            with daemon.connect() as sock:
                sock.sendall(request("10.0.0.1"))
                answer = Reader(sock).response()
            self.assertEqual(answer.body, b"wsgi a b own")
            self.assertEqual(answer.headers.get("x-variable"), "1")
            before = daemon.pids()
            # The command line before the file.
            self.assertEqual(list(before), [1])
            # Read again for each new worker.
            (directory / "env").write_text("OF_FILE=new\n")
            daemon.process.send_signal(signal.SIGHUP)
            wait_for(lambda: daemon.pids() not in ({}, before), what="a new worker")
            self.assertEqual(body(daemon), b"wsgi new own")
