"""What is wrong with an affinity chain that can be read, in one line each. Pure."""

from collections.abc import Iterator, Sequence

from stickyd.routing.affinity import LEAST
from stickyd.routing.issued_ids import INSERT, LEARNS
from stickyd.routing.source import Source
from stickyd.routing.trusted_peers import LOCAL_PEERS

APPS_HEADERS = frozenset({"mcp-session-id"})
"""Headers whose ids an app makes."""

KEYED_COOKIES = frozenset({"TWISTED_SESSION", "TWISTED_SECURE_SESSION"})
"""Cookies whose ids carry their slot under stickyd (`stickyd.worker.apps.sessions`)."""


def warnings(chain: Sequence[Source], scope: str, trusted: str, proxies: bool) -> Iterator[str]:
    """Lines that say what will not work and what to change.

    :param scope: ``connection`` or ``request``.
    :param trusted: the peers whose forwarding headers count, as given.
    :param proxies: those peers send a PROXY header with each connection.
    """
    yield from _made_by_the_app(chain)
    yield from _never_asked(chain)
    if [source.kind for source in chain] == [LEAST]:
        yield "least alone keeps no client with its worker: put insert(NAME) before it (browser)"
    per_request = any(source.kind not in ("src", LEAST) for source in chain)
    if scope == "connection" and per_request and trusted not in ("", LOCAL_PEERS) and not proxies:
        yield (
            "--affinity-scope connection: a proxy sends requests of several clients over one"
            f" connection, and --forwarded-allow-ips {trusted} names some:"
            " use --affinity-scope request"
        )


def _made_by_the_app(chain: Sequence[Source]) -> Iterator[str]:
    for source in chain:
        known = source.kind == "hdr" and source.name.lower() in APPS_HEADERS
        if known or (source.kind == "cookie" and source.name not in KEYED_COOKIES):
            yield (
                f"{source.text} hashes an id that the app makes, which leads to the worker that"
                f" made it only if the app takes it from stickyd.keys: use learn({source.text})"
            )


def _never_asked(chain: Sequence[Source]) -> Iterator[str]:
    for at, source in enumerate(chain[:-1]):
        if source.kind == "src":
            behind = ",".join(each.text for each in chain[at + 1 :])
            yield (
                f"{behind} is asked only on Unix sockets: every other request has src,"
                " so put src behind it or leave it out"
            )
    for at, source in enumerate(chain):
        earlier = {each.kind for each in chain[:at]}
        if source.kind in LEARNS and INSERT in earlier:
            yield (
                f"{source.text} is asked only of clients without the daemon's cookie, which"
                " insert decides first: put it before insert"
            )
