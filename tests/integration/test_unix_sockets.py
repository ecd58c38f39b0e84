"""Unix sockets: who may open one, and whether its peers' word counts."""

import contextlib
import os
import socket
import stat
import tempfile
import unittest
from pathlib import Path

from twisted.python import usage

from stickyd.cli.validators import check_endpoint
from stickyd.net.listen_description import with_mode
from tests.integration.test_upgrade import upgrade
from tests.support.daemon import Daemon, Reader, request
from tests.unit.routing.test_client_address import XFF, ask

APP = ("--class", "stickyd_keys_app:Sessions")
CLIENT = ["IPv4Address", "203.0.113.7", 0]
NOBODY = ["UNIXAddress"]
"""No client but the peer, who has no address."""

HEADER = b"PROXY TCP4 203.0.113.7 192.0.2.1 4711 80\r\n"


class OnUnix(unittest.TestCase):
    """Daemons that listen on a Unix socket."""

    def setUp(self) -> None:
        directory = tempfile.TemporaryDirectory(prefix="stickyd-test-")
        self.addCleanup(directory.cleanup)
        self.directory = Path(directory.name)
        self.path = str(self.directory / "http")

    def daemon(self, *options: str, listen: str = "", **environment: str) -> Daemon:
        listen = listen or f"unix:{self.path}"
        return Daemon(*APP, *options, workers=1, listen=listen, environment=environment)

    def connect(self) -> socket.socket:
        sock = socket.socket(socket.AF_UNIX)
        self.addCleanup(sock.close)
        sock.settimeout(10)
        sock.connect(self.path)
        return sock


class Trusted(OnUnix):
    """A Unix peer is trusted where the list that holds has ``unix`` in it."""

    def check(self, client: list[object], *options: str, **environment: str) -> None:
        with self.daemon(*options, **environment) as daemon, self.connect() as sock:
            told = ask(sock, [XFF, "X-Forwarded-Proto: https"])
            # The peer itself comes with its path, None.
            self.assertEqual(told["client"][: len(client)], client)
            self.assertEqual(told["secure"], client == CLIENT)
            counters = daemon.report()["master"]["handed_off"]["1"]
            self.assertEqual(counters, {"xff" if client == CLIENT else "none": 1})
        # All of the log is read when the daemon has ended.
        warned = [line for line in daemon.log if "does not name unix" in line]
        self.assertEqual(len(warned), client == NOBODY, daemon.log)

    def test_by_default(self) -> None:
        self.check(CLIENT)

    def test_not_by_a_list_without_it(self) -> None:
        self.check(NOBODY, "--forwarded-allow-ips", "127.0.0.1,::1,10.0.0.0/8")

    def test_by_a_list_with_it(self) -> None:
        self.check(CLIENT, "--forwarded-allow-ips", "10.0.0.0/8, unix")

    def test_by_everyone(self) -> None:
        self.check(CLIENT, "--forwarded-allow-ips", "*")

    def test_not_by_an_empty_list(self) -> None:
        self.check(NOBODY, "--forwarded-allow-ips", "")

    def test_the_environment_is_a_list_too(self) -> None:
        self.check(NOBODY, FORWARDED_ALLOW_IPS="127.0.0.1")


class ProxyHeaders(OnUnix):
    """The same for those who may, and must, send a PROXY header."""

    def check(self, allowed: bool, *options: str) -> None:
        options = ("--proxy-protocol", "v1", *options)
        header = HEADER + request("10.10.10.10", "/client")
        with self.daemon(*options) as daemon, self.connect() as sock:
            if allowed:
                sock.sendall(header)
                self.assertEqual(Reader(sock).response().status, 200)
            else:
                # Closed with the header unread, or before it came: a reset, or EPIPE (unix(7)).
                with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                    sock.sendall(header)
                    self.assertEqual(sock.recv(1), b"")
                self.assertEqual(daemon.report()["master"]["refused"], {"proxy": 1})
        # All of the log is read when the daemon has ended.
        warned = [line for line in daemon.log if "does not name unix" in line]
        self.assertEqual(len(warned), not allowed, daemon.log)

    def test_by_default(self) -> None:
        self.check(True)

    def test_not_by_a_list_without_it(self) -> None:
        self.check(False, "--proxy-allow-from", "127.0.0.1,10.0.0.0/8")

    def test_not_by_the_other_list_without_it(self) -> None:
        self.check(False, "--forwarded-allow-ips", "10.0.0.0/8")

    def test_by_a_list_with_it(self) -> None:
        self.check(True, "--proxy-allow-from", "unix", "--forwarded-allow-ips", "10.0.0.0/8")


class Mode(OnUnix):
    def modes(self) -> dict[str, int]:
        return {
            path.name: stat.S_IMODE(path.stat().st_mode)
            for path in self.directory.iterdir()
            if path.is_socket()
        }

    def test_owner_and_group_unless_said_otherwise(self) -> None:
        others = ("own:mode=600", "all:mode=0666", "second:640", "mode=400:address={}/first")
        listen = [f"unix:{text if '{}' in text else '{}/' + text}" for text in others]
        more = [word for text in listen for word in ("--listen", text.format(self.directory))]
        daemon = self.daemon(*more)
        # As services often have it; what is asked for holds all the same.
        daemon.umask = 0o077
        modes = {"http": 0o660, "own": 0o600, "all": 0o666, "second": 0o640, "first": 0o400}
        with daemon:
            self.assertEqual(self.modes(), modes)
            # Another program in the master's place changes nothing of it.
            os.chmod(self.path, 0o606)
            upgrade(daemon)
            self.assertEqual(self.modes(), modes | {"http": 0o606})
        self.assertEqual(os.listdir(self.directory), [])

    def test_the_group_is_that_of_a_directory_which_hands_it_on(self) -> None:
        group = max(os.getgroups()) if os.getuid() else 12345
        os.chown(self.directory, -1, group)
        os.chmod(self.directory, 0o2750)
        with self.daemon():
            about = os.stat(self.path)
            self.assertEqual((about.st_gid, stat.S_IMODE(about.st_mode)), (group, 0o660))


class Description(unittest.TestCase):
    def test_a_mode_is_added_where_there_is_none(self) -> None:
        for given, whole in (
            ("unix:/run/http", "unix:/run/http:mode=660"),
            ("unix:/a\\:mode=6", "unix:/a\\:mode=6:mode=660"),
            ("unix:/a\\\\:backlog=9", "unix:/a\\\\:backlog=9:mode=660"),
            ("unix:address=/run/http", "unix:address=/run/http:mode=660"),
            ("unix:/a:lockfile=0", "unix:/a:lockfile=0:mode=660"),
            ("unix:/a:mode=600", "unix:/a:mode=600"),
            ("unix:mode=600:/a", "unix:mode=600:/a"),
            ("unix:/a:600", "unix:/a:600"),
            ("unix:/a:600:5", "unix:/a:600:5"),
            ("unix", "unix"),
            ("tcp:3000", "tcp:3000"),
            ("systemd:domain=UNIX:index=0", "systemd:domain=UNIX:index=0"),
        ):
            self.assertEqual(with_mode(given), whole)

    def test_what_is_no_mode(self) -> None:
        for mode in ("888", "rw", "", "-1", "1777", "0b11", "6 6"):
            for text in (f"unix:/a:mode={mode}", f"unix:/a:{mode or 'x'}"):
                with self.assertRaises(usage.UsageError, msg=text) as caught:
                    check_endpoint(text)
                self.assertRegex(str(caught.exception), r"\A--listen: .*octal.*660\Z")
