"""Sockets, epoll and the kernel: what knows nothing of stickyd."""
