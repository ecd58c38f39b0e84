"""The chat of the examples in a real browser: clients of different workers hear each other.

``python -m tests.slow.chat [--picture docs/chat.png]`` starts a Redis, the chat
with two workers, and headless Chromium with two pages whose cookies place them
on different workers. 0 if each has read what the other said, and nothing twice.

Needs chromium, chromium-driver, redis-server, npm (Debian's packages) and selenium.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from tests.integration.test_examples import documented
from tests.support.daemon import ROOT, Daemon, free_port, wait_for

CHAT = ROOT / "examples" / "socketio_chat"
FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--window-size=560,420",
]
TALK = (
    (0, "Hello from the first page"),
    (1, "I hear you, at another worker"),
    (0, "So does everyone, by way of Redis"),
)


def browser(profile: str) -> Any:
    """A window with a profile of its own."""
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    options.binary_location = "/usr/bin/chromium"
    for flag in (*FLAGS, f"--user-data-dir={profile}"):
        options.add_argument(flag)
    return webdriver.Chrome(options, webdriver.ChromeService("/usr/bin/chromedriver"))


def text_of(page: Any, selector: str) -> str:
    found = page.find_elements("css selector", selector)
    return found[0].text if found else ""


def said(page: Any) -> list[str]:
    return [line.text for line in page.find_elements("css selector", "#said li")]


def place(page: Any, url: str, other: str) -> str:
    """Open the page with a cookie that leads to another worker than ``other``; its worker."""
    page.get(url)
    for number in range(50):
        page.add_cookie({"name": "client", "value": f"client-{number}"})
        page.get(url)
        worker = wait_for(lambda: text_of(page, "#worker").strip("…"), what="a worker")
        if worker != other:
            return str(worker)
    raise AssertionError("fifty cookies lead to one worker")


def converse(url: str, directory: str, picture: Path | None) -> bool:
    pages = [browser(os.path.join(directory, name)) for name in ("first", "second")]
    try:
        workers: list[str] = []
        for page in pages:
            workers.append(place(page, url, workers[0] if workers else ""))
        print(f"the pages are at workers {workers[0]} and {workers[1]}")
        expected: list[str] = []
        for speaker, text in TALK:
            line = pages[speaker].find_element("css selector", "input")
            line.send_keys(text + "\n")
            expected.append(f"worker {workers[speaker]}: {text}")
            for page in pages:
                wait_for(lambda page=page: said(page) == expected, what=f"{expected[-1]!r}")
        if picture is not None:
            pages[1].save_screenshot(str(picture))
        print(f"{len(TALK)} lines, read once by both pages")
        return workers[0] != workers[1]
    finally:
        for page in pages:
            page.quit()


def main() -> int:
    """Run it."""
    parser = argparse.ArgumentParser(prog="python -m tests.slow.chat")
    parser.add_argument("--picture", type=Path, help="where a picture of a page goes")
    arguments = parser.parse_args()
    for program in ("chromium", "chromedriver", "redis-server", "npm"):
        if shutil.which(program) is None:
            print(f"{program} is missing", file=sys.stderr)
            return 2
    if not (CHAT / "node_modules").exists():
        subprocess.run(["npm", "install", "--silent"], cwd=CHAT, check=True)
    port = free_port()
    with tempfile.TemporaryDirectory() as directory:
        redis = subprocess.Popen(
            ["redis-server", "--port", str(port), "--bind", "127.0.0.1", "--save", ""],
            stdout=subprocess.DEVNULL,
            cwd=directory,
        )
        try:
            daemon = Daemon(
                *("--affinity", "cookie(client),xff,src"),
                command=documented(CHAT),
                cwd=str(CHAT),
                environment={"PYTHONPATH": str(ROOT), "REDIS_URL": f"redis://127.0.0.1:{port}"},
            )
            with daemon:
                url = f"http://127.0.0.1:{daemon.port}/"
                return 0 if converse(url, directory, arguments.picture) else 1
        finally:
            redis.terminate()
            redis.wait()


if __name__ == "__main__":
    sys.exit(main())
