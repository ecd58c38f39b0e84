"""The master's side of TLS: certificates, and the processes that use them."""
