"""``python -m tests.slow.life``."""

import argparse
import sys
import time
import traceback
from collections.abc import Callable

from tests.slow import life
from tests.slow.life import changes, deaths, faults, wrk
from tests.slow.life.run import Arguments, Results

Scenario = Callable[[Results, str, Arguments], None]

BOTH = ("connection", "request")
SCENARIOS: dict[str, tuple[Scenario, tuple[str, ...]]] = {
    "reload": (changes.reload, BOTH),
    "worn": (changes.worn, BOTH),
    "scale": (changes.scale, BOTH),
    "upgrade": (changes.upgrade, BOTH),
    "kill": (deaths.kill, BOTH),
    "stop": (deaths.stop, BOTH),
    "crashloop": (deaths.crashloop, ("request",)),
    "faults": (faults.faults, ("request",)),
}


def main() -> int:
    """Run scenarios; 1 if something that must hold does not."""
    words = sys.argv[1:]
    at = words.index("--") if "--" in words else len(words)
    own, for_daemon = words[:at], words[at + 1 :]
    parser = argparse.ArgumentParser(
        prog="python -m tests.slow.life",
        description=life.__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("scenario", nargs="*", help=", ".join(SCENARIOS))
    parser.add_argument("--rounds", type=int, help="how often; each scenario has its own number")
    parser.add_argument("--scope", choices=BOTH, help="one scope only")
    parser.add_argument("--delay", type=int, default=10, help="ms wrk's connections rest, 0: none")
    parser.add_argument("--seed", type=int, default=1)
    chosen = parser.parse_args(own)
    unknown = [name for name in chosen.scenario if name not in SCENARIOS]
    if unknown:
        parser.error(f"no scenario {unknown[0]}; there are {', '.join(SCENARIOS)}")
    if missing := wrk.missing():
        print(missing, file=sys.stderr)
        return 2
    arguments = Arguments(chosen.rounds, chosen.delay, chosen.seed, tuple(for_daemon))
    results = Results()
    for name in chosen.scenario or SCENARIOS:
        scenario, scopes = SCENARIOS[name]
        for scope in scopes:
            if chosen.scope in (None, scope) or len(scopes) == 1:
                _run(name, scenario, scope, arguments, results)
    print(f"wrong: {results.wrong}")
    return 1 if results.wrong else 0


def _run(name: str, scenario: Scenario, scope: str, arguments: Arguments, results: Results) -> None:
    print(f"{name}, scope {scope}", flush=True)
    started = time.monotonic()
    try:
        scenario(results, scope, arguments)
    except AssertionError as error:
        traceback.print_exc()
        results.check(False, f"{name} did not come to its end: {str(error)[:300]}")
    results.say(f"{name}, scope {scope}: {time.monotonic() - started:.0f} s")


if __name__ == "__main__":
    sys.exit(main())
