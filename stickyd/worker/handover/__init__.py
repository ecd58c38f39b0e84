"""WebSockets that are handed over to the worker that takes this one's place (docs/life.md)."""
