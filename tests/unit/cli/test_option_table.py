"""The option tables: complete, and true to the settings."""

import unittest
from collections.abc import Iterator

import attrs

from stickyd.cli.command_tables import CHECK, EXPLAIN, RUN, VERIFY
from stickyd.cli.option import Group
from stickyd.cli.option_table import BY_NAME, DAEMON
from stickyd.cli.options import Options
from stickyd.settings import Settings


def paths(value: object, prefix: str = "") -> Iterator[str]:
    """The paths of all values of nested settings."""
    for field in attrs.fields(type(value)):
        inner = getattr(value, field.name)
        path = f"{prefix}{field.name}"
        if attrs.has(type(inner)):
            yield from paths(inner, f"{path}.")
        else:
            yield path


class Tables(unittest.TestCase):
    def test_every_setting_has_one_option(self) -> None:
        fields = [option.field for option in DAEMON if option.field]
        self.assertEqual(len(fields), len(set(fields)))
        self.assertEqual(set(fields) | {"app.kind", "tls.listeners"}, set(paths(Settings())))

    def test_names_are_unique(self) -> None:
        for table in ((*DAEMON, *RUN, *CHECK), EXPLAIN, VERIFY):
            names = [option.name for option in table]
            self.assertEqual(len(names), len(set(names)))

    def test_every_group_has_options(self) -> None:
        self.assertEqual({option.group for option in DAEMON}, set(Group) - {Group.COMMAND})

    def test_every_default_is_valid(self) -> None:
        for option in (*DAEMON, *RUN, *CHECK, *EXPLAIN, *VERIFY):
            if option.default_text:
                option.argument.parse(option.default_text)

    def test_help_is_one_sentence_without_its_end(self) -> None:
        for option in (*DAEMON, *RUN, *CHECK, *EXPLAIN, *VERIFY):
            self.assertFalse(option.help.endswith("."), option.name)
            self.assertLessEqual(len(option.help), 74, option.name)

    def test_without_options_the_settings_are_the_defaults(self) -> None:
        options = Options()
        options.parseOptions(["--workers", "2", "--max-connections", "50"])
        found = options.settings
        expected = Settings()
        expected = attrs.evolve(expected, limits=attrs.evolve(expected.limits, connections=50))
        self.assertEqual(found, expected)

    def test_each_option_sets_its_field(self) -> None:
        given = {
            "--keep-alive": ("7", "timeouts.keep_alive", 7.0),
            "--limit-request-body": ("9", "limits.request.body", 9),
            "--guardian": ("off", "lifecycle.guardian", False),
            "--affinity-scope": ("request", "routing.scope", "request"),
            "--access-logfile": ("-", "log.access_file", "-"),
            "--worker-header": ("X-W", "log.worker_header", "X-W"),
        }
        options = Options()
        options.parseOptions([word for name, (text, *_) in given.items() for word in (name, text)])
        for name, (_, path, value) in given.items():
            self.assertEqual(BY_NAME[name[2:]].field, path)
            found: object = options.settings
            for part in path.split("."):
                found = getattr(found, part)
            self.assertEqual(found, value, name)
