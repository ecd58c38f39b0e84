"""Which app the workers run: options, Klein, files, and what a 500 shows."""

import contextlib
import io
import os
import sys
import tempfile
import unittest
import urllib.parse

from stickyd.cli.options import Options
from stickyd.errors import CannotLoad
from stickyd.settings import AppSettings, Settings
from stickyd.worker.apps.loader import load_app
from stickyd.worker.apps.loaders.web import WebApp
from tests.support import shared
from tests.support.daemon import ROOT, Daemon, Reader, request


class Choice(unittest.TestCase):
    def refused(self, *arguments: str) -> str:
        said = io.StringIO()
        with contextlib.redirect_stderr(said), self.assertRaises(SystemExit) as ended:
            Options().parseOptions(list(arguments))
        self.assertEqual(ended.exception.code, 2)
        self.assertEqual(len(said.getvalue().splitlines()), 1)
        return said.getvalue()

    def test_what_is_wrong_is_one_line_that_names_the_option(self) -> None:
        for arguments, says in (
            (["--class", "a.b", "--wsgi", "a.b"], "--class and --wsgi"),
            (["--asgi", "a:b", "--path", "."], "--asgi and --path"),
            (["--path", "/nonexistent"], "--path"),
            (["--path", __file__], "--path"),
            (["--wsgi", ""], "--wsgi"),
            (["--wsgi", "a:b", "--threads", "0"], "--threads"),
            (["--wsgi", "a:b", "--threads", "many"], "--threads"),
            (["--asgi", "a:b", "--threads", "4"], "--threads goes with --wsgi"),
            (["--threads", "4"], "--threads goes with --wsgi"),
            (["--path", ".", "--factory"], "--factory goes with --asgi"),
            (["--class", "a:b", "--root-path", "/x"], "--root-path goes with --asgi"),
            (["--asgi", "a:b", "--root-path", "x"], "--root-path"),
            (["--asgi", "a:b", "--root-path", "/x//"], "--root-path"),
            (["--asgi", "a:b", "--root-path", "/x y"], "--root-path"),
            (["--reload-dir", "."], "--reload-dir goes with --reload"),
            (["--reload-include", "*"], "--reload-include goes with --reload"),
            (["--reload", "--reload-exclude", ""], "--reload-exclude has an empty value"),
            (["--asgi", "a:b", "--loop", "x"], "--loop: 'x' is none of auto, asyncio, uvloop"),
            (["--wsgi", "a:b", "--loop", "asyncio"], "--loop goes with --asgi"),
            (["--reload", "--reload-dir", "/nonexistent"], "--reload-dir"),
        ):
            self.assertIn(says, self.refused(*arguments))

    def test_what_is_right(self) -> None:
        options = Options()
        options.parseOptions(["--asgi", "a:b", "--factory", "--root-path", "/a/b/"])
        settings = options.settings
        self.assertEqual(
            (settings.app.kind, settings.app.name, settings.app.origin.factory),
            ("asgi", "a:b", True),
        )
        self.assertEqual(settings.app.root_path, "/a/b")
        options = Options()
        options.parseOptions(["--path", "."])
        self.assertEqual(options.settings.app, AppSettings("path", os.getcwd()))
        options = Options()
        options.parseOptions([])
        self.assertEqual(options.settings.app, AppSettings("demo", "", threads=8))
        self.assertEqual(options.settings.app.reload.directories, ())

    def test_what_is_watched(self) -> None:
        for arguments, watched in (
            (["--reload"], (os.getcwd(),)),
            (["--reload", "--reload-dir", "/tmp", "--reload-dir", "."], ("/tmp", os.getcwd())),
        ):
            options = Options()
            options.parseOptions(arguments)
            self.assertEqual(options.settings.app.reload.directories, watched)
            self.assertEqual(Settings.from_json(options.settings.to_json()), options.settings)


class KleinApps(shared.Shared):
    options = ("--class", "stickyd_klein_app:app", "--display-tracebacks")

    def test_an_app_object_of_klein(self) -> None:
        self.assertEqual(self.ask(request("10.10.12.11", "/you")).body, b"From worker 2 hello you")

    def test_tracebacks_in_the_page_for_who_asks_for_it(self) -> None:
        response = self.ask(request("10.10.12.11", "/boom"))
        self.assertEqual(response.status, 500)
        self.assertIn(b"an app&#x27;s fault", response.body.replace(b"'", b"&#x27;"))
        self.expect_error("an app's fault")


class Pages(shared.Shared):
    options = ("--class", "stickyd_test_apps:Page")

    def test_tracebacks_stay_in_the_log(self) -> None:
        response = self.ask(request("10.10.10.10", "/boom"))
        self.assertEqual(response.status, 500)
        self.assertNotIn(b"fault", response.body)
        self.expect_error("ValueError: an app's fault")


class ResourceObjects(unittest.TestCase):
    def test_whatever_gives_a_resource(self) -> None:
        apps = str(ROOT / "tests" / "apps")
        sys.path.insert(0, apps)
        self.addCleanup(sys.path.remove, apps)
        for name in (
            "stickyd_alike_app.Alike",
            "stickyd_alike_app:ALIKE",
            "stickyd_alike_app.make",
        ):
            app = load_app(None, Settings(app=AppSettings("class", name)))
            assert isinstance(app, WebApp)
            self.assertEqual(app.site.resource.data, b"alike")
        with self.assertRaises(CannotLoad) as caught:
            load_app(None, Settings(app=AppSettings("class", "stickyd_alike_app:NOTHING")))
        self.assertIn("is not a twisted.web resource", str(caught.exception))


class Files(unittest.TestCase):
    def test_files(self) -> None:
        with tempfile.TemporaryDirectory() as directory:
            for name in ("page.html", ".env", "deep/index.html", ".well-known/ok", "bare/file"):
                path = os.path.join(directory, name)
                os.makedirs(os.path.dirname(path), exist_ok=True)
                with open(path, "w") as file:
                    file.write(f"this is {name}")
            with Daemon("--path", directory, "--worker-header", workers=1) as daemon:
                with daemon.connect() as sock:
                    reader = Reader(sock)

                    def ask(path: str, method: str = "GET", more: bytes = b"") -> tuple:
                        sock.sendall(request("10.10.10.10", path, method)[:-2] + more + b"\r\n")
                        response = reader.response(method)
                        self.assertEqual(response.headers["x-stickyd-worker"], "1")
                        return response.status, response.body

                    self.assertEqual(ask("/page.html"), (200, b"this is page.html"))
                    self.assertEqual(ask("/page.html", "HEAD"), (200, b""))
                    part = ask("/page.html", more=b"Range: bytes=5-6\r\n")
                    self.assertEqual(part, (206, b"is"))
                    self.assertEqual(ask("/deep/"), (200, b"this is deep/index.html"))
                    self.assertEqual(ask("/deep")[0], 302)
                    self.assertEqual(ask("/.well-known/ok"), (200, b"this is .well-known/ok"))
                    for path in (
                        *("/", "/bare/", "/.env", "/../etc/passwd", "/%2e%2e/etc/passwd"),
                        *("/bare%2f..%2f.env", "/%00", "/%ff", "/none", "/page.html/more"),
                    ):
                        self.assertEqual(ask(path)[0], 404, path)
                    self.assertEqual(ask("/page.html", "POST")[0], 405)

    def test_what_a_server_would_run_is_no_file(self) -> None:
        """Whose text may tell passwords: scripts, templates, and what editors leave of them."""
        hidden = (
            *("a.rpy", "a.epy", "a.trp", "a.cgi", "a.fcgi", "a.tac", "a.php", "a.php5", "a.phtml"),
            *(
                "a.jsp",
                "a.asp",
                "a.aspx",
                "a.cfm",
                "a.wsgi",
                "A.RPY",
                "a.Php",
                "a.rpy~",
                "a.php.bak",
            ),
            *("a.rpy.", "a.php.orig", ".a.php.swp", "#a.cgi#", "a.rpy.gz", "b.rpy/page.html"),
            *(".git/config", ".htpasswd", "sub/.env", "..data", "sub/index.rpy"),
        )
        shown = ("a.py", "rpy", "php.html", "a.rpyx", "a.cgi-bin.txt", ".well-known/ok")
        with tempfile.TemporaryDirectory() as directory:
            for name in (*hidden, *shown):
                path = os.path.join(directory, name)
                os.makedirs(os.path.dirname(path), exist_ok=True)
                with open(path, "w") as file:
                    file.write("secret" if name in hidden else "shown")
            with Daemon("--path", directory, workers=1) as daemon, daemon.connect() as sock:
                reader = Reader(sock)

                def ask(path: str, method: str = "GET") -> tuple[int, bytes]:
                    sock.sendall(request("10.10.10.10", "/" + path, method))
                    response = reader.response(method)
                    return response.status, response.body

                for name in hidden:
                    quoted = urllib.parse.quote(name)
                    encoded = "/".join(
                        "".join(f"%{byte:02x}" for byte in part.encode())
                        for part in name.split("/")
                    )
                    for path in (quoted, encoded, quoted + "/"):
                        status, body = ask(path)
                        self.assertEqual(status, 404, path)
                        self.assertNotIn(b"secret", body, path)
                    self.assertEqual(ask(quoted, "HEAD")[0], 404, name)
                for name in shown:
                    self.assertEqual(ask(name), (200, b"shown"), name)
                # A directory whose index is a script has none.
                self.assertEqual(ask("sub/")[0], 404)
