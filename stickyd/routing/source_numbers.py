"""Numbers for the sources of affinity keys, as frames and counters have them. Pure.

0 stands for no source, 1 for the first of the chain, and so on; `OTHER` for all that have no
number of their own.
"""

from collections.abc import Iterable

OTHER = 31


def numbers_of(texts: Iterable[str]) -> dict[str, int]:
    """The number of each source, by its text in ``--affinity``, and of ``none``."""
    return {"none": 0, **{text: min(at, OTHER) for at, text in enumerate(texts, 1)}}


def names_of(texts: Iterable[str]) -> list[str]:
    """The source of each number."""
    named = ["none", *texts][:OTHER]
    return [*named, *["other"] * (OTHER + 1 - len(named))]
