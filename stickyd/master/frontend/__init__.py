"""Listening sockets, and the connections that have not reached a worker."""
