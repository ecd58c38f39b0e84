"""Keep every client with its own worker process: connections are placed, passed and moved."""

__version__ = "0.1.0"
