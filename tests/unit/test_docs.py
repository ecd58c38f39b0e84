"""What the documents say of themselves: links lead somewhere, nothing stands there twice."""

import re
import unittest
from pathlib import Path

from tests.support.daemon import ROOT
from tests.support.state_diagrams import connection_diagram, slot_diagram

DOCUMENTS = sorted(
    path
    for path in [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("examples/**/*.md")]
    if "node_modules" not in path.parts
)
SOURCES = sorted((ROOT / "stickyd").rglob("*.py"))


def anchors(document: Path) -> set[str]:
    """The names that headings have on GitHub."""
    headings = re.findall(r"^#+ (.*)$", document.read_text(), re.M)
    return {
        re.sub(r"[^\w\- ]", "", heading.replace("`", "").lower()).replace(" ", "-")
        for heading in headings
    }


class Documents(unittest.TestCase):
    def test_links_lead_to_what_is_there(self) -> None:
        count = 0
        for document in DOCUMENTS:
            text = re.sub(r"```.*?```", "", document.read_text(), flags=re.S)
            for link in re.findall(r"\]\(([^)\s]+)\)", text):
                if link.startswith(("http://", "https://")):
                    continue
                count += 1
                path, _, anchor = link.partition("#")
                target = (document.parent / path).resolve() if path else document
                where = f"{document.relative_to(ROOT)}: {link}"
                self.assertTrue(target.exists(), where)
                if anchor:
                    self.assertIn(anchor, anchors(target), where)
        self.assertGreater(count, 40)

    def test_no_paragraph_stands_in_a_document_twice(self) -> None:
        for document in DOCUMENTS:
            text = re.sub(r"```.*?```|^    [^\n]*$", "", document.read_text(), flags=re.S | re.M)
            paragraphs = [" ".join(p.split()) for p in text.split("\n\n")]
            for paragraph in paragraphs:
                if len(paragraph) > 60:
                    self.assertEqual(paragraphs.count(paragraph), 1, (document, paragraph))
            sentences = re.findall(r"[^.]{60,}\.", " ".join(paragraphs))
            twice = {s for s in sentences if sentences.count(s) > 1}
            self.assertEqual(twice, set(), document)

    def test_every_example_is_in_the_list(self) -> None:
        text = (ROOT / "examples" / "README.md").read_text()
        for folder in (ROOT / "examples").iterdir():
            if folder.is_dir():
                self.assertIn(f"({folder.name})", text)
                command = re.search(
                    r"^    (stickyd run .*)$", (folder / "README.md").read_text(), re.M
                )
                assert command is not None
                self.assertIn(f"`{command[1]}`", text)


class Names(unittest.TestCase):
    def test_private_names_in_docstrings_exist(self) -> None:
        for source in SOURCES:
            text = source.read_text()
            for name in re.findall(r"(?<!`)`(_[A-Za-z_]\w+)`(?!`)", text):
                uses = len(re.findall(rf"\b{name}\b", text))
                told = len(re.findall(rf"`{name}`", text))
                self.assertGreater(uses, told, f"{source}: `{name}`")

    def test_who_imports_a_reactor(self) -> None:
        """The others are given one."""
        pattern = re.compile(r"from twisted\.internet import [^\n]*\b(?:asyncio)?reactor\b")
        found = {
            str(path.relative_to(ROOT / "stickyd"))
            for path in SOURCES
            if pattern.search(path.read_text())
        }
        named = {
            "cli/main.py",
            "cli/validators.py",
            "tap.py",
            "worker/process.py",
            "worker/runtime/event_loop.py",
            # In its docstring.
            "worker/runtime/later_reactor.py",
            "tls/__main__.py",
        }
        self.assertEqual(found, named)


class Diagrams(unittest.TestCase):
    def test_they_are_generated_from_the_transitions(self) -> None:
        text = (ROOT / "docs" / "architecture.md").read_text()
        shown = re.findall(r"^```mermaid\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
        self.assertEqual(shown, [connection_diagram(), slot_diagram()])
