"""How long, how often, and with whom."""

import attrs


@attrs.frozen
class Plan:
    """What the command line asks of a run.

    :ivar rounds: how often each contestant is measured.
    :ivar seconds: how long each time.
    :ivar only: parts of contestants' names; empty for all.
    :ivar quick: the daily few, shortly.
    """

    rounds: int = 5
    seconds: int = 3
    only: tuple[str, ...] = ()
    quick: bool = False

    def wants(self, name: str) -> bool:
        """Whether a contestant takes part."""
        return not self.only or any(part in name for part in self.only)
