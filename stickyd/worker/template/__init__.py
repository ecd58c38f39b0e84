"""The template process of ``--preload``: it imports the app, and workers are forked from it."""
