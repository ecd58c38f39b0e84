"""How much of a request is read before it is refused. Sizes are bytes."""

import attrs


@attrs.frozen
class Limits:
    """Bounds on one request; the names and defaults of the command line.

    ``request_line`` and ``field_size`` count a line without its line ending,
    ``head`` counts the whole head with every line ending and the empty line.
    ``body`` counts decoded body bytes, 0 for no bound.
    """

    request_line: int = 8190
    fields: int = 100
    field_size: int = 8190
    head: int = 32768
    body: int = 0
