"""Options from the environment and from a file, below the command line."""

import unittest

from hypothesis import given
from hypothesis import strategies as st

from stickyd.cli.option_table import BY_NAME, DAEMON
from stickyd.cli.start.layers import Given, beside, of_environment, of_file, variables_of


def texts(layer: object) -> dict[str, tuple[str, ...]]:
    assert isinstance(layer, dict)
    return {name: value.texts for name, value in layer.items()}


class Environment(unittest.TestCase):
    def read(self, **environment: str) -> dict[str, tuple[str, ...]]:
        return texts(of_environment(DAEMON, environment))

    def test_each_option_has_a_variable(self) -> None:
        for option in DAEMON:
            names = variables_of(option)
            text = "1" if not option.takes_value else "7"
            expected = ("",) if text == "1" else ("7",)
            self.assertEqual(self.read(**{names[0]: text}), {option.name: expected}, names)

    def test_the_other_variable_of_an_option(self) -> None:
        self.assertEqual(self.read(WEB_CONCURRENCY="3"), {"workers": ("3",)})
        both = self.read(WEB_CONCURRENCY="3", STICKYD_WORKERS="4")
        self.assertEqual(both, {"workers": ("4",)})
        self.assertEqual(variables_of(BY_NAME["seed"]), ("STICKYD_SEED",))

    def test_flags(self) -> None:
        for text in ("1", "true", "Yes", "on"):
            self.assertEqual(self.read(STICKYD_RELOAD=text), {"reload": ("",)})
        for text in ("0", "false", "no", "OFF"):
            self.assertEqual(self.read(STICKYD_RELOAD=text), {"reload": ()})
        with self.assertRaisesRegex(ValueError, r"^\$STICKYD_RELOAD: 'maybe' is neither on nor"):
            self.read(STICKYD_RELOAD="maybe")

    def test_an_option_that_may_stand_without_its_value(self) -> None:
        self.assertEqual(self.read(STICKYD_WORKER_HEADER="1"), {"worker-header": ("",)})
        self.assertEqual(self.read(STICKYD_WORKER_HEADER="X-W"), {"worker-header": ("X-W",)})

    def test_repeatable_ones(self) -> None:
        self.assertEqual(self.read(STICKYD_BIND=":80 unix:/x"), {"bind": (":80", "unix:/x")})

    def test_what_does_not_count(self) -> None:
        self.assertEqual(self.read(STICKYD_WORKERS="", STICKYD_NATIVE="0", WORKERS="3"), {})
        # Of a Service called stickyd.
        self.assertEqual(self.read(STICKYD_PORT="tcp://10.0.171.239:3000"), {})


class File(unittest.TestCase):
    def read(self, text: str) -> dict[str, tuple[str, ...]]:
        return texts(of_file(DAEMON, text.encode(), "f.toml"))

    def test_types(self) -> None:
        self.assertEqual(
            self.read(
                'workers = 4\nkeep_alive = 7.5\nasgi = "m:app"\nguardian = false\nreload = true\n'
                'worker-header = true\nbind = [":80", "unix:/x"]\nlisten = "tcp:1"\n'
                'affinity = ["xff", "src"]\nfactory = false\n'
            ),
            {
                "workers": ("4",),
                "keep-alive": ("7.5",),
                "asgi": ("m:app",),
                "guardian": ("off",),
                "reload": ("",),
                "worker-header": ("",),
                "bind": (":80", "unix:/x"),
                "listen": ("tcp:1",),
                "affinity": ("xff,src",),
                "factory": (),
            },
        )

    def test_errors_name_the_file_and_the_key(self) -> None:
        for text, says in (
            ("worker = 4", "f.toml: no option 'worker'; did you mean workers?"),
            ("zzz = 4", "f.toml: no option 'zzz'"),
            ("workers = true", "f.toml: workers: a value, not true"),
            ("[workers]\nx = 1", "f.toml: workers: dict is no value of an option"),
            ("reload = 7", "f.toml: reload: '7' is neither on nor off"),
            ("workers = ", "f.toml: Invalid value"),
        ):
            with self.assertRaises(ValueError) as raised:
                self.read(text)
            self.assertTrue(str(raised.exception).startswith(says), str(raised.exception))
        with self.assertRaisesRegex(ValueError, r"^f\.toml: .*utf-8"):
            of_file(DAEMON, b"\xff", "f.toml")

    @given(st.binary(max_size=80))
    def test_any_bytes_are_read_or_refused(self, content: bytes) -> None:
        try:
            of_file(DAEMON, content, "f.toml")
        except ValueError as error:
            self.assertTrue(str(error).startswith("f.toml: "), error)


class Precedence(unittest.TestCase):
    def of(self, given: set[str], *layers: dict[str, str]) -> dict[str, str]:
        made = [{n: Given("", (t,)) for n, t in layer.items()} for layer in layers]
        return {name: value.texts[0] for name, value in beside(given, made).items()}

    def test_the_first_that_has_it(self) -> None:
        self.assertEqual(
            self.of({"seed"}, {"seed": "1", "workers": "2"}, {"workers": "3"}), {"workers": "2"}
        )

    def test_one_app_replaces_another(self) -> None:
        self.assertEqual(
            self.of({"wsgi"}, {"asgi": "a"}, {"class": "c", "threads": "1"}), {"threads": "1"}
        )
        self.assertEqual(self.of(set(), {"asgi": "a"}, {"class": "c"}), {"asgi": "a"})

    def test_addresses_replace_addresses(self) -> None:
        self.assertEqual(self.of({"port"}, {"bind": "b"}), {})
        self.assertEqual(self.of({"bind"}, {"host": "h", "listen": "l"}), {})
        self.assertEqual(self.of({"port"}, {"host": "h"}), {"host": "h"})
        both = {"bind": "b", "listen": "l"}
        self.assertEqual(self.of({"asgi"}, both), both)
