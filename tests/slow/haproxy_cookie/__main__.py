"""HAProxy's ``cookie insert indirect nocache`` beside stickyd's ``insert``, point by point.

    python -m tests.slow.haproxy_cookie

Needs haproxy. HAProxy stands before two stock servers of twisted.web, stickyd has two
workers; the app is the same. Prints a table in Markdown, as in docs/keys.md; exit status 1
if the two differ where `AGREED` does not say so.
"""

import shutil
import sys

from tests.slow.haproxy_cookie.points import points
from tests.slow.haproxy_cookie.servers import haproxy, stickyd

AGREED = {
    "the app sees, of `a=1;ID;b=2`": "the same cookies: the others stay as they were sent",
    "the app sees, of two lines `a=1; ID` and `b=2`": "the same cookies, in one line",
    "Cache-Control with the cookie": "stickyd: no shared cache may store the cookie",
    "Cache-Control, the app says `public, max-age=60`": "stickyd leaves the app's own word",
    "Set-Cookie, the app sets one of this name": "HAProxy drops the app's; choose another name",
}
"""Where they may differ, and why."""


def main() -> int:
    """Compare; exit status 1 if anything differs that should not."""
    if shutil.which("haproxy") is None:
        print("haproxy is not on PATH", file=sys.stderr)
        return 2
    good = True
    print("| point | HAProxy | stickyd | |\n|---|---|---|---|")
    with haproxy() as one, stickyd() as other:
        for name, point in points():
            told = point(one), point(other)
            same = told[0] == told[1]
            why = "same" if same else AGREED.get(name, "DIFFERENT")
            good &= same or name in AGREED
            print(f"| {name} | {told[0]} | {told[1]} | {why} |", flush=True)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
