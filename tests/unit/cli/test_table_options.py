"""Twisted's parser over the tables: grouped help, and values from the environment."""

import contextlib
import io
import os
import subprocess
import sys
import unittest
from unittest import mock

from twisted.python import usage

from stickyd.cli.explain import ExplainOptions
from stickyd.cli.main import CheckOptions, RunOptions
from stickyd.cli.option import Group
from stickyd.cli.option_table import BY_NAME
from stickyd.cli.options import Options
from stickyd.cli.table_options import parsed
from stickyd.cli.verify.options import VerifyOptions

GROUPS = [f"{group.value}:" for group in Group if group is not Group.COMMAND]


class Help(unittest.TestCase):
    def test_groups_in_order(self) -> None:
        for options in (Options(), RunOptions(), CheckOptions()):
            lines = options.getUsage(80).splitlines()
            self.assertEqual([line for line in lines if line in GROUPS], GROUPS)

    def test_all_options_within_80_columns(self) -> None:
        for options in (Options(), CheckOptions(), ExplainOptions(), VerifyOptions()):
            lines = options.getUsage(80).splitlines()
            self.assertLessEqual(max(map(len, lines)), 80)
            shown = {
                word.rstrip(",")
                for line in lines
                if line.startswith("  -")
                for word in line.split()
                if word.startswith("-")
            }
            accepted = {f"--{name.rstrip('=')}" for name in options.longOpt}
            self.assertEqual(accepted - shown, set())
            long = {word for word in shown if word.startswith("--")}
            self.assertEqual(long - accepted, set())

    def test_twistd_and_twist_show_the_groups(self) -> None:
        for command in (["twistd", "stickyd"], ["twist", "stickyd"], ["stickyd", "run"]):
            program = os.path.join(os.path.dirname(sys.executable), command[0])
            said = subprocess.run(
                [program, *command[1:], "--help"],
                capture_output=True,
                text=True,
                env={**os.environ, "COLUMNS": "80"},
            )
            lines = said.stdout.splitlines()
            self.assertEqual([line for line in lines if line in GROUPS], GROUPS, command)


class Environment(unittest.TestCase):
    def parsed(self, *arguments: str, **environment: str) -> Options:
        options = Options()
        with mock.patch.dict(os.environ, environment):
            options.parseOptions([*arguments, "--max-connections", "50"])
        return options

    def test_it_replaces_the_default_and_options_override_it(self) -> None:
        environment = {"WEB_CONCURRENCY": "3", "STICKYD_SEED": "5", "FORWARDED_ALLOW_IPS": "*"}
        settings = self.parsed(**environment).settings
        self.assertEqual((settings.workers, settings.routing.seed), (3, 5))
        self.assertEqual((settings.routing.trusted, settings.routing.proxy.allow_from), ("*", "*"))
        settings = self.parsed("-w", "4", "--seed", "6", **environment).settings
        self.assertEqual((settings.workers, settings.routing.seed), (4, 6))

    def test_empty_is_not_set(self) -> None:
        with mock.patch("os.sched_getaffinity", return_value=range(7)):
            self.assertEqual(self.parsed(WEB_CONCURRENCY="").settings.workers, 7)

    def test_an_error_names_the_variable(self) -> None:
        said = io.StringIO()
        with contextlib.redirect_stderr(said), self.assertRaises(SystemExit) as ended:
            self.parsed(WEB_CONCURRENCY="many")
        self.assertEqual(ended.exception.code, 2)
        self.assertEqual(
            said.getvalue(), "stickyd: $WEB_CONCURRENCY: 'many' is not a whole number\n"
        )


class Errors(unittest.TestCase):
    def test_the_option_is_named(self) -> None:
        options = VerifyOptions()
        with self.assertRaisesRegex(usage.UsageError, "^--timeout: 'x' is not a number"):
            options.parseOptions(["--timeout", "x", "http://localhost/"])

    def test_the_label_is_the_callers(self) -> None:
        self.assertEqual(parsed("$W", BY_NAME["workers"], "3"), 3)
        with self.assertRaisesRegex(usage.UsageError, r"^\$W: 0 is not within 1 to 512$"):
            parsed("$W", BY_NAME["workers"], "0")
