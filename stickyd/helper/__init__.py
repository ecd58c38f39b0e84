"""Processes of the master that run code of the app, other than workers."""
