"""Every page of docs/recipes, as it is written there: Chromium, nginx, the command of the page.

    python -m tests.slow.recipes [NAME...] [--write]

Needs chromium, chromium-driver and nginx. Each group of recipes has an environment in build/
with the versions that its pages name.

Three users of one address press a button 20 times each, and each must see a count of their
own; the page is loaded again; a worker is killed; HUP. What was seen is compared with what
table.py and the pages say. ``--write`` writes the rows into docs/recipes/README.md.
``--controls`` lets the same users press the buttons under servers without affinity, where
interactions must fail; these rows are written too.
``--clicks`` presses once a second over three reloads instead.
Exit status 1 if anything was not as it should be.
"""

import argparse
import datetime
import os
import re
import shutil
import sys
import tempfile
import time
import traceback

import attrs

from stickyd.master.supervisor.replacement import KILL_AFTER
from tests.slow.recipes import controls
from tests.slow.recipes.clicks import watch
from tests.slow.recipes.pages import DIRECTORY, Page, read
from tests.slow.recipes.table import RECIPES, Recipe
from tests.slow.recipes.tracebacks import Traceback
from tests.slow.recipes.users import User, users
from tests.slow.recipes.watched import Started, started
from tests.support.daemon import wait_for

USERS = 3
INTERACTIONS = 20
LINES_MOST = 8
"""Of an unknown traceback that are shown."""
GRACE = 4.0
HEAD = (
    "| framework | versions | 20 interactions, 3 users | workers | page loaded again |"
    " kill -9 | HUP: at once, after the grace | WebSockets closed with | tracebacks | TERM |"
    " date |\n" + "|---" * 11 + "|"
)


@attrs.define
class Seen:
    """What was seen of one recipe."""

    failed: int = 0
    workers: int = 0
    reload: str = ""
    killed: str = ""
    hup: str = ""
    codes: str = ""
    tracebacks: list[Traceback] = attrs.Factory(list)
    term: float = 0.0

    def row(self, recipe: Recipe, page: Page) -> str:
        """For the matrix."""
        link = f"[{recipe.name}]({recipe.page}.md)"
        failed = f"{self.failed} of {USERS * INTERACTIONS} failed"
        date = datetime.date.today().isoformat()
        cells: tuple[str, ...] = (
            link,
            page.versions,
            failed,
            str(self.workers),
            self.reload,
            self.killed,
        )
        cells += (
            self.hup,
            self.codes or "–",
            str(len(self.tracebacks)),
            f"{100 * round(10 * self.term)} ms",
        )
        return "| " + " | ".join((*cells, date)) + " |"

    def faults(self, recipe: Recipe) -> list[str]:
        """Where it is not as the table says."""
        found = [f"{self.failed} interactions failed"] if self.failed else []
        found += ["one worker served everyone"] if self.workers < 2 else []
        for name in ("reload", "killed", "hup"):
            seen, due = getattr(self, name), getattr(recipe, name)
            found += [f"{name}: {seen}, not {due}"] if seen != due else []
        found += ["TERM: the whole grace"] if self.term > GRACE + KILL_AFTER else []
        for each in self.tracebacks:
            if not each.is_known(recipe.known):
                found.append(
                    "\n".join(["an unknown traceback:", *each.lines[-LINES_MOST:], each.error])
                )
        return found


def interact(crowd: list[User]) -> tuple[int, int]:
    """All press by turns; how many failed, and how many workers served them."""
    failed = 0
    for user in crowd:
        if user.load() != 0:
            print("  a new user finds a count", file=sys.stderr)
            failed += 1
    for number in range(1, INTERACTIONS + 1):
        failed += sum(not user.press(number) for user in crowd)
    return failed, len({user.worker for user in crowd})


def look(daemon: Started, crowd: list[User]) -> Seen:
    """One recipe."""
    seen = Seen()
    seen.failed, seen.workers = interact(crowd)
    first, second, third = crowd
    again = first.load()
    seen.reload = "kept" if again == INTERACTIONS else "new"
    # So far that a state which begins anew does not come there by a few clicks.
    for number in range(again + 1, again + 11):
        seen.failed += not first.press(number)
    # The users of the killed worker, one of whom a new session may have joined, are not those of
    # the next step.
    killed = first.worker
    left = [user for user in (second, third) if user.worker != killed]
    daemon.kill_worker(killed)
    seen.killed = first.goes_on(again + 10)
    seen.failed += first.load() < 0
    old = daemon.reload()
    at_once = left[0].goes_on(INTERACTIONS)
    # Not later: a page may begin anew by itself when the grace is over.
    before = left[-1].count()
    drained = any("--session-drain" in word for word in daemon.command)
    if drained:
        # Nothing happens at the end of the grace, and that is what is looked for.
        time.sleep(GRACE + 1)
    else:
        wait_for(lambda: not set(old) & set(daemon.family()), 60, "the end of the old workers")
    left[-1].is_back()
    seen.hup = f"{at_once}, {left[-1].goes_on(before)}"
    seen.failed += left[-1].load() < 0
    seen.codes = ", ".join(sorted({code for user in crowd for code in user.closes()}))
    return seen


def check(recipe: Recipe) -> tuple[str, list[str]]:
    """One row, and what is wrong with it."""
    page = read(recipe.page)
    with (
        tempfile.TemporaryDirectory() as profile,
        started(page, recipe.group, GRACE) as (
            daemon,
            url,
        ),
    ):
        with users(os.path.join(profile, "profile"), url + recipe.query, USERS) as crowd:
            seen = look(daemon, crowd)
    seen.tracebacks, seen.term = daemon.tracebacks, daemon.stop_seconds
    return seen.row(recipe, page), seen.faults(recipe)


def write(head: str, rows: dict[str, str], names: list[str]) -> None:
    """Put rows by name into the table of this head, in place of those of the same names."""
    path = DIRECTORY / "README.md"
    text = path.read_text()
    before, _, rest = text.partition(head)
    old, _, after = rest.lstrip("\n").partition("\n\n")
    found = (re.match(r"\| (?:\[(.*?)\]|(.*?) \|)", line) for line in old.split("\n"))
    known = {match[1] or match[2]: match.string for match in found if match}
    known |= rows
    lines = [known[name] for name in names if name in known]
    path.write_text(before + head + "\n" + "\n".join(lines) + "\n\n" + after)


def control(writes: bool) -> bool:
    """Run the controls; whether interactions failed in each."""
    print(controls.HEAD, flush=True)
    rows: dict[str, str] = {}
    good = True
    for each in controls.CONTROLS:
        rows[each.name], failed = controls.check_control(each, USERS, INTERACTIONS)
        print(rows[each.name], flush=True)
        good &= failed
    if writes and good:
        write(controls.HEAD, rows, [each.name for each in controls.CONTROLS])
    return good


def main() -> int:
    """Run; exit status 1 if anything was not as it should be."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help="pages; default: all")
    parser.add_argument("--write", action="store_true", help="write the matrix")
    parser.add_argument("--clicks", action="store_true", help="a click a second over three HUPs")
    parser.add_argument("--controls", action="store_true", help="servers without affinity")
    arguments = parser.parse_args()
    for program in ("chromium", "chromedriver", "nginx"):
        if shutil.which(program) is None:
            print(f"{program} is missing", file=sys.stderr)
            return 2
    chosen = [each for each in RECIPES if each.page in arguments.names or not arguments.names]
    if arguments.clicks:
        outcomes = [watch(each) for each in chosen]
        return 0 if all(outcomes) else 1
    if arguments.controls:
        return 0 if control(arguments.write) else 1
    print(HEAD, flush=True)
    rows: dict[str, str] = {}
    bad = 0
    for recipe in chosen:
        try:
            rows[recipe.name], faults = check(recipe)
            print(rows[recipe.name], flush=True)
        except Exception:
            faults = [traceback.format_exc()]
        for fault in faults:
            print(f"  {recipe.name}: {fault}", file=sys.stderr)
        bad += bool(faults)
        if faults:
            rows.pop(recipe.name, None)
    if arguments.write:
        write(HEAD, rows, [recipe.name for recipe in RECIPES])
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
