"""Reports of ``--control``: one by example, and any by Hypothesis."""

from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from tests.support.extent import examples

OFTEN = settings(
    max_examples=examples(50),
    deadline=None,
    derandomize=True,
    # On a loaded machine the generation of whole reports is.
    suppress_health_check=[HealthCheck.too_slow],
)

COUNTS = st.integers(0, 2**62)
TEXTS = st.one_of(st.just("x" * 80), st.text(max_size=8))
MAYBE = st.one_of(st.none(), COUNTS)
SECONDS = st.one_of(st.none(), st.floats(0, 1e9), st.integers(0, 10**9))
STATES = st.one_of(st.sampled_from(("ready", "starting", "retiring", "dead")), TEXTS)
BY_NAME = st.dictionaries(TEXTS, COUNTS, max_size=2)


def counters(**given: Any) -> dict[str, Any]:
    names = ("requests", "arrived", "misrouted", "lost", "shed", "log_dropped", "upgraded")
    return {**dict.fromkeys(names, 0), "moved": {}, "refused": {}, **given}


def worker(pid: int, **given: Any) -> dict[str, Any]:
    usual = {"state": "ready", "generation": 1, "requests": 0, "open": 0, "idle": 0, "upgraded": 0}
    return {"pid": pid, **usual, "memory": 43 << 20, "cpu": 1.5, "age": 90.0, **given}


def slot(number: int, *workers: dict[str, Any], **given: Any) -> dict[str, Any]:
    usual = {"state": "ready" if workers else "dead", "load": None, "waiting": 0}
    return {"slot": number, **usual, "workers": list(workers), "totals": counters(), **given}


def report(*slots: dict[str, Any], **given: Any) -> dict[str, Any]:
    """A daemon with these slots.

    :param given: members of the report, ``workers`` and ``master`` in addition to the usual ones.
    """
    master = {"pid": 100, "memory": 45 << 20, "cpu": 2.0, "age": 100.0, "open": 0}
    master |= {"refused": {}, "restarts": {}, "shed": 0, "log_dropped": 0}
    return {
        **{"version": "0.1.0", "ready": True, "not_ready": "", "scope": "request"},
        "generation": 1,
        "connections": {"open": 0, "idle": 0, "most": 1000, "guarded": 0},
        "slots": list(slots),
        **given,
        "master": master | given.get("master", {}),
        "workers": counters() | given.get("workers", {}),
    }


ANY_COUNTERS = st.fixed_dictionaries(
    {
        **dict.fromkeys(
            ("requests", "arrived", "misrouted", "lost", "shed", "log_dropped", "upgraded"), COUNTS
        ),
        "moved": BY_NAME,
        "refused": BY_NAME,
    }
)
ANY_WORKER = st.fixed_dictionaries(
    {
        **dict.fromkeys(("pid", "generation", "requests", "open", "upgraded"), COUNTS),
        **{"state": STATES, "idle": MAYBE, "memory": MAYBE, "cpu": SECONDS, "age": SECONDS},
    }
)
ANY_SLOT = st.fixed_dictionaries(
    {
        **{"slot": COUNTS, "state": STATES, "load": MAYBE, "waiting": COUNTS},
        "workers": st.lists(ANY_WORKER, max_size=2),
        "totals": ANY_COUNTERS,
    }
)
ANY_REPORT = st.fixed_dictionaries(
    {
        **{"version": TEXTS, "ready": st.booleans(), "not_ready": TEXTS, "scope": TEXTS},
        "generation": COUNTS,
        "connections": st.fixed_dictionaries({"open": COUNTS, "idle": MAYBE, "most": COUNTS}),
        "slots": st.lists(ANY_SLOT, max_size=3),
        "master": st.fixed_dictionaries(
            {
                **{"pid": COUNTS, "memory": MAYBE, "cpu": SECONDS, "age": SECONDS},
                **dict.fromkeys(("open", "shed", "log_dropped"), COUNTS),
                **{"refused": BY_NAME, "restarts": BY_NAME},
            }
        ),
        "workers": ANY_COUNTERS,
    }
)
"""Reports with everything that is read, and any texts."""
