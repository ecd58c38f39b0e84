"""A click a second on a page, over three reloads."""

import os
import tempfile
import time

from tests.slow.recipes.pages import read
from tests.slow.recipes.table import Recipe
from tests.slow.recipes.users import User, users
from tests.slow.recipes.watched import Started, started
from tests.support.daemon import wait_for

RELOADS = 3
GRACE = 10.0
BEFORE = 5.0
HEAD = "| app | HUP | clicks before the close | failed | closed with | page is back after |"


def click(user: User, last: int) -> bool:
    """Press once, for a second; whether the page counted."""
    begun = time.monotonic()
    good = user.press(last + 1, 5.0)
    # A click a second.
    time.sleep(max(0.0, 1.0 - (time.monotonic() - begun)))
    return good


def until_closed(daemon: Started, user: User) -> tuple[int, int, str, float]:
    """One reload; clicks before the close, how many failed, its code, seconds until it is back."""
    closes = len(user.closes())
    clicks = failed = 0
    begun = time.monotonic()
    reloaded = False
    while len(user.closes()) == closes:
        if not reloaded and time.monotonic() - begun > BEFORE:
            daemon.reload()
            reloaded = True
        last = user.count()
        good = click(user, last)
        if len(user.closes()) > closes:
            # The close came into this click.
            break
        clicks += 1
        failed += not good
    closed = time.monotonic()
    wait_for(lambda: user.goes_on(-1, 2.0) == "new", 60, "the page")
    return clicks, failed, " ".join(user.closes()[closes:]), time.monotonic() - closed


def watch(recipe: Recipe) -> bool:
    """Print a row for each reload; whether no click failed."""
    print(HEAD + "\n" + "|---" * 6 + "|", flush=True)
    good = True
    with tempfile.TemporaryDirectory() as profile:
        with started(read(recipe.page), recipe.group, GRACE) as (daemon, url):
            with users(os.path.join(profile, "profile"), url, 1) as (user,):
                user.load()
                for number in range(1, RELOADS + 1):
                    clicks, failed, codes, seconds = until_closed(daemon, user)
                    row = (recipe.name, number, clicks, failed, codes, f"{seconds:.1f} s")
                    print("| " + " | ".join(map(str, row)) + " |", flush=True)
                    good &= failed == 0 and "1012" in codes
    return good
