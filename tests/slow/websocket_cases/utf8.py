"""Group 6: text is UTF-8 (RFC 6455, 8.1; RFC 3629; Unicode, table 3-7)."""

from collections.abc import Iterator

from tests.slow.websocket_cases.frames import CONT, PING, TEXT, fragments, frame, pieces, text
from tests.slow.websocket_cases.judging import Case, answered, failed, fails, plain
from tests.slow.websocket_cases.wire import Said, Until

KOSME = "κόσμε".encode()
MIXED = "Hello-µ@ßöäüàá-UTF-8!!".encode()
CODES = (1007,)

LIMITS = (
    *("00", "7f", "c280", "dfbf", "e0a080", "efbfbf", "f0908080", "f48fbfbf"),
    *("ed9fbf", "ee8080", "efbfbd"),
)
"""The first and the last of each length; around surrogates; the replacement character."""

NONCHARACTERS = tuple(
    chr(plane << 16 | low).encode().hex() for plane in range(17) for low in (0xFFFE, 0xFFFF)
)
"""They may be interchanged all the same (Unicode, corrigendum 9)."""

BROKEN = {
    "beyond U+10FFFF": ("f4908080", "f7bfbfbf", "f5808080"),
    "five and six bytes": ("f888808080", "fbbfbfbfbf", "fc8480808080", "fdbfbfbfbfbf"),
    "continuations alone": ("80", "bf", "80bf", "80bf80", "80bf80bf", "80bf80bf80bf"),
    "all continuations": (bytes(range(0x80, 0xC0)).hex(),),
    "starts alone": (
        *(b" ".join(bytes([n]) for n in range(0xC0, 0xE0)).hex(),),
        *(b" ".join(bytes([n]) for n in range(0xE0, 0xF0)).hex(),),
        *(b" ".join(bytes([n]) for n in range(0xF0, 0xF8)).hex(),),
    ),
    "cut off": ("c2", "e080", "e0a0", "efbf", "f08080", "f09080", "f48fbf", "df", "edbf"),
    "cut off, one behind the other": ("c2e0a0f09080", "e0a0c2f48fbf"),
    "bytes that are none": ("fe", "ff", "fefeffff"),
    "longer than need be": ("c0af", "c1bf", "e080af", "e09fbf", "f08080af", "f08fbfbf"),
    "NUL, longer than need be": ("c080", "e08080", "f0808080"),
    "surrogates": ("eda080", "edadbf", "edae80", "edafbf", "edb080", "edbe80", "edbfbf"),
    "pairs of surrogates": ("eda080edb080", "edadbfedbfbf", "edae80edb080", "edafbfedbfbf"),
}


def cases() -> Iterator[Case]:
    yield answered("6.1.1", "empty", [text(b"")], [("text", b"")])
    empty = [b"", b"", b""]
    yield answered("6.1.2", "three empty fragments", fragments(TEXT, empty), [("text", b"")])
    middle = [b"", b"middle", b""]
    yield answered("6.1.3", "two of three empty", fragments(TEXT, middle), [("text", b"middle")])
    yield from _valid()
    yield from _invalid()
    yield from _found_early()
    yield from _prefixes()
    n = 0
    for what, whole in (("a limit", LIMITS), ("a noncharacter", NONCHARACTERS)):
        for sample in whole:
            n += 1
            yield from _both_ways(f"6.6.{n}", what, bytes.fromhex(sample), True)
    n = 0
    for what, broken in BROKEN.items():
        for sample in broken:
            n += 1
            yield from _both_ways(f"6.7.{n}", what, bytes.fromhex(sample), False)


def _both_ways(number: str, what: str, sample: bytes, good: bool) -> Iterator[Case]:
    """In one frame, and byte by byte, each in a fragment of its own."""
    for way, said in (("", [text(sample)]), (", in fragments", _bytewise(sample))):
        name = number + ("f" if way else "")
        if good:
            yield answered(name, f"{what}{way}", said, [("text", sample)])
        else:
            yield failed(name, f"{what}: {sample[:8].hex()}{way}", said, codes=CODES)


def _bytewise(data: bytes) -> list[bytes]:
    return fragments(TEXT, pieces(data, 1))


def _valid() -> Iterator[Case]:
    cut = MIXED.index(b"\xc3")
    yield answered("6.2.1", "valid", [text(MIXED)], [("text", MIXED)])
    parts = fragments(TEXT, [MIXED[:cut], MIXED[cut:]])
    yield answered("6.2.2", "valid, cut between characters", parts, [("text", MIXED)])
    parts = fragments(TEXT, [MIXED[: cut + 1], MIXED[cut + 1 :]])
    yield answered("6.2.3", "valid, cut within a character", parts, [("text", MIXED)])
    yield answered("6.2.4", "valid, in fragments of a byte", _bytewise(KOSME), [("text", KOSME)])


def _invalid() -> Iterator[Case]:
    broken = KOSME + b"\xed\xa0\x80" + b"edited"
    yield failed("6.3.1", "valid, then a surrogate", [text(broken)], codes=CODES)
    what = "the same in fragments of a byte"
    yield failed("6.3.2", what, _bytewise(broken), codes=CODES)


def _found_early() -> Iterator[Case]:
    """What follows cannot mend it; a pong says that the server has not found it so far."""
    for n, (what, first, second, third) in enumerate(
        (
            ("between fragments", KOSME, b"\xf4\x90\x80\x80", b"edited"),
            ("within a fragment", KOSME + b"\xf4", b"\x90", b"\x80\x80edited"),
        ),
        1,
    ):
        said: list[bytes | Until] = [
            frame(TEXT, first, fin=False),
            frame(CONT, second, fin=False) + frame(PING, b"late"),
            Until(1),
            frame(CONT, third),
        ]
        judge = fails((), CODES, early=True)
        yield Case(f"6.4.{n}", f"beyond U+10FFFF {what}, found early", plain(said), judge)
    whole = frame(TEXT, KOSME + b"\xf4\x90\x80\x80" + b"edited")
    # The frame's last bytes come when the server has had time to read those before: a frame
    # within a frame cannot ask whether it has, so nothing is judged but the end.
    said_in_pieces: Said = [whole[:20], whole[20:]]
    judge = fails((), CODES)
    yield Case("6.4.3", "the same within one frame, in two writes", plain(said_in_pieces), judge)
    yield Case("6.4.4", "the same, byte by byte", plain([whole]), judge, chop=1)


def _prefixes() -> Iterator[Case]:
    """A word, cut after each byte."""
    for size in range(1, len(KOSME) + 1):
        sample = KOSME[:size]
        try:
            sample.decode()
        except UnicodeDecodeError:
            good = False
        else:
            good = True
        yield from _both_ways(f"6.5.{size}", f"{size} bytes of a Greek word", sample, good)
