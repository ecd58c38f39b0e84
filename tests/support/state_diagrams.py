"""Mermaid diagrams of the state machines, from their tables of transitions.

``python -m tests.support.state_diagrams`` prints both.
"""

from collections.abc import Callable, Iterable
from typing import TypeVar

from stickyd.master.supervisor import slot_states
from stickyd.shm import connection_states

State = TypeVar("State")


def mermaid(
    transitions: Iterable[tuple[State, str, State]], name: Callable[[State], str], start: State
) -> str:
    """A Mermaid state diagram (https://mermaid.js.org/syntax/stateDiagram.html).

    :param name: of a state, as the diagram shows it.
    :param start: the state to begin with.
    """

    def ident(state: State) -> str:
        return name(state).replace(" ", "_")

    transitions = list(transitions)
    states = dict.fromkeys(state for one, _, other in transitions for state in (one, other))
    lines = ["stateDiagram-v2"]
    lines += [f"    {ident(s)}: {name(s)}" for s in states if ident(s) != name(s)]
    lines.append(f"    [*] --> {ident(start)}")
    lines += [f"    {ident(one)} --> {ident(other)}: {event}" for one, event, other in transitions]
    return "\n".join(lines) + "\n"


def connection_diagram() -> str:
    """Who owns a connection, as the connection table has it."""
    names = connection_states.NAMES
    return mermaid(connection_states.TRANSITIONS, lambda state: names[state], 0)


def slot_diagram() -> str:
    """What the worker processes of a slot do."""
    return mermaid(slot_states.TRANSITIONS, lambda state: state.value, slot_states.SlotState.DEAD)


if __name__ == "__main__":
    print(connection_diagram())
    print(slot_diagram())
