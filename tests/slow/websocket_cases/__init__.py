"""Conformance of WebSocket servers on stickyd, case by case (RFC 6455, RFC 7692).

    python -m tests.slow.websocket_cases [--server NAME] [--case PREFIX] [--all]

An echo under twisted.web and one under ASGI are told frames as the RFC allows and as it
does not, on a connection of each case's own. The numbers are those of Autobahn's test
suite, whose groups these are: 1 framing, 2 pings, 3 reserved bits, 4 opcodes,
5 fragmentation, 6 UTF-8, 7 closing, 9 volume (smaller here), 10 the rest, 12 and 13
compression. The code, and what each case is judged by, is the RFC's.

A case is ``ok``; or ``lax``, if a SHOULD, or the earliest moment, was missed; or
``failed``, if a MUST was. Exit status 1 if one failed, if descriptors are left, or if the
log has a traceback.
"""
