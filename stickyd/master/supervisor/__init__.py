"""Slots and their worker processes."""
