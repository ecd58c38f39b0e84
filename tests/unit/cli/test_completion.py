"""Completion as the shells themselves do it."""

import contextlib
import io
import os
import re
import shutil
import subprocess
import tempfile
import unittest
from pathlib import Path

from stickyd.cli.command_tables import COMMANDS
from stickyd.cli.main import main


def script(shell: str) -> str:
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        assert main(["completion", shell]) == 0
    return out.getvalue()


class Shells(unittest.TestCase):
    def run_in(self, shell: str, text: str, *arguments: str) -> list[str]:
        program = shutil.which(shell)
        if program is None:
            self.skipTest(f"{shell} is not installed")
        with tempfile.TemporaryDirectory() as directory:
            (Path(directory) / "a.toml").touch()
            (Path(directory) / "src").mkdir()
            done = subprocess.run(
                [program, *arguments, "-c", text],
                capture_output=True,
                text=True,
                timeout=30,
                cwd=directory,
                env={**os.environ, "HOME": directory},
            )
        self.assertEqual(done.stderr, "")
        return done.stdout.split("\n")[:-1]

    def in_bash(self, *words: str) -> list[str]:
        quoted = " ".join(f"'{word}'" for word in words)
        text = f"COMP_WORDS=({quoted}); COMP_CWORD={len(words) - 1}; _stickyd"
        return self.run_in("bash", f'{script("bash")}\n{text}; printf "%s\\n" "${{COMPREPLY[@]}}"')

    def test_bash(self) -> None:
        self.assertEqual(set(self.in_bash("stickyd", "")), {*COMMANDS, "--help", "--version"})
        self.assertEqual(self.in_bash("stickyd", "ver"), ["verify"])
        self.assertEqual(
            self.in_bash("stickyd", "run", "--affinity-"),
            ["--affinity-scope"],
        )
        scopes = ["connection", "request"]
        self.assertEqual(self.in_bash("stickyd", "run", "--affinity-scope", ""), scopes)
        self.assertEqual(self.in_bash("stickyd", "run", "--affinity-scope", "="), scopes)
        self.assertEqual(self.in_bash("stickyd", "run", "--affinity-scope", "=", "r"), scopes[1:])
        self.assertEqual(self.in_bash("stickyd", "run", "--config", "a"), ["a.toml"])
        self.assertEqual(self.in_bash("stickyd", "check", "--app-dir", ""), ["src"])
        self.assertEqual(self.in_bash("stickyd", "check", "--loa"), ["--load"])

    def test_zsh(self) -> None:
        # The specifications are read; a completion needs a terminal.
        text = f"autoload -U compinit && compinit -u -D; {script('zsh')}\nwhich _stickyd"
        (first, *_) = self.run_in("zsh", text, "-f")
        self.assertEqual(first, "_stickyd () {")
        for line in re.findall(r"^        '(.*)' \\$", script("zsh"), re.M):
            self.assertRegex(line, r"^\*?-[\w-]+[=+]?\[.*\](:[\w|]+:.*)?$")

    def test_fish(self) -> None:
        def complete(line: str) -> set[str]:
            text = f"{script('fish')}\ncomplete -C '{line}'"
            return {each.split("\t")[0] for each in self.run_in("fish", text, "--no-config")}

        self.assertLessEqual(set(COMMANDS), complete("stickyd "))
        self.assertEqual(complete("stickyd run --affinity-scope "), {"connection", "request"})
        self.assertEqual(complete("stickyd run --affinity-"), {"--affinity-scope"})
        self.assertEqual(complete("stickyd check --app-dir s"), {"src/"})


class Command(unittest.TestCase):
    def test_an_unknown_shell(self) -> None:
        for arguments in ([], ["tcsh"], ["bash", "zsh"]):
            err = io.StringIO()
            with contextlib.redirect_stderr(err):
                self.assertEqual(main(["completion", *arguments]), 2)
            self.assertEqual(err.getvalue(), "stickyd completion: which shell? bash, zsh or fish\n")
