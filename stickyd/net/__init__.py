"""Sockets, epoll and the kernel: no module of this package imports another package of stickyd."""
