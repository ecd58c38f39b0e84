"""The requests to send: the four rows of the verification, and a random mix. Pure."""

from collections.abc import Iterator
from ipaddress import IPv4Address
from random import Random

import attrs

# The two clients of the verification.
CLIENT_1 = "10.10.10.10"
CLIENT_2 = "10.10.12.11"
ROWS: dict[str, tuple[str, ...]] = {
    "S1": (CLIENT_1,),
    "S2": (CLIENT_2,),
    "S3": (CLIENT_1, CLIENT_2),
    "S4": (CLIENT_2, CLIENT_1),
}
# Line endings, in the order asked. Servers may refuse bare LF.
ENDINGS: dict[str, bytes] = {"CRLF": b"\r\n", "LF": b"\n"}
# 198.18.0.0/15 is set aside for measurements (RFC 2544): no proxy or client has such an address.
_FIRST = int(IPv4Address("198.18.0.0"))
_COUNT = 2**17


@attrs.frozen
class Question:
    """What every request has in common: path, Host, and the header that names the client."""

    path: str = "/"
    host: str = "localhost"
    client_header: str = "X-Forwarded-For"

    def request(self, client: str, line: bytes = b"\r\n") -> bytes:
        """One request of ``client``, its lines ended by ``line``."""
        forwarded = self.client_header.lower() == "forwarded"
        fields = (
            f"GET {self.path} HTTP/1.1",
            f"Host: {self.host}",
            f"{self.client_header}: {'for=' if forwarded else ''}{client}",
            "Connection: keep-alive",
        )
        return line.join([*(field.encode("ascii") for field in fields), b"", b""])


@attrs.frozen
class Step:
    """One request of the mix: numbers of the connection and of the client, both from 0."""

    connection: int
    client: int


def random_clients(count: int, random: Random) -> tuple[str, ...]:
    """``count`` different client addresses, 1 to 131072."""
    return tuple(str(IPv4Address(_FIRST + n)) for n in random.sample(range(_COUNT), count))


def random_mix(requests: int, clients: int, connections: int, random: Random) -> Iterator[Step]:
    """A random interleaving where no two requests in a row on a connection are one client's.

    With a single client that cannot be, and the client repeats.
    """
    last: dict[int, int] = {}
    for _ in range(requests):
        connection = random.randrange(connections)
        client = random.randrange(clients)
        if client == last.get(connection) and clients > 1:
            # Any other, each as likely.
            client = (client + random.randrange(1, clients)) % clients
        last[connection] = client
        yield Step(connection, client)
