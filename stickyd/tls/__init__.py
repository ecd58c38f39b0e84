"""The processes that do TLS: they accept, shake hands, and relay the plain side of connections."""
