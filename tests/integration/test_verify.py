"""``stickyd verify``: what it asks and how it judges, without a server."""

import re
from collections import Counter
from random import Random
from typing import Any

import attrs
from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from stickyd.cli.verify.report import mix_lines, percent, row_lines, table
from stickyd.cli.verify.response import Answer, WorkerName, shown
from stickyd.cli.verify.scenarios import ROWS, Question, random_clients, random_mix
from stickyd.cli.verify.statistics import wilson
from stickyd.cli.verify.verdict import Kind, Mix, Row, Status, conclude, judge_rows
from tests.support.daemon import ROOT

SEED = ROOT / "tests" / "seed"


class ConfidenceTests(SynchronousTestCase):
    def test_published_values(self) -> None:
        # Worked by hand from Wilson's formula, z = 1.95996.
        for hits, asked, low, high in (
            (0, 10, 0.0, 0.2775),
            (10, 10, 0.7225, 1.0),
            (5, 10, 0.2366, 0.7634),
            (1, 10, 0.0179, 0.4042),
            (0, 400, 0.0, 0.0095),
            (0, 0, 0.0, 1.0),
        ):
            self.assertEqual(tuple(round(end, 4) for end in wilson(hits, asked)), (low, high))

    def test_no_rate(self) -> None:
        for hits, asked in ((-1, 3), (4, 3), (1, 0)):
            self.assertRaises(ValueError, wilson, hits, asked)

    @given(st.integers(0, 10**6).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
    def test_holds_the_rate_and_is_symmetric(self, rate: tuple[int, int]) -> None:
        hits, asked = rate
        low, high = wilson(hits, asked)
        assert 0 <= low <= (hits / asked if asked else 0.5) <= high <= 1
        other_low, other_high = wilson(asked - hits, asked)
        assert abs(other_low - (1 - high)) < 1e-9
        assert abs(other_high - (1 - low)) < 1e-9


class PlanTests(SynchronousTestCase):
    def test_the_verification_s_own_bytes(self) -> None:
        question = Question()
        for number, client in enumerate(("10.10.10.10", "10.10.12.11"), 1):
            self.assertEqual(question.request(client, b"\n"), (SEED / f"msg{number}").read_bytes())
            self.assertEqual(question.request(client), (SEED / f"msg{number}.crlf").read_bytes())
        self.assertEqual(ROWS["S4"], tuple(reversed(ROWS["S3"])))

    def test_forwarded_has_its_own_syntax(self) -> None:
        request = Question("/a?b", "h:1", "Forwarded").request("198.18.0.9")
        self.assertIn(b"GET /a?b HTTP/1.1\r\nHost: h:1\r\nForwarded: for=198.18.0.9\r\n", request)

    @given(st.integers(1, 300), st.integers(2, 20), st.integers(1, 9), st.integers(0, 2**32))
    def test_mix(self, requests: int, clients: int, connections: int, seed: int) -> None:
        steps = list(random_mix(requests, clients, connections, Random(seed)))
        assert steps == list(random_mix(requests, clients, connections, Random(seed)))
        assert len(steps) == requests
        last: dict[int, int] = {}
        for step in steps:
            assert 0 <= step.connection < connections
            assert 0 <= step.client < clients
            assert last.get(step.connection) != step.client
            last[step.connection] = step.client

    def test_one_client_repeats(self) -> None:
        self.assertEqual({s.client for s in random_mix(9, 1, 2, Random(1))}, {0})

    @given(st.integers(1, 500), st.integers())
    def test_clients_differ(self, count: int, seed: int) -> None:
        clients = random_clients(count, Random(seed))
        assert len(set(clients)) == count
        assert all(re.match(r"198\.1[89]\.", client) for client in clients)


def _answer(head: bytes = b"", body: bytes = b"", **headers: str) -> Answer:
    fields = tuple((n.replace("_", "-").encode(), v.encode()) for n, v in headers.items())
    return Answer(200, head, fields, body)


class WorkerNameTests(SynchronousTestCase):
    def test_where_it_is_found(self) -> None:
        page = b"Hello World! From worker 2 x-forwarded-for=- with pid: 17 \n"
        for name, answer, expected in (
            (WorkerName(), _answer(body=page), "2"),
            (WorkerName(), _answer(body=b"hello"), None),
            (WorkerName(re.compile(rb"pid: (\d+)")), _answer(body=page), "17"),
            (WorkerName(re.compile(rb"Via: (\S+)")), _answer(b"Via: b\r\n\r\n", b"-"), "b"),
            (WorkerName(re.compile(rb"a(b)?")), _answer(body=b"a"), None),
            (WorkerName(header="x-worker"), _answer(X_Worker=" 3 "), "3"),
            (WorkerName(header="X-Worker"), _answer(body=page), None),
            (WorkerName(header="X-Worker"), _answer(X_Worker=""), None),
        ):
            self.assertEqual(name.find(answer), expected)

    @given(st.binary(min_size=1), st.binary(min_size=1))
    def test_printable_and_still_distinct(self, one: bytes, two: bytes) -> None:
        name = WorkerName(re.compile(b"(?s)(.+)"))
        first, second = name.find(_answer(body=one)), name.find(_answer(body=two))
        assert first is not None
        assert first.isascii()
        assert first.isprintable()
        assert (first == second) == (one == two)

    def test_shown(self) -> None:
        self.assertEqual(shown("7"), "7")
        self.assertEqual(len(shown("x" * 500)), 40)
        self.assertIn("worker", str(WorkerName()))
        self.assertEqual(str(WorkerName(header="X-W")), "header X-W")


def _rows(seen: str, ending: str = "CRLF") -> list[Row]:
    parts = seen.split()
    return [Row(name, ending, tuple(part)) for name, part in zip(ROWS, parts, strict=True)]


class JudgingTests(SynchronousTestCase):
    def kinds(self, *judged: Any) -> list[str]:
        return [j.kind.name for j in judged]

    def test_rows(self) -> None:
        for seen, kinds in (
            ("1 2 12 21", "REFERENCE REFERENCE RIGHT RIGHT"),
            ("1 2 11 22", "REFERENCE REFERENCE WRONG WRONG"),
            ("1 2 12 22", "REFERENCE REFERENCE RIGHT WRONG"),
            ("1 1 11 11", "REFERENCE REFERENCE PROVES_NOTHING PROVES_NOTHING"),
            ("1 1 12 11", "REFERENCE REFERENCE WRONG PROVES_NOTHING"),
        ):
            self.assertEqual(self.kinds(*judge_rows(_rows(seen))), kinds.split())

    def test_line_endings_share_homes(self) -> None:
        bare = judge_rows(_rows("1 2 12 21", "LF"), reference=_rows("1 1 11 11"))
        self.assertEqual(self.kinds(*bare), ["RIGHT", "WRONG", "RIGHT", "RIGHT"])
        self.assertIn("than with CRLF", bare[1].verdict)
        self.assertEqual(bare[1].expected, ("1",))

    def test_missing_rows(self) -> None:
        rows = _rows("1 2 12 21")
        rows[1] = Row("S2", "CRLF", (), "no answer")
        judged = judge_rows(rows)
        self.assertEqual(
            self.kinds(*judged), ["REFERENCE", "NOT_SERVED", "PROVES_NOTHING", "PROVES_NOTHING"]
        )
        status, verdict = conclude(judged, Mix(seen=Counter("12")))
        self.assertEqual((status, verdict), (Status.CANNOT_TELL, "cannot tell: no answer"))
        refused = judge_rows([Row(name, "LF", (), "answered 400") for name in ROWS], rows)
        self.assertEqual({j.verdict for j in refused}, {"not served (LF): answered 400"})

    def test_conclusions(self) -> None:
        good = Mix((("1", "1"), ("2", "2")), 100, 0, 40, Counter("12"))
        one = Mix((("1", "1"),), 100, 0, 0, Counter("1"))
        for seen, mix, status, text in (
            ("1 2 12 21", good, Status.STICKY, "sticky: every"),
            ("1 1 11 11", good, Status.STICKY, "sticky: every"),
            ("1 2 11 22", good, Status.MISROUTED, "rows S3 CRLF, S4 CRLF; the mix found none"),
            ("1 2 12 22", good, Status.MISROUTED, "worker: row S4 CRLF"),
            ("1 2 12 21", attrs.evolve(good, misrouted=3), Status.MISROUTED, "3 of 100 requests"),
            ("1 2 12 21", attrs.evolve(good, tested=0), Status.STICKY, "not put to the test"),
            ("1 2 12 21", attrs.evolve(good, problem="gone"), Status.CANNOT_TELL, "gone"),
            ("1 1 11 11", one, Status.CANNOT_TELL, "one worker"),
            (
                "1 2 12 21",
                attrs.evolve(good, homes=(("1", "2"), ("2", "2"))),
                Status.MISROUTED,
                "not sticky at all: 1 of 2 clients",
            ),
        ):
            found, verdict = conclude(judge_rows(_rows(seen)), mix)
            self.assertEqual(found, status, verdict)
            self.assertIn(text, verdict)

    @given(st.lists(st.text("123", min_size=1, max_size=1), min_size=6, max_size=6))
    def test_wrong_only_where_a_home_is_missed(self, w: list[str]) -> None:
        rows = _rows(f"{w[0]} {w[1]} {w[2]}{w[3]} {w[4]}{w[5]}")
        judged = judge_rows(rows)
        wrong = [j.row.name for j in judged if j.kind is Kind.WRONG]
        assert ("S3" in wrong) == (w[2:4] != [w[0], w[1]])
        assert ("S4" in wrong) == (w[4:6] != [w[1], w[0]])


class TableTests(SynchronousTestCase):
    def test_rows(self) -> None:
        judged = judge_rows(_rows("1 2 11 22"))
        self.assertEqual(
            list(row_lines(judged)),
            [
                "row      expected  seen  verdict",
                "S1 CRLF  -         1     home",
                "S2 CRLF  -         2     home",
                "S3 CRLF  1 2       1 1   MISROUTED: 1 of 2",
                "S4 CRLF  2 1       2 2   MISROUTED: 1 of 2",
            ],
        )

    def test_mix(self) -> None:
        seen = Counter({str(n): 1 for n in range(12)})
        lines = list(mix_lines(Mix((), 200, 50, 80, seen, "gone"), 40, 8, 7))
        self.assertIn("random seed 7", lines[0])
        text = "\n".join(lines)
        self.assertIn("50 of 200 = 25.0% (95 % confidence: 19.5% to 31.4%)", text)
        self.assertIn("and 2 more", text)
        self.assertIn("ended early", text)
        self.assertNotIn("misrouted", "\n".join(mix_lines(Mix(), 40, 8, 7)))

    def test_percent(self) -> None:
        for rate, text in ((0, "0.0%"), (0.00019, "0.0190%"), (0.001, "0.1%"), (1, "100.0%")):
            self.assertEqual(percent(rate), text)

    @given(st.lists(st.tuples(*[st.text("ab", max_size=9)] * 3), min_size=1))
    def test_columns_line_up(self, rows: list[tuple[str, str, str]]) -> None:
        width = max(len(row[0]) for row in rows)
        for row, line in zip(rows, table(rows), strict=True):
            assert line == line.rstrip()
            assert line[width + 2 :].startswith(row[1].rstrip())
