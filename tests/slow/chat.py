"""The chat example in a browser: two pages, each on a worker of its own, talk through Redis.

    python -m tests.slow.chat [--screenshot docs/chat.png]

Needs chromium, chromium-driver, nginx, redis-server and npm. Two proxies, each
naming another client, stand before one stickyd that runs the command of the
example's README; both pages are shown beside each other in one window.
"""

import argparse
import contextlib
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

from tests.daemon import ROOT, Daemon
from tests.slow.socketio.fronts import Redis, front

EXAMPLE = ROOT / "examples" / "socketio_chat"
# Of workers 1 and 2 at seed 1; see the README.
CLIENTS = {"Ann": "10.10.10.10", "Bob": "10.10.12.11"}
FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
    "--window-size=1000,520",
)
PATIENCE = 20
BOTH = """\
<!doctype html><title>Two clients</title>
<style>body{{margin:0;display:flex;height:100vh}}iframe{{flex:1;border:1px solid #888}}</style>
{}
"""


@contextlib.contextmanager
def browser(directory: str) -> Iterator[Any]:
    """Chromium without a window, with a profile of its own."""
    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium") or "chromium"
    for flag in (*FLAGS, f"--user-data-dir={directory}/profile"):
        options.add_argument(flag)
    service = webdriver.ChromeService(shutil.which("chromedriver"))
    driver = webdriver.Chrome(options=options, service=service)
    try:
        yield driver
    finally:
        driver.quit()


class Talk:
    """Both pages, as their people see them."""

    def __init__(self, driver: Any) -> None:
        self._driver = driver
        self._wait = WebDriverWait(driver, PATIENCE)

    def _go_to(self, name: str) -> None:
        self._driver.switch_to.default_content()
        self._driver.switch_to.frame(name)

    def _text(self, name: str, element: str) -> str:
        self._go_to(name)
        return str(self._driver.find_element(By.ID, element).text)

    def state(self, name: str) -> str:
        """What the page tells of its connection, once it is on a WebSocket."""
        self._wait.until(lambda _: "websocket" in self._text(name, "state"))
        return self._text(name, "state")

    def say(self, name: str, text: str) -> None:
        """Type it, and press the button."""
        self._go_to(name)
        who = self._driver.find_element(By.ID, "name")
        if not who.get_property("value"):
            who.send_keys(name)
        self._driver.find_element(By.ID, "text").send_keys(text)
        self._driver.find_element(By.CSS_SELECTOR, "button").click()

    def hears(self, name: str, lines: list[str]) -> None:
        """Wait until these lines, and no others, stand on the page."""
        with contextlib.suppress(Exception):
            self._wait.until(lambda _: self._text(name, "said").splitlines() == lines)
        heard = self._text(name, "said").splitlines()
        if heard != lines:
            raise AssertionError(f"{name} heard {heard}, not {lines}")

    def screenshot(self, path: Path) -> None:
        """The window as it looks now."""
        self._driver.switch_to.default_content()
        self._driver.save_screenshot(str(path))


def talk(driver: Any, pages: dict[str, int], screenshot: Path, directory: str) -> None:
    """Let both talk; AssertionError if what they hear is not what was said."""
    frames = [
        f'<iframe name="{name}" src="http://127.0.0.1:{port}/"></iframe>'
        for name, port in pages.items()
    ]
    both = Path(directory, "both.html")
    both.write_text(BOTH.format("\n".join(frames)))
    driver.get(both.as_uri())
    people = Talk(driver)
    lines: list[str] = []
    states = {name: people.state(name) for name in pages}
    print(f"on their workers: {states}")
    if list(states.values()) != ["worker 1, websocket", "worker 2, websocket"]:
        raise AssertionError("the pages are not on workers 1 and 2")
    for name, text in (
        ("Ann", "Is anybody on another worker?"),
        ("Bob", "I am."),
        ("Ann", "Then Redis carries what we say."),
    ):
        people.say(name, text)
        worker = list(pages).index(name) + 1
        lines.append(f"{name}: {text} (from worker {worker})")
        for other in pages:
            people.hears(other, lines)
    people.screenshot(screenshot)
    print(f"both heard {len(lines)} lines, each once; {screenshot} shows them")


def command() -> list[str]:
    """The command of the example's README, without the program."""
    text = (EXAMPLE / "README.md").read_text()
    line = next(line for line in text.splitlines() if line.startswith("    stickyd run "))
    return shlex.split(line)[1:]


def main() -> int:
    """Run; exit status 1 if anybody heard anything else than was said."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--screenshot", type=Path, default=ROOT / "docs" / "chat.png")
    arguments = parser.parse_args()
    for program in ("chromium", "chromedriver", "nginx", "redis-server", "npm"):
        if shutil.which(program) is None:
            print(f"{program} is not on PATH", file=sys.stderr)
            return 2
    if not (EXAMPLE / "node_modules").exists():
        npm = ["npm", "install", "--no-audit", "--no-fund", "--no-package-lock"]
        subprocess.run([*npm, "--loglevel=error"], cwd=EXAMPLE, check=True)
    with contextlib.ExitStack() as stack:
        directory = stack.enter_context(tempfile.TemporaryDirectory(prefix="stickyd-chat-"))
        redis = stack.enter_context(Redis())
        environment = {"REDIS_URL": redis.url, "PYTHONPATH": str(ROOT)}
        daemon = Daemon("--graceful-timeout", "2", environment=environment, cwd=str(EXAMPLE))
        own = daemon.command[daemon.command.index("--listen") :]
        daemon.command = [sys.executable, "-W", "error", "-m", "stickyd.cli", *command(), *own]
        stack.enter_context(daemon)
        pages = {
            name: stack.enter_context(front("nginx", daemon.port, client))
            for name, client in CLIENTS.items()
        }
        driver = stack.enter_context(browser(directory))
        try:
            talk(driver, pages, Path(os.path.abspath(arguments.screenshot)), directory)
        except AssertionError as error:
            print(error, file=sys.stderr)
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
