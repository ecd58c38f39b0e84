"""The live page as HTML. Pure.

The same elements as page.js makes of later views. Texts become nodes of a tree, never markup:
xml.etree.ElementTree escapes them.
"""

from xml.etree.ElementTree import Element, SubElement, tostring

from stickyd.master.admin.page.view import Cell, Event, Figure, Group, Notice, Table, View

REFRESH_SECONDS = 5
"""After how long the page loads itself anew in a browser without JavaScript."""

_BAR = "0 0 100 4"


def page(view: View) -> bytes:
    """The whole document, UTF-8."""
    html = Element("html", {"lang": "en", "data-assets": view.assets})
    _head(SubElement(html, "head"), view)
    body = SubElement(html, "body")
    _text(body, "a", "Skip to the figures", {"class": "skip", "href": "#figures"})
    _top(SubElement(body, "header"), view)
    main = SubElement(body, "main", {"id": "main"})
    notices = SubElement(main, "ul", {"id": "notices", "aria-label": "Notices"})
    for notice in view.notices:
        _notice(notices, notice)
    figures = SubElement(main, "dl", {"id": "figures", "tabindex": "-1"})
    for figure in view.figures:
        _figure(figures, figure)
    # A picture of what the tables have; page.js draws it.
    SubElement(main, "div", {"id": "flow", "aria-hidden": "true"})
    for table in view.tables:
        _table(main, table)
    section = SubElement(main, "section", {"id": "happened", "aria-labelledby": "h-events"})
    _text(section, "h2", "What has happened", {"id": "h-events"})
    _text(section, "p", "Newest first, while this page is open somewhere. UTC.", {"class": "hint"})
    events = SubElement(section, "ol", {"id": "events", "tabindex": "0"})
    events.set("aria-labelledby", "h-events")
    for event in view.events:
        _event(events, event)
    _foot(SubElement(body, "footer"))
    document = tostring(html, encoding="unicode", method="html")
    # Views have no lone surrogates; a page with one would be no page at all.
    return f"<!DOCTYPE html>\n{document}\n".encode("utf-8", "backslashreplace")


def _text(
    parent: Element, tag: str, text: str, attributes: dict[str, str] | None = None
) -> Element:
    element = SubElement(parent, tag, attributes or {})
    element.text = text
    return element


def _head(head: Element, view: View) -> None:
    SubElement(head, "meta", {"charset": "utf-8"})
    _text(head, "title", f"{view.status} – stickyd")
    SubElement(head, "meta", {"name": "viewport", "content": "width=device-width"})
    SubElement(head, "meta", {"name": "color-scheme", "content": "light dark"})
    SubElement(head, "link", {"rel": "icon", "href": "icon.svg", "type": "image/svg+xml"})
    SubElement(head, "link", {"rel": "stylesheet", "href": "page.css"})
    SubElement(head, "script", {"src": "page.js", "defer": ""})
    without = SubElement(head, "noscript")
    SubElement(without, "meta", {"http-equiv": "refresh", "content": str(REFRESH_SECONDS)})


def _top(header: Element, view: View) -> None:
    line = SubElement(header, "div", {"class": "line"})
    _text(line, "h1", "stickyd")
    _text(line, "p", view.status, {"id": "status", "role": "status", "class": view.tone})
    button = _text(line, "button", "Pause", {"id": "pause", "type": "button", "hidden": ""})
    button.set("aria-pressed", "false")
    _text(header, "p", view.about, {"id": "about"})
    when = SubElement(header, "p", {"id": "when"})
    when.text = "As of "
    _text(when, "time", view.time, {"id": "time"}).tail = " UTC"
    _text(when, "span", "", {"id": "link"})
    without = SubElement(header, "noscript")
    _text(without, "p", f"Without JavaScript: loaded anew every {REFRESH_SECONDS} s.")


def _notice(parent: Element, notice: Notice) -> None:
    item = _text(parent, "li", notice.text, {"class": notice.tone})
    if notice.option:
        item.text = f"{notice.text} "
        _text(item, "code", notice.option)


def _figure(parent: Element, figure: Figure) -> None:
    group = SubElement(parent, "div", {"data-key": figure.key})
    _text(group, "dt", figure.label)
    _text(group, "dd", figure.value, {"class": "value"})
    _text(group, "dd", figure.note, {"class": "note"})


def _table(parent: Element, table: Table) -> None:
    section = SubElement(parent, "section", {"id": table.key, "class": "table"})
    heading = f"h-{table.key}"
    section.set("aria-labelledby", heading)
    _text(section, "h2", table.title, {"id": heading})
    # What can be scrolled must be reachable by the keyboard.
    scroll = SubElement(section, "div", {"class": "scroll", "role": "region", "tabindex": "0"})
    scroll.set("aria-labelledby", heading)
    element = SubElement(scroll, "table")
    _text(SubElement(element, "caption"), "span", table.caption)
    head = SubElement(SubElement(element, "thead"), "tr")
    _text(head, "td" if not table.corner else "th", table.corner)
    for column in table.columns:
        _text(head, "th", column, {"scope": "col"})
    for group in table.groups:
        _group(element, group, len(table.columns) + 1)


def _group(table: Element, group: Group, columns: int) -> None:
    body = SubElement(table, "tbody")
    if group.label:
        line = SubElement(body, "tr", {"class": "group"})
        heading = SubElement(line, "th", {"scope": "rowgroup", "colspan": str(columns)})
        _text(heading, "span", group.label)
    for row in group.rows:
        line = SubElement(body, "tr", {"data-key": row.key})
        _text(line, "th", row.label, {"scope": "row"})
        for cell in row.cells:
            _cell(line, cell)


def _cell(line: Element, cell: Cell) -> None:
    element = SubElement(line, "td")
    if cell.tone:
        element.set("class", cell.tone)
    _text(element, "span", cell.text)
    if cell.bar >= 0:
        bar = SubElement(element, "svg", {"viewBox": _BAR, "preserveAspectRatio": "none"})
        bar.set("aria-hidden", "true")
        SubElement(bar, "rect", {"width": str(cell.bar), "height": "4"})


def _event(parent: Element, event: Event) -> None:
    item = SubElement(parent, "li", {"data-number": str(event.number)})
    if event.tone:
        item.set("class", event.tone)
    _text(item, "time", event.time)
    _text(item, "span", event.text)


def _foot(footer: Element) -> None:
    line = SubElement(footer, "p")
    line.text = "The same figures for programs: "
    for path, after in (("metrics", ", "), ("api/status", ", "), ("readyz", ".")):
        _text(line, "a", f"/{path}", {"href": path}).tail = after
