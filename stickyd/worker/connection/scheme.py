"""Whether the client of a request uses TLS."""

from stickyd.http1.head_parser import Head
from stickyd.ipc.frame import Frame
from stickyd.ipc.over_tls import over_tls
from stickyd.routing.client_address import forwarded_proto
from stickyd.routing.trusted_peers import TrustedPeers


def uses_tls(head: Head, frame: Frame, trusted: TrustedPeers) -> bool:
    """Whether the client uses TLS: as a trusted peer reports, or with this daemon.

    A trusted peer may itself speak TLS with the daemon, for a client that does not.

    :param frame: of the connection.
    """
    named = forwarded_proto(head, frame.peer_host, trusted)
    return over_tls(frame.listener) if named is None else named == "https"
