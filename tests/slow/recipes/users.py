"""Users of a page: each has cookies of its own, in one headless Chromium.

A page has a button ``Count`` and says ``count: N, worker W``, wherever in its tree; shadow
roots are looked into.
"""

import contextlib
import json
import re
import time
import urllib.request
from collections.abc import Iterator
from typing import Any

from websockets.sync.client import ClientConnection, connect

from tests.slow.chat import browser
from tests.support.daemon import wait_for

PATIENCE = 30.0
WALK = """
const walk = (root, found) => {
  for (const each of root.querySelectorAll('*')) {
    found.push(each);
    if (each.shadowRoot) walk(each.shadowRoot, found);
  }
  return found;
};
const all = walk(document, []);
"""
TEXT = (
    WALK
    + """
const own = (each) => [...each.childNodes].filter((n) => n.nodeType === 3).map((n) => n.data);
return all.filter((e) => !['SCRIPT', 'STYLE'].includes(e.tagName)).flatMap(own).join(' ');
"""
)
PRESS = (
    WALK
    + """
const shown = (e) => (e.innerText || e.value || '').trim() === 'Count';
const button = all.findLast((e) => /^(BUTTON|INPUT)$/.test(e.tagName) && shown(e) && !e.disabled);
if (button) button.click();
return !!button;
"""
)
CLOSES = """
const Stock = window.WebSocket;
window.socketsMade = window.socketsOpen = 0;
window.WebSocket = class extends Stock {
  constructor(...words) {
    super(...words);
    window.socketsMade += 1;
    this.addEventListener('open', () => {
      window.socketsOpen += 1;
      this.addEventListener('close', () => { window.socketsOpen -= 1; });
    });
    this.addEventListener('close', (event) => {
      localStorage.setItem('closes', `${localStorage.getItem('closes') || ''} ${event.code}`);
    });
  }
};
"""


class User:
    """A user with a window and a cookie jar."""

    def __init__(self, page: Any, handle: str, url: str) -> None:
        self._page = page
        self._handle = handle
        self._url = url
        page.switch_to.window(handle)
        page.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": CLOSES})

    def _run(self, script: str) -> Any:
        from selenium.common.exceptions import WebDriverException

        # The document may just be replaced.
        with contextlib.suppress(WebDriverException):
            self._page.switch_to.window(self._handle)
            return self._page.execute_script(script)
        return None

    def load(self) -> int:
        """Load the page, or load it again; its count."""
        self._page.switch_to.window(self._handle)
        self._page.get(self._url)
        return int(wait_for(lambda: self.seen(), PATIENCE, "a count")[1])

    def seen(self) -> "re.Match[str] | None":
        """Count and worker, if they are there; the last ones, since a chat may have several."""
        found = [*re.finditer(r"count: *(\d+), *worker *(\d+)", self._run(TEXT) or "")]
        return found[-1] if found else None

    @property
    def worker(self) -> int:
        """The worker that the page names."""
        return int(wait_for(self.seen, PATIENCE, "a worker")[2])

    def count(self) -> int:
        """The count now; -1: none."""
        seen = self.seen()
        return int(seen[1]) if seen else -1

    def press(self, expected: int, seconds: float = PATIENCE) -> bool:
        """Press the button once; whether the page then comes to the count."""
        wait_for(lambda: self._run(PRESS), seconds, "a button")
        return self.comes_to(expected, seconds)

    def comes_to(self, expected: int, seconds: float = PATIENCE) -> bool:
        """Whether the page comes to the count."""
        try:
            return bool(wait_for(lambda: self.count() == expected, seconds))
        except AssertionError:
            return False

    def goes_on(self, last: int, seconds: float = 15.0) -> str:
        """What pressing the button finds: kept, new, or load (it does nothing)."""
        until = time.monotonic() + seconds
        pressed = 0
        while time.monotonic() < until:
            before = self.count()
            pressed += bool(self._run(PRESS))
            with contextlib.suppress(AssertionError):
                wait_for(lambda before=before: self.count() > 0 and self.count() != before, 2.0)
                # Some of the clicks may have been lost.
                return "kept" if last < self.count() <= last + pressed else "new"
        return "load"

    def is_back(self, seconds: float = 5.0) -> None:
        """Wait until the page has a WebSocket open, if it uses any and opens it by itself."""
        with contextlib.suppress(AssertionError):
            wait_for(lambda: self._run("return !socketsMade || socketsOpen > 0"), seconds)

    def closes(self) -> list[str]:
        """Codes with which WebSockets were closed here."""
        return str(self._run("return localStorage.getItem('closes') || ''") or "").split()


@contextlib.contextmanager
def users(directory: str, url: str, number: int) -> Iterator[list[User]]:
    """So many users, none of whom has been here."""
    page = browser(directory)
    try:
        with urllib.request.urlopen(f"http://{_address(page)}/json/version") as answer:
            endpoint = json.load(answer)["webSocketDebuggerUrl"]
        with connect(endpoint) as control:
            yield [User(page, _window(page, control), url) for _ in range(number)]
    finally:
        page.quit()


def _address(page: Any) -> str:
    return str(page.capabilities["goog:chromeOptions"]["debuggerAddress"])


def _window(page: Any, control: ClientConnection) -> str:
    """A window that shares no cookies with others; ChromeDriver has no command for it."""
    before = set(page.window_handles)
    context = _ask(control, "Target.createBrowserContext")["browserContextId"]
    _ask(control, "Target.createTarget", url="about:blank", browserContextId=context)
    (handle,) = wait_for(lambda: set(page.window_handles) - before, what="a window")
    return str(handle)


def _ask(control: ClientConnection, method: str, **parameters: str) -> dict[str, Any]:
    control.send(json.dumps({"id": 1, "method": method, "params": parameters}))
    while True:
        told = json.loads(control.recv())
        if "error" in told:
            raise AssertionError(f"{method}: {told['error']}")
        if told.get("id") == 1:
            return dict(told["result"])
