"""The page as HTML: what a parser finds in it, whatever the texts are."""

import json
import unittest
from html.parser import HTMLParser

from hypothesis import given, settings
from hypothesis import strategies as st

from stickyd.master.admin.page.build import view_of
from stickyd.master.admin.page.html import page
from stickyd.master.admin.page.sample import Change
from stickyd.master.admin.page.view import (
    Cell,
    Event,
    Figure,
    Flow,
    Group,
    Notice,
    Row,
    Table,
    View,
    clean,
)
from tests.unit.master.admin.page.hostile import MARKUP, SCRIPT, hostile_facts, sample
from tests.unit.master.admin.test_metrics import facts

VOID = {"meta", "link", "rect"}

OFTEN = settings(max_examples=100, deadline=None, derandomize=True)


class Parsed(HTMLParser):
    """The tags with their attributes, and the texts."""

    def __init__(self, document: bytes) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.feed(document.decode())
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.texts.append("")

    def handle_data(self, data: str) -> None:
        if self.texts:
            self.texts[-1] += data

    def names(self) -> list[str]:
        return [tag for tag, _ in self.tags]

    def of(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


def simple(text: str) -> View:
    """A view that has one text everywhere."""
    row = Row(text, text, [Cell(text, text, 5)])
    return View(
        assets=text,
        time=text,
        status=text,
        tone=text,
        about=text,
        figures=[Figure(text, text, text, text)],
        notices=[Notice(text, text, text)],
        tables=[Table(text, text, text, text, [text], [Group(text, [row])])],
        events=[Event(1, text, text, text)],
        flow=Flow([], []),
    )


class Escaping(unittest.TestCase):
    @OFTEN
    @given(st.text(min_size=1) | st.sampled_from([MARKUP, SCRIPT, "'\"<>&", "]]>", "<!--"]))
    def test_no_text_is_markup(self, text: str) -> None:
        reference, parsed = Parsed(page(simple("x"))), Parsed(page(simple(clean(text))))
        self.assertEqual(parsed.names(), reference.names())
        for (_, expected), (_, found) in zip(reference.tags, parsed.tags, strict=True):
            self.assertEqual(found.keys(), expected.keys())

    @OFTEN
    @given(st.text())
    def test_texts_arrive_as_they_are(self, text: str) -> None:
        shown = clean(text)
        parsed = Parsed(page(simple("x" + shown)))
        self.assertIn("x" + shown, parsed.texts)
        told = json.loads(simple(text).as_json())
        self.assertEqual(told["status"], text)
        self.assertNotIn("\n", simple(text).as_json())

    @OFTEN
    @given(st.text())
    def test_what_is_clean_can_be_sent(self, text: str) -> None:
        shown = clean(text)
        shown.encode()
        self.assertTrue(all(each.isprintable() or each == "\n" for each in shown))
        self.assertEqual(clean(shown), shown)

    def test_a_daemon_with_hostile_names(self) -> None:
        now = sample(hostile_facts(), not_ready=SCRIPT)
        view = view_of(Change(None, now), (), "digest")
        for shown in (page(view), json.dumps(json.loads(view.as_json())).encode()):
            # Bytes that a terminal or a line of the stream would take for something else.
            self.assertNotRegex(shown, rb"[\x00-\x09\x0b-\x1f\x7f]")
        parsed = Parsed(page(view))
        self.assertNotIn("img", parsed.names())
        self.assertEqual(len(parsed.of("script")), 1)
        self.assertIn(MARKUP, parsed.texts)


class Structure(unittest.TestCase):
    def setUp(self) -> None:
        self.document = page(view_of(Change(None, sample(facts())), (), "digest"))
        self.parsed = Parsed(self.document)

    def test_nothing_inline_and_nothing_from_elsewhere(self) -> None:
        for tag, attributes in self.parsed.tags:
            self.assertNotEqual(tag, "style")
            for name, value in attributes.items():
                self.assertNotEqual(name, "style", tag)
                self.assertFalse(name.startswith("on"), name)
                if name in ("href", "src"):
                    self.assertRegex(value or "", r"\A[a-z/.#]+\Z")
        (script,) = self.parsed.of("script")
        self.assertEqual(script["src"], "page.js")
        self.assertTrue(self.document.startswith(b"<!DOCTYPE html>\n<html "))

    def test_tables_have_headers_and_captions(self) -> None:
        tables = len(self.parsed.of("table"))
        self.assertEqual(tables, 4)
        self.assertEqual(len(self.parsed.of("caption")), tables)
        scopes = [attributes.get("scope") for attributes in self.parsed.of("th")]
        self.assertEqual(set(scopes), {"col", "row", "rowgroup"})
        rows = [each for each in self.parsed.of("tr") if "data-key" in each]
        self.assertEqual(scopes.count("row"), len(rows))

    def test_one_live_region(self) -> None:
        live = [a for _, a in self.parsed.tags if a.get("role") == "status" or "aria-live" in a]
        self.assertEqual([each["id"] for each in live], ["status"])

    def test_what_scrolls_can_be_reached_by_the_keyboard(self) -> None:
        for _, attributes in self.parsed.tags:
            if attributes.get("class") == "scroll" or attributes.get("id") == "events":
                self.assertEqual(attributes["tabindex"], "0")
                self.assertIn("aria-labelledby", attributes)

    def test_labels_refer_to_what_is_there(self) -> None:
        ids = [a["id"] for _, a in self.parsed.tags if "id" in a]
        self.assertEqual(len(ids), len(set(ids)))
        for _, attributes in self.parsed.tags:
            if "aria-labelledby" in attributes:
                self.assertIn(attributes["aria-labelledby"], ids)

    def test_without_a_script_it_is_loaded_anew(self) -> None:
        self.assertIn(
            b'<noscript><meta http-equiv="refresh" content="5"></noscript>', self.document
        )
