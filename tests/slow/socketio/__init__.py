"""Socket.IO through real proxies: see __main__."""
