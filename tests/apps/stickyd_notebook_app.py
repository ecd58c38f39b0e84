"""A notebook of marimo's own tutorials, as `marimo run` serves it."""

from pathlib import Path

import marimo

NOTEBOOK = Path(marimo.__file__).parent / "_tutorials" / "ui.py"
app = marimo.create_asgi_app().with_app(path="", root=str(NOTEBOOK)).build()
