"""What goes wrong at the start is one clear line, and nothing is left behind."""

import contextlib
import io
import os
import socket
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

from stickyd.cli.main import main
from tests.support.daemon import ROOT, Daemon, free_port

ENVIRONMENT = {**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'tests' / 'apps'}"}


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "stickyd", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=30, env=ENVIRONMENT)


class WrongOptions(unittest.TestCase):
    def check_one_line(self, *arguments: str, says: str) -> None:
        ended = run("run", *arguments)
        self.assertEqual(ended.returncode, 2, ended)
        self.assertEqual(len(ended.stderr.splitlines()), 1, ended.stderr)
        self.assertIn(says, ended.stderr)
        self.assertEqual(ended.stdout, "")

    def test_each_names_the_option(self) -> None:
        for arguments, says in (
            (["--affinity", "xff,moon"], "moon"),
            (["--listen", "moon:3000"], "moon"),
            (["--unknown"], "unknown"),
        ):
            self.check_one_line(*arguments, says=says)

    def test_each_names_the_option_without_a_process_of_its_own(self) -> None:
        for arguments, says in (
            (["--workers", "0"], "--workers"),
            (["--workers", "many"], "--workers"),
            (["--seed", "x"], "--seed"),
            (["--seed", "@/nonexistent/seed"], "--seed"),
            (["--seed", "-1"], "--seed"),
            (["--affinity-scope", "galaxy"], "galaxy"),
            (["--hash", "md5"], "md5"),
            (["--forwarded-allow-ips", "10.0.0.0/33"], "10.0.0.0/33"),
            (["--forwarded-allow-ips", "proxy.example"], "proxy.example"),
            # The file that Twisted takes if none is named.
            (["--listen", "ssl:3000"], "server.pem: No such file or directory"),
            (["--keep-alive", "-1"], "--keep-alive"),
            (["--head-timeout", "soon"], "--head-timeout"),
            (["--limit-request-head", "4096"], "--limit-request-head"),
            (["--worker-header", "no good"], "--worker-header"),
            (["main:app", "main:b"], "'main:b': the workers run one app, 'main:app'"),
            (["main:app", "--wsgi", "a:b"], "--wsgi and 'main:app': the workers run one app"),
            (["--worker-class", "x"], "--worker-class: no such option; --asgi, --wsgi or --class"),
            (["--bind", "moon"], "--bind: 'moon' is not HOST:PORT"),
            (["--bind", ":80", "--port", "80"], "--port goes with neither --bind nor --listen"),
            (["--host", "moon"], "--host: 'moon' is no IP address"),
            (["--port", "http"], "--port: 'http' is not a whole number"),
            (["--config", "/nonexistent"], "--config: /nonexistent: No such file or directory"),
            (["--env-file", "/nonexistent"], "--env-file: cannot read it"),
            (["--app-dir", "/nonexistent"], "--app-dir: '/nonexistent' is not a directory"),
            (["--factory"], "--factory goes with --asgi, --wsgi or --class only"),
            (["--listen", "127.0.0.1:3000"], "did you mean tcp:3000:interface=127.0.0.1?"),
            (["--listen", "tcp:127.0.0.1:80"], "did you mean tcp:80:interface=127.0.0.1?"),
            (["--listen", "localhost:80"], "did you mean tcp:80:interface=localhost?"),
            (["--listen", "http://10.0.0.1:80/"], "did you mean tcp:80:interface=10.0.0.1?"),
            (["--listen", ":3000"], "did you mean tcp:3000?"),
            (["--listen", "3000"], "did you mean tcp:3000?"),
            (["--listen", "[::1]:80"], r"did you mean 'tcp6:80:interface=\:\:1'?"),
            (["--listen", "tcp:80:interface=::1"], r"did you mean 'tcp6:80:interface=\:\:1'?"),
            (["--listen", "/run/x.sock"], "did you mean unix:/run/x.sock?"),
            (["--listen", "tcp"], "tcp:PORT"),
            (["--listen", "tcp:http"], "tcp:PORT"),
            (["--listen", "tcp:65536"], "port 65536"),
            (["--listen", "tcp6:port=-1"], "port -1"),
            (["--listen", "unix:"], "unix:PATH"),
            (["--listen", ""], "tcp:PORT"),
        ):
            out, err = io.StringIO(), io.StringIO()
            with (
                contextlib.redirect_stdout(out),
                contextlib.redirect_stderr(err),
                self.assertRaises(SystemExit) as ended,
            ):
                main(["run", *arguments])
            self.assertEqual((ended.exception.code, out.getvalue()), (2, ""), arguments)
            self.assertEqual(len(err.getvalue().splitlines()), 1, err.getvalue())
            self.assertIn(says, err.getvalue())

    def test_the_same_through_twistd(self) -> None:
        twistd = os.path.join(os.path.dirname(sys.executable), "twistd")
        ended = subprocess.run(
            [twistd, "-n", "--pidfile=", "stickyd", "--workers", "0"],
            capture_output=True,
            text=True,
            timeout=30,
            env=ENVIRONMENT,
        )
        self.assertEqual((ended.returncode, ended.stdout), (2, ""))
        self.assertEqual(len(ended.stderr.splitlines()), 1, ended.stderr)

    def test_what_was_meant_is_right(self) -> None:
        """What the lines above propose is taken."""
        for description in (
            "tcp:3000:interface=127.0.0.1",
            "tcp:80:interface=localhost",
            r"tcp6:80:interface=\:\:1",
            "unix:/run/x.sock",
        ):
            out = io.StringIO()
            with contextlib.redirect_stdout(out):
                self.assertEqual(main(["check", "--listen", description]), 0)

    def test_help_says_how_to_use_it(self) -> None:
        for command in ("run", "check", "explain", "verify"):
            out = io.StringIO()
            with contextlib.redirect_stdout(out), self.assertRaises(SystemExit) as ended:
                main([command, "--help"])
            self.assertIn(ended.exception.code, (0, None))
            first = out.getvalue().splitlines()[0]
            self.assertTrue(first.startswith(f"Usage: stickyd {command} "), first)
        twistd = os.path.join(os.path.dirname(sys.executable), "twistd")
        said = subprocess.run([twistd, "stickyd", "--help"], capture_output=True, text=True)
        self.assertEqual(said.stdout.splitlines()[0], "Usage: twistd [options] stickyd [options]")

    def test_unknown_command(self) -> None:
        ended = run("fly")
        self.assertEqual((ended.returncode, ended.stdout), (2, ""))
        self.assertEqual(len(ended.stderr.splitlines()), 1)


class CannotStart(unittest.TestCase):
    def check_says(self, *options: str, says: str, port: int | None = None) -> str:
        listen = f"tcp:{port or free_port()}:interface=127.0.0.1"
        ended = run("run", "--workers", "2", "--listen", listen, *options)
        self.assertEqual(ended.returncode, 1, ended)
        self.assertEqual(len(ended.stderr.splitlines()), 1, ended.stderr)
        self.assertIn(says, ended.stderr)
        self.assertNotIn("Traceback", ended.stdout)
        return ended.stderr

    def test_app_that_does_not_exist(self) -> None:
        self.check_says("--class", "no.such.Thing", says="No module named 'no'")

    def test_what_keeps_it_from_starting_is_said_once(self) -> None:
        """On a terminal, or in a journal, where both streams lead to the same place."""
        command = [sys.executable, "-m", "stickyd", "run", "--class", "no.such"]
        for error, times in ((subprocess.STDOUT, 1), (subprocess.PIPE, 2)):
            ended = subprocess.run(
                [*command, "--workers", "1", "--listen", f"tcp:{free_port()}"],
                stdout=subprocess.PIPE,
                stderr=error,
                text=True,
                timeout=30,
                env=ENVIRONMENT,
            )
            self.assertEqual(ended.returncode, 1)
            said = ended.stdout + (ended.stderr or "")
            self.assertEqual(said.count("cannot load --class no.such"), times, said)

    def test_twistd_with_a_log_file_says_it_on_stderr_too(self) -> None:
        with tempfile.TemporaryDirectory() as directory:
            twistd = os.path.join(os.path.dirname(sys.executable), "twistd")
            command = [twistd, "-n", "--pidfile=", "--logfile=log", "stickyd", "--class", "no.such"]
            ended = subprocess.run(
                [*command, "--workers", "1", "--listen", f"tcp:{free_port()}"],
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                timeout=30,
                env=ENVIRONMENT,
                cwd=directory,
            )
            self.assertEqual(ended.stdout.count("cannot load --class no.such"), 1, ended.stdout)
            self.assertIn("cannot load --class no.such", Path(directory, "log").read_text())

    def test_app_name_without_module(self) -> None:
        self.check_says("--class", "Thing", says="pkg.mod:name")

    def test_app_without_that_name(self) -> None:
        self.check_says("--class", "stickyd_test_apps:Nothing", says="Nothing")

    def test_app_that_raises_tells_where_on_one_line(self) -> None:
        line = self.check_says(
            "--class", "stickyd_test_apps:broken", says="RuntimeError: this app does not load"
        )
        self.assertIn("stickyd_test_apps.py:", line)

    def test_app_that_is_no_resource(self) -> None:
        self.check_says("--class", "stickyd_test_apps:NOT_A_RESOURCE", says="--class")

    def test_app_that_ends_the_process(self) -> None:
        self.check_says("--class", "stickyd_test_apps:exits", says="exit code 3")

    def test_sockets_that_systemd_did_not_pass(self) -> None:
        for which in ("index=0", "name=http"):
            listen = f"systemd:domain=INET:{which}"
            self.check_says("--listen", listen, says=f"cannot listen on {listen}: systemd has")

    def test_port_that_is_taken(self) -> None:
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            self.check_says(says="cannot listen", port=taken.getsockname()[1])

    def test_control_path_that_cannot_be(self) -> None:
        self.check_says("--control", "/nonexistent/control", says="/nonexistent/control")


class Listening(unittest.TestCase):
    def test_unix_socket_is_removed_at_the_end(self) -> None:
        daemon = Daemon()
        path = os.path.join(daemon.directory.name, "http")
        daemon.command[daemon.command.index("--listen") + 1] = f"unix:{path}"
        with daemon:
            with socket.socket(socket.AF_UNIX) as sock:
                sock.settimeout(10)
                sock.connect(path)
                sock.sendall(b"GET / HTTP/1.0\r\nX-Forwarded-For: 10.10.12.11\r\n\r\n")
                answer = sock.recv(65536)
            self.assertIn(b"From worker 2 ", answer)
            self.assertEqual(daemon.stop(), -15)
            self.assertEqual(os.listdir(daemon.directory.name), [])

    def test_ipv6(self) -> None:
        daemon = Daemon()
        daemon.command[daemon.command.index("--listen") + 1] = (
            f"tcp6:{daemon.port}:interface=\\:\\:1"
        )
        with daemon, socket.create_connection(("::1", daemon.port), 10) as sock:
            sock.sendall(b"GET / HTTP/1.0\r\nX-Forwarded-For: 10.10.12.11\r\n\r\n")
            self.assertIn(b"From worker 2 ", sock.recv(65536))

    def test_a_socket_that_systemd_passes(self) -> None:
        """As sd_listen_fds(3) says: from descriptor 3 on, for this process id."""
        with socket.socket() as listening:
            listening.bind(("127.0.0.1", 0))
            listening.listen()
            daemon = Daemon()
            daemon.port = listening.getsockname()[1]
            at = daemon.command.index("--listen") + 1
            daemon.command[at] = "systemd:domain=INET:index=0"
            passed = "export LISTEN_PID=$$ LISTEN_FDS=1 LISTEN_FDNAMES=http; "
            passed += f"exec 3<&{listening.fileno()}"
            daemon.command = ["bash", "-c", f'{passed}; exec "$@"', "bash", *daemon.command]
            daemon.pass_fds = (listening.fileno(),)
            with daemon:
                answer = daemon.exchange(b"GET / HTTP/1.0\r\nX-Forwarded-For: 10.10.12.11\r\n\r\n")
                self.assertIn(b"From worker 2 ", answer)

    def test_two_listeners(self) -> None:
        other = free_port()
        with Daemon("--listen", f"tcp:{other}:interface=127.0.0.1") as daemon:
            for port in (daemon.port, other):
                with socket.create_connection(("127.0.0.1", port), 10) as sock:
                    sock.sendall(b"GET / HTTP/1.0\r\nX-Forwarded-For: 10.10.12.11\r\n\r\n")
                    self.assertIn(b"From worker 2 ", sock.recv(65536))
