"""One client connection inside a worker."""
