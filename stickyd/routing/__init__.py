"""Whose request is it, and which slot serves it. Pure: no reactor, no sockets."""
