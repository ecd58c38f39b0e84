"""The kinds of apps: twisted.web, WSGI, ASGI, files."""
