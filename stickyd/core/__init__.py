"""The compiled core: what is plain and frequent, in C; Python does the rest, and all without it."""
