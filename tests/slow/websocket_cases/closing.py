"""Group 7: closing (RFC 6455, 5.5.1 and 7)."""

from collections.abc import Iterator

from tests.slow.websocket_cases.frames import CLOSE, CONT, PING, TEXT, close, frame, text
from tests.slow.websocket_cases.framing import HELLO
from tests.slow.websocket_cases.judging import (
    FAILED,
    OK,
    Case,
    Judge,
    Verdict,
    answers,
    fails,
    plain,
)
from tests.slow.websocket_cases.wire import Heard, Said, Until

GIVEN = (1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014)
FREE = (3000, 3999, 4000, 4999)
NEVER = (0, 999, 1004, 1005, 1006, 1015)
"""Below 1000 there are none, and these an endpoint must not send (7.4)."""

UNASSIGNED = (1016, 1100, 2000, 2999)
"""Of the protocol's own, and without a meaning so far."""

BEYOND = (5000, 65535)


def cases() -> Iterator[Case]:
    words, none = HELLO[1], answers([])
    yield _case("7.1.1", "a text, then close", [text(words), Until(1), close()], answers([HELLO]))
    yield _case("7.1.2", "close twice", [close() + close()], none)
    yield _case("7.1.3", "a ping behind close", [close() + frame(PING)], none)
    yield _case("7.1.4", "a text behind close", [close() + text(words)], none)
    begun = frame(TEXT, b"fragment1", fin=False)
    said: Said = [begun + close() + frame(CONT, b"fragment2")]
    yield _case("7.1.5", "close between fragments", said, none)
    big = b"BAsd7&jh23" * 26214
    said = [text(big) + close() + frame(PING)]
    yield _case("7.1.6", "256 KiB, close, ping", said, _either(answers([("text", big)]), none))
    yield _case("7.3.1", "an empty Close frame", [close(None)], answers([], (None, 1000)))
    yield _case("7.3.2", "a Close frame with half a code", [frame(CLOSE, b"a")], fails((), (1002,)))
    yield _case("7.3.3", "a code", [close()], none)
    yield _case("7.3.4", "a code and a reason", [close(1000, words)], none)
    yield _case("7.3.5", "a reason of 123 bytes", [close(1000, b"*" * 123)], none)
    said = [close(1000, b"*" * 124)]
    yield _case("7.3.6", "a reason of 124 bytes", said, fails((), (1002,)))
    said = [close(1000, "κόσμε".encode() + b"\xed\xa0\x80")]
    # 8.1 speaks of text, 7.1.6 of a reason that "MUST" be UTF-8: 1007 or 1002.
    yield _case("7.5.1", "a reason that is no UTF-8", said, fails((), (1007, 1002)))
    for n, code in enumerate((*GIVEN, *FREE), 1):
        yield _case(f"7.7.{n}", f"code {code}", [close(code)], answers([], (code,)))
    for n, code in enumerate(NEVER, 1):
        yield _case(f"7.9.{n}", f"code {code}", [close(code)], fails((), (1002,)))
    for n, code in enumerate(UNASSIGNED, len(NEVER) + 1):
        # Nothing says that it must not be taken for what it may be one day.
        judge = _either(fails((), (1002,)), answers([], (code,)))
        yield _case(f"7.9.{n}", f"code {code}", [close(code)], judge)
    for n, code in enumerate(BEYOND, 1):
        judge = _either(fails((), (1002,)), answers([], (code,)))
        yield _case(f"7.13.{n}", f"code {code}", [close(code)], judge)


def _case(number: str, what: str, said: Said, judge: Judge) -> Case:
    return Case(number, what, plain(said), judge)


def _either(one: Judge, other: Judge) -> Judge:
    """The RFC leaves it open."""

    def judge(heard: Heard) -> Verdict:
        verdicts = [one(heard), other(heard)]
        return min(verdicts, key=lambda verdict: (verdict[0] != OK, verdict[0] == FAILED))

    return judge
