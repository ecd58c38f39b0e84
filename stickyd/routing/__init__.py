"""From a request to its affinity key and its slot. Pure: no reactor, no sockets."""
