"""Settings on their way to a worker."""

import json
import unittest

from stickyd.http1.limits import Limits as RequestLimits
from stickyd.settings import (
    AppSettings,
    LifecycleSettings,
    Limits,
    LogSettings,
    OriginSettings,
    ReloadSettings,
    RoutingSettings,
    Settings,
    Timeouts,
)

CHANGED = Settings(
    workers=7,
    routing=RoutingSettings(seed=2**128 - 1, scope="request", balance_factor=150),
    app=AppSettings(
        *("asgi", "a:b"),
        origin=OriginSettings(factory=True),
        reload=ReloadSettings(("/tmp", "/srv"), exclude=("*.html",)),
    ),
    timeouts=Timeouts(keep_alive=0.1, min_rate=0),
    limits=Limits(connections=5, request=RequestLimits(body=2**40)),
    lifecycle=LifecycleSettings(graceful_timeout=1.5, guardian=False),
    log=LogSettings("-", "routed"),
)


class Serialised(unittest.TestCase):
    def test_what_json_carries_is_equal(self) -> None:
        for settings in (Settings(), CHANGED):
            text = json.dumps(settings.to_json())
            self.assertEqual(Settings.from_json(json.loads(text)), settings)

    def test_the_last_text_is_parsed_once(self) -> None:
        """A forked worker has the settings of its template."""
        settings = Settings(workers=3)
        found = Settings.from_text(settings.to_text())
        self.assertEqual(found, settings)
        self.assertIs(Settings.from_text(settings.to_text()), found)
        self.assertEqual(Settings.from_text(Settings(workers=4).to_text()).workers, 4)

    def test_types_are_exact(self) -> None:
        value = json.loads(json.dumps(CHANGED.to_json()))
        found = Settings.from_json(value)
        self.assertIsInstance(found.app.reload.directories, tuple)
        self.assertIsInstance(found.limits.request, RequestLimits)
        value["timeouts"]["keep_alive"] = 5
        self.assertIs(type(Settings.from_json(value).timeouts.keep_alive), float)

    def test_other_values_are_refused(self) -> None:
        for group, name, wrong in (
            ("timeouts", "keep_alive", "5"),
            ("timeouts", "keep_alive", True),
            ("limits", "connections", 5.0),
            ("lifecycle", "guardian", 1),
            ("app", "reload", "/tmp"),
            ("app", "reload", [1]),
            ("limits", "request", []),
            ("app", "name", None),
        ):
            value = json.loads(json.dumps(CHANGED.to_json()))
            value[group][name] = wrong
            with self.assertRaisesRegex(ValueError, f"settings.{group}.{name}: "):
                Settings.from_json(value)

    def test_missing_and_unknown_fields_are_refused(self) -> None:
        value = json.loads(json.dumps(CHANGED.to_json()))
        del value["timeouts"]["keep_alive"]
        with self.assertRaisesRegex(ValueError, r"settings.timeouts: .*keep_alive"):
            Settings.from_json(value)
        value = json.loads(json.dumps(CHANGED.to_json()))
        value["more"] = 1
        with self.assertRaisesRegex(ValueError, r"settings: .*more"):
            Settings.from_json(value)
