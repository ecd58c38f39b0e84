"""TLS in processes of its own: the same rows, ends that keep their meaning, and its life."""

import contextlib
import hashlib
import json
import os
import re
import shutil
import signal
import socket
import ssl
import struct
import subprocess
import tempfile
import unittest
from pathlib import Path
from typing import Any

from OpenSSL import SSL

from stickyd.tls.groups import group_variables
from tests.integration.test_upgrade import upgrade
from tests.integration.test_verification import AFTER, BEFORE, CRLF1, CRLF2, MSG1, MSG2, rows, seen
from tests.support.authority import Authority
from tests.support.daemon import (
    Reader,
    at_rest,
    connected,
    read_all,
    request,
    wait_for,
    workers_in,
)
from tests.support.tls import PASSWORD, TlsClient, TlsDaemon

RESET = struct.pack("ii", 1, 0)
VERSIONS = (SSL.TLS1_2_VERSION, SSL.TLS1_3_VERSION)


def asked(client: TlsClient, data: bytes = b"") -> int:
    """The worker that answers a request on this connection."""
    client.sendall(data or request("10.10.10.10"))
    return Reader(client).response().worker


class Served(unittest.TestCase):
    """One daemon with twisted.web."""

    daemon: TlsDaemon

    @classmethod
    def setUpClass(cls) -> None:
        cls.daemon = TlsDaemon(
            *("--class", "stickyd_test_apps.Page", "--affinity-scope", "request"),
            *("--affinity", "insert(id),xff,src", "--head-timeout", "2", "--keep-alive", "2"),
        )
        cls.daemon.start()

    @classmethod
    def tearDownClass(cls) -> None:
        cls.daemon.__exit__(None, None, None)

    def settled(self) -> None:
        """No connection is left, of whatever process."""
        wait_for(lambda: self.daemon.report()["connections"]["open"] == 0, what="no connection")

    def test_versions_and_alpn(self) -> None:
        for version in VERSIONS:
            with self.daemon.secure(version=version, alpn=(b"h2", b"http/1.1")) as client:
                self.assertEqual(asked(client), 1)
                self.assertEqual(client.tls.get_alpn_proto_negotiated(), b"http/1.1")
        for how in ({"version": SSL.TLS1_1_VERSION}, {"alpn": (b"h2",)}):
            with self.assertRaises(SSL.Error):
                self.daemon.secure(**how)

    def test_groups(self) -> None:
        """Mozilla's, where no file of the system's says another thing."""
        for group, offered in (("prime256v1", True), ("X25519", True), ("secp521r1", False)):
            context = ssl.create_default_context(cafile=self.daemon.authority.cafile)
            try:
                context.set_ecdh_curve(group)
            except ssl.SSLError:
                # An OpenSSL that knows it by no curve.
                continue
            with self.daemon.connect() as sock, contextlib.ExitStack() as stack:
                if not offered and group_variables({}):
                    stack.enter_context(self.assertRaises(ssl.SSLError))
                context.wrap_socket(sock, server_hostname="localhost").close()

    def test_scheme_address_and_cookie(self) -> None:
        with self.daemon.secure() as client:
            port = client.socket.getsockname()[1]
            reader = Reader(client)
            client.sendall(b"GET /secure HTTP/1.1\r\nHost: a\r\n\r\n")
            answer = reader.response()
            self.assertEqual(answer.body, b"True 127.0.0.1 %d" % port)
            self.assertIn("Secure", answer.headers["set-cookie"])
            # A trusted proxy knows better, even one that itself uses TLS.
            client.sendall(b"GET /secure HTTP/1.1\r\nHost: a\r\nX-Forwarded-Proto: http\r\n\r\n")
            self.assertEqual(reader.response().body, b"False 127.0.0.1 %d" % port)

    def test_moves_keep_the_scheme(self) -> None:
        with self.daemon.secure() as client:
            reader, seen = Reader(client), set()
            for number in range(8):
                client.sendall(request(f"10.10.10.{number}", "/secure"))
                answer = reader.response()
                self.assertEqual(answer.body.split()[0], b"True")
                client.sendall(request(f"10.10.10.{number}"))
                seen.add(reader.response().body.split()[2])
            self.assertEqual(seen, {b"1", b"2"})

    def test_bodies_of_any_size(self) -> None:
        body = os.urandom(3 << 20)
        with self.daemon.secure() as client:
            reader = Reader(client)
            client.sendall(request("10.10.10.10", "/digest", "POST", body))
            told = hashlib.sha256(body).hexdigest().encode()
            self.assertEqual(reader.response().body.split()[3], told)
            client.sendall(request("10.10.10.10", f"/big?n={5 << 20}"))
            self.assertEqual(reader.response().body, b"b" * (5 << 20))

    def test_who_does_not_read_is_not_read_from(self) -> None:
        """What is held for a client stays bounded, in all processes together."""
        with self.daemon.secure() as client:
            client.sendall(request("10.10.10.10", "/stream?n=1024"))
            client.socket.settimeout(None)
            pids = self.daemon.family()
            before = at_rest(lambda: [_resident(pid) // 256 for pid in pids])
            # 64 MiB are asked for; kernel buffers hold a part of them.
            self.assertLess(sum(before) // 4, 400)
            left = 1024 << 16
            head = b""
            while b"\r\n\r\n" not in head:
                head += client.recv(65536)
            left = len(head.partition(b"\r\n\r\n")[2])
            while left < 1024 << 16:
                part = client.recv(65536)
                self.assertTrue(part)
                left += len(part)

    def test_ends_in_order(self) -> None:
        """By the server's wish, the client's, and the keep-alive time: close_notify each time."""
        for path in ("/close", "/hello"):
            with self.daemon.secure() as client:
                client.sendall(request("10.10.10.10", path))
                self.assertEqual(Reader(client).response().status, 200)
                self.assertEqual(client.read_all(), b"")
                self.assertTrue(client.closed_in_order, path)
        with self.daemon.secure() as client:
            client.sendall(b"GET /drip HTTP/1.0\r\n\r\n")
            client.half_close()
            self.assertEqual(client.read_all().count(b"line\n"), 5)
            self.assertTrue(client.closed_in_order)
        self.settled()

    def test_a_cut_answer_does_not_look_whole(self) -> None:
        with self.daemon.secure() as client:
            client.sendall(b"GET /cut HTTP/1.0\r\n\r\n")
            with contextlib.suppress(SSL.Error):
                client.read_all()
            self.assertFalse(client.closed_in_order)

    def test_truncated_by_the_client(self) -> None:
        """A FIN without close_notify: what was asked is answered."""
        with self.daemon.secure() as client:
            client.sendall(request("10.10.10.10", "/late"))
            client.socket.shutdown(socket.SHUT_WR)
            self.assertIn(b" late ", client.read_all())
        self.settled()

    def test_resets(self) -> None:
        for data in (b"", request("10.10.10.10", "/late?s=9"), request("1.1.1.1", "/stream")):
            client = self.daemon.secure()
            if data:
                client.sendall(data)
            client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
            client.socket.close()
        self.settled()

    def test_what_is_no_handshake(self) -> None:
        with self.daemon.connect() as sock:
            sock.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            answer = read_all(sock)
            self.assertTrue(answer.startswith(b"HTTP/1.1 400 "), answer)
            self.assertIn(b"this port speaks TLS: use https", answer)
        with self.daemon.connect() as sock:
            sock.sendall(b"\x16\x03\x01" + bytes(64))
            # An alert that ends it: level fatal.
            self.assertEqual(read_all(sock)[:1], b"\x15")
        with self.daemon.connect() as sock:
            self.assertEqual(read_all(sock), b"")

    @unittest.skipUnless(shutil.which("curl"), "curl is not installed")
    def test_curl(self) -> None:
        url = f"https://localhost:{self.daemon.port}/hello"
        curl = ["curl", "-sS", "--cacert", self.daemon.authority.cafile]
        curl += ["--resolve", f"localhost:{self.daemon.port}:127.0.0.1", url, url]
        found = subprocess.run(curl, capture_output=True, text=True, timeout=60, check=True)
        self.assertEqual(found.stdout.count("From worker"), 2)


def _resident(pid: int) -> int:
    """Pages in memory (proc_pid_statm(5))."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1])


class Kinds(unittest.TestCase):
    """The scheme that apps of other kinds see."""

    def told(self, *options: str, path: str) -> dict[str, object]:
        with TlsDaemon(*options, workers=1) as daemon, daemon.secure() as client:
            client.sendall(request("10.10.10.10", path))
            told: dict[str, object] = json.loads(Reader(client).response().body)
            return told

    def test_asgi(self) -> None:
        told = self.told("--asgi", "stickyd_asgi_apps:app", path="/scope_")
        self.assertEqual((told["scheme"], told["client"]), ("https", ["10.10.10.10", 0]))

    def test_wsgi(self) -> None:
        told = self.told("--wsgi", "stickyd_wsgi_apps:app", path="/told")
        self.assertEqual(told["wsgi.url_scheme"], "https")


class ClientCertificates(unittest.TestCase):
    def daemon(self, when: str, *options: str) -> TlsDaemon:
        daemon = TlsDaemon(*options)
        daemon.command += ["--ssl-ca-certs", daemon.authority.cafile, "--ssl-client-cert", when]
        return daemon

    def test_required_and_its_key(self) -> None:
        """The subject is the affinity key, in each scope, and what apps see, on moves too."""
        options = ("--affinity", "tls_client,src", "--wsgi", "stickyd_wsgi_apps:app")
        with self.daemon("required", *options) as daemon:
            # TLS 1.3 tells after the client's handshake.
            with self.assertRaises(SSL.Error), daemon.secure(version=VERSIONS[0]):
                pass
            with self.assertRaises(SSL.Error), daemon.secure() as client:
                asked(client)
            other = Authority(tempfile.mkdtemp(dir=daemon.directory.name))
            stranger = other.files("stranger", "stranger")
            with self.assertRaises(SSL.Error), daemon.secure(own=stranger) as client:
                client.sendall(request("10.10.10.10"))
                client.tls.recv(1)
            whose: dict[int, str] = {}
            for number in range(8):
                name = f"client{number}"
                paths = daemon.authority.files(name, name)
                slots = set()
                for version in VERSIONS:
                    with daemon.secure(version=version, own=paths) as client:
                        client.sendall(request(f"10.10.10.{number}", "/told"))
                        told = json.loads(Reader(client).response().body)
                        self.assertEqual(told["SSL_CLIENT_S_DN"], f"CN={name}")
                        slots.add(told["slot"])
                (slot,) = slots
                whose[slot] = name
            self.assertEqual(len(whose), 2)

    def test_optional(self) -> None:
        options = ("--asgi", "stickyd_asgi_apps:app", "--affinity-scope", "request")
        with self.daemon("optional", *options) as daemon:
            paths = daemon.authority.files("one", "one")
            with daemon.secure(own=paths) as known, daemon.secure() as unknown:
                upgrade(daemon)
                for number in range(8):
                    told = self.told(known, f"10.10.10.{number}")
                    self.assertEqual(told["extensions"]["tls"]["client_cert_name"], "CN=one")
                    self.assertEqual(told["extensions"]["tls"]["tls_version"], 0x0304)
                    told = self.told(unknown, f"10.10.10.{number}")
                    self.assertNotIn("tls", told.get("extensions", {}))
            with daemon.secure(own=paths) as client:
                self.assertEqual(self.told(client, "10.10.10.10")["scheme"], "https")

    def told(self, client: TlsClient, who: str) -> dict[str, Any]:
        client.sendall(request(who, "/scope_"))
        told: dict[str, Any] = json.loads(Reader(client).response().body)
        return told


class Life(unittest.TestCase):
    def test_certificates_and_processes(self) -> None:
        """Certificates are read anew, and a killed process is replaced."""
        daemon = TlsDaemon("--bind", "plain:127.0.0.1:0")
        twisted = f"ssl:0:interface=127.0.0.1:privateKey={daemon.key}:certKey={daemon.certificate}"
        daemon.command += ["--listen", twisted]
        with daemon, daemon.secure() as kept:
            self.check_description(daemon)
            self.assertEqual(seen(daemon, MSG1, MSG2), BEFORE)
            self.assertEqual(seen(daemon, CRLF1, CRLF2), BEFORE)
            asked(kept)
            self.check_renewal(daemon, kept)
            (where,) = (line for line in daemon.log if " is ready: " in line)
            with connected(int(where.rpartition(":")[2])) as plain:
                (pid,) = daemon.tls_pids()
                os.kill(pid, signal.SIGKILL)
                self.assertEqual(kept.read_all(), b"")
                self.assertFalse(kept.closed_in_order)
                plain.sendall(request("10.10.10.10"))
                self.assertEqual(Reader(plain).response().worker, 1)
            wait_for(lambda: daemon.tls_pids() not in ([], [pid]), what="another process")
            with daemon.secure() as client:
                self.assertEqual(asked(client), 1)
                self.assertNotEqual(client.serial, kept.serial)
            daemon.said("tls 1 ended by signal 9")

    def check_description(self, daemon: TlsDaemon) -> None:
        """The listener of ``ssl:`` is the first one."""
        (where,) = (line for line in daemon.log if " is ready: " in line)
        found = re.search(r"https://127\.0\.0\.1:(\d+)", where)
        assert found is not None, where
        self.assertNotEqual(int(found[1]), daemon.port)
        with TlsClient(connected(int(found[1])), daemon.authority.cafile) as client:
            self.assertEqual(asked(client), 1)

    def check_renewal(self, daemon: TlsDaemon, kept: TlsClient) -> None:
        whole = daemon.key.read_bytes()
        daemon.key.write_bytes(b"no key\n")
        daemon.process.send_signal(signal.SIGHUP)
        daemon.said(f"certificates stay as they are: {daemon.key}: no private key in PEM")
        with daemon.secure() as client:
            self.assertEqual(client.serial, kept.serial)
        daemon.key.write_bytes(whole)
        wait_for(lambda: daemon.report()["generation"] == 2, what="a reload")
        daemon.renew()
        daemon.process.send_signal(signal.SIGHUP)
        daemon.said("certificates are read anew")

        def new() -> bool:
            with daemon.secure() as client:
                return client.serial != kept.serial

        wait_for(new, what="another certificate")
        wait_for(lambda: daemon.report()["generation"] == 3, what="two reloads")
        # Neither reloads of the app nor of certificates have touched it.
        self.assertEqual(asked(kept), 1)

    def test_workers_that_end(self) -> None:
        options = ("--class", "stickyd_test_apps.Page", "--redirect-http", "127.0.0.1:0")
        with TlsDaemon(*options) as daemon:
            self.check_redirect(daemon)
            self.check_killed_worker(daemon)
            self.check_stop(daemon)

    def check_redirect(self, daemon: TlsDaemon) -> None:
        (where,) = (line for line in daemon.log if " is ready: " in line)
        port = int(where.rpartition(":")[2])
        for host, status in ((b"a.example", 308), (b"a.example:80", 308), (b"a%b", 400)):
            with connected(port) as sock:
                sock.sendall(b"POST /x?y=%20z HTTP/1.1\r\nHost: " + host + b"\r\n")
                sock.sendall(b"Content-Length: 3\r\n\r\nabc")
                reader = Reader(sock)
                answer = reader.response()
                self.assertEqual(answer.status, status)
                if status == 308:
                    expected = f"https://a.example:{daemon.port}/x?y=%20z"
                    self.assertEqual(answer.headers["location"], expected)
                self.assertTrue(reader.at_end())
        wait_for(lambda: daemon.report()["connections"]["open"] == 0, what="no connection")

    def check_killed_worker(self, daemon: TlsDaemon) -> None:
        """An idle connection goes on (the guardian); one that waits for an answer is cut."""
        with daemon.secure() as idle, daemon.secure() as waits:
            for client in (idle, waits):
                client.sendall(request("10.10.10.10"))
                self.assertEqual(Reader(client).response().status, 200)
            waits.sendall(request("10.10.10.10", "/late?s=60"))
            wait_for(lambda: daemon.report()["workers"]["requests"] == 3)
            os.kill(daemon.pids()[1], signal.SIGKILL)
            with contextlib.suppress(SSL.Error):
                self.assertEqual(waits.read_all(), b"")
            self.assertFalse(waits.closed_in_order)
            idle.sendall(request("10.10.10.10"))
            self.assertEqual(Reader(idle).response().status, 200)

    def check_stop(self, daemon: TlsDaemon) -> None:
        """What has begun is completed."""
        before = daemon.report()["workers"]["requests"]
        with daemon.secure() as idle, daemon.secure() as late, daemon.connect() as silent:
            idle.sendall(request("10.10.10.10"))
            self.assertEqual(Reader(idle).response().status, 200)
            late.sendall(request("10.10.10.10", "/late?s=1"))
            wait_for(lambda: daemon.report()["workers"]["requests"] == before + 2)
            daemon.process.send_signal(signal.SIGTERM)
            self.assertEqual(idle.read_all(), b"")
            self.assertTrue(idle.closed_in_order)
            self.assertIn(b" late ", late.read_all())
            self.assertTrue(late.closed_in_order)
            self.assertEqual(read_all(silent), b"")
            daemon.wait()

    def test_another_program_in_place(self) -> None:
        options = ("--tls-processes", "2", "--affinity-scope", "request")
        with TlsDaemon(*options) as daemon, daemon.secure() as kept:
            self.check_rows(daemon)
            self.check_listings(daemon)
            asked(kept)
            pids = daemon.tls_pids()
            upgrade(daemon)
            self.assertEqual(daemon.tls_pids(), pids)
            self.assertEqual(asked(kept), 1)
            os.kill(pids[0], signal.SIGKILL)
            wait_for(lambda: len(set(daemon.tls_pids()) - {pids[0]}) == 2, what="another process")
            self.check_rows(daemon)

    def check_rows(self, daemon: TlsDaemon) -> None:
        for first, second in ((MSG1, MSG2), (CRLF1, CRLF2)):
            self.assertEqual(seen(daemon, first, second), AFTER)
            for row, expected in zip(rows(first, second), AFTER, strict=True):
                pieces = [bytes([byte]) for byte in row]
                self.assertEqual(workers_in(daemon.exchange(row, pieces)), expected)

    def check_listings(self, daemon: TlsDaemon) -> None:
        """Secrets are in no command line and in no environment."""
        for pid in daemon.family():
            for name in ("cmdline", "environ"):
                listed = Path(f"/proc/{pid}/{name}").read_bytes()
                self.assertNotIn(PASSWORD, listed)
                self.assertNotIn(b"PRIVATE KEY", listed)
