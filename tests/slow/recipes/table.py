"""Which pages there are, and what is to be seen there."""

import attrs

from tests.slow.recipes.tracebacks import Known


@attrs.frozen
class Recipe:
    """One framework.

    :ivar page: of docs/recipes.
    :ivar group: recipes of one group share an environment.
    :ivar reload: what a reload of the page in the browser does with its state: kept or new.
    :ivar hup: what the next interaction after HUP finds, and after the grace.
    :ivar killed: after kill -9 of the worker. ``new``: the page goes on by itself, with new
        state; ``load``: the user has to load it again.
    :ivar query: of the URL that the users load.
    :ivar known: errors that the app logs meanwhile; any other one is a fault.
    """

    name: str
    page: str
    group: str
    reload: str
    hup: str
    killed: str
    known: tuple[Known, ...] = ()
    query: str = ""


NO_SESSION = Known(
    "^ValueError: Invalid session id",
    "A click after the worker's end and before the page has connected again: marimo answers it"
    " with 500 instead of an error of its own.",
)
NO_CHAT = Known(
    "^ValueError: Session not found",
    "A click after the worker's end and before the page has connected again: Chainlit answers it"
    " with 500.",
)
RECIPES = (
    Recipe("FastAPI", "fastapi", "light", "kept", "kept, kept", "new"),
    Recipe("Flask", "flask", "light", "kept", "kept, kept", "new"),
    Recipe("Django and Channels", "django", "light", "new", "kept, new", "new"),
    Recipe("python-socketio", "python_socketio", "light", "new", "kept, new", "new"),
    Recipe("Flask-SocketIO", "flask_socketio", "light", "new", "kept, new", "new"),
    Recipe(
        "Flask-SocketIO, long polling",
        "flask_socketio",
        "light",
        "new",
        "kept, new",
        "new",
        query="?transport=polling",
    ),
    Recipe("MCP servers", "mcp", "mcp", "new", "kept, kept", "new"),
    Recipe("NiceGUI", "nicegui", "ui", "new", "kept, new", "new"),
    Recipe("Streamlit", "streamlit", "streamlit", "new", "kept, new", "new"),
    Recipe("Gradio", "gradio", "gradio", "new", "kept, kept", "new"),
    Recipe("Panel and Bokeh", "panel", "ui", "new", "kept, load", "load"),
    Recipe("Dash", "dash", "ui", "new", "kept, kept", "new"),
    Recipe("Shiny", "shiny", "ui", "new", "kept, load", "load"),
    Recipe("marimo", "marimo", "ui", "new", "kept, new", "new", (NO_SESSION,)),
    Recipe("Chainlit", "chainlit", "chainlit", "new", "kept, new", "new", (NO_CHAT,)),
    Recipe("Solara", "solara", "solara", "new", "kept, load", "load"),
    Recipe("Klein", "klein", "light", "kept", "kept, kept", "new"),
    Recipe("twisted.web", "twisted_web", "light", "kept", "kept, kept", "new"),
)
