"""HTTP/1.x as bytes: request heads, bodies, refusals. Pure: no reactor, no sockets."""
