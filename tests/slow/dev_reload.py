"""From a touched file to the page loaded again, in a real browser.

``python -m tests.slow.dev_reload [--times 10]`` starts an app with ``--reload``, whose page has a
WebSocket and loads itself again when that is closed, in headless Chromium. It writes a source file
again and again, and prints the seconds until the page shows the new text. 0 if the median is
below two seconds, for an ASGI and a twisted.web app each.

Needs chromium, chromium-driver (Debian's packages) and selenium.
"""

import argparse
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from tests.slow.chat import browser, text_of
from tests.support.daemon import Daemon, wait_for

MOST = 2.0
"""Seconds, of the median."""

APPS = {
    "asgi": ("--asgi", "stickyd_dev_page_app:app"),
    "twisted.web": ("--class", "stickyd_dev_page_app:site"),
}


def shows(page: Any, text: str) -> bool:
    """Whether the page shows it; in the midst of loading it shows nothing."""
    from selenium.common.exceptions import WebDriverException

    try:
        return bool(text_of(page, "#version") == text and text_of(page, "#socket") == "open")
    except WebDriverException:
        return False


def measure(app: tuple[str, ...], times: int) -> list[float]:
    """Seconds of each reload."""
    daemon = Daemon(*app, "--reload", workers=2)
    version = Path(daemon.directory.name) / "dev_version.py"
    version.write_text("VERSION = 'version 0'\n")
    took = []
    with daemon, tempfile.TemporaryDirectory() as profile:
        page = browser(profile)
        try:
            page.get(f"http://127.0.0.1:{daemon.port}/")
            wait_for(lambda: shows(page, "version 0"), what="the page")
            for number in range(1, times + 1):
                # Not always at the same point of the interval in which files are looked at.
                time.sleep(0.37 * (number % 3))
                text = f"version {number}"
                began = time.monotonic()
                version.write_text(f"VERSION = {text!r}\n")
                wait_for(lambda text=text: shows(page, text), what=text)
                took.append(time.monotonic() - began)
        finally:
            page.quit()
    return took


def main() -> int:
    """Run it."""
    parser = argparse.ArgumentParser(prog="python -m tests.slow.dev_reload")
    parser.add_argument("--times", type=int, default=10)
    times = parser.parse_args().times
    medians = []
    for name, app in APPS.items():
        took = measure(app, times)
        medians.append(statistics.median(took))
        print(f"{name}: median {medians[-1]:.2f} s of {times}, {min(took):.2f} to {max(took):.2f}")
    return 0 if max(medians) < MOST else 1


if __name__ == "__main__":
    sys.exit(main())
