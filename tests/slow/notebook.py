"""A notebook from PyPI in a real browser, used while the daemon is reloaded.

    python -m tests.slow.notebook [--seconds 60]

marimo serves one of its own tutorials, unmodified: each page has a session in the memory of a
worker, a WebSocket for what the session tells, and requests for what the user does. Headless
Chromium moves a slider once a second, by its keyboard, and waits for the text that the notebook
computes from it. Three HUPs come meanwhile, with default options.

No move fails until the WebSocket is closed, with 1012. The page connects again by itself, and moves
go on.
Needs chromium, chromium-driver (Debian's packages), selenium and marimo.
"""

import argparse
import re
import sys
import tempfile
import time
from typing import Any

from tests.integration.test_lifecycle import reload
from tests.slow.chat import browser
from tests.support.daemon import Daemon, wait_for

WATCH = """
window.sockets = [];
window.WebSocket = class extends WebSocket {
  constructor(...how) {
    super(...how);
    const seen = {open: false, code: 0};
    window.sockets.push(seen);
    this.addEventListener("open", () => { seen.open = true; });
    this.addEventListener("close", (event) => { seen.open = false; seen.code = event.code; });
  }
};
"""
FOCUS = """
const thumb = document.querySelector("marimo-slider").shadowRoot.querySelector("[role=slider]");
thumb.focus();
return Number(thumb.getAttribute("aria-valuenow"));
"""
PATIENCE = 5.0
"""Seconds for what the notebook computes."""


class Page:
    """The browser's page."""

    def __init__(self, page: Any) -> None:
        self.page = page
        self.ended = 0
        page.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": WATCH})

    def value(self) -> int:
        """What the notebook has computed; 0 while it shows nothing."""
        text = self.page.execute_script("return document.body.innerText")
        found = re.search(r"its value: (\d+)\.", text)
        return int(found[1]) if found else 0

    def codes(self) -> list[int]:
        """Close codes of the WebSockets that have ended and have not been told before."""
        sockets = self.page.execute_script("return window.sockets")
        return [each["code"] for each in sockets if each["code"]][self.ended :]

    def connected(self) -> bool:
        found = self.page.execute_script("return window.sockets")
        return bool(found) and bool(found[-1]["open"])

    def move(self) -> str:
        """Move the slider by one; what is wrong, or nothing."""
        from selenium.webdriver.common.action_chains import ActionChains
        from selenium.webdriver.common.keys import Keys

        was = int(self.page.execute_script(FOCUS))
        key, expected = (Keys.ARROW_LEFT, 1) if was >= 10 else (Keys.ARROW_RIGHT, was + 1)
        if was >= 10:
            key = Keys.HOME
        ActionChains(self.page).send_keys(key).perform()
        until = time.monotonic() + PATIENCE
        while self.value() != expected:
            if time.monotonic() > until or self.codes():
                return f"moved to {expected}, the notebook says {self.value()}"
            # The page tells nothing by itself.
            time.sleep(0.02)
        return ""


def use(page: Page, daemon: Daemon, seconds: int) -> tuple[int, list[str], list[int]]:
    """Move once a second, with three reloads; moves, those that failed, close codes."""
    moves, failed, codes = 0, [], []
    reloads = [seconds // 6, seconds // 3, seconds // 2]
    for second in range(seconds):
        if second in reloads:
            reload(daemon)
        began = time.monotonic()
        wrong = page.move()
        if page.codes():
            # What happens at this moment is not judged.
            wait_for(page.connected, what="the page's next WebSocket")
            fresh = page.codes()
            codes += fresh
            page.ended += len(fresh)
            # Its session is a new one, which knows nothing of the slider yet.
            wait_for(lambda: not page.move(), what="a move in the new session")
        else:
            moves += 1
            if wrong:
                failed.append(f"second {second}: {wrong}")
        # A move a second.
        time.sleep(max(0.0, began + 1 - time.monotonic()))
    return moves, failed, codes


def main() -> int:
    """Run it."""
    parser = argparse.ArgumentParser(prog="python -m tests.slow.notebook")
    parser.add_argument("--seconds", type=int, default=60)
    seconds = parser.parse_args().seconds
    with (
        Daemon("--asgi", "stickyd_notebook_app:app") as daemon,
        tempfile.TemporaryDirectory() as profile,
    ):
        window = browser(profile)
        try:
            page = Page(window)
            window.get(f"http://127.0.0.1:{daemon.port}/")
            wait_for(lambda: page.connected() and page.value(), what="the notebook")
            moves, failed, codes = use(page, daemon, seconds)
        finally:
            window.quit()
        # A request that came after the end of its session is an error to marimo, and no other is.
        errors = [line for line in daemon.log if re.search(r"\] \w+Error: ", line)]
        failed += [line for line in errors if "Invalid session id" not in line]
        daemon.log[:] = [line for line in daemon.log if "[worker " not in line]
    print(
        f"{moves} moves in {seconds} s, 3 HUPs: {len(failed)} failed; sockets closed with {codes}"
    )
    for each in failed:
        print(" ", each)
    return 1 if failed or not codes or set(codes) != {1012} else 0


if __name__ == "__main__":
    sys.exit(main())
