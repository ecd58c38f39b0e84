"""Shared memory of master and workers."""
