"""The garbage collector of a process that has everything it will keep."""

import gc


def leave_alone_what_is_there() -> None:
    """What start-up brought along stays, and need not be looked at again.

    Requests and connections leave few cycles; the default of 700 new objects looks
    for them after every few of them.
    """
    gc.freeze()
    gc.set_threshold(10_000, 20, 20)
