"""--reload: which files have changed, and a daemon that loads its app anew."""

import os
import tempfile
import threading
import unittest
from functools import partial
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from stickyd.master.file_changes import (
    UNSETTLED_MOST,
    FileChanges,
    Patterns,
    changed,
    is_searched,
)
from stickyd.master.reloader import stamps_below
from tests.support.daemon import Daemon, Reader, request, wait_for
from tests.support.lasting import Stream, code_of, core, over, together

ONE, TWO = "10.10.10.10", "10.10.12.11"
A, B, C = (1, 10, 7), (2, 10, 7), (3, 10, 7)
stamps = st.dictionaries(st.sampled_from("abcd"), st.sampled_from([A, B, C]))


class WhatHasChanged(unittest.TestCase):
    def test_new_gone_and_touched(self) -> None:
        self.assertEqual(changed({"a": A, "b": A, "c": A}, {"b": B, "c": A, "d": A}), list("abd"))
        self.assertEqual(changed({"a": A}, {"a": A}), [])

    def test_told_when_it_has_come_to_rest(self) -> None:
        changes = FileChanges({"a": A})
        self.assertEqual(changes.update({"a": A}), [])
        self.assertEqual(changes.update({"a": B}), [])
        self.assertEqual(changes.unsettled, 1)
        self.assertEqual(changes.update({"a": B, "b": A}), [])
        self.assertEqual(changes.update({"a": B, "b": A}), ["a", "b"])
        self.assertEqual(changes.unsettled, 0)
        self.assertEqual(changes.update({"a": B, "b": A}), [])

    def test_what_is_undone_before_it_was_told_is_no_change(self) -> None:
        changes = FileChanges({"a": A})
        changes.update({"a": B})
        self.assertEqual([changes.update({"a": A}) for _ in range(2)], [[], []])
        self.assertEqual(changes.unsettled, 0)

    def test_what_never_rests_is_told_all_the_same(self) -> None:
        changes = FileChanges({"a": A})
        told = [changes.update({"a": (n, 0, 0)}) for n in range(UNSETTLED_MOST + 1)]
        self.assertEqual(told, [[]] * UNSETTLED_MOST + [["a"]])

    @given(stamps, st.lists(stamps))
    def test_every_change_is_told_once_in_the_end(self, first: dict, later: list[dict]) -> None:
        changes, known = FileChanges(first), dict(first)
        for after in [*later, later[-1] if later else first]:
            for path in changes.update(after):
                self.assertNotEqual(known.get(path), after.get(path))
                known[path] = after.get(path)
        last = later[-1] if later else first
        self.assertEqual({p: s for p, s in known.items() if s is not None}, last)

    def test_names(self) -> None:
        self.assertTrue(Patterns().watches("app.py", "/a/app.py"))
        for name in ("app.pyc", ".#app.py", "app.py~", "4913"):
            self.assertFalse(Patterns().watches(name, f"/a/{name}"), name)
        self.assertTrue(is_searched("pages", ["a.py"]))
        for name in (".git", "__pycache__", "node_modules"):
            self.assertFalse(is_searched(name, []), name)
        self.assertFalse(is_searched("venv", ["bin", "pyvenv.cfg"]))


class Files(unittest.TestCase):
    def setUp(self) -> None:
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        # Hidden, but it is watched because somebody says so.
        self.root = Path(directory.name) / ".app"
        for name in (
            *("a.py", "deep/er/b.py", "page.html", "deep/.c.py"),
            *(".git/d.py", "__pycache__/e.py", "env/pyvenv.cfg", "env/lib/f.py"),
        ):
            (self.root / name).parent.mkdir(parents=True, exist_ok=True)
            (self.root / name).write_text(name)

    def found(self, patterns: Patterns | None = None) -> dict[str, object]:
        return dict(stamps_below([str(self.root)], patterns or Patterns(), threading.Event()))

    def test_patterns(self) -> None:
        for include, exclude, expected in (
            (["*.html"], [], {"a.py", "deep/er/b.py", "page.html"}),
            (["deep/.c.*"], [], {"a.py", "deep/er/b.py", "deep/.c.py"}),
            ([], ["er"], {"a.py"}),
            ([], ["er/*"], {"a.py"}),
            (["*.html"], ["*.py", "a.*"], {"page.html"}),
            (["*"], ["*"], set()),
        ):
            found = self.found(Patterns(include, exclude))
            self.assertEqual({os.path.relpath(path, self.root) for path in found}, expected)

    def test_what_is_below(self) -> None:
        (self.root / "deep" / "round").symlink_to(self.root)
        (self.root / "dangling.py").symlink_to("/nonexistent")
        (self.root / "directory.py").mkdir()
        paths = {os.path.relpath(path, self.root) for path in self.found()}
        self.assertEqual(paths, {"a.py", "deep/er/b.py"})

    def test_each_change_has_another_stamp(self) -> None:
        before = self.found()
        path = self.root / "a.py"
        path.write_text("1234")
        written = self.found()
        self.assertNotEqual(written[str(path)], before[str(path)])
        # Same size, and set to the same time: as tools do that replace a file.
        times = path.stat().st_atime_ns, path.stat().st_mtime_ns
        (self.root / "new").write_text("5678")
        os.utime(self.root / "new", ns=times)
        os.replace(self.root / "new", path)
        self.assertNotEqual(self.found()[str(path)], written[str(path)])
        path.unlink()
        self.assertEqual(set(before) - set(self.found()), {str(path)})

    def test_a_directory_that_is_not_there(self) -> None:
        self.assertEqual(stamps_below(["/nonexistent"], Patterns(), threading.Event()), {})


class Reload(unittest.TestCase):
    PAGE = """
import os, word
from twisted.web.resource import Resource
class Page(Resource):
    isLeaf = True
    def render(self, request):
        return f"{os.environ['STICKYD_SLOT']} {word.WORD}".encode()
"""

    def test_a_daemon_follows_its_files(self) -> None:
        daemon = Daemon("--class", "page.Page", "--reload", "--affinity-scope", "request")
        root = Path(daemon.directory.name)
        (root / "page.py").write_text(self.PAGE)
        word = root / "word.py"
        word.write_text("WORD = 'first'\n")
        with daemon, daemon.connect() as sock:
            reader = Reader(sock)

            def both() -> list[bytes]:
                sock.sendall(request(ONE) + request(TWO))
                return [reader.response().body for _ in range(2)]

            self.assertEqual(both(), [b"1 first", b"2 first"])
            # In the same second, and of the same size.
            word.write_text("WORD = 'other'\n")
            wait_for(lambda: both() == [b"1 other", b"2 other"], what="new code")
            pids = daemon.pids()
            word.write_text("WORD = \n")
            wait_for(lambda: any("given up" in line for line in daemon.log), what="a word of it")
            (why,) = [line for line in daemon.log if "SyntaxError" in line]
            self.assertIn("cannot load --class page.Page: SyntaxError", why)
            self.assertEqual(sum("reload: word.py changed" in line for line in daemon.log), 2)
            self.assertEqual((both(), daemon.pids()), ([b"1 other", b"2 other"], pids))
            word.write_text("WORD = 'again'\n")
            wait_for(lambda: both() == [b"1 again", b"2 again"], what="new code")
            self.assertEqual(daemon.report()["generation"], 3)
            self.assertEqual(daemon.report()["workers"]["lost"], 0)
            self.assertFalse((root / "__pycache__").exists())


class Lasting(unittest.TestCase):
    """Sockets and streams end with the old code, so that a page that waits for this loads again."""

    def check(self, *app: str) -> None:
        daemon = Daemon(*app, "--reload", workers=1)
        daemon._environment["LIFE"] = daemon.directory.name
        file = Path(daemon.directory.name) / "watched.py"
        file.write_text("1")
        with daemon, over(daemon, ONE) as websocket:
            pid = daemon.pids()[1]
            stream = Stream(daemon, "/deaf", TWO)
            self.assertEqual(websocket.recv(), "open")
            with daemon.connect() as late:
                late.sendall(request(ONE, "/slow"))
                wait_for(lambda: daemon.report()["workers"]["requests"] == 3, what="a request")
                file.write_text("2")
                code, end = together([partial(code_of, websocket), stream.end])
                # The grace of 30 s is not waited for, nor is the stream asked.
                self.assertEqual((code, end.how, end.whole), (1012, "RST", False))
                self.assertLess(end.seconds, 15)
                # Who comes back reaches the new code.
                self.assertNotEqual(daemon.pids()[1], pid)
                with over(daemon, ONE) as again:
                    self.assertEqual(again.recv(), "open")
                # Any other response is completed.
                (Path(daemon.directory.name) / "go").touch()
                self.assertEqual(Reader(late).response().body, b"slow")

    def test_asgi(self) -> None:
        self.check("--asgi", "stickyd_stream_apps:app")

    def test_web_and_the_core_in_python(self) -> None:
        with core("0"):
            self.check("--class", "stickyd_stream_apps:site")
