"""The live page of --admin in headless Chromium.

    python -m tests.slow.live_page [--pictures DIRECTORY] [--only NAME ...]

While clients of many keys share connections and move, the daemon reloads and a worker is killed.
At rest the page shows the figures of --control and /api/status. Then: the keyboard, a narrow
window, a browser without JavaScript, a page that comes back when the daemon does, and hostile
names. 0 if all is as it should be; nothing may be in the browser's console.

Needs chromium and chromium-driver (Debian's packages), and selenium.
``--pictures docs`` makes docs/live-page.png anew; other directories get all pictures.
"""

import argparse
import contextlib
import json
import os
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.integration.test_admin import AdminDaemon
from tests.slow.chat import FLAGS
from tests.slow.prometheus_scrapes import Load
from tests.support.daemon import ROOT, free_port, wait_for

WORKERS = 4
WIDE, NARROW = (1180, 1180), (360, 740)
WHOLE, WHOLE_NARROW = (1180, 2400), (360, 2900)
SILENT_MOST = 180
"""Seconds in which the buffers for a page that takes nothing are full, and it is disconnected."""
PICTURE_SECONDS = 20
"""How long a page has been there when its picture is taken, for lines over time."""


@contextlib.contextmanager
def browser(size: tuple[int, int], *, dark: bool = False, script: bool = True) -> Iterator[Any]:
    """A window with a new profile."""
    from selenium import webdriver

    with tempfile.TemporaryDirectory() as profile:
        options = webdriver.ChromeOptions()
        options.binary_location = "/usr/bin/chromium"
        options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
        for flag in (*FLAGS[:-1], f"--user-data-dir={profile}", "--hide-scrollbars"):
            options.add_argument(flag)
        if not script:
            values = {"profile.managed_default_content_settings.javascript": 2}
            options.add_experimental_option("prefs", values)
        page = webdriver.Chrome(options, webdriver.ChromeService("/usr/bin/chromedriver"))
        try:
            scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
            page.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [scheme]})
            # A window has a least width; the emulated screen has none.
            metrics = {"width": size[0], "height": size[1], "deviceScaleFactor": 1}
            page.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", {**metrics, "mobile": False})
            yield page
        finally:
            page.quit()


def complaints(page: Any) -> list[str]:
    """What is in the console: errors, and what the content security policy has refused."""
    return [str(entry["message"]) for entry in page.get_log("browser")]


def text_of(page: Any, selector: str) -> str:
    return str(page.find_element("css selector", selector).get_attribute("textContent"))


def cells(page: Any, table: str, row: str) -> list[str]:
    found = page.find_elements("css selector", f'#{table} tr[data-key="{row}"] td')
    return [str(cell.get_attribute("textContent")) for cell in found]


def number(text: str) -> int:
    """The number that a cell begins with."""
    return int(text.partition("\n")[0].replace(",", "").replace("–", "0") or 0)


def numbers(page: Any, table: str, row: str) -> list[int]:
    return [number(text) for text in cells(page, table, row)]


def shown(page: Any) -> dict[str, Any]:
    """The figures of the page, named as in the report."""
    moved = {}
    for a in range(1, WORKERS + 1):
        row = numbers(page, "moves", f"from:{a}")
        moved[a] = {str(b): n for b, n in enumerate(row, 1) if n}
    return {
        "requests": numbers(page, "slots", "requests")[-1],
        "by source": numbers(page, "slots", "source:xff")[-1],
        "moved": sum(sum(row.values()) for row in moved.values()),
        "slot moved": numbers(page, "slots", "moved"),
        "arrived": numbers(page, "slots", "arrived")[-1],
        "misrouted": numbers(page, "slots", "misrouted")[-1],
        "lost": numbers(page, "slots", "lost")[-1],
        "handed_off": numbers(page, "slots", "handed_off"),
        "open": number(text_of(page, '[data-key="open"] .value')),
        "idle": number(text_of(page, '[data-key="idle"] .value')),
        "slots idle": numbers(page, "slots", "idle")[-1],
        "generation": number(text_of(page, '[data-key="generation"] .value')),
        "pids": [text.split("\n")[0] for text in cells(page, "slots", "ready")[:-1]],
        "crash": numbers(page, "restarts", "restart:crash"),
        "reload": numbers(page, "restarts", "restart:reload"),
    }


def told(report: dict[str, Any]) -> dict[str, Any]:
    """The same of a report."""
    workers, master = report["workers"], report["master"]
    handed_off = [sum(by.values()) for by in master["handed_off"].values()]
    moved = sum(workers["moved"].values())
    return {
        "requests": workers["requests"],
        "by source": workers["requests"],
        "moved": moved,
        "arrived": workers["arrived"],
        "misrouted": workers["misrouted"],
        "lost": workers["lost"],
        "handed_off": [*handed_off, sum(handed_off)],
        "open": report["connections"]["open"],
        # At rest every client waits for nothing.
        "idle": report["connections"]["open"],
        "slots idle": report["connections"]["open"],
        "generation": report["generation"],
        "pids": [f"pid {slot['pid']}" for slot in report["slots"]],
        "crash": [master["restarts"]["crash"]],
        "reload": [master["restarts"]["reload"]],
    }


def agrees(page: Any, daemon: AdminDaemon) -> dict[str, tuple[Any, Any]]:
    """What differs between the page and the report."""
    report = told(json.loads(daemon.get("/api/status")[1]))
    assert report == told(daemon.report())
    figures = shown(page)
    return {k: (figures[k], v) for k, v in report.items() if figures[k] != v}


def at_rest(page: Any, daemon: AdminDaemon) -> None:
    """Waits until the page has the figures of the report, and says what differs if it does not."""
    try:
        wait_for(lambda: not agrees(page, daemon), 15)
    except AssertionError:
        raise AssertionError(f"page, report: {agrees(page, daemon)}") from None


def opened(page: Any, daemon: AdminDaemon) -> None:
    page.get(f"http://127.0.0.1:{daemon.admin}/")
    wait_for(lambda: text_of(page, "#link") == "live", what="a view")


# ---- what is shown


def figures(page: Any, daemon: AdminDaemon, load: Load) -> None:
    """During moves, a reload and a kill -9; then at rest."""
    opened(page, daemon)
    wait_for(lambda: number(text_of(page, '[data-key="moves"] .value')) > 0, what="moves")
    wait_for(lambda: page.find_elements("css selector", "#flow path"), what="arcs")
    daemon.process.send_signal(signal.SIGHUP)
    wait_for(lambda: "generation 2" in text_of(page, "#events"), what="the new generation")
    wait_for(lambda: text_of(page, '[data-key="generation"] .value') == "2", what="generation 2")
    pid = daemon.pids()[2]
    os.kill(pid, signal.SIGKILL)
    wait_for(lambda: f"worker {pid} has ended" in text_of(page, "#events"), what="the kill")
    wait_for(lambda: replaced_by(daemon, pid), what="a replacement")
    load.pause()
    at_rest(page, daemon)
    found = shown(page)
    assert found["moved"] > 100, found
    assert found["slot moved"][-1] == found["moved"], found
    load.go_on()
    print("figures:", {name: found[name] for name in ("requests", "moved", "open", "generation")})


def replaced_by(daemon: AdminDaemon, pid: int) -> bool:
    pids = daemon.pids()
    return len(pids) == WORKERS and pid not in pids.values()


def stopped(page: Any, daemon: AdminDaemon) -> None:
    """Every worker is stopped: the page goes on."""
    pids = daemon.pids().values()
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        before = text_of(page, "#time")
        wait_for(lambda: text_of(page, "#time") > before, what="a view")
        assert text_of(page, "#link") == "live"
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)
    print("stopped: the page goes on while every worker is stopped")


def growth(page: Any) -> None:
    """The page has as many elements after twenty views, but for arcs and events."""
    before = elements(page)
    seen = {text_of(page, "#time")}

    def views() -> bool:
        seen.add(text_of(page, "#time"))
        return len(seen) > 20

    wait_for(views, 60, "twenty views")
    after = elements(page)
    assert after == before, (before, after)
    print(f"growth: {after} elements before and after twenty views")


def elements(page: Any) -> int:
    script = "return document.querySelectorAll('*:not(path):not(#events *):not(td svg, td rect)')"
    return int(page.execute_script(script + ".length"))


class Silent:
    """A page that takes nothing from the daemon."""

    def __init__(self, daemon: AdminDaemon) -> None:
        self._socket = socket.socket()
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        self._socket.connect(("127.0.0.1", daemon.admin))
        self._socket.sendall(b"GET /events HTTP/1.1\r\nHost: localhost\r\n\r\n")

    def ends(self) -> None:
        """The daemon disconnects it, and has sent little."""
        poll = select.poll()
        poll.register(self._socket, 0)
        assert poll.poll(SILENT_MOST * 1000), "a page that takes nothing is not disconnected"
        self._socket.close()
        print("silent: a page that takes nothing is disconnected")


def keyboard(page: Any) -> None:
    """Tab reaches the skip link, the button, what scrolls, and the links; the button works."""
    from selenium.webdriver.common.action_chains import ActionChains
    from selenium.webdriver.common.keys import Keys

    walk = []
    for _ in range(12):
        ActionChains(page).send_keys(Keys.TAB).perform()
        active = page.switch_to.active_element
        walk.append(
            active.get_attribute("id")
            or active.get_attribute("aria-labelledby")
            or active.get_attribute("href").rpartition("/")[2]
        )
        if walk[-1] == "pause":
            active.send_keys(Keys.SPACE)
            wait_for(lambda: text_of(page, "#link") == "paused", what="the pause")
            active.send_keys(Keys.ENTER)
            wait_for(lambda: text_of(page, "#link") == "live", what="the end of the pause")
        if walk[-1] == "readyz":
            break
    wanted = ["#figures", "pause", "h-slots", "h-moves", "h-refusals", "h-restarts", "events"]
    assert walk == [*wanted, "metrics", "status", "readyz"], walk
    print("keyboard:", " → ".join(walk))


def semantics(page: Any) -> None:
    """What assistive technologies are told: names and roles in Chromium's accessibility tree."""
    nodes = page.execute_cdp_cmd("Accessibility.getFullAXTree", {})["nodes"]
    roles: dict[str, list[str]] = {}
    for node in nodes:
        if not node.get("ignored"):
            name = node.get("name", {}).get("value", "")
            roles.setdefault(node["role"]["value"], []).append(name)
    assert len(roles["table"]) == 4, roles["table"]
    assert all(roles["table"]), roles["table"]
    assert {"Slot 1", "Slot 4", "All slots"} <= set(roles["columnheader"]), roles["columnheader"]
    assert {"State", "Memory", "From slot 1"} <= set(roles["rowheader"]), roles["rowheader"]
    assert len(roles["status"]) == 1
    assert {"Slots", "Moves", "What has happened"} <= set(roles["heading"])
    print("semantics: 4 named tables,", len(roles["rowheader"]), "row headers, 1 status")


def contrast(page: Any) -> None:
    """Every visible text has 4.5 : 1 or more before its ground (WCAG 2, AA)."""
    found = page.execute_script(CONTRAST)
    assert found["seen"] > 100, found
    assert not found["poor"], found["poor"]
    print(f"contrast: {found['seen']} texts, least {found['least']:.1f}")


CONTRAST = """
const light = (c) => {
  const part = (v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
  const [r, g, b] = c.map((v) => part(v / 255));
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
};
const parse = (text) => text.match(/[\\d.]+/g).map(Number);
const ground = (node) => {
  for (; node; node = node.parentElement) {
    const c = parse(getComputedStyle(node).backgroundColor);
    if (c.length < 4 || c[3] > 0) return c.slice(0, 3);
  }
  return [255, 255, 255];
};
const poor = [];
let least = 99, seen = 0;
const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
while (walk.nextNode()) {
  const node = walk.currentNode.parentElement;
  if (!walk.currentNode.data.trim() || !node.getClientRects().length) continue;
  const style = getComputedStyle(node);
  const colour = parse(node.closest("svg") ? style.fill : style.color).slice(0, 3);
  const [a, b] = [light(colour), light(ground(node))].sort((x, y) => y - x);
  const ratio = (a + 0.05) / (b + 0.05);
  seen += 1;
  least = Math.min(least, ratio);
  if (ratio < 4.5) poor.push([walk.currentNode.data, ratio]);
}
return {poor, least, seen};
"""


def narrow(page: Any, daemon: AdminDaemon) -> None:
    """At 360 px the page does not scroll sideways; the wide table does, within itself."""
    opened(page, daemon)
    width, inner = page.execute_script(
        "return [document.documentElement.scrollWidth, document.querySelector('#slots .scroll')"
        ".scrollWidth]"
    )
    assert width <= NARROW[0] < inner, (width, inner)
    print(f"narrow: the page is {width} px wide, its widest table {inner} px")


def plain(daemon: AdminDaemon) -> None:
    """Without JavaScript: the same tables, and loaded anew by itself."""
    with browser(WIDE, script=False) as page:
        page.get(f"http://127.0.0.1:{daemon.admin}/")
        assert not page.find_element("css selector", "#pause").is_displayed()
        assert "loaded anew" in text_of(page, "header noscript")
        at_rest(page, daemon)
        first = text_of(page, "#time")
        wait_for(lambda: seen_time(page) not in ("", first), what="a page loaded anew")
        at_rest(page, daemon)
        assert cells(page, "slots", "rate")[-1] != "–"
        assert complaints(page) == []
    print("plain: the figures of the report, loaded anew by itself, without JavaScript")


def seen_time(page: Any) -> str:
    from selenium.common.exceptions import WebDriverException

    try:
        return text_of(page, "#time")
    except WebDriverException:
        # Between two documents.
        return ""


def again(page: Any, daemon: AdminDaemon) -> None:
    """The daemon replaces its program, then ends and is started anew: the page is back."""
    assert complaints(page) == []
    daemon.process.send_signal(signal.SIGUSR2)
    wait_for(lambda: upgraded(daemon), 60, "the other program")
    wait_for(lambda: live_again(page), 60, "the page after USR2")
    daemon.stop()
    wait_for(lambda: text_of(page, "#link").startswith("not connected"), what="the end seen")
    daemon.start()
    pid = str(daemon.process.pid)
    wait_for(lambda: f"pid {pid}" in text_of(page, "#about"), 60, "the page of the new daemon")
    wait_for(lambda: live_again(page), what="a live page")
    wrong = [line for line in complaints(page) if "ERR_" not in line]
    assert wrong == [], wrong
    print("again: the page is back after USR2 and after a new start")


def upgraded(daemon: AdminDaemon) -> bool:
    try:
        return bool(daemon.report()["master"]["upgrades"])
    except (OSError, ValueError):
        return False


def live_again(page: Any) -> bool:
    return text_of(page, "#link") == "live"


def hostile() -> None:
    """Names that would be markup, by both ways that a text gets onto the page."""
    port = free_port()
    command = [sys.executable, "-m", "tests.slow.hostile_page", str(port)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE) as served:
        try:
            assert served.stdout is not None
            served.stdout.readline()
            with browser(WIDE) as page:
                page.get(f"http://127.0.0.1:{port}/")
                wait_for(lambda: live_again(page), what="a view")
                for _ in range(2):
                    before = text_of(page, "#time")
                    wait_for(lambda before=before: text_of(page, "#time") != before, what="a view")
                    assert page.find_elements("css selector", "main img, main script") == []
                    assert "<img src=x" in text_of(page, "#slots")
                    assert "</script>" in text_of(page, "#notices")
                assert complaints(page) == []
        finally:
            served.terminate()
    print("hostile: names that look like markup are texts")


# ---- pictures


def picture(page: Any, path: Path) -> None:
    """A small PNG: 128 colours."""
    import io

    from PIL import Image

    whole = Image.open(io.BytesIO(page.get_screenshot_as_png())).convert("RGB")
    whole.quantize(128, dither=Image.Dither.NONE).save(path, optimize=True)
    print(f"{path}: {path.stat().st_size // 1024} KiB")


def pictures(daemon: AdminDaemon, directory: Path) -> None:
    wanted = [("live-page", WIDE, False)]
    if directory.resolve() != ROOT / "docs":
        wanted += [("light", WHOLE, False), ("dark", WHOLE, True)]
        wanted += [("narrow", WHOLE_NARROW, False), ("narrow-dark", WHOLE_NARROW, True)]
    for name, size, dark in wanted:
        with browser(size, dark=dark) as page:
            opened(page, daemon)
            daemon.process.send_signal(signal.SIGHUP)
            generation = daemon.report()["generation"] + 1
            wait_for(lambda n=generation: f"generation {n} serves" in text_of(page, "#events"))
            before = text_of(page, "#time")
            wait_for(lambda before=before: seconds_since(page, before) >= PICTURE_SECONDS, 60)
            picture(page, directory / f"{name}.png")


def seconds_since(page: Any, before: str) -> int:
    a, b = (
        sum(int(n) * 60**e for n, e in zip(t.split(":"), (2, 1, 0), strict=True))
        for t in (before, text_of(page, "#time"))
    )
    return (b - a) % 86400


def main() -> int:
    """Run it."""
    parser = argparse.ArgumentParser(prog="python -m tests.slow.live_page")
    parser.add_argument("--pictures", type=Path, help="only make pictures, in this directory")
    arguments = parser.parse_args()
    for program in ("chromium", "chromedriver"):
        if shutil.which(program) is None:
            print(f"{program} is missing", file=sys.stderr)
            return 2
    daemon = AdminDaemon("--affinity-scope", "request", "--workers", str(WORKERS))
    with daemon:
        load = Load(daemon.port, rest=0.01)
        try:
            if arguments.pictures is not None:
                pictures(daemon, arguments.pictures)
                return 0
            silent = Silent(daemon)
            with browser(WIDE) as page:
                figures(page, daemon, load)
                growth(page)
                stopped(page, daemon)
                opened(page, daemon)
                keyboard(page)
                semantics(page)
                contrast(page)
                assert complaints(page) == []
            with browser(NARROW, dark=True) as page:
                narrow(page, daemon)
                contrast(page)
                assert complaints(page) == []
            silent.ends()
            load.pause()
            plain(daemon)
            load.stop()
            with browser(WIDE) as page:
                opened(page, daemon)
                again(page, daemon)
        finally:
            load.stop()
    hostile()
    print("all as it should be")
    return 0


if __name__ == "__main__":
    sys.exit(main())
