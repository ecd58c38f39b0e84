"""The states of a slot and the transitions between them. Pure.

The state follows from the worker processes that the slot has: a serving one, one that
loads the app (starting), and those that finish their connections (retiring).
"""

import enum


class SlotState(enum.Enum):
    """What the worker processes of a slot do; the values stand in the report of ``--control``."""

    STARTING = "starting"
    READY = "ready"
    RETIRING = "retiring"
    DEAD = "dead"


def state_of(*, serving: bool, starting: bool, retiring: bool) -> SlotState:
    """The state of a slot with these workers."""
    if serving:
        return SlotState.READY
    if starting:
        return SlotState.STARTING
    return SlotState.RETIRING if retiring else SlotState.DEAD


TRANSITIONS: tuple[tuple[SlotState, str, SlotState], ...] = (
    (SlotState.DEAD, "worker spawned", SlotState.STARTING),
    (SlotState.RETIRING, "worker spawned", SlotState.STARTING),
    (SlotState.STARTING, "worker loaded, serves", SlotState.READY),
    (SlotState.STARTING, "worker ended before it served", SlotState.DEAD),
    (SlotState.STARTING, "worker ended before it served, others retire", SlotState.RETIRING),
    (SlotState.READY, "worker ended", SlotState.DEAD),
    (SlotState.READY, "worker ended while its replacement loads", SlotState.STARTING),
    (SlotState.READY, "worker ended, others retire", SlotState.RETIRING),
    (SlotState.RETIRING, "last worker ended", SlotState.DEAD),
)
"""Every change of state, as (from, event, to)."""
