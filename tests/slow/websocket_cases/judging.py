"""Cases, and what the RFC says of what was heard."""

from collections.abc import Callable, Sequence

import attrs

from tests.slow.websocket_cases.agreed import Agreed
from tests.slow.websocket_cases.frames import close
from tests.slow.websocket_cases.wire import Event, Heard, Said, Until

OK, LAX, FAILED = "ok", "lax", "failed"
Verdict = tuple[str, str]
"""One of the three, and why."""

Judge = Callable[[Heard], Verdict]


@attrs.frozen
class Case:
    """One connection.

    :ivar say: what is sent, when it is known what was agreed.
    :ivar chop: bytes of a write; 0: as they come.
    :ivar offer: Sec-WebSocket-Extensions.
    """

    number: str
    what: str
    say: Callable[[Agreed], Said]
    judge: Judge
    chop: int = 0
    offer: str = ""

    @property
    def group(self) -> int:
        return int(self.number.split(".")[0])


def plain(said: Said) -> Callable[[Agreed], Said]:
    """Said whatever was agreed."""
    return lambda _: said


def answered(number: str, what: str, said: Said, expected: Sequence[Event], chop: int = 0) -> Case:
    """All is well: these events, then our Close frame is answered and the server ends it.

    The Close frame waits for them: an app need not come to answer what lies before it.
    """
    whole: Said = [*said, Until(len(expected)), close()]
    return Case(number, what, plain(whole), answers(expected), chop)


def failed(
    number: str,
    what: str,
    said: Said,
    before: Sequence[Event] = (),
    codes: Sequence[int] = (1002,),
    chop: int = 0,
) -> Case:
    """The server must fail the connection, after these events, with one of the codes."""
    return Case(number, what, plain(said), fails(before, codes), chop)


def answers(expected: Sequence[Event], codes: Sequence[int | None] = (1000,)) -> Judge:
    """Exactly these events; then a Close frame with our code, and the end, by the server."""

    def judge(heard: Heard) -> Verdict:
        if heard.breach:
            return FAILED, heard.breach
        if _without_pongs(heard.events) != _without_pongs(expected):
            return FAILED, f"heard {shown(heard.events)} instead of {shown(expected)}"
        if not _pongs_do(_pongs(heard.events), _pongs(expected)):
            return FAILED, f"pongs {shown(_pongs(heard.events))} (5.5.3)"
        if heard.events != list(expected):
            return LAX, f"heard {shown(heard.events)} instead of {shown(expected)}"
        return _closed(heard, codes)

    return judge


def _closed(heard: Heard, codes: Sequence[int | None]) -> Verdict:
    if heard.close is None:
        return FAILED, f"a Close frame is not answered with one, but {heard.end} (5.5.1)"
    if heard.behind:
        return FAILED, f"{heard.behind} frames behind its Close frame (5.5.1)"
    if heard.end == "never":
        return FAILED, "the server does not end the connection (7.1.1)"
    if heard.close[0] not in codes:
        return LAX, f"closed with {heard.close[0]} instead of {codes[0]} (5.5.1: typically)"
    if heard.end == "reset":
        return LAX, "ended with a reset (7.1.1)"
    return OK, ""


def fails(before: Sequence[Event], codes: Sequence[int], early: bool = False) -> Judge:
    """The connection is failed (7.1.7), and nothing is heard but these events, in order.

    :param early: a pong behind them shows that it could have been earlier.
    """

    def judge(heard: Heard) -> Verdict:
        if heard.breach:
            return FAILED, heard.breach
        events = list(heard.events)
        late = early and events[len(before) :] == [("pong", b"late")]
        if late:
            events.pop()
        if events != list(before)[: len(events)]:
            return FAILED, f"heard {shown(events)} where {shown(before)} is all"
        if heard.end == "never":
            return FAILED, "the connection goes on (7.1.7)"
        if heard.behind:
            return FAILED, f"{heard.behind} frames behind its Close frame (5.5.1)"
        if heard.close is None:
            return LAX, "no Close frame (7.1.7: SHOULD)"
        if heard.close[0] not in codes:
            return LAX, f"closed with {heard.close[0]} instead of {codes[0]} (7.4.1)"
        if len(events) < len(before):
            return LAX, f"only {shown(events)} of {shown(before)} before the failure"
        if late:
            return LAX, "found when the message was whole, not as soon as it could be (8.1)"
        return OK, ""

    return judge


def shown(events: Sequence[Event]) -> str:
    """Events in a few words."""
    few = [f"{kind} {data[:12]!r}" + "…" * (len(data) > 12) for kind, data in events[:4]]
    return f"[{', '.join(few)}{', …' * (len(events) > 4)}]"


def _pongs(events: Sequence[Event]) -> list[Event]:
    return [event for event in events if event[0] == "pong"]


def _without_pongs(events: Sequence[Event]) -> list[Event]:
    return [event for event in events if event[0] != "pong"]


def _pongs_do(heard: Sequence[Event], expected: Sequence[Event]) -> bool:
    """Some may be left out, but not the last one (5.5.3)."""
    rest = iter(expected)
    return all(pong in rest for pong in heard) and list(heard[-1:]) == list(expected[-1:])
