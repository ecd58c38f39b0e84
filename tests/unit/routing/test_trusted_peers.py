"""Client addresses: one text each, and the walk along the hops, by a hundred named cases."""

import unittest

from hypothesis import given, settings
from hypothesis import strategies as st

from stickyd.http1.head_parser import Head, read_head
from stickyd.http1.limits import Limits
from stickyd.net.address import canonical
from stickyd.routing.affinity import find_key, parse_chain
from stickyd.routing.source import Asked, Key
from stickyd.routing.trusted_peers import (
    LOCAL_PEERS,
    Missing,
    TrustedPeers,
    TrustError,
    client_of_xff,
    walk,
)
from tests.support.extent import examples

OFTEN = settings(max_examples=examples(200), deadline=None, derandomize=True)

PROXIES = "10.0.0.0/8, fd00::/8"
AND_UNIX = f"{PROXIES}, unix"
PROXY = "10.0.0.9"
CLIENT = "203.0.113.7"
CLIENT6 = "2001:db8::7"
OTHER = "198.51.100.1"

NEXT = None
"""The header names nobody: the next source of the chain is asked."""

Row = tuple[str | None, list[str], str | None, str]
Rows = dict[str, Row]


def row(expected: str | None, *lines: str, peer: str | None = PROXY, trusted: str = PROXIES) -> Row:
    """The client that X-Forwarded-For ``lines`` of ``peer`` name; characters stand for bytes."""
    return expected, list(lines), peer, trusted


def all_rows(**tables: Rows) -> Rows:
    """Every row under the name of its table and its own."""
    return {f"{at}_{name}": row for at, rows in tables.items() for name, row in rows.items()}


HOPS: Rows = {
    "client_alone": row(CLIENT, "203.0.113.7"),
    "one_proxy": row(CLIENT, "203.0.113.7, 10.0.0.1"),
    "two_proxies": row(CLIENT, "203.0.113.7, 10.0.0.2, 10.0.0.1"),
    "many_proxies": row(CLIENT, "203.0.113.7" + ", 10.1.2.3" * 200),
    "forged_client": row(CLIENT, "192.0.2.66, 203.0.113.7, 10.0.0.1"),
    "forged_proxy": row(CLIENT, "10.0.0.66, 203.0.113.7, 10.0.0.1"),
    "many_forged": row(CLIENT, "192.0.2.66, " * 200 + "203.0.113.7"),
    "untrusted_proxy_is_the_client": row(OTHER, "203.0.113.7, 198.51.100.1, 10.0.0.1"),
    "trusted_beyond_an_untrusted_one": row(OTHER, "203.0.113.7, 10.0.0.2, 198.51.100.1, 10.0.0.1"),
    "client_named_twice": row(CLIENT, "203.0.113.7, 203.0.113.7"),
    "proxy_named_twice": row(CLIENT, "203.0.113.7, 10.0.0.1, 10.0.0.1"),
    "client_equals_its_proxy": row("10.0.0.1", "10.0.0.1, 10.0.0.1"),
    "client_on_both_sides_of_a_proxy": row(CLIENT, "203.0.113.7, 10.0.0.1, 203.0.113.7"),
    "the_peer_names_itself": row(CLIENT, "203.0.113.7, 10.0.0.9"),
    "no_blanks": row(CLIENT, "192.0.2.66,203.0.113.7,10.0.0.1"),
    "blanks_and_tabs": row(CLIENT, " \t192.0.2.66 ,\t203.0.113.7\t , 10.0.0.1 \t"),
    "lowest_address": row("0.0.0.0", "0.0.0.0"),
    "highest_address": row("255.255.255.255", "255.255.255.255, 10.0.0.1"),
    "private_but_not_trusted": row("192.168.0.1", "203.0.113.7, 192.168.0.1, 10.0.0.1"),
    "loopback_but_not_trusted": row("127.0.0.1", "203.0.113.7, 127.0.0.1, 10.0.0.1"),
}

ALL_TRUSTED: Rows = {
    "one": row("10.0.0.1", "10.0.0.1"),
    "leftmost": row("10.0.0.3", "10.0.0.3, 10.0.0.2, 10.0.0.1"),
    "leftmost_of_lines": row("10.0.0.3", "10.0.0.3", "10.0.0.2, 10.0.0.1"),
    "leftmost_v6": row("fd00::3", "fd00::3, 10.0.0.2, fd00::1"),
    "leftmost_with_port": row("10.0.0.3", "10.0.0.3:1234, 10.0.0.2"),
    "only_the_peer": row("10.0.0.9", "10.0.0.9"),
}

LINES: Rows = {
    "two": row(CLIENT, "203.0.113.7", "10.0.0.1"),
    "order_matters": row(CLIENT, "10.0.0.1", "203.0.113.7"),
    "forged_line_in_front": row(CLIENT, "192.0.2.66", "203.0.113.7, 10.0.0.1"),
    "junk_line_in_front": row(CLIENT, "junk", "203.0.113.7, 10.0.0.1"),
    "junk_line_behind": row(NEXT, "203.0.113.7, 10.0.0.1", "junk"),
    "three": row(CLIENT, "192.0.2.66, 203.0.113.7", "10.0.0.2", "10.0.0.1"),
    "empty_line_behind": row(NEXT, "203.0.113.7", ""),
    "empty_line_in_front": row(CLIENT, "", "203.0.113.7"),
    "no_line": row(NEXT),
}

PORTS: Rows = {
    "v4": row(CLIENT, "203.0.113.7:49152"),
    "v4_of_a_proxy": row(CLIENT, "203.0.113.7, 10.0.0.1:443"),
    "v4_of_all": row(CLIENT, "203.0.113.7:1, 10.0.0.1:2"),
    "v4_lowest": row(CLIENT, "203.0.113.7:0"),
    "v4_highest": row(CLIENT, "203.0.113.7:65535"),
    "v4_empty": row(NEXT, "203.0.113.7:"),
    "v4_name": row(NEXT, "203.0.113.7:http"),
    "v4_signed": row(NEXT, "203.0.113.7:+80"),
    "v4_six_digits": row(NEXT, "203.0.113.7:123456"),
    "v4_twice": row(NEXT, "203.0.113.7:80:80"),
    "v4_blank": row(NEXT, "203.0.113.7 :80"),
    "v4_in_brackets": row(NEXT, "[203.0.113.7]"),
    "v4_in_brackets_with_port": row(NEXT, "[203.0.113.7]:80"),
    "v6": row(CLIENT6, "[2001:db8::7]:49152"),
    "v6_brackets_only": row(CLIENT6, "[2001:db8::7]"),
    "v6_of_a_proxy": row(CLIENT, "203.0.113.7, [fd00::1]:443"),
    "v6_without_brackets_is_all_address": row("2001:db8::7:8080", "2001:db8::7:8080"),
    "v6_eight_groups_and_a_port": row(NEXT, "1:2:3:4:5:6:7:8:8080"),
    "v6_empty": row(NEXT, "[2001:db8::7]:"),
    "v6_name": row(NEXT, "[2001:db8::7]:http"),
    "v6_no_colon": row(NEXT, "[2001:db8::7]80"),
    "v6_not_closed": row(NEXT, "[2001:db8::7"),
    "v6_not_opened": row(NEXT, "2001:db8::7]:80"),
    "v6_two_brackets": row(NEXT, "[[2001:db8::7]]"),
    "empty_brackets": row(NEXT, "[]:80"),
    "port_alone": row(NEXT, ":80"),
}

V6: Rows = {
    "client": row(CLIENT6, "2001:db8::7, fd00::1"),
    "upper_case": row(CLIENT6, "2001:DB8::7"),
    "written_out": row(CLIENT6, "2001:0db8:0000:0000:0000:0000:0000:0007"),
    "zeros_not_compressed": row(CLIENT6, "2001:db8:0:0:0:0:0:7"),
    "longest_run_is_compressed": row("2001:0:0:1::1", "2001:0:0:1:0:0:0:1"),
    "first_of_equal_runs_is_compressed": row("2001:db8::1:0:0:1", "2001:db8:0:0:1:0:0:1"),
    "single_zero_is_not_compressed": row("2001:db8:0:1:1:1:1:1", "2001:db8::1:1:1:1:1"),
    "unspecified": row("::", "::"),
    "loopback": row("::1", "0:0:0:0:0:0:0:1"),
    "proxy_in_another_spelling": row(CLIENT, "203.0.113.7, FD00:0:0::0001"),
    "untrusted": row("fc00::1", "203.0.113.7, fc00::1, fd00::1"),
    "zone": row(NEXT, "fe80::1%eth0"),
    "two_compressions": row(NEXT, "2001::db8::7"),
    "nine_groups": row(NEXT, "1:2:3:4:5:6:7:8:9"),
    "five_digits": row(NEXT, "2001:db8::00007"),
    "prefix": row(NEXT, "2001:db8::7/64"),
    "colon_behind": row(NEXT, "2001:db8::7:"),
    "colons_three": row(NEXT, ":::"),
}

MAPPED: Rows = {
    "client": row(CLIENT, "::ffff:203.0.113.7"),
    "in_hex": row(CLIENT, "::ffff:cb00:7107"),
    "upper_case": row(CLIENT, "::FFFF:203.0.113.7"),
    "written_out": row(CLIENT, "0:0:0:0:0:ffff:203.0.113.7"),
    "in_brackets_with_port": row(CLIENT, "[::ffff:203.0.113.7]:49152"),
    "proxy": row(CLIENT, "203.0.113.7, ::ffff:10.0.0.1"),
    "proxy_in_hex": row(CLIENT, "203.0.113.7, ::ffff:a00:1"),
    "all_trusted": row("10.0.0.2", "::ffff:10.0.0.2, ::ffff:10.0.0.1"),
    "another_prefix_is_v6": row("64:ff9b::cb00:7107", "64:ff9b::203.0.113.7"),
    "bad_v4": row(NEXT, "::ffff:203.0.113.256"),
}

JUNK: Rows = {
    "word": row(NEXT, "junk"),
    "name": row(NEXT, "client.example"),
    "localhost": row(NEXT, "localhost"),
    "before_the_client": row(NEXT, "203.0.113.7, junk"),
    "between_client_and_proxy": row(NEXT, "203.0.113.7, junk, 10.0.0.1"),
    "behind_the_client_is_not_looked_at": row(CLIENT, "junk, 203.0.113.7, 10.0.0.1"),
    "behind_the_trusted": row(NEXT, "junk, 10.0.0.2, 10.0.0.1"),
    "three_numbers": row(NEXT, "203.0.113"),
    "five_numbers": row(NEXT, "203.0.113.7.1"),
    "one_number": row(NEXT, "3405803783"),
    "number_too_large": row(NEXT, "203.0.113.256"),
    "negative": row(NEXT, "203.0.113.-7"),
    # Octal to some readers, decimal to others.
    "leading_zero": row(NEXT, "203.0.113.007"),
    "hexadecimal": row(NEXT, "0xcb.0.0x71.7"),
    "network": row(NEXT, "203.0.113.7/32"),
    "blank_within": row(NEXT, "203.0. 113.7"),
    "two_in_one_member": row(NEXT, "192.0.2.66 203.0.113.7"),
    "semicolon": row(NEXT, "192.0.2.66; 203.0.113.7"),
    "quoted": row(NEXT, '"203.0.113.7"'),
    "as_in_forwarded": row(NEXT, "for=203.0.113.7"),
    "dot_behind": row(NEXT, "203.0.113.7."),
    "asterisk": row(NEXT, "*"),
    "dash": row(NEXT, "-"),
    "no_break_space": row(NEXT, "\xa0203.0.113.7"),
    "superscript_digits": row(NEXT, "203.0.113.\xb2"),
    "utf_8_digits": row(NEXT, "203.0.113.\u0667".encode().decode("latin-1")),
    "very_long": row(NEXT, "1" * 5000),
}

HIDDEN: Rows = {
    "unknown": row(NEXT, "unknown"),
    "unknown_in_capitals": row(NEXT, "UNKNOWN"),
    "unknown_near": row(NEXT, "203.0.113.7, unknown"),
    "unknown_behind_a_proxy": row(NEXT, "203.0.113.7, unknown, 10.0.0.1"),
    "unknown_client_of_trusted_proxies": row(NEXT, "unknown, 10.0.0.2, 10.0.0.1"),
    "unknown_beyond_the_client": row(CLIENT, "unknown, 203.0.113.7"),
    "unknown_with_port": row(NEXT, "unknown:80"),
    "hidden": row(NEXT, "_hidden"),
    "hidden_behind_a_proxy": row(NEXT, "203.0.113.7, _hidden, 10.0.0.1"),
    "hidden_beyond_the_client": row(CLIENT, "_hidden, 203.0.113.7"),
    "hidden_name": row(NEXT, "_SEVKISEK"),
    "hidden_underscore": row(NEXT, "_"),
    "hidden_port": row(NEXT, "_hidden:_port"),
}

EMPTY: Rows = {
    "value": row(NEXT, ""),
    "comma": row(NEXT, ","),
    "commas": row(NEXT, ", ,,"),
    "behind_the_last": row(NEXT, "203.0.113.7,"),
    "between": row(NEXT, "203.0.113.7,, 10.0.0.1"),
    "beyond_the_client": row(CLIENT, ", 203.0.113.7"),
    "beyond_the_trusted": row(NEXT, ", 10.0.0.1"),
}

EVERYONE: Rows = {
    "one": row(CLIENT, "203.0.113.7", trusted="*"),
    "leftmost": row("192.0.2.66", "192.0.2.66, 203.0.113.7, 10.0.0.1", trusted="*"),
    "leftmost_of_lines": row("192.0.2.66", "192.0.2.66", "203.0.113.7", trusted="*"),
    "any_peer": row("192.0.2.66", "192.0.2.66, 203.0.113.7", peer=OTHER, trusted="*"),
    "among_others": row("192.0.2.66", "192.0.2.66, 203.0.113.7", trusted="10.0.0.1,*"),
    "leftmost_is_unknown": row(NEXT, "unknown, 203.0.113.7", trusted="*"),
    "junk_between": row(NEXT, "192.0.2.66, junk, 203.0.113.7", trusted="*"),
    "v6_peer": row("192.0.2.66", "192.0.2.66, ::1", peer=CLIENT6, trusted="*"),
}

PEERS: Rows = {
    "untrusted": row(NEXT, "203.0.113.7", peer=OTHER),
    "untrusted_v6": row(NEXT, "203.0.113.7", peer=CLIENT6),
    "untrusted_behind_a_trusted_hop": row(NEXT, "203.0.113.7, 10.0.0.1", peer=OTHER),
    "just_below_the_network": row(NEXT, "203.0.113.7", peer="9.255.255.255"),
    "first_of_the_network": row(CLIENT, "203.0.113.7", peer="10.0.0.0"),
    "last_of_the_network": row(CLIENT, "203.0.113.7", peer="10.255.255.255"),
    "just_above_the_network": row(NEXT, "203.0.113.7", peer="11.0.0.0"),
    "trusted_v6": row(CLIENT, "203.0.113.7", peer="fd00::9"),
    "just_above_the_v6_network": row(NEXT, "203.0.113.7", peer="fe00::"),
    "single_address": row(CLIENT, "203.0.113.7", peer="192.0.2.1", trusted="192.0.2.1"),
    "neighbour_of_a_single_address": row(
        NEXT, "203.0.113.7", peer="192.0.2.2", trusted="192.0.2.1"
    ),
    "loopback": row(CLIENT, "203.0.113.7", peer="127.0.0.1", trusted="127.0.0.1,::1"),
    "loopback_v6": row(CLIENT, "203.0.113.7", peer="::1", trusted="127.0.0.1,::1"),
    "other_loopback": row(NEXT, "203.0.113.7", peer="127.0.0.2", trusted="127.0.0.1,::1"),
    "nobody_is_trusted": row(NEXT, "203.0.113.7", trusted=""),
    "all_v4": row("192.0.2.66", "192.0.2.66, 203.0.113.7", peer=OTHER, trusted="0.0.0.0/0"),
    "all_v4_but_no_v6": row("2001:db8::7", "192.0.2.66, 2001:db8::7", trusted="0.0.0.0/0"),
    "mapped_member": row(CLIENT, "203.0.113.7", peer="192.0.2.1", trusted="::ffff:192.0.2.1"),
    "unix": row(CLIENT, "203.0.113.7", peer=None, trusted=AND_UNIX),
    "unix_with_proxies": row(
        CLIENT, "192.0.2.66, 203.0.113.7, 10.0.0.1", peer=None, trusted=AND_UNIX
    ),
    "unix_alone": row(CLIENT, "192.0.2.66, 203.0.113.7", peer=None, trusted="unix"),
    "unix_of_everyone": row("192.0.2.66", "192.0.2.66, 203.0.113.7", peer=None, trusted="*"),
    "unix_not_named": row(NEXT, "203.0.113.7", peer=None),
    "unix_of_all_addresses": row(NEXT, "203.0.113.7", peer=None, trusted="0.0.0.0/0,::/0"),
    "unix_when_nobody_is_trusted": row(NEXT, "192.0.2.66, 203.0.113.7", peer=None, trusted=""),
    "unix_all_trusted": row("10.0.0.2", "10.0.0.2, 10.0.0.1", peer=None, trusted=AND_UNIX),
    "unix_junk": row(NEXT, "junk", peer=None, trusted=AND_UNIX),
    "unix_no_header": row(NEXT, peer=None, trusted=AND_UNIX),
    "unix_is_no_hop": row(NEXT, "203.0.113.7, unix", trusted=AND_UNIX),
}

CASES = all_rows(
    hops=HOPS,
    all_trusted=ALL_TRUSTED,
    lines=LINES,
    ports=PORTS,
    v6=V6,
    mapped=MAPPED,
    junk=JUNK,
    hidden=HIDDEN,
    empty=EMPTY,
    everyone=EVERYONE,
    peers=PEERS,
)


def head_with(lines: list[bytes]) -> Head:
    """A head with these X-Forwarded-For lines, as it comes from the wire."""
    fields = b"".join(b"X-Forwarded-For: %b\r\n" % line for line in lines)
    head = read_head(b"GET / HTTP/1.1\r\nHost: a\r\n" + fields + b"\r\n", Limits())
    assert isinstance(head, Head), head
    return head


class Walk(unittest.TestCase):
    """The client among the hops: the rightmost that is not trusted, else the leftmost."""

    def check(self, expected: str | None, lines: list[str], peer: str | None, spec: str) -> None:
        trusted = TrustedPeers.parse(spec)
        head = head_with([line.encode("latin-1") for line in lines])
        key = find_key(parse_chain("xff,src"), Asked(head, peer, trusted)).key
        if expected is not None:
            self.assertEqual(key, Key("xff", expected), lines)
        elif peer is not None:
            self.assertEqual(key, Key("src", peer), lines)
        else:
            self.assertIsNone(key, lines)
        # The same without the rest of the chain, where the peer's word counts.
        if lines and peer in trusted:
            client = client_of_xff(head.values(b"x-forwarded-for"), trusted)
            self.assertEqual(None if isinstance(client, Missing) else client, expected, lines)

    def test_there_are_a_hundred(self) -> None:
        self.assertGreaterEqual(len(CASES), 100)

    def test_underscored_header_is_nobody(self) -> None:
        data = b"GET / HTTP/1.1\r\nHost: a\r\nX_Forwarded_For: 203.0.113.7\r\n\r\n"
        head = read_head(data, Limits())
        assert isinstance(head, Head), head
        key = find_key(parse_chain("xff,src"), Asked(head, PROXY, TrustedPeers.parse(PROXIES))).key
        self.assertEqual(key, Key("src", PROXY))

    def test_no_hops(self) -> None:
        self.assertIsInstance(walk((), TrustedPeers.parse(PROXIES)), Missing)

    def test_nothing_is_read_beyond_the_client(self) -> None:
        hops = iter(["10.0.0.1", CLIENT, "192.0.2.66"])
        self.assertEqual(walk(hops, TrustedPeers.parse(PROXIES)), CLIENT)
        self.assertEqual(list(hops), ["192.0.2.66"])

    @OFTEN
    @given(
        st.lists(st.sampled_from(["10.0.0.1", "10.0.0.2", CLIENT, OTHER, "junk", ""]), min_size=1),
        st.data(),
    )
    def test_lines_are_one_list(self, hops: list[str], draw: st.DataObject) -> None:
        """Where the list is broken into lines changes nothing."""
        trusted = TrustedPeers.parse(PROXIES)
        joined = client_of_xff([",".join(hops).encode()], trusted)
        ends = sorted(draw.draw(st.sets(st.integers(1, len(hops)))) | {len(hops)})
        lines = [hops[a:b] for a, b in zip([0, *ends], ends, strict=False)]
        self.assertEqual(
            client_of_xff([",".join(line).encode() for line in lines], trusted), joined
        )

    @OFTEN
    @given(st.lists(st.binary(max_size=40), min_size=1, max_size=4))
    def test_any_bytes_name_an_address_or_nobody(self, lines: list[bytes]) -> None:
        client = client_of_xff(lines, TrustedPeers.parse(PROXIES))
        if not isinstance(client, Missing):
            self.assertEqual(canonical(client), client)


def _add_cases() -> None:
    for name, case in CASES.items():

        def test(self: Walk, case: Row = case) -> None:
            self.check(*case)

        test.__name__ = f"test_{name}"
        setattr(Walk, test.__name__, test)


_add_cases()


class Trust(unittest.TestCase):
    """The list of trusted peers."""

    def test_parse(self) -> None:
        trusted = TrustedPeers.parse(" 10.0.0.0/8 ,,::1,unix ,192.0.2.1 ")
        self.assertFalse(trusted.everyone)
        for host in ("10.1.2.3", "::1", "192.0.2.1", None):
            self.assertIn(host, trusted)
            # A second look is answered from memory.
            self.assertIn(host, trusted)
        for host in ("11.0.0.0", "::2", "192.0.2.2"):
            self.assertNotIn(host, trusted)
            self.assertNotIn(host, trusted)

    def test_everyone(self) -> None:
        trusted = TrustedPeers.parse("*")
        self.assertTrue(trusted.everyone)
        for host in ("0.0.0.0", "2001:db8::1", None):
            self.assertIn(host, trusted)

    def test_nobody(self) -> None:
        for spec in ("", " ", ","):
            trusted = TrustedPeers.parse(spec)
            for host in ("127.0.0.1", "::1", None):
                self.assertNotIn(host, trusted)

    def test_unix(self) -> None:
        trusted = TrustedPeers.parse("127.0.0.1, unix")
        self.assertIn(None, trusted)
        self.assertNotIn("::1", trusted)
        self.assertIn(None, TrustedPeers.parse(LOCAL_PEERS))

    def test_what_is_no_peer(self) -> None:
        for spec in (
            *("localhost", "10.0.0.0/33", "::/129", "10.0.0.1/8", "10.0.0.1:80", "[::1]", "**"),
            *("UNIX", "unix:", "unix:/run/http", "/run/http"),
            *("10.0.0.0/8;::1", "10.0.0.1-10.0.0.9", "10.*", "-1", "1.2.3", "01.2.3.4"),
            *("fe80::1%eth0", "fe80::%eth0/64"),
        ):
            with self.assertRaises(TrustError, msg=spec) as caught:
                TrustedPeers.parse(f"127.0.0.1,{spec}")
            self.assertNotIn("\n", str(caught.exception), spec)

    def test_more_peers_than_are_remembered(self) -> None:
        trusted = TrustedPeers.parse("10.0.0.0/8")
        for number in range(5000):
            low = f"{number >> 8}.{number & 255}"
            self.assertIn(f"10.0.{low}", trusted)
            self.assertNotIn(f"11.0.{low}", trusted)
